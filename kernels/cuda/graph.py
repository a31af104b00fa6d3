"""CUDA graphs: launches recorded once by stream capture, and done again by one launch.

A process has one stream and one memory pool per device to capture with. What kernels allocate for themselves while they
are captured comes from that pool and goes back to it, for the next launch and the next graph: therefore no two graphs
of a device ever run at the same time, which `CudaGraph.launch` sees to.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

import cupy

__all__ = ["CudaGraph", "NotCapturableError", "array_at", "copy_bytes", "empty_bytes", "take_turn"]

Call = Callable[[], object]


class NotCapturableError(Exception):
    """One of the calls does what a captured stream refuses.

    Attributes
    ----------
    position : int
        Which one.
    """

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


class _Capturer:
    """What all graphs of a device share."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.stream = cupy.cuda.Stream(non_blocking=True)
        self.pool = cupy.cuda.MemoryPool()
        self.latest: Any = None  # the stream that a graph was launched on last

    def order(self) -> None:
        """Put the work of the current stream from now on behind that of the stream before it."""
        stream = cupy.cuda.get_current_stream()
        if self.latest is not None and self.latest != stream:
            stream.wait_event(self.latest.record(cupy.cuda.Event(disable_timing=True)))
        self.latest = stream


_capturers: dict[int, _Capturer] = {}
_lock = threading.Lock()


def _capturer() -> _Capturer:
    index = cupy.cuda.runtime.getDevice()
    with _lock:
        if index not in _capturers:
            _capturers[index] = _Capturer()
        return _capturers[index]


class CudaGraph:
    """Calls that launch kernels, captured on the current device.

    The arrays that they read and write must live as long as the graph. Every kernel must have been compiled and run
    before, because a captured stream allows no set-up work.

    Parameters
    ----------
    calls : sequence of callable

    Raises
    ------
    NotCapturableError
        If a call waits for the device, copies from or to the host, or uses a library that cannot be captured.
    """

    def __init__(self, calls: Sequence[Call]) -> None:
        self._shared = shared = _capturer()
        with shared.lock, shared.stream, cupy.cuda.using_allocator(shared.pool.malloc):
            shared.stream.begin_capture()
            for position, call in enumerate(calls):
                try:
                    call()
                except Exception as error:
                    _abandon(shared.stream)
                    raise NotCapturableError(position) from error
            try:
                self._graph = shared.stream.end_capture()
            except cupy.cuda.runtime.CUDARuntimeError as error:  # something was refused without saying so
                raise NotCapturableError(len(calls) - 1) from error

    def launch(self) -> None:
        """Do the captured work on the current stream, after all graphs that were launched before."""
        shared = self._shared
        with shared.lock:
            shared.order()
            self._graph.launch()


def take_turn() -> None:
    """Let the current stream wait for all graphs launched before, and for what was done around them."""
    shared = _capturer()
    with shared.lock:
        shared.order()


def _abandon(stream: Any) -> None:
    """End a capture that has failed; CUDA may have given it up already."""
    with contextlib.suppress(cupy.cuda.runtime.CUDARuntimeError):
        stream.end_capture()


# -------------------------------------------------------------------------------------------------------------- memory
def empty_bytes(count: int) -> Any:
    """New memory of the current device: something that arrays point into."""
    return cupy.cuda.alloc(count)


def copy_bytes(target: Any, source: Any, count: int) -> None:
    """Copy memory of the device in the order of the current stream; ``target`` and ``source`` are pointers."""
    if count:
        target.copy_from_device_async(source, count)


def array_at(memory: Any, offset: int, shape: tuple[int, ...], dtype: Any, strides: tuple[int, ...]) -> Any:
    """Elements that lie ``offset`` bytes after a pointer, as an array."""
    if 0 in shape:
        return cupy.empty(shape, dtype)
    return cupy.ndarray(shape, dtype, memory + offset, strides)
