"""Finding on NumPy: nonzero elements, places in sorted rows, distinct elements. NaN counts as the largest number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .blocked import BLOCK, walk
from .large import in_pieces

__all__ = [
    "bitwise_count", "counts", "interp", "interval_indices", "isin", "nonzero", "repeated_indices", "searchsorted",
    "set_values", "unique",
]  # fmt: skip

Array = np.ndarray[Any, np.dtype[Any]]

_FEW_ROWS = 64


def _known(x: Array) -> Array:
    """bfloat16, which NumPy cannot order or hash, as float32."""
    return x.astype(np.float32) if x.dtype.kind == "V" else x


def nonzero(x: Array) -> tuple[Array, ...]:
    """Indices (int64) of the elements that are not 0, one array per axis, in row-major order."""
    return np.nonzero(x)


def searchsorted(x: Array, values: Array, right: bool = False, out: Array | None = None) -> Array:
    """Where ``values`` (int64) would go into ``x``, sorted along its last axis, before or after equal elements.

    ``x`` has one axis, or the axes of ``values``, which are the same but for the last.
    """
    x, values = _known(x), _known(values)
    side: Any = "right" if right else "left"
    if x.ndim == 1:
        y = np.searchsorted(x, values, side)
    else:
        y = np.empty(values.shape, np.int64)
        rows, wanted, places = (a.reshape(-1, a.shape[-1]) for a in (x, values, y))
        if len(rows) <= _FEW_ROWS or wanted.shape[1] >= 256:
            for row, value, place in zip(rows, wanted, places, strict=True):
                place[:] = np.searchsorted(row, value, side)
        else:
            places[:] = _halving(rows, wanted, right)
    if out is None:
        return np.asarray(y, np.int64)
    np.copyto(out, y)
    return out


def _isnan(x: Array) -> Any:
    return np.isnan(x) if x.dtype.kind == "f" else False


def _halving(rows: Array, values: Array, right: bool) -> Array:
    """Binary search in many rows at once."""
    low = np.zeros(values.shape, np.int64)
    high = np.full(values.shape, rows.shape[1], np.int64)
    nan = _isnan(values)
    for _ in range(rows.shape[1].bit_length()):
        middle = (low + high) >> 1
        open_ = low < high
        x = np.take_along_axis(rows, np.minimum(middle, rows.shape[1] - 1), 1)
        after = (x <= values) | nan if right else (x < values) | (nan & ~_isnan(x))
        low = np.where(open_ & after, middle + 1, low)
        high = np.where(open_ & ~after, middle, high)
    return low


def unique(
    x: Array,
    index: bool = False,
    inverse: bool = False,
    counts: bool = False,
    equal_nan: bool = False,
    axis: int | None = None,
) -> tuple[Array, ...]:
    """The distinct elements, or slices along ``axis``, in order; then, where wanted, three arrays of int64.

    They are: the place of the first of each in ``x``; for each of ``x``, its place among the distinct ones; how often
    each occurs.
    """
    if axis is not None and not math.prod(x.shape[:axis] + x.shape[axis + 1 :]):
        return _of_nothing(x, index, inverse, counts, axis)
    distinct: Any = np.unique  # whose many signatures tell type checkers nothing
    made = distinct(_known(x), index, inverse, counts, axis, equal_nan=equal_nan)
    found = list(made) if isinstance(made, tuple) else [made]
    if inverse:
        found[1 + index] = found[1 + index].reshape(x.shape if axis is None else -1)
    return (found[0].astype(x.dtype, copy=False), *[np.asarray(a, np.int64) for a in found[1:]])


def _of_nothing(x: Array, index: bool, inverse: bool, counts: bool, axis: int) -> tuple[Array, ...]:
    """Slices without elements are all equal."""
    n = x.shape[axis]
    one = min(n, 1)
    values = x[(slice(None),) * axis + (slice(0, one),)].copy()
    arrays = [np.zeros(one, np.int64), np.zeros(n, np.int64), np.full(one, n, np.int64)]
    return (values, *[a for a, wanted in zip(arrays, (index, inverse, counts), strict=True) if wanted])


def interval_indices(x: Array, edges: Array, low: float, high: float, out: Array | None = None) -> Array:
    """Which of the intervals between ``edges``, equal ones from ``low`` to ``high``, each number is in (int64).

    Intervals include their lower edge, the last one both. Of a number that is in none, it is how many there are.
    """
    y = np.empty(x.shape, np.int64) if out is None else out
    count = len(edges) - 1
    flat, places = x.reshape(-1), y.reshape(-1) if y.flags.c_contiguous else np.empty(x.size, np.int64)
    scale = count / (high - low)
    real = np.result_type(x.dtype, np.float32) if x.dtype.kind != "V" else np.dtype(np.float32)

    def task(first: int, last: int, step: int) -> None:
        for start in range(first, last, step):
            part = slice(start, min(start + step, last))
            v = flat[part].astype(real)
            inside = (v >= low) & (v <= high)
            place = (np.where(inside, v, low) - low) * scale
            k = np.minimum(place.astype(np.int64), count - 1)
            # rounding may have put a number that is close to an edge on its other side
            k -= v < edges[k]
            k += (v >= edges[k + 1]) & (k != count - 1)
            places[part] = np.where(inside, k, count)

    walk(task, flat.size, 1, 20)
    if places.base is not y and places is not y:
        y[...] = places.reshape(y.shape)
    return y


_ones = in_pieces(np.bitwise_count)


def bitwise_count(x: Array, out: Array | None = None) -> Array:
    """How many bits of the absolute value of each integer are 1 (uint8)."""
    y: Array = (np.bitwise_count if x.size <= BLOCK else _ones)(x)
    if out is None:
        return y
    np.copyto(out, y)
    return out


def interp(
    x: Array, xp: Array, fp: Array, left: float | None = None, right: float | None = None, out: Array | None = None
) -> Array:
    """Linear interpolation between the points ``(xp, fp)``, real and of one dtype; ``left`` and ``right`` of them."""
    points, values = _known(xp), _known(fp)
    y = np.empty(x.shape, x.dtype) if out is None else out
    if x.size <= BLOCK or not (x.flags.c_contiguous and y.flags.c_contiguous):
        np.copyto(y, np.interp(_known(x), points, values, left, right), casting="unsafe")
        return y
    flat, found = x.reshape(-1), y.reshape(-1)

    def task(low: int, high: int, step: int) -> None:
        np.copyto(found[low:high], np.interp(_known(flat[low:high]), points, values, left, right), casting="unsafe")

    walk(task, flat.size, 1, 30)
    return y


def set_values(x1: Array, x2: Array, operation: str) -> tuple[Array]:
    """The distinct elements of two vectors that are in one of them, both, only the first, or only one, in order."""
    first, second = _known(x1), _known(x2)
    if operation == "union":
        found = np.unique(np.concatenate((first, second)))
    elif operation == "difference":
        found = np.setdiff1d(first, second)
    else:
        both = np.concatenate((np.unique(first), np.unique(second)))
        both.sort()
        again = both[1:] == both[:-1]
        if operation == "intersection":
            found = both[1:][again]
        else:
            once = np.ones(both.size, np.bool_)
            np.logical_not(again, out=once[1:])
            once[:-1] &= once[1:]
            found = both[once]
            if found.size > 1 and found[-2] != found[-2]:  # a NaN of each
                found = found[:-1]
    return (found.astype(x1.dtype, copy=False),)


def counts(x: Array, weights: Array | None = None, least: int = 0) -> tuple[Array]:
    """How often each integer from 0 to the largest occurs (int64), or the sums of the weights of each."""
    if weights is not None:
        return (np.bincount(x, weights.astype(np.float64, copy=False), least).astype(weights.dtype, copy=False),)
    return (np.asarray(np.bincount(x, None, least), np.int64),)


def isin(x: Array, values: Array, out: Array | None = None) -> Array:
    """Whether each element equals one of ``values``; NaN equals nothing."""
    y = np.isin(_known(x), _known(values))
    if out is None:
        return y
    np.copyto(out, y)
    return out


def repeated_indices(repeats: Array, total: int, out: Array | None = None) -> Array:
    """0, 1, 2, ... each as often as ``repeats``, of one axis, says; ``total`` in all (int64)."""
    y = np.repeat(np.arange(len(repeats)), repeats)
    if len(y) != total:
        raise ValueError(f"repeated_indices: the repeats add up to {len(y)}, not {total}")
    if out is None:
        return y
    np.copyto(out, y)
    return out
