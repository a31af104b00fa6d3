"""The training loop: `fit`, `evaluate`, the `History` of a run, and callbacks such as `Checkpoint`.

The loop never waits for the device within a step. What a step measures (loss, correct predictions) is written into a
small table on the device and read back a few times per second, when the progress bar shows it.
"""

from __future__ import annotations

from .callbacks import Callback, CSVLogger, EarlyStopping, LearningRate
from .checkpoint import Checkpoint
from .history import History
from .loop import evaluate, fit
from .run import Run
from .tensorboard import TensorBoard

__all__ = [
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "History",
    "LearningRate",
    "Run",
    "TensorBoard",
    "evaluate",
    "fit",
]
