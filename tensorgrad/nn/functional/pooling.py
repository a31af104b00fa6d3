"""Pooling: maxima, averages and norms of windows, of fixed size or as many as are wanted, and the way back."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ...creation import tensor
from ...errors import ArgumentError, integer
from ...ops import pool as ops
from ...ops.conv import per_axis
from ...ops.elementwise import abs, maximum, pow, sign
from ...ops.indexing import scatter, take, take_along_axis
from ...ops.matmul import matmul
from ...ops.memory import zeros
from ...ops.reduction import argmax
from ...ops.shape import broadcast_to, moveaxis
from ...tensor import Tensor
from .conv import batched

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "adaptive_max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d",
    "max_pool1d", "max_pool2d", "max_pool3d", "max_unpool1d", "max_unpool2d", "max_unpool3d",
]  # fmt: skip


# --------------------------------------------------------------------------------------------------------------- maxima
def _max_pool(
    axes: int, input: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool, indices: bool
) -> Any:
    name = f"max_pool{axes}d"
    return batched(
        name,
        axes,
        input,
        lambda x: ops.max_pool(x, kernel, stride, padding, dilation, ceil, indices, name=name),
    )


def max_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Maxima of windows along one axis; see `max_pool2d`."""
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Maximum of each window of an input of shape (N, C, H, W) or (C, H, W).

    Parameters
    ----------
    input : Tensor
    kernel_size, stride, padding, dilation : int or tuple of int
        ``stride`` is ``kernel_size`` unless given; padding is at most half of the window and never wins.
    ceil_mode : bool
        Whether a last window may stand out on the right.
    return_indices : bool
        Whether to return also where each maximum stands in its flattened channel.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.functional.max_pool2d(tg.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Maxima of windows over three axes; see `max_pool2d`."""
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _max_unpool(
    axes: int, input: Tensor, indices: Tensor, kernel_size: Any, stride: Any, padding: Any, output_size: Any
) -> Tensor:
    name = f"max_unpool{axes}d"
    if indices.shape != input.shape:
        raise ArgumentError(f"{name}: indices of shape {indices.shape} do not fit the input, shape {input.shape}")
    kernel = per_axis(name, "kernel_size", kernel_size, axes, 1)
    same = stride is None or (isinstance(stride, tuple) and not stride)
    steps = kernel if same else per_axis(name, "stride", stride, axes, 1)
    margins = per_axis(name, "padding", padding, axes)
    if input.ndim not in (axes + 1, axes + 2):
        raise ArgumentError(f"{name}: expected an input with {axes + 1} or {axes + 2} axes, got shape {input.shape}")
    least = tuple(
        (n - 1) * s - 2 * p + k for n, s, p, k in zip(input.shape[-axes:], steps, margins, kernel, strict=True)
    )
    size = least
    if output_size is not None:
        size = per_axis(name, "output_size", tuple(output_size)[-axes:], axes, 1)
        if any(not -s < n - m < s for n, m, s in zip(size, least, steps, strict=True)):
            raise ArgumentError(
                f"{name}: output_size must be within stride {steps} of {least}, got {tuple(output_size)}"
            )
    channels = input.shape[:-axes]
    empty = zeros((*channels, math.prod(size)), dtype=input.dtype, device=input.device)
    flat = indices.reshape(*channels, -1)
    y: Tensor = scatter(empty, -1, flat, input.reshape(*channels, -1))
    return y.reshape(*channels, *size)


def max_unpool1d(
    input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """Maxima back where they stood, along one axis; see `max_unpool2d`."""
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """Zeros with the maxima of `max_pool2d` back where they stood.

    Parameters
    ----------
    input, indices : Tensor
        What ``max_pool2d(..., return_indices=True)`` returned.
    kernel_size, stride, padding : int or tuple of int
        As there.
    output_size : sequence of int, optional
        Size to restore, where several sizes have as many windows.
    """
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """Maxima back where they stood, over three axes; see `max_unpool2d`."""
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)


# ------------------------------------------------------------------------------------------------------------- averages
def _avg_pool(
    axes: int, input: Tensor, kernel: Any, stride: Any, padding: Any, ceil: bool, counted: bool, divisor: int | None
) -> Tensor:
    name = f"avg_pool{axes}d"
    y: Tensor = batched(
        name, axes, input, lambda x: ops.avg_pool(x, kernel, stride, padding, ceil, counted, divisor, name=name)
    )
    return y


def avg_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Averages of windows along one axis; see `avg_pool2d`."""
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Average of each window of an input of shape (N, C, H, W) or (C, H, W).

    Parameters
    ----------
    input : Tensor
    kernel_size, stride, padding : int or tuple of int
        ``stride`` is ``kernel_size`` unless given.
    ceil_mode : bool
        Whether a last window may stand out on the right.
    count_include_pad : bool
        Whether the zeros of the padding count as elements.
    divisor_override : int, optional
        What to divide by in place of the number of elements.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.functional.avg_pool2d(tg.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 2.5,  4.5],
             [10.5, 12.5]]])
    """
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Averages of windows over three axes; see `avg_pool2d`."""
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _lp_pool(axes: int, input: Tensor, norm_type: float, kernel_size: Any, stride: Any, ceil_mode: bool) -> Tensor:
    kernel = per_axis(f"lp_pool{axes}d", "kernel_size", kernel_size, axes, 1)
    if math.isinf(norm_type):  # the limit: the largest magnitude, or the smallest
        way = math.copysign(1.0, norm_type)
        extreme: Tensor = _max_pool(axes, abs(input) * way, kernel, stride, 0, 1, ceil_mode, False)
        return extreme * way
    powers = pow(input, norm_type)
    mean = _avg_pool(axes, powers, kernel, stride, 0, ceil_mode, True, None)
    y: Tensor = pow(sign(mean) * maximum(abs(mean), 0.0) * float(math.prod(kernel)), 1.0 / norm_type)
    return y


