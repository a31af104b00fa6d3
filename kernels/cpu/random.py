"""Random numbers on NumPy: Philox4x64-10, the same bits as ``kernels/cuda/random.py``.

The stream of ``(seed, offset)`` is the sequence of 64-bit words that ``numpy.random.Philox(key=seed, counter=offset)``
gives: block j is Philox4x64-10 of the 256-bit counter ``offset + j + 1`` (NumPy increments before it computes) under
the key ``(seed, 0)``, its four words lowest first. Element i, in C order, of a draw depends on (seed, offset, i) alone:

=============  ==============================  =======================================================================
kernel         bits of element i               value
=============  ==============================  =======================================================================
random_bits    64, or 32 for uint32            the bits; of a word the low half comes first
uniform        32, or 64 for float64           low + (high - low) * u, u the top 24 (53) bits as a fraction
normal         64 for a pair, 128 for float64  Box-Muller: elements 2k and 2k + 1 are the cosine and the sine of pair k
bernoulli      32                              u < p, u the 32 bits as a fraction
integers       64                              low + floor(u * (high - low)), u the 64 bits as a fraction
permutation    64                              stable argsort of the words
dropout        16                              u < p drops, u the 16 bits as a fraction (p is rounded to 2**-16)
=============  ==============================  =======================================================================

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011; Box and Muller, "A note on
the generation of random normal deviates", 1958.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

__all__ = ["bernoulli", "dropout", "integers", "normal", "permutation", "random_bits", "uniform"]

Array = np.ndarray[Any, np.dtype[Any]]

_WORDS = 4096  # words made at a time: 32 KiB, so that what follows finds them in cache
_MASK = 0xFFFFFFFFFFFFFFFF
_UINT16, _UINT32, _UINT64 = np.dtype(np.uint16), np.dtype(np.uint32), np.dtype(np.uint64)
_8, _11 = np.uint32(8), np.uint64(11)
_EMPTY = (0, 0, 0, 0)  # the buffer of a generator that is about to compute its first block
_idle: list[Any] = []  # generators not in use; setting the state of one costs a tenth of making one


def _bits(size: int, kind: np.dtype[Any], seed: int, offset: Any) -> Iterator[tuple[int, int, Array]]:
    """``(start, stop, bits)``: the bits of elements start to stop - 1 as integers of dtype ``kind``, block by block."""
    try:
        philox = _idle.pop()
    except IndexError:
        from numpy.random import Philox  # importing it takes longer than importing the rest of the package

        philox = Philox(0)
    philox.state = {
        "bit_generator": "Philox",
        "state": {"counter": (int(offset) & _MASK, 0, 0, 0), "key": (int(seed) & _MASK, 0)},
        "buffer": _EMPTY,
        "buffer_pos": 4,
        "has_uint32": 0,
        "uinteger": 0,
    }
    per_word = 8 // kind.itemsize
    step = _WORDS * per_word
    for start in range(0, size, step):
        n = min(step, size - start)
        yield start, start + n, philox.random_raw(-(-n // per_word)).view(kind)[:n]
    _idle.append(philox)


def random_bits(out: Array, seed: int, offset: Any) -> None:
    """Fill a uint64 or uint32 array with raw bits."""
    if out.dtype not in (_UINT32, _UINT64):
        raise TypeError(f"random_bits: out must be uint32 or uint64, not {out.dtype}")
    flat = _flat(out)
    for start, stop, bits in _bits(flat.size, out.dtype, seed, offset):
        flat[start:stop] = bits
    _store(out, flat)


def uniform(out: Array, low: float, high: float, seed: int, offset: Any) -> None:
    """Fill with numbers of [low, high), which are taken at the precision of ``out``."""
    work = work_dtype("uniform", out.dtype)
    kind, signed, shift = (_UINT64, np.int64, _11) if work.itemsize == 8 else (_UINT32, np.int32, _8)
    low, scale, top = uniform_constants(out.dtype, work, low, high)
    flat = _flat(out)
    direct = flat.dtype == work
    scratch = flat if direct else np.empty(min(flat.size, 2 * _WORDS), work)
    for start, stop, bits in _bits(flat.size, kind, seed, offset):
        np.right_shift(bits, shift, out=bits)
        y = flat[start:stop] if direct else scratch[: stop - start]
        # The numbers are small, and the conversion of signed integers is the faster one.
        np.multiply(bits.view(signed), scale, out=y, casting="unsafe", dtype=work)
        if low != 0 or not direct:
            np.add(y, low, out=y)
            np.minimum(y, top, out=y)
        if not direct:
            flat[start:stop] = y
    _store(out, flat)


@lru_cache(64)
def uniform_constants(dtype: Any, work: Any, low: float, high: float) -> tuple[Any, Any, Any]:
    """``low``, the step between two numbers and the largest number allowed, in the precision of the computation."""
    lowest, highest = float(np.asarray(low, dtype)), float(np.asarray(high, dtype))
    scale = work.type(math.ldexp(highest - lowest, -53 if work.itemsize == 8 else -24))
    below = np.nextafter(np.asarray(highest, dtype), np.asarray(-math.inf, dtype))
    return work.type(lowest), scale, work.type(max(float(below), lowest))


def normal(out: Array, mean: float, std: float, seed: int, offset: Any) -> None:
    """Fill with normal numbers."""
    work = work_dtype("normal", out.dtype)
    kind = _UINT64 if work.itemsize == 8 else _UINT32
    mean, std, two = work.type(mean), work.type(std), work.type(-2)
    flat = _flat(out)
    even = flat.size + flat.size % 2
    scratch = np.empty(min(even, 2 * _WORDS), work)
    for start, stop, bits in _bits(even, kind, seed, offset):
        if kind is _UINT64:
            np.right_shift(bits, _11, out=bits)
            u = (bits[0::2] + np.uint64(1)) * 2.0**-53
            t = bits[1::2] * (2.0 * math.pi * 2.0**-53)
        else:
            u = bits[0::2].astype(np.float32)
            u *= np.float32(2.0**-32)
            u += np.float32(2.0**-33)
            t = bits.view(np.int32)[1::2].astype(np.float32)
            t *= np.float32(2.0 * math.pi * 2.0**-32)
        np.log(u, out=u)
        np.multiply(u, two, out=u)
        np.sqrt(u, out=u)
        direct = flat.dtype == work and stop <= flat.size
        z = flat[start:stop] if direct else scratch[: stop - start]
        np.multiply(u, np.cos(t), out=z[0::2])
        np.multiply(u, np.sin(t, out=t), out=z[1::2])
        if std != 1:
            np.multiply(z, std, out=z)
        if mean != 0:
            np.add(z, mean, out=z)
        if not direct:
            flat[start:stop] = z[: flat.size - start]
    _store(out, flat)


def bernoulli(out: Array, p: Any, seed: int, offset: Any) -> None:
    """Fill with 1 with probability ``p``, otherwise 0; ``p`` is a number or an array that broadcasts to ``out``."""
    flat = _flat(out)
    if isinstance(p, np.ndarray):
        levels = np.ascontiguousarray(np.broadcast_to(p, out.shape)).reshape(-1)
        if not ((levels >= 0) & (levels <= 1)).all():
            raise ValueError(f"bernoulli: every p must be between 0 and 1, they are {levels.min()} to {levels.max()}")
        for start, stop, bits in _bits(flat.size, _UINT32, seed, offset):
            flat[start:stop] = bits < levels[start:stop].astype(np.float64) * 2.0**32
    else:
        threshold = bernoulli_threshold(p)
        if threshold == 1 << 32:  # one more than a uint32 can be
            flat[...] = 1
        else:
            for start, stop, bits in _bits(flat.size, _UINT32, seed, offset):
                flat[start:stop] = bits < np.uint32(threshold)
    _store(out, flat)


def bernoulli_threshold(p: float) -> int:
    """How many of the 32-bit integers mean success."""
    p = float(p)
    if not 0 <= p <= 1:
        raise ValueError(f"bernoulli: p must be between 0 and 1, got {p}")
    return math.ceil(math.ldexp(p, 32))


def integers(out: Array, low: int, high: int, seed: int, offset: Any) -> None:
    """Fill with integers of [low, high)."""
    first, span = integer_span(out.dtype, low, high)
    shift = np.uint64(first & _MASK)
    flat = _flat(out)
    for start, stop, bits in _bits(flat.size, _UINT64, seed, offset):
        word = _multiply_high(bits, span)
        word += shift
        flat[start:stop] = word.view(np.int64) if out.dtype.kind == "i" else word
    _store(out, flat)


@lru_cache
def integer_span(dtype: Any, low: int, high: int) -> tuple[int, int]:
    """``low`` and the count of integers in the range."""
    if dtype.kind not in "iu":
        raise TypeError(f"integers: out must have an integer dtype, not {dtype}")
    limits = np.iinfo(dtype)
    if not limits.min <= low < high <= int(limits.max) + 1:
        raise ValueError(
            f"integers: [{low}, {high}) is empty or beyond {dtype}, which holds {limits.min} to {limits.max}"
        )
    return int(low), int(high) - int(low)


def _multiply_high(word: Array, span: int) -> Array:
    """The upper 64 bits of the products ``word * span``, for a span of up to 2**64."""
    half, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    span_high, span_low = np.uint64(span >> 32), np.uint64(span & 0xFFFFFFFF)
    upper, lower = word >> half, word & mask
    if span_high == 0:
        lower *= span_low
        lower >>= half
        upper *= span_low
        upper += lower
        upper >>= half
        return upper
    middle = upper * span_low
    middle += (lower * span_low) >> half
    upper *= span_high
    upper += middle >> half
    middle &= mask
    lower *= span_high
    lower += middle
    upper += lower >> half
    return upper


def permutation(out: Array, seed: int, offset: Any) -> None:
    """Fill with a random order of 0 .. n-1."""
    if out.ndim != 1 or out.dtype != np.int64:
        raise TypeError(f"permutation: out must be a 1-D int64 array, not {out.ndim}-D {out.dtype}")
    words = np.empty(out.size, np.uint64)
    random_bits(words, seed, offset)
    out[...] = _stable_argsort(words)


def _stable_argsort(words: Array) -> Array:
    """What ``np.argsort(words, kind="stable")`` gives for random words, up to five times as fast."""
    if words.size < 768:
        return np.argsort(words, kind="stable")
    # NumPy sorts 16-bit integers by radix: two passes order the upper halves of the words.
    quarters = words.view(np.uint16)
    order = np.argsort(quarters[2::4], kind="stable")
    order = order[np.argsort(quarters[3::4][order], kind="stable")]
    # The few words whose upper halves are equal stand side by side and are put in order among themselves.
    ordered = words[order]
    upper = ordered >> np.uint64(32)
    equal = np.zeros(words.size + 1, np.bool_)
    np.equal(upper[1:], upper[:-1], out=equal[1:-1])
    tied = np.flatnonzero(equal[1:] | equal[:-1])
    order[tied] = order[tied[np.argsort(ordered[tied], kind="stable")]]
    return order


def dropout(x: Array, p: float, seed: int, offset: Any, out: Array | None = None) -> Array:
    """``x / (1 - p)`` where kept, 0 where dropped (also for a dropped infinity or NaN); the gradient alike."""
    work = work_dtype("dropout", x.dtype)
    threshold, factor = dropout_constants(p)
    result = np.empty(x.shape, x.dtype) if out is None else out
    source, flat = np.ascontiguousarray(x).reshape(-1), _flat(result)
    if threshold == 1 << 16:
        flat[...] = 0
    elif threshold == 0:
        np.multiply(source, work.type(factor), out=flat, casting="unsafe", dtype=work)
    else:
        _dropout(source, flat, np.uint16(threshold), work.type(factor), seed, offset)
    _store(result, flat)
    return result


def _dropout(x: Array, y: Array, threshold: Any, factor: Any, seed: int, offset: Any) -> None:
    # Comparing gives bytes of 0 or 1; widened and negated they are masks of zeros or ones to "and" the result with.
    block = min(4 * _WORDS, x.size)
    kept, mask = np.empty(block, np.bool_), np.empty(block, f"u{x.itemsize}")
    direct = x.dtype == factor.dtype
    scratch = y if direct else np.empty(block, factor.dtype)
    target = y.view(mask.dtype)
    for start, stop, bits in _bits(x.size, _UINT16, seed, offset):
        n = stop - start
        np.copyto(mask[:n], np.greater_equal(bits, threshold, out=kept[:n]))
        np.negative(mask[:n], out=mask[:n])
        if direct:
            np.multiply(x[start:stop], factor, out=y[start:stop])
        else:
            np.copyto(scratch[:n], x[start:stop], casting="unsafe")
            np.multiply(scratch[:n], factor, out=scratch[:n])
            y[start:stop] = scratch[:n]
        np.bitwise_and(target[start:stop], mask[:n], out=target[start:stop])


def keep_mask(first: int, count: int, p: float, seed: int, offset: Any) -> Array:
    """Whether `dropout` keeps the elements ``first`` to ``first + count - 1`` of an array."""
    threshold = dropout_constants(p)[0]
    start = first % 16  # a Philox block serves 16 elements
    kept = np.empty(start + count, np.bool_)
    for low, high, bits in _bits(start + count, _UINT16, seed, int(offset) + first // 16):
        np.greater_equal(bits, threshold, out=kept[low:high])
    return kept[start:]


@lru_cache
def dropout_constants(p: float) -> tuple[int, float]:
    """The number of 16-bit values that mean "drop", and the factor of what is kept."""
    p = float(p)
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p must be between 0 and 1, got {p}")
    return (1 << 16, 0.0) if p == 1 else (min(round(p * 65536), 65536), 1 / (1 - p))


def _flat(out: Array) -> Array:
    """``out`` as one row, or a row of its own that `_store` copies back."""
    return out.reshape(-1) if out.flags.c_contiguous else np.empty(out.size, out.dtype)


def _store(out: Array, flat: Array) -> None:
    if not out.flags.c_contiguous:
        out[...] = flat.reshape(out.shape)


@lru_cache
def work_dtype(name: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What a floating-point kernel computes in: float32, or float64 for float64."""
    if dtype.name not in ("float64", "float32", "float16", "bfloat16"):
        raise TypeError(f"{name}: needs a floating-point array, not {dtype}")
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)
