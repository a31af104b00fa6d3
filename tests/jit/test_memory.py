"""Who owns which memory: outputs, gradients, views, arguments that overlap, writes in place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.jit.cpu import Replay
from tensorgrad.jit.program import TEMPORARY

from .compare import assert_same


def same(found: Any, expected: Any) -> None:
    assert_same(found.detach().cpu().numpy(), np.asarray(expected))


def ramp(*shape: int, device: str, start: float = 0.0) -> Any:
    n = int(np.prod(shape))
    return tg.tensor(np.arange(start, start + n, dtype=np.float32).reshape(shape), device=device)


SIZES = [5, 1 << 16]  # on both sides of the size from which launches are gathered into chains


class TestOutputs:
    @pytest.mark.parametrize("size", SIZES)
    def test_those_of_earlier_calls_stay(self, size, device):
        captured = tg.jit(lambda x: (x * 2, (x * 3).sum(), (x + 1)[1:]))
        kept = [captured(tg.full((size,), float(i), device=device)) for i in range(5)]
        for i, (double, total, rest) in enumerate(kept):
            same(double, np.full(size, 2.0 * i, np.float32))
            assert total.item() == pytest.approx(3 * i * size)
            same(rest, np.full(size - 1, i + 1.0, np.float32))

    def test_written_by_the_caller(self, device):
        captured = tg.jit(lambda x: x * 2)
        x = ramp(3, device=device)
        for _ in range(4):
            y = captured(x)
            same(y, [0, 2, 4])
            y += 100

    def test_a_constant(self, device):
        """What does not depend on the arguments is the caller's all the same."""
        captured = tg.jit(
            lambda: (tg.arange(3, device=device), tg.tensor([1.0, 2.0], device=device), tg.zeros(2, device=device))
        )
        for _ in range(4):
            numbers, given, zeros = captured()
            same(numbers, [0, 1, 2])
            same(given, [1, 2])
            same(zeros, [0, 0])
            numbers += 1
            given += 1
            zeros += 1

    def test_the_same_tensor_twice(self, device):
        def function(x: Any) -> Any:
            y = x * 2
            return y, y, [y, {"again": y}]

        captured = tg.jit(function)
        for i in range(3):
            a, b, (c, d) = captured(tg.full((2,), float(i), device=device))
            for y in (a, b, c, d["again"]):
                assert y is a
                same(y, [2 * i, 2 * i])

    def test_the_same_tensor_twice_with_a_gradient(self, device):
        w = tg.full((2,), 3.0, device=device, requires_grad=True)
        captured = tg.jit(lambda x: [w * x, None] * 2)
        for i in range(1, 4):
            w.grad = None
            a, _, b, _ = captured(tg.full((2,), float(i), device=device))
            assert a is b
            (a * b).sum().backward()
            same(w.grad, [6 * i * i] * 2)

    def test_views_of_one_result(self, device):
        def function(x: Any) -> Any:
            y = x * 2
            return y, y[0], y.T, y[:, ::2]

        captured = tg.jit(function)
        for i in range(3):
            x = ramp(3, 4, device=device, start=i)
            for found, expected in zip(captured(x), function(x), strict=True):
                same(found, expected.cpu().numpy())

    def test_an_argument(self, device):
        captured = tg.jit(lambda x, y: (x, y + 1, x))
        for i in range(3):
            x, y = ramp(2, device=device), ramp(2, device=device, start=i)
            a, b, c = captured(x, y)
            assert a is x
            assert c is x
            same(b, [i + 1, i + 2])

    def test_a_view_of_an_argument(self, device):
        """A write to the view is a write to the argument, as in eager."""
        captured = tg.jit(lambda x: x[1])
        for _ in range(3):
            x = ramp(2, 3, device=device)
            part = captured(x)
            part[0] = 9
            same(x, [[0, 1, 2], [9, 4, 5]])

    def test_a_tensor_from_outside(self, device):
        weight = ramp(3, device=device)
        captured = tg.jit(lambda: (weight, weight[1:]))
        for _ in range(3):
            whole, part = captured()
            assert whole is weight
            part += 1
        same(weight, [0, 4, 5])

    def test_a_parameter_before_and_after_it_is_written(self, device):
        weight = ramp(3, device=device)

        def function() -> Any:
            before = weight.clone()
            weight.__iadd__(1)
            return before, weight * 1

        captured = tg.jit(function)
        for i in range(4):
            before, after = captured()
            same(before, np.arange(3) + i)
            same(after, np.arange(3) + i + 1)

    def test_nothing(self, device):
        weight = ramp(3, device=device)

        def function(x: Any) -> None:
            weight[...] = x

        captured = tg.jit(function)
        for i in range(3):
            assert captured(tg.full((3,), float(i), device=device)) is None
            same(weight, [i, i, i])

    def test_shapes_of_structures(self, device):
        from collections import namedtuple

        Pair = namedtuple("Pair", "first second")
        captured = tg.jit(lambda x: {"a": [x + 1, (x,)], "b": Pair(x * 2, None), "c": 3, "d": "text", "e": ()})
        for i in range(3):
            x = tg.full((1,), float(i), device=device)
            found = captured(x)
            assert list(found) == ["a", "b", "c", "d", "e"]
            same(found["a"][0], [i + 1])
            assert found["a"][1] == (x,)
            assert type(found["b"]) is Pair
            same(found["b"].first, [2 * i])
            assert (found["b"].second, found["c"], found["d"], found["e"]) == (None, 3, "text", ())


