"""Normalisation on NumPy: over trailing axes (layer norm, RMS norm) and per channel (batch norm).

A block of rows, or of samples and channels, goes through all steps while it is in cache. Half types compute in float32,
in which the statistics are also returned.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .blas_threads import without_threads
from .blocked import BLOCK, compute_type, overlaps, scratch, walk
from .small_norm import is_small, normalize
from .workspace import workspace

__all__ = ["batch_norm", "batch_norm_backward", "batch_norm_with", "layer_norm", "layer_norm_backward"]

Array = np.ndarray[Any, np.dtype[Any]]
Triple = tuple[Array, Array, Array]


# ------------------------------------------------------------------------------------------------------- common to both
def _flat(parameter: Array | None, dtype: np.dtype[Any]) -> Array | None:
    """A weight or bias as a vector to compute with."""
    return None if parameter is None else parameter.reshape(-1).astype(dtype, copy=False)


def _place(out: Array | None, shape: tuple[int, ...], dtype: Any, inputs: tuple[Array, ...]) -> Array:
    """Contiguous memory for a result: ``out`` itself where that can be written block by block."""
    if out is None or not out.flags.c_contiguous or overlaps(out, inputs):
        return np.empty(shape, dtype)
    return out


def _stored(results: tuple[Array, ...], out: tuple[Array, ...] | None) -> Any:
    if out is None:
        return results
    for y, target in zip(results, out, strict=True):
        if y is not target:
            np.copyto(target, y, casting="unsafe")
    return out


# ----------------------------------------------------------------------------------------------------------- layer norm
def _lines(shape: tuple[int, ...], axes: int) -> tuple[int, int]:
    """Number of rows and elements of a row, of an array whose last ``axes`` axes are normalised."""
    return math.prod(shape[: len(shape) - axes]), math.prod(shape[len(shape) - axes :])


def _walk_rows(task: Callable[[slice], None], rows: int, n: int, work: int) -> None:
    """Call ``task`` for blocks of rows, in several threads if there are many.

    The blocks are larger than elsewhere, and in several threads larger than the cache. A task makes a dozen calls of
    NumPy; where these are short, threads do not get past one another at the interpreter lock.
    """

    def blocks(low: int, high: int, _: int) -> None:
        step = max((4 if high - low == rows else 12) * BLOCK // n, 1)
        for start in range(low, high, step):
            task(slice(start, min(start + step, high)))

    with without_threads():
        walk(blocks, rows, n, work)


def _blocks(like: Array, count: int) -> list[Array]:
    """Memory for intermediate results, valid until this thread's next call."""
    if like.size <= BLOCK:  # where new memory is the cheaper one
        return [np.empty(like.shape, like.dtype) for _ in range(count)]
    return [block.reshape(like.shape) for block in workspace(like.dtype, *[like.size] * count)]


def _statistics(x: Array, mean: Array, rstd: Array, ones: Array, eps: float, centered: bool) -> tuple[Array, Array]:
    """Fill in the statistics of rows; returns rows with the same deviations, and what to add to center them.

    Where means are within a few deviations of 0, as they mostly are, sums of squares give the variance to all but the
    last digits; only otherwise are the rows themselves centered first.
    """
    n, shift = x.shape[1], mean
    if centered:
        np.matmul(x, ones, mean)
        mean /= n
    np.vecdot(x, x, rstd)
    rstd /= n
    if centered:
        square = mean * mean
        rstd -= square
        if (square <= 4 * rstd).all():
            shift = -mean
        else:
            x = x - mean[:, None]
            np.vecdot(x, x, rstd)
            rstd /= n
            shift = np.zeros_like(mean)
    rstd += eps
    np.sqrt(rstd, rstd)
    np.divide(1, rstd, rstd)
    return x, shift


