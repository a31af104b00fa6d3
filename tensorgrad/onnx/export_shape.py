"""Nodes of the ops that change shape and order, and that read and write by index."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .alignment import Operand, Size, Step
from .graph import Graph, exports

__all__: list[str] = []


@exports("reshape")
def _reshape(g: Graph, step: Step, x: Operand, shape: tuple[int | Size, ...]) -> str:
    varying = [i for i, n in enumerate(shape) if isinstance(n, Size)]
    if len(varying) == 1 and 0 not in shape:
        return g.reshaped(x, [-1 if isinstance(n, Size) else n for n in shape])
    if 0 in shape:
        return g.op("Reshape", x, g.vector(shape, x), allowzero=1)
    return g.op("Reshape", x, g.vector(shape, x))


@exports("permute_dims")
def _permute_dims(g: Graph, step: Step, x: Operand, axes: tuple[int, ...]) -> str:
    return g.op("Transpose", x, perm=list(axes))


@exports("broadcast_to")
def _broadcast_to(g: Graph, step: Step, x: Operand, shape: tuple[int | Size, ...]) -> str:
    return g.op("Expand", x, g.vector(shape, x))


@exports("concat")
def _concat(g: Graph, step: Step, inputs: tuple[Operand, ...], axis: int) -> str:
    return g.op("Concat", *inputs, axis=axis)


@exports("stack")
def _stack(g: Graph, step: Step, inputs: tuple[Operand, ...], axis: int) -> str:
    return g.op("Concat", *[g.op("Unsqueeze", x, g.integers([axis])) for x in inputs], axis=axis)


@exports("repeat")
def _repeat(g: Graph, step: Step, x: Operand, count: int, axis: int) -> str:
    wide = g.op("Unsqueeze", x, g.integers([axis + 1]))
    wide = g.op("Tile", wide, g.integers([count if a == axis + 1 else 1 for a in range(x.ndim + 1)]))
    (y,) = step.outputs
    return g.op("Reshape", wide, g.vector(y.shape, x))


@exports("split")
def _split(g: Graph, step: Step, x: Operand, axis: int, bounds: tuple[int | Size, ...]) -> list[str]:
    if len(bounds) == 2:
        return [g.op("Identity", x)]
    sizes = [y.shape[axis] for y in step.outputs]
    return g.ops("Split", x, g.vector(sizes, x, *step.outputs[:0]), axis=axis, outputs=len(sizes))


# ---------------------------------------------------------------------------------------------------- slices and views
def _expanded(index: tuple[Any, ...], ndim: int) -> list[Any]:
    """The index with an ellipsis, or what it leaves out at the end, written as slices."""
    used = sum((x.ndim if isinstance(x, Operand) and x.dtype.kind == "b" else 1) for x in index if _consumes(x))
    fill = [slice(None)] * (ndim - used)
    place = next((i for i, x in enumerate(index) if x is Ellipsis), None)
    if place is None:
        return [*index, *fill]
    return [*index[:place], *fill, *index[place + 1 :]]


def _consumes(x: Any) -> bool:
    return x is not None and x is not Ellipsis


def _sliced(g: Graph, x: Operand, items: list[Any]) -> tuple[str, list[int], list[int]]:
    """The slices and whole numbers of an index applied; which axes to drop after it, and where to put new ones."""
    axes: list[int] = []
    starts: list[Any] = []
    ends: list[Any] = []
    steps: list[int] = []
    drop: list[int] = []
    new: list[int] = []
    axis = place = 0
    for item in items:
        if item is None:
            new.append(place)
            place += 1
            continue
        n = x.shape[axis]
        if isinstance(item, slice):
            bounds = _bounds(g, item, n)
            if bounds is not None:
                axes.append(axis)
                for part, parts in zip(bounds, (starts, ends, steps), strict=True):
                    parts.append(part)
            place += 1
        elif isinstance(item, Operand):
            place += 1
        else:
            axes.append(axis)
            starts.append(item)
            ends.append(item + 1 if isinstance(item, int) and item != -1 else _beyond(item))
            steps.append(1)
            drop.append(axis)
        axis += 1
    name = g.name_of(x)
    if axes:
        name = g.op("Slice", name, g.vector(starts, x), g.vector(ends, x), g.integers(axes), g.integers(steps))
    return name, drop, new


def _beyond(item: Any) -> Any:
    if isinstance(item, Size):
        return Size(tuple(n + 1 for n in item.series))
    return np.iinfo(np.int64).max


def _bounds(g: Graph, item: slice, n: int | Size) -> tuple[Any, Any, int] | None:
    """Start, end and step of a slice as ONNX takes them; None for one that takes all."""
    step = 1 if item.step is None else item.step
    g.fixed(step, what="the step of a slice")
    limits = np.iinfo(np.int64)
    start = item.start if item.start is not None else (0 if step > 0 else limits.max)
    stop = item.stop if item.stop is not None else (limits.max if step > 0 else limits.min)
    if step == 1 and start == 0 and stop in (limits.max, n):
        return None
    if isinstance(stop, int) and isinstance(start, int) and step < 0 and not isinstance(n, Size):
        # counted from the end, a stop below -n means before the first
        start, stop, step = slice(item.start, item.stop, step).indices(n)
        stop = limits.min if stop < 0 else stop
    return start, stop, step


@exports("getitem")
def _getitem(g: Graph, step: Step, x: Operand, index: Any) -> str:
    items = _expanded(index if isinstance(index, tuple) else (index,), x.ndim)
    name, drop, new = _sliced(g, x, items)
    if drop:
        name = g.op("Squeeze", name, g.integers(drop))
    if new:
        name = g.op("Unsqueeze", name, g.integers(new))
    return g.op("Identity", x) if name == g.name_of(x) else name


@exports("getitem_advanced")
def _getitem_advanced(g: Graph, step: Step, x: Operand, index: Any) -> str:
    """Slices first, then the indexed axes in front, where GatherND takes them, then the result's axes in order."""
    items = _without_masks(g, _expanded(index if isinstance(index, tuple) else (index,), x.ndim))
    g.fixed([i for i in items if isinstance(i, Size)], what="an index")
    # whole numbers beside arrays are arrays without axes
    items = [np.asarray(i, np.int64) if isinstance(i, int) else i for i in items]
    name, _, new = _sliced(g, x, [slice(None) if _is_array(i) else i for i in items])
    places = [i for i, item in enumerate(items) if _is_array(item)]
    adjacent = places[-1] - places[0] + 1 == len(places)
    arrays = [items[i] for i in places]
    axes = [a for a, item in enumerate(i for i in items if i is not None) if _is_array(item)]
    kept = [a for a in range(x.ndim) if a not in axes]
    width = max(a.ndim for a in arrays)
    if len(arrays) == 1:
        name = g.op("Gather", name, _int64(g, arrays[0]), axis=axes[0])
    else:
        wide = _broadcast(g, [_int64(g, a) for a in arrays], arrays)
        pairs = g.op("Concat", *[g.op("Unsqueeze", a, g.integers([width])) for a in wide], axis=width)
        name = g.op("GatherND", g.permuted(name, [*axes, *kept]), pairs)
        # now the arrays' axes, then those kept; where all arrays stand together, their axes go in their place
        before = len([a for a in kept if a < axes[0]]) if adjacent else 0
        name = g.permuted(
            name, [*range(width, width + before), *range(width), *range(width + before, width + len(kept))]
        )
    return _with_new_axes(g, name, items, places, adjacent, width) if new else name


