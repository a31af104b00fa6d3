"""The training loop: what it measures, when it waits for the device, and how it ends."""

from __future__ import annotations

import csv
import os
import re
import signal
import threading
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.data import DataLoader, TensorDataset
from tensorgrad.tensor import Tensor
from tensorgrad.train import History, evaluate, fit, measure


def line(count: int = 12, device: Any = None) -> TensorDataset:
    x = tg.linspace(-1, 1, count, device=device).reshape(count, 1)
    return TensorDataset(x, 3 * x - 1)


def linear(device: Any = None, weight: float = 0.0, bias: float = 0.0) -> nn.Linear:
    model = nn.Linear(1, 1).to(device)
    state = {"weight": tg.tensor([[weight]], device=device), "bias": tg.tensor([bias], device=device)}
    model.load_state_dict(state)
    return model


class Watched(nn.Module):
    """Counts its calls and remembers the modes; ``at`` is called with the number of each call."""

    def __init__(self, at: Any = lambda call: None) -> None:
        super().__init__()
        self.inner = nn.Linear(1, 1)
        self.frozen = nn.Identity().eval()
        self.at = at
        self.modes: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.modes.append(self.training)
        self.at(len(self.modes))
        return self.inner(x)


class TestHistory:
    def test_losses_by_hand(self, device):
        """One step per batch of w <- w - lr dL/dw on (w x + b - y)^2, in NumPy."""
        dataset, model = line(10, device), linear(device)
        history = fit(
            model,
            DataLoader(dataset, batch_size=4),
            nn.MSELoss(),
            tg.optim.SGD(model.parameters(), lr=0.1),
            epochs=3,
            validation=DataLoader(dataset, batch_size=3),
            progress=False,
        )
        x, y = (t.cpu().numpy().astype(np.float64) for t in dataset.tensors)
        w = b = 0.0
        train, validation = [], []
        for _ in range(3):
            total = 0.0
            for i in range(0, 10, 4):
                e = w * x[i : i + 4] + b - y[i : i + 4]
                total += float((e**2).sum())
                w, b = w - 0.1 * float((2 * e * x[i : i + 4]).mean()), b - 0.1 * float((2 * e).mean())
            train.append(total / 10)
            validation.append(float(((w * x + b - y) ** 2).mean()))
        assert history.train_loss == pytest.approx(train, rel=1e-4)
        assert history.validation_loss == pytest.approx(validation, rel=1e-4)
        assert history.epochs == [1, 2, 3]
        assert history.train_accuracy == history.validation_accuracy == []
        assert len(history.samples_per_second) == 3
        assert all(speed > 0 for speed in history.samples_per_second)
        assert not history.interrupted
        assert model.weight.item() == pytest.approx(w, rel=1e-4)

    @pytest.mark.parametrize("reduction", ["mean", "sum"])
    def test_accuracy_by_hand(self, device, reduction):
        logits = tg.tensor([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0], [3.0, 1.0]], device=device)
        loader = DataLoader(TensorDataset(logits, tg.tensor([0, 1, 1, 0], device=device)), batch_size=3)
        measured = evaluate(nn.Identity(), loader, nn.CrossEntropyLoss(reduction=reduction))
        right, wrong = np.log1p(np.exp(-2)), np.log1p(np.exp(2))
        assert measured["accuracy"] == 0.75
        assert measured["loss"] == pytest.approx((3 * right + wrong) / 4, rel=1e-5)

    def test_ignored_targets_do_not_count(self, device):
        logits = tg.tensor([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0]], device=device)
        target = tg.tensor([0, -100, 1], device=device)
        measured = evaluate(nn.Identity(), [(logits, target)], nn.CrossEntropyLoss())
        assert measured["accuracy"] == 0.5
        assert measured["loss"] == pytest.approx((np.log1p(np.exp(-2)) + np.log1p(np.exp(2))) / 2, rel=1e-5)

    def test_accuracy_of_positions(self, device):
        logits = tg.tensor([[[5.0, 0.0, 5.0], [0.0, 5.0, 0.0]]], device=device)  # (1, 2 classes, 3 positions)
        measured = evaluate(nn.Identity(), [(logits, tg.tensor([[0, 1, 1]], device=device))], nn.CrossEntropyLoss())
        assert measured["accuracy"] == pytest.approx(2 / 3)

    def test_small_integer_targets(self, device):
        logits, target = tg.eye(3, device=device), tg.arange(3, device=device).astype(tg.int32)
        loss = lambda output, y: nn.functional.cross_entropy(output, y.astype(tg.int64))  # noqa: E731
        assert evaluate(nn.Identity(), [(logits, target)], loss)["accuracy"] == 1

    def test_metrics(self, device):
        model = linear(device, 3.0, 0.0)
        error = lambda output, target: abs(output - target).mean()  # noqa: E731
        loader = DataLoader(line(5, device), batch_size=2)
        history = fit(model, loader, nn.MSELoss(), tg.optim.SGD(model.parameters(), lr=0.0), 2, loader,
                      metrics={"mae": error}, progress=False)  # fmt: skip
        assert history.metrics["train_mae"] == pytest.approx([1, 1])
        assert history.metrics["validation_mae"] == pytest.approx([1, 1])
        assert list(history.columns()) == [
            "epoch", "train_loss", "validation_loss", "train_mae", "validation_mae", "samples_per_second",
        ]  # fmt: skip

    def test_csv(self, tmp_path):
        History(epochs=[1, 2], train_loss=[0.5, 0.25], samples_per_second=[10.0, 20.0]).to_csv(tmp_path / "a.csv")
        with open(tmp_path / "a.csv", newline="", encoding="utf-8") as file:
            assert list(csv.reader(file)) == [
                ["epoch", "train_loss", "samples_per_second"], ["1", "0.5", "10.0"], ["2", "0.25", "20.0"],
            ]  # fmt: skip

    def test_plot(self, tmp_path):
        History(epochs=[1], train_loss=[0.5]).plot(tmp_path / "a.png")
        assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


