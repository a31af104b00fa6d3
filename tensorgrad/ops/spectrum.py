"""Eigenvalues, singular values, and what is made of them: rank, pseudoinverse, least squares.

Gradients as in M. B. Giles, Collected matrix derivative results for forward and reverse mode algorithmic
differentiation (2008), and G. H. Golub and V. Pereyra, The differentiation of pseudo-inverses and nonlinear least
squares problems whose variables separate, SIAM J. Numer. Anal. 10 (1973), for real and complex matrices.

Vectors that belong to one value alone are determined up to their phase, and those of equal values up to a rotation.
Where a function depends on that choice, or the gradient cannot be told from what comes back, the backward raises.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import dtypes
from .. import kernels as K
from ..tensor import Tensor
from .arrangement import diagonal
from .complex_parts import real_part
from .definition import OPS, Function, lift, on_values, primitive
from .elementwise import abs as absolute
from .elementwise import add, greater, less, maximum, multiply, negative, not_equal, subtract, where
from .indexing import take_along_axis
from .linear_system import check_batch, solve
from .matmul import matmul
from .matrices import (
    LinAlgError,
    adjoint,
    conjugate,
    in_half,
    prepared,
    recorded,
    require_matrix,
    require_square,
)
from .memory import cast, zeros, zeros_like
from .reduction import any as any_of
from .reduction import sum as sum_of
from .reduction import summed
from .selection import argsort, sort
from .shape import expand_dims, reshape

__all__ = ["eig", "eigh", "eigvals", "eigvalsh", "lstsq", "matrix_rank", "pinv", "svd", "svdvals"]


class EighResult(NamedTuple):
    """What `eigh` returns."""

    eigenvalues: Any
    eigenvectors: Any


class EigResult(NamedTuple):
    """What `eig` returns."""

    eigenvalues: Any
    eigenvectors: Any


class SVDResult(NamedTuple):
    """What `svd` returns."""

    U: Any
    S: Any
    Vh: Any


class LstsqResult(NamedTuple):
    """What `lstsq` returns."""

    solution: Any
    residuals: Any
    rank: Any
    singular_values: Any


# ------------------------------------------------------------------------------------------------------------ quotients
_scale: Function = primitive("matrix_scale", lambda x: K.vector_norm(x, (x.ndim - 2, x.ndim - 1), True), None)
_scale.__doc__ = (
    "How large the entries of matrices are: what is 0 beside it has no digit that counts. Without gradient."
)


def _size(values: Any, slopes: Any, *others: Any) -> Any:
    """How large a gradient is in all: that by vectors, and that by values in proportion to them."""
    parts = [_scale(g) for g in others]
    if slopes is not None:
        parts.append(_scale(expand_dims(multiply(slopes, values), -1)))
    total = parts[0]
    for part in parts[1:]:
        total = add(total, part)
    return total


_over_gaps: Function = primitive(
    "over_gaps",
    K.over_gaps,
    lambda h, w, op: _over_gaps(h, w, _scale(h), True, False, op),
    lambda h, w, out, op: _gaps_vjp(h, w, out, op),
    None,
)


def _gaps_vjp(h: Any, w: Any, out: Any, op: str) -> Any:
    """``out[i, j]`` moves by minus itself over the gap with ``w[j]``, and by as much the other way with ``w[i]``."""
    product = multiply(h, out)
    if w.dtype.kind != "c" and product.dtype.kind == "c":
        product = real_part(product)
    slope = _over_gaps(product, w, _scale(product), True, False, op)
    return subtract(summed(slope, (slope.ndim - 1,), False), summed(slope, (slope.ndim - 2,), False))


_over_values: Function = primitive(
    "over_values",
    K.over_values,
    lambda h, d, op: _over_values(h, d, _scale(h), op),
    lambda h, d, out, op: _values_vjp(h, d, out, op),
    None,
    broadcasts=True,
)


def _values_vjp(h: Any, d: Any, out: Any, op: str) -> Any:
    product = multiply(h, out)
    if product.dtype.kind == "c":
        product = real_part(product)
    return negative(_over_values(product, d, _scale(product), op))


def _like(x: Any, sizes: Any) -> Any:
    """Real values in the dtype of matrices that they meet."""
    return cast(sizes, x.dtype)


# ------------------------------------------------------------------------------------------------- hermitian matrices
def _eigh_vjp(g: tuple[Any, Any], w: Any, v: Any) -> Any:
    """``V (diag(gw) + sym(V^H gV over the gaps)) V^H``: Hermitian, as what keeps a matrix Hermitian."""
    gw, gv = g
    inner = None
    if gv is not None:
        turned = matmul(adjoint(v), gv)
        quotient = _over_gaps(turned, w, _size(w, gw, gv), gw is not None, True, "eigh")
        inner = matmul(multiply(add(quotient, adjoint(quotient)), 0.5), adjoint(v))
    if gw is not None:
        scaled = multiply(expand_dims(_like(v, gw), -1), adjoint(v))
        inner = scaled if inner is None else add(inner, scaled)
    return matmul(v, inner)


_eigh: Function = primitive(
    "eigh",
    K.eigh,
    joint=lambda g, needs, out: (conjugate(_eigh_vjp((g[0], conjugate(g[1])), *out)),),
    inputs=1,
    outputs=2,
)
OPS["eigh"].fills = False
_eigvalsh: Function = primitive(
    "eigvalsh", K.eigvalsh, lambda g, x, upper: conjugate(_eigh_vjp((g, None), g, _eigh(x, upper)[1]))
)


def _is_upper(name: str, triangle: str) -> bool:
    if not isinstance(triangle, str) or triangle.upper() not in ("L", "U"):
        raise ValueError(f"{name}: UPLO must be 'L' or 'U', got {triangle!r}")
    return triangle.upper() == "U"


def eigh(x: Any, /, UPLO: str = "L") -> EighResult:
    """Eigenvalues and orthonormal eigenvectors of Hermitian matrices: ``x = V @ diag(w) @ V.mH``.

    The gradient is Hermitian. That by eigenvectors is defined for functions that do not depend on the phase of each
    one and, among vectors of equal eigenvalues, on their choice.

    Parameters
    ----------
    x : Tensor
        Shape (..., n, n).
    UPLO : {"L", "U"}
        The triangle that is read.

    Returns
    -------
    EighResult
        Named tuple ``(eigenvalues, eigenvectors)``: real ones in ascending order, (..., n), and columns, (..., n, n).

    Raises
    ------
    LinAlgError
        In the backward, where a gradient comes from vectors of equal eigenvalues and is not determined.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.eigh(tg.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    x, half = prepared(x)
    require_square("eigh", x)
    w, v = _eigh(x, _is_upper("eigh", UPLO))
    return EighResult(in_half(w, half), in_half(v, half))


def eigvalsh(x: Any, /, UPLO: str = "L") -> Any:
    """Eigenvalues of Hermitian matrices in ascending order, with a gradient also where some are equal; see `eigh`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.eigvalsh(tg.tensor([[0.0, 1.0], [1.0, 0.0]])).round(decimals=4)
    tensor([-1.,  1.])
    """
    x, half = prepared(x)
    require_square("eigvalsh", x)
    upper = _is_upper("eigvalsh", UPLO)
    return in_half(_eigvalsh(x, upper), half)


# -------------------------------------------------------------------------------------------------------- any matrices
_independent: Function = primitive("independent", K.independent, lambda g: g)


def _eig_vjp(g: tuple[Any, Any], out: Any, is_real: bool) -> Any:
    """``V^-H (diag(gw) + (V^H gV - V^H V diag(Re V^H gV)) over the gaps) V^H``, the vectors having norm 1."""
    gw, gv = g
    w, v = out
    inner = None
    if gv is not None:
        turned = matmul(adjoint(v), gv)
        own = expand_dims(_like(v, real_part(diagonal(turned, axis1=-2, axis2=-1))), -2)
        along = multiply(matmul(adjoint(v), v), own)
        inner = _over_gaps(subtract(turned, along), conjugate(w), _size(w, gw, gv), True, True, "eig")
    rows = adjoint(_independent(v))
    inner = None if inner is None else matmul(inner, rows)
    if gw is not None:
        scaled = multiply(expand_dims(gw, -1), rows)
        inner = scaled if inner is None else add(inner, scaled)
    y = solve(rows, inner)
    return real_part(y) if is_real else y


_eig: Function = primitive(
    "eig",
    K.eig,
    joint=lambda g, needs, x_dtype, out: (
        conjugate(_eig_vjp((conjugate(g[0]), conjugate(g[1])), out, x_dtype.kind != "c")),
    ),
    inputs=1,
    outputs=2,
)
OPS["eig"].fills = False
_eigvals: Function = primitive("eigvals", K.eigvals, None)


def eig(x: Any, /) -> EigResult:
    """Complex eigenvalues and eigenvectors of norm 1: ``x @ V = V @ diag(w)``. Their order is not specified.

    Returns
    -------
    EigResult
        Named tuple ``(eigenvalues, eigenvectors)``, complex, of shapes (..., n) and (..., n, n).

    Raises
    ------
    LinAlgError
        In the backward, where eigenvalues are equal and gradients come from their vectors, or where a function depends
        on the phase of the vectors.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.eig(tg.tensor([[2.0, 0.0], [0.0, 2.0]])).eigenvalues
    tensor([2.+0.j, 2.+0.j], dtype=complex64)
    """
    x, _ = prepared(x)
    require_square("eig", x)
    return EigResult(*_eig(x))


def eigvals(x: Any, /) -> Any:
    """Complex eigenvalues, in no specified order; see `eig`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.eigvals(tg.tensor([[0.0, 0.0], [0.0, 3.0]]))
    tensor([0.+0.j, 3.+0.j], dtype=complex64)
    """
    x, _ = prepared(x)
    require_square("eigvals", x)
    return _eig(x)[0] if recorded(x) else _eigvals(x)


# --------------------------------------------------------------------------------------------------- singular values
def _svd_vjp(g: tuple[Any, Any, Any], x: Any, out: Any, full: bool) -> Any:
    """The gradient by a matrix from those by its singular values and vectors.

    With ``X = U^H gU`` and ``Y = V^H gV``, what turns both sides alike, X + Y, is divided by the gaps between singular
    values, and what turns them against each other, X - Y, by their sums: so neither loses digits where values are
    close. What leads out of the space of the vectors is divided by the values.
    """
    gu, gs, gvh = g
    u, s, vh = out
    m, n = u.shape[-2], vh.shape[-1]
    if gu is None and gvh is None:
        return _svdvals_vjp(gs, *(_svd(x, False) if full and m != n else (u, s, vh)))
    if full and m != n:
        raise LinAlgError(
            f"svd: backward: with full_matrices=True not all vectors of a matrix of shape ({m}, {n}) are determined, "
            "so they have no gradient; use full_matrices=False"
        )
    gu = zeros_like(u) if gu is None else gu
    gv = adjoint(zeros_like(vh) if gvh is None else gvh)
    v = adjoint(vh)
    left, right = matmul(adjoint(u), gu), matmul(vh, gv)
    alike = multiply(add(left, right), 0.5)
    against = multiply(subtract(left, right), 0.5)
    size = _size(s, gs, gu, gv)
    quotient = _over_gaps(alike, s, size, gs is not None, True, "svd")
    sums = add(expand_dims(s, -1), expand_dims(s, -2))
    other = _over_values(subtract(against, adjoint(against)), sums, size, "svd")
    inner = add(add(quotient, adjoint(quotient)), other)
    y = matmul(inner, vh)
    if gs is not None:
        y = add(y, multiply(expand_dims(_like(u, gs), -1), vh))
    y = matmul(u, y)
    values = expand_dims(s, -2)
    if m > n:
        y = add(y, matmul(_over_values(subtract(gu, matmul(u, left)), values, size, "svd"), vh))
    elif n > m:
        outside = _over_values(subtract(gv, matmul(v, right)), values, size, "svd")
        y = add(y, matmul(u, adjoint(outside)))
    return y


_svd: Function = primitive(
    "svd",
    K.svd,
    joint=lambda g, needs, x, out, full: (conjugate(_svd_vjp((conjugate(g[0]), g[1], conjugate(g[2])), x, out, full)),),
    inputs=1,
    outputs=3,
)
OPS["svd"].fills = False
_svdvals: Function = primitive("svdvals", K.svdvals, lambda g, x: conjugate(_svdvals_vjp(g, *_svd(x, False))))


def _svdvals_vjp(g: Any, u: Any, s: Any, vh: Any) -> Any:
    """``U diag(g) V^H``, for any choice of vectors of equal values."""
    return matmul(multiply(u, expand_dims(_like(u, g), -2)), vh)


def svd(x: Any, /, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """Singular values and vectors: ``x = (U * S) @ Vh``.

    The gradient by vectors is defined for functions that do not depend on the phase of each pair and, among those of
    equal values, on their choice; with ``full_matrices`` only for square matrices.

    Parameters
    ----------
    x : Tensor
        Shape (..., m, n); k is the smaller of m and n.
    full_matrices : bool
        U of shape (..., m, m) and Vh (..., n, n) instead of (..., m, k) and (..., k, n).
    compute_uv : bool
        False: return S alone, as `svdvals`.
    hermitian : bool
        Take ``x`` as Hermitian, which is faster; its lower triangle is read.

    Returns
    -------
    SVDResult
        Named tuple ``(U, S, Vh)`` with S (..., k) in descending order.

    Raises
    ------
    LinAlgError
        In the backward, where a gradient comes from vectors and is not determined: equal singular values, or, of
        matrices that are not square, ones that are 0.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.svd(tg.tensor([[3.0, 0.0], [0.0, 4.0]])).S
    tensor([4., 3.])
    """
    if not compute_uv:
        return svdvals(x, hermitian=hermitian)
    x, half = prepared(x)
    require_matrix("svd", x)
    u, s, vh = _hermitian_svd(x) if hermitian else _svd(x, full_matrices)
    return SVDResult(in_half(u, half), in_half(s, half), in_half(vh, half))


def _hermitian_svd(x: Any) -> tuple[Any, Any, Any]:
    """By eigenvalues: their sizes in descending order, and their signs on one side's vectors."""
    require_square("svd", x)
    w, v = _eigh(x, False)
    order = argsort(absolute(w), axis=-1, descending=True)
    w = take_along_axis(w, order, axis=-1)
    v = take_along_axis(v, expand_dims(order, -2), axis=-1)
    signs = where(less(w, 0), -1.0, 1.0)
    return v, absolute(w), adjoint(multiply(v, expand_dims(_like(v, signs), -2)))


def svdvals(x: Any, /, *, hermitian: bool = False) -> Any:
    """Singular values in descending order, with a gradient also where some are equal; see `svd`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.svdvals(tg.tensor([[3.0, 0.0], [0.0, -4.0]]))
    tensor([4., 3.])
    """
    x, half = prepared(x)
    require_matrix("svdvals", x)
    if hermitian:
        require_square("svdvals", x)
        return in_half(sort(absolute(_eigvalsh(x, False)), axis=-1, descending=True), half)
    return in_half(_svdvals(x), half)


# --------------------------------------------------------------------------------------- what singular values decide
def _limits(x: Any, rtol: Any, atol: Any) -> tuple[Any, Any]:
    """The relative and the absolute tolerance as kernels take them: numbers, or arrays with one more axis."""
    if rtol is None:
        given = atol is not None and not (isinstance(atol, (int, float)) and atol <= 0)
        rtol = 0.0 if given else max(*x.shape[-2:], 1) * float(np.finfo(x.dtype).eps)
    return _per_matrix(rtol, x), 0.0 if atol is None else _per_matrix(atol, x)


def _per_matrix(value: Any, x: Any) -> Any:
    """A number, or numbers of the shape of the batch, with one more axis."""
    if isinstance(value, (int, float)):
        return float(value)
    kind = np.dtype(x.dtype.char.lower())
    value = _unrecorded(cast(lift(value, x), kind))
    return (expand_dims(value, -1) if value.ndim else value)._data


def matrix_rank(x: Any, /, tol: Any = None, hermitian: bool = False, *, rtol: Any = None, atol: Any = None) -> Any:
    """The numbers (int64) of singular values above ``max(atol, rtol * largest)``.

    Parameters
    ----------
    x : Tensor
        Shape (..., m, n). What has fewer axes has rank 0 or 1, as in NumPy.
    tol, atol : float or Tensor, optional
        Absolute tolerance, under NumPy's name and PyTorch's.
    hermitian : bool
        Take ``x`` as Hermitian.
    rtol : float or Tensor, optional
        By default the larger of m and n times the spacing of the dtype, and 0 if there is an absolute tolerance.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.matrix_rank(tg.ones(3, 2))
    tensor(1)
    """
    if tol is not None and atol is not None:
        raise ValueError("matrix_rank: tol and atol are the same, give one of them")
    x, _ = prepared(x)
    x = _unrecorded(x)
    if x.ndim < 2:
        return cast(any_of(not_equal(x, 0)), dtypes.int64)
    s = svdvals(x, hermitian=hermitian)
    absolute_limit = tol if tol is not None else atol
    if absolute_limit is not None and rtol is None:
        rtol = 0.0
    relative, least = _limits(x, rtol, absolute_limit)
    if not s.shape[-1]:
        return sum_of(cast(s, dtypes.int64), axis=-1)
    if isinstance(relative, float) and isinstance(least, float):
        return on_values(lambda s: _count_above(s, relative, least), s)
    return _count_above(s, lift(relative, s), lift(least, s))


def _count_above(s: Any, relative: Any, least: Any) -> Any:
    return sum_of(cast(greater(s, maximum(multiply(s[..., :1], relative), least)), dtypes.int64), axis=-1)


_truncation_slope: Function = primitive(
    "truncation_slope",
    K.truncation_slope,
    lambda h, x, rtol, atol: conjugate(_truncation_slope(conjugate(h), x, _plain(rtol), _plain(atol))),
    lambda h, x, rtol, atol: _truncation_curvature(x, _plain(rtol), _plain(atol)),
)
_truncation_curvature: Function = primitive("truncation_curvature", K.truncation_curvature, None)


def _plain(limit: Any) -> Any:
    """A tolerance as kernels take it."""
    return limit._data if isinstance(limit, Tensor) else limit


def _truncated(z: Any, x: Any, rtol: Any, atol: Any) -> Any:
    """`_truncation_slope`, or None where the tolerances are so small that only rounding errors are dropped."""
    numbers = isinstance(rtol, float) and isinstance(atol, float)
    if numbers and atol <= 0 and rtol <= 16 * max(x.shape[-2:]) * float(np.finfo(x.dtype).eps):
        return None
    return _truncation_slope(z, x, _plain(rtol), _plain(atol))


def _pinv_vjp(g: Any, x: Any, out: Any, rtol: Any, atol: Any) -> Any:
    """``-P^H g P^H + (I - A P) g^H P P^H + P^H P g^H (I - P A)`` for A of constant rank and P its pseudoinverse.

    Where singular values are dropped that are not 0, what that changes comes on top.
    """
    turned, slope = adjoint(out), adjoint(g)
    first = matmul(matmul(turned, g), turned)
    left = matmul(matmul(slope, out), turned)
    left = subtract(left, matmul(x, matmul(out, left)))
    right = matmul(turned, matmul(out, slope))
    right = subtract(right, matmul(matmul(right, out), x))
    total = subtract(add(left, right), first)
    more = _truncated(slope, x, rtol, atol)
    return total if more is None else add(total, more)


_pinv: Function = primitive(
    "pinv",
    K.pinv,
    lambda g, x, out, rtol, atol: conjugate(_pinv_vjp(conjugate(g), x, out, rtol, atol)),
)


def _unrecorded(x: Any) -> Any:
    return x.detach() if isinstance(x, Tensor) else x


def pinv(x: Any, /, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None, atol: Any = None) -> Any:
    """Pseudoinverses (Moore and Penrose's), in which singular values up to ``max(atol, rtol * largest)`` count as 0.

    The gradient is that for matrices of the same rank, which exists for equal singular values, too; where the rank
    changes the pseudoinverse jumps. If singular values are dropped that are not 0, there are first derivatives only.

    Parameters
    ----------
    x : Tensor
        Shape (..., m, n).
    hermitian : bool
        Take ``x`` as Hermitian, which is faster; its lower triangle is read.
    rtol, rcond : float or Tensor of the batch's shape, optional
        Relative tolerance, under the standard's name and NumPy's. By default the larger of m and n times the spacing of
        the dtype, and 0 if there is an ``atol``.
    atol : float or Tensor of the batch's shape, optional
        Absolute tolerance.

    Returns
    -------
    Tensor
        Shape (..., n, m).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.pinv(tg.tensor([[2.0, 0.0], [0.0, 0.0]]))
    tensor([[0.5, 0. ],
            [0. , 0. ]])
    """
    if rcond is not None and rtol is not None:
        raise ValueError("pinv: rcond and rtol are the same, give one of them")
    x, half = prepared(x)
    require_matrix("pinv", x)
    if hermitian:
        require_square("pinv", x)
    relative, absolute_limit = _limits(x, rcond if rtol is None else rtol, atol)
    return in_half(_pinv(x, relative, absolute_limit, hermitian), half)


def _lstsq_vjp(g: Any, needs: tuple[bool, ...], a: Any, b: Any, out: Any, rtol: Any) -> tuple[Any, Any]:
    """Golub and Pereyra's derivative of ``pinv(a) @ b``: with x the solution, r = b - a x and P the pseudoinverse,
    ``-P^H g x^H + r g^H P P^H + P^H x g^H (I - P a)`` by ``a`` and ``P^H g`` by ``b``."""
    gx, _, gs = g
    ga: Any = None
    if gs is not None:
        u, s, vh = _svd(a, False)
        ga = _svdvals_vjp(gs, u, s, vh)
    if gx is None:
        return ga, None
    inverse, x = _pinv(a, _plain(rtol), 0.0, False), out[0]
    turned = adjoint(inverse)
    gb = matmul(turned, gx)
    if not needs[0]:
        return None, gb
    residual = subtract(b, matmul(a, x))
    slope = adjoint(gx)
    first = matmul(gb, adjoint(x))
    second = matmul(matmul(residual, matmul(slope, inverse)), turned)
    third = matmul(matmul(turned, x), subtract(slope, matmul(matmul(slope, inverse), a)))
    total = subtract(add(second, third), first)
    more = _truncated(matmul(b, slope), a, rtol, 0.0)
    if more is not None:
        total = add(total, more)
    return total if ga is None else add(total, ga), gb


_lstsq: Function = primitive(
    "lstsq",
    K.lstsq,
    joint=lambda g, needs, a, b, out, rtol: tuple(
        map(conjugate, _lstsq_vjp((conjugate(g[0]), None, g[2]), needs, a, b, out, rtol))
    ),
    inputs=2,
    outputs=3,
    broadcasts=True,
)
OPS["lstsq"].fills = False


def _squared_residuals(a: Any, x: Any, b: Any) -> Any:
    difference = absolute(subtract(matmul(a, x), b))
    return sum_of(multiply(difference, difference), axis=-2)


def lstsq(a: Any, b: Any, /, rcond: Any = None) -> LstsqResult:
    """The x of least ``norm(a @ x - b)`` and, among those, of least norm, by singular values.

    Parameters
    ----------
    a : Tensor
        Shape (..., m, n).
    b : Tensor
        Shape (m,), or (..., m, k), where the batches broadcast.
    rcond : float or Tensor, optional
        Singular values up to ``rcond`` times the largest count as 0; by default the larger of m and n times the spacing
        of the dtype.

    Returns
    -------
    LstsqResult
        Named tuple ``(solution, residuals, rank, singular_values)``: shapes (n,) or (..., n, k); the squared norms of
        the columns of ``a @ x - b``, or none if m <= n; int64 (...); (..., min(m, n)).

    Raises
    ------
    LinAlgError
        If the shapes do not fit.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> a = tg.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> tg.linalg.lstsq(a, tg.tensor([1.0, 3.0, 5.0])).solution.round(decimals=3)
    tensor([1., 2.])
    """
    a, b, half = prepared(a, b)
    require_matrix("lstsq", a)
    vector = b.ndim == 1
    if vector:
        b = expand_dims(b, -1)
    m, n = a.shape[-2:]
    if b.ndim < 2 or b.shape[-2] != m:
        raise LinAlgError(f"lstsq: matrices of shape {a.shape} need right-hand sides with {m} rows, got {b.shape}")
    check_batch("lstsq", a, b)
    rtol, _ = _limits(a, rcond, None)
    x, rank, s = _lstsq(a, b, rtol)
    rank = _unrecorded(rank)
    residuals = on_values(_squared_residuals, a, x, b) if m > n else zeros((0,), dtype=s.dtype, device=s.device)
    solution = reshape(x, x.shape[:-1]) if vector else x
    return LstsqResult(in_half(solution, half), in_half(residuals, half), rank, in_half(s, half))
