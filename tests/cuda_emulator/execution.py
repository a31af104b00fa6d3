"""The one place where work reaches the device: launches, and copies from and to the host."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from . import counters, ordering
from .errors import CUDARuntimeError, EmulatorError
from .ordering import Queue, Region
from .pinned import is_pinned
from .registry import POISON
from .streams import BaseStream, get_current_stream

HostArray = np.ndarray[Any, Any]
_CAPTURE_UNSUPPORTED, _CAPTURE_IMPLICIT = 900, 906


def queue_for(stream: BaseStream | None) -> Queue:
    """Return the queue of a stream (None: the current one), if it may take work now."""
    queue = (stream or get_current_stream()).queue
    if queue.capture is None:
        capturing = ordering.capturing_queues(queue.device)
        if capturing and queue.null and any(other.blocking for other in capturing):
            raise CUDARuntimeError(_CAPTURE_IMPLICIT)
        if capturing:
            raise CUDARuntimeError(_CAPTURE_UNSUPPORTED)
    return queue


def is_capturing() -> bool:
    """Whether work of this thread goes into a capture."""
    return get_current_stream().queue.capture is not None


def execute(
    label: str,
    action: Callable[[], object],
    regions: Iterable[Region],
    *,
    stream: BaseStream | None = None,
    done: bool = False,
) -> None:
    """Enqueue one launch.

    Parameters
    ----------
    label : str
        What messages call it.
    action : callable
        Does the work; kept for every launch of the graph if the stream is being captured.
    regions : iterable of Region
        The memory that it reads and writes.
    stream : BaseStream, optional
        Where to; by default the current stream.
    done : bool
        The caller has done the work already, because its result was needed to make the output.
    """
    queue = queue_for(stream)
    counters.add("launches")
    queue.advance(regions, label)
    if queue.capture is not None:
        queue.capture.add(action)
    elif not done:
        action()


def require_synchronizable(label: str) -> None:
    """Raise if the host may not wait for the current stream now."""
    queue = get_current_stream().queue
    if queue.capture is not None or ordering.capturing_queues(queue.device):
        raise CUDARuntimeError(_CAPTURE_UNSUPPORTED)


def require_no_capture() -> None:
    """Raise if the current stream is being captured, which then cannot become a graph any more."""
    capture = get_current_stream().queue.capture
    if capture is not None:
        capture.invalidate()
        raise CUDARuntimeError(_CAPTURE_UNSUPPORTED)


def copy_to_host(
    target: HostArray,
    source: HostArray,
    region: Region,
    stream: BaseStream | None = None,
    blocking: bool = True,
) -> None:
    """Copy device memory to the host, and wait if `blocking`."""
    stream = stream or get_current_stream()
    queue = queue_for(stream)
    if blocking and queue.capture is not None:
        raise CUDARuntimeError(_CAPTURE_UNSUPPORTED)
    counters.add("device_to_host")
    queue.advance((region,), "copy to the host")
    if queue.capture is not None:
        queue.capture.add(lambda: np.copyto(target, source))
    elif blocking:
        np.copyto(target, source)
        stream.synchronize()
    elif is_pinned(target):
        # Nothing useful is there until the host waits for the copy.
        copied = source.copy()
        target.view(np.uint8).fill(POISON)
        ordering.defer(queue, lambda: np.copyto(target, copied))
    else:
        np.copyto(target, source)


def copy_to_device(
    target: HostArray,
    source: HostArray,
    region: Region,
    stream: BaseStream | None = None,
) -> None:
    """Copy host memory to the device."""
    queue = queue_for(stream)
    if queue.capture is not None:
        raise RuntimeError("the current stream is capturing, so H2D transfers are disallowed")
    counters.add("host_to_device")
    queue.advance((region,), "copy from the host")
    np.copyto(target, source)
    if is_pinned(source):
        _watch(queue, source)


def _watch(queue: Queue, source: HostArray) -> None:
    """Raise, when the host waits for a copy, if it changed the copy's source in the meantime."""
    before = source.tobytes()

    def check() -> None:
        if source.tobytes() != before:
            raise EmulatorError(
                "page-locked memory was changed while it was being copied to the device: wait for the copy "
                "(an event, or the stream) before writing to its source"
            )

    ordering.defer(queue, check)
