"""Where a step's time goes: the launches of tensorgrad's kernels, seen through a hook."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import tensorgrad
from tensorgrad import kernels

from .contenders import CONTENDERS
from .workloads import WORKLOADS

__all__ = ["Share", "profile", "report"]

_SECONDS = 3.0  # that are watched, about
_LINES = 25  # of each list


@dataclass
class Share:
    """Launches of one kernel: how many, and seconds without the launches within them."""

    calls: int = 0
    seconds: float = 0.0


class _Watch:
    """A launch hook that adds up times by kernel and by kernel with the shapes it was given."""

    def __init__(self) -> None:
        self.shares: dict[tuple[str, str], Share] = defaultdict(Share)
        self._inner = [0.0]  # seconds of finished launches, by depth of nesting

    def __call__(self, kernel: Any, args: tuple[Any, ...], params: dict[str, Any], run: Callable[[], Any]) -> Any:
        self._inner.append(0.0)
        start = time.perf_counter()
        try:
            return run()
        finally:
            seconds = time.perf_counter() - start
            share = self.shares[kernel.name, _shapes(args)]
            share.calls += 1
            share.seconds += seconds - self._inner.pop()
            self._inner[-1] += seconds


def _shapes(args: tuple[Any, ...]) -> str:
    """The operands in short: ``(64, 10) (10,) list of 6``."""
    return " ".join(
        str(arg.shape) if hasattr(arg, "shape") else f"list of {len(arg)}"
        for arg in args
        if hasattr(arg, "shape") or isinstance(arg, list)
    )


def profile(workload: str, steps: int | None = None) -> tuple[dict[tuple[str, str], Share], float]:
    """Shares per step by kernel and shapes, and what a step takes when nobody watches, in seconds."""
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
    watch = _Watch()
    kernels.add_hook(watch)
    try:
        timed(count)
    finally:
        kernels.remove_hook(watch)
    per_step = {key: Share(round(s.calls / count), s.seconds / count) for key, s in watch.shares.items()}
    return per_step, alone


def report(workload: str) -> str:
    """The profile as text, by kernel and by kernel with shapes."""
    shares, alone = profile(workload)
    by_kernel: dict[str, Share] = defaultdict(Share)
    for (name, _), share in shares.items():
        by_kernel[name].calls += share.calls
        by_kernel[name].seconds += share.seconds
    inside = sum(share.seconds for share in shares.values())
    lines = [
        f"{WORKLOADS[workload].title}: {alone * 1e3:.3f} ms per step, {inside * 1e3:.3f} ms of it in kernels "
        f"({inside / alone:.0%}, timed with a hook on)",
        "",
        *_listed(by_kernel, inside),
        "",
        *_listed({f"{name:<28} {shapes}": share for (name, shapes), share in shares.items()}, inside),
    ]
    return "\n".join(lines)


def _listed(shares: dict[str, Share], total: float) -> list[str]:
    """The largest first."""
    largest = sorted(shares.items(), key=lambda item: -item[1].seconds)[:_LINES]
    lines = [f"{'ms':>10} {'share':>6} {'calls':>6}  kernel"]
    return lines + [
        f"{share.seconds * 1e3:10.4f} {share.seconds / total:6.1%} {share.calls:6d}  {name}" for name, share in largest
    ]
