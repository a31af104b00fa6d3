"""Factorizations of matrices, batched over the leading axes, on cuSOLVER through CuPy.

cuSOLVER reports a matrix that it cannot factor in a number on the device. It is read back after each call, because what
lies in the result then means nothing; the CPU's routine then finds out which matrix it was.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import cupy
import cupyx
import numpy as np
from cupyx.scipy.linalg import lu_factor as factored

from ..cpu import decomposition as on_host
from ..matrices import permutation_from_pivots
from .module import stored

__all__ = [
    "cholesky", "eig", "eigh", "eigvals", "eigvalsh", "lu_factor", "pivots_to_permutation", "qr", "qr_raw", "svd",
    "svdvals",
]  # fmt: skip


def _stored(results: Any, out: Any) -> Any:
    """The results in contiguous memory, or ``out`` holding them."""
    if out is None:
        return tuple(cupy.ascontiguousarray(y) if y.ndim else y for y in results)
    return tuple(stored(y, target) for y, target in zip(results, out, strict=True))


def _checked(compute: Callable[[], Any], host: Callable[..., Any], x: Any, *options: Any) -> Any:
    """What ``compute`` gives or, where cuSOLVER reports a failure, what the CPU's routine gives or raises."""
    try:
        with cupyx.errstate(linalg="raise"):
            return compute()
    except np.linalg.LinAlgError:
        made = host(x.get(), *options)
        return tuple(map(cupy.asarray, made)) if isinstance(made, tuple) else cupy.asarray(made)


def cholesky(x: Any, upper: bool = False, check: bool = True, out: Any = None) -> Any:
    """The triangular factor, and per matrix 0 or the order of the first leading block that is not positive definite.

    Reads the triangle that it returns. With ``check``, a matrix that is not positive definite is an error; without, its
    factor is NaN.
    """

    def compute() -> Any:
        y = cupy.linalg.cholesky(cupy.swapaxes(x, -1, -2).conj() if upper else x)
        return (cupy.swapaxes(y, -1, -2).conj() if upper else y), cupy.zeros(x.shape[:-2], np.int32)

    return _stored(_checked(compute, on_host.cholesky, x, upper, check), out)


def lu_factor(x: Any, out: Any = None) -> Any:
    """LU factors in one matrix, 1-based pivots (int32), and the order of the rows: ``x[order] = L @ U``."""
    m, n = x.shape[-2:]
    y = cupy.empty(x.shape, x.dtype)
    pivots = cupy.empty((*x.shape[:-2], min(m, n)), np.int32)
    if y.size:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a singular matrix has factors
            for index in np.ndindex(x.shape[:-2]):
                y[index], found = factored(x[index], check_finite=False)
                pivots[index] = found + 1
    return _stored((y, pivots, pivots_to_permutation(pivots, m)), out)


def pivots_to_permutation(pivots: Any, rows: int, out: Any | None = None) -> Any:
    """The order of the rows (int64) that exchanges with 1-based ``pivots`` lead to; found on the host, in order."""
    return stored(cupy.asarray(permutation_from_pivots(pivots.get(), rows)), out)


def qr(x: Any, complete: bool = False, out: Any = None) -> Any:
    """Orthonormal columns and an upper triangle; as many columns as the shorter side is long, or all of them."""
    if complete and not min(x.shape[-2:]):
        m = x.shape[-2]
        return _stored((cupy.broadcast_to(cupy.eye(m, dtype=x.dtype), (*x.shape[:-1], m)).copy(), x.copy()), out)
    return _stored(cupy.linalg.qr(cupy.ascontiguousarray(x), "complete" if complete else "reduced"), out)


def qr_raw(x: Any, out: Any = None) -> Any:
    """Householder's vectors below the diagonal and R on and above it, and the factors of the reflectors."""
    h, tau = cupy.linalg.qr(cupy.ascontiguousarray(x), "raw")
    return _stored((cupy.swapaxes(h, -1, -2), tau), out)


def eigh(x: Any, upper: bool = False, out: Any = None) -> Any:
    """Eigenvalues in ascending order and eigenvectors of Hermitian matrices, of which one triangle is read."""
    made = _checked(lambda: cupy.linalg.eigh(cupy.ascontiguousarray(x), "U" if upper else "L"), on_host.eigh, x, upper)
    return _stored(made, out)


def eigvalsh(x: Any, upper: bool = False, out: Any | None = None) -> Any:
    """Eigenvalues of Hermitian matrices in ascending order."""
    host = on_host.eigvalsh
    made = _checked(lambda: cupy.linalg.eigvalsh(cupy.ascontiguousarray(x), "U" if upper else "L"), host, x, upper)
    return stored(made, out)


def eig(x: Any, out: Any = None) -> Any:
    """Complex eigenvalues and eigenvectors, columns of norm 1."""
    return _stored(_general(lambda: cupy.linalg.eig(cupy.ascontiguousarray(x)), on_host.eig, x), out)


def eigvals(x: Any, out: Any | None = None) -> Any:
    """Complex eigenvalues."""
    return stored(_general(lambda: cupy.linalg.eigvals(cupy.ascontiguousarray(x)), on_host.eigvals, x), out)


def _general(compute: Callable[[], Any], host: Callable[..., Any], x: Any) -> Any:
    """As `_checked`; in complex numbers, and on the CPU where cuSOLVER is older than 11.7.1 and knows no ``geev``."""
    dtype = np.dtype(x.dtype.char.upper())
    if not x.size:
        made: Any = tuple(map(cupy.asarray, host(x.get()))) if host is on_host.eig else cupy.asarray(host(x.get()))
        return made
    try:
        made = _checked(compute, host, x)
    except (AttributeError, RuntimeError) as error:
        if not isinstance(error, AttributeError) and "geev" not in str(error):
            raise
        made = host(x.get())
        made = tuple(map(cupy.asarray, made)) if isinstance(made, tuple) else cupy.asarray(made)
    if isinstance(made, tuple):
        return tuple(y.astype(dtype, copy=False) for y in made)
    return made.astype(dtype, copy=False)


def svd(x: Any, full: bool = False, out: Any = None) -> Any:
    """``u, s, vh`` with ``x = (u * s) @ vh`` and ``s`` descending; with ``full``, ``u`` and ``vh`` are square."""
    return _stored(_checked(lambda: cupy.linalg.svd(cupy.ascontiguousarray(x), full), on_host.svd, x, full), out)


def svdvals(x: Any, out: Any | None = None) -> Any:
    """Singular values, descending."""
    compute = lambda: cupy.linalg.svd(cupy.ascontiguousarray(x), compute_uv=False)  # noqa: E731
    return stored(_checked(compute, on_host.svdvals, x), out)
