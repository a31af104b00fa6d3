"""Maxima of windows that stand at random distances, so that an axis shrinks by a factor that is not whole."""

from __future__ import annotations

from typing import Any

from ...errors import ArgumentError
from ...ops.conv import per_axis
from ...ops.elementwise import trunc
from ...ops.indexing import take_along_axis
from ...ops.memory import arange, full_like
from ...ops.reduction import argmax
from ...ops.shape import concat
from ...random import rand
from ...tensor import Tensor
from .conv import batched

__all__ = [
    "fractional_max_pool2d", "fractional_max_pool2d_with_indices", "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices",
]  # fmt: skip


def _sizes(name: str, size: tuple[int, ...], output_size: Any, output_ratio: Any) -> tuple[int, ...]:
    if (output_size is None) == (output_ratio is None):
        raise ArgumentError(
            f"{name}: give one of output_size and output_ratio, got {output_size!r} and {output_ratio!r}"
        )
    if output_size is not None:
        return per_axis(name, "output_size", output_size, len(size), 1)
    ratios = tuple(output_ratio) if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * len(size)
    if len(ratios) != len(size) or not all(0 < r < 1 for r in ratios):
        raise ArgumentError(f"{name}: output_ratio must be between 0 and 1, or {len(size)} such, got {output_ratio!r}")
    return tuple(int(n * r) for n, r in zip(size, ratios, strict=True))


def _starts(sample: Tensor, size: int, wanted: int, kernel: int) -> Tensor:
    """Where each of ``wanted`` windows starts, (N, C, wanted); the last ends with the axis."""
    last: Tensor = full_like(sample, size - kernel).expand_dims(-1)
    if wanted == 1:
        return last
    step = (size - kernel) / (wanted - 1)
    places = arange(wanted - 1, dtype=sample.dtype, device=sample.device)
    sample = sample.expand_dims(-1)
    y: Tensor = concat([trunc((places + sample) * step) - trunc(sample * step), last], -1)
    return y


def _fractional_max_pool(
    axes: int, input: Tensor, kernel_size: Any, output_size: Any, output_ratio: Any, samples: Tensor | None
) -> Any:
    name = f"fractional_max_pool{axes}d"

    def largest(x: Tensor) -> Any:
        size = x.shape[2:]
        kernel = per_axis(name, "kernel_size", kernel_size, axes, 1)
        wanted = _sizes(name, size, output_size, output_ratio)
        if not all(m >= 1 and m + k - 1 <= n for n, m, k in zip(size, wanted, kernel, strict=True)):
            raise ArgumentError(
                f"{name}: {wanted} windows of size {kernel} do not fit into an input of shape {input.shape}"
            )
        channels = x.shape[:2]
        place = rand(*channels, axes, dtype=x.dtype, device=x.device) if samples is None else samples
        if input.ndim == axes + 1 and place.ndim == 3:  # PyTorch takes those of a batch for one sample, too
            place = place[:1]
        if place.shape != (*channels, axes):
            raise ArgumentError(f"{name}: _random_samples must have shape {(*channels, axes)}, got {place.shape}")
        # of each window, the flat indices of its elements: (N, C, windows, elements)
        order = (1, 0) if axes == 2 else (0, 1, 2)  # which sample is for which axis, as in PyTorch
        table: Any = None
        for n, m, k, chosen in zip(size, wanted, kernel, order, strict=True):
            starts = _starts(place[..., chosen], n, m, k).astype("int64")
            along = starts.expand_dims(-1) + arange(k, device=x.device)
            if table is None:
                table = along
            else:
                table = table.expand_dims((3, 5)) * n + along.expand_dims((2, 4))
                table = table.reshape(*channels, table.shape[2] * m, table.shape[4] * k)
        flat, windows = x.flatten(2), table.flatten(2)
        values = take_along_axis(flat.detach(), windows).reshape(table.shape)
        indices = take_along_axis(table, argmax(values, axis=-1).expand_dims(-1)).squeeze(-1)
        shape = (*channels, *wanted)
        return take_along_axis(flat, indices).reshape(shape), indices.reshape(shape)

    return batched(name, axes, input, largest)


def fractional_max_pool2d_with_indices(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """`fractional_max_pool2d` with the indices of the maxima, whatever ``return_indices`` says."""
    made: tuple[Tensor, Tensor] = _fractional_max_pool(
        2, input, kernel_size, output_size, output_ratio, _random_samples
    )
    return made


def fractional_max_pool2d(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """Maxima of windows at random distances over two axes.

    Parameters
    ----------
    input : Tensor
        Shape (N, C, H, W) or (C, H, W).
    kernel_size : int or tuple of int
    output_size : int or tuple of int, optional
        How many windows there are along each axis.
    output_ratio : float or tuple of float, optional
        In place of ``output_size``: between 0 and 1, how many windows there are per pixel.
    return_indices : bool
        Whether to return also where each maximum stands in its flattened channel.
    _random_samples : Tensor, optional
        Shape (N, C, 2), from U(0, 1): what decides on the distances along the last and the second to last axis.

    Notes
    -----
    Graham, Fractional Max-Pooling, 2014.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.functional.fractional_max_pool2d(tg.ones(1, 3, 10, 10), 2, output_ratio=0.7).shape
    (1, 3, 7, 7)
    """
    made = _fractional_max_pool(2, input, kernel_size, output_size, output_ratio, _random_samples)
    return made if return_indices else made[0]


def fractional_max_pool3d_with_indices(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """`fractional_max_pool3d` with the indices of the maxima, whatever ``return_indices`` says."""
    made: tuple[Tensor, Tensor] = _fractional_max_pool(
        3, input, kernel_size, output_size, output_ratio, _random_samples
    )
    return made


def fractional_max_pool3d(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """Maxima of windows at random distances over three axes; see `fractional_max_pool2d`.

    ``_random_samples`` has shape (N, C, 3), with one entry per axis from the first on.
    """
    made = _fractional_max_pool(3, input, kernel_size, output_size, output_ratio, _random_samples)
    return made if return_indices else made[0]
