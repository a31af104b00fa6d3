"""Copies, casts, fills and joins on NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .blocked import BLOCK, walk

__all__ = ["arange", "assign", "cast", "concat", "copy", "fill", "repeat", "triangle", "triangle_indices"]

Array = np.ndarray[Any, np.dtype[Any]]
_REAL, _COMPLEX = np.dtype(np.float64), np.dtype(np.complex128)
_SHORT = 1 << 31  # integers whose product with the size of a block is exact in every type that numbers are counted in


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
    dtype = out.dtype
    whole = dtype.kind in "iu" and isinstance(start, int) and isinstance(step, int)
    wide = dtype if whole else _COMPLEX if dtype.kind == "c" else _REAL
    if out.size <= BLOCK or out.ndim != 1:
        if start.__class__ is step.__class__ is int and -_SHORT < start < _SHORT and -_SHORT < step < _SHORT:
            count = np.arange(start, start + out.size * step, step) if step else np.full(out.size, start)
        else:
            count = np.arange(out.size, dtype=wide) * step
            if start:
                count += start
        out[...] = count if out.ndim == 1 else count.reshape(out.shape)
        return

    if out.dtype == np.int64 and type(start) is int and type(step) is int:

        def count_on(low: int, high: int, block: int) -> None:  # from the block before
            first = min(low + block, high)
            np.add(np.arange(low, first, dtype=wide) * step, start, out=out[low:first])
            for i in range(first, high, block):
                stop = min(i + block, high)
                np.add(out[i - block : stop - block], block * step, out=out[i:stop])

        walk(count_on, out.size, 1, 4)
        return

    def task(low: int, high: int, block: int) -> None:  # whatever is wider than `out` stays in cache
        count = np.arange(low, min(low + block, high), dtype=wide)
        numbers = np.empty(len(count), wide)
        for i in range(low, high, block):
            n = min(block, high - i)
            part = numbers[:n]
            np.multiply(count[:n], step, out=part)
            np.add(part, start, out=part)
            np.copyto(out[i : i + n], part, casting="unsafe")
            count += block

    walk(task, out.size, 1, 4)


def concat(arrays: Sequence[Array], axis: int, out: Array | None = None) -> Array:
    """The arrays one after another along ``axis``."""
    if out is not None:
        return np.concatenate(arrays, axis, out)
    for x in arrays:
        if not x.flags.c_contiguous:  # NumPy would take the order of their axes over
            shape = list(arrays[0].shape)
            shape[axis] = sum(x.shape[axis] for x in arrays)
            return np.concatenate(arrays, axis, np.empty(shape, np.result_type(*arrays)))
    return np.concatenate(arrays, axis)


def repeat(x: Array, count: int, axis: int, out: Array | None = None) -> Array:
    """Every slice of the axis ``count`` times in a row."""
    if out is None:
        return np.repeat(x, count, axis)
    axis %= x.ndim
    shape = (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :])
    y = x.reshape(shape)
    wide = np.broadcast_to(y, (*shape[: axis + 1], count, *shape[axis + 2 :]))
    np.copyto(out, wide.reshape(out.shape))
    return out


def triangle_indices(out: Array, rows: int, columns: int, k: int = 0, upper: bool = False) -> None:
    """Rows, ``out[0]``, and columns, ``out[1]``, of a matrix's elements on one side of diagonal ``k``, in C order."""
    bounds = np.minimum(np.maximum(np.arange(rows) + (k if upper else k + 1), 0), columns)
    counts = columns - bounds if upper else bounds
    starts = np.cumsum(counts)
    starts -= counts
    if upper:
        starts -= bounds
    out[0] = np.repeat(np.arange(rows), counts)
    np.subtract(np.arange(out.shape[1]), np.repeat(starts, counts), out=out[1])


def triangle(x: Array, k: int = 0, upper: bool = False, out: Array | None = None) -> Array:
    """Matrices with zeros above diagonal ``k``, or below it where the ``upper`` triangle is kept."""
    m, n = x.shape[-2:]
    inside = np.tri(m, n, k - 1 if upper else k, dtype=np.bool_)
    y = np.where(inside, np.zeros((), x.dtype), x) if upper else np.where(inside, x, np.zeros((), x.dtype))
    if out is None:
        return y
    np.copyto(out, y)
    return out
