"""What changes from step to step: learning rates, counts, clipping, mixed precision, random numbers, accumulation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn

from .compare import assert_same

F = nn.functional


def batches(count: int, device: str) -> list[tuple[Any, Any]]:
    rng = np.random.default_rng(1)
    return [
        (
            tg.tensor(rng.standard_normal((6, 5)).astype(np.float32), device=device),
            tg.tensor(rng.integers(0, 3, 6), device=device),
        )
        for _ in range(count)
    ]


def network(device: str) -> nn.Module:
    tg.manual_seed(3)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)).to(device)


def state_of(model: nn.Module) -> list[Any]:
    return [p.detach().cpu().numpy().copy() for p in model.parameters()]


def compare(train: Callable[[Any, str], Any], device: str) -> None:
    """``train(wrap, device)`` with ``wrap`` that captures its argument, and with one that does not."""
    calls: list[int] = []

    def capture(function: Any) -> Any:
        def counted(*args: Any) -> Any:
            calls.append(1)
            return function(*args)

        captured = tg.jit(counted)
        seen.append(captured)
        return captured

    seen: list[Any] = []
    expected = train(lambda function: function, device)
    found = train(capture, device)
    assert len(expected) == len(found)
    for a, b in zip(expected, found, strict=True):
        assert_same(b, a)
    assert len(calls) == len(seen), "captured more than once"


def step_of(model: Any, optimizer: Any) -> Any:
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


OPTIMIZERS = {
    "sgd": lambda p: tg.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda p: tg.optim.Adam(p, lr=0.01),
    "amsgrad": lambda p: tg.optim.Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: tg.optim.AdamW(p, lr=0.01),
    "nadam": lambda p: tg.optim.NAdam(p, lr=0.01),
    "radam": lambda p: tg.optim.RAdam(p, lr=0.01),
    "adamax": lambda p: tg.optim.Adamax(p, lr=0.01),
    "adagrad": lambda p: tg.optim.Adagrad(p, lr=0.1, lr_decay=0.1),
    "adadelta": lambda p: tg.optim.Adadelta(p, lr=1.0),
    "rmsprop": lambda p: tg.optim.RMSprop(p, lr=0.01, centered=True),
    "rprop": lambda p: tg.optim.Rprop(p, lr=0.01),
    "asgd": lambda p: tg.optim.ASGD(p, lr=0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_counts_its_steps(name, device):
    def train(wrap: Any, device: str) -> list[Any]:
        model = network(device)
        step = wrap(step_of(model, OPTIMIZERS[name](model.parameters())))
        losses = [step(x, y).item() for x, y in batches(8, device)]
        return [*state_of(model), losses]

    compare(train, device)


class TestLearningRates:
    def test_written_between_steps(self, device):
        def train(wrap: Any, device: str) -> list[Any]:
            model = network(device)
            optimizer = tg.optim.Adam(model.parameters(), lr=0.1)
            step = wrap(step_of(model, optimizer))
            for i, batch in enumerate(batches(6, device)):
                optimizer.param_groups[0]["lr"] = 0.1 / (1 + i)
                optimizer.param_groups[0]["betas"] = (0.9 - 0.05 * i, 0.99)
                step(*batch)
            return state_of(model)

        compare(train, device)

    @pytest.mark.parametrize("inside", [False, True], ids=["outside", "inside"])
    def test_schedulers(self, inside, device):
        def train(wrap: Any, device: str) -> list[Any]:
            model = network(device)
            optimizer = tg.optim.SGD(model.parameters(), lr=0.5)
            scheduler = tg.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
            plain = step_of(model, optimizer)

            def with_scheduler(x: Any, y: Any) -> Any:
                loss = plain(x, y)
                scheduler.step()
                return loss

            step = wrap(with_scheduler if inside else plain)
            for batch in batches(5, device):
                step(*batch)
                if not inside:
                    scheduler.step()
            assert optimizer.param_groups[0]["lr"] == 0.5**6
            return state_of(model)

        compare(train, device)

    def test_groups(self, device):
        def train(wrap: Any, device: str) -> list[Any]:
            model = network(device)
            optimizer = tg.optim.SGD(
                [{"params": model[0].parameters()}, {"params": model[2].parameters(), "lr": 0.5}], 0.1
            )
            step = wrap(step_of(model, optimizer))
            for batch in batches(4, device):
                step(*batch)
                optimizer.param_groups[1]["lr"] *= 0.5
            return state_of(model)

        compare(train, device)

    def test_state_reloaded_between_steps(self, device):
        def train(wrap: Any, device: str) -> list[Any]:
            model = network(device)
            optimizer = tg.optim.Adam(model.parameters(), lr=0.05)
            step = wrap(step_of(model, optimizer))
            data = batches(6, device)
            for batch in data[:2]:
                step(*batch)
            saved = optimizer.state_dict()
            saved = {"param_groups": saved["param_groups"], "state": {
                i: {k: v.clone() for k, v in s.items()} for i, s in saved["state"].items()}}  # fmt: skip
            for batch in data[2:4]:
                step(*batch)
            optimizer.load_state_dict(saved)
            for batch in data[4:]:
                step(*batch)
            return state_of(model)

        compare(train, device)


class TestClipping:
    @pytest.mark.parametrize("norm_type", [2.0, 1.0, float("inf")])
    def test_norm(self, norm_type, device):
        def train(wrap: Any, device: str) -> list[Any]:
            model = network(device)
            optimizer = tg.optim.SGD(model.parameters(), lr=0.5)

            def step(x: Any, y: Any) -> Any:
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                norm = nn.utils.clip_grad_norm_(model.parameters(), 0.3, norm_type)
                optimizer.step()
                return loss, norm

            call = wrap(step)
            norms = [
                call(x * scale, y)[1].item() for scale, (x, y) in zip((1, 4, 0.1, 2), batches(4, device), strict=True)
            ]
            return [norms, *state_of(model), *[p.grad.cpu().numpy() for p in model.parameters()]]

        compare(train, device)

    def test_values(self, device):
        def train(wrap: Any, device: str) -> list[Any]:
            model = network(device)
            optimizer = tg.optim.SGD(model.parameters(), lr=0.5)

            def step(x: Any, y: Any) -> None:
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()
                nn.utils.clip_grad_value_(model.parameters(), 0.05)
                optimizer.step()

            call = wrap(step)
            for batch in batches(4, device):
                call(*batch)
            assert max(float(abs(p.grad).max().item()) for p in model.parameters()) <= np.float32(0.05)
            return state_of(model)

        compare(train, device)

    def test_between_two_captured_functions(self, device):
        """The gradients are computed in one captured function, clipped outside, and used in another one."""

        def train(wrap: Any, device: str) -> list[Any]:
            model = network(device)
            optimizer = tg.optim.SGD(model.parameters(), lr=0.5)

            def gradients(x: Any, y: Any) -> None:
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()

            def update() -> None:
                optimizer.step()

            first, second = wrap(gradients), wrap(update)
            for batch in batches(4, device):
                first(*batch)
                nn.utils.clip_grad_norm_(model.parameters(), 0.2)
                second()
            return state_of(model)

        compare(train, device)


class TestAmp:
    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    def test_autocast(self, dtype, device):
        def train(wrap: Any, device: str) -> list[Any]:
            model = network(device)
            optimizer = tg.optim.SGD(model.parameters(), lr=0.5)

            def step(x: Any, y: Any) -> Any:
                optimizer.zero_grad()
                with tg.amp.autocast(device, dtype=getattr(tg, dtype)):
                    loss = F.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
                return loss

            call = wrap(step)
            return [[call(*batch).item() for batch in batches(4, device)], *state_of(model)]

        compare(train, device)

    def test_autocast_around_the_call(self, device):
        """A function captured under autocast is another program than without."""
        model = network(device)
        captured = tg.jit(lambda x: model(x))
        x, _ = batches(1, device)[0]
        for _ in range(3):
            with tg.no_grad():
                assert captured(x).dtype == tg.float32
                with tg.amp.autocast(device, dtype=tg.float16):
                    y = captured(x)
                    assert_same(y.cpu().numpy(), model(x).cpu().numpy())
                assert y.dtype == tg.float16

    def test_scaler_skips_a_step_with_overflow(self, device):
        def train(wrap: Any, device: str) -> list[Any]:
            model = network(device)
            optimizer = tg.optim.Adam(model.parameters(), lr=0.05)
            scaler = tg.amp.GradScaler(device, init_scale=2.0**10, growth_interval=2)

            def step(x: Any, y: Any) -> Any:
                optimizer.zero_grad()
                with tg.amp.autocast(device, dtype=tg.float16):
                    loss = F.cross_entropy(model(x), y)
                scaler.scale(loss).backward()
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                scaler.step(optimizer)
                scaler.update()
                return loss

            call = wrap(step)
            scales, kept = [], []
            for i, (x, y) in enumerate(batches(8, device)):
                before = state_of(model)
                call(x * float("inf") if i == 3 else x, y)
                if i == 3:
                    for a, b in zip(before, state_of(model), strict=True):
                        assert_same(a, b)
                scales.append(scaler.get_scale())
                kept += state_of(model)
            assert scales[3] < scales[2]
            assert scales[-1] > scales[3]
            return [scales, *kept]

        compare(train, device)


class TestAccumulation:
    def test_inside_of_the_step(self, device):
        def train(wrap: Any, device: str) -> list[Any]:
            model = network(device)
            optimizer = tg.optim.SGD(model.parameters(), lr=0.5)

            def step(x: Any, y: Any) -> Any:
                optimizer.zero_grad()
                for i in range(3):
                    F.cross_entropy(model(x[2 * i : 2 * i + 2]), y[2 * i : 2 * i + 2]).backward()
                optimizer.step()

            call = wrap(step)
            for batch in batches(4, device):
                call(*batch)
            return state_of(model)

        compare(train, device)

    def test_over_several_calls(self, device):
        """The first call of a group finds no gradients, the others find some: two programs."""
        model, twin = network(device), network(device)
        calls: list[int] = []

        def backward_of(model: Any) -> Any:
            def backward(x: Any, y: Any) -> Any:
                calls.append(1)
                loss = F.cross_entropy(model(x), y) / 3
                loss.backward()
                return loss

            return backward

        captured, plain = tg.jit(backward_of(model)), backward_of(twin)
        optimizers = [tg.optim.SGD(m.parameters(), lr=0.5) for m in (model, twin)]
        for i, batch in enumerate(batches(12, device)):
            captured(*batch)
            plain(*batch)
            for p, q in zip(model.parameters(), twin.parameters(), strict=True):
                assert_same(p.grad.cpu().numpy(), q.grad.cpu().numpy(), err_msg=f"call {i}")
            if i % 3 == 2:
                for optimizer in optimizers:
                    optimizer.step()
                    optimizer.zero_grad()
        for a, b in zip(state_of(model), state_of(twin), strict=True):
            assert_same(a, b)
        assert len(calls) == 12 + 2

    def test_into_zeros(self, device):
        """``zero_grad(set_to_none=False)`` keeps the gradients' memory; so does the captured step."""

        def train(wrap: Any, device: str) -> list[Any]:
            model = network(device)
            optimizer = tg.optim.SGD(model.parameters(), lr=0.5, momentum=0.5)
            for p in model.parameters():
                p.grad = tg.zeros_like(p)
            held = [p.grad for p in model.parameters()]

            def step(x: Any, y: Any) -> Any:
                optimizer.zero_grad(set_to_none=False)
                F.cross_entropy(model(x), y).backward()
                optimizer.step()

            call = wrap(step)
            for batch in batches(4, device):
                call(*batch)
            assert all(p.grad is g for p, g in zip(model.parameters(), held, strict=True))
            return [*state_of(model), *[g.cpu().numpy() for g in held]]

        compare(train, device)


