"""Shape and dtype rules: what a kernel returns, from its arguments, without running it.

Each rule takes exactly what its kernel takes and gives ``(shape, dtype)`` or a list of them. Planning (`tg.jit`) and
the registry test rely on them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = [
    "arrays_joined",
    "boolean",
    "cast_to",
    "class_losses",
    "condition_first",
    "first_operand",
    "in_place",
    "indexed",
    "linear_product",
    "matrix_product",
    "reduced",
    "reduced_boolean",
    "reduced_index",
    "same",
    "taken",
    "taken_along_axis",
]

Spec = tuple[tuple[int, ...], np.dtype[Any]]


def _operands(args: tuple[Any, ...]) -> list[Any]:
    return [a for a in args if hasattr(a, "dtype")]


def same(*args: Any, **_: Any) -> Spec:
    """Broadcast shape; the one dtype that the operands share."""
    operands = _operands(args)
    return np.broadcast_shapes(*(a.shape for a in operands)), operands[0].dtype


def boolean(*args: Any, **_: Any) -> Spec:
    """Broadcast shape; bool."""
    return np.broadcast_shapes(*(a.shape for a in _operands(args))), np.dtype(bool)


def condition_first(condition: Any, *args: Any, **_: Any) -> Spec:
    """Broadcast shape of all operands; the dtype of those after the condition."""
    operands = _operands(args)
    return np.broadcast_shapes(condition.shape, *(a.shape for a in operands)), operands[0].dtype


def first_operand(x: Any, *_: Any, **__: Any) -> Spec:
    """Shape and dtype of the first operand."""
    return x.shape, x.dtype


def in_place(*_: Any, **__: Any) -> None:
    """Nothing is returned: the first argument is written."""


def _reduced_shape(x: Any, axis: int | tuple[int, ...] | None, keepdims: bool) -> tuple[int, ...]:
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    gone = {a % x.ndim for a in axes} if x.ndim else set()
    return tuple(1 if a in gone else n for a, n in enumerate(x.shape) if keepdims or a not in gone)


def reduced(x: Any, axis: Any = None, keepdims: bool = False, *_: Any, **__: Any) -> Spec:
    """The shape without the reduced axes; the same dtype."""
    return _reduced_shape(x, axis, keepdims), x.dtype


def reduced_boolean(x: Any, axis: Any = None, keepdims: bool = False) -> Spec:
    """The shape without the reduced axes; bool."""
    return _reduced_shape(x, axis, keepdims), np.dtype(bool)


def reduced_index(x: Any, axis: Any = None, keepdims: bool = False) -> Spec:
    """The shape without the reduced axes; int64."""
    return _reduced_shape(x, axis, keepdims), np.dtype(np.int64)


def matrix_product(x1: Any, x2: Any) -> Spec:
    """``np.matmul``'s shape; the one dtype that the operands share."""
    batch = np.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    rows = x1.shape[-2:-1] if x1.ndim > 1 else ()
    columns = x2.shape[-1:] if x2.ndim > 1 else ()
    return (*batch, *rows, *columns), x1.dtype


def linear_product(x: Any, weight: Any, bias: Any = None) -> Spec:
    """``(..., in) x (out, in) -> (..., out)``."""
    return (*x.shape[:-1], weight.shape[0]), x.dtype


def cast_to(x: Any, dtype: Any) -> Spec:
    """The same shape in another dtype."""
    return x.shape, np.dtype(dtype)


def arrays_joined(arrays: Any, axis: int) -> Spec:
    """Sizes add up along ``axis``."""
    shape = list(arrays[0].shape)
    shape[axis] = sum(a.shape[axis] for a in arrays)
    return tuple(shape), arrays[0].dtype


def indexed(x: Any, index: Any) -> Spec:
    """What NumPy's indexing gives, found on a stand-in without memory."""
    stand_in = np.broadcast_to(np.empty((), x.dtype), x.shape)
    plain = tuple(np.asarray(i.get() if hasattr(i, "get") else i) if hasattr(i, "dtype") else i for i in index)
    return stand_in[plain].shape, x.dtype


def taken(x: Any, indices: Any, axis: int) -> Spec:
    """``axis`` is replaced by the axes of ``indices``."""
    axis %= x.ndim
    return (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype


def taken_along_axis(x: Any, indices: Any, axis: int) -> Spec:
    """The shape of ``indices``, broadcast against ``x`` off the axis."""
    axis %= x.ndim
    shape = [max(n, m) if min(n, m) == 1 else min(n, m) for n, m in zip(x.shape, indices.shape, strict=True)]
    shape[axis] = indices.shape[axis]
    return tuple(shape), x.dtype


def class_losses(logits: Any, *_: Any, **__: Any) -> list[Spec]:
    """Loss and log-sum-exp: the shape without the class axis 1."""
    shape = (logits.shape[0], *logits.shape[2:])
    assert math.prod(shape) >= 0
    return [(shape, logits.dtype), (shape, logits.dtype)]
