"""A training run: what its parts are, where it is, and how it is saved and resumed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .history import History

__all__ = ["Run"]

_PARTS = ("model", "optimizer", "scheduler", "scaler", "loader", "validation")


class Run:
    """A training run, as `fit` shows it to its callbacks.

    Attributes
    ----------
    model, optimizer, loader, scheduler, scaler, validation
        What `fit` was given; None where nothing was.
    epochs : int
        How many epochs there are to be.
    epoch : int
        The current one, from 1; between epochs the one that ended.
    step : int
        How many steps the optimizer has made in all.
    batches : int
        How many batches of the current epoch were seen; 0 between epochs.
    history : History
        The epochs that are complete.
    loss : Tensor or None
        Of the latest batch; reading it waits for the device.
    stopped : str or None
        Why the run ends after this epoch, if it does.
    """

    def __init__(self, callbacks: Sequence[Any], epochs: int, **parts: Any) -> None:
        self.model: Any = None
        self.optimizer: Any = None
        self.loader: Any = None
        self.scheduler: Any = None
        self.scaler: Any = None
        self.validation: Any = None
        self.__dict__.update(parts)
        self.callbacks = callbacks
        self.epochs = epochs
        self.epoch = 0
        self.step = 0
        self.batches = 0
        self.history = History()
        self.loss: Any = None
        self.stopped: str | None = None
        self.measured: Any = None  # of the current epoch; None between epochs
        self.resumed: dict[str, Any] | None = None  # what was measured before, when an epoch is resumed

    def stop(self, reason: str) -> None:
        """Let the run end after this epoch."""
        self.stopped = reason

    def call(self, event: str) -> None:
        """Call a method of every callback."""
        for callback in self.callbacks:
            getattr(callback, event)(self)

    def state_dict(self) -> dict[str, Any]:
        """The states of all parts and callbacks, and where the run is.

        Raises
        ------
        FloatingPointError
            If a loss of this epoch is not finite.
        """
        parts = {name: getattr(self, name) for name in _PARTS}
        return {
            "parts": {name: x.state_dict() for name, x in parts.items() if hasattr(x, "state_dict")},
            "callbacks": [c.state_dict() if hasattr(c, "state_dict") else None for c in self.callbacks],
            "epoch": self.epoch,
            "step": self.step,
            "batches": self.batches,
            "history": dict(vars(self.history)),
            "stopped": self.stopped,
            "measured": None if self.measured is None else self.measured.state(self.epoch),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go to where `state_dict` was called.

        Raises
        ------
        ValueError
            If this run has other parts or callbacks than the one that was saved.
        """
        parts = {name for name in _PARTS if hasattr(getattr(self, name), "state_dict")}
        if parts != set(state_dict["parts"]):
            raise ValueError(
                f"fit: the checkpoint has states of {', '.join(sorted(state_dict['parts']))}, this run has "
                f"{', '.join(sorted(parts))}"
            )
        states = state_dict["callbacks"]
        if [s is not None for s in states] != [hasattr(c, "state_dict") for c in self.callbacks]:
            raise ValueError(
                f"fit: the checkpoint is of a run with {len(states)} callbacks, this run has {len(self.callbacks)}, or "
                "others; give the same in the same order"
            )
        for name in parts:
            getattr(self, name).load_state_dict(state_dict["parts"][name])
        for callback, state in zip(self.callbacks, states, strict=True):
            if state is not None:
                callback.load_state_dict(state)
        self.epoch = state_dict["epoch"]
        self.step = state_dict["step"]
        self.batches = state_dict["batches"]
        self.history.__dict__.update(state_dict["history"])
        self.stopped = state_dict["stopped"]
        self.resumed = state_dict["measured"]
