"""Convolution of any number of spatial axes on NumPy: products of matrices over panels that stay in cache.

The padded input is laid out so that every offset of the kernel is one contiguous run. It is split by stride into phases
(every ``s``-th element, from each start), and a phase is read flat: the elements that an offset needs for all output
positions of an image lie side by side, save for a few positions at the end of each row that belong to no output. They
are computed and not copied out. So a panel, (channels * offsets, positions), is filled with one long copy per offset,
and its product with the weights is one call of BLAS. The whole matrix is never in memory.

The gradient by the input runs the same steps backwards, the gradient by the weights multiplies by the same panels.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ..windows import out_size
from . import blas, narrow, narrow_gradient, plain, winograd
from .blas_threads import without_threads
from .blocked import compute_type, pays, walk
from .workspace import workspace

__all__ = ["conv", "conv_input_gradient", "conv_weight_gradient"]

Array = np.ndarray[Any, np.dtype[Any]]
Sizes = tuple[int, ...]

_PANEL = 1 << 18  # elements of a panel: 1 MiB of float32, a core's second-level cache
_DEEP = (
    256  # terms per sum from which on the product, not the filling, takes the time: then panels are four times larger
)


class _Layout(NamedTuple):
    """How one image is laid out flat, and where in it each offset of the kernel begins."""

    out: Sizes  # output positions per axis
    grid: Sizes  # positions per axis of a phase, those of no output included
    row: int  # elements per step along the first axis
    flat: int  # elements of a phase, with room for the last offset's run
    phases: tuple[tuple[tuple[slice, ...], tuple[slice, ...]], ...]  # where in a phase, where in the image
    offsets: tuple[tuple[int, int], ...]  # phase and start of each offset of the kernel
    whole: bool  # the image itself is the layout
    covering: bool  # every element of the image is in a phase


@functools.lru_cache(512)
def _layout(size: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes) -> _Layout:
    axes = list(zip(size, kernel, stride, padding, dilation, strict=True))
    out = out_size(size, kernel, stride, padding, dilation)
    grid = tuple(o + (k - 1) * d // s for o, (_, k, s, _, d) in zip(out, axes, strict=True))
    steps = [math.prod(grid[i + 1 :]) for i in range(len(grid))]
    numbers: dict[Sizes, int] = {}
    offsets = []
    for place in itertools.product(*map(range, kernel)):
        at = [k * d for k, d in zip(place, dilation, strict=True)]
        phase = tuple(a % s for a, s in zip(at, stride, strict=True))
        start = sum(a // s * step for a, s, step in zip(at, stride, steps, strict=True))
        offsets.append((numbers.setdefault(phase, len(numbers)), start))
    phases = []
    for phase in numbers:
        inside, image = [], []
        for r, (n, _, s, p, _), length in zip(phase, axes, grid, strict=True):
            low = max(-((r - p) // s), 0)
            high = max(min((n - 1 + p - r) // s + 1, length), low)
            inside.append(slice(low, high))
            first = low * s + r - p
            image.append(slice(first, first + (high - low - 1) * s + 1 if high > low else first, s))
        phases.append((tuple(inside), tuple(image)))
    flat = max(start for _, start in offsets) + out[0] * steps[0]
    plain = all(s == 1 and p == 0 for _, _, s, p, _ in axes)
    return _Layout(
        out,
        grid,
        steps[0],
        max(flat, grid[0] * steps[0]),
        tuple(phases),
        tuple(offsets),
        plain and flat <= math.prod(size),
        all(s == 1 for s in stride),
    )


class _Work(NamedTuple):
    """Sizes of a convolution, and how many images and rows of output one panel takes."""

    layout: _Layout
    images: int
    groups: int
    inner: int  # input channels per group
    outer: int  # output channels per group
    batch: int
    rows: int

    @property
    def columns(self) -> int:
        """Positions of a panel."""
        return self.batch * self.rows * self.layout.row


def _work(
    images: int, weight: Sizes, size: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> _Work:
    layout = _layout(size, weight[2:], stride, padding, dilation)
    depth = weight[1] * len(layout.offsets)
    panel = 4 * _PANEL if depth >= _DEEP else _PANEL
    columns = max(panel // max(groups * max(depth, weight[0] // groups), 1), 1)
    rows = min(max(columns // layout.row, 1), layout.out[0])
    batch = min(max(columns // (layout.row * rows), 1), images) if rows == layout.out[0] else 1
    return _Work(layout, images, groups, weight[1], weight[0] // groups, batch, rows)


def _walk_images(work: _Work, task: Callable[[int, int], None]) -> None:
    """Call ``task`` on ranges of images: one per thread, or one of all."""
    fills = math.prod(work.layout.out) * work.inner * len(work.layout.offsets) * work.groups
    effort = work.outer // 8 + 4  # of a fill, and of what is multiplied with it
    if work.images > 1 and blas.controlled() and pays(work.images * fills, effort):
        with blas.one_thread():
            walk(lambda low, high, step: task(low, high), work.images, fills, effort)
    else:
        with without_threads():
            task(0, work.images)


class _Panels:
    """The panels of a range of images, in memory that is valid until the thread's next workspace."""

    def __init__(self, work: _Work, dtype: Any, *others: int, columns: bool = True) -> None:
        layout = work.layout
        channels = work.groups * work.inner
        shape = (work.batch, len(layout.phases), channels, layout.flat)
        flat, self.columns, *self.others = workspace(
            dtype,
            math.prod(shape),
            channels * len(layout.offsets) * work.columns if columns else 0,
            *others,
        )
        flat.fill(0)
        self.work = work
        self.flat = flat.reshape(shape)

    def read(self, x: Array) -> Array:
        """Lay out images; the result has axes (image, phase, channel, flat)."""
        if self.work.layout.whole:
            return x.reshape(x.shape[0], 1, x.shape[1], -1)
        views = _with_axes(self.flat, len(x), self.work.layout)
        for view, (inside, image) in zip(views, self.work.layout.phases, strict=True):
            view[_last(inside)] = x[_last(image)]
        return self.flat[: len(x)]

    def fill(self, flat: Array, low: int, high: int) -> Array:
        """The panel of output rows ``low`` to ``high``, (groups, channels * offsets, images * positions)."""
        work, layout = self.work, self.work.layout
        count, length = len(flat), (high - low) * layout.row
        channels, depth = work.groups * work.inner, len(layout.offsets)
        if depth == 1 and count == 1:
            start = layout.offsets[0][1] + low * layout.row
            return flat[0, 0, :, start : start + length].reshape(work.groups, work.inner, length)
        panel = self.columns[: channels * depth * count * length].reshape(channels, depth, count, length)
        moved = flat.transpose(1, 2, 0, 3)
        for k, (phase, start) in enumerate(layout.offsets):
            first = start + low * layout.row
            panel[:, k] = moved[phase, :, :, first : first + length]
        return panel.reshape(work.groups, work.inner * depth, count * length)


