"""Reading and writing at indices, which may themselves differ from sample to sample."""

from __future__ import annotations

from typing import Any

import numpy as np

from .array import BatchedArray, Level, data_at, empty_like, spread, whole
from .elementwise import aligned

__all__ = ["RULES"]


def _is_array(item: Any) -> bool:
    return hasattr(item, "dtype")


def _complete(index: tuple[Any, ...], ndim: int) -> list[Any]:
    """The index with one entry per axis of the operand, beside the None that add axes."""
    used = sum(
        (i.ndim if _is_array(i) and i.dtype.kind == "b" else 1) for i in index if i is not None and i is not Ellipsis
    )
    items = list(index)
    place = next((k for k, i in enumerate(items) if i is Ellipsis), len(items))
    rest = [slice(None)] * (ndim - used)
    return items[:place] + rest + items[place + 1 :]


def _counted(like: Any, shape: tuple[int, ...]) -> Any:
    """0, 1, 2, ... in a shape, where ``like`` is."""
    from .. import arange

    size = 1
    for n in shape:
        size *= n
    row = empty_like(like, (size,), np.dtype(np.int64))
    arange(row, 0, 1)
    return row.reshape(shape)


def _getitem(kernel: Any, level: Level, x: Any, index: Any) -> Any:
    items = _complete(tuple(index), x.ndim)
    advanced = [k for k, i in enumerate(items) if _is_array(i) or isinstance(i, int)]
    arrays = [items[k] for k in advanced if _is_array(items[k])]
    if not arrays:
        return BatchedArray(kernel(x.data, (slice(None), *items)), level)
    adjacent = advanced[-1] - advanced[0] + 1 == len(advanced)
    before = sum(1 for i in items[: advanced[0]]) if adjacent else 0
    if not any(data_at(a, level) is not None for a in arrays):
        y = kernel(x.data, (slice(None), *items))
        if adjacent:
            return BatchedArray(y, level)
        count = _broadcast_ndim(arrays)
        return BatchedArray(_front(y, count), level)
    if any(a.dtype.kind == "b" for a in arrays):
        if any(data_at(a, level) is not None for a in arrays if a.dtype.kind == "b"):
            raise RuntimeError(next(a for a in arrays if data_at(a, level) is not None).refusal())
        return NotImplemented
    count = _broadcast_ndim(arrays)
    placed = [
        _as_indices(data_at(i, level), count, level)
        if isinstance(i, BatchedArray) and data_at(i, level) is not None
        else i
        for i in items
    ]
    if data_at(x, level) is None:
        y = kernel(x, tuple(placed))
        return BatchedArray(_front(y, before), level)
    rows = _counted(x.data, (level.size, *(1,) * count))
    y = kernel(x.data, (rows, *placed))
    # the indexed axes come first, the batch before them, unless the first index is that of the first axis
    if adjacent and before:
        order = [0, *range(1 + count, 1 + count + before), *range(1, 1 + count), *range(1 + count + before, y.ndim)]
        y = y.transpose(tuple(order))
    return BatchedArray(y, level)


def _as_indices(data: Any, count: int, level: Level) -> Any:
    """Indices of each sample with as many axes as all of them broadcast to."""
    return data.reshape((level.size, *(1,) * (count + 1 - data.ndim), *data.shape[1:]))


def _broadcast_ndim(arrays: list[Any]) -> int:
    return max(1 if a.dtype.kind == "b" else a.ndim for a in arrays)


def _front(y: Any, place: int) -> Any:
    """Axis ``place`` first."""
    if not place:
        return y
    return y.transpose((place, *(i for i in range(y.ndim) if i != place)))


