"""Pooling over any number of spatial axes on NumPy: one pass per offset of the window, not one per output.

Maxima and sums are made axis by axis, so that a window of 3 x 3 costs 3 + 3 passes; planes are taken in blocks that
stay in cache. Where a maximum stands is found afterwards, by comparing what each offset reads with it.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..windows import out_size
from . import pages
from .blocked import compute_type, walk

__all__ = ["avg_pool", "avg_pool_backward", "max_pool", "max_pool_backward", "max_pool_values"]

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
class _Windows(NamedTuple):
    """The windows of an input: which outputs read inside it at an offset, and what they read, as pairs of indices."""

    positions: Sizes
    axes: tuple[tuple[tuple[Any, Any], ...], ...]  # per axis and offset along it
    offsets: tuple[tuple[Any, Any], ...]  # per offset
    whole: bool  # every window is inside at every offset
    further: Array  # how much further than the window's beginning each offset is, as a flat index
    corner: Array  # where each window begins


@functools.lru_cache(256)
def _windows(size: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, ceil_mode: bool) -> _Windows:
    positions = out_size(size, kernel, stride, padding, dilation, ceil_mode)
    axes = [
        [_inside(offset * d, n, o, s, p) for offset in range(k)]
        for n, k, s, p, d, o in zip(size, kernel, stride, padding, dilation, positions, strict=True)
    ]
    further, corner = np.zeros((), np.int64), np.zeros((), np.int64)
    for i, (k, s, p, d, o) in enumerate(zip(kernel, stride, padding, dilation, positions, strict=True)):
        step = math.prod(size[i + 1 :])
        further = np.add.outer(further, np.arange(k) * (d * step))
        corner = np.add.outer(corner, (np.arange(o) * s - p) * step)
    return _Windows(
        positions,
        tuple(
            tuple(tuple((*(slice(None),) * i, cut) for cut in pair) for pair in pairs)  # type: ignore[misc]
            for i, pairs in enumerate(axes, 1)
        ),
        tuple(tuple((slice(None), *cuts) for cuts in zip(*pairs, strict=True)) for pairs in itertools.product(*axes)),  # type: ignore[misc]
        all(target == slice(0, o) for pairs, o in zip(axes, positions, strict=True) for target, _ in pairs),
        further.reshape(-1),
        corner,
    )


def _maxima(x: Array, windows: _Windows, out: Array) -> None:
    """Maxima of the windows of planes; NaN where a window has one."""
    last = len(windows.axes) - 1
    for i, axis in enumerate(windows.axes):  # the last axis, whose elements are read singly, when there are fewest
        reads = axis
        y = np.empty((*x.shape[: i + 1], windows.positions[i], *x.shape[i + 2 :]), x.dtype) if i < last else out
        if windows.whole and len(reads) > 1:
            np.maximum(x[reads[0][1]], x[reads[1][1]], out=y)
            reads = reads[2:]
        else:
            y.fill(-np.inf)
        for target, source in reads:
            held = y[target]
            np.maximum(held, x[source], out=held)
        x = y


def _numbers(x: Array, best: Array, windows: _Windows) -> Array:
    """The number of the offset at which each maximum stands: of the first of equal ones, of the last NaN."""
    small: Any = np.uint8 if len(windows.offsets) <= 256 else np.int32
    numbers: Any = None
    differs = np.empty(best.shape, bool) if windows.whole else np.ones(best.shape, bool)
    for target, source in reversed(windows.offsets[:-1]):  # unless it stands here, one more than what is counted so far
        if not windows.whole:
            differs.fill(True)
        np.not_equal(x[source], best[target], out=differs[target])
        if numbers is None:
            numbers = differs.astype(small)
        else:
            numbers += small(1)
            numbers *= differs
    if numbers is None:
        return np.zeros(best.shape, small)
    if best.size and math.isnan(best.max()):
        missing = np.isnan(best)
        last = np.zeros(best.shape, small)
        for k, (target, source) in enumerate(windows.offsets):
            np.copyto(last[target], small(k), where=np.isnan(x[source]))
        np.copyto(numbers, last, where=missing)
    return numbers  # type: ignore[no-any-return]


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
    windows = _windows(x.shape[2:], kernel, stride, padding, dilation, ceil_mode)
    indices = pages.empty((*x.shape[:2], *windows.positions), np.int64)
    places = indices.reshape(-1, *windows.positions)

    def locate(block: Array, best: Array, first: int) -> None:
        found = places[first : first + len(block)]
        windows.further.take(_numbers(block, best, windows), out=found, mode="clip")  # they are all inside
        found += windows.corner

    y = _pooled(x, windows, None if out is None else out[0], 3 * len(windows.offsets), locate)
    if out is None:
        return y, indices
    np.copyto(out[1], indices)
    return out


def max_pool_values(
    x: Array,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool = False,
    out: Array | None = None,
) -> Array:
    """The maxima of `max_pool` alone."""
    windows = _windows(x.shape[2:], kernel, stride, padding, dilation, ceil_mode)
    return _pooled(x, windows, out, 2 * len(kernel))


def _pooled(
    x: Array, windows: _Windows, out: Array | None, work: int, locate: Callable[[Array, Array, int], None] | None = None
) -> Array:
    """The maxima; ``locate`` is called with each block of planes, its maxima and the number of its first plane."""
    dtype, compute, size = x.dtype, compute_type(x.dtype), x.shape[2:]
    y = pages.empty((*x.shape[:2], *windows.positions), dtype)
    if y.size:
        planes, values = np.ascontiguousarray(x).reshape(-1, *size), y.reshape(-1, *windows.positions)

        def task(low: int, high: int, step: int) -> None:
            for first in range(low, high, step):
                block, best = planes[first : min(first + step, high)], values[first : min(first + step, high)]
                if dtype != compute:
                    block, best = block.astype(compute), best.astype(compute)
                _maxima(block, windows, best)
                if dtype != compute:
                    values[first : first + step] = best
                if locate is not None:
                    locate(block, best, first)

        walk(task, len(planes), math.prod(size), work)
    return _stored(y, dtype, out)


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
    volume = math.prod(size)
    dx = pages.empty((*g.shape[:2], *size), g.dtype)
    if dx.size:
        planes = dx.reshape(-1, volume)
        places, values = indices.reshape(len(planes), -1), g.reshape(len(planes), -1)
        direct = g.dtype == compute
        disjoint = all(s > d * (k - 1) for k, s, d in zip(kernel, stride, dilation, strict=True))

        def task(low: int, high: int, step: int) -> None:
            for first in range(low, high, step):
                last = min(first + step, high)
                target = planes[first:last].reshape(-1)
                spread = target if direct else np.empty(target.size, compute)
                spread.fill(0)
                flat = (places[first:last] + np.arange(0, spread.size, volume)[:, None]).reshape(-1)
                block = values[first:last].reshape(-1).astype(compute, copy=False)
                if disjoint:
                    spread[flat] = block
                else:
                    np.add.at(spread, flat, block)
                if not direct:
                    np.copyto(target, spread, casting="unsafe")

        walk(task, len(planes), volume, 8)
    return _stored(dx, g.dtype, out)


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
