"""The training loop: `fit`, `evaluate`, and the `History` of a run.

The loop never waits for the device within a step. What a step measures (loss, correct predictions) is written into a
small table on the device and read back a few times per second, when the progress bar shows it.
"""

from __future__ import annotations

from .history import History
from .loop import evaluate, fit

__all__ = ["History", "evaluate", "fit"]