class TestGradients:
    @pytest.mark.parametrize("size", SIZES)
    def test_kept_by_the_user(self, size, device):
        """Whoever holds ``x.grad`` keeps its numbers, whatever later calls compute."""
        w = tg.ones(size, device=device, requires_grad=True)

        def step(x: Any) -> None:
            w.grad = None
            (w * x).sum().backward()

        captured = tg.jit(step)
        kept = []
        for i in range(6):
            captured(tg.full((size,), float(i), device=device))
            same(w.grad, np.full(size, i, np.float32))
            if i in (1, 2, 4):
                kept.append((i, w.grad))
        for i, grad in kept:
            same(grad, np.full(size, i, np.float32))

    def test_their_memory_kept(self, device):
        """A view, a detached tensor or an array of the gradient holds it too."""
        w = tg.ones(4, device=device, requires_grad=True)

        def step(x: Any) -> None:
            w.grad = None
            (w * x).sum().backward()

        captured = tg.jit(step)
        kept = []
        for i in range(8):
            captured(tg.full((4,), float(i), device=device))
            if i == 2:
                kept.append((i, w.grad[1:]))
            elif i == 4:
                kept.append((i, w.grad.detach()))
            elif i == 6 and device == "cpu":
                kept.append((i, tg.tensor(0.0)))
                array = w.grad.numpy()
        for i, grad in kept[:2]:
            same(grad, np.full(grad.shape, i, np.float32))
        if device == "cpu":
            assert_same(array, np.full(4, 6))

    def test_scaled_by_the_user(self, device):
        w = tg.ones(3, device=device, requires_grad=True)

        def step(x: Any) -> None:
            w.grad = None
            (w * x).sum().backward()

        captured = tg.jit(step)
        for i in range(4):
            captured(tg.full((3,), float(i), device=device))
            w.grad *= 10
            same(w.grad, [10 * i] * 3)

    def test_assigned_by_the_user_before_the_call(self, device):
        w = tg.ones(3, device=device, requires_grad=True)
        captured = tg.jit(lambda x: (w * x).sum().backward())
        x = ramp(3, device=device)
        for i in range(5):
            w.grad = tg.full((3,), float(i), device=device)
            captured(x)
            same(w.grad, np.arange(3) + i)

    def test_of_arguments(self, device):
        captured = tg.jit(lambda x: (x * x).sum().backward())
        for i in range(4):
            x = tg.full((2,), float(i), device=device, requires_grad=True)
            captured(x)
            same(x.grad, [2 * i] * 2)
            captured(x)
            same(x.grad, [4 * i] * 2)

    def test_read_inside(self, device):
        w = tg.ones(3, device=device, requires_grad=True)

        def step(x: Any) -> Any:
            w.grad = None
            (w * w * x).sum().backward()
            assert w.grad is not None
            return (w.grad**2).sum()

        captured = tg.jit(step)
        for i in range(4):
            assert captured(tg.full((3,), float(i), device=device)).item() == 3 * (2 * i) ** 2

    def test_grad_mode(self, device):
        """`no_grad` inside of the function."""
        w = tg.ones(2, device=device, requires_grad=True)

        def function(x: Any) -> Any:
            with tg.no_grad():
                y = w * x
            return y, y * w

        captured = tg.jit(function)
        for _ in range(3):
            y, z = captured(tg.ones(2, device=device))
            assert not y.requires_grad
            assert z.requires_grad


