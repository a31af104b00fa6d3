"""Finding on CUDA: nonzero elements, places in sorted rows, distinct elements. NaN counts as the largest number."""

from __future__ import annotations

import functools
import math
from typing import Any

import cupy
import numpy as np

from .indexing import bincount
from .module import is_half, stored

__all__ = [
    "bitwise_count", "counts", "interp", "interval_indices", "isin", "nonzero", "repeated_indices", "searchsorted",
    "set_values", "unique",
]  # fmt: skip


def _known(x: Any) -> Any:
    """The dtypes that CuPy does not sort as others that hold the same values."""
    if is_half(x.dtype):
        return x.astype(np.float32)
    return x.astype(np.uint8) if x.dtype.kind == "b" else x


def nonzero(x: Any) -> tuple[Any, ...]:
    """Indices (int64) of the elements that are not 0, one array per axis, in row-major order; waits for the device."""
    return tuple(i.astype(np.int64, copy=False) for i in cupy.nonzero(x if x.dtype.kind == "b" else x != 0))


@functools.cache
def _search(right: bool) -> Any:
    after = "sorted[place] <= value || value != value" if right else (
        "sorted[place] < value || (value != value && sorted[place] == sorted[place])"
    )  # fmt: skip
    return cupy.ElementwiseKernel(
        "raw T sorted, T value, int64 length, int64 per_row",
        "int64 found",
        f"""
        long long low = per_row ? i / per_row * length : 0, high = low + length;
        const long long start = low;
        while (low < high) {{
            const long long place = low + (high - low) / 2;
            if ({after}) low = place + 1; else high = place;
        }}
        found = low - start;
        """,
        f"tg_searchsorted_{'right' if right else 'left'}",
    )


def searchsorted(x: Any, values: Any, right: bool = False, out: Any | None = None) -> Any:
    """Where ``values`` (int64) would go into ``x``, sorted along its last axis, before or after equal elements.

    ``x`` has one axis, or the axes of ``values``, which are the same but for the last.
    """
    x, values = (cupy.ascontiguousarray(_known(a)).reshape(a.shape) for a in (x, values))
    found = cupy.empty(values.shape, np.int64)
    if values.size:
        n, per_row = x.shape[-1], 0 if x.ndim == 1 else values.shape[-1]
        _search(right)(
            x.reshape(-1) if x.size else cupy.empty(1, x.dtype), values.reshape(-1), n, per_row, found.reshape(-1)
        )
    return stored(found, out)


