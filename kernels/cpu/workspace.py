"""Memory that a kernel works in and its thread keeps for the next one: fresh memory costs a page fault per page."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from .pages import LINE, empty

__all__ = ["workspace"]

Array = np.ndarray[Any, np.dtype[Any]]

_KEPT = 1 << 24  # bytes that a thread keeps at most

_local = threading.local()


def workspace(dtype: Any, *sizes: int) -> list[Array]:
    """Uninitialised 1-D buffers of these sizes; they are valid until this thread's next call.

    Examples
    --------
    >>> [buffer.size for buffer in workspace("float32", 3, 5)]
    [3, 5]
    """
    dtype = np.dtype(dtype)
    starts = [0]
    for size in sizes:
        starts.append(starts[-1] + -(-size * dtype.itemsize // LINE) * LINE)  # each begins a cache line
    held: Array | None = getattr(_local, "held", None)
    if held is None or held.size < starts[-1]:
        held = empty((starts[-1],), np.uint8)
        if held.size <= _KEPT:
            _local.held = held
    return [held[start : start + size * dtype.itemsize].view(dtype) for start, size in zip(starts, sizes, strict=False)]
