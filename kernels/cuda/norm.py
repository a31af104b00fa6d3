"""Normalisation on CUDA: layer norm and RMS norm over rows, batch norm per channel, forward and backward."""

from __future__ import annotations

import math
from typing import Any

import cupy
import numpy as np

from .module import FLOATS, aligned, blocks, by_value, c_name, is_half, launch, stored
from .reduction import lanes_for

__all__ = [
    "INSTANTIATIONS",
    "batch_norm",
    "batch_norm_backward",
    "batch_norm_with",
    "layer_norm",
    "layer_norm_backward",
]

_SIZES = {"float": 4, "double": 8, "__half": 2, "__nv_bfloat16": 2}
_WIDTHS = [(t, w) for t in FLOATS for w in (1, 16 // _SIZES[t])]
_BOOLS = ("false", "true")
INSTANTIATIONS = {
    "norm": [
        *(f"layer_norm<{t}, {w}, {c}>" for t, w in _WIDTHS for c in _BOOLS),
        *(f"layer_norm_backward<{t}, {w}, {c}, {a}>" for t, w in _WIDTHS for c in _BOOLS for a in _BOOLS),
        *(f"apply_channels<{t}, {w}, {b}>" for t, w in _WIDTHS for b in _BOOLS),
        *(f"{k}<{t}>" for k in ("sum_partials", "finish_forward", "finish_backward", "given") for t in FLOATS),
        *(f"channel_{k}<{t}, {p}>" for k in ("rows", "columns") for t in FLOATS for p in ("Forward", "Backward")),
    ]
}
_SHARED = 48 << 10  # bytes that every device grants without asking
_MOST_BLOCKS = 512  # of a backward pass: each leaves one share of the weight's gradient


def _compute(dtype: Any) -> Any:
    return np.dtype(np.float32) if is_half(dtype) else dtype


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _contiguous(x: Any, dtype: Any = None) -> Any:
    return None if x is None else cupy.ascontiguousarray(x, dtype)


def _place(out: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    direct = out is not None and out.flags.c_contiguous and out.dtype == dtype and out.shape == shape
    return out if direct else cupy.empty(shape, dtype)


def _stored(results: tuple[Any, ...], out: Any) -> Any:
    return results if out is None else tuple(stored(y, o) for y, o in zip(results, out, strict=True))


def _width(n: int, *arrays: Any) -> int:
    """Elements per memory access: 16 bytes of them where every row starts at a multiple of that."""
    given = [a for a in arrays if a is not None]
    wide = 16 // given[0].dtype.itemsize
    return wide if n % wide == 0 and aligned(given, 16) else 1


# ----------------------------------------------------------------------------------------------------------- layer norm
def layer_norm(
    x: Any,
    weight: Any | None = None,
    bias: Any | None = None,
    axes: int = 1,
    eps: float = 1e-5,
    centered: bool = True,
    out: Any | None = None,
) -> Any:
    """``(x - mean) * rstd * weight + bias`` over the last ``axes`` axes, with the mean and rstd of each row."""
    dtype, compute = x.dtype, _compute(x.dtype)
    kept = x.shape[: x.ndim - axes] + (1,) * axes
    rows, n = math.prod(kept), math.prod(x.shape[x.ndim - axes :])
    given = out or (None,) * 3
    y, mean, rstd = _place(given[0], x.shape, dtype), _place(given[1], kept, compute), _place(given[2], kept, compute)
    if x.size:
        x, weight, bias = _contiguous(x), _contiguous(weight, dtype), _contiguous(bias, dtype)
        block = lanes_for(n)
        name = f"layer_norm<{c_name(dtype)}, {_width(n, x, weight, bias, y)}, {_bool(centered)}>"
        arguments = (x, weight, bias, y, mean, rstd, rows, n, float(eps))
        launch("norm", name, (blocks(rows, block[1]),), block, arguments)
    elif rows:
        mean.fill(0)
        rstd.fill(math.nan)
    return _stored((y, mean, rstd), out)


def layer_norm_backward(
    g: Any,
    x: Any,
    mean: Any,
    rstd: Any,
    weight: Any | None = None,
    axes: int = 1,
    centered: bool = True,
    affine: bool = False,
    out: Any | None = None,
) -> Any:
    """The gradient by ``x`` and, with ``affine``, those by weight and bias."""
    dtype, compute = x.dtype, _compute(x.dtype)
    shape = x.shape[x.ndim - axes :]
    rows, n = math.prod(x.shape[: x.ndim - axes]), math.prod(shape)
    given = (out if affine else (out,)) if out is not None else (None,) * 3
    dx = _place(given[0], x.shape, dtype)
    sums = tuple(_place(o, shape, dtype) for o in given[1:]) if affine else ()
    if x.size:
        g, x, mean, rstd = (_contiguous(a) for a in (g, x, mean, rstd))
        weight = _contiguous(weight, dtype)
        lanes, groups = lanes_for(n)
        room = _SHARED // (2 * n * compute.itemsize)  # groups whose sums fit into shared memory
        while affine and groups > 1 and groups > room:
            groups //= 2
        shared = affine and room >= groups
        grid = min(blocks(rows, groups), _MOST_BLOCKS) if affine else blocks(rows, groups)
        partial = cupy.empty((grid, 2, n), compute) if affine else None
        kernel = f"layer_norm_backward<{c_name(dtype)}, {_width(n, g, x, weight, dx)}, {_bool(centered)}"
        arguments = (g, x, mean, rstd, weight, dx, partial, rows, n, np.int32(shared))
        used = 2 * n * groups * compute.itemsize if shared else 0
        launch("norm", f"{kernel}, {_bool(affine)}>", (grid,), (lanes, groups), arguments, used)
        if affine:
            total = (partial, *sums, grid, n)
            launch("norm", f"sum_partials<{c_name(dtype)}>", (blocks(2 * n, 32),), (32, 8), total)
    else:
        for a in sums:
            a.fill(0)
    if affine:
        return _stored((dx, *sums), out)
    return stored(dx, out)


# ----------------------------------------------------------------------------------------------------------- batch norm
def _channels(x: Any) -> tuple[int, int, int]:
    return x.shape[0], x.shape[1], math.prod(x.shape[2:])


def _partial(name: str, x: Any, g: Any, mean: Any, words: int) -> tuple[Any, int]:
    """What the parts of each channel add up to, and how many parts there are."""
    samples, channels, size = _channels(x)
    if size >= 32:
        splits = max(min(blocks(1024, channels), blocks(samples * size, 2048)), 1)
        grid, block, kernel, parts = (channels, splits), (256, 1), "channel_rows", splits
    else:
        tiles = blocks(channels * size, 32)
        splits = max(min(blocks(1024, tiles), blocks(samples, 64)), 1)
        grid, block, kernel, parts = (tiles, splits), (32, 8), "channel_columns", splits * size
    partial = cupy.empty((channels, parts, words), _compute(x.dtype))
    arguments = (x, g, mean, partial, by_value(samples, channels, size, splits))
    launch("norm", f"{kernel}<{c_name(x.dtype)}, {name}>", grid, block, arguments)
    return partial, parts


def _apply(x: Any, g: Any, y: Any, mean: Any, factors: Any) -> None:
    _, channels, size = _channels(x)
    width = _width(size, x, g, y)
    grid = blocks(x.size, 256 * width, 1 << 20)
    name = f"apply_channels<{c_name(x.dtype)}, {width}, {_bool(g is not None)}>"
    launch("norm", name, (grid,), (256,), (x, g, y, mean, factors, x.size, channels, size))


def batch_norm(
    x: Any, weight: Any | None = None, bias: Any | None = None, eps: float = 1e-5, out: Any | None = None
) -> Any:
    """Each channel (axis 1) normalised over all other axes, with its mean and its variance."""
    dtype, compute = x.dtype, _compute(x.dtype)
    channels = x.shape[1]
    given = out or (None,) * 3
    y = _place(given[0], x.shape, dtype)
    mean, var = (_place(o, (channels,), compute) for o in given[1:])
    if x.size:
        x, weight, bias = _contiguous(x), _contiguous(weight, dtype), _contiguous(bias, dtype)
        partial, parts = _partial("Forward", x, None, None, 3)
        factors = cupy.empty((2, channels), compute)
        arguments = (partial, weight, bias, mean, var, factors, channels, parts, float(eps))
        launch("norm", f"finish_forward<{c_name(dtype)}>", (blocks(channels, 8),), (32, 8), arguments)
        _apply(x, None, y, mean, factors)
    elif channels:
        mean.fill(math.nan)
        var.fill(math.nan)
    return _stored((y, mean, var), out)


def batch_norm_with(
    x: Any,
    mean: Any,
    var: Any,
    weight: Any | None = None,
    bias: Any | None = None,
    eps: float = 1e-5,
    out: Any | None = None,
) -> Any:
    """Each channel normalised with a given mean and variance."""
    dtype, compute = x.dtype, _compute(x.dtype)
    channels = x.shape[1]
    y = _place(out, x.shape, dtype)
    if x.size:
        x, mean, var = _contiguous(x), _contiguous(mean, compute), _contiguous(var, compute)
        factors = cupy.empty((2, channels), compute)
        arguments = (var, _contiguous(weight, dtype), _contiguous(bias, dtype), factors, channels, float(eps))
        launch("norm", f"given<{c_name(dtype)}>", (blocks(channels, 256),), (256,), arguments)
        _apply(x, None, y, mean, factors)
    return stored(y, out)


def batch_norm_backward(
    g: Any,
    x: Any,
    mean: Any,
    var: Any,
    weight: Any | None = None,
    eps: float = 1e-5,
    out: Any | None = None,
) -> Any:
    """The gradients by ``x``, weight and bias."""
    dtype, compute = x.dtype, _compute(x.dtype)
    samples, channels, size = _channels(x)
    given = out or (None,) * 3
    dx = _place(given[0], x.shape, dtype)
    dweight, dbias = (_place(o, (channels,), dtype) for o in given[1:])
    if x.size:
        g, x, mean, var = (_contiguous(a) for a in (g, x, mean, var))
        weight = _contiguous(weight, dtype)
        partial, parts = _partial("Backward", x, g, mean, 2)
        factors = cupy.empty((3, channels), compute)
        count = float(samples * size)
        arguments = (partial, var, weight, dweight, dbias, factors, channels, parts, count, float(eps))
        launch("norm", f"finish_backward<{c_name(dtype)}>", (blocks(channels, 8),), (32, 8), arguments)
        _apply(x, g, dx, mean, factors)
    elif channels:
        dweight.fill(0)
        dbias.fill(0)
    return _stored((dx, dweight, dbias), out)
