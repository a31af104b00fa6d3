"""Factors of matrices: Cholesky, QR, LU and Householder reflectors, with gradients of any order.

The gradients by matrix calculus: I. Murray, Differentiation of the Cholesky decomposition, arXiv:1602.07527; S. F.
Walter, L. Lehmann and R. Lamour, On evaluating higher-order derivatives of the QR decomposition of tall matrices with
full column rank in forward and reverse mode algorithmic differentiation, Optim. Methods Softw. 27 (2012); for LU,
``dA = dL U + L dU`` multiplied by the inverse factors, of which one side is a lower and the other an upper triangle.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import kernels as K
from ..tensor import Tensor
from .arrangement import diagonal, triangle
from .definition import Function, primitive
from .elementwise import add, equal, multiply, subtract, where
from .linear_system import rows_in_order, solve_triangular
from .matmul import matmul
from .matrices import LinAlgError, adjoint, conjugate, in_half, prepared, recorded, require_matrix, require_square
from .memory import arange, cast, eye
from .reduction import any as any_of
from .reduction import argmax
from .selection import argsort
from .shape import concat, expand_dims, matrix_transpose, reshape

__all__ = ["cholesky", "cholesky_ex", "geqrf", "householder_product", "lu", "lu_factor", "lu_factor_ex", "qr"]


class CholeskyExResult(NamedTuple):
    """What `cholesky_ex` returns."""

    L: Any
    info: Any


class QRResult(NamedTuple):
    """What `qr` returns."""

    Q: Any
    R: Any


class LUResult(NamedTuple):
    """What `lu` returns."""

    P: Any
    L: Any
    U: Any


class LUFactorResult(NamedTuple):
    """What `lu_factor` returns."""

    LU: Any
    pivots: Any


class LUFactorExResult(NamedTuple):
    """What `lu_factor_ex` returns."""

    LU: Any
    pivots: Any
    info: Any


class GeqrfResult(NamedTuple):
    """What `geqrf` returns."""

    a: Any
    tau: Any


def _half_diagonal(x: Any) -> Any:
    """Twice the lower triangle, with the diagonal once."""
    return add(triangle(x, 0, False), triangle(x, -1, False))


def _right_divided(name: str, x: Any, turned: Any) -> Any:
    """``x`` over the transpose of an upper triangle; where that has no inverse, there is no gradient."""
    try:
        return solve_triangular(turned, x, upper=False, left=False)
    except LinAlgError as error:
        raise LinAlgError(
            f"{name}: backward: there is no gradient where the first columns depend on each other: {error}"
        ) from None


# ------------------------------------------------------------------------------------------------------------ cholesky
def _cholesky_vjp(g: Any, out: Any, upper: bool) -> Any:
    """``L^-H sym(Phi(L^H g)) L^-1``, where Phi takes the lower triangle and half of the diagonal."""
    lower, slope = (adjoint(out), adjoint(g)) if upper else (out, g)
    half = _half_diagonal(matmul(adjoint(lower), slope))
    middle = multiply(add(half, adjoint(half)), 0.25)
    left = solve_triangular(adjoint(lower), middle, upper=True)
    return solve_triangular(lower, left, upper=False, left=False)


_cholesky: Function = primitive(
    "cholesky",
    K.cholesky,
    joint=lambda g, needs, out, upper: (conjugate(_cholesky_vjp(conjugate(g[0]), out[0], upper)),),
    inputs=1,
    outputs=2,
)


def cholesky(x: Any, /, *, upper: bool = False) -> Any:
    """The triangular factor L of a positive definite matrix ``L @ L.mH``, or U of ``U.mH @ U``.

    Only the triangle that is returned is read. The gradient is that of a Hermitian matrix: it is Hermitian.

    Parameters
    ----------
    x : Tensor
        Shape (..., n, n).
    upper : bool
        Return the upper triangle instead.

    Raises
    ------
    LinAlgError
        If a matrix is not square or not positive definite, naming the matrix of the batch and its leading block.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.cholesky(tg.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    x, half = prepared(x)
    require_square("cholesky", x)
    return in_half(_cholesky(x, upper, True)[0], half)


def cholesky_ex(x: Any, /, *, upper: bool = False, check_errors: bool = False) -> CholeskyExResult:
    """As `cholesky`, with the order of the first leading block that is not positive definite instead of an error.

    Returns
    -------
    CholeskyExResult
        Named tuple ``(L, info)``: int32 ``info`` of shape (...) is 0 where the factor is one; elsewhere it is NaN.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.cholesky_ex(tg.tensor([[1.0, 2.0], [2.0, 1.0]])).info
    tensor(2, dtype=int32)
    """
    x, half = prepared(x)
    require_square("cholesky_ex", x)
    factor, info = _cholesky(x, upper, check_errors)
    return CholeskyExResult(in_half(factor, half), info.detach())


# ------------------------------------------------------------------------------------------------------------------ qr
def _qr_vjp(gq: Any, gr: Any, q: Any, r: Any) -> Any:
    """The gradient by matrices that have at least as many rows as columns, or of wide ones by way of their squares.

    With ``N = Q^H gQ - gR R^H`` it is ``(gQ + Q (gR R^H - Q^H gQ + Phi(N - N^H))) R^-H``, where Phi takes the lower
    triangle and half of the diagonal. A wide matrix is ``(X, Y)`` with ``X = Q U`` square and ``Y = Q V``.
    """
    m, n = q.shape[-2], r.shape[-1]
    if m < n:
        square, rest = r[..., :m], gr[..., m:]
        y = matmul(q, r[..., m:])
        first = _qr_vjp(add(gq, matmul(y, adjoint(rest))), gr[..., :m], q, square)
        return concat([first, matmul(q, rest)], -1)
    turned, scaled = matmul(adjoint(q), gq), matmul(gr, adjoint(r))
    difference = subtract(turned, scaled)
    skew = multiply(_half_diagonal(subtract(difference, adjoint(difference))), 0.5)
    inner = subtract(skew, difference)
    return _right_divided("qr", add(gq, matmul(q, inner)), adjoint(r))


def _qr_gradient(g: Any, out: Any, complete: bool) -> tuple[Any]:
    q, r = out
    if complete and q.shape[-1] > r.shape[-1]:
        raise LinAlgError(
            f"qr: backward: with mode='complete', Q of shape {q.shape} has columns that the {r.shape[-1]} columns of "
            "the matrix do not determine, so they have no gradient; use mode='reduced'"
        )
    return (conjugate(_qr_vjp(conjugate(g[0]), conjugate(g[1]), q, r)),)


_qr: Function = primitive(
    "qr",
    K.qr,
    joint=lambda g, needs, out, complete: _qr_gradient(g, out, complete),
    inputs=1,
    outputs=2,
)


def qr(x: Any, /, mode: str = "reduced") -> Any:
    """Orthonormal columns times an upper triangle: ``x = Q @ R``.

    Parameters
    ----------
    x : Tensor
        Shape (..., m, n); k is the smaller of m and n.
    mode : {"reduced", "complete", "r", "raw"}
        ``"reduced"``: Q (..., m, k) and R (..., k, n). ``"complete"``: Q (..., m, m) and R (..., m, n), with a gradient
        if m <= n only, because Q is not unique else. ``"r"``: R alone. ``"raw"``: the reflectors as LAPACK has them,
        transposed, (..., n, m), and their factors, as NumPy's; see `geqrf`.

    Returns
    -------
    QRResult
        Named tuple ``(Q, R)``; a tensor for ``"r"``, a tuple for ``"raw"``, which has no gradient.

    Raises
    ------
    LinAlgError
        In the backward, if the first k columns depend on each other.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor([[3.0, 1.0], [4.0, 2.0]])
    >>> q, r = tg.linalg.qr(x)
    >>> (q @ r - x).abs().max().item() < 1e-5
    True
    """
    if mode not in ("reduced", "complete", "r", "raw"):
        raise ValueError(f"qr: mode must be 'reduced', 'complete', 'r' or 'raw', got {mode!r}")
    x, half = prepared(x)
    require_matrix("qr", x)
    if mode == "raw":
        reflectors, factors = _qr_raw(x)
        return in_half(matrix_transpose(reflectors), half), in_half(factors, half)
    q, r = _qr(x, mode == "complete")
    return in_half(r, half) if mode == "r" else QRResult(in_half(q, half), in_half(r, half))


_raw: Function = primitive("qr_raw", K.qr_raw, None, outputs=2)


def _qr_raw(x: Any) -> Any:
    if recorded(x):
        raise LinAlgError(
            "qr: the packed reflectors have no gradient; use mode='reduced', detach() the matrix, or use no_grad()"
        )
    return _raw(x)


def geqrf(x: Any, /) -> GeqrfResult:
    """The QR decomposition as LAPACK leaves it: R on and above the diagonal, Householder's vectors below it.

    `householder_product` of the results is Q. Neither has a gradient: use `qr`.

    Returns
    -------
    GeqrfResult
        Named tuple ``(a, tau)`` of shapes (..., m, n) and (..., min(m, n)).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> a, tau = tg.linalg.geqrf(tg.ones(3, 2))
    >>> tg.linalg.householder_product(a, tau).shape
    (3, 2)
    """
    x, half = prepared(x)
    require_matrix("geqrf", x)
    reflectors, factors = _qr_raw(x)
    return GeqrfResult(in_half(reflectors, half), in_half(factors, half))


def householder_product(x: Any, tau: Any, /) -> Any:
    """The first columns of a product of Householder reflectors ``I - tau[i] * v_i @ v_i.mH``.

    ``v_i`` has 0 above its i-th element, which is 1, and below it the elements of column i of ``x``. All at once the
    product is ``I - V @ inv(I + D @ S) @ D @ V.mH`` with ``D = diag(tau)`` and S the part of ``V.mH @ V`` above its
    diagonal, the compact form of R. Schreiber and C. Van Loan, SIAM J. Sci. Stat. Comput. 10 (1989).

    Parameters
    ----------
    x : Tensor
        Shape (..., m, n) with m >= n; what is not below the diagonal is not read.
    tau : Tensor
        Shape (..., k) with k <= n.

    Returns
    -------
    Tensor
        Shape (..., m, n).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.householder_product(tg.zeros(3, 2), tg.tensor([2.0]))
    tensor([[-1.,  0.],
            [ 0.,  1.],
            [ 0.,  0.]])
    """
    x, tau, half = prepared(x, tau)
    require_matrix("householder_product", x)
    m, n = x.shape[-2:]
    k = tau.shape[-1] if tau.ndim else 0
    if m < n or not tau.ndim or k > n or x.shape[:-2] != tau.shape[:-1]:
        raise LinAlgError(
            "householder_product: needs matrices with at least as many rows as columns and at most one factor per "
            f"column, got shapes {x.shape} and {tau.shape}"
        )
    vectors = add(triangle(x[..., :k], -1, False), eye(m, k, dtype=x.dtype, device=x.device))
    factors = expand_dims(tau, -1)
    above = multiply(factors, triangle(matmul(adjoint(vectors), vectors), 1, True))
    middle = solve_triangular(above, multiply(factors, adjoint(vectors[..., :n, :])), upper=True, unitriangular=True)
    y = subtract(eye(m, n, dtype=x.dtype, device=x.device), matmul(vectors, middle))
    return in_half(y, half)


# ------------------------------------------------------------------------------------------------------------------ lu
def _lu_vjp(g: Any, factors: Any, order: Any) -> Any:
    """The gradient by the matrix, from that by both factors in one.

    In rows and columns that both factors share it is ``L^-T (strictly lower(L^T gL) + upper(gU U^T)) U^-T``; the rows
    below them and the columns beside them, of which at most one exists, are solved for first.
    """
    m, n = factors.shape[-2:]
    k = min(m, n)
    lower, upper = factors[..., :k, :k], factors[..., :k, :k]
    gl, gu = triangle(g[..., :k, :k], -1, False), triangle(g[..., :k, :k], 0, True)
    below = beside = None
    if m > k:
        below = _right_divided("lu", g[..., k:, :], matrix_transpose(upper))
        gu = subtract(gu, matmul(matrix_transpose(factors[..., k:, :]), below))
    if n > k:
        beside = solve_triangular(matrix_transpose(lower), g[..., k:], upper=True, unitriangular=True)
        gl = subtract(gl, matmul(beside, matrix_transpose(factors[..., k:])))
    strict = triangle(lower, -1, False)
    left = triangle(add(gl, matmul(matrix_transpose(strict), gl)), -1, False)
    right = triangle(matmul(triangle(gu, 0, True), matrix_transpose(triangle(upper, 0, True))), 0, True)
    middle = solve_triangular(matrix_transpose(lower), add(left, right), upper=True, unitriangular=True)
    whole = _right_divided("lu", middle, matrix_transpose(upper))
    if below is not None:
        whole = concat([whole, below], -2)
    if beside is not None:
        whole = concat([whole, beside], -1)
    return rows_in_order(whole, argsort(order))


_lu_factor: Function = primitive(
    "lu_factor",
    K.lu_factor,
    joint=lambda g, needs, out: (_lu_vjp(g[0], out[0], out[2]),),
    inputs=1,
    outputs=3,
)


def _factored(name: str, x: Any) -> tuple[Any, Any, Any, Any]:
    x, half = prepared(x)
    require_matrix(name, x)
    factors, pivots, order = _lu_factor(x)
    if isinstance(pivots, Tensor):
        pivots, order = pivots.detach(), order.detach()
    return in_half(factors, half), pivots, order, half


def lu(x: Any, /, *, pivot: bool = True) -> LUResult:
    """A permutation, a unit lower and an upper triangle: ``x = P @ L @ U``, with partial pivoting.

    Parameters
    ----------
    x : Tensor
        Shape (..., m, n); k is the smaller of m and n.
    pivot : bool
        Only True: without exchanges of rows most matrices lose their digits.

    Returns
    -------
    LUResult
        Named tuple ``(P, L, U)`` of shapes (..., m, m), (..., m, k) and (..., k, n).

    Raises
    ------
    LinAlgError
        In the backward, if U is singular.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> p, l, u = tg.linalg.lu(tg.tensor([[1.0, 2.0], [4.0, 4.0]]))
    >>> l
    tensor([[1.  , 0.  ],
            [0.25, 1.  ]])
    >>> u
    tensor([[4., 4.],
            [0., 1.]])
    """
    if not pivot:
        raise ValueError("lu: pivot=False is not offered: without exchanges of rows most matrices lose their digits")
    factors, _, order, _ = _factored("lu", x)
    m, n = factors.shape[-2:]
    k = min(m, n)
    device = factors.device
    places = reshape(arange(m, device=device), (m, 1))
    permutation = cast(equal(places, expand_dims(order, -2)), factors.dtype)
    lower = add(triangle(factors[..., :k], -1, False), eye(m, k, dtype=factors.dtype, device=device))
    return LUResult(permutation, lower, triangle(factors[..., :k, :], 0, True))


def lu_factor(x: Any, /, *, pivot: bool = True) -> LUFactorResult:
    """The triangles of `lu` in one matrix, and the exchanges of rows, for `lu_solve`.

    Returns
    -------
    LUFactorResult
        Named tuple ``(LU, pivots)``. As PyTorch's, int32 ``pivots`` of shape (..., k) count from 1: row i was exchanged
        with row ``pivots[i] - 1``, in order.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.lu_factor(tg.tensor([[1.0, 2.0], [4.0, 4.0]])).pivots
    tensor([2, 2], dtype=int32)
    """
    if not pivot:
        raise ValueError("lu_factor: pivot=False is not offered: without exchanges most matrices lose their digits")
    factors, pivots, *_ = _factored("lu_factor", x)
    return LUFactorResult(factors, pivots)


def lu_factor_ex(x: Any, /, *, pivot: bool = True, check_errors: bool = False) -> LUFactorExResult:
    """As `lu_factor`, with an int32 ``info`` per matrix: 0, or the number of the first row whose pivot is 0.

    Raises
    ------
    LinAlgError
        With ``check_errors``, if U has a 0 on its diagonal.
    """
    factors, pivots = lu_factor(x, pivot=pivot)
    zero = equal(diagonal(factors.detach(), axis1=-2, axis2=-1), 0)
    info = cast(where(any_of(zero, axis=-1), add(argmax(zero, axis=-1), 1), 0), pivots.dtype)
    if check_errors and info.size and bool(any_of(info)):
        raise LinAlgError(f"lu_factor_ex: a matrix of shape {factors.shape} is singular: U has a 0 on its diagonal")
    return LUFactorExResult(factors, pivots, info)
