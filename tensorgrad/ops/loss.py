"""Cross-entropy: one fused kernel forward and one backward."""

from __future__ import annotations

from typing import Any

from .. import kernels as K
from ..errors import ArgumentError
from ..tape import grad_mode
from .definition import Function, lift, primitive
from .elementwise import add, divide, multiply, negative, not_equal, subtract, where
from .indexing import take
from .memory import cast, ones_like
from .precision import raised
from .reduction import mean, sum
from .shape import broadcast_to, expand_dims, reshape
from .softmax import log_softmax, softmax, softmax_backward

__all__ = ["cross_entropy"]


def _reduced(losses: Any, weight_sum: Any, reduction: str) -> Any:
    """The kernel's losses, one per sample, as the wanted result; the mean is over the samples' weights."""
    if reduction == "none":
        return losses
    total = K.sum(losses)
    return total if reduction == "sum" else K.divide(total, weight_sum)


def _forward(
    logits: Any, target: Any, weight: Any, ignore_index: int, label_smoothing: float, reduction: str
) -> tuple[Any, Any, Any]:
    losses, lse = K.cross_entropy(logits, target, weight, ignore_index, label_smoothing)
    weight_sum = K.target_weight(logits, target, weight, ignore_index) if reduction == "mean" else None
    return _reduced(losses, weight_sum, reduction), lse, weight_sum


def _per_sample(g: Any, shape: tuple[int, ...], divisor: Any) -> Any:
    """The gradient of each sample's loss."""
    return broadcast_to(g if divisor is None else divide(g, divisor), shape)


_cross_entropy: Function = primitive(
    "cross_entropy",
    _forward,
    lambda g, logits, target, weight, ignore_index, label_smoothing, lse, weight_sum: _cross_entropy_backward(
        _per_sample(g, target.shape, weight_sum), logits, target, lse, weight, ignore_index, label_smoothing
    ),
    None,
    None,
    aux=("lse", "weight_sum"),
)

# Of one sample the loss is sum_c q_c (lse - z_c) with q the (smoothed, weighted) target, so its gradient is
# Q softmax(z) - q with Q = sum_c q_c. That is linear in g, and its derivative in z is Q times softmax's.
_cross_entropy_backward: Function = primitive(
    "cross_entropy_backward",
    K.cross_entropy_backward,
    lambda h, g, logits, target, lse, weight, ignore_index, label_smoothing: sum(
        multiply(h, _cross_entropy_backward(ones_like(g), logits, target, lse, weight, ignore_index, label_smoothing)),
        1,
    ),
    lambda h, g, logits, target, weight, ignore_index, label_smoothing: softmax_backward(
        multiply(h, expand_dims(multiply(g, _target_mass(target, weight, ignore_index, label_smoothing, logits)), 1)),
        softmax(logits, 1),
        1,
    ),
    None,
    None,
    None,
)


def _target_mass(target: Any, weight: Any, ignore_index: int, label_smoothing: float, logits: Any) -> Any:
    """``Q``: how much weight each sample's smoothed target carries."""
    counted = not_equal(target, ignore_index)
    if weight is None:
        return cast(counted, logits.dtype)
    chosen = take(weight, where(counted, target, 0), axis=0)
    spread = multiply(sum(weight), label_smoothing / logits.shape[1])
    return multiply(cast(counted, logits.dtype), add(multiply(chosen, 1 - label_smoothing), spread))


def _soft_forward(
    logits: Any, target: Any, weight: Any, label_smoothing: float, reduction: str
) -> tuple[Any, Any, Any]:
    losses, lse = K.soft_cross_entropy(logits, target, weight, label_smoothing)
    count = losses.size if reduction == "mean" else None
    return _reduced(losses, count, reduction), lse, count


_soft_cross_entropy: Function = primitive(
    "soft_cross_entropy",
    _soft_forward,
    lambda g, logits, target, weight, label_smoothing, lse, count: _soft_cross_entropy_backward(
        _per_sample(g, lse.shape, count), logits, target, lse, weight, label_smoothing
    ),
    lambda g, logits, target, weight, label_smoothing, lse, count: _soft_target_vjp(
        _per_sample(g, lse.shape, count), logits, weight, label_smoothing
    ),
    None,
    aux=("lse", "count"),
)
_soft_cross_entropy_backward: Function = primitive(
    "soft_cross_entropy_backward",
    K.soft_cross_entropy_backward,
    lambda h, g, logits, target, lse, weight, label_smoothing: sum(
        multiply(h, _soft_cross_entropy_backward(ones_like(g), logits, target, lse, weight, label_smoothing)), 1
    ),
    lambda h, g, logits, target, weight, label_smoothing: softmax_backward(
        multiply(h, expand_dims(multiply(g, sum(_smoothed(target, weight, label_smoothing), 1)), 1)),
        softmax(logits, 1),
        1,
    ),
    lambda h, g, logits, weight, label_smoothing: _soft_mixed_vjp(h, g, logits, weight, label_smoothing),
    None,
    None,
)


def _along_classes(weight: Any, ndim: int) -> Any:
    """Class weights with their axis at 1."""
    return reshape(weight, (1, -1, *(1,) * (ndim - 2)))


