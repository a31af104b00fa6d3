"""What all optimizers share: groups, gradients, state dicts."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn, optim


def parameter(values=(1.0, 2.0), grad=(0.5, -1.0), **options):
    p = tg.tensor(list(values), requires_grad=True, **options)
    if grad is not None:
        p.grad = tg.tensor(list(grad), **options)
    return p


class TestGroups:
    def test_options_of_groups_override_the_defaults(self, device):
        a, b = parameter(device=device), parameter(device=device)
        optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 1.0}], lr=0.1)
        optimizer.step()
        np.testing.assert_allclose(a.tolist(), [0.95, 2.1], rtol=1e-6)
        np.testing.assert_allclose(b.tolist(), [0.5, 3.0])
        optimizer.param_groups[0]["lr"] = 0.0
        optimizer.add_param_group({"params": [parameter(device=device)]})
        optimizer.step()
        np.testing.assert_allclose(a.tolist(), [0.95, 2.1], rtol=1e-6)
        np.testing.assert_allclose(b.tolist(), [0.0, 4.0])
        assert [len(g["params"]) for g in optimizer.param_groups] == [1, 1, 1]

    def test_mixed_dtypes_and_missing_gradients(self, device):
        single, double = parameter(device=device), parameter(device=device, dtype=tg.float64)
        idle, half = parameter(grad=None, device=device), parameter(device=device, dtype=tg.float16)
        optimizer = optim.Adam([single, double, idle, half], lr=0.5)
        optimizer.step()
        for p in (single, double, half):
            np.testing.assert_allclose(p.tolist(), [0.5, 2.5], rtol=1e-3)
        assert idle.tolist() == [1.0, 2.0]
        assert sorted(optimizer.state_dict()["state"]) == [0, 1, 3]

    def test_devices(self, device):
        here, there = parameter(device=device), parameter(device="cpu")
        optim.SGD([here, there], lr=1.0).step()
        assert here.tolist() == there.tolist() == [0.5, 3.0]

    def test_bad_parameters(self):
        p = parameter()
        for params, error, text in (
            (p, TypeError, "must be an iterable of tensors or dicts, got a Tensor"),
            ([], ValueError, "SGD: got no parameters"),
            ([p, p], ValueError, "parameter 1 .* occurs more than once"),
            ([{"params": [p]}, {"params": [p]}], ValueError, "occurs more than once"),
            ([p * 2], ValueError, "only leaves can be optimized"),
            ([3.0], TypeError, "parameter 0 must be a Tensor, got float"),
            ([tg.tensor([1])], TypeError, "must be floating or complex, got int64"),
            ([{"parameters": [p]}], TypeError, 'must be a dict with "params"'),
            ([{"params": {p}}], TypeError, "must be in an order"),
            ([{"params": [p], "lr": -1.0}], ValueError, "lr must be finite and not negative, got -1.0"),
        ):
            with pytest.raises(error, match=text):
                optim.SGD(params)

    def test_generators_are_taken(self):
        model = nn.Linear(2, 2)
        assert len(optim.SGD(model.parameters()).param_groups[0]["params"]) == 2

    def test_repr(self):
        text = repr(optim.SGD([parameter()], lr=0.5))
        assert text.startswith("SGD (\nParameter Group 0\n    dampening: 0.0\n")
        assert "    lr: 0.5\n" in text


class TestGradients:
    def test_zero_grad(self, device):
        p = parameter(device=device)
        optimizer = optim.SGD([p])
        kept = p.grad
        optimizer.zero_grad(set_to_none=False)
        assert p.grad is kept
        assert kept.tolist() == [0.0, 0.0]
        optimizer.zero_grad()
        assert p.grad is None
        optimizer.step()
        assert p.tolist() == [1.0, 2.0]

    @pytest.mark.parametrize("grad", [tg.ones(3), tg.ones(2, dtype=tg.float64)])
    def test_one_that_does_not_fit(self, grad):
        model = nn.Linear(2, 2)
        for optimizer, name in (
            (optim.SGD(model.named_parameters()), r"SGD: parameter 'bias' has shape \(2,\)"),
            (optim.Adam(model.parameters()), "Adam: parameter 1 has shape"),
            (optim.Adam([{"params": model.weight}, {"params": model.bias}]), "parameter 0 of group 1 has shape"),
        ):
            model.weight.grad, model.bias.grad = tg.ones(2, 2), grad
            with pytest.raises(ValueError, match=name):
                optimizer.step()

    def test_a_step_invalidates_a_recorded_forward(self):
        p = parameter()
        loss = (p * p).sum()
        optim.SGD([p]).step()
        with pytest.raises(RuntimeError, match="overwritten"):
            loss.backward()

    def test_a_step_writes_the_memory(self, device):
        p = parameter(device=device)
        alias = p.detach()
        optim.SGD([p], lr=1.0).step()
        assert alias.tolist() == [0.5, 3.0]
        assert p.is_leaf

    def test_gradients_with_a_graph(self):
        p = tg.tensor([2.0], requires_grad=True)
        (p**3).sum().backward(create_graph=True)
        optim.SGD([p], lr=1.0).step()
        assert p.tolist() == [-10.0]

    def test_closure_is_recorded_even_under_no_grad(self):
        p = tg.tensor([3.0], requires_grad=True)
        optimizer = optim.SGD([p], lr=0.1)

        def closure():
            optimizer.zero_grad()
            loss = (p * p).sum()
            loss.backward()
            return loss

        with tg.no_grad():
            assert optimizer.step(closure).item() == 9.0
        np.testing.assert_allclose(p.tolist(), [2.4], rtol=1e-6)

    def test_a_module_that_moved_goes_on(self, device):
        model = nn.Linear(2, 1)
        optimizer = optim.SGD(model.parameters(), lr=1.0)
        model.to(device).double()
        before = np.array(model.weight.tolist())
        model(tg.ones(1, 2, device=device, dtype=tg.float64)).sum().backward()
        optimizer.step()
        np.testing.assert_allclose(model.weight.tolist(), before - 1, rtol=1e-12)


class TestState:
    @pytest.mark.parametrize("make", [lambda p: optim.SGD(p, 0.1, 0.9), lambda p: optim.Adam(p, 0.1, amsgrad=True)])
    def test_goes_on_where_it_stopped(self, make, device):
        def advance(params, optimizer, steps):
            for step in steps:
                for p in params:
                    p.grad = tg.tensor([float(step), 1.0 - step], device=device)
                optimizer.step()

        whole = [parameter(device=device), parameter(device=device)]
        optimizer = make(whole)
        advance(whole, optimizer, range(3))
        rest = copy.deepcopy(whole)
        loaded = make(rest)
        saved = copy.deepcopy(optimizer.state_dict())
        loaded.load_state_dict(saved)
        advance(whole, optimizer, range(3, 6))
        advance(rest, loaded, range(3, 6))
        assert [p.tolist() for p in whole] == [p.tolist() for p in rest]
        assert saved["state"][0].keys() == optimizer.state[whole[0]].keys()
        for key, value in saved["state"][0].items():  # loading copied
            assert value.tolist() != optimizer.state[whole[0]][key].tolist() or key == "max_exp_avg_sq"

    def test_layout_is_that_of_pytorch(self):
        a, b = parameter(), parameter()
        optimizer = optim.Adam([{"params": [a]}, {"params": [b], "lr": 1.0}])
        optimizer.step()
        state = optimizer.state_dict()
        assert list(state) == ["state", "param_groups"]
        assert [g["params"] for g in state["param_groups"]] == [[0], [1]]
        assert list(state["state"][1]) == ["step", "exp_avg", "exp_avg_sq"]
        assert (state["state"][1]["step"].item(), state["state"][1]["step"].dtype) == (1.0, tg.float32)

    def test_arrays_and_other_dtypes_are_converted(self, device):
        p = parameter(device=device, dtype=tg.float64)
        optimizer = optim.Adam([p])
        optimizer.load_state_dict(
            {
                "state": {7: {"step": 3, "exp_avg": np.ones(2, np.float32), "exp_avg_sq": tg.ones(2)}},
                "param_groups": [{"lr": 0.25, "params": [7], "capturable": False}],
            }
        )
        state = optimizer.state[p]
        assert state["exp_avg"].dtype == state["exp_avg_sq"].dtype == tg.float64
        assert state["step"].item() == 3.0
        assert all(t.device == p.device for t in state.values())
        assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["eps"]) == (0.25, 1e-8)
        optimizer.step()
        assert state["step"].item() == 4.0

    def test_what_does_not_fit(self):
        optimizer = optim.SGD([parameter(), parameter()], momentum=0.9)
        other = optim.SGD([parameter()], momentum=0.9)
        other.step()
        with pytest.raises(ValueError, match=r"groups of \[1\] parameters, this optimizer has groups of \[2\]"):
            optimizer.load_state_dict(other.state_dict())
        wider = optim.SGD([parameter((1.0,) * 3, (1.0,) * 3)], momentum=0.9)
        wider.step()
        with pytest.raises(ValueError, match=r"momentum_buffer of parameter 0 has shape \(3,\)"):
            other.load_state_dict(wider.state_dict())

    @pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
    def test_copies_with_their_model(self, duplicate):
        model = nn.Linear(2, 1)
        optimizer = optim.Adam(model.parameters(), lr=0.1)
        model(tg.ones(1, 2)).sum().backward()
        optimizer.step()
        twin, twins_optimizer = duplicate((model, optimizer))
        for m, o in ((model, optimizer), (twin, twins_optimizer)):
            m.zero_grad()
            m(tg.ones(1, 2)).sum().backward()
            o.step()
        assert twin.weight.tolist() == model.weight.tolist()
        assert twins_optimizer.state[twin.weight]["step"].item() == 2.0

    def test_state_may_be_replaced(self):
        p = parameter()
        optimizer = optim.SGD([p], lr=1.0, momentum=0.5)
        optimizer.step()
        optimizer.state[p]["momentum_buffer"] = tg.zeros(2)
        optimizer.step()
        assert p.tolist() == [0.0, 4.0]
        optimizer.state.clear()
        optimizer.step()
        assert p.tolist() == [-0.5, 5.0]


def test_a_subclass_needs_only_an_update():
    class Sign(optim.Optimizer):
        def update(self, group, batch):
            for w, g in zip(batch.arrays, batch.grads, strict=True):
                w -= group["lr"] * np.sign(g)

    p = parameter()
    Sign([p], {"lr": 0.25}).step()
    assert p.tolist() == [0.75, 2.25]
    with pytest.raises(NotImplementedError, match=r"Optimizer defines neither update\(\) nor step\(\)"):
        optim.Optimizer([parameter()], {}).step()


COMPLEX = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    "Adam": {"lr": 0.1, "amsgrad": True, "weight_decay": 0.1},
    "AdamW": {"lr": 0.1},
    "Adamax": {"lr": 0.1},
    "NAdam": {"lr": 0.1},
    "RAdam": {"lr": 0.1},
    "RMSprop": {"lr": 0.1, "centered": True, "momentum": 0.9},
    "Rprop": {"lr": 0.1},
    "Adagrad": {"lr": 0.1, "initial_accumulator_value": 0.3},
    "Adadelta": {"lr": 0.1},
    "ASGD": {"lr": 0.1, "t0": 2.0},
    "Lion": {"lr": 0.1},
    "LBFGS": {"lr": 0.5, "line_search_fn": "strong_wolfe"},
}


@pytest.mark.parametrize("name", COMPLEX)
@pytest.mark.parametrize("captured", [False, True])
def test_complex_parameters_are_pairs_of_real_ones(device, name, captured):
    if captured and name == "LBFGS":
        pytest.skip("it reads the loss")
    start = np.random.default_rng(0).normal(size=(2, 3, 4, 2))

    def train(of_pairs):
        parts = tg.tensor(start, device=device)
        params = [parts[k].clone() if of_pairs else tg.view_as_complex(parts[k]).clone() for k in range(2)]
        for p in params:
            p.requires_grad = True
        optimizer = getattr(optim, name)(params, **COMPLEX[name])

        def closure():
            optimizer.zero_grad()
            whole = [tg.view_as_complex(p) if of_pairs else p for p in params]
            loss = ((whole[0] * whole[1] - (1 + 2j)).abs() ** 2).sum() + (whole[0].real ** 2).sum()
            loss.backward()
            return loss

        def step():
            return optimizer.step(closure) if name == "LBFGS" else (closure(), optimizer.step())[1]

        run = tg.jit(step) if captured else step
        for _ in range(4):
            run()
        state = {key: value for key, value in optimizer.state[params[0]].items() if isinstance(value, tg.Tensor)}
        return [p.detach() for p in params], state, optimizer

    (found, state, optimizer), (wanted, state_of_pairs, _) = train(False), train(True)
    for p, pairs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(tg.view_as_real(p).cpu().numpy(), pairs.cpu().numpy(), rtol=1e-12, atol=1e-13)
        assert np.abs(pairs.cpu().numpy() - start[0]).max() > 1e-3
    for key, value in state.items():
        if value.dtype.kind == "c":
            value = tg.view_as_real(value)
        np.testing.assert_allclose(value.cpu().numpy(), state_of_pairs[key].cpu().numpy(), rtol=1e-10, atol=1e-12)
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))


@pytest.mark.parametrize("name", ["Adafactor", "Muon"])
def test_complex_parameters_that_are_no_pairs(name):
    p = tg.zeros(2, 3, dtype=tg.complex64, requires_grad=True)
    with pytest.raises(TypeError, match=f"{name}: parameter 0 .* must be floating, got complex64"):
        getattr(optim, name)([p])
