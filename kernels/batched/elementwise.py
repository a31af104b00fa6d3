"""Elementwise instructions: the samples' axes are lined up, and the batch is one more that broadcasts."""

from __future__ import annotations

from typing import Any

import numpy as np

from .array import BatchedArray, Level, NeedsSamplesError, data_at, whole

__all__ = ["aligned", "launch"]


def aligned(x: Any, level: Level, ndim: int) -> Any:
    """An operand that broadcasts against others whose samples have ``ndim`` axes."""
    data = data_at(x, level)
    if data is None:
        return x
    missing = ndim - x.ndim
    return data.reshape((level.size, *(1,) * missing, *x.shape)) if missing > 0 else data


def launch(kernel: Any, level: Level, args: list[Any], out: Any) -> Any:
    """Launch an elementwise kernel on the whole batch."""
    ndim = max(a.ndim for a in args if hasattr(a, "dtype"))
    operands = [aligned(a, level, ndim) for a in args]
    if not isinstance(kernel.cpu, np.ufunc):  # these take the shape of the result from the first operand
        first = next(i for i, a in enumerate(args) if hasattr(a, "dtype"))
        shape = np.broadcast_shapes(*(a.shape for a in args if hasattr(a, "dtype")))
        operands[first] = whole(operands[first], (level.size, *shape))
    if out is None:
        result = kernel(*operands)
        if isinstance(result, tuple):
            return tuple(BatchedArray(r, level) for r in result)
        return BatchedArray(result, level)
    target = data_at(out, level)
    if target is None:
        raise NeedsSamplesError(
            level,
            f"vmap: {level.name} writes values that differ from sample to sample ({kernel.name}) into a tensor that "
            f"all {level.size} samples share, of shape {out.shape}; compute a new tensor instead",
        )
    kernel(*operands, out=target)
    return out
