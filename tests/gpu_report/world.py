"""What a report depends on: device, driver, versions, date."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import subprocess
import sys
from typing import Any

_PACKAGES = ("tensorgrad-cupy", "numpy", "nvidia-cudnn-frontend", "nvmath-python", "ml_dtypes", "torch", "triton")
_PROBE = "import tensorgrad as tg, sys; tg.zeros(1, device='cuda').item()"


def gpu_is_missing() -> str | None:
    """Why there is no GPU to report on, in a sentence; None if there is one. Asked in another process."""
    done = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines() or ["no message"]
    return lines[-1]


def setting(emulate: bool) -> dict[str, Any]:
    """The facts at the head of the report."""
    import tensorgrad as tg
    from tensorgrad.cuda import diagnosis

    found: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "device": tg.cuda.get_device_name() + (" (no real GPU)" if emulate else ""),
        "devices": diagnosis.device_lines(),
        "tensorgrad": tg.__version__,
        "python": platform.python_version(),
        **diagnosis.cuda_versions(),
        "driver": "emulated" if emulate else _driver(),
    }
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version,clocks.max.sm,power.limit", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nvidia-smi: {error}"
    return done.stdout.strip() or done.stderr.strip()
