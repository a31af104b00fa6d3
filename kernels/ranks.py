"""Where a quantile of sorted numbers lies: between which of them, and how far from one to the other.

The names and formulas are those of R. J. Hyndman and Y. Fan, The American Statistician 50, 1996, and NumPy's.
"""

from __future__ import annotations

import math
from typing import Any

__all__ = ["METHODS", "between", "place", "places", "speed", "virtual_index"]

_ALPHA_BETA = {
    "interpolated_inverted_cdf": (0.0, 1.0), "hazen": (0.5, 0.5), "weibull": (0.0, 0.0), "linear": (1.0, 1.0),
    "median_unbiased": (1 / 3, 1 / 3), "normal_unbiased": (3 / 8, 3 / 8),
}  # fmt: skip

METHODS = (
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull",
    "linear", "median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest",
)  # fmt: skip


def virtual_index(n: Any, q: float, method: str) -> Any:
    """The place, counted from 0, that stands for the part ``q`` of ``n`` sorted numbers; n a number or an array."""
    if method in _ALPHA_BETA:
        if method == "linear":
            return (n - 1) * q
        alpha, beta = _ALPHA_BETA[method]
        return n * q + (alpha + q * (1 - alpha - beta)) - 1
    if method in ("inverted_cdf", "averaged_inverted_cdf"):
        return n * q - 1
    if method == "closest_observation":
        return n * q - 1.5
    return (n - 1) * q


def speed(n: Any, method: str) -> Any:
    """How fast `virtual_index` moves with the part; 0 for methods that only step from element to element."""
    if method not in _ALPHA_BETA:
        return 0
    alpha, beta = _ALPHA_BETA[method]
    return n + (1 - alpha - beta)


def place(h: float, n: int, method: str) -> tuple[int, int, float]:
    """Two ranks and how far the quantile is from the first to the second."""
    low = math.floor(h)
    gamma = h - low
    if method == "inverted_cdf":
        gamma = 1.0 if gamma > 0 else 0.0
    elif method == "averaged_inverted_cdf":
        gamma = 1.0 if gamma > 0 else 0.5
    elif method == "closest_observation":
        gamma = 0.0 if gamma == 0 and low % 2 == 1 else 1.0
    elif method == "lower":
        gamma = 0.0
    elif method == "higher":
        gamma = 1.0 if gamma > 0 else 0.0
    elif method == "midpoint":
        gamma = 0.5 if gamma > 0 else 0.0
    elif method == "nearest":
        near = low if gamma < 0.5 or (gamma == 0.5 and low % 2 == 0) else low + 1
        return near, near, 0.0
    high = low + 1
    if low < 0:
        return 0, 0, 0.0
    if high > n - 1:
        return n - 1, n - 1, 0.0
    return low, high, gamma


def places(library: Any, h: Any, count: Any, method: str) -> tuple[Any, Any, Any]:
    """`place` where each row has its own number of elements, computed with NumPy or CuPy."""
    base = library.floor(h)
    gamma = h - base
    some = gamma > 0
    if method in ("inverted_cdf", "higher"):
        gamma = some.astype(h.dtype)
    elif method == "averaged_inverted_cdf":
        gamma = library.where(some, 1.0, 0.5)
    elif method == "closest_observation":
        gamma = library.where((gamma == 0) & (base % 2 == 1), 0.0, 1.0)
    elif method == "lower":
        gamma = gamma * 0
    elif method == "midpoint":
        gamma = library.where(some, 0.5, 0.0)
    elif method == "nearest":
        base, gamma = library.rint(h), gamma * 0
    last = library.maximum(count - 1, 0)
    low = base.astype(count.dtype)
    gamma = library.where(low < 0, 0.0, gamma)  # both ends are the first one then
    low, high = (library.minimum(library.maximum(k, 0), last) for k in (low, low + 1))
    return low, high, gamma


def between(library: Any, low: Any, high: Any, gamma: Any) -> Any:
    """Linear interpolation, exact at both ends and in the middle of equal numbers."""
    if isinstance(gamma, float) and gamma in (0, 1):
        return high if gamma else low
    distance = high - low
    if isinstance(gamma, float):
        y = low + distance * gamma if gamma < 0.5 else high - distance * (1 - gamma)
    else:
        y = library.where(gamma < 0.5, low + distance * gamma, high - distance * (1 - gamma))
    return library.where(low == high, low, y)  # equal infinities, too
