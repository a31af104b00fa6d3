"""Captured functions on CUDA: what a replay launches and allocates, and that it computes what the function does."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tests.conftest import why_no_cuda

F = nn.functional


@pytest.fixture(params=["cuda"])
def device(request):
    """CUDA only: the replays of the CPU have tests of their own."""
    missing = why_no_cuda()
    if missing is not None:
        pytest.skip(missing)
    return request.param


@pytest.fixture
def counted(device):
    """The emulator's counters."""
    import cupy

    if getattr(cupy, "__file__", None) is not None:
        pytest.skip("needs the emulator")
    from tests.cuda_emulator import counters

    return counters.count


def host(x: Any) -> Any:
    """The values of a tensor."""
    return x.detach().cpu().numpy()


def batches(count: int, features: int = 5, size: int = 6) -> list[tuple[Any, Any]]:
    rng = np.random.default_rng(1)
    return [
        (
            tg.tensor(rng.standard_normal((size, features)).astype(np.float32), device="cuda"),
            tg.tensor(rng.integers(0, 3, size), device="cuda"),
        )
        for _ in range(count)
    ]


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))


def regularised() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.GELU(), nn.Dropout(0.4), nn.Linear(7, 3))


def built(model: Callable[[], nn.Module]) -> nn.Module:
    tg.manual_seed(7)
    return model().to("cuda")


def step_of(model: Any, optimizer: Any) -> Callable[[Any, Any], Any]:
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


OPTIMIZERS = {
    "sgd": lambda p: tg.optim.SGD(p, lr=0.1, momentum=0.9),
    "adamw": lambda p: tg.optim.AdamW(p, lr=0.01),
}


