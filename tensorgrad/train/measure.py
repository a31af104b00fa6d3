"""What the steps of an epoch measure, without waiting for the device."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import kernels as K
from ..backend import device_of, empty, to_numpy
from ..dtypes import float64
from ..tape import no_grad
from ..tensor import Tensor

__all__ = ["Loss", "Measurements", "Metrics"]

Loss = Callable[..., Tensor]
Metrics = Mapping[str, Callable[[Tensor, Tensor], Tensor]]


class Measurements:
    """The means over an epoch of what its steps measure.

    A step writes its numbers into a row of a table on the device and goes on; `read` fetches the rows written since and
    adds them up in double precision.
    """

    _ROWS = 1024  # so many steps can pass between two reads

    def __init__(self, loss: Loss, metrics: Metrics | None) -> None:
        self.steps = 0
        self.samples = 0
        self._summed = getattr(loss, "reduction", "mean") == "sum"
        self._ignored = getattr(loss, "ignore_index", -100)
        self._metrics = dict(metrics or {})
        self._classes: bool | None = None
        self._table: Any = None
        self._slots: list[list[Any]] = []
        self._sizes: list[int] = []
        self._totals: np.ndarray[Any, np.dtype[np.float64]] | None = None
        self._weight = 0.0
        self._earlier = 0  # samples that were measured before the run was resumed
        self._started = time.perf_counter()
        self.samples_per_second = 0.0

    @property
    def full(self) -> bool:
        """Whether there is no room for another step before the next `read`."""
        return len(self._sizes) == self._ROWS

    def add(self, loss: Tensor, output: Tensor, target: Tensor) -> None:
        """Measure a step. Nothing is read back, unless the table is full."""
        if self.full:
            self.read()
        if self._classes is None:
            self._classes = _holds_classes(output, target)
        numbers = [loss._data]
        if self._classes:
            numbers += self._count(output._data, target._data)
        if self._metrics:
            with no_grad():
                numbers += [metric(output, target)._data for metric in self._metrics.values()]
        if self._table is None:
            self._table = empty((self._ROWS, len(numbers)), float64, device_of(numbers[0]))
        row = len(self._sizes)
        if row == len(self._slots):  # made once: views of single elements, 0-d arrays in NumPy and CuPy for this index
            self._slots.append([self._table[row, column, ...] for column in range(len(numbers))])
        for slot, number in zip(self._slots[row], numbers, strict=True):
            K.assign(slot, number.reshape(()))
        self._sizes.append(output.shape[0] if output.ndim else 1)

    def _count(self, output: Any, target: Any) -> list[Any]:
        """How many predictions are right, and how many count."""
        predicted = K.argmax(output, 1)
        if predicted.dtype != target.dtype:
            target = K.cast(target, predicted.dtype)
        facts = (K.equal(predicted, target), K.not_equal(target, self._ignored))
        return [K.sum(K.cast(fact, predicted.dtype)) for fact in facts]

    def read(self) -> tuple[int, float] | None:
        """Wait for the device and take in what was measured; the first step whose loss is not finite, and that loss."""
        if not self._sizes:
            return None
        count = len(self._sizes)
        rows = to_numpy(self._table[:count])
        sizes = np.array(self._sizes, np.float64)
        losses, others = rows[:, 0], rows[:, 3:] if self._classes else rows[:, 1:]
        weights = rows[:, 2] if self._classes else sizes  # what the mean of a step's loss is over
        parts = [losses if self._summed else losses * weights, *(others.T * sizes)]
        if self._classes:
            parts.append(rows[:, 1])
        # One after the other, so that the sums do not depend on when they are read.
        before = np.zeros(len(parts)) if self._totals is None else self._totals
        self._totals = np.add.accumulate(np.vstack([before, np.array(parts).T]))[-1]
        self._weight += float(weights.sum())
        wrong = np.flatnonzero(~np.isfinite(losses))
        first = (self.steps + int(wrong[0]) + 1, float(losses[wrong[0]])) if wrong.size else None
        self.steps += count
        self.samples += int(sizes.sum())
        self._sizes.clear()
        self.samples_per_second = (self.samples - self._earlier) / max(time.perf_counter() - self._started, 1e-9)
        return first

    def read_finite(self, epoch: int) -> None:
        """`read`, and raise if a loss is not finite."""
        first = self.read()
        if first is not None:
            step, value = first
            raise FloatingPointError(
                f"fit: the loss is {value} at epoch {epoch}, step {step}; look at that batch for values that are not "
                "finite, lower the learning rate, or clip the gradients"
            )

    def state(self, epoch: int) -> dict[str, Any]:
        """What was measured up to now, for `resume`."""
        self.read_finite(epoch)
        names = ("steps", "samples", "_classes", "_totals", "_weight")
        return {name: getattr(self, name) for name in names}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.__dict__.update(state)
        self._earlier = self.samples

    def means(self) -> dict[str, float]:
        """What has been read so far."""
        if self._totals is None:
            raise ValueError("the loader gave no batches")
        loss, *others = self._totals.tolist()
        weight = self._weight or float("nan")
        means = {"loss": loss / weight}
        if self._classes:
            means["accuracy"] = others.pop() / weight
        means.update({name: total / self.samples for name, total in zip(self._metrics, others, strict=True)})
        return means


def _holds_classes(output: Tensor, target: Tensor) -> bool:
    """Whether the target has the class indices of an output with classes along axis 1."""
    return (
        target.dtype.kind in "iu"
        and output.dtype.kind in "fV"
        and output.ndim == target.ndim + 1 >= 2
        and (output.shape[0], *output.shape[2:]) == target.shape
    )
