"""Bits packed into bytes and unpacked, on NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["packbits", "unpackbits"]

Array = np.ndarray[Any, np.dtype[Any]]


def packbits(x: Array, axis: int, big: bool = True, out: Array | None = None) -> Array:
    """Each 8 neighbours along an axis as the bits of a byte, 1 where an element is not 0; zeros fill the last one."""
    y = np.packbits(x, axis, "big" if big else "little")
    if out is None:
        return y if y.flags.c_contiguous else y.copy()
    np.copyto(out, y)
    return out


def unpackbits(x: Array, axis: int, count: int, big: bool = True, out: Array | None = None) -> Array:
    """The first ``count`` bits of the bytes along an axis as elements of their own, and zeros where there are fewer."""
    if not x.size and count > 0:  # NumPy would leave what the memory held
        y = np.zeros((*x.shape[:axis], count, *x.shape[axis:][1:]), np.uint8)
    else:
        y = np.unpackbits(x, axis, count, "big" if big else "little")
    if out is None:
        return y if y.flags.c_contiguous else y.copy()
    np.copyto(out, y)
    return out
