"""``python -m tests.benchmarks``: training steps and inference beside PyTorch, eager and compiled, on the CPU.

Needs PyTorch, which nothing else in this repository does: ``pip install -e ".[bench]"``; what is missing leaves its
column empty.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_THREADS = 2
_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TENSORGRAD_NUM_THREADS")


def main(arguments: list[str] | None = None) -> int:
    """Run the chosen workloads, print the table and write the figures where asked to."""
    options = _parse(arguments)
    # Thread pools read these when their library is loaded, which the workers do.
    os.environ.update(dict.fromkeys(_POOLS, str(options.threads)))
    if options.profile:
        from .profiling import report

        print(report(options.profile))
        return 0
    with tempfile.TemporaryDirectory() as cache:  # of torch.compile: every run compiles anew
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    from . import limits, table
    from .timing import Effort, compare

    effort = Effort(options.passes, options.rounds, 0.05 if options.quick else 0.2, 3 if options.quick else 8,
                    options.threads)  # fmt: skip
    setting = _setting(effort.passes, effort.rounds, effort.threads)
    print("; ".join(f"{key} {value}" for key, value in setting.items()))
    found = limits.measure(options.threads)
    for what, values in (("sgemm GFLOP/s", found.sgemm), ("copy GB/s", found.copy)):
        print(what, ", ".join(f"{library} {value:.1f}" for library, value in values.items()))
    print("\n" + table.heading(options.contender))
    results = []
    for name in options.workload:
        results.append(compare(name, options.contender, effort))
        print(table.row(results[-1]), flush=True)
    print(
        "\nmedian time per step (per op for the tiny chain), its ratio to PyTorch: the median over rounds, and the "
        "range;\ndiff: the largest relative difference of results in the first steps"
    )
    if options.json:
        figures = {"setting": setting, "limits": found.as_dict(), "results": [result.as_dict() for result in results]}
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    if options.markdown:
        table.write_markdown(options.markdown, table.markdown(results, setting, found))
    if not table.agree(results):
        print(f"benchmarks: results differ by more than {table.TOLERANCE}", file=sys.stderr)
        return 1
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    from .contenders import CONTENDERS
    from .workloads import WORKLOADS

    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        epilog=f"workloads: {', '.join(WORKLOADS)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--workload", action="append", choices=WORKLOADS, metavar="NAME", help="this one only; may be given again")
    add("--contender", action="append", choices=CONTENDERS, help="this one only; may be given again")
    add("--quick", action="store_true", help="one pass of three short rounds")
    add("--passes", type=int, help="how often all processes start anew (default 3)")
    add("--rounds", type=int, help="how often the contenders take turns in a pass (default 5)")
    add("--threads", type=int, default=_THREADS, help=f"threads for each (default {_THREADS})")
    add("--json", type=Path, metavar="PATH", help="write the figures to this file")
    add("--markdown", type=Path, metavar="PATH", help="write the tables between the two markers of this page")
    add("--profile", choices=WORKLOADS, metavar="NAME", help="list tensorgrad's kernels by time for this workload")
    options = parser.parse_args(arguments)
    options.workload = options.workload or list(WORKLOADS)
    options.contender = options.contender or list(CONTENDERS)
    options.passes = options.passes or (1 if options.quick else 3)
    options.rounds = options.rounds or (3 if options.quick else 5)
    return options


def _setting(passes: int, rounds: int, threads: int) -> dict[str, Any]:
    """What the figures depend on."""
    distributions = {"tensorgrad": "tensorgrad-cupy", "PyTorch": "torch", "NumPy": "numpy"}
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "CPU": _processor(),
        "threads": threads,
        **{name: _version(distribution) for name, distribution in distributions.items()},
        "Python": platform.python_version(),
        "passes": passes,
        "rounds": rounds,
    }


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
