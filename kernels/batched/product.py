"""Matrix products and functions of stacks of matrices."""

from __future__ import annotations

from typing import Any

from .along import wrapped
from .array import BatchedArray, Level, data_at, spread

__all__ = ["RULES", "stacked"]


def _matmul(kernel: Any, level: Level, x1: Any, x2: Any) -> Any:
    first, second = data_at(x1, level), data_at(x2, level)
    size = level.size
    if second is None and x1.ndim == 1 and x2.ndim == 2:  # a vector per sample: the batch is one matrix
        return BatchedArray(kernel(first, x2), level)
    if second is None and x2.ndim == 2 and x1.ndim > 2 - (x1.ndim == 2) and x1.size:
        rows = first.reshape((-1, x1.shape[-1]))
        return BatchedArray(kernel(rows, x2).reshape((size, *x1.shape[:-1], x2.shape[-1])), level)
    vector1, vector2 = x1.ndim == 1, x2.ndim == 1
    a = x1 if first is None else first
    b = x2 if second is None else second
    if vector1:
        a = a.reshape((*a.shape[:-1], 1, a.shape[-1]))
    if vector2:
        b = b.reshape((*b.shape, 1))
    axes = max(x1.ndim + vector1, x2.ndim + vector2)
    if first is not None and a.ndim <= axes:
        a = a.reshape((size, *(1,) * (axes + 1 - a.ndim), *a.shape[1:]))
    if second is not None and b.ndim <= axes:
        b = b.reshape((size, *(1,) * (axes + 1 - b.ndim), *b.shape[1:]))
    y = kernel(a, b)
    if vector1:
        y = y.reshape((*y.shape[:-2], y.shape[-1]))
    if vector2:
        y = y.reshape(y.shape[:-1])
    return BatchedArray(y, level)


def _linear(kernel: Any, level: Level, x: Any, weight: Any, bias: Any = None) -> Any:
    if data_at(weight, level) is None and (bias is None or data_at(bias, level) is None):
        return BatchedArray(kernel(data_at(x, level), weight, bias), level)
    from .. import add, matmul

    y = matmul(x, weight.transpose((1, 0)))
    return y if bias is None else add(y, bias)


def stacked(kernel: Any, level: Level, /, **values: Any) -> Any:
    """A function of matrices that takes axes before them: the batch is one more."""
    if kernel.name.startswith("solve"):  # of equations whose stacks broadcast
        ndim = max(values["a"].ndim, values["b"].ndim)
        values["a"], values["b"] = (x.reshape((1,) * (ndim - x.ndim) + x.shape) for x in (values["a"], values["b"]))
    ndims = {v.ndim for v in values.values() if hasattr(v, "dtype")}
    if len(ndims) > 1 and not kernel.name.startswith("over_"):  # those take a row of numbers per matrix
        return NotImplemented
    operands = [spread(v, level) if hasattr(v, "dtype") else v for v in values.values()]
    expected = kernel.rule(*values.values())
    result = kernel(*operands)
    several = isinstance(expected, list)
    pairs = zip(expected, result, strict=False) if several else [(expected, result)]
    if any(getattr(r, "shape", None) != (level.size, *shape) for (shape, _), r in pairs):
        return NotImplemented  # operands whose own stacks broadcast
    return wrapped(result, level)


RULES = {"matmul": _matmul, "linear": _linear}
