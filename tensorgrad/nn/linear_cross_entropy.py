"""A linear layer and the cross-entropy of its logits as one loss."""

from __future__ import annotations

import math
from typing import Any

from ..tensor import Tensor
from . import functional as F
from .linear import Linear
from .loss import WeightedLoss

__all__ = ["LinearCrossEntropyLoss"]


class LinearCrossEntropyLoss(WeightedLoss):
    """`CrossEntropyLoss` of the logits of a linear layer that belongs to it.

    Parameters
    ----------
    in_features, num_classes : int
    out_features : tuple of int
        Shape of the decisions per sample, if there are several.
    bias : bool
        Whether the layer has a bias.
    reduction : {"mean", "sum", "none"}
    weight : Tensor, optional
        One factor per class, shape (num_classes,).
    ignore_index : int, optional
        Samples with this class index count for nothing; -100 by default.
    label_smoothing : float
        Between 0 and 1: how much of the target is spread evenly over all classes.
    options : None
        PyTorch's ways of working in chunks, which do not exist here.

    Attributes
    ----------
    linear : Linear
        With ``num_classes`` times as many outputs as there are decisions.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.LinearCrossEntropyLoss(8, 5)(tg.ones(3, 8), tg.tensor([0, 1, 4])).shape
    ()
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: None = None,
    ) -> None:
        super().__init__(weight, reduction=reduction)
        if options is not None:
            raise ValueError(
                f"LinearCrossEntropyLoss: options must be None, as there are no chunks here, got {options!r}"
            )
        if weight is not None and weight.shape != (num_classes,):
            raise ValueError(f"LinearCrossEntropyLoss: weight must have shape ({num_classes},), got {weight.shape}")
        if not 0.0 <= label_smoothing <= 1.0:
            raise ValueError(f"LinearCrossEntropyLoss: label_smoothing must be between 0 and 1, got {label_smoothing}")
        self.num_classes = num_classes
        self.out_features = tuple(out_features)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.linear = Linear(in_features, math.prod(self.out_features, start=num_classes), bias, device, dtype)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Features (N, in_features) against class indices (N, *out_features) or probabilities."""
        shape = (self.num_classes, *self.out_features)
        bias = self.linear.bias
        return F.linear_cross_entropy(
            input,
            self.linear.weight.reshape(*shape, -1),
            target,
            linear_bias=None if bias is None else bias.reshape(*shape),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )
