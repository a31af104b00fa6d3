"""Hooks that see the tensors that are made; without one, making a tensor costs what it always does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .tape import Node
from .tensor import Tensor

__all__ = ["TensorHook", "watched", "witnessed"]

TensorHook = Callable[[Any, Node], None]
"""Called as ``hook(data, node)`` when a tensor with a node is made, in any thread."""

_lock = threading.Lock()
_hooks: tuple[TensorHook, ...] = ()
_witnesses: tuple[Callable[[Tensor], None], ...] = ()
_plain_init = Tensor.__init__


def _watched_init(self: Tensor, data: Any, node: Node | None = None) -> None:
    _plain_init(self, data, node)
    if node is not None:
        for hook in _hooks:
            hook(data, node)
    for witness in _witnesses:
        witness(self)


@contextmanager
def watched(hook: TensorHook) -> Iterator[None]:
    """Let ``hook`` see every tensor that is made in this block and has a node."""
    global _hooks
    with _lock:
        _hooks = (*_hooks, hook)
        Tensor.__init__ = _watched_init  # type: ignore[method-assign]
    try:
        yield
    finally:
        with _lock:
            _hooks = tuple(h for h in _hooks if h is not hook)
            _settle()


@contextmanager
def witnessed(witness: Callable[[Tensor], None]) -> Iterator[None]:
    """Let ``witness`` see every tensor that is made in this block, in any thread, right after its own ``__init__``."""
    global _witnesses
    with _lock:
        _witnesses = (*_witnesses, witness)
        Tensor.__init__ = _watched_init  # type: ignore[method-assign]
    try:
        yield
    finally:
        with _lock:
            _witnesses = tuple(w for w in _witnesses if w is not witness)
            _settle()


def _settle() -> None:
    """With nobody left who watches, tensors are made as ever."""
    if not _hooks and not _witnesses:
        Tensor.__init__ = _plain_init  # type: ignore[method-assign]
