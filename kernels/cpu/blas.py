"""Matrix products that are split over our threads rather than those of BLAS, once ours are in use."""

from __future__ import annotations

from typing import Any

import numpy as np

from .blas_threads import controlled, one_thread
from .blocked import get_num_threads, overlaps, pays, share_out, with_head_start

__all__ = ["ALONE", "RATE", "controlled", "one_thread", "product"]

Array = np.ndarray[Any, np.dtype[Any]]

ALONE = 1 << 18  # multiplications of a product up to which OpenBLAS uses one thread anyway
RATE = 4  # multiplications in the time of a simple operation on an element

_HEAD_START = 1 << 20  # multiplications that the caller gets done until a thread that was asked has woken up
_GRAIN = 16  # rows, or columns, that BLAS computes together


def product(x1: Array, x2: Array, out: Array | None = None, bias: Array | None = None) -> Array:
    """``np.matmul`` of two matrices, split over our threads once they are in use; ``bias`` is added to each row.

    It takes twice the time while BLAS's own threads look for work: whoever multiplies otherwise, in short steps or many
    small products, does so within `one_thread`, or where our threads have nothing to do soon after.
    """
    rows, inner = x1.shape
    columns = x2.shape[1]
    if one_thread.used and rows * inner * columns > ALONE and _is_plain(x1, x2, out, bias):
        y = np.empty((rows, columns), x1.dtype) if out is None else out
        _split(x1, x2, y, bias)
        return y
    y = np.matmul(x1, x2) if out is None else np.matmul(x1, x2, out=out)
    return y if bias is None else np.add(y, bias, y)


def _is_plain(x1: Array, x2: Array, out: Array | None, bias: Array | None) -> bool:
    """Whether parts of the result can be computed one by one, into ``out``."""
    dtype = x1.dtype
    return (
        dtype == x2.dtype
        and dtype.char in "fd"
        and x1.shape[1] == x2.shape[0]
        and (bias is None or (bias.dtype == dtype and bias.shape == x2.shape[1:]))
        and (out is None or (out.dtype == dtype and not overlaps(out, (x1, x2))))
    )


def _split(x1: Array, x2: Array, y: Array, bias: Array | None) -> None:
    """The product by rows or by columns, whichever are more: each part packs the other operand for itself."""
    rows, columns = y.shape
    by_row = rows >= columns
    n, cost = max(rows, columns), x1.shape[1] * min(rows, columns)

    def task(low: int, high: int, _: int) -> None:
        part = y[low:high] if by_row else y[:, low:high]
        if by_row:
            np.matmul(x1[low:high], x2, part)
        else:
            np.matmul(x1, x2[:, low:high], part)
        if bias is not None:
            np.add(part, bias if by_row else bias[low:high], part)

    with one_thread():
        threads = min(get_num_threads(), n // _GRAIN) if pays(n * cost // RATE, 1) else 1
        if threads <= 1:
            task(0, n, 1)
            return
        share_out(task, with_head_start(n, threads, _HEAD_START // cost, _GRAIN), threads)
