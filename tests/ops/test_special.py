"""Special functions where it is hard: large arguments, poles, tails, zeros, edges; and their gradients there."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

import tensorgrad as tg
from tensorgrad.backend import to_numpy

nan, inf = np.nan, np.inf
RNG = np.random.default_rng(0)
WIDE = np.concatenate([RNG.uniform(0, 60, 400), 10 ** RNG.uniform(-8, 6, 200)])


def values_of(function, *arrays, device):
    return to_numpy(function(*(tg.tensor(np.asarray(x), device=device) for x in arrays))._data)


@pytest.mark.parametrize("name", ["gammaln", "digamma", "i0e", "i1e", "erfcx", "log_ndtr"])
def test_wide_range(name, device):
    x = np.concatenate([WIDE, -WIDE]) if name in ("i0e", "i1e") else -WIDE if name == "log_ndtr" else WIDE
    found = values_of(getattr(tg.special, name), x, device=device)
    wanted = getattr(special, name)(x)
    near_zero = np.abs(wanted) < 1e-2 if name in ("gammaln", "digamma") else np.zeros(x.shape, bool)
    np.testing.assert_allclose(found[~near_zero], wanted[~near_zero], rtol=3e-14, atol=1e-300)


def test_incomplete_gamma(device):
    for low, high, tolerance in ((-3, 0, 1e-12), (0, 2, 3e-12), (2, 4, 1e-10)):
        a = 10 ** RNG.uniform(low, high, 150)
        x = a * np.exp(RNG.normal(size=150) * np.minimum(2, 3 / np.sqrt(a) + 0.1))
        lower, upper = (values_of(f, a, x, device=device) for f in (tg.special.gammainc, tg.special.gammaincc))
        for found, wanted in ((lower, special.gammainc(a, x)), (upper, special.gammaincc(a, x))):
            kept = wanted > 1e-200
            np.testing.assert_allclose(found[kept], wanted[kept], rtol=tolerance)
        np.testing.assert_allclose(lower + upper, 1, rtol=1e-14)
    a = np.array([0, 0, 1, inf, 1, inf, -1, 1, nan])
    x = np.array([0, 1, 0, 1, inf, inf, 1, -1, 1])
    np.testing.assert_array_equal(values_of(tg.special.gammainc, a, x, device=device), special.gammainc(a, x))
    np.testing.assert_array_equal(values_of(tg.special.gammaincc, a, x, device=device), special.gammaincc(a, x))


def test_reflections(device):
    x = -RNG.uniform(0, 12, 200)
    np.testing.assert_allclose(values_of(tg.special.gammaln, x, device=device), special.gammaln(x), atol=2e-12)
    np.testing.assert_allclose(
        values_of(tg.special.digamma, x, device=device), special.digamma(x), rtol=1e-11, atol=1e-10
    )
    for n in (1, 2, 3):  # by the recurrence, up to where the argument is positive
        wanted = special.polygamma(n, x + 13) - (-1.0) ** n * special.gamma(n + 1) * sum(
            1 / (x + k) ** (n + 1) for k in range(13)
        )
        found = values_of(lambda t, n=n: tg.special.polygamma(n, t), x, device=device)
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "points", "wanted"),
    [
        ("gammaln", (0, -1, inf, -inf, nan), (inf, inf, inf, inf, nan)),
        ("digamma", (0.0, -0.0, -1, inf, -inf, nan), (-inf, inf, nan, inf, nan, nan)),
        ("erfinv", (-1, 1, 1.5, nan), (-inf, inf, nan, nan)),
        ("ndtri", (0, 1, -0.1, 1.1, nan), (-inf, inf, nan, nan, nan)),
        ("ndtr", (-inf, inf, nan), (0, 1, nan)),
        ("log_ndtr", (-inf, inf, nan), (-inf, 0, nan)),
        ("erfcx", (-inf, inf, nan), (inf, 0, nan)),
        ("i0", (inf, -inf, nan, 0), (inf, inf, nan, 1)),
        ("i1", (inf, -inf, nan, 0), (inf, -inf, nan, 0)),
        ("i0e", (inf, nan), (0, nan)),
        ("bessel_j0", (inf, nan, 0), (0, nan, 1)),
        ("bessel_y0", (0, -1, inf, nan), (-inf, nan, 0, nan)),
        ("modified_bessel_k0", (0, -1, inf, nan), (inf, nan, 0, nan)),
        ("entr", (0, -1, nan, inf), (0, -inf, nan, -inf)),
        ("sinc", (0, nan), (1, nan)),
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_edges(name, points, wanted, dtype, device):
    found = getattr(tg.special, name)(tg.tensor(points, dtype, device))
    assert found.dtype == dtype
    np.testing.assert_array_equal(to_numpy(found._data), np.asarray(wanted, dtype))


def test_float32_is_rounded_from_float64():
    x = WIDE.astype(np.float32)
    for name in ("gammaln", "digamma", "i0e", "ndtr"):
        found = values_of(getattr(tg.special, name), x, device="cpu")
        wanted = getattr(special, name)(x.astype(np.float64))
        np.testing.assert_allclose(found, wanted, rtol=1.2e-7)


def test_derivatives_at_zero(device):
    for function, first, second in (
        (tg.special.sinc, 0, -(np.pi**2) / 3),
        (tg.special.i1, 0.5, 0),
        (tg.special.bessel_j1, 0.5, 0),
        (tg.special.spherical_bessel_j0, 0, -1 / 3),
    ):
        x = tg.tensor([0.0, 1e-9], dtype="float64", device=device, requires_grad=True)
        (g,) = tg.autograd.grad(function(x).sum(), [x], create_graph=True)
        (h,) = tg.autograd.grad(g.sum(), [x])
        np.testing.assert_allclose(to_numpy(g._data), first, atol=1e-8)
        np.testing.assert_allclose(to_numpy(h._data), second, atol=1e-7)


def test_what_has_no_gradient_says_so():
    x = tg.tensor([1.0], requires_grad=True)
    for function in (tg.special.gammainc, tg.special.gammaincc, tg.special.zeta):
        with pytest.raises(RuntimeError, match="no gradient by its first argument"):
            function(x, x)
        assert function(x.detach() + 1, x).requires_grad


def test_integers_become_floating(device):
    assert tg.lgamma(tg.tensor([1, 2, 5], device=device)).dtype == np.float32
    assert tg.igamma(tg.tensor(1, device=device), tg.tensor(2, device=device)).dtype == np.float32


def test_degrees_that_are_no_whole_numbers_count_without_their_fraction():
    x = tg.tensor([[0.3], [0.8]], dtype=tg.float64)
    found = tg.special.legendre_polynomial_p(x, tg.tensor([2.7, -0.5, -1.5], dtype=tg.float64)).numpy()
    np.testing.assert_allclose(found, tg.special.legendre_polynomial_p(x, tg.tensor([2, 0, -1])).numpy())
    np.testing.assert_allclose(found[:, 0], tg.special.legendre_polynomial_p(x[:, 0], 2.7).numpy())


def test_orthogonal_polynomials_of_several_degrees():
    x, n = tg.tensor([0.3, -0.2, 0.9, 0.1], dtype="float64"), tg.tensor([0, 1, 4, -1])
    found = tg.special.legendre_polynomial_p(x, n).numpy()
    np.testing.assert_allclose(found, [*special.eval_legendre([0, 1, 4], [0.3, -0.2, 0.9]), 0], rtol=1e-12)


def test_names():
    assert [n for n in tg.special.__all__ if not callable(getattr(tg.special, n))] == []
    assert tg.erfinv is tg.special.erfinv
    assert tg.lgamma is tg.special.gammaln
