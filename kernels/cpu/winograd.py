"""Convolution with 3 x 3 kernels and stride 1 by Winograd's minimal filtering: 4 x 4 outputs by 36 products, not 144.

An output tile reads a tile of 6 x 6 inputs. Both are polynomials, so that their filtering becomes a product per element
once they are evaluated at 6 points along each axis; summed over channels, 36 products of matrices (tiles, channels) x
(channels, channels). The evaluations are products with small matrices as well: one matrix evaluates several tiles of a
row and contains their padding and their overlap, so nothing is ever gathered. An evaluation reads the last axis and
writes the first one. After one for the columns and one for the rows, (N, C, H, W) has become (6, 6, tiles, C).

References
----------
A. Lavin, S. Gray, "Fast algorithms for convolutional neural networks", 2016. B. Barabasz, A. Anderson, K. Soodhalter,
D. Gregg, "Error analysis and improving the accuracy of Winograd convolution for deep neural networks", 2020.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from . import blas
from .blas_threads import without_threads
from .blocked import pays, walk
from .workspace import workspace

__all__ = ["conv", "suits", "weight_gradient"]

Array = np.ndarray[Any, np.dtype[Any]]
Sizes = tuple[int, ...]

_TILE, _KERNEL = 4, 3
_POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)  # and infinity; of simple fractions, those with a small rounding error
_EVALUATED = len(_POINTS) + 1
_STRIP = 4  # tiles that one matrix evaluates: more waste multiplications by zero, fewer make the products too small
_BLOCK = 1 << 18  # evaluated elements of a block of inputs, or of a gradient by weights: 1 MiB of float32
_WEIGHTS_BLOCK = 1 << 20  # and of weights, which are read more often than they are written
_ENOUGH = 128  # tiles of a block below which the products would be too small


# ------------------------------------------------------------------------------------------------------------- matrices
def _toom_cook() -> tuple[Array, Array, Array]:
    """Evaluation of 6 inputs, 3 weights and (transposed) 4 outputs at the points, (6, 6), (6, 3) and (6, 4)."""
    inputs, weights, outputs = np.zeros((6, 6)), np.zeros((6, 3)), np.zeros((6, 4))
    for i, point in enumerate(_POINTS):
        others = [p for p in _POINTS if p != point]
        # A power of two moves between the factors without rounding and keeps them of one magnitude.
        scale = 2.0 ** round(math.log2(abs(math.prod(point - p for p in others))))
        inputs[i, :-1] = np.poly(others)[::-1] / scale
        weights[i] = point ** np.arange(_KERNEL) * (scale / math.prod(point - p for p in others))
        outputs[i] = point ** np.arange(_TILE)
    inputs[-1] = np.poly(_POINTS)[::-1]
    weights[-1, -1] = outputs[-1, -1] = 1
    return inputs, weights, outputs


_INPUTS, _WEIGHTS, _OUTPUTS = _toom_cook()


class _Strip(NamedTuple):
    """Tiles along one axis, and what evaluates them: (6 * tiles, elements) for inputs and for outputs."""

    tiles: int
    reads: slice
    inputs: Array
    writes: slice
    outputs: Array


@functools.lru_cache(256)
def _strips(size: int, padding: int, dtype: Any) -> tuple[_Strip, ...]:
    out = size + 2 * padding - _KERNEL + 1
    tiles = -(-out // _TILE)
    strips = []
    for first in range(0, tiles, _STRIP):
        count = min(_STRIP, tiles - first)
        start = first * _TILE - padding  # where the first tile begins to read
        inputs = np.zeros((_EVALUATED, count, (count - 1) * _TILE + _EVALUATED))
        outputs = np.zeros((_EVALUATED, count, count * _TILE))
        for t in range(count):
            inputs[:, t, t * _TILE : t * _TILE + _EVALUATED] = _INPUTS
            outputs[:, t, t * _TILE : (t + 1) * _TILE] = _OUTPUTS
        reads = slice(max(start, 0), min(start + inputs.shape[2], size))
        writes = slice(first * _TILE, min((first + count) * _TILE, out))
        inputs = inputs[:, :, reads.start - start : reads.stop - start]
        outputs = outputs[:, :, : writes.stop - writes.start]
        strips.append(
            _Strip(
                count,
                reads,
                inputs.reshape(_EVALUATED * count, -1).astype(dtype),
                writes,
                outputs.reshape(_EVALUATED * count, -1).astype(dtype),
            )
        )
    return tuple(strips)


@functools.lru_cache(8)
def _weight_matrix(dtype: Any, flipped: bool) -> Array:
    """Evaluation of a 3 x 3 kernel along both axes, (36, 9); columns before rows, as the inputs are evaluated."""
    matrix = np.einsum("ai,bj->baij", _WEIGHTS, _WEIGHTS).reshape(_EVALUATED**2, _KERNEL**2)
    return np.ascontiguousarray(matrix[:, ::-1] if flipped else matrix, dtype)


# ------------------------------------------------------------------------------------------------- blocks of the images
class _Blocks:
    """How the images are cut: some of them at a time, and of these a strip of columns, and of this a strip of rows."""

    def __init__(self, images: int, size: Sizes, padding: Sizes, channels: int, dtype: Any) -> None:
        self.rows, self.columns = (_strips(n, p, dtype) for n, p in zip(size, padding, strict=True))
        self.points = _EVALUATED**2
        tiles = self.rows[0].tiles * self.columns[0].tiles  # the first strip is the longest
        most = max(_BLOCK // (self.points * channels), _ENOUGH) // tiles
        parts = -(-images // max(most, 1))
        self.images, self.count = images, -(-images // parts)
        self.tiles = tiles * self.count
        self.single = parts == len(self.rows) == len(self.columns) == 1

    def ranges(self) -> Iterator[slice]:
        """The images of each block."""
        return (slice(i, min(i + self.count, self.images)) for i in range(0, self.images, self.count))

    def evaluated_columns(self, channels: int, rows: int) -> int:
        """Elements of a strip that is evaluated along its rows only."""
        return _EVALUATED * self.columns[0].tiles * self.count * channels * rows


def _evaluate_columns(x: Array, where: slice, matrix: Array, buffer: Array) -> Array:
    """Columns of (n, C, H, W), evaluated: (6, tiles * n * C, H)."""
    rows = x.reshape(-1, x.shape[3])[:, where]
    y = buffer[: len(matrix) * len(rows)].reshape(len(matrix), len(rows))
    np.matmul(matrix, rows.T, out=y)
    return y.reshape(_EVALUATED, -1, x.shape[2])


def _evaluate_rows(x: Array, where: slice, matrix: Array, channels: int, buffer: Array) -> Array:
    """Rows of what `_evaluate_columns` made, evaluated: (36, tiles * n, C)."""
    y = buffer[: _EVALUATED * len(matrix) * x.shape[1]].reshape(_EVALUATED, len(matrix), x.shape[1])
    np.matmul(matrix, x[:, :, where].swapaxes(1, 2), out=y)
    return y.reshape(_EVALUATED**2, -1, channels)


# -------------------------------------------------------------------------------------------------------------- weights
def _channel_ranges(channels: int, others: int, block: int) -> list[slice]:
    """Ranges of channels whose evaluated weights make a block."""
    step = max(block // (_EVALUATED**2 * others), 16)
    return [slice(i, min(i + step, channels)) for i in range(0, channels, step)]


def _evaluate_weights(weight: Array, transposed: bool, where: slice, buffer: Array) -> Array:
    """Weights (O, C, 3, 3) to a range of results, evaluated: (36, C, O), ``transposed`` and flipped (36, O, C)."""
    part = np.ascontiguousarray(weight[:, where] if transposed else weight[where])
    y = buffer[: _EVALUATED**2 * part.size // _KERNEL**2].reshape(_EVALUATED**2, -1)
    np.matmul(_weight_matrix(weight.dtype, transposed), part.reshape(-1, _KERNEL**2).T, out=y)
    y = y.reshape(-1, *part.shape[:2])
    return y if transposed else y.swapaxes(1, 2)


# -------------------------------------------------------------------------------------------------------------- kernels
def suits(images: int, weight: Sizes, size: Sizes, padding: Sizes, by_weight: bool = False) -> bool:
    """Whether this is the fast way for a kernel without stride, dilation and groups, or for its gradient by weight."""
    if weight[2:] != (_KERNEL, _KERNEL) or max(padding) >= _KERNEL:
        return False
    out = [n + 2 * p - _KERNEL + 1 for n, p in zip(size, padding, strict=True)]
    tiles = math.prod(-(-n // _TILE) for n in out)
    full = 2 * math.prod(out) >= tiles * _TILE**2  # few outputs of a tile are beyond the image
    enough = images * tiles >= _LEAST_SUMMED if by_weight else images > 1 and images * tiles >= _LEAST
    return full and min(weight[:2]) >= _CHANNELS and enough


_CHANNELS = 32  # below, what is saved in the products is less than the evaluation takes
_LEAST = 56  # tiles below which evaluating the weights takes longer; and one image can be shared out in plain products
_LEAST_SUMMED = 16  # and tiles of a gradient by the weights, whose evaluation comes last, once for all images


def _over_ranges(task: Callable[[slice], bool], count: int, width: int, work: int) -> bool:
    """Whether ``task`` is true for all ranges of images or channels, one per thread."""
    if not (count > 1 and blas.controlled() and pays(count * width, work)):
        with without_threads():
            return task(slice(0, count))
    found: list[bool] = []
    with blas.one_thread():
        walk(lambda low, high, step: found.append(task(slice(low, high))), count, width, work)
    return all(found)


def conv(x: Array, weight: Array, shift: Array | None, padding: Sizes, transposed: bool, y: Array) -> bool:
    """Write the convolution of ``x`` plus a ``shift`` per channel into the contiguous ``y``.

    With ``transposed`` the channels of the weight change their places and its taps their order: with a padding of 2
    less that of the convolution, that is the gradient by the input.

    Returns
    -------
    bool
        Whether all of it is finite. If not, infinities and NaN may have spread through whole tiles.
    """

    def task(part: slice) -> bool:
        return _conv(x[part], weight, shift, padding, transposed, y[part])

    return _over_ranges(task, len(x), math.prod(x.shape[1:]), y.shape[1])


def _conv(x: Array, weight: Array, shift: Array | None, padding: Sizes, transposed: bool, y: Array) -> bool:
    images, channels, height, _ = x.shape
    outputs = y.shape[1]
    blocks = _Blocks(images, x.shape[2:], padding, max(channels, outputs), x.dtype)
    # Weights that make more than a block are evaluated part by part where each part is needed once.
    ranges = _channel_ranges(outputs, channels, _WEIGHTS_BLOCK) if blocks.single else [slice(0, outputs)]
    columns, tiles, kernels, products, rows = workspace(
        x.dtype,
        blocks.evaluated_columns(channels, height),
        blocks.points * blocks.tiles * channels,
        blocks.points * channels * (ranges[0].stop - ranges[0].start),
        blocks.points * blocks.tiles * outputs,
        blocks.evaluated_columns(outputs, y.shape[2]),
    )
    u: Any = None
    finite = True
    for part in blocks.ranges():
        source, target = x[part], y[part]
        for across in blocks.columns:
            half = _evaluate_columns(source, across.reads, across.inputs, columns)
            shape = (_EVALUATED, across.tiles * len(source) * outputs, y.shape[2])
            results = rows[: math.prod(shape)].reshape(shape)
            for down in blocks.rows:
                v = _evaluate_rows(half, down.reads, down.inputs, channels, tiles)
                m = products[: v.size // channels * outputs].reshape(*v.shape[:2], outputs)
                for where in ranges:
                    if u is None or len(ranges) > 1:
                        u = _evaluate_weights(weight, transposed, where, kernels)
                    np.matmul(v, u, out=m[:, :, where])
                m = m.reshape(_EVALUATED, len(down.outputs), -1)
                np.matmul(m.swapaxes(1, 2), down.outputs, out=results[:, :, down.writes])
            lines = results.reshape(len(across.outputs), -1)
            np.matmul(lines.T, across.outputs, out=target.reshape(-1, y.shape[3])[:, across.writes])
        if shift is not None:
            np.add(target, shift, out=target)
        finite = finite and math.isfinite(np.add.reduce(target, None))
    return finite


def weight_gradient(g: Array, x: Array, padding: Sizes, y: Array) -> bool:
    """Write the gradient by the weight into the contiguous ``y``; returns whether all of it is finite."""
    shares: dict[int, Array] = {}

    def task(part: slice) -> bool:
        shares[part.start] = share = np.empty_like(y) if part.start else y
        return _weight_gradient(g[part], x[part], padding, share)

    finite = _over_ranges(task, len(x), math.prod(x.shape[1:]), y.shape[0])
    for start in sorted(shares)[1:]:  # in the order of the images, whichever thread was first
        y += shares[start]
    return finite


def _weight_gradient(g: Array, x: Array, padding: Sizes, y: Array) -> bool:
    outputs, channels = y.shape[:2]
    blocks = _Blocks(x.shape[0], x.shape[2:], padding, max(channels, outputs), x.dtype)
    ranges = _channel_ranges(outputs, channels, _BLOCK)
    kernels = blocks.points * channels
    columns, upper, tiles, upstream, products, totals = workspace(
        x.dtype,
        blocks.evaluated_columns(channels, x.shape[2]),
        blocks.evaluated_columns(outputs, g.shape[2]),
        blocks.points * blocks.tiles * channels,
        blocks.points * blocks.tiles * outputs,
        kernels * (ranges[0].stop - ranges[0].start),
        0 if blocks.single else kernels * outputs,
    )
    matrix = _weight_matrix(x.dtype, False)
    sums = None if blocks.single else totals.reshape(-1, outputs, channels)
    first = True
    for part in blocks.ranges():
        for across in blocks.columns:
            half = _evaluate_columns(x[part], across.reads, across.inputs, columns)
            other = _evaluate_columns(g[part], across.writes, across.outputs, upper)
            for down in blocks.rows:
                v = _evaluate_rows(half, down.reads, down.inputs, channels, tiles)
                h = _evaluate_rows(other, down.writes, down.outputs, outputs, upstream)
                for where in ranges:
                    count = where.stop - where.start
                    du = products[: kernels * count].reshape(-1, count, channels)
                    np.matmul(h[:, :, where].swapaxes(1, 2), v, out=du)
                    if sums is None:
                        np.matmul(du.reshape(len(matrix), -1).T, matrix, out=y[where].reshape(-1, _KERNEL**2))
                    elif first:
                        sums[:, where] = du
                    else:
                        np.add(sums[:, where], du, out=sums[:, where])
                first = False
    if sums is not None:
        np.matmul(sums.reshape(len(matrix), -1).T, matrix, out=y.reshape(-1, _KERNEL**2))
    return math.isfinite(np.add.reduce(y, None))
