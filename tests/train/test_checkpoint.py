"""Checkpoints: what comes back, which are kept, what is refused, and a run that is killed at any moment."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from collections import Counter, deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.data import DataLoader, TensorDataset
from tensorgrad.optim import lr_scheduler
from tensorgrad.train import Checkpoint, EarlyStopping, LearningRate, fit
from tensorgrad.train.snapshot import CorruptError, read_snapshot, write_snapshot

ROOT = Path(__file__).parents[2]


def same(a: Any, b: Any) -> bool:
    """Equal to the bit, and of one type."""
    if isinstance(a, (tg.Tensor, np.ndarray)):
        x, y = (np.asarray(v.cpu().numpy() if isinstance(v, tg.Tensor) else v) for v in (a, b))
        return type(a) is type(b) and x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()
    if isinstance(a, dict):
        return type(a) is type(b) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple, deque)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and repr(a) == repr(b)


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch):
    """What a power cut would leave is no matter here; the order of writes and renames stays as it is."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


class TestSnapshot:
    STATE = {  # noqa: RUF012
        "numbers": [1, -(2**70), 0.1, float("inf"), -float("inf"), float("nan"), True, None, 5e-324],
        3: ("a", ("b", [])),
        "$tensor": {"$float": "no"},
        ("a", 1): Counter({2: 3}),
        "queue": deque([1, 2]),
        "dtype": np.dtype("float32"),
        "array": np.array([[1, 2]], np.uint64),
    }

    def test_round_trip(self, tmp_path):
        state = {
            **self.STATE,
            "tensors": [tg.arange(3), tg.zeros(()), tg.ones(2, 0), tg.tensor([0.1]).astype("bfloat16")],
        }
        write_snapshot(state, tmp_path / "a.npz")
        assert same(read_snapshot(tmp_path / "a.npz"), state)

    def test_the_rest_is_json(self, tmp_path):
        write_snapshot({"x": tg.ones(2)}, tmp_path / "a.npz")
        with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
            assert json.loads(archive["state.json"].tobytes()) == {"$dict": [["x", {"$tensor": "array0"}]]}
            assert archive["array0"].tolist() == [1, 1]

    def test_what_it_cannot_hold(self, tmp_path):
        with pytest.raises(TypeError, match=r"state\['a'\]\[1\] is a function"):
            write_snapshot({"a": [1, lambda: 1]}, tmp_path / "a.npz")
        with pytest.raises(TypeError, match=r"state\['when'\]: .*datetime64"):
            write_snapshot({"when": np.array(["2020"], "datetime64[D]")}, tmp_path / "a.npz")
        assert os.listdir(tmp_path) == []

    def test_every_changed_byte_is_found(self, tmp_path):
        path = tmp_path / "a.npz"
        write_snapshot({"x": tg.arange(3), "y": [1.5, "text"]}, path)
        whole = path.read_bytes()
        expected = read_snapshot(path)
        refused = 0
        for place in range(0, len(whole), 7):
            changed = bytearray(whole)
            changed[place] ^= 0x10
            path.write_bytes(changed)
            try:
                assert same(read_snapshot(path), expected), place  # a byte that says nothing, such as a date
            except CorruptError:
                refused += 1
        assert refused > len(whole) // 7 // 2
        for length in range(0, len(whole), 11):
            path.write_bytes(whole[:length])
            with pytest.raises(CorruptError):
                read_snapshot(path)

    def test_content_that_was_exchanged(self, tmp_path):
        path = tmp_path / "a.npz"
        write_snapshot({"x": tg.arange(3)}, path)
        arrays = tg.load(path)
        tg.save({**arrays, "array0": tg.arange(3) + 1}, path)
        with pytest.raises(CorruptError, match="does not have the checksum"):
            read_snapshot(path)
        tg.save({"x": tg.ones(1)}, path)
        with pytest.raises(CorruptError, match=r"it has no state\.json"):
            read_snapshot(path)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("state.json.npy", b"cos\nsystem\n")
        with pytest.raises(CorruptError):
            read_snapshot(path)
        with pytest.raises(FileNotFoundError):
            read_snapshot(tmp_path / "missing.npz")


def steps(checkpoint: Checkpoint) -> list[int]:
    return [int(path.stem.split("-")[1]) for path in checkpoint.paths()]


