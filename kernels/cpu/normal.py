"""The normal distribution and what is made of the error function, on NumPy in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..coefficients import RATIOS
from .blocked import Body, elementwise
from .erf import SCALED_DENOMINATOR, SCALED_NUMERATOR, constants, erfc, erfc_block
from .regions import by_regions, horner, in_region

__all__ = ["erfcx", "erfinv", "log_ndtr", "ndtr", "ndtri"]

Array = np.ndarray[Any, np.dtype[Any]]

_ROOT_HALF = math.sqrt(0.5)
_ROOT_PI = math.sqrt(math.pi)
_SCALE, _HALF = constants("d", -_ROOT_HALF, 0.5)
_SCALED = tuple(map(float, SCALED_NUMERATOR)), tuple(map(float, SCALED_DENOMINATOR))


def _quotient(name: str, x: Array) -> Array:
    numerator, denominator = RATIOS[name]
    return horner(numerator, x) / horner(denominator, x)


def _tail(p: Array) -> Array:
    """Minus the normal quantile of a small probability (M. J. Wichura, Algorithm AS 241, 1988)."""
    r = np.sqrt(-np.log(p))
    near = r <= 5
    y = np.empty(p.shape)
    in_region(y, near, lambda r: _quotient("normal_tail", r - 1.6), r)
    in_region(y, ~near, lambda r: _quotient("normal_far_tail", r - 5), r)
    return np.where(p == 0, np.inf, y)


def _ndtri(p: Array) -> Array:
    q = p - 0.5
    y = np.full(p.shape, np.nan)
    in_region(y, np.abs(q) <= 0.425, lambda q: q * _quotient("normal_centre", 0.180625 - q * q), q)
    in_region(y, (q < -0.425) & (p >= 0), lambda p: -_tail(p), p)
    in_region(y, (q > 0.425) & (p <= 1), lambda p: _tail(1 - p), p)
    return y


def _erfinv(x: Array) -> Array:
    a = np.abs(x)
    y = np.full(x.shape, np.nan)
    in_region(y, a <= 0.85, lambda x: (0.5 * _ROOT_HALF) * x * _quotient("normal_centre", 0.180625 - 0.25 * x * x), x)
    in_region(y, (a > 0.85) & (a <= 1), lambda x: np.copysign(_ROOT_HALF * _tail((1 - np.abs(x)) * 0.5), x), x)
    return y


def _square_exp(x: Array) -> Any:
    """``exp(x^2)`` with x^2 in two parts, so that the rounding of x^2 does not matter."""
    b = np.rint(x * 16) / 16
    return np.exp(b * b) * np.exp((x - b) * (x + b))


def _erfcx_right(x: Array) -> Array:
    far = x > 28
    y = np.empty(x.shape)
    in_region(y, ~far, lambda x: horner(_SCALED[0], x) / horner(_SCALED[1], x), x)

    def asymptotic(x: Array) -> Array:
        z = 1 / (x * x)
        return (1 + z * (-0.5 + z * (0.75 + z * (-1.875 + z * (6.5625 - z * 29.53125))))) / (x * _ROOT_PI)

    in_region(y, far, asymptotic, x)
    return y


def _erfcx(x: Array) -> Array:
    y = np.full(x.shape, np.nan)
    in_region(y, x >= 0, _erfcx_right, x)
    in_region(y, x < -27, lambda x: np.full(x.shape, np.inf), x)
    in_region(y, (x < 0) & (x >= -27), lambda x: 2 * _square_exp(x) - _erfcx_right(-x), x)
    return y


def _log_ndtr(x: Array) -> Array:
    y = np.full(x.shape, np.nan)
    in_region(y, x < -1, lambda x: np.log(0.5 * _erfcx_right(-x * _ROOT_HALF)) - 0.5 * x * x, x)
    in_region(y, x >= -1, lambda x: np.log1p(-0.5 * erfc(x * _ROOT_HALF)), x)
    return np.where(x == -np.inf, x, y)


def _ndtr_block(x: Array, out: Array, p: Array, q: Array, a: Array, b: Array, z: Array) -> None:
    np.multiply(x, _SCALE, z)
    erfc_block(z, out, p, q, a, b)
    np.multiply(out, _HALF, out)


_NDTR = {"d": Body(_ndtr_block, 5, 70)}
_WIDE = np.dtype(np.float64)
_NDTRI = by_regions(_ndtri, 60)
_ERFINV = by_regions(_erfinv, 60)
_ERFCX = by_regions(_erfcx, 60)
_LOG_NDTR = by_regions(_log_ndtr, 80)


def ndtr(x: Array, out: Array | None = None) -> Array:
    """Probability of a standard normal variable below ``x``."""
    return elementwise(_NDTR, out, x, compute=_WIDE)


def ndtri(x: Array, out: Array | None = None) -> Array:
    """Inverse of `ndtr`."""
    return _NDTRI(x, out=out)


def log_ndtr(x: Array, out: Array | None = None) -> Array:
    """Logarithm of `ndtr`, accurate in the far tail."""
    return _LOG_NDTR(x, out=out)


def erfinv(x: Array, out: Array | None = None) -> Array:
    """Inverse of `erf`."""
    return _ERFINV(x, out=out)


def erfcx(x: Array, out: Array | None = None) -> Array:
    """``exp(x^2) erfc(x)``."""
    return _ERFCX(x, out=out)
