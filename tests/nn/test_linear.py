"""Linear, bilinear and flattening layers."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.nn import functional as F


def test_linear_is_an_affine_map(device):
    layer = nn.Linear(3, 2, device=device, dtype=tg.float64)
    x0 = np.arange(12.0).reshape(2, 2, 3)
    x = tg.tensor(x0, device=device, requires_grad=True)
    y = layer(x)
    weight, bias = np.array(layer.weight.tolist()), np.array(layer.bias.tolist())
    np.testing.assert_allclose(y.tolist(), x0 @ weight.T + bias)
    y.sum().backward()
    np.testing.assert_allclose(layer.weight.grad.tolist(), np.broadcast_to(x0.sum((0, 1)), (2, 3)))
    np.testing.assert_allclose(layer.bias.grad.tolist(), [4.0, 4.0])
    np.testing.assert_allclose(x.grad.tolist(), np.broadcast_to(weight.sum(0), x0.shape))


def test_linear_starts_from_a_uniform_distribution(device):
    layer = nn.Linear(400, 300, device=device)
    for values in (np.array(layer.weight.tolist()), np.array(layer.bias.tolist())):
        assert abs(values).max() <= 1 / 20
        assert abs(values).max() > 0.049
        assert abs(values.mean()) < 5 * (0.05 / np.sqrt(3)) / np.sqrt(values.size)
        np.testing.assert_allclose(values.std(), 0.05 / np.sqrt(3), rtol=0.1)


def test_the_seed_decides_and_the_device_does_not(device):
    tg.random.manual_seed(3)
    here = nn.Linear(5, 4, device=device)
    tg.random.manual_seed(3)
    there = nn.Linear(5, 4, device="cpu")
    assert here.weight.tolist() == there.weight.tolist()
    assert here.bias.tolist() == there.bias.tolist()


def test_without_bias():
    layer = nn.Linear(3, 2, bias=False)
    assert layer.bias is None
    assert list(layer.state_dict()) == ["weight"]
    assert repr(layer) == "Linear(in_features=3, out_features=2, bias=False)"


def test_no_inputs():
    with pytest.warns(UserWarning, match="no elements to fill"):
        layer = nn.Linear(0, 2)
    assert layer(tg.ones(4, 0)).tolist() == [[0.0, 0.0]] * 4


def test_linear_errors():
    layer = nn.Linear(3, 2)
    with pytest.raises(ValueError, match=r"shape \(5, 4\), does not fit the weight, shape \(2, 3\)"):
        layer(tg.ones(5, 4))
    with pytest.raises(TypeError, match="must have one dtype"):
        layer(tg.ones(5, 3, dtype=tg.float64))


def test_bilinear_is_a_form_per_output(device):
    layer = nn.Bilinear(2, 3, 4, device=device, dtype=tg.float64)
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((5, 2)), rng.standard_normal((5, 3))
    y = layer(tg.tensor(a, device=device), tg.tensor(b, device=device))
    weight = np.array(layer.weight.tolist())
    np.testing.assert_allclose(y.tolist(), np.einsum("ni,oij,nj->no", a, weight, b) + layer.bias.tolist(), rtol=1e-12)
    y.sum().backward()
    np.testing.assert_allclose(layer.weight.grad.tolist()[0], a.T @ b, rtol=1e-12)
    assert abs(weight).max() <= 1 / np.sqrt(2)
    with pytest.raises(ValueError, match="do not fit the weight"):
        F.bilinear(tg.ones(5, 3), tg.ones(5, 2), tg.ones(4, 2, 3))


def test_identity_takes_anything():
    x = tg.ones(2)
    assert nn.Identity(3, key=4)(x) is x


def test_flatten_and_unflatten(device):
    x = tg.ones(2, 3, 4, 5, device=device)
    assert nn.Flatten()(x).shape == (2, 60)
    assert nn.Flatten(0, 2)(x).shape == (24, 5)
    assert nn.Unflatten(1, (3, 1))(x).shape == (2, 3, 1, 4, 5)
    assert nn.Unflatten(-1, (-1, 5))(x).shape == (2, 3, 4, 1, 5)
    assert repr(nn.Flatten()) == "Flatten(start_dim=1, end_dim=-1)"
    with pytest.raises(TypeError, match="dim must be an int"):
        nn.Unflatten("features", (2, 2))
    with pytest.raises(ValueError, match="cannot become"):
        nn.Unflatten(1, (2, 2))(x)


def test_cosine_similarity_broadcasts_before_it_measures(device):
    x1, x2 = np.random.default_rng(0).normal(size=(3, 4, 1)), np.random.default_rng(1).normal(size=(1, 4, 2))
    y = nn.CosineSimilarity(0)(tg.tensor(x1, device=device), tg.tensor(x2, device=device)).cpu().numpy()
    a, b = np.broadcast_arrays(x1, x2)
    expected = (a * b).sum(0) / np.linalg.norm(a, axis=0) / np.linalg.norm(b, axis=0)
    np.testing.assert_allclose(y, expected, rtol=1e-12)


def test_short_vectors_of_cosine_similarity(device):
    """A length below eps counts as eps, and the gradient is taken as if it had not been raised, as in PyTorch."""
    x1 = tg.tensor([[0.1, 0.2]], dtype=tg.float64, device=device, requires_grad=True)
    x2 = tg.tensor([[1.0, 2.0]], dtype=tg.float64, device=device)
    y = nn.CosineSimilarity(eps=0.5)(x1, x2)
    np.testing.assert_allclose(y.detach().cpu().numpy(), [0.1 * np.sqrt(5) / 0.5], rtol=1e-12)
    y.sum().backward()
    # x2 / (|x2| eps) - (x1 . x2) / (|x2| eps**2) x1 / |x1|
    np.testing.assert_allclose(x1.grad.cpu().numpy(), [[0.494427191, 0.988854382]], rtol=1e-8)
