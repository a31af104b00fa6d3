"""Pooling on CUDA: one thread per element of the result; the gradients gather, so they are deterministic."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from ..windows import out_size
from .module import FLOATS, blocks, by_value, c_name, launch, stored

__all__ = ["INSTANTIATIONS", "avg_pool", "avg_pool_backward", "max_pool", "max_pool_backward", "max_pool_values"]

INSTANTIATIONS = {
    "pool": [
        f"{k}<{t}>"
        for k in ("max_pool", "max_pool_values", "max_pool_backward", "avg_pool", "avg_pool_backward")
        for t in FLOATS
    ]
}

_THREADS = 256

Sizes = tuple[int, ...]


def _three(values: Sizes, missing: int = 1) -> Sizes:
    return (missing,) * (3 - len(values)) + tuple(values)


def _struct(
    planes: int,
    size: Sizes,
    out: Sizes,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    include_padding: bool = True,
    divisor: int | None = None,
) -> Any:
    """The ``Sizes`` of ``pool.cu``."""
    if len(size) > 3:
        raise ValueError(f"at most 3 spatial axes on CUDA, got {len(size)}")
    triples = (_three(size), _three(out), _three(kernel), _three(stride), _three(padding, 0), _three(dilation))
    return by_value(planes, *(n for triple in triples for n in triple), int(include_padding), divisor or 0)


def _run(name: str, arrays: tuple[Any, ...], made: Any, struct: Any) -> None:
    grid = (blocks(made.size, _THREADS, 1 << 16),)
    launch("pool", f"{name}<{c_name(made.dtype)}>", grid, (_THREADS,), (*arrays, made.size, struct))


def _result(shape: Sizes, dtype: Any, out: Any | None, *inputs: Any) -> Any:
    fits = out is not None and out.flags.c_contiguous and out.shape == shape and out.dtype == dtype
    return out if fits and not any(cupy.may_share_memory(out, x) for x in inputs) else cupy.empty(shape, dtype)


def max_pool(
    x: Any,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool = False,
    out: tuple[Any, Any] | None = None,
) -> tuple[Any, Any]:
    """Maxima of (N, C, ...), and where each stands in its channel, as an index into the flattened spatial axes."""
    size = x.shape[2:]
    positions = out_size(size, kernel, stride, padding, dilation, ceil_mode)
    shape = (*x.shape[:2], *positions)
    y = cupy.empty(shape, x.dtype)
    indices = cupy.empty(shape, np.int64)
    struct = _struct(x.shape[0] * x.shape[1], size, positions, kernel, stride, padding, dilation)
    _run("max_pool", (cupy.ascontiguousarray(x), y, indices), y, struct)
    return (y, indices) if out is None else (stored(y, out[0]), stored(indices, out[1]))


def max_pool_values(
    x: Any,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool = False,
    out: Any | None = None,
) -> Any:
    """The maxima of `max_pool` alone."""
    size = x.shape[2:]
    positions = out_size(size, kernel, stride, padding, dilation, ceil_mode)
    y = _result((*x.shape[:2], *positions), x.dtype, out, x)
    struct = _struct(x.shape[0] * x.shape[1], size, positions, kernel, stride, padding, dilation)
    _run("max_pool_values", (cupy.ascontiguousarray(x), y), y, struct)
    return stored(y, out)


def max_pool_backward(
    g: Any,
    indices: Any,
    size: Sizes,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    out: Any | None = None,
) -> Any:
    """Zeros of spatial ``size`` with every ``g`` added where its maximum stood."""
    dx = _result((*g.shape[:2], *size), g.dtype, out, g)
    struct = _struct(g.shape[0] * g.shape[1], size, g.shape[2:], kernel, stride, padding, dilation)
    _run("max_pool_backward", (cupy.ascontiguousarray(g), cupy.ascontiguousarray(indices), dx), dx, struct)
    return stored(dx, out)


def avg_pool(
    x: Any,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    out: Any | None = None,
) -> Any:
    """Averages of windows of (N, C, ...)."""
    size, ones = x.shape[2:], (1,) * len(kernel)
    positions = out_size(size, kernel, stride, padding, ones, ceil_mode)
    y = _result((*x.shape[:2], *positions), x.dtype, out, x)
    planes = x.shape[0] * x.shape[1]
    struct = _struct(planes, size, positions, kernel, stride, padding, ones, count_include_pad, divisor_override)
    _run("avg_pool", (cupy.ascontiguousarray(x), y), y, struct)
    return stored(y, out)


def avg_pool_backward(
    g: Any,
    size: Sizes,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    out: Any | None = None,
) -> Any:
    """Every ``g`` divided as in `avg_pool` and added to all elements of its window."""
    dx = _result((*g.shape[:2], *size), g.dtype, out, g)
    planes, ones = g.shape[0] * g.shape[1], (1,) * len(kernel)
    struct = _struct(planes, size, g.shape[2:], kernel, stride, padding, ones, count_include_pad, divisor_override)
    _run("avg_pool_backward", (cupy.ascontiguousarray(g), dx), dx, struct)
    return stored(dx, out)
