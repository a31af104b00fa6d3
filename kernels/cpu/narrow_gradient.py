"""Gradient by the input of a convolution whose output is much smaller than its input: products, then a fold.

Read as a convolution of the gradient with a margin of zeros, most of what is multiplied near the edge is zero: with
kernels of 5 x 5 and 10 x 10 outputs, half of everything. Here the gradient is multiplied as it is, and what each of its
elements gives to each element of its window is added up afterwards. A few neighbouring rows are multiplied at once, by
a matrix in which the kernel stands at several heights. What is left to add are the columns of the kernel, each as one
long run, as in an image of sums rows of the gradient are as long as those of the input; and then these bands of rows.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from .narrow import share_images
from .workspace import workspace

__all__ = ["input_gradient", "suits"]

Array = np.ndarray[Any, np.dtype[Any]]
Sizes = tuple[int, ...]

_SMALLER = 1.5  # how many times fewer positions the output must have: below, a convolution with a margin is as fast
_TERMS = 1 << 19  # elements of a product: longer runs cost more of the cache, and less waiting for the interpreter lock


def suits(weight: Sizes, size: Sizes, padding: Sizes) -> bool:
    """Whether this is the fast way for few channels and a kernel without stride, dilation and groups."""
    out = [n + 2 * p - k + 1 for n, p, k in zip(size, padding, weight[2:], strict=True)]
    return math.prod(size) >= _SMALLER * math.prod(out)


@functools.lru_cache(256)
def _rows_at_once(outputs: int, height: int, out: int) -> int:
    """How many rows of the gradient are multiplied at once."""

    def cost(rows: int) -> float:  # of a term that is added, and of one that is multiplied, as measured
        return (height + rows - 1) * (1.0 / rows + 0.06 * outputs)

    return min((r for r in range(1, 9) if out % r == 0), key=cost)


def _rows(memory: Array, shape: Sizes, strides: Sizes, length: int, start: int = 0) -> Array:
    """Runs of elements as one element each of many bytes, which is copied at once."""
    return np.ndarray(shape, (np.void, length * memory.itemsize), memory, start, strides)


def input_gradient(g: Array, weight: Array, padding: Sizes, y: Array) -> None:
    """Write the gradient by the input, from the contiguous ``g``, into the contiguous ``y``."""
    images, outputs, high, wide = g.shape
    channels, height, width = weight.shape[1:]
    rows = _rows_at_once(outputs, height, high)
    bands, reach = high // rows, rows + height - 1  # what is multiplied at once, and how many rows it reaches
    line, tall = wide + width - 1, high + height - 1
    apart = -(-reach // rows)  # bands that reach different rows
    matrix = np.zeros((channels, reach, width, outputs, rows), g.dtype)
    for row in range(rows):
        matrix[:, row : row + height, :, :, row] = weight.transpose(1, 2, 3, 0)
    matrix = matrix.reshape(channels * reach * width, outputs * rows)

    def task(low: int, stop: int, _: int) -> None:
        count = min(max(_TERMS // (bands * len(matrix) * line), 1), stop - low)
        run = count * line
        slopes, terms, partial, sums = workspace(
            g.dtype,
            bands * outputs * rows * run,
            bands * len(matrix) * run,
            bands * channels * reach * run,
            channels * tall * run,
        )
        slopes = slopes.reshape(bands, outputs, rows, count, line)
        slopes[..., wide:] = 0
        targets = _rows(slopes, slopes.shape[:-1], slopes.strides[:-1], wide)
        terms = terms.reshape(bands, len(matrix), run)
        # Each column of the kernel one element further to the left: what that reads of the run before is its margin, 0.
        shifted: Array = np.ndarray(
            (bands * channels * reach, width, run),
            g.dtype,
            terms,
            0,
            (width * run * g.itemsize, (run - 1) * g.itemsize, g.itemsize),
        )
        partial = partial.reshape(bands, channels, reach, run)
        sums = sums.reshape(channels, tall, run)
        channel, row, element = sums.strides
        start = padding[0] * row + padding[1] * element
        results = _rows(sums, (count, *y.shape[1:3]), (line * element, channel, row), y.shape[3], start)
        for first in range(low, stop, count):
            last = min(first + count, stop)
            held = last - first
            source = g[first:last].reshape(held, outputs, bands, rows, wide).view(targets.dtype)[..., 0]
            targets[..., :held] = source.transpose(2, 1, 3, 0)
            slopes[:, :, :, held:, :wide] = 0  # of the last images there may be fewer
            np.matmul(matrix, slopes.reshape(bands, -1, run), out=terms)
            np.add.reduce(shifted, 1, out=partial.reshape(-1, run))
            sums.fill(0)
            for band in range(min(apart, bands)):
                source = partial[band::apart]
                steps = (apart * rows * row, channel, row, element)
                part: Array = np.ndarray(source.shape, g.dtype, sums, band * rows * row, steps)
                np.add(part, source, out=part)
            np.copyto(y[first:last].view(results.dtype)[..., 0], results[:held])

    effort = 2 * outputs * reach // height // 8 + 4
    size = channels * tall * line
    share_images(task, images, size * width, effort)
