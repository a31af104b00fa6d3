"""Convolution on CUDA: cuDNN where it is installed and takes the call, else the kernels of ``conv.cu``.

`choice` says which of the two is asked first, `computed_by` which computed the last call of each instruction.
"""

from __future__ import annotations

import math
from typing import Any

import cupy
import numpy as np

from ..windows import out_size
from . import cudnn, cudnn_conv, reduction
from .module import FLOATS, blocks, by_value, c_name, is_half, launch, stored

__all__ = ["INSTANTIATIONS", "choice", "computed_by", "conv", "conv_input_gradient", "conv_weight_gradient"]

INSTANTIATIONS = {
    "conv": [
        *(f"conv_tile<{t}, {mode}>" for mode in (0, 1, 2) for t in FLOATS),
        *(f"conv_direct<{t}, {mode}>" for mode in (0, 1) for t in FLOATS),
        *(f"conv_weight_direct<{t}>" for t in FLOATS),
    ]
}

computed_by: dict[str, str] = {}
"""``"cudnn"`` or ``"own"`` by instruction: what computed its last call in this process."""

_FORWARD, _INPUT, _WEIGHT = 0, 1, 2
_TILE, _THREADS = 64, 256
_FEW = 8  # rows or columns of a group's product below which a tile is mostly empty
_PARTS = 512  # blocks wanted for the gradient by the weights: the sum is split to have as many

Sizes = tuple[int, ...]


def choice(dtype: Any) -> str:
    """``"cudnn"`` or ``"own"``: what convolutions of this dtype ask first."""
    return "own" if cudnn.conv_refusal(np.dtype(dtype).name) else "cudnn"


def _cudnn(name: str, *args: Any) -> Any | None:
    """What cuDNN gives, or None where it is missing or does not take the call."""
    y = getattr(cudnn_conv, name)(*args)
    computed_by[name] = "own" if y is None else "cudnn"
    return y


def _three(values: Sizes, missing: int = 1) -> Sizes:
    return (missing,) * (3 - len(values)) + tuple(values)


def _sizes(
    images: int, groups: int, weight: Sizes, size: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes
) -> tuple[Any, Sizes]:
    """The struct of ``conv.cu``, and the output's spatial axes."""
    if len(size) > 3:
        raise ValueError(f"at most 3 spatial axes on CUDA, got {len(size)}")
    out = out_size(size, weight[2:], stride, padding, dilation)
    numbers = (_three(size), _three(out), _three(weight[2:]), _three(stride), _three(padding, 0), _three(dilation))
    struct = by_value(images, groups, weight[1], weight[0] // groups, *(n for triple in numbers for n in triple))
    return struct, out


def _run(mode: int, left: Any, right: Any, bias: Any, y: Any, groups: int, sizes: Any) -> None:
    """FORWARD or INPUT, into a contiguous ``y``."""
    rows, columns = y.shape[1] // groups, y.shape[0] * math.prod(y.shape[2:])
    kind = c_name(y.dtype)
    if rows < _FEW:
        grid = (blocks(y.size, _THREADS, 1 << 16),)
        launch("conv", f"conv_direct<{kind}, {mode}>", grid, (_THREADS,), (left, right, bias, y, y.size, sizes))
        return
    grid = (blocks(columns, _TILE) * blocks(rows, _TILE) * groups,)
    launch("conv", f"conv_tile<{kind}, {mode}>", grid, (_THREADS,), (left, right, bias, y, None, 1, sizes))


def _result(shape: Sizes, dtype: Any, out: Any | None, *inputs: Any) -> Any:
    fits = out is not None and out.flags.c_contiguous and out.shape == shape and out.dtype == dtype
    return out if fits and not any(cupy.may_share_memory(out, x) for x in inputs) else cupy.empty(shape, dtype)


def conv(
    x: Any,
    weight: Any,
    bias: Any | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    out: Any | None = None,
) -> Any:
    """Cross-correlation of (N, C, ...) with (O, C / groups, ...), plus a bias per output channel."""
    sizes, positions = _sizes(x.shape[0], groups, weight.shape, x.shape[2:], stride, padding, dilation)
    shape = (x.shape[0], weight.shape[0], *positions)
    if math.prod(shape) and weight.size:
        y = _cudnn("conv", x, weight, shape, stride, padding, dilation, groups)
        if y is not None:
            if bias is not None:
                cupy.add(y, bias.reshape(-1, *(1,) * len(positions)), out=y)
            return stored(y, out)
    y = _result(shape, x.dtype, out, x, weight)
    if y.size:
        x, weight = cupy.ascontiguousarray(x), cupy.ascontiguousarray(weight)
        _run(_FORWARD, weight, x, None if bias is None else cupy.ascontiguousarray(bias), y, groups, sizes)
    return stored(y, out)


def conv_input_gradient(
    g: Any,
    weight: Any,
    size: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    out: Any | None = None,
) -> Any:
    """Gradient of `conv` by its input of spatial ``size``; also the transposed convolution."""
    sizes, _ = _sizes(g.shape[0], groups, weight.shape, size, stride, padding, dilation)
    shape = (g.shape[0], weight.shape[1] * groups, *size)
    if g.size and weight.size:
        dx = _cudnn("conv_input_gradient", g, weight, shape, stride, padding, dilation, groups)
        if dx is not None:
            return stored(dx, out)
    dx = _result(shape, g.dtype, out, g, weight)
    if dx.size:
        _run(_INPUT, cupy.ascontiguousarray(weight), cupy.ascontiguousarray(g), None, dx, groups, sizes)
    return stored(dx, out)


def conv_weight_gradient(
    g: Any,
    x: Any,
    kernel_size: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    out: Any | None = None,
) -> Any:
    """Gradient of `conv` by its weight, whose spatial axes are ``kernel_size``."""
    shape = (g.shape[1], x.shape[1] // groups, *kernel_size)
    if g.size and x.size:
        dw = _cudnn("conv_weight_gradient", g, x, shape, stride, padding, dilation, groups)
        if dw is not None:
            return stored(dw, out)
    sizes, _ = _sizes(x.shape[0], groups, shape, x.shape[2:], stride, padding, dilation)
    dw = _result(shape, g.dtype, out, g, x)
    if not dw.size:
        return stored(dw, out)
    g, x = cupy.ascontiguousarray(g), cupy.ascontiguousarray(x)
    kind = c_name(g.dtype)
    rows, columns = shape[0] // groups, math.prod(shape[1:])
    if rows < _FEW and shape[1] < _FEW:
        launch("conv", f"conv_weight_direct<{kind}>", (dw.size,), (_THREADS,), (g, x, dw, sizes))
        return stored(dw, out)
    tiles = blocks(columns, _TILE) * blocks(rows, _TILE) * groups
    depth = x.shape[0] * math.prod(g.shape[2:])
    parts = max(min(_PARTS // tiles, depth // (4 * _TILE)), 1)
    partial = cupy.empty((parts, *shape), np.dtype(np.float32) if is_half(g.dtype) else g.dtype)
    launch(
        "conv",
        f"conv_tile<{kind}, {_WEIGHT}>",
        (tiles * parts,),
        (_THREADS,),
        (g, x, None, None, partial, parts, sizes),
    )
    cupy.copyto(dw, partial[0] if parts == 1 else reduction.sum(partial, 0), casting="unsafe")
    return stored(dw, out)
