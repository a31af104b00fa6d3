"""Distinct elements, and what two tensors have in common as sets.

How many elements a result has depends on the values: these functions wait for the device, and `tg.jit` cannot capture
them. Values carry a gradient, to the first of the elements that are equal.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import dtypes
from .. import kernels as K
from ..tensor import Tensor
from .cumulative import cumsum, diff, part
from .definition import Function, alone, lift, primitive
from .elementwise import equal, logical_and, logical_not, not_equal, subtract
from .indexing import take
from .memory import cast, ones
from .reduction import any as any_
from .reduction import single_axis
from .search import flatnonzero, isin
from .selection import sort
from .shape import concat, moveaxis, raveled, reshape

__all__ = [
    "UniqueAll", "UniqueCounts", "UniqueInverse", "intersect1d", "setdiff1d", "setxor1d", "union1d", "unique",
    "unique_all", "unique_consecutive", "unique_counts", "unique_inverse", "unique_values",
]  # fmt: skip


class UniqueAll(NamedTuple):
    """What `unique_all` returns."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCounts(NamedTuple):
    """What `unique_counts` returns."""

    values: Any
    counts: Any


class UniqueInverse(NamedTuple):
    """What `unique_inverse` returns."""

    values: Any
    inverse_indices: Any


_unique: Function = primitive("unique", K.unique, None, outputs=2)


def _distinct(x: Any, index: bool, inverse: bool, counts: bool, equal_nan: bool, axis: int | None = None) -> list[Any]:
    """Values, indices, inverse indices and counts, those that are wanted."""
    recorded = isinstance(x, Tensor) and x.requires_grad
    found: list[Any] = list(_unique(x, index or recorded, inverse, counts, equal_nan, axis))
    if recorded:
        found[0] = take(x if axis is not None else raveled(x), found[1], axis=axis or 0)
        if not index:
            del found[1]
    return found