class TestLoop:
    def test_several_inputs(self):
        class Sum(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.w = nn.Parameter(tg.zeros(1))

            def forward(self, a: Tensor, b: Tensor) -> Tensor:
                return self.w * (a + b)

        model = Sum()
        loader = DataLoader(TensorDataset(tg.ones(4, 1), tg.ones(4, 1), tg.full((4, 1), 6.0)), batch_size=2)
        fit(model, loader, nn.MSELoss(), tg.optim.SGD(model.parameters(), lr=0.1), 20, progress=False)
        assert model.w.item() == pytest.approx(3, abs=1e-3)

    def test_device(self, device):
        model = nn.Linear(1, 1)
        optimizer = tg.optim.Adam(model.parameters(), lr=0.1)
        loader = DataLoader(line(6), batch_size=3)
        history = fit(model, loader, nn.MSELoss(), optimizer, 2, validation=loader, device=device, progress=False)
        assert model.weight.device == device
        assert history.validation_loss[1] < history.train_loss[0]

    def test_schedulers(self):
        model = linear()
        optimizer = tg.optim.SGD(model.parameters(), lr=0.8)
        scheduler = tg.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
        fit(model, DataLoader(line()), nn.MSELoss(), optimizer, 3, progress=False, scheduler=scheduler)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1)

    def test_scheduler_that_watches_the_loss(self):
        class Watching:
            seen: list[float] = []  # noqa: RUF012

            def step(self, metrics: float, epoch: Any = None) -> None:
                self.seen.append(metrics)

        model, loader, watching = linear(), DataLoader(line()), Watching()
        sgd = tg.optim.SGD(model.parameters(), lr=0.01)
        first = fit(model, loader, nn.MSELoss(), sgd, 2, progress=False, scheduler=watching)
        second = fit(model, loader, nn.MSELoss(), sgd, 1, validation=loader, progress=False, scheduler=watching)
        assert watching.seen == first.train_loss + second.validation_loss

    def test_modes(self):
        model = Watched()
        model.eval()
        model.inner.train()
        loader = DataLoader(line(4), batch_size=2)
        fit(model, loader, nn.MSELoss(), tg.optim.SGD(model.parameters(), lr=0.1), 2, loader, progress=False)
        assert model.modes == [True, True, False, False] * 2
        assert [model.training, model.inner.training, model.frozen.training] == [False, True, False]

    def test_evaluate_records_nothing(self):
        kept = []
        evaluate(linear(), DataLoader(line()), lambda output, y: kept.append(output) or nn.MSELoss()(output, y))
        assert not any(output.requires_grad for output in kept)

    def test_no_epochs(self):
        model = linear()
        sgd = tg.optim.SGD(model.parameters(), lr=0.1)
        assert fit(model, DataLoader(line()), nn.MSELoss(), sgd, 0, progress=False) == History()

    def test_errors(self):
        model, loader = linear(), DataLoader(line())
        sgd = tg.optim.SGD(model.parameters(), lr=0.1)
        with pytest.raises(ValueError, match="epochs must be a non-negative integer, got -1"):
            fit(model, loader, nn.MSELoss(), sgd, -1, progress=False)
        with pytest.raises(ValueError, match="no batches"):
            fit(model, [], nn.MSELoss(), sgd, 1, progress=False)
        with pytest.raises(ValueError, match=r"the loss must be a scalar, got shape \(2, 1\)"):
            fit(model, DataLoader(line(), batch_size=2), nn.MSELoss(reduction="none"), sgd, 1, progress=False)
        for batch, words in (
            (tg.ones(1), "Tensor"),
            ((tg.ones(1),), r"tuple\[Tensor\]"),
            ([1, 2], r"list\[int, int\]"),
        ):
            with pytest.raises(TypeError, match=rf"\(\*inputs, target\), the loader gave {words}"):
                fit(model, [batch], nn.MSELoss(), sgd, 1, progress=False)
        assert model.training


