"""Memory of large arrays: where it begins, and that it stays with the process when they die.

NumPy takes the memory of a large array from ``malloc``, and the C library of Linux by default gets such a block from
the system and returns it when the array dies. The next temporary of a training step then starts on pages that the
system has to find and clear one by one, at the first write to each; chains of simple operations spend most of their
time there. Told to keep what is freed, ``malloc`` hands out pages that are in memory already.

The setting holds for the whole process, so it is made at the first launch on a large array, not at import, and not at
all if ``TENSORGRAD_KEEP_PAGES=0``, if the environment configures ``malloc`` itself, or where the C library is another.
"""

from __future__ import annotations

import ctypes
import math
import os
from typing import Any

import numpy as np

__all__ = ["LINE", "empty", "give_back", "keep"]

LINE = 64
"""Bytes of a cache line."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of two settings in glibc's malloc.h
_KEPT = 1 << 30  # bytes that may lie free at the end of the heap; larger blocks come from the system as before
_OWN_SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")

_done = False  # whether `keep` has been called
_kept = False  # and has had an effect


def keep() -> None:
    """Have ``malloc`` keep the pages of freed arrays, up to 1 GiB; only the first call does something."""
    global _done, _kept
    if _done:
        return
    _done = True
    if os.environ.get("TENSORGRAD_KEEP_PAGES") == "0" or any(name in os.environ for name in _OWN_SETTINGS):
        return
    if "CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", ()):
        return  # macOS, Windows and other C libraries, whose allocators have no such setting
    mallopt = ctypes.CDLL(None).mallopt
    if mallopt(_MMAP_THRESHOLD, _KEPT) or mallopt(_MMAP_THRESHOLD, 1 << 25):  # 32 MiB are the most in some versions
        _kept = bool(mallopt(_TRIM_THRESHOLD, _KEPT))


def give_back() -> None:
    """Return to the system what `keep` has kept: for when memory of that kind is not needed again."""
    if _kept:
        ctypes.CDLL(None).malloc_trim(0)


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """An uninitialised large array that begins with a cache line.

    NumPy's own begin 16 bytes later, so that every vector that is stored touches two lines.
    """
    dtype = np.dtype(dtype)
    memory = np.empty(math.prod(shape) * dtype.itemsize + LINE, np.uint8)
    return np.ndarray(shape, dtype, memory, -memory.__array_interface__["data"][0] % LINE)