def unique(
    x: Any,
    index: bool = False,
    inverse: bool = False,
    counts: bool = False,
    equal_nan: bool = False,
    axis: int | None = None,
) -> tuple[Any, ...]:
    """The distinct elements, or slices along ``axis``, in order; then, where wanted, three arrays of int64.

    They are: the place of the first of each in ``x``; for each of ``x``, its place among the distinct ones; how often
    each occurs. Waits for the device.
    """
    flat, n = (x.reshape(-1), x.size) if axis is None else (x, x.shape[axis])
    rows = cupy.moveaxis(flat, axis or 0, 0).reshape(n, math.prod(flat.shape) // n if n else 0)
    keys = cupy.ascontiguousarray(_known(rows))
    order = cupy.arange(n)
    for column in range(keys.shape[1] - 1, -1, -1):
        order = order[_sorted_order(keys[:, column][order])]
    ordered = keys[order]
    fresh = cupy.ones(n, bool)
    if n > 1:
        different = ordered[1:] != ordered[:-1]
        if equal_nan and keys.dtype.kind in "fc":
            different &= (ordered[1:] == ordered[1:]) | (ordered[:-1] == ordered[:-1])
        fresh[1:] = different.any(axis=1)
    starts = cupy.nonzero(fresh)[0].astype(np.int64, copy=False)
    first = order[starts]
    found = [cupy.ascontiguousarray(cupy.take(flat, first, axis or 0))]
    if index:
        found.append(first)
    if inverse:
        places = cupy.empty(n, np.int64)
        places[order] = cupy.cumsum(fresh.astype(np.int64)) - 1
        found.append(places.reshape(x.shape) if axis is None else places)
    if counts:
        ends = cupy.concatenate([starts, cupy.full(1, n, np.int64)])
        found.append(ends[1:] - ends[:-1])
    return tuple(found)


def _sorted_order(column: Any) -> Any:
    column = cupy.ascontiguousarray(column)
    return cupy.argsort(column, 0, kind="stable").astype(np.int64, copy=False) if column.size else cupy.arange(0)


@functools.cache
def _intervals() -> Any:
    return cupy.ElementwiseKernel(
        "T x, raw T edges, float64 low, float64 high, int64 count",
        "int64 place",
        """
        const bool inside = x >= static_cast<T>(low) && x <= static_cast<T>(high);
        place = count;
        if (inside) {
            long long k = static_cast<long long>((x - low) * (count / (high - low)));
            k = k < count - 1 ? k : count - 1;
            k -= x < edges[k];
            k += x >= edges[k + 1] && k != count - 1;
            place = k;
        }
        """,
        "tg_interval_indices",
    )


def interval_indices(x: Any, edges: Any, low: float, high: float, out: Any | None = None) -> Any:
    """Which of the intervals between ``edges``, equal ones from ``low`` to ``high``, each number is in (int64).

    Intervals include their lower edge, the last one both. Of a number that is in none, it is how many there are.
    """
    wide = np.dtype(np.float32 if is_half(x.dtype) else np.float64) if x.dtype != np.float32 else x.dtype
    y = _intervals()(x.astype(wide, copy=False), edges.astype(wide, copy=False), low, high, edges.size - 1)
    return stored(y, out)


@functools.cache
def _ones() -> Any:
    return cupy.ElementwiseKernel(
        "T x",
        "uint8 count",
        """
        const T zero = 0;
        unsigned long long left = static_cast<unsigned long long>(x);
        if (x < zero) left = 0 - left;
        unsigned char found = 0;
        while (left) {
            left &= left - 1;
            ++found;
        }
        count = found;
        """,
        "tg_bitwise_count",
    )


def bitwise_count(x: Any, out: Any | None = None) -> Any:
    """How many bits of the absolute value of each integer are 1 (uint8)."""
    return stored(_ones()(x), out)


@functools.cache
def _interpolation() -> Any:
    return cupy.ElementwiseKernel(
        "T x, raw T xp, raw T fp, int64 count, T left, T right",
        "T y",
        """
        long long low = 0, high = count - 1;
        if (x != x) {
            y = x;
        } else if (x < xp[low]) {
            y = left;
        } else if (x > xp[high]) {
            y = right;
        } else {
            // of the points, the last one not after x
            while (low < high) {
                const long long middle = high - (high - low) / 2;
                if (xp[middle] <= x) low = middle; else high = middle - 1;
            }
            const long long next = low + 1 < count ? low + 1 : low;
            const T gap = xp[next] - xp[low];
            y = gap == T(0) ? fp[low] : (fp[next] - fp[low]) / gap * (x - xp[low]) + fp[low];
        }
        """,
        "tg_interp",
    )


def interp(
    x: Any, xp: Any, fp: Any, left: float | None = None, right: float | None = None, out: Any | None = None
) -> Any:
    """Linear interpolation between the points ``(xp, fp)``, real and of one dtype; ``left`` and ``right`` of them."""
    wide = np.dtype(np.float32) if is_half(x.dtype) else x.dtype
    points, values = (cupy.ascontiguousarray(a.astype(wide, copy=False)) for a in (xp, fp))
    first, last = (values[i] if end is None else end for i, end in ((0, left), (-1, right)))
    y = _interpolation()(x.astype(wide, copy=False), points, values, xp.size, first, last)
    return stored(y.astype(x.dtype, copy=False), out)


def set_values(x1: Any, x2: Any, operation: str) -> tuple[Any]:
    """The distinct elements of two vectors that are in one of them, both, only the first, or only one, in order."""
    if operation == "union":
        return unique(cupy.concatenate([x1, x2]), equal_nan=True)
    first, second = unique(x1, equal_nan=True)[0], unique(x2, equal_nan=True)[0]
    shared = isin(first, second)
    if operation == "intersection":
        return (first[shared],)
    if operation == "difference":
        return (first[~shared],)
    return unique(cupy.concatenate([first[~shared], second[~isin(second, first)]]), equal_nan=True)


def counts(x: Any, weights: Any = None, least: int = 0) -> tuple[Any]:
    """How often each integer from 0 to the largest occurs (int64), or the sums of the weights of each."""
    size = least
    if x.size:
        if int(x.min()) < 0:
            raise ValueError("counts: there are negative integers")
        size = max(int(x.max()) + 1, least)
    return (bincount(x.astype(np.int64, copy=False), size, weights),)


def isin(x: Any, values: Any, out: Any | None = None) -> Any:
    """Whether each element equals one of ``values``; NaN equals nothing."""
    x, values = _known(x), _known(values).reshape(-1)
    if not values.size:
        return stored(cupy.zeros(x.shape, bool), out)
    ordered = cupy.sort(values)
    places = searchsorted(ordered, x)
    return stored(cupy.take(ordered, cupy.minimum(places, values.size - 1)) == x, out)


def repeated_indices(repeats: Any, total: int, out: Any | None = None) -> Any:
    """0, 1, 2, ... each as often as ``repeats``, of one axis, says; ``total`` in all (int64)."""
    ends = cupy.cumsum(repeats.astype(np.int64, copy=False))
    return searchsorted(ends, cupy.arange(total, dtype=np.int64), True, out)
