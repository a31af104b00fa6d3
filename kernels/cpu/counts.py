"""Random counts on NumPy: Poisson and binomial numbers, the same as ``kernels/cuda/counts.py``.

Element i takes its uniform numbers from Philox blocks of its own, whose 256-bit counters are those of block i of the
stream, see ``kernels/cpu/random.py``, with the second word raised by a row. Row r has the four words of attempts 2 r
and 2 r + 1, two each: a draw takes one block of the stream for each element, however many attempts it needs.

A small mean, below 10, is inverted: the count is how far the sums of probabilities go before they pass u. Above, counts
are drawn from a hat over the distribution and kept with the right probability: the transformed rejection of W.
Hörmann, "The transformed rejection method for generating Poisson random variables", Insurance: Mathematics and
Economics 12 (1993), and "The generation of binomial random variates", Journal of Statistical Computation and Simulation
46 (1993). Probabilities are computed as C. Loader does, "Fast and accurate computation of binomial probabilities"
(2000), from deviances and the error of Stirling's formula, which stays accurate where counts are large.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["binomial", "poisson"]

Array = np.ndarray[Any, np.dtype[Any]]

_MASK = 0xFFFFFFFFFFFFFFFF
_SMALL = 10.0
_STEPS = 1000  # more than the sums of a mean below 10 take
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_TABLE = np.array(
    [0.0, *(math.lgamma(k + 1) - (k + 0.5) * math.log(k) + k - _HALF_LOG_2PI for k in range(1, 10))]
)  # the error of Stirling's formula for log k!


def poisson(out: Array, rates: Array, seed: int, offset: Any) -> None:
    """Fill with Poisson numbers of the given means, an array that broadcasts to ``out``."""
    mean = np.broadcast_to(rates, out.shape).astype(np.float64).reshape(-1)
    if (mean < 0).any():
        raise ValueError(f"poisson: every rate must be at least 0, the least is {np.nanmin(mean)}")
    out[...] = _poisson(mean, int(seed), int(offset)).reshape(out.shape)


def binomial(out: Array, counts: Array, chances: Array, seed: int, offset: Any) -> None:
    """Fill with numbers of successes in so many trials of so much chance each; both broadcast to ``out``."""
    n = np.floor(np.broadcast_to(counts, out.shape).astype(np.float64).reshape(-1))
    p = np.broadcast_to(chances, out.shape).astype(np.float64).reshape(-1)
    if (n < 0).any():
        raise ValueError(f"binomial: every count must be at least 0, the least is {np.nanmin(n)}")
    if ((p < 0) | (p > 1)).any():
        raise ValueError(f"binomial: every chance must be between 0 and 1, they are {np.nanmin(p)} to {np.nanmax(p)}")
    out[...] = _binomial(n, p, int(seed), int(offset)).reshape(out.shape)


# ------------------------------------------------------------------------------------------------------- the stream
def _uniform(which: Array, attempt: int, seed: int, offset: int) -> tuple[Array, Array]:
    """Two uniform numbers of (0, 1) of some elements for an attempt."""
    words = _blocks(which.astype(np.uint64) + np.uint64((offset + 1) & _MASK), which, offset, attempt // 2, seed)
    first = 2 * (attempt % 2)
    u, v = (((words[first + i] >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52 for i in (0, 1))
    return u, v


def _blocks(low: Array, which: Array, offset: int, row: int, seed: int) -> list[Array]:
    """The words of Philox4x64-10 for counters of these lowest words."""
    step = which.astype(np.uint64) + np.uint64(1)
    c0, c1 = low, (low < step).astype(np.uint64) + np.uint64(row)
    c2, c3 = np.zeros_like(low), np.zeros_like(low)
    k0, k1 = seed & _MASK, 0
    for _ in range(10):
        high0, low0 = _wide(c0, 0xD2E7470EE14C6C93)
        high1, low1 = _wide(c2, 0xCA5A826395121157)
        c0, c1, c2, c3 = high1 ^ c1 ^ np.uint64(k0), low1, high0 ^ c3 ^ np.uint64(k1), low0
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & _MASK, (k1 + 0xBB67AE8584CAA73B) & _MASK
    return [c0, c1, c2, c3]


def _wide(word: Array, factor: int) -> tuple[Array, Array]:
    """The upper and the lower 64 bits of products."""
    half, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    high, low = np.uint64(factor >> 32), np.uint64(factor & 0xFFFFFFFF)
    upper, lower = word >> half, word & mask
    middle = upper * low + ((lower * low) >> half)
    other = lower * high + (middle & mask)
    return upper * high + (middle >> half) + (other >> half), word * np.uint64(factor)


# ------------------------------------------------------------------------------------------------- probabilities
def _stirling(k: Array) -> Array:
    """``log k!`` less Stirling's formula for it, k at least 1."""
    table = _TABLE[np.minimum(k, 9).astype(np.int64)]
    inverse = 1 / np.maximum(k, 1)
    square = inverse * inverse
    series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680))))
    return np.where(k < 10, table, series)


