"""Views by sizes and strides of memory, as PyTorch's: strides and offsets count elements."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import device_of, offset_in_memory, strided_view
from ..conversion import as_array
from ..kernels.batched.array import BatchedArray
from ..tensor import Tensor
from .definition import Function, lift, primitive
from .indexing import replaced, sum_by_index, take
from .memory import cast, empty
from .shape import permute_dims, reshape

__all__ = [
    "as_strided", "as_strided_scatter", "contiguous_strides", "empty_permuted", "empty_strided", "new_empty_strided",
    "storage_offset", "stride",
]  # fmt: skip

Sizes = tuple[int, ...]


def contiguous_strides(size: Sizes) -> Sizes:
    """The strides of an array in C order."""
    steps, step = [], 1
    for n in reversed(size):
        steps.append(step)
        step *= max(n, 1)
    return tuple(reversed(steps))


def _places(size: Sizes, strides: Sizes, offset: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Where in memory the elements of a view lie, in C order."""
    places = np.full((), offset, np.int64)
    for n, step in zip(size, strides, strict=True):
        places = places[..., None] + np.arange(n, dtype=np.int64) * step
    return places.reshape(-1)


def _elements(shape: Sizes, own: Sizes, size: Sizes, strides: Sizes, offset: int) -> Any:
    """Of every element of a view, which element of the tensor it is, in C order; -1 for memory between them."""
    mine, wanted = _places(shape, own, 0), _places(size, strides, offset)
    if not mine.size:
        return np.full(wanted.shape, -1, np.int64)
    first, last = int(mine.min()), int(mine.max())
    which = np.full(last - first + 1, -1, np.int64)
    which[mine - first] = np.arange(mine.size)
    inside = (wanted >= first) & (wanted <= last)
    return np.where(inside, which[np.where(inside, wanted - first, 0)], -1)


def _on_device_of(x: Any, values: Any) -> Any:
    array = as_array(values, None, x.device if isinstance(x, Tensor) else device_of(x))
    return Tensor(array) if isinstance(x, Tensor) else array


def _flat(x: Any) -> Any:
    return reshape(x, (x.size,))


def _summed(g: Any, shape: Sizes, size: Sizes, strides: Sizes, offset: int, own: Sizes) -> Any:
    """The elements of a view added to those of the tensor that they are."""
    which = _elements(shape, own, size, strides, offset)
    known = np.flatnonzero(which >= 0)
    g = _flat(g)
    if known.size < which.size:
        g = take(g, _on_device_of(g, known))
    return reshape(sum_by_index(g, _on_device_of(g, which[known]), int(np.prod(shape))), shape)


def _overlaps(size: Sizes, strides: Sizes) -> bool:
    """Whether a view has two elements at one place."""
    reach = 0
    for step, n in sorted((abs(step), n) for n, step in zip(size, strides, strict=True) if n > 1):
        if step <= reach:
            places = _places(size, strides, 0)
            return np.unique(places).size < places.size
        reach += (n - 1) * step
    return False


def _written(x: Any, part: Any, size: Sizes, strides: Sizes, offset: int, own: Sizes) -> Any:
    """The tensor with a view of it replaced; what lies between its elements stays as it is."""
    if _overlaps(size, strides):
        raise RuntimeError(
            f"as_strided: a view of shape {size} and strides {strides} overlaps itself, and is not written"
        )
    which = _elements(x.shape, own, size, strides, offset)
    known = np.flatnonzero(which >= 0)
    part = _flat(part)
    if known.size < which.size:
        part = take(part, _on_device_of(part, known))
    return reshape(replaced(_flat(x), part, (_on_device_of(x, which[known]),)), x.shape)


def _put(x: Any, part: Any, size: Sizes, strides: Sizes, offset: int, own: Sizes) -> Any:
    if (_elements(x.shape, own, size, strides, offset) < 0).any():
        raise RuntimeError(
            f"as_strided: while the tape records, a view of shape {size} and strides {strides} cannot be written, "
            f"as it reaches memory that is not an element of the tensor of shape {x.shape} that it was taken of"
        )
    return _written(x, part, size, strides, offset, own)


def _view(x: Any, size: Sizes, strides: Sizes, offset: int) -> Any:
    view = strided_view(x, size, strides, offset)
    if isinstance(view, np.ndarray) and _overlaps(size, strides):
        view.flags.writeable = False
    return view


_as_strided: Function = primitive(
    "as_strided",
    lambda x, size, strides, offset, own: _view(x, size, strides, offset),
    lambda g, x_shape, size, strides, offset, own: _summed(g, x_shape, size, strides, offset, own),
    put=_put,
)


