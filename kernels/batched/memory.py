"""Copying, casting, filling and joining."""

from __future__ import annotations

from typing import Any

from .array import BatchedArray, Level, data_at, spread
from .elementwise import aligned

__all__ = ["RULES"]


def _unary(kernel: Any, level: Level, x: Any, **more: Any) -> Any:
    return BatchedArray(kernel(data_at(x, level), *more.values()), level)


def _assign(kernel: Any, level: Level, out: Any, x: Any) -> None:
    kernel(data_at(out, level), aligned(x, level, out.ndim))


def _fill(kernel: Any, level: Level, out: Any, value: Any) -> None:
    if hasattr(value, "dtype"):
        from .. import assign

        assign(out, value)
    else:
        kernel(data_at(out, level), value)


def _arange(kernel: Any, level: Level, out: Any, start: Any, step: Any) -> None:
    from .. import assign

    row = data_at(out, level)[0]
    kernel(row, start, step)
    assign(data_at(out, level), row)


def _concat(kernel: Any, level: Level, arrays: Any, axis: int) -> Any:
    return BatchedArray(kernel([spread(a, level) for a in arrays], axis % arrays[0].ndim + 1), level)


def _parts(kernel: Any, level: Level, /, **values: Any) -> Any:
    from .elementwise import launch

    return launch(kernel, level, list(values.values()), None)


RULES = {
    "copy": _unary,
    "cast": _unary,
    "assign": _assign,
    "fill": _fill,
    "arange": _arange,
    "concat": _concat,
    "lexsort": _concat,
    "imag": _parts,
    "join_parts": _parts,
    "frexp": _parts,
    "divmod": _parts,
    "modf": _parts,
    "ldexp": _parts,
}
