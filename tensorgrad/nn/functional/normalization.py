"""Normalisation: per channel, over groups of channels, over trailing axes, over neighbouring channels."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...errors import ArgumentError
from ...ops import norm as ops
from ...ops.elementwise import multiply, square
from ...ops.memory import zeros
from ...ops.shape import concat
from ...tape import no_grad
from ...tensor import Tensor

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "local_response_norm", "rms_norm"]


def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise over the trailing axes ``normalized_shape``, then ``* weight + bias``.

    Notes
    -----
    Ba, Kiros and Hinton, Layer Normalization, 2016.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.functional.layer_norm(tg.tensor([[1.0, 3.0]]), (2,), eps=0.0)
    tensor([[-1.,  1.]])
    """
    y: Tensor = ops.layer_norm(input, normalized_shape, weight, bias, eps)
    return y


def rms_norm(
    input: Tensor, normalized_shape: int | Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Divide by the root mean square over the trailing axes ``normalized_shape``, then ``* weight``.

    ``eps`` is by default the distance from 1 to the next number of the dtype that is computed in.

    Notes
    -----
    Zhang and Sennrich, Root Mean Square Layer Normalization, 2019.
    """
    y: Tensor = ops.rms_norm(input, normalized_shape, weight, eps)
    return y


def _follow(running: Tensor | None, value: Tensor, momentum: float | Tensor) -> None:
    """Move a running statistic towards a new value, in place."""
    if running is not None:
        running += (value.astype(running.dtype) - running) * momentum


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel (axis 1), then ``* weight + bias``.

    Parameters
    ----------
    input : Tensor
        Shape (samples, channels, ...).
    running_mean, running_var : Tensor or None
        Shape (channels,). With ``training``, moved in place towards the statistics of the input, the variance divided
        by n - 1; else the statistics to normalise by, and then required.
    weight, bias : Tensor, optional
        Shape (channels,).
    training : bool
        Whether to normalise by the mean and variance of the input itself.
    momentum : float or 0-d Tensor
        Share of the new value in the running ones.
    eps : float

    Raises
    ------
    ValueError
        With ``training``, if there is only one value per channel; without, if there are no running statistics.

    Notes
    -----
    Ioffe and Szegedy, Batch Normalization, 2015.
    """
    if not training:
        if running_mean is None or running_var is None:
            raise ArgumentError("batch_norm: expected running_mean and running_var where not training, got None")
        y: Tensor = ops.batch_norm_with(input, running_mean, running_var, weight, bias, eps)
        return y
    count = math.prod((*input.shape[:1], *input.shape[2:]))
    if count == 1:
        raise ArgumentError(
            f"batch_norm: expected more than 1 value per channel when training, got shape {input.shape}"
        )
    y, mean, var = ops.batch_norm(input, weight, bias, eps)
    if count and (running_mean is not None or running_var is not None):
        with no_grad():
            _follow(running_mean, mean, momentum)
            _follow(running_var, var * (count / (count - 1)), momentum)
    return y


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel of each sample over its positions, then ``* weight + bias``.

    Parameters
    ----------
    input : Tensor
        Shape (samples, channels, positions, ...).
    running_mean, running_var : Tensor, optional
        Shape (channels,). Moved in place towards the statistics of the input, averaged over the samples; or, without
        ``use_input_stats``, the statistics to normalise by.
    weight, bias : Tensor, optional
        Shape (channels,).

    Notes
    -----
    Ulyanov, Vedaldi and Lempitsky, Instance Normalization, 2016.
    """
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise ArgumentError("instance_norm: expected running statistics where use_input_stats is False, got None")
        y: Tensor = ops.batch_norm_with(input, running_mean, running_var, weight, bias, eps)
        return y
    for name, running in (("running_mean", running_mean), ("running_var", running_var)):
        if running is not None and running.shape != input.shape[1:2]:
            raise ArgumentError(
                f"instance_norm: {name} must have shape {input.shape[1:2]} for an input of shape {input.shape}, got "
                f"{running.shape}"
            )
    positions = math.prod(input.shape[2:])
    if input.ndim < 3 or positions == 1:
        raise ArgumentError(f"instance_norm: expected more than 1 position per channel, got shape {input.shape}")
    y = ops.group_norm(input, input.shape[1], weight, bias, eps)
    if running_mean is not None or running_var is not None:
        with no_grad():
            axes = tuple(range(2, input.ndim))
            _follow(running_mean, input.mean(axes).mean(0), momentum)
            _follow(running_var, input.var(axes, correction=1.0).mean(0), momentum)
    return y


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalise each sample over ``num_groups`` groups of neighbouring channels, then ``* weight + bias``.

    Notes
    -----
    Wu and He, Group Normalization, 2018.
    """
    y: Tensor = ops.group_norm(input, num_groups, weight, bias, eps)
    return y


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """``x / (k + alpha * average of x**2 over size neighbouring channels)**beta``; outside the channels x is 0.

    Parameters
    ----------
    input : Tensor
        Shape (samples, channels, positions, ...).

    Notes
    -----
    Krizhevsky, Sutskever and Hinton, ImageNet Classification with Deep Convolutional Neural Networks, 2012.
    """
    if input.ndim < 3:
        raise ArgumentError(f"local_response_norm: expected an input with at least 3 axes, got shape {input.shape}")
    if size < 1:
        raise ArgumentError(f"local_response_norm: size must be at least 1, got {size}")
    samples, channels, *positions = input.shape
    squares = square(input)
    before, after = size // 2, (size - 1) // 2
    edges = [zeros((samples, n, *positions), dtype=input.dtype, device=input.device) for n in (before, after)]
    padded = concat([edges[0], squares, edges[1]], 1) if size > 1 else squares
    total = padded[:, :channels]
    for start in range(1, size):
        total = total + padded[:, start : start + channels]
    y: Tensor = input / (multiply(total, alpha / size) + k) ** beta
    return y
