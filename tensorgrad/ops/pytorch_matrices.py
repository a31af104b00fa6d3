"""Factorizations in PyTorch's older forms, which its main namespace and its Tensor have, and approximate ones."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import random
from ..errors import is_integer
from .arrangement import triangle
from .definition import lift
from .elementwise import add, equal, subtract
from .factorization import householder_product, lu_factor, lu_factor_ex
from .factorization import qr as factored
from .linear_system import pivots_to_permutation, solve_triangular
from .matmul import matmul
from .matrices import LinAlgError, adjoint, require_matrix
from .matrix_norm import matrix_norm, vector_norm
from .memory import arange, cast, clone, empty, eye, zeros
from .reduction import mean
from .shape import concat, expand_dims, matrix_transpose, reshape
from .spectrum import svd as decomposed

__all__ = [
    "frobenius_norm", "lu", "lu_unpack", "norm_except_dim", "nuclear_norm", "orgqr", "ormqr", "pca_lowrank", "qr",
    "svd", "svd_lowrank", "triangular_solve",
]  # fmt: skip

orgqr = householder_product


class SVD(NamedTuple):
    """What `svd` returns."""

    U: Any
    S: Any
    V: Any


class LU(NamedTuple):
    """What `lu_unpack` returns."""

    P: Any
    L: Any
    U: Any


class Solution(NamedTuple):
    """What `triangular_solve` returns."""

    solution: Any
    cloned_coefficient: Any


# ------------------------------------------------------------------------------------------------------- factorizations
def svd(x: Any, /, some: bool = True, compute_uv: bool = True) -> SVD:
    """``x = U @ diag(S) @ V.mH``: `linalg.svd` with V, not its conjugate transpose.

    Parameters
    ----------
    some : bool
        Only as many columns as there are singular values.
    compute_uv : bool
        False: U and V are zeros of the shapes that complete ones have.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.svd(tg.tensor([[3.0, 0.0], [0.0, -2.0], [0.0, 0.0]])).V.shape
    (2, 2)
    """
    x = lift(x)
    if not compute_uv:
        require_matrix("svd", x)
        s = decomposed(x, compute_uv=False)
        made = {"dtype": x.dtype if x.dtype.kind in "fc" else s.dtype, "device": x.device}
        u, v = (zeros((*x.shape[:-2], n, n), **made) for n in x.shape[-2:])
        return SVD(u, s, v)
    u, s, vh = decomposed(x, not some)
    return SVD(u, s, adjoint(vh))


def qr(x: Any, /, some: bool = True) -> Any:
    """``x = Q @ R``: `linalg.qr`, with all columns of Q unless ``some``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.qr(tg.ones(3, 2), some=False).Q.shape
    (3, 3)
    """
    return factored(x, "reduced" if some else "complete")


def lu(x: Any, /, pivot: bool = True, get_infos: bool = False) -> tuple[Any, ...]:
    """`linalg.lu_factor`: both triangles in one matrix, and the pivots; with ``get_infos`` also where a pivot is 0.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> factors, pivots, info = tg.lu(tg.tensor([[1.0, 2.0], [4.0, 4.0]]), get_infos=True)
    >>> pivots.tolist(), info.item()
    ([2, 2], 0)
    """
    return tuple(lu_factor_ex(x, pivot=pivot) if get_infos else lu_factor(x, pivot=pivot))


def lu_unpack(factors: Any, pivots: Any, /, unpack_data: bool = True, unpack_pivots: bool = True) -> LU:
    """The permutation and the two triangles of what `lu` returns: ``P @ L @ U`` is the matrix.

    Parameters
    ----------
    factors, pivots : Tensor
        Shapes (..., m, n) and (..., k), where k is the smaller of m and n.
    unpack_data, unpack_pivots : bool
        False: the triangles, or the permutation, are empty.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor([[1.0, 2.0], [4.0, 4.0]])
    >>> p, l, u = tg.lu_unpack(*tg.lu(x))
    >>> p @ l @ u
    tensor([[1., 2.],
            [4., 4.]])
    """
    factors, pivots = lift(factors), lift(pivots)
    require_matrix("lu_unpack", factors)
    m, n = factors.shape[-2:]
    k = min(m, n)
    made = {"dtype": factors.dtype, "device": factors.device}
    if pivots.shape != (*factors.shape[:-2], k) or pivots.dtype.kind not in "iu":
        raise LinAlgError(
            f"lu_unpack: factors of shape {factors.shape} need integer pivots of shape {(*factors.shape[:-2], k)}, got "
            f"{pivots.dtype} of shape {pivots.shape}"
        )
    permutation = lower = upper = empty(0, **made)
    if unpack_pivots:
        order = pivots_to_permutation(pivots, m)
        places = reshape(arange(m, device=factors.device), (m, 1))
        permutation = cast(equal(places, expand_dims(order, -2)), factors.dtype)
    if unpack_data:
        lower = add(triangle(factors[..., :k], -1, False), eye(m, k, **made))
        upper = triangle(factors[..., :k, :], 0, True)
    return LU(permutation, lower, upper)


def triangular_solve(
    b: Any, a: Any, /, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> Solution:
    """The solutions x of ``a @ x = b`` for triangular matrices, or of ``a.mT @ x = b``, and a copy of ``a``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.triangular_solve(tg.tensor([[2.0], [4.0]]), tg.tensor([[2.0, 0.0], [0.0, 4.0]])).solution
    tensor([[1.],
            [1.]])
    """
    a = lift(a)
    matrix, kept = (matrix_transpose(a), not upper) if transpose else (a, upper)
    return Solution(solve_triangular(matrix, b, upper=kept, unitriangular=unitriangular), clone(a))


def ormqr(x: Any, tau: Any, other: Any, /, left: bool = True, transpose: bool = False) -> Any:
    """``Q @ other``, or ``other @ Q`` if not ``left``, for the square Q of what `geqrf` returns.

    Parameters
    ----------
    x, tau : Tensor
        Shapes (..., m, l) and (..., k): reflectors, as for `linalg.householder_product`, in the first k columns.
    other : Tensor
        Shape (..., m, n), or (..., n, m) if not ``left``.
    transpose : bool
        The conjugate transpose of Q instead.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> a = tg.tensor([[3.0], [4.0]])
    >>> tg.round(tg.ormqr(*tg.geqrf(a), a, transpose=True), 4)
    tensor([[-5.],
            [ 0.]])
    """
    x, tau, other = lift(x), lift(tau), lift(other)
    require_matrix("ormqr", x)
    require_matrix("ormqr", other)
    m, n = x.shape[-2:]
    if other.shape[-2 if left else -1] != m or tau.shape[-1:] > (min(m, n),):
        raise LinAlgError(
            f"ormqr: reflectors of shapes {x.shape} and {tau.shape} cannot multiply {other.shape} from the "
            f"{'left' if left else 'right'}"
        )
    if n > m:
        x = x[..., :m]
    elif n < m:
        x = concat([x, zeros((*x.shape[:-1], m - n), dtype=x.dtype, device=x.device)], axis=-1)
    q = householder_product(x, tau)
    q = adjoint(q) if transpose else q
    return matmul(q, other) if left else matmul(other, q)


# ---------------------------------------------------------------------------------------------------------------- norms
def frobenius_norm(x: Any, /, axis: Any = None, keepdims: bool = False) -> Any:
    """The root of the sum of squares of all elements, or of those along some axes.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.frobenius_norm(tg.tensor([[3.0, 4.0]]))
    tensor(5.)
    """
    axis = axis if axis is None or is_integer(axis) else tuple(axis) or None
    return vector_norm(x, 2, axis, keepdims)


def nuclear_norm(x: Any, /, axis: Any = (-2, -1), keepdims: bool = False) -> Any:
    """The sum of the singular values of matrices over two axes.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nuclear_norm(tg.tensor([[3.0, 0.0], [0.0, -4.0]]))
    tensor(7.)
    """
    return matrix_norm(x, "nuc", tuple(axis), keepdims)


def norm_except_dim(x: Any, pow: float = 2, axis: int = 0) -> Any:
    """The p-norms over all axes but one, which stay with length 1; of all elements, as a number, for axis -1.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.norm_except_dim(tg.tensor([[3.0, 4.0], [0.0, 2.0]]))
    tensor([[5.],
            [2.]])
    """
    x = lift(x)
    if axis == -1:
        return vector_norm(x, pow)
    if not 0 <= axis < x.ndim:
        raise ValueError(f"norm_except_dim: axis must be -1 or one of shape {x.shape}, got {axis}")
    others = tuple(i for i in range(x.ndim) if i != axis)
    return vector_norm(x, pow, others, True) if others else vector_norm(reshape(x, (x.size, 1)), pow, 1)


# ---------------------------------------------------------------------------------------------------- approximate ones
def _basis(a: Any, q: int, niter: int) -> Any:
    """Orthonormal columns that nearly span what a matrix maps to: subspace iteration from a random start."""
    start = random.randn(*a.shape[:-2], a.shape[-1], q, dtype=a.dtype, device=a.device)
    basis = factored(matmul(a, start))[0]
    for _ in range(niter):
        basis = factored(matmul(a, factored(matmul(adjoint(a), basis))[0]))[0]
    return basis


def svd_lowrank(a: Any, /, q: int | None = 6, niter: int | None = 2, M: Any = None) -> SVD:
    """The largest ``q`` singular values of ``a``, or of ``a - M``, and their vectors, nearly.

    Algorithms 4.4 and 5.1 of N. Halko, P. G. Martinsson and J. A. Tropp, SIAM Review 53 (2011). The start is random:
    see `manual_seed`.

    Parameters
    ----------
    a : Tensor
        Shape (..., m, n).
    q : int
        At most the smaller of m and n; a few more than are wanted make those exact.
    niter : int
        How many times the matrix and its conjugate transpose are applied: the more, the nearer.
    M : Tensor, optional
        What is taken off, of a shape that broadcasts to that of ``a``.

    Returns
    -------
    SVD
        Named tuple ``(U, S, V)`` of shapes (..., m, q), (..., q) and (..., n, q).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> a = tg.outer(tg.tensor([3.0, 4.0, 0.0]), tg.tensor([1.0, 0.0]))
    >>> tg.svd_lowrank(a, q=1).S
    tensor([5.])
    """
    a = lift(a)
    require_matrix("svd_lowrank", a)
    if M is not None:
        a = subtract(a, M)
    count, times = 6 if q is None else q, 2 if niter is None else niter
    if not 0 <= count <= min(a.shape[-2:]) or times < 0:
        raise ValueError(f"svd_lowrank: q={q} and niter={niter} do not fit matrices of shape {a.shape}")
    wide = a.shape[-2] < a.shape[-1]
    tall = adjoint(a) if wide else a
    basis = _basis(tall, count, times)
    u, s, vh = decomposed(matmul(adjoint(basis), tall), False)
    u, v = matmul(basis, u), adjoint(vh)
    return SVD(v, s, u) if wide else SVD(u, s, v)


def pca_lowrank(a: Any, /, q: int | None = None, center: bool = True, niter: int = 2) -> SVD:
    """`svd_lowrank` of data whose columns are ``center``-ed: V holds the principal directions of the rows.

    Parameters
    ----------
    a : Tensor
        Shape (..., m, n): m samples of n features.
    q : int, optional
        By default the smallest of 6, m and n.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.pca_lowrank(tg.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]), q=1).V.abs()
    tensor([[0.70710677],
            [0.70710677]])
    """
    a = lift(a)
    require_matrix("pca_lowrank", a)
    least = min(a.shape[-2:])
    count = min(6, least) if q is None else q
    if not 0 <= count <= least or niter < 0:
        raise ValueError(f"pca_lowrank: q={q} and niter={niter} do not fit data of shape {a.shape}")
    return svd_lowrank(subtract(a, mean(a, -2, keepdims=True)) if center else a, count, niter)
