"""Hooks of optimizers, and the options that PyTorch has for its implementations."""

from __future__ import annotations

import copy

import pytest

import tensorgrad as tg

optim = tg.optim


def made(kind=optim.SGD, **options):
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    w.grad = tg.ones(2)
    return w, kind([w], lr=0.1, **options)


@pytest.mark.parametrize("kind", [optim.SGD, optim.LBFGS])
def test_step_hooks(kind):
    w, optimizer = made(kind)
    seen = []

    def closure():
        optimizer.zero_grad()
        loss = (w**2).sum()
        loss.backward()
        return loss

    first = optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append(("pre", o is optimizer, args)))
    optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(("post", o is optimizer, len(args))))
    loss = optimizer.step(closure)
    assert loss.item() == 5.0
    assert seen == [("pre", True, (closure,)), ("post", True, 1)]
    first.remove()
    optimizer.register_step_pre_hook(lambda o, args, kwargs: ((closure,), {}))
    optimizer.step(lambda: 1 / 0)
    assert len(seen) == 3
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 3)
    with pytest.raises(RuntimeError, match="pair of args and kwargs"):
        optimizer.step(closure)
    assert not optimizer._stepping


def test_step_hooks_under_jit():
    w, optimizer = made()
    seen = []
    optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(1))

    @tg.jit
    def step(x):
        optimizer.zero_grad()
        ((w * x) ** 2).sum().backward()
        optimizer.step()

    for _ in range(3):
        step(tg.ones(2))
    assert len(seen) == 3


def test_state_dict_hooks():
    _, optimizer = made(momentum=0.9)
    optimizer.step()
    order = []
    optimizer.register_state_dict_pre_hook(lambda o: order.append("pre"))
    optimizer.register_state_dict_pre_hook(lambda o: order.append("first"), prepend=True)
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "extra": 1})
    state = optimizer.state_dict()
    assert order == ["first", "pre"]
    assert state["extra"] == 1
    _, other = made(momentum=0.9)

    def halve(o, given):
        given["param_groups"] = copy.deepcopy(given["param_groups"])
        given["param_groups"][0]["lr"] /= 2
        return given

    other.register_load_state_dict_pre_hook(halve)
    other.register_load_state_dict_post_hook(lambda o: order.append(o.param_groups[0]["lr"]))
    other.load_state_dict(state)
    assert order[-1] == 0.05
    assert state["param_groups"][0]["lr"] == 0.1


def test_options_of_pytorchs_implementations():
    for kind in (optim.ASGD, optim.Adadelta, optim.Adam, optim.AdamW, optim.Adamax, optim.NAdam, optim.RAdam):
        made(kind, capturable=True, foreach=False, differentiable=False)
        with pytest.raises(ValueError, match="differentiable=True is not possible"):
            made(kind, differentiable=True)
    for kind in (optim.SGD, optim.Adam, optim.Adagrad):
        with pytest.raises(RuntimeError, match="foreach and fused"):
            made(kind, foreach=True, fused=True)
