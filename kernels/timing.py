"""Times of launches: the host's clock, and on CUDA events, so that nobody waits for a kernel to be timed."""

from __future__ import annotations

import threading
import time
from typing import Any

from .registry import _on_cuda

__all__ = ["Timer"]


class Timer:
    """Marks moments before and after launches; afterwards says when they were, in seconds since it was made.

    A mark costs a reading of the clock, or an event in the current stream of the launch's device. Times of the two
    kinds are on one scale: a device is waited for once, at its first mark.
    """

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._origins: dict[int, tuple[Any, float]] = {}  # of each device an event, and when that was
        self._lock = threading.Lock()

    def device(self, args: tuple[Any, ...]) -> int | None:
        """The number of the CUDA device that a launch with these arguments runs on; None for the host.

        None, too, where the device cannot be waited for now, because its stream is being captured.
        """
        if not any(_on_cuda(a) for a in args):
            return None
        from .cuda import events

        index = events.device_of(args)
        with self._lock:
            if index not in self._origins:
                event = events.settled(index)
                if event is None:
                    return None
                self._origins[index] = (event, time.perf_counter() - self._start)
        return index

    def mark(self, device: int | None) -> Any:
        """Now, for work on a device."""
        if device is not None:
            from .cuda import events

            event = events.recorded(device)
            if event is not None:
                return device, event
        return time.perf_counter() - self._start

    def seconds(self, mark: Any) -> float:
        """When a mark was; waits for the work before it."""
        if isinstance(mark, float):
            return mark
        from .cuda import events

        origin, at = self._origins[mark[0]]
        return at + events.seconds_between(origin, mark[1])
