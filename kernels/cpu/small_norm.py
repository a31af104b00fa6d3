"""Layer norm of a few rows on NumPy, where the number of calls decides and not the elements."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

__all__ = ["is_small", "normalize"]

Array = np.ndarray[Any, np.dtype[Any]]

_ELEMENTS = 1 << 14  # up to which this is faster than products that center and scale
_ROW = 32  # elements of a row from which NumPy spends more on them than on its start


def is_small(rows: int, n: int) -> bool:
    """Whether `normalize` is the faster way."""
    return rows * n <= _ELEMENTS and n >= _ROW


@functools.lru_cache(64)
def _shares(n: int, kind: str) -> Array:
    """What each element counts for in a mean."""
    return np.full(n, 1 / n, kind)


def normalize(
    x: Array, weight: Array | None, bias: Array | None, eps: float, centered: bool, y: Array, mean: Array, rstd: Array
) -> None:
    """Put the normalised rows of ``x`` into ``y``, which may be ``x``, and their statistics into ``mean`` and ``rstd``.

    All have one dtype; ``mean`` is 0 on entry and stays so unless ``centered``.
    """
    n = x.shape[1]
    if centered:
        np.matmul(x, _shares(n, x.dtype.char), mean)
        x = np.subtract(x, mean[:, None], y)
    np.vecdot(x, x, rstd)
    rstd *= 1 / n
    rstd += eps
    np.sqrt(rstd, rstd)
    np.reciprocal(rstd, rstd)
    np.multiply(x, rstd[:, None], y)
    if weight is not None:
        np.multiply(y, weight, y)
    if bias is not None:
        np.add(y, bias, y)
