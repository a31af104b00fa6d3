"""How the losses of the elements become the loss."""

from __future__ import annotations

import warnings
from typing import Literal

from ...errors import ArgumentError
from ...ops.shape import broadcast_arrays
from ...tensor import Tensor

__all__ = ["Reduction", "paired", "reduced", "same_shape"]

Reduction = Literal["mean", "sum", "none"]


def reduced(name: str, losses: Tensor, reduction: str, weight_sum: Tensor | None = None) -> Tensor:
    """The mean (over ``weight_sum`` if given) or sum of the losses, or the losses themselves."""
    if reduction == "mean":
        return losses.mean() if weight_sum is None else losses.sum() / weight_sum
    if reduction == "sum":
        return losses.sum()
    if reduction == "none":
        return losses
    raise ArgumentError(f'{name}: reduction must be "mean", "sum" or "none", got {reduction!r}')


def paired(name: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Input and target of one shape; a target that has to be broadcast is rarely what was meant, so it warns."""
    if input.shape == target.shape:
        return input, target
    warnings.warn(
        f"{name}: the target has shape {target.shape}, the input {input.shape}; they are broadcast. Give both "
        "one shape.",
        stacklevel=3,
    )
    first, second = broadcast_arrays(input, target)
    return first, second


def same_shape(name: str, input: Tensor, target: Tensor) -> None:
    """Refuse a target of another shape."""
    if input.shape != target.shape:
        raise ArgumentError(f"{name}: the target must have the shape {input.shape} of the input, got {target.shape}")