class TestWritesInPlace:
    def test_to_an_argument(self, device):
        def function(x: Any, y: Any) -> Any:
            x += y
            x[0] = 5
            return x * 2

        captured = tg.jit(function)
        for i in range(4):
            x, y = ramp(3, device=device), tg.full((3,), float(i), device=device)
            same(captured(x, y), np.array([5, 1 + i, 2 + i]) * 2)
            same(x, [5, 1 + i, 2 + i])

    def test_to_a_view_of_an_argument(self, device):
        def function(x: Any) -> Any:
            row = x[1]
            row *= 10
            return x.sum()

        captured = tg.jit(function)
        for _ in range(3):
            x = ramp(2, 3, device=device)
            assert captured(x).item() == 3 + 120
            same(x, [[0, 1, 2], [30, 40, 50]])

    def test_to_an_argument_that_is_not_contiguous(self, device):
        def function(x: Any) -> None:
            x += 1

        captured = tg.jit(function)
        for _ in range(3):
            base = ramp(3, 4, device=device)
            captured(base[:, ::2])
            same(base, np.arange(12).reshape(3, 4) + np.array([1, 0, 1, 0]))
            base = ramp(3, 4, device=device)
            captured(base.T)
            same(base, np.arange(12).reshape(3, 4) + 1)

    def test_to_two_arguments_that_overlap(self, device):
        def function(x: Any, y: Any) -> Any:
            x += 1
            return y * 2

        captured = tg.jit(function)
        for _ in range(3):
            base = ramp(4, device=device)
            same(captured(base[:3], base[1:]), [4, 6, 6])
            same(captured(ramp(3, device=device), ramp(3, device=device)), [0, 2, 4])

    def test_to_an_argument_given_twice(self, device):
        def function(x: Any, y: Any) -> Any:
            x += 1
            return x + y

        captured = tg.jit(function)
        for _ in range(3):
            x, y = ramp(2, device=device), ramp(2, device=device)
            same(captured(x, y), [1, 3])
            same(captured(x, x), [4, 6])
            same(x, [2, 3])

    def test_to_a_parameter_that_is_also_an_argument(self, device):
        weight = ramp(3, device=device)

        def function(x: Any) -> Any:
            weight.__iadd__(1)
            return x * 1

        captured = tg.jit(function)
        for i in range(3):
            same(captured(ramp(3, device=device)), [0, 1, 2])
            same(captured(weight), np.arange(3) + 2 * i + 2)
            same(weight, np.arange(3) + 2 * i + 2)

    def test_statistics(self, device):
        mean = tg.zeros(3, device=device)

        def function(x: Any) -> None:
            mean.__imul__(0.5)
            mean.__iadd__(0.5 * x.mean(axis=0))

        captured = tg.jit(function)
        expected = np.zeros(3, np.float32)
        for i in range(5):
            captured(ramp(2, 3, device=device, start=i))
            expected = expected * np.float32(0.5) + np.float32(0.5) * (np.arange(3, dtype=np.float32) + 1.5 + i)
            same(mean, expected)

    def test_to_a_constant(self, device):
        """What is made inside is made anew at each call."""

        def function(x: Any) -> Any:
            total = tg.zeros(3, device=device)
            table = tg.tensor([1.0, 2.0, 3.0], device=device)
            total += x
            table *= total
            total += table
            return total, table.clone()

        captured = tg.jit(function)
        for i in range(4):
            x = tg.full((3,), float(i), device=device)
            total, table = captured(x)
            same(table, [i, 2 * i, 3 * i])
            same(total, [2 * i, 3 * i, 4 * i])

    def test_a_backward_notices_them(self, device):
        """A captured function that overwrites what an earlier op saved is noticed as eager notices it."""
        x = ramp(3, device=device)
        w = tg.ones(3, device=device, requires_grad=True)

        def function() -> None:
            x.__iadd__(1)

        captured = tg.jit(function)
        for _ in range(3):
            y = (w * x).sum()
            captured()
            with pytest.raises(RuntimeError, match="overwritten"):
                y.backward()

    def test_a_backward_notices_those_to_arguments(self, device):
        w = tg.ones(3, device=device, requires_grad=True)

        def function(x: Any) -> None:
            x += 1

        captured = tg.jit(function)
        for _ in range(3):
            x = ramp(3, device=device)
            y = (w * x).sum()
            captured(x)
            with pytest.raises(RuntimeError, match="overwritten"):
                y.backward()

    def test_through_which_gradients_flow(self, device):
        def function(w: Any, x: Any) -> Any:
            y = x * 1
            y[1] = w[0] * 2
            y *= w
            return y.sum()

        captured = tg.jit(function)
        for i in range(3):
            x = ramp(3, device=device, start=i)
            grads = []
            for f in (captured, function):
                w = ramp(3, device=device, start=1.0).requires_grad_()
                f(w, x).backward()
                grads.append(w.grad.cpu().numpy())
            assert_same(*grads)

    def test_written_scalar_by_scalar(self, device):
        def function(x: Any) -> Any:
            y = tg.zeros(4, device=device)
            for i in range(4):
                y[i] = x[3 - i] * i
            return y

        captured = tg.jit(function)
        for i in range(3):
            x = ramp(4, device=device, start=i)
            same(captured(x), function(x).cpu().numpy())