class TestFiles:
    def test_last_and_best_are_kept(self, tmp_path):
        checkpoint = Checkpoint(tmp_path / "new" / "folder", keep_last=2, keep_best=2)
        values = [5.0, 1.0, 4.0, 1.0, float("nan"), 3.0, None, 2.0]
        for step, value in enumerate(values, 1):
            checkpoint.save(step, value)
        assert steps(checkpoint) == [2, 4, 7, 8]
        assert checkpoint.best() == checkpoint.paths()[0]
        again = Checkpoint(tmp_path / "new" / "folder", keep_last=1, keep_best=1, mode="max")
        assert again.best().name == "step-0000000008.npz"
        again.save(9, 1.5)
        assert steps(again) == [8, 9]

    def test_nothing_yet(self, tmp_path):
        checkpoint = Checkpoint(tmp_path / "none")
        assert checkpoint.restore() is None
        assert checkpoint.best() is None
        assert checkpoint.paths() == []

    def test_back_to_the_one_before(self, tmp_path):
        model = nn.Linear(2, 2)
        checkpoint = Checkpoint(tmp_path, keep_last=3)
        for step in (1, 2, 3):
            model.weight._data[...] = step
            checkpoint.save(step, model=model)
        last, middle = checkpoint.paths()[2], checkpoint.paths()[1]
        last.write_bytes(last.read_bytes()[:-100])
        middle.write_bytes(b"")
        model.weight._data[...] = 0
        with pytest.warns(UserWarning, match=r"step-\d+\.npz is not used") as warned:
            assert Checkpoint(tmp_path).restore(model=model)["step"] == 1
        assert len(warned) == 2
        assert model.weight.tolist() == [[1, 1], [1, 1]]

    def test_corrupt_ones_go_with_the_next(self, tmp_path):
        Checkpoint(tmp_path).save(1)
        Checkpoint(tmp_path).save(5)
        (tmp_path / "step-0000000005.npz").write_bytes(b"?")
        (tmp_path / ".step-0000000006.npz.abc.tmp").write_bytes(b"half")
        again = Checkpoint(tmp_path)
        with pytest.warns(UserWarning, match="step-0000000005"):
            again.restore()
        again.save(3)
        assert sorted(os.listdir(tmp_path)) == ["step-0000000001.npz", "step-0000000003.npz"]

    def test_all_corrupt(self, tmp_path):
        checkpoint = Checkpoint(tmp_path)
        checkpoint.save(1).write_bytes(b"?")
        with pytest.warns(UserWarning, match="not used"), pytest.raises(ValueError, match="all 1 checkpoints"):
            checkpoint.restore()

    def test_a_save_that_fails_leaves_the_others(self, tmp_path, monkeypatch):
        checkpoint = Checkpoint(tmp_path, keep_last=1)
        checkpoint.save(1, note="old")
        monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
        with pytest.raises(OSError, match="full"):
            checkpoint.save(2, note="new")
        assert os.listdir(tmp_path) == ["step-0000000001.npz"]
        assert checkpoint.restore()["note"] == "old"

    def test_random_generators(self, tmp_path):
        def drawn() -> list[Any]:
            return [tg.rand(3).tolist(), np.random.rand(3).tolist(), random.random()]  # noqa: NPY002

        checkpoint = Checkpoint(tmp_path)
        checkpoint.save(1)
        expected = drawn()
        checkpoint.restore()
        assert drawn() == expected

    def test_names(self, tmp_path):
        checkpoint = Checkpoint(tmp_path)
        path = checkpoint.save(4, 0.5, model=nn.Linear(1, 1), epoch=3)
        assert checkpoint.load(path)["epoch"] == 3
        assert checkpoint.load(path)["value"] == 0.5
        other = nn.Linear(1, 1)
        before = tg.random.get_rng_state()
        with pytest.raises(KeyError, match="nothing was saved as 'other'; saved were model, epoch"):
            checkpoint.restore(other=other)
        assert (tg.random.get_rng_state() == before).all()

    def test_options(self, tmp_path):
        for options in ({"keep_last": 0}, {"keep_best": -1}, {"every_steps": 0}, {"mode": "best"}):
            with pytest.raises(ValueError, match="Checkpoint: "):
                Checkpoint(tmp_path, **options)


