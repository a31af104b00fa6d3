"""Activation checkpointing: the same numbers, and the memory that is not held in between."""

from __future__ import annotations

import weakref
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.testing import gradcheck, gradgradcheck

F = nn.functional


def values(seed: int, *shape: int, device: str = "cpu", dtype: Any = None) -> Any:
    return tg.tensor(np.random.default_rng(seed).uniform(0.5, 2, shape), dtype=dtype or tg.float32, device=device)


def network(device: str) -> nn.Sequential:
    tg.manual_seed(2)
    layers = [nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Dropout(0.3)) for _ in range(3)]
    return nn.Sequential(*layers).to(device)


def left_by(model: nn.Module, run: Any, x: Any) -> list[Any]:
    """Result, gradients and the next random number of one forward and backward."""
    tg.manual_seed(5)
    model.zero_grad()
    x.grad = None
    y = run(x)
    (y**2).sum().backward()
    tensors = [y, x.grad, *(p.grad for p in model.parameters()), tg.rand(1)]
    return [t.detach().cpu().numpy().copy() for t in tensors]


def same(found: list[Any], expected: list[Any]) -> None:
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def same_replayed(found: list[Any], expected: list[Any], device: str) -> None:
    """As `same` on the CPU; on CUDA fused kernels round less often."""
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=0 if device == "cpu" else 2e-6 * max(1, np.abs(b).max()))


class TestNumbers:
    def test_gradients_masks_and_random_stream(self, device):
        model, x = network(device), values(0, 4, 6, device=device).requires_grad_()

        def checkpointed(x: Any) -> Any:
            for layer in model:
                x = tg.checkpoint(layer, x)
            return x

        same(left_by(model, checkpointed, x), left_by(model, model, x))

    def test_finite_differences(self, device):
        w = values(1, 3, dtype=tg.float64, device=device).requires_grad_()

        def function(x: Any, w: Any) -> Any:
            return tg.autograd.checkpoint(lambda x: tg.exp(x * w) / (1 + w), x)

        x = values(2, 2, 3, dtype=tg.float64, device=device).requires_grad_()
        assert gradcheck(function, (x, w))
        assert gradgradcheck(function, (x, w))

    def test_nested(self, device):
        model, x = network(device), values(0, 4, 6, device=device).requires_grad_()

        def inner(x: Any) -> Any:
            return tg.checkpoint(model[1], tg.checkpoint(model[0], x))

        def checkpointed(x: Any) -> Any:
            return tg.checkpoint(model[2], tg.checkpoint(inner, x))

        same(left_by(model, checkpointed, x), left_by(model, model, x))

    def test_all_of_it(self, device):
        model, x = network(device), values(0, 4, 6, device=device).requires_grad_()
        same(left_by(model, lambda x: tg.checkpoint(model, x), x), left_by(model, model, x))

    def test_without_the_random_numbers_of_the_first_call(self, device):
        x = tg.ones(200, device=device, requires_grad=True)
        tg.manual_seed(0)
        y = tg.checkpoint(lambda x: F.dropout(x, 0.5), x, preserve_rng_state=False)
        y.sum().backward()
        masks = (y != 0).cpu().numpy(), (x.grad != 0).cpu().numpy()
        assert not np.array_equal(*masks)
        tg.manual_seed(0)
        tg.rand(200)
        y = tg.checkpoint(lambda x: F.dropout(x, 0.5), x)
        x.grad = None
        y.sum().backward()
        np.testing.assert_array_equal((y != 0).cpu().numpy(), (x.grad != 0).cpu().numpy())

    def test_a_generator_of_ones_own(self, device):
        generator = tg.random.Generator().manual_seed(1)
        x = tg.ones(50, device=device, requires_grad=True)
        y = tg.checkpoint(lambda x: x * tg.rand(50, device=device, generator=generator), x)
        expected = generator.get_state()
        y.sum().backward()
        np.testing.assert_array_equal(x.grad.cpu().numpy(), y.detach().cpu().numpy())
        np.testing.assert_array_equal(generator.get_state(), expected)

    def test_draws_between_forward_and_backward(self, device):
        x = tg.ones(50, device=device, requires_grad=True)
        tg.manual_seed(3)
        y = tg.checkpoint(lambda x: x * tg.rand(50, device=device), x)
        tg.rand(11)
        y.sum().backward()
        np.testing.assert_array_equal(x.grad.cpu().numpy(), y.detach().cpu().numpy())

    def test_a_seed_that_is_set_inside(self, device):
        """The second call does not set the stream back."""

        def function(x: Any) -> Any:
            tg.manual_seed(7)
            return x * tg.rand(5, device=device)

        x = tg.ones(5, device=device, requires_grad=True)
        y = tg.checkpoint(function, x)
        following = tg.rand(1).item()
        expected = tg.random.get_rng_state()
        y.sum().backward()
        np.testing.assert_array_equal(x.grad.cpu().numpy(), y.detach().cpu().numpy())
        np.testing.assert_array_equal(tg.random.get_rng_state(), expected)
        assert following != tg.rand(1).item()

    def test_autocast(self, device):
        layer = nn.Linear(4, 4).to(device)
        x = values(0, 2, 4, device=device).requires_grad_()
        grads = []
        for run in (layer, lambda x: tg.checkpoint(layer, x)):
            layer.zero_grad()
            x.grad = None
            with tg.amp.autocast(device, dtype=tg.float16):
                y = run(x)
            assert y.dtype == tg.float16
            y.sum().backward()  # outside of the region
            grads.append([x.grad.cpu().numpy(), layer.weight.grad.cpu().numpy()])
        same(*grads)


