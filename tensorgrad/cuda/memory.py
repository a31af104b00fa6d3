"""Device memory: how much there is and was, and what happens when there is none left.

Arrays come from CuPy's pool. `Allocator` stands in front of it: it gives cached memory back and asks once more before
it gives up, says how much was asked for and how much there is, and remembers the peak.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any

from ..backend import require_cuda
from .devices import index_of

__all__ = [
    "Allocator",
    "OutOfMemoryError",
    "empty_cache",
    "install",
    "max_memory_allocated",
    "mem_get_info",
    "memory_allocated",
    "memory_reserved",
    "reset_peak_memory_stats",
]


class OutOfMemoryError(MemoryError, RuntimeError):
    """A CUDA device has no memory left for an array.

    Attributes
    ----------
    requested : int
        Bytes that were asked for.
    free, total : int
        Bytes that are free on the device, and that it has.
    allocated, cached : int
        Bytes that arrays hold, and that the pool keeps for later arrays.
    """

    def __init__(self, device: int, requested: int, free: int, total: int, allocated: int, cached: int, limit: int):
        self.requested, self.free, self.total, self.allocated, self.cached = requested, free, total, allocated, cached
        limited = f", the pool is limited to {_size(limit)}" if limit else ""
        super().__init__(
            f"CUDA out of memory on cuda:{device}: {_size(requested)} requested, {_size(free)} of {_size(total)} free "
            f"on the device; arrays hold {_size(allocated)}, the pool caches {_size(cached)}{limited}. "
            "Use smaller batches, tg.no_grad() where no gradient is needed, or delete tensors that are not needed"
        )


def _size(count: int) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if abs(count) < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024  # type: ignore[assignment]
    return f"{count:,.2f} GiB"


class Allocator:
    """A CuPy allocator in front of another one.

    Parameters
    ----------
    cupy : module
    inner : callable
        What allocates: ``inner(size)``, as ``MemoryPool.malloc``.
    pool : MemoryPool
        Where ``inner`` takes memory from, for counting and for giving back what is cached.
    """

    def __init__(self, cupy: Any, inner: Callable[[int], Any], pool: Any) -> None:
        self._cupy = cupy
        self._inner = inner
        self.pool = pool
        self._device = cupy.cuda.runtime.getDevice
        self._error = cupy.cuda.memory.OutOfMemoryError
        # Counting what is in use takes CuPy a walk over all blocks. Until the bytes handed out since the last count,
        # freed or not, could have made a new peak, no count is needed.
        self._peak: dict[int, int] = {}
        self._could_be: dict[int, int] = {}

    def __call__(self, size: int) -> Any:
        """Memory of the current device for the current stream."""
        try:
            memory = self._inner(size)
        except self._error:
            memory = None
        if memory is None:
            memory = self._again(size)
        index = self._device()
        bound = self._could_be.get(index, 0) + size + 512  # what rounding adds at most
        if bound > self._peak.get(index, 0):
            bound = int(self.pool.used_bytes())
            if bound > self._peak.get(index, 0):
                self._peak[index] = bound
        self._could_be[index] = bound
        return memory

    def _again(self, size: int) -> Any:
        """Ask once more, after what nobody uses was given back."""
        gc.collect()
        self.pool.free_all_blocks()
        try:
            return self._inner(size)
        except self._error:
            pass
        # Outside of the handler: an exception that refers to CuPy's would keep the frames, and their arrays, alive.
        free, total = map(int, self._cupy.cuda.runtime.memGetInfo())
        used = int(self.pool.used_bytes())
        cached = int(self.pool.total_bytes()) - used
        raise OutOfMemoryError(self._device(), size, free, total, used, cached, int(self.pool.get_limit()))

    def peak(self, index: int) -> int:
        """Most bytes that arrays held at one time."""
        return max(self._peak.get(index, 0), int(self.pool.used_bytes()))

    def reset(self, index: int) -> int:
        """Count the peak from now on; what it is now."""
        self._peak[index] = self._could_be[index] = used = int(self.pool.used_bytes())
        return used

    @property
    def devices(self) -> list[int]:
        """Devices that memory was taken from."""
        return sorted(self._could_be)


_allocator: Allocator | None = None
_lock = threading.Lock()


def install(cupy: Any) -> None:
    """Put an `Allocator` in front of CuPy's default pool, once per process.

    An allocator that the program gave to CuPy itself (``cupy.cuda.set_allocator``) stays in charge.
    """
    global _allocator
    with _lock:
        if _allocator is not None and _allocator._cupy is cupy:
            return
        pool = cupy.get_default_memory_pool()
        _allocator = Allocator(cupy, pool.malloc, pool)
        if cupy.cuda.get_allocator() == pool.malloc:
            try:
                cupy.cuda.set_allocator(_allocator)
            except ValueError:  # inside of cupy.cuda.using_allocator, for this thread only
                _allocator = None


def _in_charge() -> Allocator:
    cupy = require_cuda()
    install(cupy)
    if _allocator is None:
        pool = cupy.get_default_memory_pool()
        return Allocator(cupy, pool.malloc, pool)
    return _allocator


def _asked(device: Any, question: Callable[[Allocator, int], int]) -> int:
    index = index_of(device)
    with require_cuda().cuda.Device(index):
        return question(_in_charge(), index)


def memory_allocated(device: Any = None) -> int:
    """Bytes that arrays hold on a device, the current one by default."""
    return _asked(device, lambda a, _: int(a.pool.used_bytes()))


def max_memory_allocated(device: Any = None) -> int:
    """Most bytes that arrays held at one time, since the start or the last `reset_peak_memory_stats`."""
    return _asked(device, lambda a, index: a.peak(index))


def reset_peak_memory_stats(device: Any = None) -> None:
    """Let `max_memory_allocated` count from now on."""
    _asked(device, Allocator.reset)


def memory_reserved(device: Any = None) -> int:
    """Bytes that the pool holds on a device, used or cached."""
    return _asked(device, lambda a, _: int(a.pool.total_bytes()))


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Free and total bytes of a device, of all processes."""
    with require_cuda().cuda.Device(index_of(device)):
        free, total = require_cuda().cuda.runtime.memGetInfo()
    return int(free), int(total)


def empty_cache() -> None:
    """Give memory that no array uses back to the devices."""
    cupy = require_cuda()
    allocator = _in_charge()
    for index in {*allocator.devices, int(cupy.cuda.runtime.getDevice())}:
        with cupy.cuda.Device(index):
            allocator.pool.free_all_blocks()
