"""Sums, means, extrema and their kin over one axis, several or all."""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes
from .. import kernels as K
from ..errors import integer
from ..tensor import Tensor
from .complex_parts import imag_part, real_part
from .definition import Function, alone, lift, primitive
from .elementwise import add, divide, equal, exp, log, multiply, not_equal, sqrt, subtract, where
from .memory import cast, ones_like, zeros_like
from .precision import raised
from .shape import broadcast_to, concat, flip, moveaxis, reshape, squeeze

__all__ = [
    "all", "any", "argmax", "argmin", "count_nonzero", "logsumexp", "max", "mean", "min", "normalize_axes", "prod",
    "single_axis", "spread", "std", "sum", "var",
]  # fmt: skip

Axis = int | tuple[int, ...] | None
_ONE = tuple([(a,) for a in range(8)])
_EVERY = tuple([tuple(range(n)) for n in range(8)])


def normalize_axes(name: str, axis: Any, ndim: int) -> tuple[int, ...]:
    """Axes counted from 0, all of them for None; out of range or twice the same is an error."""
    if axis is None:
        return _EVERY[ndim] if ndim < len(_EVERY) else tuple(range(ndim))
    if axis.__class__ is int and -ndim <= axis < ndim:
        return _ONE[axis % ndim] if ndim <= len(_ONE) else (axis % ndim,)
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    found = []
    for a in axes:
        index = a if a.__class__ is int else integer(a, "axis", name)
        if not -ndim <= index < ndim:
            raise IndexError(f"{name}: axis {index} is out of range for {ndim} axes")
        found.append(index % ndim)
    if len(set(found)) != len(found):
        raise ValueError(f"{name}: axis {axes} names one axis twice")
    return tuple(found)


def single_axis(name: str, axis: Any, ndim: int) -> int:
    """One axis counted from 0; None names the axis of what has one."""
    axes = normalize_axes(name, axis, ndim)
    if len(axes) != 1:
        raise ValueError(f"{name}: axis must be one integer, got {axis!r} for {ndim} axes")
    return axes[0]


def spread(g: Any, x_shape: tuple[int, ...], axis: tuple[int, ...], keepdims: bool) -> Any:
    """A reduced array repeated to the shape before the reduction, as a view."""
    if not keepdims and len(axis) != len(x_shape):
        g = reshape(g, tuple(1 if i in axis else n for i, n in enumerate(x_shape)))
    return broadcast_to(g, x_shape)


summed: Function = primitive(
    "sum",
    K.sum,
    lambda g, x_shape, axis, keepdims: spread(g, x_shape, axis, keepdims),
)


