"""Initial distributions: moments, limits, structure, seeds."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.nn import init
from tensorgrad.nn.quantile import normal_quantile

SHAPE = (200, 100)


def filled(function, shape=SHAPE, device="cpu", dtype=tg.float64, **options):
    tensor = tg.empty(shape, dtype=dtype, device=device)
    generator = tg.random.Generator().manual_seed(4)
    assert function(tensor, generator=generator, **options) is tensor
    return np.array(tensor.tolist())


RANDOM = [
    (init.uniform_, {"a": -1.0, "b": 3.0}, 4 / math.sqrt(12)),
    (init.normal_, {"mean": 1.0, "std": 0.5}, 0.5),
    (init.xavier_uniform_, {"gain": 2.0}, 2 * math.sqrt(2 / 300)),
    (init.xavier_normal_, {}, math.sqrt(2 / 300)),
    (init.kaiming_uniform_, {"a": math.sqrt(5)}, math.sqrt(2 / 6 / 100)),
    (init.kaiming_uniform_, {"nonlinearity": "relu", "mode": "fan_out"}, math.sqrt(2 / 200)),
    (init.kaiming_normal_, {"nonlinearity": "tanh"}, 5 / 3 / 10),
    (init.trunc_normal_, {}, 0.8796),  # of a standard normal between -2 and 2
]
every_random = pytest.mark.parametrize(("function", "options", "std"), RANDOM)


@every_random
def test_standard_deviation(function, options, std):
    values = filled(function, **options)
    np.testing.assert_allclose(values.std(), std, rtol=0.02)
    mean = {init.uniform_: 1.0, init.normal_: 1.0}.get(function, 0.0)
    assert abs(values.mean() - mean) < 5 * std / math.sqrt(values.size)


@every_random
def test_the_device_does_not_matter(function, options, std, device):
    for dtype in (tg.float32, tg.float16):
        here, there = (filled(function, (20, 30), place, dtype, **options) for place in (device, "cpu"))
        # logarithms and cosines of normal variates are rounded differently on a GPU; all else is equal to the bit
        exact = function not in (init.normal_, init.xavier_normal_, init.kaiming_normal_)
        np.testing.assert_allclose(here, there, rtol=0 if exact else 2e-3 if dtype == tg.float16 else 2e-6, atol=0)


def test_fans_of_convolutions():
    values = filled(init.kaiming_uniform_, (40, 30, 3, 3), nonlinearity="linear")
    assert 0.99 < abs(values).max() * math.sqrt(30 * 9 / 3) <= 1.0


def test_trunc_normal_far_from_the_mean():
    values = filled(init.trunc_normal_, mean=0.0, std=1.0, a=6.0, b=7.0)
    assert 6.0 <= values.min() < values.max() <= 7.0
    assert 6.1 < values.mean() < 6.2  # the density falls by a factor of 400 per unit
    mirrored = filled(init.trunc_normal_, mean=0.0, std=1.0, a=-7.0, b=-6.0)
    np.testing.assert_allclose(mirrored, -values)


def test_quantile_is_the_inverse_of_the_distribution_function():
    p = np.concatenate([10.0 ** np.arange(-300, 0, 7), np.linspace(0.01, 0.99, 99), 1 - 10.0 ** np.arange(-15, 0)])
    expected = [statistics.NormalDist().inv_cdf(v) for v in p]
    np.testing.assert_allclose(normal_quantile(p), expected, rtol=1e-13, atol=1e-15)
    assert normal_quantile(np.array([0.0, 1.0])).tolist() == [-np.inf, np.inf]


@pytest.mark.parametrize("shape", [(5, 8), (8, 5), (4, 2, 3)])
def test_orthogonal(shape, device):
    values = filled(init.orthogonal_, shape, device, gain=2.0).reshape(shape[0], -1)
    product = values @ values.T if values.shape[0] <= values.shape[1] else values.T @ values
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-12)


def test_sparse(device):
    values = filled(init.sparse_, (10, 6), device, sparsity=0.25, std=2.0)
    assert ((values == 0).sum(0) == 3).all()


def test_constants(device):
    x = tg.empty(2, 3, device=device)
    assert init.ones_(x).tolist() == np.ones((2, 3)).tolist()
    assert init.zeros_(x).tolist() == np.zeros((2, 3)).tolist()
    assert init.constant_(x, 0.5).tolist() == np.full((2, 3), 0.5).tolist()
    assert init.eye_(x).tolist() == np.eye(2, 3).tolist()


def test_dirac_passes_channels_on(device):
    weight = np.array(init.dirac_(tg.empty(4, 3, 3, device=device)).tolist())
    expected = np.zeros((4, 3, 3))
    expected[range(3), range(3), 1] = 1
    np.testing.assert_array_equal(weight, expected)
    grouped = np.array(init.dirac_(tg.empty(4, 2, 3, device=device), groups=2).tolist())
    assert (grouped[2:] == grouped[:2]).all()


def test_gains_are_those_of_pytorch():
    gains = {"linear": 1.0, "conv2d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}
    assert all(init.calculate_gain(name) == gain for name, gain in gains.items())
    assert init.calculate_gain("leaky_relu") == math.sqrt(2 / (1 + 0.01**2))
    assert init.calculate_gain("leaky_relu", 0.2) == math.sqrt(2 / 1.04)


def test_a_backward_notices_that_a_parameter_was_initialised_anew():
    w = tg.ones(2, requires_grad=True)
    y = (w * w).sum()
    init.zeros_(w)
    assert w.requires_grad
    with pytest.raises(RuntimeError, match="overwritten"):
        y.backward()


def test_errors():
    x = tg.empty(3)
    for call, text in (
        (lambda: init.calculate_gain("gelu"), "unknown nonlinearity 'gelu'"),
        (lambda: init.xavier_uniform_(x), "at least 2 axes"),
        (lambda: init.kaiming_normal_(tg.empty(2, 2), mode="fan"), 'mode must be "fan_in" or "fan_out"'),
        (lambda: init.uniform_(x, 2.0, 1.0), "a must not be greater than b"),
        (lambda: init.normal_(x, 0.0, -1.0), "std must be at least 0"),
        (lambda: init.trunc_normal_(x, a=1.0, b=1.0), "a < b"),
        (lambda: init.eye_(x), "2 axes"),
        (lambda: init.dirac_(x), "3, 4 or 5 axes"),
        (lambda: init.orthogonal_(x), "at least 2 axes"),
        (lambda: init.sparse_(tg.empty(2, 2), 1.5), "sparsity must be between 0 and 1"),
    ):
        with pytest.raises(ValueError, match=text):
            call()
