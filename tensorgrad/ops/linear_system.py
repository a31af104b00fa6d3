"""Linear systems, inverses and determinants, with gradients of any order.

Sources of the gradients: M. B. Giles, Collected matrix derivative results for forward and reverse mode algorithmic
differentiation (2008). The gradient of a determinant is the matrix of cofactors, which exists for singular matrices.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .. import kernels as K
from .arrangement import diagonal, triangle
from .complex_parts import imag_part, join_parts
from .definition import Function, primitive
from .elementwise import add, less, log, multiply, negative, subtract, where
from .indexing import take_along_axis
from .matmul import matmul
from .matrices import LinAlgError, adjoint, conjugate, in_half, prepared, require_square
from .memory import cast, eye
from .reduction import normalize_axes, summed
from .selection import argsort
from .shape import broadcast_to, expand_dims, matrix_transpose, permuted, reshape

__all__ = [
    "check_batch", "cholesky_inverse", "cholesky_solve", "det", "inv", "inv_ex", "logdet", "lu_solve",
    "pivots_to_permutation", "rows_in_order", "slogdet", "solve", "solve_ex", "solve_triangular", "tensorinv",
    "tensorsolve",
]  # fmt: skip


class InvExResult(NamedTuple):
    """What `inv_ex` returns."""

    inverse: Any
    info: Any


class SolveExResult(NamedTuple):
    """What `solve_ex` returns."""

    result: Any
    info: Any


class SlogdetResult(NamedTuple):
    """What `slogdet` returns."""

    sign: Any
    logabsdet: Any


def _check_systems(name: str, a: Any, b: Any) -> None:
    """Refuse right-hand sides whose rows or batch do not fit the matrices."""
    if b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise LinAlgError(
            f"{name}: matrices of shape {a.shape} need right-hand sides with {a.shape[-1]} rows, got shape {b.shape}"
        )
    check_batch(name, a, b)


def check_batch(name: str, a: Any, b: Any) -> None:
    """Refuse right-hand sides whose batch does not broadcast against that of the matrices."""
    if a.shape[:-2] == b.shape[:-2]:
        return
    try:
        np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise LinAlgError(f"{name}: the batches of shapes {a.shape} and {b.shape} do not broadcast") from None


# ------------------------------------------------------------------------------------------------------ general systems
def _inverse_vjp(g: Any, out: Any) -> Any:
    transposed = matrix_transpose(out)
    return negative(matmul(matmul(transposed, g), transposed))


_inv: Function = primitive(
    "inv",
    K.inv,
    joint=lambda g, needs, out: (_inverse_vjp(g[0], out[0]),),
    inputs=1,
    outputs=2,
)


def inv(x: Any, /) -> Any:
    """Inverses of square matrices. To solve systems, `solve` is faster and more accurate.

    Raises
    ------
    LinAlgError
        If a matrix is not square, or singular, naming which of the batch.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.inv(tg.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5 , 0.  ],
            [0.  , 0.25]])
    """
    x, half = prepared(x)
    require_square("inv", x)
    return in_half(_inv(x, True)[0], half)


def inv_ex(x: Any, /, *, check_errors: bool = False) -> InvExResult:
    """As `inv`, with int32 ``info`` per matrix instead of an error: where it is not 0, there is none, but NaN.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.inv_ex(tg.zeros(2, 2)).info
    tensor(1, dtype=int32)
    """
    x, half = prepared(x)
    require_square("inv_ex", x)
    inverse, info = _inv(x, check_errors)
    return InvExResult(in_half(inverse, half), info.detach())


def _solve_vjp(g: Any, needs: tuple[bool, ...], a: Any, out: Any) -> tuple[Any, Any]:
    gb = _solve(matrix_transpose(a), g, True)[0]
    return (negative(matmul(gb, matrix_transpose(out))) if needs[0] else None), gb


_solve: Function = primitive(
    "solve",
    K.solve,
    joint=lambda g, needs, a, out: _solve_vjp(g[0], needs, a, out[0]),
    inputs=2,
    outputs=2,
    broadcasts=True,
)


def _solved(name: str, a: Any, b: Any, left: bool, check: bool) -> tuple[Any, Any]:
    a, b, half = prepared(a, b)
    require_square(name, a)
    if b.ndim == 0:
        raise LinAlgError(f"{name}: the right-hand side must have an axis, got a scalar")
    vector = b.ndim == 1
    if vector:
        b = expand_dims(b, -1)
        left = True if left else _no_row(name)
    if not left:
        a, b = matrix_transpose(a), matrix_transpose(b)
    _check_systems(name, a, b)
    x, info = _solve(a, b, check)
    if not left:
        x = matrix_transpose(x)
    return in_half(reshape(x, x.shape[:-1]) if vector else x, half), info


def _no_row(name: str) -> bool:
    raise LinAlgError(f"{name}: with left=False the right-hand side is a matrix, got a vector")


def solve(a: Any, b: Any, /, *, left: bool = True) -> Any:
    """The solutions x of ``a @ x = b``, or of ``x @ a = b``.

    Parameters
    ----------
    a : Tensor
        Shape (..., n, n).
    b : Tensor
        Shape (n,), or (..., n, k), where the batches broadcast; (..., k, n) if not ``left``.

    Raises
    ------
    LinAlgError
        If the shapes do not fit or a matrix is singular, naming which of the batch.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.solve(tg.tensor([[2.0, 0.0], [0.0, 4.0]]), tg.tensor([1.0, 1.0]))
    tensor([0.5 , 0.25])
    """
    return _solved("solve", a, b, left, True)[0]


def solve_ex(a: Any, b: Any, /, *, left: bool = True, check_errors: bool = False) -> SolveExResult:
    """As `solve`, with int32 ``info`` per matrix instead of an error: where it is not 0, the solution is NaN."""
    x, info = _solved("solve_ex", a, b, left, check_errors)
    return SolveExResult(x, info.detach())


# --------------------------------------------------------------------------------------------------- triangular systems
def _triangular_vjp(g: Any, needs: tuple[bool, ...], a: Any, out: Any, upper: bool, unit: bool) -> tuple[Any, Any]:
    gb = _triangular(matrix_transpose(a), g, not upper, unit)
    if not needs[0]:
        return None, gb
    offset = (1 if upper else -1) if unit else 0
    return negative(triangle(matmul(gb, matrix_transpose(out)), offset, upper)), gb


_triangular: Function = primitive(
    "solve_triangular",
    K.solve_triangular,
    joint=lambda g, needs, a, out, upper, unit: _triangular_vjp(g, needs, a, out, upper, unit),
    inputs=2,
    broadcasts=True,
)


def solve_triangular(a: Any, b: Any, /, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Any:
    """The solutions x of ``a @ x = b``, or of ``x @ a = b``, for triangular matrices, by substitution.

    Parameters
    ----------
    a : Tensor
        Shape (..., n, n). The other triangle is not read.
    b : Tensor
        Shape (..., n, k), or (..., k, n) if not ``left``; the batches broadcast.
    upper : bool
        Whether ``a`` is an upper or a lower triangle.
    unitriangular : bool
        Take the diagonal as ones without reading it.

    Raises
    ------
    LinAlgError
        If the shapes do not fit, or a matrix has a 0 on its diagonal.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.solve_triangular(tg.tensor([[2.0, 0.0], [1.0, 1.0]]), tg.tensor([[2.0], [3.0]]), upper=False)
    tensor([[1.],
            [2.]])
    """
    a, b, half = prepared(a, b)
    require_square("solve_triangular", a)
    if not left:
        if b.ndim >= 2:
            b = matrix_transpose(b)
        a, upper = matrix_transpose(a), not upper
    _check_systems("solve_triangular", a, b)
    x = _triangular(a, b, upper, unitriangular)
    return in_half(x if left else matrix_transpose(x), half)


def cholesky_solve(b: Any, factor: Any, /, *, upper: bool = False) -> Any:
    """The solutions x of ``a @ x = b``, given the Cholesky factor of ``a``: lower, or ``upper``.

    Parameters
    ----------
    b : Tensor
        Shape (..., n, k).
    factor : Tensor
        Shape (..., n, n), of `cholesky`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.cholesky_solve(tg.tensor([[8.0]]), tg.tensor([[2.0]]))
    tensor([[2.]])
    """
    b, factor, half = prepared(b, factor)
    require_square("cholesky_solve", factor)
    _check_systems("cholesky_solve", factor, b)
    lower = adjoint(factor) if upper else factor
    y = _triangular(lower, b, False, False)
    return in_half(_triangular(adjoint(lower), y, True, False), half)


def cholesky_inverse(factor: Any, /, *, upper: bool = False) -> Any:
    """The inverse of the matrix whose Cholesky factor is given.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.cholesky_inverse(tg.tensor([[2.0]]))
    tensor([[0.25]])
    """
    factor, half = prepared(factor)
    require_square("cholesky_inverse", factor)
    identity = eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
    half_way = _triangular(adjoint(factor) if upper else factor, identity, False, False)
    return in_half(matmul(adjoint(half_way), half_way), half)


pivots_to_permutation: Function = primitive("pivots_to_permutation", K.pivots_to_permutation, None)


def rows_in_order(x: Any, order: Any) -> Any:
    """``x[..., order, :]`` with an order for each matrix."""
    return take_along_axis(x, expand_dims(order, -1), axis=-2)


def lu_solve(factors: Any, pivots: Any, b: Any, /, *, left: bool = True, adjoint: bool = False) -> Any:
    """The solutions x of ``a @ x = b``, given what `lu_factor` made of ``a``.

    Parameters
    ----------
    factors, pivots : Tensor
        Shapes (..., n, n) and (..., n), of `lu_factor`.
    b : Tensor
        Shape (..., n, k), or (..., k, n) if not ``left``.
    left : bool
        False: solve ``x @ a = b``.
    adjoint : bool
        Solve for the conjugate transpose of ``a`` instead.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> factors, pivots = tg.linalg.lu_factor(tg.tensor([[0.0, 2.0], [4.0, 0.0]]))
    >>> tg.linalg.lu_solve(factors, pivots, tg.tensor([[2.0], [4.0]]))
    tensor([[1.],
            [1.]])
    """
    factors, b, half = prepared(factors, b)
    require_square("lu_solve", factors)
    if pivots.shape != factors.shape[:-1]:
        raise LinAlgError(f"lu_solve: factors of shape {factors.shape} need pivots of shape {factors.shape[:-1]}, got "
                          f"{pivots.shape}")  # fmt: skip
    if not left:  # x a = b is a^H x^H = b^H
        if b.ndim >= 2:
            b = matrix_transpose(conjugate(b))
        adjoint = not adjoint
    _check_systems("lu_solve", factors, b)
    order = pivots_to_permutation(pivots, factors.shape[-1])
    batch = np.broadcast_shapes(factors.shape[:-2], b.shape[:-2])
    order = broadcast_to(order, (*batch, order.shape[-1]))
    if adjoint:
        transposed = matrix_transpose(conjugate(factors))
        y = _triangular(transposed, _triangular(transposed, b, False, False), True, True)
        x = rows_in_order(y, argsort(order))
    else:
        y = _triangular(factors, rows_in_order(broadcast_to(b, (*batch, *b.shape[-2:])), order), False, True)
        x = _triangular(factors, y, True, False)
    return in_half(x if left else matrix_transpose(conjugate(x)), half)


# --------------------------------------------------------------------------------------------------------- determinants
def _columns(g: Any) -> Any:
    """A number per matrix as a matrix of one element."""
    return reshape(g, (*g.shape, 1, 1))


_det: Function = primitive("det", K.det, lambda g, x: multiply(_columns(g), _cofactor(x)))


def _third_order(k: Any, h: Any, x: Any) -> Any:
    """Third derivatives of the determinant in two directions, by inverses.

    With ``B = inv(x)`` and t the trace, the second derivative in the direction h is
    ``det(x) * (t(B h) B.T - (B h B).T)``; it is differentiated once more in the direction k.
    """
    inverse = inv(x)
    bh, bk = matmul(inverse, h), matmul(inverse, k)
    bhb, bkb = matmul(bh, inverse), matmul(bk, inverse)
    th, tk = _trace(bh), _trace(bk)
    rest = add(matmul(bk, bhb), matmul(bh, bkb))
    total = subtract(multiply(subtract(multiply(th, tk), _trace(matmul(bk, bh))), inverse), multiply(tk, bhb))
    total = add(subtract(total, multiply(th, bkb)), rest)
    return multiply(_columns(_det(x)), matrix_transpose(total))


def _trace(x: Any) -> Any:
    """Sums of the diagonals as matrices of one element."""
    return _columns(summed(diagonal(x, axis1=-2, axis2=-1), (x.ndim - 2,), False))


_cofactor_slope: Function = primitive(
    "cofactor_slope",
    K.cofactor_slope,
    lambda k, x: _cofactor_slope(k, x),
    lambda k, h, x: _third_order(k, h, x),
)
_cofactor: Function = primitive("cofactor", K.cofactor, lambda h, x: _cofactor_slope(h, x))


def det(x: Any, /) -> Any:
    """Determinants. The gradient exists for singular matrices, too: it is the matrix of cofactors.

    Raises
    ------
    LinAlgError
        If a matrix is not square.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.det(tg.tensor([[1.0, 2.0], [3.0, 5.0]])).round(decimals=4)
    tensor(-1.)
    """
    x, half = prepared(x)
    require_square("det", x)
    return in_half(_det(x), half)


def _slogdet_vjp(g: tuple[Any, Any], x: Any, sign: Any) -> Any:
    """The gradient of a logarithm, ``inv(x).T``, times that of the size and, for complex ones, that of the angle."""
    gs, gl = g
    try:
        inverse = inv(x)
    except LinAlgError as error:
        raise LinAlgError(f"slogdet: backward: the logarithm of 0 has no gradient: {error}") from None
    slope = cast(gl, x.dtype)
    if x.dtype.kind == "c":
        slope = join_parts(gl, imag_part(multiply(gs, sign)))
    return multiply(_columns(slope), matrix_transpose(inverse))


_slogdet: Function = primitive(
    "slogdet",
    K.slogdet,
    joint=lambda g, needs, x, out: (_slogdet_vjp(g, x, out[0]),),
    inputs=1,
    outputs=2,
)


def slogdet(x: Any, /) -> SlogdetResult:
    """Signs and logarithms of the absolute values of determinants, which overflow nowhere.

    Returns
    -------
    SlogdetResult
        Named tuple ``(sign, logabsdet)``; 0 and -infinity for singular matrices, whose logarithm has no gradient.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.slogdet(tg.tensor([[0.0, 1.0], [1.0, 0.0]]))
    SlogdetResult(sign=tensor(-1.), logabsdet=tensor(0.))
    """
    x, half = prepared(x)
    require_square("slogdet", x)
    sign, logarithm = _slogdet(x)
    return SlogdetResult(in_half(sign, half), in_half(logarithm, half))


def logdet(x: Any, /) -> Any:
    """Logarithms of determinants: NaN where a real one is negative, -infinity where it is 0.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.logdet(tg.tensor([[1.0, 0.0], [0.0, 1.0]]))
    tensor(0.)
    """
    sign, logarithm = slogdet(x)
    if sign.dtype.kind == "c":
        return add(log(sign), cast(logarithm, sign.dtype))
    return where(less(sign, 0), float("nan"), logarithm)


# -------------------------------------------------------------------------------------------------------------- tensors
def tensorinv(x: Any, /, ind: int = 2) -> Any:
    """The inverse for `tensordot` over the first ``ind`` axes: ``tensordot(tensorinv(x, ind), x, axes=ind)`` is one.

    Raises
    ------
    LinAlgError
        If the first ``ind`` axes have not as many elements as the others, or there is no inverse.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.tensorinv(tg.reshape(tg.eye(4), (2, 2, 4))).shape
    (4, 2, 2)
    """
    x, half = prepared(x)
    if not 0 < ind <= x.ndim:
        raise ValueError(f"tensorinv: ind must be between 1 and the number of axes, got {ind} for shape {x.shape}")
    rows, columns = math.prod(x.shape[:ind]), math.prod(x.shape[ind:])
    if rows != columns:
        raise LinAlgError(
            f"tensorinv: the first {ind} axes of shape {x.shape} have {rows} elements and the others {columns}"
        )
    y = inv(reshape(x, (rows, columns)))
    return in_half(reshape(y, (*x.shape[ind:], *x.shape[:ind])), half)


def tensorsolve(a: Any, b: Any, /, axes: Any = None) -> Any:
    """The x for which ``tensordot(a, x, axes=x.ndim)`` is b.

    Parameters
    ----------
    a : Tensor
        Shape ``b.shape + x.shape``, of which both parts have as many elements.
    b : Tensor
    axes : sequence of int, optional
        Axes of ``a`` to move to its end first.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.tensorsolve(tg.reshape(tg.eye(4), (2, 2, 4)), tg.ones(2, 2)).shape
    (4,)
    """
    a, b, half = prepared(a, b)
    if axes is not None:
        moved = normalize_axes("tensorsolve", tuple(axes), a.ndim)
        a = permuted(a, (*(i for i in range(a.ndim) if i not in moved), *moved))
    shape = a.shape[b.ndim :]
    if a.shape[: b.ndim] != b.shape or math.prod(shape) != b.size:
        raise LinAlgError(
            f"tensorsolve: a of shape {a.shape} must have the shape of b, {b.shape}, and then as many elements again"
        )
    x = solve(reshape(a, (b.size, b.size)), reshape(b, (b.size, 1)))
    return in_half(reshape(x, shape), half)
