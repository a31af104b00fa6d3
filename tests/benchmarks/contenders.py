"""Who is timed: tensorgrad and PyTorch, each eager and compiled.

A contender turns a `Task` into a step, a function of one batch that gives the loss or the output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .workloads import Task

__all__ = ["CONTENDERS", "REFERENCE", "Contender", "Step", "UnavailableError"]

Step = Callable[..., Any]


class UnavailableError(Exception):
    """What a contender needs is not there; the message says what."""


@dataclass(frozen=True)
class Contender:
    """One column of the table.

    Attributes
    ----------
    title : str
        Its heading.
    framework : str
        The module it is made from.
    prepare : callable
        ``prepare(framework, task)`` is the step.
    compiled : bool
        Whether the first call takes long, so that its time is told.
    """

    title: str
    framework: str
    prepare: Callable[[Any, Task], Step]
    compiled: bool = False


def _step(framework: Any, task: Task) -> Step:
    """A whole training step, as everybody writes it, or an inference."""
    forward, zero_grad, update = task.forward, task.zero_grad, task.update

    def infer(*batch: Any) -> Any:
        with framework.no_grad():
            return forward(*batch)

    def train(*batch: Any) -> Any:
        zero_grad()
        loss = forward(*batch)
        loss.backward()
        if update is not None:
            update()
        return loss

    return infer if zero_grad is None else train


def _jit(tensorgrad: Any, task: Task) -> Step:
    """The whole step is captured."""
    if not hasattr(tensorgrad, "jit"):
        raise UnavailableError("this tensorgrad has no jit")
    return tensorgrad.jit(_step(tensorgrad, task))


def _compile(torch: Any, task: Task) -> Step:
    """Model and loss are compiled, and with them their gradient; the optimizer's step by itself."""
    update = None if task.update is None else torch.compile(task.update)
    return _step(torch, replace(task, forward=torch.compile(task.forward), update=update))


CONTENDERS = {
    "tensorgrad": Contender("tensorgrad", "tensorgrad", _step),
    "tensorgrad-jit": Contender("tg.jit", "tensorgrad", _jit, compiled=True),
    "torch": Contender("PyTorch", "torch", _step),
    "torch-compile": Contender("torch.compile", "torch", _compile, compiled=True),
}
"""By the name that ``--contender`` takes."""

REFERENCE = "torch"
"""Whose time the others' is divided by."""
