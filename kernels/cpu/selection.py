"""Sorting and choosing the largest on NumPy. NaN counts as the largest number; equal elements keep their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ranks import between, place, places, virtual_index

__all__ = ["argpartition", "argsort", "lexsort", "partition", "quantiles", "ranked_indices", "sort", "topk_indices"]

_LONG = 4096  # elements of a row from which on a stable sort by another way is the faster one

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
    if not descending:
        return _ascending(x, axis, stable)
    # backwards through the array and back, so that equal elements keep their order
    return np.flip((x.shape[axis] - 1) - _ascending(np.flip(x, axis), axis, stable), axis)


def _ascending(x: Array, axis: int, stable: bool) -> Array:
    """Stable sorts of long rows: NumPy's own take half as long again as its sorts that are not stable."""
    n = x.shape[axis]
    if not stable or n < _LONG:
        return np.argsort(x, axis, kind="stable" if stable else None)
    if x.dtype.itemsize == 4 and x.dtype.kind in "fiu" and n < 2**32:
        return _packed_order(x, axis)
    if x.dtype.char == "d":
        y = np.argsort(x, axis)
        ordered = np.moveaxis(np.take_along_axis(x, y, axis), axis, -1)
        tied = ordered[..., 1:] == ordered[..., :-1]
        if not (tied.any() or np.isnan(ordered[..., -1]).any()):
            return y
    return np.argsort(x, axis, kind="stable")


def _packed_order(x: Array, axis: int) -> Array:
    """Sorts numbers of 64 bits that hold an element, so that larger ones are larger, and below it its index."""
    if x.dtype.kind == "f":
        bits = (x + np.float32(0)).view(np.uint32)  # negative zeros equal zeros
        keys = np.where(bits >> 31, ~bits, bits | 0x80000000)
        np.copyto(keys, 0xFFFFFFFF, where=np.isnan(x))
    else:
        keys = x.view(np.uint32) ^ 0x80000000 if x.dtype.kind == "i" else x
    packed = np.moveaxis(keys.astype(np.uint64, order="C"), axis, -1)
    packed <<= np.uint64(32)
    packed |= np.arange(x.shape[axis], dtype=np.uint64)
    packed.sort(-1)
    packed &= np.uint64(0xFFFFFFFF)
    return np.moveaxis(packed, -1, axis).view(np.int64)


def argsort(x: Array, axis: int = -1, descending: bool = False, stable: bool = True, out: Array | None = None) -> Array:
    """Indices (int64) that put ``x`` in order along ``axis``; without ``stable``, equal elements in any order."""
    return _stored(np.ascontiguousarray(_order(_sortable(x), axis, descending, stable)), out)


def lexsort(arrays: Sequence[Array], axis: int, out: Array | None = None) -> Array:
    """Indices (int64) that put the arrays in order along ``axis``: by the last, where it is equal by the one before."""
    return _stored(np.lexsort([_sortable(x) for x in arrays], axis), out)


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


def quantiles(
    x: Array, parts: tuple[float, ...], method: str, skip_nan: bool = False, out: Array | None = None
) -> Array:
    """The quantiles ``parts`` of the rows on the last axis, along a last axis; NaN of a row that has one.

    With ``skip_nan`` those of the numbers in each row, and NaN where there is none. ``method`` is one of
    `ranks.METHODS`, or "median": the mean of the two in the middle.
    """
    values, n = _sortable(x), x.shape[-1]
    if skip_nan:
        missing = np.isnan(values)
        if not missing.any():
            skip_nan = False
        elif x.size == n and not missing.all():
            values, skip_nan = values[~missing].reshape(*x.shape[:-1], -1), False
            n = values.shape[-1]
    if skip_nan:
        return _stored(_quantiles_of_numbers(values, n - missing.sum(-1), parts, method).astype(x.dtype), out)
    y = np.empty((*x.shape[:-1], len(parts)), values.dtype)
    if method == "median":
        chosen = [((n - 1) // 2, n // 2, 0.5)] * len(parts)
    else:
        chosen = [place(virtual_index(n, q, method), n, method) for q in parts]
    if n <= 64:
        ordered = np.sort(values, -1)
    else:
        ordered = np.partition(values, sorted({n - 1}.union(*[(low, high) for low, high, _ in chosen])), -1)
    for k, (low, high, gamma) in enumerate(chosen):
        first = ordered[..., low]
        if low == high:
            y[..., k] = first
        elif method == "median":
            y[..., k] = (first + ordered[..., high]) * 0.5
        else:
            y[..., k] = between(np, first, ordered[..., high], gamma)
    last = ordered[..., -1:]
    if last.dtype.kind == "f":
        missing = np.isnan(last)
        if missing.any():
            np.copyto(y, last, where=missing)
    return _stored(y.astype(x.dtype, copy=False), out)


def _quantiles_of_numbers(x: Array, count: Array, parts: tuple[float, ...], method: str) -> Array:
    """`quantiles` of rows that hold numbers of their own count each, and NaN."""
    ordered, y = np.sort(x, -1), np.empty((*x.shape[:-1], len(parts)), x.dtype)
    for k, q in enumerate(parts):
        if method == "median":
            low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, np.maximum(count - 1, 0))
        else:
            low, high, gamma = places(np, virtual_index(count.astype(np.float64), q, method), count, method)
        first, second = (np.take_along_axis(ordered, rank[..., None], -1)[..., 0] for rank in (low, high))
        if method == "median":
            y[..., k] = np.where(first == second, first, (first + second) * 0.5)
        else:
            y[..., k] = between(np, first, second, gamma.astype(x.dtype))
    return y


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
