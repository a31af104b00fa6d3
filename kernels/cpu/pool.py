"""Pooling over any number of spatial axes on NumPy: one pass per offset of the window, not one per output.

Maxima go through the offsets of the window and keep the best value and its offset; images are taken in blocks that stay
in cache. Sums are made axis by axis, so that a window of 3 x 3 costs 3 + 3 additions.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ..windows import out_size
from .blocked import compute_type, walk

__all__ = ["avg_pool", "avg_pool_backward", "max_pool", "max_pool_backward"]

Array = np.ndarray[Any, np.dtype[Any]]
Sizes = tuple[int, ...]


def _inside(offset: int, n: int, out: int, stride: int, padding: int) -> tuple[slice, slice]:
    """The outputs whose window reads inside the input at an offset, and the elements that they read."""
    at = offset - padding
    low = max(-(at // stride), 0)
    high = max(min((n - 1 - at) // stride + 1, out), low)
    first = low * stride + at
    return slice(low, high), slice(first, first + (high - low - 1) * stride + 1 if high > low else first, stride)


# --------------------------------------------------------------------------------------------------------------- maxima
def max_pool(
    x: Array,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool = False,
    out: tuple[Array, Array] | None = None,
) -> tuple[Array, Array]:
    """Maxima of (N, C, ...), and where each stands in its channel, as an index into the flattened spatial axes.

    The first of equal maxima counts, and the last NaN of a window that has one.
    """
    size = x.shape[2:]
    positions = out_size(size, kernel, stride, padding, dilation, ceil_mode)
    shape = (*x.shape[:2], *positions)
    compute = compute_type(x.dtype)
    y = np.empty(shape, x.dtype)
    indices = np.empty(shape, np.int64)
    if y.size:
        planes = np.ascontiguousarray(x).reshape(-1, *size)
        values, places = y.reshape(-1, *positions), indices.reshape(-1, *positions)
        offsets = list(itertools.product(*map(range, kernel)))
        # Where an output's window begins, and how much further an offset is, both as flat indices.
        steps = [math.prod(size[i + 1 :]) for i in range(len(size))]
        starts = [
            (np.arange(o) * s - p) * step for o, s, p, step in zip(positions, stride, padding, steps, strict=True)
        ]
        corner = _outer_sum(starts)
        further = np.array([sum(k * d * step for k, d, step in zip(o, dilation, steps, strict=True)) for o in offsets])
        small: Any = np.uint8 if len(offsets) < 256 else np.int64

        def task(low: int, high: int, step: int) -> None:
            for first in range(low, high, step):
                last = min(first + step, high)
                block = planes[first:last].astype(compute, copy=False)
                best = np.full((last - first, *positions), -np.inf, compute)
                # A window may hold nothing but -inf: then its first element inside the input counts.
                chosen: Any = np.zeros(best.shape, small)
                for k in range(len(offsets) - 1, -1, -1) if any(padding) else ():
                    target, _ = _windows(offsets[k], size, positions, stride, padding, dilation)
                    chosen[(slice(None), *target)] = k
                has_nan = bool(np.isnan(np.add.reduce(block, None)))  # or infinities of both signs
                for k, offset in enumerate(offsets):
                    target, source = _windows(offset, size, positions, stride, padding, dilation)
                    candidate, held = block[(slice(None), *source)], best[(slice(None), *target)]
                    better = np.greater(candidate, held)
                    if has_nan:
                        better |= np.isnan(candidate)
                    np.copyto(held, candidate, where=better)
                    np.copyto(chosen[(slice(None), *target)], k, where=better)
                np.copyto(values[first:last], best, casting="unsafe")
                np.add(further.take(chosen), corner, out=places[first:last])

        walk(task, len(planes), math.prod(positions), 3 * len(offsets))
    if out is None:
        return y, indices
    np.copyto(out[0], y)
    np.copyto(out[1], indices)
    return out


def _outer_sum(starts: list[Array]) -> Array:
    """The outer sum of vectors, one axis each."""
    total = np.zeros((), np.int64)
    for start in starts:
        total = np.add.outer(total, start)
    return np.asarray(total)


def _windows(
    offset: Sizes, size: Sizes, positions: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    pairs = [
        _inside(k * d, n, o, s, p)
        for k, d, n, o, s, p in zip(offset, dilation, size, positions, stride, padding, strict=True)
    ]
    return tuple(target for target, _ in pairs), tuple(source for _, source in pairs)


def max_pool_backward(
    g: Array,
    indices: Array,
    size: Sizes,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    out: Array | None = None,
) -> Array:
    """Zeros of spatial ``size`` with every ``g`` added where its maximum stood."""
    compute = compute_type(g.dtype)
    planes, volume = g.shape[0] * g.shape[1], math.prod(size)
    dx = np.zeros(planes * volume, compute)
    if g.size:
        flat = indices.reshape(planes, -1) + np.arange(0, planes * volume, volume)[:, None]
        values = g.reshape(-1).astype(compute, copy=False)
        if all(s > d * (k - 1) for k, s, d in zip(kernel, stride, dilation, strict=True)):
            dx[flat.reshape(-1)] = values  # windows that do not overlap
        else:
            np.add.at(dx, flat.reshape(-1), values)
    return _stored(dx.reshape(*g.shape[:2], *size), g.dtype, out)


# ------------------------------------------------------------------------------------------------------------- averages
def _divisors(
    size: Sizes,
    positions: Sizes,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Any:
    """What the sum of each window is divided by: a number, or an array over the outputs.

    Padding counts where ``count_include_pad``, but what ``ceil_mode`` lets a window stand out further never does.
    """
    if divisor_override is not None:
        return divisor_override
    total = np.ones(())
    for n, o, k, s, p in zip(size, positions, kernel, stride, padding, strict=True):
        start = np.arange(o) * s - p
        stop = np.minimum(start + k, n + p)
        if not count_include_pad:
            start, stop = np.maximum(start, 0), np.minimum(stop, n)
        total = np.multiply.outer(total, stop - start)
    return float(total.flat[0]) if (total == total.flat[0]).all() else total


def avg_pool(
    x: Array,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    out: Array | None = None,
) -> Array:
    """Averages of windows of (N, C, ...)."""
    size, ones = x.shape[2:], (1,) * len(kernel)
    positions = out_size(size, kernel, stride, padding, ones, ceil_mode)
    compute = compute_type(x.dtype)
    y = np.empty((*x.shape[:2], *positions), x.dtype)
    if y.size:
        divisors = _divisors(size, positions, kernel, stride, padding, count_include_pad, divisor_override)
        scale = 1 / divisors if isinstance(divisors, (int, float)) else (1 / divisors).astype(compute)
        planes, averages = np.ascontiguousarray(x).reshape(-1, *size), y.reshape(-1, *positions)

        def task(low: int, high: int, step: int) -> None:
            for first in range(low, high, step):
                last = min(first + step, high)
                total = planes[first:last].astype(compute, copy=False)
                for axis, (k, s, p) in enumerate(zip(kernel, stride, padding, strict=True)):
                    total = _summed(total, axis + 1, positions[axis], k, s, p)
                np.multiply(total, scale, out=averages[first:last], casting="unsafe")

        walk(task, len(planes), math.prod(size), 2 * sum(kernel))
    return _stored(y, x.dtype, out)


def _summed(x: Array, axis: int, positions: int, kernel: int, stride: int, padding: int) -> Array:
    """Sums of windows along one axis."""
    before = (slice(None),) * axis
    total = np.zeros((*x.shape[:axis], positions, *x.shape[axis + 1 :]), x.dtype)
    for offset in range(kernel):
        target, source = _inside(offset, x.shape[axis], positions, stride, padding)
        view = total[(*before, target)]
        np.add(view, x[(*before, source)], out=view)
    return total


def avg_pool_backward(
    g: Array,
    size: Sizes,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    out: Array | None = None,
) -> Array:
    """Every ``g`` divided as in `avg_pool` and added to all elements of its window."""
    positions = g.shape[2:]
    compute = compute_type(g.dtype)
    dx = np.zeros((*g.shape[:2], *size), g.dtype)
    if g.size:
        divisors = _divisors(size, positions, kernel, stride, padding, count_include_pad, divisor_override)
        scale = 1 / divisors if isinstance(divisors, (int, float)) else (1 / divisors).astype(compute)
        planes, gradients = np.ascontiguousarray(g).reshape(-1, *positions), dx.reshape(-1, *size)

        def task(low: int, high: int, step: int) -> None:
            for first in range(low, high, step):
                last = min(first + step, high)
                share = np.multiply(planes[first:last].astype(compute, copy=False), scale)
                for axis, (k, s, p) in enumerate(zip(kernel, stride, padding, strict=True)):
                    share = _spread(share, axis + 1, size[axis], k, s, p)
                np.copyto(gradients[first:last], share, casting="unsafe")

        walk(task, len(planes), math.prod(size), 2 * sum(kernel))
    return _stored(dx, g.dtype, out)


def _spread(g: Array, axis: int, size: int, kernel: int, stride: int, padding: int) -> Array:
    """The transpose of `_summed`."""
    before = (slice(None),) * axis
    total = np.zeros((*g.shape[:axis], size, *g.shape[axis + 1 :]), g.dtype)
    for offset in range(kernel):
        source, target = _inside(offset, size, g.shape[axis], stride, padding)
        view = total[(*before, target)]
        np.add(view, g[(*before, source)], out=view)
    return total


def _stored(y: Array, dtype: Any, out: Array | None) -> Array:
    if out is None:
        return y.astype(dtype, copy=False)
    np.copyto(out, y, casting="unsafe")
    return out