class TestArguments:
    @pytest.mark.parametrize(
        "make",
        [
            lambda x: x.T, lambda x: x[:, ::2], lambda x: x[::-1], lambda x: x[1:, 1:], lambda x: x[:0],
            lambda x: x[0, 0], lambda x: tg.broadcast_to(x[0], (5, 4)), lambda x: x.reshape(2, 2, -1),
        ],
        ids=["transposed", "strided", "reversed", "cut", "empty", "0-d", "broadcast", "3-d"],
    )  # fmt: skip
    def test_of_every_layout(self, make, device):
        def function(x: Any) -> Any:
            return x * 2 + 1, x.sum(), x.reshape(-1), tg.exp(x).reshape(-1)[::-1]

        captured = tg.jit(function)
        for i in range(3):
            x = make(ramp(4, 4, device=device, start=i) / 10)
            for found, expected in zip(captured(x), function(x), strict=True):
                assert found.shape == expected.shape
                same(found, expected.cpu().numpy())

    def test_of_every_dtype(self, device):
        def function(x: Any) -> Any:
            return x == 1, tg.where(x == 1, x, x + x), x.sum(), x.reshape(-1)[1:]

        captured = tg.jit(function)
        for dtype in ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
                      "float16", "bfloat16", "float32", "float64", "complex64", "complex128"):  # fmt: skip
            x = tg.tensor([[0, 1], [1, 0]], dtype=getattr(tg, dtype), device=device)
            for _ in range(3):
                for found, expected in zip(captured(x), function(x), strict=True):
                    assert found.dtype == expected.dtype
                    assert found.tolist() == expected.tolist()

    def test_empty(self, device):
        def function(x: Any) -> Any:
            return x * 2, x.sum(), x @ tg.ones(3, 2, device=device), tg.concat([x, x])

        captured = tg.jit(function)
        x = tg.zeros(0, 3, device=device)
        for _ in range(3):
            for found, expected in zip(captured(x), function(x), strict=True):
                assert found.shape == expected.shape
                same(found, expected.cpu().numpy())

    def test_scalars(self, device):
        captured = tg.jit(lambda x, y: x * y + 1)
        for i in range(3):
            assert captured(tg.tensor(float(i), device=device), tg.tensor(2.0, device=device)).item() == 2 * i + 1

    def test_nested(self, device):
        def function(batch: Any, *, scale: Any) -> Any:
            return batch["x"][0] * scale[1] + batch["x"][1]

        captured = tg.jit(function)
        for i in range(3):
            x = tg.full((2,), float(i), device=device)
            same(captured({"x": [x, (x + 1)], "name": "a"}, scale=(1, x)), [i * i + i + 1] * 2)

    def test_one_tensor_twice(self, device):
        captured = tg.jit(lambda x, y: x * 10 + y)
        x, y = tg.ones(2, device=device), tg.full((2,), 2.0, device=device)
        for _ in range(3):
            same(captured(x, y), [12, 12])
            same(captured(x, x), [11, 11])
            same(captured(y, x), [21, 21])

    def test_views_of_each_other(self, device):
        captured = tg.jit(lambda x, y: x * 10 + y)
        for i in range(3):
            base = ramp(4, device=device, start=i)
            same(captured(base[:3], base[1:]), (np.arange(3) + i) * 10 + np.arange(1, 4) + i)

    def test_a_parameter(self, device):
        model = nn.Linear(2, 2).to(device)
        captured = tg.jit(lambda w, x: model(x) * w)
        x = ramp(2, 2, device=device)
        for _ in range(3):
            same(captured(model.weight, x), (model(x) * model.weight).detach().cpu().numpy())

    def test_numpy_arrays(self):
        captured = tg.jit(lambda x: tg.tensor(x) * 2)
        for i in range(3):
            same(captured(np.full(3, i, np.float32)), [2 * i] * 3)


