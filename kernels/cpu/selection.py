"""Sorting and choosing the largest on NumPy. NaN counts as the largest number; equal elements keep their order."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["argpartition", "argsort", "partition", "ranked_indices", "sort", "topk_indices"]

Array = np.ndarray[Any, np.dtype[Any]]


def _sortable(x: Array) -> Array:
    """Half types as float32, which NumPy sorts many times faster."""
    return x.astype(np.float32) if x.dtype.itemsize == 2 and x.dtype.kind not in "iu" else x


def _stored(y: Array, out: Array | None) -> Array:
    if out is None:
        return y
    np.copyto(out, y)
    return out


def _order(x: Array, axis: int, descending: bool, stable: bool) -> Array:
    kind: Any = "stable" if stable else None
    if not descending:
        return np.argsort(x, axis, kind=kind)
    # backwards through the array and back, so that equal elements keep their order
    return np.flip((x.shape[axis] - 1) - np.argsort(np.flip(x, axis), axis, kind=kind), axis)


def argsort(x: Array, axis: int = -1, descending: bool = False, stable: bool = True, out: Array | None = None) -> Array:
    """Indices (int64) that put ``x`` in order along ``axis``; without ``stable``, equal elements in any order."""
    return _stored(np.ascontiguousarray(_order(_sortable(x), axis, descending, stable)), out)


def sort(x: Array, axis: int = -1, descending: bool = False, out: Array | None = None) -> Array:
    """The elements in order along ``axis``."""
    y = np.sort(_sortable(x), axis)
    if descending:
        y = np.flip(y, axis)
    return _stored(np.ascontiguousarray(y, x.dtype), out)


def partition(x: Array, kth: tuple[int, ...], axis: int = -1, out: Array | None = None) -> Array:
    """The elements such that those at ``kth`` stand where they do in order, smaller ones before them."""
    return _stored(np.partition(_sortable(x), kth, axis).astype(x.dtype, copy=False), out)


def argpartition(x: Array, kth: tuple[int, ...], axis: int = -1, out: Array | None = None) -> Array:
    """Indices (int64) of the elements as `partition` arranges them."""
    return _stored(np.argpartition(_sortable(x), kth, axis), out)


def ranked_indices(x: Array, ranks: Any, axis: int = -1, out: Array | None = None) -> Array:
    """Indices (int64) of the elements that would stand at ``ranks`` if ``x`` were in order along ``axis``."""
    x = np.moveaxis(_sortable(x), axis, -1)
    if not isinstance(ranks, tuple):
        rows = np.moveaxis(ranks, axis, -1)
        flat = rows.reshape(-1, rows.shape[-1])
        if len(flat) and (flat == flat[0]).all():
            ranks = tuple(flat[0].tolist())
        else:
            y = np.take_along_axis(_order(x, -1, False, False), rows, -1)
            return _stored(np.ascontiguousarray(np.moveaxis(y, -1, axis)), out)
    n, count = x.shape[-1], len(set(ranks))
    if n < 256 or count > 16 or x.dtype.kind == "b":
        y = _order(x, -1, False, False)[..., list(ranks)]
    else:  # to find the values and then where they are is several times faster than to sort indices
        values = np.partition(x, sorted(set(ranks)), -1)
        y = np.empty((*x.shape[:-1], len(ranks)), np.int64)
        for k, rank in enumerate(ranks):
            value = values[..., rank : rank + 1]
            found = np.equal(x, value)
            if x.dtype.kind == "f" and np.isnan(value).any():
                np.logical_or(found, np.isnan(value) & np.isnan(x), out=found)
            found.argmax(-1, out=y[..., k])
    return _stored(np.ascontiguousarray(np.moveaxis(y, -1, axis)), out)


def topk_indices(
    x: Array, k: int, axis: int = -1, largest: bool = True, sorted: bool = True, out: Array | None = None
) -> Array:
    """Indices (int64) of the ``k`` largest or smallest elements along ``axis``, of equal ones the first.

    They are in the order of the elements if ``sorted``, else in the order of the indices.
    """
    x = np.moveaxis(_sortable(x), axis, -1)
    n = x.shape[-1]
    if n < 512 or k > n // 8 or x.dtype.kind == "b":
        y = _order(x, -1, largest, True)[..., :k]
    else:
        y = np.empty((*x.shape[:-1], k), np.int64)
        for row in np.ndindex(*x.shape[:-1]):
            y[row] = _chosen(x[row], k, largest)
    if not sorted:
        y = np.sort(y, -1)
    return _stored(np.ascontiguousarray(np.moveaxis(y, -1, axis)), out)


def _chosen(x: Array, k: int, largest: bool) -> Array:
    """The indices of one row in the order of its elements: those beyond the k-th element, and the first equal to it."""
    n = len(x)
    limit = np.partition(x, n - k if largest else k - 1)[n - k if largest else k - 1] if k else x[0]
    if not k or np.isnan(limit):  # NaN compares with nothing
        return _order(x, -1, largest, True)[:k]
    beyond = np.flatnonzero(~(x <= limit) if largest else x < limit)
    chosen = np.concatenate([beyond, np.flatnonzero(x == limit)[: k - len(beyond)]])
    chosen.sort()
    return chosen[_order(x[chosen], -1, largest, True)]
