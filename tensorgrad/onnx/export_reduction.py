"""Nodes of sums, means and extrema, of softmax, and of what puts elements in order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .alignment import Operand, Size, Step
from .graph import Graph, exports

__all__: list[str] = []

_REDUCTIONS = {"sum": "ReduceSum", "mean": "ReduceMean", "prod": "ReduceProd", "max": "ReduceMax", "min": "ReduceMin"}


def reduced(g: Graph, kind: str, x: Any, axis: Any, keepdims: bool) -> str:
    """A reduction over a tuple of axes; over none of them it changes nothing."""
    if not axis:
        return g.op("Identity", x)
    return g.op(kind, x, g.integers(axis), keepdims=int(keepdims))


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    return tuple(range(ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)


@exports(*_REDUCTIONS)
def _reduce(g: Graph, step: Step, x: Operand, axis: Any = None, keepdims: bool = False) -> str:
    kind = _REDUCTIONS[step.record.name]
    if x.dtype.kind == "b":  # extrema of booleans
        y = reduced(g, kind, g.cast(x, np.dtype("int32")), _axes(axis, x.ndim), keepdims)
        return g.cast(y, np.dtype(bool))
    return reduced(g, kind, x, _axes(axis, x.ndim), keepdims)


@exports("any", "all")
def _any_or_all(g: Graph, step: Step, x: Operand, axis: Any = None, keepdims: bool = False) -> str:
    kind = "ReduceMax" if step.record.name == "any" else "ReduceMin"
    truth = g.name_of(x) if x.dtype.kind == "b" else g.cast(x, np.dtype(bool))
    return g.cast(reduced(g, kind, g.cast(truth, np.dtype("int32")), _axes(axis, x.ndim), keepdims), np.dtype(bool))


def count(g: Graph, x: Operand, axes: tuple[int, ...], dtype: Any) -> str:
    """How many elements are reduced to one, as a number without axes."""
    sizes = [x.shape[a] for a in axes]
    if not any(isinstance(n, Size) for n in sizes):
        return g.number(math.prod(sizes), dtype)
    return g.cast(g.op("ReduceProd", g.vector(sizes, x), keepdims=0), dtype)


@exports("var", "std")
def _spread(g: Graph, step: Step, x: Operand, axis: Any, keepdims: bool, correction: float = 0.0) -> str:
    axes = _axes(axis, x.ndim)
    distance = g.op("Sub", x, reduced(g, "ReduceMean", x, axes, True))
    total = reduced(g, "ReduceSum", g.op("Mul", distance, distance), axes, keepdims)
    n = count(g, x, axes, x.dtype)
    if correction:
        n = g.op("Max", g.op("Sub", n, g.number(correction, x.dtype)), g.number(0, x.dtype))
    variance: str = g.op("Div", total, n)
    return variance if step.record.name == "var" else g.op("Sqrt", variance)


@exports("logsumexp")
def _logsumexp(g: Graph, step: Step, x: Operand, axis: Any, keepdims: bool) -> str:
    axes = _axes(axis, x.ndim)
    top = reduced(g, "ReduceMax", x, axes, True)
    top = g.masked(g.op("IsInf", top), g.number(0, x.dtype), top)
    y = g.op("Add", g.op("Log", reduced(g, "ReduceSum", g.op("Exp", g.op("Sub", x, top)), axes, True)), top)
    return y if keepdims or not axes else g.op("Squeeze", y, g.integers(axes))


@exports("argmax", "argmin")
def _position(g: Graph, step: Step, x: Operand, axis: int | None = None, keepdims: bool = False) -> str:
    kind = "ArgMax" if step.record.name == "argmax" else "ArgMin"
    data = g.cast(x, np.dtype("int32")) if x.dtype.kind == "b" else g.name_of(x)
    if axis is None:
        y = g.op(kind, g.reshaped(data, (-1,)), axis=0, keepdims=0)
        return g.reshaped(y, (1,) * x.ndim) if keepdims else y
    return g.op(kind, data, axis=axis, keepdims=int(keepdims))


@exports("softmax", "log_softmax")
def _softmax(g: Graph, step: Step, x: Operand, axis: int) -> str:
    return g.op("Softmax" if step.record.name == "softmax" else "LogSoftmax", x, axis=axis)


# --------------------------------------------------------------------------------------------------------------- order
@exports("argsort")
def _argsort(g: Graph, step: Step, x: Operand, axis: int = -1, descending: bool = False, stable: bool = True) -> str:
    """All of the largest or smallest: of equal ones, the first comes first."""
    return _chosen(g, x, g.size(x.shape[axis], x), axis, descending, True)


@exports("sort")
def _sort(g: Graph, step: Step, x: Operand, axis: int = -1, descending: bool = False) -> str:
    order = _chosen(g, x, g.size(x.shape[axis], x), axis, descending, True)
    return g.op("GatherElements", x, order, axis=axis)


@exports("topk_indices")
def _topk_indices(
    g: Graph, step: Step, x: Operand, k: Any, axis: int = -1, largest: bool = True, sorted: bool = True
) -> str:
    y = _chosen(g, x, g.size(k, x), axis, largest, True)
    if sorted:
        return y
    return g.ops("TopK", y, g.size(k, x), axis=axis, largest=0, outputs=2)[0]


def _chosen(g: Graph, x: Operand, k: str, axis: int, largest: bool, in_order: bool) -> str:
    data = g.cast(x, np.dtype("int32")) if x.dtype.kind in "bu" or (x.dtype.itemsize < 4 and x.dtype.kind == "i") else x
    return g.ops("TopK", data, k, axis=axis, largest=int(largest), sorted=int(in_order), outputs=2)[1]
