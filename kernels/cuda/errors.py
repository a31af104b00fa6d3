"""Errors that kernels find: out-of-range indices, reported without a synchronisation of their own.

A kernel that meets a bad value writes which kernel, which value and where into a small buffer in pinned host memory,
one per device, and goes on. Whoever waits for the device anyway (``.item()``, ``.numpy()``, ``synchronize``) calls
`check` afterwards, which costs one read of host memory. If several threads meet bad values, one of them is reported.
"""

from __future__ import annotations

import threading
from typing import Any

import cupy
import numpy as np

__all__ = ["INDEX", "TARGET", "check", "flag_pointer"]

TARGET = 1  # cross_entropy: a class index; these numbers also stand in the .cu sources
INDEX = 2  # an index of getitem, take and the others
_MESSAGES = {
    TARGET: "cross_entropy: target {value} at position {position} is out of range for {limit} classes",
    INDEX: "index {value} (position {position} of the index array) is out of bounds for an axis of length {limit}",
}
_LAYOUT = np.dtype([("code", "i4"), ("unused", "i4"), ("value", "i8"), ("position", "i8"), ("limit", "i8")])

_lock = threading.Lock()
_flags: dict[int, tuple[Any, Any]] = {}  # device -> (memory that must stay alive, the record in it)


def _flag(device: int) -> tuple[Any, Any]:
    with _lock:
        if device not in _flags:
            memory = cupy.cuda.alloc_pinned_memory(_LAYOUT.itemsize)
            record = np.frombuffer(memory, _LAYOUT, 1)
            record[...] = 0
            _flags[device] = (memory, record)
        return _flags[device]


def flag_pointer() -> Any:
    """Address of the current device's record, as a kernel argument; device code may write to pinned memory."""
    return np.uint64(_flag(cupy.cuda.runtime.getDevice())[0].ptr)


def check(device: int | None = None) -> None:
    """Raise what the kernels of a device have reported since the last call. Call it after synchronising.

    Raises
    ------
    IndexError
        An index or a class index was out of range; results computed since then are not meaningful.
    """
    found = _flags.get(cupy.cuda.runtime.getDevice() if device is None else device)
    if found is None or not found[1]["code"][0]:
        return
    code, _, value, position, limit = found[1][0].item()
    found[1][...] = 0
    raise IndexError(_MESSAGES[code].format(value=value, position=position, limit=limit))
