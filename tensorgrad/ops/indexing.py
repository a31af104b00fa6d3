"""Reading and writing parts of a tensor, by slices, masks and integer tensors."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from .. import kernels as K
from ..backend import device_of, empty, is_array
from ..conversion import as_array
from ..kernels.batched.array import BatchedArray
from ..tape import View, grad_mode
from ..tensor import Tensor
from . import reduction
from .definition import Function, lift, primitive
from .elementwise import multiply
from .inplace import become, before, check_writable
from .memory import cast, zeros_like
from .reduction import single_axis
from .shape import broadcast_to, raveled, reshape

__all__ = [
    "embedding", "gather", "getitem", "index_along", "put_along_axis", "replaced", "scatter", "scatter_add", "setitem",
    "sum_at", "sum_by_index", "take", "take_along_axis", "within",
]  # fmt: skip


def _array_of(x: Any) -> Any:
    return x._data if isinstance(x, Tensor) else x


def _in_words(index: Any) -> str:
    """An index for a message: of tensors the shape and dtype, not the values."""
    items = index if isinstance(index, tuple) else (index,)
    parts = [
        f"{x.dtype} tensor of shape {tuple(x.shape)}" if isinstance(x, Tensor) or is_array(x) else repr(x)
        for x in items
    ]
    return f"({', '.join(parts)})" if isinstance(index, tuple) else parts[0]


def _plain_index(x: Any, index: Any) -> tuple[tuple[Any, ...], bool]:
    """The index as a tuple of slices, ints, None, Ellipsis and arrays, and whether it has arrays."""
    if index.__class__ is slice or index.__class__ is int:  # most calls
        return (index,), False
    items = index if isinstance(index, tuple) else (index,)
    array = _array_of(x)
    plain: list[Any] = []
    advanced = False
    for item in items:
        if item.__class__ is slice or item.__class__ is int:
            plain.append(item)
            continue
        if isinstance(item, Tensor):
            if (
                item.dtype.kind in "iu"
                and item.ndim == 0
                and item.device.type == "cpu"
                and not isinstance(item._data, BatchedArray)
            ):
                plain.append(int(item.item()))
                continue
            item = item._data  # noqa: PLW2901
        elif isinstance(item, (list, range)) or (is_array(item) and device_of(item) != device_of(array)):
            item = as_array(item if not isinstance(item, range) else list(item), None, device_of(array))  # noqa: PLW2901
            if not item.size and item.dtype.kind == "f":
                item = K.cast(item, dtypes.int64)  # noqa: PLW2901 - an empty list
        elif isinstance(item, (bool,)):
            item = as_array(item, None, device_of(array))  # noqa: PLW2901
        elif isinstance(item, slice) or item is None or item is Ellipsis:
            plain.append(item)
            continue
        elif hasattr(item, "__index__") and not is_array(item):
            plain.append(item.__index__())
            continue
        if not is_array(item) or item.dtype.kind not in "biu":
            given = f"a {item.dtype} array" if is_array(item) else f"{item!r}"
            raise IndexError(f"index: expected integers, slices, None, ..., or integer or bool tensors, got {given}")
        advanced = True
        plain.append(item)
    return tuple(plain), advanced


def _misfit(x: Any, index: Any, error: Exception) -> IndexError:
    return IndexError(f"index {_in_words(index):.200} does not fit shape {x.shape}: {error}")


def _as_view(index: tuple[Any, ...]) -> tuple[Any, ...]:
    """The index with an ellipsis: without one, NumPy reads a single element as a scalar."""
    return index if Ellipsis in index else (*index, Ellipsis)


_view: Function = primitive(
    "getitem",
    lambda x, index: x[_as_view(index)],
    lambda g, x_shape, index: _placed(g, index, False, x_shape),
    put=lambda x, part, index: _replaced_part(x, part, index),
)


def become_part(part: Tensor, x: Tensor, index: tuple[Any, ...]) -> None:
    """Declare what another op made to be ``x[index]``, in the same memory: writes to either are seen in both."""
    part._become_view(View(x, _view, _replaced_part, (index,)))


def _replaced_part(x: Any, part: Any, index: tuple[Any, ...]) -> Any:
    return _replaced(x, part, index)


_gathered: Function = primitive(
    "getitem_advanced",
    K.getitem,
    lambda g, x_shape, index: _placed(g, index, True, x_shape),
)


def _zeros_with(g: Any, index: tuple[Any, ...], advanced: bool, shape: tuple[int, ...]) -> Any:
    out = empty(shape, g.dtype, device_of(g))
    K.fill(out, 0)
    if advanced:
        K.scatter_add(out, index, g)
    else:
        K.setitem(out, index, g)
    return out


_placed: Function = primitive(
    "getitem_backward",
    _zeros_with,
    lambda h, index, advanced: _gathered(h, index) if advanced else _view(h, index),
)
_placed.__doc__ = "Zeros with ``g`` at an index, added where the index repeats: the gradient of reading there."


def getitem(x: Any, index: Any) -> Any:
    """``x[index]``: a view for slices, integers, None and ``...``; a copy for masks and integer tensors.

    Raises
    ------
    IndexError
        If the index does not fit the shape, naming both.
    """
    if index is True or index is False:  # one more axis, with the whole or with nothing in it
        return getitem(getitem(x, None), slice(0, int(index)))
    plain, advanced = _plain_index(x, index)
    try:
        if advanced:
            return _gathered(x, plain)
        y = _view(x, plain)
    except IndexError as error:
        raise _misfit(x, index, error) from None
    return y


_replaced: Function = primitive(
    "setitem",
    lambda x, value, index: _copy_with(x, value, index),
    lambda g, index: _replaced(g, _zero_for(g), index),
    lambda g, value_shape, index: _with_axes(getitem(g, index), len(value_shape)),
    broadcasts=True,
)


def _with_axes(g: Any, ndim: int) -> Any:
    """As many axes as the value that was written, which may have more of length 1 in front than what it went into."""
    return reshape(g, (*(1,) * (ndim - g.ndim), *g.shape)) if ndim > g.ndim else g


def _zero_for(g: Any) -> Any:
    """A 0-d zero of the dtype and device of ``g``."""
    return zeros_like(reduction.sum(g[(slice(0, 0),) * g.ndim] if g.ndim else g))


def _copy_with(x: Any, value: Any, index: Any) -> Any:
    y = K.copy(x)
    K.setitem(y, index, value)
    return y


def setitem(x: Tensor, index: Any, value: Any) -> None:
    """``x[index] = value``: into the memory if nothing is recorded, else as a new step of the computation."""
    plain, _ = _plain_index(x, index)
    if not isinstance(value, Tensor):
        if x.dtype.kind == "b" and value.__class__ is int and value in (0, 1):
            value = bool(value)
        value = Tensor(value) if is_array(value) else lift(value, x)
    if value.device != x.device and value.ndim:
        raise ValueError(
            f"setitem: the value is on {value.device}, the tensor on {x.device}; move one with .to(device)"
        )
    fits = value.dtype.kind == x.dtype.kind or (dtypes.is_floating(value.dtype) and dtypes.is_floating(x.dtype))
    if not fits and dtypes.promote_types(x.dtype, value.dtype) != x.dtype:
        raise TypeError(f"setitem: a {value.dtype} value cannot be written into a {x.dtype} tensor; use .astype first")
    value = cast(value.to(x.device), x.dtype)
    try:
        if grad_mode.get() and (x._node is not None or value._node is not None):
            check_writable(x, "setitem")
            become(x, _replaced(before(x), value, plain), "setitem")
            return
        K.setitem(x._data, plain, value._data)
        x._written()
    except (IndexError, ValueError) as error:
        raise type(error)(
            f"setitem: value of shape {value.shape} into index {_in_words(index):.200} of {x.shape}: {error}"
        ) from None


# --------------------------------------------------------------------------------------------------- along one axis
_take: Function = primitive(
    "take",
    K.take,
    lambda g, x_shape, indices, axis: _taken_back(g, indices, axis, x_shape),
    None,
)
_taken_back: Function = primitive(
    "take_backward",
    lambda g, indices, axis, shape: _accumulated_into(K.take_add, g, indices, axis, shape),
    lambda h, indices, axis: _take(h, indices, axis),
    None,
)
_along: Function = primitive(
    "take_along_axis",
    K.take_along_axis,
    lambda g, x_shape, indices, axis: _along_back(g, indices, axis, x_shape),
    None,
)
_along_back: Function = primitive(
    "take_along_axis_backward",
    lambda g, indices, axis, shape: _accumulated_into(K.add_along_axis, g, indices, axis, shape),
    lambda h, indices, axis: _along(h, indices, axis),
    None,
)


def _accumulated_into(kernel: Any, g: Any, indices: Any, axis: int, shape: tuple[int, ...]) -> Any:
    out = empty(shape, g.dtype, device_of(g))
    K.fill(out, 0)
    kernel(out, indices, g, axis)
    return out


def _indices(name: str, indices: Any, x: Any) -> Any:
    indices = lift(indices, None if is_array(x) else x) if not isinstance(indices, Tensor) else indices
    if indices.dtype.kind not in "iu":
        raise TypeError(f"{name}: indices must be integers, got {indices.dtype}")
    return indices


def take(x: Any, indices: Any, /, axis: int | None = None) -> Any:
    """The slices of ``x`` at ``indices`` along ``axis``; ``indices`` may have any shape.

    Parameters
    ----------
    axis : int, optional
        None takes from the flattened tensor.
    """
    x = lift(x)
    if axis is None:
        x, axis = raveled(x), 0
    indices = _indices("take", indices, x)
    place = single_axis("take", axis, x.ndim)
    try:
        return _take(x, indices, place)
    except IndexError as error:
        raise IndexError(f"take: {error} (shape {x.shape})") from None


def sum_at(values: Any, indices: Any, axis: int, shape: tuple[int, ...]) -> Any:
    """Zeros of ``shape`` with the slices of ``values`` added where `take` would read them."""
    return _taken_back(values, indices, axis, shape)


def index_along(indices: Any, axis: int) -> tuple[Any, ...]:
    """The index of the slices of one axis."""
    return (*(slice(None),) * axis, indices)


def replaced(x: Any, values: Any, index: tuple[Any, ...], accumulate: bool = False) -> Any:
    """A copy of ``x`` with ``values`` written, or added, at an index, into which they broadcast."""
    plain, advanced = _plain_index(x, index)
    try:
        if not accumulate:
            return _replaced(x, values, plain)
        if not advanced:
            part = _view(x, plain)
            return _replaced(x, part + values, plain)
        shape = _gathered(x.detach() if isinstance(x, Tensor) else x, plain).shape
        return x + _placed(broadcast_to(values, shape), plain, True, x.shape)
    except (IndexError, ValueError) as error:
        raise type(error)(
            f"index: values of shape {values.shape} into index {_in_words(index):.200} of {x.shape}: {error}"
        ) from None


def sum_by_index(values: Any, indices: Any, size: int) -> Any:
    """The slices of ``values`` along axis 0 added up where their ``indices``, below ``size``, are equal."""
    values, indices = lift(values), _indices("sum_by_index", indices, values)
    return _taken_back(values, indices, 0, (size, *values.shape[1:]))


def embedding(indices: Any, weight: Any, padding_idx: int | None = None, scale_grad_by_freq: bool = False) -> Any:
    """The rows of ``weight`` at ``indices``.

    Parameters
    ----------
    indices : Tensor
        Integers of any shape.
    weight : Tensor
        Shape (rows, features).
    padding_idx : int, optional
        A row that gets no gradient.
    scale_grad_by_freq : bool
        Divide the gradient of each row by how often it was looked up.
    """
    weight = lift(weight)
    indices = _indices("embedding", indices, weight)
    if weight.ndim != 2:
        raise ValueError(f"embedding: the weight must have 2 axes (rows, features), got shape {weight.shape}")
    rows = weight.shape[0]
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise ValueError(f"embedding: padding_idx {padding_idx} is out of range for {rows} rows")
    try:
        if padding_idx is None and not scale_grad_by_freq:
            return _take(weight, indices, 0)
        return _embedding(weight, indices, None if padding_idx is None else padding_idx % rows, scale_grad_by_freq)
    except IndexError as error:
        raise IndexError(f"embedding: {error} (weight of shape {weight.shape})") from None


def _row_factors(g: Any, indices: Any, rows: int, padding_idx: int | None, by_frequency: bool) -> Any:
    """What the gradient of each looked-up row is multiplied by, as an array of one column."""
    indices, like = _array_of(indices), _array_of(g)
    factor = empty(indices.shape, like.dtype, device_of(like))
    K.fill(factor, 1)
    if by_frequency:
        ones = K.copy(factor)
        counts = _accumulated_into(K.take_add, ones, indices, 0, (rows,))
        factor = K.divide(ones, K.take(counts, indices, 0))
    if padding_idx is not None:
        factor = K.multiply(factor, K.cast(K.not_equal(indices, padding_idx), factor.dtype))
    return factor.reshape(*factor.shape, 1)


_embedding: Function = primitive(
    "embedding",
    lambda weight, indices, padding_idx, by_frequency: K.take(weight, indices, 0),
    lambda g, weight_shape, indices, padding_idx, by_frequency: _taken_back(
        multiply(g, _row_factors(g, indices, weight_shape[0], padding_idx, by_frequency)), indices, 0, weight_shape
    ),
    None,
)


def take_along_axis(x: Any, indices: Any, /, axis: int = -1) -> Any:
    """``y[i, j] = x[indices[i, j], j]`` for axis 0, and so on; the other axes broadcast."""
    x, indices = lift(x), _indices("take_along_axis", indices, x)
    if x.ndim != indices.ndim:
        raise ValueError(f"take_along_axis: {x.shape} and indices {indices.shape} must have the same number of axes")
    place = single_axis("take_along_axis", axis, x.ndim)
    shape = []
    for i, (n, m) in enumerate(zip(x.shape, indices.shape, strict=True)):
        if i != place and n != m and 1 not in (n, m):
            raise ValueError(f"take_along_axis: {x.shape} and indices {indices.shape} do not broadcast off axis {axis}")
        shape.append(max(n, m) if n and m else 0)
    x = broadcast_to(x, (*shape[:place], x.shape[place], *shape[place + 1 :]))
    indices = broadcast_to(indices, (*shape[:place], indices.shape[place], *shape[place + 1 :]))
    try:
        return _along(x, indices, place)
    except IndexError as error:
        raise IndexError(f"take_along_axis: {error} (shape {x.shape}, axis {axis})") from None


def within(name: str, x: Any, axis: int, index: Any) -> tuple[Any, int]:
    """The part of ``x``, None for all of it, that an index, possibly smaller off the axis, reaches; and the axis."""
    place = single_axis(name, axis, x.ndim)
    shape, other = x.shape, index.shape
    if len(shape) == len(other) and shape[:place] == other[:place] and shape[place + 1 :] == other[place + 1 :]:
        return None, place
    if index.ndim != x.ndim or any(
        m > n for i, (n, m) in enumerate(zip(x.shape, index.shape, strict=True)) if i != place
    ):
        raise ValueError(f"{name}: an index of shape {index.shape} does not fit {x.shape} off axis {axis}")
    part = tuple(slice(None) if i == place else slice(m) for i, m in enumerate(index.shape))
    return part, place


def gather(x: Any, axis: int, index: Any) -> Any:
    """``y[i, j] = x[index[i, j], j]`` for axis 0, and so on; ``index`` may be smaller than ``x`` off the axis."""
    x, index = lift(x), _indices("gather", index, x)
    part, place = within("gather", x, axis, index)
    try:
        return _along(x if part is None else x[part], index, place)
    except IndexError as error:
        raise IndexError(f"gather: {error} (shape {x.shape}, axis {axis})") from None


_put: Function = primitive(
    "put_along_axis",
    lambda x, values, indices, axis: _copy_then(K.put_along_axis, x, indices, values, axis),
    lambda g, indices, axis: _put(g, zeros_like(_along(g, indices, axis)), indices, axis),
    lambda g, indices, axis: _along(g, indices, axis),
    None,
)
_add_at: Function = primitive(
    "scatter_add",
    lambda x, values, indices, axis: _copy_then(K.add_along_axis, x, indices, values, axis),
    lambda g: g,
    lambda g, indices, axis: _along(g, indices, axis),
    None,
)


def _copy_then(kernel: Any, x: Any, indices: Any, values: Any, axis: int) -> Any:
    y = K.copy(x)
    kernel(y, indices, values, axis)
    return y


def _scattered(name: str, op: Any, x: Any, axis: int, index: Any, values: Any) -> Any:
    x, index = lift(x), _indices(name, index, x)
    part, place = within(name, x, axis, index)
    values = cast(lift(values, x), x.dtype)
    if values.ndim and values.shape != index.shape:
        values = values[tuple(slice(n) for n in index.shape)]
    values = broadcast_to(values, index.shape)
    try:
        if part is None:
            return op(x, values, index, place)
        return _replaced(x, op(x[part], values, index, place), part)
    except IndexError as error:
        raise IndexError(f"{name}: {error} (shape {x.shape}, axis {axis})") from None


def scatter(x: Any, axis: int, index: Any, values: Any) -> Any:
    """A copy of ``x`` with ``y[index[i, j], j] = values[i, j]`` for axis 0, and so on."""
    return _scattered("scatter", _put, x, axis, index, values)


def scatter_add(x: Any, axis: int, index: Any, values: Any) -> Any:
    """A copy of ``x`` with ``y[index[i, j], j] += values[i, j]`` for axis 0, and so on; repeated indices add up."""
    return _scattered("scatter_add", _add_at, x, axis, index, values)


def put_along_axis(x: Any, indices: Any, values: Any, /, axis: int) -> Any:
    """A copy of ``x`` with ``values`` where `take_along_axis` would read."""
    return scatter(x, axis, indices, values)
