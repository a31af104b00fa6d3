"""Tensors from numbers, sequences, arrays and other libraries' tensors."""

from __future__ import annotations

import array as buffers
from typing import Any

import numpy as np

from .backend import CPU, device_of, is_array, resolve_device
from .conversion import as_array
from .dtypes import dtype_of, get_default_dtype
from .tensor import Tensor

__all__ = ["array", "as_tensor", "asarray", "from_dlpack", "frombuffer", "fromiter", "tensor"]


def tensor(data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Make a tensor by copying ``data``.

    Parameters
    ----------
    data : number, nested sequence, array or Tensor
        Python floats become the default floating dtype (float32), integers int64; arrays keep their dtype.
    dtype : dtype, optional
    device : str or Device, optional
        The default device, or where ``data`` is if it is a tensor.
    requires_grad : bool
        Whether `Tensor.backward` should leave a gradient in ``grad``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    tensor([[1., 2.],
            [3., 4.]])
    """
    if isinstance(data, Tensor):
        device = data.device if device is None else device
        data = data._data
    elif device is None and is_array(data) and device_of(data) != CPU:
        device = device_of(data)
    x = Tensor(as_array(data, None if dtype is None else dtype_of(dtype), resolve_device(device)))
    if requires_grad:
        x.requires_grad = True
    return x


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """A tensor of ``data``: itself, or sharing its memory, where dtype and device already fit; else a copy.

    Memory is shared with NumPy and CuPy arrays, objects of the buffer protocol, and other libraries' arrays that
    export DLPack, unless it is read-only.
    """
    if isinstance(data, Tensor):
        return data.to(device=device, dtype=dtype)
    wanted = None if dtype is None else dtype_of(dtype)
    if isinstance(data, _BUFFERS):
        data = np.asarray(data)
    elif not is_array(data) and hasattr(data, "__dlpack__") and not hasattr(data, "__array_interface__"):
        from .exchange import array_from_dlpack

        data = array_from_dlpack(data)
    shareable = type(data) is np.ndarray and data.flags.writeable and data.dtype.isnative and dtype_of(data.dtype)
    if shareable and resolve_device(device).type == "cpu" and wanted in (None, data.dtype):
        return _sharing(data)
    if is_array(data) and wanted in (None, data.dtype) and device_of(data) == (device or device_of(data)) != CPU:
        return _sharing(data)
    return tensor(data, dtype, device)


_BUFFERS = (memoryview, bytearray, buffers.array)


def _sharing(array: Any) -> Tensor:
    """A tensor on memory that somebody else holds too."""
    dtype = dtype_of(array.dtype)
    x = Tensor(array if array.dtype is dtype else array.view(dtype))
    x._shared_storage().shared = True
    return x


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor of an object that exports DLPack, such as another library's array, in its memory where that can be.

    Parameters
    ----------
    x : object with ``__dlpack__`` and ``__dlpack_device__``
    device : str or Device, optional
        Where the result is to be; by default where ``x`` is.
    copy : bool, optional
        True copies always, False never; None copies where memory cannot be shared. Memory that its owner declares
        read-only is shared, and in-place writes into it raise.

    Raises
    ------
    BufferError
        If the object cannot be exported, or ``copy=False`` and only a copy would do.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> a = np.zeros(2)
    >>> x = tg.from_dlpack(a)
    >>> x += 1
    >>> a
    array([1., 1.])
    """
    if not hasattr(x, "__dlpack__"):
        raise TypeError(f"from_dlpack: {type(x).__name__} has no __dlpack__; tg.asarray takes other objects")
    if isinstance(x, Tensor):
        if x.requires_grad:
            raise BufferError("from_dlpack: this tensor requires a gradient; use .detach()")
        y = x.detach()
    else:
        from .exchange import array_from_dlpack

        y = _sharing(array_from_dlpack(x))
    place = y.device if device is None else resolve_device(device)
    if place != y.device and copy is False:
        raise BufferError(f"from_dlpack: copy=False, but the data is on {y.device} and is wanted on {place}")
    return y.to(device=place, copy=bool(copy))


def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Tensor:
    """The array API's name for `tensor` (``copy=True``) and `as_tensor` (``copy=None``).

    Raises
    ------
    ValueError
        If ``copy=False`` and a copy cannot be avoided.
    """
    if copy:
        return tensor(obj, dtype, device)
    y = as_tensor(obj, dtype, device)
    if copy is False and not _shares(y, obj):
        raise ValueError(f"asarray: copy=False, but {type(obj).__name__} cannot become this tensor without a copy")
    return y


def _shares(y: Tensor, obj: Any) -> bool:
    """Whether a tensor made by `as_tensor` is on the memory of what it was made of."""
    if isinstance(obj, Tensor):
        return y._data is obj._data
    return y._storage is not None and y._storage.shared


def array(object: Any, dtype: Any = None, *, copy: bool | None = True, ndmin: int = 0, device: Any = None) -> Tensor:
    """NumPy's name for `tensor` (``copy=True``) and `asarray` (``copy=None`` or ``False``).

    Parameters
    ----------
    ndmin : int
        How many axes the tensor has at least; axes of size 1 are put in front.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.array([1, 2], ndmin=2)
    tensor([[1, 2]])
    """
    x = asarray(object, dtype=dtype, device=device, copy=copy)
    return x if x.ndim >= ndmin else x[(None,) * (ndmin - x.ndim)]


def frombuffer(
    buffer: Any, dtype: Any = None, count: int = -1, offset: int = 0, *, requires_grad: bool = False
) -> Tensor:
    """The bytes of an object of the buffer protocol as numbers: on its memory, or a copy if that is read-only.

    Parameters
    ----------
    buffer : bytes, bytearray, memoryview, ...
    dtype : dtype, optional
        The default floating dtype unless given.
    count : int
        How many numbers; -1 for all.
    offset : int
        Where to start, in bytes.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.frombuffer(bytearray(b"\x01\x02\x03"), dtype=tg.uint8, offset=1)
    tensor([2, 3], dtype=uint8)
    """
    kind = get_default_dtype() if dtype is None else dtype_of(dtype)
    x = as_tensor(np.frombuffer(buffer, kind, count, offset), device="cpu")
    if requires_grad:
        x.requires_grad = True
    return x


def fromiter(iter: Any, dtype: Any, count: int = -1, *, device: Any = None) -> Tensor:
    """The numbers that an iterable gives, ``count`` of them or all, as a tensor with one axis.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.fromiter((i * i for i in range(4)), tg.int64)
    tensor([0, 1, 4, 9])
    """
    return tensor(np.fromiter(iter, dtype_of(dtype), count), device=device)
