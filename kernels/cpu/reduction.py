"""Reductions on NumPy. Half types accumulate in float32; integers and booleans keep their dtype.

Sums of float32 and float64 are products with ones: BLAS reads memory as fast as it comes, which NumPy's own sums do
not. They are split over its threads or, large ones, over ours. In what order they add may depend
on how many threads there are.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from .blas_threads import one_thread
from .blocked import is_half, pays, walk
from .large import in_pieces

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "logsumexp",
    "max",
    "mean",
    "min",
    "nanmax",
    "nanmin",
    "nanvar",
    "prod",
    "std",
    "sum",
    "var",
    "vector_norm",
]

Array = np.ndarray[Any, np.dtype[Any]]
Axis = int | tuple[int, ...] | None

# positional arguments, which NumPy parses fastest: (x, axis, dtype, out, keepdims)
_add: Any = np.add.reduce
_multiply: Any = np.multiply.reduce
_maximum: Any = np.maximum.reduce
_minimum: Any = np.minimum.reduce
_fmax: Any = np.fmax.reduce
_fmin: Any = np.fmin.reduce
_or: Any = np.logical_or.reduce
_and: Any = np.logical_and.reduce

_subtract, _square, _exp = in_pieces(np.subtract), in_pieces(np.square), in_pieces(np.exp)
_FEW = 8  # elements in an axis that is summed slice by slice
SMALL = 4096  # elements up to which NumPy's sums are the faster ones
_EXTREMUM_WORK = 4  # see `walk`
_ALONE = 8192  # elements of a matrix up to which OpenBLAS multiplies it with a vector without waking its threads
_SUM_WORK = 2  # see `walk`: a sum waits for memory
_RUN = 1024  # elements that BLAS adds up in one go: its rounding errors grow with their number


def _accumulator(x: Array) -> np.dtype[Any]:
    """The dtype to accumulate in: sums of float16 or bfloat16 lose their digits after a few hundred terms."""
    return np.dtype(np.float32) if is_half(x.dtype) else x.dtype


def _stored(y: Any, dtype: np.dtype[Any], out: Array | None) -> Array:
    """``y`` in the result's dtype and place."""
    if out is not None:
        np.copyto(out, y, casting="unsafe")
        return out
    return np.asarray(y, dtype)


def _length(x: Array, axis: Axis) -> int:
    """How many elements one result is made of."""
    if axis is None:
        return x.size
    n = 1
    for a in (axis,) if isinstance(axis, int) else axis:
        n *= x.shape[a]
    return n


@lru_cache(64)
def _ones(n: int, char: str) -> Array:
    y = np.ones(n, char)
    y.flags.writeable = False
    return y


def _sum_along(x: Array, outer: int, n: int, inner: int) -> Array:
    """Sums along axis 1 of a contiguous array taken as ``(outer, n, inner)``; the result has ``outer * inner``."""
    ones = _ones(n, x.dtype.char) if n <= _RUN or inner > 1 else _ones(_RUN, x.dtype.char)
    if inner > 1:
        y = np.dot(ones, x.reshape(n, inner)) if outer == 1 else np.matmul(ones, x.reshape(outer, n, inner))
        return y  # type: ignore[no-any-return]
    if n <= _RUN:
        return np.dot(x.reshape(outer, n), ones)  # type: ignore[no-any-return]
    rest = n % _RUN
    if rest == 0:
        return _add(np.dot(x.reshape(-1, _RUN), ones).reshape(outer, -1), 1)  # type: ignore[no-any-return]
    if outer > 1:
        return _add(x.reshape(outer, n), 1)  # type: ignore[no-any-return]
    flat = x.reshape(-1)
    return _sum_along(flat[:-rest], 1, n - rest, 1) + _sum_along(flat[-rest:], 1, rest, 1)


