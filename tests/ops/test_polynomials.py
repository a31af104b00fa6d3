"""Fits, roots and gradients of polynomials; values stand with NumPy's other functions."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg

RNG = np.random.default_rng(0)
X, Y, W = RNG.normal(size=12), RNG.normal(size=(12, 3)), RNG.random(12) + 0.5


@pytest.mark.parametrize("y", [Y[:, 0], Y], ids=["one", "three"])
@pytest.mark.parametrize("deg", [0, 1, 3])
def test_polyfit(y, deg, device):
    x, target, weights = (tg.tensor(array, device=device) for array in (X, y, W))
    for options in ({}, {"cov": True}, {"cov": "unscaled", "w": W}, {"full": True}, {"rcond": 0.1, "full": True}):
        wanted = np.polyfit(X, y, deg, **options)
        found = tg.polyfit(x, target, deg, **options | ({"w": weights} if "w" in options else {}))
        for first, second in zip(
            found if isinstance(found, tuple) else (found,),
            wanted if isinstance(wanted, tuple) else (wanted,),
            strict=True,
        ):
            value = first.cpu().numpy() if isinstance(first, tg.Tensor) else first
            np.testing.assert_allclose(value, second, rtol=1e-9, atol=1e-12)
    x, target, weights = (tg.tensor(array, device=device, requires_grad=True) for array in (X, y, W))
    tg.testing.gradcheck(lambda x, y, w: tg.polyfit(x, y, deg, w=w), [x, target, weights], fast_mode=True)


def test_points_that_determine_nothing(device):
    x = tg.ones(4, dtype="float64", device=device)
    with pytest.warns(np.exceptions.RankWarning, match="polyfit"):
        tg.polyfit(x, x, 2)


@pytest.mark.parametrize("p", [[1.0, -3, 2], [0.0, 0, 1, 2, 3, 0, 0], [5.0], [0.0, 0.0], [1, 2, 3, 4]])
def test_roots(p, device):
    found, wanted = tg.roots(tg.tensor(p, device=device).astype("float64")).cpu().numpy(), np.roots(p)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(wanted), rtol=1e-9, atol=1e-12)


def test_gradients(device):
    p = tg.tensor([1.0, 2.0, 3.0, 5.0], dtype="float64", device=device, requires_grad=True)
    q = tg.tensor([2.0, 3.0], dtype="float64", device=device, requires_grad=True)
    x = tg.tensor(X[:5], device=device, requires_grad=True)
    tg.testing.gradcheck(tg.polyval, [p, x])
    tg.testing.gradgradcheck(tg.polyval, [p, x])
    tg.testing.gradcheck(tg.roots, [p])
    tg.testing.gradcheck(tg.polydiv, [p, q])
    tg.testing.gradcheck(tg.polymul, [p, q])
    tg.testing.gradcheck(tg.poly, [q])
    tg.testing.gradcheck(lambda p: tg.polyint(tg.polyder(p, 2), 2), [p])
