"""How it is timed: each framework in a process of its own, the two taking turns round by round.

Separate processes keep one framework's spinning threads and memory allocator away from the other; taking turns gives
both the same share of whatever else the machine is doing.
"""

from __future__ import annotations

import importlib
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from typing import Any

__all__ = ["FRAMEWORKS", "Comparison", "compare"]

FRAMEWORKS = ("tensorgrad", "torch")
_COMPARED = 32  # steps from the common start whose losses are compared; they also warm up
_ROUND = 0.4  # seconds that a round of the faster framework takes
_LEAST = 5  # steps of a round


@dataclass(frozen=True)
class Comparison:
    """What came of one workload; times in microseconds per part of a step.

    Attributes
    ----------
    time, torch_time : float
        Median over all timed steps.
    ratio : float
        Median over the rounds of tensorgrad's median over PyTorch's.
    lowest, highest : float
        The extremes of that ratio over the rounds.
    loss_difference : float
        Largest relative difference of the losses over the first steps.
    memory, torch_memory : float
        Peak memory of the process beyond what importing the framework took, in MiB.
    steps : int
        Timed steps per framework.
    """

    workload: str
    title: str
    target: float | None
    time: float
    torch_time: float
    ratio: float
    lowest: float
    highest: float
    loss_difference: float
    memory: float
    torch_memory: float
    steps: int

    def as_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


def compare(name: str, rounds: int, threads: int) -> Comparison:
    """Time one workload in both frameworks.

    Parameters
    ----------
    name : str
        A key of `workloads.WORKLOADS`.
    rounds : int
        How often the two take turns.
    threads : int
        Threads for PyTorch; NumPy's come from the environment.
    """
    from .workloads import WORKLOADS

    workload = WORKLOADS[name]
    with ExitStack() as stack:
        ours, theirs = (stack.enter_context(_worker(framework, name, threads)) for framework in FRAMEWORKS)
        losses = [_run(worker, _COMPARED)[1] for worker in (ours, theirs)]
        difference = max(abs(a - b) / max(abs(b), 1e-12) for a, b in zip(*losses, strict=True))
        fastest = min(statistics.median(_run(worker, _LEAST)[0]) for worker in (ours, theirs))
        steps = max(_LEAST, int(_ROUND / fastest))
        times: tuple[list[float], list[float]] = ([], [])
        ratios = []
        for turn in range(rounds):
            medians = {}
            for side in (0, 1) if turn % 2 == 0 else (1, 0):
                durations, _ = _run((ours, theirs)[side], steps)
                times[side].extend(durations)
                medians[side] = statistics.median(durations)
            ratios.append(medians[0] / medians[1])
        memory = [_peak(worker) for worker in (ours, theirs)]
    microseconds = 1e6 / workload.per
    return Comparison(
        workload=name,
        title=workload.title,
        target=workload.target,
        time=statistics.median(times[0]) * microseconds,
        torch_time=statistics.median(times[1]) * microseconds,
        ratio=statistics.median(ratios),
        lowest=min(ratios),
        highest=max(ratios),
        loss_difference=difference,
        memory=memory[0],
        torch_memory=memory[1],
        steps=steps * rounds,
    )


# ------------------------------------------------------------------------------------------------- the other process
@contextmanager
def _worker(framework: str, workload: str, threads: int) -> Iterator[Connection]:
    """A process that holds one workload in one framework and runs steps on request."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, framework, workload, threads), daemon=True)
    process.start()
    there.close()
    try:
        yield here
        here.send(None)
    finally:
        here.close()
        process.join(10)
        process.terminate()


def _serve(connection: Connection, framework: str, workload: str, threads: int) -> None:
    from .workloads import WORKLOADS

    module = importlib.import_module(framework)
    if framework == "torch":
        module.set_num_threads(threads)
    imported = _peak_memory()
    step = WORKLOADS[workload].make(module)
    while True:
        request = connection.recv()
        if request is None:
            return
        if request == "memory":
            connection.send(_peak_memory() - imported)
            continue
        durations, losses = [], []
        for _ in range(request):
            start = time.perf_counter()
            loss = step()
            durations.append(time.perf_counter() - start)
            losses.append(loss)
        connection.send((durations, losses))


def _run(worker: Connection, steps: int) -> tuple[list[float], list[float]]:
    worker.send(steps)
    durations, losses = worker.recv()
    return durations, losses


def _peak(worker: Connection) -> float:
    worker.send("memory")
    return float(worker.recv())


def _peak_memory() -> float:
    """Peak resident memory of this process in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