class TestArguments:
    def test_keywords_and_structures(self, device):
        Pair = namedtuple("Pair", "first second")
        a, b, c = (values(i, 3, device=device).requires_grad_() for i in range(3))

        def function(parts: Any, scale: float = 1.0, *, more: Any) -> Any:
            x = parts[0] * parts[1]["b"] * scale
            return {"sum": x + more, "pair": Pair(x * 2, [more.detach(), 3, None])}

        results = []
        for run in (function, lambda *args, **kwargs: tg.checkpoint(function, *args, **kwargs)):
            for x in (a, b, c):
                x.grad = None
            y = run((a, {"b": b}), 3.0, more=c)
            assert type(y["pair"]) is Pair
            assert y["pair"].second[1:] == [3, None]
            assert not y["pair"].second[0].requires_grad
            (y["sum"] * y["pair"].first).sum().backward()
            results.append([x.grad.cpu().numpy() for x in (a, b, c)])
        same(*results)

    def test_one_of_several_results_is_used(self, device):
        x = values(0, 3, device=device).requires_grad_()
        first, _ = tg.checkpoint(lambda x: (x * 2, x * 3), x)
        first.sum().backward()
        assert x.grad.tolist() == [2, 2, 2]

    def test_an_argument_is_returned(self, device):
        x = values(0, 3, device=device).requires_grad_()
        same_x, y = tg.checkpoint(lambda x: (x, x * 2), x)
        assert same_x is x
        (same_x + y).sum().backward()
        assert x.grad.tolist() == [3, 3, 3]

    def test_a_view_of_an_argument_is_returned(self, device):
        x = values(0, 2, 3, device=device).requires_grad_()
        part = tg.checkpoint(lambda x: x[1], x)
        part.sum().backward()
        assert x.grad.tolist() == [[0, 0, 0], [1, 1, 1]]

    def test_parameters_only(self, device):
        """Nothing that is given needs a gradient."""
        layer = nn.Linear(3, 2).to(device)
        tg.checkpoint(layer, values(0, 4, 3, device=device)).sum().backward()
        assert layer.bias.grad.tolist() == [4, 4]

    def test_nothing_needs_a_gradient(self, device):
        y = tg.checkpoint(lambda x: x * 2, tg.ones(2, device=device))
        assert not y.requires_grad

    def test_without_grad(self, device):
        calls = []
        x = tg.ones(2, device=device, requires_grad=True)
        with tg.no_grad():
            y = tg.checkpoint(lambda x: calls.append(1) or x * 2, x)
        assert not y.requires_grad
        assert len(calls) == 1

    def test_a_result_of_no_op(self, device):
        assert tg.checkpoint(lambda x: "text", tg.ones(2, device=device, requires_grad=True)) == "text"