def sum(x: Any, /, axis: Axis = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
    """Sum over ``axis``, all axes by default.

    Booleans and integers narrower than 64 bits are summed in 64.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.sum(tg.ones(2, 3), axis=1)
    tensor([3., 3.])
    """
    x = _accumulated(raised(lift(x)), dtype)
    return summed(x, normalize_axes("sum", axis, x.ndim), keepdims)


def _accumulated(x: Any, dtype: Any) -> Any:
    """The dtype that the standard gives to sums and products."""
    if dtype is not None:
        return cast(x, dtypes.dtype_of(dtype))
    if x.dtype.kind in "bi":
        return cast(x, dtypes.int64)
    return cast(x, dtypes.uint64) if x.dtype.kind == "u" else x


def _count(shape: tuple[int, ...], axis: tuple[int, ...]) -> int:
    return math.prod(shape[a] for a in axis)


def _fractional(x: Any) -> Any:
    """Integers and booleans as the default floating dtype."""
    return cast(x, dtypes.get_default_dtype()) if x.dtype.kind in "biu" else x


_mean: Function = primitive(
    "mean",
    K.mean,
    lambda g, x_shape, axis, keepdims: spread(multiply(g, 1.0 / (_count(x_shape, axis) or 1)), x_shape, axis, keepdims),
)


def mean(x: Any, /, axis: Axis = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
    """Arithmetic mean over ``axis``, all axes by default; NaN where there is nothing to average."""
    x = _fractional(lift(x) if dtype is None else cast(lift(x), dtypes.dtype_of(dtype)))
    return _mean(x, normalize_axes("mean", axis, x.ndim), keepdims)


_prod: Function = primitive(
    "prod",
    K.prod,
    lambda g, x, axis, keepdims: multiply(spread(g, x.shape, axis, keepdims), _product_of_others(x, axis)),
)


def _product_of_others(x: Any, axis: tuple[int, ...]) -> Any:
    """For each element, the product of the others along ``axis``; no division, so right also where elements are 0."""
    if not axis or not x.size:
        return ones_like(x)
    kept = tuple(i for i in range(x.ndim) if i not in axis)
    last = tuple(range(len(kept), x.ndim))
    moved = moveaxis(x, axis, last)
    rows = reshape(moved, (*(x.shape[i] for i in kept), -1))
    others = multiply(_product_before(rows), flip(_product_before(flip(rows, -1)), -1))
    return moveaxis(reshape(others, moved.shape), last, axis)


def _product_before(rows: Any) -> Any:
    """Products of all elements before each one along the last axis, by doubling: log2(n) steps of whole rows."""
    n = rows.shape[-1]
    products = concat([ones_like(rows[..., :1]), rows[..., : n - 1]], -1)
    reach = 1
    while reach < n:
        products = concat([products[..., :reach], multiply(products[..., reach:], products[..., : n - reach])], -1)
        reach *= 2
    return products


def prod(x: Any, /, axis: Axis = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
    """Product over ``axis``, all axes by default; the gradient is exact also where elements are 0."""
    x = _accumulated(raised(lift(x)), dtype)
    return _prod(x, normalize_axes("prod", axis, x.ndim), keepdims)


def _share_among_equals(g: Any, x: Any, out: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """The gradient of an extremum, divided evenly among the elements that attain it."""
    attained = cast(equal(x, spread(out, x.shape, axis, keepdims)), g.dtype)
    share = divide(attained, summed(attained, axis, True))
    return multiply(spread(g, x.shape, axis, keepdims), share)


_max: Function = primitive(
    "max",
    K.max,
    lambda g, x, out, axis, keepdims: _share_among_equals(g, x, out, axis, keepdims),
)
_min: Function = primitive(
    "min",
    K.min,
    lambda g, x, out, axis, keepdims: _share_among_equals(g, x, out, axis, keepdims),
)


def _no_order(name: str, x: Any) -> TypeError:
    return TypeError(f"{name}: complex numbers have no order, got {x.dtype} of shape {x.shape}")


def _nonempty(name: str, x: Any, axis: tuple[int, ...]) -> None:
    if (
        not x.size
        and x.ndim
        and _count(x.shape, axis) == 0
        and math.prod(n for i, n in enumerate(x.shape) if i not in axis)
    ):
        raise ValueError(f"{name}: shape {x.shape} has no elements along axis {axis}")


def max(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Largest element over ``axis``, all axes by default; NaN if there is one.

    Elements that share the maximum share its gradient evenly.
    """
    x = lift(x)
    if x.dtype.kind == "c":
        raise _no_order("max", x)
    axes = normalize_axes("max", axis, x.ndim)
    _nonempty("max", x, axes)
    return _max(x, axes, keepdims)


def min(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Smallest element over ``axis``, all axes by default; NaN if there is one.

    Elements that share the minimum share its gradient evenly.
    """
    x = lift(x)
    if x.dtype.kind == "c":
        raise _no_order("min", x)
    axes = normalize_axes("min", axis, x.ndim)
    _nonempty("min", x, axes)
    return _min(x, axes, keepdims)


_var: Function = primitive(
    "var",
    K.var,
    lambda g, x, axis, keepdims, correction: multiply(
        spread(g, x.shape, axis, keepdims),
        multiply(subtract(x, _mean(x, axis, True)), _twice_over(_count(x.shape, axis) - correction)),
    ),
)


def _twice_over(n: float) -> float:
    return 2.0 / n if n > 0 else math.nan


def var(x: Any, /, axis: Axis = None, *, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Mean squared distance from the mean over ``axis``, divided by ``n - correction``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.var(tg.tensor([1.0, 3.0]), correction=1).item()
    2.0
    """
    x = _fractional(lift(x))
    if x.dtype.kind == "c":
        return add(
            *(var(part, axis, correction=correction, keepdims=keepdims) for part in (real_part(x), imag_part(x)))
        )
    return _var(x, normalize_axes("var", axis, x.ndim), keepdims, correction)


_std: Function = primitive(
    "std",
    K.std,
    lambda g, x, out, axis, keepdims, correction: _std_vjp(g, x, out, axis, keepdims, correction),
)


def _std_vjp(g: Any, x: Any, out: Any, axis: tuple[int, ...], keepdims: bool, correction: float) -> Any:
    """The gradient of a deviation of 0 is taken to be 0, as its distances from the mean are."""
    slope = where(equal(out, 0), zeros_like(out), divide(g, out))
    distance = subtract(x, _mean(x, axis, True))
    return multiply(
        spread(slope, x.shape, axis, keepdims), multiply(distance, _twice_over(_count(x.shape, axis) - correction) / 2)
    )


def std(x: Any, /, axis: Axis = None, *, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Standard deviation: the square root of `var`."""
    x = _fractional(lift(x))
    if x.dtype.kind == "c":
        return sqrt(var(x, axis, correction=correction, keepdims=keepdims))
    return _std(x, normalize_axes("std", axis, x.ndim), keepdims, correction)


_logsumexp: Function = primitive(
    "logsumexp",
    K.logsumexp,
    lambda g, x, out, axis, keepdims: multiply(
        spread(g, x.shape, axis, keepdims), exp(subtract(x, _finite(spread(out, x.shape, axis, keepdims))))
    ),
)


def _finite(out: Any) -> Any:
    """Minus infinity as 0: the softmax of a row of minus infinities is taken to be 0, not NaN."""
    return where(equal(out, -math.inf), zeros_like(out), out)


def logsumexp(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """``log(sum(exp(x)))`` over ``axis`` without overflow, all axes by default."""
    x = _fractional(raised(lift(x)))
    if x.dtype.kind == "c":
        largest = cast(max(real_part(x.detach() if isinstance(x, Tensor) else x), axis, keepdims=True), x.dtype)
        total = log(sum(exp(subtract(x, largest)), axis, keepdims=True))
        y = add(total, largest)
        return y if keepdims else squeeze(y, normalize_axes("logsumexp", axis, x.ndim))
    return _logsumexp(x, normalize_axes("logsumexp", axis, x.ndim), keepdims)


_any: Function = primitive("any", K.any, None)
_all: Function = primitive("all", K.all, None)


def any(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Whether some element over ``axis`` is nonzero."""
    x = lift(x)
    return _any(x, normalize_axes("any", axis, x.ndim), keepdims)


def all(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Whether every element over ``axis`` is nonzero."""
    x = lift(x)
    return _all(x, normalize_axes("all", axis, x.ndim), keepdims)


def count_nonzero(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """How many elements over ``axis`` are not 0."""
    x = lift(x)
    if alone(x):
        array = x._data
        axes = normalize_axes("count_nonzero", axis, array.ndim)
        found = array if array.dtype.kind == "b" else K.not_equal(array, 0)
        return Tensor(K.sum(K.cast(found, dtypes.int64), axes, keepdims))
    return sum(not_equal(x, 0), axis, keepdims=keepdims)


_argmax: Function = primitive("argmax", K.argmax, None)
_argmin: Function = primitive("argmin", K.argmin, None)


def _index_of(name: str, op: Any, x: Any, axis: int | None, keepdims: bool) -> Any:
    x = lift(x)
    if x.dtype.kind == "c":
        raise _no_order(name, x)
    axes = normalize_axes(name, axis, x.ndim)
    if _count(x.shape, axes) == 0:
        raise ValueError(f"{name}: shape {x.shape} has no elements along axis {axis}")
    if axis is not None and len(axes) != 1:
        raise ValueError(f"{name}: axis must be one axis or None, got {axis}")
    return op(x, None if axis is None else axes[0], keepdims)


def argmax(x: Any, /, axis: int | None = None, *, keepdims: bool = False) -> Any:
    """Index (int64) of the first largest element along ``axis``, or in the flattened tensor."""
    return _index_of("argmax", _argmax, x, axis, keepdims)


def argmin(x: Any, /, axis: int | None = None, *, keepdims: bool = False) -> Any:
    """Index (int64) of the first smallest element along ``axis``, or in the flattened tensor."""
    return _index_of("argmin", _argmin, x, axis, keepdims)