def layer_norm(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    axes: int = 1,
    eps: float = 1e-5,
    centered: bool = True,
    out: Triple | None = None,
) -> Triple:
    r"""Normalise the last ``axes`` axes, :math:`y = (x - \mu) r\, w + b`, :math:`r = (\sigma^2 + \epsilon)^{-1/2}`.

    Without ``centered``, :math:`\mu = 0` and :math:`\sigma^2` is the mean square: RMS norm.

    Returns
    -------
    y, mean, rstd : arrays
        The statistics keep the normalised axes, of length 1.
    """
    dtype, compute = x.dtype, compute_type(x.dtype)
    kept = x.shape[: x.ndim - axes] + (1,) * axes
    rows, n = _lines(x.shape, axes)
    y = _place(None if out is None else out[0], x.shape, dtype, (x,))
    mean = np.zeros(rows, compute)
    if is_small(rows, n) and dtype == y.dtype == compute and x.flags.c_contiguous:
        rstd = np.empty(rows, compute)
        w, b = _flat(weight, compute), _flat(bias, compute)
        normalize(x.reshape(rows, n), w, b, eps, centered, y.reshape(rows, n), mean, rstd)
        results: Triple = (y, mean.reshape(kept), rstd.reshape(kept))
        return results if out is None else _stored(results, out)
    rstd = np.full(rows, math.nan, compute)
    if x.size:
        source, target = x.reshape(rows, n), y.reshape(rows, n)
        ones = np.ones(n, compute)
        w, b = _flat(weight, compute), _flat(bias, compute)
        columns = np.empty((2, n), compute)
        columns[0], columns[1] = 1 if w is None else w, 0 if b is None else b

        def task(index: slice) -> None:
            block, r = source[index].astype(compute, copy=False), rstd[index]
            block, shift = _statistics(block, mean[index], r, ones, eps, centered)
            # x (r w) + (shift r w + b), both by BLAS: NumPy spends more on the start of a row than on its elements
            numbers = np.zeros((2, len(r), 2), compute)
            numbers[0, :, 0], numbers[1, :, 0], numbers[1, :, 1] = r, shift * r, 1
            if b is None and not centered:
                np.multiply(block, np.matmul(numbers[0], columns), target[index], casting="unsafe")
                return
            factor, term = _blocks(block, 2)
            np.matmul(numbers[0], columns, factor)
            np.matmul(numbers[1], columns, term)
            factor *= block
            np.add(factor, term, target[index], casting="unsafe")

        _walk_rows(task, rows, n, 12)
    results = (y, mean.reshape(kept), rstd.reshape(kept))
    return _stored(results, out)  # type: ignore[no-any-return]


def layer_norm_backward(
    g: Array,
    x: Array,
    mean: Array,
    rstd: Array,
    weight: Array | None = None,
    axes: int = 1,
    centered: bool = True,
    affine: bool = False,
    out: Any = None,
) -> Any:
    r"""Gradient of `layer_norm` by ``x``, :math:`r (h - \bar h - \hat x\, \overline{h \hat x})` with :math:`h = g w`.

    With ``affine``, also those by weight and bias: the sums of :math:`g \hat x` and of :math:`g` over the rows.
    """
    dtype, compute = x.dtype, compute_type(x.dtype)
    rows, n = _lines(x.shape, axes)
    given = (out[0] if affine else out) if out is not None else None
    dx = _place(given, x.shape, dtype, (g, x, mean, rstd))
    shares: list[tuple[int, Array, Array]] = []
    if x.size:
        upstream, source, target = g.reshape(rows, n), x.reshape(rows, n), dx.reshape(rows, n)
        means, rstds, w = mean.reshape(-1), rstd.reshape(-1), _flat(weight, compute)
        w = np.ones(n, compute) if w is None else w
        columns = np.zeros((2, n), compute)  # two, as NumPy does not take a product with one column to BLAS
        columns[0] = w

        def task(index: slice) -> None:
            h, m, r = upstream[index].astype(compute, copy=False), means[index], rstds[index]
            block = source[index].astype(compute, copy=False)
            if centered and not (np.abs(m * r) < 2).all():  # as in the forward: sums of products would lose digits
                block, m = block - m[:, None], np.zeros_like(m)
            z, factor = _blocks(block, 2)
            np.multiply(h, block, z)
            if affine:
                by_weight = np.matmul(r, z) - np.matmul(m * r, h) if centered else np.matmul(r, z)
                shares.append((index.start, by_weight, np.matmul(np.ones_like(r), h)))
            slope = np.matmul(z, w)
            if centered:
                total = np.matmul(h, w)
                slope -= m * total
            slope *= r * r * r / n
            np.multiply(block, slope[:, None], z)
            if centered:
                z += (total * r / n - slope * m)[:, None]
            numbers = np.zeros((len(r), 2), compute)
            numbers[:, 0] = r
            np.matmul(numbers, columns, factor)
            factor *= h
            np.subtract(factor, z, target[index], casting="unsafe")

        _walk_rows(task, rows, n, 16)
    if not affine:
        return _stored((dx,), (out,))[0] if out is not None else dx
    shares.sort(key=lambda share: share[0])  # the same sum however the threads ran
    dweight, dbias = (np.zeros(x.shape[x.ndim - axes :], compute) for _ in range(2))  # arrays of their own: not copied
    for _, by_weight, by_bias in shares:
        dweight += by_weight.reshape(dweight.shape)
        dbias += by_bias.reshape(dbias.shape)
    return _stored((dx, dweight.astype(dtype, copy=False), dbias.astype(dtype, copy=False)), out)


