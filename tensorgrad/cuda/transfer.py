"""Copies between host and device that run beside the computation, and page-locked memory for them.

A copy to the device runs on a stream of its own, one per thread and device, into memory of that stream, so that it
waits for nothing but the copy before. The stream that computes waits for the copy's event. Two promises make this safe:
the source stays alive until its copy has ended, and memory that comes back is written again only after the computation
that read it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..backend import Device, cuda_device_count, require_cuda, to_device

__all__ = [
    "between_devices",
    "can_upload",
    "download",
    "is_pinned",
    "pinned",
    "pinned_if_possible",
    "prefetched",
    "upload",
]

HostArray = np.ndarray[Any, Any]


# ------------------------------------------------------------------------------------------------- page-locked memory
def empty_pinned(shape: tuple[int, ...], dtype: Any) -> HostArray:
    """Page-locked memory, from CuPy's pool of it."""
    layout: Any = np.dtype(dtype)
    count = int(np.prod(shape, dtype=np.int64))
    memory = require_cuda().cuda.alloc_pinned_memory(max(count * layout.itemsize, 1))
    return np.ndarray(shape, layout, memory)


def pinned(array: HostArray) -> HostArray:
    """A copy in page-locked memory; the array itself if it lies there."""
    if is_pinned(array):
        return array
    copy = empty_pinned(array.shape, array.dtype)
    copy[...] = array
    return copy


def pinned_if_possible(array: Any) -> Any:
    """`pinned`, or the array itself if it is on a device or there is no GPU to copy to."""
    return pinned(array) if isinstance(array, np.ndarray) and cuda_device_count() else array


def is_pinned(array: Any) -> bool:
    """Whether an array lies in page-locked memory that CuPy allocated."""
    base = array if isinstance(array, np.ndarray) else None
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    # By name, so that the question does not import CuPy.
    return type(base).__name__ == "PinnedMemoryPointer"


# ------------------------------------------------------------------------------------------------------------- copies
class _Lane:
    """The copy stream of one thread and device, what it is copying, and the memory that came back to it."""

    def __init__(self, cupy: Any) -> None:
        self.stream = cupy.cuda.Stream(non_blocking=True)
        self._under_way: deque[tuple[Any, Any]] = deque()  # (event, what must stay alive until then)
        self.returned: deque[tuple[Any, Any]] = deque()  # (memory, stream that may still be reading it)

    def hold(self, event: Any, source: Any) -> None:
        """Keep something alive until an event."""
        self._under_way.append((event, source))

    def settle(self) -> None:
        """Let go of what has been copied, and take memory back once its readers are ordered before the next copy."""
        while self._under_way and self._under_way[0][0].done:
            self._under_way.popleft()
        back = [self.returned.popleft() for _ in range(len(self.returned))]
        for reader in {stream.ptr: stream for _, stream in back}.values():
            self.stream.wait_event(reader.record())


class _Loan:
    """Owner of an array's memory: gives it back to the lane when the last view of the array is gone."""

    def __init__(self, memory: Any, lane: _Lane, reader: Any) -> None:
        self._returned = lane.returned
        self._loan = (memory, reader)

    def __del__(self) -> None:
        self._returned.append(self._loan)


class _Lanes(threading.local):
    def __init__(self) -> None:
        self.by_device: dict[int, _Lane] = {}


_lanes = _Lanes()


def _lane(cupy: Any, index: int) -> _Lane:
    """This thread's lane to the current device."""
    found = _lanes.by_device.get(index)
    if found is None:
        found = _lanes.by_device[index] = _Lane(cupy)
    return found


def _start(array: HostArray, index: int) -> tuple[Any, Any]:
    """Start to copy page-locked memory to the current device; the copy, and the event at its end."""
    cupy = require_cuda()
    lane = _lane(cupy, index)
    reader = cupy.cuda.get_current_stream()
    lane.settle()
    with lane.stream:
        memory = cupy.cuda.alloc(array.nbytes)
    owned = cupy.cuda.UnownedMemory(memory.ptr, array.nbytes, _Loan(memory, lane, reader), index)
    target = cupy.ndarray(array.shape, array.dtype, cupy.cuda.MemoryPointer(owned, 0))
    target.set(array, lane.stream)
    event = lane.stream.record()
    lane.hold(event, array)
    return target, event


