"""Which module is being called: for the profiler, `summary` and pictures, which ask what belongs to which layer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ..capture import observe
from ..tape import visiting

if TYPE_CHECKING:
    from .module import Module

__all__ = ["Call", "Watcher", "are_watched", "current", "watch", "watched"]


class Call:
    """One call of a module while calls are watched.

    Attributes
    ----------
    module : Module
    parent : Call or None
        The call within which it happens.
    root : Module
        The outermost of the modules that are being called.
    path : str
        The module's dotted name below the root, "" for the root. A module that stands at several places is given the
        names in turn; one that the root does not own, the name of its class below its caller.
    """

    __slots__ = ("_paths", "_turns", "module", "parent", "path", "root")

    def __init__(self, module: Module, parent: Call | None) -> None:
        self.module = module
        self.parent = parent
        self._turns: dict[int, int] = {}  # how often each module was called from here
        if parent is None:
            self.root, self.path = module, ""
            self._paths: dict[int, list[str]] = {}
            for path, part in module.named_modules(remove_duplicate=False):
                self._paths.setdefault(id(part), []).append(path)
        else:
            self.root, self._paths = parent.root, parent._paths
            self.path = parent._path_of(module)

    def _path_of(self, module: Module) -> str:
        prefix = f"{self.path}." if self.path else ""
        paths = self._paths.get(id(module), [])
        below = [path for path in paths if path.startswith(prefix) and path != self.path] or paths
        if not below:
            return f"{prefix}{type(module).__name__}"
        turn = self._turns[id(module)] = self._turns.get(id(module), -1) + 1
        return below[turn % len(below)]

    def __repr__(self) -> str:
        return f"<call of {type(self.root).__name__} {self.path!r}>"


Watcher = Callable[[Call, Any], None]
"""Called as ``watcher(call, result)`` when a call has returned."""

current: ContextVar[Call | None] = ContextVar("current_call", default=None)
"""The innermost call that runs in this thread, while calls are watched."""

_watchers: tuple[Watcher, ...] = ()
_changing = threading.Lock()


def are_watched() -> bool:
    """Whether anybody is inside of `watched`."""
    return bool(_watchers)


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """In this block, in every thread: keep `current`, and tell ``watcher`` of each call that returns."""
    global _watchers
    with _changing:
        _watchers = (*_watchers, watcher)
    observe(1)
    try:
        yield
    finally:
        observe(-1)
        with _changing:
            _watchers = tuple(w for w in _watchers if w is not watcher)


def watch(module: Module, run: Callable[[], Any]) -> Any:
    """``run()``, which calls ``module``, as the current call."""
    call = Call(module, current.get())
    entered = current.set(call)
    # a forward that a gradient rule computes again (checkpoint) is no part of that rule's node
    rule = visiting.set(None)
    try:
        result = run()
    finally:
        visiting.reset(rule)
        current.reset(entered)
    for watcher in _watchers:
        watcher(call, result)
    return result
