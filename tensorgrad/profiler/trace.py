"""Launches as a file of trace events, the format of ``chrome://tracing`` and Perfetto.

Google, Trace Event Format: complete events (``"ph": "X"``) in microseconds, by process and thread. The host is one
process, each GPU another.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from .launches import Launch

__all__ = ["write_chrome_trace"]


def write_chrome_trace(launches: Sequence[Launch], path: str | os.PathLike[str]) -> None:
    """Write launches into a JSON file."""
    devices = sorted({launch.device for launch in launches})
    threads = sorted({launch.thread for launch in launches})
    events: list[dict[str, Any]] = []
    for process, device in enumerate(devices):
        events.append({"ph": "M", "name": "process_name", "pid": process, "tid": 0, "args": {"name": device}})
        here = {launch.thread for launch in launches if launch.device == device}
        for number, thread in enumerate(threads):
            if thread in here:
                named = {"ph": "M", "name": "thread_name", "pid": process, "tid": number, "args": {"name": thread}}
                events.append(named)
    for launch in sorted(launches, key=lambda launch: (launch.start, -launch.total)):
        events.append(
            {
                "ph": "X",
                "name": launch.kernel,
                "cat": launch.phase,
                "pid": devices.index(launch.device),
                "tid": threads.index(launch.thread),
                "ts": round(launch.start * 1e6, 3),
                "dur": round(launch.total * 1e6, 3),
                "args": {
                    "module": launch.module,
                    "shapes": launch.shapes,
                    "bytes": launch.bytes,
                    "flops": launch.flops,
                    "host_us": round(launch.host * 1e6, 3),
                },
            }
        )
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"traceEvents": events, "displayTimeUnit": "ms"}, file)