def _with_axes(flat: Array, count: int, layout: _Layout) -> list[Array]:
    """Views of the phases of the first images with the spatial axes in place."""
    size = flat.itemsize
    steps = [math.prod(layout.grid[i + 1 :]) * size for i in range(len(layout.grid))]
    strides = (flat.strides[0], flat.strides[2], *steps)
    return [
        np.lib.stride_tricks.as_strided(flat[:, i], (count, flat.shape[2], *layout.grid), strides)
        for i in range(len(layout.phases))
    ]


def _blocks(work: _Work, low: int, high: int) -> Any:
    """Image ranges."""
    return ((start, min(start + work.batch, high)) for start in range(low, high, work.batch))


def _row_blocks(work: _Work) -> Any:
    rows = work.layout.out[0]
    return [(start, min(start + work.rows, rows)) for start in range(0, rows, work.rows)]


def _last(slices: Iterable[slice]) -> Any:
    """An index of the last axes."""
    return (..., *slices)


def _valid(panel: Array, work: _Work, count: int, rows: int) -> Array:
    """A panel of output, (channels, images * positions), as (images, channels, *positions of the output)."""
    layout = work.layout
    y = panel.reshape(-1, count, rows, *layout.grid[1:])
    valid: Array = y[_last(slice(n) for n in layout.out[1:])]
    return valid.swapaxes(0, 1)


