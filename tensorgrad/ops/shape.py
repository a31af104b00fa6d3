"""Changing shape and order without changing values. Most results are views of their input's memory."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from .. import kernels as K
from ..backend import broadcast_view, is_array
from ..errors import axis_index, integers
from ..tape import on_arrays
from ..tensor import Tensor
from .definition import Function, lift, primitive, variadic
from .memory import cast, clone

__all__ = [
    "broadcast_arrays", "broadcast_to", "concat", "expand_dims", "flatten", "flip", "matrix_transpose", "moveaxis",
    "permute_dims", "reshape", "squeeze", "stack", "swapaxes", "unstack",
]  # fmt: skip


_reshape: Function = primitive(
    "reshape",
    lambda x, shape: x.reshape(shape),
    lambda g, x_shape: reshape(g, x_shape),
    put=lambda x, part, shape: reshape(part, x.shape),
)


def reshape(x: Any, /, shape: Any = (), *more: Any, copy: bool | None = None) -> Any:
    """The same elements, in C order, in another shape; one size may be -1.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.reshape(tg.arange(6), (2, -1))
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    if not isinstance(x, Tensor):
        x = lift(x)
    array = x._data if isinstance(x, Tensor) else x
    wanted = (shape, *more) if more or hasattr(shape, "__index__") else shape  # reshape(x, 2, 3) means (2, 3)
    try:
        sizes = tuple([n if n.__class__ is int else n.__index__() for n in wanted])
    except (AttributeError, TypeError):
        sizes = integers(wanted, "shape", "reshape")
    size, count = array.size, math.prod(sizes)
    if -1 in sizes:
        if sizes.count(-1) > 1 or count == 0 or size % -count:
            raise ValueError(f"reshape: {x.shape} ({size} elements) cannot become {sizes}")
        sizes = tuple([size // -count if n == -1 else n for n in sizes])
        count = size
    if count != size or (sizes and min(sizes) < 0):
        raise ValueError(f"reshape: {x.shape} ({size} elements) cannot become {sizes}")
    viewable = array.flags.c_contiguous or _viewable_again(array.shape, array.strides, sizes)
    if copy is False and not viewable:
        raise ValueError(f"reshape: copy=False, but this tensor of shape {x.shape} is not contiguous")
    if copy or not viewable:  # then the result is a view of the copy
        x = clone(x)
    return _reshape(x, sizes)


def raveled(x: Any) -> Any:
    """The elements in one axis: ``x`` itself if it has one."""
    return x if x.ndim == 1 else reshape(x, (x.size,))


def _viewable(shape: tuple[int, ...], strides: tuple[int, ...], sizes: tuple[int, ...]) -> bool:
    """Whether an array that is not contiguous can be seen in another shape, as when its last axis is split."""
    runs: list[tuple[int, int]] = []  # neighbouring axes that lie in memory like one: elements, and bytes between them
    for n, stride in zip(shape, strides, strict=True):
        if runs and runs[-1][1] == n * stride:
            runs[-1] = runs[-1][0] * n, stride
        elif n != 1:
            runs.append((n, stride))
    left = 1  # elements of the current run that the axes so far leave for the next ones
    rest = iter(runs)
    for n in sizes:
        if n == 1:
            continue
        if left == 1:
            left = next(rest)[0]
        if left % n:
            return False
        left //= n
    return True


_viewable_again = functools.lru_cache(1024)(_viewable)


def flatten(x: Any, start_axis: int = 0, end_axis: int = -1) -> Any:
    """The axes from ``start_axis`` to ``end_axis`` as one."""
    x = lift(x)
    if not x.ndim:
        return reshape(x, (1,))
    first, last = _axis("flatten", start_axis, x.ndim), _axis("flatten", end_axis, x.ndim)
    if first > last:
        raise ValueError(f"flatten: axis {start_axis} comes after axis {end_axis}")
    return reshape(x, (*x.shape[:first], math.prod(x.shape[first : last + 1]), *x.shape[last + 1 :]))


_axis = axis_index


permuted: Function = primitive(
    "permute_dims",
    lambda x, axes: x.transpose(axes),
    lambda g, axes: permuted(g, _inverse(axes)),
    put=lambda x, part, axes: permuted(part, _inverse(axes)),
)


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axes.index(i) for i in range(len(axes)))


def permute_dims(x: Any, /, axes: Sequence[int]) -> Any:
    """The axes in another order: axis i of the result is axis ``axes[i]`` of ``x``."""
    x = lift(x)
    given = axes if isinstance(axes, (tuple, list)) else integers(axes, "axes", "permute_dims")
    order = tuple(_axis("permute_dims", a, x.ndim) for a in given)
    if sorted(order) != list(range(x.ndim)):
        raise ValueError(f"permute_dims: axes {tuple(axes)} are not an order of the {x.ndim} axes of shape {x.shape}")
    return permuted(x, order)


def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int], /) -> Any:
    """The axes ``source`` at the places ``destination``, the others in order between them."""
    x = lift(x)
    sources = [_axis("moveaxis", a, x.ndim) for a in integers(source, "source", "moveaxis")]
    places = [_axis("moveaxis", a, x.ndim) for a in integers(destination, "destination", "moveaxis")]
    if len(sources) != len(places) or len(set(sources)) != len(sources) or len(set(places)) != len(places):
        raise ValueError(f"moveaxis: cannot move axes {source} to {destination}")
    order = [a for a in range(x.ndim) if a not in sources]
    for place, a in sorted(zip(places, sources, strict=True)):
        order.insert(place, a)
    return permuted(x, tuple(order))


