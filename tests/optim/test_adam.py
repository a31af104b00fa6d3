"""Adam and AdamW against their formulas, by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import optim

OPTIONS = [
    {"betas": b, "weight_decay": w, "amsgrad": a, "maximize": m, "decoupled_weight_decay": d}
    for b, w, a, m, d in itertools.product(
        ((0.9, 0.999), (0.5, 0.7)), (0.0, 0.1), (False, True), (False, True), (False, True)
    )
]


def by_hand(w, grads, lr, eps, betas, weight_decay, amsgrad, maximize, decoupled_weight_decay):
    m, v, largest = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(grads, 1):
        g = -g if maximize else g
        if decoupled_weight_decay:
            w = w - lr * weight_decay * w
        else:
            g = g + weight_decay * w
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        largest = np.maximum(largest, v)
        second = (largest if amsgrad else v) / (1 - betas[1] ** t)
        w = w - lr * m / (1 - betas[0] ** t) / (np.sqrt(second) + eps)
    return w, m, v


@pytest.mark.parametrize("options", OPTIONS)
def test_twenty_steps(options, device):
    rng = np.random.default_rng(0)
    shapes = [(3, 4), (5,), ()]
    starts = [np.asarray(rng.standard_normal(s)) for s in shapes]
    grads = [[np.asarray(rng.standard_normal(s)) for _ in range(20)] for s in shapes]
    params = [tg.tensor(w, device=device, requires_grad=True) for w in starts]
    optimizer = optim.Adam(params, lr=0.05, eps=1e-6, **options)
    for step in range(20):
        for p, g in zip(params, grads, strict=True):
            p.grad = tg.tensor(g[step], device=device)
        optimizer.step()
    for p, w, g in zip(params, starts, grads, strict=True):
        expected, m, v = by_hand(w, g, 0.05, 1e-6, **options)
        state = optimizer.state[p]
        np.testing.assert_allclose(p.tolist(), expected, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(state["exp_avg"].tolist(), m, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(state["exp_avg_sq"].tolist(), v, rtol=1e-11, atol=1e-13)
        assert state["step"].item() == 20.0
        assert ("max_exp_avg_sq" in state) == options["amsgrad"]


def test_the_first_step_is_the_rate(device):
    p = tg.zeros(3, device=device, requires_grad=True)
    p.grad = tg.tensor([1e-3, -2.0, 30.0], device=device)
    optim.Adam([p], lr=0.25).step()
    np.testing.assert_allclose(p.tolist(), [-0.25, 0.25, -0.25], rtol=1e-4)


def test_adamw_decays_apart_from_the_gradient(device):
    p = tg.full((2,), 10.0, device=device, requires_grad=True)
    p.grad = tg.zeros(2, device=device)
    optim.AdamW([p], lr=0.5).step()
    np.testing.assert_allclose(p.tolist(), [9.95, 9.95], rtol=1e-6)  # 10 * (1 - 0.5 * 0.01)


def test_a_late_parameter_counts_its_own_steps(device):
    early, late = (tg.zeros(1, device=device, requires_grad=True) for _ in range(2))
    optimizer = optim.Adam([early, late], lr=0.1)
    early.grad = tg.ones(1, device=device)
    optimizer.step()
    late.grad = tg.ones(1, device=device)
    optimizer.step()
    assert [optimizer.state[p]["step"].item() for p in (early, late)] == [2.0, 1.0]
    np.testing.assert_allclose(late.tolist(), [-0.1], rtol=1e-5)


def test_amsgrad_may_be_switched_on_later():
    p = tg.zeros(1, requires_grad=True)
    optimizer = optim.Adam([p])
    p.grad = tg.ones(1)
    optimizer.step()
    optimizer.param_groups[0]["amsgrad"] = True
    optimizer.step()
    assert optimizer.state[p]["max_exp_avg_sq"].item() > 0


def test_the_rate_may_be_a_tensor(device):
    p = tg.zeros(1, device=device, requires_grad=True)
    p.grad = tg.ones(1, device=device)
    rate = tg.tensor(0.25, device=device)
    optimizer = optim.Adam([p], lr=rate)
    optimizer.step()
    np.testing.assert_allclose(p.tolist(), [-0.25], rtol=1e-4)


def test_half_precision_moves(device):
    p = tg.ones(4, device=device, dtype=tg.float16, requires_grad=True)
    optimizer = optim.AdamW([p], lr=0.1)
    for _ in range(3):
        p.grad = tg.ones(4, device=device, dtype=tg.float16)
        optimizer.step()
    np.testing.assert_allclose(p.tolist(), [0.7] * 4, atol=0.01)


@pytest.mark.parametrize("kind", [optim.Adam, optim.AdamW])
@pytest.mark.parametrize("bad", [-1.0, float("nan")])
def test_invalid_options(kind, bad):
    for name in ("lr", "eps", "weight_decay"):
        with pytest.raises(ValueError, match=f"{kind.__name__}: {name} must be finite and not negative, got {bad}"):
            kind([tg.ones(1, requires_grad=True)], **{name: bad})
    for betas, name in (((bad, 0.9), "beta1"), ((0.9, bad), "beta2"), ((1.0, 0.9), "beta1")):
        with pytest.raises(ValueError, match=f"{name} must be at least 0 and less than 1"):
            kind([tg.ones(1, requires_grad=True)], betas=betas)


def test_defaults_are_those_of_pytorch():
    for kind, decay, decoupled in ((optim.Adam, 0.0, False), (optim.AdamW, 1e-2, True)):
        (group,) = kind([tg.ones(1, requires_grad=True)]).param_groups
        del group["params"]
        assert group == {
            "lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": decay, "amsgrad": False, "maximize": False,
            "foreach": None, "fused": None, "decoupled_weight_decay": decoupled, "differentiable": False,
            "capturable": False,
        }  # fmt: skip
