"""A state, however nested, as one file: arrays, a JSON text for the rest, and a checksum over both. Nothing is pickled.

A state consists of dicts, lists, tuples, numbers, strings, None, tensors and arrays. It comes back as it was: tuples as
tuples, integer keys as integers, floats to the bit, infinities and NaN among them.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..backend import to_numpy
from ..dtypes import dtype_of
from ..io import load, save
from ..tensor import Tensor

__all__ = ["CorruptError", "read_snapshot", "write_snapshot"]

Array = np.ndarray[Any, np.dtype[Any]]

_TEXT = "state.json"
_DIGEST = "sha256"


class CorruptError(ValueError):
    """A file is not the whole of what was written."""


def write_snapshot(state: Any, path: str | os.PathLike[str]) -> None:
    """Write a state into an npz file, which takes the place of an older one once it is whole and on the disk.

    Raises
    ------
    TypeError
        If the state holds something else than listed above, such as a function; the error says where.
    """
    arrays: dict[str, Tensor] = {}
    text = json.dumps(_encoded(state, "state", arrays))
    encoded = np.frombuffer(text.encode(), np.uint8)
    digest = np.frombuffer(_digest(encoded, arrays), np.uint8)
    save({_TEXT: Tensor(encoded), _DIGEST: Tensor(digest), **arrays}, path)


def read_snapshot(path: str | os.PathLike[str]) -> Any:
    """The state in a file; its tensors are in host memory.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CorruptError
        If the file is truncated, was changed, or is none that `write_snapshot` wrote.
    """
    try:
        arrays = load(path, "cpu")
    except (
        ValueError,
        TypeError,
        OSError,
        NotImplementedError,
        RuntimeError,
    ) as error:  # what a broken zip file raises
        if isinstance(error, FileNotFoundError):
            raise
        raise CorruptError(str(error)) from None
    text, digest = arrays.pop(_TEXT, None), arrays.pop(_DIGEST, None)
    if text is None or digest is None:
        raise CorruptError(f"{os.fspath(path)!r} is no checkpoint: it has no {_TEXT} or no {_DIGEST}")
    encoded = to_numpy(text._data)
    if _digest(encoded, arrays) != to_numpy(digest._data).tobytes():
        raise CorruptError(f"{os.fspath(path)!r} is corrupt: its content does not have the checksum that was written")
    return _decoded(json.loads(encoded.tobytes().decode()), arrays)


def _digest(text: Array, arrays: Mapping[str, Tensor]) -> bytes:
    """SHA-256 of the text and of every array with its name, dtype and shape."""
    total = hashlib.sha256(text.tobytes())
    for name in sorted(arrays):
        array = np.ascontiguousarray(to_numpy(arrays[name]._data))
        total.update(f"{name} {array.dtype} {array.shape}".encode())
        total.update(array.reshape(-1).view(np.uint8).data)
    return total.digest()


# What JSON has no form for is written as a dict with one of these keys; a dict of the user's is always "$dict".
def _encoded(value: Any, place: str, arrays: dict[str, Tensor]) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (np.generic, np.ndarray)):
        return {"$array": _stored(Tensor(np.array(value)), place, arrays)}
    if isinstance(value, Tensor):
        return {"$tensor": _stored(value, place, arrays)}
    if isinstance(value, np.dtype):
        return {"$dtype": value.name}
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
    if isinstance(value, Mapping):
        items = [
            [_encoded(k, f"{place}: the key {k!r}", arrays), _encoded(v, f"{place}[{k!r}]", arrays)]
            for k, v in value.items()
        ]
        return {"$counter" if isinstance(value, Counter) else "$dict": items}
    if isinstance(value, (list, tuple, deque)):
        parts = [_encoded(v, f"{place}[{i}]", arrays) for i, v in enumerate(value)]
        return parts if isinstance(value, list) else {"$tuple" if isinstance(value, tuple) else "$deque": parts}
    raise TypeError(
        f"a checkpoint holds numbers, strings, arrays and containers of them, but {place} is a {type(value).__name__}"
    )


def _stored(value: Tensor, place: str, arrays: dict[str, Tensor]) -> str:
    try:
        dtype_of(value.dtype)
    except TypeError as error:
        raise TypeError(f"{place}: {error}") from None
    name = f"array{len(arrays)}"
    arrays[name] = value
    return name


def _decoded(value: Any, arrays: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_decoded(v, arrays) for v in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "$tensor":
        return arrays[content]
    if kind == "$array":
        return to_numpy(arrays[content]._data)
    if kind == "$dtype":
        return dtype_of(content)
    if kind == "$float":
        return float(content)
    parts = [_decoded(v, arrays) for v in content]
    if kind == "$tuple":
        return tuple(parts)
    if kind == "$deque":
        return deque(parts)
    pairs = dict(parts)
    return Counter(pairs) if kind == "$counter" else pairs
