"""Losses that ask for a margin between scores or distances."""

from __future__ import annotations

from collections.abc import Callable

from ...errors import ArgumentError
from ...ops.activation import relu
from ...ops.elementwise import clip, equal, less, minimum, not_equal, sqrt, where
from ...ops.indexing import scatter, take, take_along_axis
from ...ops.memory import arange, cast, zeros_like
from ...ops.reduction import any, argmax
from ...ops.shape import concat, expand_dims
from ...tensor import Tensor
from .distance import pairwise_distance
from .reduction import reduced, same_shape

__all__ = [
    "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss",
    "multilabel_margin_loss", "triplet_margin_loss", "triplet_margin_with_distance_loss",
]  # fmt: skip


def _hinge(x: Tensor) -> Tensor:
    """``max(x, 0)`` whose gradient at 0 is 1."""
    y: Tensor = clip(x, 0.0)
    return y


def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """``input`` where the target is 1, ``max(0, margin - input)`` where it is -1."""
    apart = where(not_equal(target, 1), _hinge(margin - input), 0.0)
    alike = where(not_equal(target, -1), input, 0.0)
    return reduced("hinge_embedding_loss", apart + alike, reduction)


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: str = "mean"
) -> Tensor:
    """``max(0, -target * (input1 - input2) + margin)``: target 1 wants ``input1`` larger, -1 ``input2``."""
    if not input1.ndim == input2.ndim == target.ndim:
        raise ArgumentError(
            f"margin_ranking_loss: inputs and target need equally many axes, got shapes {input1.shape}, {input2.shape} "
            f"and {target.shape}"
        )
    return reduced("margin_ranking_loss", _hinge(-target * (input1 - input2) + margin), reduction)


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: str = "mean"
) -> Tensor:
    """``1 - cos(input1, input2)`` where the target is 1, ``max(0, cos(input1, input2) - margin)`` where it is -1.

    Parameters
    ----------
    input1, input2 : Tensor
        Shape (N, D) or (D,).
    target : Tensor
        1 or -1, shape (N,) or ().
    """
    if not -1 <= margin <= 1:
        raise ArgumentError(f"cosine_embedding_loss: margin must be between -1 and 1, got {margin}")
    if target.ndim > 1 or input1.ndim != target.ndim + 1 or input2.ndim != target.ndim + 1:
        raise ArgumentError(
            "cosine_embedding_loss: expected inputs (N, D) with a target (N,), or (D,) with (), got "
            f"{input1.shape}, {input2.shape} and {target.shape}"
        )
    # eps under the root, unlike in cosine_similarity
    squares = (input1.square().sum(-1) + 1e-12) * (input2.square().sum(-1) + 1e-12)
    cosine = (input1 * input2).sum(-1) / sqrt(squares)
    alike = where(equal(target, 1), 1.0 - cosine, 0.0)
    apart = where(equal(target, -1), _hinge(cosine - margin), 0.0)
    return reduced("cosine_embedding_loss", alike + apart, reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """``max(0, |anchor - positive| - |anchor - negative| + margin)`` with the p-norm along the last axis.

    With ``swap`` the smaller of the distances from anchor and from positive to negative counts.

    Notes
    -----
    Balntas et al., Learning shallow convolutional feature descriptors with triplet losses, 2016.
    """
    if not margin > 0:
        raise ArgumentError(f"triplet_margin_loss: margin must be greater than 0, got {margin}")

    def distance(x1: Tensor, x2: Tensor) -> Tensor:
        return pairwise_distance(x1, x2, p, eps)

    return _triplet("triplet_margin_loss", anchor, positive, negative, distance, margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` with a distance function of your own; by default `pairwise_distance`."""
    if not margin > 0:
        raise ArgumentError(f"triplet_margin_with_distance_loss: margin must be greater than 0, got {margin}")
    distance = pairwise_distance if distance_function is None else distance_function
    return _triplet("triplet_margin_with_distance_loss", anchor, positive, negative, distance, margin, swap, reduction)


def _triplet(
    name: str,
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    distance: Callable[[Tensor, Tensor], Tensor],
    margin: float,
    swap: bool,
    reduction: str,
) -> Tensor:
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise ArgumentError(
            f"{name}: anchor, positive and negative need equally many axes, got shapes {anchor.shape}, "
            f"{positive.shape} and {negative.shape}"
        )
    to_positive = distance(anchor, positive)
    to_negative = distance(anchor, negative)
    if swap:
        to_negative = minimum(to_negative, distance(positive, negative))
    return reduced(name, _hinge(to_positive - to_negative + margin), reduction)


def _as_rows(name: str, input: Tensor, target: Tensor, target_shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Scores of shape (N, C) and their targets, checked. As in PyTorch, a number is the score of the one class."""
    if not input.ndim:
        input, target = input.expand_dims(0), target if target.ndim else target.expand_dims(0)
    if input.ndim == 1 and not target_shape and target.shape == (1,):
        target = target.squeeze(0)
    if input.ndim not in (1, 2) or target.shape != target_shape or target.dtype.kind not in "iu":
        raise ArgumentError(
            f"{name}: scores of shape (N, C) or (C,) need integer targets of shape {target_shape}, got {input.shape} "
            f"and {target.shape} ({target.dtype})"
        )
    return (input, target) if input.ndim == 2 else (input.expand_dims(0), target.expand_dims(0))


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``sum_i weight[y] * max(0, margin - x[y] + x[i])**p / C`` over the classes i other than the target y.

    Parameters
    ----------
    input : Tensor
        Scores of shape (N, C) or (C,).
    target : Tensor
        Class indices of shape (N,) or ().
    p : {1, 2}
    weight : Tensor, optional
        One factor per class, shape (C,).
    """
    if p not in (1, 2):
        raise ArgumentError(f"multi_margin_loss: p must be 1 or 2, got {p}")
    scores, index = _as_rows("multi_margin_loss", input, target, input.shape[:-1])
    classes = scores.shape[1]
    if weight is not None and weight.shape != (classes,):
        raise ArgumentError(
            f"multi_margin_loss: {classes} classes need weights of shape ({classes},), got {weight.shape}"
        )
    column = expand_dims(index, 1)
    gap: Tensor = relu(scores - take_along_axis(scores, column, axis=1) + margin)
    gap = gap if p == 1 else gap.square()
    if weight is not None:
        gap = gap * expand_dims(take(weight, index, axis=0), 1)
    others = not_equal(arange(classes, device=scores.device), column)
    losses = where(others, gap, 0.0).sum(1) / classes
    return reduced("multi_margin_loss", losses if input.ndim == 2 else losses.reshape(()), reduction)


def multilabel_margin_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """``sum_ij max(0, 1 - (x[y_j] - x[i])) / C`` over the target classes y_j and the classes i that are not targets.

    Parameters
    ----------
    input : Tensor
        Scores of shape (N, C) or (C,).
    target : Tensor
        Class indices, of the same shape; a row ends at its first negative number.
    """
    same_shape("multilabel_margin_loss", input, target)
    scores, index = _as_rows("multilabel_margin_loss", input, target, input.shape or (1,))
    classes = scores.shape[1]
    ends = less(index, 0)
    length = where(any(ends, 1, keepdims=True), argmax(cast(ends, index.dtype), 1, keepdims=True), classes)
    listed = less(arange(classes, device=scores.device), length)
    # Each row gets a spare column, which the entries after its end point to.
    rows = where(listed, index, classes)
    spare = zeros_like(index[:, :1])
    marked = scatter(concat([zeros_like(index), spare], 1), 1, rows, 1)
    other = equal(marked[:, :classes], 0)
    wanted = take_along_axis(scores, where(listed, index, 0), axis=1)
    gap = relu(expand_dims(scores, 1) - expand_dims(wanted, 2) + 1.0)
    counts = expand_dims(listed, 2) & expand_dims(other, 1)
    losses = where(counts, gap, 0.0).sum((1, 2)) / classes
    return reduced("multilabel_margin_loss", losses if input.ndim == 2 else losses.reshape(()), reduction)