class TestWaiting:
    def test_the_device_is_read_once_per_epoch_of_many_steps(self, device, monkeypatch):
        reads = []
        original = measure.to_numpy
        monkeypatch.setattr(measure, "to_numpy", lambda array: (reads.append(array.shape), original(array))[1])
        monkeypatch.setattr(Tensor, "item", lambda self: pytest.fail("a step waited for the device"))
        model = nn.Linear(1, 2).to(device)
        dataset = TensorDataset(tg.ones(60, 1, device=device), tg.zeros(60, dtype=tg.int64, device=device))
        sgd = tg.optim.SGD(model.parameters(), lr=0.1)
        history = fit(model, DataLoader(dataset, batch_size=2), nn.CrossEntropyLoss(), sgd, 2, progress=False)
        assert reads == [(30, 3), (30, 3)]
        assert len(history.train_accuracy) == 2

    def test_full_table(self, monkeypatch):
        monkeypatch.setattr(measure.Measurements, "_ROWS", 4)
        model = linear(weight=3.0, bias=0.0)
        sgd = tg.optim.SGD(model.parameters(), lr=0.0)
        history = fit(model, DataLoader(line(11)), nn.MSELoss(), sgd, 1, DataLoader(line(11)), progress=False)
        assert history.train_loss == history.validation_loss == [pytest.approx(1)]


class TestBar:
    def fit(self, **options: Any) -> None:
        model = nn.Linear(1, 2)
        loader = DataLoader(TensorDataset(tg.ones(8, 1), tg.zeros(8, dtype=tg.int64)), batch_size=2)
        fit(model, loader, nn.CrossEntropyLoss(), tg.optim.SGD(model.parameters(), lr=0.1), 3, loader, **options)

    def test_a_log_gets_one_line_per_epoch(self, capsys):
        self.fit()
        out, err = capsys.readouterr()
        assert out == ""
        lines = [part for part in re.split(r"[\r\n]+", err) if part]
        assert len(lines) == 3
        for epoch, text in enumerate(lines, 1):
            assert re.match(
                rf"epoch {epoch}/3 100%\|.*\| 4/4, loss \d\.\d+, accuracy \d+\.\d\d%, [\d,]+ samples/s", text
            )
            assert re.search(r"\| validation loss \d\.\d+, accuracy \d+\.\d\d%$", text)

    @pytest.mark.parametrize("progress", [False, None])
    def test_none(self, capsys, progress):
        self.fit(progress=progress)
        assert capsys.readouterr() == ("", "")

    def test_no_thread_is_started(self, capsys):
        before = threading.active_count()
        self.fit()
        assert threading.active_count() == before


