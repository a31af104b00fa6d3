"""Sets, distinct neighbours, and what `tg.jit` refuses because a shape depends on values."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import to_numpy


def arrays(made):
    return [to_numpy(x._data) for x in (made if isinstance(made, tuple) else (made,))]


@pytest.mark.parametrize("name", ["union1d", "intersect1d", "setdiff1d", "setxor1d"])
def test_sets(name, device):
    x, y = np.array([[3, 1, 2], [7, 1, 0]]), np.array([2, 7, 7, 5])
    found = getattr(tg, name)(tg.tensor(x, device=device), tg.tensor(y, device=device))
    np.testing.assert_array_equal(to_numpy(found._data), getattr(np, name)(x, y))


def test_intersection_with_indices(device):
    x, y = np.array([3, 1, 2, 3]), np.array([2, 3, 3])
    found = tg.intersect1d(tg.tensor(x, device=device), tg.tensor(y, device=device), return_indices=True)
    for a, b in zip(arrays(found), np.intersect1d(x, y, return_indices=True), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_unique_consecutive(axis, device):
    x = np.array([[1, 1, 2], [1, 1, 2], [2, 2, 2], [1, 1, 2]])
    values, inverse, counts = arrays(
        tg.unique_consecutive(tg.tensor(x, device=device), return_inverse=True, return_counts=True, axis=axis)
    )
    rows = x.reshape(-1, 1) if axis is None else np.moveaxis(x, axis, 0)
    kept, places, numbers = [], [], []
    for row in rows:
        if not kept or (row != kept[-1]).any():
            kept.append(row)
            numbers.append(0)
        places.append(len(kept) - 1)
        numbers[-1] += 1
    wanted = np.stack(kept).reshape(-1) if axis is None else np.moveaxis(np.stack(kept), 0, axis)
    np.testing.assert_array_equal(values, wanted)
    np.testing.assert_array_equal(inverse, np.reshape(places, x.shape if axis is None else -1))
    np.testing.assert_array_equal(counts, numbers)


def test_unique_results_by_name(device):
    x = tg.tensor([3.0, 1.0, 3.0], device=device)
    assert tg.unique_all(x).inverse_indices.tolist() == [1, 0, 1]
    assert tg.unique_all(x).indices.tolist() == [1, 0]
    assert tg.unique_counts(x).counts.tolist() == [1, 2]
    assert tg.unique_inverse(x).values.tolist() == [1, 3]
    assert tg.unique_values(x).tolist() == [1, 3]


@pytest.mark.parametrize(
    "function",
    [tg.nonzero, tg.unique_values, tg.flatnonzero, lambda x: tg.repeat(x, tg.tensor([1, 2], device=x.device))],
)
def test_shapes_that_depend_on_values_are_not_captured(function, device):
    x = tg.tensor([1, 2], device=device)
    function(x)
    with pytest.raises(RuntimeError, match=r"test_sets.py:\d+"):
        tg.jit(lambda x: function(x))(x)


def test_a_repeat_of_known_size_is_captured(device):
    step = tg.jit(lambda x, n: tg.repeat(x, n, output_size=3) * 2)
    x, n = tg.tensor([1.0, 2.0], device=device), tg.tensor([1, 2], device=device)
    for _ in range(2):
        assert step(x, n).tolist() == [2, 4, 4]


def test_errors():
    with pytest.raises(ValueError, match=r"repeat: .*negative"):
        tg.repeat(tg.arange(2), tg.tensor([1, -1]))
    with pytest.raises(ValueError, match=r"repeat: .*shape \(3,\)"):
        tg.repeat(tg.arange(2), tg.tensor([1, 1, 1]))
    with pytest.raises(ValueError, match=r"cumulative_sum: axis is needed for shape \(2, 2\)"):
        tg.cumulative_sum(tg.ones(2, 2))
    with pytest.raises(ValueError, match="side"):
        tg.searchsorted(tg.arange(2), tg.arange(2), side="middle")
    with pytest.raises(ValueError, match=r"shapes \(2, 2\) and \(3, 2\)"):
        tg.searchsorted(tg.ones(2, 2), tg.ones(3, 2))


def test_windows_and_orders_are_captured(device):
    """Views whose memory the recorder must know, and parts that are Python numbers."""

    @tg.jit
    def step(x):
        return tg.unfold(x, 1, 3, 2) * 2, tg.unfold(x.T[::-1], 0, 2) * 2, tg.quantile(x, [0.25, 0.5], 0)

    for seed in range(3):
        values = np.random.default_rng(seed).normal(size=(2, 7))
        x = tg.tensor(values, device=device)
        view = np.lib.stride_tricks.sliding_window_view
        first, second, third = arrays(step(x))
        np.testing.assert_array_equal(first, view(values, 3, 1)[:, ::2] * 2)
        np.testing.assert_array_equal(second, view(values.T[::-1], 2, 0) * 2)
        np.testing.assert_allclose(third, np.quantile(values, [0.25, 0.5], 0))
