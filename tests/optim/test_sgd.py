"""SGD against its formula, by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn, optim

OPTIONS = [
    {"momentum": m, "dampening": d, "weight_decay": w, "nesterov": n, "maximize": x}
    for m, d, w, n, x in itertools.product((0.0, 0.9), (0.0, 0.3), (0.0, 0.1), (False, True), (False, True))
    if not (n and (m == 0 or d != 0))
]


def by_hand(w, grads, lr, momentum, dampening, weight_decay, nesterov, maximize):
    buffer = None
    for g in grads:
        d = (-g if maximize else g) + weight_decay * w
        if momentum:
            buffer = d if buffer is None else momentum * buffer + (1 - dampening) * d
            d = d + momentum * buffer if nesterov else buffer
        w = w - lr * d
    return w, buffer


@pytest.mark.parametrize("options", OPTIONS)
def test_twenty_steps(options, device):
    rng = np.random.default_rng(0)
    shapes = [(3, 4), (5,), ()]
    starts = [rng.standard_normal(s) for s in shapes]
    grads = [[np.asarray(rng.standard_normal(s)) for _ in range(20)] for s in shapes]
    params = [tg.tensor(np.asarray(w), device=device, requires_grad=True) for w in starts]
    optimizer = optim.SGD(params, lr=0.05, **options)
    for step in range(20):
        for p, g in zip(params, grads, strict=True):
            p.grad = tg.tensor(g[step], device=device)
        optimizer.step()
    for p, w, g in zip(params, starts, grads, strict=True):
        expected, buffer = by_hand(w, g, 0.05, **options)
        np.testing.assert_allclose(p.tolist(), expected, rtol=1e-12, atol=1e-14)
        if buffer is None:
            assert optimizer.state_dict()["state"] == {}
        else:
            np.testing.assert_allclose(optimizer.state[p]["momentum_buffer"].tolist(), buffer, rtol=1e-12, atol=1e-14)


def test_linear_regression_descends_as_computed_by_hand(device):
    x0, y0 = np.array([[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]]), np.array([[1.0], [2.0], [0.0]])
    w, b = np.array([[0.5, -0.5]]), np.array([0.25])
    model = nn.Linear(2, 1, device=device, dtype=tg.float64)
    model.load_state_dict({"weight": w, "bias": b})
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    x, y = tg.tensor(x0, device=device), tg.tensor(y0, device=device)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        error = x0 @ w.T + b - y0
        np.testing.assert_allclose(loss.item(), (error**2).mean(), rtol=1e-12)
        w, b = w - 0.1 * 2 / 3 * error.T @ x0, b - 0.1 * 2 / 3 * error.sum(0)
        losses.append(loss.item())
    np.testing.assert_allclose(model.weight.tolist(), w, rtol=1e-12)
    assert all(later < earlier for earlier, later in itertools.pairwise(losses))


def test_the_buffer_of_a_late_parameter_starts_late(device):
    early, late = (tg.zeros(1, device=device, requires_grad=True) for _ in range(2))
    optimizer = optim.SGD([early, late], lr=1.0, momentum=0.5, dampening=0.5)
    early.grad = tg.ones(1, device=device)
    optimizer.step()
    late.grad = tg.ones(1, device=device)
    optimizer.step()
    assert early.tolist() == [-2.0]  # buffers 1, 0.5 * 1 + 0.5 * 1
    assert late.tolist() == [-1.0]  # the first buffer is the gradient, undampened


def test_the_rate_may_be_a_tensor(device):
    for rate in (tg.tensor(0.5, device=device), tg.tensor([0.5]), tg.tensor(0.5, dtype=tg.float64)):
        p = tg.ones(2, device=device, requires_grad=True)
        p.grad = tg.ones(2, device=device)
        optim.SGD([p], lr=rate).step()
        assert p.tolist() == [0.5, 0.5]


def test_large_parameters(device):
    rng = np.random.default_rng(0)
    w, g = rng.standard_normal((2, 300, 301))
    p = tg.tensor(w, device=device, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.1, momentum=0.9, nesterov=True)
    p.grad = tg.tensor(g, device=device)
    optimizer.step()
    optimizer.step()
    np.testing.assert_allclose(p.tolist(), by_hand(w, [g, g], 0.1, 0.9, 0.0, 0.0, True, False)[0], rtol=1e-12)


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["lr", "momentum", "weight_decay"])
def test_invalid_options(name, bad):
    with pytest.raises(ValueError, match=f"SGD: {name} must be finite and not negative, got {bad}"):
        optim.SGD([tg.ones(1, requires_grad=True)], **{name: bad})


def test_nesterov_needs_momentum():
    for options in ({}, {"momentum": 0.9, "dampening": 0.1}):
        with pytest.raises(ValueError, match="nesterov needs a momentum and no dampening"):
            optim.SGD([tg.ones(1, requires_grad=True)], nesterov=True, **options)


def test_defaults_are_those_of_pytorch():
    (group,) = optim.SGD([tg.ones(1, requires_grad=True)]).param_groups
    del group["params"]
    assert group == {
        "lr": 1e-3, "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False, "maximize": False,
        "foreach": None, "fused": None, "differentiable": False,
    }  # fmt: skip
