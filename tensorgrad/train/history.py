"""What a training run measured, epoch by epoch."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["History"]


@dataclass
class History:
    """What `fit` measured, one entry per completed epoch in every list; lists of what was not measured are empty.

    Attributes
    ----------
    epochs : list of int
        1, 2, 3, ...
    train_loss, validation_loss : list of float
        Mean over the samples. In training each batch counts as the model was when it saw it.
    train_accuracy, validation_accuracy : list of float
        Fraction of correct predictions, where the targets are class indices.
    samples_per_second : list of float
        Speed of training, validation not included.
    metrics : dict of list of float
        ``train_<name>`` and ``validation_<name>`` for each metric given to `fit`.
    interrupted : bool
        Whether KeyboardInterrupt (Ctrl-C) ended the run; the epoch that it cut short is not in the lists.
    """

    epochs: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    samples_per_second: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    interrupted: bool = False

    def columns(self) -> dict[str, list[float]]:
        """Every list that has entries, by name.

        Examples
        --------
        >>> import tensorgrad as tg
        >>> tg.train.History(epochs=[1, 2], train_loss=[0.9, 0.5]).columns()
        {'epoch': [1, 2], 'train_loss': [0.9, 0.5]}
        """
        named: dict[str, list[float]] = {
            "epoch": [*self.epochs],
            "train_loss": self.train_loss,
            "train_accuracy": self.train_accuracy,
            "validation_loss": self.validation_loss,
            "validation_accuracy": self.validation_accuracy,
            **self.metrics,
            "samples_per_second": self.samples_per_second,
        }
        return {name: values for name, values in named.items() if values}

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write one line per epoch, with the names of the columns in the first."""
        columns = self.columns()
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the curves of loss and accuracy; needs matplotlib. See `tensorgrad.viz.curves`.

        Returns
        -------
        matplotlib.figure.Figure
            A notebook shows it; with a path it is written there too.
        """
        from ..viz import curves

        return curves(self, path)

    def append(self, prefix: str, means: Mapping[str, float]) -> None:
        """Add the means of an epoch, as `evaluate` gives them, to the lists ``<prefix>_<name>``."""
        for name, value in means.items():
            if name in ("loss", "accuracy"):
                getattr(self, f"{prefix}_{name}").append(value)
            else:
                self.metrics.setdefault(f"{prefix}_{name}", []).append(value)
