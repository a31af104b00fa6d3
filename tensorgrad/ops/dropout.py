"""Dropout: random zeros drawn from the project's generator, without a stored mask."""

from __future__ import annotations

from typing import Any

from .. import kernels as K
from .definition import Function, lift, primitive

__all__ = ["dropout"]

# Which elements are kept is a pure function of (seed, offset), so the gradient draws the same mask again.
_dropout: Function = primitive(
    "dropout",
    K.dropout,
    lambda g, p, seed, offset: _dropout(g, p, seed, offset),
)


def dropout(x: Any, p: float, seed: int, offset: int) -> Any:
    """Zero each element with probability ``p`` and scale the others by ``1 / (1 - p)``.

    Parameters
    ----------
    x : Tensor
    p : float
        Between 0 and 1.
    seed, offset : int
        Place in the random stream, from `tensorgrad.random.Generator.reserve`.

    Notes
    -----
    Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, 2014.
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout: p must be between 0 and 1, got {p}")
    return _dropout(lift(x), p, seed, offset)
