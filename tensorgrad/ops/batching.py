"""The way into and out of a batch: what `tg.func.vmap` does to the tensors that it maps over.

Inside, a tensor holds a `BatchedArray` and looks like one sample. The two ops here are each other's gradient; whatever
lies between them differentiates as it always does, only on batched arrays.
"""

from __future__ import annotations

from typing import Any

from ..kernels.batched.array import Level, levels_of, unwrapped_at, wrapped_at
from ..tensor import Tensor
from .definition import Function, primitive

__all__ = ["enter", "is_batched", "leave"]

enter: Function = primitive(
    "enter_vmap",
    lambda x, level: wrapped_at(x, level),
    lambda g, level: leave(g, level),
    put=lambda x, part, level: leave(part, level),
)
enter.__doc__ = "The parts of a tensor along axis 0 as the samples of a level."

leave: Function = primitive(
    "leave_vmap",
    lambda x, level: unwrapped_at(x, level),
    lambda g, level: enter(g, level),
)
leave.__doc__ = "The samples of a level along axis 0."


def is_batched(x: Any, level: Level | None = None) -> bool:
    """Whether a tensor, or an array, has a value for each sample, of a given level or of any."""
    levels = levels_of(x._data if isinstance(x, Tensor) else x)
    return bool(levels) if level is None else level in levels
