"""What a recorder of a function must see beside its kernel launches.

`tg.jit` runs a function once, records it, and replays the record. Launches it sees through the kernels' hooks. This
file is for what happens in Python: numbers that change from call to call (a place in the random stream, a loss scale),
calls that must run again at every replay (an optimizer's step), and reads of values, which cannot be replayed.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

__all__ = [
    "CaptureError",
    "LiveFloat",
    "LiveInt",
    "Recorder",
    "bump",
    "host_read",
    "live",
    "observe",
    "observed_classes",
    "recorded_elsewhere",
    "recording",
    "replayed",
    "start",
    "stop",
    "structure_version",
]

_F = TypeVar("_F", bound=Callable[..., Any])


class CaptureError(RuntimeError):
    """A function does something that cannot be recorded and replayed."""


class Recorder(Protocol):
    """Whoever records the running thread."""

    thread: int
    paused: bool

    def drawn(self, generator: Any, blocks: int, seed: int, offset: int) -> tuple[int, int]:
        """A part of a random stream was set aside; returns the numbers in a form that launches can be traced by."""

    def live(self, value: float, source: Callable[[], float]) -> float:
        """A number that ``source()`` gives anew at each replay."""

    def host_call(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a function that must run again, as Python, at each replay."""

    def host_read(self, what: str, array: Any = None) -> None:
        """Refuse: Python asks for a value, that of ``array`` if it is one's, that the next replay may change."""

    def called(self, module: Any) -> None:
        """A module took part."""

    def reached(self, node: Any) -> None:
        """A backward has found the complete gradient of a place on the tape, and its hooks are next."""

    def went_through(self, node: Any) -> None:
        """A backward goes on to the operands of what made a place on the tape."""


class LiveInt(int):
    """An integer that each replay gets anew; ``slot`` is its number in the record."""

    slot: int


class LiveFloat(float):
    """A float that each replay gets anew."""

    slot: int


_recorder: Recorder | None = None

observed_classes: list[tuple[type, str]] = []
"""Classes with a flag that makes their instances report their calls; set while somebody records or watches."""

_observers = 0  # how many there are
_counting = threading.Lock()

structure_version = 0
"""Goes up whenever an attribute of a module changes: what was recorded from modules may then be out of date."""


def bump() -> None:
    """Count a change of a module."""
    global structure_version
    structure_version += 1


def recording() -> Recorder | None:
    """Who records the calling thread, if anybody does."""
    r = _recorder
    return r if r is not None and not r.paused and r.thread == threading.get_ident() else None


def recorded_elsewhere() -> bool:
    """Whether somebody records another thread than the calling one."""
    r = _recorder
    return r is not None and r.thread != threading.get_ident()


def start(recorder: Recorder) -> None:
    """Let ``recorder`` see what its thread does."""
    global _recorder
    _recorder = recorder
    observe(1)


def stop() -> None:
    """Undo `start`."""
    global _recorder
    _recorder = None
    observe(-1)


def observe(change: int) -> None:
    """Count one observer more or less; with none left, the observed classes report nothing."""
    global _observers
    with _counting:
        _observers += change
        for cls, flag in observed_classes:
            setattr(cls, flag, _observers > 0)


def live(source: Callable[[], float]) -> float:
    """``source()``; under a recorder, as a number that each replay asks for again."""
    r = recording()
    value = float(source())
    return value if r is None else r.live(value, source)


def host_read(what: str, array: Any = None) -> None:
    """Declare that a value, that of ``array`` if it is one's, is about to be handed to Python."""
    if _recorder is not None:
        r = recording()
        if r is not None:
            r.host_read(what, array)


def replayed(method: _F) -> _F:
    """Decorator of a function whose Python must run at every replay, because its state is not in tensors alone."""

    @functools.wraps(method)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        r = recording() if _recorder is not None else None
        return method(*args, **kwargs) if r is None else r.host_call(method, args, kwargs)

    return wrapper  # type: ignore[return-value]