class TestGraphs:
    def test_grad(self, device):
        w, x = (values(i, 3, device=device).requires_grad_() for i in range(2))
        y = tg.checkpoint(lambda x: tg.exp(w * x), x).sum()
        found = tg.autograd.grad(y, (x, w))
        expected = tg.autograd.grad(tg.exp(w * x).sum(), (x, w))
        same([g.cpu().numpy() for g in found], [g.cpu().numpy() for g in expected])
        assert w.grad is None

    def test_in_the_middle_of_a_graph(self, device):
        w = values(0, 3, device=device).requires_grad_()
        y = tg.checkpoint(lambda h: tg.sin(h * w), w * 2) * w
        (found,) = tg.autograd.grad(y.sum(), w)
        (expected,) = tg.autograd.grad((tg.sin(w * 2 * w) * w).sum(), w)
        np.testing.assert_allclose(found.cpu().numpy(), expected.cpu().numpy(), rtol=1e-5)

    def test_twice(self, device):
        x = values(0, 3, device=device).requires_grad_()
        y = tg.checkpoint(lambda x: x**3, x).sum()
        y.backward(retain_graph=True)
        first = x.grad.clone()
        x.grad = None
        y.backward()
        same([x.grad.cpu().numpy()], [first.cpu().numpy()])
        with pytest.raises(RuntimeError, match="freed by an earlier backward"):
            y.backward()

    def test_hooks_run_once(self, device):
        x = values(0, 3, device=device).requires_grad_()
        seen: list[Any] = []
        x.register_hook(seen.append)
        tg.checkpoint(lambda x: x * 2, x).sum().backward()
        assert len(seen) == 1


class TestErrors:
    def test_an_argument_is_written(self, device):
        def function(x: Any) -> Any:
            x += 1
            return x * w

        w = values(0, 3, device=device).requires_grad_()
        with pytest.raises(RuntimeError, match=r"writes into its argument of shape \(3,\)"):
            tg.checkpoint(function, tg.ones(3, device=device))

    @pytest.mark.parametrize("what", ["argument", "parameter"])
    def test_overwritten_before_the_backward(self, what, device):
        w, x = (values(i, 3, device=device).requires_grad_() for i in range(2))
        y = tg.checkpoint(lambda x: tg.exp(w * x), x)
        with tg.no_grad():
            (w if what == "parameter" else x).__iadd__(1)
        with pytest.raises(RuntimeError, match="overwritten in place"):
            y.sum().backward()

    def test_other_results_the_second_time(self, device):
        x = values(0, 3, device=device).requires_grad_()
        calls = []

        def function(x: Any) -> Any:
            calls.append(1)
            return x[: len(calls)] * 2

        with pytest.raises(RuntimeError, match=r"gave results .*\(2,\).* instead of .*\(1,\)"):
            tg.checkpoint(function, x).sum().backward()

    def test_other_random_numbers_the_second_time(self, device):
        x = values(0, 3, device=device).requires_grad_()
        calls = []

        def function(x: Any) -> Any:
            calls.append(1)
            for _ in calls:
                x = F.dropout(x, 0.5)
            return x

        with pytest.raises(RuntimeError, match="draws other random numbers"):
            tg.checkpoint(function, x).sum().backward()

    def test_an_error_of_the_function(self, device):
        """It comes through, and the random stream goes on as usual."""

        def function(x: Any) -> Any:
            tg.rand(1)
            raise KeyError("of the user")

        with pytest.raises(KeyError, match="of the user"):
            tg.checkpoint(function, values(0, 3, device=device).requires_grad_())
        tg.manual_seed(0)
        expected = tg.rand(2).tolist()
        tg.manual_seed(0)
        assert tg.rand(2).tolist() == expected


class TestMemory:
    @pytest.mark.parametrize("checkpointed", [False, True])
    def test_what_a_segment_saves_is_gone(self, checkpointed):
        held: list[weakref.ref[Any]] = []

        def segment(x: Any) -> Any:
            y = tg.exp(x)
            held.append(weakref.ref(y._data))
            return tg.sin(y)

        x = tg.ones(5, requires_grad=True)
        y = tg.checkpoint(segment, x) if checkpointed else segment(x)
        assert (held[0]() is None) is checkpointed
        y.sum().backward()
        assert len(held) == 1 + checkpointed
        assert all(ref() is None for ref in held)

    def test_peak(self):
        """A chain of 16 segments needs about a sixteenth of the memory for what it saves."""
        import tracemalloc

        size, segments, ops = 20_000, 16, 8

        def segment(x: Any) -> Any:
            for _ in range(ops):
                x = tg.sin(x)
            return x

        peaks = {}
        for run in ("plain", "checkpointed"):
            x = tg.ones(size, requires_grad=True)
            tracemalloc.start()
            y = x
            for _ in range(segments):
                y = tg.checkpoint(segment, y) if run == "checkpointed" else segment(y)
            y.sum().backward()
            peaks[run] = tracemalloc.get_traced_memory()[1] / (4 * size)
            tracemalloc.stop()
        assert peaks["plain"] > segments * ops
        assert peaks["checkpointed"] < segments + 2 * ops + 4


