"""Adafactor and Muon, against their formulas in NumPy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import optim


def rms(x):
    return np.sqrt(np.mean(x**2))


def adafactor(w, g, s, t, lr, beta2_decay, eps, d, weight_decay, maximize):
    low = np.finfo(np.float64).eps if eps[0] is None else eps[0]
    g = -g if maximize else g
    rest, size = t**beta2_decay, max(eps[1], rms(w)) * min(lr, t**-0.5)
    w = w * (1 - lr * weight_decay)
    if g.ndim > 1:
        s["row_var"] = (1 - rest) * s.get("row_var", 0) + rest * np.mean(g**2, axis=-1, keepdims=True)
        s["col_var"] = (1 - rest) * s.get("col_var", 0) + rest * np.mean(g**2, axis=-2, keepdims=True)
        v = s["row_var"] @ s["col_var"] / np.maximum(np.mean(s["row_var"], axis=-2, keepdims=True), low)
    else:
        v = s["variance"] = (1 - rest) * s.get("variance", 0) + rest * g**2
    u = g / np.maximum(np.sqrt(v), low)
    return w - size * u / max(1, rms(u) / d)


def muon(w, g, s, t, lr, weight_decay, momentum, nesterov, ns_steps, eps, adjust_lr_fn):
    a, b, c = 3.4445, -4.775, 2.0315
    m = s["momentum_buffer"] = momentum * s.get("momentum_buffer", 0) + (1 - momentum) * g
    x = momentum * m + (1 - momentum) * g if nesterov else m
    x = x / max(np.linalg.norm(x), eps)
    u, values, vh = np.linalg.svd(x, full_matrices=False)
    for _ in range(ns_steps):  # a polynomial of the matrix is one of its singular values
        values = a * values + b * values**3 + c * values**5
    n, k = w.shape
    ratio = 0.2 * np.sqrt(max(n, k)) if adjust_lr_fn == "match_rms_adamw" else np.sqrt(max(1, n / k))
    return w * (1 - lr * weight_decay) - lr * ratio * (u * values) @ vh


KINDS = {
    "Adafactor": (
        adafactor,
        [(3, 4), (2, 3, 2), (4,), ()],
        {
            "beta2_decay": (-0.8, -0.3),
            "eps": ((None, 1e-3), (1e-2, 0.5)),
            "d": (1.0, 2.0),
            "weight_decay": (0.0, 0.1),
            "maximize": (False, True),
        },
    ),
    "Muon": (
        muon,
        [(3, 4), (5, 2), (1, 3), (3, 3)],
        {
            "weight_decay": (0.1, 0.0),
            "momentum": (0.95, 0.5),
            "nesterov": (True, False),
            "ns_steps": (5, 2),
            "eps": (1e-7, 10.0),
            "adjust_lr_fn": (None, "match_rms_adamw"),
        },
    ),
}


def cases():
    for name, (_, _, options) in KINDS.items():
        for values in itertools.product(*options.values()):
            yield pytest.param(name, dict(zip(options, values, strict=True)), id=f"{name}-{values}")


@pytest.mark.parametrize(("name", "options"), list(cases()))
def test_steps(name, options):
    check(name, options, "cpu")


@pytest.mark.parametrize("name", KINDS)
def test_both_devices(name, device):
    check(name, {option: values[-1] for option, values in KINDS[name][2].items()}, device)


def check(name, options, device):
    formula, shapes, _ = KINDS[name]
    rng = np.random.default_rng(0)
    values = [np.asarray(rng.standard_normal(s)) for s in shapes]
    params = [tg.tensor(w, device=device, requires_grad=True) for w in values]
    states = [{} for _ in shapes]
    optimizer = getattr(optim, name)(params, lr=0.3, **options)
    for t in range(1, 9):
        for i, p in enumerate(params):
            g = np.asarray(rng.standard_normal(shapes[i]))
            p.grad = tg.tensor(g, device=device)
            values[i] = formula(values[i], g, states[i], t, 0.3, **options)
        optimizer.step()
        if t == 4:  # go on with the state in another optimizer
            saved = optimizer.state_dict()
            optimizer = getattr(optim, name)(params)
            optimizer.load_state_dict(saved)
    for p, w, s in zip(params, values, states, strict=True):
        np.testing.assert_allclose(p.tolist(), w, rtol=1e-9, atol=1e-11)
        assert set(optimizer.state[p]) - {"step"} == set(s)
        for key, value in s.items():
            np.testing.assert_allclose(optimizer.state[p][key].tolist(), value, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", KINDS)
class TestBoth:
    def test_empty_and_idle_parameters(self, name):
        empty, idle, other = (tg.ones(*s, requires_grad=True) for s in ((0, 3), (2, 2), (2, 2)))
        empty.grad, other.grad = tg.ones(0, 3), tg.eye(2)
        optimizer = getattr(optim, name)([empty, idle, other])
        optimizer.step()
        assert idle.tolist() == [[1.0, 1.0], [1.0, 1.0]]
        assert other.tolist() != idle.tolist()
        assert idle not in optimizer.state

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    def test_half_precision_follows_single(self, name, dtype, device):
        finals = []
        for kind in (tg.float32, getattr(tg, dtype)):
            p = tg.ones(2, 3, device=device, dtype=kind, requires_grad=True)
            optimizer = getattr(optim, name)([p], lr=0.0625)
            for _ in range(3):
                p.grad = tg.tensor([[0.5, 0.25, 1.0], [1.0, 1.0, -0.5]], device=device, dtype=kind)
                optimizer.step()
            assert p.dtype == kind
            finals.append(p.astype(tg.float32).tolist())
        np.testing.assert_allclose(finals[1], finals[0], rtol=0.02)

    def test_the_rate_may_be_a_tensor(self, name, device):
        results = []
        for rate in (0.25, tg.tensor(0.25, device=device)):
            p = tg.ones(2, 2, device=device, requires_grad=True)
            p.grad = tg.tensor([[1.0, 2.0], [3.0, 4.0]], device=device)
            getattr(optim, name)([p], lr=rate).step()
            results.append(p.tolist())
        assert results[0] == results[1]

    def test_a_write_is_seen_by_the_tape(self, name):
        p = tg.ones(2, 2, requires_grad=True)
        squares = p**2
        p.grad = tg.eye(2)
        getattr(optim, name)([p]).step()
        with pytest.raises(RuntimeError, match="overwritten"):
            squares.sum().backward()


def test_errors():
    p = tg.ones(2, 2, requires_grad=True)
    nan = float("nan")
    for call, text in (
        (lambda: optim.Adafactor([p], lr=-1.0), "Adafactor: lr must be"),
        (lambda: optim.Adafactor([p], beta2_decay=0.5), "beta2_decay must be finite and at most 0, got 0.5"),
        (lambda: optim.Adafactor([p], beta2_decay=nan), "beta2_decay must be"),
        (lambda: optim.Adafactor([p], eps=(-1.0, 1e-3)), r"eps\[0\] must be"),
        (lambda: optim.Adafactor([p], eps=(None, nan)), r"eps\[1\] must be"),
        (lambda: optim.Adafactor([p], eps=(1e-3,)), "eps must be two numbers"),
        (lambda: optim.Adafactor([p], d=0.5), "d must be finite and at least 1, got 0.5"),
        (lambda: optim.Muon([p], momentum=-1.0), "Muon: momentum must be"),
        (lambda: optim.Muon([p], ns_steps=100), "ns_steps must be at least 0 and less than 100"),
        (lambda: optim.Muon([p], ns_coefficients=(1.0, 2.0)), "ns_coefficients must be three numbers"),
        (lambda: optim.Muon([p], adjust_lr_fn="rms"), "adjust_lr_fn must be"),
        (lambda: optim.Muon([p, tg.ones(3, requires_grad=True)]), r"parameter 1 has shape \(3,\)"),
    ):
        with pytest.raises(ValueError, match=text):
            call()
    p.grad = tg.ones(2, 2)
    optimizer = optim.Adafactor([p])
    optimizer.step()
    saved = optimizer.state_dict()
    with pytest.raises(ValueError, match=r"the loaded row_var of parameter 0 has shape \(2, 1\)"):
        optim.Adafactor([tg.ones(3, 2, requires_grad=True)]).load_state_dict(saved)
