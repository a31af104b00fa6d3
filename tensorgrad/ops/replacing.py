"""Methods by which a tensor takes another place on the tape, other memory, or what Python makes of its elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import kernels as K
from ..backend import CPU
from ..conversion import as_array
from ..tape import grad_mode
from ..tensor import Tensor
from .description import broadcast_shapes
from .indexing import setitem
from .inplace import take_shape
from .strided import as_strided, contiguous_strides

__all__ = ["apply_", "as_strided_", "detach_", "map2_", "map_", "resize_", "resize_as_", "set_"]


def detach_(x: Tensor) -> Tensor:
    """Take the tensor off the tape.

    Raises
    ------
    RuntimeError
        If it is a view, whose gradients are those of what it is a view of.
    """
    if x._view is not None and x._node is not None:
        raise RuntimeError("detach_: this tensor is a view; use .detach(), or detach what it is a view of")
    x._node = None
    return x


def as_strided_(x: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None) -> Tensor:
    """Become the view of its memory that `as_strided` gives."""
    return take_shape(x, "as_strided_", as_strided, size, stride, storage_offset)


def resize_(x: Tensor, *sizes: Any) -> Tensor:
    """Take another shape over the same memory, in C order; if it is too small, over more, of arbitrary content.

    Raises
    ------
    RuntimeError
        If the tensor is on the tape, or needs more memory than it has and shares it with other tensors.
    """
    wanted = tuple(sizes[0] if len(sizes) == 1 and not hasattr(sizes[0], "__index__") else sizes)
    if x._node is not None:
        raise RuntimeError("resize_: the tensor requires a gradient; use .detach(), or reshape")
    if x.shape == wanted:
        return x
    try:
        return as_strided_(x, wanted, contiguous_strides(wanted))
    except ValueError:
        if x._storage is not None and x._storage.shared:
            raise RuntimeError(
                f"resize_: the memory of this tensor of shape {x.shape}, which it shares with others, is too small "
                f"for the shape {wanted}"
            ) from None
    from .memory import empty
    from .shape import reshape

    more = empty(wanted, dtype=x.dtype, device=x.device)
    old = reshape(x, (x.size,))
    setitem(reshape(more, (more.size,)), slice(0, x.size), old)
    x._replace(more._data)
    return x


def resize_as_(x: Tensor, other: Tensor) -> Tensor:
    """`resize_` to the shape of another tensor."""
    return resize_(x, other.shape)


def set_(x: Tensor, source: Tensor) -> Tensor:
    """Become a view of all of another tensor's memory, off the tape.

    Raises
    ------
    TypeError
        If the dtypes differ.
    RuntimeError
        If one of the two is on the tape while it records.
    """
    if x.dtype != source.dtype:
        raise TypeError(f"set_: a {x.dtype} tensor cannot take the memory of a {source.dtype} one")
    if grad_mode.get() and (x._node is not None or source._node is not None):
        raise RuntimeError("set_: a tensor that requires a gradient cannot take other memory; use tg.no_grad()")
    x._replace(source._data)
    x._storage = None
    x._view = None
    x._share_memory_of(source)
    return x


def _elementwise(x: Tensor, name: str, function: Callable[..., Any], *others: Tensor) -> Tensor:
    if any(y.device != CPU for y in (x, *others)):
        raise TypeError(f"{name}: Python computes on the CPU, and a tensor is on {x.device}; use .cpu()")
    if any(y.requires_grad for y in (x, *others)):
        raise RuntimeError(f"{name}: Python's numbers have no gradient; use .detach()")
    for y in others:
        if broadcast_shapes(x.shape, y.shape) != x.shape:
            raise ValueError(f"{name}: shape {y.shape} does not broadcast to {x.shape}")
    parts = [y.broadcast_to(x.shape) for y in others]
    rows = zip(*(y.reshape(x.size).tolist() for y in (x, *parts)), strict=True)
    values = as_array([function(*row) for row in rows], None, CPU)
    K.assign(x._data, K.cast(values, x.dtype).reshape(x.shape))
    x._written()
    return x


def apply_(x: Tensor, function: Callable[[Any], Any]) -> Tensor:
    """Replace each element by what a Python function makes of it: slow, and on the CPU only.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.tensor([1, 2], device="cpu").apply_(lambda v: 10 * v)
    tensor([10, 20])
    """
    return _elementwise(x, "apply_", function)


def map_(x: Tensor, other: Tensor, function: Callable[[Any, Any], Any]) -> Tensor:
    """Replace each element by a Python function of it and of one of another tensor: slow, and on the CPU only."""
    return _elementwise(x, "map_", function, other)


def map2_(x: Tensor, y: Tensor, z: Tensor, function: Callable[[Any, Any, Any], Any]) -> Tensor:
    """Replace each element by a Python function of it and of those of two tensors: slow, and on the CPU only."""
    return _elementwise(x, "map2_", function, y, z)
