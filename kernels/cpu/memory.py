"""Copies, casts, fills and joins on NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["arange", "assign", "cast", "concat", "copy", "fill", "triangle"]

Array = np.ndarray[Any, np.dtype[Any]]


def copy(x: Array, out: Array | None = None) -> Array:
    """A fresh C-contiguous copy."""
    if out is None:
        return x.copy()
    np.copyto(out, x)
    return out


def cast(x: Array, dtype: Any, out: Array | None = None) -> Array:
    """A fresh copy in another dtype; complex to real keeps the real part."""
    if x.dtype.kind == "c" and np.dtype(dtype).kind not in "cb":
        x = x.real
    if out is None:
        return x.astype(dtype, order="C")
    np.copyto(out, x, casting="unsafe")
    return out


def fill(out: Array, value: Any) -> None:
    """Every element becomes ``value``."""
    out[...] = value


def assign(out: Array, x: Any) -> None:
    """``out[...] = x``, broadcast and cast."""
    np.copyto(out, x, casting="unsafe")


def arange(out: Array, start: Any, step: Any) -> None:
    """``out[i] = start + i * step``."""
    if out.dtype.kind in "iu":
        count = np.arange(out.size, dtype=out.dtype)
    else:
        count = np.arange(out.size, dtype=np.complex128 if out.dtype.kind == "c" else np.float64)
    np.copyto(out, count * step + start, casting="unsafe")


def concat(arrays: Sequence[Array], axis: int, out: Array | None = None) -> Array:
    """The arrays one after another along ``axis``."""
    return np.concatenate(arrays, axis, out=out)


def triangle(x: Array, k: int = 0, upper: bool = False, out: Array | None = None) -> Array:
    """Matrices with zeros above diagonal ``k``, or below it where the ``upper`` triangle is kept."""
    m, n = x.shape[-2:]
    inside = np.tri(m, n, k - 1 if upper else k, dtype=np.bool_)
    y = np.where(inside, np.zeros((), x.dtype), x) if upper else np.where(inside, x, np.zeros((), x.dtype))
    if out is None:
        return y
    np.copyto(out, y)
    return out
