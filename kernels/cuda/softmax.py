"""Softmax and log-softmax on CUDA, forward and backward."""

from __future__ import annotations

import math
from typing import Any

import cupy

from .module import FLOATS, blocks, c_name, launch, stored
from .reduction import lanes_for

__all__ = ["INSTANTIATIONS", "log_softmax", "log_softmax_backward", "softmax", "softmax_backward"]

INSTANTIATIONS = {
    "softmax": [
        f"{k}<{t}, {b}>" for k in ("softmax_rows", "softmax_rows_backward") for t in FLOATS for b in ("false", "true")
    ]
}


def rows_of(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    """Number of rows along ``axis``, their length, and the distance between their elements."""
    inner = math.prod(shape[axis + 1 :])
    return math.prod(shape[:axis]) * inner, shape[axis], inner


def row_blocks(rows: int, n: int, inner: int) -> tuple[tuple[int], tuple[int, int]]:
    """Grid and block: a group of threads per contiguous row, a thread per strided one."""
    block = lanes_for(n) if inner == 1 else (1, 256 if rows > 65536 else 64)
    return (blocks(rows, block[1]),), block


def few_long_rows(rows: int, n: int, inner: int) -> bool:
    """Whether one thread per strided row would leave the device idle; then the axis is moved to the end."""
    return inner > 1 and n > 256 and rows < 32768


def _along(kernel: str, log: bool, arrays: tuple[Any, ...], axis: int, out: Any | None) -> Any:
    x = arrays[0]
    if x.ndim == 0:
        return _along(
            kernel, log, tuple(a.reshape(1) for a in arrays), 0, None if out is None else out.reshape(1)
        ).reshape(())
    axis %= x.ndim
    rows, n, inner = rows_of(x.shape, axis)
    if few_long_rows(rows, n, inner):
        y = _along(kernel, log, tuple(cupy.moveaxis(a, axis, -1) for a in arrays), -1, None)
        y = cupy.moveaxis(y, -1, axis)
        return cupy.ascontiguousarray(y) if out is None else stored(y, out)
    arrays = tuple(cupy.ascontiguousarray(a) for a in arrays)
    direct = out is not None and out.flags.c_contiguous and out.dtype == x.dtype and out.shape == x.shape
    y = out if direct else cupy.empty(x.shape, x.dtype)
    if x.size:
        grid, block = row_blocks(rows, n, inner)
        expression = f"{kernel}<{c_name(x.dtype)}, {'true' if log else 'false'}>"
        launch("softmax", expression, grid, block, (*arrays, y, rows, n, inner))
    return stored(y, out)


def softmax(x: Any, axis: int = -1, out: Any | None = None) -> Any:
    """``exp(x) / sum(exp(x))`` along ``axis``."""
    return _along("softmax_rows", False, (x,), axis, out)


def softmax_backward(g: Any, y: Any, axis: int = -1, out: Any | None = None) -> Any:
    """``y * (g - sum(g * y))``."""
    return _along("softmax_rows_backward", False, (g, y), axis, out)


def log_softmax(x: Any, axis: int = -1, out: Any | None = None) -> Any:
    """``x - logsumexp(x)`` along ``axis``."""
    return _along("softmax_rows", True, (x,), axis, out)


def log_softmax_backward(g: Any, y: Any, axis: int = -1, out: Any | None = None) -> Any:
    """``g - exp(y) * sum(g)``."""
    return _along("softmax_rows_backward", True, (g, y), axis, out)
