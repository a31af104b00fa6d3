"""Sorting, and choosing the largest or smallest elements."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import kernels as K
from ..errors import integer
from ..tensor import Tensor
from .definition import Function, lift, primitive
from .indexing import take_along_axis
from .reduction import single_axis
from .shape import reshape

__all__ = ["TopK", "argsort", "sort", "topk"]


class TopK(NamedTuple):
    """What `topk` returns."""

    values: Any
    indices: Any


_argsort: Function = primitive("argsort", K.argsort, None)
_sort: Function = primitive("sort", K.sort, None)
_topk_indices: Function = primitive("topk_indices", K.topk_indices, None)


def _checked(name: str, x: Any, axis: int) -> tuple[Any, int]:
    x = lift(x)
    if x.dtype.kind == "c":
        raise TypeError(f"{name}: complex numbers have no order, got {x.dtype}")
    return x, single_axis(name, axis, max(x.ndim, 1))


def argsort(x: Any, /, axis: int = -1, *, descending: bool = False, stable: bool = True) -> Any:
    """Indices (int64) that put ``x`` in order along ``axis``. NaN counts as the largest number.

    Parameters
    ----------
    descending : bool
        Largest first.
    stable : bool
        Whether equal elements must keep their order.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.argsort(tg.tensor([3.0, 1.0, 2.0]))
    tensor([1, 2, 0])
    """
    x, place = _checked("argsort", x, axis)
    if not x.ndim:
        return reshape(argsort(reshape(x, (1,))), ())
    return _argsort(x, place, descending, stable)


def sort(x: Any, /, axis: int = -1, *, descending: bool = False, stable: bool = True) -> Any:
    """The elements in order along ``axis``; differentiable. NaN counts as the largest number.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.sort(tg.tensor([3.0, 1.0, 2.0]), descending=True)
    tensor([3., 2., 1.])
    """
    x, place = _checked("sort", x, axis)
    if not x.ndim:
        return reshape(x, ())
    if isinstance(x, Tensor) and not x.requires_grad:
        return _sort(x, place, descending)  # values alone come several times faster
    return take_along_axis(x, _argsort(x, place, descending, stable), axis=place)


def topk(x: Any, k: int, /, axis: int = -1, largest: bool = True, sorted: bool = True) -> TopK:
    """The ``k`` largest, or smallest, elements along ``axis`` and their indices (int64); differentiable.

    Parameters
    ----------
    k : int
        At most the size of the axis.
    largest : bool
        Largest instead of smallest. NaN counts as the largest number.
    sorted : bool
        In the order of the elements, the k-th last; else in that of the indices.

    Returns
    -------
    TopK
        Named tuple ``(values, indices)``. Of equal elements the first ones are taken.

    Raises
    ------
    ValueError
        If ``k`` is negative or larger than the axis.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> values, indices = tg.topk(tg.tensor([3.0, 1.0, 2.0]), 2)
    >>> values, indices
    (tensor([3., 2.]), tensor([0, 2]))
    """
    x, place = _checked("topk", x, axis)
    n = x.shape[place] if x.ndim else 1
    k = integer(k, "k", "topk")
    if not 0 <= k <= n:
        raise ValueError(f"topk: k must be between 0 and the size {n} of axis {axis} of {x.shape}, got {k}")
    if not x.ndim:
        if k == 0:
            return TopK(reshape(x, (1,))[:0], argsort(reshape(x, (1,)))[:0])
        return TopK(reshape(x, ()), argsort(x))
    indices = _topk_indices(x, k, place, largest, sorted)
    return TopK(take_along_axis(x, indices, axis=place), indices)
