"""Bits packed into bytes and unpacked, on CUDA."""

from __future__ import annotations

import functools
import math
from typing import Any

import cupy
import numpy as np

__all__ = ["packbits", "unpackbits"]


@functools.cache
def _packed() -> Any:
    return cupy.ElementwiseKernel(
        "raw T x, int64 size, int64 bytes, int64 inner, bool big",
        "uint8 packed",
        """
        const long long line = i / inner, from = 8 * (line % bytes);
        const long long start = (line / bytes * size + from) * inner + i % inner;
        unsigned char found = 0;
        for (int k = 0; k < 8 && from + k < size; ++k) {
            if (x[start + k * inner] != T(0)) found |= 1 << (big ? 7 - k : k);
        }
        packed = found;
        """,
        "tg_packbits",
    )


@functools.cache
def _unpacked() -> Any:
    return cupy.ElementwiseKernel(
        "raw uint8 x, int64 size, int64 count, int64 inner, bool big",
        "uint8 bit",
        """
        const long long line = i / inner, k = line % count;
        const int place = big ? 7 - k % 8 : k % 8;
        bit = k < 8 * size ? (x[(line / count * size + k / 8) * inner + i % inner] >> place) & 1 : 0;
        """,
        "tg_unpackbits",
    )


def packbits(x: Any, axis: int, big: bool = True, out: Any | None = None) -> Any:
    """Each 8 neighbours along an axis as the bits of a byte, 1 where an element is not 0; zeros fill the last one."""
    return _along(_packed(), x, axis, -(-x.shape[axis] // 8), big, out)


def unpackbits(x: Any, axis: int, count: int, big: bool = True, out: Any | None = None) -> Any:
    """The first ``count`` bits of the bytes along an axis as elements of their own, and zeros where there are fewer."""
    return _along(_unpacked(), x, axis, count, big, out)


def _along(kernel: Any, x: Any, axis: int, count: int, big: bool, out: Any | None) -> Any:
    """``count`` elements along the axis of the result."""
    axis %= x.ndim
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    y = out if out is not None and out.flags.c_contiguous else cupy.empty(shape, np.uint8)
    if y.size:
        kernel(cupy.ascontiguousarray(x), x.shape[axis], count, math.prod(x.shape[axis + 1 :]), big, y)
    if out is not None and y is not out:
        cupy.copyto(out, y)
        return out
    return y
