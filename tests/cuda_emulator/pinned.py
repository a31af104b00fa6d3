"""Page-locked host memory, from which and to which copies run beside the host."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from .registry import ANY_DEVICE, registry

HostArray = np.ndarray[Any, Any]


class PinnedMemoryPointer(bytearray):
    """Page-locked host memory, ``cupy.cuda.PinnedMemoryPointer``: a buffer that kernels may use."""

    def __init__(self, size: int) -> None:
        super().__init__(b"\xff" * max(size, 1))
        self.ptr: int = np.frombuffer(self, np.uint8).ctypes.data
        self.mem = self
        registry.add(self.ptr, len(self), ANY_DEVICE)
        weakref.finalize(self, registry.remove, self.ptr).atexit = False

    __hash__ = object.__hash__

    def size(self) -> int:
        """Return the size in bytes."""
        return len(self)


class PinnedMemoryPool:
    """``cupy.cuda.PinnedMemoryPool``."""

    def malloc(self, size: int) -> PinnedMemoryPointer:
        """Return page-locked memory."""
        return PinnedMemoryPointer(size)

    def free_all_blocks(self) -> None:
        """Give the waiting blocks back; the emulator keeps none."""

    def n_free_blocks(self) -> int:
        """Return how many blocks wait for a request."""
        return 0


default_pinned_pool = PinnedMemoryPool()


def empty_pinned(shape: Any, dtype: Any = float, order: str = "C") -> HostArray:
    """Return page-locked memory as a NumPy array, ``cupyx.empty_pinned``."""
    layout = np.empty(shape, dtype, order)  # type: ignore[call-overload]
    memory = default_pinned_pool.malloc(layout.nbytes)
    return np.ndarray(layout.shape, layout.dtype, memory, 0, layout.strides)


def zeros_pinned(shape: Any, dtype: Any = float, order: str = "C") -> HostArray:
    """Return page-locked memory full of zeros as a NumPy array, ``cupyx.zeros_pinned``."""
    result = empty_pinned(shape, dtype, order)
    result.fill(0)
    return result


def is_pinned(array: HostArray) -> bool:
    """Whether an array lies in page-locked memory."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    return isinstance(base, PinnedMemoryPointer)
