"""Reductions that leave NaNs out; no gradient flows to them."""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes
from .. import kernels as K
from ..tensor import Tensor
from .complex_parts import imag_part, real_part
from .cumulative import cumprod, cumsum
from .definition import Function, alone, lift, on_values, primitive
from .elementwise import add, divide, equal, isnan, maximum, multiply, sqrt, square, subtract, where
from .memory import cast, ones_like, zeros_like
from .reduction import any as any_
from .reduction import argmax, argmin, mean, normalize_axes, prod, spread, sum, summed, var

__all__ = [
    "nanargmax", "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmin", "nanprod", "nanstd", "nansum",
    "nanvar",
]  # fmt: skip

Axis = int | tuple[int, ...] | None


def _shared(g: Any, x: Any, out: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """The gradient of an extremum, divided evenly among the elements that attain it; none where there is no number."""
    attained = cast(equal(x, spread(out, x.shape, axis, keepdims)), g.dtype)
    share = divide(attained, maximum(summed(attained, axis, True), 1.0))
    return multiply(spread(g, x.shape, axis, keepdims), share)


_nanmax: Function = primitive("nanmax", K.nanmax, lambda g, x, out, axis, keepdims: _shared(g, x, out, axis, keepdims))
_nanmin: Function = primitive("nanmin", K.nanmin, lambda g, x, out, axis, keepdims: _shared(g, x, out, axis, keepdims))


_nanvar: Function = primitive("nanvar", K.nanvar, None)


def _filled(x: Any, value: float) -> Any:
    """The elements with ``value`` in place of NaN."""
    x = lift(x)
    if x.dtype.kind in "biu":
        return x
    return where(equal(x, x), x, value)  # 0 in the last place is what the kernel is fastest with


def nansum(x: Any, /, axis: Axis = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
    """`sum` with NaN as 0.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nansum(tg.tensor([1.0, tg.nan, 2.0]))
    tensor(3.)
    """
    return sum(_filled(x, 0), axis, dtype=dtype, keepdims=keepdims)


def nanprod(x: Any, /, axis: Axis = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
    """`prod` with NaN as 1."""
    return prod(_filled(x, 1), axis, dtype=dtype, keepdims=keepdims)


def nancumsum(x: Any, /, axis: int | None = None, dtype: Any = None) -> Any:
    """`cumsum` with NaN as 0."""
    return on_values(lambda x: cumsum(_filled(x, 0), axis, dtype=dtype), lift(x))


def nancumprod(x: Any, /, axis: int | None = None, dtype: Any = None) -> Any:
    """`cumprod` with NaN as 1."""
    return on_values(lambda x: cumprod(_filled(x, 1), axis, dtype=dtype), lift(x))


def _real_dtype(dtype: dtypes.DType) -> dtypes.DType:
    """The dtype of the parts of complex numbers; itself of real ones."""
    if dtype.kind != "c":
        return dtype
    return dtypes.float32 if dtype == dtypes.complex64 else dtypes.float64


def _count(x: Any, axis: Axis, keepdims: bool) -> Any:
    """How many elements are no NaN, in the real dtype that belongs to ``x``."""
    return sum(cast(equal(x, x), _real_dtype(x.dtype)), axis, keepdims=keepdims)


def nanmean(x: Any, /, axis: Axis = None, dtype: Any = None, *, keepdims: bool = False) -> Any:
    """`mean` of what is not NaN; NaN where nothing else is.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nanmean(tg.tensor([1.0, tg.nan, 2.0]))
    tensor(1.5)
    """
    x = lift(x) if dtype is None else cast(lift(x), dtypes.dtype_of(dtype))
    if x.dtype.kind in "biu":
        return mean(x, axis, keepdims=keepdims)
    return on_values(lambda x: divide(nansum(x, axis, keepdims=keepdims), _count(x, axis, keepdims)), x)


def nanvar(x: Any, /, axis: Axis = None, *, correction: float = 0.0, keepdims: bool = False) -> Any:
    """`var` of what is not NaN; NaN where there are not more than ``correction`` elements.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nanvar(tg.tensor([1.0, tg.nan, 3.0]))
    tensor(1.)
    """
    x = lift(x)
    if x.dtype.kind in "biu":
        return var(x, axis, correction=correction, keepdims=keepdims)
    if alone(x) and x.dtype.kind != "c":
        return _nanvar(x, normalize_axes("nanvar", axis, x.ndim), keepdims, correction)
    distance = subtract(_filled(x, 0), nanmean(x, axis, keepdims=True))
    distance = where(equal(x, x), distance, 0.0)
    squares = add(square(real_part(distance)), square(imag_part(distance))) if x.dtype.kind == "c" else square(distance)
    total = sum(squares, axis, keepdims=keepdims)
    left = subtract(_count(x, axis, keepdims), correction)
    return divide(total, where(left > 0, left, math.nan))


def nanstd(x: Any, /, axis: Axis = None, *, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Square root of `nanvar`; the gradient of a deviation of 0 is 0."""
    x = lift(x)
    variance = nanvar(x, axis, correction=correction, keepdims=keepdims)
    if alone(x):
        return sqrt(variance)
    nothing = equal(variance, 0)
    return where(nothing, zeros_like(variance), sqrt(where(nothing, ones_like(variance), variance)))


def _extreme(name: str, op: Function, x: Any, axis: Axis, keepdims: bool) -> Any:
    x = lift(x)
    axes = normalize_axes(name, axis, x.ndim)
    if x.dtype.kind == "c":
        raise TypeError(f"{name}: complex numbers have no order, got {x.dtype}")
    if x.ndim and not math.prod(x.shape[a] for a in axes):
        raise ValueError(f"{name}: shape {x.shape} has no elements along axis {axis}")
    return op(x, axes, keepdims)


def nanmax(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """The largest element over ``axis`` that is not NaN; NaN where nothing else is.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nanmax(tg.tensor([1.0, tg.nan, 2.0]))
    tensor(2.)
    """
    return _extreme("nanmax", _nanmax, x, axis, keepdims)


def nanmin(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """The smallest element over ``axis`` that is not NaN; NaN where nothing else is."""
    return _extreme("nanmin", _nanmin, x, axis, keepdims)


def _index_of(name: str, op: Any, extreme: Any, x: Any, axis: int | None, keepdims: bool) -> Any:
    x = lift(x)
    if x.dtype.kind in "biu":
        return op(x, axis, keepdims=keepdims)
    sought = extreme(x.detach() if isinstance(x, Tensor) else x, axis, keepdims=True)
    if bool(any_(isnan(sought))):
        raise ValueError(f"{name}: there is nothing but NaN along axis {axis} of shape {x.shape}")
    return argmax(equal(x, sought), axis, keepdims=keepdims)


def nanargmax(x: Any, /, axis: int | None = None, *, keepdims: bool = False) -> Any:
    """Index of the first largest element that is not NaN along ``axis``, or in the flattened tensor.

    Raises
    ------
    ValueError
        If there is nothing but NaN, which is found by waiting for the device.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nanargmax(tg.tensor([1.0, tg.nan, 2.0]))
    tensor(2)
    """
    return _index_of("nanargmax", argmax, nanmax, x, axis, keepdims)


def nanargmin(x: Any, /, axis: int | None = None, *, keepdims: bool = False) -> Any:
    """Index of the first smallest element that is not NaN along ``axis`` or of all; see `nanargmax`."""
    return _index_of("nanargmin", argmin, nanmin, x, axis, keepdims)