# -------------------------------------------------------------------------------------------------------------- kernels
def conv(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    out: Array | None = None,
) -> Array:
    """Cross-correlation of (N, C, ...) with (O, C / groups, ...), plus a bias per output channel."""
    dtype = compute_type(x.dtype)
    work = _work(x.shape[0], weight.shape, x.shape[2:], stride, padding, dilation, groups)
    shape = (x.shape[0], weight.shape[0], *work.layout.out)
    if dtype != x.dtype:
        wide = conv(
            x.astype(dtype),
            weight.astype(dtype),
            None if bias is None else bias.astype(dtype),
            stride,
            padding,
            dilation,
            groups,
        )
        return _stored(wide, x.dtype, out)
    y = _place(out, shape, dtype, x)
    shift: Any = 0 if bias is None else bias.reshape(-1, *(1,) * (len(shape) - 2))
    if _by_winograd(x, weight.shape, x.shape[2:], stride, padding, dilation, groups):
        x, weight = np.ascontiguousarray(x), np.ascontiguousarray(weight)
        if winograd.conv(x, weight, None if bias is None else shift, padding, False, y):
            return _stored(y, dtype, out)
    if not weight.size:
        y[...] = shift
    elif y.size and _is_plain(len(x), weight.shape, x.shape[2:], stride, padding, dilation, groups):
        plain.conv(np.ascontiguousarray(x), np.ascontiguousarray(weight), bias, padding, y)
    elif y.size and _is_narrow(weight.shape, stride, padding, dilation, groups):
        narrow.conv(np.ascontiguousarray(x), weight, bias, padding, y)
    elif y.size:
        x = np.ascontiguousarray(x)
        matrix = weight.reshape(groups, work.outer, -1)
        depthwise = work.inner == work.outer == 1 and len(work.layout.offsets) > 1

        def task(low: int, high: int) -> None:
            size = shape[1] * work.columns
            panels = _Panels(work, dtype, size, size if depthwise else 0, columns=not depthwise)
            products, spare = panels.others
            for first, last in _blocks(work, low, high):
                flat = panels.read(x[first:last])
                for top, bottom in _row_blocks(work):
                    length = (last - first) * (bottom - top) * work.layout.row
                    product = products[: shape[1] * length].reshape(groups, work.outer, length)
                    if depthwise:
                        _depthwise(flat, matrix, work, top, bottom, product, spare)
                    else:
                        np.matmul(matrix, panels.fill(flat, top, bottom), out=product)
                    source = _valid(product, work, last - first, bottom - top)
                    target = y[first:last, :, top:bottom]
                    if bias is None:
                        np.copyto(target, source)
                    else:
                        np.add(source, shift, out=target)

        _walk_images(work, task)
    return _stored(y, dtype, out)


def _depthwise(flat: Array, matrix: Array, work: _Work, top: int, bottom: int, product: Array, spare: Array) -> None:
    """One channel in, one out: a multiply-add per offset instead of a product with a panel."""
    row = work.layout.row
    length = (bottom - top) * row
    moved = flat.transpose(1, 2, 0, 3)
    total = product.reshape(matrix.shape[0], len(flat), length)
    term = spare[: total.size].reshape(total.shape)
    for k, (phase, start) in enumerate(work.layout.offsets):
        run = moved[phase, :, :, start + top * row : start + top * row + length]
        np.multiply(run, matrix[:, :, k : k + 1], out=term if k else total)
        if k:
            np.add(total, term, out=total)


