"""Gather and scatter: repeated, negative and out-of-range indices, index dtypes, half types."""

from __future__ import annotations

import numpy as np
import pytest

from tensorgrad import kernels as K
from tensorgrad.backend import to_numpy

from ..ops.samples import LAYOUTS, place, values
from .test_registry import array


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_repeated_indices_add_up(dtype, device):
    n = 3000
    out = array(np.zeros(2), device, dtype)
    K.scatter_add(out, (array(np.zeros(n, int), device),), array(np.full(n, 0.25), device, dtype))
    assert to_numpy(out).tolist() == [n / 4, 0]
    rows = array(np.zeros((2, 3)), device, dtype)
    K.take_add(rows, array(np.ones(n, int), device), array(np.full((n, 3), 0.25), device, dtype), 0)
    assert to_numpy(rows).tolist() == [[0] * 3, [n / 4] * 3]
    columns = array(np.zeros((2, 3)), device, dtype)
    K.add_along_axis(columns, array(np.full((2, n), 2), device), array(np.full((2, n), 0.25), device, dtype), 1)
    assert to_numpy(columns).tolist() == [[0, 0, n / 4]] * 2


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(("low", "high"), [(0, 5), (0, 700), (-700, 700)])
def test_many_rows_add_up(low, high, dtype, device):
    """Few rows often and many rows seldom, into what is there already, against a sum of their own for each row."""
    index = np.random.default_rng(0).integers(low, high, (2, 1000))
    start, value = values(700, 3, 4), values(2, 1000, 3, 4, seed=1)
    out = array(start, device, dtype)
    K.take_add(out, array(index, device), array(value, device, dtype), 0)
    wanted = start + np.array([value[index % 700 == row].sum(0) for row in range(700)])
    np.testing.assert_allclose(to_numpy(out), wanted, rtol=2e-3 if dtype == "float16" else 1e-5, atol=2e-2)
    turned = array(start, device, dtype)
    rows = array(value.swapaxes(0, 1).copy(), device, dtype).swapaxes(0, 1)  # the second axis comes first in memory
    K.take_add(turned, array(index, device), rows, 0)
    np.testing.assert_allclose(to_numpy(turned), wanted, rtol=2e-3 if dtype == "float16" else 1e-5, atol=2e-2)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("often", [1, 2, 4])
def test_rows_that_are_named_a_few_times(often, dtype, device):
    index = np.random.default_rng(0).permutation(np.arange(150).repeat(np.arange(150) % often + 1))
    start, value = values(200, 4, 8), values(len(index), 4, 8, seed=1)
    wanted = start + np.array([value[index == row].sum(0) for row in range(200)])
    for order in (index, np.sort(index)):
        rows = value[index.argsort(kind="stable")] if order is not index else value
        out = array(start, device, dtype)
        K.take_add(out, array(order, device), array(rows, device, dtype), 0)
        np.testing.assert_allclose(to_numpy(out), wanted, rtol=2e-3 if dtype == "float16" else 1e-5, atol=5e-3)


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "uint8"])
def test_dtypes_of_indices(kind, device):
    x = values(5, 3)
    index = array([4, 0, 2], device, kind)
    np.testing.assert_array_equal(to_numpy(K.take(array(x, device), index, 0)), x[[4, 0, 2]])
    np.testing.assert_array_equal(to_numpy(K.getitem(array(x, device), (index,))), x[[4, 0, 2]])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout, device):
    x = values(4, 5)
    there = place(x, device, layout=layout)._data
    index = np.array([[3, 0, 0], [1, -1, 2]])
    np.testing.assert_array_equal(to_numpy(K.take(there, array(index, device), 0)), x[index])
    np.testing.assert_array_equal(to_numpy(K.take(there, array(index, device), 1)), x[:, index])
    strided = place(index, device, layout=layout)._data
    np.testing.assert_array_equal(to_numpy(K.take(there, strided, 1)), x[:, index])
    along = np.array([[0, 1, 2, 3, -1]])
    np.testing.assert_array_equal(to_numpy(K.take_along_axis(there, array(along, device), 0))[0], x[along[0], range(5)])


@pytest.mark.parametrize("wrong", [3, -4, 10**6])
def test_out_of_range(wrong, device):
    """Raised at once on the CPU, at the next read of the device on CUDA."""
    x, index = array(values(3, 2), device), array([0, wrong], device)
    value = array(values(2, 2), device)
    along = array([[0, 0], [wrong, 1]], device)
    for launch in (
        lambda: to_numpy(K.take(x, index, 0)),
        lambda: to_numpy(K.getitem(x, (index,))),
        lambda: to_numpy(K.take_along_axis(x, along, 0)),
        lambda: (K.setitem(x, (index,), value), to_numpy(x)),
        lambda: (K.scatter_add(x, (index,), value), to_numpy(x)),
        lambda: (K.take_add(x, index, value, 0), to_numpy(x)),
        lambda: (K.put_along_axis(x, along, value, 0), to_numpy(x)),
        lambda: (K.add_along_axis(x, along, value, 0), to_numpy(x)),
    ):
        with pytest.raises(IndexError, match=str(wrong)):
            launch()


def test_an_error_does_not_stick(device):
    x = array(values(3), device)
    with pytest.raises(IndexError):
        to_numpy(K.take(x, array([7], device), 0))
    assert to_numpy(K.take(x, array([1], device), 0)).shape == (1,)


def test_masks_of_data_dependent_size(device):
    x = values(6, 4)
    for mask in (x > 0, x > 5, x < 5):
        np.testing.assert_array_equal(to_numpy(K.getitem(array(x, device), (array(mask, device),))), x[mask])


def test_setitem_broadcasts_and_casts_nothing(device):
    x = array(np.zeros((3, 4)), device)
    K.setitem(x, (array([True, False, True], device),), array([1.0, 2, 3, 4], device))
    assert to_numpy(x).tolist() == [[1, 2, 3, 4], [0] * 4, [1, 2, 3, 4]]
    K.setitem(x, (slice(None), array([0, 1], device)), array([[7.0], [8], [9]], device))
    assert to_numpy(x)[:, :2].tolist() == [[7, 7], [8, 8], [9, 9]]


@pytest.mark.parametrize("places", [np.repeat(np.arange(20), 3), np.zeros(60, int), (np.arange(60) * 7) % 31])
@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_take_add_of_many_along_an_axis(places, axis, dtype):
    rng = np.random.default_rng(0)
    out = rng.standard_normal((4, 31, 31)).astype(dtype)
    shape = list(out.shape)
    shape[axis] = len(places)
    value = rng.standard_normal(shape).astype(dtype)
    expected = out.astype(np.float64)
    np.add.at(expected, (slice(None),) * axis + (places,), value.astype(np.float64))
    K.take_add(out, places, value, axis)
    np.testing.assert_allclose(out, expected, atol=1e-5 if dtype is np.float32 else 0.1)
