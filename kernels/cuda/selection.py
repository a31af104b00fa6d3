"""Sorting and choosing the largest on CUDA, by CUB's stable sort. NaN counts as the largest number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cupy
import numpy as np

from ..ranks import between, place, places, virtual_index
from .indexing import take_along_axis
from .module import is_half, stored

__all__ = ["argpartition", "argsort", "lexsort", "partition", "quantiles", "ranked_indices", "sort", "topk_indices"]


def _sortable(x: Any) -> Any:
    """The dtypes that CuPy does not sort as others that hold the same values."""
    if is_half(x.dtype):
        return x.astype(np.float32)
    return x.astype(np.uint8) if x.dtype.kind == "b" else x


def _order(x: Any, axis: int, descending: bool) -> Any:
    if not x.size:
        return cupy.empty(x.shape, np.int64)
    if not descending:
        return cupy.argsort(cupy.ascontiguousarray(x), axis, kind="stable").astype(np.int64, copy=False)
    # backwards through the array and back, so that equal elements keep their order
    return cupy.flip((x.shape[axis] - 1) - _order(cupy.flip(x, axis), axis, False), axis)


def argsort(x: Any, axis: int = -1, descending: bool = False, stable: bool = True, out: Any | None = None) -> Any:
    """Indices (int64) that put ``x`` in order along ``axis``; equal elements keep their order, asked for or not."""
    return stored(cupy.ascontiguousarray(_order(_sortable(x), axis, descending)), out)


def lexsort(arrays: Sequence[Any], axis: int, out: Any | None = None) -> Any:
    """Indices (int64) that put the arrays in order along ``axis``: by the last, where it is equal by the one before."""
    order = argsort(arrays[0], axis)
    for x in arrays[1:]:
        order = take_along_axis(order, argsort(take_along_axis(x, order, axis), axis), axis)
    return stored(order, out)


def sort(x: Any, axis: int = -1, descending: bool = False, out: Any | None = None) -> Any:
    """The elements in order along ``axis``."""
    y = cupy.sort(cupy.ascontiguousarray(_sortable(x)), axis) if x.size else x
    if descending:
        y = cupy.flip(y, axis)
    return stored(cupy.ascontiguousarray(y).astype(x.dtype, copy=not x.size), out)


def partition(x: Any, kth: tuple[int, ...], axis: int = -1, out: Any | None = None) -> Any:
    """The elements such that those at ``kth`` stand where they do in order: here all of them do."""
    return sort(x, axis, False, out)


def argpartition(x: Any, kth: tuple[int, ...], axis: int = -1, out: Any | None = None) -> Any:
    """Indices (int64) of the elements as `partition` arranges them."""
    return argsort(x, axis, False, True, out)


def ranked_indices(x: Any, ranks: Any, axis: int = -1, out: Any | None = None) -> Any:
    """Indices (int64) of the elements that would stand at ``ranks`` if ``x`` were in order along ``axis``."""
    order = _order(cupy.moveaxis(_sortable(x), axis, -1), -1, False)
    if isinstance(ranks, tuple):
        pieces = [order[..., rank : rank + 1] for rank in ranks]
        y = cupy.concatenate(pieces, -1) if pieces else order[..., :0]
    else:
        y = take_along_axis(order, cupy.moveaxis(ranks, axis, -1), -1)
    return stored(cupy.ascontiguousarray(cupy.moveaxis(y, -1, axis)), out)


def quantiles(x: Any, parts: tuple[float, ...], method: str, skip_nan: bool = False, out: Any | None = None) -> Any:
    """The quantiles ``parts`` of the rows on the last axis, along a last axis; NaN of a row that has one.

    With ``skip_nan`` those of the numbers in each row, and NaN where there is none. ``method`` is one of
    `ranks.METHODS`, or "median": the mean of the two in the middle.
    """
    ordered, n = sort(_sortable(x), -1), x.shape[-1]
    y = cupy.empty((*x.shape[:-1], len(parts)), ordered.dtype)
    count = (~cupy.isnan(ordered)).sum(-1).astype(np.int64) if skip_nan else None
    last = ordered[..., n - 1]
    for k, q in enumerate(parts):
        if count is None:
            low, high, gamma = (
                ((n - 1) // 2, n // 2, 0.5) if method == "median" else place(virtual_index(n, q, method), n, method)
            )
            first, second = ordered[..., low], ordered[..., high]
        else:
            if method == "median":
                low, high = cupy.maximum(count - 1, 0) // 2, cupy.minimum(count // 2, cupy.maximum(count - 1, 0))
                gamma = 0.5
            else:
                low, high, gamma = places(cupy, virtual_index(count.astype(np.float64), q, method), count, method)
                gamma = gamma.astype(ordered.dtype)
            first, second = (take_along_axis(ordered, rank[..., None], -1)[..., 0] for rank in (low, high))
        if method != "median":
            value = between(cupy, first, second, gamma)
        else:
            value = cupy.where(first == second, first, (first + second) * 0.5)
        y[..., k] = value if count is not None else cupy.where(cupy.isnan(last), last, value)
    return stored(y.astype(x.dtype, copy=False), out)


def topk_indices(
    x: Any, k: int, axis: int = -1, largest: bool = True, sorted: bool = True, out: Any | None = None
) -> Any:
    """Indices (int64) of the ``k`` largest or smallest elements along ``axis``, of equal ones the first.

    They are in the order of the elements if ``sorted``, else in the order of the indices.
    """
    y = _order(cupy.moveaxis(_sortable(x), axis, -1), -1, largest)[..., :k]
    if not sorted and y.size:
        y = cupy.sort(cupy.ascontiguousarray(y), -1)
    return stored(cupy.ascontiguousarray(cupy.moveaxis(y, -1, axis)), out)
