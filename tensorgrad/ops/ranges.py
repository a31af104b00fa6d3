"""Numbers in a row by their logarithms, and coordinates of grids."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import Any

from .. import dtypes
from .. import kernels as K
from ..tensor import Tensor
from .arrangement import meshgrid
from .elementwise import exp, multiply, pow
from .memory import arange, cast, empty, eye, full_like, linspace
from .shape import reshape

__all__ = ["fromfunction", "geomspace", "identity", "indices", "logspace"]


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, Tensor) else value


def logspace(
    start: Any,
    stop: Any,
    /,
    num: int = 50,
    endpoint: bool = True,
    base: float = 10.0,
    *,
    dtype: Any = None,
    device: Any = None,
) -> Any:
    """``num`` numbers from ``base**start`` to ``base**stop`` whose logarithms are evenly spaced.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    wanted = dtypes.get_default_dtype() if dtype is None else dtypes.dtype_of(dtype)
    exponents = linspace(start, stop, num, dtype=dtypes.float64, device=device, endpoint=endpoint)
    return cast(pow(full_like(exponents, base), exponents), wanted)


def geomspace(
    start: Any, stop: Any, /, num: int = 50, endpoint: bool = True, *, dtype: Any = None, device: Any = None
) -> Any:
    """``num`` numbers from ``start`` to ``stop``, each the same multiple of the one before.

    Raises
    ------
    ValueError
        If one end is 0, or they have different signs.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.geomspace(1, 8, 4)
    tensor([1., 2., 4., 8.])
    """
    start, stop = float(_number(start)), float(_number(stop))
    if start == 0 or stop == 0 or (start < 0) != (stop < 0):
        raise ValueError(f"geomspace: needs two numbers of one sign other than 0, got {start} and {stop}")
    if num < 0:
        raise ValueError(f"geomspace: num must not be negative, got {num}")
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
        grid = empty(len(sizes), *sizes, dtype=wanted, device=device)
        for k, n in enumerate(sizes):
            row = arange(n, dtype=wanted, device=device)._data
            K.assign(grid._data[k], row.reshape((n, *(1,) * (len(sizes) - k - 1))))
        return grid
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
