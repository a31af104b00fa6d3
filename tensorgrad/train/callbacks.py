"""What `fit` calls besides training: the base class of callbacks, and those that need no library."""

from __future__ import annotations

import math
import os
from typing import Any, Literal

from ..io import replacing
from .history import History
from .run import Run

__all__ = ["CSVLogger", "Callback", "EarlyStopping", "LearningRate", "better", "check_mode", "monitored"]


class Callback:
    """Base class: override what is to happen. Callbacks with `state_dict` and `load_state_dict` resume with the run."""

    def on_fit_start(self, run: Run) -> None:
        """Before the first epoch, and before a run that is resumed has its state."""

    def on_epoch_start(self, run: Run) -> None:
        """Before the first batch of an epoch."""

    def on_step_end(self, run: Run) -> None:
        """After a step of the optimizer."""

    def on_epoch_end(self, run: Run) -> None:
        """After an epoch, its validation and its entry in the history."""

    def on_fit_end(self, run: Run) -> None:
        """After the last epoch, on Ctrl-C and on an error too."""


def monitored(history: History, name: str) -> float:
    """The latest value of a column of the history; the training loss stands in for a validation loss that is missing.

    Raises
    ------
    KeyError
        If there is no such column.
    """
    columns = history.columns()
    if name == "validation_loss" and name not in columns:
        name = "train_loss"
    if name not in columns:
        raise KeyError(f"monitor: the run measures no {name!r}; it measures {', '.join(columns)}")
    return float(columns[name][-1])


def better(mode: str, value: float, best: float | None, least: float = 0.0) -> bool:
    """Whether a value is better than the best by more than ``least``; NaN never is."""
    if math.isnan(value):
        return False
    if best is None:
        return True
    return value < best - least if mode == "min" else value > best + least


def check_mode(name: str, mode: str) -> None:
    """Raise unless the mode is one of the two."""
    if mode not in ("min", "max"):
        raise ValueError(f"{name}: mode must be 'min' or 'max', got {mode!r}")


class EarlyStopping(Callback):
    """End the run when a measured value has not become better for some epochs.

    Parameters
    ----------
    patience : int
        How many epochs in a row may pass without the value becoming better.
    monitor : str
        A column of the `History`.
    mode : {"min", "max"}
        Whether smaller or larger is better.
    min_delta : float
        By how much a value must be better to count.

    Attributes
    ----------
    best : float or None
        The best value.
    best_epoch : int
        The epoch that it is of.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.ones(4, 1)
    >>> loader = tg.data.DataLoader(tg.data.TensorDataset(x, x), batch_size=2)
    >>> model = tg.nn.Linear(1, 1)
    >>> optimizer = tg.optim.SGD(model.parameters(), lr=0.0)
    >>> stopping = tg.train.EarlyStopping(patience=2)
    >>> tg.train.fit(model, loader, tg.nn.MSELoss(), optimizer, 100, progress=False, callbacks=[stopping]).epochs
    [1, 2, 3]
    """

    def __init__(
        self,
        patience: int = 5,
        monitor: str = "validation_loss",
        mode: Literal["min", "max"] = "min",
        min_delta: float = 0.0,
    ) -> None:
        check_mode("EarlyStopping", mode)
        if patience < 1 or min_delta < 0:
            raise ValueError(
                f"EarlyStopping: patience must be at least 1 and min_delta not negative, got {patience}, {min_delta}"
            )
        self.patience = patience
        self.monitor = monitor
        self.mode = mode
        self.min_delta = min_delta
        self.best: float | None = None
        self.best_epoch = 0

    def on_epoch_end(self, run: Run) -> None:
        """Compare, and stop the run if it is time."""
        value = monitored(run.history, self.monitor)
        if better(self.mode, value, self.best, self.min_delta):
            self.best, self.best_epoch = value, run.epoch
        if run.epoch - self.best_epoch >= self.patience:
            run.stop(f"{self.monitor} was best at epoch {self.best_epoch}: {self.best}")

    def state_dict(self) -> dict[str, Any]:
        """The best value and its epoch."""
        return {"best": self.best, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.best, self.best_epoch = state_dict["best"], state_dict["best_epoch"]


class LearningRate(Callback):
    """A schedule of the learning rate that steps with the optimizer, as `OneCycleLR` is made for, or with the epochs.

    Parameters
    ----------
    scheduler : LRScheduler
        Its ``step`` takes no value; for one that does, use the ``scheduler`` of `fit`.
    every : {"step", "epoch"}
    """

    def __init__(self, scheduler: Any, every: Literal["step", "epoch"] = "step") -> None:
        if every not in ("step", "epoch"):
            raise ValueError(f"LearningRate: every must be 'step' or 'epoch', got {every!r}")
        self.scheduler = scheduler
        self.every = every

    def on_step_end(self, run: Run) -> None:
        """Step, if it is one with the optimizer."""
        if self.every == "step":
            self.scheduler.step()

    def on_epoch_end(self, run: Run) -> None:
        """Step, if it is one with the epochs."""
        if self.every == "epoch":
            self.scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        """That of the schedule."""
        state: dict[str, Any] = self.scheduler.state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.scheduler.load_state_dict(state_dict)


class CSVLogger(Callback):
    """Write the history into a CSV file after each epoch, a line per epoch; the file is whole at every moment.

    Parameters
    ----------
    path : str or path-like
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path

    def on_epoch_end(self, run: Run) -> None:
        """Write all lines anew, so that a run that is resumed has each epoch once."""
        with replacing(os.path.realpath(self.path)) as temporary:
            run.history.to_csv(temporary)
