"""Windows at random distances, against the sequence of starts written out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.nn import functional as F


def starts(sample: float, size: int, wanted: int, kernel: int) -> list[int]:
    if wanted == 1:
        return [size - kernel]
    step = (size - kernel) / (wanted - 1)
    return [int((i + sample) * step) - int(sample * step) for i in range(wanted - 1)] + [size - kernel]


def pooled(x: np.ndarray, samples: np.ndarray, kernel: tuple[int, ...], wanted: tuple[int, ...]) -> np.ndarray:
    """Flat index of the maximum of each window."""
    axes = len(kernel)
    found = np.zeros((*x.shape[:2], *wanted), int)
    for n, c in np.ndindex(*x.shape[:2]):
        order = samples[n, c][::-1] if axes == 2 else samples[n, c]
        along = [starts(*given) for given in zip(order, x.shape[2:], wanted, kernel, strict=True)]
        for place in np.ndindex(*wanted):
            corner = [a[i] for a, i in zip(along, place, strict=True)]
            inside = itertools.product(*(range(s, s + k) for s, k in zip(corner, kernel, strict=True)))
            flat = [np.ravel_multi_index(i, x.shape[2:]) for i in inside]
            found[(n, c, *place)] = max(flat, key=lambda i: x[n, c].ravel()[i])
    return found


@pytest.mark.parametrize(
    ("kernel", "wanted"), [((2, 3), (4, 5)), ((2, 2), (1, 6)), ((2, 1, 3), (3, 4, 2))]
)  # fmt: skip
def test_windows(kernel, wanted, device):
    axes = len(kernel)
    random = np.random.default_rng(axes)
    x, samples = random.normal(size=(2, 2, *(7, 9, 6)[:axes])), random.uniform(size=(2, 2, axes))
    layer = getattr(nn, f"FractionalMaxPool{axes}d")(kernel, wanted, None, True, tg.tensor(samples, device=device))
    leaf = tg.tensor(x, device=device, requires_grad=True)
    y, indices = layer(leaf)
    expected = pooled(x, samples, kernel, wanted)
    np.testing.assert_array_equal(indices.cpu().numpy(), expected)
    values = np.take_along_axis(x.reshape(2, 2, -1), expected.reshape(2, 2, -1), 2).reshape(expected.shape)
    np.testing.assert_array_equal(y.detach().cpu().numpy(), values)
    y.sum().backward()
    counts = [np.bincount(i.ravel(), minlength=x[0, 0].size) for i in expected.reshape(4, -1)]
    np.testing.assert_array_equal(leaf.grad.cpu().numpy().reshape(4, -1), counts)


def test_drawn_windows(device):
    x = tg.tensor(np.arange(200.0).reshape(1, 2, 10, 10), device=device)
    tg.manual_seed(0)
    first = F.fractional_max_pool2d(x, 2, output_ratio=0.45)
    assert first.shape == (1, 2, 4, 4)
    again = [F.fractional_max_pool2d(x, 2, output_ratio=0.45).tolist() for _ in range(5)]
    assert any(y != first.tolist() for y in again)
    y, indices = F.fractional_max_pool2d_with_indices(x[0], (2, 2), 3)
    assert y.shape == indices.shape == (2, 3, 3)
    y, indices = F.fractional_max_pool3d_with_indices(x, 2, (1, 3, 4))
    assert y.shape == indices.shape == (1, 1, 3, 4)


def test_what_does_not_fit():
    for options in ({}, {"output_size": 2, "output_ratio": 0.5}, {"output_ratio": 1.0}):
        with pytest.raises(ValueError, match="output_"):
            nn.FractionalMaxPool2d(2, **options)
        with pytest.raises(ValueError, match="output_"):
            F.fractional_max_pool2d(tg.ones(1, 4, 4), 2, **options)
    with pytest.raises(ValueError, match="do not fit"):
        F.fractional_max_pool2d(tg.ones(1, 4, 4), 2, 4)
    with pytest.raises(ValueError, match="_random_samples"):
        F.fractional_max_pool2d(tg.ones(1, 4, 4), 2, 2, _random_samples=tg.ones(1, 1, 3))


def test_pooling_with_indices(device):
    x = tg.tensor(np.random.default_rng(0).normal(size=(1, 2, 4, 4, 4)), device=device)
    for axes in (1, 2, 3):
        part = x[:, :, 0, 0] if axes == 1 else x[:, :, 0] if axes == 2 else x
        for name, argument in ((f"max_pool{axes}d", 2), (f"adaptive_max_pool{axes}d", 3)):
            y, indices = getattr(F, name + "_with_indices")(part, argument)
            expected = getattr(F, name)(part, argument)
            np.testing.assert_array_equal(y.cpu().numpy(), expected.cpu().numpy())
            chosen = np.take_along_axis(
                part.cpu().numpy().reshape(1, 2, -1), indices.cpu().numpy().reshape(1, 2, -1), 2
            )
            np.testing.assert_array_equal(chosen.ravel(), expected.cpu().numpy().ravel())


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_infinite_norms(axes, device):
    x = np.random.default_rng(axes).normal(size=(1, 2, *(4, 4, 4)[:axes]))
    for p, reduce in ((np.inf, np.max), (-np.inf, np.min)):
        y = getattr(nn, f"LPPool{axes}d")(p, 2)(tg.tensor(x, device=device)).cpu().numpy()
        for index in np.ndindex(*y.shape):
            window = (*index[:2], *(slice(2 * i, 2 * i + 2) for i in index[2:]))
            assert y[index] == reduce(np.abs(x[window]))


def test_no_samples(device):
    x = tg.ones(0, 2, 4, 5, 4, device=device, requires_grad=True)
    y, indices = F.fractional_max_pool3d_with_indices(x, (2, 2, 1), (1, 3, 2))
    assert y.shape == indices.shape == (0, 2, 1, 3, 2)
    y.sum().backward()
    assert x.grad.shape == x.shape