def conv_input_gradient(
    g: Array,
    weight: Array,
    size: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    out: Array | None = None,
) -> Array:
    """Gradient of `conv` by its input of spatial ``size``; also the transposed convolution."""
    dtype = compute_type(g.dtype)
    if dtype != g.dtype:
        wide = conv_input_gradient(g.astype(dtype), weight.astype(dtype), size, stride, padding, dilation, groups)
        return _stored(wide, g.dtype, out)
    work = _work(g.shape[0], weight.shape, size, stride, padding, dilation, groups)
    channels = groups * work.inner
    shape = (g.shape[0], channels, *size)
    dx = _place(out, shape, dtype, g)
    if _by_winograd(g, weight.shape, size, stride, padding, dilation, groups):
        g, weight = np.ascontiguousarray(g), np.ascontiguousarray(weight)
        if winograd.conv(g, weight, None, (2 - padding[0], 2 - padding[1]), True, dx):
            return _stored(dx, dtype, out)
    turned = np.flip(weight, tuple(range(2, weight.ndim))).swapaxes(0, 1)
    margins = tuple(k - 1 - p for k, p in zip(weight.shape[2:], padding, strict=True))
    if g.size and dx.size and _is_plain(len(g), turned.shape, g.shape[2:], stride, margins, dilation, groups):
        plain.conv(np.ascontiguousarray(g), np.ascontiguousarray(turned), None, margins, dx)
        return _stored(dx, dtype, out)
    if g.size and dx.size and _is_narrow(turned.shape, stride, margins, dilation, groups):
        g = np.ascontiguousarray(g)
        if narrow_gradient.suits(weight.shape, size, padding):
            narrow_gradient.input_gradient(g, weight, padding, dx)
        else:
            narrow.conv(g, turned, None, margins, dx)
        return _stored(dx, dtype, out)
    if not (g.size and weight.size and work.layout.covering):
        dx.fill(0)
    if g.size and weight.size:
        matrix = np.ascontiguousarray(weight.reshape(groups, work.outer, -1)).swapaxes(1, 2)
        layout = work.layout

        def task(low: int, high: int) -> None:
            panels = _Panels(work, dtype, groups * work.outer * work.columns)
            reader = _Gradients(work, panels.others[0])
            for first, last in _blocks(work, low, high):
                count = last - first
                flat = panels.flat[:count]
                flat.fill(0)
                moved = flat.transpose(1, 2, 0, 3)
                for top, bottom in _row_blocks(work):
                    length = (bottom - top) * layout.row
                    entries = matrix.shape[0] * matrix.shape[1] * count * length
                    panel = panels.columns[:entries].reshape(groups, matrix.shape[1], count * length)
                    np.matmul(matrix, reader.read(g[first:last, :, top:bottom]), out=panel)
                    terms = panel.reshape(channels, len(layout.offsets), count, length)
                    for k, (phase, start) in enumerate(layout.offsets):
                        run = moved[phase, :, :, start + top * layout.row : start + top * layout.row + length]
                        np.add(run, terms[:, k], out=run)
                for view, (inside, image) in zip(_with_axes(flat, count, layout), layout.phases, strict=True):
                    dx[first:last][_last(image)] = view[_last(inside)]

        _walk_images(work, task)
    return _stored(dx, dtype, out)


class _Gradients:
    """Gradients of outputs, laid out like a panel's positions: zero where a position belongs to no output."""

    def __init__(self, work: _Work, buffer: Array) -> None:
        self.work = work
        self.buffer = buffer
        self.shape: Sizes = ()

    def read(self, g: Array) -> Array:
        """(images, channels, rows, ...) as (groups, channels per group, images * positions)."""
        work, grid = self.work, self.work.layout.grid
        count, rows = g.shape[0], g.shape[2]
        shape = (g.shape[1], count, rows, *grid[1:])
        panel = self.buffer[: math.prod(shape)].reshape(shape)
        if shape != self.shape:
            panel.fill(0)  # another shape puts the gaps elsewhere
        self.shape = shape
        panel[_last(slice(n) for n in work.layout.out[1:])] = g.swapaxes(0, 1)
        return panel.reshape(work.groups, work.outer, -1)


