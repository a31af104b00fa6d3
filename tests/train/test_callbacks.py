"""Callbacks of `fit`, and its options: accumulation, clipping, mixed precision, notebooks."""

from __future__ import annotations

import csv
import sys
import types
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.data import DataLoader, DistributedSampler, TensorDataset
from tensorgrad.train import Callback, CSVLogger, EarlyStopping, History, LearningRate, TensorBoard, fit, progress


def line(count: int = 12, device: Any = None) -> TensorDataset:
    x = tg.linspace(-1, 1, count, device=device).reshape(count, 1)
    return TensorDataset(x, 3 * x - 1)


def linear(device: Any = None) -> nn.Linear:
    model = nn.Linear(1, 1).to(device)
    model.load_state_dict({"weight": np.zeros((1, 1), np.float32), "bias": np.zeros(1, np.float32)})
    return model


def trained(dataset: Any, batch_size: int, device: Any = None, loss: Any = None, **options: Any) -> list[float]:
    model = linear(device)
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(dataset, batch_size=batch_size)
    fit(model, options.pop("loader", loader), loss or nn.MSELoss(), optimizer, options.pop("epochs", 2),
        progress=False, **options)  # fmt: skip
    return [model.weight.item(), model.bias.item()]


class Recorded(Callback):
    def __init__(self) -> None:
        self.events: list[tuple[str, int, int]] = []

    def on_fit_start(self, run: Any) -> None:
        self.events.append(("fit", run.epoch, run.step))

    def on_epoch_start(self, run: Any) -> None:
        self.events.append(("epoch", run.epoch, run.step))

    def on_step_end(self, run: Any) -> None:
        self.events.append(("step", run.epoch, run.step))

    def on_epoch_end(self, run: Any) -> None:
        self.events.append(("end of epoch", run.epoch, run.step))
        assert run.history.epochs[-1] == run.epoch

    def on_fit_end(self, run: Any) -> None:
        self.events.append(("end of fit", run.epoch, run.step))


class TestCallbacks:
    def test_order(self):
        recorded = Recorded()
        trained(line(4), 2, callbacks=[recorded])
        assert recorded.events == [
            ("fit", 0, 0), ("epoch", 1, 0), ("step", 1, 1), ("step", 1, 2), ("end of epoch", 1, 2),
            ("epoch", 2, 2), ("step", 2, 3), ("step", 2, 4), ("end of epoch", 2, 4), ("end of fit", 2, 4),
        ]  # fmt: skip

    def test_end_of_fit_after_an_error(self):
        recorded = Recorded()
        with pytest.raises(ZeroDivisionError):
            trained(line(4), 2, loss=lambda output, target: 1 / 0, callbacks=[recorded])
        assert recorded.events[-1] == ("end of fit", 1, 0)

    def test_a_callback_that_stops(self):
        class Stop(Callback):
            def on_step_end(self, run: Any) -> None:
                if run.step == 3:
                    run.stop("enough")

        recorded = Recorded()
        trained(line(4), 2, epochs=9, callbacks=[Stop(), recorded])
        assert recorded.events[-1] == ("end of fit", 2, 4)

    def test_early_stopping(self):
        def stopped(values: list[float], **options: Any) -> tuple[int, Any]:
            stopping = EarlyStopping(**options)
            run = types.SimpleNamespace(history=History(), epoch=0, stop=lambda reason: ended.append(run.epoch))
            ended: list[int] = []
            for epoch, value in enumerate(values, 1):
                run.epoch = epoch
                run.history.epochs.append(epoch)
                run.history.append("validation", {"loss": value})
                stopping.on_epoch_end(run)
                if ended:
                    break
            return run.epoch if ended else 0, stopping.best

        nan = float("nan")
        assert stopped([3, 2, 2.5, 2.5, 1], patience=2) == (4, 2)
        assert stopped([3, 2, 2.5, 1, 2], patience=2) == (0, 1)
        assert stopped([3, 2.9, 2.8, 2.7], patience=2, min_delta=0.5) == (3, 3)
        assert stopped([1, 2, 1, 1], patience=2, mode="max") == (4, 2)
        assert stopped([nan, nan, 1], patience=2) == (2, None)

    def test_monitor(self):
        with pytest.raises(KeyError, match="measures no 'f1'; it measures epoch, train_loss"):
            trained(line(4), 2, callbacks=[EarlyStopping(monitor="f1")])
        for options in ({"patience": 0}, {"min_delta": -1.0}, {"mode": "best"}):
            with pytest.raises(ValueError, match="EarlyStopping"):
                EarlyStopping(**options)

    @pytest.mark.parametrize(("every", "rate"), [("step", 0.1 * 0.5**6), ("epoch", 0.1 * 0.5**2)])
    def test_learning_rate(self, every, rate):
        model = linear()
        optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
        schedule = LearningRate(tg.optim.lr_scheduler.ExponentialLR(optimizer, 0.5), every)
        fit(model, DataLoader(line(6), batch_size=2), nn.MSELoss(), optimizer, 2, progress=False, callbacks=[schedule])
        assert optimizer.param_groups[0]["lr"] == pytest.approx(rate)
        with pytest.raises(ValueError, match="'step' or 'epoch', got 'day'"):
            LearningRate(schedule.scheduler, "day")

    def test_csv(self, tmp_path):
        seen = []

        class Look(Callback):
            def on_epoch_end(self, run: Any) -> None:
                with open(tmp_path / "log.csv", newline="", encoding="utf-8") as file:
                    seen.append(list(csv.DictReader(file)))

        trained(line(4), 2, callbacks=[CSVLogger(tmp_path / "log.csv"), Look()])
        assert [len(rows) for rows in seen] == [1, 2]
        assert [row["epoch"] for row in seen[1]] == ["1", "2"]
        assert float(seen[1][1]["train_loss"]) < float(seen[1][0]["train_loss"])

    def test_epochs_of_a_distributed_sampler(self):
        class Watched(DistributedSampler):
            seen: list[int] = []  # noqa: RUF012

            def set_epoch(self, epoch: int) -> None:
                self.seen.append(epoch)
                super().set_epoch(epoch)

        sampler = Watched(line(), 2, 0)
        trained(line(), 1, loader=DataLoader(line(), batch_size=2, sampler=sampler))
        assert sampler.seen == [0, 1]