OPTIMIZERS = [
    "SGD",
    "Adam",
    "AdamW",
    "NAdam",
    "RAdam",
    "Adamax",
    "Adagrad",
    "Adadelta",
    "RMSprop",
    "Rprop",
    "ASGD",
    "Lion",
]
SCHEDULES = {
    "StepLR": lambda o: lr_scheduler.StepLR(o, 2),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [2, 3]),
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 1 / (epoch + 1)),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=20),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, cycle_momentum=False),
    "ReduceLROnPlateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0, threshold=1.0),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 2),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o), lr_scheduler.ExponentialLR(o, 0.9)], [2]
    ),
}


class Killed(Exception):  # noqa: N818
    pass


class Kill(tg.train.Callback):
    def __init__(self, at: int) -> None:
        self.at = at

    def on_step_end(self, run: Any) -> None:
        if run.step == self.at:
            raise Killed


class Bench:
    """One training run, always built the same way."""

    def __init__(self, folder: Path, optimizer: str = "Adam", schedule: str = "StepLR", kill: int = -1, **options: Any):
        tg.manual_seed(1)
        self.device = options.pop("device", "cpu")
        x = tg.randn(22, 3, generator=tg.random.Generator().manual_seed(2))
        y = (x[:, 0] > 0).astype("int64")
        norm = nn.Identity() if "amp" in options else nn.BatchNorm1d(8)
        self.model = nn.Sequential(nn.Linear(3, 8), norm, nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2))
        self.model.to(self.device)
        self.optimizer = getattr(tg.optim, optimizer)(self.model.parameters(), lr=0.02)
        self.scheduler = SCHEDULES[schedule](self.optimizer)
        self.loader = options.pop("loader", None) or DataLoader(TensorDataset(x, y), batch_size=4, shuffle=True)
        self.callbacks = [Kill(kill), EarlyStopping(patience=100), Checkpoint(folder, every_steps=2, keep_last=2)]
        self.validation = DataLoader(TensorDataset(x, y), batch_size=11)
        self.options = options

    def fit(self, resume: bool = False) -> Any:
        return fit(self.model, self.loader, nn.CrossEntropyLoss(), self.optimizer, 3, self.validation, progress=False,
                   scheduler=self.scheduler, callbacks=self.callbacks, resume=resume, device=self.device,
                   **self.options)  # fmt: skip

    def state(self) -> Any:
        optimizer = self.optimizer.state_dict()
        scheduler = {k: v for k, v in self.scheduler.state_dict().items() if k != "_started_at"}
        return [dict(self.model.state_dict()), optimizer, scheduler if "_schedulers" not in scheduler else None,
                tg.random.get_rng_state()]  # fmt: skip


def continued(tmp_path: Path, at: int, **options: Any) -> None:
    """A run that ends at a step and is resumed has the weights, states and history of one that does not."""
    whole = Bench(tmp_path / "whole", **options)
    expected = whole.fit()
    first = Bench(tmp_path / "cut", kill=at, **options)
    with pytest.raises(Killed):
        first.fit()
    second = Bench(tmp_path / "cut", **options)
    tg.manual_seed(99)
    history = second.fit(resume=True)
    assert same(second.state(), whole.state())
    assert {k: v for k, v in vars(history).items() if k != "samples_per_second"} == {
        k: v for k, v in vars(expected).items() if k != "samples_per_second"
    }


