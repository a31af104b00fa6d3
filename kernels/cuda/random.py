"""Random numbers on CuPy: Philox4x64-10, the same bits as ``kernels/cpu/random.py``, which documents them.

``seed`` and ``offset`` may be 0-d uint64 arrays on the device, which are read when the kernel runs: a CUDA graph can be
replayed with another part of the stream, or another stream.
"""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from ..cpu.random import bernoulli_threshold, dropout_constants, integer_span, uniform_constants, work_dtype
from .module import FLOATS, aligned, blocks, c_name, launch

__all__ = [
    "INSTANTIATIONS",
    "POSITION",
    "bernoulli",
    "dropout",
    "integers",
    "normal",
    "permutation",
    "position",
    "random_bits",
    "uniform",
]

_THREADS = 256
_TILE = 1024  # words that a thread block makes at a time, as in random.cu
_BLOCKS = 1 << 20  # at most; they loop over what is left
_MASK = 0xFFFFFFFFFFFFFFFF
_UNSIGNED = {1: "unsigned char", 2: "unsigned short", 4: "unsigned int", 8: "unsigned long long"}

INSTANTIATIONS = {
    "random": [
        *(f"random_bits<{_UNSIGNED[size]}>" for size in (4, 8)),
        *(f"{kernel}<{t}>" for kernel in ("uniform", "normal", "dropout") for t in FLOATS),
        *(f"{kernel}<{t}>" for kernel in ("bernoulli", "integers") for t in _UNSIGNED.values()),
    ]
}


POSITION = np.dtype([("seed", "u8"), ("offset", "u8"), ("seed_in_memory", "u8"), ("offset_in_memory", "u8")])
"""``Position`` of philox.cuh."""


def position(seed: Any, offset: Any) -> Any:
    """Where in which stream, as kernels take it by value; each is a number or a 0-d array, which must stay alive."""
    made = np.zeros((), POSITION)
    for name, value in (("seed", seed), ("offset", offset)):
        if isinstance(value, cupy.ndarray):
            made[f"{name}_in_memory"] = value.data.ptr
        else:
            made[name] = int(value) & _MASK
    return made


def _launch(kernel: str, words: int, args: tuple[Any, ...], seed: Any, offset: Any) -> None:
    place = position(seed, offset).reshape(1).view(np.dtype((np.void, POSITION.itemsize)))
    launch("random", kernel, (blocks(words, _TILE, _BLOCKS),), (_THREADS,), (*args, place))


def random_bits(out: Any, seed: Any, offset: Any) -> None:
    """Fill a uint64 or uint32 array with raw bits."""
    if out.dtype.name not in ("uint32", "uint64"):
        raise TypeError(f"random_bits: out must be uint32 or uint64, not {out.dtype}")
    flat = _flat(out)
    words = -(-flat.size * flat.itemsize // 8)
    args = (flat, np.uint64(flat.size), np.bool_(aligned((flat,), 8)))
    _launch(f"random_bits<{c_name(out.dtype)}>", words, args, seed, offset)
    _store(out, flat)


def uniform(out: Any, low: float, high: float, seed: Any, offset: Any) -> None:
    """Fill with numbers of [low, high), which are taken at the precision of ``out``."""
    work = work_dtype("uniform", out.dtype)
    constants = uniform_constants(out.dtype, work, low, high)
    flat = _flat(out)
    words = -(-flat.size * work.itemsize // 8)
    args = (flat, np.uint64(flat.size), np.bool_(aligned((flat,), 8)), *constants)
    _launch(f"uniform<{c_name(out.dtype)}>", words, args, seed, offset)
    _store(out, flat)


def normal(out: Any, mean: float, std: float, seed: Any, offset: Any) -> None:
    """Fill with normal numbers."""
    work = work_dtype("normal", out.dtype)
    flat = _flat(out)
    words = -(-flat.size // 2) * work.itemsize // 4
    args = (flat, np.uint64(flat.size), np.bool_(aligned((flat,), 16)), work.type(mean), work.type(std))
    _launch(f"normal<{c_name(out.dtype)}>", words, args, seed, offset)
    _store(out, flat)


def bernoulli(out: Any, p: Any, seed: Any, offset: Any) -> None:
    """Fill with 1 with probability ``p``, otherwise 0; ``p`` is a number or an array that broadcasts to ``out``."""
    if out.itemsize > 8:
        raise TypeError(f"bernoulli: out cannot have dtype {out.dtype} on CUDA; use float64")
    flat = _flat(out)
    if isinstance(p, cupy.ndarray):
        chances = cupy.ascontiguousarray(cupy.broadcast_to(p, out.shape).astype(np.float64))
        threshold: Any = np.uint64(0)
    else:
        chances, threshold = np.uintp(0), np.uint64(bernoulli_threshold(p))
    one = np.uint64(int(np.ones((), out.dtype).view(f"u{out.itemsize}")))
    args = (flat, np.uint64(flat.size), np.bool_(aligned((flat,), 16)), one, threshold, chances)
    _launch(f"bernoulli<{_UNSIGNED[out.itemsize]}>", -(-flat.size // 2), args, seed, offset)
    _store(out, flat)


def integers(out: Any, low: int, high: int, seed: Any, offset: Any) -> None:
    """Fill with integers of [low, high)."""
    first, span = integer_span(out.dtype, low, high)
    flat = _flat(out)
    args = (flat, np.uint64(flat.size), np.uint64(first & _MASK), np.uint64(span & _MASK))
    _launch(f"integers<{_UNSIGNED[out.itemsize]}>", flat.size, args, seed, offset)
    _store(out, flat)


def permutation(out: Any, seed: Any, offset: Any) -> None:
    """Fill with a random order of 0 .. n-1."""
    if out.ndim != 1 or out.dtype != np.int64:
        raise TypeError(f"permutation: out must be a 1-D int64 array, not {out.ndim}-D {out.dtype}")
    words = cupy.empty(out.shape, np.uint64)
    random_bits(words, seed, offset)
    out[...] = cupy.argsort(words, kind="stable")


def dropout(x: Any, p: float, seed: Any, offset: Any, out: Any | None = None) -> Any:
    """``x / (1 - p)`` where kept, 0 where dropped (also for a dropped infinity or NaN); the gradient alike."""
    work = work_dtype("dropout", x.dtype)
    threshold, factor = dropout_constants(p)
    result = cupy.empty(x.shape, x.dtype) if out is None else out
    source, flat = cupy.ascontiguousarray(x), _flat(result)
    whole = aligned((source, flat), 16)
    args = (source, flat, np.uint64(flat.size), np.bool_(whole), np.uint32(threshold), work.type(factor))
    _launch(f"dropout<{c_name(x.dtype)}>", -(-flat.size // 4), args, seed, offset)
    _store(result, flat)
    return result


def _flat(out: Any) -> Any:
    """``out`` if it is contiguous, or an array of its own that `_store` copies back."""
    return out if out.flags.c_contiguous else cupy.empty(out.shape, out.dtype)


def _store(out: Any, flat: Any) -> None:
    if flat is not out:
        out[...] = flat
