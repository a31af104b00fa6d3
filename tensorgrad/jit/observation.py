"""While a function is recorded, reads of a tensor's array and writes of its ``grad`` are seen.

A launch sees arrays, not the tensors that own them; but a replay must know whether a parameter still has the array that
it had, and whose gradient a result became. So for the time of a recording the two attributes are properties.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from ..tensor import Tensor

__all__ = ["Observer", "observed", "peek", "peek_grad"]

_DATA = Tensor.__dict__["_data"]
_GRAD = Tensor.__dict__["grad"]


class Observer(Protocol):
    """What a recorder does when its thread touches a tensor."""

    thread: int
    paused: bool
    given: dict[int, Tensor]  # by the id of a stand-in, the tensor whose ``grad`` it has

    def saw(self, tensor: Tensor, array: Any) -> None:
        """An array was read."""

    def made(self, tensor: Tensor) -> None:
        """A tensor was made."""

    def replaced(self, tensor: Tensor) -> None:
        """A tensor that was there got another array."""

    def saw_grad(self, tensor: Tensor, grad: Tensor | None) -> None:
        """A gradient was read."""

    def set_grad(self, tensor: Tensor, grad: Tensor | None) -> None:
        """A gradient was assigned."""


def peek(tensor: Tensor) -> Any:
    """A tensor's array, unseen."""
    return _DATA.__get__(tensor)


def peek_grad(tensor: Tensor) -> Tensor | None:
    """A tensor's gradient, unseen."""
    return _GRAD.__get__(tensor)  # type: ignore[no-any-return]


def _is_new(tensor: Tensor) -> bool:
    try:
        _DATA.__get__(tensor)
    except AttributeError:
        return True
    return False


def _without_grad(tensor: Tensor) -> bool:
    try:
        _GRAD.__get__(tensor)
    except AttributeError:
        return True
    return False


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Report what the observer's thread does with tensors inside the block."""
    ident = threading.get_ident

    def watching() -> bool:
        return not observer.paused and ident() == observer.thread

    def get_data(tensor: Tensor) -> Any:
        array = _DATA.__get__(tensor)
        if watching():
            observer.saw(tensor, array)
        return array

    def set_data(tensor: Tensor, array: Any) -> None:
        if watching():
            if _is_new(tensor):
                observer.made(tensor)
            else:
                observer.replaced(tensor)
        _DATA.__set__(tensor, array)

    def get_grad(tensor: Tensor) -> Tensor | None:
        tensor = observer.given.get(id(tensor), tensor)
        grad = peek_grad(tensor)
        if watching():
            observer.saw_grad(tensor, grad)
        return grad

    def set_grad(tensor: Tensor, grad: Tensor | None) -> None:
        tensor = observer.given.get(id(tensor), tensor)
        if watching() and not _without_grad(tensor):
            observer.set_grad(tensor, grad)
        _GRAD.__set__(tensor, grad)

    watched: Any = Tensor  # slots, for now replaced by properties
    watched._data = property(get_data, set_data)
    watched.grad = property(get_grad, set_grad)
    try:
        yield
    finally:
        watched._data = _DATA
        watched.grad = _GRAD
