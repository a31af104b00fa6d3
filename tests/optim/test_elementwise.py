"""The optimizers that work one parameter at a time, against their formulas, by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import optim


def rmsprop(w, g, s, t, lr, alpha=0.99, eps=1e-8, momentum=0.0, centered=False):
    s["square_avg"] = alpha * s.get("square_avg", 0.0) + (1 - alpha) * g**2
    square = s["square_avg"]
    if centered:
        s["grad_avg"] = alpha * s.get("grad_avg", 0.0) + (1 - alpha) * g
        square = square - s["grad_avg"] ** 2
    d = g / (np.sqrt(square) + eps)
    if momentum:
        d = s["momentum_buffer"] = momentum * s.get("momentum_buffer", 0.0) + d
    return w - lr * d


def adagrad(w, g, s, t, lr, lr_decay=0.0, initial_accumulator_value=0.0, eps=1e-10):
    s["sum"] = s.get("sum", initial_accumulator_value) + g**2
    return w - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(s["sum"]) + eps)


def adadelta(w, g, s, t, lr, rho=0.9, eps=1e-6):
    s["square_avg"] = rho * s.get("square_avg", 0.0) + (1 - rho) * g**2
    before = s.get("acc_delta", 0.0)
    d = np.sqrt(before + eps) / np.sqrt(s["square_avg"] + eps) * g
    s["acc_delta"] = rho * before + (1 - rho) * d**2
    return w - lr * d


def adamax(w, g, s, t, lr, betas=(0.9, 0.999), eps=1e-8):
    s["exp_avg"] = betas[0] * s.get("exp_avg", 0.0) + (1 - betas[0]) * g
    s["exp_inf"] = np.maximum(betas[1] * s.get("exp_inf", 0.0), np.abs(g) + eps)
    return w - lr / (1 - betas[0] ** t) * s["exp_avg"] / s["exp_inf"]


def moments(g, s, betas):
    s["exp_avg"] = betas[0] * s.get("exp_avg", 0.0) + (1 - betas[0]) * g
    s["exp_avg_sq"] = betas[1] * s.get("exp_avg_sq", 0.0) + (1 - betas[1]) * g**2
    return s["exp_avg"], s["exp_avg_sq"]


def nadam(w, g, s, t, lr, betas=(0.9, 0.999), eps=1e-8, momentum_decay=4e-3):
    m, v = moments(g, s, betas)
    mu, after = (betas[0] * (1 - 0.96 ** (n * momentum_decay) / 2) for n in (t, t + 1))
    product = s["mu_product"] = s.get("mu_product", 1.0) * mu
    d = (1 - mu) / (1 - product) * g + after / (1 - product * after) * m
    return w - lr * d / (np.sqrt(v / (1 - betas[1] ** t)) + eps)


def radam(w, g, s, t, lr, betas=(0.9, 0.999), eps=1e-8):
    m, v = moments(g, s, betas)
    limit = 2 / (1 - betas[1]) - 1
    length = limit - 2 * t * betas[1] ** t / (1 - betas[1] ** t)
    d = m / (1 - betas[0] ** t)
    if length > 5:
        c = np.sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length))
        d = d * c * np.sqrt(1 - betas[1] ** t) / (np.sqrt(v) + eps)
    return w - lr * d


def rprop(w, g, s, t, lr, etas=(0.5, 1.2), step_sizes=(1e-6, 50)):
    product = g * s.get("prev", 0.0)
    factor = np.where(product > 0, etas[1], np.where(product < 0, etas[0], 1.0))
    s["step_size"] = np.clip(s.get("step_size", lr) * factor, *step_sizes)
    s["prev"] = np.where(product < 0, 0.0, g)
    return w - np.sign(s["prev"]) * s["step_size"]


def asgd(w, g, s, t, lr, lambd=1e-4, alpha=0.75, t0=1e6):
    eta, mu = s.get("eta", lr), s.get("mu", 1.0)
    w = (1 - lambd * eta) * w - eta * g
    s["ax"] = s.get("ax", 0.0) + mu * (w - s.get("ax", 0.0))
    s["eta"], s["mu"] = lr / (1 + lambd * lr * t) ** alpha, 1 / max(1, t - t0)
    return w


def lion(w, g, s, t, lr, betas=(0.9, 0.99)):
    m = s.get("exp_avg", 0.0)
    s["exp_avg"] = betas[1] * m + (1 - betas[1]) * g
    return w - lr * np.sign(betas[0] * m + (1 - betas[0]) * g)


DECAYS = {"weight_decay": (0.0, 0.1), "maximize": (False, True)}
BETAS = {"betas": ((0.9, 0.999), (0.5, 0.7))}
DECOUPLED = {"decoupled_weight_decay": (False, True)}
KINDS = [
    ("RMSprop", rmsprop, {"alpha": (0.99, 0.5), "momentum": (0.0, 0.7), "centered": (False, True), **DECAYS}),
    ("Adagrad", adagrad, {"lr_decay": (0.0, 0.1), "initial_accumulator_value": (0.0, 0.3), **DECAYS}),
    ("Adadelta", adadelta, {"rho": (0.9, 0.4), "eps": (1e-6, 1e-2), **DECAYS}),
    ("Adamax", adamax, {**BETAS, **DECAYS}),
    ("NAdam", nadam, {**BETAS, "momentum_decay": (4e-3, 0.2), **DECAYS, **DECOUPLED}),
    ("RAdam", radam, {**BETAS, **DECAYS, **DECOUPLED}),
    ("Rprop", rprop, {"etas": ((0.5, 1.2), (0.3, 1.5)), "step_sizes": ((1e-6, 50), (0.02, 0.05)), "maximize": (0, 1)}),
    ("ASGD", asgd, {"lambd": (1e-4, 0.1), "alpha": (0.75, 0.5), "t0": (1e6, 5.0), **DECAYS}),
    ("Lion", lion, {"betas": ((0.9, 0.99), (0.5, 0.7)), **DECAYS}),
]
NAMES = [kind[0] for kind in KINDS]
every_kind = pytest.mark.parametrize("name", NAMES)


def cases():
    for name, formula, options in KINDS:
        for values in itertools.product(*options.values()):
            yield pytest.param(name, formula, dict(zip(options, values, strict=True)), id=f"{name}-{values}")


def by_hand(name, formula, w, grads, lr, weight_decay=0.0, maximize=False, decoupled_weight_decay=False, **options):
    state = {}
    for t, g in enumerate(grads, 1):
        g = -g if maximize else g
        start = w
        if name == "Lion" or decoupled_weight_decay:
            start = (1 - lr * weight_decay) * w
        else:
            g = g + weight_decay * w
        w = formula(start, g, state, t, lr, **options)
    return w, state


@pytest.mark.parametrize(("name", "formula", "options"), list(cases()))
def test_twenty_steps(name, formula, options, device):
    rng = np.random.default_rng(0)
    shapes = [(3, 4), ()]
    starts = [np.asarray(rng.standard_normal(s)) for s in shapes]
    grads = [[np.asarray(rng.standard_normal(s) * (i != 7)) for i in range(20)] for s in shapes]
    params = [tg.tensor(w, device=device, requires_grad=True) for w in starts]
    optimizer = getattr(optim, name)(params, lr=0.03, **options)
    for step in range(20):
        for p, g in zip(params, grads, strict=True):
            p.grad = tg.tensor(g[step], device=device)
        optimizer.step()
        if step == 10:  # go on with the state in another optimizer
            saved = optimizer.state_dict()
            optimizer = getattr(optim, name)(params, lr=0.03, **options)
            optimizer.load_state_dict(saved)
    for p, w, g in zip(params, starts, grads, strict=True):
        expected, expected_state = by_hand(name, formula, w, g, 0.03, **options)
        state = optimizer.state[p]
        np.testing.assert_allclose(p.tolist(), expected, rtol=1e-12, atol=1e-12)
        assert set(state) == {"step", *expected_state}
        assert state["step"].item() == 20.0
        for key, value in expected_state.items():
            np.testing.assert_allclose(state[key].tolist(), value, rtol=1e-12, atol=1e-12)


@every_kind
def test_a_step_writes_the_parameter_and_not_its_gradient(name, device):
    p = tg.tensor([1.0, -2.0], device=device, requires_grad=True)
    memory = p.detach()
    squares = p**2
    p.grad = tg.tensor([0.5, 0.25], device=device)
    options = {} if name == "Rprop" else {"weight_decay": 0.1}
    getattr(optim, name)([p], lr=0.1, maximize=True, **options).step()
    assert p.grad.tolist() == [0.5, 0.25]
    assert memory.tolist() == p.tolist() != [1.0, -2.0]
    with pytest.raises(RuntimeError):
        squares.sum().backward()


@every_kind
def test_parameters_without_a_gradient_stay(name):
    p = tg.ones(2, requires_grad=True)
    optimizer = getattr(optim, name)([p])
    optimizer.step()
    assert p.tolist() == [1.0, 1.0]
    assert not optimizer.state


@every_kind
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_follows_single(name, dtype, device):
    finals = []
    for kind in (tg.float32, getattr(tg, dtype)):
        p = tg.ones(4, device=device, dtype=kind, requires_grad=True)
        optimizer = getattr(optim, name)([p], lr=0.0625)
        for _ in range(3):
            p.grad = tg.full((4,), 0.5, device=device, dtype=kind)
            optimizer.step()
        assert p.dtype == kind
        finals.append(p.astype(tg.float32).tolist())
    np.testing.assert_allclose(finals[1], finals[0], rtol=0.02)


@every_kind
def test_the_rate_may_be_a_tensor(name, device):
    results = []
    for rate in (0.25, tg.tensor(0.25, device=device)):
        p = tg.zeros(1, device=device, requires_grad=True)
        p.grad = tg.ones(1, device=device)
        getattr(optim, name)([p], lr=rate).step()
        results.append(p.tolist())
    assert results[0] == results[1]


@every_kind
def test_groups_have_their_own_options(name):
    params = [tg.zeros(1, requires_grad=True) for _ in range(2)]
    for p in params:
        p.grad = tg.ones(1)
    getattr(optim, name)([{"params": [params[0]], "lr": 0.0}, {"params": [params[1]], "maximize": True}]).step()
    assert params[1].item() > 0
    assert params[0].item() == 0 or name == "Rprop"  # whose steps have a least size


NUMBERS = {
    "RMSprop": ("lr", "alpha", "eps", "weight_decay", "momentum"),
    "Adagrad": ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps"),
    "Adadelta": ("lr", "rho", "eps", "weight_decay"),
    "Adamax": ("lr", "eps", "weight_decay"),
    "NAdam": ("lr", "eps", "weight_decay", "momentum_decay"),
    "RAdam": ("lr", "eps", "weight_decay"),
    "Rprop": ("lr",),
    "ASGD": ("lr", "lambd", "alpha", "t0", "weight_decay"),
    "Lion": ("lr", "weight_decay"),
}


@every_kind
@pytest.mark.parametrize("bad", [-1.0, float("nan")])
def test_invalid_options(name, bad):
    kind, p = getattr(optim, name), tg.ones(1, requires_grad=True)
    for option in NUMBERS[name]:
        with pytest.raises(ValueError, match=f"{name}: {option} must be"):
            kind([p], **{option: bad})
    if "betas" in kind([p]).defaults:
        for betas, which in (((bad, 0.9), "beta1"), ((0.9, bad), "beta2"), ((1.0, 0.9), "beta1")):
            with pytest.raises(ValueError, match=f"{which} must be at least 0 and less than 1"):
                kind([p], betas=betas)
        with pytest.raises(ValueError, match="betas must be two numbers"):
            kind([p], betas=(0.9,))


def test_other_invalid_options():
    p = tg.ones(1, requires_grad=True)
    nan = float("nan")
    with pytest.raises(ValueError, match="rho must be from 0 to 1"):
        optim.Adadelta([p], rho=1.5)
    for etas in ((0.0, 1.2), (0.5, 1.0), (nan, 1.2), (0.5, nan), (0.5,)):
        with pytest.raises(ValueError, match="Rprop: etas must be"):
            optim.Rprop([p], etas=etas)
    for sizes in ((-1.0, 1.0), (2.0, 1.0), (nan, 1.0), (0.0, nan), (1.0,)):
        with pytest.raises(ValueError, match="Rprop: step_sizes must be"):
            optim.Rprop([p], step_sizes=sizes)


def test_defaults_are_those_of_pytorch():
    betas = {"lr": 2e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}
    expected = {
        "RMSprop": {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0, "momentum": 0, "centered": False},
        "Adagrad": {
            "lr": 1e-2, "lr_decay": 0, "weight_decay": 0, "initial_accumulator_value": 0, "eps": 1e-10, "fused": None,
        },
        "Adadelta": {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0},
        "Adamax": betas,
        "NAdam": {**betas, "momentum_decay": 4e-3, "decoupled_weight_decay": False},
        "RAdam": {**betas, "lr": 1e-3, "decoupled_weight_decay": False},
        "Rprop": {"lr": 1e-2, "etas": (0.5, 1.2), "step_sizes": (1e-6, 50)},
        "ASGD": {"lr": 1e-2, "lambd": 1e-4, "alpha": 0.75, "t0": 1e6, "weight_decay": 0},
        "Lion": {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0},
    }  # fmt: skip
    for name, options in expected.items():
        (group,) = getattr(optim, name)([tg.ones(1, requires_grad=True)]).param_groups
        del group["params"]
        both = {"differentiable": False, "capturable": False}
        taken = {"Lion": {}, "Adagrad": {"differentiable": False}}.get(name, both)
        assert group == {**options, "maximize": False, "foreach": None, **taken}