def conv_weight_gradient(
    g: Array,
    x: Array,
    kernel_size: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    out: Array | None = None,
) -> Array:
    """Gradient of `conv` by its weight, whose spatial axes are ``kernel_size``."""
    dtype = compute_type(g.dtype)
    if dtype != g.dtype:
        wide = conv_weight_gradient(g.astype(dtype), x.astype(dtype), kernel_size, stride, padding, dilation, groups)
        return _stored(wide, g.dtype, out)
    shape = (g.shape[1], x.shape[1] // groups, *kernel_size)
    work = _work(x.shape[0], shape, x.shape[2:], stride, padding, dilation, groups)
    if _by_winograd(x, shape, x.shape[2:], stride, padding, dilation, groups, True):
        g, x = np.ascontiguousarray(g), np.ascontiguousarray(x)
        dw = _place(out, shape, dtype, x, g)
        if winograd.weight_gradient(g, x, padding, dw):
            return _stored(dw, dtype, out)
    if g.size and x.size and _is_narrow(shape, stride, padding, dilation, groups):
        dw = _place(out, shape, dtype, x, g)
        narrow.weight_gradient(np.ascontiguousarray(g), np.ascontiguousarray(x), padding, dw)
        return _stored(dw, dtype, out)
    parts: dict[int, Array] = {}
    if g.size and x.size:
        x = np.ascontiguousarray(x)

        def task(low: int, high: int) -> None:
            panels = _Panels(work, dtype, groups * work.outer * work.columns)
            reader = _Gradients(work, panels.others[0])
            total = parts[low] = np.zeros((groups, work.outer, work.inner * len(work.layout.offsets)), dtype)
            for first, last in _blocks(work, low, high):
                flat = panels.read(x[first:last])
                for top, bottom in _row_blocks(work):
                    panel = panels.fill(flat, top, bottom)
                    total += np.matmul(reader.read(g[first:last, :, top:bottom]), panel.swapaxes(1, 2))

        _walk_images(work, task)
    gradient = np.zeros((groups, work.outer, math.prod(shape[1:])), dtype)
    for low in sorted(parts):  # in the order of the images, whichever thread was first
        gradient += parts[low]
    return _stored(gradient.reshape(shape), dtype, out)


def _is_dense(stride: Sizes, dilation: Sizes, groups: int) -> bool:
    """Whether there are two axes and neither stride nor dilation nor groups."""
    return groups == 1 and len(stride) == 2 and stride == dilation == (1, 1)


def _by_winograd(
    images: Array,
    weight: Sizes,
    size: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    by_weight: bool = False,
) -> bool:
    """Whether to save multiplications at the price of a rounding error of some 1e-6; who wants float64 does not."""
    dense = _is_dense(stride, dilation, groups) and images.dtype == np.float32
    return dense and winograd.suits(len(images), weight, size, padding, by_weight)


def _is_plain(
    images: int, weight: Sizes, size: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> bool:
    return _is_dense(stride, dilation, groups) and plain.suits(images, weight, size, padding)


def _is_narrow(weight: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int) -> bool:
    return _is_dense(stride, dilation, groups) and narrow.suits(weight, padding)


def _place(out: Array | None, shape: Sizes, dtype: Any, *inputs: Array) -> Array:
    """Contiguous memory for a result: ``out`` itself where that can be written while the inputs are still read."""
    if out is None or not out.flags.c_contiguous or any(np.may_share_memory(out, x) for x in inputs):
        return np.empty(shape, dtype)
    return out


def _stored(y: Array, dtype: Any, out: Array | None) -> Array:
    if out is None:
        return y.astype(dtype, copy=False)
    if out is not y:
        np.copyto(out, y, casting="unsafe")
    return out
