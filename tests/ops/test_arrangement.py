"""What the samples of arrangements leave out: parts, errors, dtypes."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg

from .samples import values


def test_split(device):
    x = tg.tensor(values(5, 2), device=device)
    for parts, sizes in (
        (tg.split(x, 5), (1, 1, 1, 1, 1)),
        (tg.split(x, 1), (5,)),
        (tg.split(x, [1, 1, 4]), (1, 0, 3, 1)),
        (tg.chunk(x, 2), (3, 2)),
        (tg.chunk(x, 4), (2, 2, 1)),
        (tg.chunk(x[:0], 3), (0,)),
    ):
        assert tuple(len(part) for part in parts) == sizes
        whole = tg.concat(parts).cpu().numpy()
        np.testing.assert_array_equal(whole, x.cpu().numpy()[: len(whole)])
    left, right = tg.split(x, 2, axis=-1)
    assert left.shape == right.shape == (5, 1)
    x = tg.tensor(values(5), device=device, requires_grad=True)
    tg.testing.gradcheck(lambda x: tg.split(x**2, [2]), x)


def test_parts_share_memory_and_gradients(device):
    """A write to a part is a write to the whole and its other views; the gradient of an unused part is 0."""
    x = tg.tensor(values(6), device=device, requires_grad=True)
    whole = x * 1.0
    first, second, third = tg.split(whole, 3)
    second *= 3.0
    ((whole * whole).sum() + second.sum() + (first * 2.0).sum()).backward()
    data = x.detach().cpu().numpy()
    np.testing.assert_allclose(third.detach().cpu().numpy(), data[4:])
    wanted = 2 * data * np.array([1, 1, 9, 9, 1, 1]) + np.array([2, 2, 3, 3, 0, 0])
    np.testing.assert_allclose(x.grad.cpu().numpy(), wanted)
    with tg.no_grad():
        third += 1.0
    np.testing.assert_allclose(whole.detach().cpu().numpy()[4:], data[4:] + 1)


def test_dtypes_stay(device):
    x = tg.tensor([[1, 2], [3, 4]], dtype=tg.int32, device=device)
    for y in (tg.tile(x, 2), tg.repeat(x, 2), tg.roll(x, 1), tg.tril(x), tg.triu(x), tg.diagonal(x)):
        assert y.dtype == tg.int32
        assert y.device == x.device
    assert tg.trace(x).dtype == tg.int64


def test_nothing(device):
    x = tg.zeros(0, 3, device=device)
    assert tg.roll(x, 2).shape == tg.roll(x, 1, axis=0).shape == (0, 3)
    assert tg.repeat(x, 2).shape == (0,)
    assert tg.tril(x).shape == (0, 3)
    assert tg.trace(x).item() == 0


def test_errors():
    x = tg.ones(2, 3)
    with pytest.raises(ValueError, match="tile: repetitions"):
        tg.tile(x, -1)
    with pytest.raises(ValueError, match="repeat: repeats must not be negative"):
        tg.repeat(x, -1)
    with pytest.raises(ValueError, match="roll: 2 shifts for 1 axes"):
        tg.roll(x, (1, 2), axis=0)
    with pytest.raises(ValueError, match=r"split: axis 1 of shape \(2, 3\) does not divide into 2 equal parts"):
        tg.split(x, 2, axis=1)
    with pytest.raises(ValueError, match="does not divide into 0"):
        tg.split(x, 0)
    with pytest.raises(ValueError, match="chunk: needs at least one part"):
        tg.chunk(x, 0)
    with pytest.raises(ValueError, match="meshgrid: indexing"):
        tg.meshgrid(x[0], indexing="yx")
    with pytest.raises(ValueError, match="tril: needs at least 2 axes"):
        tg.tril(x[0])
    with pytest.raises(ValueError, match=r"diagonal: .* twice"):
        tg.diagonal(x, axis1=1, axis2=-1)
    with pytest.raises(IndexError, match="diagonal: axis"):
        tg.trace(x[0])
