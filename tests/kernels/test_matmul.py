"""Matrix products: layouts of the operands, stacks, dtypes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from tensorgrad.kernels.cpu import blas, blas_threads, blocked

from tensorgrad import kernels as K
from tensorgrad.backend import to_numpy

from ..ops.samples import LAYOUTS, place, values
from .test_registry import array

TOLERANCE = {"float64": 1e-13, "float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2, "complex64": 1e-5}


@pytest.mark.parametrize("layouts", list(itertools.product(("contiguous", *LAYOUTS), repeat=2)), ids="-".join)
@pytest.mark.parametrize(
    "shapes",
    [((4, 5), (5, 3)), ((2, 4, 5), (5, 3)), ((2, 4, 5), (2, 5, 3)), ((4, 5), (2, 5, 3)), ((3, 1, 4, 5), (2, 5, 1))],
    ids=str,
)
def test_layouts(layouts, shapes, device):
    a, b = values(*shapes[0]), values(*shapes[1], seed=1)
    found = K.matmul(place(a, device, layout=layouts[0])._data, place(b, device, layout=layouts[1])._data)
    subscripts = "...ij,...jk->...ik"
    np.testing.assert_allclose(to_numpy(found), np.einsum(subscripts, a, b), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_dtypes(dtype, device):
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    a, b = array(values(17, 33), device, dtype), array(values(33, 9, seed=1), device, dtype)
    y = K.matmul(a, b)
    assert y.dtype == a.dtype
    kind = complex if dtype == "complex64" else float
    wanted = np.einsum("ij,jk->ik", to_numpy(a).astype(kind), to_numpy(b).astype(kind))
    np.testing.assert_allclose(to_numpy(y).astype(kind), wanted, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * 10)


def test_integers(device):
    a, b = np.arange(6).reshape(2, 3), np.arange(12).reshape(3, 4)
    assert to_numpy(K.matmul(array(a, device), array(b, device))).tolist() == [
        [sum(int(a[i, k]) * int(b[k, j]) for k in range(3)) for j in range(4)] for i in range(2)
    ]


def test_inner_size_of_zero_gives_zeros(device):
    y = K.matmul(array(np.zeros((2, 0)), device), array(np.zeros((0, 3)), device))
    assert to_numpy(y).tolist() == [[0] * 3] * 2
    y = K.linear(array(np.zeros((2, 0)), device), array(np.zeros((3, 0)), device), array(np.ones(3), device))
    assert to_numpy(y).tolist() == [[1] * 3] * 2


def test_broadcast_operand(device):
    """An operand repeated with stride 0."""
    row = array(values(1, 5), device)
    wide = np.broadcast_to(to_numpy(row), (4, 5))
    repeated = place(wide, device)._data if device == "cuda" else wide
    b = values(5, 3, seed=1)
    np.testing.assert_allclose(
        to_numpy(K.matmul(repeated, array(b, device))), np.einsum("ij,jk->ik", wide, b), rtol=1e-12
    )


@pytest.mark.parametrize("shape", [(6, 5), (2, 3, 5)], ids=str)
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("layout", ["contiguous", *LAYOUTS])
def test_linear(shape, with_bias, layout, device):
    x, w, b = values(*shape), values(4, 5, seed=1), values(4, seed=2)
    there = [place(v, device, layout=layout)._data for v in (x, w, b)]
    found = K.linear(*there) if with_bias else K.linear(*there[:2])
    wanted = np.einsum("...i,oi->...o", x, w) + (b if with_bias else 0)
    np.testing.assert_allclose(to_numpy(found), wanted, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(to_numpy(there[2]), b)


@pytest.mark.parametrize("shape", [(3, 180), (2, 20, 180), (63, 180), (64, 180)], ids=str)
@pytest.mark.parametrize("with_bias", [False, True])
def test_linear_of_few_rows(shape, with_bias, device):
    """Rows between 3 and 63 are multiplied the other way round, by a weight of this size."""
    x, w, b = values(*shape), values(500, 180, seed=1), values(500, seed=2)
    bias = array(b, device) if with_bias else None
    wanted = np.einsum("...i,oi->...o", x, w) + (b if with_bias else 0)
    operands = array(x, device), array(w, device)
    np.testing.assert_allclose(to_numpy(K.linear(*operands, bias)), wanted, rtol=1e-12, atol=1e-12)
    wide = array(np.zeros((*shape[:-1], 1000)), device)
    for out in (array(np.zeros(wanted.shape), device), wide[..., ::2]):
        K.linear(*operands, bias, out=out)
        np.testing.assert_allclose(to_numpy(out), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [1, 15, 16, 17, 64, 129])
def test_sizes(size, device):
    a, b = values(size, size), values(size, size, seed=1)
    found = K.matmul(array(a, device, "float32"), array(b, device, "float32"))
    np.testing.assert_allclose(to_numpy(found), np.einsum("ij,jk->ik", a, b), rtol=1e-3, atol=1e-4)


class TestOneThread:
    """BLAS on one thread for the time of a block."""

    def test_is_undone_at_the_end(self):
        if not blas.controlled():
            pytest.skip("NumPy is linked with a BLAS other than OpenBLAS")
        current = blas_threads._controls()[0]
        before = current()
        with blas.one_thread():
            assert current() == 1
            with pytest.raises(KeyError), blas.one_thread():
                raise KeyError
            assert current() == 1
        assert current() == before

    def test_is_undone_where_an_interrupt_kept_the_block_from_its_end(self):
        if not blas.controlled():
            pytest.skip("NumPy is linked with a BLAS other than OpenBLAS")
        current = blas_threads._controls()[0]
        before = current()
        with blas.one_thread():
            block = blas.one_thread()
            block.__enter__()
            del block
            assert current() == 1
        assert current() == before
        assert not blas.one_thread._inside

    @pytest.mark.parametrize(
        "shape", [(700, 33, 90), (90, 33, 700), (1, 700, 900), (900, 700, 1), (64, 64, 64)], ids=str
    )
    @pytest.mark.parametrize("transposed", [False, True])
    def test_split_products(self, shape, transposed, monkeypatch):
        rows, inner, columns = shape
        a = values(rows, inner)
        b = values(columns, inner, seed=1).T if transposed else values(inner, columns, seed=1)
        wanted = np.einsum("ij,jk->ik", a, b)
        monkeypatch.setattr(blas.one_thread, "used", True)
        monkeypatch.setattr(blocked, "_THREAD_WORK", 1)
        before = blocked.get_num_threads()
        blocked.set_num_threads(3)
        try:
            out = np.empty((rows, columns))
            assert blas.product(a, b, out) is out
            for y in (out, blas.product(a, b), K.matmul(a, b)):
                np.testing.assert_allclose(y, wanted, rtol=1e-12, atol=1e-12)
            bias = values(columns, seed=2)
            for y in (blas.product(a, b, out, bias), K.linear(a[None], b.T.copy(), bias)[0]):
                np.testing.assert_allclose(y, wanted + bias, rtol=1e-12, atol=1e-12)
        finally:
            blocked.set_num_threads(before)

    def test_products_are_split_here_once_a_thread_of_ours_has_been_started(self, monkeypatch):
        monkeypatch.setattr(blas.one_thread, "used", False)
        monkeypatch.setattr(blocked, "_workers", 0)
        monkeypatch.setattr(blocked, "_num_threads", 2)
        blocked.walk(lambda low, high, step: None, 1 << 20, 1, 8)
        assert blas.one_thread.used

    def test_a_product_into_its_own_operand(self, monkeypatch):
        monkeypatch.setattr(blas.one_thread, "used", True)
        a, b = values(100, 100), values(100, 100, seed=1)
        wanted = a @ b
        np.testing.assert_allclose(blas.product(a, b, a), wanted, rtol=1e-12, atol=1e-12)
