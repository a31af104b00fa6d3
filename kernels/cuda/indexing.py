"""Gather and scatter on CUDA. Where indices repeat, the adding kernels accumulate, in an order that does not vary.

An index out of range reads zero or writes nothing, and is raised by `errors.check` at the next synchronisation.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import cupy
import numpy as np

from .elementwise import where
from .errors import flag_pointer
from .module import FLOATS, INTEGERS, aligned, blocks, by_value, c_name, from_number, is_half, launch
from .reduction import collapsed
from .sorting import sort_keys

__all__ = [
    "INSTANTIATIONS",
    "add_along_axis",
    "bincount",
    "getitem",
    "put_along_axis",
    "reduce_along_axis",
    "scatter_add",
    "setitem",
    "take",
    "take_add",
    "take_along_axis",
]

_WORDS = {1: "unsigned char", 2: "unsigned short", 4: "unsigned int", 8: "unsigned long long", 16: "Pack<unsigned int>"}
_INDICES = ("int", "long long")
INSTANTIATIONS = {
    "indexing": [
        *(f"move_rows<{w}, {i}, {b}>" for w in _WORDS.values() for i in _INDICES for b in ("false", "true")),
        *(f"make_keys<{i}>" for i in _INDICES),
        *(f"{kernel}<{t}>" for kernel in ("add_runs", "add_carried") for t in ("bool", *INTEGERS, *FLOATS)),
    ]
}
_DIMS = 4  # as in indexing.cu


class _Target(NamedTuple):
    """Where rows lie in an array: its axes as those before the indexed ones, the indexed ones, those after."""

    view: Any
    pre: int  # number of axes before
    indexed: int  # number of indexed axes
    indices: list[Any]  # one integer array per indexed axis
    shape: tuple[int, ...]  # of the result: pre axes, broadcast indices, post axes
    ready: bool = False  # whether indices[0] holds keys already


def _integers(index: Any) -> Any:
    """An index array as int32 or int64."""
    if index.dtype.kind not in "iu":
        raise IndexError(f"index arrays must be of integer or boolean dtype, not {index.dtype}")
    return index if index.dtype in (np.int32, np.int64) else index.astype(np.int64)


class _NewAxis(NamedTuple):
    """What a mask without axes is: an index into a new axis of length 1, as a 1-d array of no or one zero."""

    index: Any


def _expanded(x: Any, index: tuple[Any, ...]) -> list[Any]:
    """The index with ellipsis and missing axes written out, masks as integer arrays and arrays on the device."""
    given = [cupy.asarray(item) if isinstance(item, (list, np.ndarray)) else item for item in index]
    used = sum(_axes_used(item) for item in given)
    if used > x.ndim:
        raise IndexError(f"too many indices: {used} for an array of {x.ndim} axes")
    rest = [slice(None)] * (x.ndim - used)
    items: list[Any] = []
    axis = 0  # of x: the next one
    for item in given:
        if item is Ellipsis:
            items.extend(rest or [Ellipsis])  # one that stands for no axis still keeps arrays apart
            axis += len(rest)
            continue
        if not hasattr(item, "dtype") or isinstance(item, np.generic):
            items.append(item if item is None or isinstance(item, slice) else int(item))
        elif item.dtype.kind != "b":
            items.append(_integers(item))
        elif not item.ndim:
            items.append(_NewAxis(cupy.nonzero(item.reshape(1))[0]))
        elif item.shape != x.shape[axis : axis + item.ndim]:
            raise IndexError(
                f"boolean index of shape {item.shape} does not match shape {x.shape[axis : axis + item.ndim]} "
                f"of axes {axis} to {axis + item.ndim - 1}"
            )
        else:
            items.extend(cupy.nonzero(item))  # how many there are is known to the host only after waiting
        axis += _axes_used(item)
    return items if Ellipsis in [i for i in given if not hasattr(i, "dtype")] else items + rest


def _axes_used(item: Any) -> int:
    """How many axes of the array an item of an index is for."""
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if getattr(getattr(item, "dtype", None), "kind", "") == "b" else 1


def _target(x: Any, index: tuple[Any, ...]) -> _Target:
    """Split an index with arrays in it into a view and its indexed axes, by NumPy's rules."""
    items = _expanded(x, index)
    selected = [None if isinstance(i, _NewAxis) else slice(None) if hasattr(i, "dtype") else i for i in items]
    view = x[tuple(selected)]
    items = [item.index if isinstance(item, _NewAxis) else item for item in items]
    advanced = [i for i, item in enumerate(items) if hasattr(item, "dtype") or isinstance(item, int)]
    indices = [item for item in items if hasattr(item, "dtype")]
    axes, axis, before = [], 0, 0  # of the view: the indexed axes, the next one, those before the first indexed
    for position, item in enumerate(items):
        if position == advanced[0]:
            before = axis
        if hasattr(item, "dtype"):
            axes.append(axis)
        axis += not isinstance(item, int) and item is not Ellipsis
    if advanced[-1] - advanced[0] + 1 != len(advanced):  # apart from each other: their axes come first
        before = 0
    others = [a for a in range(view.ndim) if a not in axes]
    view = view.transpose([*others[:before], *axes, *others[before:]])
    try:
        common = np.broadcast_shapes(*(i.shape for i in indices))
    except ValueError:
        shapes = " and ".join(str(i.shape) for i in indices)
        raise IndexError(f"index arrays of shapes {shapes} do not broadcast together") from None
    indices = [cupy.ascontiguousarray(cupy.broadcast_to(i, common)) for i in indices]
    shape = (*view.shape[:before], *common, *view.shape[before + len(axes) :])
    return _Target(view, before, len(axes), indices, shape)


