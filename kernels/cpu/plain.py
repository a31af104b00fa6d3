"""Convolution over two axes without stride, dilation and groups: one product per block of rows of an image.

A row of the panel that holds all windows is as long as a row of the output and lies side by side in the padded image,
so that it is copied as a single element of many bytes, and the product with the weights goes straight into the output.
Threads share the rows of all images; as long as no kernel has used any, one image is left to those of BLAS, which need
no waking.
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
    matrix = weight.reshape(outputs, -1)
    depth = matrix.shape[1]
    most = min(max(_PANEL // (depth * wide), _COLUMNS // wide, 1), tall)  # rows of a block
    size = (weight.shape[1], *(n + 2 * p for n, p in zip(x.shape[2:], padding, strict=True)))
    inside = (slice(None), *(slice(p, p + n) for p, n in zip(padding, x.shape[2:], strict=True)))
    results = y.reshape(images, outputs, -1)
    shift = None if bias is None else bias.reshape(-1, 1)
    ready: Array | None = x if padding == (0, 0) else None
    if images == 1 and ready is None:  # padded once for all threads
        ready = np.zeros((1, *size), x.dtype)
        ready[0][inside] = x[0]

    def task(low: int, high: int, _: int) -> None:
        flat, memory = workspace(x.dtype, math.prod(size) if ready is None else 0, depth * most * wide)
        flat.fill(0)
        held = -1
        while low < high:
            image, top = divmod(low, tall)
            bottom = min(top + most, tall, top + high - low)
            if ready is not None:
                padded = ready[image]
            elif image != held:
                padded, held = flat.reshape(size), image
                padded[inside] = x[image]
            panel = _panel(padded, weight.shape, top, bottom, wide, memory)
            part = slice(top * wide, bottom * wide)
            target = results[image, :, part]
            np.matmul(matrix, panel, out=target)
            if shift is not None:
                np.add(target, shift, out=target)
            low += bottom - top

    rows, cost = images * tall, wide * matrix.size
    ours = blas.controlled() and (images > 1 or blas.one_thread.used)  # else BLAS may split its products
    threads = min(get_num_threads(), rows) if ours and pays(rows * cost // blas.RATE, 1) else 1
    if threads == 1:
        with without_threads():
            task(0, rows, 0)
        return
    with blas.one_thread():
        share_out(task, with_head_start(rows, threads, _HEAD_START // cost), threads)


def _panel(image: Array, weight: Sizes, top: int, bottom: int, wide: int, memory: Array) -> Array:
    """The windows of some rows of output, (channels * offsets, positions)."""
    channels, height, width = weight[1:]
    if height == width == 1:  # the image itself
        return image.reshape(channels, -1)[:, top * wide : bottom * wide]
    channel, line, element = image.strides
    row = np.dtype((np.void, wide * element))
    shape = (channels, height, width, bottom - top)
    windows: Array = np.ndarray(shape, row, image, top * line, (channel, line, element, line))
    panel = memory[: math.prod(shape) * wide]
    np.copyto(panel.view(row).reshape(shape), windows)
    return panel.reshape(-1, (bottom - top) * wide)