class TestTensorBoard:
    def scalars(self, tmp_path: Any) -> None:
        trained(line(4), 2, callbacks=[TensorBoard(tmp_path)])

    def test_missing(self, tmp_path, monkeypatch):
        for name in ("tensorboardX", "tensorboard", "tensorboard.compat.proto.event_pb2"):
            monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ImportError, match="pip install tensorboardX"):
            TensorBoard(tmp_path)

    def test_scalars(self, tmp_path, monkeypatch):
        written: list[Any] = []

        class SummaryWriter:
            def __init__(self, directory: str) -> None:
                written.append(directory)

            def add_scalar(self, name: str, value: float, step: int) -> None:
                written.append((name, step))

            def flush(self) -> None:
                written.append("flush")

            def close(self) -> None:
                written.append("close")

        module = types.ModuleType("tensorboardX")
        module.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "tensorboardX", module)
        self.scalars(tmp_path)
        names = ("train_loss", "samples_per_second", "learning_rate/0")
        epochs = [[*((name, epoch) for name in names), "flush"] for epoch in (1, 2)]
        assert written == [str(tmp_path), *epochs[0], *epochs[1], "close"]

    @pytest.mark.parametrize("package", ["tensorboardX", "tensorboard"])
    def test_the_packages_themselves(self, tmp_path, monkeypatch, package):
        pytest.importorskip(package)
        if package == "tensorboard":
            monkeypatch.setitem(sys.modules, "tensorboardX", None)
        self.scalars(tmp_path)
        (events,) = tmp_path.iterdir()
        assert b"train_loss" in events.read_bytes()


