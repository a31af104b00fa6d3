"""Views by strides, of which CuPy does not say whose memory they have, in captured functions."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg

CUTS = {
    "unfold": lambda x: tg.unfold(x, 0, 3, 1),
    "as_strided": lambda x: x.as_strided((4, 3), (1, 1)),
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_views_of_temporaries_follow_their_memory(device, cut):
    def function(a):
        b = a * 2
        windows = cut(b)
        c = tg.exp((a * 5 + 1) * 0.1)  # which could take the memory of b
        return (windows * windows).sum(axis=1) + c[:4], cut(c).sum()

    captured = tg.jit(function)
    rng = np.random.default_rng(0)
    for _ in range(3):
        a = tg.tensor(rng.normal(size=6), device=device)
        for found, wanted in zip(captured(a), function(a), strict=True):
            np.testing.assert_allclose(found.cpu().numpy(), wanted.cpu().numpy(), rtol=1e-12)


def test_writes_through_views_are_replayed(device):
    @tg.jit
    def function(a):
        b = a * 1
        part = b.as_strided((2, 2), (1, 2))
        part.mul_(2)
        b.t_().unsqueeze_(0)
        return b, part + 0

    rng = np.random.default_rng(1)
    for _ in range(3):
        a = rng.normal(size=(2, 3))
        whole, part = function(tg.tensor(a, device=device))
        wanted = a.copy().reshape(-1)
        wanted[:4] *= 2
        np.testing.assert_allclose(whole.cpu().numpy(), wanted.reshape(2, 3).T[None])
        np.testing.assert_allclose(part.cpu().numpy(), wanted[:4].reshape(2, 2).T)