def swapaxes(x: Any, axis1: int, axis2: int, /) -> Any:
    """Two axes exchanged."""
    if not isinstance(x, Tensor):
        x = lift(x)
    order = _swapped if axis1.__class__ is axis2.__class__ is int else _swapped.__wrapped__
    return permuted(x, order(x.ndim, axis1, axis2))


@functools.lru_cache(256)
def _swapped(ndim: int, axis1: int, axis2: int) -> tuple[int, ...]:
    a, b = _axis("swapaxes", axis1, ndim), _axis("swapaxes", axis2, ndim)
    order = [*range(ndim)]
    order[a], order[b] = b, a
    return tuple(order)


def matrix_transpose(x: Any, /) -> Any:
    """The last two axes exchanged."""
    x = lift(x)
    if x.ndim < 2:
        raise ValueError(f"matrix_transpose: needs at least 2 axes, got shape {x.shape}")
    return swapaxes(x, -1, -2)


def expand_dims(x: Any, /, axis: int | tuple[int, ...] = 0) -> Any:
    """New axes of size 1 at the places ``axis`` of the result."""
    if not isinstance(x, Tensor):
        x = lift(x)
    shape = x.shape
    if axis.__class__ is int:  # most calls
        place = _axis("expand_dims", axis, len(shape) + 1)
        return _reshape(x, (*shape[:place], 1, *shape[place:]))
    axes = axis if isinstance(axis, tuple) else (axis,)
    places = {_axis("expand_dims", a, x.ndim + len(axes)) for a in axes}
    if len(places) != len(axes):
        raise ValueError(f"expand_dims: axis {axes} names one place twice")
    sizes = iter(x.shape)
    return _reshape(x, tuple(1 if i in places else next(sizes) for i in range(x.ndim + len(axes))))


def squeeze(x: Any, /, axis: int | tuple[int, ...] | None = None) -> Any:
    """Without the given axes, which must have size 1; None takes all of those."""
    x = lift(x)
    if axis.__class__ is int:  # most calls
        shape = x.shape
        place = _axis("squeeze", axis, len(shape))
        if shape[place] != 1:
            raise ValueError(f"squeeze: axis {place} of shape {shape} has size {shape[place]}, not 1")
        return _reshape(x, shape[:place] + shape[place + 1 :])
    if axis is None:
        axes = {i for i, n in enumerate(x.shape) if n == 1}
    else:
        axes = {_axis("squeeze", a, x.ndim) for a in (axis if isinstance(axis, tuple) else (axis,))}
        wrong = [a for a in sorted(axes) if x.shape[a] != 1]
        if wrong:
            raise ValueError(f"squeeze: axis {wrong[0]} of shape {x.shape} has size {x.shape[wrong[0]]}, not 1")
    return _reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in axes))


def _not_writable(x: Any, part: Any, shape: tuple[int, ...]) -> Any:
    raise RuntimeError(f"a tensor of shape {x.shape} broadcast to {shape} cannot be written: its elements share memory")


_broadcast: Function = primitive(
    "broadcast_to", lambda x, shape: broadcast_view(x, shape), lambda g: g, put=_not_writable, broadcasts=True
)


def broadcast_to(x: Any, /, shape: Sequence[int]) -> Any:
    """``x`` repeated, without copying, to a shape that it broadcasts to."""
    x = lift(x)
    wanted = shape if type(shape) is tuple else integers(shape, "shape", "broadcast_to")
    if wanted == x.shape:
        return x
    size = x.shape
    if size:
        fits = all(n in (1, m) for n, m in zip(reversed(size), reversed(wanted), strict=False))
        fits = fits and len(wanted) >= len(size)
    else:
        fits = True
    if not fits:
        raise ValueError(f"broadcast_to: shape {x.shape} cannot be broadcast to {wanted}")
    try:
        return _broadcast(x, wanted)
    except TypeError:
        integers(wanted, "shape", "broadcast_to")  # says so if that is why
        raise


