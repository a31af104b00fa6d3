"""Losses between numbers: squared and absolute errors and negative log-likelihoods of real-valued distributions."""

from __future__ import annotations

import math

from ...errors import ArgumentError
from ...ops.elementwise import abs, clip, equal, exp, greater, less, less_equal, log, where
from ...ops.memory import full
from ...tensor import Tensor
from .reduction import paired, reduced

__all__ = [
    "gaussian_nll_loss", "huber_loss", "kl_div", "l1_loss", "mse_loss", "poisson_nll_loss", "smooth_l1_loss",
]  # fmt: skip


def _weighted(name: str, losses: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """Losses times their weights; the mean is over the weights."""
    return reduced(name, _times(name, losses, weight), reduction, None if weight is None else weight.sum())


def _times(name: str, losses: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return losses
    if weight.shape != losses.shape:
        raise ArgumentError(f"{name}: the weight must have the shape {losses.shape} of the losses, got {weight.shape}")
    return losses * weight


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """``(input - target)**2``, averaged over all elements (over ``weight`` if given), summed, or neither.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.functional.mse_loss(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0])).item()
    2.0
    """
    input, target = paired("mse_loss", input, target)
    return _weighted("mse_loss", (input - target).square(), weight, reduction)


def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """``|input - target|``; the gradient at 0 is 0."""
    input, target = paired("l1_loss", input, target)
    return _weighted("l1_loss", (input - target).abs(), weight, reduction)


def smooth_l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """With d = ``|input - target|``: ``d**2 / (2 beta)`` where d < beta, else ``d - beta / 2``.

    Notes
    -----
    Girshick, Fast R-CNN, 2015.
    """
    if not beta >= 0:
        raise ArgumentError(f"smooth_l1_loss: beta must be at least 0, got {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction)
    input, target = paired("smooth_l1_loss", input, target)
    difference = input - target
    distance = abs(difference)
    near = less(distance, beta)  # what is far, infinity for one, is not squared
    losses = where(near, where(near, difference, 0.0).square() * (0.5 / beta), distance - 0.5 * beta)
    return reduced("smooth_l1_loss", losses, reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """With d = ``|input - target|``: ``d**2 / 2`` where d <= delta, else ``delta * (d - delta / 2)`` (Huber, 1964).

    As in PyTorch, ``"mean"`` divides by the number of elements also where there is a weight.
    """
    if not delta > 0:
        raise ArgumentError(f"huber_loss: delta must be greater than 0, got {delta}")
    input, target = paired("huber_loss", input, target)
    difference = input - target
    distance = abs(difference)
    near = less_equal(distance, delta)
    losses = where(near, where(near, difference, 0.0).square() * 0.5, (distance - 0.5 * delta) * delta)
    return reduced("huber_loss", _times("huber_loss", losses, weight), reduction)


def kl_div(input: Tensor, target: Tensor, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """Kullback-Leibler divergence: ``target * (log(target) - input)`` with ``input`` the log of probabilities.

    Parameters
    ----------
    input, target : Tensor
        Log-probabilities, and probabilities or, with ``log_target``, their logs; of one shape.
    reduction : {"mean", "batchmean", "sum", "none"}
        ``"batchmean"`` divides the sum by the size of axis 0, as the definition of the divergence does; ``"mean"``
        divides by the number of elements.
    log_target : bool
    """
    if log_target:
        losses = exp(target) * (target - input)
    else:
        absent = equal(target, 0)
        losses = where(absent, 0.0, target * log(where(absent, 1.0, target))) - target * input
    if reduction == "batchmean":
        return reduced("kl_div", losses, "sum") / (input.shape[0] if input.ndim else 1)
    return reduced("kl_div", losses, reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood of a count under a Poisson distribution, up to a constant.

    Parameters
    ----------
    input : Tensor
        Logarithm of the rate, or the rate itself if not ``log_input``.
    target : Tensor
        Counts.
    full : bool
        Whether Stirling's approximation of ``log(target!)`` is added where ``target > 1``.
    eps : float
        Added to the rate before its logarithm is taken.
    """
    losses = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        large = greater(target, 1)
        count = where(large, target, 1.0)
        losses = losses + where(large, count * log(count) - count + 0.5 * log(count * (2 * math.pi)), 0.0)
    return reduced("poisson_nll_loss", losses, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """``(log(var) + (input - target)**2 / var) / 2``, the negative log-likelihood of a normal distribution.

    Parameters
    ----------
    input, target : Tensor
        Mean of the distribution, and observation.
    var : Tensor or float
        Variance; of the shape of ``input``, or with a last axis of size 1 or without it. Below ``eps`` it counts as
        ``eps``, which its gradient ignores.
    full : bool
        Whether the constant ``log(2 pi) / 2`` is added.

    Notes
    -----
    Nix and Weigend, Estimating the mean and variance of the target probability distribution, 1994.
    """
    if not eps > 0:
        raise ArgumentError(f"gaussian_nll_loss: eps must be greater than 0, got {eps}")
    if not isinstance(var, Tensor):
        if not var >= 0:
            raise ArgumentError(f"gaussian_nll_loss: var must be at least 0, got {var}")
        var = _constant(var, input)
    elif var.shape != input.shape:
        if var.shape == input.shape[:-1]:
            var = var.expand_dims(-1)
        elif var.ndim != input.ndim or [n for n, m in zip(var.shape, input.shape, strict=True) if n != m] != [1]:
            raise ArgumentError(
                f"gaussian_nll_loss: var must have the shape {input.shape} of the input, with one axis of size 1 or "
                f"without the last one, got {var.shape}"
            )
    raised = Tensor(var._data)  # how far each variance is below eps, as a constant
    var = var + (clip(raised, eps) - raised)
    losses = 0.5 * (log(var) + (input - target).square() / var)
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return reduced("gaussian_nll_loss", losses, reduction)


def _constant(value: float, like: Tensor) -> Tensor:
    return full((), value, dtype=like.dtype, device=like.device)
