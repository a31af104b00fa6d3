"""What a tensor says of itself: PyTorch's questions, and what PyTorch means by some names that NumPy has too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import dtypes
from ..backend import CPU, address
from ..creation import tensor
from ..tensor import Tensor
from . import elementwise, reduction
from .definition import lift
from .indexing import getitem
from .strided import stride

__all__ = [
    "broadcast_shapes", "data_ptr", "dim_order", "element_size", "equal", "get_device", "is_conj", "is_floating_point",
    "is_inference", "is_neg", "is_nonzero", "is_same_size", "is_set_to", "is_signed", "is_tensor", "new_tensor",
    "resolve_neg", "split", "type", "where",
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
    return address(x._data)


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
