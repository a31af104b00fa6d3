"""Dropout in its variants: elements, channels, and with the statistics of a normal input kept."""

from __future__ import annotations

from typing import Any

from ... import kernels as K
from ... import random
from ...errors import ArgumentError
from ...generator import drawing_levels
from ...kernels.batched.array import ACTIVE, allocated, empty_like
from ...ops import dropout as ops
from ...ops.elementwise import where
from ...ops.memory import ones
from ...tensor import Tensor
from .inplace import applied

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]

_SELU_LIMIT = 1.7580993408473766  # minus the limit of selu at minus infinity


def _check(name: str, p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ArgumentError(f"{name}: p must be between 0 and 1, got {p}")


def _dropped(x: Tensor, p: float) -> Tensor:
    if ACTIVE.get():  # inside of vmap: the gradient cannot draw the mask again from a gradient that samples share
        kept = _mask_for_samples(x, p)
        y: Tensor = where(kept == 0, 0.0, x * kept)
        return y
    seed, offset = random.reserve_for(K.dropout, x._data)
    y = ops.dropout(x, p, seed, offset)
    return y


def _mask_for_samples(x: Tensor, p: float) -> Tensor:
    """What to multiply with; for each sample of those calls of `vmap` that let samples differ."""

    def drawn(shape: tuple[int, ...]) -> Any:
        kept = empty_like(x._data, shape)
        K.fill(kept, 1)
        return K.dropout(kept, p, *random.reserve_for(K.dropout, kept))

    return Tensor(allocated(drawn, x.shape, drawing_levels()))


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each element with probability ``p`` and scale the others by ``1 / (1 - p)``; nothing unless ``training``.

    The mask is drawn from `tensorgrad.random.default_generator`, is the same on every device, and is not stored: the
    gradient draws it again.

    Notes
    -----
    Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, 2014.
    """
    _check("dropout", p)
    if not training or p == 0.0:
        return input
    return applied("dropout", lambda x: _dropped(x, p), input, inplace)


def _channel_mask(x: Tensor, p: float, channel_axes: int) -> Tensor:
    """``1 / (1 - p)`` for the channels that are kept, 0 for the others."""
    shape = (*x.shape[:channel_axes], *(1,) * (x.ndim - channel_axes))
    return _dropped(ones(shape, dtype=x.dtype, device=x.device), p)


def _channels(name: str, spatial: int, input: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    _check(name, p)
    if input.ndim not in (spatial + 1, spatial + 2):
        raise ArgumentError(
            f"{name}: expected an input with {spatial + 2} axes, or {spatial + 1} without a batch, got {input.shape}"
        )
    if not training or p == 0.0:
        return input
    channel_axes = input.ndim - spatial
    return applied(name, lambda x: x * _channel_mask(x, p, channel_axes), input, inplace)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of an input of shape (N, C, L) or (C, L)."""
    return _channels("dropout1d", 1, input, p, training, inplace)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of an input of shape (N, C, H, W) or (C, H, W).

    Notes
    -----
    Tompson et al., Efficient Object Localization Using Convolutional Networks, 2015.
    """
    return _channels("dropout2d", 2, input, p, training, inplace)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of an input of shape (N, C, D, H, W) or (C, D, H, W)."""
    return _channels("dropout3d", 3, input, p, training, inplace)


def _alpha(x: Tensor, p: float, mask_axes: int) -> Tensor:
    """Dropped elements become the negative limit of selu; an affine map brings mean and variance back."""
    if p == 1.0:
        return x * 0.0
    scale: float = ((1 - p) * (1 + p * _SELU_LIMIT**2)) ** -0.5
    shift = p * _SELU_LIMIT * scale
    keep = _channel_mask(x, p, mask_axes) * (1 - p)
    return x * (keep * scale) + ((keep - 1.0) * (_SELU_LIMIT * scale) + shift)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout for selu networks: an input of mean 0 and variance 1 keeps both.

    Notes
    -----
    Klambauer et al., Self-Normalizing Neural Networks, 2017.
    """
    _check("alpha_dropout", p)
    if not training or p == 0.0:
        return input
    return applied("alpha_dropout", lambda x: _alpha(x, p, x.ndim), input, inplace)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels of an input of shape (N, C, ...)."""
    _check("feature_alpha_dropout", p)
    if not training or p == 0.0:
        return input
    if input.ndim < 2:
        raise ArgumentError(f"feature_alpha_dropout: expected an input with at least 2 axes, got shape {input.shape}")
    return applied("feature_alpha_dropout", lambda x: _alpha(x, p, 2), input, inplace)
