"""Exchange of device arrays with other libraries through DLPack capsules."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from .memory import MemoryPointer, UnownedMemory
from .ndarray import ndarray
from .state import thread_state
from .streams import Stream, get_current_stream, queue_of_pointer

_CPU, _CUDA = 1, 2
_CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}
_BFLOAT16 = 4
_VERSION = (1, 0)


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Managed(ctypes.Structure):
    _fields_ = (("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", _Deleter))


class _Versioned(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", _Deleter),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    )


_Destructor = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
_new = ctypes.pythonapi.PyCapsule_New
_new.restype, _new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, _Destructor]
_is_valid = ctypes.pythonapi.PyCapsule_IsValid
_is_valid.argtypes = [ctypes.py_object, ctypes.c_char_p]
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
_rename = ctypes.pythonapi.PyCapsule_SetName
_rename.argtypes = [ctypes.py_object, ctypes.c_char_p]
_raw_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_IsValid", ctypes.pythonapi)
)
_raw_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)

_NAMES = {b"dltensor": _Managed, b"dltensor_versioned": _Versioned}
_exported: dict[int, tuple[Any, ...]] = {}


@_Deleter
def _delete(address: int) -> None:
    _exported.pop(address, None)


@_Destructor
def _drop_capsule(capsule: int) -> None:
    # A consumer renames the capsule; one that still has its name was never consumed.
    for name in _NAMES:
        if _raw_is_valid(capsule, name):
            _exported.pop(_raw_pointer(capsule, name), None)


def export(
    array: ndarray,
    stream: int | None,
    max_version: tuple[int, int] | None,
    dl_device: tuple[int, int] | None,
    copy: bool | None,
) -> Any:
    """Return a capsule over an array's memory, ordered before later work of `stream`."""
    if dl_device is not None and dl_device != array.__dlpack_device__():
        if dl_device != (_CPU, 0):
            raise BufferError("unsupported device requested.")
        if copy is False:
            raise ValueError("GPU memory cannot be exported to CPU without copy.")
        return array.get().__dlpack__(max_version=max_version)
    if copy:
        raise BufferError("copy=True only supported for copy to CPU.")
    _order_before(stream)
    dtype = array.dtype
    code = _BFLOAT16 if dtype.name == "bfloat16" else _CODES.get(dtype.kind)
    if code is None:
        raise BufferError(f"{dtype} cannot be exported")
    shape = (ctypes.c_int64 * max(array.ndim, 1))(*array.shape)
    strides = (ctypes.c_int64 * max(array.ndim, 1))(*(s // array.itemsize for s in array.strides))
    tensor = _Tensor(array.data.ptr, _CUDA, array.data.device_id, array.ndim, code,
                     8 * array.itemsize, 1, shape, strides, 0)  # fmt: skip
    versioned = max_version is not None and max_version[0] >= 1
    managed: Any = _Versioned(*_VERSION, None, _delete, 0, tensor) if versioned else _Managed(tensor, None, _delete)
    address = ctypes.addressof(managed)
    _exported[address] = managed, shape, strides, array
    return _new(address, b"dltensor_versioned" if versioned else b"dltensor", _drop_capsule)


def _order_before(stream: int | None) -> None:
    current = get_current_stream()
    if stream == -1:
        return
    queue = queue_of_pointer(0 if stream is None else stream)
    target = queue or Stream.null.queue
    if target is not current.queue:
        current.record().order_before(target)


class _Owner:
    """Keeps another library's tensor until the last array over it is gone."""

    def __init__(self, managed: Any) -> None:
        self._managed = managed

    def __del__(self) -> None:
        if self._managed.deleter:
            self._managed.deleter(ctypes.addressof(self._managed))


def adopt(source: Any) -> ndarray:
    """Return an array over the memory of an object that has ``__dlpack__``."""
    device_type, device_id = source.__dlpack_device__()
    if device_type != _CUDA:
        raise ValueError("only tensors on a CUDA device can be imported")
    stream = get_current_stream().ptr or 1
    try:
        capsule = source.__dlpack__(stream=stream, max_version=_VERSION)
    except TypeError:
        capsule = source.__dlpack__(stream=stream)
    for name, layout in _NAMES.items():
        if _is_valid(capsule, name):
            managed = layout.from_address(_pointer(capsule, name))
            _rename(capsule, b"used_" + name)
            break
    else:
        raise ValueError("the capsule holds no tensor")
    tensor = managed.tensor
    dtype = _import_dtype(tensor)
    shape = tuple(tensor.shape[: tensor.ndim])
    strides = None
    if tensor.strides:
        strides = tuple(s * dtype.itemsize for s in tensor.strides[: tensor.ndim])
    address = (tensor.data or 0) + tensor.byte_offset
    span = dtype.itemsize
    for i, extent in enumerate(shape):
        span += (extent - 1) * strides[i] if strides else 0
    if strides is None:
        span = int(np.prod(shape, dtype=int)) * dtype.itemsize
    before, thread_state.device = thread_state.device, device_id
    try:
        memory = UnownedMemory(address, max(span, 0), _Owner(managed), device_id)
        return ndarray(shape, dtype, MemoryPointer(memory, 0), strides)
    finally:
        thread_state.device = before


def _import_dtype(tensor: _Tensor) -> np.dtype[Any]:
    if tensor.code == _BFLOAT16:
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    kinds = {code: kind for kind, code in _CODES.items()}
    if tensor.code not in kinds or tensor.lanes != 1:
        raise BufferError(f"DLPack type code {tensor.code} cannot be imported")
    kind = kinds[tensor.code]
    return np.dtype("?" if kind == "b" else f"{kind}{tensor.bits // 8}")
