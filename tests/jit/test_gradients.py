"""Gradients through captured functions: taken inside, outside, and through several of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.capture import CaptureError

from .compare import assert_same
from .models import MODELS, same_everywhere

F = nn.functional


def arrays_of(tensors: Any) -> list[Any]:
    return [None if x is None else x.detach().cpu().numpy().copy() for x in tensors]


def equal(found: Any, expected: Any) -> None:
    for a, b in zip(arrays_of(found), arrays_of(expected), strict=True):
        assert_same(a, b)


def values(seed: int, *shape: int, device: str) -> Any:
    return tg.tensor(np.random.default_rng(seed).uniform(0.5, 2, shape).astype(np.float32), device=device)


@pytest.mark.parametrize("name", MODELS)
def test_of_a_captured_model(name, device):
    """The forward is replayed; loss, backward and step are eager."""
    trained = MODELS[name]

    def run(captured: bool) -> dict[str, Any]:
        tg.manual_seed(0)
        model = trained.build().to(device)
        call = tg.jit(model) if captured else model
        optimizer = trained.optimizer(model.parameters())
        rng = np.random.default_rng(0)
        left = {}
        for i in range(4):
            x, y = (tg.tensor(array, device=device) for array in trained.batch(rng))
            optimizer.zero_grad()
            loss = trained.loss(call(x), y)
            loss.backward()
            left |= {f"gradient {i} {n}": p.grad.cpu().numpy().copy() for n, p in model.named_parameters()}
            optimizer.step()
            left[f"loss {i}"] = loss.detach().cpu().numpy()
        return left

    same_everywhere(run(False), run(True))


@pytest.mark.parametrize("name", MODELS)
def test_of_a_captured_loss(name, device):
    """Model and loss are replayed; backward and step are eager."""
    trained = MODELS[name]

    def run(captured: bool) -> dict[str, Any]:
        tg.manual_seed(0)
        model = trained.build().to(device)

        def loss_of(x: Any, y: Any) -> Any:
            return trained.loss(model(x), y)

        call = tg.jit(loss_of) if captured else loss_of
        optimizer = trained.optimizer(model.parameters())
        rng = np.random.default_rng(0)
        left = {}
        for i in range(3):
            optimizer.zero_grad()
            loss = call(*(tg.tensor(array, device=device) for array in trained.batch(rng)))
            loss.backward()
            optimizer.step()
            left[f"loss {i}"] = loss.detach().cpu().numpy()
        return left | {n: p.grad.cpu().numpy() for n, p in model.named_parameters()}

    same_everywhere(run(False), run(True))


class TestOutside:
    def test_with_respect_to_arguments(self, device):
        def function(x: Any, y: Any) -> Any:
            return tg.exp(x) * y + tg.sin(y)

        captured = tg.jit(function)
        for i in range(4):
            results = []
            for f in (captured, function):
                x, y = (values(k, 3, 2, device=device).requires_grad_() for k in (i, i + 1))
                g = values(i + 2, 3, 2, device=device)
                f(x, y).backward(g)
                results.append((x.grad, y.grad))
            equal(*results)

    def test_with_one_argument_that_needs_none(self, device):
        captured = tg.jit(lambda x, y: x * y)
        for i in range(3):
            x, y = values(i, 3, device=device), values(i + 1, 3, device=device).requires_grad_()
            captured(x, y).sum().backward()
            assert x.grad is None
            equal([y.grad], [x])

    def test_grad(self, device):
        w = values(0, 3, device=device).requires_grad_()
        captured = tg.jit(lambda x: (w * x) ** 3)
        for i in range(3):
            x = values(i, 3, device=device).requires_grad_()
            found = tg.autograd.grad(captured(x).sum(), (w, x))
            equal(found, tg.autograd.grad(((w * x) ** 3).sum(), (w, x)))
            assert w.grad is None

    def test_several_outputs(self, device):
        w = values(0, 3, device=device).requires_grad_()

        def function(x: Any) -> Any:
            a = w * x
            return a, a.sum(), (x > 1), a.astype(tg.float64), x * 2

        captured = tg.jit(function)
        for used in [(0,), (1,), (3,), (0, 1), (0, 1, 3)]:
            results = []
            for f in (captured, function):
                w.grad = None
                y = f(values(5, 3, device=device))
                assert [part.requires_grad for part in y] == [True, True, False, True, False]
                sum((y[i] ** 2).sum().astype(tg.float64) for i in used).backward()
                results.append([w.grad])
            equal(*results)

    def test_a_result_that_has_no_gradient_any_more(self, device):
        """The function overwrites what the gradient of one result needs: only who asks for that is told."""
        w = values(0, 3, device=device).requires_grad_()

        def function(x: Any) -> Any:
            y = tg.exp(w * x)
            lost = y * y
            with tg.no_grad():
                y *= 2
            return lost, w * x

        captured = tg.jit(function)
        for _ in range(3):
            x = values(2, 3, device=device)
            w.grad = None
            (lost, kept), (_, expected) = captured(x), function(x)
            equal([lost], [function(x)[0]])
            with pytest.raises(RuntimeError, match="overwritten in place"):
                lost.sum().backward()
            kept.sum().backward()
            found, w.grad = w.grad, None
            expected.sum().backward()
            equal([found], [w.grad])

    def test_a_parameter_of_another_output_gets_no_gradient(self, device):
        a, b = (values(i, 3, device=device).requires_grad_() for i in range(2))
        captured = tg.jit(lambda x: (a * x, b * x))
        for _ in range(2):
            first, _ = captured(values(2, 3, device=device))
        first.sum().backward()
        assert b.grad is None

    def test_some_outputs_share_memory(self, device):
        def function(x: Any) -> Any:
            y = x * 2
            return y, y.reshape(-1), y[0]

        captured = tg.jit(function)
        for i in range(3):
            results = []
            for f in (captured, function):
                x = values(i, 2, 3, device=device).requires_grad_()
                a, b, c = f(x)
                ((a**2).sum() + (b**3).sum() + c.sum()).backward()
                results.append([x.grad])
            equal(*results)

    def test_before_it_and_after_it(self, device):
        """The captured function is in the middle of a graph."""
        inner = nn.Linear(3, 3).to(device)
        captured = tg.jit(lambda h: tg.tanh(inner(h)))
        w = values(1, 3, device=device).requires_grad_()
        for i in range(3):
            x = values(i, 4, 3, device=device)
            results = []
            for f in (captured, lambda h: tg.tanh(inner(h))):
                w.grad = inner.weight.grad = None
                (f(x * w) * w).sum().backward()
                results.append([w.grad, inner.weight.grad])
            equal(*results)

    def test_applied_twice_before_one_backward(self, device):
        """What the first call saved is not what the second one saves."""
        layer = nn.Linear(3, 3).to(device)

        def function(h: Any) -> Any:
            return tg.tanh(layer(h))

        captured = tg.jit(function)
        for i in range(3):
            x = values(i, 2, 3, device=device)
            results = []
            for f in (captured, function):
                layer.zero_grad()
                h = x
                for _ in range(4):
                    h = f(h)
                h.sum().backward()
                results.append([layer.weight.grad, layer.bias.grad])
            equal(*results)

    def test_backward_in_another_order(self, device):
        w = values(0, 3, device=device).requires_grad_()
        captured = tg.jit(lambda x: tg.exp(w * x))
        inputs = [values(i, 3, device=device) for i in range(4)]
        outputs = [captured(x) for x in inputs]
        for x, y in reversed(list(zip(inputs, outputs, strict=True))):
            w.grad = None
            y.sum().backward()
            equal([w.grad], [tg.exp(w * x) * x])

    def test_through_it_twice(self, device):
        w = values(0, 3, device=device).requires_grad_()
        captured = tg.jit(lambda x: tg.exp(w * x))
        x = values(1, 3, device=device)
        for _ in range(3):
            y = captured(x).sum()
            y.backward(retain_graph=True)
            first = w.grad
            w.grad = None
            y.backward()
            equal([w.grad], [first])
            w.grad = None
            with pytest.raises(RuntimeError, match="freed by an earlier backward"):
                y.backward()

    def test_a_parameter_overwritten_before_the_backward(self, device):
        w = values(0, 3, device=device).requires_grad_()
        captured = tg.jit(lambda x: tg.exp(w * x))
        for _ in range(3):
            y = captured(values(1, 3, device=device).requires_grad_())
            with tg.no_grad():
                w += 1
            with pytest.raises(RuntimeError, match="overwritten"):
                y.sum().backward()

    def test_an_argument_overwritten_before_the_backward(self, device):
        w = values(0, 3, device=device).requires_grad_()
        captured = tg.jit(lambda x: tg.exp(w * x))
        for _ in range(3):
            x = values(1, 3, device=device)
            y = captured(x)
            x += 1
            with pytest.raises(RuntimeError, match="overwritten"):
                y.sum().backward()

    def test_the_result_overwritten_before_the_backward(self, device):
        captured = tg.jit(lambda x: tg.exp(x))
        for _ in range(3):
            x = values(1, 3, device=device).requires_grad_()
            y = captured(x)
            with tg.no_grad():
                y += 1
            with pytest.raises(RuntimeError, match="overwritten"):
                y.sum().backward()

    def test_hooks_on_results_and_parameters(self, device):
        w = values(0, 3, device=device).requires_grad_()
        captured = tg.jit(lambda x: w * x)
        seen: list[Any] = []
        w.register_hook(lambda g: g * 2)
        for i in range(3):
            x = values(i, 3, device=device)
            w.grad = None
            y = captured(x)
            y.register_hook(lambda g: seen.append(g))
            y.sum().backward()
            assert len(seen) == i + 1
            equal([w.grad], [x * 2])

    def test_broadcast_parameters(self, device):
        bias, scale = values(0, 3, device=device).requires_grad_(), values(1, device=device).requires_grad_()

        def function(x: Any) -> Any:
            return x * scale + bias

        captured = tg.jit(function)
        for i in range(3):
            results = []
            for f in (captured, function):
                bias.grad = scale.grad = None
                (f(values(i, 4, 3, device=device)) ** 2).mean().backward()
                results.append([bias.grad, scale.grad])
            equal(*results)

    def test_dropout(self, device):
        """The gradient has the mask of its own forward."""
        w = tg.ones(50, device=device, requires_grad=True)
        captured = tg.jit(lambda x: F.dropout(w * x, 0.5))
        tg.manual_seed(0)
        pairs = [(x, captured(x)) for x in (values(i, 50, device=device) for i in range(3))]
        for x, y in pairs:
            w.grad = None
            y.sum().backward()
            equal([w.grad], [(y != 0).astype(tg.float32) * 2 * x])

    def test_second_order_raises(self, device):
        captured = tg.jit(lambda x: x**3)
        for _ in range(2):
            x = values(0, 2, device=device).requires_grad_()
            y = captured(x).sum()
        with pytest.raises(RuntimeError, match="create_graph=True through a captured function"):
            tg.autograd.grad(y, x, create_graph=True)

    def test_a_result_that_needs_no_gradient_after_all(self, device):
        w = values(0, 3, device=device).requires_grad_()
        captured = tg.jit(lambda x: (w * x).detach())
        for i in range(3):
            assert not captured(values(i, 3, device=device)).requires_grad

    def test_a_loss_that_was_differentiated_inside(self, device):
        """Its graph is used up, as after an eager backward."""
        w = values(0, 3, device=device).requires_grad_()

        def step(x: Any) -> Any:
            w.grad = None
            loss = (tg.exp(w) * x).sum()
            loss.backward()
            return loss

        captured = tg.jit(step)
        for i in range(3):
            loss = captured(values(i, 3, device=device))
            with pytest.raises(RuntimeError):
                loss.backward()

    def test_retained_inside_and_differentiated_again_outside(self, device):
        w = values(0, 3, device=device).requires_grad_()

        def step(x: Any) -> Any:
            loss = (tg.exp(w) * x).sum()
            loss.backward(retain_graph=True)
            return loss

        captured = tg.jit(step)
        for i in range(3):
            results = []
            for f in (captured, step):
                w.grad = None
                f(values(i, 3, device=device)).backward()
                results.append([w.grad])
            equal(*results)


class TestInside:
    def test_grad(self, device):
        w = values(0, 3, device=device).requires_grad_()

        def function(x: Any) -> Any:
            x = x.detach().requires_grad_()
            return tg.autograd.grad((tg.exp(w) * x**2).sum(), (w, x))

        captured = tg.jit(function)
        for i in range(3):
            x = values(i, 3, device=device)
            equal(captured(x), function(x))

    def test_second_order(self, device):
        """A gradient penalty: the gradient of a gradient, all of it inside."""
        model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)).to(device)
        optimizer = tg.optim.SGD(model.parameters(), lr=0.1)

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            x = x.detach().requires_grad_()
            y = model(x).sum()
            (slope,) = tg.autograd.grad(y, x, create_graph=True)
            loss = y + ((slope**2).sum(axis=1) - 1).square().mean()
            loss.backward()
            return loss

        captured = tg.jit(step)
        for i in range(3):
            results = []
            for f in (captured, step):
                loss = f(values(i, 4, 3, device=device))
                results.append([loss, *[p.grad for p in model.parameters()]])
                results[-1] = [x.detach().clone() for x in results[-1]]
            equal(*results)

    def test_transforms(self, device):
        def loss(w: Any, x: Any) -> Any:
            return (tg.tanh(w * x) ** 2).sum()

        for transform in (tg.func.grad, tg.func.value_and_grad, tg.func.jacobian, tg.func.hessian):
            plain = transform(loss)
            captured = tg.jit(plain)
            for i in range(3):
                w, x = values(i, 3, device=device), values(i + 1, 3, device=device)
                found, expected = captured(w, x), plain(w, x)
                if not isinstance(found, tuple):
                    found, expected = (found,), (expected,)
                equal(found, expected)

    def test_of_an_argument(self, device):
        def function(x: Any) -> Any:
            (g,) = tg.autograd.grad((x**3).sum(), x)
            return g

        captured = tg.jit(function)
        for i in range(3):
            x = values(i, 3, device=device).requires_grad_()
            equal([captured(x)], [3 * x**2])
            assert x.grad is None

    def test_custom_function(self, device):
        class Cube(tg.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                ctx.save_for_backward(x)
                return x * x * x

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                (x,) = ctx.saved_tensors
                return g * 3 * x * x

        w = values(0, 3, device=device).requires_grad_()

        def function(x: Any) -> Any:
            w.grad = None
            Cube.apply(w * x).sum().backward()

        captured = tg.jit(function)
        for i in range(3):
            x = values(i, 3, device=device)
            captured(x)
            found = w.grad
            function(x)
            equal([found], [w.grad])

    def test_custom_function_differentiated_outside(self, device):
        class Scale(tg.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                ctx.save_for_backward(x)
                return x * 2

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                (x,) = ctx.saved_tensors
                return g * x

        w = values(0, 3, device=device).requires_grad_()
        captured = tg.jit(lambda x: Scale.apply(w * x))
        for i in range(3):
            x = values(i, 3, device=device)
            w.grad = None
            captured(x).sum().backward()
            equal([w.grad], [w * x * x])

    def test_hooks(self, device):
        w = values(0, 3, device=device).requires_grad_()

        def function(x: Any) -> Any:
            w.grad = None
            y = w * x
            y.register_hook(lambda g: g * 10)
            y.sum().backward()

        captured = tg.jit(function)
        for i in range(3):
            x = values(i, 3, device=device)
            captured(x)
            equal([w.grad], [x * 10])

    @pytest.mark.parametrize("first", [0, 1])
    def test_an_argument_that_is_also_outside(self, first, device):
        """Two ways lead to one gradient then, and with another tensor to two."""
        w = values(0, 3, device=device).requires_grad_()
        v = values(1, 3, device=device).requires_grad_()

        def function(p: Any, x: Any) -> Any:
            p.grad = w.grad = None
            (p * x * w).sum().backward()
            return p.grad * 1

        captured = tg.jit(function)
        x = values(2, 3, device=device)
        for i in range(6):
            p = (w, v)[(i // 2 + first) % 2]
            found = captured(p, x), w.grad
            expected = function(p, x), w.grad
            equal(found, expected)
        w.data = values(3, 3, device=device)
        equal([captured(w, x)], [2 * w.detach() * x])

    def test_hooks_of_parameters_that_change(self, device):
        """Those that a backward inside of the function reaches are a part of the recording."""
        w = values(0, 3, device=device).requires_grad_()

        def function(x: Any) -> Any:
            w.grad = None
            (w * x).sum().backward()

        captured = tg.jit(function)

        def check(factor: float) -> None:
            for i in range(3):
                x = values(i, 3, device=device)
                captured(x)
                equal([w.grad], [x * factor])

        check(1)
        with w.register_hook(lambda g: g * 10):
            check(10)
        check(1)
        handle = w.register_post_accumulate_grad_hook(lambda p: p.grad.mul_(3))
        check(3)
        handle.remove()
        check(1)

    def test_hooks_outside_of_the_function_are_not_a_part_of_it(self, device):
        w = values(0, 3, device=device).requires_grad_()
        captured = tg.jit(lambda x: (w * x).sum())
        for i in range(1, 4):
            x = values(i, 3, device=device)
            w.grad = None
            with w.register_hook(lambda g: g * i):  # noqa: B023 - is called in the same round
                captured(x).backward()
            equal([w.grad], [x * i])
        assert len(captured.explain().plans) == 2  # itself and its gradient

    @pytest.mark.parametrize("inputs", [False, True])
    def test_hooks_of_arguments(self, inputs, device):
        def function(x: Any) -> Any:
            if inputs:
                return tg.autograd.grad((x * x).sum(), x)[0]
            (x * x).sum().backward()
            return x.grad

        captured = tg.jit(function)
        for factor in (1, 1, 10, 1, 5, 1):
            x = values(0, 3, device=device).requires_grad_()
            if factor != 1:
                x.register_hook(lambda g: g * factor)  # noqa: B023 - is called in the same round
            equal([captured(x)], [2 * factor * x.detach()])

    def test_beyond_an_argument(self, device):
        """What has made an argument is not recorded, and another has been made in another way."""

        def function(x: Any) -> Any:
            (x * x).sum().backward()

        w = values(0, 3, device=device).requires_grad_()
        captured = tg.jit(function)
        for _ in range(2):
            w.grad = None
            captured(w)
            equal([w.grad], [2 * w.detach()])
            for n in (2, 3):
                with pytest.raises(CaptureError, match="goes on beyond the captured function"):
                    captured(w * n)

    def test_up_to_an_argument_that_an_op_has_made(self, device):
        captured = tg.jit(lambda x: tg.autograd.grad((x**3).sum(), x)[0])
        w = values(0, 3, device=device).requires_grad_()
        for n in (1, 2, 3):
            for x in (w * n, values(n, 3, device=device).requires_grad_()):
                equal([captured(x)], [3 * x.detach() ** 2])

    def test_an_argument_that_requires_a_gradient_inside_only(self, device):
        def function(x: Any) -> Any:
            x.requires_grad = True
            return tg.autograd.grad((x**3).sum(), x)[0]

        with pytest.raises(CaptureError, match=r"by requires_grad.*x\.detach\(\)"):
            tg.jit(function)(values(0, 3, device=device))

    def test_retained_gradients(self, device):
        w = values(0, 3, device=device).requires_grad_()

        def function(x: Any) -> Any:
            y = w * x
            y.retain_grad()
            (y**2).sum().backward()
            return y.grad

        captured = tg.jit(function)
        for i in range(3):
            x = values(i, 3, device=device)
            w.grad = None
            equal([captured(x)], [2 * w * x])


class TestNesting:
    def test_a_captured_function_in_another(self, device):
        inner = tg.jit(lambda x: tg.exp(x) + 1)
        outer = tg.jit(lambda x: inner(x * 2) * inner(x))
        for i in range(4):
            x = values(i, 3, device=device)
            equal([outer(x)], [(tg.exp(x * 2) + 1) * (tg.exp(x) + 1)])
            equal([inner(x)], [tg.exp(x) + 1])

    def test_a_captured_module_in_a_captured_step(self, device):
        def run(wrap: Callable[[Any], Any]) -> list[Any]:
            tg.manual_seed(0)
            model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).to(device)
            optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
            call = wrap(model)

            def step(x: Any) -> Any:
                optimizer.zero_grad()
                loss = call(x).square().mean()
                loss.backward()
                optimizer.step()
                return loss

            step = wrap(step)
            losses = [step(values(i, 5, 3, device=device)) for i in range(4)]
            return arrays_of([*losses, *model.parameters()])

        for a, b in zip(run(lambda f: f), run(tg.jit), strict=True):
            assert_same(b, a)

    def test_captured_first_and_nested_later(self, device):
        inner = tg.jit(lambda x: x * 3)
        x = values(0, 3, device=device)
        inner(x), inner(x)
        outer = tg.jit(lambda x: inner(x) + 1)
        for _ in range(3):
            equal([outer(x)], [x * 3 + 1])

    def test_the_inner_one_changes(self, device):
        """What the inner function reads from its closure is watched by the outer one."""
        scale = 2.0
        inner = tg.jit(lambda x: x * scale)
        outer = tg.jit(lambda x: inner(x) + 1)
        x = tg.ones(2, device=device)
        assert outer(x).tolist() == outer(x).tolist() == [3, 3]
        scale = 4.0
        assert outer(x).tolist() == outer(x).tolist() == [5, 5]

    def test_recursion(self, device):
        @tg.jit
        def power(x: Any, n: int) -> Any:
            return x if n == 1 else x * power(x, n - 1)

        for _ in range(3):
            x = values(0, 3, device=device)
            equal([power(x, 4)], [x * (x * (x * x))])


class TestModules:
    def test_a_captured_module_keeps_its_face(self, device):
        model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5)).to(device)
        captured = tg.jit(model)
        assert [p is q for p, q in zip(captured.parameters(), model.parameters(), strict=True)] == [True, True]
        assert captured.state_dict().keys() == model.state_dict().keys()
        captured.eval()
        assert not model.training
        assert "Sequential" in repr(captured)
        with pytest.raises(AttributeError, match="nonsense"):
            _ = captured.nonsense

    def test_method(self, device):
        class Model(nn.Module):
            def __init__(self, scale: float) -> None:
                super().__init__()
                self.layer = nn.Linear(3, 2)
                self.scale = scale

            @tg.jit
            def embed(self, x: Any, power: int = 1) -> Any:
                """What it says."""
                return (self.layer(x) * self.scale) ** power

            def forward(self, x: Any) -> Any:
                return self.embed(x).sum()

        assert Model.embed.__doc__ == "What it says."
        first, second = Model(1.0).to(device), Model(3.0).to(device)
        x = values(0, 4, 3, device=device)
        for _ in range(3):
            for model in (first, second):
                for power in (1, 2):
                    equal([model.embed(x, power)], [(model.layer(x) * model.scale) ** power])
                equal([model(x)], [(model.layer(x) * model.scale).sum()])
        second.scale = 5.0
        equal([second.embed(x)], [second.layer(x) * 5.0])
        second.layer.weight = nn.Parameter(tg.zeros(2, 3, device=device))
        equal([second.embed(x)], [second.layer(x) * 5.0])

    def test_bound_method(self, device):
        model = nn.Linear(3, 2).to(device)
        captured = tg.jit(model.forward)
        x = values(0, 4, 3, device=device)
        for i in range(3):
            equal([captured(x)], [model(x)])
            model.weight = nn.Parameter(tg.full((2, 3), float(i), device=device))

    def test_forward_hooks(self, device):
        model = nn.Linear(3, 2).to(device)
        captured = tg.jit(model)
        x = values(0, 4, 3, device=device)
        equal([captured(x)], [model(x)])
        handle = model.register_forward_hook(lambda module, args, output: output * 2)
        for _ in range(2):
            equal([captured(x)], [model(x)])
        handle.remove()
        for _ in range(2):
            equal([captured(x)], [model(x)])

    def test_a_parameter_read_without_a_call(self, device):
        model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2)).to(device)
        captured = tg.jit(lambda x: F.linear(x, model[0].weight))
        x = values(0, 4, 3, device=device)
        for i in range(3):
            equal([captured(x)], [F.linear(x, model[0].weight)])
            model[0].weight = nn.Parameter(tg.full((2, 3), float(i), device=device))
