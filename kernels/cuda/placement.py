"""What surrounds every launch on CUDA: the device of the arrays, and a readable error for a source that fails."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cupy
import numpy as np

__all__ = ["broadcast_beside", "empty_beside", "on_device", "placed"]

_HERE = Path(__file__).resolve().parent
_FIRST_ERROR = re.compile(r"^\S*?(?:\((\d+)\)|:(\d+)(?::\d+)?): error:? *(.*)$", re.MULTILINE)
_NEIGHBOURS = (-3, -2, -1, 1, 2, 3)

CompileException = cupy.cuda.compiler.CompileException
_current, _use = cupy.cuda.runtime.getDevice, cupy.cuda.runtime.setDevice


def on_device(index: int, function: Callable[..., Any], *args: Any, **params: Any) -> Any:
    """Call a function with a device as the current one of this thread."""
    before = _current()
    if before == index:
        return function(*args, **params)
    _use(index)
    try:
        return function(*args, **params)
    finally:
        _use(before)


def broadcast_beside(array: Any, shape: tuple[int, ...]) -> Any:
    """An array repeated to a shape as a view."""
    return on_device(array.data.device_id, cupy.broadcast_to, array, shape)


def empty_beside(array: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """A new array on the device of another."""
    return on_device(array.data.device_id, cupy.empty, shape, dtype)


def placed(name: str, implementation: Callable[..., Any]) -> Callable[..., Any]:
    """The implementation, launched on the device where its arrays are.

    Raises
    ------
    ValueError
        If the arrays are on different devices.
    RuntimeError
        If the kernel's source does not compile.
    """

    def launch(*args: Any, **params: Any) -> Any:
        try:
            return on_device(_device(name, args), implementation, *args, **params)
        except CompileException as error:
            raise RuntimeError(f"{name}: {explained(error)}") from error

    return launch


def _device(name: str, args: tuple[Any, ...]) -> int:
    """The device of all arrays. Of lists, all entries of the first count, of the others (as long) the first entry."""
    found, listed, host = -1, False, False
    for value in args:
        entries: Any = (value,)
        if isinstance(value, (list, tuple)):
            entries = value[:1] if listed else value
            listed = True
        for entry in entries:
            if not isinstance(entry, cupy.ndarray):
                # An index is a tuple, in which arrays of the host are allowed.
                host |= type(entry) is np.ndarray and type(value) is not tuple
                continue
            index = entry.data.device_id
            if found < 0:
                found = index
            elif index != found:
                raise ValueError(
                    f"{name}: operands are on different devices (cuda:{found}, cuda:{index}); "
                    "move one of them with .to(device)"
                )
    if host and found >= 0:
        raise ValueError(
            f"{name}: operands are on different devices (cuda:{found}, cpu); move one of them with .to(device)"
        )
    return _current() if found < 0 else found


# ------------------------------------------------------------------------------------------ sources that do not compile
def explained(error: Any) -> str:
    """Which line of which file does not compile, and why; the compiler's whole output follows."""
    output = str(error)
    match = _FIRST_ERROR.search(output)
    if match is None:
        return f"the CUDA source does not compile:\n{output}"
    source = getattr(error, "source", "") or ""
    lines = source.splitlines()
    at = int(match[1] or match[2]) - 1
    if lines and lines[0].startswith("#line 1 "):
        del lines[0]
    place = _place(tuple(lines), at) if 0 <= at < len(lines) else None
    text = f": {lines[at].strip()}" if 0 <= at < len(lines) else ""
    return f"{place or 'the generated CUDA source'} does not compile: {match[3]}{text}\n{output}"


@functools.cache
def _sources() -> dict[str, list[str]]:
    paths = sorted([*_HERE.glob("*.cu"), *_HERE.glob("*.cuh")])
    return {path.name: path.read_text(encoding="utf-8").splitlines() for path in paths}


def _place(lines: tuple[str, ...], at: int) -> str | None:
    """``file:line`` of a line of the expanded source: where the same line stands among most of the same neighbours."""
    best, found = -1, None
    for name, text in _sources().items():
        for number, line in enumerate(text):
            if line.strip() != lines[at].strip():
                continue
            agreeing = sum(
                0 <= at + d < len(lines) and 0 <= number + d < len(text) and lines[at + d] == text[number + d]
                for d in _NEIGHBOURS
            )
            if agreeing > best:
                best, found = agreeing, f"{name}:{number + 1}"
    return found
