"""Two routines of the LAPACK that NumPy is linked with but has no function for: LU factors and triangular systems.

They are found, as `blas` finds OpenBLAS's switches, in the library of NumPy's wheels. Where there is another LAPACK,
`decomposition` and `solving` do the same with NumPy's functions, more slowly.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
from typing import Any

import numpy as np

__all__ = ["available", "lu_factor", "solve_triangular"]

Array = np.ndarray[Any, np.dtype[Any]]

_LETTERS = {"f": "s", "d": "d", "F": "c", "D": "z"}


@functools.cache
def _routine(name: str) -> Any:
    """A routine with 64-bit integers, under the name that the wheels' OpenBLAS has for it; None if there is none."""
    try:
        library = ctypes.CDLL(importlib.import_module("numpy.linalg._umath_linalg").__file__)
        return getattr(library, f"scipy_{name}_64_")
    except (ImportError, OSError, AttributeError):
        return None


def available(dtype: np.dtype[Any]) -> bool:
    """Whether both routines are there for a dtype."""
    letter = _LETTERS[dtype.char]
    return _routine(f"{letter}getrf") is not None and _routine(f"{letter}trtrs") is not None


def _integer(value: int) -> Any:
    return ctypes.byref(ctypes.c_int64(value))


def lu_factor(columns: Array) -> Array:
    """Factor one Fortran-ordered matrix in place; returns its 1-based pivots."""
    m, n = columns.shape
    pivots = np.empty(min(m, n), np.int64)
    info = ctypes.c_int64(0)
    rows = _integer(max(m, 1))
    routine = _routine(f"{_LETTERS[columns.dtype.char]}getrf")
    routine(
        _integer(m), _integer(n), ctypes.c_void_p(columns.ctypes.data), rows, ctypes.c_void_p(pivots.ctypes.data),
        ctypes.byref(info),
    )  # fmt: skip
    return pivots


def solve_triangular(columns: Array, b: Array, upper: bool, transposed: bool, unit: bool) -> None:
    """Solve one system with a Fortran-ordered matrix, or its transpose, in place of such right-hand sides."""
    n, count = b.shape
    info = ctypes.c_int64(0)
    size = _integer(max(n, 1))
    length = ctypes.c_size_t(1)
    flags = [ctypes.c_char_p(b"U" if upper else b"L"), ctypes.c_char_p(b"T" if transposed else b"N"),
             ctypes.c_char_p(b"U" if unit else b"N")]  # fmt: skip
    routine = _routine(f"{_LETTERS[columns.dtype.char]}trtrs")
    routine(
        *flags, _integer(n), _integer(count), ctypes.c_void_p(columns.ctypes.data), size,
        ctypes.c_void_p(b.ctypes.data), size, ctypes.byref(info), length, length, length,
    )  # fmt: skip
