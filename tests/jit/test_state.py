"""What is around a captured function changes between its calls: right, or an error."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn

from .compare import assert_same

F = nn.functional


def same(found: Any, expected: Any) -> None:
    assert found.dtype == expected.dtype
    assert found.device == expected.device
    assert_same(found.detach().cpu().numpy(), expected.detach().cpu().numpy())


def x_of(seed: int, *shape: int, device: str) -> Any:
    return tg.tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32), device=device)


class TestParameters:
    def test_reloaded(self, device):
        model = nn.Linear(3, 2).to(device)
        captured = tg.jit(lambda x: model(x))
        x = x_of(0, 4, 3, device=device)
        captured(x), captured(x)
        model.load_state_dict({"weight": tg.ones(2, 3), "bias": tg.ones(2)})
        same(captured(x), model(x))
        same(captured(x), x.sum(axis=1, keepdims=True) * tg.ones(2, device=device) + 1)

    def test_written_in_place(self, device):
        model = nn.Linear(3, 2).to(device)
        captured = tg.jit(lambda x: model(x))
        x = x_of(0, 4, 3, device=device)
        for i in range(4):
            same(captured(x), model(x))
            with tg.no_grad():
                model.weight[0] = float(i)
                model.bias += 1

    def test_given_other_memory(self, device):
        model = nn.Linear(3, 2).to(device)
        captured = tg.jit(lambda x: model(x))
        x = x_of(0, 4, 3, device=device)
        for i in range(4):
            same(captured(x), model(x))
            model.weight.data = tg.full((2, 3), float(i), device=device)

    def test_replaced(self, device):
        model = nn.Linear(3, 2).to(device)
        captured = tg.jit(lambda x: model(x))
        x = x_of(0, 4, 3, device=device)
        for i in range(4):
            same(captured(x), model(x))
            model.weight = nn.Parameter(tg.full((2, 3), float(i), device=device))

    def test_cast(self, device):
        model = nn.Linear(3, 2).to(device)
        captured = tg.jit(lambda x: model(x))
        x = x_of(0, 4, 3, device=device)
        for dtype in (tg.float32, tg.float64, tg.float16, tg.float32):
            model.to(dtype)
            for _ in range(2):
                same(captured(x.astype(dtype)), model(x.astype(dtype)))

    def test_moved_to_another_device(self, device):
        model = nn.Linear(3, 2)
        captured = tg.jit(lambda x: model(x))
        x = x_of(0, 4, 3, device="cpu")
        for where in ("cpu", device, "cpu", device):
            model.to(where)
            for _ in range(2):
                same(captured(x.to(where)), model(x.to(where)))

    def test_frozen_and_thawed(self, device):
        model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).to(device)
        optimizer = tg.optim.SGD(model.parameters(), lr=0.1)

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = model(x).square().sum()
            loss.backward()
            optimizer.step()
            return loss

        captured = tg.jit(step)
        x = x_of(0, 4, 3, device=device)
        for frozen in (False, True, False, True):
            model[0].requires_grad_(not frozen)
            for _ in range(3):
                before = model[0].weight.detach().clone()
                captured(x)
                assert (model[0].weight.grad is None) is frozen
                assert np.array_equal(before.cpu().numpy(), model[0].weight.detach().cpu().numpy()) is frozen

    def test_layers_replaced(self, device):
        model = nn.Sequential(nn.Linear(3, 3), nn.ReLU()).to(device)
        captured = tg.jit(model)
        x = x_of(0, 4, 3, device=device)
        for layer in (nn.ReLU(), nn.Tanh(), nn.Sigmoid(), nn.ReLU()):
            model[1] = layer
            for _ in range(2):
                same(captured(x), model(x))

    def test_layers_added(self, device):
        model = nn.Sequential(nn.Linear(3, 3)).to(device)
        captured = tg.jit(model)
        x = x_of(0, 4, 3, device=device)
        for _ in range(3):
            for _ in range(2):
                same(captured(x), model(x))
            model.append(nn.Tanh())

    def test_added_to_the_optimizer_that_forgets_gradients(self, device):
        """Which gradients ``zero_grad`` forgets is recorded."""

        def train(wrap: Any) -> Any:
            tg.manual_seed(0)
            first, second = nn.Linear(3, 3).to(device), nn.Linear(3, 3).to(device)
            optimizer = tg.optim.SGD(first.parameters(), lr=0.1)

            def step(x: Any) -> Any:
                optimizer.zero_grad()
                loss = (second(first(x)) ** 2).sum()
                loss.backward()
                optimizer.step()
                return loss

            step = wrap(step)
            losses = []
            for i in range(6):
                losses.append(step(tg.full((2, 3), 0.1 * i + 0.1, device=device)).item())
                if i == 2:
                    optimizer.add_param_group({"params": second.parameters(), "lr": 0.01})
            return losses

        assert_same(train(tg.jit), train(lambda function: function))

    def test_rates_that_the_function_sets(self, device):
        def train(wrap: Any) -> Any:
            weight = tg.ones(3, device=device, requires_grad=True)
            optimizer = tg.optim.SGD([weight], lr=0.1)

            def step(x: Any, rate: float) -> None:
                for group in optimizer.param_groups:
                    group["lr"] = rate
                optimizer.zero_grad()
                (weight * x).sum().backward()
                optimizer.step()

            step = wrap(step)
            x = tg.ones(3, device=device)
            found = []
            for i in range(8):
                step(x, 0.1 if i % 2 or i > 4 else 0.5)
                found.append(weight.tolist())
            return found

        assert_same(train(tg.jit), train(lambda function: function))

    def test_added_to_the_optimizer(self, device):
        first, second = (tg.ones(3, device=device, requires_grad=True) for _ in range(2))
        optimizer = tg.optim.SGD([first], lr=0.1)

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            (first * second * x).sum().backward()
            optimizer.step()

        captured = tg.jit(step)
        x = tg.ones(3, device=device)
        captured(x), captured(x)
        assert second.tolist() == [1, 1, 1]
        optimizer.add_param_group({"params": [second], "lr": 1.0})
        second.grad = None
        captured(x)
        assert second.tolist() == pytest.approx([0.2] * 3)


class TestModes:
    def test_training_and_evaluation(self, device):
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)).to(device)
        captured = tg.jit(model)
        for i in range(6):
            (model.train if i % 2 else model.eval)()
            x = x_of(i, 5, 3, device=device)
            for _ in range(2):
                state = {k: v.clone() for k, v in model.state_dict().items()}
                tg.manual_seed(i)
                expected = model(x)
                statistics = {k: v.clone() for k, v in model.state_dict().items()}
                model.load_state_dict(state)
                tg.manual_seed(i)
                same(captured(x), expected)
                for name, value in model.state_dict().items():
                    same(value, statistics[name])

    def test_attributes_of_a_module(self, device):
        class Scaled(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.scale = 2.0
                self.inner = nn.Dropout(0.5)

            def forward(self, x: Any) -> Any:
                return self.inner(x) * self.scale

        model = Scaled()
        captured = tg.jit(model)
        x = x_of(0, 30, device=device)
        for scale, p in ((2.0, 0.5), (3.0, 0.5), (3.0, 0.0), (2.0, 1.0)):
            model.scale, model.inner.p = scale, p
            for _ in range(2):
                tg.manual_seed(0)
                expected = model(x)
                tg.manual_seed(0)
                same(captured(x), expected)

    def test_no_grad(self, device):
        model = nn.Linear(3, 2).to(device)
        captured = tg.jit(model)
        x = x_of(0, 4, 3, device=device)
        for _ in range(3):
            assert captured(x).requires_grad
            with tg.no_grad():
                assert not captured(x).requires_grad

    def test_default_dtype(self, device):
        captured = tg.jit(lambda x: x * tg.tensor(2.0, device=device))
        x = tg.ones(2, dtype=tg.float16, device=device)
        try:
            for dtype in (tg.float32, tg.float64, tg.float32):
                tg.set_default_dtype(dtype)
                for _ in range(2):
                    assert captured(x).dtype == tg.result_type(tg.float16, dtype)
        finally:
            tg.set_default_dtype(tg.float32)


SCALE = 1.0


class TestNumbers:
    def test_in_the_closure(self, device):
        scale, shift = 2.0, 1
        captured = tg.jit(lambda x: x * scale + shift)
        x = tg.ones(2, device=device)
        assert captured(x).tolist() == captured(x).tolist() == [3, 3]
        scale = 5.0
        assert captured(x).tolist() == captured(x).tolist() == [6, 6]
        shift = -1
        assert captured(x).tolist() == captured(x).tolist() == [4, 4]

    def test_among_the_globals(self, device, monkeypatch):
        captured = tg.jit(lambda x: x * SCALE)
        x = tg.ones(2, device=device)
        for scale in (1.0, 2.0, 3.0, 2.0):
            monkeypatch.setitem(globals(), "SCALE", scale)
            assert captured(x).tolist() == captured(x).tolist() == [scale, scale]

    def test_as_arguments(self, device):
        captured = tg.jit(lambda x, power, inverse=False: 1 / x**power if inverse else x**power)
        x = tg.full((2,), 2.0, device=device)
        for power in (1, 2, 3, 2, 2.0):
            assert captured(x, power).tolist() == [2.0**power] * 2
            assert captured(x, power, inverse=True).tolist() == [2.0**-power] * 2

    def test_one_and_true_are_different_arguments(self, device):
        def function(x: Any, flag: Any) -> Any:
            return x * 2 if flag is True else x * 3

        captured = tg.jit(function)
        x = tg.ones(1, device=device)
        assert [captured(x, flag).item() for flag in (True, 1, 1.0, True, 1)] == [2, 3, 3, 2, 3]

    def test_zero_and_minus_zero_are_different_arguments(self, device):
        captured = tg.jit(lambda x, y: tg.copysign(x, tg.tensor(y, device=device)))
        x = tg.ones(1, device=device)
        assert [captured(x, y).item() for y in (0.0, -0.0, 0.0, -0.0)] == [1, -1, 1, -1]

    def test_nan_is_one_argument(self, device):
        calls = []

        def function(x: Any, y: float) -> Any:
            calls.append(1)
            return x + y

        captured = tg.jit(function)
        assert all(np.isnan(captured(tg.ones(1, device=device), float("nan")).item()) for _ in range(3))
        assert len(calls) == 1

    def test_of_the_function_that_is_called_inside(self, device):
        """What an inner function of the captured one has in its closure."""
        rate = 2.0

        def inner(x: Any) -> Any:
            return x * rate

        captured = tg.jit(lambda x: inner(x) + 1)
        x = tg.ones(2, device=device)
        assert captured(x).tolist() == [3, 3]
        assert captured(x).tolist() == [3, 3]
        rate = 3.0
        assert captured(x).tolist() == [4, 4]

    def test_of_a_forward_that_is_called_by_its_name(self, device):
        """The method names attributes that the captured function does not."""

        class Model(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.scale = 2.0
                self.inner = nn.ReLU()

            def forward(self, x: Any) -> Any:
                return self.inner(x) * self.scale

        model = Model()
        captured = tg.jit(lambda x: model.forward(x) + 1)
        x = tg.ones(2, device=device)
        assert captured(x).tolist() == captured(x).tolist() == [3, 3]
        model.scale = 3.0
        assert captured(x).tolist() == [4, 4]

    def test_of_the_object_whose_method_is_captured(self, device):
        class Model:
            def __init__(self) -> None:
                self.scale = 2.0

            @tg.jit
            def __call__(self, x: Any) -> Any:
                return x * self.scale

        model, other = Model(), Model()
        other.scale = 7.0
        x = tg.ones(2, device=device)
        assert model(x).tolist() == model(x).tolist() == [2, 2]
        assert other(x).tolist() == other(x).tolist() == [7, 7]
        model.scale = 3.0
        assert model(x).tolist() == [3, 3]

    @pytest.mark.parametrize("where", ["module", "object", "class", "variable"])
    def test_that_each_call_changes(self, where, device):
        """As in a warm-up that counts its steps: no replay could, so that each call runs the function itself."""

        class Counting(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.steps = 0

            def forward(self, x: Any) -> Any:
                self.steps += 1
                return x * self.steps

        class Plain:
            steps = 0

        model, plain, steps = Counting(), Plain(), 0

        def function(x: Any) -> Any:
            nonlocal steps
            if where == "module":
                return model(x)
            if where == "object":
                plain.steps += 1
                return x * plain.steps
            if where == "class":
                Plain.steps += 1
                return x * Plain.steps
            steps += 1
            return x * steps

        plain.steps = 0
        captured = tg.jit(function)
        x = tg.ones(2, device=device)
        for i in range(1, 16):
            assert captured(x).tolist() == [i, i]
        with pytest.warns(UserWarning, match="has changed a number or string"):
            last = captured(x)
        assert last.tolist() == [16, 16]
        assert captured(x).tolist() == [17, 17]

    def test_that_only_the_first_call_changes(self, device):
        calls = []

        class Model(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.scale = 0.0

            def forward(self, x: Any) -> Any:
                calls.append(1)
                self.scale = 2.0
                return x * self.scale

        captured = tg.jit(Model())
        x = tg.ones(2, device=device)
        for _ in range(5):
            assert captured(x).tolist() == [2, 2]
        assert len(calls) == 2

    def test_of_a_class(self, device):
        """As configurations are kept, read by name, through ``cls`` and as a default of the instances."""

        class Settings:
            scale = 2.0

            @classmethod
            def scaled(cls, x: Any) -> Any:
                return x * cls.scale

        class Finer(Settings):
            pass

        x = tg.ones(2, device=device)
        settings = Settings()
        functions = [
            lambda x: x * Settings.scale, lambda x: x * Finer.scale, Settings.scaled, lambda x: x * settings.scale,
        ]  # fmt: skip
        captured = [tg.jit(function) for function in functions]
        for scale in (2.0, 3.0, 2.0):
            Settings.scale = scale
            for function in captured:
                assert function(x).tolist() == function(x).tolist() == [scale, scale]

    def test_methods_that_are_replaced(self, device):
        class Model(nn.Module):
            def forward(self, x: Any) -> Any:
                return self.activation(x)

            def activation(self, x: Any) -> Any:
                return x * SCALE

        model = Model()
        captured = tg.jit(model)
        x = tg.ones(2, device=device)
        assert captured(x).tolist() == captured(x).tolist() == [SCALE] * 2
        Model.activation = lambda self, x: x * 3  # type: ignore[method-assign]
        assert captured(x).tolist() == captured(x).tolist() == [3, 3]
        model.activation = lambda x: x * 5  # type: ignore[method-assign]
        assert captured(x).tolist() == captured(x).tolist() == [5, 5]
        Model.forward = lambda self, x: x * 7  # type: ignore[method-assign]
        assert captured(x).tolist() == captured(x).tolist() == [7, 7]

    def test_of_a_method_that_a_forward_calls(self, device, monkeypatch):
        class Model(nn.Module):
            def forward(self, x: Any) -> Any:
                return self.scaled(x)

            def scaled(self, x: Any) -> Any:
                return x * SCALE

        captured = tg.jit(Model())
        x = tg.ones(2, device=device)
        for scale in (1.0, 2.0, 3.0, 2.0):
            monkeypatch.setitem(globals(), "SCALE", scale)
            assert captured(x).tolist() == captured(x).tolist() == [scale, scale]

    def test_defaults(self, device):
        def function(x: Any, scale: float = 2.0, *, shift: float = 1.0) -> Any:
            return x * scale + shift

        partial = functools.partial(function, shift=0.0)
        captured, other = tg.jit(function), tg.jit(partial)
        x = tg.ones(2, device=device)
        assert captured(x).tolist() == captured(x).tolist() == [3, 3]
        assert other(x).tolist() == other(x).tolist() == [2, 2]
        function.__defaults__ = (5.0,)
        assert captured(x).tolist() == [6, 6]
        assert other(x).tolist() == [5, 5]
        function.__kwdefaults__ = {"shift": 2.0}
        assert captured(x).tolist() == [7, 7]
        partial.keywords["shift"] = 3.0
        assert other(x).tolist() == [8, 8]

    def test_tensors_of_the_closure(self, device):
        """Another tensor in a variable is another program; another value in the same tensor is not."""
        calls = []
        weight = tg.full((2,), 2.0, device=device)

        def function(x: Any) -> Any:
            calls.append(1)
            return x * weight

        captured = tg.jit(function)
        x = tg.ones(2, device=device)
        assert captured(x).tolist() == captured(x).tolist() == [2, 2]
        weight[...] = 4.0
        assert captured(x).tolist() == [4, 4]
        assert len(calls) == 1
        weight = tg.full((2,), 5.0, device=device)
        assert captured(x).tolist() == captured(x).tolist() == [5, 5]


class TestShapes:
    def test_each_shape_is_captured_once(self, device):
        calls = []

        def function(x: Any) -> Any:
            calls.append(x.shape)
            return x.reshape(-1) * x.size

        captured = tg.jit(function)
        for _ in range(3):
            for n in range(1, 6):
                x = x_of(n, n, 3, device=device)
                same(captured(x), function(x))
        assert len(calls) == 5 + 15

    def test_the_cache_is_bounded_and_says_so_once(self, device):
        calls = []

        @tg.jit
        def function(x: Any) -> Any:
            calls.append(1)
            return x * 2

        for n in range(1, 17):
            function(tg.ones(n, device=device))
        with pytest.warns(UserWarning, match=r"function was captured for 16 kinds of arguments.*\(17,\)") as told:
            function(tg.ones(17, device=device))
        assert told[0].filename == __file__
        for n in range(18, 40):  # a second warning would be an error
            assert function(tg.ones(n, device=device)).tolist() == [2.0] * n
        assert sum(map(len, function._programs.values())) == 16
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            before = len(calls)
            function(tg.ones(39, device=device))
            assert len(calls) == before
            function(tg.ones(1, device=device))
            assert len(calls) == before + 1

    def test_programs_of_one_kind_are_bounded_too(self, device):
        """Tensors outside that are others at each call: as many programs, and as many of them dropped."""
        holder = [tg.ones(2, device=device)]

        @tg.jit
        def function(x: Any) -> Any:
            return x * holder[0]

        def call(i: int) -> None:
            holder[0] = tg.full((2,), float(i), device=device)
            assert function(tg.ones(2, device=device)).tolist() == [i, i]

        for i in range(16):
            call(i)
        with pytest.warns(UserWarning, match="captured for 16 kinds"):
            call(16)
        call(17)
        assert sum(map(len, function._programs.values())) == 16

    def test_dtypes(self, device):
        captured = tg.jit(lambda x: x + x)
        for dtype in (tg.float32, tg.int64, tg.float64, tg.int8, tg.float16, tg.uint8, tg.complex64, tg.int64):
            x = tg.ones(3, dtype=dtype, device=device)
            for _ in range(2):
                same(captured(x), x + x)

    def test_devices(self, device):
        captured = tg.jit(lambda x: x + 1)
        for where in ("cpu", device, "cpu", device):
            assert str(captured(tg.ones(2, device=where)).device).startswith(where)

    def test_requires_grad(self, device):
        captured = tg.jit(lambda x: x * 2)
        for wanted in (False, True, False, True):
            x = tg.ones(2, device=device, requires_grad=wanted)
            assert captured(x).requires_grad is wanted
