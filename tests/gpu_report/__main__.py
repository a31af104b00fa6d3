"""``python -m tests.gpu_report --out DIR``: tests, agreement with the CPU, bandwidth and training times on a GPU.

Every section runs in a process of its own with a time limit, so that a failure, a crash or a hang of one loses no
other. What it finds is written to ``report.json`` and ``report.md`` after each section. All of it takes less than eight
minutes. ``--emulate`` runs tiny sizes on the emulator of ``tests/cuda_emulator``: it shows that this program works and
says nothing about speed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from .page import page
from .world import gpu_is_missing, setting

# section: (seconds at most, what it is)
SECTIONS = {
    "agreement": (40, "CPU and GPU: one seed, the same training run"),
    "bandwidth": (90, "Fused kernels: achieved share of the measured copy bandwidth"),
    "training": (140, "Training steps beside PyTorch"),
    "suite": (190, "The test suite on CUDA"),
}
_ROOT = Path(__file__).resolve().parents[2]
_NO_GPU = 3


def main(arguments: list[str] | None = None) -> int:
    """Run the sections and write the report; 0 if all of them worked, 1 if one did not, 3 without a GPU."""
    options = _parse(arguments)
    if options.section:
        return _run_here(options.section, options.result, options.emulate)
    if options.out is None:
        print("gpu_report: give a folder to write to: --out DIR", file=sys.stderr)
        return 2
    missing = None if options.emulate else gpu_is_missing()
    if missing:
        print(f"gpu_report: {missing}. It needs a real GPU; --emulate only tests this program.", file=sys.stderr)
        return _NO_GPU
    options.out.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"emulated": options.emulate, "sections": {}}
    failed = []
    for name in options.only or SECTIONS:
        print(f"{name} ...", flush=True)
        entry = _run(name, options.emulate)
        report["setting"] = entry.pop("setting", None) or report.get("setting", {})
        report["sections"][name] = {"title": SECTIONS[name][1], **entry}
        (options.out / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        (options.out / "report.md").write_text(page(report), encoding="utf-8")
        print(f"{name}: {'ok' if entry['ok'] else 'FAILED'} in {entry['seconds']} s", flush=True)
        if not entry["ok"]:
            failed.append((name, entry["error"]))
    print(f"written to {options.out / 'report.md'} and report.json")
    for name, error in failed:  # last, where it is seen
        print(f"\nFAILED: {name}\n{error}")
    return 1 if failed else 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu_report", description=__doc__)
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for report.md and report.json")
    parser.add_argument("--emulate", action="store_true", help="tiny sizes on the emulator; no statement about speed")
    parser.add_argument("--only", action="append", choices=SECTIONS, help="run this section; may be given again")
    parser.add_argument("--section", choices=SECTIONS, help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _run(name: str, emulate: bool) -> dict[str, Any]:
    """One section in its own process."""
    limit = SECTIONS[name][0]
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, "-m", "tests.gpu_report", "--section", name, "--result", str(result)]
        command += ["--emulate"] if emulate else []
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, sys.path)])}
        try:
            done = subprocess.run(
                command, cwd=_ROOT, env=environment, capture_output=True, text=True, timeout=limit, check=False
            )
            output = done.stdout[-2000:] + done.stderr[-4000:]
            problem = None if done.returncode == 0 else f"exit status {done.returncode}\n{output}"
        except subprocess.TimeoutExpired as expired:
            problem = f"took longer than {limit} s\n{_text(expired.stdout)[-2000:]}{_text(expired.stderr)[-2000:]}"
        found = json.loads(result.read_text(encoding="utf-8")) if result.exists() else {}
    entry = {**found, "seconds": round(time.monotonic() - start)}
    entry["ok"] = found.get("ok", False) and problem is None
    if not entry["ok"]:
        entry["error"] = found.get("error") or problem or "no result"
    return entry


def _text(output: Any) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def _run_here(name: str, result: Path, emulate: bool) -> int:
    """What the process of a section does."""
    import importlib

    entry: dict[str, Any] = {"ok": False, "rows": [], "notes": []}

    def save() -> None:
        result.write_text(json.dumps(entry), encoding="utf-8")

    try:
        if emulate:
            from tests.cuda_emulator import cublas, install

            install()
            from tensorgrad.kernels.cuda import gemm

            gemm.substitute(cublas)
        entry["setting"] = setting(emulate)
        section = importlib.import_module(f"tests.gpu_report.{name}")
        section.run(entry, save, emulate)  # fills in rows and notes as they come, so that a hang leaves what there is
        entry["ok"] = "error" not in entry
    except Exception:
        entry["error"] = traceback.format_exc()[-4000:]
    save()
    return 0


if __name__ == "__main__":
    sys.exit(main())
