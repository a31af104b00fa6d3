"""Hooks around state dicts and calls, extra state, and what replaces a module's tensors."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg

nn = tg.nn


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.count, self.linear = 0, nn.Linear(2, 2)

    def forward(self, x):
        return self.linear(x)

    def get_extra_state(self):
        return {"count": self.count}

    def set_extra_state(self, state):
        self.count = state["count"]


def test_extra_state():
    first, second = nn.Sequential(Counting()), nn.Sequential(Counting())
    first[0].count = 3
    state = first.state_dict()
    assert state["0._extra_state"] == {"count": 3}
    second.load_state_dict(state)
    assert second[0].count == 3
    del state["0._extra_state"]
    with pytest.raises(RuntimeError, match=r'Missing key.*"0\._extra_state"'):
        second.load_state_dict(state)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        nn.Sequential(nn.Linear(2, 2)).load_state_dict({**nn.Linear(2, 2).state_dict(prefix="0."), "0._extra_state": 1})
    with pytest.raises(RuntimeError, match="get_extra_state"):
        nn.Linear(1, 1).get_extra_state()


def test_state_dict_hooks():
    seen = []
    model = nn.Sequential(nn.Linear(2, 3))
    before = model[0].register_state_dict_pre_hook(lambda module, prefix, keep: seen.append((prefix, keep)))

    def rename(module, state, prefix, metadata):
        state[f"{prefix}kernel"] = state.pop(f"{prefix}weight")

    after = model[0].register_state_dict_post_hook(rename)
    assert list(model.state_dict()) == ["0.bias", "0.kernel"]
    assert seen == [("0.", False)]
    before.remove(), after.remove()
    assert list(model.state_dict()) == ["0.weight", "0.bias"]
    model.register_state_dict_post_hook(lambda module, state, prefix, metadata: state)
    with pytest.raises(RuntimeError, match="return None"):
        model.state_dict()


def test_load_state_dict_hooks():
    model = nn.Sequential(nn.Linear(2, 3))
    state = {"0.kernel": tg.ones(3, 2), "0.bias": tg.ones(3)}

    def rename(module, given, prefix, metadata, strict, missing, unexpected, errors):
        given[f"{prefix}weight"] = given.pop(f"{prefix}kernel")

    handle = model[0].register_load_state_dict_pre_hook(rename)
    model.load_state_dict(state)
    assert "0.kernel" in state
    np.testing.assert_array_equal(model[0].weight.detach().numpy(), 1)
    handle.remove()

    model.register_load_state_dict_post_hook(lambda module, found: found.missing_keys.clear())
    model.load_state_dict({"0.bias": tg.full((3,), 2.0)})
    assert model[0].bias.tolist() == [2, 2, 2]
    with pytest.raises(RuntimeError, match="Unexpected key"):
        model.load_state_dict({"0.bias": tg.zeros(3), "more": tg.zeros(3)})


def test_assign(device):
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).to(device)
    model[0].weight.requires_grad_(False)
    state = {name: x.astype(tg.float64) if x.dtype == tg.float32 else x for name, x in model.state_dict().items()}
    old = model[0].weight
    model.load_state_dict(state, assign=True)
    assert model[0].weight is not old
    assert isinstance(model[0].weight, nn.Parameter)
    assert model[0].weight.dtype == model[1].running_mean.dtype == tg.float64
    assert not model[0].weight.requires_grad
    assert model[0].bias.requires_grad
    assert list(model.state_dict()) == list(state)
    with pytest.raises(RuntimeError, match="size mismatch"):
        model.load_state_dict({**state, "0.bias": tg.zeros(4)}, assign=True)


def test_backward_pre_hook(device):
    layer = nn.Linear(2, 1, bias=False).to(device)
    seen = []
    layer.register_full_backward_pre_hook(lambda module, grads: (seen.append(grads[0].tolist()), (grads[0] * 3,))[1])
    after = []
    layer.register_full_backward_hook(lambda module, gi, go: after.append(go[0].tolist()))
    x = tg.ones(1, 2, device=device, requires_grad=True)
    layer(x).sum().backward()
    assert (seen, after) == ([[[1.0]]], [[[3.0]]])
    np.testing.assert_allclose(x.grad.cpu().numpy(), 3 * layer.weight.detach().cpu().numpy())
    layer.register_full_backward_pre_hook(lambda module, grads: (grads[0], grads[0]))
    with pytest.raises(ValueError, match="expected 1 gradients, one per result, got 2"):
        layer(x).sum().backward()


def test_forward_hooks_that_are_always_called():
    class Broken(nn.Module):
        def forward(self, x):
            raise KeyError("broken")

    model, seen = Broken(), []
    model.register_forward_hook(lambda module, args, y: seen.append(("always", y)), always_call=True)
    model.register_forward_hook(lambda module, args, y: seen.append(("else", y)))
    with pytest.raises(KeyError, match="broken"):
        model(1)
    assert seen == [("always", None)]
    fine = nn.Identity()
    fine.register_forward_hook(lambda module, args, kwargs, y: seen.append(kwargs), with_kwargs=True, always_call=True)
    fine(input=3)
    assert seen[1:] == [{"input": 3}]
    fine.register_forward_pre_hook(lambda module, args, kwargs: 1, with_kwargs=True)
    with pytest.raises(RuntimeError, match="pair of args and kwargs"):
        fine(3)


def test_set_submodule():
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 3)))
    model.set_submodule("0.0", nn.ReLU())
    assert isinstance(model.get_submodule("0.0"), nn.ReLU)
    model.set_submodule("0.1", nn.Tanh())
    assert [name for name, _ in model[0].named_children()] == ["0", "1"]
    for target, module, strict, error in (
        ("0.9", nn.ReLU(), True, AttributeError), ("9.0", nn.ReLU(), False, AttributeError),
        ("", nn.ReLU(), False, ValueError), ("0.0", 3, False, ValueError),
    ):  # fmt: skip
        with pytest.raises(error):
            model.set_submodule(target, module, strict)


def test_to_empty_and_type(device):
    model = nn.BatchNorm1d(3)
    model.to_empty(device=device)
    assert str(model.weight.device).split(":")[0] == device
    assert model.weight.shape == (3,)
    model.type(tg.float64)
    assert {x.dtype for x in model.state_dict().values()} == {tg.float64}
    with pytest.raises(TypeError, match="must be floating"):
        model.type(tg.int64)
    assert len(list(nn.Sequential(model, model).modules(remove_duplicate=False))) == 3
