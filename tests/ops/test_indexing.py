"""Every form of index that NumPy has, read and written, with gradients, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tensorgrad as tg

PROPERTY = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SIZES = st.integers(0, 4)


@st.composite
def slices(draw, n):
    bound = st.none() | st.integers(-n - 2, n + 2)
    return slice(draw(bound), draw(bound), draw(st.sampled_from([None, 1, 2, 3, -1, -2, -3])))


@st.composite
def indices(draw, shape):
    """An index of NumPy's for an array of this shape: masks and integer arrays as arrays, lists or numbers."""
    items = []
    common = draw(st.sampled_from([(), (1,), (2,), (2, 3), (3,), (0,), (2, 1)]))
    axis, ellipsis = 0, False
    while axis < len(shape):
        n = shape[axis]
        kinds = ["slice", "slice", "mask", "new", "end"] + ["0-d mask"] * (len(items) < 4)
        kinds += ["number", "array", "array", "list"] * (n > 0) + ["ellipsis"] * (not ellipsis)
        kind = draw(st.sampled_from(kinds))
        if kind == "slice":
            items.append(draw(slices(n)))
        elif kind == "number":
            items.append(draw(st.integers(-n, n - 1)))
        elif kind in ("array", "list"):
            sizes = tuple(draw(st.sampled_from([s, s, 1])) for s in common)
            count = int(np.prod(sizes))
            values = draw(st.lists(st.integers(-n, n - 1), min_size=count, max_size=count))
            array = np.array(values, draw(st.sampled_from([np.int64, np.int32, np.int8]))).reshape(sizes)
            items.append(array.tolist() if kind == "list" else array)
        elif kind == "mask":
            axes = draw(st.integers(1, len(shape) - axis))
            sizes = shape[axis : axis + axes]
            count = int(np.prod(sizes))
            items.append(np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), bool).reshape(sizes))
            axis += axes - 1
        elif kind == "0-d mask":
            items.append(draw(st.sampled_from([True, False, np.array(True), np.array(False)])))
            axis -= 1
        elif kind == "new":
            items.append(None)
            axis -= 1
        elif kind == "ellipsis":
            items.append(...)
            ellipsis = True
            axis += draw(st.integers(0, len(shape) - axis)) - 1
        elif ellipsis:
            continue
        else:
            break
        axis += 1
        if len(items) > 12:
            break
    whole = tuple(items)
    alone = len(whole) == 1 and not isinstance(whole[0], list) and draw(st.booleans())
    return whole[0] if alone else whole


@st.composite
def cases(draw):
    shape = tuple(draw(st.lists(SIZES, max_size=4)))
    return shape, draw(indices(shape))


def on(device, index):
    """The index with its arrays as tensors."""
    if isinstance(index, tuple):
        return tuple(on(device, item) for item in index)
    return tg.tensor(index, device=device) if isinstance(index, np.ndarray) else index


def numbers(*shape):
    return np.arange(1.0, np.prod(shape, dtype=int) + 1).reshape(shape)


def read(x, index):
    """What NumPy reads, or None where it refuses."""
    try:
        return np.asarray(x[index])
    except IndexError:
        return None


def writes(shape, index):
    """How often each element is written."""
    counts = np.zeros(shape)
    np.add.at(counts, index, 1)
    return counts


@PROPERTY
@given(cases())
def test_reading(device, case):
    shape, index = case
    values = numbers(*shape)
    wanted = read(values, index)
    x = tg.tensor(values, device=device, requires_grad=True)
    if wanted is None:
        with pytest.raises(IndexError):
            x[on(device, index)]
        return
    y = x[on(device, index)]
    assert y.shape == wanted.shape
    assert y.tolist() == wanted.tolist()
    g = numbers(*wanted.shape)
    (y * tg.tensor(g, device=device)).sum().backward()
    gradient = np.zeros(shape)
    np.add.at(gradient, index, g)  # repeated indices add up
    assert x.grad.tolist() == gradient.tolist()


