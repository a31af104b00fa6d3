"""Linear systems, inverses, determinants and exponentials of matrices, batched, on NumPy's LAPACK."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import matrices
from ..matrices import where_is
from . import decomposition, lapack

__all__ = [
    "cofactor", "cofactor_slope", "cross", "det", "independent", "inv", "lstsq", "matrix_exp", "over_gaps",
    "over_values", "pinv", "slogdet", "solve", "solve_triangular", "truncation_curvature", "truncation_slope",
]  # fmt: skip

Array = np.ndarray[Any, np.dtype[Any]]
LinAlgError = np.linalg.LinAlgError

_DIRECT = 8  # rows from which on LAPACK's substitution is worth a call for each matrix
_TRIANGLE = 64  # rows up to which a triangular system is solved in one go


def _stored(results: tuple[Any, ...], out: Any) -> Any:
    if out is None:
        return results
    for y, target in zip(results, out, strict=True):
        np.copyto(target, y, casting="unsafe")
    return out


def _one(y: Any, out: Array | None) -> Array:
    """Arrays, also where NumPy gives a scalar for a single matrix."""
    if out is None:
        return np.asarray(y)
    np.copyto(out, y, casting="unsafe")
    return out


def _singular(name: str, index: tuple[int, ...], x: Array) -> LinAlgError:
    return LinAlgError(f"{name}: {where_is(index)} is singular (shape {x.shape})")


def inv(x: Array, check: bool = True, out: Any = None) -> Any:
    """Inverses, and per matrix 0 or, where it is singular, 1; with ``check`` that is an error, else it is NaN."""
    info = np.zeros(x.shape[:-2], np.int32)
    try:
        y = np.linalg.inv(x)
    except LinAlgError:
        y = np.empty(x.shape, x.dtype)
        for index in np.ndindex(x.shape[:-2]):
            try:
                y[index] = np.linalg.inv(x[index])
            except LinAlgError:
                if check:
                    raise _singular("inv", index, x) from None
                y[index], info[index] = np.nan, 1
    return _stored((y, info), out)


def solve(a: Array, b: Array, check: bool = True, out: Any = None) -> Any:
    """Solutions of ``a @ x = b`` over the broadcast batch, and per matrix 0 or, where it is singular, 1; see `inv`."""
    info = np.zeros(a.shape[:-2], np.int32)
    if b.ndim == 1:
        raise ValueError("solve: right-hand sides are columns of a matrix")
    try:
        y = np.linalg.solve(a, b)
    except LinAlgError:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        y = np.empty((*batch, *b.shape[-2:]), b.dtype)
        for index in np.ndindex(a.shape[:-2]):
            try:
                np.linalg.inv(a[index])
            except LinAlgError:
                if check:
                    raise _singular("solve", index, a) from None
                info[index] = 1
        usable = np.where((info == 0)[..., None, None], a, np.eye(a.shape[-1], dtype=a.dtype))
        y = np.where((info == 0)[..., None, None], np.linalg.solve(usable, b), np.nan).astype(b.dtype, copy=False)
    return _stored((y, info), out)


# --------------------------------------------------------------------------------------------------- triangular systems
def solve_triangular(a: Array, b: Array, upper: bool = False, unit: bool = False, out: Array | None = None) -> Array:
    """Solutions of ``a @ x = b`` where only one triangle of ``a`` is read, without its diagonal if that is ``unit``.

    LAPACK substitutes where it can be found. Else, and for many small matrices, `numpy.linalg.solve` does: it exchanges
    no rows of an upper triangle, and a lower one turned round is an upper one. Long systems are then cut in halves, and
    what is solved is taken off the rest by a matrix product.
    """
    n = a.shape[-1]
    if not unit:
        zero = np.argwhere((np.diagonal(a, 0, -2, -1) == 0).any(-1))
        if len(zero):
            raise LinAlgError(
                f"solve_triangular: {where_is(tuple(zero[0].tolist()))} has a 0 on its diagonal (shape {a.shape})"
            )
    same = a.shape[:-2] == b.shape[:-2]
    batch = b.shape[:-2] if same else np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    y = np.empty((*batch, *b.shape[-2:]), b.dtype)
    if y.size and math.prod(batch) * _DIRECT < n and lapack.available(b.dtype):
        whole = np.broadcast_to(a, (*batch, n, n))
        given = np.broadcast_to(b, y.shape)
        for index in np.ndindex(*batch):
            _solve_one(whole[index], given[index], y[index], upper, unit)
        return _one(y, out)
    if not upper:
        a, b = a[..., ::-1, ::-1], b[..., ::-1, :]
    _substitute(a, b, y, n, unit)
    return _one(y if upper else np.ascontiguousarray(y[..., ::-1, :]), out)


def _solve_one(a: Array, b: Array, y: Array, upper: bool, unit: bool) -> None:
    """One triangle by LAPACK, which reads rows as the columns of the transpose."""
    sides = np.array(b, order="F")
    if a.flags.f_contiguous:
        lapack.solve_triangular(a, sides, upper, False, unit)
    else:
        lapack.solve_triangular(np.ascontiguousarray(a).T, sides, not upper, True, unit)
    y[...] = sides


def _substitute(a: Array, b: Array, y: Array, n: int, unit: bool) -> None:
    """Solve an upper triangle into ``y``."""
    if n <= _TRIANGLE:
        block = np.triu(a, 1 if unit else 0)
        if unit:
            block += np.eye(n, dtype=a.dtype)
        y[...] = np.linalg.solve(block, b)
        return
    half = n // 2
    _substitute(a[..., half:, half:], b[..., half:, :], y[..., half:, :], n - half, unit)
    rest = b[..., :half, :] - a[..., :half, half:] @ y[..., half:, :]
    _substitute(a[..., :half, :half], rest, y[..., :half, :], half, unit)


# --------------------------------------------------------------------------------------------------------- determinants
def det(x: Array, out: Array | None = None) -> Array:
    """Determinants."""
    return _one(np.linalg.det(x), out)


def slogdet(x: Array, out: Any = None) -> Any:
    """Signs (0 where it is singular) and logarithms of the absolute values of the determinants."""
    return _stored(tuple(np.linalg.slogdet(x)), out)


def cofactor(x: Array, out: Array | None = None) -> Array:
    """``det(x) * inv(x).T``, which singular matrices have, too."""
    return _one(np.ascontiguousarray(matrices.cofactor(np, x)), out)


def cofactor_slope(h: Array, x: Array, out: Array | None = None) -> Array:
    """The derivative of `cofactor` in the direction ``h``."""
    return _one(matrices.cofactor_slope(np, h, x), out)


# ------------------------------------------------------------------------------------------------------------ functions
def matrix_exp(x: Array, out: Array | None = None) -> Array:
    """Exponentials of square matrices."""
    return _one(matrices.exponential(np, x, np.matmul, np.linalg.solve), out)


def pinv(x: Array, rtol: Any, atol: Any = 0.0, hermitian: bool = False, out: Array | None = None) -> Array:
    """Pseudoinverses, in which singular values up to ``max(rtol * largest, atol)`` count as 0."""
    factors = decomposition.eigh if hermitian else decomposition.svd
    return _one(matrices.pseudoinverse(np, x, rtol, atol, factors, hermitian), out)


def truncation_slope(z: Array, x: Array, rtol: Any, atol: Any = 0.0, out: Array | None = None) -> Array:
    """What singular values that are dropped and not 0 add to the derivative of `pinv` in the direction ``z``."""
    return _one(matrices.truncation_slope(np, z, x, rtol, atol, decomposition.svd), out)


def truncation_curvature(x: Array, rtol: Any, atol: Any = 0.0, out: Array | None = None) -> Array:
    """0 where no such values are dropped, else an error."""
    return _one(matrices.truncation_curvature(np, x, rtol, atol, decomposition.svdvals), out)


def lstsq(a: Array, b: Array, rtol: Any, out: Any = None) -> Any:
    """Least squares: the solutions over the broadcast batch, the ranks (int64) and the singular values."""
    single = a.ndim == b.ndim == 2 and a.size and b.size and isinstance(rtol, (int, float))
    if single and all(np.isfinite(np.add.reduce(x, None)) for x in (a, b)):  # else LAPACK complains on stdout
        try:  # LAPACK's own, for one matrix
            x, _, rank, s = np.linalg.lstsq(a, b, rtol)
            return _stored((x, np.array(rank, np.int64), s), out)
        except LinAlgError:
            pass
    return _stored(matrices.least_squares(np, a, b, rtol, decomposition.svd), out)


def cross(x1: Array, x2: Array, axis: int = -1, out: Array | None = None) -> Array:
    """Cross products of vectors along ``axis``, which is counted from the end."""
    return _one(matrices.cross(np, x1, x2, axis), out)


def independent(v: Array, out: Array | None = None) -> Array:
    """A copy of eigenvectors, if they are a basis; else an error."""
    return _one(matrices.independent(np, v), out)


def over_gaps(
    m: Array,
    w: Array,
    scale: Array,
    valued: bool = True,
    phase: bool = False,
    op: str = "eigh",
    out: Array | None = None,
) -> Array:
    """``m[i, j] / (w[j] - w[i])`` off the diagonal, on which it is 0; an error where that is not determined."""
    return _one(matrices.over_gaps(np, m, w, scale, valued, phase, op), out)


def over_values(m: Array, d: Array, scale: Array, op: str = "svd", out: Array | None = None) -> Array:
    """``m / d`` for ``d`` that are not negative; 0 over 0 is 0, anything else over 0 an error."""
    return _one(matrices.over_values(np, m, d, scale, op), out)
