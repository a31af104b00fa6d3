"""The factorizations of both backends: what they promise, their errors, and that the devices agree."""

from __future__ import annotations

import numpy as np
import pytest
from tensorgrad.kernels.cpu import lapack

from tensorgrad import kernels as K
from tensorgrad.backend import to_numpy

from .test_registry import array

SHAPES = ((3, 3), (5, 2), (2, 5), (2, 3, 4), (0, 3, 3), (3, 0), (0, 3), (40, 40), (70, 40), (40, 70))
DTYPES = ("float32", "float64", "complex64", "complex128")


def matrices(shape, dtype, seed=0):
    rng = np.random.default_rng([seed, *shape])
    x = rng.normal(size=shape)
    return (x + 1j * rng.normal(size=shape) if dtype.startswith("complex") else x).astype(dtype)


def close(found, wanted, dtype):
    limit = 2e-4 if dtype in ("float32", "complex64") else 1e-11
    np.testing.assert_allclose(found, wanted, rtol=limit, atol=limit * max(np.abs(wanted).max(initial=1), 1))


def numpy_of(made):
    return tuple(to_numpy(y) for y in made)


@pytest.fixture(params=["LAPACK", "NumPy"])
def library(request, monkeypatch):
    """NumPy's wheels bring routines that other builds of NumPy lack."""
    if request.param == "NumPy":
        monkeypatch.setattr(lapack, "available", lambda dtype: False)


def test_the_routines_of_wheels_are_found():

    if "openblas" in str(np.show_config("dicts")["Build Dependencies"]["blas"]["name"]):
        assert all(lapack.available(np.dtype(dtype)) for dtype in DTYPES)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [*SHAPES, (40, 3, 3)], ids=str)
@pytest.mark.usefixtures("library")
def test_lu_factor(shape, dtype, device):
    x = matrices(shape, dtype)
    factors, pivots, order = numpy_of(K.lu_factor(array(x, device)))
    m, n = shape[-2:]
    k = min(m, n)
    assert (pivots.dtype, order.dtype) == (np.int32, np.int64)
    assert pivots.shape == (*shape[:-2], k)
    lower = np.tril(factors[..., :k], -1) + np.eye(m, k)
    close(lower @ np.triu(factors[..., :k, :]), np.take_along_axis(x, order[..., None], -2), dtype)
    assert (np.abs(lower.real) + np.abs(lower.imag) <= 2).all()  # LAPACK takes that sum for the size, in both terms
    again = to_numpy(K.pivots_to_permutation(array(pivots, device), m))
    np.testing.assert_array_equal(again, order)


@pytest.mark.usefixtures("library")
def test_lu_factor_against_scipy(device):
    from scipy import linalg

    x = matrices((50, 50), "float64")
    x[:, 7] = 0
    with pytest.warns(linalg.LinAlgWarning):
        wanted, pivots = linalg.lu_factor(x, check_finite=False)
    found = numpy_of(K.lu_factor(array(x, device)))
    np.testing.assert_allclose(found[0], wanted, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(found[1], pivots + 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_qr_and_svd(shape, dtype, device):
    x = matrices(shape, dtype)
    on_device = array(x, device)
    m, n = shape[-2:]
    for complete in (False, True):
        q, r = numpy_of(K.qr(on_device, complete))
        close(q @ r, x, dtype)
        close(
            q.conj().swapaxes(-1, -2) @ q, np.broadcast_to(np.eye(q.shape[-1]), (*shape[:-2], *q.shape[-1:] * 2)), dtype
        )
        assert np.array_equal(r, np.triu(r))
        u, s, vh = numpy_of(K.svd(on_device, complete))
        k = min(m, n)
        close((u[..., :k] * s[..., None, :]) @ vh[..., :k, :], x, dtype)
        close(to_numpy(K.svdvals(on_device)), s, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_hermitian_matrices_are_read_from_one_triangle(dtype, device):
    x = matrices((2, 4, 4), dtype)
    x = x @ x.conj().swapaxes(-1, -2) + np.eye(4)
    for upper in (False, True):
        given = (np.triu(x) if upper else np.tril(x)) + (np.tril(np.full(x.shape, np.nan), -1) if upper else 0)
        given = given if upper else np.where(np.tri(4, dtype=bool), x, np.nan)
        on_device = array(given.astype(dtype), device)
        w, v = numpy_of(K.eigh(on_device, upper))
        close((v * w[..., None, :]) @ v.conj().swapaxes(-1, -2), x, dtype)
        close(to_numpy(K.eigvalsh(on_device, upper)), w, dtype)
        factor, info = numpy_of(K.cholesky(on_device, upper))
        assert not info.any()
        product = factor.conj().swapaxes(-1, -2) @ factor if upper else factor @ factor.conj().swapaxes(-1, -2)
        close(product, x, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_general_eigenvalues(dtype, device):
    x = matrices((2, 4, 4), dtype)
    w, v = numpy_of(K.eig(array(x, device)))
    assert w.dtype.kind == v.dtype.kind == "c"
    close(x @ v, v * w[..., None, :], "complex64" if dtype in ("float32", "complex64") else dtype)
    close(np.sort(to_numpy(K.eigvals(array(x, device)))), np.sort(w), dtype)
    for empty in ((0, 2, 2), (0, 0)):
        assert K.eig(array(np.zeros(empty), device))[1].shape == empty


def test_not_positive_definite(device):
    good = np.eye(3)
    bad = np.diag([1.0, -1.0, 1.0])
    x = array(np.stack([[good, good], [good, bad]]), device)
    with pytest.raises(np.linalg.LinAlgError, match=r"cholesky: matrix \(1, 1\) of the batch.*order 2 is not"):
        K.cholesky(x)
    with pytest.raises(np.linalg.LinAlgError, match=r"cholesky: the matrix is not positive definite.*shape \(3, 3\)"):
        K.cholesky(array(bad, device))
    factor, info = numpy_of(K.cholesky(x, False, False))
    np.testing.assert_array_equal(info, [[0, 0], [0, 2]])
    assert np.isnan(factor[1, 1]).all()
    np.testing.assert_array_equal(factor[0, 0], good)


def test_out(device):
    for name, arguments in (("qr", ()), ("svd", ()), ("lu_factor", ()), ("eigh", ()), ("eig", ()), ("cholesky", ())):
        x = array(np.diag([1.0, 2.0, 4.0]), device)
        kernel = K.INSTRUCTIONS[name]
        wanted = numpy_of(kernel(x, *arguments))
        outs = tuple(array(np.zeros(shape), device, dtype) for shape, dtype in kernel.rule(x, *arguments))
        kernel(x, *arguments, out=outs)
        for found, reference in zip(numpy_of(outs), wanted, strict=True):
            np.testing.assert_allclose(found, reference, atol=1e-12)
