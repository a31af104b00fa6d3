"""Device memory: blocks of host memory with a device and an owner, and the pools of them."""

from __future__ import annotations

import ctypes
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import counters, ordering
from .errors import EmulatorError, OutOfMemoryError
from .ordering import AccessLog, Region
from .registry import ANY_DEVICE, POISON, registry
from .settings import settings
from .state import thread_state

_ALIGNMENT = 512
DEVICE_MEMORY = 8 << 30

Allocator = Callable[[int], "MemoryPointer"]


class Memory:
    """A block of device memory, ``cupy.cuda.Memory``."""

    def __init__(self, size: int) -> None:
        self.device_id = thread_state.device
        self.size = size
        self.buffer = np.empty(size + _ALIGNMENT, np.uint8)
        self.ptr = -(-self.buffer.ctypes.data // _ALIGNMENT) * _ALIGNMENT
        self.requested = size
        self.loans = 0  # how often a pool has given it out
        self.log = AccessLog()
        self.released = False

    @property
    def device(self) -> Any:
        """The device of the block."""
        from .device import Device

        return Device(self.device_id)

    def view(self) -> np.ndarray[Any, Any]:
        """Return the bytes of the block."""
        offset = self.ptr - self.buffer.ctypes.data
        return self.buffer[offset : offset + self.size]


class UnownedMemory:
    """Device memory that another object owns, ``cupy.cuda.UnownedMemory``."""

    def __init__(self, ptr: int, size: int, owner: Any, device_id: int = -1) -> None:
        self.ptr, self.size, self._owner = ptr, size, owner
        self.device_id = thread_state.device if device_id == -1 else device_id
        self.block = block_at(ptr)


class PooledMemory:
    """A block on loan from a pool; it goes back when the last array lets go of it."""

    def __init__(self, block: Memory, size: int, pool: MemoryPool, arena: _Arena) -> None:
        self.block, self.size, self.ptr = block, size, block.ptr
        self.device_id = block.device_id
        self.pool = pool
        self._give_back = weakref.finalize(self, _return_block, block, pool, arena)
        self._give_back.atexit = False
        block.requested = size
        block.loans += 1
        _blocks[block.ptr] = block
        if settings.poison:
            block.view()[:] = POISON
        registry.add(block.ptr, size, block.device_id)

    def free(self) -> None:
        """Give the block back."""
        self._give_back()


_blocks: weakref.WeakValueDictionary[int, Memory] = weakref.WeakValueDictionary()


def block_at(address: int) -> Memory:
    """Return the block that holds an address of a live allocation."""
    for ptr, (size, device) in registry.live.items():
        if device != ANY_DEVICE and ptr <= address < ptr + max(size, 1):
            return _blocks[ptr]
    raise EmulatorError(f"there is no device memory at {address:#x}")


class MemoryPointer:
    """An address in device memory, ``cupy.cuda.MemoryPointer``."""

    def __init__(self, mem: Any, offset: int) -> None:
        self.mem = mem
        self.ptr = mem.ptr + offset

    @property
    def device_id(self) -> int:
        """The device of the memory."""
        return int(self.mem.device_id)

    @property
    def device(self) -> Any:
        """The device of the memory."""
        from .device import Device

        return Device(self.device_id)

    @property
    def block(self) -> Memory:
        """The block of memory that the pointer points into."""
        block: Memory = self.mem if isinstance(self.mem, Memory) else self.mem.block
        return block

    def __int__(self) -> int:
        return self.ptr

    def __add__(self, offset: int) -> MemoryPointer:
        return MemoryPointer(self.mem, self.ptr - self.mem.ptr + offset)

    def __sub__(self, offset: int) -> MemoryPointer:
        return self + -offset

    def region(self, size: int, writes: bool) -> Region:
        """Return the next `size` bytes as something that work touches."""
        begin = self.ptr - self.block.ptr
        return Region(self.block, begin, begin + size, writes)

    def bytes(self, size: int) -> np.ndarray[Any, Any]:
        """Return the next `size` bytes of the block."""
        begin = self.ptr - self.block.ptr
        return self.block.view()[begin : begin + size]

    def copy_from_device(self, src: MemoryPointer, size: int) -> None:
        """Copy from device memory."""
        self.copy_from_device_async(src, size)

    def copy_from_device_async(self, src: MemoryPointer, size: int, stream: Any = None) -> None:
        """Copy from device memory, in the order of a stream."""
        from .execution import execute

        into, out_of = self.bytes(size), src.bytes(size)
        regions = (self.region(size, True), src.region(size, False))
        execute("memcpy", lambda: np.copyto(into, out_of), regions, stream=stream)

    def copy_from_host(self, mem: int | ctypes.c_void_p, size: int) -> None:
        """Copy from host memory and wait."""
        self.copy_from_host_async(mem, size)

    def copy_from_host_async(self, mem: int | ctypes.c_void_p, size: int, stream: Any = None) -> None:
        """Copy from host memory, in the order of a stream."""
        from .execution import copy_to_device

        copy_to_device(self.bytes(size), host_bytes(mem, size), self.region(size, True), stream)

    def copy_to_host(self, mem: int | ctypes.c_void_p, size: int) -> None:
        """Copy to host memory and wait."""
        from .execution import copy_to_host

        copy_to_host(host_bytes(mem, size), self.bytes(size), self.region(size, False))

    def copy_to_host_async(self, mem: int | ctypes.c_void_p, size: int, stream: Any = None) -> None:
        """Copy to host memory, in the order of a stream."""
        from .execution import copy_to_host

        region = self.region(size, False)
        copy_to_host(host_bytes(mem, size), self.bytes(size), region, stream, blocking=False)

    def memset(self, value: int, size: int) -> None:
        """Set bytes to a value."""
        self.memset_async(value, size)

    def memset_async(self, value: int, size: int, stream: Any = None) -> None:
        """Set bytes to a value, in the order of a stream."""
        from .execution import execute

        target = self.bytes(size)
        execute("memset", lambda: target.fill(value), (self.region(size, True),), stream=stream)


def host_bytes(mem: int | ctypes.c_void_p, size: int) -> np.ndarray[Any, Any]:
    """Return host memory at an address as an array of bytes."""
    address = mem if isinstance(mem, int) else mem.value
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address or 0))


