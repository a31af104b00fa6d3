"""Gradients of quantiles by the part that is asked for."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg

CONTINUOUS = (
    "interpolated_inverted_cdf", "hazen", "weibull", "linear", "median_unbiased", "normal_unbiased",
)  # fmt: skip
STEPPED = ("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "lower", "higher", "midpoint", "nearest")
X = np.random.default_rng(0).normal(size=(3, 5))


def _array(x: tg.Tensor) -> np.ndarray:
    return x.detach().cpu().numpy()


@pytest.mark.parametrize("method", CONTINUOUS)
@pytest.mark.parametrize("function", [tg.quantile, tg.nanquantile])
def test_the_gradient_by_the_part_is_that_of_finite_differences(device, function, method):
    x = tg.tensor(X, device=device, requires_grad=True)
    q = tg.tensor([0.33, 0.61], dtype=tg.float64, device=device, requires_grad=True)
    assert tg.testing.gradcheck(lambda x, q: function(x, q, 1, method=method), (x, q))
    assert tg.testing.gradgradcheck(lambda x, q: function(x, q, 1, method=method), (x, q))
    value = function(x, q, 1, method=method)
    np.testing.assert_allclose(_array(value), np.quantile(X, [0.33, 0.61], 1, method=method), rtol=1e-12)


@pytest.mark.parametrize("keepdims", [False, True])
def test_between_two_elements_it_is_their_difference_times_how_many_steps_there_are(device, keepdims):
    x = tg.tensor([[4.0, 1.0, 3.0], [10.0, 20.0, 40.0]], device=device)
    q = tg.tensor([[0.25], [0.75]], device=device, requires_grad=True)
    y = tg.quantile(x, q, axis=1, keepdims=keepdims)
    assert y.shape == ((2, 1, 2, 1) if keepdims else (2, 1, 2))
    y.sum().backward()
    assert q.grad.tolist() == [[2.0 * (2 + 10)], [2.0 * (1 + 20)]]


def test_percentiles_count_a_hundredth_and_lists_may_hold_tensors(device):
    x = tg.tensor([1.0, tg.nan, 3.0, 7.0], device=device)
    p = tg.tensor(25.0, device=device, requires_grad=True)
    (g,) = tg.grad(tg.nanpercentile(x, [10.0, p]).sum(), p)
    assert g.item() == pytest.approx(0.04)
    (g,) = tg.grad(tg.percentile(x[2:], p), p)
    assert g.item() == pytest.approx(0.04)


def test_it_is_zero_at_an_element_beside_infinities_and_where_numbers_are_missing(device):
    def slope(x, q, function=tg.quantile):
        part = tg.tensor(q, device=device, requires_grad=True)
        (g,) = tg.grad(function(tg.tensor(x, device=device), part), part)
        return g.item()

    assert slope([1.0, 2.0, 5.0], 0.5) == slope([1.0, 2.0, 5.0], 1.0) == 0
    assert slope([1.0, tg.inf], 0.3) == slope([1.0, tg.nan], 0.3) == slope([tg.nan, tg.nan], 0.3, tg.nanquantile) == 0


@pytest.mark.parametrize("method", STEPPED)
def test_methods_that_step_have_none(device, method):
    q = tg.tensor(0.3, device=device, requires_grad=True)
    assert not tg.quantile(tg.tensor(X, device=device), q, method=method).requires_grad


def test_the_part_may_be_of_another_dtype_and_differentiated_forward(device):
    x = tg.tensor(X.astype("float32"), device=device)
    q = tg.tensor(0.33, dtype=tg.float64, requires_grad=True)  # on the CPU
    (g,) = tg.grad(tg.quantile(x, q), q)
    ordered = np.sort(X.ravel())
    assert g.dtype == tg.float64
    assert g.item() == pytest.approx(14 * (ordered[5] - ordered[4]), rel=1e-5)
    forward = tg.func.jacfwd(lambda part: tg.quantile(x, part))(q.detach())
    assert forward.item() == pytest.approx(g.item())
