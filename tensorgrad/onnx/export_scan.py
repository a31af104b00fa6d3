"""Nodes of running sums and extrema, of search, padding, windows and norms, and of rarer elementwise functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .alignment import Operand, Size, Step
from .export_elementwise import logaddexp, pair
from .export_reduction import reduced
from .graph import Graph, exports

__all__: list[str] = []


@exports("triangle")
def _triangle(g: Graph, step: Step, x: Operand, k: int = 0, upper: bool = False) -> str:
    return g.op("Trilu", x, g.number(k, np.int64), upper=int(upper))


@exports("cumsum")
def _cumsum(g: Graph, step: Step, x: Operand, axis: int, reverse: bool = False) -> str:
    return g.op("CumSum", x, g.number(axis, np.int64), reverse=int(reverse))


@exports("cumprod", "logcumsumexp")
def _running(g: Graph, step: Step, x: Operand, axis: int) -> str:
    """One slice after the other: the operator sets up to 25 have running sums only."""
    n = x.shape[axis]
    g.fixed(n, what="the number of steps of a running product")
    if n < 2:
        return g.op("Identity", x)
    slices = [g.op("Gather", x, np.asarray([i]), axis=axis) for i in range(n)]
    parts = slices[:1]
    for part in slices[1:]:
        last = parts[-1]
        parts.append(g.op("Mul", last, part) if step.record.name == "cumprod" else logaddexp(g, last, part, x.dtype))
    return g.op("Concat", *parts, axis=axis)


# -------------------------------------------------------------------------------------------------------------- search
def _counted(g: Graph, truth: str) -> str:
    return g.op("ReduceSum", g.cast(truth, np.dtype(np.int64)), g.integers([-1]), keepdims=0)


@exports("searchsorted")
def _searchsorted(g: Graph, step: Step, x: Operand, values: Operand, right: bool = False) -> str:
    """How many of the sorted elements come before each value."""
    wide = g.op("Unsqueeze", values, g.integers([-1]))
    row = g.name_of(x) if x.ndim == 1 else g.op("Unsqueeze", x, g.integers([-2]))
    return _counted(g, g.op("LessOrEqual" if right else "Less", row, wide))


@exports("isin")
def _isin(g: Graph, step: Step, x: Operand, values: Operand) -> str:
    wide = g.op("Unsqueeze", x, g.integers([-1]))
    found = _counted(g, g.op("Equal", wide, g.reshaped(values, (-1,))))
    return g.op("Greater", found, g.number(0, np.int64))


# ---------------------------------------------------------------------------------------------------- padding, windows
@exports("pad")
def _pad(g: Graph, step: Step, x: Operand, before: Any, shape: Any, value: Any) -> str:
    behind = []
    for n, m, b in zip(x.shape, shape, before, strict=True):
        rows = zip(*(s.series if isinstance(s, Size) else (s,) * len(x.values) for s in (n, m, b)), strict=True)
        more = {whole - own - first for own, whole, first in rows}
        if len(more) > 1 or isinstance(b, Size):
            raise g.error("how much is padded depends on the size of a dynamic axis")
        behind.append(more.pop())
    fill = value if isinstance(value, Operand) else g.number(0 if value is None else value, x.dtype)
    return g.op("Pad", x, g.integers([*before, *behind]), fill)


@exports("sliding_windows")
def _sliding_windows(g: Graph, step: Step, x: Operand, axis: int, size: int, stride: int) -> str:
    n = x.shape[axis]
    g.fixed(n, size, stride, what="a window")
    places = np.arange(0, n - size + 1, stride).reshape(-1, 1) + np.arange(size)
    windows = g.op("Gather", x, places.astype(np.int64), axis=axis)
    order = [i for i in range(x.ndim + 1) if i != axis + 1]
    return g.permuted(windows, [*order, axis + 1])


# ---------------------------------------------------------------------------------------------------------- reductions
@exports("vector_norm")
def _vector_norm(g: Graph, step: Step, x: Operand, axis: Any = None, keepdims: bool = False, order: float = 2.0) -> str:
    axes = tuple(range(x.ndim)) if axis is None else axis
    size = g.op("Abs", x)
    if math.isinf(order):
        return reduced(g, "ReduceMax" if order > 0 else "ReduceMin", size, axes, keepdims)
    if order in (1, 2):
        return reduced(g, "ReduceL1" if order == 1 else "ReduceL2", size, axes, keepdims)
    if order == 0:
        there = g.op("Not", g.op("Equal", x, g.number(0, x.dtype)))
        return reduced(g, "ReduceSum", g.cast(there, x.dtype), axes, keepdims)
    total = reduced(g, "ReduceSum", g.op("Pow", size, g.number(order, x.dtype)), axes, keepdims)
    return g.op("Pow", total, g.number(1 / order, x.dtype))


@exports("nanmax", "nanmin")
def _nan_extremum(g: Graph, step: Step, x: Operand, axis: Any = None, keepdims: bool = False) -> str:
    """Of what is a number; NaN where nothing is."""
    axes = tuple(range(x.ndim)) if axis is None else axis
    largest = step.record.name == "nanmax"
    kind = "ReduceMax" if largest else "ReduceMin"
    if x.dtype.kind in "iu":
        return reduced(g, kind, x, axes, keepdims)
    missing = g.op("IsNaN", x)
    found = g.masked(missing, g.number(-math.inf if largest else math.inf, x.dtype), x)
    nothing = reduced(g, "ReduceMin", g.cast(missing, np.dtype("int32")), axes, keepdims)
    y = reduced(g, kind, found, axes, keepdims)
    return g.masked(g.cast(nothing, np.dtype(bool)), g.number(math.nan, x.dtype), y)


@exports("det")
def _det(g: Graph, step: Step, x: Operand) -> str:
    return g.op("Det", x)


# --------------------------------------------------------------------------------------------------------- elementwise
@exports("cbrt")
def _cbrt(g: Graph, step: Step, x: Operand) -> str:
    return g.op("Mul", g.op("Sign", x), g.op("Pow", g.op("Abs", x), g.number(1 / 3, x.dtype)))


@exports("logaddexp2")
def _logaddexp2(g: Graph, step: Step, x1: Any, x2: Any) -> str:
    dtype = step.outputs[0].dtype
    scale = g.number(math.log(2), dtype)
    a, b = (g.op("Mul", x, scale) for x in pair(g, x1, x2))
    return g.op("Div", logaddexp(g, a, b, dtype), scale)


@exports("fmax", "fmin")
def _of_numbers(g: Graph, step: Step, x1: Any, x2: Any) -> str:
    """The one that is a number, if one is not."""
    a, b = pair(g, x1, x2)
    kind = "Max" if step.record.name == "fmax" else "Min"
    if step.outputs[0].dtype.kind in "iu":
        return g.op(kind, a, b)
    return g.masked(g.op("IsNaN", a), b, g.masked(g.op("IsNaN", b), a, g.op(kind, a, b)))


@exports("fmod")
def _fmod(g: Graph, step: Step, x1: Any, x2: Any) -> str:
    return g.op("Mod", *pair(g, x1, x2), fmod=1)


@exports("heaviside")
def _heaviside(g: Graph, step: Step, x1: Any, x2: Any) -> str:
    dtype = step.outputs[0].dtype
    a, b = pair(g, x1, x2)
    zero = g.number(0, dtype)
    sides = g.masked(g.op("Less", a, zero), zero, g.masked(g.op("Greater", a, zero), g.number(1, dtype), a))
    return g.masked(g.op("Equal", a, zero), b, sides)


@exports("signbit")
def _signbit(g: Graph, step: Step, x: Operand) -> str:
    """The sign of 1 / x tells -0 from 0."""
    zero = g.number(0, x.dtype)
    below = g.op("Less", g.op("Reciprocal", x), zero)
    return g.op("Or", g.op("Less", x, zero), g.op("And", g.op("Equal", x, zero), below))