# ----------------------------------------------------------------------------------------------------------- batch norm
_SHORT = 16  # elements of a channel below which BLAS adds up over the samples instead
_SPREAD = 8192  # elements of a channel below which NumPy spends more on the start of a row than on repeated numbers
_REPEATED = 4  # samples from which it pays to repeat them


class _Planes:
    """The (samples, channels, elements) of some arrays, in ranges for threads and blocks for the cache."""

    def __init__(self, shape: tuple[int, ...], compute: np.dtype[Any]) -> None:
        self.samples, self.channels, self.size = shape[0], shape[1], math.prod(shape[2:])
        self.count = self.samples * self.size
        self.compute = compute

    def of(self, x: Array) -> Array:
        """The array with three axes."""
        return x.reshape(self.samples, self.channels, self.size)

    def walk(self, task: Callable[[tuple[slice, slice]], None], work: int) -> None:
        """Call ``task`` for blocks of samples and channels, in several threads if there are many."""
        by_sample = self.samples >= self.channels or self.samples >= 8
        row = self.size * (self.channels if by_sample else self.samples)
        rows = self.samples if by_sample else self.channels

        def blocks(low: int, high: int, _: int) -> None:  # as in `_walk_rows`, larger in several threads
            step = max((2 if high - low == rows else 8) * BLOCK // row, 1)
            for first in range(low, high, step):
                part = slice(first, min(first + step, high))
                task((part, slice(0, self.channels)) if by_sample else (slice(0, self.samples), part))

        with without_threads():
            walk(blocks, rows, row, work)

    def sums(self, pairs: Callable[[tuple[slice, slice]], tuple[Array, Array]], work: int) -> tuple[Array, Array]:
        """Sums per channel, in float64, of the first of ``pairs`` and of its product with the second."""
        shares: list[tuple[int, slice, Array, Array]] = []

        def task(index: tuple[slice, slice]) -> None:
            x, y = pairs(index)
            shares.append((index[0].start, index[1], self._sum(x), self._product_sum(x, y)))

        self.walk(task, work)
        totals = np.zeros((2, self.channels))
        for _, channels, first, second in sorted(shares, key=lambda share: (share[0], share[1].start)):
            totals[0, channels] += first  # the same sum however the threads ran
            totals[1, channels] += second
        return totals[0], totals[1]

    def _sum(self, x: Array) -> Array:
        if self.size < _SHORT:
            rows = x.reshape(len(x), -1)
            columns = np.matmul(np.ones(len(rows), x.dtype), rows)
            return np.add.reduce(columns.reshape(-1, self.size), 1, np.float64)  # type: ignore[no-any-return]
        if self.size > _ALONE:
            return np.add.reduce(np.add.reduce(x, 2), 0, np.float64)  # type: ignore[no-any-return]
        together = math.gcd(x.shape[1], _ALONE // self.size)
        stacks = x.reshape(len(x), -1, together, self.size)
        by_sample = np.matmul(stacks, np.ones(self.size, x.dtype)).reshape(len(x), -1)
        return np.add.reduce(by_sample, 0, np.float64)  # type: ignore[no-any-return]

    def _product_sum(self, x: Array, y: Array) -> Array:
        if self.size < _SHORT:
            return self._sum(x * y)
        return np.add.reduce(np.vecdot(x, y), 0, np.float64)  # type: ignore[no-any-return]

    def spread(self, *values: Array) -> list[Array]:
        """Numbers per channel, shaped to meet (samples, channels, elements)."""
        columns = [np.asarray(v, self.compute)[:, None] for v in values]
        worth = 1 < self.size < _SPREAD and self.samples >= _REPEATED
        return [np.repeat(c, self.size, 1) for c in columns] if worth else columns


_ALONE = 8192  # elements of a matrix up to which OpenBLAS multiplies it with a vector without waking its threads


def batch_norm(
    x: Array, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5, out: Triple | None = None
) -> Triple:
    r"""Normalise each channel (axis 1) over all other axes, :math:`y = (x - \mu)(\sigma^2 + \epsilon)^{-1/2} w + b`.

    Returns
    -------
    y, mean, var : arrays
        The statistics have shape (channels,); the variance is divided by the number of elements.
    """
    dtype, compute = x.dtype, compute_type(x.dtype)
    y = _place(None if out is None else out[0], x.shape, dtype, (x,))
    mean, var = np.full(x.shape[1], math.nan, compute), np.full(x.shape[1], math.nan, compute)
    if x.size:
        planes = _Planes(x.shape, compute)
        source, target = planes.of(x), planes.of(y)
        exact_mean, exact_var = _moments(planes, source)
        mean[:], var[:] = exact_mean, exact_var
        _normalise(planes, source, target, exact_mean, exact_var, weight, bias, eps)
    return _stored((y, mean, var), out)  # type: ignore[no-any-return]


def _normalise(
    planes: _Planes,
    source: Array,
    target: Array,
    mean: Array,
    var: Array,
    weight: Array | None,
    bias: Array | None,
    eps: float,
) -> None:
    """A factor and a summand for each channel, from its statistics in float64."""
    compute, same = planes.compute, target.dtype == planes.compute
    scale = 1 / np.sqrt(var + eps)
    if weight is not None:
        scale *= weight
    shift = -mean * scale
    if bias is not None:
        shift += bias
    scale, shift = planes.spread(scale, shift)

    def task(index: tuple[slice, slice]) -> None:
        z = np.multiply(source[index], scale[index[1]], target[index] if same else None, dtype=compute)
        np.add(z, shift[index[1]], target[index], casting="unsafe")

    planes.walk(task, 4)


def batch_norm_with(
    x: Array,
    mean: Array,
    var: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    out: Array | None = None,
) -> Array:
    """`batch_norm` by a given mean and variance of each channel."""
    y = _place(out, x.shape, x.dtype, (x,))
    if x.size:
        planes = _Planes(x.shape, compute_type(x.dtype))
        mean, var = mean.astype(np.float64), var.astype(np.float64)
        _normalise(planes, planes.of(x), planes.of(y), mean, var, weight, bias, eps)
    return _stored((y,), (out,))[0] if out is not None else y


def _moments(planes: _Planes, source: Array) -> tuple[Array, Array]:
    """Mean and variance of each channel in float64.

    Where the means are within a few deviations of 0, as they mostly are, sums of squares give the variance to all but
    the last digits; only otherwise there is a second pass, over the deviations.
    """

    def squares(index: tuple[slice, slice]) -> tuple[Array, Array]:
        z = source[index].astype(planes.compute, copy=False)
        return z, z

    total, square = planes.sums(squares, 4)
    mean = total / planes.count
    var = square / planes.count - mean * mean
    if not (mean * mean <= 4 * var).all():
        (middle,) = planes.spread(mean)

        def deviations(index: tuple[slice, slice]) -> tuple[Array, Array]:
            z = np.subtract(source[index], middle[index[1]], dtype=planes.compute)
            return z, z

        rest, square = planes.sums(deviations, 6)
        rest /= planes.count  # what rounding the mean left
        mean = middle[:, 0] + rest
        var = np.maximum(square / planes.count - rest * rest, 0)
    return mean, var


def batch_norm_backward(
    g: Array,
    x: Array,
    mean: Array,
    var: Array,
    weight: Array | None = None,
    eps: float = 1e-5,
    out: Triple | None = None,
) -> Triple:
    r"""Gradients of `batch_norm` by ``x``, weight and bias.

    .. math:: dx = r w (g - \bar g - \hat x\, \overline{g \hat x}), \quad dw = \sum g \hat x, \quad db = \sum g
    """
    dtype, compute = x.dtype, compute_type(x.dtype)
    dx = _place(None if out is None else out[0], x.shape, dtype, (g, x))
    dweight, dbias = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    if x.size:
        planes = _Planes(x.shape, compute)
        upstream, source, target = planes.of(g), planes.of(x), planes.of(dx)
        rstd = 1 / np.sqrt(var + np.float64(eps))
        center = mean.astype(np.float64)
        near = bool((np.abs(center * rstd) < 2).all())  # as in `_moments`: else sums of products would lose digits
        (middle,) = planes.spread(center)

        def deviations(index: tuple[slice, slice]) -> Array:
            if near:
                return source[index].astype(compute, copy=False)
            return np.subtract(source[index], middle[index[1]], dtype=compute)

        def pairs(index: tuple[slice, slice]) -> tuple[Array, Array]:
            return upstream[index].astype(compute, copy=False), deviations(index)

        dbias, product = planes.sums(pairs, 6)
        offset = center if near else 0.0
        dweight = (product - offset * dbias) * rstd
        scale = rstd if weight is None else rstd * weight
        slope = -scale * rstd * dweight / planes.count
        shift = -scale * dbias / planes.count - slope * offset
        scale, slope, shift = planes.spread(scale, slope, shift)

        def task(index: tuple[slice, slice]) -> None:
            channels, part = index[1], source[index]
            z = scratch(1, part.size, compute)[0].reshape(part.shape)
            np.multiply(deviations(index), slope[channels], z)
            np.add(z, shift[channels], z)
            h = target[index] if dtype == compute else None
            h = np.multiply(upstream[index], scale[channels], h, dtype=compute)
            np.add(h, z, target[index], casting="unsafe")

        planes.walk(task, 8)
    return _stored((dx, dweight.astype(dtype), dbias.astype(dtype)), out)  # type: ignore[no-any-return]