def _deviance(k: Array, mean: Array) -> Array:
    """``k log(k / mean) + mean - k``."""
    d = (k - mean) / mean
    return mean * ((1 + d) * np.log1p(d) - d)


def _log_poisson(k: Array, mean: Array) -> Array:
    """The logarithm of the probability of k."""
    positive = np.maximum(k, 1)
    logarithm = -_stirling(positive) - _deviance(positive, mean) - 0.5 * np.log(positive) - _HALF_LOG_2PI
    return np.where(k == 0, -mean, logarithm)


def _log_binomial(k: Array, n: Array, p: Array) -> Array:
    rest = n - k
    a, b = np.maximum(k, 1), np.maximum(rest, 1)
    logarithm = _stirling(n) - _stirling(a) - _stirling(b) - _deviance(a, n * p) - _deviance(b, n * (1 - p))
    logarithm += 0.5 * np.log(n / (a * b)) - _HALF_LOG_2PI
    logarithm = np.where(k == 0, n * np.log1p(-p), logarithm)
    return np.where(rest == 0, n * np.log(p), logarithm)


# ---------------------------------------------------------------------------------------------------------- methods
def _poisson(mean: Array, seed: int, offset: int) -> Array:
    y = np.where(np.isnan(mean) | np.isinf(mean), mean, 0.0)
    small = np.flatnonzero((mean > 0) & (mean < _SMALL))
    if small.size:
        m, u = mean[small], _uniform(small, 0, seed, offset)[0]
        _inverted(y, small, u, np.exp(-m), lambda k, active: m[active] / k)
    left = np.flatnonzero((mean >= _SMALL) & (mean < np.inf))
    attempt = 0
    while left.size:
        m = mean[left]
        u, v = _uniform(left, attempt, seed, offset)
        b = 0.931 + 2.53 * np.sqrt(m)
        a = -0.059 + 0.02483 * b
        k, us = _under_hat(u, a, b, m + 0.43)
        quick = (us >= 0.07) & (v <= 0.9277 - 3.6224 / (b - 2))
        scaled = v * (1.1239 + 1.1328 / (b - 3.4)) / (a / (us * us) + b)
        possible = (k >= 0) & ~((us < 0.013) & (v > us))
        keep = quick | (possible & (np.log(scaled) <= _log_poisson(np.maximum(k, 0), m)))
        y[left[keep]] = k[keep]
        left = left[~keep]
        attempt += 1
    return y


def _under_hat(u: Array, a: Array, b: Array, centre: Array) -> tuple[Array, Array]:
    """A count from under the hat, and how far u is from its ends."""
    u = u - 0.5
    us = 0.5 - np.abs(u)
    return np.floor((2 * a / us + b) * u + centre), us


def _inverted(y: Array, which: Array, u: Array, first: Array, ratio: Any) -> None:
    """Counts of some elements: how many probabilities, each ``ratio(k, ...)`` times the one before, u exceeds."""
    probability, total = first.copy(), first.copy()
    active = np.flatnonzero(u > total)
    k = 0
    while active.size and k < _STEPS:
        k += 1
        probability[active] *= ratio(k, active)
        total[active] += probability[active]
        y[which[active]] = k
        active = active[(u[active] > total[active]) & (probability[active] > 0)]


def _binomial(n: Array, p: Array, seed: int, offset: int) -> Array:
    flipped = p > 0.5
    chance = np.where(flipped, 1 - p, p)
    y = np.zeros(n.shape)
    unknown = np.isnan(n) | np.isnan(p)
    endless = np.isinf(n) & ~unknown
    usual = ~unknown & ~endless & (n > 0) & (chance > 0)
    mean = np.where(usual, n * chance, 0)
    small = np.flatnonzero(usual & (mean < _SMALL))
    if small.size:
        m, q = n[small], chance[small]
        u = _uniform(small, 0, seed, offset)[0]
        odds = q / (1 - q)
        _inverted(y, small, u, np.exp(m * np.log1p(-q)), lambda k, active: (m[active] + 1 - k) / k * odds[active])
    left = np.flatnonzero(usual & (mean >= _SMALL))
    attempt = 0
    while left.size:
        m, q = n[left], chance[left]
        u, v = _uniform(left, attempt, seed, offset)
        spread = np.sqrt(m * q * (1 - q))
        b = 1.15 + 2.53 * spread
        a = -0.0873 + 0.0248 * b + 0.01 * q
        k, us = _under_hat(u, a, b, m * q + 0.5)
        quick = (us >= 0.07) & (v <= 0.92 - 4.2 / b)
        scaled = v * (2.83 + 5.1 / b) * spread / (a / (us * us) + b)
        possible = (k >= 0) & (k <= m)
        most = _log_binomial(np.floor((m + 1) * q), m, q)
        keep = quick | (possible & (np.log(scaled) <= _log_binomial(np.clip(k, 0, m), m, q) - most))
        y[left[keep]] = k[keep]
        left = left[~keep]
        attempt += 1
    y = np.where(flipped & ~endless, n - y, y)
    y = np.where(endless, np.where(p > 0, n, 0), y)
    return np.where(unknown, np.nan, y)
