"""Convolution of few channels over two axes: products that make several rows of output at once.

With one channel and six kernels of 5 x 5, a panel that holds every window is 25 times the image, and its product has
six rows: both far from what memory and BLAS are good at. Four neighbouring rows of output together read 8 x 5 windows,
of which there are a quarter as many, and make 24 rows of a product, with the kernel standing at four heights in a
matrix that is otherwise zero. What is multiplied by zero costs less than what is saved. The bias is one more row of the
panel.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import blas
from .blas_threads import without_threads
from .blocked import pays, walk
from .workspace import workspace

__all__ = ["conv", "share_images", "suits", "weight_gradient"]

Array = np.ndarray[Any, np.dtype[Any]]
Sizes = tuple[int, ...]

_DEPTH = 512  # elements of a window up to which this is the fast way
_PANEL = 1 << 19  # elements of a panel
_SMALL = 1_000_000  # multiplications up to which OpenBLAS takes a product for small
_FEW = 1024  # elements of a factor up to which that is faster


class _Plan(NamedTuple):
    """Sizes of a convolution, and how many rows of output are made at once."""

    weight: Sizes
    size: Sizes  # of the image with its padding
    inside: tuple[Any, ...]  # where in it the image lies
    out: Sizes
    rows: int

    @property
    def read(self) -> int:
        """Elements of the window that makes the rows."""
        return self.weight[1] * (self.weight[2] + self.rows - 1) * self.weight[3]

    @property
    def windows(self) -> int:
        """Windows of an image."""
        return self.out[0] // self.rows * self.out[1]


def suits(weight: Sizes, padding: Sizes) -> bool:
    """Whether this is the fast way for a kernel without stride, dilation and groups."""
    return 0 < math.prod(weight[1:]) <= _DEPTH and min(padding) >= 0


@functools.lru_cache(256)
def _plan(weight: Sizes, size: Sizes, padding: Sizes) -> _Plan:
    padded = tuple(n + 2 * p for n, p in zip(size, padding, strict=True))
    out = tuple(n - k + 1 for n, k in zip(padded, weight[2:], strict=True))

    def cost(rows: int) -> float:  # nanoseconds per output and element of a row of the kernel, as measured
        return (weight[2] + rows - 1) * (0.5 / rows + 0.02 * max(weight[0], 24 / rows))

    rows = min((r for r in range(1, 9) if out[0] % r == 0), key=cost)
    inside = (..., *(slice(p, p + n) for n, p in zip(size, padding, strict=True)))
    return _Plan(weight, padded, inside, out, rows)


def share_images(task: Callable[[int, int, int], None], images: int, width: int, effort: int) -> None:
    """Call ``task`` for ranges of images, one per thread, whose products BLAS does not split.

    An image is worth ``effort`` simple operations on ``width`` elements.
    """
    if images > 1 and blas.controlled() and pays(images * width, effort):
        with blas.one_thread():
            walk(task, images, width, effort)
    else:
        with without_threads():
            task(0, images, 1)


def _share(plan: _Plan, images: int, task: Callable[[int, int, int], None]) -> None:
    share_images(task, images, plan.read * plan.windows, plan.rows * plan.weight[0] // 4 + 4)


def _rows_of(x: Array, length: int) -> Array:
    """A contiguous array with each run of elements as one element of many bytes, which is copied at once."""
    return x.view(np.dtype((np.void, length * x.itemsize)))


class _Panels:
    """The panels of a range of images, in memory that is valid until the thread's next workspace."""

    def __init__(self, plan: _Plan, images: int, dtype: Any, ones: int, *others: int) -> None:
        self.plan, self.ones = plan, ones
        self.count = min(max(_PANEL // max(plan.read * plan.windows, 1), 1), images)
        channels, padded = plan.weight[1], math.prod(plan.size) * (plan.out[0] > 0)
        self.whole = all(part.start == 0 and part.stop == n for part, n in zip(plan.inside[1:], plan.size, strict=True))
        flat, self.panel, *self.others = workspace(
            dtype,
            0 if self.whole else self.count * channels * padded,
            self.count * plan.windows * (plan.read + ones),
            *(self.count * n for n in others),
        )
        self.flat = flat
        flat.fill(0)

    def fill(self, x: Array) -> Array:
        """The panel of some images, (elements of a window, images * windows)."""
        plan, count = self.plan, len(x)
        channels, height, width = plan.weight[1:]
        if not self.whole:
            shape = (count, channels, *plan.size)
            flat = self.flat[: math.prod(shape)].reshape(shape)
            flat[plan.inside] = x
            x = flat
        image, channel, line, element = x.strides
        bands = plan.out[0] // plan.rows
        shape = (channels, height + plan.rows - 1, width, count, bands)
        steps = (channel, line, element, image, plan.rows * line)
        windows: Array = np.ndarray(shape, (np.void, plan.out[1] * element), x, 0, steps)
        columns = count * plan.windows
        panel = self.panel[: (plan.read + self.ones) * columns]
        np.copyto(_rows_of(panel[: plan.read * columns], plan.out[1]).reshape(shape), windows)
        panel[plan.read * columns :] = 1
        return panel.reshape(-1, columns)

    def by_row(self, y: Array) -> Array:
        """Rows of output as a panel of results is ordered: (rows, channels, images, bands)."""
        plan = self.plan
        shape = (len(y), plan.weight[0], plan.out[0] // plan.rows, plan.rows)
        return _rows_of(y.reshape(-1), plan.out[1]).reshape(shape).transpose(3, 1, 0, 2)


def _parts(lines: int, read: int, columns: int) -> int:
    """In how many parts to cut the columns of a product, so that BLAS takes each for small.

    OpenBLAS multiplies small matrices as they are. Others it copies into panels of its own, which with few rows takes
    as long as the product.
    """
    least = -(-lines * read * columns // _SMALL)
    if lines * read > _FEW or least == 1:
        return 1
    return next((parts for parts in range(least, 2 * least) if columns % parts == 0), 1)


def _in_parts(x: Array, parts: int) -> Array:
    """The columns of a matrix in parts, (parts, rows, columns)."""
    return x.reshape(len(x), parts, -1).swapaxes(0, 1)


def conv(x: Array, weight: Array, bias: Array | None, padding: Sizes, y: Array) -> None:
    """Write the convolution of the contiguous ``x`` into the contiguous ``y``."""
    plan = _plan(weight.shape, x.shape[2:], padding)
    outputs, channels, height, width = weight.shape
    ones = int(bias is not None)
    matrix = np.zeros((plan.rows, outputs, plan.read + ones), x.dtype)
    standing = matrix[:, :, : plan.read].reshape(plan.rows, outputs, channels, -1, width)
    for row in range(plan.rows):
        standing[row, :, :, row : row + height] = weight
    if bias is not None:
        matrix[:, :, -1] = bias
    matrix = matrix.reshape(-1, plan.read + ones)

    def task(low: int, high: int, _: int) -> None:
        panels = _Panels(plan, high - low, x.dtype, ones, len(matrix) * plan.windows)
        for first in range(low, high, panels.count):
            last = min(first + panels.count, high)
            panel = panels.fill(x[first:last])
            product = panels.others[0][: len(matrix) * panel.shape[1]]
            parts = _parts(len(matrix), *panel.shape)
            np.matmul(matrix, _in_parts(panel, parts), out=_in_parts(product.reshape(len(matrix), -1), parts))
            target = panels.by_row(y[first:last])
            np.copyto(target, _rows_of(product, plan.out[1]).reshape(target.shape))

    _share(plan, len(x), task)


def weight_gradient(g: Array, x: Array, padding: Sizes, y: Array) -> None:
    """Write the gradient by the weight, from contiguous arrays, into ``y``."""
    outputs, channels, height, width = y.shape
    plan = _plan(y.shape, x.shape[2:], padding)
    lines = plan.rows * outputs
    shares: dict[int, Array] = {}

    def task(low: int, high: int, _: int) -> None:
        panels = _Panels(plan, high - low, x.dtype, 0, lines * plan.windows)
        total = shares[low] = np.zeros((plan.read, lines), x.dtype)
        for first in range(low, high, panels.count):
            last = min(first + panels.count, high)
            panel = panels.fill(x[first:last])
            source = panels.by_row(g[first:last])
            slopes = panels.others[0][: source.size * plan.out[1]]
            np.copyto(_rows_of(slopes, plan.out[1]).reshape(source.shape), source)
            parts = _parts(lines, *panel.shape)
            terms = np.matmul(_in_parts(panel, parts), _in_parts(slopes.reshape(lines, -1), parts).swapaxes(1, 2))
            total += terms[0] if parts == 1 else np.add.reduce(terms, 0)

    _share(plan, len(x), task)
    total = np.zeros((plan.read, lines), x.dtype)
    for low in sorted(shares):  # in the order of the images, whichever thread was first
        total += shares[low]
    total = total.T.reshape(plan.rows, outputs, channels, height + plan.rows - 1, width)
    y[...] = sum(total[row, :, :, row : row + height] for row in range(plan.rows))