def _written(name: str) -> Any:
    """`setitem` and `scatter_add`: with arrays in the index, through positions in the flattened target."""

    def rule(kernel: Any, level: Level, out: Any, index: Any, value: Any) -> None:
        from .. import add_along_axis, assign, copy, getitem, put_along_axis

        target = out.data
        items = tuple(index)
        if not any(_is_array(i) for i in items):
            if hasattr(value, "dtype"):
                part = kernel_shape(out, items)
                value = aligned(value, level, len(part))
            kernel(target, (slice(None), *_complete(items, out.ndim)), value)
            return
        if any(_is_array(i) and i.dtype.kind == "b" and data_at(i, level) is not None for i in items):
            value = _masked(level, out, items, value)
            if value is not None:
                assign(out, value)
                return
            raise RuntimeError(next(i for i in items if data_at(i, level) is not None).refusal())
        positions = getitem(_counted(target, out.shape), items)
        count = positions.size
        flat = target if target.flags.c_contiguous else copy(target)
        if not hasattr(value, "dtype"):
            from .. import fill

            number, value = value, empty_like(out, ())
            fill(value, number)
        missing = positions.ndim - value.ndim
        if missing < 0:
            value, missing = value.reshape(value.shape[-missing:]), 0
        values = spread(value, level)
        values = values.reshape((level.size, *(1,) * missing, *value.shape))
        values = whole(values, (level.size, *positions.shape)).reshape((level.size, count))
        places = spread(positions, level).reshape((level.size, count))
        write = put_along_axis if name == "setitem" else add_along_axis
        rows = flat.reshape((level.size, out.size))
        write(rows, places, values, 1)
        if flat is not target:
            assign(target, rows.reshape(target.shape))

    return rule


def kernel_shape(out: Any, items: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape of a part of an array, by an index without arrays."""
    shape: tuple[int, ...] = np.broadcast_to(np.empty(()), out.shape)[(*_complete(items, out.ndim), ...)].shape
    return shape


def _masked(level: Level, out: Any, items: tuple[Any, ...], value: Any) -> Any:
    """``out[mask] = number`` is a choice; None if it is something else."""
    from .. import where

    if len(items) != 1 or (hasattr(value, "dtype") and value.ndim):
        return None
    mask = items[0]
    return where(mask.reshape((*mask.shape, *(1,) * (out.ndim - mask.ndim))), value, out)


def _take(kernel: Any, level: Level, x: Any, indices: Any, axis: int) -> Any:
    place = axis % x.ndim
    if data_at(indices, level) is None:
        return BatchedArray(kernel(x.data, indices, place + 1), level)
    if data_at(x, level) is None:
        return BatchedArray(_front(kernel(x, indices.data, place), place), level)
    from .. import take_along_axis

    rows, where_, rest = _as_rows(x.data, indices.data, place + 1)
    y = take_along_axis(rows, where_, 1)
    y = y.reshape((level.size, *indices.shape, *rest))
    order = [0, *range(1 + indices.ndim, 1 + indices.ndim + place), *range(1, 1 + indices.ndim)]
    return BatchedArray(y.transpose((*order, *range(len(order), y.ndim))), level)


def _as_rows(x: Any, indices: Any, axis: int) -> tuple[Any, Any, tuple[int, ...]]:
    """``x`` as (batch, entries, elements of one), the indices to match, and the shape of an entry."""
    moved = x.transpose((0, axis, *(i for i in range(1, x.ndim) if i != axis)))
    rest = moved.shape[2:]
    size = 1
    for n in rest:
        size *= n
    count = 1
    for n in indices.shape[1:]:
        count *= n
    chosen = indices.reshape((indices.shape[0], count, 1))
    rows = moved.reshape((x.shape[0], moved.shape[1], size))
    return rows, whole(chosen, (indices.shape[0], count, size)), rest


def _take_add(kernel: Any, level: Level, out: Any, indices: Any, value: Any, axis: int) -> None:
    place = axis % out.ndim
    if data_at(indices, level) is None:
        kernel(out.data, indices, spread(value, level), place + 1)
        return
    from .. import add_along_axis, assign, copy

    target = out.data
    rows, chosen, _ = _as_rows(target, indices.data, place + 1)
    rows = copy(rows)
    values = spread(value, level)
    count = indices.ndim
    axes = (0, *range(1 + place, 1 + place + count), *range(1, 1 + place), *range(1 + place + count, values.ndim))
    add_along_axis(rows, chosen, values.transpose(axes).reshape(chosen.shape), 1)
    moved = target.transpose((0, place + 1, *(i for i in range(1, target.ndim) if i != place + 1)))
    assign(moved, rows.reshape(moved.shape))


RULES = {
    "getitem": _getitem,
    "setitem": _written("setitem"),
    "scatter_add": _written("scatter_add"),
    "take": _take,
    "take_add": _take_add,
}
