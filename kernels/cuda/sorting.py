"""A stable sort of bounded keys, by kernels of our own: no synchronisation, so that it can be captured."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from .module import blocks, launch

__all__ = ["INSTANTIATIONS", "sort_keys"]

INSTANTIATIONS = {"indexing": ["count_digits", "scan_counts", "place_digits"]}

_DIGITS, _TILE = 256, 2048  # as in indexing.cu


def sort_keys(keys: Any, limit: int) -> tuple[Any, Any]:
    """``(sorted keys, their positions)``, equal keys in their order.

    Parameters
    ----------
    keys : array of int64
        From 0 to ``limit`` inclusive.
    limit : int
        Keeps the number of passes small: one for every 8 bits.
    """
    count = keys.size
    if count >= 2**31:
        raise ValueError(f"cannot add {count} rows in one call; at most 2**31 - 1")
    tiles = blocks(count, _TILE)
    counts = cupy.empty(_DIGITS * tiles, np.int32)
    positions = None
    for shift in range(0, limit.bit_length(), 8):
        sorted_keys, sorted_positions = cupy.empty(count, np.int64), cupy.empty(count, np.int32)
        launch("indexing", "count_digits", (tiles,), (_DIGITS,), (keys, count, np.int32(shift), counts))
        launch("indexing", "scan_counts", (1,), (1024,), (counts, counts.size))
        arguments = (keys, positions, sorted_keys, sorted_positions, count, np.int32(shift), counts)
        launch("indexing", "place_digits", (tiles,), (_DIGITS,), arguments)
        keys, positions = sorted_keys, sorted_positions
    return keys, positions
