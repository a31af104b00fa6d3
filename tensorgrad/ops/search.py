"""Finding elements: those that are not 0, places in sorted rows, membership; and those numbers say how often."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from .. import kernels as K
from ..tensor import Tensor
from .definition import Function, lift, on_values, primitive
from .elementwise import less, logical_not
from .indexing import take_along_axis
from .memory import cast
from .shape import raveled, reshape, stack

__all__ = ["argwhere", "bucketize", "digitize", "flatnonzero", "isin", "nonzero", "searchsorted"]

_nonzero: Function = primitive("nonzero", K.nonzero, None, outputs=2)
_searchsorted: Function = primitive("searchsorted", K.searchsorted, None, None)
_isin: Function = primitive("isin", K.isin, None, None)


def nonzero(x: Any, /) -> tuple[Any, ...]:
    """Indices (int64) of the elements that are not 0, one tensor per axis, in row-major order.

    How many there are depends on the values, so that it waits for the device and cannot be captured by `tg.jit`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nonzero(tg.tensor([[0, 1], [2, 0]]))
    (tensor([0, 1]), tensor([1, 0]))
    """
    x = lift(x)
    if not x.ndim:
        raise ValueError("nonzero: needs at least one axis, got shape (); use reshape(x, (1,))")
    found: tuple[Any, ...] = _nonzero(x)
    return found


def argwhere(x: Any, /) -> Any:
    """Indices of the elements that are not 0, as the rows of a matrix.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.argwhere(tg.tensor([[0, 1], [2, 0]]))
    tensor([[0, 1],
            [1, 0]])
    """
    x = lift(x)
    if not x.ndim:
        return stack(_nonzero(reshape(x, (1,))), axis=1)[:, :0]
    return stack(_nonzero(x), axis=1)


def flatnonzero(x: Any, /) -> Any:
    """Indices of the elements of the flattened tensor that are not 0.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.flatnonzero(tg.tensor([[0, 1], [2, 0]]))
    tensor([1, 2])
    """
    x = lift(x)
    return _nonzero(raveled(x))[0]


def _orderly(name: str, *tensors: Any) -> list[Any]:
    """The operands in one real dtype."""
    dtype = dtypes.result_type(*(x.dtype for x in tensors))
    if dtype.kind == "c":
        raise TypeError(f"{name}: complex numbers have no order, got {dtype}")
    return [cast(x, dtype) for x in tensors]


def searchsorted(x1: Any, x2: Any, /, side: str = "left", sorter: Any = None, *, right: bool | None = None) -> Any:
    """Where the elements of ``x2`` would have to go into ``x1`` so that it stays sorted.

    Parameters
    ----------
    x1 : Tensor
        Sorted along its last axis: of one axis, or with the axes of ``x2`` but for the size of the last.
    x2 : Tensor
    side : {"left", "right"}
        Before or after elements that are equal.
    sorter : Tensor, optional
        Integers of the shape of ``x1`` that put it in order, as from `argsort`.
    right : bool, optional
        Another way to say ``side``.

    Returns
    -------
    Tensor
        int64, of the shape of ``x2``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.searchsorted(tg.tensor([1.0, 2.0, 3.0]), tg.tensor([2.0, 2.5]))
    tensor([1, 2])
    """
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side must be 'left' or 'right', got {side!r}")
    if right is not None and side == "right" and not right:
        raise ValueError("searchsorted: side='right' and right=False contradict each other")
    x1 = lift(x1, x2 if isinstance(x2, Tensor) else None)
    x2 = lift(x2, x1)
    if (x1.ndim != 1 and x1.shape[:-1] != x2.shape[:-1]) or not x1.ndim or (x1.ndim > 1 and x2.ndim != x1.ndim):
        raise ValueError(
            f"searchsorted: x1 must have one axis, or the axes of x2 but for the last; shapes {x1.shape} and {x2.shape}"
        )
    if sorter is not None:
        sorter = lift(sorter)
        if sorter.shape != x1.shape:
            raise ValueError(f"searchsorted: sorter has shape {sorter.shape}, x1 {x1.shape}")
        x1 = take_along_axis(x1, sorter, axis=-1)
    x1, x2 = _orderly("searchsorted", x1, x2)
    return _searchsorted(x1, x2, side == "right" or bool(right))


def bucketize(x: Any, boundaries: Any, /, *, right: bool = False) -> Any:
    """The interval between sorted ``boundaries`` that each element is in.

    It is i for ``boundaries[i-1] < x <= boundaries[i]``.

    Parameters
    ----------
    right : bool
        Intervals include their lower end instead of their upper one: ``boundaries[i-1] <= x < boundaries[i]``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.bucketize(tg.tensor([0.5, 1.0, 2.5]), tg.tensor([1.0, 2.0]))
    tensor([0, 0, 2])
    """
    x = lift(x)
    boundaries = lift(boundaries, x)
    if boundaries.ndim != 1:
        raise ValueError(f"bucketize: boundaries must have one axis, got shape {boundaries.shape}")
    return searchsorted(boundaries, x, side="right" if right else "left")


def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """The bin that each element is in: i for ``bins[i-1] <= x < bins[i]``, or ``bins[i-1] > x >= bins[i]`` for falling
    ``bins``.

    Parameters
    ----------
    bins : Tensor
        One axis, rising or falling. Which, is read from its ends.
    right : bool
        Bins include their upper end instead of their lower one.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.digitize(tg.tensor([0.5, 1.0, 2.5]), tg.tensor([1.0, 2.0]))
    tensor([0, 1, 2])
    """
    x = lift(x)
    bins = lift(bins, x)
    if bins.ndim != 1:
        raise ValueError(f"digitize: bins must have one axis, got shape {bins.shape}")
    n, side = bins.shape[0], "left" if right else "right"
    if n > 1 and bool(on_values(lambda bins: less(bins[-1:], bins[:1]), bins)):
        return n - searchsorted(bins[::-1], x, side=side)
    return searchsorted(bins, x, side=side)


def isin(x1: Any, x2: Any, /, assume_unique: bool = False, invert: bool = False) -> Any:
    """Whether each element of ``x1`` is one of the elements of ``x2``; NaN is none.

    Parameters
    ----------
    invert : bool
        Whether it is not, instead.
    assume_unique : bool
        A promise that neither has an element twice; nothing depends on it.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.isin(tg.arange(4), tg.tensor([1, 3]))
    tensor([False,  True, False,  True])
    """
    x1 = lift(x1, x2 if isinstance(x2, Tensor) else None)
    x2 = lift(x2, x1)
    dtype = dtypes.result_type(x1.dtype, x2.dtype)
    found = _isin(cast(x1, dtype), cast(x2, dtype))
    return logical_not(found) if invert else found
