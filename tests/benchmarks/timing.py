"""How it is timed: the contenders take turns round by round, in several passes with fresh processes.

Taking turns gives all the same share of whatever else the machine is doing, and a ratio compares neighbours in time
only. A process can be slow for its whole life, for where its memory came to lie; hence the passes.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .contenders import REFERENCE
from .worker import Steps, Worker, WorkerError
from .workloads import WORKLOADS

__all__ = ["Comparison", "Effort", "Figures", "compare", "difference"]


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes
    ----------
    passes : int
        How often all start anew.
    rounds : int
        How often they take turns in each pass.
    seconds : float
        What a round of the fastest contender takes, if it is not one long step.
    compared : int
        Steps from the common start whose results are compared; they also warm up.
    threads : int
        For each contender.
    """

    passes: int
    rounds: int
    seconds: float
    compared: int
    threads: int


@dataclass
class Figures:
    """What came of one contender; times in microseconds per part of a step.

    Attributes
    ----------
    time : float
        Median over all timed steps.
    ratio : float or None
        Median over all rounds of its median step over that of `REFERENCE`; lowest and highest are the extremes.
    difference : float or None
        Largest difference from the results of `REFERENCE` in the first steps, relative to their largest element.
    memory : float
        Peak beyond what the import took, in MiB.
    start : float
        Seconds that the first steps of the first pass took beyond as many later ones.
    failed : str or None
        Why there are no figures.
    """

    time: float = 0.0
    ratio: float | None = None
    lowest: float | None = None
    highest: float | None = None
    difference: float | None = None
    memory: float = 0.0
    start: float = 0.0
    failed: str | None = None


@dataclass
class Comparison:
    """One row of the table: the figures by contender."""

    workload: str
    title: str
    figures: dict[str, Figures]

    def as_dict(self) -> dict[str, Any]:
        """Everything by name."""
        return asdict(self)


@dataclass
class _Record:
    """What was measured of one contender."""

    seconds: list[float] = field(default_factory=list)
    rounds: list[float] = field(default_factory=list)  # the median of each
    results: list[Any] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    memory: float = 0.0
    failed: str | None = None


def compare(workload: str, contenders: Sequence[str], effort: Effort) -> Comparison:
    """Time one workload, by its name, in all contenders."""
    records = {contender: _Record() for contender in contenders}
    for _ in range(effort.passes):
        _one_pass(workload, records, effort)
    reference = records.get(REFERENCE)
    figures = {
        contender: _figures(record, reference, 1e6 / WORKLOADS[workload].per) for contender, record in records.items()
    }
    return Comparison(workload, WORKLOADS[workload].title, figures)


def _one_pass(workload: str, records: dict[str, _Record], effort: Effort) -> None:
    """Fresh processes, their first steps, and the rounds; a contender that fails leaves the race for good."""
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}

        def ask(contender: str, count: int, results: bool = False) -> Steps | None:
            try:
                return workers[contender].steps(count, results)
            except WorkerError as failure:
                records[contender].failed = str(failure)
                return None

        for contender, record in records.items():
            if record.failed is None:
                workers[contender] = stack.enter_context(Worker(contender, workload, effort.threads))
                first = ask(contender, effort.compared, results=True)
                if first is not None and not record.results:
                    record.results, record.first = first.results, first.seconds
        probes = [ask(contender, 2) for contender in _running(records)]
        fastest = min((min(probe.seconds) for probe in probes if probe is not None), default=1.0)
        count = max(1, round(effort.seconds / fastest))
        for turn in range(effort.rounds):
            order = _running(records)
            for contender in order[turn % len(order) :] + order[: turn % len(order)] if order else []:
                steps = ask(contender, count)
                if steps is not None:
                    records[contender].seconds += steps.seconds
                    records[contender].rounds.append(statistics.median(steps.seconds))
        for contender in _running(records):
            records[contender].memory = max(records[contender].memory, workers[contender].memory())


def _running(records: dict[str, _Record]) -> list[str]:
    return [contender for contender, record in records.items() if record.failed is None]


def _figures(record: _Record, reference: _Record | None, scale: float) -> Figures:
    """Medians; a contender that failed has no figures, and without the reference there are no ratios."""
    if record.failed is not None:
        return Figures(failed=record.failed)
    time = statistics.median(record.seconds)
    start = max(0.0, sum(record.first) - len(record.first) * time)
    figures = Figures(time=time * scale, memory=record.memory, start=start)
    if reference is not None and reference.failed is None:
        ratios = [own / other for own, other in zip(record.rounds, reference.rounds, strict=True)]
        figures.ratio, figures.lowest, figures.highest = statistics.median(ratios), min(ratios), max(ratios)
        figures.difference = difference(record.results, reference.results)
    return figures


def difference(results: Sequence[Any], reference: Sequence[Any]) -> float:
    """The largest difference of two runs, step by step relative to the largest element; infinite for a NaN."""
    worst = 0.0
    for own, other in zip(results, reference, strict=True):
        step = float(np.max(np.abs(own - other)) / max(float(np.max(np.abs(other))), 1e-12))
        worst = max(worst, step if np.isfinite(step) else float("inf"))
    return worst
