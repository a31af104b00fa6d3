"""Numbers in a row by their logarithms, and coordinates of grids."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import Any

from .. import dtypes
from .. import kernels as K
from ..backend import empty as empty_array
from ..backend import resolve_device
from ..tensor import Tensor
from .arrangement import meshgrid
from .definition import lift
from .elementwise import add, divide, exp, floor, multiply, pow, subtract
from .memory import arange, cast, eye, full_like, linspace
from .shape import broadcast_arrays, concat, expand_dims, moveaxis, reshape

__all__ = ["between", "fromfunction", "geomspace", "identity", "indices", "logspace"]


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, Tensor) else value


def _has_axes(*values: Any) -> bool:
    return any(getattr(v, "shape", ()) or isinstance(v, list) for v in values)


def _ends(device: Any, *values: Any) -> list[Any]:
    """Numbers and tensors on one device, in the floating dtype in which they meet, broadcast."""
    like = next((v for v in values if isinstance(v, Tensor)), None)
    tensors = [v if isinstance(v, Tensor) else lift(v, like) for v in values]
    dtype = tensors[0].dtype
    for x in tensors[1:]:
        dtype = dtypes.promote_types(dtype, x.dtype)
    if dtype.kind in "biu":
        dtype = dtypes.get_default_dtype()
    return [cast(x if device is None else x.to(device), dtype) for x in broadcast_arrays(*tensors)]


def _steps(x: Any, num: int, endpoint: bool) -> Any:
    """The shares of the way at which the numbers lie, along a new first axis."""
    gaps = num - 1 if endpoint else num
    share = divide(arange(num, dtype=x.dtype, device=x.device), gaps if gaps > 0 else 1)
    return reshape(share, (num, *(1,) * x.ndim))


def _finished(y: Any, stop: Any, num: int, endpoint: bool, dtype: Any, axis: int) -> Any:
    """With the end itself, whatever the rounding, in the wanted dtype and place."""
    if endpoint and num > 1:
        y = concat([y[:-1], expand_dims(stop, 0)], axis=0)
    if dtype is not None:
        wanted = dtypes.dtype_of(dtype)
        y = cast(floor(y) if wanted.kind in "iu" else y, wanted)
    return moveaxis(y, 0, axis)


def between(start: Any, stop: Any, num: int, endpoint: bool, retstep: bool, dtype: Any, axis: int, device: Any) -> Any:
    """`linspace` of ends with axes."""
    start, stop = _ends(device, start, stop)
    way = subtract(stop, start)
    y = add(start, multiply(way, _steps(way, num, endpoint)))
    made = _finished(y, stop, num, endpoint, dtype, axis)
    gaps = num - 1 if endpoint else num
    return (made, divide(way, gaps) if gaps > 0 else full_like(way, math.nan)) if retstep else made


def logspace(
    start: Any,
    stop: Any,
    /,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    *,
    dtype: Any = None,
    axis: int = 0,
    device: Any = None,
) -> Any:
    """``num`` numbers from ``base**start`` to ``base**stop`` whose logarithms are evenly spaced.

    Of tensors with axes, which broadcast, many such rows at once, along ``axis``; they are differentiable.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    if _has_axes(start, stop, base):
        start, stop, base = _ends(device, start, stop, base)
        y = pow(base, between(start, stop, num, endpoint, False, None, 0, device))
        return _finished(y, pow(base, stop), num, False, dtype, axis)
    base = _number(base)
    wanted = dtypes.get_default_dtype() if dtype is None else dtypes.dtype_of(dtype)
    exponents = linspace(start, stop, num, dtype=dtypes.float64, device=device, endpoint=endpoint)
    number = base if isinstance(base, complex) else float(base)
    y = K.power(number, exponents._data)
    return Tensor(y if y.dtype == wanted else K.cast(y, wanted))


def geomspace(
    start: Any,
    stop: Any,
    /,
    num: int = 50,
    endpoint: bool = True,
    *,
    dtype: Any = None,
    axis: int = 0,
    device: Any = None,
) -> Any:
    """``num`` numbers from ``start`` to ``stop``, each the same multiple of the one before.

    Of tensors with axes, which broadcast, many such rows at once, along ``axis``; they are differentiable, and ends of
    different signs, between which there is nothing real, give NaN.

    Raises
    ------
    ValueError
        If one of two numbers is 0, or they have different signs.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.geomspace(1, 8, 4)
    tensor([1., 2., 4., 8.])
    """
    if num < 0:
        raise ValueError(f"geomspace: num must not be negative, got {num}")
    if _has_axes(start, stop) or isinstance(_number(start), complex) or isinstance(_number(stop), complex):
        start, stop = _ends(device, start, stop)
        y = multiply(start, pow(divide(stop, start), _steps(start, num, endpoint)))
        return _finished(y, stop, num, endpoint, dtype, axis)
    start, stop = float(_number(start)), float(_number(stop))
    if start == 0 or stop == 0 or (start < 0) != (stop < 0):
        raise ValueError(f"geomspace: needs two numbers of one sign other than 0, got {start} and {stop}")
    sign = math.copysign(1.0, start)
    wanted = dtypes.get_default_dtype() if dtype is None else dtypes.dtype_of(dtype)
    logs = linspace(
        math.log(abs(start)), math.log(abs(stop)), num, dtype=dtypes.float64, device=device, endpoint=endpoint
    )
    y = multiply(exp(logs), sign)
    if num:  # the ends are exact
        K.fill(y._data[:1], start)
        if endpoint and num > 1:
            K.fill(y._data[-1:], stop)
    return cast(y, wanted)


def identity(n: int, dtype: Any = None, *, device: Any = None) -> Any:
    """The n x n identity matrix."""
    return eye(n, dtype=dtype, device=device)


def indices(dimensions: Sequence[int], dtype: Any = None, sparse: bool = False, *, device: Any = None) -> Any:
    """The index of every element of a grid along each axis, stacked; with ``sparse`` a tuple of axes that broadcast.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.indices((2, 2))
    tensor([[[0, 0],
             [1, 1]],
    <BLANKLINE>
            [[0, 1],
             [0, 1]]])
    """
    sizes = tuple(dimensions)
    wanted = dtypes.int64 if dtype is None else dtypes.dtype_of(dtype)
    if not sparse:
        place = resolve_device(device)
        grid = empty_array((len(sizes), *sizes), wanted, place)
        row = empty_array((max(sizes, default=0),), wanted, place)
        K.arange(row, 0, 1)
        for k, n in enumerate(sizes):
            K.assign(grid[k], row[:n].reshape((n, *(1,) * (len(sizes) - k - 1))))
        return Tensor(grid)
    axes = [
        reshape(arange(n, dtype=wanted, device=device), tuple(n if i == k else 1 for i in builtins.range(len(sizes))))
        for k, n in enumerate(sizes)
    ]
    return tuple(axes)


def fromfunction(
    function: Callable[..., Any], shape: Sequence[int], *, dtype: Any = None, device: Any = None, **kwargs: Any
) -> Any:
    """What a function gives for the indices of all elements of a grid, which it gets as one tensor per axis.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.fromfunction(lambda i, j: i * 10 + j, (2, 2), dtype=int)
    tensor([[ 0,  1],
            [10, 11]])
    """
    wanted = dtypes.get_default_dtype() if dtype is None else dtypes.dtype_of(dtype)
    axes = [arange(n, dtype=wanted, device=device) for n in shape]
    return function(*meshgrid(*axes, indexing="ij"), **kwargs)
