"""Images read at places between pixels, as a spatial transformer does (Jaderberg et al., 2015)."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...creation import tensor
from ...errors import ArgumentError
from ...ops.elementwise import abs, clip, floor, greater, less, logical_and, logical_or, remainder, round, where
from ...ops.indexing import take
from ...ops.matmul import matmul
from ...ops.shape import moveaxis, stack
from ...tensor import Tensor
from .interpolation import CUBIC_SLOPE, cubic_far, cubic_near

__all__ = ["affine_grid", "grid_sample"]

_MODES = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")


# ------------------------------------------------------------------------------------------------------------- the grid
def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """Where `grid_sample` is to read for an image moved by affine maps.

    Parameters
    ----------
    theta : Tensor
        One map per sample, shape (N, 2, 3) or (N, 3, 4), in coordinates that go from -1 to 1 over the image.
    size : sequence of int
        (N, C, H, W) or (N, C, D, H, W) of the image to make.
    align_corners : bool, optional
        Whether -1 and 1 are the centers of the corner pixels rather than the corners of the image; False by default.

    Returns
    -------
    Tensor
        Shape (N, H, W, 2) or (N, D, H, W, 3), x first.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> theta = tg.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> tg.nn.functional.affine_grid(theta, (1, 1, 1, 2))
    tensor([[[[-0.5,  0. ],
              [ 0.5,  0. ]]]])
    """
    axes = len(size) - 2
    if axes not in (2, 3) or theta.shape != (size[0], axes, axes + 1):
        raise ArgumentError(
            f"affine_grid: size must be (N, C, H, W) with theta (N, 2, 3), or (N, C, D, H, W) with theta (N, 3, 4), "
            f"got size {tuple(size)} and theta of shape {theta.shape}"
        )
    if theta.dtype.kind not in "fV":
        raise TypeError(f"affine_grid: theta must be floating, got {theta.dtype}")
    if min(size[1:]) < 1:
        raise ArgumentError(f"affine_grid: all sizes but the batch's must be greater than 0, got {tuple(size)}")
    wanted = tuple(int(n) for n in size[2:])
    places = tensor(_homogeneous(wanted, bool(align_corners)), theta.dtype, theta.device)
    grid: Tensor = matmul(places, theta.transpose(1, 2))
    return grid.reshape(size[0], *wanted, axes)


@functools.lru_cache(32)
def _homogeneous(size: tuple[int, ...], align_corners: bool) -> Any:
    """(x, y, 1) or (x, y, z, 1) of every pixel, from -1 to 1."""
    along = [np.linspace(-1, 1, n) * (1 if align_corners else (n - 1) / n) if n > 1 else np.zeros(1) for n in size]
    coordinates = np.stack([*reversed(np.meshgrid(*along, indexing="ij")), np.ones(size)], -1)
    return coordinates.reshape(-1, len(size) + 1)


# ---------------------------------------------------------------------------------------------------------- coordinates
class _Rules(NamedTuple):
    """What a coordinate means, and what lies beyond the image."""

    padding_mode: str
    align_corners: bool

    def pixels(self, x: Tensor, size: int) -> Tensor:
        """Coordinates from -1 to 1 as numbers of pixels."""
        return (x + 1) * ((size - 1) / 2) if self.align_corners else ((x + 1) * size - 1) * 0.5

    def inside(self, x: Tensor, size: int) -> Tensor:
        """The pixels that stand for those outside of the image; zeros stay outside."""
        if self.padding_mode == "zeros":
            return x
        if self.padding_mode == "reflection":
            x = self._reflected(x, size)
        # at and beyond the border the gradient is 0
        y: Tensor = where(logical_and(greater(x, 0), less(x, size - 1)), x, clip(x.detach(), 0, size - 1))
        return y

    def _reflected(self, x: Tensor, size: int) -> Tensor:
        low, span = (0.0, float(size - 1)) if self.align_corners else (-0.5, float(size))
        if span == 0:
            return x * 0.0
        distance = abs(x - low)
        whole = (distance.detach() / span).floor()
        rest = distance - whole * span
        y: Tensor = where(remainder(whole, 2).__eq__(0), rest, span - rest) + low
        return y


# -------------------------------------------------------------------------------------------------------------- reading
def _taps(mode: str, rules: _Rules, x: Tensor, size: int) -> tuple[list[Tensor], list[Any]]:
    """Along one axis, the pixels that a place is made of, and their shares (None: all); ``x`` is in pixels."""
    places: list[Tensor]
    shares: list[Any]
    if mode == "nearest":
        places, shares = [round(rules.inside(x, size).detach())], [None]
    elif mode == "bilinear":
        x = rules.inside(x, size)
        start = floor(x.detach())
        rest = x - start
        places, shares = [start, start + 1], [1 - rest, rest]
    else:
        start = floor(x.detach())
        rest = x - start
        places = [rules.inside(start + tap, size) for tap in (-1, 0, 1, 2)]
        shares = [
            cubic_far(1 + rest, CUBIC_SLOPE), cubic_near(rest, CUBIC_SLOPE),
            cubic_near(1 - rest, CUBIC_SLOPE), cubic_far(2 - rest, CUBIC_SLOPE),
        ]  # fmt: skip
    return places, shares


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Read ``input`` at the places in ``grid``.

    Parameters
    ----------
    input : Tensor
        Shape (N, C, H, W) or (N, C, D, H, W).
    grid : Tensor
        Shape (N, H', W', 2) or (N, D', H', W', 3): x, y (and z) from -1 to 1 over the image.
    mode : {"bilinear", "nearest", "bicubic"}
        Bilinear is trilinear in three dimensions; bicubic is for two.
    padding_mode : {"zeros", "border", "reflection"}
        What is read outside of the image: 0, the nearest pixel of the border, or the image reflected there.
    align_corners : bool, optional
        Whether -1 and 1 are the centers of the corner pixels rather than the corners of the image; False by default.

    Returns
    -------
    Tensor
        Shape (N, C, H', W') or (N, C, D', H', W').

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor([[[[1.0, 3.0]]]])
    >>> tg.nn.functional.grid_sample(x, tg.zeros(1, 1, 1, 2))
    tensor([[[[2.]]]])
    """
    _check(input, grid, mode, padding_mode)
    axes = input.ndim - 2
    samples, channels, *size = input.shape
    rules = _Rules(padding_mode, bool(align_corners))
    count = math.prod(grid.shape[:-1])
    flat = grid.reshape(count, axes)
    rows = moveaxis(input, 1, -1).reshape(samples * math.prod(size), channels)  # of all samples, one behind the other
    first = np.repeat(np.arange(samples), count // max(samples, 1))
    # (taps, places): over the axes, the row of each tap and its share of the place
    index = tensor(first, device=input.device).expand_dims(0)
    share: Any = None
    for axis, n in enumerate(size):
        places, shares = _taps(mode, rules, rules.pixels(flat[:, axes - 1 - axis], n), n)
        pixel = stack(places)
        taps = index.shape[0] * len(places)
        index = index.expand_dims(1) * n + clip(clip(pixel, 0, n - 1).astype(index.dtype), 0, n - 1)
        index = index.reshape(taps, count)
        along = None if shares[0] is None else stack(shares)
        if padding_mode == "zeros":
            outside = logical_or(less(pixel, 0), greater(pixel, n - 1))
            along = where(outside, 0.0, 1.0 if along is None else along)
        if along is not None:
            share = along if share is None else (share.expand_dims(1) * along).reshape(taps, count)
    values: Tensor = take(rows, index, axis=0)  # (taps, places, channels)
    read = values[0] if share is None else (values * share.expand_dims(-1).astype(input.dtype)).sum(0)
    y: Tensor = moveaxis(read.reshape(*grid.shape[:-1], channels), -1, 1)
    return y


def _check(input: Tensor, grid: Tensor, mode: str, padding_mode: str) -> None:
    axes = input.ndim - 2
    if mode not in _MODES:
        raise ArgumentError(f"grid_sample: mode must be one of {', '.join(_MODES)}, got {mode!r}")
    if padding_mode not in _PADDINGS:
        raise ArgumentError(f"grid_sample: padding_mode must be one of {', '.join(_PADDINGS)}, got {padding_mode!r}")
    if axes not in (2, 3) or grid.ndim != input.ndim or grid.shape[0] != input.shape[0] or grid.shape[-1] != axes:
        raise ArgumentError(
            "grid_sample: expected an input (N, C, H, W) and a grid (N, H', W', 2), or (N, C, D, H, W) and "
            f"(N, D', H', W', 3), got {input.shape} and {grid.shape}"
        )
    if mode == "bicubic" and axes != 2:
        raise ArgumentError(f"grid_sample: mode 'bicubic' is for two dimensions, got an input of shape {input.shape}")
    if input.dtype != grid.dtype or input.dtype.kind not in "fV":
        raise TypeError(f"grid_sample: input and grid must have one floating dtype, got {input.dtype} and {grid.dtype}")
    if min(input.shape[2:]) < 1:
        raise ArgumentError(f"grid_sample: the image must not be empty, got shape {input.shape}")
