"""Embeddings."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn, testing


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


# ----------------------------------------------------------------------------------------------------------------- bags
BAGS = [[3, 1, 3], [], [0, 4, 4, 2], [2]]


def pooled(w, bags, mode, padding=None, factors=None):
    """One row per bag, and how often each row of the table takes part in each column."""
    rows, shares = [], np.zeros_like(w)
    place = 0
    for bag in bags:
        kept = [(i, 1.0 if factors is None else factors[place + k]) for k, i in enumerate(bag) if i != padding]
        place += len(bag)
        scale = 1 / max(len(kept), 1) if mode == "mean" else 1.0
        if mode == "max":
            winners = [max(kept, key=lambda pair: w[pair[0], c])[0] for c in range(w.shape[1])] if kept else []
            rows.append([w[i, c] for c, i in enumerate(winners)] if kept else [0.0] * w.shape[1])
            for c, i in enumerate(winners):
                shares[i, c] += 1
        else:
            rows.append(sum((scale * f * w[i] for i, f in kept), np.zeros(w.shape[1])))
            for i, f in kept:
                shares[i] += scale * f
    return np.array(rows), shares


@pytest.mark.parametrize("padding", [None, 3])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_in_a_row(mode, last, padding, device):
    w = table(device).astype(np.float64)
    layer = nn.EmbeddingBag(
        5, 3, mode=mode, include_last_offset=last, padding_idx=padding, _weight=tg.tensor(w, device=device)
    )
    indices = tg.tensor(np.concatenate(BAGS).astype(int), device=device)
    offsets = tg.tensor([0, 3, 3, 7, 8][: 5 if last else 4], device=device)
    y = layer(indices, offsets)
    rows, shares = pooled(w, BAGS, mode, padding)
    np.testing.assert_allclose(y.detach().cpu().numpy(), rows, atol=1e-12)
    y.sum().backward()
    np.testing.assert_allclose(layer.weight.grad.cpu().numpy(), shares, atol=1e-12)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_as_rows(mode, device):
    w = table(device).astype(np.float64)
    bags = [[3, 1, 3], [0, 1, 2]]
    layer = nn.EmbeddingBag.from_pretrained(tg.tensor(w, device=device), freeze=False, mode=mode, padding_idx=1)
    y = layer(tg.tensor(bags, device=device))
    rows, shares = pooled(w, bags, mode, 1)
    np.testing.assert_allclose(y.detach().cpu().numpy(), rows, atol=1e-12)
    y.sum().backward()
    np.testing.assert_allclose(layer.weight.grad.cpu().numpy(), shares, atol=1e-12)


def test_weighted_bags(device):
    w = table(device).astype(np.float64)
    factors = np.random.default_rng(1).normal(size=8)
    indices, offsets = np.concatenate(BAGS).astype(int), np.array([0, 3, 3, 7])
    weight, f = (tg.tensor(x, device=device, requires_grad=True) for x in (w, factors))

    def bags(weight, f):
        return nn.functional.embedding_bag(
            tg.tensor(indices, device=device),
            weight,
            tg.tensor(offsets, device=device),
            mode="sum",
            per_sample_weights=f,
        )

    np.testing.assert_allclose(
        bags(weight, f).detach().cpu().numpy(), pooled(w, BAGS, "sum", None, factors)[0], atol=1e-12
    )
    assert testing.gradcheck(bags, (weight, f))
    assert testing.gradgradcheck(bags, (weight, f))


def test_bag_options(device):
    weight = tg.tensor(table(device), device=device, requires_grad=True)
    nn.functional.embedding_bag(
        tg.tensor([[1, 1, 2]], device=device), weight, scale_grad_by_freq=True, mode="sum"
    ).sum().backward()
    assert weight.grad[:, 0].tolist() == [0, 1, 1, 0, 0]  # 2 / 2 and 1 / 1
    layer = nn.EmbeddingBag(5, 3, max_norm=0.5, _weight=tg.tensor(table(device), device=device))
    layer(tg.tensor([[1, 4]], device=device))
    norms = np.linalg.norm(layer.weight.detach().cpu().numpy(), axis=1)
    assert (norms[[1, 4]] <= 0.5 + 1e-5).all()
    assert nn.EmbeddingBag(5, 3, padding_idx=-1).weight.detach().numpy()[4].tolist() == [0, 0, 0]
    empty = nn.EmbeddingBag(5, 3, mode="max", device=device)(
        tg.zeros(0, dtype="int64", device=device), tg.tensor([0, 0], device=device)
    )
    assert empty.tolist() == [[0, 0, 0]] * 2


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"mode": "min"}, "mode"),
        ({"sparse": True}, "sparse"),
        ({"mode": "max", "scale_grad_by_freq": True}, "scale_grad_by_freq"),
        ({"padding_idx": 5}, "padding_idx"),
    ],
)
def test_what_bags_refuse(options, match):
    with pytest.raises(ValueError, match=match):
        nn.EmbeddingBag(5, 3, **options)


def test_what_calls_of_bags_refuse():
    layer = nn.EmbeddingBag(5, 3)
    with pytest.raises(ValueError, match="offsets"):
        layer(tg.tensor([1, 2]))
    with pytest.raises(ValueError, match="offsets"):
        layer(tg.tensor([[1, 2]]), tg.tensor([0]))
    with pytest.raises(ValueError, match="per_sample_weights"):
        layer(tg.tensor([[1, 2]]), None, tg.ones(1, 2))


# --------------------------------------------------------------------------------------------------------- unit vectors
def test_one_hot(device):
    x = tg.tensor([[0, 2], [1, 1]], device=device)
    y = nn.functional.one_hot(x)
    assert y.dtype == tg.int64
    np.testing.assert_array_equal(y.cpu().numpy(), np.eye(3)[x.cpu().numpy()])
    assert nn.functional.one_hot(x, 5).shape == (2, 2, 5)


def test_what_one_hot_refuses():
    with pytest.raises(TypeError, match="integers"):
        nn.functional.one_hot(tg.ones(2))
    with pytest.raises(ValueError, match="num_classes"):
        nn.functional.one_hot(tg.zeros(0, dtype="int64"))
    for wrong in (-1, 3):
        with pytest.raises(IndexError, match="out of bounds"):
            nn.functional.one_hot(tg.tensor([0, wrong]), 3)


@pytest.mark.parametrize("lengths", [(3, 1, 0, 4), (1,) * 30 + (60,), (0, 0, 5)])
def test_largest_of_bags_however_they_are_found(lengths, device):
    """Bags of similar lengths, of one that is far longer, and captured, where lengths cannot be read."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((7, 3))
    indices = rng.integers(0, 7, sum(lengths))
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    bags = np.split(weight[indices], offsets[1:])
    expected = np.stack([bag.max(0) if len(bag) else np.zeros(3) for bag in bags])
    w, i, o = (tg.tensor(a, device=device) for a in (weight, indices, offsets))

    def largest(w, i, o):
        return tg.nn.functional.embedding_bag(i, w, o, mode="max")

    np.testing.assert_array_equal(largest(w, i, o).cpu().numpy(), expected)
    captured = tg.jit(largest)
    for _ in range(2):
        np.testing.assert_array_equal(captured(w, i, o).cpu().numpy(), expected)


def test_repr_is_that_of_pytorch():
    options = {"max_norm": 1.0, "norm_type": 3.0, "scale_grad_by_freq": True, "padding_idx": 1}
    shown = "max_norm=1.0, norm_type=3.0, scale_grad_by_freq=True"
    assert repr(nn.Embedding(4, 2, **options)) == f"Embedding(4, 2, padding_idx=1, {shown})"
    assert repr(nn.EmbeddingBag(4, 2, **options)) == f"EmbeddingBag(4, 2, {shown}, mode='mean', padding_idx=1)"
