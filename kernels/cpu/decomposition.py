"""Factorizations of matrices, batched over the leading axes, on NumPy's LAPACK.

NumPy has no LU factorization: that one is LAPACK's where it can be found and, of many matrices or else, blocked
elimination, panels of columns by rank-one updates and the rest by matrix products.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..matrices import permutation_from_pivots, where_is
from . import lapack

__all__ = [
    "cholesky", "eig", "eigh", "eigvals", "eigvalsh", "lu_factor", "pivots_to_permutation", "qr", "qr_raw", "svd",
    "svdvals",
]  # fmt: skip

Array = np.ndarray[Any, np.dtype[Any]]
LinAlgError = np.linalg.LinAlgError

_MANY = 32  # matrices that are eliminated together rather than one after the other by LAPACK
_PANEL = 32  # columns that are eliminated one by one before the rest of the matrix is updated


def _stored(results: tuple[Any, ...], out: Any) -> Any:
    """The results, or ``out`` holding them."""
    if out is None:
        return results
    for y, target in zip(results, out, strict=True):
        np.copyto(target, y, casting="unsafe")
    return out


def _one(y: Array, out: Array | None) -> Array:
    if out is None:
        return y
    np.copyto(out, y, casting="unsafe")
    return out


def _unconverged(name: str, x: Array) -> LinAlgError:
    """Why LAPACK's iteration gave up, as far as it can be seen."""
    bad = np.argwhere(~np.isfinite(x).all((-1, -2)))
    if len(bad):
        which = where_is(tuple(bad[0].tolist()))
        return LinAlgError(f"{name}: {which} has entries that are not finite (shape {x.shape})")
    return LinAlgError(f"{name}: the iteration did not converge (shape {x.shape})")


# ------------------------------------------------------------------------------------------------------------ cholesky
def cholesky(x: Array, upper: bool = False, check: bool = True, out: Any = None) -> Any:
    """The triangular factor, and per matrix 0 or the order of the first leading block that is not positive definite.

    Reads the triangle that it returns. With ``check``, a matrix that is not positive definite is an error; without, its
    factor is NaN.
    """
    info = np.zeros(x.shape[:-2], np.int32)
    try:
        y = np.linalg.cholesky(x, upper=upper)
    except LinAlgError:
        y = np.empty(x.shape, x.dtype)
        for index in np.ndindex(x.shape[:-2]):
            try:
                y[index] = np.linalg.cholesky(x[index], upper=upper)
            except LinAlgError:
                info[index] = _first_bad_minor(x[index], upper)
                if check:
                    raise LinAlgError(
                        f"cholesky: {where_is(index)} is not positive definite: its leading block of order "
                        f"{info[index]} is not (shape {x.shape})"
                    ) from None
                y[index] = np.nan
    return _stored((y, info), out)


def _first_bad_minor(x: Array, upper: bool) -> int:
    """The smallest k whose leading block is not positive definite; all larger ones are not either."""
    low, high = 0, len(x)  # the block of order `low` is, that of `high` is not
    while high - low > 1:
        middle = (low + high) // 2
        try:
            np.linalg.cholesky(x[:middle, :middle], upper=upper)
            low = middle
        except LinAlgError:
            high = middle
    return high


# ------------------------------------------------------------------------------------------------------------------ lu
def lu_factor(x: Array, out: Any = None) -> Any:
    """LU factors in one matrix, 1-based pivots (int32), and the order of the rows: ``x[order] = L @ U``.

    Row i was exchanged with row ``pivots[i] - 1``, the one with the largest entry. Where a column has no entry but 0,
    its pivot stays 0.
    """
    *batch, m, n = x.shape
    count, k = math.prod(batch), min(m, n)
    y = np.array(x, order="C").reshape(count, m, n)
    pivots = np.empty((count, k), np.int32)
    if k and count < _MANY and lapack.available(y.dtype):
        for matrix, found in zip(y, pivots, strict=True):
            columns = np.asfortranarray(matrix)
            found[:] = lapack.lu_factor(columns)
            matrix[:] = columns
    else:
        _eliminate(y, pivots)
    pivots = pivots.reshape(*batch, k)
    return _stored((y.reshape(x.shape), pivots, permutation_from_pivots(pivots, m)), out)


