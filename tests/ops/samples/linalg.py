"""Functions of matrices; those of which only a triangle or a Hermitian part matters are made of any matrix here."""

from __future__ import annotations

import numpy as np

import tensorgrad as tg
from tensorgrad import linalg
from tensorgrad.ops import factorization, linear_system, spectrum
from tensorgrad.ops.arrangement import triangle

from . import add, values

SHAPES = ((3, 3), (2, 1, 2, 2))
EXACT = {"halves": False, "slack": 400.0}


def well(*shape: int, seed: int = 0) -> np.ndarray:
    """Square matrices far from singular, with singular values and eigenvalues far from each other."""
    return values(*shape, low=-1, high=1, seed=seed) + np.diag(np.arange(3.0, 3.0 + 2 * shape[-1], 2.0))


def positive(x):
    """Positive definite matrices, as tensors or arrays."""
    return x @ x.swapaxes(-1, -2)


def hermitian(x):
    return x + x.swapaxes(-1, -2)


def lower(x, k=0):
    return np.tril(x, k)


for _shape in SHAPES:
    _x, _g = well(*_shape), values(*_shape, seed=5)
    _n = _shape[-1]
    for _upper in (False, True):
        add("cholesky", f"{_shape} upper={_upper}", lambda x, u=_upper: linalg.cholesky(positive(x), upper=u), _x,
            reference=lambda x, u=_upper: np.linalg.cholesky(positive(x), upper=u), **EXACT)  # fmt: skip
        for _unit in (False, True):

            def _triangular(a, b, u=_upper, one=_unit):
                a = np.triu(a, int(one)) if u else np.tril(a, -int(one))
                return np.linalg.solve(a + np.eye(a.shape[-1]) * one, b)

            add("solve_triangular", f"{_shape} upper={_upper} unit={_unit}",
                lambda a, b, u=_upper, one=_unit: linalg.solve_triangular(a, b, upper=u, unitriangular=one),
                _x, values(_n, 2), reference=_triangular, **EXACT)  # fmt: skip
    add("solve_triangular", f"{_shape} right", lambda a, b: linalg.solve_triangular(a, b, upper=True, left=False),
        _x, values(*_shape[:-2], 3, _n), reference=lambda a, b: b @ np.linalg.inv(np.triu(a)), **EXACT)  # fmt: skip
    add("inv", str(_shape), linalg.inv, _x, reference=np.linalg.inv, **EXACT)
    add("solve", str(_shape), linalg.solve, _x, values(*_shape[:-1], 2), reference=np.linalg.solve, **EXACT)
    add("solve", f"{_shape} broadcast", linalg.solve, _x, values(2, 1, _n, 1) if len(_shape) > 2 else values(_n, 1),
        reference=np.linalg.solve, **EXACT)  # fmt: skip
    add("solve", f"{_shape} right", lambda a, b: linalg.solve(a, b, left=False), _x, values(*_shape[:-2], 3, _n),
        reference=lambda a, b: b @ np.linalg.inv(a), **EXACT)  # fmt: skip
    add("det", str(_shape), linalg.det, _x, reference=np.linalg.det, **EXACT)
    add("slogdet", str(_shape), lambda x: linalg.slogdet(x).logabsdet, _x,
        reference=lambda x: np.linalg.slogdet(x)[1], **EXACT)  # fmt: skip
    add("cofactor", str(_shape), lambda x: linear_system._cofactor(x), _x,
        reference=lambda x: np.linalg.det(x)[..., None, None] * np.linalg.inv(x).swapaxes(-1, -2), **EXACT)  # fmt: skip
    add("matrix_exp", str(_shape), lambda x: linalg.matrix_exp(x * 0.3), _x,
        reference=lambda x: exponential(x * 0.3), **EXACT)  # fmt: skip
    add("eigvalsh", str(_shape), lambda x: linalg.eigvalsh(hermitian(x)), _x,
        reference=lambda x: np.linalg.eigvalsh(hermitian(x)), **EXACT)  # fmt: skip
    add("eigh", f"{_shape} squared vectors", lambda x: linalg.eigh(hermitian(x), "U").eigenvectors ** 2, _x,
        reference=lambda x: np.linalg.eigh(hermitian(x), "U")[1] ** 2, **EXACT)  # fmt: skip

add("det", "singular", linalg.det, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]],
    reference=lambda x: np.linalg.det(x), slack=4000.0, halves=False)  # fmt: skip
add("det", "rank 1", linalg.det, np.outer([1.0, 2.0, -1.0], [2.0, 0.5, 1.0]),
    reference=lambda x: np.linalg.det(x), slack=4000.0, halves=False)  # fmt: skip


