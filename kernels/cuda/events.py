"""Events that time launches, on the stream that the launches go to."""

from __future__ import annotations

from typing import Any

import cupy

from .placement import _device, on_device

__all__ = ["device_of", "recorded", "seconds_between", "settled"]


def device_of(args: tuple[Any, ...]) -> int:
    """The device that a launch with these arguments runs on."""
    return _device("launch", args)


def recorded(index: int) -> Any:
    """An event after all work so far of the device's current stream; None while the stream is being captured."""
    return on_device(index, _recorded)


def _recorded() -> Any:
    stream = cupy.cuda.get_current_stream()
    if stream.is_capturing():
        return None
    event = cupy.cuda.Event()
    event.record(stream)
    return event


def settled(index: int) -> Any:
    """An event that has happened, with nothing before it left to do; None while the stream is being captured."""
    event = recorded(index)
    if event is not None:
        event.synchronize()
    return event


def seconds_between(start: Any, end: Any) -> float:
    """Seconds from one event to a later one, which is waited for."""
    end.synchronize()
    return float(cupy.cuda.get_elapsed_time(start, end)) / 1e3
