"""Embeddings."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn


def table(device: str) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


def test_values_and_gradient(device):
    w = table(device)
    layer = nn.Embedding(5, 3, _weight=tg.tensor(w, device=device))
    indices = np.array([[1, 4, 1], [0, 1, 4]])
    y = layer(tg.tensor(indices, device=device))
    np.testing.assert_array_equal(y.detach().cpu().numpy(), w[indices])
    y.sum().backward()
    wanted = np.bincount(indices.ravel(), minlength=5)[:, None] * np.ones(3)
    np.testing.assert_array_equal(layer.weight.grad.cpu().numpy(), wanted)


def test_padding_and_frequency(device):
    layer = nn.Embedding(5, 3, padding_idx=-4, scale_grad_by_freq=True, device=device)
    assert layer.padding_idx == 1
    assert layer.weight.detach().cpu().numpy()[1].tolist() == [0, 0, 0]
    layer(tg.tensor([1, 4, 4, 0], device=device)).sum().backward()
    assert layer.weight.grad.cpu().numpy()[:, 0].tolist() == [1, 0, 0, 0, 1]


@pytest.mark.parametrize("norm_type", [1.0, 2.0, np.inf])
def test_max_norm(norm_type, device):
    w = table(device)
    layer = nn.Embedding(5, 3, max_norm=0.5, norm_type=norm_type, _weight=tg.tensor(w, device=device))
    layer(tg.tensor([1, 4, 4], device=device))
    found = layer.weight.detach().cpu().numpy()
    norms = np.linalg.norm(found, norm_type, axis=1)
    assert (norms[[1, 4]] <= 0.5 + 1e-5).all()
    np.testing.assert_array_equal(found[[0, 2, 3]], w[[0, 2, 3]])


def test_from_pretrained():
    layer = nn.Embedding.from_pretrained(tg.tensor(table("cpu")))
    assert not layer.weight.requires_grad
    assert nn.Embedding.from_pretrained(tg.tensor(table("cpu")), freeze=False).weight.requires_grad


def test_errors():
    with pytest.raises(ValueError, match="padding_idx"):
        nn.Embedding(3, 2, padding_idx=3)
    with pytest.raises(ValueError, match="sparse"):
        nn.Embedding(3, 2, sparse=True)
    with pytest.raises(ValueError, match="shape"):
        nn.Embedding(3, 2, _weight=tg.ones(2, 2))
    with pytest.raises(IndexError, match="embedding"):
        nn.Embedding(3, 2)(tg.tensor([3]))
    with pytest.raises(TypeError, match="integers"):
        nn.Embedding(3, 2)(tg.tensor([1.0]))
