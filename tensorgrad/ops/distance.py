"""Distances between vectors, and vectors scaled to a length."""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes
from .definition import lift
from .elementwise import abs, add, divide, equal, greater, multiply, pow, sqrt, square, subtract, where
from .memory import cast, ones_like, zeros_like
from .numbers import paired
from .reduction import any, max, min, single_axis, sum
from .shape import expand_dims

__all__ = ["cdist", "dist", "renorm", "vector_length"]


def vector_length(x: Any, p: float, axis: Any, keepdims: bool = False) -> Any:
    """The p-norm over ``axis``; where it is 0, its gradient is 0."""
    if x.dtype.kind == "c":
        x = abs(x)
    if p == 1:
        return sum(abs(x), axis, keepdims=keepdims)
    if p == math.inf:
        return max(abs(x), axis, keepdims=keepdims)
    if p == -math.inf:
        return min(abs(x), axis, keepdims=keepdims)
    if p == 0:
        return sum(cast(greater(abs(x), 0), x.dtype), axis, keepdims=keepdims)
    if p == 2:
        total = sum(square(x), axis, keepdims=keepdims)
    else:
        nothing = equal(x, 0)
        powers = pow(abs(where(nothing, ones_like(x), x)), p)
        if p > 0:
            total = sum(where(nothing, zeros_like(x), powers), axis, keepdims=keepdims)
        else:  # one 0 makes the sum infinite and the length 0
            total = sum(powers, axis, keepdims=keepdims)
            total = where(any(nothing, axis, keepdims=keepdims), zeros_like(total), total)
    nothing = equal(total, 0)
    inside = where(nothing, ones_like(total), total)
    return where(nothing, zeros_like(total), sqrt(inside) if p == 2 else pow(inside, 1 / p))


def cdist(x1: Any, x2: Any, p: float = 2.0) -> Any:
    """The p-norms of the differences of all rows of ``x1`` and all rows of ``x2``.

    Parameters
    ----------
    x1, x2 : Tensor
        Shapes (..., P, M) and (..., R, M); the axes in front broadcast.
    p : float
        At least 0; may be infinity.

    Returns
    -------
    Tensor
        Shape (..., P, R). The gradient of a distance of 0 is 0.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.cdist(tg.tensor([[0.0, 0.0]]), tg.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5., 1.]])
    """
    x1, x2 = paired(x1, x2)
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ValueError(f"cdist: needs rows of one length, got shapes {x1.shape} and {x2.shape}")
    if not p >= 0:
        raise ValueError(f"cdist: p must be at least 0, got {p}")
    if x1.dtype.kind in "biu":
        x1, x2 = (cast(x, dtypes.get_default_dtype()) for x in (x1, x2))
    difference = subtract(expand_dims(x1, -2), expand_dims(x2, -3))
    if not x1.shape[-1]:
        return sum(difference, -1)
    return vector_length(difference, p, -1)


def dist(x1: Any, x2: Any, p: float = 2.0) -> Any:
    """The p-norm of all elements of ``x1 - x2``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.dist(tg.tensor([0.0, 3.0]), tg.tensor([4.0, 0.0]))
    tensor(5.)
    """
    return vector_length(subtract(*paired(x1, x2)), p, None)


def renorm(x: Any, p: float, axis: int, maxnorm: float) -> Any:
    """``x`` with every slice along ``axis`` whose p-norm is larger than ``maxnorm`` scaled down to it.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.renorm(tg.tensor([[3.0, 4.0], [0.0, 1.0]]), 2, 0, 1.0)
    tensor([[0.6, 0.8],
            [0. , 1. ]])
    """
    x = lift(x)
    place = single_axis("renorm", axis, x.ndim)
    if x.ndim < 2:
        raise ValueError(f"renorm: needs at least 2 axes, got shape {x.shape}")
    if p <= 0:
        raise ValueError(f"renorm: p must be positive, got {p}")
    if maxnorm < 0:
        raise ValueError(f"renorm: maxnorm must not be negative, got {maxnorm}")
    length = vector_length(x, p, tuple(a for a in range(x.ndim) if a != place), True)
    factor = divide(maxnorm, add(length, 1e-7))
    return where(greater(length, maxnorm), multiply(x, factor), x)
