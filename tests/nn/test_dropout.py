"""Dropout: which elements, how they are scaled, and when."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.nn import functional as F

LAYERS = [nn.Dropout, nn.AlphaDropout, nn.FeatureAlphaDropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d]
SHAPES = {nn.Dropout1d: (40, 50, 3), nn.Dropout2d: (40, 50, 3, 2), nn.Dropout3d: (40, 50, 3, 2, 2)}


def test_kept_elements_are_scaled(device):
    y = np.array(nn.Dropout(0.25)(tg.full((10000,), 3.0, device=device)).tolist())
    assert set(np.round(y, 6)) == {0.0, 4.0}
    assert abs((y == 0).mean() - 0.25) < 0.02


def test_the_gradient_has_the_same_mask(device):
    x = tg.ones(1000, device=device, requires_grad=True)
    y = nn.Dropout(0.5)(x)
    y.sum().backward()
    assert x.grad.tolist() == y.tolist()


def test_the_seed_decides_and_the_device_does_not(device):
    masks = []
    for place in (device, "cpu"):
        tg.random.manual_seed(11)
        masks.append(nn.Dropout(0.3)(tg.ones(500, device=place)).tolist())
    assert masks[0] == masks[1]


@pytest.mark.parametrize("layer", LAYERS)
def test_identity_after_eval_and_without_p(layer, device):
    x = tg.ones(SHAPES.get(layer, (4, 5)), device=device)
    assert layer(0.5).eval()(x) is x
    assert layer(0.0)(x) is x


@pytest.mark.parametrize("layer", [nn.Dropout1d, nn.Dropout2d, nn.Dropout3d])
def test_whole_channels_go_together(layer, device):
    x = tg.ones(SHAPES[layer], device=device)
    for given, channel_axes in ((x, 2), (x[0], 1)):
        y = np.array(layer(0.4)(given).tolist())
        flat = y.reshape(*y.shape[:channel_axes], -1)
        assert (flat == flat[..., :1]).all()
        assert set(np.round(np.unique(flat), 5)) == {0.0, round(1 / 0.6, 5)}
    with pytest.raises(ValueError, match="expected an input with"):
        layer()(tg.ones(2, device=device))


def test_alpha_dropout_keeps_mean_and_variance(device):
    x = tg.random.randn(200000, device=device, generator=tg.random.Generator().manual_seed(0))
    y = np.array(nn.AlphaDropout(0.3)(x).tolist())
    assert abs(y.mean()) < 0.02
    assert abs(y.var() - 1) < 0.03
    # a dropped element becomes a * alpha' + b with alpha' = -1.7580993408473766, whatever it was
    a = ((1 - 0.3) * (1 + 0.3 * 1.7580993408473766**2)) ** -0.5
    dropped = -1.7580993408473766 * a + 0.3 * 1.7580993408473766 * a
    values, counts = np.unique(y.round(5), return_counts=True)
    assert values[counts.argmax()] == pytest.approx(dropped, abs=2e-5)
    z = np.array(nn.FeatureAlphaDropout(0.5)(tg.zeros(30, 20, 4, device=device)).tolist())
    assert (z == z[..., :1]).all()


def test_everything_goes_with_p_1(device):
    x = tg.ones(2, 3, 4, device=device)
    for layer in (nn.Dropout(1.0), nn.AlphaDropout(1.0), nn.Dropout1d(1.0)):
        assert np.array(layer(x).tolist()).max() == 0.0


def test_inplace(device):
    x = tg.ones(100, device=device)
    y = nn.Dropout(0.5, inplace=True)(x)
    assert y is x
    assert set(x.tolist()) == {0.0, 2.0}
    leaf = tg.ones(100, device=device, requires_grad=True)
    z = leaf * 1.0
    assert F.dropout(z, 0.5, inplace=True) is z
    z.sum().backward()
    assert leaf.grad.tolist() == z.tolist()


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
@pytest.mark.parametrize("layer", LAYERS)
def test_p_is_a_probability(layer, p):
    with pytest.raises(ValueError, match=f"{layer.__name__}: p must be between 0 and 1"):
        layer(p)
    with pytest.raises(ValueError, match="p must be between 0 and 1"):
        F.dropout(tg.ones(1), p, training=False)


def test_repr():
    assert repr(nn.Dropout(0.2)) == "Dropout(p=0.2, inplace=False)"
