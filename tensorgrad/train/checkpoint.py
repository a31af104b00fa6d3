"""Checkpoints on the disk: complete ones or none, the latest and the best, and back from them."""

from __future__ import annotations

import os
import random
import re
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..random import get_rng_state, set_rng_state
from .callbacks import Callback, better, check_mode, monitored
from .run import Run
from .snapshot import CorruptError, read_snapshot, write_snapshot

__all__ = ["Checkpoint"]

_NAME = re.compile(r"step-(\d+)\.npz")


class Checkpoint(Callback):
    """Saves all that a training run consists of, and brings it back to the bit.

    As a callback of `fit`, with ``fit(..., resume=True)`` to go on. In a loop of your own, call `save` and `restore`.

    Parameters
    ----------
    directory : str or path-like
        Made if it is not there. One run has it for itself.
    keep_last : int
        How many of the latest checkpoints to keep, at least 1.
    keep_best : int
        How many of the best to keep besides.
    monitor : str
        The column of the `History` that says which are the best. The training loss stands in for a validation loss
        that is missing.
    mode : {"min", "max"}
        Whether smaller or larger is better.
    every_steps : int, optional
        Save after so many steps of the optimizer too, not only after each epoch.

    Notes
    -----
    A checkpoint is a file ``step-<number>.npz``: arrays, a JSON text, and a SHA-256 checksum over both; nothing is
    unpickled. It is written under another name, flushed to the disk and renamed, and the directory is flushed, before
    an older one is deleted: a program may be killed at any moment. A file that is truncated or changed is not used; the
    one before it is, with a warning.

    Examples
    --------
    >>> import tempfile
    >>> import tensorgrad as tg
    >>> model = tg.nn.Linear(2, 1)
    >>> optimizer = tg.optim.Adam(model.parameters())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoint = tg.train.Checkpoint(folder)
    ...     path = checkpoint.save(10, model=model, optimizer=optimizer, note="warm")
    ...     checkpoint.restore(model=model, optimizer=optimizer)["note"]
    'warm'
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        keep_last: int = 2,
        keep_best: int = 1,
        monitor: str = "validation_loss",
        mode: Literal["min", "max"] = "min",
        every_steps: int | None = None,
    ) -> None:
        check_mode("Checkpoint", mode)
        if keep_last < 1 or keep_best < 0 or (every_steps is not None and every_steps < 1):
            raise ValueError(
                "Checkpoint: keep_last must be at least 1, keep_best at least 0 and every_steps at least 1, got "
                f"{keep_last}, {keep_best} and {every_steps}"
            )
        self.directory = Path(directory)
        self.keep_last = keep_last
        self.keep_best = keep_best
        self.monitor = monitor
        self.mode = mode
        self.every_steps = every_steps
        self._values: dict[Path, float | None] = {}  # of the files that are known to be whole
        self._corrupt: set[Path] = set()

    # ---------------------------------------------------------------------------------------------------------- files
    def paths(self) -> list[Path]:
        """The checkpoints in the directory, the oldest first."""
        if not self.directory.exists():
            return []
        found = [path for path in self.directory.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(found, key=_step_of)

    def best(self) -> Path | None:
        """The best checkpoint, if one has a value; of equal ones the first."""
        self._look()
        ranked = self._ranked()
        return ranked[0] if ranked else None

    def _ranked(self) -> list[Path]:
        """Those that have a value, the best first."""
        scored = [(value, path) for path, value in self._values.items() if value is not None]
        sign = 1 if self.mode == "min" else -1
        return [path for _, path in sorted(scored, key=lambda pair: (sign * pair[0], _step_of(pair[1])))]

    def _look(self) -> None:
        """Get to know the files that are there."""
        for path in self.paths():
            if path not in self._values and path not in self._corrupt:
                self._read(path)

    def _read(self, path: Path) -> dict[str, Any] | None:
        """What a checkpoint holds; None if it is not whole."""
        try:
            state: dict[str, Any] = read_snapshot(path)
        except CorruptError as error:
            self._corrupt.add(path)
            self._values.pop(path, None)
            warnings.warn(f"Checkpoint: {path.name} is not used: {error}", stacklevel=3)
            return None
        self._values[path] = state["value"]
        return state

    def _prune(self) -> None:
        """Delete what is neither among the last nor among the best, what is corrupt, and what was never finished."""
        whole = sorted(self._values, key=_step_of)
        keep = {*whole[-self.keep_last :], *self._ranked()[: self.keep_best]}
        for path in (*(p for p in whole if p not in keep), *self._corrupt):
            path.unlink(missing_ok=True)
            self._values.pop(path, None)
        self._corrupt.clear()
        for path in self.directory.glob(".step-*.npz.*.tmp"):
            path.unlink(missing_ok=True)

    # ------------------------------------------------------------------------------------------------ save and restore
    def save(self, step: int, value: float | None = None, **objects: Any) -> Path:
        """Write a checkpoint, with the state of the random generators in it.

        Parameters
        ----------
        step : int
            Its number; the one with the largest is the latest.
        value : float, optional
            What `monitor` measured. Without one, or with NaN, it is not among the best.
        **objects
            What has ``state_dict()``, and plain values: numbers, strings, tensors, arrays and containers of them.

        Returns
        -------
        Path

        Raises
        ------
        TypeError
            If a state holds something that a checkpoint cannot, such as a function.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        self._look()
        comparable = value if value is not None and better(self.mode, value, None) else None
        path = self.directory / f"step-{step:010d}.npz"
        states = {name: x.state_dict() if hasattr(x, "state_dict") else x for name, x in objects.items()}
        write_snapshot({"step": step, "value": comparable, "random": _random_states(), "objects": states}, path)
        self._corrupt.discard(path)
        self._values[path] = comparable
        self._prune()
        return path

    def load(self, path: str | os.PathLike[str]) -> dict[str, Any]:
        """The states in a checkpoint, by name, and its ``step`` and ``value``; nothing is restored.

        Raises
        ------
        ValueError
            If it is corrupt.
        """
        state = read_snapshot(path)
        return {"step": state["step"], "value": state["value"], **state["objects"]}

    def restore(self, **objects: Any) -> dict[str, Any] | None:
        """Go back to the latest checkpoint that is whole, the random generators included.

        Parameters
        ----------
        **objects
            What has ``load_state_dict``, under the names that it was saved by.

        Returns
        -------
        dict or None
            ``step``, ``value`` and what else was saved, by name; None if there is no checkpoint.

        Raises
        ------
        KeyError
            If nothing was saved under a name; nothing is restored then.
        ValueError
            If there are checkpoints and all are corrupt.
        """
        found = self._latest()
        if found is None:
            return None
        states = found["objects"]
        missing = [name for name in objects if name not in states]
        if missing:
            raise KeyError(f"Checkpoint: nothing was saved as {missing[0]!r}; saved were {', '.join(states)}")
        for name, x in objects.items():
            x.load_state_dict(states[name])
        _set_random_states(found["random"])
        rest = {name: state for name, state in states.items() if name not in objects}
        return {"step": found["step"], "value": found["value"], **rest}

    def _latest(self) -> dict[str, Any] | None:
        paths = self.paths()
        for path in reversed(paths):
            state = self._read(path)
            if state is not None:
                return state
        if paths:
            raise CorruptError(f"Checkpoint: all {len(paths)} checkpoints in {os.fspath(self.directory)!r} are corrupt")
        return None

    # --------------------------------------------------------------------------------------------------- as a callback
    def on_step_end(self, run: Run) -> None:
        """Save, if it is time."""
        if self.every_steps is not None and run.step % self.every_steps == 0:
            self.save(run.step, run=run)

    def on_epoch_end(self, run: Run) -> None:
        """Save, with the value of the epoch."""
        self.save(run.step, monitored(run.history, self.monitor), run=run)


def _step_of(path: Path) -> int:
    found = _NAME.fullmatch(path.name)
    assert found is not None
    return int(found[1])


def _random_states() -> dict[str, Any]:
    return {
        "default": get_rng_state(),
        "numpy": np.random.get_state(),  # noqa: NPY002 - a user's data set may draw from it
        "python": random.getstate(),
    }


def _set_random_states(states: dict[str, Any]) -> None:
    set_rng_state(states["default"])
    np.random.set_state(states["numpy"])  # noqa: NPY002
    random.setstate(states["python"])