def exponential(x):
    """By its series, of a matrix divided by a power of 2."""
    y = term = np.broadcast_to(np.eye(x.shape[-1]), x.shape)
    for k in range(1, 20):
        term = term @ (x / 2**6) / k
        y = y + term
    for _ in range(6):
        y = y @ y
    return y


def slope(h, x):
    """The derivative of ``sum(h * cofactor(x))`` by central differences."""
    y = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[index] = 1e-5
        ends = [np.linalg.det(z)[..., None, None] * np.linalg.inv(z).swapaxes(-1, -2) for z in (x + step, x - step)]
        y[index] = (h * (ends[0] - ends[1])).sum() / 2e-5
    return y


for _shape in ((3, 3), (2, 2, 2)):
    add("cofactor_slope", str(_shape), lambda h, x: linear_system._cofactor_slope(h, x), values(*_shape),
        well(*_shape), reference=slope, halves=False, slack=1e6)  # fmt: skip


def packed(reflectors, factors):
    return reflectors.swapaxes(-1, -2), factors


for _shape in ((3, 2), (2, 3), (2, 2, 2)):
    _k = min(_shape[-2:])
    _x = values(*_shape, seed=3)
    _x[..., np.arange(_k), np.arange(_k)] += np.arange(3.0, 3.0 + 2 * _k, 2.0)
    add("qr", str(_shape), linalg.qr, _x, reference=lambda x: tuple(np.linalg.qr(x)), **EXACT)
    add("qr", f"{_shape} r", lambda x: linalg.qr(x, "r"), _x, reference=lambda x: np.linalg.qr(x, "r"), **EXACT)
    add("qr_raw", str(_shape), lambda x: factorization._raw(x), _x.astype(np.float64),
        reference=lambda x: packed(*np.linalg.qr(x, "raw")), **EXACT)  # fmt: skip
    add("lu_factor", str(_shape), lambda x: (linalg.lu(x).L, linalg.lu(x).U), _x,
        reference=lambda x: factors_without_exchange(x), **EXACT)  # fmt: skip
    add("svd", f"{_shape} full", lambda x: linalg.svd(x).S, _x,
        reference=lambda x: np.linalg.svd(x, compute_uv=False), **EXACT)  # fmt: skip
    add("svdvals", str(_shape), linalg.svdvals, _x, reference=lambda x: np.linalg.svd(x, compute_uv=False), **EXACT)
    add("svd", f"{_shape} squared vectors", lambda x: tuple(y**2 for y in linalg.svd(x, full_matrices=False)), _x,
        reference=lambda x: tuple(y**2 for y in np.linalg.svd(x, full_matrices=False)), **EXACT)  # fmt: skip
    add("pinv", str(_shape), linalg.pinv, _x, reference=np.linalg.pinv, **EXACT)
    add("lstsq", str(_shape), lambda a, b: linalg.lstsq(a, b)[::3], _x, values(*_shape[:-1], 2),
        reference=lambda a, b: (np.linalg.pinv(a) @ b, np.linalg.svd(a, compute_uv=False)), **EXACT)  # fmt: skip
    for _k in (-1, 0, 2):
        for _upper in (False, True):
            add("triangle", f"{_shape} {_k} {_upper}", lambda x, k=_k, u=_upper: triangle(x, k, u), _x,
                reference=lambda x, k=_k, u=_upper: (np.triu if u else np.tril)(x, k))  # fmt: skip
    add("vector_norm", f"{_shape} Frobenius", linalg.matrix_norm, _x,
        reference=lambda x: np.linalg.norm(x, axis=(-2, -1)), slack=4)  # fmt: skip


def factors_without_exchange(x):
    """Elimination by hand of one matrix after the other; the samples' largest elements are on their diagonals."""
    *batch, m, n = x.shape
    k = min(m, n)
    left, right = np.zeros((*batch, m, k)), np.zeros((*batch, k, n))
    for index in np.ndindex(*batch):
        rest = x[index].copy()
        for j in range(k):
            assert abs(rest[j, j]) == np.abs(rest[j:, j]).max()
            left[index][:, j] = rest[:, j] / rest[j, j]
            right[index][j] = rest[j]
            rest = rest - np.outer(left[index][:, j], right[index][j])
    return left, right


for _order in (0, 0.5, 1, 1.5, 2, 3, np.inf, -np.inf, -1):
    for _axis, _keep in ((None, False), (0, True), ((0, 2), False)):
        add("vector_norm", f"{_order} {_axis}",
            lambda x, o=_order, a=_axis, k=_keep: linalg.vector_norm(x, o, a, k), values(2, 3, 2 if _axis else 1),
            reference=lambda x, o=_order, a=_axis, k=_keep: np.linalg.vector_norm(x, axis=a, keepdims=k, ord=o),
            slack=8, halves=_order >= 0, twice=_axis is None)  # fmt: skip

