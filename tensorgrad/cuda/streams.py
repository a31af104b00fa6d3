"""Streams and events with PyTorch's meaning, on CuPy's."""

from __future__ import annotations

from typing import Any

from ..backend import Device, report_cuda_errors, require_cuda
from .devices import current_device, index_of

__all__ = ["Event", "Stream", "current_stream", "default_stream", "stream"]


class Stream:
    """A queue of work on one device; work of different streams runs side by side unless events order it.

    Parameters
    ----------
    device : int, str or Device, optional
        The current device if not given.
    priority : int
        Lower numbers go first; 0 is the default.
    """

    def __init__(self, device: Any = None, priority: int = 0, *, _cupy: Any = None) -> None:
        self._index = index_of(device)
        if _cupy is None:
            cupy = require_cuda()
            with cupy.cuda.Device(self._index):
                _cupy = cupy.cuda.Stream(non_blocking=True, priority=priority or None)
        self._cupy = _cupy

    @property
    def device(self) -> Device:
        """The device of the stream."""
        return Device("cuda", self._index)

    @property
    def cuda_stream(self) -> int:
        """The handle."""
        return int(self._cupy.ptr)

    def __cuda_stream__(self) -> tuple[int, int]:
        return (0, self.cuda_stream)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and (self._index, self.cuda_stream) == (other._index, other.cuda_stream)

    def __hash__(self) -> int:
        return hash((self._index, self.cuda_stream))

    def __repr__(self) -> str:
        return f"<Stream device=cuda:{self._index} cuda_stream={self.cuda_stream:#x}>"

    def synchronize(self) -> None:
        """Wait until all work of the stream is done, and report indices that kernels found out of range."""
        with require_cuda().cuda.Device(self._index):
            self._cupy.synchronize()
        report_cuda_errors(self._index)

    def query(self) -> bool:
        """Whether all work of the stream is done."""
        with require_cuda().cuda.Device(self._index):
            return bool(self._cupy.done)

    def record_event(self, event: Event | None = None) -> Event:
        """Mark the work so far with an event, a new one if none is given."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Let later work of this stream wait for an event; the host does not wait."""
        event.wait(self)

    def wait_stream(self, stream: Stream) -> None:
        """Let later work of this stream wait for the work that another one has now."""
        self.wait_event(stream.record_event())


class Event:
    """A mark in a stream's work.

    Parameters
    ----------
    enable_timing : bool
        Whether `elapsed_time` is to be asked.
    blocking : bool
        Whether the thread sleeps in `synchronize`, in place of spinning.
    """

    def __init__(self, enable_timing: bool = False, blocking: bool = False) -> None:
        self._timed = enable_timing
        self._blocking = blocking
        self._cupy: Any = None  # made on the device of the stream that first records it
        self._index = -1

    def record(self, stream: Stream | None = None) -> None:
        """Mark the work so far of a stream, the current one by default."""
        stream = current_stream() if stream is None else stream
        cupy = require_cuda()
        with cupy.cuda.Device(stream._index):
            if self._cupy is None:
                self._cupy = cupy.cuda.Event(block=self._blocking, disable_timing=not self._timed)
                self._index = stream._index
            elif self._index != stream._index:
                raise RuntimeError(f"Event.record: recorded on cuda:{self._index} before, now on cuda:{stream._index}")
            self._cupy.record(stream._cupy)

    def wait(self, stream: Stream | None = None) -> None:
        """Let later work of a stream, the current one by default, wait for the event."""
        if self._cupy is not None:
            stream = current_stream() if stream is None else stream
            with require_cuda().cuda.Device(stream._index):
                stream._cupy.wait_event(self._cupy)

    def query(self) -> bool:
        """Whether the work before the event is done."""
        return self._cupy is None or bool(self._cupy.done)

    def synchronize(self) -> None:
        """Wait for the work before the event, and report indices that kernels found out of range."""
        if self._cupy is not None:
            self._cupy.synchronize()
            report_cuda_errors(self._index)

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds of the device's clock from this event to another; both must have been reached.

        Raises
        ------
        RuntimeError
            If one of them was not recorded or was made without ``enable_timing=True``.
        """
        for event in (self, end_event):
            if not event._timed:
                raise RuntimeError("Event.elapsed_time: both events need enable_timing=True")
            if event._cupy is None:
                raise RuntimeError("Event.elapsed_time: both events must have been recorded")
        return float(require_cuda().cuda.get_elapsed_time(self._cupy, end_event._cupy))


def current_stream(device: Any = None) -> Stream:
    """The stream that this thread's work on a device goes to."""
    index = index_of(device)
    with require_cuda().cuda.Device(index):
        return Stream(index, _cupy=require_cuda().cuda.get_current_stream())


def default_stream(device: Any = None) -> Stream:
    """The null stream of a device, which is current unless something else was asked for."""
    return Stream(device, _cupy=require_cuda().cuda.Stream.null)


class stream:  # noqa: N801 - PyTorch's name
    """Make a stream, and its device, the current one inside a ``with`` block; None changes nothing.

    Nothing is ordered by this: let the stream wait (`Stream.wait_stream`) for what it reads.
    """

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream
        self._before: list[int] = []

    def __enter__(self) -> None:
        if self.stream is not None:
            self._before.append(current_device())
            require_cuda().cuda.runtime.setDevice(self.stream._index)
            self.stream._cupy.__enter__()

    def __exit__(self, *failure: Any) -> None:
        if self.stream is not None:
            runtime = require_cuda().cuda.runtime
            runtime.setDevice(self.stream._index)
            self.stream._cupy.__exit__(*failure)
            runtime.setDevice(self._before.pop())
