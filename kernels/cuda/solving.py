"""Linear systems, inverses, determinants and exponentials of matrices, batched, on cuSOLVER and cuBLAS through CuPy."""

from __future__ import annotations

from typing import Any

import cupy
import cupyx
import numpy as np
from cupyx.scipy import linalg as scipy_linalg

from .. import matrices
from ..cpu import solving as on_host
from . import decomposition
from .matmul import matmul
from .module import stored

__all__ = [
    "cofactor", "cofactor_slope", "cross", "det", "independent", "inv", "lstsq", "matrix_exp", "over_gaps",
    "over_values", "pinv", "slogdet", "solve", "solve_triangular", "truncation_curvature", "truncation_slope",
]  # fmt: skip


def _stored(results: Any, out: Any) -> Any:
    if out is None:
        return tuple(results)
    return tuple(stored(y, target) for y, target in zip(results, out, strict=True))


def _whole(x: Any) -> Any:
    """Contiguous memory; CuPy's own conversion gives a scalar an axis."""
    return cupy.ascontiguousarray(x) if x.ndim else x


def inv(x: Any, check: bool = True, out: Any = None) -> Any:
    """Inverses, and per matrix 0 or, where it is singular, 1; with ``check`` that is an error, else it is NaN."""
    try:
        with cupyx.errstate(linalg="raise"):
            made = (_whole(cupy.linalg.inv(_whole(x))), cupy.zeros(x.shape[:-2], np.int32))
    except np.linalg.LinAlgError:
        made = tuple(map(cupy.asarray, on_host.inv(x.get(), check)))
    return _stored(made, out)


def _spread(a: Any, b: Any) -> tuple[Any, Any]:
    """The operands with their batch axes written out: CuPy's routines do not broadcast."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return tuple(_whole(cupy.broadcast_to(x, batch + x.shape[-2:])) for x in (a, b))


def _solved(a: Any, b: Any) -> Any:
    a, b = _spread(a, b)
    return _whole(cupy.linalg.solve(a, b)) if b.size else cupy.empty(b.shape, b.dtype)


def solve(a: Any, b: Any, check: bool = True, out: Any = None) -> Any:
    """Solutions of ``a @ x = b`` over the broadcast batch, and per matrix 0 or, where it is singular, 1; see `inv`."""
    try:
        with cupyx.errstate(linalg="raise"):
            made = (_solved(a, b), cupy.zeros(a.shape[:-2], np.int32))
    except np.linalg.LinAlgError:
        made = tuple(map(cupy.asarray, on_host.solve(a.get(), b.get(), check)))
    return _stored(made, out)


def solve_triangular(a: Any, b: Any, upper: bool = False, unit: bool = False, out: Any | None = None) -> Any:
    """Solutions of ``a @ x = b`` where only one triangle of ``a`` is read, without its diagonal if that is ``unit``."""
    if not unit and bool((cupy.diagonal(a, 0, -2, -1) == 0).any()):
        on_host.solve_triangular(a.get(), b.get(), upper, unit)  # says which
    a, b = _spread(a, b)
    y = scipy_linalg.solve_triangular(a, b, lower=not upper, unit_diagonal=unit) if b.size else b
    return stored(_whole(y), out)


def det(x: Any, out: Any | None = None) -> Any:
    """Determinants."""
    return stored(cupy.linalg.det(_whole(x)), out)


def slogdet(x: Any, out: Any = None) -> Any:
    """Signs (0 where it is singular) and logarithms of the absolute values of the determinants."""
    return _stored(cupy.linalg.slogdet(_whole(x)), out)


def cofactor(x: Any, out: Any | None = None) -> Any:
    """``det(x) * inv(x).T``, which singular matrices have, too."""
    with cupyx.errstate(linalg="raise"):
        return stored(_whole(matrices.cofactor(cupy, _whole(x))), out)


def cofactor_slope(h: Any, x: Any, out: Any | None = None) -> Any:
    """The derivative of `cofactor` in the direction ``h``."""
    return stored(matrices.cofactor_slope(cupy, h, _whole(x)), out)


def matrix_exp(x: Any, out: Any | None = None) -> Any:
    """Exponentials of square matrices."""
    return stored(_whole(matrices.exponential(cupy, x, matmul, _solved)), out)


def pinv(x: Any, rtol: Any, atol: Any = 0.0, hermitian: bool = False, out: Any | None = None) -> Any:
    """Pseudoinverses, in which singular values up to ``max(rtol * largest, atol)`` count as 0."""
    factors = decomposition.eigh if hermitian else decomposition.svd
    return stored(_whole(matrices.pseudoinverse(cupy, x, rtol, atol, factors, hermitian)), out)


def truncation_slope(z: Any, x: Any, rtol: Any, atol: Any = 0.0, out: Any | None = None) -> Any:
    """What singular values that are dropped and not 0 add to the derivative of `pinv` in the direction ``z``."""
    return stored(matrices.truncation_slope(cupy, z, x, rtol, atol, decomposition.svd), out)


def truncation_curvature(x: Any, rtol: Any, atol: Any = 0.0, out: Any | None = None) -> Any:
    """0 where no such values are dropped, else an error."""
    return stored(matrices.truncation_curvature(cupy, x, rtol, atol, decomposition.svdvals), out)


def lstsq(a: Any, b: Any, rtol: Any, out: Any = None) -> Any:
    """Least squares: the solutions over the broadcast batch, the ranks (int64) and the singular values."""
    return _stored(matrices.least_squares(cupy, a, b, rtol, decomposition.svd), out)


def cross(x1: Any, x2: Any, axis: int = -1, out: Any | None = None) -> Any:
    """Cross products of vectors along ``axis``, which is counted from the end."""
    return stored(_whole(matrices.cross(cupy, x1, x2, axis)), out)


def independent(v: Any, out: Any | None = None) -> Any:
    """A copy of eigenvectors, if they are a basis; else an error."""
    return stored(matrices.independent(cupy, v), out)


def over_gaps(
    m: Any, w: Any, scale: Any, valued: bool = True, phase: bool = False, op: str = "eigh", out: Any | None = None
) -> Any:
    """``m[i, j] / (w[j] - w[i])`` off the diagonal, on which it is 0; an error where that is not determined."""
    return stored(matrices.over_gaps(cupy, m, w, scale, valued, phase, op), out)


def over_values(m: Any, d: Any, scale: Any, op: str = "svd", out: Any | None = None) -> Any:
    """``m / d`` for ``d`` that are not negative; 0 over 0 is 0, anything else over 0 an error."""
    return stored(matrices.over_values(cupy, m, d, scale, op), out)
