"""Copies, casts, fills and joins on CUDA."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import cupy
import numpy as np

from .elementwise import where
from .module import from_number, stored
from .search import searchsorted

__all__ = ["arange", "assign", "cast", "concat", "copy", "fill", "repeat", "triangle", "triangle_indices"]


def copy(x: Any, out: Any | None = None) -> Any:
    """A fresh C-contiguous copy."""
    if out is None:
        return x.copy(order="C")
    cupy.copyto(out, x)
    return out


def cast(x: Any, dtype: Any, out: Any | None = None) -> Any:
    """A fresh copy in another dtype; complex to real keeps the real part."""
    if x.dtype.kind == "c" and np.dtype(dtype).kind not in "cb":
        x = x.real
    if out is None:
        return x.astype(dtype, order="C")
    cupy.copyto(out, x, casting="unsafe")
    return out


def fill(out: Any, value: Any) -> None:
    """Every element becomes ``value``."""
    out[...] = value


def assign(out: Any, x: Any) -> None:
    """``out[...] = x``, broadcast and cast."""
    cupy.copyto(out, x, casting="unsafe")


@functools.cache
def _arange(scalar: str) -> Any:
    return cupy.ElementwiseKernel(
        f"{scalar} start, {scalar} step", "T out", f"out = static_cast<T>(start + {_C[scalar]}(i) * step)", "tg_arange"
    )


_C = {"int64": "(long long)", "float64": "(double)"}


def arange(out: Any, start: Any, step: Any) -> None:
    """``out[i] = start + i * step``."""
    if out.dtype.kind == "c":
        start, step = complex(start), complex(step)
        arange(out.real, start.real, step.real)
        arange(out.imag, start.imag, step.imag)
    elif out.dtype.kind in "iu" and isinstance(start, int) and isinstance(step, int):
        _arange("int64")(_wrapped(start), _wrapped(step), out)
    else:
        _arange("float64")(float(start), float(step), out)


def _wrapped(value: int) -> int:
    """The int64 with the same low 64 bits: unsigned results come out right modulo 2**64."""
    return (value + 2**63) % 2**64 - 2**63


def concat(arrays: Sequence[Any], axis: int, out: Any | None = None) -> Any:
    """The arrays one after another along ``axis``."""
    first = arrays[0]
    axis %= first.ndim
    for a in arrays[1:]:
        if a.ndim != first.ndim or any(
            m != n for i, (m, n) in enumerate(zip(a.shape, first.shape, strict=True)) if i != axis
        ):
            raise ValueError(f"concat: shapes {first.shape} and {a.shape} must agree off axis {axis}")
    shape = list(first.shape)
    shape[axis] = sum(a.shape[axis] for a in arrays)
    y = cupy.empty(shape, first.dtype) if out is None else out
    start = 0
    for a in arrays:  # one copy each: CuPy's own way uploads a table, which a captured stream forbids
        stop = start + a.shape[axis]
        if stop > start:
            cupy.copyto(y[(slice(None),) * axis + (slice(start, stop),)], a, casting="unsafe")
        start = stop
    return y


def repeat(x: Any, count: int, axis: int, out: Any | None = None) -> Any:
    """Every slice of the axis ``count`` times in a row."""
    axis %= x.ndim
    lead, n, rest = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    y = cupy.empty((*lead, n, count, *rest), x.dtype)
    cupy.copyto(y, x.reshape((*lead, n, 1, *rest)))
    return stored(y.reshape((*lead, n * count, *rest)), out)


def triangle_indices(out: Any, rows: int, columns: int, k: int = 0, upper: bool = False) -> None:
    """Rows, ``out[0]``, and columns, ``out[1]``, of a matrix's elements on one side of diagonal ``k``, in C order."""
    bounds = cupy.minimum(cupy.maximum(cupy.arange(rows) + (k if upper else k + 1), 0), columns)
    counts = columns - bounds if upper else bounds
    ends, each = cupy.cumsum(counts), cupy.arange(out.shape[1])
    out[0] = searchsorted(ends, each, True)
    starts = ends - counts
    out[1] = each - cupy.take(starts - bounds if upper else starts, out[0])


def triangle(x: Any, k: int = 0, upper: bool = False, out: Any | None = None) -> Any:
    """Matrices with zeros above diagonal ``k``, or below it where the ``upper`` triangle is kept."""
    inside = cupy.tri(*x.shape[-2:], k - 1 if upper else k, dtype=bool)
    zero = from_number(0, x.dtype)
    return stored(where(inside, zero, x) if upper else where(inside, x, zero), out)