def _smoothed(target: Any, weight: Any, label_smoothing: float) -> Any:
    """``q``: class probabilities, mixed with the uniform distribution and weighted."""
    if label_smoothing:
        target = add(multiply(target, 1 - label_smoothing), label_smoothing / target.shape[1])
    return target if weight is None else multiply(target, _along_classes(weight, target.ndim))


def _soft_target_vjp(g: Any, logits: Any, weight: Any, label_smoothing: float) -> Any:
    """The loss is linear in the probabilities; the factor is minus the weighted log-softmax."""
    scores = log_softmax(logits, 1)
    if weight is not None:
        scores = multiply(scores, _along_classes(weight, logits.ndim))
    return multiply(expand_dims(g, 1), multiply(scores, label_smoothing - 1))


def _soft_mixed_vjp(h: Any, g: Any, logits: Any, weight: Any, label_smoothing: float) -> Any:
    """Derivative of the backward in the probabilities: ``g w (1 - eps) (sum(h p) - h)``."""
    p = softmax(logits, 1)
    mixed = multiply(subtract(sum(multiply(h, p), 1, keepdims=True), h), 1 - label_smoothing)
    if weight is not None:
        mixed = multiply(mixed, _along_classes(weight, logits.ndim))
    return multiply(expand_dims(g, 1), mixed)


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """Cross-entropy between logits and targets: the sum over samples of ``-log p(true class)``.

    Of one sample with logits z and target class y it is ``-w_y log(softmax(z)_y)``. With ``reduction="sum"`` the
    samples are added up; ``"mean"`` divides that by the sum of the samples' weights.

    Parameters
    ----------
    input : Tensor
        Logits of shape (C,), (N, C) or (N, C, d1, d2, ...).
    target : Tensor
        Class indices, of the shape of ``input`` without its class axis, or class probabilities, of the shape of
        ``input`` and floating.
    weight : Tensor, optional
        One factor per class, shape (C,).
    ignore_index : int
        Samples with this class index count for nothing.
    reduction : {"mean", "sum", "none"}
    label_smoothing : float
        Between 0 and 1: how much of the target is spread evenly over all classes.

    Raises
    ------
    ValueError
        If shapes, dtypes, devices or options do not fit.
    IndexError
        If a class index is out of range. On CUDA it is raised at the next point where the host waits for the device.

    Notes
    -----
    Label smoothing: Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2015.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> logits = tg.log(tg.tensor([[0.9, 0.1], [0.9, 0.1]]))
    >>> loss = tg.nn.functional.cross_entropy(logits, tg.tensor([0, 1]), reduction="none")
    >>> [round(x, 4) for x in loss.tolist()]
    [0.1054, 2.3026]
    """
    input, target, weight = raised(lift(input)), raised(lift(target)), raised(weight)
    if reduction not in ("mean", "sum", "none"):
        raise ArgumentError(f'cross_entropy: reduction must be "mean", "sum" or "none", got {reduction!r}')
    if not 0.0 <= label_smoothing <= 1.0:
        raise ArgumentError(f"cross_entropy: label_smoothing must be between 0 and 1, got {label_smoothing}")
    if input.dtype.kind not in "fV":
        raise TypeError(f"cross_entropy: the logits must be floating, got {input.dtype}")
    if not input.ndim:
        raise ArgumentError("cross_entropy: the logits need a class axis, got a 0-d tensor")
    soft = target.dtype.kind not in "iu"
    single = input.ndim == 1
    wanted = input.shape if soft else input.shape[:0] if single else (input.shape[0], *input.shape[2:])
    if target.shape != wanted:
        kind = "class probabilities" if soft else "class indices"
        raise ArgumentError(
            f"cross_entropy: logits of shape {input.shape} need {kind} of shape {wanted}, "
            f"got {target.shape} ({target.dtype})"
        )
    if target.dtype.kind in "bc":
        raise TypeError(
            f"cross_entropy: targets are integer class indices or floating probabilities, got {target.dtype}"
        )
    if single:
        input, target = expand_dims(input, 0), expand_dims(target, 0)
    classes = input.shape[1]
    if weight is not None:
        weight = lift(weight)
        if weight.shape != (classes,) or weight.dtype != input.dtype:
            raise ArgumentError(
                f"cross_entropy: {classes} classes need weights of shape ({classes},) and dtype {input.dtype}, "
                f"got {weight.shape}, {weight.dtype}"
            )
    trained = weight is not None and getattr(weight, "requires_grad", False) and grad_mode.get()
    if trained and not soft:
        raise RuntimeError("cross_entropy: with class indices the weight has no gradient; pass weight.detach()")
    if soft:
        if target.dtype != input.dtype:
            target = cast(target, input.dtype)
        if trained:  # which the fused kernel has no gradient for
            y = negative(sum(multiply(_smoothed(target, weight, label_smoothing), log_softmax(input, 1)), 1))
            if reduction != "none":
                return sum(y) if reduction == "sum" else mean(y)
            return reshape(y, ()) if single else y
        y = _soft_cross_entropy(input, target, weight, label_smoothing, reduction)
    else:
        y = _cross_entropy(input, target, weight, ignore_index, label_smoothing, reduction)
    return reshape(y, ()) if single and reduction == "none" else y
