"""Tensors from numbers, sequences, arrays and other libraries' tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from .backend import CPU, as_array, device_of, is_array, resolve_device
from .dtypes import dtype_of
from .tensor import Tensor

__all__ = ["as_tensor", "asarray", "tensor"]


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
    """A tensor of ``data``: itself, or sharing its memory, where dtype and device already fit; else a copy."""
    if isinstance(data, Tensor):
        return data.to(device=device, dtype=dtype)
    wanted = None if dtype is None else dtype_of(dtype)
    shareable = type(data) is np.ndarray and data.flags.writeable and data.dtype.isnative and dtype_of(data.dtype)
    if shareable and resolve_device(device).type == "cpu" and wanted in (None, data.dtype):
        return _sharing(data)
    if is_array(data) and wanted in (None, data.dtype) and device_of(data) == (device or device_of(data)) != CPU:
        return _sharing(data)
    return tensor(data, dtype, device)


def _sharing(array: Any) -> Tensor:
    """A tensor on memory that somebody else holds too."""
    x = Tensor(array)
    x._shared_storage().shared = True
    return x


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
    given = obj._data if isinstance(obj, Tensor) else obj
    if copy is False and y._data is not given:
        raise ValueError(f"asarray: copy=False, but {type(obj).__name__} cannot become this tensor without a copy")
    return y