# ------------------------------------------------------------------------------------------ without gradients, or inner
add("eigvals", "values", lambda x: spectrum._eigvals(x), well(2, 3, 3), reference=np.linalg.eigvals, **EXACT)
add("eig", "values", lambda x: abs(linalg.eig(x).eigenvalues), well(2, 3, 3),
    reference=lambda x: np.abs(np.linalg.eig(x)[0]), **EXACT)  # fmt: skip
add("eig", "vectors", lambda x: abs(linalg.eig(x).eigenvectors) ** 2, well(2, 3, 3),
    reference=lambda x: np.abs(np.linalg.eig(x)[1]) ** 2, **EXACT)  # fmt: skip
for _first, _second, _axis in (((2, 3), (3,), -1), ((3, 2), (1, 3, 1), -2)):
    add("cross", f"{_first} {_second}", lambda x, y, a=_axis: linalg.cross(x, y, axis=a), values(*_first),
        values(*_second, seed=1), reference=lambda x, y, a=_axis: np.cross(x, y, axis=a), slack=4)  # fmt: skip
_wide = np.diag([4.0, 2.0, 0.5])[:, :] @ np.linalg.qr(values(3, 3, seed=8))[0]


def truncated(x):
    """The inverse of the part of a matrix with singular values above 1."""
    u, s, vh = np.linalg.svd(x)
    return (vh[:2].T / s[:2]) @ u[:, :2].T


def truncation_slope(z, x):
    """Differences of the truncated inverse, beside the derivative as if what is dropped were 0."""
    p, step = truncated(x), 1e-5
    exact = (truncated(x + step * z) - truncated(x - step * z)).T / (2 * step)
    kept = x @ p, p @ x
    constant = -p.T @ z.T @ p.T + (np.eye(3) - kept[0]) @ z @ p @ p.T + p.T @ p @ z @ (np.eye(3) - kept[1])
    return exact - constant


add("truncation_slope", "one of three", lambda z, x: spectrum._truncation_slope(z, x.detach(), 0.25, 0.0),
    values(3, 3), _wide, reference=truncation_slope, constant=(1,), halves=False, slack=1e6)  # fmt: skip
add("truncation_slope", "nothing", lambda z, x: spectrum._truncation_slope(z, x, 1e-3, 0.0), values(3, 3), _wide,
    reference=lambda z, x: 0 * z, halves=False)  # fmt: skip
add("truncation_curvature", "nothing", lambda x: spectrum._truncation_curvature(x, 1e-3, 0.0), _wide,
    reference=lambda x: 0 * x, halves=False)  # fmt: skip
add("pinv", "truncated", lambda x: linalg.pinv(x, rtol=0.25), _wide, reference=truncated, twice=False, **EXACT)
add("independent", "basis", lambda x: spectrum._independent(x), well(2, 3, 3), reference=lambda x: x, halves=False)
add("matrix_scale", "norms", lambda x: spectrum._scale(x), values(2, 3, 2),
    reference=lambda x: np.linalg.norm(x, axis=(-2, -1), keepdims=True), slack=4)  # fmt: skip
add("pivots_to_permutation", "order", lambda p: linear_system.pivots_to_permutation(p, 3), [[3, 3], [1, 2]],
    reference=lambda p: np.array([[2, 0, 1], [0, 1, 2]]))  # fmt: skip

_gaps = np.array([1.0, 2.0, 4.0])


def five(x):
    return tg.full((1, 1), 5.0, dtype=x.dtype, device=x.device)


def over_gaps(m, w):
    gaps = w[None, :] - w[:, None]
    return np.where(gaps == 0, 0, m / np.where(gaps == 0, 1, gaps))


add("over_gaps", "apart", lambda m, w: spectrum._over_gaps(m, w, five(m), True, False, "eigh"),
    values(3, 3), _gaps, reference=over_gaps, slack=8, halves=False)  # fmt: skip
add("over_values", "apart", lambda m, d: spectrum._over_values(m, d, five(m), "svd"),
    values(2, 3), _gaps[None], reference=lambda m, d: m / d, slack=8, halves=False)  # fmt: skip
add("over_values", "sums", lambda m, d: spectrum._over_values(m, d, five(m), "svd"),
    values(3, 3), _gaps[None] + _gaps[:, None], reference=lambda m, d: m / d, slack=8, halves=False)  # fmt: skip
