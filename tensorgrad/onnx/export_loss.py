"""Nodes of the cross-entropy, from its definition, and of the alignments of CTC, step by step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .alignment import Operand, Step
from .export_elementwise import logaddexp
from .export_reduction import count
from .graph import Graph, exports

__all__: list[str] = []


def _sum(g: Graph, x: Any, axes: Any = None, keepdims: int = 0) -> str:
    inputs = (x,) if axes is None else (x, g.integers(axes))
    return g.op("ReduceSum", *inputs, keepdims=keepdims)


def _total_weight(g: Graph, target: Operand, weight: Operand | None, ignore_index: int, dtype: Any) -> tuple[str, str]:
    """The target with 0 where it is ignored, and the weight of each sample, 0 there."""
    counted = g.op("Not", g.op("Equal", target, g.number(ignore_index, target.dtype)))
    safe = g.cast(g.masked(counted, target, g.number(0, target.dtype)), np.dtype(np.int64))
    mass = g.cast(counted, dtype)
    if weight is not None:
        mass = g.op("Mul", mass, g.op("Gather", weight, safe, axis=0))
    return safe, mass


@exports("cross_entropy")
def _cross_entropy(
    g: Graph, step: Step, logits: Operand, target: Operand, weight: Operand | None = None, ignore_index: int = -100,
    label_smoothing: float = 0.0, reduction: str = "none",
) -> list[str]:  # fmt: skip
    dtype = logits.dtype
    classes = logits.shape[1]
    g.fixed(classes, what="the number of classes")
    scores = g.op("Neg", g.op("LogSoftmax", logits, axis=1))
    safe, mass = _total_weight(g, target, weight, ignore_index, dtype)
    place = g.op("Unsqueeze", safe, g.integers([1]))
    own = g.op("Squeeze", g.op("GatherElements", scores, place, axis=1), g.integers([1]))
    losses = g.op("Mul", own, mass)
    if label_smoothing:
        weighted = scores if weight is None else g.op("Mul", scores, g.at_channels(weight, logits.ndim))
        counted = g.op("Not", g.op("Equal", target, g.number(ignore_index, target.dtype)))
        spread = g.op("Mul", _sum(g, weighted, [1]), g.cast(counted, dtype))
        losses = g.op(
            "Add",
            g.op("Mul", losses, g.number(1 - label_smoothing, dtype)),
            g.op("Mul", spread, g.number(label_smoothing / classes, dtype)),
        )
    if reduction == "none":
        return [losses]
    total = _sum(g, losses)
    return [total if reduction == "sum" else g.op("Div", total, _sum(g, mass))]


@exports("soft_cross_entropy")
def _soft_cross_entropy(
    g: Graph, step: Step, logits: Operand, target: Operand, weight: Operand | None = None,
    label_smoothing: float = 0.0, reduction: str = "none",
) -> list[str]:  # fmt: skip
    dtype = logits.dtype
    classes = logits.shape[1]
    g.fixed(classes, what="the number of classes")
    scores = g.op("Neg", g.op("LogSoftmax", logits, axis=1))
    wanted: Any = target
    if label_smoothing:
        kept = g.op("Mul", target, g.number(1 - label_smoothing, dtype))
        wanted = g.op("Add", kept, g.number(label_smoothing / classes, dtype))
    if weight is not None:
        wanted = g.op("Mul", wanted, g.at_channels(weight, logits.ndim))
    losses = _sum(g, g.op("Mul", wanted, scores), [1])
    if reduction == "none":
        return [losses]
    total = _sum(g, losses)
    if reduction == "sum":
        return [total]
    samples = tuple(i for i in range(logits.ndim) if i != 1)
    return [g.op("Div", total, count(g, logits, samples, dtype))]


@exports("target_weight")
def _target_weight(
    g: Graph, step: Step, logits: Operand, target: Operand, weight: Operand | None = None, ignore_index: int = -100
) -> str:
    return _sum(g, _total_weight(g, target, weight, ignore_index, logits.dtype)[1])


@exports("alignment_scan")
def _alignment_scan(g: Graph, step: Step, emitted: Operand, barriers: Operand) -> str:
    """One step of time after the other: stay, come from the state before, or skip one where there is no barrier."""
    dtype = emitted.dtype
    length, states = emitted.shape[0], emitted.shape[2]
    g.fixed(length, states, what="the number of steps or states")
    low = g.number(-math.inf, dtype)

    def behind(x: str, by: int) -> str:
        """Each state's place taken by the one before it."""
        padded = g.op("Pad", x, g.integers([0, by, 0, 0]), low)
        return g.op("Slice", padded, g.integers([0]), g.integers([states]), g.integers([1]))

    def at(t: int) -> str:
        return g.op("Gather", emitted, np.asarray(t, np.int64), axis=0)

    enterable = np.arange(states).reshape(1, states) < 2
    reached = [g.masked(enterable, at(0), low)]
    for t in range(1, length):
        y = reached[-1]
        moved = logaddexp(g, g.op("Add", behind(y, 2), barriers), behind(y, 1), dtype)
        reached.append(g.op("Add", logaddexp(g, moved, y, dtype), at(t)))
    rows = [g.op("Unsqueeze", y, g.integers([0])) for y in reached]
    return g.op("Concat", *rows, axis=0)
