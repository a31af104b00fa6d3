"""Shape and dtype rules of the linear algebra, as those of `rules`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .rules import Spec

__all__ = [
    "crossed",
    "eigenpairs",
    "eigenpairs_general",
    "eigenvalues",
    "eigenvalues_general",
    "factor_and_info",
    "invertible",
    "least_squares",
    "lu_factors",
    "orthogonal_and_triangular",
    "permutations",
    "real_dtype",
    "reflectors",
    "sign_and_logarithm",
    "singular_values",
    "singular_vectors",
    "solution",
    "solution_and_info",
    "transposed",
]

_INFO = np.dtype(np.int32)


def real_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of absolute values."""
    return np.dtype(dtype.char.lower()) if dtype.kind == "c" else dtype


def _complex_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(dtype.char.upper())


def factor_and_info(x: Any, *_: Any, **__: Any) -> list[Spec]:
    """A matrix of the same shape and an int32 per matrix."""
    return [(x.shape, x.dtype), (x.shape[:-2], _INFO)]


def _solution_shape(a: Any, b: Any) -> tuple[int, ...]:
    return (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:])


def solution(a: Any, b: Any, *_: Any, **__: Any) -> Spec:
    """The right-hand sides, over the broadcast batch."""
    return _solution_shape(a, b), b.dtype


def transposed(x: Any, *_: Any, **__: Any) -> Spec:
    """The last two axes exchanged."""
    return (*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype


def least_squares(a: Any, b: Any, *_: Any, **__: Any) -> list[Spec]:
    """The solutions, ranks and singular values."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return [((*batch, a.shape[-1], b.shape[-1]), b.dtype), (a.shape[:-2], np.dtype(np.int64)), singular_values(a)]


def crossed(x1: Any, x2: Any, axis: int = -1) -> Spec:
    """The broadcast shape; the one dtype that the operands share."""
    return np.broadcast_shapes(x1.shape, x2.shape), x1.dtype


def solution_and_info(a: Any, b: Any, *_: Any, **__: Any) -> list[Spec]:
    """The solution, and an int32 per matrix of ``a``."""
    return [(_solution_shape(a, b), b.dtype), (a.shape[:-2], _INFO)]


def invertible(x: Any, *_: Any, **__: Any) -> Spec:
    """One number per matrix."""
    return x.shape[:-2], x.dtype


def sign_and_logarithm(x: Any) -> list[Spec]:
    """Sign, which is complex where the matrix is, and logarithm."""
    return [(x.shape[:-2], x.dtype), (x.shape[:-2], real_dtype(x.dtype))]


def eigenvalues(x: Any, *_: Any, **__: Any) -> Spec:
    """Real numbers, one per row."""
    return x.shape[:-1], real_dtype(x.dtype)


def eigenpairs(x: Any, *_: Any, **__: Any) -> list[Spec]:
    """Real eigenvalues, and eigenvectors as columns."""
    return [eigenvalues(x), (x.shape, x.dtype)]


def eigenvalues_general(x: Any) -> Spec:
    """Complex numbers, one per row."""
    return x.shape[:-1], _complex_dtype(x.dtype)


def eigenpairs_general(x: Any) -> list[Spec]:
    """Complex eigenvalues, and eigenvectors as columns."""
    return [eigenvalues_general(x), (x.shape, _complex_dtype(x.dtype))]


def singular_values(x: Any) -> Spec:
    """As many real numbers as the shorter side is long."""
    return (*x.shape[:-2], min(x.shape[-2:])), real_dtype(x.dtype)


def singular_vectors(x: Any, full: bool = False) -> list[Spec]:
    """``(u, s, vh)``."""
    *batch, m, n = x.shape
    k = min(m, n)
    left, right = (m, n) if full else (k, k)
    return [((*batch, m, left), x.dtype), singular_values(x), ((*batch, right, n), x.dtype)]


def orthogonal_and_triangular(x: Any, complete: bool = False) -> list[Spec]:
    """``(q, r)``."""
    *batch, m, n = x.shape
    k = m if complete else min(m, n)
    return [((*batch, m, k), x.dtype), ((*batch, k, n), x.dtype)]


def reflectors(x: Any) -> list[Spec]:
    """The factors packed into one matrix, and a number per reflector."""
    return [(x.shape, x.dtype), ((*x.shape[:-2], min(x.shape[-2:])), x.dtype)]


def lu_factors(x: Any) -> list[Spec]:
    """Both factors in one matrix, the pivots, and the permutation of the rows."""
    *batch, m, n = x.shape
    return [(x.shape, x.dtype), ((*batch, min(m, n)), _INFO), ((*batch, m), np.dtype(np.int64))]


def permutations(pivots: Any, rows: int) -> Spec:
    """One index per row."""
    return (*pivots.shape[:-1], rows), np.dtype(np.int64)
