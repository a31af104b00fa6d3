"""Bessel functions of orders 0 and 1 on NumPy in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .regions import by_regions, in_region, ratio_of

__all__ = ["i0", "i0e", "i1", "i1e", "j0", "j1", "k0", "k0e", "k1", "k1e", "y0", "y1"]

Array = np.ndarray[Any, np.dtype[Any]]

_NEAR = 20.0  # up to which I is summed
_ZEROS = {  # squares of the first zeros of J0 and J1, in two parts
    0: ((5.783185962946784, 4.123247343506204e-16), (30.471262343662087, -2.366534485750659e-16)),
    1: ((14.681970642123893, -9.858177825793294e-17), (49.2184563216946, 5.086354069436341e-16)),
}
_TWO_OVER_PI = 2 / math.pi


def _modified_first(order: int, scaled: bool) -> Any:
    def near(a: Array) -> Array:
        y = ratio_of(f"i{order}_near", a * a * 0.25)
        y = y * a if order else y
        return y * np.exp(-a) if scaled else y

    def far(a: Array) -> Array:
        y = ratio_of(f"i{order}_far", 1 / a) / np.sqrt(a)
        if scaled:
            return y
        half = np.exp(a * 0.5)  # e^a alone would overflow before the result does
        return y * half * half

    def function(x: Array) -> Array:
        a = np.abs(x)
        y = np.full(x.shape, np.nan)
        in_region(y, a <= _NEAR, near, a)
        in_region(y, (a > _NEAR) & (a < np.inf), far, a)
        y[a == np.inf] = 0 if scaled else np.inf
        return np.copysign(y, x) if order else y

    return by_regions(function, 60)


def _modified_second(order: int, scaled: bool) -> Any:
    def near(x: Array) -> Any:
        z = x * x * 0.25
        log = np.log(x * 0.5)
        if order:
            y = x * ratio_of("k1_near", z) + log * x * ratio_of("i1_near", z) + 1 / x
        else:
            y = ratio_of("k0_near", z) - log * ratio_of("i0_near", z)
        return y * np.exp(x) if scaled else y

    def far(x: Array) -> Array:
        y = ratio_of(f"k{order}_far", 1 / x) / np.sqrt(x)
        return y if scaled else y * np.exp(-x)

    def function(x: Array) -> Array:
        y = np.full(x.shape, np.nan)
        in_region(y, (x > 0) & (x <= 1), near, x)
        in_region(y, (x > 1) & (x < np.inf), far, x)
        y[x == np.inf] = 0
        y[x == 0] = np.inf
        return y

    return by_regions(function, 60)


def _first_near(order: int, x: Array) -> Array:
    z = x * x
    (a, a_low), (b, b_low) = _ZEROS[order]
    y = ((z - a) - a_low) * ((z - b) - b_low) * ratio_of(f"j{order}_near", z)
    return y * x if order else y


def _far_parts(order: int, x: Array) -> tuple[Array, Array, Array, Array]:
    w = 25 / (x * x)
    p, q = ratio_of(f"jp{order}_far", w), ratio_of(f"jq{order}_far", w) * (5 / x)
    # cos and sin of x - (2 order + 1) pi / 4 from those of x, so that no digits of x are lost
    s, c = np.sin(x), np.cos(x)
    root = math.sqrt(0.5)
    cosine, sine = (root * (c + s), root * (s - c)) if order == 0 else (root * (s - c), -root * (s + c))
    scale = np.sqrt(_TWO_OVER_PI / x)
    return p * scale, q * scale, cosine, sine


def _first(order: int) -> Any:
    def far(x: Array) -> Any:
        p, q, c, s = _far_parts(order, x)
        return p * c - q * s

    def function(x: Array) -> Array:
        a = np.abs(x)
        y = np.full(x.shape, np.nan)
        in_region(y, a <= 5, lambda a: _first_near(order, a), a)
        in_region(y, (a > 5) & (a < np.inf), far, a)
        y[a == np.inf] = 0
        return np.where(x < 0, -y, y) if order else y

    return by_regions(function, 60)


def _second(order: int) -> Any:
    def near(x: Array) -> Array:
        y = ratio_of(f"y{order}_near", x * x)
        first = _first_near(order, x)
        if order:
            return y * x + _TWO_OVER_PI * (np.log(x) * first - 1 / x)
        return y + _TWO_OVER_PI * np.log(x) * first

    def far(x: Array) -> Any:
        p, q, c, s = _far_parts(order, x)
        return p * s + q * c

    def function(x: Array) -> Array:
        y = np.full(x.shape, np.nan)
        in_region(y, (x > 0) & (x <= 5), near, x)
        in_region(y, (x > 5) & (x < np.inf), far, x)
        y[x == np.inf] = 0
        y[x == 0] = -np.inf
        return y

    return by_regions(function, 80)


_KERNELS = {
    "i0": _modified_first(0, False), "i0e": _modified_first(0, True), "i1": _modified_first(1, False),
    "i1e": _modified_first(1, True), "k0": _modified_second(0, False), "k0e": _modified_second(0, True),
    "k1": _modified_second(1, False), "k1e": _modified_second(1, True), "j0": _first(0), "j1": _first(1),
    "y0": _second(0), "y1": _second(1),
}  # fmt: skip


def _named(name: str) -> Any:
    kernel = _KERNELS[name]

    def function(x: Array, out: Array | None = None) -> Array:
        return kernel(x, out=out)  # type: ignore[no-any-return]

    function.__name__ = function.__qualname__ = name
    return function


i0, i0e, i1, i1e = _named("i0"), _named("i0e"), _named("i1"), _named("i1e")
k0, k0e, k1, k1e = _named("k0"), _named("k0e"), _named("k1"), _named("k1e")
j0, j1, y0, y1 = _named("j0"), _named("j1"), _named("y0"), _named("y1")
