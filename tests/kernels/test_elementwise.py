"""Elementwise instructions: Python scalars, sizes, integers. Values of floats are tested through the ops."""

from __future__ import annotations

import numpy as np
import pytest

from tensorgrad import kernels as K
from tensorgrad.backend import to_numpy

from .test_registry import array


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "maximum", "minimum", "power", "remainder"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
def test_scalars_take_the_dtype_of_the_array(name, dtype, device):
    if dtype == "complex64" and name in ("maximum", "minimum", "remainder"):
        return
    x = array([1.5, 2.5], device, dtype)
    kernel = K.INSTRUCTIONS[name]
    for arguments in ((x, 2), (x, 0.5), (2, x), (0.5, x)):
        y = kernel(*arguments)
        assert y.dtype == dtype
        wanted = getattr(np, name)(*(to_numpy(a) if hasattr(a, "dtype") else np.asarray(a, dtype) for a in arguments))
        np.testing.assert_allclose(to_numpy(y), wanted, rtol=2e-3 if dtype == "float16" else 1e-5)


@pytest.mark.parametrize("size", [1, 7, 64, 1023, 4096, 20_001])
def test_sizes(size, device):
    x = np.random.default_rng(0).uniform(-2, 2, size).astype(np.float32)
    there = array(x, device)
    np.testing.assert_allclose(to_numpy(K.exp(there)), np.exp(x), rtol=2e-6)
    np.testing.assert_array_equal(to_numpy(K.add(there, there)), x + x)
    np.testing.assert_array_equal(to_numpy(K.where(K.greater(there, 0.0), there, K.negative(there))), np.abs(x))


def test_many_axes(device):
    x = np.arange(2.0**8).reshape((2,) * 8)
    y = np.arange(16.0).reshape(1, 2, 1, 2, 1, 2, 1, 2)
    np.testing.assert_array_equal(to_numpy(K.multiply(array(x, device), array(y, device))), x * y)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64"])
def test_integer_division_rounds_down(dtype, device):
    x1 = np.array([7, 9, 100, 0], dtype) if dtype == "uint8" else np.array([7, -7, -100, 0], dtype)
    x2 = np.array([2, 4, 7, 3], dtype) if dtype == "uint8" else np.array([2, 2, -7, -3], dtype)
    quotient, rest = (to_numpy(k(array(x1, device), array(x2, device))) for k in (K.floor_divide, K.remainder))
    assert quotient.tolist() == [int(a) // int(b) for a, b in zip(x1, x2, strict=True)]
    assert rest.tolist() == [int(a) % int(b) for a, b in zip(x1, x2, strict=True)]


def test_integers_wrap(device):
    assert to_numpy(K.add(array([255], device, "uint8"), array([2], device, "uint8"))).tolist() == [1]
    assert to_numpy(K.negative(array([-128], device, "int8"))).tolist() == [-128]


@pytest.mark.parametrize("name", ["round", "floor", "ceil", "trunc", "sign", "absolute"])
def test_integers_stay_integers(name, device):
    y = K.INSTRUCTIONS[name](array([-3, 0, 4], device, "int32"))
    assert y.dtype == np.int32


def test_floor_division_of_infinities_and_zeros(device):
    x = array([1.0, -1.0, 0.0, np.inf], device)
    found = to_numpy(K.floor_divide(x, array(np.zeros(4), device)))
    assert found[0] == np.inf
    assert found[1] == -np.inf
    assert np.isnan(found[2:]).sum() >= 1


def test_clip_keeps_nan(device):
    found = to_numpy(K.clip(array([np.nan, -5.0, 5.0], device), -1.0, 1.0))
    assert np.isnan(found[0])
    assert found[1:].tolist() == [-1, 1]


def test_where_out_may_be_the_condition(device):
    condition = array([True, False], device)
    K.where(condition, array([False, False], device), array([True, True], device), out=condition)
    assert to_numpy(condition).tolist() == [False, True]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 7, -1, -2, -3, 3.0, 6.0, -5.0])
@pytest.mark.parametrize("size", [40, 40_000])
def test_whole_powers_are_those_of_exact_arithmetic(n: float, size: int, dtype: str) -> None:
    x = np.resize(np.array([-2.5, -1.0, -0.0, 0.0, 0.75, 3.0, np.inf, -np.inf, np.nan, -1e-3], dtype), size)
    with np.errstate(all="ignore"):
        wide = x.astype(np.longdouble)
        expected = np.ones_like(wide)
        for _ in range(abs(int(n))):
            expected = expected * wide
        expected = (1 / expected if n < 0 else expected).astype(dtype)
    y = K.power(x, n)
    assert y.dtype == x.dtype
    np.testing.assert_allclose(y, expected, rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(np.signbit(y[x == 0]), np.signbit(expected[x == 0]))
    out = x.copy()
    K.power(out, n, out=out)
    np.testing.assert_array_equal(out, y)