class _Arena:
    """The free blocks of a pool for one stream of one device."""

    def __init__(self) -> None:
        self.free: defaultdict[int, list[Memory]] = defaultdict(list)
        self.used = 0

    def release(self) -> None:
        """Give the free blocks back to the device."""
        for blocks in self.free.values():
            for block in blocks:
                block.released = True
        self.free.clear()


def _return_block(block: Memory, pool: MemoryPool, arena: _Arena) -> None:
    registry.remove(block.ptr)
    arena.used -= block.size
    arena.free[block.size].append(block)


class MemoryPool:
    """``cupy.cuda.MemoryPool``: keeps freed blocks, per device and stream, for later requests.

    A block goes to a request of its own rounded size only, unlike CuPy's pool, which splits large
    blocks.
    """

    def __init__(self, allocator: Allocator | None = None) -> None:
        self._arenas: dict[tuple[int, int], _Arena] = {}
        self._limits: defaultdict[int, int] = defaultdict(int)

    def _arenas_of_device(self) -> Iterator[_Arena]:
        for (device, _), arena in self._arenas.items():
            if device == thread_state.device:
                yield arena

    def malloc(self, size: int) -> MemoryPointer:
        """Return `size` bytes of the current device for the current stream."""
        from .streams import current_queue

        counters.add("allocations")
        queue = current_queue()
        if self is default_pool and ordering.capturing_queues(queue.device):
            raise EmulatorError(
                "device memory is allocated from the default pool while a stream is being "
                "captured; capture with a private pool: using_allocator(pool.malloc)"
            )
        arena = self._arenas.setdefault((queue.device, queue.id), _Arena())
        rounded = max(-(-size // _ALIGNMENT), 1) * _ALIGNMENT
        if arena.free[rounded]:
            block = arena.free[rounded].pop()
        else:
            total, limit = self.total_bytes(), self._limits[queue.device]
            if total + rounded > (limit or DEVICE_MEMORY):
                raise OutOfMemoryError(rounded, total, limit)
            block = Memory(rounded)
        arena.used += rounded
        return MemoryPointer(PooledMemory(block, size, self, arena), 0)

    def used_bytes(self) -> int:
        """Return how many bytes of the current device arrays hold."""
        return sum(arena.used for arena in self._arenas_of_device())

    def free_bytes(self) -> int:
        """Return how many bytes of the current device wait for a request."""
        return sum(size * len(blocks) for arena in self._arenas_of_device() for size, blocks in arena.free.items())

    def total_bytes(self) -> int:
        """Return how many bytes of the current device the pool has taken."""
        return self.used_bytes() + self.free_bytes()

    def n_free_blocks(self) -> int:
        """Return how many blocks of the current device wait for a request."""
        return sum(len(blocks) for a in self._arenas_of_device() for blocks in a.free.values())

    def free_all_blocks(self, stream: Any = None) -> None:
        """Give the waiting blocks back to the device."""
        for arena in self._arenas_of_device():
            arena.release()

    def free_all_free(self) -> None:
        """Give the waiting blocks back to the device."""
        self.free_all_blocks()

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        """Limit the bytes of the current device; 0 is no limit."""
        if fraction is not None:
            size = int(DEVICE_MEMORY * fraction)
        self._limits[thread_state.device] = size or 0

    def get_limit(self) -> int:
        """Return the limit of the current device in bytes, 0 for none."""
        return self._limits[thread_state.device]

    def __del__(self) -> None:
        for arena in self._arenas.values():
            arena.release()


default_pool = MemoryPool()
_allocator: Allocator = default_pool.malloc


def get_allocator() -> Allocator:
    """Return the allocator of this thread."""
    own: Allocator | None = thread_state.allocator
    return own or _allocator


def set_allocator(allocator: Allocator | None = None) -> None:
    """Set the allocator of all threads; None is one without a pool."""
    global _allocator
    if thread_state.allocator is not None:
        raise ValueError("Can't change the global allocator inside `using_allocator` context manager")
    _allocator = allocator or _malloc_without_pool


def _malloc_without_pool(size: int) -> MemoryPointer:
    return MemoryPool().malloc(size)


@contextmanager
def using_allocator(allocator: Allocator | None = None) -> Iterator[None]:
    """Use an allocator in this thread inside a ``with`` block."""
    before = thread_state.allocator
    thread_state.allocator = allocator or _malloc_without_pool
    try:
        yield
    finally:
        thread_state.allocator = before


def alloc(size: int) -> MemoryPointer:
    """Allocate with the current allocator, ``cupy.cuda.alloc``."""
    return get_allocator()(size)


@contextmanager
def lent_to_graph(regions: Iterable[Region]) -> Iterator[None]:
    """Let kernels of a graph touch the blocks that were freed since it was captured.

    A pool keeps such blocks, and the graph goes on using them for its intermediate results.
    """
    idle = {r.memory: r.memory.loans for r in regions if r.memory.ptr not in registry.live}
    for block in idle:
        registry.add(block.ptr, block.size, block.device_id)
    try:
        yield
    finally:
        for block, loans in idle.items():
            if block.loans == loans:  # another thread may have got it from the pool meanwhile
                registry.remove(block.ptr)
