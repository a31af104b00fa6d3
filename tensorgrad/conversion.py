"""Arrays of numbers, nested sequences and other libraries' arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import capture
from . import kernels as K
from .backend import CPU, Device, empty, is_array, to_device, to_numpy
from .dtypes import DType, dtype_of, scalar_dtype
from .errors import called
from .exchange import array_from_dlpack

__all__ = ["as_array"]

_NUMBERS = frozenset((bool, int, float, complex))


def as_array(data: Any, dtype: DType | None, device: Device) -> Any:
    """Numbers, nested lists, NumPy or CuPy arrays, or anything that exports DLPack, as an array on ``device``.

    Python floats become the default floating dtype; arrays keep theirs. Always a fresh copy.
    """
    if type(data) in _NUMBERS and device is CPU:
        return np.array(data, dtype or scalar_dtype(data))
    if not is_array(data):
        if isinstance(data, (capture.LiveInt, capture.LiveFloat)):
            out = empty((), dtype or scalar_dtype(float(data)), device)
            K.fill(out, data)
            return out
        data = _from_object(data, dtype) if type(data) not in _NUMBERS else np.array(data, dtype or scalar_dtype(data))
        if not data.ndim and device.is_cuda and data.dtype.kind in "fbi":
            out = empty((), data.dtype, device)
            K.fill(out, data.item())  # by value: a copy from the host would be forbidden while a stream is captured
            return out
    elif dtype is None:
        dtype = dtype_of(data.dtype)
    moved = to_device(data, device)
    if dtype is not None and moved.dtype != dtype:
        return K.cast(moved, dtype)
    made = K.copy(moved) if moved is data else moved
    return made if dtype is None or made.dtype is dtype else made.view(dtype)  # pickling makes other dtype objects


def _from_object(data: Any, dtype: DType | None) -> Any:
    """A NumPy array from Python numbers, nested sequences, array scalars and array-likes."""
    if isinstance(data, (bool, int, float, complex)) and not isinstance(data, np.generic):
        return np.array(data, dtype or scalar_dtype(data))
    if isinstance(data, (np.ndarray, np.generic)) or hasattr(data, "__array_interface__"):
        array = np.asarray(data)
    elif hasattr(data, "__dlpack__"):
        array = array_from_dlpack(data)
        if not isinstance(array, np.ndarray):
            array = to_numpy(array)
    else:
        if _holds_tensors(data):
            data = _to_lists(data)
        try:
            array = np.array(data)
        except ValueError as error:
            raise ValueError(f"{called('tensor')}: the nested sequences have unequal lengths: {error}") from None
        if dtype is None and array.dtype.kind in "fc" and not _holds_arrays(data):
            dtype = scalar_dtype(array.dtype.type(0).item())
    if array.dtype.kind == "O":
        raise TypeError(f"{called('tensor')}: cannot make a tensor of {type(data).__name__} {data!r:.80}")
    return array.astype(dtype or dtype_of(array.dtype))


def _leaves(data: Any) -> Any:
    if isinstance(data, (list, tuple)):
        for item in data:
            yield from _leaves(item)
    else:
        yield data


def _holds_tensors(data: Any) -> bool:
    return any(hasattr(leaf, "tolist") and not isinstance(leaf, (np.ndarray, np.generic)) for leaf in _leaves(data))


def _holds_arrays(data: Any) -> bool:
    return any(isinstance(leaf, (np.ndarray, np.generic)) for leaf in _leaves(data))


def _to_lists(data: Any) -> Any:
    if isinstance(data, (list, tuple)):
        return [_to_lists(item) for item in data]
    return data.tolist() if hasattr(data, "tolist") else data
