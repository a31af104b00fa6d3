"""``python -m tests.benchmarks``: time per training step, side by side with PyTorch on the CPU.

Needs PyTorch, which nothing else in this repository does: ``pip install -e ".[bench]"``.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

_THREADS = 2
_TORCH = "2.13.0"


def main(arguments: list[str] | None = None) -> int:
    """Run the chosen workloads, print the table and write the figures if asked to."""
    options = _parse(arguments)
    missing = [name for name in ("tensorgrad", "torch") if importlib.util.find_spec(name) is None]
    if missing:
        print(f'benchmarks: {" and ".join(missing)} not installed; pip install -e ".[bench]"', file=sys.stderr)
        return 2
    # Thread pools read these when their library is loaded, which happens in the workers.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TENSORGRAD_NUM_THREADS"):
        os.environ[variable] = str(options.threads)

    from .timing import compare
    from .workloads import WORKLOADS

    unknown = [name for name in options.workload or () if name not in WORKLOADS]
    if unknown:
        print(f"benchmarks: no workload {unknown[0]!r}; there are {', '.join(WORKLOADS)}", file=sys.stderr)
        return 2
    setting = _setting(options)
    print(", ".join(f"{key} {value}" for key, value in setting.items()))
    if setting["torch"].split("+")[0] != _TORCH:
        print(f"note: the targets were set against torch {_TORCH}")
    print("\n" + _row("", "tensorgrad", "torch", "ratio", "(rounds)", "target", "loss diff", "MiB"))
    results = []
    for name in options.workload or WORKLOADS:
        result = compare(name, options.rounds, options.threads)
        results.append(result.as_dict())
        print(
            _row(
                result.title,
                _duration(result.time),
                _duration(result.torch_time),
                f"{result.ratio:.2f}",
                f"{result.lowest:.2f}-{result.highest:.2f}",
                "" if result.target is None else f"{result.target:.1f}",
                f"{result.loss_difference:.0e}",
                f"{result.memory:.0f}/{result.torch_memory:.0f}",
            ),
            flush=True,
        )
    print(
        "\nmedian time per training step (per op for the chains); ratio: tensorgrad/torch, the median over rounds and "
        "its range;\nloss diff: largest relative difference over the first 32 steps; MiB: peak memory beyond the import"
    )
    if options.json:
        options.json.write_text(json.dumps({"setting": setting, "results": results}, indent=2) + "\n")
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--workload", action="append", metavar="NAME", help="run this one only; may be given again")
    parser.add_argument("--rounds", type=int, default=10, help="how often the two frameworks take turns (default 10)")
    parser.add_argument("--threads", type=int, default=_THREADS, help=f"threads for each (default {_THREADS})")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures to this file")
    return parser.parse_args(arguments)


def _setting(options: argparse.Namespace) -> dict[str, Any]:
    """What the figures depend on."""
    versions = {"tensorgrad": "tensorgrad-cupy", "torch": "torch", "numpy": "numpy"}
    return {
        **{name: importlib.metadata.version(distribution) for name, distribution in versions.items()},
        "python": platform.python_version(),
        "cpu": _processor(),
        "threads": options.threads,
        "rounds": options.rounds,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _row(title: str, *cells: str) -> str:
    widths = (12, 12, 8, 14, 8, 11, 12)
    return f"{title:<52}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def _duration(microseconds: float) -> str:
    if microseconds < 1000:
        return f"{microseconds:.2f} us" if microseconds < 100 else f"{microseconds:.0f} us"
    return f"{microseconds / 1000:.2f} ms"


if __name__ == "__main__":
    sys.exit(main())
