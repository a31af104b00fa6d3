"""Where a step's time goes: the launches of tensorgrad's kernels, as `tensorgrad.profiler` sees them."""

from __future__ import annotations

import statistics
import time
from itertools import cycle

import tensorgrad
from tensorgrad.profiler import profile

from .contenders import CONTENDERS
from .workloads import WORKLOADS

__all__ = ["profiled", "report"]

_SECONDS = 3.0  # that are watched, about
_LINES = 25  # of each list


def profiled(workload: str, steps: int | None = None) -> tuple[profile, int, float]:
    """The profile of some steps, how many, and what a step takes when nobody watches, in seconds."""
    task = WORKLOADS[workload].make(tensorgrad)
    step, batches = CONTENDERS["tensorgrad"].prepare(tensorgrad, task), cycle(task.batches)

    def timed(count: int) -> float:
        durations = []
        for _ in range(count):
            start = time.perf_counter()
            step(*next(batches))
            durations.append(time.perf_counter() - start)
        return statistics.median(durations)

    count = steps or max(3, min(1000, round(_SECONDS / timed(3))))
    alone = timed(count)
    with profile() as seen:
        timed(count)
    return seen, count, alone


def report(workload: str) -> str:
    """The profile as text, by kernel, by kernel with shapes and by module."""
    seen, count, alone = profiled(workload)
    inside = sum(entry.seconds for entry in seen.key_averages()) / count
    lines = [
        f"{WORKLOADS[workload].title}: {alone * 1e3:.3f} ms per step, {inside * 1e3:.3f} ms of it in kernels "
        f"({inside / alone:.0%}, timed with a hook on); {count} steps:"
    ]
    for by in ("kernel", ("kernel", "shapes"), ("module", "phase")):
        lines += ["", seen.table(by, limit=_LINES)]
    return "\n".join(lines)
