"""Gradient by the input of a convolution whose output is much smaller than its input: products, then a fold.

Read as a convolution of the gradient with a margin of zeros, most of what is multiplied near the edge is zero: with
kernels of 5 x 5 and 10 x 10 outputs, half of everything. Here the gradient is multiplied as it is, and what each of its
elements gives to each element of its window is added up afterwards. A few neighbouring rows are multiplied at once, by
a matrix in which the kernel stands at several heights, so that only the columns of the kernel are left to add, each as
one long run: in an image of sums, rows of the gradient are as long as those of the input.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from . import blas
from .blas_threads import without_threads
from .blocked import pays, walk
from .workspace import workspace

__all__ = ["input_gradient", "suits"]

Array = np.ndarray[Any, np.dtype[Any]]
Sizes = tuple[int, ...]

_SMALLER = 1.5  # how many times fewer positions the output must have: below, a convolution with a margin is as fast
_TERMS = 1 << 18  # elements of a product: longer runs cost more of the cache, and less waiting for the interpreter lock


def suits(weight: Sizes, size: Sizes, padding: Sizes) -> bool:
    """Whether this is the fast way for few channels and a kernel without stride, dilation and groups."""
    out = [n + 2 * p - k + 1 for n, p, k in zip(size, padding, weight[2:], strict=True)]
    return math.prod(size) >= _SMALLER * math.prod(out)


@functools.lru_cache(256)
def _rows(outputs: int, height: int, out: int) -> int:
    """How many rows of the gradient are multiplied at once."""

    def cost(rows: int) -> float:  # of a term that is added, and of one that is multiplied, as measured
        return (height + rows - 1) * (1.0 / rows + 0.02 * outputs)

    return min((r for r in range(1, 9) if out % r == 0), key=cost)


def input_gradient(g: Array, weight: Array, padding: Sizes, y: Array) -> None:
    """Write the gradient by the input, from the contiguous ``g``, into the contiguous ``y``."""
    images, outputs, high, wide = g.shape
    channels, height, width = weight.shape[1:]
    rows = _rows(outputs, height, high)
    bands, reach = high // rows, rows + height - 1  # what is multiplied at once, and how many rows it reaches
    line, tall = wide + width - 1, high + height - 1
    matrix = np.zeros((channels, reach, width, outputs, rows), g.dtype)
    for row in range(rows):
        matrix[:, row : row + height, :, :, row] = weight.transpose(1, 2, 3, 0)
    matrix = matrix.reshape(channels * reach * width, outputs * rows)
    inside = tuple(slice(p, p + n) for p, n in zip(padding, y.shape[2:], strict=True))

    def task(low: int, stop: int, _: int) -> None:
        count = min(max(_TERMS // (len(matrix) * line), 1), stop - low)
        run = count * line
        slopes, terms, sums = workspace(
            g.dtype, bands * outputs * rows * run, len(matrix) * run, channels * tall * (run + width - 1)
        )
        slopes = slopes.reshape(bands, outputs, rows, count, line)
        slopes[..., wide:] = 0
        terms = terms.reshape(len(matrix), run)
        by_column = terms.reshape(channels, reach, width, run)
        sums = sums.reshape(channels, tall, run + width - 1)
        whole = sums[:, :, :run].reshape(channels, tall, count, line)[(slice(None), inside[0], slice(None), inside[1])]
        for first in range(low, stop, count):
            last = min(first + count, stop)
            held = last - first
            source = g[first:last].reshape(held, outputs, bands, rows, wide)
            slopes[:, :, :, :held, :wide] = source.transpose(2, 1, 3, 0, 4)
            slopes[:, :, :, held:, :wide] = 0  # of the last images there may be fewer
            sums.fill(0)
            for band in range(bands):
                np.matmul(matrix, slopes[band].reshape(-1, run), out=terms)
                reached = sums[:, band * rows : band * rows + reach]
                for column in range(width):
                    part = reached[:, :, column : column + run]
                    np.add(part, by_column[:, :, column], out=part)
            y[first:last] = whole[:, :, :held].transpose(2, 0, 1, 3)

    effort = 2 * outputs * reach // height // 8 + 4
    size = channels * tall * line
    if images > 1 and blas.controlled() and pays(images * size * width, effort):
        with blas.one_thread():
            walk(task, images, size * width, effort)
    else:
        with without_threads():
            task(0, images, 0)
