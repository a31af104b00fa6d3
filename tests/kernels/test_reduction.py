"""Reductions: accumulation, order of ties, many layouts and sizes."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from tensorgrad.kernels.cpu import blas_threads, blocked, reduction

from tensorgrad import kernels as K
from tensorgrad.backend import to_numpy

from ..ops.samples import LAYOUTS, place
from .test_registry import array


@pytest.mark.parametrize("name", ["sum", "max", "prod", "any", "all", "var", "logsumexp"])
def test_every_set_of_axes(name, device):
    from scipy import special

    x = np.random.default_rng(0).uniform(-1, 1, (2, 3, 4, 5))
    x[x < -0.9] = 0
    reference = special.logsumexp if name == "logsumexp" else getattr(np, name)
    for layout in ("contiguous", *LAYOUTS):
        there = place(x, device, layout=layout)._data
        for count in range(5):
            for axes in itertools.combinations(range(4), count):
                for keepdims in (False, True):
                    found = to_numpy(K.INSTRUCTIONS[name](there, axes, keepdims))
                    wanted = reference(x, axis=axes, keepdims=keepdims) if axes or name != "logsumexp" else x
                    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12, err_msg=f"{layout} {axes}")


@pytest.mark.parametrize("size", [1, 31, 32, 33, 1000, 1024, 1025, 100_003])
def test_sizes(size, device):
    x = np.random.default_rng(size).uniform(-1, 1, size)
    there = array(x, device)
    np.testing.assert_allclose(to_numpy(K.sum(there)), math.fsum(x), rtol=1e-12, atol=1e-10)
    assert to_numpy(K.max(there)) == max(x)
    assert to_numpy(K.argmin(there)) == x.tolist().index(min(x))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_types_accumulate_in_float32(dtype, device):
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    x = array(np.ones((3, 5000)), device, dtype)
    for kernel, wanted in ((K.sum, 5000), (K.mean, 1), (K.logsumexp, 1 + math.log(5000)), (K.var, 0)):
        y = kernel(x, 1)
        assert y.dtype == x.dtype
        np.testing.assert_allclose(to_numpy(y).astype(float), [wanted] * 3, rtol=5e-3)


def test_float32_sums_lose_little(device):
    """Adding one by one would be off by 1e-3 here."""
    x = array(np.full(1_000_000, 0.1, np.float32), device)
    np.testing.assert_allclose(to_numpy(K.sum(x)), 1e6 * float(np.float32(0.1)), rtol=2e-6)


def test_integers_keep_their_dtype(device):
    x = array([[100, 100], [1, 2]], device, "uint8")
    assert to_numpy(K.sum(x, 1)).tolist() == [200, 3]
    assert K.sum(x).dtype == K.prod(x).dtype == K.max(x).dtype == np.uint8


def test_variance_does_not_cancel(device):
    x = array(np.array([1e8, 1e8 + 1, 1e8 + 2]), device)
    np.testing.assert_allclose(to_numpy(K.var(x)), 2 / 3, rtol=1e-6)
    np.testing.assert_allclose(to_numpy(K.std(x, None, False, 1.0)), 1, rtol=1e-6)


def test_nan_wins(device):
    x = array([[1.0, np.nan, 3.0], [1.0, 2.0, 3.0]], device)
    for kernel in (K.max, K.min, K.sum, K.mean, K.prod, K.var, K.logsumexp):
        found = to_numpy(kernel(x, 1))
        assert np.isnan(found[0]), kernel
        assert not np.isnan(found[1]), kernel
    assert to_numpy(K.argmax(x, 1)).tolist() == [1, 2]
    assert to_numpy(K.argmin(x, 1)).tolist() == [1, 0]


def test_first_of_equals(device):
    x = np.zeros((3, 5000))
    x[:, [17, 4000]] = 1
    assert to_numpy(K.argmax(array(x, device), 1)).tolist() == [17] * 3
    assert to_numpy(K.argmin(array(x, device), 1)).tolist() == [0] * 3
    assert to_numpy(K.argmax(array(x, device))).tolist() == 17


def test_logsumexp_of_extremes(device):
    x = array([[1000.0, 1000.0], [-1000.0, -1000.0], [-np.inf, -np.inf], [np.inf, 0.0], [-np.inf, 5.0]], device)
    wanted = [1000 + math.log(2), -1000 + math.log(2), -np.inf, np.inf, 5]
    np.testing.assert_allclose(to_numpy(K.logsumexp(x, 1)), wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "shape", [(70, 129), (5, 1024), (3, 2048), (2, 5000), (5000, 3), (6, 1, 40, 50), (8, 9, 10, 11), (4, 5, 1, 3000)]
)
def test_large_sums_and_means_over_every_set_of_axes(shape, dtype, device):
    x = np.random.default_rng(0).normal(1, 3, shape).astype(dtype)
    there, wide = array(x, device, dtype), x.astype("float64")
    for count in range(len(shape) + 1):
        for axes in itertools.combinations(range(len(shape)), count):
            for keepdims in (False, True):
                wanted = wide.sum(axes, keepdims=keepdims)
                n = math.prod(shape[a] for a in axes)
                close = (
                    {"rtol": 1e-6, "atol": 2e-6 * n**0.5} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-12 * n}
                )
                found = K.sum(there, axes, keepdims)
                assert found.dtype == dtype
                np.testing.assert_allclose(to_numpy(found), wanted, **close)
                out = array(np.full(wanted.shape, np.nan), device, dtype)
                assert K.sum(there, axes, keepdims, out=out) is out
                np.testing.assert_array_equal(to_numpy(out), to_numpy(found))
                np.testing.assert_allclose(to_numpy(K.mean(there, axes, keepdims)), wanted / n, **close)


def test_sums_of_rows_with_infinities_keep_to_themselves(device):
    x = np.ones((100, 100), np.float32)
    x[3, 4], x[5, 5], x[6, :2] = np.inf, np.nan, [np.inf, -np.inf]
    for axis in (0, 1):
        with np.errstate(invalid="ignore"):
            wanted = x.sum(axis)
        np.testing.assert_array_equal(to_numpy(K.sum(array(x, device), (axis,))), wanted)


@pytest.mark.usefixtures("many_threads")
@pytest.mark.parametrize("keepdims", [False, True])
def test_extrema_of_rows_on_several_threads(keepdims):
    x = np.random.default_rng(0).normal(size=(400, 5, 30)).astype(np.float32)
    x[7, 3, 2] = np.nan
    for view in (x, x[:, ::-1], x.transpose(1, 0, 2)):
        for axes in ((1, 2), (2,), (1,), (0, 2)):
            wanted = view.max(axes, keepdims=keepdims)
            np.testing.assert_array_equal(K.max(view, axes, keepdims), wanted)
            np.testing.assert_array_equal(K.max(view, axes, keepdims, out=np.zeros_like(wanted)), wanted)
            np.testing.assert_array_equal(K.min(view, axes, keepdims), view.min(axes, keepdims=keepdims))


def test_short_last_axes_of_views():
    x = np.random.default_rng(0).standard_normal((80, 90, 1))
    for n in (2, 5, 8, 9):
        wide = np.broadcast_to(x, (80, 90, n))
        for keepdims in (False, True):
            np.testing.assert_allclose(K.sum(wide, (2,), keepdims), n * x if keepdims else n * x[..., 0], rtol=1e-14)
        out = np.empty((80, 90))
        K.sum(wide, 2, out=out)
        np.testing.assert_allclose(out, n * x[..., 0], rtol=1e-14)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((3_000_001,), None),
        ((1300, 1733), 0),
        ((1300, 1733), 1),
        ((3, 700, 1111), 1),
        ((3, 700, 1111), (0, 2)),
        ((9000, 3), 0),
        ((2, 5, 211_000), -1),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_over_our_threads(monkeypatch, dtype, shape, axis):
    """As after the first walk over several threads, which BLAS's own would disturb."""
    monkeypatch.setattr(blas_threads.one_thread, "used", True)
    monkeypatch.setattr(blocked, "_num_threads", 3)
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    for keepdims in (False, True):
        y = reduction.sum(x, axis, keepdims)
        expected = x.sum(axis, np.float64, keepdims=keepdims)
        assert y.shape == expected.shape
        assert y.dtype == x.dtype
        assert np.allclose(y, expected, rtol=0, atol=(2e-2 if dtype == "float32" else 1e-9))
