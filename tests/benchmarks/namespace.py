"""The functions of the namespaces beside NumPy's and SciPy's: ``python -m tests.benchmarks.namespace``.

The functions of ``tensorgrad`` are called like ``numpy``'s, those of ``linalg``, ``fft`` and ``special`` like
``numpy.linalg``'s, ``numpy.fft``'s and ``scipy.special``'s: on a few elements (what a call costs) and on many (what the
work costs). Printed are, for each namespace, how many functions are over the bound and those that are furthest over it:
more than ``--call`` microseconds over the other library and more than ``--work`` times its time.
"""

from __future__ import annotations

import argparse
import importlib
import time
import warnings
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

import tensorgrad as tg
from tests.benchmarks.namespace_arguments import ARGUMENTS, Data, candidates

__all__ = ["Row", "cases", "main", "measured"]

NAMESPACES = {"tensorgrad": "numpy", "linalg": "numpy.linalg", "fft": "numpy.fft", "special": "scipy.special"}

# What takes files or the user's functions, or is no computation.
LEFT_OUT = {
    "save", "load", "fromfunction", "piecewise", "vectorize", "from_dlpack", "finfo", "iinfo", "apply_along_axis",
    "apply_over_axes", "frombuffer", "fromiter", "mask_indices", "set_printoptions",
}  # fmt: skip


class Row(NamedTuple):
    """Seconds that a call takes here and there."""

    name: str
    ours: float
    theirs: float

    @property
    def extra(self) -> float:
        """Seconds of ours that theirs does not take."""
        return self.ours - self.theirs

    @property
    def ratio(self) -> float:
        """Our time by theirs."""
        return self.ours / self.theirs


def cases(
    namespace: str, size: int, only: Collection[str] = ()
) -> Iterator[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """Name, call of tensorgrad, call of the other library, of all functions or of some."""
    mine = tg if namespace == "tensorgrad" else getattr(tg, namespace)
    other = importlib.import_module(NAMESPACES[namespace])
    arguments = ARGUMENTS[namespace]
    arrays, tensors = Data(size, lambda x: x), Data(size, tg.tensor)
    for name in sorted(n for n in dir(mine) if not n.startswith("_") and n not in LEFT_OUT):
        ours, theirs = getattr(mine, name), getattr(other, name, None)
        if only and name not in only:
            continue
        if not callable(ours) or isinstance(ours, type) or not callable(theirs) or isinstance(theirs, type):
            continue
        if name in arguments:
            a, b = arguments[name](tensors), arguments[name](arrays)
            yield name, lambda f=ours, a=a: f(*a), lambda f=theirs, b=b: f(*b)
            continue
        for a, b in zip(candidates(tensors), candidates(arrays), strict=True):
            try:
                theirs(*b)
                ours(*a)
            except Exception:
                continue
            yield name, lambda f=ours, a=a: f(*a), lambda f=theirs, b=b: f(*b)
            break
        else:
            print(f"not measured, as namespace_arguments.py has nothing that fits: {namespace}.{name}")


def _best(call: Callable[[], Any], budget: float) -> float:
    """The least time of a call, of as many as fit into a budget of seconds; short ones several at a time."""
    call()
    start = time.perf_counter()
    call()
    once = time.perf_counter() - start
    times = max(1, min(1000, int(budget / 5 / max(once, 1e-7))))
    best = once
    for _ in range(max(1, min(5, int(budget / once)))):
        start = time.perf_counter()
        for _ in range(times):
            call()
        best = min(best, (time.perf_counter() - start) / times)
    return best


def measured(name: str, ours: Callable[[], Any], theirs: Callable[[], Any], budget: float) -> Row:
    """Both, measured in turns."""
    first = _best(ours, budget / 2)
    other = _best(theirs, budget / 2)
    return Row(name, min(first, _best(ours, budget / 2)), min(other, _best(theirs, budget / 2)))


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.namespace")
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 1_000_000], help="numbers of elements")
    parser.add_argument("--namespaces", nargs="+", choices=NAMESPACES, default=[*NAMESPACES])
    parser.add_argument("--budget", type=float, default=0.05, help="seconds per function and library")
    parser.add_argument("--call", type=float, default=5.0, help="microseconds that a call may take longer")
    parser.add_argument("--work", type=float, default=1.1, help="times the other's time that a call may take as well")
    parser.add_argument("--only", nargs="*", help="functions to measure")
    parser.add_argument("--all", action="store_true", help="print every function, not the worst ten")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    for size in options.sizes:
        for namespace in options.namespaces:
            found = cases(namespace, size, options.only or ())
            rows = [measured(name, ours, theirs, options.budget) for name, ours, theirs in found]
            _print(namespace, size, rows, options)


def _print(namespace: str, size: int, rows: list[Row], options: argparse.Namespace) -> None:
    over = [r for r in rows if r.extra > options.call * 1e-6 and r.ratio > options.work]
    rows.sort(key=lambda r: r.extra, reverse=True)
    print(
        f"{namespace} beside {NAMESPACES[namespace]}, {size} elements: {len(over)} of {len(rows)} functions take "
        f"{options.call:g} us and {options.work:g} times longer; extra per call, ratio, ours, theirs",
        flush=True,
    )
    for r in rows if options.all else rows[:10]:
        print(
            f"  {r.name:24} {r.extra * 1e6:+12.2f} us {r.ratio:8.2f} {r.ours * 1e6:12.2f} us {r.theirs * 1e6:12.2f} us"
            f"{'  over' if r in over else ''}"
        )


if __name__ == "__main__":
    main()
