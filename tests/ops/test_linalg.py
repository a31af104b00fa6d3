"""`tg.linalg`: values against NumPy and SciPy, complex gradients, where gradients do not exist, errors, replays."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad import autograd, linalg, testing
from tensorgrad.backend import to_numpy

LinAlgError = np.linalg.LinAlgError


def normal(*shape, dtype="float64", seed=0):
    rng = np.random.default_rng([seed, *shape])
    x = rng.normal(size=shape)
    return (x + 1j * rng.normal(size=shape) if "complex" in dtype else x).astype(dtype)


def numbers(x):
    return to_numpy(x._data)


def close(found, wanted, limit=1e-9):
    found = numbers(found) if isinstance(found, tg.Tensor) else found
    wanted = np.asarray(wanted)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=limit, atol=limit * max(np.abs(wanted).max(initial=1), 1))


def adjoint(x):
    return tg.conj(tg.matrix_transpose(x))


# --------------------------------------------------------------------------------------------------------------- values
BATCHES = st.lists(st.integers(0, 3), max_size=2).map(tuple)


@settings(max_examples=25, deadline=None)
@given(batch=BATCHES, m=st.integers(1, 5), n=st.integers(1, 5), kind=st.sampled_from(["float64", "complex128"]))
def test_factorizations_multiply_back(batch, m, n, kind):
    x = normal(*batch, m, n, dtype=kind)
    t = tg.tensor(x)
    k = min(m, n)
    for mode in ("reduced", "complete"):
        q, r = linalg.qr(t, mode)
        close(q @ r, x)
        close(linalg.qr(t, "r"), numbers(r[..., :k, :]))
    p, lower, upper = linalg.lu(t)
    close(p @ lower @ upper, x)
    for full in (True, False):
        u, s, vh = linalg.svd(t, full_matrices=full)
        close((u[..., :k] * tg.expand_dims(s, -2)) @ vh[..., :k, :], x)
    close(linalg.svdvals(t), np.linalg.svd(x, compute_uv=False))
    close(linalg.pinv(t), np.linalg.pinv(x))
    np.testing.assert_array_equal(numbers(linalg.matrix_rank(t)), np.full(batch, k))
    a, tau = linalg.geqrf(t)
    if m >= n:
        close(linalg.householder_product(a, tau), numbers(linalg.qr(t).Q))
    reflectors, factors = linalg.qr(t, "raw")
    close(reflectors, np.swapaxes(numbers(a), -1, -2))
    close(factors, numbers(tau))


@settings(max_examples=25, deadline=None)
@given(batch=BATCHES, other=BATCHES, n=st.integers(1, 4), k=st.integers(0, 3), left=st.booleans())
def test_systems(batch, other, n, k, left):
    a, b = normal(*batch, n, n) + 3 * np.eye(n), normal(*other, *((n, k) if left else (k, n)), seed=1)
    x, y = tg.tensor(a), tg.tensor(b)
    try:
        shape = np.broadcast_shapes(batch, other)
    except ValueError:
        with pytest.raises(LinAlgError, match="do not broadcast"):
            linalg.solve(x, y, left=left)
        return
    found = linalg.solve(x, y, left=left)
    wanted = np.broadcast_to(b, (*shape, *b.shape[-2:]))
    close(x @ found if left else found @ x, wanted)
    close(linalg.lu_solve(*linalg.lu_factor(x), y, left=left), numbers(found))
    close(linalg.lu_solve(*linalg.lu_factor(tg.matrix_transpose(x)), y, left=left, adjoint=True), numbers(found))
    close(linalg.solve_ex(x, y, left=left).result, numbers(found))
    for upper in (False, True):
        triangle = (np.triu if upper else np.tril)(a)
        found = linalg.solve_triangular(x, y, upper=upper, left=left)
        close(tg.tensor(triangle) @ found if left else found @ tg.tensor(triangle), wanted)
        if left:
            gram = triangle.T @ triangle if upper and not batch else None
            if gram is not None:
                close(linalg.cholesky_solve(y, x, upper=True), np.linalg.solve(gram, wanted))


@pytest.mark.parametrize("kind", ["float64", "complex128"])
def test_more_values(kind, device):
    from scipy import linalg as scipy_linalg

    a = normal(2, 3, 3, dtype=kind)
    x = tg.tensor(a, device=device)
    spd = a @ a.conj().swapaxes(-1, -2) + np.eye(3)
    y = tg.tensor(spd, device=device)
    close(linalg.cholesky(y), np.linalg.cholesky(spd))
    close(linalg.cholesky(y, upper=True), np.linalg.cholesky(spd).conj().swapaxes(-1, -2))
    close(linalg.cholesky_inverse(linalg.cholesky(y)), np.linalg.inv(spd))
    close(linalg.cholesky_inverse(linalg.cholesky(y, upper=True), upper=True), np.linalg.inv(spd))
    close(linalg.det(x), np.linalg.det(a))
    for found, wanted in zip(linalg.slogdet(x), np.linalg.slogdet(a), strict=True):
        close(found, wanted)
    close(linalg.logdet(y), np.log(np.linalg.det(spd).real), 1e-8)
    close(linalg.eigvalsh(y), np.linalg.eigvalsh(spd))
    w, v = linalg.eigh(y, "U")
    close(y @ v, numbers(v * tg.expand_dims(tg.astype(w, v.dtype), -2)))
    close(linalg.matrix_exp(x), scipy_linalg.expm(a))
    assert linalg.expm is linalg.matrix_exp
    for n in (-2, -1, 0, 1, 2, 7):
        close(linalg.matrix_power(x, n), np.linalg.matrix_power(a, n), 1e-8)
    for hermitian in (False, True):
        given_x, given_a = (y, spd) if hermitian else (x, a)
        close(linalg.pinv(given_x, hermitian=hermitian), np.linalg.pinv(given_a, hermitian=hermitian))
        u, s, vh = linalg.svd(given_x, hermitian=hermitian)
        close(s, np.linalg.svd(given_a, compute_uv=False))
        close((u * tg.expand_dims(tg.astype(s, u.dtype), -2)) @ vh, given_a)
        close(linalg.svd(given_x, compute_uv=False, hermitian=hermitian), numbers(s))
    for p in (None, 2, -2, "fro", "nuc", 1, -1, np.inf, -np.inf):
        close(linalg.cond(x, p), np.linalg.cond(a, p), 1e-8)
    for order in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
        for keepdims in (False, True):
            close(linalg.matrix_norm(x, order, keepdims=keepdims), np.linalg.norm(a, order, (-2, -1), keepdims))
            close(linalg.norm(x, order, (0, 2), keepdims), np.linalg.norm(a, order, (0, 2), keepdims))
    close(linalg.norm(x), np.linalg.norm(a))
    close(linalg.norm(x[0]), np.linalg.norm(a[0]))
    close(linalg.norm(x, axis=1), np.linalg.norm(a, axis=1))
    close(linalg.norm(x[0, 0], 3), np.linalg.norm(a[0, 0], 3))
    close(linalg.cross(x, x[:1, ::-1]), np.cross(a, a[:1, ::-1]))
    close(linalg.cross(x, x[:1], axis=-2), np.cross(a, np.broadcast_to(a[:1], a.shape), axis=-2))
    close(linalg.diagonal(x, offset=1), np.linalg.diagonal(a, offset=1))
    close(linalg.trace(x, offset=-1), np.linalg.trace(a, offset=-1))
    close(linalg.outer(x[0, 0], x[0, 1]), np.outer(a[0, 0], a[0, 1]))
    close(linalg.vander(x[0], 4), np.stack([np.vander(row, 4, increasing=True) for row in a[0]]))
    close(linalg.vander(x[0, 0], increasing=False), np.vander(a[0, 0]))
    close(linalg.multi_dot([x[0], x[1], x[0, 0]]), np.linalg.multi_dot([a[0], a[1], a[0, 0]]))
    t = normal(2, 3, 6, dtype=kind, seed=4)
    close(linalg.tensorinv(tg.tensor(t, device=device)), np.linalg.tensorinv(t, 2))
    close(linalg.tensorsolve(tg.tensor(t, device=device), x[:, 0]), np.linalg.tensorsolve(t, a[:, 0]))
    t = t.reshape(2, 6, 3)
    found = linalg.tensorsolve(tg.tensor(t, device=device), x[0, 0, :1] * tg.ones(6, device=device), axes=(0, 2))
    close(found, np.linalg.tensorsolve(t, a[0, 0, :1] * np.ones(6), (0, 2)))


def test_least_squares(device):
    for m, n in ((5, 3), (3, 5), (4, 4)):
        for rank in (1, min(m, n)):
            a, b = normal(m, rank) @ normal(rank, n), normal(m, 2)
            found = linalg.lstsq(tg.tensor(a, device=device), tg.tensor(b, device=device))
            solution, residuals, wanted, s = np.linalg.lstsq(a, b)
            close(found.solution, solution)
            assert found.rank.item() == wanted == rank
            close(found.singular_values, s)
            if m > n:
                close(found.residuals, ((a @ solution - b) ** 2).sum(0))
                assert len(residuals) in (0, 2)
            else:
                assert found.residuals.shape == (0,)
    close(linalg.lstsq(tg.tensor(a), tg.tensor(b[:, 0])).solution, np.linalg.lstsq(a, b[:, 0])[0])
    assert linalg.lstsq(tg.ones(0, 2, 3), tg.ones(0, 2, 1)).solution.shape == (0, 3, 1)
    tight = linalg.lstsq(tg.tensor(np.diag([1.0, 1e-3])), tg.tensor([1.0, 1.0]), rcond=1e-2)
    close(tight.solution, [1, 0])


def test_tolerances():
    x = tg.tensor(np.diag([1.0, 1e-3, 1e-9]))
    batch = tg.stack([x, x * 1e-3])
    assert linalg.matrix_rank(x).item() == 3
    assert linalg.matrix_rank(x, rtol=1e-6).item() == 2
    assert linalg.matrix_rank(x, 1e-2).item() == linalg.matrix_rank(x, atol=1e-2).item() == 1
    assert linalg.matrix_rank(batch, rtol=tg.tensor([1e-2, 1e-6])).tolist() == [1, 2]
    assert linalg.matrix_rank(tg.zeros(3, 3)).item() == 0
    assert [linalg.matrix_rank(tg.tensor(v)).item() for v in (0.0, 2.0)] == [0, 1]
    close(linalg.pinv(x, rtol=1e-2), np.diag([1.0, 0, 0]))
    close(linalg.pinv(x, 1e-6), np.diag([1.0, 1e3, 0]))
    close(linalg.pinv(x, atol=1e-2), np.diag([1.0, 0, 0]))
    close(linalg.pinv(batch, atol=tg.tensor([1e-2, 1e-11])), [np.diag([1, 0, 0]), np.diag([1e3, 1e6, 0])], 1e-6)
    with pytest.raises(ValueError, match="rcond and rtol"):
        linalg.pinv(x, 1e-3, rtol=1e-3)
    with pytest.raises(ValueError, match="tol and atol"):
        linalg.matrix_rank(x, 1e-3, atol=1e-3)


def test_names_of_results():
    x = tg.eye(2)
    names = {
        linalg.eigh: ("eigenvalues", "eigenvectors"), linalg.eig: ("eigenvalues", "eigenvectors"),
        linalg.qr: ("Q", "R"), linalg.svd: ("U", "S", "Vh"), linalg.slogdet: ("sign", "logabsdet"),
        linalg.lu: ("P", "L", "U"), linalg.lu_factor: ("LU", "pivots"), linalg.inv_ex: ("inverse", "info"),
        linalg.cholesky_ex: ("L", "info"), linalg.lu_factor_ex: ("LU", "pivots", "info"), linalg.geqrf: ("a", "tau"),
    }  # fmt: skip
    for function, fields in names.items():
        assert function(x)._fields == fields


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_halves_are_computed_in_float32(kind, device):
    if kind == "bfloat16":
        pytest.importorskip("ml_dtypes")
    x = tg.tensor(normal(3, 3) + 3 * np.eye(3), kind, device, requires_grad=True)
    wide = tg.astype(x.detach(), tg.float32)
    for function in (linalg.inv, linalg.det, linalg.matrix_exp, linalg.pinv, linalg.svdvals, linalg.matrix_norm,
                     lambda x: linalg.qr(x).R, lambda x: linalg.solve(x, x[0]), linalg.cond):  # fmt: skip
        y = function(x)
        assert y.dtype == x.dtype
        wanted = numbers(function(wide)).astype(np.float64)
        np.testing.assert_allclose(numbers(y).astype(np.float64), wanted, rtol=1e-2, atol=1e-2 * np.abs(wanted).max())
        (g,) = autograd.grad([y.sum()], [x])
        assert g.dtype == x.dtype


def test_power_0_has_gradient_0():
    x = tg.tensor([[0.0, np.nan], [2.0, 3.0]], requires_grad=True)
    (g,) = autograd.grad(linalg.matrix_power(x, 0).sum(), [x])
    assert g.tolist() == [[0, 0], [0, 0]]


def test_integers_become_floating():
    assert linalg.inv(tg.tensor([[2, 0], [0, 4]])).tolist() == [[0.5, 0], [0, 0.25]]
    assert linalg.vector_norm(tg.tensor([3, 4])).dtype == tg.float32
    assert linalg.matrix_power(tg.tensor([[1, 1], [0, 1]]), 3).tolist() == [[1, 3], [0, 1]]
    assert linalg.matrix_power(tg.tensor([[1, 1], [0, 1]]), 0).tolist() == [[1, 0], [0, 1]]
    assert linalg.vector_norm(tg.tensor([3, 4]), dtype=tg.float64).dtype == tg.float64
    with pytest.raises(TypeError, match="dtype must be floating"):
        linalg.vector_norm(tg.tensor([3, 4]), dtype=tg.int32)


# --------------------------------------------------------------------------------------------------- complex gradients
def hermitian(x):
    return x + adjoint(x)


def positive(x):
    return x @ adjoint(x) + tg.eye(x.shape[-1], dtype=x.dtype, device=x.device)


def polar(x):
    u, _, vh = linalg.svd(x, full_matrices=False)
    return u @ vh


def without_phases(w, v):
    return (v * tg.conj(v[..., :1, :]) * tg.expand_dims(w, -2)).sum(-1)


COMPLEX = {
    "cholesky": lambda x: linalg.cholesky(positive(x)),
    "cholesky upper": lambda x: linalg.cholesky(positive(x), upper=True),
    "inv": linalg.inv,
    "det": linalg.det,
    "slogdet": lambda x: tuple(linalg.slogdet(x)),
    "solve": lambda x: linalg.solve(x, x[..., ::-1, :1]),
    "solve_triangular": lambda x: linalg.solve_triangular(x, x[..., :1], upper=True),
    "qr": lambda x: tuple(linalg.qr(x)),
    "qr wide": lambda x: tuple(linalg.qr(x[..., :2, :])),
    "qr tall": lambda x: tuple(linalg.qr(x[..., :2])),
    "lu tall": lambda x: tuple(linalg.lu(x[..., :2])[1:]),
    "lu wide": lambda x: tuple(linalg.lu(x[..., :2, :])[1:]),
    "eigvalsh": lambda x: linalg.eigvalsh(hermitian(x)),
    "eigh": lambda x: abs(linalg.eigh(hermitian(x))[1]) ** 2,
    "svd": lambda x: tuple(abs(y) ** 2 for y in linalg.svd(x[..., :2], full_matrices=False)),
    "polar": lambda x: polar(x[..., :2, :]),
    "svdvals": linalg.svdvals,
    "eigvals": lambda x: (linalg.eigvals(x) ** 3).sum(-1),
    "eig": lambda x: without_phases(*linalg.eig(x)),
    "pinv": lambda x: linalg.pinv(x[..., :2]),
    "lstsq": lambda x: linalg.lstsq(x[..., :2], x[..., 2:]).solution,
    "matrix_exp": linalg.matrix_exp,
    "vector_norm": lambda x: tuple(linalg.vector_norm(x, p) for p in (1, 2, 3.5, np.inf)),
    "householder": lambda x: linalg.householder_product(x[..., :2], x[..., 0, :2]),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_gradients(name):
    x = tg.tensor(normal(2, 3, 3, dtype="complex128") + 2 * np.diag([1, 2j, -3]), requires_grad=True)
    testing.gradcheck(COMPLEX[name], [x], atol=1e-5, rtol=1e-5)
    if name not in ("slogdet",):
        testing.gradgradcheck(COMPLEX[name], [x[0].detach().requires_grad_()], atol=1e-4, rtol=1e-4)


def test_functions_of_phases_are_refused():
    x = tg.tensor(normal(3, 3, dtype="complex128"), requires_grad=True)
    for function in (lambda: linalg.eigh(hermitian(x))[1], lambda: linalg.svd(x).U, lambda: linalg.eig(x)[1]):
        with pytest.raises(LinAlgError, match="depends on the phase"):
            autograd.grad([tg.real(function().sum())], [x])


# ------------------------------------------------------------------------------------------ where gradients are missing
def gradient(function, x):
    x = x if isinstance(x, tg.Tensor) else tg.tensor(x)
    x = x.detach().requires_grad_()
    (g,) = autograd.grad([function(x)], [x])
    return numbers(g)


def rotated(values, seed=0):
    """A symmetric matrix with the given eigenvalues, up to rounding."""
    q = np.linalg.qr(normal(len(values), len(values), seed=seed))[0]
    return (q * values) @ q.T


class TestEqualEigenvalues:
    WEIGHT = tg.tensor(normal(3, 3))

    @pytest.mark.parametrize("x", [np.eye(3), np.diag([1.0, 2.0, 1.0]), rotated([1.0, 1.0, 2.0])], ids=["I", "d", "r"])
    def test_functions_of_values(self, x, device):
        x = tg.tensor(x, device=device)
        close(gradient(lambda x: (linalg.eigvalsh(x) ** 3).sum(), x), 3 * numbers(x @ x))
        close(gradient(lambda x: (linalg.eigh(x)[0] ** 3).sum(), x), 3 * numbers(x @ x))
        close(gradient(lambda x: (linalg.svdvals(x) ** 2).sum(), x), 2 * numbers(x))

    @pytest.mark.parametrize("x", [np.eye(3), np.diag([1.0, 2.0, 1.0]), rotated([1.0, 1.0, 2.0])], ids=["I", "d", "r"])
    def test_vectors_raise(self, x, device):
        x = tg.tensor(x, device=device)
        weight = self.WEIGHT.to(device)
        with pytest.raises(LinAlgError, match=r"eigh: backward: eigenvalues \d and \d of the matrix are equal"):
            gradient(lambda x: (linalg.eigh(x)[1] * weight).sum(), x)

        def cube(x):  # it has a gradient, which cannot be told from what reaches the vectors
            w, v = linalg.eigh(x)
            return ((v * w**3) @ v.mT * weight).sum()

        with pytest.raises(LinAlgError, match="equal"):
            gradient(cube, x)

    def test_projections_that_do_not_divide_them(self):
        x = rotated([1.0, 1.0, 2.0, 5.0])
        weight = tg.tensor(normal(4, 4))

        def projection(x):
            v = linalg.eigh(x)[1][:, :2]
            return (v @ v.mT * weight).sum()

        found = gradient(projection, x)
        y = tg.tensor(x, requires_grad=True)
        testing.gradcheck(lambda y: projection((y + y.mT) / 2), [y])
        assert np.abs(found).max() > 1e-3

    def test_the_polar_factor(self):
        q = np.linalg.qr(normal(3, 3))[0]
        x = tg.tensor(2 * q, requires_grad=True)  # all singular values are 2
        testing.gradcheck(polar, [x])

    def test_singular_vectors_raise(self):
        with pytest.raises(
            LinAlgError, match=r"svd: backward: singular values 0 and 1 of matrix 1 of the batch are equal"
        ):
            gradient(lambda x: (linalg.svd(x).U * self.WEIGHT).sum(), np.stack([np.diag([3.0, 2, 1]), np.eye(3)]))

    def test_general_matrices(self):
        basis = normal(3, 3)
        x = basis @ np.diag([1.0, 2.0, 1.0]) @ np.linalg.inv(basis)
        with pytest.raises(LinAlgError, match=r"eig: backward: eigenvalues \d and \d of the matrix are equal"):
            gradient(lambda x: (abs(linalg.eig(x)[1]) ** 2 * self.WEIGHT).sum(), x)
        with pytest.raises(LinAlgError, match="eig: backward: the matrix has no basis of eigenvectors"):
            gradient(lambda x: tg.real((linalg.eigvals(x) ** 3).sum()), [[1.0, 1.0], [0.0, 1.0]])


def test_singular_values_of_zero():
    x = np.diag([2.0, 1.0, 0.0])
    close(gradient(lambda x: linalg.svdvals(x)[:2].sum(), x), np.diag([1.0, 1.0, 0.0]))
    tall = np.concatenate([x, np.zeros((1, 3))])
    with pytest.raises(LinAlgError, match="svd: backward: the matrix has a singular value of 0"):
        gradient(lambda x: (linalg.svd(x, full_matrices=False).U * tg.tensor(normal(4, 3))).sum(), tall)


def test_matrices_of_which_not_all_is_determined():
    x = normal(4, 2)
    close(gradient(lambda x: linalg.svd(x).S.sum(), x), gradient(lambda x: linalg.svdvals(x).sum(), x))
    for name, function in (
        ("svd", lambda x: linalg.svd(x).U.sum()),
        ("qr", lambda x: linalg.qr(x, "complete").Q.sum()),
    ):
        with pytest.raises(LinAlgError, match=f"{name}: backward: with"):
            gradient(function, x)
    with pytest.raises(LinAlgError, match=r"mode='reduced'"):
        linalg.geqrf(tg.tensor(x, requires_grad=True))
    with pytest.raises(LinAlgError, match="qr: backward: there is no gradient where the first columns depend"):
        gradient(lambda x: linalg.qr(x).R.sum(), [[1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 2.0]])
    with pytest.raises(LinAlgError, match="slogdet: backward: the logarithm of 0 has no gradient"):
        gradient(lambda x: linalg.slogdet(x)[1], np.ones((2, 2)))


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_determinants_of_singular_matrices(rank, device):
    x = tg.tensor(normal(3, rank) @ normal(rank, 3, seed=1), device=device, requires_grad=True)
    testing.gradcheck(linalg.det, [x])
    testing.gradgradcheck(linalg.det, [x])


def test_pseudoinverse_of_low_rank():
    left, right = (tg.tensor(normal(*s), requires_grad=True) for s in ((4, 2), (2, 3)))
    b = tg.tensor(normal(4, 2, seed=3), requires_grad=True)
    testing.gradcheck(lambda x, y: linalg.pinv(x @ y, rtol=1e-6), [left, right])
    testing.gradcheck(lambda x, y, b: linalg.lstsq(x @ y, b, 1e-6).solution, [left, right, b])
    testing.gradgradcheck(lambda x, y: linalg.pinv(x @ y, rtol=1e-6), [left, right])


def test_tolerances_of_batches_in_gradients():
    a, b = (tg.tensor(normal(*s) + 1, requires_grad=True) for s in ((2, 3, 2), (2, 3, 1)))
    limits = tg.tensor([1e-3, 0.9])  # of the second matrix one singular value counts as 0
    testing.gradcheck(lambda a, b: linalg.lstsq(a, b, limits)[::3], [a, b])
    testing.gradgradcheck(lambda a, b: linalg.lstsq(a, b, limits * 1e-2)[::3], [a, b])
    with pytest.raises(LinAlgError, match="pinv: backward: singular values of matrix 1 of the batch are dropped"):
        testing.gradgradcheck(lambda a: linalg.lstsq(a, b, limits).solution, [a])
    x, v = a.detach(), tg.tensor(normal(2, 3, 2, seed=9))
    _, tangent = tg.func.jvp(lambda a: linalg.pinv(a, rtol=limits), (x,), (v,))
    close(
        tangent, numbers(linalg.pinv(x + 1e-5 * v, rtol=limits) - linalg.pinv(x - 1e-5 * v, rtol=limits)) / 2e-5, 1e-6
    )
    close(linalg.lstsq(a, b, limits).rank, [2, 1])
    testing.gradcheck(lambda a: linalg.pinv(a, rtol=limits * 1e-2), [a])


def test_norms_of_zeros_have_gradient_zero(device):
    x = tg.zeros(2, 3, device=device, dtype=tg.float64)
    for order in (0, 0.5, 1, 1.5, 2, 3):
        assert not gradient(lambda x, p=order: linalg.vector_norm(x, p), x).any(), order
    assert not gradient(linalg.matrix_norm, x).any()


def test_conditions_and_other_compositions():
    x = tg.tensor(normal(3, 3), requires_grad=True)
    for p in (None, -2, "fro", "nuc", 1, np.inf):
        testing.gradcheck(lambda x, p=p: linalg.cond(x, p), [x], atol=1e-4, rtol=1e-4)
    assert linalg.cond(tg.ones(2, 2), 1).item() == math.inf
    assert linalg.cond(tg.zeros(2, 2)).item() == math.inf
    assert math.isnan(linalg.cond(tg.full((2, 2), math.nan), "fro").item())
    testing.gradcheck(lambda x: linalg.lu_solve(*linalg.lu_factor(x), x[:, :1], adjoint=True), [x])
    testing.gradcheck(lambda x: linalg.cholesky_solve(x[:, :1], linalg.cholesky(positive(x))), [x])
    testing.gradcheck(lambda x: linalg.tensorinv(x @ x.reshape(3, 3), 1), [x])
    testing.gradcheck(lambda x: linalg.logdet(positive(x)), [x])
    testing.gradcheck(lambda x: linalg.svd(x + x.mT, hermitian=True).S, [x])


# --------------------------------------------------------------------------------------------------------------- errors
def test_errors(device):
    x, tall = tg.eye(2, device=device), tg.ones(3, 2, device=device)
    for name in ("cholesky", "inv", "det", "slogdet", "eigh", "eigvalsh", "eig", "eigvals", "matrix_exp", "inv_ex"):
        with pytest.raises(LinAlgError, match=rf"{name}: needs square matrices, got shape \(3, 2\): 3 rows, 2 columns"):
            getattr(linalg, name)(tall)
    for name in ("qr", "lu", "svd", "svdvals", "pinv", "matrix_norm", "cond", "geqrf"):
        with pytest.raises(LinAlgError, match=rf"{name}: needs matrices, at least 2 axes; got shape \(2,\)"):
            getattr(linalg, name)(x[0])
    with pytest.raises(LinAlgError, match=r"solve: matrices of shape \(2, 2\) need right-hand sides with 2 rows, got"):
        linalg.solve(x, tall)
    with pytest.raises(LinAlgError, match=r"solve: matrix 1 of the batch is singular \(shape \(2, 2, 2\)\)"):
        linalg.solve(tg.stack([x, x * 0]), x)
    with pytest.raises(LinAlgError, match=r"inv: the matrix is singular"):
        linalg.inv(x * 0)
    with pytest.raises(
        LinAlgError, match=r"cholesky: matrix 1 of the batch is not positive definite: its leading block of"
    ):
        linalg.cholesky(tg.stack([x, -x]))
    with pytest.raises(LinAlgError, match=r"a 0 on its diagonal"):
        linalg.solve_triangular(x * 0, x, upper=True)
    with pytest.raises(LinAlgError, match="with left=False the right-hand side is a matrix"):
        linalg.solve(x, x[0], left=False)
    with pytest.raises(ValueError, match="UPLO"):
        linalg.eigh(x, "X")
    with pytest.raises(ValueError, match="mode must be"):
        linalg.qr(x, "economic")
    with pytest.raises(ValueError, match=r"pivot=False"):
        linalg.lu(x, pivot=False)
    for order in ("abc", 3):
        with pytest.raises(ValueError, match=r"matrix_norm: ord must be"):
            linalg.matrix_norm(x, order)
    with pytest.raises(ValueError, match="order 2 is one of vectors or matrices"):
        linalg.norm(tg.ones(2, 2, 2), 2)
    with pytest.raises(ValueError, match="order 'fro' is one of matrices"):
        linalg.norm(x[0], "fro")
    with pytest.raises(ValueError, match="no norm of order"):
        linalg.vector_norm(tg.ones(0), np.inf)
    with pytest.raises(ValueError, match="cross: axis -1 must have 3 elements"):
        linalg.cross(x, x)
    with pytest.raises(LinAlgError, match="multi_dot: 2 columns of tensor 0 do not fit 3 rows of tensor 1"):
        linalg.multi_dot([x, tall])
    with pytest.raises(LinAlgError, match=r"lstsq: matrices of shape \(3, 2\) need right-hand sides with 3 rows"):
        linalg.lstsq(tall, x)
    with pytest.raises(LinAlgError, match="householder_product"):
        linalg.householder_product(tall, tg.ones(3))
    assert issubclass(LinAlgError, ValueError)


def test_without_errors(device):
    x = tg.stack([tg.eye(2, device=device), tg.zeros(2, 2, device=device)])
    inverse, info = linalg.inv_ex(x)
    assert info.tolist() == [0, 1]
    assert numbers(inverse[0]).tolist() == [[1, 0], [0, 1]]
    _, info = linalg.cholesky_ex(x)
    assert info.tolist() == [0, 1]
    assert not info.requires_grad
    result, info = linalg.solve_ex(x, x)
    assert info.tolist() == [0, 1]
    assert np.isnan(numbers(result[1])).all()
    assert linalg.lu_factor_ex(x).info.tolist() == [0, 1]
    for function in (linalg.inv_ex, linalg.cholesky_ex, linalg.lu_factor_ex):
        with pytest.raises(LinAlgError):
            function(x, check_errors=True)


def test_overwritten_results_are_noticed():
    x = tg.tensor(normal(3, 3), requires_grad=True)
    u, s, _ = linalg.svd(x)
    with tg.no_grad():
        u *= 2
    with pytest.raises(RuntimeError, match=r"svd needs .* overwritten"):
        s.sum().backward()
    y = linalg.inv(x)
    with tg.no_grad():
        y *= 2
    with pytest.raises(RuntimeError, match="inv needs"):
        y.sum().backward()


# ----------------------------------------------------------------------------------------------- transforms and replays
FUNCTIONS = {
    "cholesky": lambda x: linalg.cholesky(positive(x)),
    "solve": lambda x: linalg.solve(x, x[:, :1]),
    "inv": linalg.inv,
    "slogdet": lambda x: linalg.slogdet(x).logabsdet,
    "det": linalg.det,
    "eigh": lambda x: linalg.eigh(hermitian(x)).eigenvectors ** 2,
    "svd": lambda x: linalg.svd(x).Vh ** 2,
    "qr": lambda x: linalg.qr(x).R,
    "lu": lambda x: linalg.lu(x).L,
    "pinv": lambda x: linalg.pinv(x[:, :2]),
    "lstsq": lambda x: linalg.lstsq(x[:, :2], x[:, 2:]).solution,
    "matrix_exp": linalg.matrix_exp,
    "norm": linalg.norm,
    "nuc": lambda x: linalg.matrix_norm(x, "nuc"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_replays(name, device):
    function = FUNCTIONS[name]

    def step(x):
        x = x.detach().requires_grad_()
        y = function(x)
        (y * y).sum().backward()
        return y, x.grad

    captured = tg.jit(step)
    for seed in range(3):
        x = tg.tensor(normal(3, 3, seed=seed) + np.diag([3.0, -5.0, 7.0]), device=device)
        for found, wanted in zip(captured(x), step(x), strict=True):
            close(found, numbers(wanted), 1e-12)


def test_errors_of_replays(device):
    captured = tg.jit(lambda x: linalg.cholesky(x) * 2)
    x = tg.eye(3, device=device)
    for _ in range(3):
        captured(x)
    with pytest.raises(LinAlgError, match="cholesky: the matrix is not positive definite"):
        captured(-x)
    close(captured(x), 2 * np.eye(3))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_forward_mode(name):
    x = tg.tensor(normal(3, 3) + np.diag([3.0, -5.0, 7.0]))
    v = tg.tensor(normal(3, 3, seed=1))
    function = FUNCTIONS[name]
    y, tangent = tg.func.jvp(function, (x,), (v,))
    difference = (function(x + 1e-5 * v) - function(x - 1e-5 * v)) / 2e-5
    close(y, numbers(function(x)))
    close(tangent, numbers(difference), 1e-6)


# ------------------------------------------------------------------------------------------------- the main namespace
def test_names_of_the_main_namespace(device):
    a = normal(3, 3) + 3 * np.eye(3)
    x = tg.tensor(a, device=device)
    spd = x @ x.mT
    close(tg.norm(x), np.linalg.norm(a))
    close(tg.norm(x, 1), np.abs(a).sum())
    close(x.norm(2, axis=(0, 1)), np.linalg.norm(a))
    close(x.norm(np.inf, axis=0, keepdims=True), np.abs(a).max(0, keepdims=True))
    close(tg.norm(x, "nuc"), np.linalg.norm(a, "nuc"))
    for p, match in (("abc", "p must be"), ("nuc", "the nuclear norm")):
        with pytest.raises(ValueError, match=match):
            tg.norm(x[0], p)
    close(tg.vander(x[0]), np.vander(a[0]))
    close(tg.vander(x[0], 2, True), np.vander(a[0], 2, True))
    close(tg.vdot(x, x), np.vdot(a, a))
    close(tg.cross(x, x[::-1]), np.cross(a, a[::-1]))
    close(x.inverse() @ x, np.eye(3))
    close(x.det(), np.linalg.det(a))
    close(spd.cholesky(), np.linalg.cholesky(a @ a.T))
    close(tg.lu_solve(x, *linalg.lu_factor(x)), np.eye(3))
    close(tg.chain_matmul(x, x, x), a @ a @ a)
    close(x.matrix_power(2), a @ a)
    for name in ("vander", "norm", "inverse", "matrix_exp", "pinverse"):
        assert name in dir(tg)


@pytest.mark.parametrize("where", ["a", "b"])
def test_least_squares_of_nan_leave_the_output_of_the_process_alone(where, device, capfd):
    a, b = np.arange(6.0).reshape(3, 2) ** 2, np.ones((3, 1))
    {"a": a, "b": b}[where][1, 0] = np.nan
    try:
        solution = tg.linalg.lstsq(tg.tensor(a, device=device), tg.tensor(b, device=device))[0]
    except LinAlgError:
        pass
    else:
        assert tg.isnan(solution).all()
    assert not "".join(capfd.readouterr())
