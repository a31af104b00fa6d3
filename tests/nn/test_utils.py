"""Clipping gradients, and parameters as a vector."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.nn import utils


def parameters(device: str) -> list[tg.Tensor]:
    made = []
    for i, shape in enumerate([(3, 4), (5,), (), (2, 0)]):
        p = tg.zeros(shape, device=device, requires_grad=True)
        p.grad = tg.tensor(np.random.default_rng(i).normal(size=shape).astype(np.float32), device=device)
        made.append(p)
    return [*made, tg.zeros(2, device=device, requires_grad=True)]  # the last has no gradient


def flat(listed: list[tg.Tensor]) -> np.ndarray:
    return np.concatenate([p.grad.cpu().numpy().ravel() for p in listed if p.grad is not None])


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 3.0, np.inf])
@pytest.mark.parametrize("limit", [0.1, 1e4])
def test_norm(p, limit, device):
    listed = parameters(device)
    before = flat(listed).astype(np.float64)
    norm = utils.clip_grad_norm_(listed, limit, p)
    wanted = np.abs(before).max() if p == np.inf else (np.abs(before) ** p).sum() ** (1 / p)
    np.testing.assert_allclose(norm.item(), wanted, rtol=1e-5)
    np.testing.assert_allclose(flat(listed), before * min(1.0, limit / (wanted + 1e-6)), rtol=1e-5)


def test_norm_that_is_not_finite(device):
    listed = parameters(device)
    listed[0].grad[0, 0] = float("inf")
    before = flat(listed)
    with pytest.raises(RuntimeError, match="total norm"):
        utils.clip_grad_norm_(listed, 1.0, error_if_nonfinite=True)
    np.testing.assert_array_equal(flat(listed), before)
    assert np.isinf(utils.clip_grad_norm_(listed, 1.0).item())


def test_nothing_to_clip():
    assert utils.clip_grad_norm_([], 1.0).item() == 0
    assert utils.clip_grad_norm_(tg.zeros(2, requires_grad=True), 1.0).item() == 0
    with pytest.raises(ValueError, match="greater than 0"):
        utils.clip_grad_norm_([], 1.0, 0)


def test_value(device):
    listed = parameters(device)
    before = flat(listed)
    utils.clip_grad_value_(listed, 0.5)
    np.testing.assert_array_equal(flat(listed), before.clip(-0.5, 0.5))


def test_vector(device):
    listed = [tg.ones(2, 3, device=device, requires_grad=True), tg.zeros(2, device=device, requires_grad=True)]
    vector = utils.parameters_to_vector(listed)
    assert vector.shape == (8,)
    utils.vector_to_parameters(tg.arange(8, dtype="float32", device=device), listed)
    assert listed[0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert listed[1].tolist() == [6, 7]
    with pytest.raises(ValueError, match="8 elements"):
        utils.vector_to_parameters(tg.zeros(7, device=device), listed)


def test_total_norm(device):
    listed = parameters(device)
    before = flat(listed)
    norm = utils.get_total_norm([p.grad for p in listed if p.grad is not None], 3.0)
    np.testing.assert_allclose(norm.item(), (np.abs(before.astype(np.float64)) ** 3).sum() ** (1 / 3), rtol=1e-5)
    utils.clip_grads_with_norm_(listed, 0.1, norm)
    np.testing.assert_allclose(flat(listed), before * 0.1 / (norm.item() + 1e-6), rtol=1e-5)
    utils.clip_grads_with_norm_(listed[0], 1e6, norm)  # far above: nothing happens
    np.testing.assert_allclose(flat(listed), before * 0.1 / (norm.item() + 1e-6), rtol=1e-5)
    assert utils.get_total_norm(listed[0].grad).shape == ()
    with pytest.raises(ValueError, match="norm_type"):
        utils.get_total_norm(listed[0].grad, 0.0)
    with pytest.raises(RuntimeError, match="get_total_norm"):
        utils.get_total_norm(tg.tensor([float("nan")], device=device), error_if_nonfinite=True)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, np.inf])
def test_clipping_of_complex_gradients(device, p):
    grads = [np.array([3 + 4j, -1j]), np.array([[2.0, -1.0]])]
    listed = [tg.zeros(g.shape, dtype=g.dtype, device=device, requires_grad=True) for g in grads]
    for x, g in zip(listed, grads, strict=True):
        x.grad = tg.tensor(g, device=device)
    norm = np.linalg.norm(np.concatenate([np.abs(g).ravel() for g in grads]), p)
    np.testing.assert_allclose(utils.clip_grad_norm_(listed, 0.5, p).item(), norm)
    for x, g in zip(listed, grads, strict=True):
        np.testing.assert_allclose(x.grad.cpu().numpy(), g * (0.5 / (norm + 1e-6)))
    with pytest.raises(TypeError, match="complex numbers have no order"):
        utils.clip_grad_value_(listed, 1.0)