def _sum_by_our_threads(x: Array, outer: int, n: int, inner: int) -> Array:
    """`_sum_along` without waking the threads of BLAS."""
    with one_thread(for_good=False):
        if not pays(x.size, _SUM_WORK):
            return _sum_along(x, outer, n, inner)
        if outer > 1:
            y: Array = np.empty((outer, inner), x.dtype)
            slabs = x.reshape(outer, n, inner)

            def slab(low: int, high: int, _: int) -> None:
                y[low:high] = _sum_along(slabs[low:high], high - low, n, inner).reshape(high - low, inner)

            walk(slab, outer, n * inner, _SUM_WORK)
            return y
        if inner > 1:
            y = np.empty(inner, x.dtype)
            ones, rows = _ones(n, x.dtype.char), x.reshape(n, inner)

            def columns(low: int, high: int, _: int) -> None:
                y[low:high] = np.dot(ones, rows[:, low:high])

            walk(columns, inner, n, _SUM_WORK)
            return y
        flat, runs = x.reshape(-1), n // _RUN
        sums = np.empty(runs, x.dtype)

        def run(low: int, high: int, _: int) -> None:
            sums[low:high] = _sum_along(flat[low * _RUN : high * _RUN], high - low, _RUN, 1)

        walk(run, runs, _RUN, _SUM_WORK)
        total: Array = _add(sums)
        return total + _sum_along(flat[runs * _RUN :], 1, n - runs * _RUN, 1) if n % _RUN else total


Stages = tuple[tuple[int, int, int], ...]


@lru_cache(256)
def _stages(shape: tuple[int, ...], axis: Axis, keepdims: bool) -> tuple[Stages, tuple[int, ...]]:
    """A sum over any axes as sums along one axis at a time, the last first; and the shape of the result."""
    axes = range(len(shape)) if axis is None else (axis,) if isinstance(axis, int) else axis
    gone = [a in axes or a - len(shape) in axes for a in range(len(shape))]
    lengths: list[int] = []  # neighbouring axes with the same fate count as one
    fates: list[bool] = []
    for n, fate in zip(shape, gone, strict=True):
        if fates and (fate == fates[-1] or n == 1):
            lengths[-1] *= n
        else:
            lengths.append(n)
            fates.append(fate)
    stages = []
    inner = 1
    while lengths:
        n = lengths.pop()
        if fates.pop():
            stages.append((math.prod(lengths), n, inner))
        else:
            inner *= n
    return tuple(stages), tuple(1 if fate else n for n, fate in zip(shape, gone, strict=True) if keepdims or not fate)


def _few(x: Array, keepdims: bool, out: Array | None) -> Array:
    """Sum along a last axis of a few elements by slices: NumPy's inner loop would be as short as the axis."""
    y = np.add(x[..., 0], x[..., 1])
    for k in range(2, x.shape[-1]):
        np.add(y, x[..., k], out=y)
    return _stored(y[..., None] if keepdims else y, x.dtype, out)


def _total(x: Array, axis: Axis, keepdims: bool, out: Array | None = None) -> Array:
    """Sum of an array of the dtype to accumulate in."""
    if x.size < SMALL or x.dtype.char not in "fd" or not x.flags.c_contiguous:
        if x.size >= SMALL and 1 < x.shape[-1] <= _FEW and axis in (x.ndim - 1, (x.ndim - 1,), -1):
            return _few(x, keepdims, out)
        return _add(x, axis, x.dtype, out, keepdims)  # type: ignore[no-any-return]
    stages, shape = _stages(x.shape, axis, keepdims)
    y = x
    ours = pays(y.size, _SUM_WORK) or (one_thread.used and y.size > _ALONE)
    along = _sum_by_our_threads if ours else _sum_along
    for outer, n, inner in stages:
        y = along(y, outer, n, inner)
    if out is None:
        return y.reshape(shape)
    np.copyto(out, y.reshape(shape))
    return out


def sum(x: Array, axis: Axis = None, keepdims: bool = False, out: Array | None = None) -> Array:
    """Sum over ``axis``; 0 where there is nothing to add."""
    dtype = _accumulator(x)
    if dtype is x.dtype:
        return _total(x, axis, keepdims, out)
    return _stored(_add(x, axis, dtype, None, keepdims), x.dtype, out)


def prod(x: Array, axis: Axis = None, keepdims: bool = False, out: Array | None = None) -> Array:
    """Product over ``axis``; 1 where there is nothing to multiply."""
    y = _multiply(x, axis, _accumulator(x), None, keepdims)
    return _stored(y, x.dtype, out)