def unique(
    x: Any,
    /,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
) -> Any:
    """The distinct elements in order, or the distinct slices along ``axis``.

    Parameters
    ----------
    return_index : bool
        Also return where each one is found first.
    return_inverse : bool
        Also return, for each element of ``x``, its place among the distinct ones.
    return_counts : bool
        Also return how often each occurs.
    axis : int, optional
        Compare slices instead of elements.
    equal_nan : bool
        Whether NaNs count as equal.

    Returns
    -------
    Tensor or tuple of Tensor

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.unique(tg.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    x = lift(x)
    place = None if axis is None else single_axis("unique", axis, x.ndim)
    found = _distinct(x, return_index, return_inverse, return_counts, equal_nan, place)
    return tuple(found) if len(found) > 1 else found[0]


def unique_all(x: Any, /) -> UniqueAll:
    """The distinct elements in order, where they are first found, the place of each element among them, and counts.

    NaNs count as different.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.unique_all(tg.tensor([3, 1, 3])).indices
    tensor([1, 0])
    """
    return UniqueAll(*_distinct(lift(x), True, True, True, False))


def unique_counts(x: Any, /) -> UniqueCounts:
    """The distinct elements in order and how often each occurs; NaNs count as different.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.unique_counts(tg.tensor([3, 1, 3])).counts
    tensor([1, 2])
    """
    return UniqueCounts(*_distinct(lift(x), False, False, True, False))


def unique_inverse(x: Any, /) -> UniqueInverse:
    """The distinct elements in order and the place of each element among them; NaNs count as different.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.unique_inverse(tg.tensor([3, 1, 3])).inverse_indices
    tensor([1, 0, 1])
    """
    return UniqueInverse(*_distinct(lift(x), False, True, False, False))


def unique_values(x: Any, /) -> Any:
    """The distinct elements in order; NaNs count as different.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.unique_values(tg.tensor([3, 1, 3]))
    tensor([1, 3])
    """
    return _distinct(lift(x), False, False, False, False)[0]


def unique_consecutive(
    x: Any, /, *, return_inverse: bool = False, return_counts: bool = False, axis: int | None = None
) -> Any:
    """The elements, or slices along ``axis``, without those that equal the one before; NaN equals nothing.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.unique_consecutive(tg.tensor([1, 1, 3, 1]), return_counts=True)
    (tensor([1, 3, 1]), tensor([2, 1, 1]))
    """
    given = lift(x)
    x = raveled(given) if axis is None else given
    place = single_axis("unique_consecutive", axis or 0, x.ndim)
    n = x.shape[place]
    rows = reshape(moveaxis(x, place, 0), (n, x.size // n if n else 0))
    changes = any_(not_equal(part(rows, 0, 1, None), part(rows, 0, 0, max(n - 1, 0))), 1)
    fresh = concat([ones(min(n, 1), dtype=bool, device=given.device), changes]) if n else changes
    starts = flatnonzero(fresh)
    found = [take(x, starts, axis=place)]
    if return_inverse:
        inverse = subtract(cumsum(fresh), 1)
        found.append(reshape(inverse, given.shape) if axis is None else inverse)
    if return_counts:
        found.append(diff(starts, append=n))
    return tuple(found) if len(found) > 1 else found[0]


def _flat(name: str, *tensors: Any) -> list[Any]:
    """The operands flattened, in one dtype."""
    lifted = [lift(x) for x in tensors]
    dtype = lifted[0].dtype
    for x in lifted[1:]:
        dtype = dtypes.promote_types(dtype, x.dtype)
    return [cast(x, dtype) if x.ndim == 1 else reshape(cast(x, dtype), (x.size,)) for x in lifted]


_set_values: Function = primitive("set_values", K.set_values, None, None, outputs=2)


def union1d(x1: Any, x2: Any, /) -> Any:
    """The distinct elements of both, in order.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.union1d(tg.tensor([3, 1]), tg.tensor([1, 2]))
    tensor([1, 2, 3])
    """
    first, second = _flat("union1d", x1, x2)
    return _set_values(first, second, "union")[0] if alone(first, second) else unique(concat([first, second]))


def intersect1d(x1: Any, x2: Any, /, assume_unique: bool = False, return_indices: bool = False) -> Any:
    """The distinct elements that are in both, in order.

    Parameters
    ----------
    assume_unique : bool
        A promise that neither has an element twice; nothing depends on it.
    return_indices : bool
        Also return where they are found first in ``x1`` and in ``x2``, flattened.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.intersect1d(tg.tensor([3, 1, 2]), tg.tensor([2, 3]))
    tensor([2, 3])
    """
    first, second = _flat("intersect1d", x1, x2)
    if not return_indices and alone(first, second):
        return _set_values(first, second, "intersection")[0]
    if not return_indices:
        both = sort(concat([unique(first), unique(second)]))  # what both have stands there twice
        return take(both, flatnonzero(equal(both[1:], both[:-1])))
    values, where1 = unique(first, return_index=True)
    others, where2 = unique(second, return_index=True)
    kept = flatnonzero(isin(values, others))
    return take(values, kept), take(where1, kept), take(where2, flatnonzero(isin(others, values)))


def setdiff1d(x1: Any, x2: Any, /, assume_unique: bool = False) -> Any:
    """The distinct elements of ``x1`` that are not in ``x2``, in order; as they come if ``assume_unique``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.setdiff1d(tg.tensor([3, 1, 2]), tg.tensor([2]))
    tensor([1, 3])
    """
    first, second = _flat("setdiff1d", x1, x2)
    if not assume_unique and alone(first, second):
        return _set_values(first, second, "difference")[0]
    values = first if assume_unique else unique(first)
    return take(values, flatnonzero(isin(values, second, invert=True)))


def setxor1d(x1: Any, x2: Any, /, assume_unique: bool = False) -> Any:
    """The distinct elements that are in exactly one of the two, in order.

    Parameters
    ----------
    assume_unique : bool
        A promise that neither has an element twice; nothing depends on it.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.setxor1d(tg.tensor([3, 1, 2]), tg.tensor([2, 4]))
    tensor([1, 3, 4])
    """
    first, second = _flat("setxor1d", x1, x2)
    if alone(first, second):
        return _set_values(first, second, "exclusive")[0]
    joined = concat([unique(first), unique(second)])
    shared = logical_and(isin(joined, first), isin(joined, second))
    return unique(take(joined, flatnonzero(logical_not(shared))))
