"""Systems, inverses, determinants, exponentials, and the quotients that gradients of spectra take, on both backends."""

from __future__ import annotations

import numpy as np
import pytest

from tensorgrad import kernels as K
from tensorgrad.backend import to_numpy

from .test_decomposition import DTYPES, close, library, matrices, numpy_of  # noqa: F401 - a fixture
from .test_registry import array


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [((), ()), ((2,), (2,)), ((2, 1), (3,)), ((), (2,)), ((0,), ())], ids=str)
def test_solve(batch, dtype, device):
    a, b = matrices((*batch[0], 3, 3), dtype), matrices((*batch[1], 3, 2), dtype, 1)
    x, info = numpy_of(K.solve(array(a, device), array(b, device)))
    close(a @ x, np.broadcast_to(b, x.shape), dtype)
    assert info.shape == batch[0]
    inverse, _ = numpy_of(K.inv(array(a, device)))
    close(a @ inverse, np.broadcast_to(np.eye(3), a.shape), dtype)
    for columns in (0, 1):
        shape = K.solve(array(a, device), array(b[..., :columns], device))[0].shape
        assert shape == (*np.broadcast_shapes(*batch), 3, columns)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [0, 1, 3, 64, 65, 200])
@pytest.mark.usefixtures("library")
def test_solve_triangular(n, dtype, device):
    a, b = matrices((2, 1, n, n), dtype) / max(n, 1) ** 0.5, matrices((3, n, 2), dtype, 1)
    a[..., np.arange(n), np.arange(n)] += 3
    for upper in (False, True):
        for unit in (False, True):
            triangle = (np.triu if upper else np.tril)(a, 0 if not unit else 1 if upper else -1)
            whole = triangle + np.eye(n) * unit
            given = whole + np.where(whole == 0, 7, 0)
            if unit and n:
                given[..., np.arange(n), np.arange(n)] = 5
            x = to_numpy(K.solve_triangular(array(given.astype(dtype), device), array(b, device), upper, unit))
            wanted = np.broadcast_to(b, x.shape)
            close(whole @ x, wanted, "float32" if dtype in ("float32", "complex64") else "float64")


def test_singular_matrices_are_named(device):
    good, bad = np.eye(2), np.ones((2, 2))
    x, b = array(np.stack([good, bad]), device), array(np.ones((2, 1)), device)
    with pytest.raises(np.linalg.LinAlgError, match=r"inv: matrix 1 of the batch is singular"):
        K.inv(x)
    with pytest.raises(np.linalg.LinAlgError, match=r"solve: matrix 1 of the batch is singular"):
        K.solve(x, b)
    with pytest.raises(np.linalg.LinAlgError, match=r"solve_triangular: matrix 1 of the batch has a 0"):
        K.solve_triangular(array(np.stack([good, np.diag([1.0, 0.0])]), device), b)
    inverse, info = numpy_of(K.inv(x, False))
    np.testing.assert_array_equal(info, [0, 1])
    np.testing.assert_array_equal(inverse, [good, np.full((2, 2), np.nan)])
    solution, info = numpy_of(K.solve(x, b, False))
    np.testing.assert_array_equal(info, [0, 1])
    np.testing.assert_array_equal(solution, [np.ones((2, 1)), np.full((2, 1), np.nan)])


@pytest.mark.parametrize("dtype", DTYPES)
def test_determinants(dtype, device):
    for shape in ((3, 3), (2, 4, 4), (0, 2, 2), (0, 0), (2, 0, 0)):
        x = matrices(shape, dtype)
        close(to_numpy(K.det(array(x, device))), np.linalg.det(x), dtype)
        sign, logarithm = numpy_of(K.slogdet(array(x, device)))
        assert logarithm.dtype == x.real.dtype
        close(sign * np.exp(logarithm), np.linalg.det(x), dtype)


@pytest.mark.parametrize("rank", [4, 3, 2, 1, 0])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_cofactors_of_any_rank(rank, dtype, device):
    x = matrices((4, rank), dtype) @ matrices((rank, 4), dtype, 1)
    minors = np.zeros((4, 4), dtype)
    for i, j in np.ndindex(4, 4):
        minors[i, j] = (-1) ** (i + j) * np.linalg.det(np.delete(np.delete(x, i, 0), j, 1))
    close(to_numpy(K.cofactor(array(x, device))), minors, dtype)
    # second derivatives of a polynomial of degree 4, exactly by differences of cofactors along a line
    h, e = matrices((4, 4), dtype, 2), matrices((4, 4), dtype, 3)
    steps = np.array([-2, -1, 1, 2])
    values = [(e * to_numpy(K.cofactor(array(x + t * h, device)))).sum() for t in steps]
    slope = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / 12
    found = to_numpy(K.cofactor_slope(array(h, device), array(x, device)))
    close((found * e).sum(), slope, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1e-3, 0.1, 0.6, 1.5, 4.0, 30.0])