def _axis_target(x: Any, indices: Any, axis: int) -> _Target:
    """The same for one index array on one axis."""
    axis %= x.ndim
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    return _Target(x, axis, 1, [cupy.ascontiguousarray(_integers(indices))], shape)


def _keys(target: _Target) -> Any:
    """Positions among the indexed axes, as int64; the product of their lengths where an index is out of range."""
    if target.ready:
        return target.indices[0]
    lengths = target.view.shape[target.pre : target.pre + target.indexed]
    keys = None
    for index, n in zip(target.indices, lengths, strict=True):
        keys = _make_keys(index, keys, n, index.size, 1, math.prod(lengths))
    return keys


def _make_keys(index: Any, before: Any, limit: int, span: int, inner: int, bad: int) -> Any:
    keys = cupy.empty(index.shape, np.int64)
    arguments = (index, before, keys, keys.size, limit, span, inner, bad, flag_pointer())
    launch("indexing", f"make_keys<{c_name(index.dtype)}>", (blocks(keys.size, 256),), (256,), arguments)
    return keys


class _Plan(NamedTuple):
    """A `_Target` in numbers, for kernels: the three parts of the axes, collapsed."""

    pre: list[tuple[int, int]]
    key: list[tuple[int, int]]
    post: list[tuple[int, int]]
    rows: int

    @property
    def fits(self) -> bool:
        return max(len(self.pre), len(self.key), len(self.post)) <= _DIMS

    @property
    def columns(self) -> int:
        return math.prod(n for n, _ in self.pre + self.post)

    def widened(self, factor: int) -> _Plan:
        """The plan in words of ``factor`` elements; the last axis must be contiguous."""
        pre, key, post = ([(n, s // factor) for n, s in part] for part in self[:3])
        post[-1] = (self.post[-1][0] // factor, 1)
        return _Plan(pre, key, post, self.rows)

    def struct(self) -> Any:
        numbers = [math.prod(n for n, _ in self.pre), self.rows, math.prod(n for n, _ in self.post)]
        numbers.append(math.prod(n for n, _ in self.key))
        for part in self[:3]:
            padded = [(1, 0)] * (_DIMS - len(part)) + part
            numbers += [len(part), *(n for n, _ in padded), *(s for _, s in padded)]
        return by_value(*numbers)


def _plan(target: _Target) -> _Plan:
    view, size = target.view, target.view.dtype.itemsize
    parts = []
    for begin, end in (
        (0, target.pre),
        (target.pre, target.pre + target.indexed),
        (target.pre + target.indexed, view.ndim),
    ):
        parts.append(collapsed(view.shape[begin:end], tuple(s // size for s in view.strides[begin:end])))
    return _Plan(parts[0], parts[1], parts[2], target.indices[0].size)


def _word(plan: _Plan, view: Any, packed: Any) -> int:
    """How many elements of a row can move as one word."""
    size = view.dtype.itemsize
    if not plan.post or plan.post[-1][1] != 1:
        return 1
    strides = [s for _, s in plan.pre + plan.key + plan.post[:-1]]
    for width in (16, 8, 4, 2):
        factor: int = width // size
        divisible = factor > 1 and all(n % factor == 0 for n in (plan.post[-1][0], *strides))
        if divisible and aligned((view, packed), width):
            return factor
    return 1


def _move(target: _Target, packed: Any, write: bool) -> None:
    """Copy rows between the target and ``packed``, which is contiguous and of the target's shape and dtype."""
    if not packed.size:
        return
    plan = _plan(target)
    if not plan.fits:
        whole = cupy.ascontiguousarray(target.view)
        _move(target._replace(view=whole), packed, write)
        if write:
            target.view[...] = whole
        return
    if len(target.indices) == 1 and not target.ready:
        index, flag = target.indices[0], flag_pointer()
    else:
        index, flag = _keys(target), None
    factor = _word(plan, target.view, packed)
    count = packed.size // factor
    expression = (
        f"move_rows<{_WORDS[packed.dtype.itemsize * factor]}, {c_name(index.dtype)}, {'true' if write else 'false'}>"
    )
    numbers = (plan.widened(factor) if factor > 1 else plan).struct()
    grid = (blocks(count, 256, 1 << 20),)
    launch("indexing", expression, grid, (256,), (target.view, index, packed, numbers, flag))


def _read(target: _Target, out: Any) -> Any:
    direct = out is not None and out.flags.c_contiguous and out.dtype == target.view.dtype and out.shape == target.shape
    packed = out if direct else cupy.empty(target.shape, target.view.dtype)
    if not target.view.size and packed.size:
        raise IndexError(f"cannot read {packed.size} elements by index from an empty array")
    _move(target, packed, False)
    if out is None or direct:
        return packed
    cupy.copyto(out, packed, casting="unsafe")
    return out


def _packed(value: Any, target: _Target) -> Any:
    """``value`` as a contiguous array of the target's shape and dtype."""
    dtype = target.view.dtype
    value = value.astype(dtype, copy=False) if hasattr(value, "dtype") else from_number(value, dtype)
    while value.ndim > len(target.shape) and value.shape[0] == 1:
        value = value[0]
    return cupy.ascontiguousarray(cupy.broadcast_to(value, target.shape))


def _add(target: _Target, value: Any) -> None:
    view = target.view
    if view.dtype.kind == "c":
        value = value if hasattr(value, "dtype") else from_number(value, view.dtype)
        _add(target._replace(view=view.real), value.real)
        if value.dtype.kind == "c":
            _add(target._replace(view=view.imag), value.imag)
        return
    packed = _packed(value, target)
    if not packed.size:
        return
    plan = _plan(target)
    if not plan.fits:
        whole = cupy.ascontiguousarray(view)
        _add(target._replace(view=whole), packed)
        view[...] = whole
        return
    keys, positions = sort_keys(_keys(target).reshape(-1), math.prod(n for n, _ in plan.key))
    name, tiles, columns = c_name(view.dtype), blocks(plan.rows, 32), plan.columns
    carried = cupy.empty((2, tiles, columns), np.float32 if is_half(view.dtype) else view.dtype)
    across = 1
    while across < 128 and across < columns:
        across *= 2
    grid, block = (blocks(tiles, 128 // across), blocks(columns, across)), (across, 128 // across)
    numbers = plan.struct()
    launch(
        "indexing", f"add_runs<{name}>", grid, block, (view, packed, keys, positions, carried[0], carried[1], numbers)
    )
    if tiles > 1:
        launch("indexing", f"add_carried<{name}>", grid, block, (view, keys, carried[0], carried[1], numbers))


def _has_arrays(index: tuple[Any, ...]) -> bool:
    return any(isinstance(i, (list, np.ndarray)) or hasattr(i, "__cuda_array_interface__") for i in index)


def getitem(x: Any, index: tuple[Any, ...], out: Any | None = None) -> Any:
    """``x[index]`` with at least one array among the indices, as a fresh array."""
    if _has_arrays(index):
        return _read(_target(x, index), out)
    if out is None:
        return x[index].copy(order="C")
    cupy.copyto(out, x[index], casting="unsafe")
    return out


def _is_mask(out: Any, index: tuple[Any, ...], value: Any) -> bool:
    """Whether the assignment is ``out[mask] = scalar``, which needs no index arrays and so no waiting."""
    return (
        len(index) == 1
        and getattr(getattr(index[0], "dtype", None), "kind", "") == "b"
        and index[0].ndim <= out.ndim
        and getattr(value, "ndim", 0) == 0
    )


def setitem(out: Any, index: tuple[Any, ...], value: Any) -> None:
    """``out[index] = value``. Where an index repeats, one of the values is stored."""
    if not _has_arrays(index):
        cupy.copyto(out[index], value, casting="unsafe")
    elif _is_mask(out, index, value):
        mask = cupy.asarray(index[0])
        if mask.shape != out.shape[: mask.ndim]:
            raise IndexError(f"a mask of shape {mask.shape} does not fit an array of shape {out.shape}")
        value = value.astype(out.dtype, copy=False) if hasattr(value, "dtype") else value
        where(mask.reshape(mask.shape + (1,) * (out.ndim - mask.ndim)), value, out, out=out)
    else:
        target = _target(out, index)
        _move(target, _packed(value, target), True)


def scatter_add(out: Any, index: tuple[Any, ...], value: Any) -> None:
    """``out[index] += value``, adding again for every repetition of an index."""
    if _has_arrays(index):
        _add(_target(out, index), value)
    else:
        view = out[index]
        cupy.add(view, value, out=view, casting="unsafe")


def take(x: Any, indices: Any, axis: int, out: Any | None = None) -> Any:
    """Slices of ``x`` along ``axis``."""
    return _read(_axis_target(x, indices, axis), out)


def take_add(out: Any, indices: Any, value: Any, axis: int) -> None:
    """Add slices of ``value`` to the slices of ``out`` that `take` would read."""
    _add(_axis_target(out, indices, axis), value)


def _along_target(x: Any, indices: Any, axis: int, shape: tuple[int, ...]) -> _Target:
    """Every element of ``shape`` as a row of one element, its key counted over all axes of ``x``."""
    axis %= x.ndim
    n = x.shape[axis]
    full = (*shape[:axis], n, *shape[axis + 1 :])
    whole = x if x.shape == full else cupy.broadcast_to(x, full)
    index = cupy.ascontiguousarray(cupy.broadcast_to(_integers(indices), shape))
    inner = math.prod(shape[axis + 1 :])
    keys = _make_keys(index, None, n, max(shape[axis] * inner, 1), max(inner, 1), whole.size)
    return _Target(whole, 0, x.ndim, [keys], shape, True)


def _along_shape(x: Any, indices: Any, axis: int) -> tuple[int, ...]:
    """The shape of ``indices``, broadcast against ``x`` off the axis."""
    axis %= x.ndim
    shape = list(np.broadcast_shapes(*([n for a, n in enumerate(s) if a != axis] for s in (x.shape, indices.shape))))
    shape.insert(axis, indices.shape[axis])
    return tuple(shape)


def take_along_axis(x: Any, indices: Any, axis: int, out: Any | None = None) -> Any:
    """``y[i, j] = x[indices[i, j], j]`` for axis 0, and so on; other axes broadcast."""
    return _read(_along_target(x, indices, axis, _along_shape(x, indices, axis)), out)


def put_along_axis(out: Any, indices: Any, value: Any, axis: int) -> None:
    """Write where `take_along_axis` would read."""
    target = _along_target(out, indices, axis, _along_shape(out, indices, axis))
    _move(target, _packed(value, target), True)


def add_along_axis(out: Any, indices: Any, value: Any, axis: int) -> None:
    """Add where `take_along_axis` would read."""
    axis %= out.ndim
    reached = out[tuple(slice(None) if a == axis else slice(n) for a, n in enumerate(indices.shape))]
    _add(_along_target(reached, indices, axis, indices.shape), value)


def reduce_along_axis(out: Any, indices: Any, value: Any, axis: int, operation: str) -> None:
    """Multiply, or take the extremum, with what is where `take_along_axis` would read; NaN is every extremum.

    Values are put in the order of their places, those of one place are combined by doubling, and the last of each place
    is written: nothing depends on the order of threads.
    """
    if not value.size:
        return
    axis %= out.ndim
    reached = out[tuple(slice(None) if a == axis else slice(n) for a, n in enumerate(indices.shape))]
    target = _along_target(reached, indices, axis, indices.shape)
    combine = {"prod": cupy.multiply, "amax": cupy.maximum, "amin": cupy.minimum}[operation]
    size = reached.size
    keys, positions = sort_keys(target.indices[0].reshape(-1), size)
    values = cupy.ascontiguousarray(value).reshape(-1)[positions]
    if is_half(out.dtype):
        values = values.astype(np.float32)
    reach = 1
    while reach < values.size:
        same = keys[reach:] == keys[:-reach]
        values = cupy.concatenate(
            [values[:reach], where(same, combine(values[reach:], values[:-reach]), values[reach:])]
        )
        reach *= 2
    last = cupy.concatenate([keys[1:] != keys[:-1], cupy.ones(1, bool)])
    places = where(last & (keys < size), keys, from_number(size, keys.dtype))  # one place more, for the others
    found, touched = cupy.empty(size + 1, values.dtype), cupy.zeros(size + 1, bool)
    found[places] = values
    touched[places] = True
    before = cupy.ascontiguousarray(reached).reshape(-1).astype(values.dtype, copy=False)
    after = where(touched[:size], combine(before, where(touched[:size], found[:size], before)), before)
    reached[...] = after.reshape(reached.shape).astype(out.dtype, copy=False)


def bincount(x: Any, size: int, weights: Any = None, out: Any | None = None) -> Any:
    """How often each integer from 0 to below ``size`` occurs in ``x``, or the sums of the weights of each."""
    dtype = np.dtype(np.int64) if weights is None else weights.dtype
    y = cupy.zeros(size, dtype)
    if x.size:
        take_add(y, x.reshape(-1), from_number(1, dtype) if weights is None else weights.reshape(-1), 0)
    if out is None:
        return y
    cupy.copyto(out, y, casting="unsafe")
    return out