def mean(x: Array, axis: Axis = None, keepdims: bool = False, out: Array | None = None) -> Array:
    """Sum over ``axis`` divided by the number of terms; NaN where there is none."""
    dtype = _accumulator(x)
    y = _total(x, axis, keepdims) if dtype is x.dtype else _add(x, axis, dtype, None, keepdims)
    return _stored(np.divide(y, _length(x, axis)), x.dtype, out)


def _variance(x: Array, axis: Axis, keepdims: bool, correction: float) -> Any:
    """Two passes: the mean first, then the squared distances from it, which does not cancel."""
    dtype = _accumulator(x)
    n = _length(x, axis)
    x = x.astype(dtype, copy=False)
    center = np.asarray(_total(x, axis, True) / dtype.type(n))
    distance = np.asarray(_subtract(x, center))
    total = _total(_square(distance, distance), axis, keepdims)
    left = n - correction
    return np.divide(total, dtype.type(left if left > 0 else 0))


def var(
    x: Array, axis: Axis = None, keepdims: bool = False, correction: float = 0.0, out: Array | None = None
) -> Array:
    """Mean squared distance from the mean, divided by ``n - correction``."""
    return _stored(_variance(x, axis, keepdims, correction), x.dtype, out)


def std(
    x: Array, axis: Axis = None, keepdims: bool = False, correction: float = 0.0, out: Array | None = None
) -> Array:
    """Square root of `var`."""
    return _stored(np.sqrt(_variance(x, axis, keepdims, correction)), x.dtype, out)


