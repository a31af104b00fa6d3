"""The test suite on CUDA, in pytest's own process."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["run"]

_LIMIT = 175  # seconds, less than the section has
_SUMMARY = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed|deselected)")


def run(entry: dict[str, Any], save: Callable[[], None], emulate: bool) -> None:
    """Run pytest; what it says last goes into the report, failures with their reasons."""
    command = [sys.executable, "-m", "pytest", "-q", "--only-device", "cuda", "--tb=line", "-p", "no:cacheprovider"]
    if emulate:
        command += ["--emulate-cuda", "tests/test_backend.py"]
    else:
        command += ["-m", "not slow", "tests"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT, check=False)
    except subprocess.TimeoutExpired as expired:
        output = expired.stdout or b""
        text = output.decode(errors="replace") if isinstance(output, bytes) else output
        entry["error"] = f"the tests took longer than {_LIMIT} s; the last lines were\n{text[-2000:]}"
        return
    lines = done.stdout.strip().splitlines()
    counts = {word: int(number) for number, word in _SUMMARY.findall(lines[-1] if lines else "")}
    entry["rows"].append({"exit status": done.returncode, **counts})
    entry["notes"] += [line for line in lines if line.startswith(("FAILED", "ERROR"))][:40]
    if done.returncode or not counts.get("passed"):
        entry["error"] = "\n".join([*lines[-30:], done.stderr[-1000:]])
    save()
