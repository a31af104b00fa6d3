"""Matrix products on NumPy's BLAS.

NumPy's half-precision product is hundreds of times slower than float32's, so half types are multiplied in float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .blas import product
from .blocked import is_half

__all__ = ["linear", "matmul"]

Array = np.ndarray[Any, np.dtype[Any]]


def matmul(x1: Array, x2: Array, out: Array | None = None) -> Array:
    """``np.matmul``; a stack of matrices times one matrix is a single product."""
    if x1.ndim == 2 and x2.ndim == 2 and x1.dtype.itemsize != 2:
        return product(x1, x2, out)
    if is_half(x1.dtype):
        y = matmul(x1.astype(np.float32), x2.astype(np.float32)).astype(x1.dtype)
        if out is None:
            return y
        np.copyto(out, y)
        return out
    if x1.ndim > 2 and x2.ndim == 2 and out is None and x1.flags.c_contiguous and x1.shape[-1] == x2.shape[0]:
        rows = x1.reshape(-1, x1.shape[-1]) if x1.size else x1.reshape(np.prod(x1.shape[:-1], dtype=int), x1.shape[-1])
        return product(rows, x2).reshape(*x1.shape[:-1], x2.shape[1])
    stacked: Array = np.matmul(x1, x2, out=out)
    return stacked


def linear(x: Array, weight: Array, bias: Array | None = None, out: Array | None = None) -> Array:
    """``x @ weight.T + bias``, the bias added into the product's own memory."""
    y = matmul(x, weight.T, out)
    return y if bias is None else np.add(y, bias, y if type(y) is np.ndarray else None)
