"""Gather and scatter on NumPy. Where indices repeat, the adding kernels accumulate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .blocked import is_half

__all__ = [
    "add_along_axis",
    "bincount",
    "getitem",
    "put_along_axis",
    "reduce_along_axis",
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
    try:
        out[index] = value
    except (TypeError, ValueError):  # one element and masks take no value with axes of length 1 in front
        shape = getattr(value, "shape", ())
        if shape[:1] != (1,):
            raise
        setitem(out, index, value[0])


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
    width = math.prod(out.shape[1:])
    if axis == 0 and width >= 8 and indices.size * width >= 4096 and (out.dtype.kind == "f" or is_half(out.dtype)):
        value = np.broadcast_to(value, (*indices.shape, *out.shape[1:]))
        if indices.ndim == 2 and not value.flags.c_contiguous:  # steps may come before the sequences in memory
            indices, value = indices.T, value.swapaxes(0, 1)
        _add_rows(out, indices.reshape(-1), value.reshape(indices.size, width))
    elif axis and indices.ndim == 1 and out.dtype.kind == "f" and _size(value) >= 4096 and indices.min() >= 0:
        _add_along(
            out, indices, np.broadcast_to(value, (*out.shape[:axis], indices.size, *out.shape[axis + 1 :])), axis
        )
    else:
        scatter_add(out, (*(slice(None),) * axis, indices), value)


def _size(value: Any) -> int:
    return value.size if isinstance(value, np.ndarray) else 1


def _order(places: Array) -> Array:
    """What puts places in order, equal ones as they come. NumPy sorts 16 bits by radix, six times as fast as 64."""
    if places.dtype.itemsize > 2 and places.min() >= 0 and places.max() <= 0xFFFF:
        places = places.astype(np.uint16)
    return places.argsort(kind="stable")


def _add_along(out: Array, places: Array, value: Array, axis: int) -> None:
    """Add slices of ``value`` to those of ``out`` along an axis: as for resampling, where places ascend."""
    if (places[1:] < places[:-1]).any():
        order = _order(places)
        places, value = places.take(order), value.take(order, axis)
    wide = np.float32 if is_half(out.dtype) else out.dtype
    starts = np.flatnonzero(np.append(True, places[1:] != places[:-1]))
    before: tuple[Any, ...] = (slice(None),) * axis
    longest = int(np.diff(np.append(starts, len(places))).max())
    if longest <= _FEW:  # round after round of slices, where a reduction's inner loop would be as short
        ends = np.append(starts[1:], len(places))
        for k in range(longest):
            has = starts + k < ends
            out[(*before, places[starts[has]])] += value.take(starts[has] + k, axis)
        return
    sums = np.add.reduceat(value.astype(wide, copy=False), starts, axis)
    target: Any = (*before, places[starts])
    out[target] = out[target] + sums


_FEW = 4  # equal rows, or slices, that are added one after another


def _add_rows(out: Array, rows: Array, value: Array) -> None:
    """Add rows of ``value`` to those of ``out``: sorted, equal ones stand together and are summed as one array."""
    if (rows[1:] < rows[:-1]).any():
        order = _order(rows)
        rows, value = rows.take(order), value.take(order, 0)
    if is_half(out.dtype):
        value = value.astype(np.float32)
    starts = np.flatnonzero(np.append(True, rows[1:] != rows[:-1]))
    longest = int(np.diff(np.append(starts, len(rows))).max())
    if longest <= _FEW and rows[0] >= 0 and not is_half(out.dtype):
        value = value.reshape(len(rows), *out.shape[1:])
        after = np.append(starts[1:], len(rows))
        for k in range(longest):  # the first of equal rows, the second: a reduction of so few takes longer
            places = starts if not k else starts[starts + k < after]
            out[rows[places]] += value if longest == 1 else value.take(places + k, 0)
        return
    if len(rows) < 16 * len(starts):
        sums = np.add.reduceat(value, starts, 0)
    else:
        ones, ends = np.ones(len(rows), value.dtype), [*starts[1:].tolist(), len(rows)]
        runs = zip(starts.tolist(), ends, strict=True)
        sums = np.stack([np.matmul(ones[start:end], value[start:end]) for start, end in runs])
    distinct, sums = rows[starts], sums.reshape(-1, *out.shape[1:])
    if distinct[0] >= 0:
        out[distinct] = np.add(out[distinct], sums)
    else:  # a row may be named twice, from the start and from the end
        scatter_add(out, (distinct,), sums)


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


_COMBINED: dict[str, Any] = {"prod": np.multiply, "amax": np.maximum, "amin": np.minimum}


def reduce_along_axis(out: Array, indices: Array, value: Array, axis: int, operation: str) -> None:
    """Multiply, or take the extremum, with what is where `take_along_axis` would read; NaN is every extremum."""
    index = list(np.ogrid[tuple(slice(0, n) for n in indices.shape)])
    index[axis] = indices
    ufunc = _COMBINED[operation]
    if is_half(out.dtype):
        wide = out.astype(np.float32)
        ufunc.at(wide, tuple(index), value.astype(np.float32))
        np.copyto(out, wide, casting="unsafe")
    else:
        ufunc.at(out, tuple(index), value)


def bincount(x: Array, size: int, weights: Array | None = None, out: Array | None = None) -> Array:
    """How often each integer from 0 to below ``size`` occurs in ``x``, or the sums of the weights of each."""
    y = np.bincount(x.reshape(-1), None if weights is None else weights.reshape(-1), size)
    if len(y) != size:
        raise IndexError(f"bincount: there are integers up to {len(y) - 1}, with size {size}")
    if out is None:
        return y.astype(np.int64 if weights is None else weights.dtype, copy=False)
    np.copyto(out, y, casting="unsafe")
    return out