def _eliminate(y: Array, pivots: Array) -> None:
    """Factor matrices in place, all columns of a place at once."""
    count, m, n = y.shape
    k = min(m, n)
    which = np.arange(count)
    for first in range(0, k, _PANEL):
        last = min(first + _PANEL, k)
        for j in range(first, last):
            size = np.abs(y[:, j:, j].real)
            if y.dtype.kind == "c":
                size += np.abs(y[:, j:, j].imag)  # LAPACK's size of complex numbers
            other = j + np.argmax(size, -1)
            pivots[:, j] = other + 1
            kept = y[:, j].copy()
            y[:, j] = y[which, other]
            y[which, other] = kept
            pivot = y[:, j, j]
            column = y[:, j + 1 :, j]
            column /= np.where(pivot == 0, 1, pivot)[:, None]
            y[:, j + 1 :, j + 1 : last] -= column[:, :, None] * y[:, j, None, j + 1 : last]
        if last < n:
            rows = y[:, first:last, last:]
            for j in range(first, last - 1):  # the unit lower triangle of the panel, solved for the rows beside it
                rows[:, j - first + 1 :] -= y[:, j + 1 : last, j, None] * rows[:, j - first, None]
            if last < m:
                y[:, last:, last:] -= y[:, last:, first:last] @ rows


def pivots_to_permutation(pivots: Array, rows: int, out: Array | None = None) -> Array:
    """The order of the rows (int64) that exchanges with 1-based ``pivots`` lead to."""
    return _one(permutation_from_pivots(pivots, rows), out)


# ------------------------------------------------------------------------------------------------------------------ qr
def qr(x: Array, complete: bool = False, out: Any = None) -> Any:
    """Orthonormal columns and an upper triangle; as many columns as the shorter side is long, or all of them."""
    q, r = np.linalg.qr(x, "complete" if complete else "reduced")
    return _stored((q, r), out)


def qr_raw(x: Array, out: Any = None) -> Any:
    """Householder's vectors below the diagonal and R on and above it, and the factors of the reflectors."""
    h, tau = np.linalg.qr(x, "raw")
    return _stored((np.ascontiguousarray(np.swapaxes(h, -1, -2)), tau), out)


# -------------------------------------------------------------------------------------------------- eigenvalues and svd
def eigh(x: Array, upper: bool = False, out: Any = None) -> Any:
    """Eigenvalues in ascending order and eigenvectors of Hermitian matrices, of which one triangle is read."""
    try:
        w, v = np.linalg.eigh(x, "U" if upper else "L")
    except LinAlgError:
        raise _unconverged("eigh", x) from None
    return _stored((w, v), out)


def eigvalsh(x: Array, upper: bool = False, out: Array | None = None) -> Array:
    """Eigenvalues of Hermitian matrices in ascending order."""
    try:
        return _one(np.linalg.eigvalsh(x, "U" if upper else "L"), out)
    except LinAlgError:
        raise _unconverged("eigvalsh", x) from None


def eig(x: Array, out: Any = None) -> Any:
    """Complex eigenvalues and eigenvectors, columns of norm 1."""
    try:
        w, v = np.linalg.eig(x)
    except LinAlgError:
        raise _unconverged("eig", x) from None
    dtype = np.dtype(x.dtype.char.upper())
    return _stored((w.astype(dtype, copy=False), v.astype(dtype, copy=False)), out)


def eigvals(x: Array, out: Array | None = None) -> Array:
    """Complex eigenvalues."""
    try:
        w = np.linalg.eigvals(x)
    except LinAlgError:
        raise _unconverged("eigvals", x) from None
    return _one(w.astype(np.dtype(x.dtype.char.upper()), copy=False), out)


def svd(x: Array, full: bool = False, out: Any = None) -> Any:
    """``u, s, vh`` with ``x = (u * s) @ vh`` and ``s`` descending; with ``full``, ``u`` and ``vh`` are square."""
    try:
        u, s, vh = np.linalg.svd(x, full_matrices=full)
    except LinAlgError:
        raise _unconverged("svd", x) from None
    return _stored((u, s, vh), out)


def svdvals(x: Array, out: Array | None = None) -> Array:
    """Singular values, descending."""
    try:
        return _one(np.linalg.svd(x, compute_uv=False), out)
    except LinAlgError:
        raise _unconverged("svdvals", x) from None