class TestNonFinite:
    @pytest.mark.parametrize(("value", "word"), [(float("nan"), "nan"), (float("inf"), "inf")])
    def test_names_epoch_and_step(self, value, word, device):
        steps = []

        def loss(output: Tensor, target: Tensor) -> Tensor:
            steps.append(len(steps) + 1)
            return ((output - target) ** 2).mean() * (value if len(steps) == 9 else 1.0)

        model = linear(device, 2.0)
        model.eval()
        with pytest.raises(FloatingPointError, match=f"the loss is {word} at epoch 2, step 3"):
            fit(model, DataLoader(line(12, device), batch_size=2), loss, tg.optim.SGD(model.parameters(), lr=0.01), 5,
                progress=False)  # fmt: skip
        assert not model.training
        assert len(steps) == 12  # found at the end of that epoch at the latest


class TestInterrupt:
    @pytest.fixture(autouse=True)
    def _python_handles_ctrl_c(self):
        """A shell that starts a job in the background lets it ignore the signal."""
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
        signal.signal(signal.SIGINT, before)

    def run(self, at: Any) -> tuple[Watched, History, int]:
        model = Watched(at)
        model.eval()
        sgd = tg.optim.SGD(model.parameters(), lr=0.1)
        steps = 0
        original = sgd.step

        def step() -> None:
            nonlocal steps
            original()
            steps += 1

        sgd.step = step  # type: ignore[method-assign, assignment]
        loader = DataLoader(line(8), batch_size=2)
        history = fit(model, loader, nn.MSELoss(), sgd, 5, loader, progress=False)
        return model, history, steps

    @pytest.mark.parametrize(("call", "epochs", "steps"), [(1, 0, 0), (3, 0, 2), (6, 0, 4), (10, 1, 5), (15, 1, 8)])
    def test_history_and_mode(self, call, epochs, steps):
        def at(number: int) -> None:
            if number == call:
                raise KeyboardInterrupt

        model, history, done = self.run(at)
        assert history.interrupted
        assert history.epochs == list(range(1, epochs + 1))
        assert len(history.train_loss) == len(history.validation_loss) == len(history.samples_per_second) == epochs
        assert done == steps
        assert not model.training
        assert np.isfinite(model(tg.ones(1, 1)).item())

    @pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
    def test_ctrl_c_waits_for_the_end_of_a_step(self):
        model = linear()
        sgd = tg.optim.SGD(model.parameters(), lr=0.1)
        original, finished = sgd.step, []

        def step() -> None:
            os.kill(os.getpid(), signal.SIGINT)
            original()
            finished.append(model.weight.item())

        sgd.step = step  # type: ignore[method-assign, assignment]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        history = fit(model, DataLoader(line()), nn.MSELoss(), sgd, 5, progress=False)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert history.interrupted
        assert len(finished) == 1
        assert model.weight.item() == finished[0]

    @pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
    def test_ctrl_c_elsewhere_is_immediate(self):
        calls = []

        def at(number: int) -> None:
            calls.append(number)
            if number == 3:
                os.kill(os.getpid(), signal.SIGINT)
                calls.append("after")

        _, history, done = self.run(at)
        assert history.interrupted
        assert done == 2
        assert calls == [1, 2, 3]

    def test_a_handler_of_the_host_program_stays(self):
        seen = []
        mine = lambda *_: seen.append(1)  # noqa: E731
        old = signal.signal(signal.SIGINT, mine)
        try:
            self.run(lambda number: seen.append(signal.getsignal(signal.SIGINT) is mine))
        finally:
            signal.signal(signal.SIGINT, old)
        assert set(seen) == {True}

    def test_in_another_thread(self):
        result = []
        thread = threading.Thread(target=lambda: result.append(self.run(lambda number: None)))
        thread.start()
        thread.join()
        assert result[0][1].epochs == [1, 2, 3, 4, 5]
