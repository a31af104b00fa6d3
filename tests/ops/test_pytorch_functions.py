"""Functions of PyTorch's main namespace, and what a program sets for all of its computations."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

import tensorgrad as tg
from tensorgrad.ops import inplace_functions

_RNG = np.random.default_rng(4)


def _array(x: tg.Tensor) -> np.ndarray:
    return x.detach().cpu().numpy()


def _complex(*shape: int) -> np.ndarray:
    return 2 * _RNG.normal(size=shape) + 1j * _RNG.normal(size=shape)


# ----------------------------------------------------------------------------------------------------- complex operands
def test_logarithms_of_sums_of_complex_exponentials(device):
    a, b = _complex(3, 5), _complex(5)
    x, y = (tg.tensor(v, device=device, requires_grad=True) for v in (a, b))
    np.testing.assert_allclose(_array(tg.logaddexp(x, y)), np.log(np.exp(a) + np.exp(b)), rtol=1e-12)
    large = tg.logaddexp(x + 1000, y.detach() + 1000)
    np.testing.assert_allclose(_array(large), 1000 + np.log(np.exp(a) + np.exp(b)), rtol=1e-12)
    np.testing.assert_allclose(_array(tg.logaddexp(x, 1.0)), np.log(np.exp(a) + np.e), rtol=1e-12)
    tg.testing.gradcheck(tg.logaddexp, [x, y])
    tg.testing.gradgradcheck(tg.logaddexp, [x, y])
    infinite = tg.tensor([-np.inf, -np.inf, np.inf], dtype=tg.complex128, device=device)
    other = tg.tensor([-np.inf, 2 + 1j, 1], dtype=tg.complex128, device=device)
    np.testing.assert_array_equal(_array(tg.logaddexp(infinite, other)), [-np.inf, 2 + 1j, np.inf])


@pytest.mark.parametrize("axis", [0, 1, None])
def test_running_logarithms_of_sums_of_complex_exponentials(device, axis):
    a = _complex(3, 5)
    x = tg.tensor(a, device=device, requires_grad=True)
    found = np.exp(_array(tg.logcumsumexp(x, axis)))
    np.testing.assert_allclose(found, np.cumsum(np.exp(a), axis), rtol=1e-10)
    if axis == 1:
        tg.testing.gradcheck(lambda v: tg.logcumsumexp(v, 1), [x])
        tg.testing.gradgradcheck(lambda v: tg.logcumsumexp(v, 1), [x])
        assert tg.logcumsumexp(x[0, 0], 0).item() == x[0, 0].item()


def test_rms_norm_of_complex_numbers(device):
    a, w = _complex(3, 4), _complex(4)
    x, weight = (tg.tensor(v, device=device, requires_grad=True) for v in (a, w))
    norm = lambda v, u: tg.nn.functional.rms_norm(v, (4,), u, 1e-3)  # noqa: E731
    wanted = a / np.sqrt((a * a).mean(-1, keepdims=True) + 1e-3) * w
    np.testing.assert_allclose(_array(norm(x, weight)), wanted, rtol=1e-12)
    tg.testing.gradcheck(norm, [x, weight])
    tg.testing.gradgradcheck(norm, [x, weight])
    with pytest.raises(TypeError, match="layer_norm: expected a real"):
        tg.nn.functional.layer_norm(x, (4,))


# ---------------------------------------------------------------------------------------------------- sums and counting
def _segments(values, lengths, reduce, initial):
    parts, start = [], 0
    functions = {"sum": np.sum, "mean": np.sum, "prod": np.prod, "max": np.max, "min": np.min}
    for n in lengths:
        part = values[start : start + n]
        start += n
        if initial is not None:
            part = np.concatenate([np.full((1, *values.shape[1:]), initial), part])
        if not len(part):
            empty = {"sum": 0, "mean": np.nan, "prod": 1, "max": -np.inf, "min": np.inf}[reduce]
            parts.append(np.full(values.shape[1:], empty))
        else:
            parts.append(functions[reduce](part, 0) / (max(n, 1) if reduce == "mean" else 1))
    return np.stack(parts)


@pytest.mark.parametrize("reduce", ["sum", "mean", "prod", "max", "min"])
@pytest.mark.parametrize("initial", [None, 1.5])
def test_segments(device, reduce, initial):
    a = _RNG.normal(size=(6, 2))
    x = tg.tensor(a, device=device, requires_grad=True)
    lengths, offsets = [0, 1, 3, 0, 2], [0, 0, 1, 4, 4, 6]
    wanted = _segments(a, lengths, reduce, initial)
    options = {"initial": initial}
    for given in ({"lengths": lengths}, {"offsets": offsets}):
        given = {name: tg.tensor(v, device=device) for name, v in given.items()}
        for unsafe in (False, True):
            found = tg.segment_reduce(x, reduce, unsafe=unsafe, **given, **options)
            np.testing.assert_allclose(_array(found), wanted, rtol=1e-12)
    rows = tg.tensor([[2, 4], [6, 0]], device=device)
    found = tg.segment_reduce(x.mT, reduce, lengths=rows, axis=-1, **options)
    wanted = np.stack([_segments(a[:, i], r, reduce, initial) for i, r in enumerate(rows.tolist())])
    np.testing.assert_allclose(_array(found), wanted, rtol=1e-12)
    full = tg.tensor([2, 1, 3], device=device)
    tg.testing.gradcheck(lambda v: tg.segment_reduce(v, reduce, lengths=full, **options), [x])
    tg.testing.gradgradcheck(lambda v: tg.segment_reduce(v, reduce, lengths=full, **options), [x])


def test_wrong_segments(device):
    x = tg.ones(4, device=device)
    three = tg.tensor([3], device=device)
    for options, error in (
        ({"reduce": "any", "lengths": three}, ValueError),
        ({"reduce": "sum"}, ValueError),
        ({"reduce": "sum", "lengths": three}, ValueError),
        ({"reduce": "sum", "lengths": tg.tensor([-1, 5], device=device)}, ValueError),
        ({"reduce": "sum", "lengths": tg.ones(1, 1, dtype=tg.int64, device=device)}, ValueError),
    ):
        with pytest.raises(error, match="segment_reduce: "):
            tg.segment_reduce(x, **options)
    with pytest.raises(TypeError, match="segment_reduce: expected floating"):
        tg.segment_reduce(three, "sum", lengths=three)


@pytest.mark.parametrize("shape", [(3, 4), (5,), (2, 0), ()])
@pytest.mark.parametrize("size", [0, 2, 20])
def test_nonzero_of_a_given_size(device, shape, size):
    a = _RNG.integers(0, 2, shape)
    found = tg.nonzero_static(tg.tensor(a, device=device), size=size, fill_value=-7)
    wanted = np.full((size, a.ndim), -7)
    rows = np.argwhere(a)[:size]
    wanted[: len(rows)] = rows
    np.testing.assert_array_equal(_array(found), wanted)


def test_nonzero_of_a_given_size_is_captured_and_mapped(device):
    a = _RNG.integers(0, 2, (4, 5))
    x = tg.tensor(a, device=device)
    find = tg.jit(lambda v: tg.nonzero_static(v, size=3))
    for values in (a, 1 - a):
        np.testing.assert_array_equal(_array(find(tg.tensor(values, device=device))), np.argwhere(values)[:3])
    mapped = _array(tg.func.vmap(lambda v: v.nonzero_static(size=2))(x))
    wanted = np.full((4, 2, 1), -1)
    for i, row in enumerate(a):
        wanted[i, : row.sum()] = np.argwhere(row)[:2]
    np.testing.assert_array_equal(mapped, wanted)
    with pytest.raises(ValueError, match="nonzero_static: size"):
        tg.nonzero_static(x, size=-1)


# ---------------------------------------------------------------------------------------------------------- new tensors
def test_memory_of_numpy(tmp_path):
    a = np.arange(3.0)
    x = tg.from_numpy(a)
    a[0] = 5
    x[1] = 7
    assert x.tolist() == a.tolist() == [5, 7, 2]
    assert tg.from_numpy(a[::-1]).tolist() == [2, 7, 5]
    with pytest.raises(TypeError, match="from_numpy: expected a NumPy array, got list"):
        tg.from_numpy([1.0])
    a.flags.writeable = False
    with pytest.raises(ValueError, match="from_numpy: memory of a read-only array"):
        tg.from_numpy(a)
    path = tmp_path / "numbers"
    np.arange(4, dtype=np.int16).tofile(path)
    private = tg.from_file(path, size=3, dtype=tg.int16).add_(1)
    assert (private.tolist(), np.fromfile(path, np.int16).tolist()) == ([1, 2, 3], [0, 1, 2, 3])
    shared = tg.from_file(str(path), True, 6, dtype=tg.int16)
    shared += 1
    del shared
    assert np.fromfile(path, np.int16).tolist() == [1, 2, 3, 4, 1, 1]
    assert tg.from_file(path, dtype=tg.int16).shape == (6,)
    with pytest.raises(ValueError, match=r"from_file: .* has 12 bytes"):
        tg.from_file(path, size=9)


def test_one_value(device):
    x = tg.ones(2, 3, dtype=tg.float64, device=device)
    value = tg.tensor(2.5, dtype=tg.float64, device=device, requires_grad=True)
    y = tg.fill(x, value)
    y.sum().backward()
    assert (y.tolist(), value.grad.item(), y.device) == ([[2.5] * 3] * 2, 6, x.device)
    assert tg.fill(x.int(), 2).dtype == tg.int32
    with pytest.raises(ValueError, match="fill: the value"):
        tg.fill(x, x)
    assert tg.scalar_tensor(3, device=device).dtype == tg.float32
    assert tg.scalar_tensor(3, dtype=tg.int64, requires_grad=False).item() == 3
    assert not tg.detach(value).requires_grad
    np.testing.assert_allclose(tg.trapz(x, dx=2.0).tolist(), [4, 4])


@pytest.mark.parametrize("name", ["clamp_min", "clamp_max"])
def test_limits_on_one_side(device, name):
    a = _RNG.normal(size=(3, 4))
    x = tg.tensor(a, device=device, requires_grad=True)
    limit = tg.tensor(_RNG.normal(size=4), device=device, requires_grad=True)
    function, reference = getattr(tg, name), {"clamp_min": np.maximum, "clamp_max": np.minimum}[name]
    np.testing.assert_array_equal(_array(function(x, limit)), reference(a, _array(limit)))
    np.testing.assert_array_equal(_array(getattr(x, name)(0.1)), reference(a, 0.1))
    tg.testing.gradcheck(function, [x, limit])


def test_activations_as_methods(device):
    a = _RNG.normal(size=(2, 3, 4))
    x = tg.tensor(a, device=device)
    np.testing.assert_array_equal(_array(x.hardshrink(0.3)), np.where(abs(a) <= 0.3, 0, a))
    weight = tg.tensor([0.1, 0.2, 0.3], dtype=tg.float64, device=device)
    np.testing.assert_allclose(_array(x.prelu(weight)), np.where(a > 0, a, _array(weight)[:, None] * a))


def test_functions_that_write_into_their_operand(device):
    x = tg.tensor([-4.0, 9.0], device=device)
    assert tg.abs_(x) is x
    assert tg.sqrt_(x).tolist() == [2, 3]
    assert tg.zero_(x).tolist() == [0, 0]
    assert all(name.endswith("_") and callable(getattr(tg, name)) for name in inplace_functions.__all__)


def test_names_that_live_elsewhere(device):
    x = tg.tensor(_RNG.normal(size=(4, 3)), device=device)
    np.testing.assert_allclose(tg.cosine_similarity(x, x).tolist(), 1)
    assert tg.pdist(x).shape == (6,)
    assert tg.pairwise_distance(x, x + 1).shape == (4,)
    assert tg.vmap(tg.sum)(x).shape == (4,)
    np.testing.assert_allclose(_array(tg.logaddexp(x, x)), scipy.special.logsumexp([_array(x)] * 2, 0))


# ------------------------------------------------------------------------------------------------------------- settings
def test_threads():
    before = tg.get_num_threads()
    try:
        tg.set_num_threads(1)
        assert tg.get_num_threads() == 1
        with pytest.raises(ValueError, match="set_num_threads"):
            tg.set_num_threads(0)
    finally:
        tg.set_num_threads(before)


def test_modes():
    assert not tg.is_inference_mode_enabled()
    with tg.inference_mode():
        assert tg.is_inference_mode_enabled()
        with tg.inference_mode(False):
            assert not tg.is_inference_mode_enabled()
            assert tg.is_grad_enabled()
    assert not tg.is_inference_mode_enabled()
    with tg.no_grad():
        assert not tg.is_inference_mode_enabled()
    assert not tg.is_anomaly_enabled()
    with tg.autograd.detect_anomaly(check_nan=False):
        assert tg.is_anomaly_enabled()
        assert not tg.is_anomaly_check_nan_enabled()
    tg.set_anomaly_enabled(True)
    try:
        assert tg.is_anomaly_enabled()
        assert tg.is_anomaly_check_nan_enabled()
    finally:
        tg.set_anomaly_enabled(False)


def test_precision_of_products():
    assert tg.get_float32_matmul_precision() == "highest"
    try:
        tg.set_float32_matmul_precision("medium")
        assert tg.backends.cuda.matmul.allow_tf32
        assert tg.get_float32_matmul_precision() == "high"
    finally:
        tg.set_float32_matmul_precision("highest")
    assert not tg.backends.cuda.matmul.allow_tf32
    with pytest.raises(ValueError, match="set_float32_matmul_precision"):
        tg.set_float32_matmul_precision("low")


def test_seeds():
    with tg.random.fork_rng():
        seed = tg.seed()
        assert tg.initial_seed() == seed
        first = tg.rand(3).tolist()
        assert tg.manual_seed(seed) is not None
        assert tg.rand(3).tolist() == first


def test_how_tensors_are_written():
    x, many = tg.tensor([1 / 3, 1e-9], device="cpu"), tg.arange(2000, device="cpu")
    try:
        tg.set_printoptions(precision=3, sci_mode=False)
        assert repr(x) == "tensor([0.333, 0.   ])"
        tg.set_printoptions(sci_mode=True)
        assert repr(x) == "tensor([3.333e-01, 1.000e-09])"
        assert repr(tg.tensor([1j], device="cpu")) == "tensor([0.000e+00+1.000e+00j], dtype=complex64)"
        tg.set_printoptions(edgeitems=1)
        assert repr(many) == "tensor([   0, ..., 1999])"
        tg.set_printoptions(profile="full")
        assert "1000," in repr(many)
        tg.set_printoptions(profile="short")
        assert repr(many) == "tensor([   0,    1, ..., 1998, 1999])"
        tg.set_printoptions(threshold=5, linewidth=10, profile="default")
        assert repr(tg.arange(3, device="cpu")).count("\n") > 0
    finally:
        tg.set_printoptions(profile="default")
    with np.printoptions(precision=2):
        assert repr(x[:1]) == "tensor([0.33])"
    with pytest.raises(TypeError, match="set_printoptions: linewidth must be an integer"):
        tg.set_printoptions(linewidth=tg.ones(2))
    with pytest.raises(ValueError, match="set_printoptions: precision must be at least 0"):
        tg.set_printoptions(precision=-1)
    for options in ({"profile": "long"}, {"precision": -1}):
        with pytest.raises(ValueError, match="set_printoptions"):
            tg.set_printoptions(**options)


@pytest.mark.parametrize("p", [-1.0, -2.5])
def test_a_length_of_negative_power_is_zero_where_an_element_is(device, p):
    a, b = np.array([[0.0, 2.0, -3.0], [1.0, 2.0, -4.0]]), np.zeros((2, 3))
    x = tg.tensor(a, device=device, requires_grad=True)
    y = tg.pairwise_distance(x, tg.tensor(b, device=device), p, 0.0)
    np.testing.assert_allclose(y.detach().cpu().numpy(), [0, (np.abs(a[1]) ** p).sum() ** (1 / p)])
    assert tg.dist(x, 0.0, p).item() == 0
    (g,) = tg.grad(y.sum(), x)
    assert g[0].tolist() == [0, 0, 0]
    assert tg.testing.gradcheck(lambda v: tg.dist(v, 0.0, p), (x[1].detach().requires_grad_(),))
