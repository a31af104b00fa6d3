"""Normalisation on NumPy: over trailing axes (layer norm, RMS norm) and per channel (batch norm).

A block of rows, or of samples and channels, goes through all steps while it is in cache. Half types compute in float32,
in which the statistics are also returned.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .blocked import BLOCK, compute_type, overlaps, walk
from .softmax import row_sum
from .workspace import workspace

__all__ = ["batch_norm", "batch_norm_backward", "layer_norm", "layer_norm_backward"]

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
    mean, rstd = np.zeros(rows, compute), np.full(rows, math.nan, compute)
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
    results: Triple = (y, mean.reshape(kept), rstd.reshape(kept))
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
def _channels(x: Array) -> tuple[int, int, int]:
    """Samples, channels and elements of a channel of one sample."""
    return x.shape[0], x.shape[1], math.prod(x.shape[2:])


def _tiles(low: int, high: int, samples: int, size: int) -> Any:
    """``(channels, samples)`` slices for blocks of a (samples, channels, size) array, channel by channel."""
    width = max(min(BLOCK // max(size, 1), high - low), 1)
    depth = max(BLOCK // (width * max(size, 1)), 1)
    for first in range(low, high, width):
        channels = slice(first, min(first + width, high))
        yield channels, [slice(n, min(n + depth, samples)) for n in range(0, samples, depth)]


def _per_channel(columns: Array, size: int) -> Array:
    """Sums over the elements of each channel from the sums of each column."""
    return columns if size == 1 else row_sum(columns.reshape(-1, size))


def _column_sum(block: Array) -> Array:
    return block[0] if len(block) == 1 else np.add.reduce(block, 0)  # type: ignore[no-any-return]


def _spread(values: Array, size: int) -> Array:
    """One number per channel as one per column."""
    return values if size == 1 else np.repeat(values, size)


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
    samples, channels, size = _channels(x)
    y = _place(None if out is None else out[0], x.shape, dtype, (x,))
    mean, var = np.full(channels, math.nan, compute), np.full(channels, math.nan, compute)
    if x.size:
        source, target = x.reshape(samples, -1), y.reshape(samples, -1)
        w, b = _flat(weight, compute), _flat(bias, compute)

        def task(low: int, high: int, _: int) -> None:
            for part, blocks in _tiles(low, high, samples, size):
                columns = slice(part.start * size, part.stop * size)
                _moments(source, columns, blocks, size, compute, mean[part], var[part])
                scale = np.divide(1, np.sqrt(var[part] + compute.type(eps)), dtype=compute)
                if w is not None:
                    scale *= w[part]
                shift = -mean[part] * scale
                if b is not None:
                    shift += b[part]
                scale, shift = _spread(scale, size), _spread(shift, size)
                for block in blocks:
                    z = np.multiply(source[block, columns], scale, dtype=compute)
                    np.add(z, shift, target[block, columns], casting="unsafe")

        walk(task, channels, samples * size, 7)
    return _stored((y, mean, var), out)  # type: ignore[no-any-return]


def _moments(
    source: Array, columns: slice, blocks: list[slice], size: int, compute: Any, mean: Array, var: Array
) -> None:
    """Mean and variance of each channel, block by block, merged as Chan, Golub and LeVeque do (1979)."""
    count = 0
    for block in blocks:
        z = source[block, columns].astype(compute, copy=False)
        n = len(z) * size
        center = _per_channel(_column_sum(z), size) / compute.type(n)
        z = np.subtract(z, _spread(center, size))
        np.multiply(z, z, z)
        squares = _per_channel(_column_sum(z), size)
        if not count:
            mean[:], var[:] = center, squares
        else:
            distance = center - mean
            mean += distance * compute.type(n / (count + n))
            var += squares + distance * distance * compute.type(count * n / (count + n))
        count += n
    var /= compute.type(count)


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
    samples, channels, size = _channels(x)
    dx = _place(None if out is None else out[0], x.shape, dtype, (g, x))
    dweight, dbias = np.zeros(channels, compute), np.zeros(channels, compute)
    if x.size:
        upstream, source, target = g.reshape(samples, -1), x.reshape(samples, -1), dx.reshape(samples, -1)
        w, count = _flat(weight, compute), compute.type(samples * size)

        def task(low: int, high: int, _: int) -> None:
            for part, blocks in _tiles(low, high, samples, size):
                columns = slice(part.start * size, part.stop * size)
                center, rstd = mean[part], 1 / np.sqrt(var[part] + compute.type(eps))
                middle = _spread(center, size)
                for block in blocks:
                    h = upstream[block, columns].astype(compute, copy=False)
                    dbias[part] += _per_channel(_column_sum(h), size)
                    z = np.subtract(source[block, columns], middle, dtype=compute)
                    dweight[part] += _per_channel(_column_sum(np.multiply(h, z, z)), size)
                dweight[part] *= rstd
                scale = rstd if w is None else rstd * w[part]
                slope = -scale * rstd * dweight[part] / count
                shift = -scale * dbias[part] / count
                scale, slope, shift = (_spread(v.astype(compute), size) for v in (scale, slope, shift))
                for block in blocks:
                    z = np.subtract(source[block, columns], middle, dtype=compute)
                    np.multiply(z, slope, z)
                    np.add(z, shift, z)
                    h = np.multiply(upstream[block, columns], scale, dtype=compute)
                    np.add(h, z, target[block, columns], casting="unsafe")

        walk(task, channels, samples * size, 10)
    results: Triple = (dx, dweight.astype(dtype, copy=False), dbias.astype(dtype, copy=False))
    return _stored(results, out)  # type: ignore[no-any-return]
