"""Parameters and buffers."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn


def test_shares_the_memory_of_a_tensor(device):
    x = tg.zeros(2, device=device)
    p = nn.Parameter(x)
    with tg.no_grad():
        p += 1
    assert x.tolist() == [1.0, 1.0]
    assert p.requires_grad
    assert p.is_leaf
    assert not x.requires_grad


def test_ops_make_plain_tensors():
    assert type(nn.Parameter(tg.ones(2)) * 2) is tg.Tensor


def test_takes_arrays_and_lists():
    assert nn.Parameter([1.0, 2.0]).dtype == tg.float32
    assert nn.Parameter(np.zeros(2)).dtype == tg.float64
    assert not nn.Parameter(tg.ones(1), requires_grad=False).requires_grad
    with pytest.raises(TypeError, match="only floating and complex"):
        nn.Parameter([1, 2])
    assert nn.Parameter([1, 2], requires_grad=False).dtype == tg.int64


def test_of_a_computed_tensor_is_a_leaf():
    x = tg.ones(2, requires_grad=True)
    p = nn.Parameter(x * 2)
    (p * p).sum().backward()
    assert p.grad.tolist() == [4.0, 4.0]
    assert x.grad is None


def test_repr():
    assert repr(nn.Parameter(tg.ones(1))) == "Parameter containing:\ntensor([1.], requires_grad=True)"


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies(duplicate, device):
    p = nn.Parameter(tg.ones(2, device=device))
    p.grad = tg.ones(2, device=device)
    q = duplicate(p)
    assert type(q) is nn.Parameter
    assert (q.tolist(), q.requires_grad, q.device, q.grad) == ([1.0, 1.0], True, p.device, None)
    with tg.no_grad():
        q += 1
    assert p.tolist() == [1.0, 1.0]
    b = duplicate(nn.Buffer(tg.ones(2, device=device), persistent=False))
    assert type(b) is nn.Buffer
    assert b.persistent is False
    assert not b.requires_grad


def test_deepcopy_keeps_sharing():
    p = nn.Parameter(tg.ones(2))
    q, r = copy.deepcopy([p, p])
    assert q is r