class TestResume:
    @pytest.mark.parametrize("at", [3, 4, 5, 6, 7, 9, 12, 13, 17, 18])
    def test_at_any_step(self, tmp_path, at):
        continued(tmp_path, at)

    @pytest.mark.parametrize("optimizer", OPTIMIZERS)
    def test_optimizers(self, tmp_path, optimizer):
        continued(tmp_path, 9, optimizer=optimizer)

    @pytest.mark.parametrize("schedule", SCHEDULES)
    def test_schedules(self, tmp_path, schedule):
        continued(tmp_path, 9, optimizer="SGD", schedule=schedule)

    @pytest.mark.parametrize(
        "options",
        [{"accumulate": 2}, {"accumulate": 4, "clip_grad_norm": 0.1}, {"amp": "float16"}, {"amp": True}],
        ids=str,
    )
    def test_options(self, tmp_path, options):
        continued(tmp_path, 5, **options)

    def test_devices(self, tmp_path, device):
        continued(tmp_path, 9, device=device)

    def test_a_loader_that_does_not_know_its_position(self, tmp_path):
        x = tg.randn(22, 3, generator=tg.random.Generator().manual_seed(2))
        batches = [(x[i : i + 4], (x[i : i + 4, 0] > 0).astype("int64")) for i in range(0, 22, 4)]
        continued(tmp_path, 9, loader=batches)

    def test_a_finished_run_does_nothing(self, tmp_path):
        run = Bench(tmp_path)
        expected = run.fit()
        again = Bench(tmp_path)
        assert again.fit(resume=True) == expected
        assert same(again.state(), run.state())

    def test_a_run_that_was_stopped_stays_stopped(self, tmp_path):
        run = Bench(tmp_path)
        run.callbacks[1] = EarlyStopping(patience=1, min_delta=1e9)
        assert run.fit().epochs == [1, 2]
        again = Bench(tmp_path)
        assert again.fit(resume=True).epochs == [1, 2]

    def test_refused(self, tmp_path):
        run = Bench(tmp_path)
        run.fit()
        with pytest.raises(ValueError, match="has the checkpoints of another run"):
            Bench(tmp_path).fit()
        other = Bench(tmp_path)
        other.callbacks.pop(1)
        with pytest.raises(ValueError, match="of a run with 3 callbacks, this run has 2"):
            other.fit(resume=True)
        other = Bench(tmp_path)
        other.scheduler = None
        with pytest.raises(ValueError, match=r"states of .*scheduler.*, this run has"):
            other.fit(resume=True)
        other.callbacks = []
        with pytest.raises(ValueError, match="needs a Checkpoint"):
            other.fit(resume=True)

    def test_per_step_schedules(self, tmp_path):
        def build(folder: Path, kill: int = -1) -> Bench:
            bench = Bench(folder, optimizer="SGD", kill=kill)
            bench.scheduler = lr_scheduler.OneCycleLR(bench.optimizer, 0.1, total_steps=30)
            bench.callbacks.insert(0, LearningRate(bench.scheduler))
            return bench

        def train(bench: Bench, resume: bool = False) -> Any:
            schedule, bench.scheduler = bench.scheduler, None
            bench.fit(resume)
            return schedule.get_last_lr(), dict(bench.model.state_dict())

        expected = train(build(tmp_path / "whole"))
        with pytest.raises(Killed):
            train(build(tmp_path / "cut", 7))
        assert same(train(build(tmp_path / "cut"), resume=True), expected)


PROGRAM = """
import os, sys
os.fsync = lambda descriptor: None  # a kill, unlike a power cut, loses nothing that was written
import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.data import DataLoader, Dataset

class Noisy(Dataset):
    def __len__(self):
        return 40
    def __getitem__(self, i):
        return tg.randn(4) + i % 2, i % 2

tg.manual_seed(3)
model = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 2))
optimizer = tg.optim.AdamW(model.parameters(), lr=0.01)
scheduler = tg.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
loader = DataLoader(Noisy(), batch_size=4, shuffle=True, num_workers=2)
checkpoint = tg.train.Checkpoint(sys.argv[1], every_steps=1, keep_last=2)

class Say(tg.train.Callback):
    def on_step_end(self, run):
        print(run.step, flush=True)

tg.train.fit(model, loader, nn.CrossEntropyLoss(), optimizer, 6, progress=False, scheduler=scheduler,
             callbacks=[Say(), checkpoint], resume=True)
tg.save(model.state_dict(), sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_killed_at_any_moment(tmp_path):
    """SIGKILL at moments that nothing chooses, again and again: at the end the weights are those of an unbroken run."""
    program = [sys.executable, "-W", "error", "-c", textwrap.dedent(PROGRAM)]

    def finish(name: str) -> bytes:
        command = [*program, str(tmp_path / name), str(tmp_path / f"{name}.npz")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return b"".join(np.ascontiguousarray(x.numpy()).tobytes() for x in tg.load(tmp_path / f"{name}.npz").values())

    expected = finish("whole")
    moments = random.Random(4)
    killed = 0
    for _ in range(6):
        command = [*program, str(tmp_path / "cut"), str(tmp_path / "cut.npz")]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            for _ in range(moments.randrange(3, 9)):
                process.stdout.readline()
            time.sleep(moments.random() * 0.01)  # anywhere in a step, or in the writing of a checkpoint
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
    assert killed == 6
    assert finish("cut") == expected