def stride(x: Tensor, axis: int | None = None) -> Any:
    """How many elements of memory lie between neighbours along each axis, or along one.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.ones(2, 3).stride(), tg.ones(2, 3).t().stride(0)
    ((3, 1), 1)
    """
    array = x._data
    if isinstance(array, BatchedArray):
        strides = contiguous_strides(array.shape)
    else:
        strides = tuple(step // array.itemsize for step in array.strides)
    if axis is None:
        return strides
    if not -x.ndim <= axis < x.ndim:
        raise IndexError(f"stride: axis {axis} is out of range for shape {x.shape}")
    return strides[axis]


def storage_offset(x: Tensor) -> int:
    """How many elements after the start of the memory that it shares with other tensors a tensor begins.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.arange(5)[2:].storage_offset()
    2
    """
    return 0 if isinstance(x._data, BatchedArray) else offset_in_memory(x._data)


def _geometry(name: str, x: Tensor, size: Any, stride_: Any, offset: Any) -> tuple[Sizes, Sizes, int]:
    sizes = tuple(operator.index(n) for n in size)
    strides = tuple(operator.index(n) for n in stride_)
    if len(sizes) != len(strides) or any(n < 0 for n in sizes):
        raise ValueError(f"{name}: sizes {sizes} and strides {strides} do not make a shape")
    return sizes, strides, 0 if offset is None else operator.index(offset) - storage_offset(x)


def as_strided(x: Any, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None) -> Any:
    """A view of the memory of ``x`` of any size and strides, checked against its bounds.

    Gradients of elements that are read several times add up. Memory that is not an element of ``x``, but of what ``x``
    is a view of, can be read and gets no gradient. For each sample of `func.vmap`, the result is a copy of elements of
    ``x``, whose memory is taken to be contiguous.

    Parameters
    ----------
    size, stride : sequence of int
        Shape of the result, and how many elements of memory lie between neighbours along each axis.
    storage_offset : int, optional
        Which element of the memory comes first; by default that of ``x``.

    Raises
    ------
    ValueError
        If the view reaches beyond the memory.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.as_strided(tg.arange(5), (3, 3), (1, 1))
    tensor([[0, 1, 2],
            [1, 2, 3],
            [2, 3, 4]])
    """
    x = lift(x)
    sizes, strides, offset = _geometry("as_strided", x, size, stride, storage_offset)
    own = _strides_of(x)
    if isinstance(x._data, BatchedArray):
        which = _elements(x.shape, own, sizes, strides, offset)
        if (which < 0).any():
            raise ValueError(f"as_strided: sizes {sizes}, strides {strides} reach beyond a sample of shape {x.shape}")
        return reshape(take(_flat(x), _on_device_of(x, which)), sizes)
    return _as_strided(x, sizes, strides, offset, own)


_strides_of = stride  # the parameters of functions are PyTorch's, and hide the function


def as_strided_scatter(
    x: Any, src: Any, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Any:
    """A copy of ``x`` with ``src`` where `as_strided` would read.

    Parameters
    ----------
    src : Tensor
        Of shape ``size``.

    Raises
    ------
    ValueError
        If the view reaches beyond the memory.
    RuntimeError
        If two elements of the view lie at one place.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.as_strided_scatter(tg.zeros(2, 3), tg.tensor([1.0, 2.0]), (2,), (4,))
    tensor([[1., 0., 0.],
            [0., 2., 0.]])
    """
    x = lift(x)
    sizes, strides, offset = _geometry("as_strided_scatter", x, size, stride, storage_offset)
    src = cast(lift(src, x), x.dtype)
    if src.shape != sizes:
        raise ValueError(f"as_strided_scatter: src of shape {src.shape} must have the sizes {sizes}")
    if not isinstance(x._data, BatchedArray):
        strided_view(x._data, sizes, strides, offset)  # within bounds?
    return _written(x, src, sizes, strides, offset, _strides_of(x))


def empty_strided(size: Sequence[int], stride: Sequence[int], **options: Any) -> Tensor:
    """Arbitrary content of a shape, with the given strides in memory; options as for `empty`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    sizes, strides = tuple(map(operator.index, size)), tuple(map(operator.index, stride))
    if len(sizes) != len(strides) or any(n < 0 for n in (*sizes, *strides)):
        raise ValueError(f"empty_strided: sizes {sizes} and strides {strides} do not make a shape")
    wanted = options.pop("requires_grad", False)
    length = 0 if 0 in sizes else 1 + sum((n - 1) * step for n, step in zip(sizes, strides, strict=True))
    flat = empty(length, **options)
    x = Tensor(strided_view(flat._data, sizes, strides, 0))
    x.requires_grad = wanted
    return x


def new_empty_strided(x: Tensor, size: Sequence[int], stride: Sequence[int], **options: Any) -> Tensor:
    """`empty_strided` of the dtype and device of ``x`` unless told otherwise."""
    return empty_strided(size, stride, **{"dtype": x.dtype, "device": x.device, **options})


def empty_permuted(size: Sequence[int], physical_layout: Sequence[int], **options: Any) -> Tensor:
    """Arbitrary content of a shape, whose axes follow each other in memory in the given order, the widest first.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.empty_permuted((2, 3), (1, 0)).stride()
    (1, 2)
    """
    order = [operator.index(i) for i in physical_layout]
    if sorted(order) != list(range(len(tuple(size)))):
        raise ValueError(f"empty_permuted: {order} is no order of the axes of shape {tuple(size)}")
    wanted = options.pop("requires_grad", False)
    x = permute_dims(empty([size[i] for i in order], **options), [order.index(i) for i in range(len(order))])
    result = Tensor(x._data)
    result.requires_grad = wanted
    return result
