"""``cupy.cuda.Stream``, ``Event`` and the stack of current streams."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

from . import counters, ordering
from .errors import CUDARuntimeError
from .graphs import Capture, Graph
from .ordering import Queue
from .state import thread_state

_CAPTURE_UNSUPPORTED, _CAPTURE_ISOLATION, _INVALID_HANDLE = 900, 905, 400
_queues_by_pointer: weakref.WeakValueDictionary[int, Queue] = weakref.WeakValueDictionary()


class BaseStream:
    """What the null stream, new streams and streams of foreign handles have in common."""

    def __init__(self, queue: Queue | None, device_id: int) -> None:
        self._own_queue = queue
        self.device_id = device_id

    @property
    def queue(self) -> Queue:
        """The stream on the device; the null stream has one per device."""
        return self._own_queue or ordering.null_queue(thread_state.device)

    @property
    def ptr(self) -> int:
        """The handle, 0 for the null stream."""
        return 0 if self._own_queue is None else 0x10000 + self._own_queue.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BaseStream) and self.ptr == other.ptr

    def __hash__(self) -> int:
        return self.ptr

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.ptr} (device {self.device_id})>"

    def __cuda_stream__(self) -> tuple[int, int]:
        return (0, self.ptr)

    def _check_device(self) -> int:
        device = thread_state.device
        if self.device_id not in (-1, device):
            raise RuntimeError(
                f"The device that the stream is created on ({self.device_id}) does not match "
                f"with the current device ({device})"
            )
        return device

    def __enter__(self) -> BaseStream:
        thread_state.streams.setdefault(self._check_device(), [Stream.null]).append(self)
        return self

    def __exit__(self, *args: object) -> None:
        device = thread_state.device if self.device_id == -1 else self.device_id
        thread_state.streams[device].pop()

    def use(self) -> BaseStream:
        """Make the stream the current one of its device."""
        stack = thread_state.streams.setdefault(self._check_device(), [Stream.null])
        stack[-1] = self
        return self

    @property
    def done(self) -> bool:
        """Whether all work has been done; an error while the stream is being captured."""
        self._refuse_capture()
        ordering.synchronize_queue(self.queue)
        return True

    def synchronize(self) -> None:
        """Make the host wait for the stream."""
        self._refuse_capture()
        counters.add("synchronizations")
        ordering.synchronize_queue(self.queue)

    def _refuse_capture(self) -> None:
        queue = self.queue
        legacy = queue.null and any(other.blocking for other in ordering.capturing_queues(queue.device))
        if queue.capture is not None or legacy:
            raise CUDARuntimeError(_CAPTURE_UNSUPPORTED)

    def record(self, event: Event | None = None) -> Event:
        """Record an event (a new one by default) after the work so far."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Let later work of this stream wait for an event."""
        event.order_before(self.queue)

    def launch_host_func(self, callback: Callable[[Any], None], arg: Any) -> None:
        """Call a host function in the order of the stream's work."""
        queue = self.queue
        queue.advance((), "host function")
        if queue.capture is not None:
            queue.capture.add(lambda: callback(arg))
        else:
            callback(arg)

    def begin_capture(self, mode: int | None = None) -> None:
        """Start to record work into a graph instead of doing it."""
        if self._own_queue is None:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        if self.queue.capture is not None:
            raise CUDARuntimeError(_CAPTURE_UNSUPPORTED)
        Capture(self.queue)

    def end_capture(self) -> Graph:
        """Stop recording and return the graph."""
        capture = self.queue.capture
        if capture is None or capture.origin is not self.queue:
            raise CUDARuntimeError(_INVALID_HANDLE)
        graph: Graph = capture.finish()
        return graph

    def is_capturing(self) -> bool:
        """Whether the stream is being captured."""
        return self.queue.capture is not None

    @property
    def is_non_blocking(self) -> bool:
        """Whether the stream ignores the null stream."""
        return not self.queue.blocking

    @property
    def priority(self) -> int:
        """The priority of the stream."""
        return 0


class Stream(BaseStream):
    """A stream; see ``cupy.cuda.Stream``."""

    null: ClassVar[Stream]
    ptds: ClassVar[Stream]

    def __init__(
        self,
        null: bool = False,
        non_blocking: bool = False,
        ptds: bool = False,
        priority: int | None = None,
    ) -> None:
        if null:
            super().__init__(None, -1)
            return
        queue = Queue(thread_state.device, blocking=not non_blocking)
        super().__init__(queue, -1 if ptds else thread_state.device)
        _queues_by_pointer[self.ptr] = queue


class ExternalStream(BaseStream):
    """A stream of a handle that somebody else owns."""

    def __init__(self, ptr: int, device_id: int = -1) -> None:
        super().__init__(queue_of_pointer(ptr), device_id)


Stream.null = Stream(null=True)
Stream.ptds = Stream(ptds=True)


def queue_of_pointer(ptr: int) -> Queue | None:
    """Return the stream of a handle, None for the null stream's."""
    if ptr in (0, 1):
        return None
    queue = _queues_by_pointer.get(ptr)
    if queue is None:
        raise CUDARuntimeError(_INVALID_HANDLE)
    return queue


def get_current_stream(device_id: int = -1) -> BaseStream:
    """Return the stream that work of this thread goes to."""
    device = thread_state.device if device_id == -1 else device_id
    stream: BaseStream = thread_state.streams.get(device, [Stream.null])[-1]
    return stream


def current_queue() -> Queue:
    """Return the current stream of the current device, as the device sees it."""
    return get_current_stream().queue


class Event:
    """A mark in a stream's work; see ``cupy.cuda.Event``."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        if interprocess and not disable_timing:
            raise ValueError("Timing must be disabled for interprocess events")
        self._clock: ordering.Clock | None = None
        self._capture: Capture | None = None
        self._timed = not disable_timing
        self._time = 0.0

    @property
    def ptr(self) -> int:
        """The handle."""
        return id(self)

    def record(self, stream: BaseStream | None = None) -> None:
        """Mark the work so far of a stream, the current one by default."""
        queue = (stream or get_current_stream()).queue
        queue.advance((), "event")
        self._clock = dict(queue.clock)
        self._capture = queue.capture
        self._time = time.perf_counter()

    def order_before(self, queue: Queue) -> None:
        """Let later work of `queue` wait for the event."""
        if self._clock is None:
            return  # waiting for an event that was never recorded does nothing
        if self._capture is not None:
            self._capture.join(queue)
        elif queue.capture is not None:
            raise CUDARuntimeError(_CAPTURE_ISOLATION)
        ordering.merge(queue.clock, self._clock)

    def synchronize(self) -> None:
        """Make the host wait for the event."""
        self._refuse_capture()
        counters.add("synchronizations")
        ordering.host_waits_for(self._clock or {})

    @property
    def done(self) -> bool:
        """Whether the work before the event has been done; the host has then seen it."""
        self._refuse_capture()
        ordering.host_waits_for(self._clock or {})
        return True

    def _refuse_capture(self) -> None:
        if self._capture is not None and self._capture.active:
            raise CUDARuntimeError(_CAPTURE_UNSUPPORTED)

    def elapsed_since(self, start: Event) -> float:
        """Return the milliseconds from `start` to this event."""
        if self._clock is None or start._clock is None or not (self._timed and start._timed):
            raise CUDARuntimeError(_INVALID_HANDLE)
        return (self._time - start._time) * 1e3


def get_elapsed_time(start_event: Event, end_event: Event) -> float:
    """Return the milliseconds between two recorded events."""
    return end_event.elapsed_since(start_event)
