"""Gather and scatter on NumPy. Where indices repeat, the adding kernels accumulate."""

from __future__ import annotations

from typing import Any

import numpy as np

from .blocked import is_half

__all__ = [
    "add_along_axis",
    "getitem",
    "put_along_axis",
    "scatter_add",
    "setitem",
    "take",
    "take_add",
    "take_along_axis",
]

Array = np.ndarray[Any, np.dtype[Any]]


def getitem(x: Array, index: tuple[Any, ...], out: Array | None = None) -> Array:
    """``x[index]`` with at least one array among the indices, as a fresh array."""
    if out is None:
        return x[index]  # type: ignore[no-any-return]
    out[...] = x[index]
    return out


def setitem(out: Array, index: tuple[Any, ...], value: Any) -> None:
    """``out[index] = value``."""
    out[index] = value


def scatter_add(out: Array, index: tuple[Any, ...], value: Any) -> None:
    """``out[index] += value``, adding again for every repetition of an index."""
    if is_half(out.dtype):  # many small terms: accumulate in float32, round once
        total = np.zeros(out.shape, np.float32)
        np.add.at(total, index, np.asarray(value, np.float32))
        np.add(out, total, out=out, casting="unsafe")
    else:
        np.add.at(out, index, value)


def take(x: Array, indices: Array, axis: int, out: Array | None = None) -> Array:
    """Slices of ``x`` along ``axis``."""
    return x.take(indices, axis, out, "raise")


def take_add(out: Array, indices: Array, value: Any, axis: int) -> None:
    """Add slices of ``value`` to the slices of ``out`` that `take` would read."""
    scatter_add(out, (*(slice(None),) * axis, indices), value)


def take_along_axis(x: Array, indices: Array, axis: int, out: Array | None = None) -> Array:
    """``y[i, j] = x[indices[i, j], j]`` for axis 0, and so on; other axes broadcast."""
    y = np.take_along_axis(x, indices, axis)
    if out is None:
        return y
    out[...] = y
    return out


def put_along_axis(out: Array, indices: Array, value: Any, axis: int) -> None:
    """Write where `take_along_axis` would read."""
    np.put_along_axis(out, indices, value, axis)


def add_along_axis(out: Array, indices: Array, value: Any, axis: int) -> None:
    """Add where `take_along_axis` would read."""
    grids = np.ogrid[tuple(slice(0, n) for n in indices.shape)]
    index = list(grids)
    index[axis] = indices
    scatter_add(out, tuple(index), value)
