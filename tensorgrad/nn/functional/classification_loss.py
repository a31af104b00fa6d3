"""Losses between scores and classes."""

from __future__ import annotations

from ...dtypes import int64
from ...errors import ArgumentError
from ...ops.elementwise import clip, less, log, multiply, not_equal, where
from ...ops.indexing import take, take_along_axis
from ...ops.loss import cross_entropy
from ...ops.memory import cast
from ...ops.shape import expand_dims, squeeze
from ...tensor import Tensor
from .activation import logsigmoid
from .linear import linear
from .reduction import reduced, same_shape

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "linear_cross_entropy",
    "multilabel_soft_margin_loss", "nll_loss", "soft_margin_loss",
]  # fmt: skip


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """``-weight[y] * input[y]`` for target class y: cross-entropy from log-probabilities.

    Parameters
    ----------
    input : Tensor
        Log-probabilities of shape (C,), (N, C) or (N, C, d1, d2, ...).
    target : Tensor
        Class indices, of the shape of ``input`` without its class axis.
    weight : Tensor, optional
        One factor per class, shape (C,). ``"mean"`` divides by the sum of the samples' weights.
    ignore_index : int
        Samples with this class index count for nothing.
    """
    if not input.ndim:
        raise ArgumentError("nll_loss: the input needs a class axis, got a 0-d tensor")
    axis = min(input.ndim - 1, 1)
    wanted = (*input.shape[:axis], *input.shape[axis + 1 :])
    if target.shape != wanted or target.dtype.kind not in "iu":
        raise ArgumentError(
            f"nll_loss: an input of shape {input.shape} needs class indices of shape {wanted}, got {target.shape} "
            f"({target.dtype})"
        )
    if weight is not None and weight.shape != input.shape[axis : axis + 1]:
        raise ArgumentError(
            f"nll_loss: {input.shape[axis]} classes need weights of shape ({input.shape[axis]},), got {weight.shape}"
        )
    if target.dtype.kind == "u":  # which may not reach to ignore_index
        target = cast(target, int64)
    counted = not_equal(target, ignore_index)
    index = where(counted, target, 0)
    losses = -squeeze(take_along_axis(input, expand_dims(index, axis), axis=axis), axis)
    weights = cast(counted, input.dtype)
    if weight is not None:
        chosen = take(weight, index.reshape(-1), axis=0).reshape(target.shape)
        weights = multiply(weights, chosen)
    # An ignored sample's loss is taken out by choice, not by its weight of 0: it may be infinite.
    losses = where(counted, losses * weights, 0.0)
    return reduced("nll_loss", losses, reduction, weights.sum())


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """``-weight * (target * log(input) + (1 - target) * log(1 - input))`` for probabilities ``input``.

    As in PyTorch, the logarithms are at least -100 and their slopes at most 1e12, so that the loss of a certain but
    wrong prediction is finite. Values outside [0, 1] give NaN.
    """
    same_shape("binary_cross_entropy", input, target)
    losses = (target - 1.0) * _bounded_log(1.0 - input) - target * _bounded_log(input)
    return reduced("binary_cross_entropy", losses if weight is None else losses * weight, reduction)


def _bounded_log(x: Tensor) -> Tensor:
    """``max(log(x), -100)`` with slope ``1 / max(x, 1e-12)``."""
    tiny = less(x, 1e-12)
    value = Tensor(x._data)
    line = x * 1e12  # below 1e-12, a line that is shifted to the right value by a constant
    shift = clip(log(value), -100.0) - value * 1e12
    y: Tensor = where(tiny, line + shift, log(where(tiny, 1.0, x)))
    return y


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """`binary_cross_entropy` of ``sigmoid(input)``, without overflow.

    ``-weight * (pos_weight * target * log(sigmoid(input)) + (1 - target) * log(1 - sigmoid(input)))``

    Parameters
    ----------
    input, target : Tensor
        Logits and targets of one shape.
    weight : Tensor, optional
        Factor of each element; broadcasts.
    pos_weight : Tensor, optional
        Factor of the positive part; broadcasts along the last axes.
    """
    same_shape("binary_cross_entropy_with_logits", input, target)
    certain = logsigmoid(input)
    if pos_weight is not None:
        certain = certain * ((pos_weight - 1.0) * target + 1.0)
    losses = (1.0 - target) * input - certain
    return reduced("binary_cross_entropy_with_logits", losses if weight is None else losses * weight, reduction)


def soft_margin_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """``log(1 + exp(-target * input))`` for targets 1 and -1."""
    same_shape("soft_margin_loss", input, target)
    return reduced("soft_margin_loss", -logsigmoid(input * target), reduction)


def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """`binary_cross_entropy_with_logits`, averaged over the classes, which are the last axis."""
    losses = -(target * logsigmoid(input) + (1.0 - target) * logsigmoid(-input))
    losses = losses if weight is None else losses * weight
    return reduced("multilabel_soft_margin_loss", losses.mean(-1), reduction)


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: None = None,
) -> Tensor:
    """`cross_entropy` of the logits that a linear layer makes.

    Parameters
    ----------
    input : Tensor
        Shape (N, in_features) or (in_features,).
    linear_weight : Tensor
        Shape (C, in_features), or (C, d1, d2, ..., in_features) for several decisions per sample.
    target : Tensor
        Class indices or probabilities for logits of shape (N, C, d1, d2, ...).
    linear_bias : Tensor, optional
        Shape (C, d1, d2, ...).
    weight, reduction, label_smoothing
        As for `cross_entropy`.
    ignore_index : int, optional
        Samples with this class index count for nothing; -100 by default. Not for probabilities.
    options : None
        PyTorch's ways of working in chunks, which do not exist here.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> F = tg.nn.functional
    >>> round(F.linear_cross_entropy(tg.ones(2, 3), tg.zeros(4, 3), tg.tensor([0, 3])).item(), 4)
    1.3863
    """
    if options is not None:
        raise ArgumentError(f"linear_cross_entropy: options must be None, as there are no chunks here, got {options!r}")
    shape = linear_weight.shape[:-1]
    if input.ndim not in (1, 2) or linear_weight.ndim < 2 or input.shape[-1] != linear_weight.shape[-1]:
        raise ArgumentError(
            "linear_cross_entropy: expected an input (N, in_features) or (in_features,) and a weight (C, ..., "
            f"in_features), got {input.shape} and {linear_weight.shape}"
        )
    if input.ndim == 1 and len(shape) > 1:
        raise ArgumentError(
            f"linear_cross_entropy: a weight of shape {linear_weight.shape} needs an input (N, in_features)"
        )
    if linear_bias is not None and linear_bias.shape != shape:
        raise ArgumentError(f"linear_cross_entropy: linear_bias must have shape {shape}, got {linear_bias.shape}")
    if ignore_index is not None and target.dtype.kind not in "iu":
        raise ArgumentError("linear_cross_entropy: ignore_index is for class indices, but the target has probabilities")
    bias = None if linear_bias is None else linear_bias.reshape(-1)
    logits = linear(input, linear_weight.reshape(-1, input.shape[-1]), bias).reshape(*input.shape[:-1], *shape)
    ignored = -100 if ignore_index is None else ignore_index
    loss: Tensor = cross_entropy(logits, target, weight, ignored, reduction, label_smoothing)
    return loss
