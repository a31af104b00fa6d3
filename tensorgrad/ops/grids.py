"""Indices and grids of coordinates, and functions along the axes of a tensor."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..errors import integers, is_integer
from ..tensor import Tensor
from .arrangement import meshgrid
from .definition import is_tensor, lift
from .diagonals import diag_indices
from .memory import arange, linspace, ones
from .orders import tril_indices, triu_indices
from .reduction import normalize_axes, single_axis
from .search import nonzero
from .shape import concat, expand_dims, moveaxis, permute_dims, reshape, stack

__all__ = [
    "apply_along_axis", "apply_over_axes", "c_", "diag_indices_from", "einsum_path", "index_exp", "ix_",
    "mask_indices", "mgrid", "ndim", "ogrid", "r_", "rollaxis", "s_", "shape", "size", "tril_indices_from",
    "triu_indices_from",
]  # fmt: skip

s_ = np.s_
index_exp = np.index_exp


def _dtype_of(slices: Sequence[slice]) -> Any:
    whole = all(is_integer(v) or v is None for s in slices for v in (s.start, s.stop, s.step))
    return dtypes.int64 if whole else dtypes.get_default_dtype()


def _line(s: slice, dtype: Any) -> Tensor:
    """The numbers that a slice names; with an imaginary step, so many of them."""
    start = 0 if s.start is None else s.start
    if isinstance(s.step, complex):
        line: Tensor = linspace(start, s.stop, int(abs(s.step)), dtype=dtype)
        return line
    return arange(start, s.stop, 1 if s.step is None else s.step, dtype=dtype)


class _Grid:
    """What ``mgrid`` and ``ogrid`` are: indexed with slices, they give coordinates."""

    def __init__(self, dense: bool) -> None:
        self._dense = dense

    def __getitem__(self, key: Any) -> Any:
        slices = key if isinstance(key, tuple) else (key,)
        if not all(isinstance(s, slice) for s in slices):
            raise TypeError(f"{'mgrid' if self._dense else 'ogrid'}: expected slices, got {key!r}")
        dtype = _dtype_of(slices)
        lines = [_line(s, dtype) for s in slices]
        if not isinstance(key, tuple):
            return lines[0]
        grid = meshgrid(*lines, indexing="ij", sparse=not self._dense)
        return stack(grid, axis=0) if self._dense else tuple(grid)

    def __repr__(self) -> str:
        return "mgrid" if self._dense else "ogrid"


mgrid = _Grid(True)
ogrid = _Grid(False)


class _Joined:
    """What ``r_`` and ``c_`` are: indexed with tensors, numbers and slices, they join them."""

    def __init__(self, axis: int, ndmin: int, place: int) -> None:
        self._how = axis, ndmin, place

    def __getitem__(self, key: Any) -> Any:
        items = key if isinstance(key, tuple) else (key,)
        axis, ndmin, place = self._how
        if isinstance(items[0], str):
            axis, ndmin, place = self._directions(items[0])
            items = items[1:]
        like = next((x for x in items if isinstance(x, Tensor)), None)
        parts = []
        for item in items:
            if isinstance(item, str):
                raise ValueError(f"{self!r}: only the first item may be a string, got {item!r}")
            x = _line(item, _dtype_of([item])) if isinstance(item, slice) else lift(item, like)
            own = 1 if isinstance(item, slice) else x.ndim
            x = x[(None,) * (ndmin - x.ndim)] if x.ndim < ndmin else x
            parts.append(self._placed(x, own, ndmin, place))
        return concat([x if x.ndim else reshape(x, (1,)) for x in parts], axis=axis)

    @staticmethod
    def _placed(x: Any, own: int, ndmin: int, place: int) -> Any:
        """A part with its own axes, of which there are fewer than ``ndmin``, where they are wanted."""
        new = ndmin - own
        if place == -1 or new <= 0:
            return x
        first = place + new + 1 if place < 0 else place
        order = list(range(ndmin))
        return permute_dims(x, tuple(order[:first] + order[new:] + order[first:new]))

    def _directions(self, text: str) -> tuple[int, int, int]:
        try:
            given = [int(word) for word in text.split(",")]
        except ValueError:
            given = []
        if not 1 <= len(given) <= 3:
            raise ValueError(f"{self!r}: a string says 'axis', 'axis,ndmin' or 'axis,ndmin,place', got {text!r}")
        axis, ndmin, place = (*given, *self._how[len(given) :])
        return axis, ndmin, place

    def __repr__(self) -> str:
        return "c_" if self._how[0] == -1 else "r_"


r_ = _Joined(0, 1, -1)
c_ = _Joined(-1, 2, 0)


def ix_(*args: Any) -> tuple[Any, ...]:
    """Index tensors that together pick the elements where the given rows, columns, ... cross.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.reshape(tg.arange(9), (3, 3))
    >>> x[tg.ix_([0, 2], [True, False, True])]
    tensor([[0, 2],
            [6, 8]])
    """
    made = []
    for i, arg in enumerate(args):
        x = lift(arg)
        if x.ndim != 1:
            raise ValueError(f"ix_: sequence {i} must have one axis, got shape {x.shape}")
        if x.dtype.kind == "b":
            (x,) = nonzero(x)
        elif not x.size:
            x = x.astype(dtypes.int64)
        made.append(reshape(x, tuple(-1 if k == i else 1 for k in range(len(args)))))
    return tuple(made)


def diag_indices_from(x: Any, /) -> tuple[Any, ...]:
    """The indices of the main diagonal of a tensor whose axes, two at least, all have one size.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.diag_indices_from(tg.ones(2, 2))
    (tensor([0, 1]), tensor([0, 1]))
    """
    x = lift(x)
    if x.ndim < 2 or len(set(x.shape)) > 1:
        raise ValueError(f"diag_indices_from: needs two axes or more of one size, got shape {x.shape}")
    return tuple(diag_indices(x.shape[0], x.ndim, device=x.device))


def _matrix(name: str, x: Any) -> Any:
    x = lift(x)
    if x.ndim != 2:
        raise ValueError(f"{name}: needs a matrix, got shape {x.shape}")
    return x


def tril_indices_from(x: Any, /, k: int = 0) -> tuple[Any, Any]:
    """Rows and columns of the elements on and below diagonal ``k`` of a matrix.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.tril_indices_from(tg.ones(2, 2))
    (tensor([0, 1, 1]), tensor([0, 0, 1]))
    """
    x = _matrix("tril_indices_from", x)
    return tril_indices(x.shape[0], x.shape[1], k, device=x.device)


def triu_indices_from(x: Any, /, k: int = 0) -> tuple[Any, Any]:
    """Rows and columns of the elements on and above diagonal ``k`` of a matrix.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.triu_indices_from(tg.ones(2, 2), k=1)
    (tensor([0]), tensor([1]))
    """
    x = _matrix("triu_indices_from", x)
    return triu_indices(x.shape[0], x.shape[1], k, device=x.device)


def mask_indices(n: int, mask_func: Callable[..., Any], k: Any = 0) -> tuple[Any, ...]:
    """Rows and columns of what ``mask_func(x, k)`` leaves of an n x n matrix; waits for the device.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.mask_indices(2, tg.triu)
    (tensor([0, 0, 1]), tensor([0, 1, 1]))
    """
    return tuple(nonzero(mask_func(ones(n, n, dtype=dtypes.int64), k) != 0))


def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """What a function of one line gives for each line along an axis, in its place.

    ``func1d`` is called once per line, and may do anything; `tg.func.vmap` calls it once for all.

    Parameters
    ----------
    func1d : callable
        ``func1d(line, *args, **kwargs)`` takes a tensor with one axis; returns a tensor or number, of one shape always.
    axis : int
    arr : Tensor

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.apply_along_axis(lambda x: x[0] + x[-1], 0, tg.tensor([[1, 2], [3, 4], [5, 6]]))
    tensor([6, 8])
    """
    arr = lift(arr)
    place = single_axis("apply_along_axis", axis, arr.ndim)
    lines = moveaxis(arr, place, -1)
    lead = lines.shape[:-1]
    if 0 in lead:
        raise ValueError(f"apply_along_axis: there is no line along axis {axis} of shape {arr.shape}")
    found = [lift(func1d(lines[at], *args, **kwargs)) for at in itertools.product(*map(range, lead))]
    y = reshape(stack(found, axis=0), (*lead, *found[0].shape))
    inner = found[0].ndim
    return moveaxis(y, tuple(range(y.ndim - inner, y.ndim)), tuple(range(place, place + inner))) if inner else y


def apply_over_axes(func: Callable[..., Any], a: Any, axes: int | Sequence[int]) -> Any:
    """``func(a, axis)`` over one axis after the other, each result with the axis kept.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.apply_over_axes(tg.sum, tg.ones(2, 3, 4), [0, 2])
    tensor([[[8.],
             [8.],
             [8.]]])
    """
    a = lift(a)
    ndim = a.ndim
    for place in normalize_axes("apply_over_axes", integers(axes, "axes", "apply_over_axes"), ndim):
        result = lift(func(a, place))
        if result.ndim != ndim:
            result = expand_dims(result, place)
        if result.ndim != ndim:
            raise ValueError(f"apply_over_axes: the function must keep the axes of shape {a.shape} or drop one")
        a = result
    return a


def rollaxis(x: Any, /, axis: int, start: int = 0) -> Any:
    """``x`` with an axis moved in front of the one that is at ``start``; `moveaxis` is easier to read.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.rollaxis(tg.ones(3, 4, 5), 2).shape
    (5, 3, 4)
    """
    x = lift(x)
    place = single_axis("rollaxis", axis, x.ndim)
    if not -x.ndim <= start <= x.ndim:
        raise IndexError(f"rollaxis: start {start} is out of range for shape {x.shape}")
    start = start % x.ndim if start < 0 else start
    return moveaxis(x, place, start - 1 if place < start else start)


def ndim(a: Any, /) -> int:
    """The number of axes of a tensor, or of what would become one.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.ndim([[1, 2]])
    2
    """
    return int((a if is_tensor(a) else lift(a)).ndim)


def shape(a: Any, /) -> tuple[int, ...]:
    """The shape of a tensor, or of what would become one.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.shape([[1, 2]])
    (1, 2)
    """
    return tuple((a if is_tensor(a) else lift(a)).shape)


def size(a: Any, /, axis: int | Sequence[int] | None = None) -> int:
    """The number of elements, or along an axis or several.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.size(tg.ones(2, 3)), tg.size(tg.ones(2, 3), 1)
    (6, 3)
    """
    x = a if is_tensor(a) else lift(a)
    if axis is None:
        return int(x.size)
    return math.prod(x.shape[i] for i in normalize_axes("size", axis, x.ndim))


def einsum_path(subscripts: str, /, *operands: Any, optimize: Any = "greedy") -> tuple[list[Any], str]:
    """In which order `einsum` is best computed, and a table of what that costs: NumPy's, for the operands' shapes.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.einsum_path("ij,jk,kl->il", tg.ones(2, 9), tg.ones(9, 9), tg.ones(9, 2))[0]
    ['einsum_path', (0, 1), (0, 1)]
    """
    shaped = [np.broadcast_to(np.empty(()), shape(x)) for x in operands]
    path, table = np.einsum_path(subscripts, *shaped, optimize=optimize)
    return list(path), str(table)