def _over_rows(reduce: Any, x: Array, axis: Axis, keepdims: bool, out: Array | None) -> Array:
    """A reduction of every row of a large array on its own, over several threads; any array otherwise."""
    if not isinstance(axis, tuple) or 0 in axis or not pays(x.size, _EXTREMUM_WORK):
        return reduce(x, axis, None, out, keepdims)  # type: ignore[no-any-return]
    if out is None:
        out = np.empty([1 if a in axis else n for a, n in enumerate(x.shape) if keepdims or a not in axis], x.dtype)

    def task(low: int, high: int, step: int) -> None:
        reduce(x[low:high], axis, None, out[low:high], keepdims)

    walk(task, x.shape[0], x.size // x.shape[0], _EXTREMUM_WORK, ranges=4)
    return out


def max(x: Array, axis: Axis = None, keepdims: bool = False, out: Array | None = None) -> Array:
    """Largest element over ``axis``; NaN if there is one."""
    return _over_rows(_maximum, x, axis, keepdims, out)


def min(x: Array, axis: Axis = None, keepdims: bool = False, out: Array | None = None) -> Array:
    """Smallest element over ``axis``; NaN if there is one."""
    return _over_rows(_minimum, x, axis, keepdims, out)


def nanmax(x: Array, axis: Axis = None, keepdims: bool = False, out: Array | None = None) -> Array:
    """Largest element over ``axis`` that is not NaN; NaN if all are."""
    return _over_rows(_fmax, x, axis, keepdims, out)


def nanmin(x: Array, axis: Axis = None, keepdims: bool = False, out: Array | None = None) -> Array:
    """Smallest element over ``axis`` that is not NaN; NaN if all are."""
    return _over_rows(_fmin, x, axis, keepdims, out)


def nanvar(
    x: Array, axis: Axis = None, keepdims: bool = False, correction: float = 0.0, out: Array | None = None
) -> Array:
    """`var` of what is not NaN; NaN where that is not more than ``correction`` elements."""
    missing = np.isnan(x)
    if not missing.any() and _length(x, axis) > correction:
        return var(x, axis, keepdims, correction, out)
    values = x.astype(_accumulator(x))
    np.copyto(values, 0, where=missing)
    count = _add(~missing, axis, values.dtype, None, True)
    values -= _add(values, axis, None, None, True) / count
    np.copyto(values, 0, where=missing)
    total = _add(_square(values), axis, None, None, True)
    count -= correction
    np.copyto(count, np.nan, where=count <= 0)
    y = total / count
    return _stored(y if keepdims else np.squeeze(y, axis), x.dtype, out)


def logsumexp(x: Array, axis: Axis = None, keepdims: bool = False, out: Array | None = None) -> Array:
    """``log(sum(exp(x)))``, shifted by the maximum so that nothing overflows."""
    dtype = _accumulator(x)
    if x.size == 0:
        total = _add(np.exp(x), axis, dtype, None, keepdims)
        return _stored(np.log(total), x.dtype, out)
    top = np.asarray(_over_rows(_maximum, x, axis, True, None), dtype)
    shift = np.where(np.isfinite(top), top, 0)  # inf - inf would be NaN
    shifted = np.asarray(_subtract(x.astype(dtype, copy=False), shift.astype(dtype, copy=False)))
    _exp(shifted, shifted)
    total = _total(shifted, axis, True)
    y = np.add(np.log(total), shift)
    return _stored(y if keepdims else np.squeeze(y, axis), x.dtype, out)


def any(x: Array, axis: Axis = None, keepdims: bool = False, out: Array | None = None) -> Array:
    """Whether one element over ``axis`` is true."""
    return _or(x, axis, np.bool_, out, keepdims)  # type: ignore[no-any-return]


def all(x: Array, axis: Axis = None, keepdims: bool = False, out: Array | None = None) -> Array:
    """Whether every element over ``axis`` is true."""
    return _and(x, axis, np.bool_, out, keepdims)  # type: ignore[no-any-return]


def argmax(x: Array, axis: int | None = None, keepdims: bool = False, out: Array | None = None) -> Array:
    """Index (int64) of the first largest element, or of the first NaN."""
    return x.argmax(axis, out, keepdims=keepdims)  # type: ignore[no-any-return, arg-type]


def argmin(x: Array, axis: int | None = None, keepdims: bool = False, out: Array | None = None) -> Array:
    """Index (int64) of the first smallest element, or of the first NaN."""
    return x.argmin(axis, out, keepdims=keepdims)  # type: ignore[no-any-return, arg-type]


def vector_norm(
    x: Array, axis: Axis = None, keepdims: bool = False, ord: float = 2.0, out: Array | None = None
) -> Array:
    """``sum(abs(x) ** ord) ** (1 / ord)``; the largest or smallest size for infinities, the number of sizes for 0.

    The Euclidean norm reads the elements once: what BLAS adds up in one go are products of elements with themselves.
    """
    dtype = np.dtype(x.dtype.char.lower()) if x.dtype.kind == "c" else x.dtype
    x = x.astype(_accumulator(x), copy=False)
    y: Any
    if ord == 2:
        y = np.sqrt(_squares(x, axis, keepdims))
    elif ord == math.inf:
        y = _maximum(np.abs(x), axis, None, None, keepdims)
    elif ord == -math.inf:
        y = _minimum(np.abs(x), axis, None, None, keepdims)
    elif ord == 0:
        y = _add(x != 0, axis, x.real.dtype, None, keepdims)
    elif ord == 1:
        y = _total(np.abs(x), axis, keepdims)
    else:
        y = _total(np.abs(x) ** ord, axis, keepdims) ** (1 / ord)
    return _stored(y, dtype, out)


_SQUARES = 1 << 15  # elements of which one product is taken: BLAS adds many at a time, which keeps errors small


def _squares(x: Array, axis: Axis, keepdims: bool) -> Any:
    """Sums of squares, or of squared absolute values."""
    whole = x.flags.c_contiguous and (axis is None or (isinstance(axis, tuple) and len(axis) == x.ndim))
    if whole and x.size:
        flat = x.reshape(-1)
        if x.dtype.kind == "c":
            flat = flat.view(x.real.dtype)
        if flat.size <= _SQUARES:
            y = np.dot(flat, flat)
        else:
            rest = flat.size % _RUN
            runs = flat[: flat.size - rest].reshape(-1, _RUN)
            y = _add(np.vecdot(runs, runs)) + np.dot(flat[flat.size - rest :], flat[flat.size - rest :])
        return np.reshape(y, (1,) * x.ndim) if keepdims else y
    last = axis == -1 or axis == x.ndim - 1 or axis == (x.ndim - 1,) or axis == (-1,)
    if last and x.size >= SMALL and x.shape[-1] <= _SQUARES and x.flags.c_contiguous:
        y = np.vecdot(x, x).real
        return y[..., None] if keepdims else y
    if x.dtype.kind == "c":
        return _total(_square(x.real) + _square(x.imag), axis, keepdims)
    return _total(_square(x), axis, keepdims)
