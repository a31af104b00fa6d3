"""Run the array API's test suite on tensorgrad: ``python -m tests.array_api SUITE``.

SUITE is a checkout of https://github.com/data-apis/array-api-tests with its submodule, and with its requirements
installed:

    git clone --recurse-submodules https://github.com/data-apis/array-api-tests
    pip install -r array-api-tests/requirements.txt
    python -m tests.array_api array-api-tests
    python -m tests.array_api array-api-tests --device cuda --emulate

What follows ``--`` goes to pytest. The exit status is pytest's.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["command", "environment", "main", "skipped"]

HERE = Path(__file__).resolve().parent
VERSION = "2024.12"


def main(arguments: list[str] | None = None) -> int:
    """Run the suite; the exit status of pytest."""
    parser = argparse.ArgumentParser(prog="python -m tests.array_api", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("suite", type=Path, help="a checkout of data-apis/array-api-tests")
    parser.add_argument("--device", default="cpu", help="where the arrays are made: cpu, cuda, cuda:<index>")
    parser.add_argument("--emulate", action="store_true", help="emulate CUDA on the CPU")
    parser.add_argument("--max-examples", type=int, default=100, help="examples per property (default: 100)")
    ours, rest = _split(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(ours)
    suite = options.suite.resolve()
    if not (suite / "array-api" / "src").is_dir():
        parser.error(f"{suite} is no checkout of array-api-tests with its submodule (git submodule update --init)")
    with tempfile.TemporaryDirectory() as folder:
        skips = Path(folder) / "skips.txt"
        skips.write_text("\n".join(skipped(options.device)))
        return subprocess.run(
            command(skips, options.max_examples, rest),
            cwd=suite,
            env=environment(options.device, options.emulate),
            check=False,
        ).returncode


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What stands before and after ``--``."""
    place = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:place], arguments[place + 1 :]


def skipped(device: str) -> list[str]:
    """The names of the tests that are left out on a device."""
    files = ["skips.txt"] + ["skips-cuda.txt"] * device.startswith("cuda")
    lines = [line for file in files for line in (HERE / file).read_text().splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def command(skips: Path, examples: int, rest: list[str]) -> list[str]:
    """How pytest is called."""
    plugin = ["-p", "tests.array_api.plugin"]
    named = any(word.startswith("array_api_tests") for word in rest)
    settings = ["--max-examples", str(examples), "--disable-deadline", "--skips-file", str(skips)]
    return [sys.executable, "-m", "pytest", *plugin, "-q", *settings, *rest, *([] if named else ["array_api_tests"])]


def environment(device: str, emulated: bool) -> dict[str, str]:
    """What the suite and the plugin read from the environment."""
    ours = {
        "ARRAY_API_TESTS_MODULE": "tensorgrad",
        "ARRAY_API_TESTS_VERSION": VERSION,
        "TENSORGRAD_DEVICE": device,
        "TENSORGRAD_EMULATE_CUDA": "1" if emulated else "",
        "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]),
    }
    return {**os.environ, **ours}


if __name__ == "__main__":
    sys.exit(main())
