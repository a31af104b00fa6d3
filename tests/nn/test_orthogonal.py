"""Orthogonal parametrizations: what is read is orthonormal, whatever is trained, and starts where it was."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

import tensorgrad as tg
from tensorgrad import nn, testing
from tensorgrad.nn.utils import parametrize
from tensorgrad.nn.utils.parametrizations import orthogonal

MAPS = ("matrix_exp", "cayley", "householder")


def drawn(*shape, seed=0, dtype="float64"):
    rng = np.random.default_rng([seed, *shape])
    x = rng.normal(size=shape)
    return (x + 1j * rng.normal(size=shape) if dtype == "complex128" else x).astype(dtype)


def holder(values, device="cpu"):
    module = nn.Module()
    module.weight = nn.Parameter(tg.tensor(values, device=device))
    return module


def host(x):
    return x.detach().cpu().numpy()


def orthonormal(x):
    x = x if x.shape[-2] >= x.shape[-1] else np.swapaxes(x, -1, -2).conj()
    gram = np.swapaxes(x, -1, -2).conj() @ x
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(x.shape[-1]), gram.shape), atol=1e-10)


def nearest(values):
    """Q of the QR decomposition with a positive diagonal of R, of a wide matrix that of its transpose."""
    wide = values.shape[-2] < values.shape[-1]
    q, r = np.linalg.qr(np.swapaxes(values, -1, -2) if wide else values)
    q = q * np.sign(np.diagonal(r, 0, -2, -1))[..., None, :]
    return np.swapaxes(q, -1, -2) if wide else q


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 5), (2, 4, 3), (1, 1)], ids=str)
@pytest.mark.parametrize("kind", MAPS)
def test_with_a_base(kind, shape, dtype, device):
    values = drawn(*shape, dtype=dtype)
    if dtype == "complex128" and kind == "householder":
        with pytest.raises(ValueError, match="complex"):
            orthogonal(holder(values), orthogonal_map=kind)
        return
    module = orthogonal(holder(values, device), orthogonal_map=kind)
    assert sorted(module.state_dict()) == ["parametrizations.weight.0.base", "parametrizations.weight.original"]
    np.testing.assert_allclose(host(module.weight), nearest(values), atol=1e-10)
    original = module.parametrizations.weight.original
    target = tg.tensor(drawn(*shape, seed=1, dtype=dtype), device=device)
    losses = []
    for _ in range(5):
        module.zero_grad()
        loss = (abs(module.weight - target) ** 2).sum()
        loss.backward()
        with tg.no_grad():
            original -= 0.02 * original.grad
        losses.append(loss.item())
        orthonormal(host(module.weight))
    assert losses[-1] < losses[0] or shape == (1, 1)
    x = original.detach() + tg.tensor(np.tril(drawn(*shape, seed=2)) * 0.1, device=device).astype(original.dtype)
    if kind == "householder":
        x = tg.tensor(np.where(np.eye(*shape[-2:]) > 0, host(original), host(x)), device=device)
        below = tg.tensor(
            np.tri(*shape[-2:], -1) if shape[-2] >= shape[-1] else np.tri(*shape[-1:-3:-1], -1).T, device=device
        )
        testing.gradcheck(lambda z: module.parametrizations.weight[0](x + z * below), [(x * 0).requires_grad_()])
    else:
        testing.gradcheck(module.parametrizations.weight[0], [x.requires_grad_()])
    given = nearest(drawn(*shape, seed=3, dtype=dtype))
    module.weight = tg.tensor(given, device=device)
    np.testing.assert_allclose(host(module.weight), given, atol=1e-10)
    parametrize.remove_parametrizations(module, "weight")
    np.testing.assert_allclose(host(module.weight), given, atol=1e-10)


@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 5)], ids=str)
@pytest.mark.parametrize("kind", MAPS)
def test_without_a_base(kind, shape):
    values = drawn(*shape)
    module = orthogonal(holder(values), orthogonal_map=kind, use_trivialization=False)
    assert list(module.state_dict()) == ["parametrizations.weight.original"]
    found = host(module.weight)
    orthonormal(found)
    if kind == "householder":
        np.testing.assert_allclose(found, nearest(values), atol=1e-10)
        module.weight = tg.tensor(nearest(drawn(*shape, seed=1)))
        np.testing.assert_allclose(host(module.weight), nearest(drawn(*shape, seed=1)), atol=1e-10)
        module.weight = tg.eye(*shape, dtype=tg.float64)
        np.testing.assert_allclose(host(module.weight), np.eye(*shape), atol=1e-10)
        return
    with pytest.raises(RuntimeError, match="no right_inverse"):
        module.weight = tg.tensor(found)
    wide = shape[0] < shape[1]
    x = values.T if wide else values
    n, k = x.shape
    skew = np.zeros((n, n))
    skew[:, :k] = np.tril(x)
    skew = skew - skew.T
    half = skew / 2
    q = linalg.expm(skew) if kind == "matrix_exp" else np.linalg.solve(np.eye(n) - half, np.eye(n) + half)
    np.testing.assert_allclose(found, q[:, :k].T if wide else q[:, :k], atol=1e-10)


def test_choice_of_the_map_and_errors():
    layer = orthogonal(nn.Linear(3, 3))
    assert layer.parametrizations.weight[0].orthogonal_map == "matrix_exp"
    assert orthogonal(nn.Linear(3, 4)).parametrizations.weight[0].orthogonal_map == "householder"
    assert layer(tg.ones(2, 3)).shape == (2, 3)
    with pytest.raises(ValueError, match="orthogonal: expected a matrix"):
        orthogonal(nn.Linear(3, 3), "bias")
    with pytest.raises(ValueError, match="no parameter or buffer 'weights'"):
        orthogonal(nn.Linear(3, 3), "weights")
    with pytest.raises(ValueError, match="orthogonal_map must be"):
        orthogonal(nn.Linear(3, 3), orthogonal_map="qr")
    with pytest.raises(ValueError, match=r"expected a tensor of shape \(3, 3\), got \(2, 3\)"):
        layer.weight = tg.ones(2, 3)


@pytest.mark.parametrize("kind", MAPS)
def test_replays(kind, device):
    module = orthogonal(nn.Linear(4, 3, device=device, dtype=tg.float64), orthogonal_map=kind)
    x = tg.tensor(drawn(2, 4), device=device)
    optimizer = tg.optim.SGD(module.parameters(), lr=0.1)

    @tg.jit
    def step(x):
        optimizer.zero_grad()
        loss = (module(x) ** 2).sum()
        loss.backward()
        optimizer.step()
        return loss

    losses = [step(x).item() for _ in range(5)]
    assert losses[-1] < losses[0]
    orthonormal(host(module.weight))
