"""Every function of the namespace beside NumPy's of the same name: ``python -m tests.benchmarks.namespace``.

Each is called with the first arguments that both libraries take, on a few elements (what a call costs) and on many
(what the work costs). The worst ratios are printed; ``--all`` prints every one.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import tensorgrad as tg

__all__ = ["cases", "main", "ratio"]

# What makes something else than a computation of tensors, or takes files, functions or shapes.
LEFT_OUT = {
    "save", "load", "fromfunction", "piecewise", "vectorize", "empty", "empty_like", "zeros", "ones", "full", "eye",
    "identity", "indices", "arange", "linspace", "logspace", "geomspace", "asarray", "array", "copy", "block",
    "broadcast_arrays", "broadcast_to", "can_cast", "finfo", "iinfo", "isdtype", "promote_types", "result_type",
    "from_dlpack", "einsum", "tri", "diag_indices", "tril_indices", "triu_indices", "vander", "kron", "outer",
    "histogramdd", "histogram2d",
}  # fmt: skip


def candidates(size: int) -> Iterator[tuple[Any, ...]]:
    """Arguments to try, from simple to rare."""
    rng = np.random.default_rng(0)
    side = int(size**0.5)
    x, y = (rng.uniform(0.1, 0.9, size).astype(np.float32) for _ in range(2))
    matrix = rng.uniform(0.1, 0.9, (side, side)).astype(np.float32)
    whole, other = (rng.integers(1, 30, size) for _ in range(2))
    mask = x > 0.5
    yield (x,)
    yield (x, y)
    yield (matrix,)
    yield (whole,)
    yield (whole, other)
    yield (matrix, matrix)
    yield (x, 2)
    yield (x, 0.5)
    yield (mask, x, y)
    yield (mask, x)
    yield (x, x, y)
    yield (x, 0.2, 0.8)
    yield ([x, y],)
    yield (x, whole % size)
    yield (matrix, (1, 0))
    yield (matrix, 0, 1)


def cases(size: int) -> Iterator[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """Name, call of tensorgrad, call of NumPy."""
    for name in sorted(n for n in dir(tg) if not n.startswith("_") and n not in LEFT_OUT):
        ours, theirs = getattr(tg, name), getattr(np, name, None)
        if not callable(ours) or isinstance(ours, type) or not callable(theirs) or isinstance(theirs, type):
            continue
        for args in candidates(size):
            tensors = [_tensor(a) for a in args]
            try:
                theirs(*args)
                ours(*tensors)
            except Exception:
                continue
            yield name, lambda f=ours, a=tensors: f(*a), lambda f=theirs, a=args: f(*a)
            break


def _tensor(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        return tg.tensor(x)
    return [_tensor(v) for v in x] if isinstance(x, list) else x


def _best(call: Callable[[], Any], budget: float) -> float:
    """The least time of a call, of as many as fit into a budget of seconds; short ones several at a time."""
    start = time.perf_counter()
    call()
    once = time.perf_counter() - start
    times = max(1, min(1000, int(budget / 5 / max(once, 1e-7))))
    best = once
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(times):
            call()
        best = min(best, (time.perf_counter() - start) / times)
    return best


def ratio(ours: Callable[[], Any], theirs: Callable[[], Any], budget: float) -> tuple[float, float]:
    """Seconds of both, measured one after the other."""
    return _best(ours, budget), _best(theirs, budget)


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.namespace")
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 1_000_000], help="numbers of elements")
    parser.add_argument("--budget", type=float, default=0.05, help="seconds per function and library")
    parser.add_argument("--only", nargs="*", help="functions to measure")
    parser.add_argument("--all", action="store_true", help="print every function, not the worst ten")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    for size in options.sizes:
        rows = []
        for name, ours, theirs in cases(size):
            if options.only and name not in options.only:
                continue
            mine, other = ratio(ours, theirs, options.budget)
            rows.append((mine / other, mine, other, name))
        rows.sort(reverse=True)
        print(f"{len(rows)} functions on {size} elements: ratio to NumPy, tensorgrad, NumPy")
        for r, mine, other, name in rows if options.all else rows[:10]:
            print(f"  {name:24} {r:7.2f} {mine * 1e6:12.2f} us {other * 1e6:12.2f} us")


if __name__ == "__main__":
    main()
