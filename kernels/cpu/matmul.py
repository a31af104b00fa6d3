"""Matrix products on NumPy's BLAS.

NumPy's half-precision product is hundreds of times slower than float32's, so half types are multiplied in float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .blas import ALONE, controlled, product
from .blocked import is_half

__all__ = ["linear", "matmul"]

Array = np.ndarray[Any, np.dtype[Any]]

_FEWEST, _MANY = 3, 64  # rows between which `linear` multiplies the other way round
_LARGE = ALONE // _MANY  # elements of a weight from which a product with so few rows is split over threads


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
    if x1.ndim > 2 and x2.ndim <= 2 and out is None and x1.flags.c_contiguous and x1.shape[-1] == x2.shape[0]:
        rows = x1.reshape(-1, x1.shape[-1]) if x1.size else x1.reshape(np.prod(x1.shape[:-1], dtype=int), x1.shape[-1])
        if x2.ndim == 1:
            return np.matmul(rows, x2).reshape(x1.shape[:-1])  # type: ignore[no-any-return]
        return product(rows, x2).reshape(*x1.shape[:-1], x2.shape[1])
    stacked: Array = np.matmul(x1, x2, out=out)
    return stacked


def _few_rows(x: Array, weight: Array) -> bool:
    """Whether OpenBLAS takes less time for ``weight @ x.T``, of which it gives each thread a part of the result."""
    rows = x.size // max(weight.shape[-1], 1)
    return (
        _FEWEST <= rows < _MANY
        and rows * weight.size >= ALONE
        and len(weight) >= 2 * _MANY
        and x.dtype == weight.dtype
        and x.dtype.char in "fd"
        and x.flags.c_contiguous
        and x.shape[-1] == weight.shape[1]
        and controlled()
    )


def _linear_of_few(x: Array, weight: Array, bias: Array | None, out: Array | None) -> Array:
    turned = product(weight, x.reshape(-1, x.shape[-1]).T).T
    y = np.empty((*x.shape[:-1], len(weight)), x.dtype) if out is None else out
    if bias is None:
        np.copyto(y.reshape(turned.shape), turned)
    else:
        np.add(turned, bias, y.reshape(turned.shape))
    return y


def linear(x: Array, weight: Array, bias: Array | None = None, out: Array | None = None) -> Array:
    """``x @ weight.T + bias``, the bias added into the product's own memory."""
    if weight.size >= _LARGE and _few_rows(x, weight) and (out is None or out.flags.c_contiguous):
        return _linear_of_few(x, weight, bias, out)
    if x.ndim > 1 and x.dtype.itemsize != 2 and out is None and x.flags.c_contiguous and x.size and bias is not None:
        return product(x.reshape(-1, x.shape[-1]), weight.T, None, bias).reshape(*x.shape[:-1], len(weight))
    y = matmul(x, weight.T, out)
    return y if bias is None else np.add(y, bias, y if type(y) is np.ndarray else None)
