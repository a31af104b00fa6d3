"""Sorting and choosing the largest on CUDA, by CUB's stable sort. NaN counts as the largest number."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from .indexing import take_along_axis
from .module import is_half, stored

__all__ = ["argpartition", "argsort", "partition", "ranked_indices", "sort", "topk_indices"]


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