class TestRandomNumbers:
    def test_masks_differ_from_call_to_call_and_equal_those_of_eager(self, device):
        layer = nn.Dropout(0.5)
        captured = tg.jit(lambda x: layer(x))
        x = tg.ones(40, device=device)
        tg.manual_seed(5)
        expected = [layer(x).cpu().numpy() for _ in range(5)]
        tg.manual_seed(5)
        found = [captured(x).cpu().numpy() for _ in range(5)]
        assert_same(found, expected)
        assert len({tuple(mask) for mask in found}) == 5

    def test_every_distribution(self, device):
        def draw(n: Any) -> Any:
            options = {"device": device}
            return (
                tg.rand(7, **options), tg.randn(3, 3, **options), tg.randint(2, 9, (5,), **options),
                tg.randperm(6, **options), tg.random.bernoulli(0.3, (8,), **options),
                tg.random.normal(1.0, 2.0, (4,), **options), n + 1,
            )  # fmt: skip

        captured = tg.jit(draw)
        n = tg.zeros((), device=device)
        tg.manual_seed(6)
        expected = [[x.cpu().numpy() for x in draw(n)] for _ in range(4)]
        tg.manual_seed(6)
        for each in expected:
            for a, b in zip(each, captured(n), strict=True):
                assert_same(b.cpu().numpy(), a)

    def test_a_generator_of_ones_own(self, device):
        generator = tg.random.Generator().manual_seed(4)
        captured = tg.jit(lambda: tg.rand(3, device=device, generator=generator))
        found = [captured().cpu().numpy() for _ in range(4)]
        generator.manual_seed(4)
        for each in found:
            assert_same(each, tg.rand(3, generator=generator).numpy())

    def test_seed_set_inside(self, device):
        def draw() -> Any:
            tg.manual_seed(9)
            return tg.rand(3, device=device)

        captured = tg.jit(draw)
        first, second = captured(), captured()
        assert_same(first.cpu().numpy(), second.cpu().numpy())

    def test_drawn_between_calls(self, device):
        """Others may draw from the same stream between two calls."""
        captured = tg.jit(lambda: tg.rand(3, device=device))
        tg.manual_seed(2)
        expected = [tg.rand(3).numpy() for _ in range(6)]
        tg.manual_seed(2)
        for i in range(0, 6, 2):
            assert_same(captured().cpu().numpy(), expected[i])
            assert_same(tg.rand(3).numpy(), expected[i + 1])