class TestOptions:
    def test_accumulation_is_a_larger_batch(self, device):
        large = trained(line(12, device), 4, device)
        assert trained(line(12, device), 2, device, accumulate=2) == pytest.approx(large, rel=1e-5)
        assert trained(line(12, device), 1, device, accumulate=4) == pytest.approx(large, rel=1e-5)

    def test_accumulation_of_sums(self):
        expected = trained(line(), 4, loss=nn.MSELoss(reduction="sum"))
        assert trained(line(), 2, accumulate=2, loss=nn.MSELoss(reduction="sum")) == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize("known", [True, False])
    def test_what_is_left_of_an_epoch_is_a_smaller_batch(self, known):
        batches = list(DataLoader(line(10), batch_size=2))

        class Unknown:
            def __iter__(self) -> Any:
                return iter(batches)

        recorded = Recorded()
        given = trained(line(10), 2, accumulate=2, loader=batches if known else Unknown(), callbacks=[recorded])
        assert given == pytest.approx(trained(line(10), 4), rel=1e-5)
        assert recorded.events[-1][2] == 6

    def test_clipping_by_hand(self, device):
        """The first gradient is far outside the bounds, so a step of SGD has their size."""
        one = {"epochs": 1, "loss": lambda output, y: 1000 * nn.functional.mse_loss(output, y)}
        weight, bias = trained(line(4, device), 4, device, clip_grad_norm=0.5, **one)
        assert np.hypot(weight, bias) == pytest.approx(0.1 * 0.5, rel=1e-4)
        weight, bias = trained(line(4, device), 4, device, clip_grad_value=0.25, **one)
        assert (weight, bias) == pytest.approx((0.025, -0.025))

    def test_mixed_precision(self, device):
        dtypes = []

        class Seen(nn.Linear):
            def forward(self, x: Any) -> Any:
                output = super().forward(x)
                dtypes.append(output.dtype.name)
                return output

        model = Seen(1, 1).to(device)
        scaler = tg.amp.GradScaler(device, init_scale=4.0)
        dataset = line(4, device)
        optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
        history = fit(model, DataLoader(dataset, batch_size=4), nn.MSELoss(), optimizer, 30, DataLoader(dataset),
                      progress=False, amp="float16", scaler=scaler, clip_grad_norm=1e3)  # fmt: skip
        assert set(dtypes) == {"float16"}
        assert model.weight.dtype == tg.float32
        assert history.validation_loss[-1] < 0.05 * history.validation_loss[0]
        assert scaler.state_dict()["_growth_tracker"] == 30

    def test_a_scaler_is_made_for_float16(self):
        seen = []

        class Look(Callback):
            def on_step_end(self, run: Any) -> None:
                seen.append(run.scaler)

        for dtype in ("float16", "bfloat16", None):
            trained(line(2), 2, epochs=1, amp=dtype, callbacks=[Look()])
        assert isinstance(seen[0], tg.amp.GradScaler)
        assert seen[1:] == [None, None]

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"accumulate": 0}, "accumulate must be a positive integer, got 0"),
            ({"accumulate": 1.5}, "accumulate must be a positive integer"),
            ({"clip_grad_norm": 0.0}, "clip_grad_norm must be positive, got 0.0"),
            ({"clip_grad_value": -1.0}, "clip_grad_value must be positive"),
            ({"amp": "float32"}, "must be float16 or bfloat16"),
        ],
    )
    def test_errors(self, options, words):
        with pytest.raises(ValueError, match=words):
            trained(line(2), 2, **options)


def test_sums_do_not_depend_on_when_they_are_read(monkeypatch):
    losses = []
    for rows in (1, 3, 1024):
        monkeypatch.setattr(tg.train.measure.Measurements, "_ROWS", rows)
        model = linear()
        optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
        losses.append(fit(model, DataLoader(line(37)), nn.MSELoss(), optimizer, 2, progress=False).train_loss)
    assert losses[0] == losses[1] == losses[2]


def test_plot_gives_a_figure_that_a_notebook_shows():
    figure = History(epochs=[1, 2], train_loss=[0.5, 0.2], validation_loss=[0.6, 0.3]).plot()
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert [line.get_label() for line in figure.axes[0].lines] == ["train", "validation"]


def test_a_notebook_draws_over_its_line(monkeypatch, capsys):
    shell = types.SimpleNamespace(kernel=None)
    module = types.ModuleType("IPython")
    module.get_ipython = lambda: shell  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", module)
    with progress.progress_bar([1, 2], "epoch 1/1", None) as bar:
        assert bar.mininterval == progress.interval_of(bar) == progress.SECONDS_ON_SCREEN
        bar.update(2)
    assert "\repoch 1/1 100%" in capsys.readouterr().err
    del shell.kernel
    with progress.progress_bar([1, 2], "epoch 1/1", None) as bar:
        assert bar is None
