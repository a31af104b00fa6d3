"""Which core a thread runs on: two that work together must not share one.

Linux may wake a thread on the core of the one that woke it, busy as that is, although another is idle, and then leave
both there for many milliseconds: on small machines a step takes half as long again. A thread that finds itself there
moves away, once: what cores it may run on stays as it was.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable

__all__ = ["current_core", "leave"]


@functools.cache
def _core_of_caller() -> Callable[[], int] | None:
    """The C library's ``sched_getcpu``, where it has one and threads can be moved."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    try:
        return ctypes.PyDLL(None).sched_getcpu
    except (OSError, AttributeError):
        return None


def current_core() -> int:
    """The number of the core that the calling thread runs on; -1 where that is not known."""
    ask = _core_of_caller()
    return -1 if ask is None else ask()


def leave(core: int) -> None:
    """Have the calling thread run on another core than this one, if it may, until the system moves it again."""
    allowed = os.sched_getaffinity(0)
    others = allowed - {core}
    if not others:
        return
    try:
        os.sched_setaffinity(0, others)
        os.sched_setaffinity(0, allowed)
    except OSError:  # a sandbox that does not let threads choose
        pass
