"""Convolution, correlation, phases and windows beside NumPy's."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import tensorgrad as tg

RNG = np.random.default_rng(0)
DTYPES = ("float64", "float32", "float16", "int64", "int32", "uint8", "bool", "complex128", "complex64")


def numbers(size, dtype):
    if dtype == "bool":
        return RNG.random(size) > 0.5
    x = RNG.integers(0, 100, size) if "int" in dtype else RNG.normal(size=size)
    return (x + 1j * RNG.normal(size=size) if "complex" in dtype else x).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["convolve", "correlate"])
def test_values(name, dtype, device):
    tolerance = {"float16": 2e-2, "float32": 1e-5, "complex64": 1e-5}.get(dtype, 1e-12)
    for n, m in ((1, 1), (1, 4), (2, 3), (3, 2), (4, 4), (9, 4), (5, 12), (20, 7)):
        a, v = numbers(n, dtype), numbers(m, dtype)
        for mode in ("full", "same", "valid"):
            found = getattr(tg, name)(tg.tensor(a, device=device), tg.tensor(v, device=device), mode=mode)
            wide = (x.astype("float32") if dtype == "float16" else x for x in (a, v))
            wanted = getattr(np, name)(*wide, mode=mode).astype(dtype)
            assert found.dtype == dtype
            np.testing.assert_allclose(found.cpu().numpy(), wanted, tolerance, tolerance, err_msg=f"{mode} {n} {m}")


def test_long_and_laid_out_lines(device):
    a, v = numbers(6000, "float64"), numbers(700, "float64")
    for cut, other in ((slice(None), slice(None)), (slice(None, None, -2), slice(None, None, 3))):
        x, w = tg.tensor(a, device=device)[cut], tg.tensor(v, device=device)[other]
        for mode in ("full", "same", "valid"):
            wanted = np.convolve(a[cut], v[other], mode)
            np.testing.assert_allclose(tg.convolve(x, w, mode).cpu().numpy(), wanted, atol=1e-10)
            np.testing.assert_allclose(tg.convolve(w, x, mode).cpu().numpy(), wanted, atol=1e-10)
    squares = tg.convolve(tg.tensor(a, device=device), tg.tensor(a, device=device))
    np.testing.assert_allclose(squares.cpu().numpy(), np.convolve(a, a), atol=1e-10)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_gradients(dtype, device):
    for n, m in ((3, 4), (5, 2)):
        operands = [tg.tensor(numbers(size, dtype), device=device, requires_grad=True) for size in (n, m)]
        for name in ("convolve", "correlate"):
            for mode in ("full", "same", "valid"):
                call = functools.partial(getattr(tg, name), mode=mode)
                tg.testing.gradcheck(call, operands, fast_mode=True)
                tg.testing.gradgradcheck(call, operands, fast_mode=True)


def test_over_a_batch(device):
    a, v = numbers((5, 9), "float64"), numbers((5, 4), "float64")
    x, w = (tg.tensor(array, device=device) for array in (a, v))
    each = tg.func.vmap(tg.convolve)(x, w)
    np.testing.assert_allclose(each.cpu().numpy(), [np.convolve(*pair) for pair in zip(a, v, strict=True)])
    all_pairs = tg.func.vmap(tg.func.vmap(tg.convolve, in_dims=(None, 0)), in_dims=(0, None))(x, w)
    np.testing.assert_allclose(all_pairs.cpu().numpy(), [[np.convolve(p, q) for q in v] for p in a])


def test_errors():
    x = tg.ones(3)
    for a, v in ((x, x[:0]), (tg.ones(2, 2), x)):
        with pytest.raises(ValueError, match="convolve: expected two operands with one axis"):
            tg.convolve(a, v)
    with pytest.raises(ValueError, match="correlate: mode must be"):
        tg.correlate(x, x, mode="whole")
    assert tg.convolve([1, 2], [0.5, 1.5]).tolist() == [0.5, 2.5, 3.0]
    assert tg.convolve(x, 2.0).tolist() == [2, 2, 2]


@pytest.mark.parametrize("size", [0, 1, 2, 5, 8])
def test_windows(size, device):
    for name in ("bartlett", "blackman", "hamming", "hanning"):
        found = getattr(tg, name)(size, dtype="float64", device=device)
        np.testing.assert_allclose(found.cpu().numpy(), getattr(np, name)(size), atol=1e-15)
    np.testing.assert_allclose(tg.kaiser(size, 8.6, dtype="float64", device=device).cpu(), np.kaiser(size, 8.6), 1e-12)
    assert tg.hanning(size).dtype == tg.float32
    for name in ("bartlett", "blackman", "hamming", "hann"):
        window = getattr(np, "hanning" if name == "hann" else name)
        function = getattr(tg, f"{name}_window")
        wanted = window(size + 1)[:-1] if size > 1 else window(size)
        np.testing.assert_allclose(function(size, dtype="float64", device=device).cpu(), wanted, atol=1e-15)
        np.testing.assert_allclose(function(size, periodic=False, dtype="float64").numpy(), window(size), atol=1e-15)
    wanted = np.kaiser(size + 1, 12.0)[:-1] if size > 1 else np.ones(size)
    np.testing.assert_allclose(tg.kaiser_window(size, dtype="float64", device=device).cpu(), wanted, rtol=1e-12)
    assert tg.hamming_window(4, alpha=0.5, beta=0.5, requires_grad=True).requires_grad


def test_errors_of_windows():
    with pytest.raises(TypeError, match="hanning: a window has a floating dtype, got int64"):
        tg.hanning(3, dtype="int64")
    with pytest.raises(RuntimeError, match="window_length must not be negative"):
        tg.hann_window(-1)


def test_unwrap(device):
    phases = [RNG.normal(size=20) * 8, RNG.normal(size=(4, 9)) * 5, np.array([0, np.pi, 0, -np.pi, 3 * np.pi])]
    phases += [RNG.integers(-20, 20, 30), np.array([0, 1, 2, -1, 0])]
    for p in phases:
        for period in (4, 5) if p.dtype.kind == "i" else (2 * np.pi, 4, 3.0):
            for discont in (None, 1.0, 4.0, 9.0):
                for axis in (-1, 0):
                    found = tg.unwrap(tg.tensor(p, device=device), discont, axis, period=period)
                    wanted = np.unwrap(p, discont, axis, period=period)
                    assert found.dtype == wanted.dtype
                    np.testing.assert_allclose(found.cpu().numpy(), wanted, atol=1e-12)
    x = tg.tensor(phases[0], device=device, requires_grad=True)
    tg.testing.gradcheck(tg.unwrap, [x])
