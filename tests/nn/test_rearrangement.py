"""Channels and pixels exchanged, element by element."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.nn import functional as F


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_pixel_shuffle(batch, device):
    x = np.arange(np.prod([*batch, 8, 3, 2])).reshape(*batch, 8, 3, 2)
    y = nn.PixelShuffle(2)(tg.tensor(x, device=device))
    assert y.shape == (*batch, 2, 6, 4)
    found = y.cpu().numpy()
    for c, h, w in np.ndindex(2, 6, 4):
        channel = 4 * c + 2 * (h % 2) + w % 2
        np.testing.assert_array_equal(found[..., c, h, w], x[..., channel, h // 2, w // 2])
    np.testing.assert_array_equal(nn.PixelUnshuffle(2)(y).cpu().numpy(), x)


def test_channel_shuffle(device):
    x = np.arange(2 * 6 * 4).reshape(2, 6, 2, 2)
    y = nn.ChannelShuffle(3)(tg.tensor(x, device=device)).cpu().numpy()
    np.testing.assert_array_equal(y, x[:, [0, 2, 4, 1, 3, 5]])


def test_gradients_go_back_to_their_pixels(device):
    x = tg.zeros(4, 2, 3, device=device, requires_grad=True)
    weight = tg.arange(24.0, device=device).reshape(1, 4, 6)
    (F.pixel_shuffle(x, 2) * weight).sum().backward()
    np.testing.assert_array_equal(x.grad.cpu().numpy(), F.pixel_unshuffle(weight, 2).cpu().numpy())


def test_what_does_not_fit():
    for function, shape in (
        (F.pixel_shuffle, (3, 2, 2)),
        (F.pixel_unshuffle, (1, 3, 2)),
        (F.channel_shuffle, (1, 3, 2)),
    ):
        with pytest.raises(ValueError, match=function.__name__):
            function(tg.ones(*shape), 2)
    with pytest.raises(ValueError, match="shape"):
        F.pixel_shuffle(tg.ones(4, 4), 2)
