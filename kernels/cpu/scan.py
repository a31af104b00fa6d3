"""Running sums, products, extrema and log-sum-exps along one axis on NumPy. Half types accumulate in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from .blocked import is_half

__all__ = ["cummax_indices", "cumprod", "cumsum", "logcumsumexp"]

Array = np.ndarray[Any, np.dtype[Any]]


def _flipped(x: Array, axis: int) -> Array:
    """The axis backwards, as a view."""
    return x[(slice(None),) * (axis % x.ndim) + (slice(None, None, -1),)]


def _accumulated(ufunc: Any, x: Array, axis: int, reverse: bool, out: Array | None) -> Array:
    result = out
    if is_half(x.dtype):
        wide = x.astype(np.float32)
        ufunc.accumulate(
            _flipped(wide, axis) if reverse else wide, axis, None, _flipped(wide, axis) if reverse else wide
        )
        if out is None:
            return wide.astype(x.dtype)
        np.copyto(out, wide, casting="unsafe")
        return out
    if result is None:
        result = np.empty(x.shape, x.dtype)
    if reverse:
        ufunc.accumulate(_flipped(x, axis), axis, x.dtype, _flipped(result, axis))
    else:
        ufunc.accumulate(x, axis, x.dtype, result)
    return result


def cumsum(x: Array, axis: int, reverse: bool = False, out: Array | None = None) -> Array:
    """Sums of all elements up to each one along ``axis``; with ``reverse``, of those from it on."""
    return _accumulated(np.add, x, axis, reverse, out)


def cumprod(x: Array, axis: int, out: Array | None = None) -> Array:
    """Products of all elements up to each one along ``axis``."""
    return _accumulated(np.multiply, x, axis, False, out)


def logcumsumexp(x: Array, axis: int, out: Array | None = None) -> Array:
    """Logarithms of the sums of the exponentials of all elements up to each one along ``axis``."""
    return _accumulated(np.logaddexp, x, axis, False, out)


def cummax_indices(x: Array, axis: int, largest: bool = True, out: Array | None = None) -> Array:
    """Where the largest, or smallest, element up to each one is (int64): of equal ones the last; NaN beats numbers."""
    ufunc: Any = np.maximum if largest else np.minimum
    running = ufunc.accumulate(x, axis)
    attained = np.equal(x, running)
    if x.dtype.kind not in "biu":
        np.logical_or(attained, np.isnan(x), out=attained)
    places = np.arange(x.shape[axis]).reshape((-1,) + (1,) * (x.ndim - 1 - axis % x.ndim))
    return np.maximum.accumulate(np.multiply(attained, places), axis, None, out)