def _with_new_axes(g: Graph, name: str, items: list[Any], places: list[int], adjacent: bool, width: int) -> str:
    """The axes of length 1 that None asks for, in a result that has the arrays' axes already."""
    found, place = [], 0 if adjacent else width
    for i, item in enumerate(items):
        if _is_array(item):
            if adjacent and i == places[0]:
                place += width
        elif item is None:
            found.append(place)
            place += 1
        else:
            place += 1
    return g.op("Unsqueeze", name, g.integers(found))


def _is_array(x: Any) -> bool:
    return isinstance(x, (Operand, np.ndarray))


def _int64(g: Graph, x: Any) -> str:
    return g.name_of(x) if x.dtype == np.int64 else g.cast(x, np.dtype(np.int64))


def _broadcast(g: Graph, names: list[str], arrays: list[Any]) -> list[str]:
    """Index arrays in their common shape."""
    if all(a.shape == arrays[0].shape for a in arrays):
        return names
    zero = g.number(0, np.int64)
    common = g.op("Mul", names[0], zero)
    for name in names[1:]:
        common = g.op("Add", common, g.op("Mul", name, zero))
    return [g.op("Add", name, common) for name in names]


def _without_masks(g: Graph, items: list[Any]) -> list[Any]:
    """Constant masks as the places where they are true."""
    found: list[Any] = []
    for item in items:
        if isinstance(item, Operand) and item.dtype.kind == "b":
            if item.array is None:
                raise g.error(
                    "a mask that depends on the inputs gives a result whose shape depends on their values; use where() "
                    "in its place"
                )
            found += [np.asarray(places, np.int64) for places in np.nonzero(item.array)]
        else:
            found.append(item)
    return found


