"""Reductions: over the same axes, one further on."""

from __future__ import annotations

from typing import Any

from .array import BatchedArray, Level, data_at

__all__ = ["launch"]


def launch(kernel: Any, level: Level, x: Any, axis: Any = None, keepdims: bool = False, **more: Any) -> Any:
    """Launch a reduction on the whole batch."""
    data, ndim = data_at(x, level), x.ndim
    options = tuple(more.values())
    if axis == () and ndim:
        return BatchedArray(kernel(data, (), keepdims, *options), level)
    if axis is None or not ndim:
        result = kernel(data.reshape((level.size, x.size)), 1, False, *options)
        return BatchedArray(result.reshape((level.size, *((1,) * ndim if keepdims else ()))), level)
    moved = tuple(a % ndim + 1 for a in axis) if isinstance(axis, tuple) else axis % ndim + 1
    return BatchedArray(kernel(data, moved, keepdims, *options), level)
