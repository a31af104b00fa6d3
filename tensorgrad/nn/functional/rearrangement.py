"""Channels exchanged for pixels and back, and channels in another order."""

from __future__ import annotations

import math

from ...errors import ArgumentError
from ...tensor import Tensor

__all__ = ["channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Blocks of ``upscale_factor`` x ``upscale_factor`` pixels from as many channels.

    Parameters
    ----------
    input : Tensor
        Shape (..., C r**2, H, W), with r for ``upscale_factor``.
    upscale_factor : int

    Returns
    -------
    Tensor
        Shape (..., C, H r, W r).

    Notes
    -----
    Shi et al., Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural
    Network, 2016.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.functional.pixel_shuffle(tg.arange(4.0).reshape(4, 1, 1), 2)
    tensor([[[0., 1.],
             [2., 3.]]])
    """
    r = upscale_factor
    if input.ndim < 3 or r < 1 or input.shape[-3] % r**2:
        raise ArgumentError(
            f"pixel_shuffle: expected an input (..., channels, height, width) whose channels are a multiple of "
            f"upscale_factor ** 2, got shape {input.shape} and upscale_factor {r}"
        )
    *batch, channels, height, width = input.shape
    blocks = input.reshape(math.prod(batch), channels // r**2, r, r, height, width).permute(0, 1, 4, 2, 5, 3)
    return blocks.reshape(*batch, channels // r**2, height * r, width * r)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """The inverse of `pixel_shuffle`: shape (..., C, H r, W r) to (..., C r**2, H, W)."""
    r = downscale_factor
    if input.ndim < 3 or r < 1 or input.shape[-2] % r or input.shape[-1] % r:
        raise ArgumentError(
            f"pixel_unshuffle: expected an input (..., channels, height, width) whose height and width are multiples "
            f"of downscale_factor, got shape {input.shape} and downscale_factor {r}"
        )
    *batch, channels, height, width = input.shape
    blocks = input.reshape(math.prod(batch), channels, height // r, r, width // r, r).permute(0, 1, 3, 5, 2, 4)
    return blocks.reshape(*batch, channels * r**2, height // r, width // r)


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Channels, axis 1, that stood in ``groups`` one behind the other, taken from each group in turn.

    Notes
    -----
    Zhang et al., ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices, 2017.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.functional.channel_shuffle(tg.arange(6).reshape(1, 6, 1), 2).flatten()
    tensor([0, 3, 1, 4, 2, 5])
    """
    if input.ndim < 3 or groups < 1 or input.shape[1] % groups:
        raise ArgumentError(
            f"channel_shuffle: expected an input (N, channels, ...) whose channels are a multiple of groups, got shape "
            f"{input.shape} and groups {groups}"
        )
    channels = input.shape[1]
    grouped = input.reshape(input.shape[0], groups, channels // groups, *input.shape[2:])
    return grouped.transpose(1, 2).reshape(input.shape)