# ------------------------------------------------------------------------------------------------------------- writing
@exports("setitem")
def _setitem(g: Graph, step: Step, x: Operand, value: Any, index: Any) -> str:
    """The elements at an index that is a constant, by their places in the flattened array."""
    items = tuple(i.array if isinstance(i, Operand) else i for i in index) if isinstance(index, tuple) else index
    if isinstance(index, tuple) and any(isinstance(i, Operand) and i.array is None for i in index):
        return _written_at(g, step, x, value, index)
    g.fixed(x.shape, what="the shape of a tensor that is written into")
    try:
        places = np.arange(math.prod(x.shape)).reshape(x.shape)[items]
    except (TypeError, IndexError):
        raise g.error("the index depends on the size of a dynamic axis, and ONNX takes constants for it") from None
    flat = g.reshaped(x, (-1,))
    updates = g.op(
        "Expand", value if isinstance(value, Operand) else g.number(value, x.dtype), g.integers(places.shape)
    )
    written = g.op("ScatterND", flat, g.constant(places.reshape(-1, 1).astype(np.int64)), g.reshaped(updates, (-1,)))
    return g.op("Reshape", written, g.integers(x.shape), allowzero=1)


def _written_at(g: Graph, step: Step, x: Operand, value: Any, index: tuple[Any, ...]) -> str:
    """A mask or integer array that depends on the inputs."""
    first: Operand = index[0]
    rest = index[1:]
    if rest and any(i != slice(None) and i is not Ellipsis for i in rest):
        raise g.error("an index of several parts that depends on the inputs has no form in ONNX; use scatter()")
    operand = value if isinstance(value, Operand) else g.number(value, x.dtype)
    if first.dtype.kind == "b":
        if isinstance(value, Operand) and value.ndim:
            raise g.error("a mask that depends on the inputs can be filled with one number only; use where()")
        mask: Any = first
        if first.ndim < x.ndim:
            mask = g.op("Unsqueeze", first, g.integers(range(first.ndim, x.ndim)))
        return g.masked(mask, operand, x)
    shape = (*first.shape, *x.shape[1:])
    updates = g.op("Expand", operand, g.vector(shape, first, x))
    places = g.op("Unsqueeze", _int64(g, first), g.integers([first.ndim]))
    return g.op("ScatterND", x, places, updates)


@exports("kernel.setitem")
def _setitem_in_place(g: Graph, step: Step, x: Operand, index: Any, value: Any) -> str:
    written: str = _setitem(g, step, x, value, index)
    return written


@exports("kernel.assign")
def _assign(g: Graph, step: Step, x: Operand, value: Any) -> str:
    if value.dtype != x.dtype:
        return g.op("Expand", g.cast(value, x.dtype), g.vector(x.shape, x))
    return g.op("Expand", value, g.vector(x.shape, x))


