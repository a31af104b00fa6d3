"""Convolution of lines on NumPy."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from .blocked import walk

__all__ = ["convolve"]

Array = np.ndarray[Any, np.dtype[Any]]


def convolve(x: Array, w: Array, start: int, size: int, out: Array | None = None) -> Array:
    r"""``size`` points, from ``start`` on, of :math:`y_i = \sum_k x_{i-k} w_k` along the last axis, 0 outside of both.

    Half types accumulate in float32. The other axes broadcast.
    """
    if x.dtype.itemsize == 2 and x.dtype.kind not in "iu":
        y = convolve(x.astype(np.float32), w.astype(np.float32), start, size).astype(x.dtype)
    elif x.ndim == w.ndim == 1:
        y = _over_threads(x, w, start, size)
    else:
        y = _lines(x, w, start, size)
    if out is None:
        return y
    np.copyto(out, y)
    return out


def _over_threads(x: Array, w: Array, start: int, size: int) -> Array:
    """One line, on several threads if that pays: every thread has points of its own."""
    n, m = sorted((x.size, w.size))
    if n * m < 1 << 18 or size < 2 or x.dtype.kind == "b":
        return _points(x, w, start, size)
    y = np.empty(size, x.dtype)

    def task(low: int, high: int, _: int) -> None:
        y[low:high] = _points(x, w, start + low, high - low)

    walk(task, size, n, 1, ranges=2)
    return y


def _points(x: Array, w: Array, start: int, size: int) -> Array:
    """Some points of the convolution of two lines."""
    n, m = x.size, w.size
    if start == 0 and size == n + m - 1:
        return np.convolve(x, w)
    if n < m:
        x, w, n, m = w, x, m, n
    if size == n and start == (m - 1) // 2:
        return np.convolve(x, w, "same")
    stop = start + size
    # what of the two takes part
    w_first, w_stop = max(start - n + 1, 0), min(stop, m)
    x_first, x_stop = max(start - w_stop + 1, 0), min(stop - w_first, n)
    if w_first >= w_stop or x_first >= x_stop:
        return np.zeros(size, x.dtype)
    x, w, at = x[x_first:x_stop], w[w_first:w_stop], start - x_first - w_first  # where we start in what is left
    n, m = x.size, w.size
    if at == m - 1 and n - m + 1 == size:
        return np.convolve(x, w, "valid")
    # with zeros around it, so that no point is computed that nobody wants
    padded = np.zeros(size + m - 1, x.dtype)
    left = m - 1 - at
    low, high = max(-left, 0), min(n, padded.size - left)
    padded[left + low : left + high] = x[low:high]
    return np.convolve(padded, w, "valid")


def _lines(x: Array, w: Array, start: int, size: int) -> Array:
    """Many lines: one after the other, or, if those of one operand are short, all at once for each of its elements."""
    lead = np.broadcast_shapes(x.shape[:-1], w.shape[:-1])
    y = np.zeros((*lead, size), x.dtype)
    n, m = x.shape[-1], w.shape[-1]
    if n < m:
        x, w, n, m = w, x, m, n
    if m <= y[..., 0].size and x.dtype.kind != "b":
        for k in range(m):
            low, high = max(start, k), min(start + size, n + k)
            if low < high:
                y[..., low - start : high - start] += x[..., low - k : high - k] * w[..., k, None]
        return y
    x, w = (np.broadcast_to(a, (*lead, a.shape[-1])) for a in (x, w))
    for place in itertools.product(*map(range, lead)):
        y[place] = _points(x[place], w[place], start, size)
    return y