def broadcast_arrays(*arrays: Any) -> list[Any]:
    """All tensors broadcast to their common shape."""
    tensors = [lift(x) for x in arrays]
    try:
        shape = np.broadcast_shapes(*(x.shape for x in tensors))
    except ValueError:
        shapes = ", ".join(str(x.shape) for x in tensors)
        raise ValueError(f"broadcast_arrays: shapes {shapes} cannot be broadcast together") from None
    return [broadcast_to(x, shape) for x in tensors]


def _pieces(g: Any, needs: tuple[bool, ...], shapes: tuple[tuple[int, ...], ...], axis: int) -> list[Any]:
    """The part of ``g`` that belongs to each of the joined tensors, as views."""
    parts = []
    start = 0
    for needed, shape in zip(needs, shapes, strict=True):
        stop = start + shape[axis]
        parts.append(g[(slice(None),) * axis + (slice(start, stop),)] if needed else None)
        start = stop
    return parts


_concat: Function = variadic("concat", K.concat, _pieces)


def _joined(arrays: Sequence[Any], axis: int) -> Any:
    shape = arrays[0].shape
    shape = (*shape[:axis], 1, *shape[axis:])
    return K.concat([x.reshape(shape) for x in arrays], axis)


def _slices(g: Any, needs: tuple[bool, ...], axis: int) -> list[Any]:
    before = (slice(None),) * axis
    return [g[(*before, i, ...)] if needed else None for i, needed in enumerate(needs)]


_stack: Function = variadic("stack", _joined, _slices)


def _are_alike(arrays: Sequence[Any]) -> bool:
    """Whether they are plain arrays of one dtype; their kernel sees whether they fit."""
    if not arrays or isinstance(arrays[0], Tensor) or not is_array(arrays[0]):
        return False
    kind, dtype = arrays[0].__class__, arrays[0].dtype
    return all(x.__class__ is kind and x.dtype is dtype for x in arrays)


def _common(name: str, arrays: Sequence[Any]) -> list[Any]:
    tensors = [x if isinstance(x, Tensor) else lift(x) for x in arrays]
    if not tensors:
        raise ValueError(f"{name}: needs at least one tensor")
    first = tensors[0].dtype
    for x in tensors:
        if x.dtype is not first:
            break
    else:
        return tensors
    dtype = dtypes.result_type(*[x.dtype for x in tensors])
    return [cast(x, dtype) for x in tensors]


def concat(arrays: Sequence[Any], /, axis: int | None = 0) -> Any:
    """The tensors one after another along ``axis``; None joins them flattened.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.concat([tg.zeros(2), tg.ones(1)])
    tensor([0., 0., 1.])
    """
    if on_arrays.get() and axis is not None and _are_alike(arrays):
        return _concat(arrays, _axis("concat", axis, arrays[0].ndim))
    tensors = _common("concat", arrays)
    if axis is None:
        tensors, axis = [reshape(x, (-1,)) for x in tensors], 0
    shape = tensors[0].shape
    place = _axis("concat", axis, len(shape))
    for x in tensors:
        other = x.shape
        if other != shape and (
            len(other) != len(shape) or other[:place] != shape[:place] or other[place + 1 :] != shape[place + 1 :]
        ):
            shapes = ", ".join(str(x.shape) for x in tensors)
            raise ValueError(f"concat: shapes {shapes} differ off axis {axis}")
    return _concat(tensors, place)


def stack(arrays: Sequence[Any], /, axis: int = 0) -> Any:
    """The tensors, all of one shape, along a new axis."""
    tensors = _common("stack", arrays)
    shape = tensors[0].shape
    for x in tensors:
        if x.shape != shape:
            raise ValueError(f"stack: shapes {', '.join(str(x.shape) for x in tensors)} differ")
    place = _axis("stack", axis, len(shape) + 1)
    return _stack(tensors, place)


def unstack(x: Any, /, axis: int = 0) -> tuple[Any, ...]:
    """The slices along ``axis``, without it."""
    x = lift(x)
    place = _axis("unstack", axis, x.ndim)
    return tuple(x[(slice(None),) * place + (i,)] for i in range(x.shape[place]))


def flip(x: Any, /, axis: int | tuple[int, ...] | None = None) -> Any:
    """The order along ``axis``, by default along every axis, reversed."""
    x = lift(x)
    axes = range(x.ndim) if axis is None else integers(axis, "axis", "flip")
    turned = {_axis("flip", a, x.ndim) for a in axes}
    return x[tuple(slice(None, None, -1) if i in turned else slice(None) for i in range(x.ndim))]
