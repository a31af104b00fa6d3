"""The other process: one contender with one workload, which it steps on request."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import logging
import multiprocessing
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from .contenders import CONTENDERS, UnavailableError
from .workloads import WORKLOADS

__all__ = ["Steps", "Worker", "WorkerError"]

_SETTLE = 0.05  # seconds before a round: the threads of whoever ran before have stopped spinning


class WorkerError(Exception):
    """The contender could not do what it was asked for; the message says why."""


@dataclass(frozen=True)
class Steps:
    """What some steps took, in seconds, and what they returned."""

    seconds: list[float]
    results: list[Any]


class Worker:
    """A process of its own for one contender and one workload, until the end of a ``with`` block.

    Separate processes keep the spinning threads and the memory allocator of one contender away from the others, and
    give each its own peak of memory.
    """

    def __init__(self, contender: str, workload: str, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, contender, workload, threads), daemon=True)
        self._process.start()
        there.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._pipe.close()
        self._process.join(10 if kind is None else 0)
        self._process.terminate()

    def steps(self, count: int, results: bool = False) -> Steps:
        """Time so many steps; with what they returned, if asked for."""
        return self._ask("results" if results else "steps", count)

    def memory(self) -> float:
        """Peak resident memory so far beyond what importing the framework took, in MiB."""
        return self._ask("memory", 0)

    def _ask(self, request: str, count: int) -> Any:
        try:
            self._pipe.send((request, count))
            answer = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(10)
            raise WorkerError(f"the process ended with exit code {self._process.exitcode}") from None
        if isinstance(answer, WorkerError):
            raise answer
        return answer


def _serve(pipe: Connection, contender: str, workload: str, threads: int) -> None:
    """Answer requests until the other end is closed; the first failure is the last answer."""
    try:
        step, imported = _start(contender, workload, threads)
        while True:
            request, count = pipe.recv()
            pipe.send(_peak_memory() - imported if request == "memory" else _timed(step, count, request == "results"))
    except (EOFError, OSError):
        return
    except Exception as error:
        reason = str(error) if isinstance(error, UnavailableError) else f"{type(error).__name__}: {error}"
        pipe.send(WorkerError(reason.strip().split("\n")[0][:300]))


def _start(contender: str, workload: str, threads: int) -> tuple[Callable[[], Any], float]:
    """The step, and the memory that the import took."""
    kind = CONTENDERS[contender]
    if importlib.util.find_spec(kind.framework) is None:
        raise UnavailableError(f"{kind.framework} is not installed")
    framework = importlib.import_module(kind.framework)
    if kind.framework == "torch":
        framework.set_num_threads(threads)
        warnings.simplefilter("ignore")  # of what its compiler leaves uncompiled
        logging.getLogger("torch").setLevel(logging.ERROR)
    imported = _peak_memory()
    task = WORKLOADS[workload].make(framework)
    step, batches = kind.prepare(framework, task), cycle(task.batches)
    return lambda: step(*next(batches)), imported


def _timed(step: Callable[[], Any], count: int, wanted: bool) -> Steps:
    """Only the step is timed: its result is read after it."""
    time.sleep(_SETTLE)
    gc.collect()
    seconds, results = [], []
    for _ in range(count):
        start = time.perf_counter()
        result = step()
        seconds.append(time.perf_counter() - start)
        if wanted:
            results.append(np.array(result.detach().numpy()))
    return Steps(seconds, results)


def _peak_memory() -> float:
    """Peak resident memory of this process in MiB; of its own, where Linux tells, and not of what started it."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
