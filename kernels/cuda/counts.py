"""Random counts on CuPy: the same numbers as ``kernels/cpu/counts.py``, which documents them.

Means, counts and chances are not checked, as that would mean waiting for the device: where they are none, the result is
NaN.
"""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from .module import FLOATS, blocks, c_name, launch
from .random import POSITION, position

__all__ = ["INSTANTIATIONS", "binomial", "poisson"]

_THREADS = 128
_BLOCKS = 1 << 20  # at most; they loop over what is left

INSTANTIATIONS = {"counts": [f"{kernel}<{t}>" for kernel in ("binomial", "poisson") for t in FLOATS]}


def poisson(out: Any, rates: Any, seed: Any, offset: Any) -> None:
    """Fill with Poisson numbers of the given means, an array that broadcasts to ``out``."""
    _launch("poisson", out, (rates,), seed, offset)


def binomial(out: Any, counts: Any, chances: Any, seed: Any, offset: Any) -> None:
    """Fill with numbers of successes in so many trials of so much chance each; both broadcast to ``out``."""
    _launch("binomial", out, (counts, chances), seed, offset)


def _launch(kernel: str, out: Any, parameters: tuple[Any, ...], seed: Any, offset: Any) -> None:
    numbers = [cupy.ascontiguousarray(cupy.broadcast_to(x, out.shape).astype(np.float64)) for x in parameters]
    flat = out if out.flags.c_contiguous else cupy.empty(out.shape, out.dtype)
    place = position(seed, offset).reshape(1).view(np.dtype((np.void, POSITION.itemsize)))
    args = (flat, *numbers, np.uint64(flat.size), place)
    launch("counts", f"{kernel}<{c_name(out.dtype)}>", (blocks(flat.size, _THREADS, _BLOCKS),), (_THREADS,), args)
    if flat is not out:
        out[...] = flat
