"""What the linear algebra of both backends computes in the same way: ``xp`` is NumPy or CuPy.

Products and solutions of systems are handed in where a backend has its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .matrix_rules import real_dtype

__all__ = [
    "cofactor",
    "cofactor_slope",
    "exponential",
    "independent",
    "over_gaps",
    "over_values",
    "permutation_from_pivots",
    "where_is",
]

Array = Any
LinAlgError = np.linalg.LinAlgError


def where_is(index: tuple[int, ...]) -> str:
    """Which matrix of a batch, for a message."""
    return "the matrix" if not index else f"matrix {index[0] if len(index) == 1 else index} of the batch"


def permutation_from_pivots(pivots: np.ndarray[Any, Any], rows: int) -> np.ndarray[Any, Any]:
    """The order of the rows after all exchanges of row i with row ``pivots[..., i] - 1``; on the host."""
    batch = pivots.shape[:-1]
    order = np.empty((math.prod(batch), rows), np.int64)
    order[...] = np.arange(rows)
    if len(order) < 8:  # exchanges in Python beat calls of NumPy
        for row, exchanges in zip(order, pivots.reshape(len(order), pivots.shape[-1]).tolist(), strict=True):
            places = list(range(rows))
            for i, other in enumerate(exchanges):
                places[i], places[other - 1] = places[other - 1], places[i]
            row[:] = places
        return order.reshape(*batch, rows)
    which = np.arange(len(order))
    for i, other in enumerate(pivots.reshape(len(order), pivots.shape[-1]).T.astype(np.int64) - 1):
        kept = order[:, i].copy()
        order[:, i] = order[which, other]
        order[which, other] = kept
    return order.reshape(*batch, rows)


# --------------------------------------------------------------------------------------------------------- determinants
def cofactor(xp: Any, x: Array) -> Array:
    """``det(x) * inv(x).T``, which singular matrices have, too.

    Where the inverse loses too many digits it is made of the singular value decomposition, in which each cofactor of
    the diagonal is the product of the other singular values.
    """
    if not x.size:
        return x.copy()
    try:
        inverse = xp.linalg.inv(x)
        size = xp.linalg.norm(x, axis=(-2, -1)) * xp.linalg.norm(inverse, axis=(-2, -1))
        if bool((size * float(np.finfo(x.dtype).eps) ** 0.5 < 1).all()):
            return xp.linalg.det(x)[..., None, None] * xp.swapaxes(inverse, -1, -2)
    except LinAlgError:
        pass
    u, s, vh = xp.linalg.svd(x)
    n = s.shape[-1]
    others = xp.where(xp.eye(n, dtype=bool), 1, s[..., None, :]).prod(-1)
    phase = xp.linalg.det(u) * xp.linalg.det(vh)
    return xp.matmul(u.conj() * (phase[..., None] * others)[..., None, :], vh.conj()).astype(x.dtype, copy=False)


def cofactor_slope(xp: Any, h: Array, x: Array) -> Array:
    """The derivative of `cofactor` in the direction ``h``: second derivatives of the determinant.

    In the coordinates of the singular vectors, element (i, j) of the matrix moves cofactor (j, i) by minus the product
    of all singular values but the i-th and the j-th, and element (i, i) moves every other cofactor (j, j) by it.
    """
    if not x.size:
        return x.copy()
    u, s, vh = xp.linalg.svd(x)
    others = _products_but_two(xp, s)
    inner = xp.matmul(xp.matmul(xp.swapaxes(u, -1, -2).conj(), h), xp.swapaxes(vh, -1, -2).conj())
    result = -others * xp.swapaxes(inner, -1, -2)
    places = xp.arange(s.shape[-1])
    result[..., places, places] = xp.matmul(others.astype(x.dtype), xp.diagonal(inner, 0, -2, -1)[..., None])[..., 0]
    phase = xp.linalg.det(u) * xp.linalg.det(vh)
    return xp.matmul(phase[..., None, None] * xp.matmul(u.conj(), result), vh.conj()).astype(x.dtype, copy=False)


def _products_but_two(xp: Any, s: Array) -> Array:
    """For each pair the product of all but the two, without division; 0 on the diagonal."""
    n = s.shape[-1]
    one = xp.ones((*s.shape[:-1], 1), s.dtype)
    before = xp.cumprod(xp.concatenate([one, s[..., :-1]], -1), -1)
    after = xp.cumprod(xp.concatenate([one, s[..., :0:-1]], -1), -1)[..., ::-1]
    y = xp.zeros((*s.shape, n), s.dtype)
    places = xp.arange(n)
    between = xp.ones(s.shape, s.dtype)  # the product from behind i up to i + gap - 1
    for gap in range(1, n):
        first, second = places[: n - gap], places[gap:]
        value = before[..., : n - gap] * between[..., : n - gap] * after[..., gap:]
        y[..., first, second] = value
        y[..., second, first] = value
        between = between[..., : n - gap] * s[..., gap:]
    return y


# --------------------------------------------------------------------------------------------------------- exponentials
# Degree of the Pade approximant of exp and the 1-norm up to which it is exact to the last bit of float64: N. J. Higham,
# The scaling and squaring method for the matrix exponential revisited, SIAM J. Matrix Anal. Appl. 26 (2005), table 2.3.
_DEGREES = ((3, 1.495585217958292e-2), (5, 2.539398330063230e-1), (7, 9.504178996162932e-1),
            (9, 2.097847961257068e0), (13, 5.371920351148152e0))  # fmt: skip


def _coefficients(degree: int) -> list[float]:
    """Coefficients of the numerator of the diagonal Pade approximant, the constant first, up to a common factor."""
    top = math.factorial(degree)
    return [
        math.factorial(2 * degree - j) / (math.factorial(degree - j) * math.factorial(j) * top)
        for j in range(degree + 1)
    ]


def exponential(xp: Any, x: Array, product: Callable[..., Any], solved: Callable[..., Any]) -> Array:
    """Exponentials of square matrices: a Pade approximant of the matrix over a power of 2, squared as often.

    Every matrix of a batch is scaled by its own power. The exponential of what is not finite is NaN.
    """
    if not x.size:
        return x.copy()
    size = xp.abs(x).sum(-2).max(-1)
    finite = xp.isfinite(size)
    largest = float(xp.where(finite, size, 0).max())
    degree, reach = next(((d, r) for d, r in _DEGREES if largest <= r), _DEGREES[-1])
    times = max(math.ceil(math.log2(largest / reach)), 0) if largest else 0
    squarings = xp.zeros(size.shape, np.int64)
    if times:
        squarings = xp.ceil(xp.log2(xp.maximum(xp.where(finite, size, 0), reach) / reach)).astype(np.int64)
        x = x * xp.exp2(-squarings.astype(real_dtype(x.dtype)))[..., None, None]
    identity = xp.eye(x.shape[-1], dtype=x.dtype)
    square = product(x, x)
    power: Any = identity
    even: Any = 0
    odd: Any = 0
    coefficients = _coefficients(degree)
    for j in range(0, degree + 1, 2):
        even, odd = even + coefficients[j] * power, odd + coefficients[j + 1] * power
        if j + 2 <= degree:
            power = product(power, square) if j else square
    odd = product(x, odd)
    y = solved(xp.where(finite[..., None, None], even - odd, identity), even + odd)
    for j in range(times):
        y = xp.where((squarings > j)[..., None, None], product(y, y), y)
    return xp.where(finite[..., None, None], y, np.nan).astype(x.dtype, copy=False)


# ----------------------------------------------------------------------------- quotients that gradients of spectra take
def _rounding(m: Array, w: Array) -> float:
    return float(16 * max(m.shape[-2:]) * np.finfo(w.dtype).eps)


def over_gaps(xp: Any, m: Array, w: Array, scale: Array, valued: bool, phase: bool, op: str) -> Array:
    """``m[i, j] / (w[j] - w[i])`` off the diagonal, on which it is 0.

    What is a rounding error beside ``scale``, of shape (..., 1, 1), is nothing. Where two of ``w`` are equal, the
    quotient is 0 if there is nothing to divide; else the gradient that it stands for is not determined, which is an
    error. Without ``valued``, no gradient comes from ``w`` itself: then it is 0 as well where ``m`` is Hermitian in the
    two. With ``phase``, the diagonal of a complex ``m`` must be real: vectors have any phase.
    """
    if not m.size:
        return m.copy()
    eps = _rounding(m, w)
    what = "singular" if op == "svd" else "eigen"
    if phase and m.dtype.kind == "c":
        wrong = xp.abs(xp.diagonal(m, 0, -2, -1).imag) > eps * (8 * scale[..., 0] + 1)
        if bool(wrong.any()):
            *index, i = (int(k) for k in xp.argwhere(wrong)[0])
            raise LinAlgError(
                f"{op}: backward: the function depends on the phase of {what}vector {i} of {where_is(tuple(index))}, "
                "which is arbitrary, so it has no gradient".replace("singularvector", "singular vector")
            )
    gaps = w[..., None, :] - w[..., :, None]
    close = xp.abs(gaps) <= eps * xp.abs(w).max(-1)[..., None, None]
    if int(xp.count_nonzero(close)) > w.size:  # more than the diagonal
        there = xp.abs(m) if valued else xp.abs(m - xp.swapaxes(m, -1, -2).conj())
        wrong = close & (there > eps * scale) & ~xp.eye(w.shape[-1], dtype=bool)
        if bool(wrong.any()):
            *index, i, j = (int(k) for k in xp.argwhere(wrong)[0])
            values = "singular values" if op == "svd" else "eigenvalues"
            raise LinAlgError(
                f"{op}: backward: {values} {min(i, j)} and {max(i, j)} of {where_is(tuple(index))} are equal, so the "
                f"vectors that belong to them are not differentiable; a function of the {values} alone is"
            )
    return xp.where(close, 0, m / xp.where(close, 1, gaps)).astype(m.dtype, copy=False)


def independent(xp: Any, v: Array) -> Array:
    """Eigenvectors as they are, if they are a basis: that of a defective matrix lacks some, up to rounding errors."""
    if not v.size:
        return v.copy()
    s = xp.linalg.svd(v, compute_uv=False)
    wrong = s[..., -1] <= 16 * v.shape[-1] * float(np.finfo(v.dtype).eps) * s[..., 0]
    if bool(wrong.any()):
        index = tuple(int(k) for k in xp.argwhere(wrong)[0]) if wrong.ndim else ()
        raise LinAlgError(f"eig: backward: {where_is(index)} has no basis of eigenvectors, and so no gradient")
    return v.copy()


def over_values(xp: Any, m: Array, d: Array, scale: Array, op: str) -> Array:
    """``m / d`` for ``d`` that are not negative; where one is 0, 0 if there is nothing to divide and else an error."""
    if not m.size:
        return m.copy()
    eps = _rounding(m, d)
    small = xp.broadcast_to(d <= eps * d.max((-1, -2))[..., None, None], m.shape)
    if bool(small.any()):
        wrong = small & (xp.abs(m) > eps * scale)
        if bool(wrong.any()):
            index = tuple(int(k) for k in xp.argwhere(wrong)[0])[:-2]
            raise LinAlgError(
                f"{op}: backward: {where_is(index)} has a singular value of 0, where its singular vectors are not "
                "differentiable; a function of the singular values alone is"
            )
    return xp.where(small, 0, m / xp.where(small, 1, d)).astype(m.dtype, copy=False)
