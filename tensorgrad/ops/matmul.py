"""Matrix products."""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes
from .. import kernels as K
from ..errors import ArgumentError
from .definition import Function, lift, primitive
from .elementwise import multiply
from .memory import cast
from .precision import lowered
from .reduction import summed
from .shape import expand_dims, permuted, reshape, swapaxes

__all__ = ["linear", "matmul"]


def _rows(x: Any) -> Any:
    """All axes but the last as one."""
    return x if x.ndim == 2 else reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def _left_vjp(g: Any, x2: Any) -> Any:
    """``g @ x2.T``, whether the operands were matrices or vectors."""
    row = g.ndim < x2.ndim or not g.ndim  # the first operand was a vector
    if x2.ndim == 1:
        return multiply(g if row else expand_dims(g, -1), x2)
    if x2.ndim == 2 or not row:
        return _matmul(g, _transposed(x2))
    y = _matmul(expand_dims(g, -2), _transposed(x2))
    return reshape(y, (*y.shape[:-2], y.shape[-1]))


def _right_vjp(g: Any, x1: Any, x2: Any) -> Any:
    """``x1.T @ g``; for a stack of matrices times one matrix in one product instead of one per matrix and a sum."""
    if x2.ndim <= 2 and x1.ndim > 2:
        x1, g = _rows(x1), _rows(g) if x2.ndim == 2 else reshape(g, (g.size,))
    if x1.ndim > 1:
        return _matmul(_transposed(x1), g)
    if x2.ndim == 1:
        return multiply(g, x1)
    return multiply(expand_dims(x1, -1), expand_dims(g, -2))


def _transposed(x: Any) -> Any:
    """The last two axes exchanged."""
    return permuted(x, (1, 0)) if x.ndim == 2 else swapaxes(x, -1, -2)


_matmul: Function = primitive(
    "matmul",
    K.matmul,
    lambda g, x2: _left_vjp(g, x2),
    lambda g, x1, x2: _right_vjp(g, x1, x2),
    broadcasts=True,
)


def matmul(x1: Any, x2: Any, /) -> Any:
    """Matrix product of the last two axes; the others broadcast. A 1-d operand is a row or a column.

    Raises
    ------
    ValueError
        If an operand has no axes or the inner sizes differ.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.matmul(tg.ones(2, 3), tg.ones(3)).shape
    (2,)
    """
    x1, x2 = lift(x1), lift(x2)
    shape1, shape2 = x1.shape, x2.shape
    if not shape1 or not shape2:
        raise ArgumentError(f"matmul: both operands need at least one axis, got shapes {shape1} and {shape2}")
    inner = shape2[-2] if len(shape2) > 1 else shape2[0]
    if shape1[-1] != inner:
        raise ArgumentError(
            f"matmul: shapes {shape1} and {shape2} do not agree: {shape1[-1]} != {inner} "
            f"(axis -1 of the first, {-2 if len(shape2) > 1 else -1} of the second)"
        )
    x1, x2 = lowered(x1, x2)
    if x1.dtype != x2.dtype:
        dtype = dtypes.promote_types(x1.dtype, x2.dtype)
        x1, x2 = cast(x1, dtype), cast(x2, dtype)
    return _matmul(x1, x2)


_linear: Function = primitive(
    "linear",
    K.linear,
    lambda g, weight: _matmul(g, weight),
    lambda g, x: _matmul(_transposed(_rows(g)), _rows(x)),
    lambda g: summed(g, tuple(range(g.ndim - 1)), False),
)


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """``x @ weight.T + bias``.

    Parameters
    ----------
    x : Tensor
        Shape (..., in_features).
    weight : Tensor
        Shape (out_features, in_features), or (in_features,).
    bias : Tensor, optional
        Shape (out_features,).

    Returns
    -------
    Tensor
        Shape (..., out_features).
    """
    x, weight, bias = lowered(lift(x), lift(weight), bias)
    size, wanted = x.shape, weight.shape
    if len(wanted) == 1:
        y = matmul(x, weight)
        return y if bias is None else y + bias
    if len(wanted) != 2 or not size or size[-1] != wanted[1]:
        raise ArgumentError(
            f"linear: the last axis of the input, shape {size}, does not fit the weight, shape {wanted} "
            "(out_features, in_features)"
        )
    if bias is not None and bias.shape != wanted[:1]:
        raise ArgumentError(f"linear: a weight of shape {wanted} needs a bias of shape {wanted[:1]}, got {bias.shape}")
    dtype = weight.dtype
    if x.dtype != dtype or (bias is not None and bias.dtype != dtype):
        given = [x, weight] if bias is None else [x, weight, bias]
        raise TypeError(
            f"linear: input, weight and bias must have one dtype, got {', '.join(str(t.dtype) for t in given)}"
        )
    if len(size) == 1:
        return reshape(_linear(reshape(x, (1, size[0])), weight, bias), wanted[:1])
    return _linear(x, weight, bias)
