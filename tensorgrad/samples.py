"""Where a gradient leaves the samples of a `vmap`: what all of them share gets the sum of theirs."""

from __future__ import annotations

from typing import Any

from .kernels.batched.array import ACTIVE, BatchedArray, Level, levels_of, summed_at
from .tape import Node, Op, grad_mode
from .tensor import Tensor

__all__ = ["shared_gradient"]

_SUM = Op("sum_samples", (lambda g: g,), ("x", "out"), ("x", "out"))


def shared_gradient(part: Any, node: Node, running: tuple[Level, ...] | None = None) -> Any:
    """The gradient of a node from before a `vmap`: the sum of its samples', once the `vmap` is over.

    While it runs, a gradient is that of one sample.
    """
    array = part._data if isinstance(part, Tensor) else part
    if not isinstance(array, BatchedArray):
        return part
    if running is None:
        running = ACTIVE.get()
    for level in levels_of(array):
        if node.time < level.start and level not in running:
            part = _summed(part, level) if isinstance(part, Tensor) else summed_at(part, level)
    return part


def _summed(x: Tensor, level: Level) -> Tensor:
    y = summed_at(x._data, level)
    if x._node is None or not grad_mode.get():
        return Tensor(y)
    return Tensor(y, Node(_SUM, (x._node,), ((),), y.shape))
