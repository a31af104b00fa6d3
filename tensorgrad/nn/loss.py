"""Losses of regression and classification as modules; `tensorgrad.nn.functional` has the formulas.

``size_average`` and ``reduce`` are PyTorch's former names for ``reduction``: both true mean ``"mean"``,
``reduce=False`` is ``"none"``, ``size_average=False`` is ``"sum"``.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from ..ops.loss import cross_entropy
from ..tensor import Tensor
from . import functional as F
from .module import Module

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CTCLoss", "CrossEntropyLoss", "GaussianNLLLoss", "HuberLoss", "KLDivLoss",
    "L1Loss", "MSELoss", "MultiLabelSoftMarginLoss", "NLLLoss", "PoissonNLLLoss", "SmoothL1Loss", "SoftMarginLoss",
]  # fmt: skip


class Loss(Module):
    """A loss with a ``reduction``."""

    reductions: tuple[str, ...] = ("mean", "sum", "none")

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__()
        name = type(self).__name__
        if size_average is not None or reduce is not None:
            averaged = size_average is not False
            reduction = "none" if reduce is False else "mean" if averaged else "sum"
            warnings.warn(f'{name}: size_average and reduce are deprecated; say reduction="{reduction}"', stacklevel=3)
        if reduction not in self.reductions:
            names = ", ".join(f'"{r}"' for r in self.reductions)
            raise ValueError(f"{name}: reduction must be one of {names}, got {reduction!r}")
        self.reduction = reduction


class WeightedLoss(Loss):
    """A loss with a buffer ``weight``, which moves along with `Module.to`."""

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


# ----------------------------------------------------------------------------------------------------------- regression
class L1Loss(Loss):
    """``|input - target|``.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of two tensors of one shape."""
        return F.l1_loss(input, target, self.reduction)


class MSELoss(Loss):
    """``(input - target)**2``.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.MSELoss()(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0])).item()
    2.0
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of two tensors of one shape."""
        return F.mse_loss(input, target, self.reduction)


class SmoothL1Loss(Loss):
    """With d = ``|input - target|``: ``d**2 / (2 beta)`` where d < beta, else ``d - beta / 2``."""

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        beta: float = 1.0,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of two tensors of one shape."""
        return F.smooth_l1_loss(input, target, self.reduction, self.beta)


class HuberLoss(Loss):
    """With d = ``|input - target|``: ``d**2 / 2`` where d <= delta, else ``delta * (d - delta / 2)``."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of two tensors of one shape."""
        return F.huber_loss(input, target, self.reduction, self.delta)


class KLDivLoss(Loss):
    """``target * (log(target) - input)`` with ``input`` the log of probabilities.

    Parameters
    ----------
    reduction : {"mean", "batchmean", "sum", "none"}
        ``"batchmean"`` is the divergence by its definition, averaged over axis 0.
    log_target : bool
        Whether targets are given as logarithms.
    """

    reductions = ("mean", "batchmean", "sum", "none")

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The divergence of two tensors of one shape."""
        return F.kl_div(input, target, self.reduction, self.log_target)


class PoissonNLLLoss(Loss):
    """``exp(input) - target * input``: the negative log-likelihood of counts; see `functional.poisson_nll_loss`."""

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: bool | None = None,
        eps: float = 1e-8,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        """The loss of (logarithms of) rates and counts of one shape."""
        return F.poisson_nll_loss(log_input, target, self.log_input, self.full, self.eps, self.reduction)


class GaussianNLLLoss(Loss):
    """``(log(var) + (input - target)**2 / var) / 2``; see `functional.gaussian_nll_loss`."""

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.full = full
        self.eps = eps

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        """The loss of means, observations and variances."""
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


# ------------------------------------------------------------------------------------------------------- classification
class CrossEntropyLoss(WeightedLoss):
    """``-log(softmax(input)[target])``: logits against class indices or class probabilities.

    Parameters
    ----------
    weight : Tensor, optional
        One factor per class, shape (C,).
    ignore_index : int
        Samples with this class index count for nothing.
    reduction : {"mean", "sum", "none"}
        The mean is over the samples' weights.
    label_smoothing : float
        Between 0 and 1: how much of the target is spread evenly over all classes.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> loss = tg.nn.CrossEntropyLoss()
    >>> round(loss(tg.zeros(3, 4), tg.tensor([0, 1, 2])).item(), 4)
    1.3863
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        if not 0.0 <= label_smoothing <= 1.0:
            raise ValueError(f"CrossEntropyLoss: label_smoothing must be between 0 and 1, got {label_smoothing}")
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Logits (N, C, ...) against indices (N, ...) or probabilities (N, C, ...)."""
        loss: Tensor = cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing
        )
        return loss


class NLLLoss(WeightedLoss):
    """``-weight[target] * input[target]`` for log-probabilities ``input``; see `functional.nll_loss`."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Log-probabilities (N, C, ...) against indices (N, ...)."""
        return F.nll_loss(input, target, self.weight, self.ignore_index, self.reduction)


class BCELoss(WeightedLoss):
    """``-(target * log(input) + (1 - target) * log(1 - input))`` for probabilities; ``weight`` broadcasts."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of two tensors of one shape."""
        return F.binary_cross_entropy(input, target, self.weight, self.reduction)


class BCEWithLogitsLoss(WeightedLoss):
    """`BCELoss` of ``sigmoid(input)``, without overflow.

    Parameters
    ----------
    weight : Tensor, optional
        Factor of each element; broadcasts.
    reduction : {"mean", "sum", "none"}
    pos_weight : Tensor, optional
        Factor of the positive part, such as one per class.
    """

    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits and targets of one shape."""
        return F.binary_cross_entropy_with_logits(input, target, self.weight, self.reduction, self.pos_weight)


class CTCLoss(Loss):
    """Connectionist temporal classification: labels whose places in a longer sequence are not known.

    Parameters
    ----------
    blank : int
        The class that stands for no label.
    reduction : {"mean", "sum", "none"}
        The mean is over the samples, of the loss per label.
    zero_infinity : bool
        Make losses 0 where the input is too short for its labels.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> log_probs = tg.log_softmax(tg.ones(5, 2, 4), axis=-1)
    >>> tg.nn.CTCLoss()(log_probs, tg.tensor([[1, 2], [3, 3]]), [5, 5], [2, 2]).shape
    ()
    """

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__(reduction=reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(
        self,
        log_probs: Tensor,
        targets: Tensor,
        input_lengths: Tensor | Sequence[int],
        target_lengths: Tensor | Sequence[int],
    ) -> Tensor:
        """Log-probabilities (T, N, C) against labels (N, S); see `tensorgrad.nn.functional.ctc_loss`."""
        return F.ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )


class SoftMarginLoss(Loss):
    """``log(1 + exp(-target * input))`` for targets 1 and -1."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of two tensors of one shape."""
        return F.soft_margin_loss(input, target, self.reduction)


class MultiLabelSoftMarginLoss(WeightedLoss):
    """`BCEWithLogitsLoss` averaged over the classes, the last axis."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Scores (N, C) against 0 and 1, (N, C)."""
        return F.multilabel_soft_margin_loss(input, target, self.weight, self.reduction)