class TestCaptured:
    def test_a_training_step(self, device):
        def run(captured: bool, checkpointed: bool) -> list[Any]:
            model = network(device)
            optimizer = tg.optim.Adam(model.parameters(), lr=0.1)

            def step(x: Any) -> Any:
                optimizer.zero_grad()
                for layer in model:
                    x = tg.checkpoint(layer, x) if checkpointed else layer(x)
                loss = (x**2).mean()
                loss.backward()
                optimizer.step()
                return loss

            call = tg.jit(step) if captured else step
            tg.manual_seed(4)
            losses = [call(values(i, 5, 6, device=device)).detach().cpu().numpy() for i in range(4)]
            return [*losses, *[p.detach().cpu().numpy().copy() for p in model.parameters()]]

        expected = run(False, False)
        same_replayed(run(False, True), expected, device)
        same_replayed(run(True, False), expected, device)
        same_replayed(run(True, True), expected, device)

    def test_differentiated_outside(self, device):
        model = network(device)
        captured = tg.jit(lambda x: tg.checkpoint(model, x) * 1)
        for i in range(4):
            x = values(i, 4, 6, device=device).requires_grad_()
            same_replayed(left_by(model, captured, x), left_by(model, model, x), device)

    def test_a_captured_function_inside(self, device):
        model, x = network(device), values(0, 4, 6, device=device).requires_grad_()
        captured = tg.jit(model)
        captured(x), captured(x)
        for _ in range(3):
            same_replayed(left_by(model, lambda x: tg.checkpoint(captured, x), x), left_by(model, model, x), device)

    def test_a_function_captured_anew_in_the_backward(self, device):
        def masks(captured: bool) -> list[Any]:
            model = nn.Sequential(nn.Dropout(0.5))
            call = tg.jit(model) if captured else model
            x = tg.ones(40, device=device, requires_grad=True)
            tg.manual_seed(3)
            found = []
            for i in range(4):
                y = tg.checkpoint(call, x)
                model.told = i // 2  # a change that captures must see: in the second round between forward and backward
                found += [y.detach(), *tg.autograd.grad(y.sum(), x)]
            return [a.cpu().numpy() for a in found]

        same(masks(True), masks(False))

    def test_memory_of_the_plan(self):
        """The plan of a checkpointed step has less memory for temporaries."""

        def segment(x: Any) -> Any:
            for _ in range(6):
                x = tg.sin(x)
            return x

        w = tg.ones(3000, requires_grad=True)
        held = {}
        for run in ("plain", "checkpointed"):

            def step(x: Any, run: str = run) -> None:
                w.grad = None
                y = w * x
                for _ in range(8):
                    y = tg.checkpoint(segment, y) if run == "checkpointed" else segment(y)
                y.sum().backward()

            captured = tg.jit(step)
            captured(tg.ones(3000))
            held[run] = captured._last.replay.layout.nbytes / w.nbytes
        assert held["plain"] > 8 * 6
        assert held["checkpointed"] < 8 + 2 * 6 + 4


def test_results_that_are_parts_of_something(device):
    values = np.arange(6.0).reshape(2, 3)
    x = tg.tensor(values, device=device, requires_grad=True)
    y = x * 1
    part = tg.autograd.checkpoint(lambda y: y[0], y)
    part *= 2  # a write to y
    (y * y).sum().backward()
    np.testing.assert_allclose(x.grad.cpu().numpy(), values * np.array([[8.0], [2.0]]))

    def two(x):
        whole = x * x
        return whole, whole[0]

    whole, part = tg.autograd.checkpoint(two, x)
    with pytest.raises(RuntimeError, match=r"checkpointed function that is a part .* cannot be overwritten"):
        part *= 2
    whole *= 3
    np.testing.assert_allclose(part.detach().cpu().numpy(), 3 * values[0] ** 2)
    with pytest.raises(RuntimeError, match="was then overwritten"):
        part.sum().backward()
    x.grad = None
    whole, part = tg.autograd.checkpoint(two, x)
    whole *= 3
    whole.sum().backward()
    np.testing.assert_allclose(x.grad.cpu().numpy(), 6 * values)
