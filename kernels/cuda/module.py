"""CUDA C++ sources: read, compile once per process, launch on the current stream.

A ``.cu`` file beside this one holds the kernels of one family; ``#include "name.cuh"`` in it is replaced by the text
of that file, so that what reaches the compiler, and CuPy's cache key, is complete. Templates are compiled one
instantiation at a time, when first launched.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cupy
import numpy as np

__all__ = [
    "FLOATS",
    "INTEGERS",
    "REALS",
    "aligned",
    "bfloat16",
    "blocks",
    "by_value",
    "c_name",
    "from_number",
    "function",
    "header",
    "is_half",
    "launch",
    "load",
    "source",
    "stored",
]

_HERE = Path(__file__).resolve().parent
_INCLUDE = re.compile(r'^#include "(\w+)\.cuh"[^\n]*\n', re.MULTILINE)

try:
    from ml_dtypes import bfloat16 as _bfloat16

    bfloat16: np.dtype[Any] | None = np.dtype(_bfloat16)
except ImportError:  # an optional dtype
    bfloat16 = None

_C_NAMES = {
    "bool": "bool",
    "int8": "signed char",
    "int16": "short",
    "int32": "int",
    "int64": "long long",
    "uint8": "unsigned char",
    "uint16": "unsigned short",
    "uint32": "unsigned int",
    "uint64": "unsigned long long",
    "float16": "__half",
    "bfloat16": "__nv_bfloat16",
    "float32": "float",
    "float64": "double",
}
FLOATS = ("float", "double", "__half", "__nv_bfloat16")
INTEGERS = tuple(name for dtype, name in _C_NAMES.items() if "int" in dtype)
REALS = ("bool", *INTEGERS, *FLOATS)


_BY_DTYPE: dict[Any, str] = {np.dtype(name): c for name, c in _C_NAMES.items() if name != "bfloat16"}
if bfloat16 is not None:
    _BY_DTYPE[bfloat16] = _C_NAMES["bfloat16"]


def c_name(dtype: Any) -> str:
    """The C++ type of an element, as written in a template argument."""
    try:
        return _BY_DTYPE[dtype]  # ``dtype.name`` is put together at each call, which takes longer than a launch should
    except KeyError:
        raise TypeError(f"dtype {dtype} has no kernel on CUDA; cast to float32 or float64") from None


def is_half(dtype: Any) -> bool:
    """Whether arithmetic on this dtype is done in float32."""
    return bool(dtype.itemsize == 2 and dtype.kind not in "iu")


@functools.cache
def source(stem: str) -> str:
    """Text of ``<stem>.cu`` with its own headers in place of their ``#include`` lines, each once."""
    return _expanded((_HERE / f"{stem}.cu").read_text(encoding="utf-8"), set())


def _expanded(text: str, seen: set[str]) -> str:
    def replacement(match: re.Match[str]) -> str:
        name = match[1]
        if name in seen:
            return ""
        seen.add(name)
        return _expanded((_HERE / f"{name}.cuh").read_text(encoding="utf-8"), seen)

    return _INCLUDE.sub(replacement, text)


@functools.cache
def header(name: str) -> str:
    """Text of ``<name>.cuh``, for kernels whose source is generated."""
    return _expanded(f'#include "{name}.cuh"\n', set())


@functools.cache
def load(stem: str, expressions: tuple[str, ...], options: tuple[str, ...] = ()) -> Any:
    """The module with these instantiations of ``<stem>.cu``; one per process, compiled per device by CuPy."""
    return cupy.RawModule(code=source(stem), options=("-std=c++17", *options), name_expressions=expressions)


@functools.cache
def function(stem: str, expression: str, options: tuple[str, ...] = ()) -> Any:
    """One kernel, such as ``function("softmax", "softmax_rows<float>")``; remembers its binary for every device."""
    return load(stem, (expression,), options).get_function(expression)


def launch(
    stem: str, expression: str, grid: tuple[int, ...], block: tuple[int, ...], args: Iterable[Any], shared: int = 0
) -> None:
    """Run a kernel on the current stream.

    CuPy arrays are passed as pointers, Python integers as ``long long``, Python floats as ``double`` and one-element
    NumPy arrays by value. A grid without blocks is not launched.
    """
    if 0 not in grid:
        function(stem, expression)(grid, block, tuple(args), shared_mem=shared)


def blocks(count: int, per_block: int, limit: int = 2**31 - 1) -> int:
    """Blocks that cover ``count`` items; kernels given a lower ``limit`` loop over what is left."""
    return min(-(-count // per_block), limit)


def aligned(arrays: Iterable[Any], to: int) -> bool:
    """Whether every array starts at a multiple of ``to`` bytes."""
    return all(a.data.ptr % to == 0 for a in arrays)


def by_value(*numbers: int) -> Any:
    """A one-element NumPy array that a kernel receives as a struct of ``long long``, by value."""
    return np.array(numbers, np.int64).view(np.dtype((np.void, 8 * len(numbers))))


def from_number(value: Any, dtype: Any) -> Any:
    """A 0-d array of a number, which is passed by value: a copy from the host is refused while a stream is captured."""
    y = cupy.empty((), dtype)
    y.fill(value)
    return y


def stored(y: Any, out: Any | None) -> Any:
    """``y`` itself, or ``out`` holding it."""
    if out is None or out is y:
        return y
    cupy.copyto(out, y, casting="unsafe")
    return out
