"""Distances and similarities between vectors."""

from __future__ import annotations

import math

from ...ops.elementwise import abs, equal, pow, sqrt, where
from ...tensor import Tensor

__all__ = ["cosine_similarity", "normalize", "pairwise_distance"]


def _norm(x: Tensor, p: float, dim: int, keepdim: bool) -> Tensor:
    """The p-norm along ``dim``; at 0 its gradient is 0."""
    if p == 1:
        return x.abs().sum(dim, keepdims=keepdim)
    if p == math.inf:
        return x.abs().max(dim, keepdims=keepdim)
    if p == 0:
        return x.__ne__(0).astype(x.dtype).sum(dim, keepdims=keepdim)
    total = x.square().sum(dim, keepdims=keepdim) if p == 2 else _powers(x, p).sum(dim, keepdims=keepdim)
    nothing = equal(total, 0)
    inside = where(nothing, 1.0, total)
    y: Tensor = where(nothing, 0.0, sqrt(inside) if p == 2 else pow(inside, 1 / p))
    return y


def _powers(x: Tensor, p: float) -> Tensor:
    """``|x|**p`` with gradient 0 at 0, also for p < 1."""
    nothing = equal(x, 0)
    y: Tensor = where(nothing, 0.0, pow(abs(where(nothing, 1.0, x)), p))
    return y


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of ``x1 - x2 + eps`` along the last axis."""
    return _norm(x1 - x2 + eps, p, -1, keepdim)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """``sum(x1 * x2) / (max(|x1|, eps) * max(|x2|, eps))`` along ``dim``."""
    length1 = _norm(x1, 2, dim, True).clip(eps)
    length2 = _norm(x2, 2, dim, True).clip(eps)
    return ((x1 / length1) * (x2 / length2)).sum(dim)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """``input / max(norm, eps)`` with the p-norm along ``dim``."""
    return input / _norm(input, p, dim, True).clip(eps)