class TestConstants:
    def test_made_inside(self, device):
        def function(x: Any) -> Any:
            places = {"device": device}
            return (
                x + tg.arange(3, **places), x * tg.tensor([1, 2, 3], **places), x + tg.ones(3, **places),
                x + tg.eye(3, **places), x + tg.linspace(0, 1, 3, **places), x + tg.full((3,), 7, **places),
                tg.asarray(np.array([1.0, 2.0, 3.0], np.float32), **places) * x,
            )  # fmt: skip

        captured = tg.jit(function)
        for i in range(4):
            x = tg.full((3,), float(i), device=device)
            for found, expected in zip(captured(x), function(x), strict=True):
                same(found, expected.cpu().numpy())

    def test_made_inside_by_numpy(self, device):
        captured = tg.jit(lambda x: x * tg.tensor(np.linspace(0, 1, 3).astype(np.float32), device=device))
        for i in range(3):
            same(captured(tg.full((3,), float(i), device=device)), np.linspace(0, 1, 3).astype(np.float32) * i)

    def test_from_outside_that_are_written_between_calls(self, device):
        table = ramp(3, device=device)
        captured = tg.jit(lambda x: x * table)
        for i in range(4):
            same(captured(tg.ones(3, device=device)), np.arange(3) + i)
            table += 1

    def test_a_numpy_array_from_outside(self):
        array = np.ones(3, np.float32)
        captured = tg.jit(lambda x: x * tg.tensor(array))
        for i in range(4):
            same(captured(tg.ones(3)), [i + 1] * 3)
            array += 1
        array = np.zeros(3, np.float32)
        same(captured(tg.ones(3)), [0, 0, 0])


def test_results_begin_with_a_cache_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels put large results there, in memory that is somewhat larger; in that of a program they lie no worse."""
    begins = []
    materialized = Replay._materialized

    def noted(self: Replay, span: Any) -> Any:
        array = materialized(self, span)
        if span.region.kind == TEMPORARY:
            begins.append(array.ctypes.data % 64)
        return array

    monkeypatch.setattr(Replay, "_materialized", noted)
    x = ramp(300, 300, device="cpu")
    captured = tg.jit(lambda x: tg.matmul(nn.functional.gelu(x), x).sum())
    for _ in range(3):
        captured(x)
    assert begins
    assert not any(begins)
