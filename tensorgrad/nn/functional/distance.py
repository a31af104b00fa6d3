"""Distances and similarities between vectors."""

from __future__ import annotations

import numpy as np

from ...creation import tensor
from ...errors import ArgumentError
from ...ops.distance import vector_length
from ...ops.indexing import take
from ...ops.shape import broadcast_arrays
from ...tensor import Tensor

__all__ = ["cosine_similarity", "normalize", "pairwise_distance", "pdist"]


def _norm(x: Tensor, p: float, dim: int, keepdim: bool) -> Tensor:
    """The p-norm along ``dim``; at 0 its gradient is 0."""
    if not x.ndim and dim in (0, -1):  # as in PyTorch, a number has an axis that it does not show
        return _norm(x.expand_dims(0), p, 0, False)
    y: Tensor = x.abs().sign().sum(dim, keepdims=keepdim) if p == 0 else vector_length(x, p, dim, keepdim)
    return y


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of ``x1 - x2 + eps`` along the last axis."""
    return _norm(x1 - x2 + eps, p, -1, keepdim)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-norms of the differences of all pairs of rows (0, 1), (0, 2), ..., (1, 2), ...

    Parameters
    ----------
    input : Tensor
        Shape (N, M).
    p : float
        At least 0; may be infinity.

    Returns
    -------
    Tensor
        Shape (N (N - 1) / 2,).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.functional.pdist(tg.tensor([[0.0], [1.0], [3.0]]))
    tensor([1., 3., 2.])
    """
    if input.ndim != 2:
        raise ArgumentError(f"pdist: expected an input with 2 axes, got shape {input.shape}")
    if not p >= 0:
        raise ArgumentError(f"pdist: p must be at least 0, got {p}")
    first, second = (tensor(rows, device=input.device) for rows in np.triu_indices(input.shape[0], 1))
    return _norm(take(input, first, axis=0) - take(input, second, axis=0), p, -1, False)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """``sum(x1 * x2) / (max(|x1|, eps) * max(|x2|, eps))`` along ``dim``."""
    x1, x2 = broadcast_arrays(x1, x2)
    if not x1.ndim and dim in (0, -1):
        return cosine_similarity(x1.expand_dims(0), x2.expand_dims(0), 0, eps)
    return ((x1 / _at_least(_norm(x1, 2, dim, True), eps)) * (x2 / _at_least(_norm(x2, 2, dim, True), eps))).sum(dim)


def _at_least(length: Tensor, eps: float) -> Tensor:
    """``max(length, eps)`` with the gradient of the length throughout, as in PyTorch."""
    return length + (length.detach().clip(eps) - length.detach())


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """``input / max(norm, eps)`` with the p-norm along ``dim``."""
    if not input.ndim and dim in (0, -1):
        return normalize(input.reshape(1), p, 0, eps).reshape(())
    return input / _norm(input, p, dim, True).clip(eps)