@PROPERTY
@given(cases(), st.data())
def test_writing(device, case, data):
    shape, index = case
    values = numbers(*shape)
    part = read(values, index)
    if part is None or (writes(shape, index) > 1).any():  # what stays of values written to one place is not defined
        return
    kept = data.draw(st.integers(0, part.ndim))
    sizes = tuple(data.draw(st.sampled_from([n, n, 1])) for n in part.shape[kept:])
    written = -numbers(*sizes)
    wanted = values.copy()
    wanted[index] = np.broadcast_to(written, part.shape)

    plain = tg.tensor(values, device=device)
    plain[on(device, index)] = tg.tensor(written, device=device)
    assert plain.tolist() == wanted.tolist()

    x, value = (tg.tensor(a, device=device, requires_grad=True) for a in (values, written))
    y = x * 1
    y[on(device, index)] = value
    assert y.tolist() == wanted.tolist()
    g = numbers(*shape)
    (y * tg.tensor(g, device=device)).sum().backward()
    gradient = g.copy()
    gradient[index] = 0
    assert x.grad.tolist() == gradient.tolist()
    received = np.asarray(g[index])
    axes = tuple(i for i, n in enumerate(part.shape) if i < kept or sizes[i - kept] != n)
    assert value.grad.tolist() == received.sum(axes).reshape(sizes).tolist()


class TestSecondOrder:
    def test_reading(self, device):
        x = tg.tensor(numbers(3, 4), device=device, requires_grad=True)
        index = tg.tensor([2, 0, 2], device=device)
        (first,) = tg.grad((x[index, 1:] ** 3).sum(), [x], create_graph=True)
        (second,) = tg.grad((first * first).sum(), [x])
        # f = sum_i n_i x_i**3 where n_i counts how often row i is read; d/dx (3 n x**2)**2 = 36 n**2 x**3
        times = np.array([[1.0], [0.0], [2.0]]) * np.array([0.0, 1, 1, 1])
        np.testing.assert_allclose(second.cpu().numpy(), 36 * times**2 * numbers(3, 4) ** 3)

    def test_writing(self, device):
        x, v = (tg.tensor(a, device=device, requires_grad=True) for a in (numbers(3), numbers(2)))
        y = x * 1
        y[tg.tensor([True, False, True], device=device)] = v * v
        first = tg.grad((y**2).sum(), [x, v], create_graph=True)
        second = tg.grad(sum((g * g).sum() for g in first), [x, v])
        # f = x_1**2 + sum v**4: (2 x_1)**2 + (4 v**3)**2 differentiates to 8 x_1 and 96 v**5
        assert second[0].tolist() == [0, 16, 0]
        assert second[1].tolist() == [96, 96 * 32]


class TestErrors:
    def test_reading(self, device):
        x = tg.zeros(2, 3, device=device)
        for index, why in [
            (5, "index 5"),
            ((0, 0, 0), "too many"),
            (1.5, "expected integers, slices"),
            ("a", "expected integers, slices"),
            (tg.ones(2, device=device), "got a float32 array"),
            (tg.ones(3, 3, device=device) > 0, r"bool tensor of shape \(3, 3\)"),
            ((..., ...), "ellipsis|Ellipsis|'...'"),
        ]:
            with pytest.raises(IndexError, match=why):
                x[index]

    def test_arrays_that_do_not_broadcast(self, device):
        x = tg.zeros(4, 5, device=device)
        with pytest.raises(IndexError, match=r"\(2,\).*\(3,\)"):
            x[tg.tensor([0, 1], device=device), tg.tensor([0, 1, 2], device=device)]

    def test_writing(self, device):
        x = tg.zeros(2, 3, device=device)
        with pytest.raises(ValueError, match=r"setitem: value of shape \(4,\) into index 0 of \(2, 3\)"):
            x[0] = tg.ones(4, device=device)
        with pytest.raises(TypeError, match="complex128 value cannot be written into a float32"):
            x[0] = tg.ones(3, dtype=tg.complex128, device=device)
        with pytest.raises(RuntimeError, match="leaf"):
            tg.zeros(2, device=device, requires_grad=True)[0] = 1