def can_upload(array: HostArray) -> bool:
    """Whether the device can read an array without the help of the host."""
    return bool(array.size and array.flags.c_contiguous and is_pinned(array))


def upload(array: HostArray, device: Device) -> Any:
    """Copy page-locked memory to a device beside the work of the host and of the device.

    The current stream waits for the copy; the host does not. The source must not be changed before the copy has ended.
    """
    cupy = require_cuda()
    with cupy.cuda.Device(device.index):
        target, event = _start(array, device.index)
        cupy.cuda.get_current_stream().wait_event(event)
    return target


def download(array: Any) -> HostArray:
    """Copy an array into page-locked memory that holds its values once the device has been waited for."""
    cupy = require_cuda()
    index = array.data.device_id
    host = empty_pinned(array.shape, array.dtype)
    if array.size:
        with cupy.cuda.Device(index):
            lane = _lane(cupy, index)
            lane.settle()
            array.get(out=host, blocking=False)
            lane.hold(cupy.cuda.get_current_stream().record(), host)
    return host


def between_devices(array: Any, device: Device) -> Any:
    """Copy an array to another GPU, in the order of the current streams of both."""
    cupy = require_cuda()
    with array.device:
        source = cupy.cuda.get_current_stream()
        before = source.record()
    with cupy.cuda.Device(device.index):
        target = cupy.cuda.get_current_stream()
        target.wait_event(before)
        copy = cupy.array(array)
        after = target.record()
    with array.device:
        source.wait_event(after)  # the memory of the source may be written again after this
    return copy


# ----------------------------------------------------------------------------------------------------------- prefetch
class _Staging:
    """A page-locked buffer that is filled again and again; the event tells when its last copy has ended."""

    def __init__(self) -> None:
        self._buffer: HostArray = np.empty(0, np.uint8)
        self._event: Any = None
        self._filled = 0

    def free(self) -> None:
        """Wait until the buffer may be written again."""
        if self._event is not None and not self._event.done:
            self._event.synchronize()
        self._filled = 0

    def send(self, array: HostArray, device: Device) -> Any:
        """Copy an array of the host into the buffer, and start to copy it to the device."""
        begin = -(-self._filled // 512) * 512
        end = begin + array.nbytes
        if end > len(self._buffer):
            self._buffer = empty_pinned((max(2 * len(self._buffer), end - begin),), np.uint8)
            begin, end = 0, array.nbytes
        self._filled = end
        staged = np.ndarray(array.shape, array.dtype, self._buffer, begin)
        staged[...] = array
        with require_cuda().cuda.Device(device.index):
            target, self._event = _start(staged, device.index)
        return target

    def ready(self, device: Device) -> None:
        """Let the current stream wait for what was sent."""
        if self._event is not None:
            cupy = require_cuda()
            with cupy.cuda.Device(device.index):
                cupy.cuda.get_current_stream().wait_event(self._event)


def prefetched(
    batches: Iterable[Any], device: Device, depth: int, place: Callable[[Any, Callable[[Any], Any]], Any]
) -> Iterator[Any]:
    """Batches on a device, where the copies of the next ``depth - 1`` run while one is used.

    Parameters
    ----------
    batches : iterable
    device : Device
    depth : int
        Number of staging buffers, at least 2 for an overlap.
    place : callable
        ``place(batch, move)`` is the batch with ``move(array)`` in the place of every array in it.
    """
    if not device.is_cuda:
        for batch in batches:
            yield place(batch, lambda array: to_device(array, device))
        return
    buffers = [_Staging() for _ in range(depth)]
    waiting: deque[tuple[Any, _Staging]] = deque()
    for number, batch in enumerate(batches):
        staging = buffers[number % depth]
        staging.free()

        def move(array: Any, staging: _Staging = staging) -> Any:
            host = isinstance(array, np.ndarray) and array.size
            return staging.send(array, device) if host else to_device(array, device)

        waiting.append((place(batch, move), staging))
        if len(waiting) == depth:
            yield _handed_out(*waiting.popleft(), device)
    while waiting:
        yield _handed_out(*waiting.popleft(), device)


def _handed_out(batch: Any, staging: _Staging, device: Device) -> Any:
    staging.ready(device)
    return batch
