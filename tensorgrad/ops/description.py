"""What a tensor says of itself, PyTorch's questions; and what replaces it element by element on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import dtypes
from .. import kernels as K
from ..backend import CPU, memory_address
from ..conversion import as_array
from ..creation import tensor
from ..tape import grad_mode
from ..tensor import Tensor
from . import elementwise, reduction
from .definition import lift
from .indexing import getitem, setitem
from .inplace import take_shape
from .strided import as_strided, contiguous_strides, stride

__all__ = [
    "apply_", "as_strided_", "broadcast_shapes", "data_ptr", "detach_", "dim_order", "element_size", "equal",
    "get_device", "is_conj", "is_floating_point", "is_inference", "is_neg", "is_nonzero", "is_same_size", "is_set_to",
    "is_signed", "is_tensor", "map2_", "map_", "new_tensor", "resize_", "resize_as_", "resolve_neg", "set_", "split",
    "type", "where",
]  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ questions
def is_tensor(obj: Any, /) -> bool:
    """Whether something is a tensor.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.is_tensor(tg.ones(1)), tg.is_tensor(1.0)
    (True, False)
    """
    return isinstance(obj, Tensor)


def is_floating_point(x: Tensor, /) -> bool:
    """Whether the dtype is a real floating one.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.is_floating_point(tg.ones(1)), tg.is_floating_point(tg.tensor([1]))
    (True, False)
    """
    return bool(dtypes.is_floating(x.dtype))


def is_signed(x: Tensor, /) -> bool:
    """Whether the dtype has numbers below 0.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.is_signed(tg.tensor([1])), tg.is_signed(tg.tensor([True]))
    (True, False)
    """
    return x.dtype.kind not in "bu"


def is_nonzero(x: Tensor, /) -> bool:
    """Whether the one element of a tensor is not 0.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.is_nonzero(tg.tensor([0.5]))
    True
    """
    return bool(x)


def is_same_size(x: Tensor, other: Tensor, /) -> bool:
    """Whether two tensors have one shape.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.is_same_size(tg.ones(2, 3), tg.ones(3, 2))
    False
    """
    return x.shape == other.shape


def is_conj(x: Tensor, /) -> bool:
    """False: conjugates are computed when they are asked for."""
    return False


def is_neg(x: Tensor, /) -> bool:
    """False: negatives are computed when they are asked for."""
    return False


def resolve_neg(x: Any, /) -> Tensor:
    """``x`` itself: negatives are computed when they are asked for."""
    return lift(x)  # type: ignore[no-any-return]


def is_inference(x: Tensor, /) -> bool:
    """False: tensors made in `inference_mode` can be used like others after it."""
    return False


def get_device(x: Tensor, /) -> int:
    """The number of the CUDA device that a tensor is on; -1 for the CPU.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.get_device(tg.ones(1, device="cpu"))
    -1
    """
    return -1 if x.device == CPU else x.device.index


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that arrays of the given shapes, sequences of int or single ones, broadcast to.

    Raises
    ------
    ValueError
        If they do not.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.broadcast_shapes((2, 1), (3,), 1)
    (2, 3)
    """
    from numpy import broadcast_shapes as broadcast

    try:
        return broadcast(*shapes)
    except ValueError:
        raise ValueError(f"broadcast_shapes: shapes {', '.join(map(str, shapes))} do not broadcast") from None


# ------------------------------------------------------------------------------------------- questions about the memory
def data_ptr(x: Tensor) -> int:
    """Where the first element lies in memory."""
    return memory_address(x._data)


def element_size(x: Tensor) -> int:
    """Bytes per element.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.ones(2, dtype=tg.float64).element_size()
    8
    """
    return x.itemsize


def dim_order(x: Tensor) -> tuple[int, ...]:
    """The axes from the widest stride to the narrowest.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.ones(2, 3, 4).mT.dim_order()
    (0, 2, 1)
    """
    steps = stride(x)
    return tuple(sorted(range(x.ndim), key=lambda i: -steps[i]))


def is_set_to(x: Tensor, other: Tensor) -> bool:
    """Whether two tensors are the same elements of the same memory."""
    return data_ptr(x) == data_ptr(other) and x.shape == other.shape and stride(x) == stride(other)


# ----------------------------------------------------------------------------------- what NumPy's names mean to PyTorch
def equal(x: Tensor, other: Tensor) -> bool:
    """Whether two tensors have one shape and equal elements, as one bool: PyTorch's.

    See Also
    --------
    tensorgrad.equal : compares element by element, as ``==`` does.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.ones(2).equal(tg.tensor([1, 1])), tg.ones(2).equal(tg.ones(1))
    (True, False)
    """
    if not isinstance(other, Tensor):
        raise TypeError(f"equal: expected a tensor, got {other!r:.50}; tg.equal compares element by element")
    return x.shape == other.shape and bool(reduction.all(elementwise.equal(x, other)))


def split(x: Tensor, split_size: int | Sequence[int], axis: int = 0) -> tuple[Any, ...]:
    """Views of ``split_size`` entries of an axis each, the last perhaps of fewer, or of the sizes in a list: PyTorch's.

    See Also
    --------
    tensorgrad.split : takes a number of parts, or the places to split at, as NumPy's does.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.arange(5).split(2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    from .pytorch_functions import split_with_sizes

    if not hasattr(split_size, "__index__"):
        return split_with_sizes(x, split_size, axis)
    (place,) = reduction.normalize_axes("split", axis, x.ndim)
    size, count = split_size.__index__(), x.shape[place]
    if size < 0 or (size == 0 and count):
        raise ValueError(f"split: axis {axis} of shape {x.shape} cannot be split into parts of {size}")
    whole = (slice(None),) * place
    return tuple([getitem(x, (*whole, slice(i, i + size))) for i in range(0, count, size or 1)]) or (x[...],)


def where(x: Tensor, condition: Any, other: Any) -> Any:
    """``x`` where the condition holds, else ``other``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor([-1, 2])
    >>> x.where(x > 0, 0)
    tensor([0, 2])
    """
    return elementwise.where(condition, x, other)


_NAMES = {
    "FloatTensor": "float32", "DoubleTensor": "float64", "HalfTensor": "float16", "BFloat16Tensor": "bfloat16",
    "LongTensor": "int64", "IntTensor": "int32", "ShortTensor": "int16", "CharTensor": "int8", "ByteTensor": "uint8",
    "BoolTensor": "bool", "ComplexFloatTensor": "complex64", "ComplexDoubleTensor": "complex128",
}  # fmt: skip


def type(x: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The tensor in another dtype, also under PyTorch's names for tensors of one; without one, such a name.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.ones(1).type(), tg.ones(1).type("torch.DoubleTensor").dtype
    ('tensorgrad.FloatTensor', dtype('float64'))
    """
    if dtype is None:
        names = {dtype: name for name, dtype in _NAMES.items()}
        place = "" if x.device == CPU else ".cuda"
        return f"tensorgrad{place}.{names.get(x.dtype.name, f'{x.dtype.name} Tensor')}"
    if isinstance(dtype, str):
        dtype = _NAMES.get(dtype.rpartition(".")[2], dtype)
    return x.to(dtypes.dtype_of(dtype))


def new_tensor(x: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A copy of data as a tensor, of the dtype and device of ``x`` unless told otherwise.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.ones(1, dtype=tg.float64).new_tensor([1, 2])
    tensor([1., 2.], dtype=float64)
    """
    return tensor(
        data, x.dtype if dtype is None else dtype, x.device if device is None else device, requires_grad=requires_grad
    )


# ------------------------------------------------------------------------------------------------------------- in place
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