def lp_pool1d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """``(sum of x ** norm_type) ** (1 / norm_type)`` of windows along one axis."""
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """``(sum of x ** norm_type) ** (1 / norm_type)`` of windows over two axes."""
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """``(sum of x ** norm_type) ** (1 / norm_type)`` of windows over three axes."""
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


# ------------------------------------------------------------------------------------------------------------- adaptive
# Window i of m along an axis of n goes from floor(i n / m) to ceil((i + 1) n / m).
def _sizes(name: str, axes: int, input: Tensor, output_size: Any) -> tuple[int, ...]:
    given = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * axes
    if input.ndim < axes + 1 or len(given) not in (1, axes):
        raise ArgumentError(f"{name}: output_size must be an int or {axes} ints or None, got {output_size!r}")
    given = given * axes if len(given) == 1 else given
    sizes = tuple(
        n if m is None else integer(m, "output_size", name) for n, m in zip(input.shape[-axes:], given, strict=True)
    )
    if min(sizes) < 0:
        raise ArgumentError(f"{name}: output_size must be at least 0, got {output_size!r}")
    if min(input.shape[-axes:]) < 1:
        raise ArgumentError(f"{name}: windows of an empty input, of shape {input.shape}, have no elements")
    return sizes


def _no_windows(x: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """The result where an output size is 0."""
    y: Tensor = broadcast_to(x.sum(tuple(range(2, x.ndim)), keepdims=True), (*x.shape[:2], *sizes))
    return y


@functools.lru_cache(64)
def _averaging(n: int, m: int) -> Any:
    """Matrix (n, m) whose columns average the windows."""
    matrix = np.zeros((n, m))
    for i in range(m):
        start, stop = i * n // m, -(-(i + 1) * n // m)
        matrix[start:stop, i] = 1 / (stop - start)
    return matrix


def _adaptive_avg_pool(axes: int, input: Tensor, output_size: Any) -> Tensor:
    name = f"adaptive_avg_pool{axes}d"
    sizes = _sizes(name, axes, input, output_size)

    def averaged(x: Tensor) -> Tensor:
        if 0 in sizes:
            return _no_windows(x, sizes)
        if all(n % m == 0 for n, m in zip(x.shape[2:], sizes, strict=True)):
            y: Tensor = ops.avg_pool(x, tuple(n // m for n, m in zip(x.shape[2:], sizes, strict=True)), name=name)
            return y
        for axis, m in enumerate(sizes, 2):
            n = x.shape[axis]
            if n != m:
                x = moveaxis(matmul(moveaxis(x, axis, -1), tensor(_averaging(n, m), x.dtype, x.device)), -1, axis)
        return x

    y: Tensor = batched(name, axes, input, averaged)
    return y


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """Averages of ``output_size`` windows of nearly equal size along one axis; see `adaptive_avg_pool2d`."""
    return _adaptive_avg_pool(1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Averages of windows of nearly equal size, as many as wanted.

    Parameters
    ----------
    input : Tensor
        Shape (N, C, H, W) or (C, H, W).
    output_size : int or None, or tuple of them
        Windows per axis; None keeps the axis. Window i of m along an axis of n covers ``floor(i n / m)`` to
        ``ceil((i + 1) n / m)``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.functional.adaptive_avg_pool2d(tg.ones(1, 8, 7, 5), (3, 1)).shape
    (1, 8, 3, 1)
    """
    return _adaptive_avg_pool(2, input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """Averages of ``output_size`` windows over three axes; see `adaptive_avg_pool2d`."""
    return _adaptive_avg_pool(3, input, output_size)


def _adaptive_max_pool(axes: int, input: Tensor, output_size: Any, return_indices: bool) -> Any:
    name = f"adaptive_max_pool{axes}d"
    sizes = _sizes(name, axes, input, output_size)

    def largest(x: Tensor) -> Any:
        size = x.shape[2:]
        if 0 in sizes:
            y = _no_windows(x, sizes)
            return (y, y.detach().astype("int64")) if return_indices else y
        if all(n % m == 0 for n, m in zip(size, sizes, strict=True)):
            kernel = tuple(n // m for n, m in zip(size, sizes, strict=True))
            return ops.max_pool(x, kernel, return_indices=return_indices, name=name)
        # (windows, elements), repeated where a window is smaller
        table = tensor(_members(size, sizes), device=x.device)
        flat = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
        winners = argmax(take(flat.detach(), table, axis=-1), axis=-1)
        rows = take_along_axis(table.reshape(1, 1, *table.shape), winners.expand_dims(-1), axis=-1).squeeze(-1)
        values = take_along_axis(flat, rows, axis=-1).reshape(*x.shape[:2], *sizes)
        return (values, rows.reshape(values.shape)) if return_indices else values

    return batched(name, axes, input, largest)


@functools.lru_cache(64)
def _members(size: tuple[int, ...], sizes: tuple[int, ...]) -> Any:
    """Flat indices of the elements of each window, the last repeated where a window is smaller than others."""
    table: Any = np.zeros((1, 1), np.int64)
    for n, m in zip(size, sizes, strict=True):
        starts = np.arange(m) * n // m
        stops = -(-(np.arange(m) + 1) * n // m)
        along = np.minimum(starts[:, None] + np.arange((stops - starts).max()), stops[:, None] - 1)
        windows, elements = table.shape[0] * m, table.shape[1] * along.shape[1]
        table = (table[:, None, :, None] * n + along[None, :, None, :]).reshape(windows, elements)
    return table


def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima of ``output_size`` windows along one axis; see `adaptive_max_pool2d`."""
    return _adaptive_max_pool(1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima of windows of nearly equal size, as many as wanted; the windows are those of `adaptive_avg_pool2d`."""
    return _adaptive_max_pool(2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima of ``output_size`` windows over three axes; see `adaptive_max_pool2d`."""
    return _adaptive_max_pool(3, input, output_size, return_indices)
