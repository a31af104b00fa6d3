"""The adaptive softmax against its definition as one distribution over all classes."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn


def log_softmax(x: np.ndarray) -> np.ndarray:
    x = x - x.max(1, keepdims=True)
    return x - np.log(np.exp(x).sum(1, keepdims=True))


def whole(layer: nn.AdaptiveLogSoftmaxWithLoss, x: np.ndarray) -> np.ndarray:
    """Log-probabilities of all 12 classes with cutoffs 3 and 7."""
    w = {name: value.cpu().numpy() for name, value in layer.state_dict().items()}
    head = log_softmax(x @ w["head.weight"].T + w.get("head.bias", 0))
    tails = [head[:, [3 + i]] + log_softmax(x @ w[f"tail.{i}.0.weight"].T @ w[f"tail.{i}.1.weight"].T) for i in (0, 1)]
    return np.concatenate([head[:, :3], *tails], 1)


@pytest.mark.parametrize("bias", [False, True])
def test_values(bias, device):
    tg.manual_seed(0)
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 12, [3, 7], 2.0, bias, device=device, dtype=tg.float64)
    assert [tuple(p.shape) for p in layer.tail.parameters()] == [(4, 8), (4, 4), (2, 8), (5, 2)]
    x = np.random.default_rng(0).normal(size=(6, 8))
    expected = whole(layer, x)
    np.testing.assert_allclose(np.exp(expected).sum(1), 1, rtol=1e-12)
    leaf = tg.tensor(x, device=device, requires_grad=True)
    np.testing.assert_allclose(layer.log_prob(leaf).detach().cpu().numpy(), expected, rtol=1e-10)
    np.testing.assert_array_equal(layer.predict(leaf).cpu().numpy(), expected.argmax(1))
    for targets in (np.array([0, 11, 4, 3, 2, 6]), np.array([1, 0, 2, 2, 1, 0])):
        output, loss = layer(leaf, tg.tensor(targets, device=device))
        chosen = expected[np.arange(6), targets]
        np.testing.assert_allclose(output.detach().cpu().numpy(), chosen, rtol=1e-10)
        np.testing.assert_allclose(loss.item(), -chosen.mean(), rtol=1e-10)
    # the gradient is that of the whole distribution
    (found,) = tg.grad(layer(leaf, tg.tensor([0, 11, 4, 3, 2, 6], device=device)).loss, [leaf])
    everything = layer.log_prob(leaf)[tg.arange(6, device=device), tg.tensor([0, 11, 4, 3, 2, 6], device=device)]
    (wanted,) = tg.grad(-everything.mean(), [leaf])
    np.testing.assert_allclose(found.cpu().numpy(), wanted.cpu().numpy(), rtol=1e-10)


def test_one_sample(device):
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 12, [3, 7], 2.0, device=device)
    x = tg.ones(2, 8, device=device)
    batch = layer(x, tg.tensor([5, 5], device=device))
    single = layer(x[0], tg.tensor(5, device=device))
    assert single.output.shape == ()
    np.testing.assert_allclose(single.output.item(), batch.output.tolist()[0], rtol=1e-6)


def test_reset(device):
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 12, [3, 7], 2.0, device=device)
    before = [p.tolist() for p in layer.parameters()]
    layer.reset_parameters()
    assert all(p.tolist() != old for p, old in zip(layer.parameters(), before, strict=True))


def test_errors():
    for cutoffs in ([], [0, 3], [3, 3], [7, 3], [3, 12], [2.5]):
        with pytest.raises(ValueError, match="cutoffs"):
            nn.AdaptiveLogSoftmaxWithLoss(8, 12, cutoffs)
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 12, [3, 7], 2.0)
    with pytest.raises(ValueError, match="targets must be"):
        layer(tg.ones(2, 8), tg.tensor([0, 12]))
    with pytest.raises(ValueError, match="expected an input"):
        layer(tg.ones(2, 8), tg.tensor([0]))
