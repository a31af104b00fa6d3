"""Arrays to and from other libraries through DLPack.

NumPy and CuPy make and read the capsules. bfloat16, which NumPy does not exchange, travels as 16-bit integers whose
type code in the capsule is rewritten.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from .backend import require_cuda
from .dtypes import bfloat16

__all__ = ["array_from_dlpack", "capsule_of"]

_HOST_MEMORY = (1, 3)  # DLPack's numbers of plain and of page-locked memory
_CUDA_MEMORY = (2, 13)
_VERSION = (1, 0)
_UNSIGNED, _BFLOAT = 1, 4  # DLPack's type codes
# Where the type code lies in a capsule's struct: the tensor begins with a pointer, a device (two int32) and an int32.
_CODE_AT = {b"dltensor": 8 + 8 + 4, b"dltensor_versioned": 4 * 8 + 8 + 8 + 4}


def array_from_dlpack(x: Any) -> Any:
    """An array on the memory of an object that exports DLPack.

    Raises
    ------
    BufferError
        If the object refuses, or its memory is of a kind that no backend reads.
    """
    kind = int(x.__dlpack_device__()[0])
    if kind in _CUDA_MEMORY:
        return require_cuda().from_dlpack(x)
    if kind not in _HOST_MEMORY:
        raise BufferError(
            f"from_dlpack: {type(x).__name__} is on a device of DLPack's type {kind}; tensors are on the CPU or on CUDA"
        )
    try:
        capsule = x.__dlpack__(max_version=_VERSION)
    except TypeError:  # an exporter of the time before versions
        capsule = x.__dlpack__()
    half = _rewritten(capsule, _BFLOAT, _UNSIGNED)
    array = np.from_dlpack(_Exporter(capsule, (kind, 0)))
    return array.view(bfloat16()) if half else array


def capsule_of(array: Any, stream: Any, max_version: tuple[int, int] | None) -> Any:
    """A capsule of an array's memory."""
    if not isinstance(array, np.ndarray) or array.dtype.kind != "V":
        return array.__dlpack__(stream=stream, max_version=max_version)
    capsule = array.view(np.uint16).__dlpack__(stream=stream, max_version=max_version)
    _rewritten(capsule, _UNSIGNED, _BFLOAT)
    return capsule


class _Exporter:
    """A capsule, to be read once, with the protocol's two methods around it."""

    def __init__(self, capsule: Any, device: tuple[int, int]) -> None:
        self._capsule = capsule
        self._device = device

    def __dlpack__(self, **_: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._device


def _rewritten(capsule: Any, old: int, new: int) -> bool:
    """Replace a 16-bit type code in a capsule that nobody has read yet; whether it was there."""
    name = _name(capsule)
    code = (ctypes.c_uint8 * 2).from_address(_pointer(capsule, name) + _CODE_AT[name])  # the code and its bits
    if (code[0], code[1]) != (old, 16):
        return False
    code[0] = new
    return True


def _name(capsule: Any) -> bytes:
    get = ctypes.pythonapi.PyCapsule_GetName
    get.restype, get.argtypes = ctypes.c_char_p, [ctypes.py_object]
    name = get(capsule)
    if name not in _CODE_AT:
        raise BufferError(f"from_dlpack: expected an unused DLPack capsule, got one named {name!r}")
    return name  # type: ignore[no-any-return]


def _pointer(capsule: Any, name: bytes) -> int:
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return int(get(capsule, name))
