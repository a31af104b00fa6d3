"""Matrix products that are split over our threads rather than those of BLAS, once ours are in use."""

from __future__ import annotations

from typing import Any

import numpy as np

from .blas_threads import controlled, one_thread
from .blocked import overlaps, walk

__all__ = ["ALONE", "controlled", "one_thread", "product"]

Array = np.ndarray[Any, np.dtype[Any]]

ALONE = 1 << 18  # multiplications of a product up to which OpenBLAS uses one thread anyway


def product(x1: Array, x2: Array, out: Array | None = None) -> Array:
    """``np.matmul`` of two matrices, split over our threads where `one_thread` has been used before."""
    rows, inner = x1.shape
    columns = x2.shape[1]
    plain = one_thread.used and x1.dtype == x2.dtype and x1.dtype.char in "fd" and inner == x2.shape[0]
    if not plain or rows * inner * columns <= ALONE or (out is not None and overlaps(out, (x1, x2))):
        return np.matmul(x1, x2) if out is None else np.matmul(x1, x2, out=out)
    y = np.empty((rows, columns), x1.dtype) if out is None else out
    by_row = rows >= columns

    def task(low: int, high: int, _: int) -> None:
        if by_row:
            np.matmul(x1[low:high], x2, out=y[low:high])
        else:
            np.matmul(x1, x2[:, low:high], out=y[:, low:high])

    with one_thread():
        walk(task, max(rows, columns), inner * min(rows, columns), 1)
    return y
