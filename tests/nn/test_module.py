"""Modules: what they own, how they move, what they remember."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn


class Block(nn.Module):
    def __init__(self, size=2, device=None):
        super().__init__()
        self.linear = nn.Linear(size, size, device=device)
        self.scale = nn.Parameter(tg.ones(size, device=device))
        self.register_buffer("mean", tg.zeros(size, device=device))
        self.register_buffer("count", tg.tensor(0, device=device))
        self.register_buffer("scratch", tg.zeros(1, device=device), persistent=False)
        self.register_parameter("shift", None)

    def forward(self, input):
        return self.linear(input) * self.scale + self.mean


class Net(nn.Module):
    def __init__(self, device=None):
        super().__init__()
        self.first = Block(device=device)
        self.second = Block(device=device)
        self.second.linear = self.first.linear

    def forward(self, input):
        return self.second(self.first(input))


NAMES = ["first.scale", "first.linear.weight", "first.linear.bias", "second.scale"]


class TestRegistration:
    def test_attributes_are_registered_by_their_kind(self):
        block = Block()
        assert [n for n, _ in block.named_parameters()] == ["scale", "linear.weight", "linear.bias"]
        assert [n for n, _ in block.named_buffers()] == ["mean", "count", "scratch"]
        assert [n for n, _ in block.named_children()] == ["linear"]
        assert block.shift is None

    def test_reassignment_keeps_the_place(self):
        block = Block()
        new = nn.Parameter(tg.zeros(2))
        block.scale = new
        block.linear = nn.Linear(2, 2)
        assert next(block.parameters()) is new
        block.mean = tg.ones(2)
        assert dict(block.named_buffers())["mean"].tolist() == [1.0, 1.0]
        block.scale = None
        assert "scale" not in dict(block.named_parameters())
        block.scale = new
        assert next(iter(dict(block.named_parameters()))) == "scale"

    def test_a_name_changes_its_kind_with_its_value(self):
        module = nn.Module()
        module.x = 3
        module.x = nn.Parameter(tg.ones(1))
        module.x = nn.Linear(1, 1)
        assert [n for n, _ in module.named_parameters()] == ["x.weight", "x.bias"]
        del module.x
        assert not hasattr(module, "x")
        assert list(module.parameters()) == []

    def test_buffers_by_assignment(self):
        module = nn.Module()
        module.kept = nn.Buffer(tg.ones(1))
        module.lost = nn.Buffer(tg.ones(1), persistent=False)
        module.plain = tg.ones(1)
        assert [n for n, _ in module.named_buffers()] == ["kept", "lost"]
        assert list(module.state_dict()) == ["kept"]

    def test_wrong_values_are_refused(self):
        block = Block()
        with pytest.raises(TypeError, match="cannot assign Tensor as 'scale': a Parameter or None is expected"):
            block.scale = tg.ones(2)
        with pytest.raises(TypeError, match="cannot assign int as 'linear': a Module"):
            block.linear = 3
        with pytest.raises(TypeError, match="parameter 'w' must be a Parameter"):
            block.register_parameter("w", tg.ones(1))
        with pytest.raises(TypeError, match="buffer 'w' must be a Tensor"):
            block.register_buffer("w", np.ones(1))
        with pytest.raises(KeyError, match="must not be empty or contain"):
            block.register_buffer("a.b", tg.ones(1))
        with pytest.raises(KeyError, match="'forward' exists already"):
            block.add_module("forward", nn.Linear(1, 1))

    def test_forgotten_init_is_explained(self):
        class Forgetful(nn.Module):
            def __init__(self, value):
                self.value = value

        class Empty(nn.Module):
            def __init__(self):
                pass

        for value in (nn.Parameter(tg.ones(1)), nn.Linear(1, 1), nn.Buffer(tg.ones(1))):
            with pytest.raises(AttributeError, match=r"Forgetful.__init__ must call super\(\).__init__\(\) first"):
                Forgetful(value)
        with pytest.raises(AttributeError, match=r"Empty.__init__ must call super\(\).__init__\(\) first"):
            list(Empty().parameters())

    def test_missing_attributes_and_failing_properties(self):
        class Odd(nn.Module):
            @property
            def broken(self):
                return self.nothing

        with pytest.raises(AttributeError, match="'Odd' object has no attribute 'nothing'"):
            _ = Odd().broken
        with pytest.raises(NotImplementedError, match=r"Odd does not define forward\(\)"):
            Odd()(1)


class TestTraversal:
    def test_shared_modules_and_parameters_come_once(self):
        net = Net()
        assert [n for n, _ in net.named_parameters()] == NAMES
        assert [n for n, _ in net.named_modules()] == ["", "first", "first.linear", "second"]
        assert "second.linear.weight" in dict(net.named_parameters(remove_duplicate=False))
        assert [n for n, _ in net.named_parameters(prefix="net", recurse=False)] == []
        assert len(list(net.buffers())) == 6

    def test_lookup_by_name(self):
        net = Net()
        assert net.get_submodule("second.linear") is net.first.linear
        assert net.get_submodule("") is net
        assert net.get_parameter("first.scale") is net.first.scale
        assert net.get_buffer("first.mean") is net.first.mean
        with pytest.raises(AttributeError, match="Block has no submodule 'conv'"):
            net.get_submodule("first.conv")
        with pytest.raises(AttributeError, match="Block has no parameter 'shift'"):
            net.get_parameter("first.shift")

    def test_apply_visits_children_first(self):
        seen = []
        net = Net()
        assert net.apply(lambda m: seen.append(type(m).__name__)) is net
        assert seen == ["Linear", "Block", "Linear", "Block", "Net"]

    def test_modes(self):
        net = Net()
        assert net.eval() is net
        assert not any(m.training for m in net.modules())
        assert net.train().first.linear.training
        with pytest.raises(ValueError, match="mode must be a bool"):
            net.train("yes")

    def test_requires_grad(self):
        net = Net().requires_grad_(False)
        assert not any(p.requires_grad for p in net.parameters())
        assert not net(tg.ones(1, 2)).requires_grad


class TestGradients:
    def test_zero_grad(self, device):
        net = Net(device)
        net(tg.ones(1, 2, device=device)).sum().backward()
        kept = net.first.scale.grad
        net.zero_grad(set_to_none=False)
        assert net.first.scale.grad is kept
        assert kept.tolist() == [0.0, 0.0]
        net.zero_grad()
        assert all(p.grad is None for p in net.parameters())

    def test_zeroing_a_gradient_leaves_the_graph_that_made_it(self):
        p = nn.Parameter(tg.tensor([2.0]))
        (p**3).sum().backward(create_graph=True)
        first = p.grad
        nn.parameter.clear_gradients([p], set_to_none=False)
        assert p.grad.tolist() == [0.0]
        (second,) = tg.autograd.grad(first.sum(), p)
        assert second.tolist() == [12.0]


class TestConversion:
    def test_floating_tensors_take_the_dtype(self, device):
        net = Net(device)
        weight = net.first.linear.weight
        net(tg.ones(1, 2, device=device)).sum().backward()
        assert net.double() is net
        assert net.first.linear.weight is weight
        assert weight.dtype == weight.grad.dtype == net.first.mean.dtype == tg.float64
        assert net.first.count.dtype == tg.int64
        assert net(tg.ones(1, 2, device=device, dtype=tg.float64)).dtype == tg.float64
        assert net.half().first.scale.dtype == tg.float16
        assert net.float().first.scale.dtype == tg.float32
        with pytest.raises(TypeError, match="floating and complex dtypes, got int64"):
            net.to(tg.int64)

    def test_devices(self, device):
        net = Net().to(device)
        assert all(t.device.type == device for t in (*net.parameters(), *net.buffers()))
        net(tg.ones(1, 2, device=device)).sum().backward()
        net.to(tg.zeros(1, dtype=tg.float64))
        assert all(p.device == "cpu" and p.dtype == tg.float64 for p in net.parameters())
        assert net.first.scale.grad.device == "cpu"
        assert net.cpu() is net

    def test_training_goes_on_after_a_conversion(self):
        layer = nn.Linear(2, 1).double()
        layer(tg.ones(3, 2, dtype=tg.float64)).sum().backward()
        assert layer.weight.grad.tolist() == [[3.0, 3.0]]


class TestState:
    def test_names_and_memory(self):
        net = Net()
        state = net.state_dict()
        assert list(state) == [
            "first.scale", "first.mean", "first.count", "first.linear.weight", "first.linear.bias",
            "second.scale", "second.mean", "second.count", "second.linear.weight", "second.linear.bias",
        ]  # fmt: skip
        assert not state["first.scale"].requires_grad
        with tg.no_grad():
            net.first.scale += 1
        assert state["first.scale"].tolist() == [2.0, 2.0]
        assert net.state_dict(keep_vars=True)["first.scale"] is net.first.scale
        assert next(iter(nn.Linear(1, 1).state_dict(prefix="head."))) == "head.weight"

    def test_round_trip(self, device):
        one, other = Net(device), Net(device)
        result = other.load_state_dict(one.state_dict())
        assert repr(result) == "<All keys matched successfully>"
        for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
            assert a.tolist() == b.tolist(), name

    def test_arrays_are_converted(self, device):
        layer = nn.Linear(2, 1, device=device)
        weight = layer.weight
        layer.load_state_dict({"weight": np.array([[1.0, 2.0]]), "bias": tg.tensor([3])})
        assert layer.weight is weight
        assert (layer.weight.tolist(), layer.bias.tolist(), layer.bias.dtype) == ([[1.0, 2.0]], [3.0], tg.float32)

    def test_all_errors_at_once_and_nothing_is_loaded(self):
        net = Net()
        before = {k: v.tolist() for k, v in net.state_dict().items()}
        state = {k: v.clone() + 1 for k, v in net.state_dict().items()}
        del state["first.mean"]
        state["extra"] = tg.ones(1)
        state["second.scale"] = tg.ones(3)
        with pytest.raises(RuntimeError) as caught:
            net.load_state_dict(state)
        text = str(caught.value)
        assert "Error(s) in loading state_dict for Net" in text
        assert 'Missing key(s) in state_dict: "first.mean".' in text
        assert 'Unexpected key(s) in state_dict: "extra".' in text
        assert "size mismatch for second.scale: the state_dict has shape (3,), the module has shape (2,)" in text
        assert {k: v.tolist() for k, v in net.state_dict().items()} == before

    def test_not_strict(self):
        layer = nn.Linear(1, 1)
        missing, unexpected = layer.load_state_dict({"bias": tg.ones(1), "other": 3}, strict=False)
        assert (missing, unexpected) == (["weight"], ["other"])
        assert layer.bias.tolist() == [1.0]
        with pytest.raises(RuntimeError, match="size mismatch for bias"):
            layer.load_state_dict({"bias": tg.ones(2)}, strict=False)

    def test_odd_values(self):
        layer = nn.Linear(1, 1, bias=False)
        with pytest.raises(TypeError, match="expected a mapping"):
            layer.load_state_dict([tg.ones(1)])
        with pytest.raises(RuntimeError, match="expected a Tensor or an array, got str"):
            layer.load_state_dict({"weight": "1"})
        with pytest.raises(RuntimeError, match="dtype mismatch for weight: the state_dict has complex128"):
            layer.load_state_dict({"weight": np.ones((1, 1), complex)})

    def test_views_of_the_modules_own_memory_may_be_loaded(self):
        layer = nn.Linear(2, 2, bias=False)
        expected = layer.weight.detach().flip(0).tolist()
        layer.load_state_dict({"weight": layer.weight.detach().flip(0)})
        assert layer.weight.tolist() == expected

    def test_values_that_lie_in_other_tensors_of_the_module(self, device):
        module = nn.Sequential(nn.Linear(2, 3, device=device), nn.Linear(2, 3, device=device))
        state = {name: x.detach() for name, x in module.named_parameters()}
        before = {name: x.cpu().numpy().copy() for name, x in state.items()}
        other = {"0": "1", "1": "0"}
        module.load_state_dict({name: state[other[name[0]] + name[1:]] for name in state})
        for name, x in module.named_parameters():
            assert np.array_equal(x.detach().cpu().numpy(), before[other[name[0]] + name[1:]])

    def test_the_module_keeps_memory_of_its_own(self, device):
        layer, given = nn.Linear(2, 2, device=device), tg.ones((2, 2), device=device)
        layer.load_state_dict({"weight": given, "bias": tg.zeros(2, device=device)})
        given += 1
        assert layer.weight.tolist() == [[1, 1], [1, 1]]

    def test_loading_invalidates_a_recorded_forward(self):
        layer = nn.Linear(2, 2)
        x = tg.ones(1, 2, requires_grad=True)
        loss = layer(x).sum()
        layer.load_state_dict(nn.Linear(2, 2).state_dict())
        with pytest.raises(RuntimeError, match="overwritten"):
            loss.backward()

    @pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
    def test_copies(self, duplicate, device):
        net = duplicate_of = nn.Sequential(nn.Linear(2, 2, device=device), nn.ReLU())
        net.append(net[0])
        twin = duplicate(duplicate_of)
        assert twin[2] is twin[0]
        assert twin[0].weight is not net[0].weight
        x = tg.ones(1, 2, device=device)
        assert twin(x).tolist() == net(x).tolist()
        twin(x).sum().backward()
        assert twin[0].weight.grad is not None
        assert net[0].weight.grad is None


class TestHooks:
    def test_forward_hooks_see_and_replace(self):
        layer, seen = nn.Identity(), []
        layer.register_forward_pre_hook(lambda m, args: seen.append(("pre", args)))
        layer.register_forward_pre_hook(lambda m, args: args[0] + 1)
        layer.register_forward_hook(lambda m, args, out: seen.append(("post", args, out)))
        handle = layer.register_forward_hook(lambda m, args, out: out * 10)
        assert layer(1) == 20
        assert seen == [("pre", (1,)), ("post", (2,), 2)]
        handle.remove()
        handle.remove()
        assert layer(1) == 2

    def test_order_and_context_manager(self):
        layer, seen = nn.Identity(), []
        layer.register_forward_hook(lambda *_: seen.append("a"))
        with layer.register_forward_hook(lambda *_: seen.append("b"), prepend=True):
            layer(1)
        layer(1)
        assert seen == ["b", "a", "a"]

    def test_keyword_arguments(self):
        class Add(nn.Module):
            def forward(self, x, y=0):
                return x + y

        layer = Add()
        layer.register_forward_pre_hook(lambda m, args, kwargs: (args, {"y": 5}), with_kwargs=True)
        layer.register_forward_hook(lambda m, args, kwargs, out: out + kwargs["y"], with_kwargs=True)
        assert layer(1, y=2) == 11

    def test_backward_hook_sees_the_gradients(self, device):
        layer, seen = nn.Linear(2, 1, device=device), []
        layer.register_full_backward_hook(lambda m, gi, go: seen.append((m, gi[0].tolist(), go[0].tolist())))
        x = tg.ones(1, 2, device=device, requires_grad=True)
        (layer(x) * 3.0).sum().backward()
        weight = np.array(layer.weight.tolist(), np.float32)
        assert seen == [(layer, (3 * weight).tolist(), [[3.0]])]
        assert x.grad.tolist() == (3 * weight).tolist()

    def test_backward_hook_replaces_the_gradient_of_the_input(self):
        layer = nn.Identity()
        layer.register_full_backward_hook(lambda m, gi, go: (gi[0] * 2.0,))
        x = tg.ones(2, requires_grad=True)
        layer(x).sum().backward()
        assert x.grad.tolist() == [2.0, 2.0]

    def test_backward_hook_without_gradients_of_the_input(self):
        layer, seen = nn.Linear(1, 1), []
        layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go[0].tolist())))
        layer(tg.ones(1, 1)).sum().backward()
        assert seen == [((None,), [[1.0]])]
        with tg.no_grad():
            layer(tg.ones(1, 1))
        assert len(seen) == 1

    def test_backward_hook_of_several_inputs_and_results(self):
        class Swap(nn.Module):
            def forward(self, x, n, y):
                return y * 2.0, x * 3.0

        layer, seen = Swap(), []
        layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
        x, y = tg.ones(1, requires_grad=True), tg.ones(2, requires_grad=True)
        a, b = layer(x, 7, y)
        (a.sum() * 5.0 + b.sum() * 7.0).backward()
        ((gi, go),) = seen
        assert [g if g is None else g.tolist() for g in gi] == [[21.0], None, [10.0, 10.0]]
        assert [g.tolist() for g in go] == [[5.0, 5.0], [7.0]]
        assert (x.grad.tolist(), y.grad.tolist()) == ([21.0], [10.0, 10.0])

    def test_backward_hook_in_second_order(self):
        layer = nn.Identity()
        layer.register_full_backward_hook(lambda m, gi, go: (gi[0] * 2.0,))
        x = tg.tensor([3.0], requires_grad=True)
        (g,) = tg.autograd.grad(layer(x) ** 3, x, create_graph=True)
        assert g.tolist() == [54.0]
        g.sum().backward()
        assert x.grad.tolist() == [72.0]  # of the doubled gradient, doubled once more on its way

    def test_backward_hook_with_an_inplace_layer(self):
        layer = nn.ReLU(inplace=True)
        layer.register_full_backward_hook(lambda m, gi, go: None)
        x = tg.tensor([-1.0, 2.0], requires_grad=True)
        y = x * 1.0
        z = layer(y)
        (z.sum() + y.sum()).backward()
        assert y.tolist() == [0.0, 2.0]
        assert x.grad.tolist() == [0.0, 2.0]

    def test_wrong_number_of_gradients(self):
        layer = nn.Identity()
        layer.register_full_backward_hook(lambda m, gi, go: (gi[0], gi[0]))
        with pytest.raises(ValueError, match="expected 1 gradients"):
            layer(tg.ones(1, requires_grad=True)).sum().backward()


def test_repr_is_that_of_pytorch():
    net = nn.Sequential(nn.Linear(1, 2), nn.ModuleList([nn.Tanh(), nn.Sequential(nn.ReLU())]))
    assert repr(net) == (
        "Sequential(\n  (0): Linear(in_features=1, out_features=2, bias=True)\n  (1): ModuleList(\n    (0): Tanh()\n"
        "    (1): Sequential(\n      (0): ReLU()\n    )\n  )\n)"
    )


def test_threads_may_call_one_module():
    from concurrent.futures import ThreadPoolExecutor

    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    inputs = [tg.tensor(np.full((2, 4), float(i), np.float32)) for i in range(16)]
    alone = [net(x).tolist() for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        assert [y.tolist() for y in pool.map(net, inputs)] == alone


def test_unflatten():
    assert nn.Unflatten(1, (-1, 2))(tg.ones(0, 6)).shape == (0, 3, 2)
    for sizes in ((4, 2), ()):
        with pytest.raises(ValueError, match=r"^unflatten: axis 1 of shape \(0, 6\) cannot become"):
            nn.Unflatten(1, sizes)(tg.ones(0, 6))
