"""Copies, casts, fills, ramps and joins."""

from __future__ import annotations

import numpy as np
import pytest

from tensorgrad import kernels as K
from tensorgrad.backend import to_numpy

from ..ops.samples import LAYOUTS, place, values
from .test_registry import array

DTYPES = ["bool", "int8", "uint8", "int32", "int64", "float16", "float32", "float64", "complex64", "complex128"]


@pytest.mark.parametrize("source", DTYPES)
@pytest.mark.parametrize("target", DTYPES)
def test_cast(source, target, device):
    x = np.array([0, 1, 3.7, 100]).astype(source)
    y = K.cast(array(x, device), np.dtype(target))
    wanted = x.real.astype(target) if x.dtype.kind == "c" and np.dtype(target).kind not in "cb" else x.astype(target)
    assert y.dtype == target
    np.testing.assert_array_equal(to_numpy(y), wanted)


def test_cast_rounds_to_nearest_even(device):
    y = K.cast(array([1 + 2**-11, 1 + 3 * 2**-11, 70000.0], device, "float32"), np.dtype("float16"))
    assert to_numpy(y).tolist() == [1, 1 + 2 * 2**-10, np.inf]


def test_bfloat16(device):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.array([1.0, 1 + 2**-8, 1 + 3 * 2**-8, 1e38, np.inf, np.nan], np.float32)
    y = K.cast(array(x, device), np.dtype(ml_dtypes.bfloat16))
    np.testing.assert_array_equal(to_numpy(y).astype(np.float32), x.astype(ml_dtypes.bfloat16).astype(np.float32))
    np.testing.assert_array_equal(to_numpy(K.cast(y, np.dtype("float32")))[:2], [1, 1])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_copy_is_contiguous(layout, device):
    x = values(3, 4)
    for kernel in (K.copy, lambda a: K.cast(a, np.dtype("float32"))):
        y = kernel(place(x, device, layout=layout)._data)
        assert y.flags.c_contiguous
        np.testing.assert_allclose(to_numpy(y), x, rtol=1e-6)


def test_fill(device):
    for dtype, value in (("float32", 0.5), ("int64", 2**40), ("bool", True), ("float16", float("nan")), ("uint8", 255)):
        x = array(np.zeros((2, 3)), device, dtype)
        K.fill(x, value)
        np.testing.assert_array_equal(to_numpy(x), np.full((2, 3), value, dtype))
    K.fill(x[:, 1:2], 7)
    assert to_numpy(x).tolist() == [[255, 7, 255]] * 2


def test_assign_broadcasts_and_casts(device):
    x = array(np.zeros((2, 3)), device, "float32")
    K.assign(x, array([1.0, 2.0, 3.0], device))
    assert to_numpy(x).tolist() == [[1, 2, 3]] * 2
    K.assign(x[:, ::2], array([[5], [6]], device))
    assert to_numpy(x).tolist() == [[5, 2, 5], [6, 2, 6]]


def test_arange_does_not_drift(device):
    x = array(np.zeros(100_000), device, "float32")
    K.arange(x, 0, 0.1)
    np.testing.assert_allclose(to_numpy(x)[-1], 9999.9, rtol=1e-6)
    n = array(np.zeros(3), device, "int64")
    K.arange(n, 2**53 + 1, 1)
    assert to_numpy(n).tolist() == [2**53 + 1, 2**53 + 2, 2**53 + 3]


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "complex64"])
@pytest.mark.parametrize("n", [5, 100_000])
@pytest.mark.parametrize(("start", "step"), [(0.5, 1), (3, 0.5), (-1.5, 0), (2, -1), (2**31, 1)])
def test_arange_of_fractions(start, step, n, dtype, device):
    if dtype == "uint8":  # what does not fit in there is nobody's business
        n, start, step = 5, abs(start) % 2**31, abs(step)
    x = array(np.zeros(n), device, dtype)
    K.arange(x, start, step)
    np.testing.assert_array_equal(to_numpy(x), (start + np.arange(n) * step).astype(dtype))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_concat(axis, device):
    parts = [values(*(n if a == axis else 2 for a in range(3)), seed=n) for n in (1, 0, 3)]
    for layout in ("contiguous", *LAYOUTS):
        found = K.concat([place(p, device, layout=layout)._data for p in parts], axis)
        moved = [np.moveaxis(p, axis, 0) for p in parts]
        wanted = np.moveaxis(np.array([row for part in moved for row in part]), 0, axis)
        np.testing.assert_array_equal(to_numpy(found), wanted)


def test_concat_of_many(device):
    parts = [np.full((1, 2), float(i)) for i in range(100)]
    found = K.concat([array(p, device) for p in parts], 0)
    assert to_numpy(found)[:, 0].tolist() == list(range(100))
