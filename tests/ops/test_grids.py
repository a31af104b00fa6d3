"""Grids, functions along axes, writes by masks, beside NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg

A = np.random.default_rng(0).normal(size=(2, 3, 4))


@pytest.mark.parametrize("key", [np.s_[0:3], np.s_[0:3, 1:5:2], np.s_[0:1:5j], np.s_[0:1:5j, 2:4], np.s_[:3, :2]])
def test_grids(key):
    found, wanted = tg.mgrid[key], np.mgrid[key]
    assert found.dtype.kind == wanted.dtype.kind
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6)
    found, wanted = ((x if isinstance(x, tuple) else (x,)) for x in (tg.ogrid[key], np.ogrid[key]))
    for first, second in zip(found, wanted, strict=True):
        assert first.shape == second.shape
        np.testing.assert_allclose(first.numpy(), second, rtol=1e-6)


def test_meshgrids(device):
    lines = [np.arange(3), np.arange(4), np.arange(2)]
    for options in ({"sparse": True}, {"sparse": True, "indexing": "ij"}, {"copy": True}):
        found = tg.meshgrid(*(tg.tensor(x, device=device) for x in lines), **options)
        for first, second in zip(found, np.meshgrid(*lines, **options), strict=True):
            np.testing.assert_array_equal(first.cpu().numpy(), second, strict=True)
    found[0][0] = 7  # memory of its own


FUNCTIONS = {
    "number": lambda m, v: m.sum(v),
    "vector": lambda m, v: v[:2] * 2,
    "matrix": lambda m, v: m.outer(v[:2], v[:2]),
}


@pytest.mark.parametrize("kind", FUNCTIONS)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_apply_along_axis(kind, axis, device):
    function = FUNCTIONS[kind]
    x = tg.tensor(A, device=device, requires_grad=True)
    found = tg.apply_along_axis(lambda v, times: function(tg, v) * times, axis, x, times=2)
    wanted = np.apply_along_axis(lambda v: function(np, v) * 2, axis, A)
    np.testing.assert_allclose(found.detach().cpu().numpy(), wanted, strict=True)
    tg.testing.gradcheck(lambda x: tg.apply_along_axis(lambda v: function(tg, v), axis, x), [x], fast_mode=True)


def test_apply_over_axes(device):
    found = tg.apply_over_axes(tg.sum, tg.tensor(A, device=device), [0, -1])
    np.testing.assert_allclose(found.cpu().numpy(), np.apply_over_axes(np.sum, A, [0, -1]), strict=True)


def test_masked_writes(device):
    mask = A > 0
    for name, args in (
        ("copyto", (A[:1] * 2,)),
        ("putmask", (mask, np.array([1.0, 2.0, 3.0]))),
        ("place", (mask, np.array([1.0, 2.0]))),
    ):
        x, expected = tg.tensor(A, device=device), A.copy()
        getattr(tg, name)(x, *(tg.tensor(a, device=device) for a in args))
        getattr(np, name)(expected, *args)
        np.testing.assert_array_equal(x.cpu().numpy(), expected)
    for part in (slice(None, None, -1), slice(1, None)):  # values that are memory of what is written
        x, expected = tg.tensor(A[0, 0], device=device), A[0, 0].copy()
        tg.putmask(x, tg.tensor(mask[0, 0], device=device), x[part])
        np.putmask(expected, mask[0, 0], expected[part].copy())
        np.testing.assert_array_equal(x.cpu().numpy(), expected)
    x = tg.tensor(A, device=device)
    tg.copyto(x, 5, where=x > 0, casting="unsafe")
    np.testing.assert_array_equal(x.cpu().numpy(), np.where(mask, 5, A))

    def written(x, v):
        y = x * 1
        tg.putmask(y, x > 0, v)
        tg.copyto(y, v[0], where=x < -1)
        tg.place(y, x > 1, v)
        return y * y

    x, v = tg.tensor(A, device=device, requires_grad=True), tg.tensor(A[0, 0], device=device, requires_grad=True)
    tg.testing.gradcheck(written, [x, v])


def test_small_things(device):
    x = tg.tensor(A, device=device)
    assert (tg.ndim(x), tg.shape(x), tg.size(x), tg.size(x, 1), tg.size(x, (0, -1))) == (3, (2, 3, 4), 24, 3, 8)
    assert (tg.ndim([[1]]), tg.shape(2.0), tg.size([1, 2])) == (2, (), 2)
    assert tg.broadcast_shapes((2, 1), (3,)) == (2, 3)
    assert tg.s_[1:2, ...] == np.s_[1:2, ...]
    for found, wanted in zip(tg.mask_indices(4, tg.triu, 1), np.mask_indices(4, np.triu, 1), strict=True):
        np.testing.assert_array_equal(found.numpy(), wanted)
    path, table = tg.einsum_path("ij,jk,kl->il", tg.ones(2, 3), tg.ones(3, 4), tg.ones(4, 5))
    assert path == np.einsum_path("ij,jk,kl->il", np.ones((2, 3)), np.ones((3, 4)), np.ones((4, 5)))[0]
    assert "Complete contraction" in table
    assert (tg.half, tg.double, tg.cfloat, tg.long) == (tg.float16, tg.float64, tg.complex64, tg.int64)
    assert tg.euler_gamma == np.euler_gamma


def test_from_buffers_and_iterables():
    memory = bytearray(np.arange(4, dtype="int32").tobytes())
    x = tg.frombuffer(memory, tg.int32, count=2, offset=4)
    assert x.tolist() == [1, 2]
    x[0] = 9
    assert np.frombuffer(memory, "int32").tolist() == [0, 9, 2, 3]
    assert tg.frombuffer(bytes(8), requires_grad=True).tolist() == [0, 0]
    assert tg.fromiter(range(5), "float32", count=3).tolist() == [0, 1, 2]


@pytest.mark.parametrize("name", ["linspace", "logspace", "geomspace"])
def test_rows_between_ends_with_axes(name, device):
    a, b = np.array([1.0, 1.5, 2.0]), np.array([[3.0, 4.0, 5.0], [6.0, 7.0, 8.0]])
    theirs, ours = getattr(np, name), getattr(tg, name)
    x, y = tg.tensor(a, device=device), tg.tensor(b, device=device)
    for num in (0, 1, 2, 5):
        for options in ({}, {"axis": -1}, {"axis": 1}, {"endpoint": False}):
            found = ours(x, y, num, **options)
            np.testing.assert_allclose(found.cpu().numpy(), theirs(a, b, num, **options), rtol=1e-12, strict=True)
        np.testing.assert_allclose(ours(2.0, y, num).cpu().numpy(), theirs(2.0, b, num), rtol=1e-12)
    variables = [tg.tensor(v, device=device, requires_grad=True) for v in (a, b)]
    tg.testing.gradcheck(lambda a, b: ours(a, b, 4), variables, fast_mode=True)


def test_more_of_rows():
    found, step = tg.linspace(tg.tensor([0.0, 1.0]), 2, 5, retstep=True)
    assert (found[-1].tolist(), step.tolist()) == ([2, 2], [0.5, 0.25])
    assert tg.linspace(0, 1, 5, retstep=True)[1] == 0.25
    assert tg.linspace(0, -10, 4, dtype=tg.int64).tolist() == np.linspace(0, -10, 4, dtype=int).tolist()
    np.testing.assert_allclose(tg.geomspace(1j, 1000j, 4).numpy(), np.geomspace(1j, 1000j, 4), rtol=1e-5)
    np.testing.assert_allclose(tg.logspace(0, 2, 3, base=tg.tensor([2.0, 3.0])).tolist(), [[1, 1], [2, 3], [4, 9]])
    assert [x.tolist() for x in tg.meshgrid(3, [[1], [2]])] == [[[3], [3]], [[1], [2]]]
    assert tg.gradient(tg.tensor(1.0)) == ()


JOINED = [
    np.s_[1:4, 0, 4],
    np.s_[0:1:5j],
    np.s_[[1, 2], 0, [[3]][0]],
    np.s_["0,2", [1, 2, 3], [4, 5, 6]],
    np.s_["0,2,0", [1, 2, 3], [4, 5, 6]],
    np.s_["1,2,0", [1, 2, 3], [4, 5, 6]],
    np.s_["-1", A[0], A[0]],
    np.s_["1,3,1", [1.0, 2.0], [3.0, 4.0]],
    np.s_[A, A],
]


@pytest.mark.parametrize("name", ["r_", "c_"])
@pytest.mark.parametrize("key", JOINED, ids=range(len(JOINED)))
def test_joins(name, key):
    try:
        wanted = getattr(np, name)[key]
    except ValueError:
        pytest.skip("the parts do not fit")
    items = tuple(tg.tensor(x) if isinstance(x, (list, np.ndarray)) else x for x in key) if type(key) is tuple else key
    found = getattr(tg, name)[items]
    assert found.dtype.kind == wanted.dtype.kind
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6)


def test_errors_of_joins():
    for key in ("r", "0,1,2,3"):
        with pytest.raises(ValueError, match="r_: a string says 'axis'"):
            tg.r_[key, [1]]
    with pytest.raises(ValueError, match="c_: only the first item"):
        tg.c_[[1], "0"]
    x = tg.tensor([1.0, 2.0], dtype="float64", requires_grad=True)
    tg.testing.gradcheck(lambda x: tg.c_[x, x**2], [x])
