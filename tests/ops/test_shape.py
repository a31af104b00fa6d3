"""Reshaping without copies."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tensorgrad as tg

_STORE = np.arange(2.0 * 3 * 4 * 5).reshape(2, 3, 4, 5)
_VIEWS = {
    "part of the last axis": lambda x: x[..., 1:5],
    "part of an inner axis": lambda x: x[:, 1:, :, :],
    "every other": lambda x: x[..., ::2],
    "swapped": lambda x: x.swapaxes(1, 2),
    "backwards": lambda x: x[::-1],
    "one of an axis": lambda x: x[:, :1, :, 1:4],
}


def _shapes(size):
    """All shapes of three axes, one of them with an axis of length 1 in the middle."""
    for a, b in itertools.product(range(1, size + 1), repeat=2):
        if size % (a * b) == 0:
            yield a, b, size // (a * b)
            yield a, 1, b, size // (a * b)


@pytest.mark.parametrize("view", _VIEWS)
def test_reshape_copies_only_what_has_no_view_of_that_shape(view):
    x, whole = _VIEWS[view](_STORE), tg.tensor(_STORE)
    for shape in _shapes(x.size):
        y = _VIEWS[view](whole).reshape(shape)
        assert np.array_equal(y.numpy(), x.reshape(shape))
        assert np.shares_memory(y._data, whole._data) == np.shares_memory(x.reshape(shape), _STORE), shape


def test_a_write_to_a_reshaped_part_is_seen_in_the_whole(device):
    x = tg.zeros(2, 6, device=device, requires_grad=True)
    y = x * 1.0
    y[:, 2:].reshape(2, 2, 2)[:, 1] += 3.0
    assert y.detach().cpu().numpy().tolist() == [[0, 0, 0, 0, 3, 3]] * 2
    (y * y).sum().backward()
    assert x.grad.cpu().numpy().tolist() == [[0, 0, 0, 0, 6, 6]] * 2


def test_reshape_without_a_copy_raises_where_there_must_be_one():
    x = tg.tensor(_STORE)[..., 1:5]
    assert tg.reshape(x, (6, 4, 2, 2), copy=False).shape == (6, 4, 2, 2)
    with pytest.raises(ValueError, match="not contiguous"):
        tg.reshape(x, (-1,), copy=False)


def test_broadcast_to_sizes_that_are_no_integers(device):
    with pytest.raises(TypeError, match="broadcast_to: shape must be an integer or a sequence of them"):
        tg.broadcast_to(tg.ones((1, 3), device=device), (2.0, 3))
