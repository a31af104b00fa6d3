"""What NumPy and PyTorch have of linear algebra in their main namespaces, and not as in `tensorgrad.linalg`."""

from __future__ import annotations

from typing import Any

from . import factorization, linear_system, matrix_function, matrix_norm, spectrum
from .complex_parts import conj
from .definition import lift
from .matmul import matmul
from .reduction import normalize_axes
from .shape import expand_dims, raveled, squeeze

__all__ = [
    "chain_matmul", "cholesky", "cholesky_inverse", "cholesky_solve", "cross", "det", "geqrf", "inverse", "logdet",
    "lu_solve", "matrix_exp", "matrix_power", "matvec", "norm", "pinverse", "slogdet", "vander", "vdot", "vecmat",
]  # fmt: skip

cholesky, geqrf = factorization.cholesky, factorization.geqrf
cholesky_inverse, cholesky_solve = linear_system.cholesky_inverse, linear_system.cholesky_solve
det, inverse, logdet, slogdet = linear_system.det, linear_system.inv, linear_system.logdet, linear_system.slogdet
cross, matrix_exp, matrix_power = matrix_function.cross, matrix_function.matrix_exp, matrix_function.matrix_power
pinverse = spectrum.pinv


def norm(
    x: Any,
    /,
    p: float | str | None = "fro",
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
    *,
    dtype: Any = None,
) -> Any:
    """A norm of all elements, or of those along ``axis``, as vectors: PyTorch's ``norm``.

    Parameters
    ----------
    x : Tensor
    p : float, "fro", "nuc" or None
        The order of `linalg.vector_norm`; ``"fro"`` and None are 2. ``"nuc"`` alone is a norm of matrices.
    axis : int or tuple of int, optional
    keepdims : bool
    dtype : dtype, optional
        What to cast to first.

    See Also
    --------
    linalg.norm : takes two axes as those of matrices, as NumPy's does.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.norm(tg.tensor([[1.0, 2.0], [2.0, 4.0]]))
    tensor(5.)
    >>> tg.norm(tg.tensor([[1.0, -2.0], [2.0, 4.0]]), 1, axis=0)
    tensor([3., 6.])
    """
    if p == "nuc":
        x = lift(x)
        axes = normalize_axes("norm", axis, x.ndim)
        if len(axes) != 2:
            raise ValueError(f"norm: the nuclear norm is one of matrices; name two axes of shape {x.shape}")
        return matrix_norm.matrix_norm(x, "nuc", axes, keepdims, dtype=dtype)
    if isinstance(p, str) and p != "fro":
        raise ValueError(f"norm: p must be a number, 'fro' or 'nuc', got {p!r}")
    return matrix_norm.vector_norm(x, 2 if p is None or isinstance(p, str) else p, axis, keepdims, dtype=dtype)


def vander(x: Any, /, N: int | None = None, increasing: bool = False) -> Any:
    """The matrix of powers of the elements of a vector, N - 1 to 0, or the rising ones if ``increasing``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.vander(tg.tensor([2, 3]), 3)
    tensor([[4, 2, 1],
            [9, 3, 1]])
    """
    x = lift(x)
    if x.ndim != 1:
        raise ValueError(f"vander: needs a vector, got shape {x.shape}; linalg.vander takes batches")
    return matrix_function.vander(x, N, increasing=increasing)


def vdot(x1: Any, x2: Any, /) -> Any:
    """Sum of the products of all elements, the first operand's conjugated.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.vdot(tg.tensor([1j, 2.0]), tg.tensor([1j, 1.0]))
    tensor(3.+0.j, dtype=complex64)
    """
    x1, x2 = lift(x1), lift(x2)
    if x1.size != x2.size:
        raise ValueError(f"vdot: shapes {x1.shape} and {x2.shape} have not the same number of elements")
    return matmul(conj(raveled(x1)), raveled(x2))


def lu_solve(b: Any, factors: Any, pivots: Any, /) -> Any:
    """`linalg.lu_solve` with the right-hand sides first, as PyTorch's."""
    return linear_system.lu_solve(factors, pivots, b)


def chain_matmul(*matrices: Any) -> Any:
    """`linalg.multi_dot` of its arguments; of one, itself.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.chain_matmul(tg.ones(2, 3), tg.ones(3, 4), tg.ones(4, 1)).shape
    (2, 1)
    """
    return matrix_function.multi_dot(matrices) if len(matrices) != 1 else lift(matrices[0])


def matvec(x1: Any, x2: Any, /) -> Any:
    """Matrices (..., m, n) times vectors (..., n); the other axes broadcast.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.matvec(tg.ones(4, 2, 3), tg.ones(3)).shape
    (4, 2)
    """
    x1, x2 = lift(x1), lift(x2)
    if x1.ndim < 2 or x2.ndim < 1 or x1.shape[-1] != x2.shape[-1]:
        raise ValueError(f"matvec: expected shapes (..., m, n) and (..., n), got {x1.shape} and {x2.shape}")
    return matmul(x1, x2) if x2.ndim == 1 else squeeze(matmul(x1, expand_dims(x2, -1)), -1)


def vecmat(x1: Any, x2: Any, /) -> Any:
    """Vectors (..., n), conjugated, times matrices (..., n, m); the other axes broadcast.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.vecmat(tg.ones(3), tg.ones(4, 3, 2)).shape
    (4, 2)
    """
    x1, x2 = lift(x1), lift(x2)
    if x1.ndim < 1 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-2]:
        raise ValueError(f"vecmat: expected shapes (..., n) and (..., n, m), got {x1.shape} and {x2.shape}")
    x1 = conj(x1)
    return matmul(x1, x2) if x1.ndim == 1 else squeeze(matmul(expand_dims(x1, -2), x2), -2)
