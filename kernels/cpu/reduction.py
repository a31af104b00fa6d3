"""Reductions on NumPy. Half types accumulate in float32; integers and booleans keep their dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from .blocked import is_half

__all__ = ["all", "any", "argmax", "argmin", "logsumexp", "max", "mean", "min", "prod", "std", "sum", "var"]

Array = np.ndarray[Any, np.dtype[Any]]
Axis = int | tuple[int, ...] | None

# positional arguments, which NumPy parses fastest: (x, axis, dtype, out, keepdims)
_add: Any = np.add.reduce
_multiply: Any = np.multiply.reduce
_maximum: Any = np.maximum.reduce
_minimum: Any = np.minimum.reduce
_or: Any = np.logical_or.reduce
_and: Any = np.logical_and.reduce


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


def sum(x: Array, axis: Axis = None, keepdims: bool = False, out: Array | None = None) -> Array:
    """Sum over ``axis``; 0 where there is nothing to add."""
    dtype = _accumulator(x)
    if dtype is x.dtype:
        return _add(x, axis, dtype, out, keepdims)  # type: ignore[no-any-return]
    return _stored(_add(x, axis, dtype, None, keepdims), x.dtype, out)


def prod(x: Array, axis: Axis = None, keepdims: bool = False, out: Array | None = None) -> Array:
    """Product over ``axis``; 1 where there is nothing to multiply."""
    y = _multiply(x, axis, _accumulator(x), None, keepdims)
    return _stored(y, x.dtype, out)


def mean(x: Array, axis: Axis = None, keepdims: bool = False, out: Array | None = None) -> Array:
    """Sum over ``axis`` divided by the number of terms; NaN where there is none."""
    y = _add(x, axis, _accumulator(x), None, keepdims)
    return _stored(np.divide(y, _length(x, axis)), x.dtype, out)


def _variance(x: Array, axis: Axis, keepdims: bool, correction: float) -> Any:
    """Two passes: the mean first, then the squared distances from it, which does not cancel."""
    dtype = _accumulator(x)
    n = _length(x, axis)
    center = _add(x, axis, dtype, None, True) / dtype.type(n)
    distance = np.asarray(np.subtract(x, center, dtype=dtype))
    np.square(distance, out=distance)
    total = _add(distance, axis, None, None, keepdims)
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


def max(x: Array, axis: Axis = None, keepdims: bool = False, out: Array | None = None) -> Array:
    """Largest element over ``axis``; NaN if there is one."""
    return _maximum(x, axis, None, out, keepdims)  # type: ignore[no-any-return]


def min(x: Array, axis: Axis = None, keepdims: bool = False, out: Array | None = None) -> Array:
    """Smallest element over ``axis``; NaN if there is one."""
    return _minimum(x, axis, None, out, keepdims)  # type: ignore[no-any-return]


def logsumexp(x: Array, axis: Axis = None, keepdims: bool = False, out: Array | None = None) -> Array:
    """``log(sum(exp(x)))``, shifted by the maximum so that nothing overflows."""
    dtype = _accumulator(x)
    if x.size == 0:
        total = _add(np.exp(x), axis, dtype, None, keepdims)
        return _stored(np.log(total), x.dtype, out)
    top = np.asarray(_maximum(x, axis, None, None, True), dtype)
    shift = np.where(np.isfinite(top), top, 0)  # inf - inf would be NaN
    shifted = np.asarray(np.subtract(x, shift, dtype=dtype))
    np.exp(shifted, out=shifted)
    total = _add(shifted, axis, dtype, None, True)
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
