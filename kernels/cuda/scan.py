"""Running sums, products, extrema and log-sum-exps along one axis on CUDA. Half types accumulate in float32."""

from __future__ import annotations

import math
from typing import Any

import cupy
import numpy as np

from .module import FLOATS, REALS, blocks, c_name, launch, stored

__all__ = ["INSTANTIATIONS", "cummax_indices", "cumprod", "cumsum", "logcumsumexp"]

_OPERATIONS = {**dict.fromkeys(("CumSum", "CumProd", "CumMax", "CumMin"), REALS), "LogCumSumExp": FLOATS}
INSTANTIATIONS = {
    "scan": [
        f"{kernel}<{op}<{t}>>"
        for op, types in _OPERATIONS.items()
        for t in types
        for kernel in ("scan_lines", "scan_tiles", "scan_totals")
    ]
}
_TILE = 2048  # as in scan.cu
_STATE_BYTES = 16  # of the largest state, an index and a double
_MANY_LINES = 8192
_SHORT = 128
_GRID = 32768


def _scan(op: str, x: Any, axis: int, dtype: Any, reverse: bool, out: Any | None) -> Any:
    axis %= x.ndim
    n, inner = x.shape[axis], math.prod(x.shape[axis + 1 :])
    lines = math.prod(x.shape[:axis]) * inner
    sequential = (lines >= _MANY_LINES and inner > 1) or n <= _SHORT
    if inner > 1 and not sequential:  # few long lines that are not contiguous
        y = cupy.moveaxis(_scan(op, cupy.moveaxis(x, axis, -1), -1, dtype, reverse, None), -1, axis)
        return cupy.ascontiguousarray(y) if out is None else stored(y, out)
    x = cupy.ascontiguousarray(x)
    direct = out is not None and out.flags.c_contiguous and out.dtype == dtype and out.shape == x.shape
    y = out if direct else cupy.empty(x.shape, dtype)
    operation = f"<{op}<{c_name(x.dtype)}>>"
    turned = np.bool_(reverse)
    if not x.size:
        pass
    elif sequential:
        launch("scan", f"scan_lines{operation}", (blocks(lines, 128),), (128,), (x, y, lines, n, inner, turned))
    else:
        tiles, rows = blocks(n, _TILE), (min(lines, _GRID), blocks(lines, _GRID))
        if rows[1] > 1 and lines % _GRID:  # whole slabs of lines, then the rest
            cut = lines - lines % _GRID
            flat, result = x.reshape(lines, n), cupy.reshape(y, (lines, n))
            for part in (slice(0, cut), slice(cut, None)):
                _scan(op, flat[part], 1, dtype, reverse, result[part])
            return stored(y, out)
        totals: Any = None
        if tiles > 1:
            totals = cupy.empty(lines * tiles * _STATE_BYTES, np.uint8)
            launch("scan", f"scan_tiles{operation}", (tiles, *rows), (256,), (x, None, totals, n, turned))
            launch("scan", f"scan_totals{operation}", rows, (256,), (totals, tiles))
        launch("scan", f"scan_tiles{operation}", (tiles, *rows), (256,), (x, y, totals, n, turned))
    return stored(y, out)


def cumsum(x: Any, axis: int, reverse: bool = False, out: Any | None = None) -> Any:
    """Sums of all elements up to each one along ``axis``; with ``reverse``, of those from it on."""
    if x.dtype.kind == "c":
        y = cupy.flip(cupy.cumsum(cupy.flip(x, axis), axis), axis) if reverse else cupy.cumsum(x, axis)
        return stored(cupy.ascontiguousarray(y), out)
    return _scan("CumSum", x, axis, x.dtype, reverse, out)


def cumprod(x: Any, axis: int, out: Any | None = None) -> Any:
    """Products of all elements up to each one along ``axis``."""
    if x.dtype.kind == "c":
        return stored(cupy.cumprod(x, axis), out)
    return _scan("CumProd", x, axis, x.dtype, False, out)


def logcumsumexp(x: Any, axis: int, out: Any | None = None) -> Any:
    """Logarithms of the sums of the exponentials of all elements up to each one along ``axis``."""
    return _scan("LogCumSumExp", x, axis, x.dtype, False, out)


def cummax_indices(x: Any, axis: int, largest: bool = True, out: Any | None = None) -> Any:
    """Where the largest, or smallest, element up to each one is (int64): of equal ones the last; NaN beats numbers."""
    return _scan("CumMax" if largest else "CumMin", x, axis, np.dtype(np.int64), False, out)
