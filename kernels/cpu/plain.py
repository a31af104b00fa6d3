"""Convolution over two axes without stride, dilation and groups: one product per block of rows of an image.

A row of the panel that holds all windows is as long as a row of the output and lies side by side in the padded image,
so that it is copied as a single element of many bytes, and the product with the weights goes straight into the output.
Threads share the rows of all images: one image is enough for them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import blas
from .blas_threads import without_threads
from .blocked import get_num_threads, pays, share_out, with_head_start
from .workspace import workspace

__all__ = ["conv", "suits"]

Array = np.ndarray[Any, np.dtype[Any]]
Sizes = tuple[int, ...]

_PANEL = 1 << 19  # elements of a panel
_COLUMNS = 256  # columns of a panel that keep the product fast, however deep the panel is
_ENOUGH = 1 << 21  # multiplications per image from which several images need not share a product
_RATE = 4  # multiplications in the time of a simple operation on an element
_SHORT = 1 << 26  # multiplications below which waking our threads, some 100 us, costs more than they gain
_SMALL = 1 << 17  # elements of an image, and of its result, below which no kernel that meets them uses our threads
_HEAD_START = 1 << 22  # multiplications that the caller gets done until a thread that was asked has woken up


def suits(images: int, weight: Sizes, size: Sizes, padding: Sizes) -> bool:
    """Whether this is the fast way for a kernel without stride, dilation and groups."""
    if min(padding) < 0:
        return False
    positions = math.prod(n + 2 * p - k + 1 for n, p, k in zip(size, padding, weight[2:], strict=True))
    return images == 1 or math.prod(weight) * positions >= _ENOUGH


def conv(x: Array, weight: Array, bias: Array | None, padding: Sizes, y: Array) -> None:
    """Write the convolution of the contiguous ``x`` into the contiguous ``y``; nothing of them is empty."""
    images, outputs, tall, wide = y.shape
    channels, height, width = weight.shape[1:]
    matrix = weight.reshape(outputs, -1)
    depth = matrix.shape[1]
    most = max(_PANEL // (depth * wide), _COLUMNS // wide, 1)  # rows of a block
    whole = height == width == 1 and padding == (0, 0)  # the image itself is its panel
    results = y.reshape(images, outputs, -1)
    shift = None if bias is None else bias.reshape(-1, 1)

    def task(low: int, high: int, _: int) -> None:
        panels = None if whole else _Panels(x, weight.shape, padding, min(most, high - low, tall), wide)
        while low < high:
            image, top = divmod(low, tall)
            bottom = min(top + most, tall, top + high - low)
            part = slice(top * wide, bottom * wide)
            panel = x[image].reshape(channels, -1)[:, part] if panels is None else panels.fill(x[image], top, bottom)
            target = results[image, :, part]
            np.matmul(matrix, panel, out=target)
            if shift is not None:
                np.add(target, shift, out=target)
            low += bottom - top

    rows, cost = images * tall, wide * matrix.size
    if images == 1 and rows * cost < _SHORT and max(x.size, y.size) < _SMALL and get_num_threads() > 1:
        task(0, rows, 0)  # BLAS splits its products: its threads, awake from the last one, are in nobody's way
        return
    threads = min(get_num_threads(), rows) if blas.controlled() and pays(rows * cost // _RATE, 1) else 1
    if threads == 1:
        with without_threads():
            task(0, rows, 0)
        return
    with blas.one_thread():
        share_out(task, with_head_start(rows, threads, _HEAD_START // cost), threads)


class _Panels:
    """The panels of one thread, in its memory."""

    def __init__(self, x: Array, weight: Sizes, padding: Sizes, rows: int, wide: int) -> None:
        channels, height = weight[1:3]
        self.weight, self.padding, self.wide = weight, padding, wide
        line = x.shape[3] + 2 * padding[1]
        padded, self.panel = workspace(
            x.dtype, channels * (rows + height - 1) * line, math.prod(weight[1:]) * rows * wide
        )
        self.padded = padded.reshape(channels, rows + height - 1, line)
        self.padded.fill(0)

    def fill(self, image: Array, top: int, bottom: int) -> Array:
        """The windows of some rows of output, (channels * offsets, positions)."""
        channels, height, width = self.weight[1:]
        rows = bottom - top
        start, stop = top - self.padding[0], bottom - self.padding[0] + height - 1  # the rows that are read
        first = max(start, 0)
        last = max(min(stop, image.shape[1]), first)
        padded = self.padded
        inside = slice(self.padding[1], self.padding[1] + image.shape[2])
        padded[:, : first - start] = 0  # left over from another block
        padded[:, last - start : rows + height - 1] = 0
        padded[:, first - start : last - start, inside] = image[:, first:last]
        channel, line, element = padded.strides
        together = np.dtype((np.void, self.wide * element))
        shape = (channels, height, width, rows)
        windows: Array = np.ndarray(shape, together, padded, 0, (channel, line, element, line))
        panel = self.panel[: math.prod(shape) * self.wide]
        np.copyto(panel.view(together).reshape(shape), windows)
        return panel.reshape(-1, rows * self.wide)