def test_matrix_exp(scale, dtype, device):
    from scipy import linalg

    x = (matrices((2, 4, 4), dtype) * scale * np.array([1, 0.01]).reshape(2, 1, 1)).astype(dtype)
    wanted = linalg.expm(x.astype(np.complex128))
    found = to_numpy(K.matrix_exp(array(x, device)))
    assert found.dtype == x.dtype
    size = np.abs(wanted).max((-1, -2), keepdims=True)
    close(found / size, wanted / size, "float32" if found.dtype.itemsize < 8 + 8 * (x.dtype.kind == "c") else "float64")


def test_matrix_exp_of_what_is_not_finite(device):
    x = np.zeros((3, 2, 2))
    x[0, 0, 0], x[1, 0, 1] = np.nan, np.inf
    found = to_numpy(K.matrix_exp(array(x, device)))
    assert np.isnan(found[:2]).all()
    np.testing.assert_array_equal(found[2], np.eye(2))
    assert K.matrix_exp(array(np.zeros((0, 0)), device)).shape == (0, 0)


def test_quotients_over_gaps(device):
    w = array([[1.0, 1.0, 3.0]], device)
    m, scale = np.arange(1.0, 10).reshape(1, 3, 3), array([[[1.0]]], device)
    with pytest.raises(
        np.linalg.LinAlgError, match=r"eigh: backward: eigenvalues 0 and 1 of matrix 0 of the batch are"
    ):
        K.over_gaps(array(m, device), w, scale)
    with pytest.raises(np.linalg.LinAlgError, match=r"svd: backward: singular values 0 and 1"):
        K.over_gaps(array(m, device), w, scale, False, False, "svd")
    m[0, 0, 1] = m[0, 1, 0] = 5
    with pytest.raises(np.linalg.LinAlgError):
        K.over_gaps(array(m, device), w, scale, True)
    wanted = [[[0, 0, 1.5], [0, 0, 3], [-3.5, -4, 0]]]
    np.testing.assert_allclose(to_numpy(K.over_gaps(array(m, device), w, scale, False)), wanted)
    m[0, 0, 1] = m[0, 1, 0] = 1e-17
    np.testing.assert_allclose(to_numpy(K.over_gaps(array(m, device), w, scale, True)), wanted)
    with pytest.raises(
        np.linalg.LinAlgError, match=r"eigh: backward: the function depends on the phase of eigenvector 1"
    ):
        K.over_gaps(array(np.diag([1, 1j, 1])[None], device), array([[1.0, 2.0, 3.0]], device), scale, True, True)


def test_quotients_over_values(device):
    m, d, scale = array([[1.0, 0.0], [2.0, 0.0]], device), array([[2.0, 0.0]], device), array([[1.0]], device)
    np.testing.assert_array_equal(to_numpy(K.over_values(m, d, scale)), [[0.5, 0], [1, 0]])
    with pytest.raises(np.linalg.LinAlgError, match="svd: backward: the matrix has a singular value of 0"):
        K.over_values(array([[1.0, 1.0]], device), d, scale)


@pytest.mark.parametrize("dtype", DTYPES)
def test_inverses_of_any_rank(dtype, device):
    for shape, rank in (((4, 3), 3), ((3, 4), 2), ((2, 3, 3), 1), ((0, 3, 2), 2), ((3, 0), 0)):
        a = (matrices((*shape[:-1], rank), dtype) @ matrices((*shape[:-2], rank, shape[-1]), dtype, 1)).astype(dtype)
        b = matrices((shape[-2], 2), dtype, 2)
        wanted = np.linalg.pinv(a, rcond=1e-3)
        close(to_numpy(K.pinv(array(a, device), 1e-3)), wanted, dtype)
        x, ranks, s = numpy_of(K.lstsq(array(a, device), array(b, device), 1e-3))
        close(x, wanted @ b, dtype)
        np.testing.assert_array_equal(ranks, np.full(shape[:-2], min(rank, *shape[-2:])))
        close(s, np.linalg.svd(a, compute_uv=False), dtype)
    h = a = matrices((3, 3), dtype)
    h = a @ np.diag([1, -2, 0]) @ a.conj().T
    for atol in (0.0, 1e-3, array(np.array([1e-3]), device, a.real.dtype)):
        close(to_numpy(K.pinv(array(h.astype(dtype), device), 1e-3, atol, True)), np.linalg.pinv(h, rcond=1e-3), dtype)


def test_cross(device):
    for first, second, axis in (((3,), (3,), -1), ((2, 3), (3,), -1), ((3, 2), (4, 3, 1), -2)):
        a, b = matrices(first, "float64"), matrices(second, "float64", 1)
        close(to_numpy(K.cross(array(a, device), array(b, device), axis)), np.cross(a, b, axis=axis), "float64")
    assert K.cross(array([1, 0, 0], device), array([0, 1, 0], device)).tolist() == [0, 0, 1]