@exports("kernel.fill")
def _fill(g: Graph, step: Step, x: Operand, value: Any) -> str:
    operand = value if isinstance(value, Operand) else g.number(value, x.dtype)
    return g.op("Expand", operand, g.vector(x.shape, x))


# -------------------------------------------------------------------------------------------------------- along an axis
@exports("take")
def _take(g: Graph, step: Step, x: Operand, indices: Operand, axis: int) -> str:
    return g.op("Gather", x, _int64(g, indices), axis=axis)


@exports("embedding")
def _embedding(g: Graph, step: Step, weight: Operand, indices: Operand, *_: Any) -> str:
    return g.op("Gather", weight, _int64(g, indices), axis=0)


@exports("take_along_axis")
def _take_along_axis(g: Graph, step: Step, x: Operand, indices: Operand, axis: int) -> str:
    return g.op("GatherElements", x, _int64(g, indices), axis=axis)


@exports("put_along_axis")
def _put_along_axis(g: Graph, step: Step, x: Operand, values: Operand, indices: Operand, axis: int) -> str:
    return g.op("ScatterElements", x, _int64(g, indices), values, axis=axis)


@exports("scatter_add")
def _scatter_add(g: Graph, step: Step, x: Operand, values: Operand, indices: Operand, axis: int) -> str:
    return g.op("ScatterElements", x, _int64(g, indices), values, axis=axis, reduction="add")


@exports("take_backward")
def _take_backward(g: Graph, step: Step, values: Operand, indices: Operand, axis: int, shape: Any) -> str:
    """Sums by index: slices added up into zeros."""
    if axis != 0:
        raise g.error("sums by index are exported along the first axis only")
    zeros = g.op("Expand", g.number(0, values.dtype), g.vector(shape, values))
    places = g.op("Unsqueeze", _int64(g, indices), g.integers([indices.ndim]))
    return g.op("ScatterND", zeros, places, values, reduction="add")


@exports("diagonal_backward")
def _on_diagonal(g: Graph, step: Step, x: Operand, shape: Any, offset: int, axis1: int, axis2: int) -> str:
    """Zeros behind each element, so that in rows of the matrix's length each is on the diagonal."""
    n, size = x.shape[-1], shape[axis1]
    g.fixed(n, size, what="the size of a matrix that is made of a diagonal")
    if shape[axis2] != size or size != n + abs(offset):
        raise g.error("a diagonal is exported in square matrices only")
    lead = x.ndim - 1
    wide = g.op("Pad", g.op("Unsqueeze", x, g.integers([-1])), g.integers([*(0,) * (2 * lead + 3), size]))
    flat = g.op("Reshape", wide, g.integers([*(0,) * lead, -1]))  # 0 keeps a size
    front = offset if offset >= 0 else -offset * size
    behind = size * size - n * (size + 1) - front  # taken away where it is negative
    whole = g.op("Pad", flat, g.integers([*(0,) * lead, front, *(0,) * lead, behind]))
    matrices = g.op("Reshape", whole, g.integers([*(0,) * lead, size, size]))
    rest = iter(range(lead))
    order = [lead if a == axis1 else lead + 1 if a == axis2 else next(rest) for a in range(lead + 2)]
    return g.op("Transpose", matrices, perm=order)


@exports("diagonal")
def _diagonal(g: Graph, step: Step, x: Operand, offset: int, axis1: int, axis2: int) -> str:
    """The two axes as one, of which elements at equal distances are taken."""
    rows, columns = x.shape[axis1], x.shape[axis2]
    g.fixed(rows, columns, what="the size of a matrix whose diagonal is taken")
    others = [axis for axis in range(x.ndim) if axis not in (axis1, axis2)]
    moved = g.op("Transpose", x, perm=[*others, axis1, axis2])
    flat = g.op("Reshape", moved, g.integers([*(0,) * len(others), -1]))  # 0 keeps a size
    first, count = (
        (offset, min(rows, columns - offset)) if offset >= 0 else (-offset * columns, min(rows + offset, columns))
    )
    return g.op("Gather", flat, g.integers([first + i * (columns + 1) for i in range(max(count, 0))]), axis=len(others))