class TestSharing:
    def test_training_and_evaluation_share_parameters(self, device):
        model = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Dropout(0.5), nn.Linear(7, 3)).to(device)
        optimizer = tg.optim.SGD(model.parameters(), lr=0.5)
        step = tg.jit(step_of(model, optimizer))
        predict = tg.jit(lambda x: model(x))
        x, y = batches(1, device)[0]
        for _ in range(4):
            model.train()
            step(x, y)
            model.eval()
            with tg.no_grad():
                assert_same(predict(x).cpu().numpy(), model(x).cpu().numpy())

    def test_two_optimizers_take_turns(self, device):
        """A generator and a critic: each step trains its own part through the other."""

        def train(wrap: Any, device: str) -> list[Any]:
            tg.manual_seed(0)
            maker, critic = nn.Linear(4, 5).to(device), network(device)
            first, second = tg.optim.Adam(maker.parameters(), lr=0.1), tg.optim.SGD(critic.parameters(), lr=0.1)

            def train_maker(z: Any, y: Any) -> Any:
                first.zero_grad()
                loss = F.cross_entropy(critic(maker(z)), y)
                loss.backward()
                first.step()
                return loss

            def train_critic(z: Any, x: Any, y: Any) -> Any:
                second.zero_grad()
                loss = F.cross_entropy(critic(x), y) - F.cross_entropy(critic(maker(z).detach()), y)
                loss.backward()
                second.step()
                return loss

            a, b = wrap(train_maker), wrap(train_critic)
            losses = []
            for x, y in batches(5, device):
                z = tg.randn(6, 4, device=device)
                losses += [a(z, y).item(), b(z, x, y).item()]
            return [losses, *state_of(maker), *state_of(critic)]

        calls: list[int] = []

        def capture(function: Any) -> Any:
            def counted(*args: Any) -> Any:
                calls.append(1)
                return function(*args)

            return tg.jit(counted)

        for a, b in zip(train(lambda f: f, device), train(capture, device), strict=True):
            assert_same(b, a)
        assert len(calls) <= 4, "each of the two is captured for gradients that were there and for none"