class TestTraining:
    @pytest.mark.parametrize("model", [perceptron, regularised])
    @pytest.mark.parametrize("optimizer", OPTIMIZERS)
    def test_equals_eager(self, model, optimizer, device):
        found = []
        for wrap in (lambda f: f, tg.jit):
            net = built(model)
            step = wrap(step_of(net, OPTIMIZERS[optimizer](net.parameters())))
            losses = [step(x, y).item() for x, y in batches(6)]
            found.append((losses, [host(p) for p in net.state_dict().values()]))
        (eager, weights), (captured, others) = found
        assert len(set(eager)) == 6
        np.testing.assert_allclose(captured, eager, rtol=1e-5)
        for a, b in zip(others, weights, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)

    def test_one_graph_and_the_optimizer(self, counted):
        net = built(regularised)
        step = tg.jit(step_of(net, tg.optim.SGD(net.parameters(), lr=0.1)))
        data = batches(5)
        for x, y in data[:2]:
            step(x, y)
        for x, y in data[2:]:
            with counted() as counts:
                step(x, y)
            assert counts.graph_launches == 1
            # the two arguments in, the place in the random stream, the optimizer's kernel, the loss out
            assert counts.launches == 5
            assert (counts.synchronizations, counts.host_to_device, counts.device_to_host) == (0, 0, 0)

    def test_the_learning_rate_is_read_at_each_step(self, device):
        net = built(perceptron)
        optimizer = tg.optim.SGD(net.parameters(), lr=0.1)
        step = tg.jit(step_of(net, optimizer))
        (x, y), *_ = batches(1)
        for lr in (0.1, 0.1, 0.1, 0.0, 0.3, 0.0):
            optimizer.param_groups[0]["lr"] = lr
            before = host(net[0].weight).copy()
            step(x, y)
            assert (host(net[0].weight) != before).any() == (lr > 0)

    def test_two_functions_share_parameters(self, device):
        def trained(wrap: Any) -> list[float]:
            net = built(perceptron)
            step = wrap(step_of(net, tg.optim.SGD(net.parameters(), lr=0.1)))
            evaluate = wrap(lambda x, y: F.cross_entropy(net(x).detach(), y))
            return [f(x, y).item() for x, y in batches(5) for f in (step, evaluate)]

        np.testing.assert_allclose(trained(tg.jit), trained(lambda f: f), rtol=1e-5)

    def test_gradients_are_taken_outside(self, device):
        def trained(wrap: Any) -> list[float]:
            net = built(regularised)
            forward = wrap(net)
            optimizer = tg.optim.SGD(net.parameters(), lr=0.1)
            losses = []
            for x, y in batches(6):
                loss = F.cross_entropy(forward(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            return losses

        np.testing.assert_allclose(trained(tg.jit), trained(lambda f: f), rtol=1e-5)

    def test_loss_scale(self, device):
        def trained(wrap: Any) -> list[float]:
            net = built(perceptron)
            optimizer = tg.optim.SGD(net.parameters(), lr=0.1)
            scaler = tg.amp.GradScaler(init_scale=8.0, growth_interval=2)

            def step(x: Any, y: Any) -> Any:
                optimizer.zero_grad()
                loss = F.cross_entropy(net(x), y)
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
                return loss

            run = wrap(step)
            losses = [run(x, y).item() for x, y in batches(6)]
            assert scaler.get_scale() == 64.0
            return losses

        np.testing.assert_allclose(trained(tg.jit), trained(lambda f: f), rtol=1e-5)


class TestNumbers:
    def test_draws_continue_the_stream(self, device):
        x = tg.ones(1000, device=device)
        captured = tg.jit(lambda x: F.dropout(x, 0.5))
        tg.manual_seed(5)
        found = [host(captured(x)) for _ in range(4)]
        tg.manual_seed(5)
        for y in found:
            np.testing.assert_array_equal(y, host(F.dropout(x, 0.5)))

    def test_another_seed_between_the_calls(self, device):
        x = tg.ones(1000, device=device)
        captured = tg.jit(lambda x: F.dropout(x, 0.5))
        tg.manual_seed(1)
        masks = {host(captured(x)).tobytes()}
        for _ in range(4):
            tg.manual_seed(1)
            masks.add(host(captured(x)).tobytes())
        assert len(masks) == 1
        tg.manual_seed(2)
        assert host(captured(x)).tobytes() not in masks

    @pytest.mark.parametrize(
        "draw",
        [
            lambda: tg.random.rand(50, device="cuda"),
            lambda: tg.random.randn(50, device="cuda"),
            lambda: tg.random.randint(0, 9, (50,), device="cuda"),
            lambda: tg.random.bernoulli(tg.full((50,), 0.3, device="cuda")),
            lambda: tg.random.randperm(50, device="cuda"),
        ],
    )  # fmt: skip
    def test_every_draw(self, draw, device):
        captured = tg.jit(draw)
        tg.manual_seed(3)
        found = [host(captured()) for _ in range(4)]
        tg.manual_seed(3)
        for y in found:
            np.testing.assert_array_equal(y, host(draw()))

    def test_numbers_do_not_divide_the_graph(self, counted):
        x = tg.ones(100, device="cuda")
        captured = tg.jit(lambda x: F.dropout(F.dropout(x * 2, 0.5) + 1, 0.5) * 3)
        for _ in range(2):
            captured(x)
        with counted() as counts:
            captured(x)
        assert counts.graph_launches == 1
        assert counts.launches == 3  # the argument in, the numbers in, the result out

    def test_attention_with_dropout(self, device):
        rng = np.random.default_rng(0)
        q, k, v = (tg.tensor(rng.standard_normal((1, 2, 8, 4)).astype(np.float32), device=device) for _ in range(3))
        captured = tg.jit(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, dropout_p=0.5))
        tg.manual_seed(5)
        found = [host(captured(q, k, v)) for _ in range(4)]
        tg.manual_seed(5)
        for y in found:
            np.testing.assert_allclose(y, host(F.scaled_dot_product_attention(q, k, v, dropout_p=0.5)), rtol=1e-5)
        assert len({y.tobytes() for y in found}) == 4


class TestGraphs:
    def test_what_cannot_be_captured_stands_alone(self, counted):
        x = tg.tensor([3.0, 1.0, 2.0], device="cuda")
        captured = tg.jit(lambda x: tg.sort(x * 2) + 1)
        for scale in (1.0, 2.0, 3.0):
            np.testing.assert_allclose(host(captured(x * scale)), np.array([3, 5, 7]) * scale - (scale - 1))
        with counted() as counts:
            captured(x)
        assert counts.graph_launches == 2
        assert captured._last.replay.summary == "2 graphs of 1 and 1 launches, sort outside"

    def test_work_that_refuses_at_capture_is_found(self, device, monkeypatch):
        """Nobody knows of this kernel that it waits."""
        from tensorgrad.jit import cuda

        monkeypatch.setattr(cuda, "_WAITING", set())
        x = tg.tensor([3.0, 1.0, 2.0], device=device)
        captured = tg.jit(lambda x: tg.sort(x * 2) + 1)
        for scale in (1.0, 2.0, 3.0):
            np.testing.assert_allclose(host(captured(x * scale)), np.array([3, 5, 7]) * scale - (scale - 1))
        assert "sort outside" in captured._last.replay.summary

    def test_nothing_can_be_captured(self, device, monkeypatch):
        from tensorgrad.kernels.cuda.graph import NotCapturableError

        from tensorgrad.jit import stretch

        def refuse(calls: Any) -> Any:
            raise NotCapturableError(len(calls) // 2)

        monkeypatch.setattr(stretch, "CudaGraph", refuse)
        captured = tg.jit(lambda x: (x * 2) @ x.T @ x + 1)
        for _ in range(3):
            np.testing.assert_array_equal(host(captured(tg.ones(2, 2, device=device))), np.full((2, 2), 9))

    def test_streams_take_turns(self, device):
        import cupy

        net = built(perceptron)
        captured = tg.jit(lambda x: net(x).detach() * 2)
        (x, _), *_ = batches(1)
        expected = host(net(x) * 2)
        tg.cuda.synchronize()
        streams = [cupy.cuda.Stream(non_blocking=True) for _ in range(2)]
        for _ in range(3):
            for stream in streams:
                with stream:
                    y = captured(x)
                    np.testing.assert_allclose(host(y), expected, rtol=1e-6)
        tg.cuda.synchronize()

    def test_second_device(self, counted):
        x = tg.ones(5, device="cuda:1")
        captured = tg.jit(lambda x: (x * 2 + 1).sum())
        for _ in range(3):
            y = captured(x)
            assert y.device == "cuda:1"
            assert y.item() == 15.0

    def test_several_devices_are_refused(self, counted):
        captured = tg.jit(lambda x, y: ((x * 2).sum(), (y + 1).sum()))
        with pytest.raises(RuntimeError, match="cpu, cuda:0"):
            captured(tg.ones(3), tg.ones(3, device="cuda"))
        with pytest.raises(RuntimeError, match="cuda:0, cuda:1"):
            captured(tg.ones(3, device="cuda:1"), tg.ones(3, device="cuda"))

    def test_a_move_between_devices_is_refused(self, counted):
        captured = tg.jit(lambda x: x.to("cuda") * 2)
        with pytest.raises(RuntimeError, match="another device"):
            captured(tg.ones(3))

    def test_constants_from_the_host(self, device):
        table = np.array([1.0, 2.0, 4.0], np.float32)
        index = np.array([2, 0, 1])
        captured = tg.jit(lambda x: x[index] * tg.tensor(table, device=device))
        for i in range(4):
            x = tg.tensor([1.0, 2.0, 3.0], device=device) + i
            np.testing.assert_array_equal(host(captured(x)), (np.array([1, 2, 3]) + i)[index] * table)


class TestMemory:
    def test_results_stay(self, device):
        captured = tg.jit(lambda x: (x * 2, (x + 1).sum()))
        kept = [captured(tg.full((4,), float(i), device=device)) for i in range(5)]
        for i, (double, total) in enumerate(kept):
            np.testing.assert_array_equal(host(double), np.full(4, 2.0 * i))
            assert total.item() == 4 * (i + 1)

    def test_replays_allocate_their_results_alone(self, counted):
        net = built(regularised)
        step = tg.jit(step_of(net, tg.optim.AdamW(net.parameters())))
        data = batches(6)
        for x, y in data[:2]:
            step(x, y)
        gc.collect()
        held = tg.cuda.memory_allocated()
        for x, y in data[2:]:
            with counted() as counts:
                step(x, y)
            assert counts.allocations == 1  # the loss
        assert tg.cuda.memory_allocated() == held

    def test_a_dropped_function_gives_its_memory_back(self, device):
        x = tg.ones(1 << 16, device=device)
        gc.collect()
        held = tg.cuda.memory_allocated()
        captured = tg.jit(lambda x: tg.exp(x * 2).sum())
        for _ in range(3):
            captured(x)
        assert tg.cuda.memory_allocated() > held
        del captured
        gc.collect()
        assert tg.cuda.memory_allocated() <= held + (1 << 12)

    def test_arguments_written_in_place(self, device):
        def function(x: Any) -> Any:
            x += 1
            return x.sum()

        captured = tg.jit(function)
        x = tg.zeros(3, device=device)
        for i in range(1, 5):
            assert captured(x).item() == 3 * i
            np.testing.assert_array_equal(host(x), np.full(3, i))

    def test_gradients_accumulate_across_calls(self, device):
        """The gradient is the caller's memory, which graphs know only by copy; the optimizer sees it in between."""

        def trained(wrap: Any) -> list[Any]:
            net = built(perceptron)
            optimizer = tg.optim.SGD(net.parameters(), lr=0.1)

            def add(x: Any, y: Any) -> Any:
                loss = F.cross_entropy(net(x), y)
                loss.backward()
                return loss

            run, found = wrap(add), []
            for i, (x, y) in enumerate(batches(8)):
                found.append(run(x, y).item())
                if i % 2:
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=False)
            return found

        np.testing.assert_allclose(trained(tg.jit), trained(lambda f: f), rtol=1e-5)

    def test_gradients_that_are_kept(self, device):
        w = tg.ones(4, device=device, requires_grad=True)

        def step(x: Any) -> None:
            w.grad = None
            (w * x).sum().backward()

        captured = tg.jit(step)
        kept = []
        for i in range(6):
            captured(tg.full((4,), float(i), device=device))
            kept.append(w.grad)
        for i, grad in enumerate(kept):
            np.testing.assert_array_equal(host(grad), np.full(4, i))

    def test_gradients_in_place_after_the_optimizer(self, device):
        """Python sees the memory that the graph goes on to write."""

        def trained(wrap: Any) -> list[Any]:
            net = built(perceptron)
            optimizer = tg.optim.SGD(net.parameters(), lr=0.1)

            def step(x: Any, y: Any) -> Any:
                optimizer.zero_grad(set_to_none=False)
                loss = F.cross_entropy(net(x), y)
                loss.backward()
                nn.utils.clip_grad_norm_(net.parameters(), 0.1)
                optimizer.step()
                return loss

            run, found = wrap(step), []
            kept = []
            for x, y in batches(6):
                found.append(run(x, y).item())
                kept.append(net[0].weight.grad)
            return [*found, *(float((g * g).sum().item()) for g in kept[-1:])]

        np.testing.assert_allclose(trained(tg.jit), trained(lambda f: f), rtol=1e-5)


class TestChains:
    @pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
    @pytest.mark.parametrize("size", [1, 7, 1001, 4096])
    def test_elementwise(self, dtype, size, device):
        def function(x: Any, y: Any) -> Any:
            z = tg.exp(-x * x) + y
            return z, tg.where(z > 1, z, x * 0.5), tg.maximum(z, 0.25)

        rng = np.random.default_rng(size)
        x, y = (rng.standard_normal(size).astype(dtype) for _ in range(2))
        captured = tg.jit(function)
        a, b = tg.tensor(x, device=device), tg.tensor(y, device=device)
        for _ in range(3):
            found = [host(r) for r in captured(a, b)]
        wide = x.astype("f8")
        z = np.exp(-wide * wide) + y
        expected = [z, np.where(found[0] > 1, z, wide * 0.5), np.maximum(z, 0.25)]
        tolerance = {"float64": 1e-12, "float32": 1e-5, "float16": 2e-2}[dtype]
        for r, e in zip(found, expected, strict=True):
            assert r.dtype == dtype
            np.testing.assert_allclose(r, e, rtol=tolerance, atol=tolerance)

    def test_conversions_round(self, device):
        """What a cast leaves out is lost, also where nothing is stored in the narrow dtype."""
        rng = np.random.default_rng(0)
        x = rng.standard_normal(1001).astype("f4") * 3

        def function(x: Any) -> Any:
            return x - x.astype(tg.float16).astype(tg.float32), x.astype(tg.int32), (x * 2).astype(tg.float64)

        captured = tg.jit(function)
        for _ in range(3):
            rest, whole, wide = (host(r) for r in captured(tg.tensor(x, device=device)))
        np.testing.assert_array_equal(rest, x - x.astype("f2").astype("f4"))
        assert rest.any()
        np.testing.assert_array_equal(whole, x.astype("i4"))
        np.testing.assert_array_equal(wide, (x * 2).astype("f8"))
        assert captured._last.replay.summary == "1 graph of 1 launches"

    def test_one_kernel(self, counted):
        """Broadcast rows and numbers, comparisons, sums: all one launch and one more to finish the sums."""
        rng = np.random.default_rng(0)
        x, row = rng.standard_normal((9, 12)).astype("f4"), rng.standard_normal(12).astype("f4")
        a, b = tg.tensor(x, device="cuda"), tg.tensor(row, device="cuda")

        def function(x: Any, row: Any) -> Any:
            y = tg.tanh(x + row) * 2
            return (y * y).sum(), y

        captured = tg.jit(function)
        for _ in range(2):
            captured(a, b)
        (stretch,) = captured._last.replay.stretches
        assert [len(piece.calls) for piece in stretch.pieces] == [1]
        total, y = captured(a, b)
        expected = np.tanh(x + row) * 2
        np.testing.assert_allclose(host(y), expected, rtol=1e-5)
        np.testing.assert_allclose(total.item(), (expected.astype("f8") ** 2).sum(), rtol=1e-5)
