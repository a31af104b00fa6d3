"""Logging for TensorBoard."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from .callbacks import Callback
from .run import Run

__all__ = ["TensorBoard"]


class TensorBoard(Callback):
    """Write the measured values and the learning rates of each epoch as scalars that TensorBoard shows.

    Needs one of the packages tensorboardX and tensorboard.

    Parameters
    ----------
    directory : str or path-like
        Where the event files go.

    Raises
    ------
    ImportError
        If neither package is installed.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = os.fspath(directory)
        self._open = _opener()
        self._writer: Any = None

    def on_fit_start(self, run: Run) -> None:
        """Open an event file."""
        self._writer = self._open(self.directory)

    def on_epoch_end(self, run: Run) -> None:
        """Write the values of the epoch."""
        for name, column in run.history.columns().items():
            if name != "epoch":
                self._writer.add_scalar(name, column[-1], run.epoch)
        for i, group in enumerate(run.optimizer.param_groups):
            self._writer.add_scalar(f"learning_rate/{i}", float(group["lr"]), run.epoch)
        self._writer.flush()

    def on_fit_end(self, run: Run) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _opener() -> Callable[[str], Any]:
    """What opens an event file in a directory, by whichever of the two packages there is."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        pass
    else:
        opener: Callable[[str], Any] = SummaryWriter
        return opener
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError:
        raise ImportError("TensorBoard needs tensorboardX or tensorboard: pip install tensorboardX") from None

    def opened(directory: str) -> Any:
        writer = EventFileWriter(directory)

        def add_scalar(name: str, value: float, step: int) -> None:
            summary = Summary(value=[Summary.Value(tag=name, simple_value=value)])
            writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))

        writer.add_scalar = add_scalar  # as the other package's has
        return writer

    return opened
