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
    "cross",
    "exponential",
    "independent",
    "least_squares",
    "over_gaps",
    "over_values",
    "permutation_from_pivots",
    "pseudoinverse",
    "truncation_curvature",
    "truncation_slope",
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


# ------------------------------------------------------------------------------------------------- inverses of any rank
def _inverted(xp: Any, values: Array, rtol: Any, atol: Any) -> tuple[Array, Array]:
    """``1 / values`` where their size is above ``max(rtol * largest, atol)`` and else 0; and where that is."""
    size = xp.abs(values)
    limit = size.max(-1)[..., None] * rtol
    if not isinstance(atol, float) or atol > 0:
        limit = xp.maximum(limit, atol)
    kept = size > limit
    return xp.where(kept, 1 / xp.where(kept, values, 1), 0).astype(values.dtype, copy=False), kept


def pseudoinverse(xp: Any, x: Array, rtol: Any, atol: Any, factors: Callable[..., Any], hermitian: bool) -> Array:
    """Moore and Penrose's inverse, from singular values and vectors or from eigenvalues and eigenvectors."""
    m, n = x.shape[-2:]
    if not x.size:
        return xp.zeros((*x.shape[:-2], n, m), x.dtype)
    if hermitian:
        values, v = factors(x, False)
        u = v
    else:
        u, values, vh = factors(x, False)
        v = xp.swapaxes(vh, -1, -2).conj()
    inverse, _ = _inverted(xp, values, rtol, atol)
    return xp.matmul(v * inverse[..., None, :], xp.swapaxes(u, -1, -2).conj())


def _dropped(xp: Any, s: Array, shape: tuple[int, ...], rtol: Any, atol: Any) -> tuple[Array, Array]:
    """Which singular values count as not 0, and which are dropped although they are more than rounding errors."""
    _, kept = _inverted(xp, s, rtol, atol)
    noise = 16 * max(shape[-2:]) * float(np.finfo(s.dtype).eps) * s.max(-1)[..., None]
    return kept, ~kept & (s > noise)


def truncation_slope(xp: Any, z: Array, x: Array, rtol: Any, atol: Any, factors: Callable[..., Any]) -> Array:
    """What dropping singular values that are not 0 adds to the derivative of a pseudoinverse in the direction ``z``.

    In the coordinates of the singular vectors, a pair of a value a that is kept and a value b that is dropped takes
    part with ``1 / a`` over ``a - b`` in what turns both sides alike and over ``a + b`` in what turns them against each
    other, instead of over a. The map is its own adjoint.
    """
    if not x.size:
        return x.copy()
    u, s, vh = factors(x, False)
    kept, dropped = _dropped(xp, s, x.shape, rtol, atol)
    if not bool(dropped.any()):
        return xp.zeros(x.shape, x.dtype)
    a, b = xp.where(kept, s, 1)[..., :, None], xp.where(dropped, s, 0)[..., None, :]
    pairs = kept[..., :, None] & dropped[..., None, :]
    alike, against = (xp.where(pairs, sign * b / (a * a * (a - sign * b)), 0) for sign in (1, -1))
    alike, against = (y + xp.swapaxes(y, -1, -2) for y in (alike, against))
    inner = xp.matmul(xp.matmul(xp.swapaxes(u, -1, -2).conj(), z), xp.swapaxes(vh, -1, -2).conj())
    turned = xp.swapaxes(inner, -1, -2).conj()
    inner = (alike * (inner + turned) + against * (inner - turned)) / 2
    return xp.matmul(xp.matmul(u, inner), vh).astype(x.dtype, copy=False)


def truncation_curvature(xp: Any, x: Array, rtol: Any, atol: Any, values: Callable[..., Any]) -> Array:
    """0, the derivative of `truncation_slope` where nothing is dropped that is not 0; else an error."""
    if x.size:
        _, dropped = _dropped(xp, values(x), x.shape, rtol, atol)
        if bool(dropped.any()):
            index = tuple(int(k) for k in xp.argwhere(dropped)[0])[:-1]
            raise LinAlgError(
                f"pinv: backward: singular values of {where_is(index)} are dropped that are not 0: then there are "
                "first derivatives only; use a smaller tolerance"
            )
    return xp.zeros(x.shape, x.dtype)


def least_squares(xp: Any, a: Array, b: Array, rtol: Any, factors: Callable[..., Any]) -> tuple[Array, Array, Array]:
    """The shortest of the x for which ``a @ x`` is nearest to b, the ranks, and the singular values."""
    u, s, vh = factors(a, False)
    if not s.size:
        shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-1], b.shape[-1])
        return xp.zeros(shape, b.dtype), xp.zeros(s.shape[:-1], np.int64), s
    inverse, kept = _inverted(xp, s, rtol, 0.0)
    x = xp.matmul(xp.swapaxes(u, -1, -2).conj(), b) * inverse[..., None]
    return xp.matmul(xp.swapaxes(vh, -1, -2).conj(), x), kept.sum(-1, dtype=np.int64), s


def cross(xp: Any, x1: Array, x2: Array, axis: int) -> Array:
    """Cross products along ``axis``, which is counted from the end."""
    a, b = xp.moveaxis(x1, axis, 0), xp.moveaxis(x2, axis, 0)
    shape = np.broadcast_shapes(x1.shape, x2.shape)
    y = xp.empty(shape, x1.dtype)
    c = xp.moveaxis(y, axis, 0)
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        xp.multiply(a[j], b[k], out=c[i, ...])
        c[i] -= a[k] * b[j]
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
