"""Softmax, log-softmax and their gradients on NumPy, along any axis.

An array is seen as lines along the axis: ``(rows, n)``, or ``(outer, n, inner)`` when the axis is not the last one. A
block of lines goes through all steps while it is in cache.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .blocked import BLOCK, compute_type, overlaps, walk

__all__ = [
    "line_max",
    "line_sum",
    "log_softmax",
    "log_softmax_backward",
    "row_sum",
    "softmax",
    "softmax_backward",
    "walk_lines",
]

Array = np.ndarray[Any, np.dtype[Any]]


# ---------------------------------------------------------------------------------------------------------------- lines
@functools.lru_cache(maxsize=32)
def _ones(n: int, char: str) -> Array:
    return np.ones(n, char)


def line_max(x: Array) -> Array:
    """Maximum along axis 1, which is kept; NaN where there is one."""
    if x.ndim == 2:
        # NumPy's maximum over short rows is slow, 40 ns a row; argmax is not, and a transposed copy is faster still.
        rows, n = x.shape
        if n <= 16 and rows >= 128:
            return np.maximum.reduce(np.ascontiguousarray(x.T), 0)[:, None]  # type: ignore[no-any-return]
        return x[np.arange(rows), x.argmax(1)][:, None]  # type: ignore[no-any-return]
    return np.maximum.reduce(x, 1, keepdims=True)


def row_sum(x: Array) -> Array:
    """Sums of the rows of a matrix."""
    n = x.shape[1]
    if x.size <= 8192:  # where OpenBLAS does not yet wake its threads
        return np.dot(x, _ones(n, x.dtype.char))  # type: ignore[no-any-return]
    if n <= 1024:
        return np.einsum("ij->i", x)  # type: ignore[no-any-return]
    return np.add.reduce(x, 1)  # type: ignore[no-any-return]


def line_sum(x: Array) -> Array:
    """Sum along axis 1, which is kept."""
    if x.ndim == 2:
        return row_sum(x)[:, None]
    if x.shape[1] > 512:
        # Across rows NumPy adds one after the other; in runs of 256 the rounding errors do not pile up.
        outer, n, inner = x.shape
        runs = n >> 8
        total = np.add.reduce(np.add.reduce(x[:, : runs << 8].reshape(outer, runs, 256, inner), 2), 1, keepdims=True)
        return total + np.add.reduce(x[:, runs << 8 :], 1, keepdims=True)
    return np.add.reduce(x, 1, keepdims=True)


def walk_lines(task: Callable[[Any], None], shape: tuple[int, ...], work: int) -> None:
    """Call ``task(index)`` for slices that cut an array of lines into blocks, across threads if it is large.

    Parameters
    ----------
    task : callable
        Takes the block as ``x[index]``; several blocks may be under way at once.
    shape : tuple
        ``(rows, n)`` or ``(outer, n, inner)``; lines run along axis 1.
    work : int
        Simple ufuncs per element.
    """
    width = math.prod(shape[1:])
    if len(shape) == 2 or width <= BLOCK:

        def rows(low: int, high: int, step: int) -> None:
            for start in range(low, high, step):
                task(slice(start, min(start + step, high)))

        walk(rows, shape[0], width, work)
        return
    for k in range(shape[0]):

        def columns(low: int, high: int, step: int, k: int = k) -> None:
            for start in range(low, high, step):
                task((slice(k, k + 1), slice(None), slice(start, min(start + step, high))))

        walk(columns, shape[2], shape[1], work)


def _along(body: Callable[..., None], work: int, axis: int, out: Array | None, *inputs: Array) -> Array:
    """Run ``body(*inputs, out)`` on blocks of lines along ``axis``; every argument of it has lines along axis 1."""
    x = inputs[-1]
    shape, dtype = x.shape, x.dtype
    last = len(shape) - 1
    if x.size <= BLOCK and last == 1 and axis in {-1, 1} and dtype.char in "fd" and x.size and inputs[0].shape == shape:
        y = np.empty(shape, dtype) if out is None else out
        body(*inputs, y)
        return y
    if not shape:
        y = _along(body, work, 0, None, *(a.reshape(1) for a in inputs)).reshape(())
        if out is None:
            return y
        np.copyto(out, y)
        return out
    if out is not None and out.shape != shape:
        raise ValueError(f"out has shape {out.shape}, the result {shape}")
    compute = compute_type(dtype)
    y = np.empty(shape, dtype) if out is None or not out.flags.c_contiguous or overlaps(out, inputs) else out
    if x.size:
        axis %= len(shape)
        lines: tuple[int, ...] = (math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))
        if lines[2] == 1:
            lines = lines[:2]
        sources = [np.broadcast_to(a, shape).reshape(lines) for a in inputs]
        target = y.reshape(lines)

        def task(index: Any) -> None:
            if dtype == compute:
                body(*(s[index] for s in sources), target[index])
                return
            blocks = [s[index].astype(compute) for s in sources]
            body(*blocks, blocks[-1])
            np.copyto(target[index], blocks[-1], casting="unsafe")

        walk_lines(task, lines, work)
    if out is None or out is y:
        return y
    np.copyto(out, y)
    return out


# --------------------------------------------------------------------------------------------------------------- bodies
# Inputs and out have lines along axis 1; out may be one of the inputs.
def _softmax(x: Array, out: Array) -> None:
    np.subtract(x, line_max(x), out)
    np.exp(out, out)
    np.divide(out, line_sum(out), out)


def _softmax_backward(g: Array, y: Array, out: Array) -> None:
    t = np.multiply(g, y)
    np.subtract(g, line_sum(t), t)
    np.multiply(t, y, out)


def _log_softmax(x: Array, out: Array) -> None:
    np.subtract(x, line_max(x), out)
    total = line_sum(np.exp(out))
    np.log(total, total)
    np.subtract(out, total, out)


def _log_softmax_backward(g: Array, y: Array, out: Array) -> None:
    t = np.exp(y)
    np.multiply(t, line_sum(g), t)
    np.subtract(g, t, out)


# -------------------------------------------------------------------------------------------------------------- kernels
def softmax(x: Array, axis: int = -1, out: Array | None = None) -> Array:
    r"""Softmax, :math:`e^{x_i - m} / \sum_j e^{x_j - m}` with :math:`m = \max_j x_j`.

    A line that holds NaN or +inf, or nothing but -inf, is NaN throughout, as in PyTorch.
    """
    return _along(_softmax, 10, axis, out, x)


def softmax_backward(g: Array, y: Array, axis: int = -1, out: Array | None = None) -> Array:
    r"""Gradient of `softmax`, :math:`y_i (g_i - \sum_j g_j y_j)`, from its result ``y``."""
    return _along(_softmax_backward, 5, axis, out, g, y)


def log_softmax(x: Array, axis: int = -1, out: Array | None = None) -> Array:
    r"""Logarithm of softmax, :math:`x_i - m - \log \sum_j e^{x_j - m}` with :math:`m = \max_j x_j`."""
    return _along(_log_softmax, 10, axis, out, x)


def log_softmax_backward(g: Array, y: Array, axis: int = -1, out: Array | None = None) -> Array:
    r"""Gradient of `log_softmax`, :math:`g_i - e^{y_i} \sum_j g_j`, from its result ``y``."""
    return _along(_log_softmax_backward, 10, axis, out, g, y)
