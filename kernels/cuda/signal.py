"""Convolution of lines on CUDA. Half types accumulate in float32."""

from __future__ import annotations

import math
from typing import Any

import cupy
import numpy as np

from .module import FLOATS, INTEGERS, blocks, c_name, launch, stored

__all__ = ["INSTANTIATIONS", "convolve"]

INSTANTIATIONS = {"signal": [f"convolve<{t}>" for t in (*INTEGERS, *FLOATS)]}


def convolve(x: Any, w: Any, start: int, size: int, out: Any | None = None) -> Any:
    """``size`` points, from ``start`` on, of the convolution along the last axis; the other axes broadcast."""
    if x.dtype.kind == "c":
        y = _complex(x, w, start, size)
    elif x.dtype.kind == "b":
        y = _launched(x.astype(np.int64), w.astype(np.int64), start, size).astype(bool)
    else:
        y = _launched(x, w, start, size)
    return stored(y, out)


def _complex(x: Any, w: Any, start: int, size: int) -> Any:
    """From the convolutions of the parts."""
    parts = [_launched(a, b, start, size) for a in (x.real, x.imag) for b in (w.real, w.imag)]
    y = cupy.empty(parts[0].shape, x.dtype)
    cupy.subtract(parts[0], parts[3], out=y.real)
    cupy.add(parts[1], parts[2], out=y.imag)
    return y


def _launched(x: Any, w: Any, start: int, size: int) -> Any:
    lead = np.broadcast_shapes(x.shape[:-1], w.shape[:-1])
    lines, n, m = math.prod(lead), x.shape[-1], w.shape[-1]
    rows = [a if math.prod(a.shape[:-1]) == 1 else cupy.broadcast_to(a, (*lead, a.shape[-1])) for a in (x, w)]
    x, w = (cupy.ascontiguousarray(a) for a in rows)
    y = cupy.empty((*lead, size), x.dtype)
    steps = (n if x.size > n else 0, m if w.size > m else 0)
    launch(
        "signal",
        f"convolve<{c_name(x.dtype)}>",
        (blocks(lines * size, 256, 1 << 20),),
        (256,),
        (x, w, y, lines, n, m, size, start, *steps),
    )
    return y
