"""The gamma function's logarithm and its derivatives, and the incomplete gamma functions, on NumPy in float64."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..coefficients import TEMME
from .erf import erfc
from .regions import by_regions, horner, in_region, ratio_of

__all__ = ["cotangents", "digamma", "gammainc", "gammaincc", "gammaln", "polygamma", "zeta"]

Array = np.ndarray[Any, np.dtype[Any]]

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
_ZERO_HIGH, _ZERO_LOW = 1.4616321449683622, 9.549995429965697e-17  # of digamma
_EPSILON = 2.0**-54


def _sine_of_turns(x: Array) -> Array:
    """``sin(pi x)``, exact at whole numbers."""
    r = x - np.rint(x)
    y = np.sin(np.pi * r)
    return np.where(np.rint(x) % 2 == 0, y, -y)


# -------------------------------------------------------------------------------------------------------------- gammaln
def _near(x: Array) -> Any:
    return (x - 1) * (x - 2) * ratio_of("gammaln_near", x)


def _far(x: Array) -> Array:
    """Stirling's formula."""
    z = 1 / (x * x)
    y = (x - 0.5) * np.log(x) - x + _HALF_LOG_TWO_PI + ratio_of("gammaln_far", z) / x
    return np.where(x == np.inf, x, y)


def _gammaln(x: Array) -> Array:
    y = np.full(x.shape, np.nan)
    in_region(y, x >= 4, _far, x)
    in_region(y, (x >= 1) & (x < 4), _near, x)
    in_region(y, (x > 0) & (x < 1), lambda x: x * (x - 1) * ratio_of("gammaln_near", x + 1) - np.log(x), x)
    in_region(y, x <= 0, _reflected, x)
    return y


def _reflected(x: Array) -> Array:
    return np.where(x == -np.inf, np.inf, np.log(np.pi / np.abs(_sine_of_turns(x))) - _gammaln(1 - x))


def _gammaln_plus_one(a: Array) -> Array:
    """``lgamma(1 + a)`` for a >= 0, with all digits near 0."""
    y = np.empty(a.shape)
    near = a < 3
    in_region(y, near, lambda a: a * (a - 1) * ratio_of("gammaln_near", a + 1), a)
    in_region(y, ~near, lambda a: _far(a + 1), a)
    return y


# -------------------------------------------------------------------------------------------------------------- digamma
def _digamma_far(x: Array) -> Array:
    z = 1 / (x * x)
    return np.log(x) - 0.5 / x - z * ratio_of("digamma_far", z)


def _digamma_near(x: Array) -> Array:
    return ((x - _ZERO_HIGH) - _ZERO_LOW) * ratio_of("digamma_near", x)


def _digamma(x: Array) -> Array:
    y = np.full(x.shape, np.nan)
    in_region(y, x >= 2, _digamma_far, x)
    in_region(y, (x >= 1) & (x < 2), _digamma_near, x)
    in_region(y, (x > 0) & (x < 1), lambda x: _digamma_near(x + 1) - 1 / x, x)
    in_region(y, x < 0, _digamma_reflected, x)
    in_region(y, x == 0, lambda x: np.copysign(np.inf, -x), x)
    return y


def _digamma_reflected(x: Array) -> Array:
    r = x - np.rint(x)
    return np.where(r == 0, np.nan, _digamma(1 - x) - np.pi / np.tan(np.pi * r))


# ----------------------------------------------------------------------------------------------------------------- zeta
_TERMS = 10
_BERNOULLI = (
    1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000, 1 / 74724249600,
    -3617 / 10670622842880000, 43867 / 5109094217170944000, -174611 / 802857662698291200000,
    77683 / 14101100039391805440000, -236364091 / 1693824136731743669452800000,
)  # fmt: skip
"""B(2k) / (2k)!"""


def _zeta(x: Array, q: Array) -> Array:
    """Hurwitz's zeta function by the Euler-Maclaurin formula."""
    y = np.full(x.shape, np.nan)
    pole = (q <= 0) & (q == np.floor(q)) & (x > 1)
    in_region(y, (x == 1) | pole, lambda x: np.full(x.shape, np.inf), x)
    sound = (x > 1) & ~pole & ((q > 0) | (x == np.floor(x)))
    in_region(y, sound & (q > -1000), _euler_maclaurin, x, q)
    return y


def _euler_maclaurin(x: Array, q: Array) -> Array:
    total = np.zeros(x.shape)
    a = q.copy()
    limit = x + _TERMS  # from where on the formula has all digits
    short = a < limit
    while short.any():
        term = np.where(short, np.power(a, -x), 0)
        total += term
        a = np.where(short, a + 1, a)
        # what follows a negligible term of a falling row is negligible, too
        short &= (a < limit) & ((a < 1) | (term > total * _EPSILON))
    power = np.power(a, -x)
    total += power * (a / (x - 1) + 0.5)
    near = a >= limit
    factor, scale = x.copy(), power / a
    for k, b in enumerate(_BERNOULLI):
        term = factor * scale * b
        total += np.where(near, term, 0)
        factor = factor * (x + 2 * k + 1) * (x + 2 * k + 2)
        scale = scale / (a * a)
    return np.where(x == np.inf, np.where(q == 1, 1.0, np.where(q > 1, 0.0, np.inf)), total)


@functools.cache
def cotangents(n: int) -> tuple[float, ...]:
    """The n-th derivative of ``pi cot(pi x)``, over ``pi^(n + 1)``, as a polynomial in the cotangent."""
    p = [0, 1]
    for _ in range(n):
        slope = [k * c for k, c in enumerate(p)][1:]
        p = [-(slope[i] if i < len(slope) else 0) - (slope[i - 2] if i >= 2 else 0) for i in range(len(slope) + 2)]
    return tuple(float(c) for c in reversed(p))


@functools.cache
def _polygamma(n: int) -> Any:
    sign = 1.0 if n % 2 else -1.0
    factorial = float(math.factorial(n)) if n < 171 else math.inf

    def positive(x: Array) -> Array:
        return sign * factorial * _zeta(np.full(x.shape, n + 1.0), x)

    def negative(x: Array) -> Array:
        r = x - np.rint(x)
        turned = math.pi ** (n + 1) * horner((*cotangents(n),), 1 / np.tan(np.pi * r))
        pole = np.inf if n % 2 else np.nan
        return np.where(r == 0, pole, (1 if n % 2 == 0 else -1) * positive(1 - x) - turned)

    def function(x: Array) -> Array:
        y = np.full(x.shape, np.nan)
        in_region(y, x > 0, positive, x)
        in_region(y, x < 0, negative, x)
        in_region(y, x == 0, lambda x: np.full(x.shape, np.inf) if n % 2 else np.copysign(np.inf, -x), x)
        return y

    return by_regions(function, 200)


# ----------------------------------------------------------------------------------------------------- incomplete gamma
def _log1pmx(x: Array) -> Array:
    """``log(1 + x) - x``."""
    near = (x > -0.4) & (x < 0.6)
    y = np.empty(x.shape)
    in_region(y, near, lambda x: x * x * ratio_of("log1pmx", x), x)
    in_region(y, ~near, lambda x: np.log1p(x) - x, x)
    return y


def _weight(a: Array, x: Array) -> Array:
    """``x^a e^-x / gamma(a + 1)``."""
    y = np.empty(a.shape)
    large = a >= 4

    def stirling(a: Array, x: Array) -> Array:
        rest = ratio_of("gammaln_far", 1 / (a * a)) / a
        mu = (x - a) / a
        near = np.abs(mu) < 0.4
        y = np.empty(a.shape)
        in_region(y, near, lambda a, mu: np.exp(a * _log1pmx(mu)), a, mu)
        # a power loses fewer digits than the exponential of a logarithm times a; by halves, nothing underflows alone
        in_region(y, ~near & (a < 200), lambda a, x: np.square(np.power(x / a, a * 0.5) * np.exp((a - x) * 0.5)), a, x)
        in_region(y, ~near & (a >= 200), lambda a, x: np.exp(a * np.log(x / a) + (a - x)), a, x)
        return y * np.exp(-rest) / np.sqrt(2 * np.pi * a)

    in_region(y, large, stirling, a, x)
    in_region(y, ~large, lambda a, x: np.exp(a * np.log(x) - x - _gammaln_plus_one(a)), a, x)
    return y


def _series(a: Array, x: Array) -> Array:
    """P by its power series (Abramowitz and Stegun 6.5.29)."""
    term = np.ones(a.shape)
    total = np.ones(a.shape)
    n = 0
    while n < 10000:
        n += 1
        term = term * (x / (a + n))
        total += term
        if not (term > total * _EPSILON).any():
            break
    return total * _weight(a, x)


def _small_series(a: Array, x: Array) -> Any:
    """Q for small x, where 1 - P would cancel."""
    factor = np.ones(a.shape)
    total = np.zeros(a.shape)
    for n in range(1, 200):
        factor = factor * (-x / n)
        term = factor / (a + n)
        total += term
        if not (np.abs(term) > np.abs(total) * _EPSILON).any():
            break
    log_x = np.log(x)
    gammaln_one = _gammaln_plus_one(a)
    return -np.expm1(a * log_x - gammaln_one) - a * np.exp(a * log_x - gammaln_one) * total


def _fraction(a: Array, x: Array) -> Array:
    """Q by its continued fraction (Abramowitz and Stegun 6.5.31), evaluated by Lentz's method."""
    tiny = 1e-300
    b = x + 1 - a
    c = np.full(a.shape, 1 / tiny)
    d = 1 / b
    h = d.copy()
    done = np.zeros(a.shape, bool)
    for n in range(1, 10000):
        step = -n * (n - a)
        b = b + 2
        d = step * d + b
        d = np.where(np.abs(d) < tiny, tiny, d)
        c = b + step / c
        c = np.where(np.abs(c) < tiny, tiny, c)
        d = 1 / d
        change = d * c
        h = np.where(done, h, h * change)  # those that are done would drift by the rounding of each step
        done |= np.abs(change - 1) <= 8 * _EPSILON
        if done.all():
            break
    return h * a * _weight(a, x)


def _uniform(a: Array, x: Array, upper: bool) -> Any:
    """P or Q by Temme's expansion, for large a and x not far from it."""
    mu = (x - a) / a
    half = -_log1pmx(mu)  # eta^2 / 2
    eta = np.copysign(np.sqrt(2 * half), mu)
    total = np.zeros(a.shape)
    for row in reversed(TEMME):
        total = total / a + horner(row, eta)
    rest = np.exp(-a * half) / np.sqrt(2 * np.pi * a) * total
    root = eta * np.sqrt(a / 2)
    return 0.5 * erfc(root) + rest if upper else 0.5 * erfc(-root) - rest


def _incomplete(a: Array, x: Array, upper: bool) -> Array:
    y = np.full(a.shape, np.nan)
    proper = (a > 0) & (x > 0) & np.isfinite(a) & np.isfinite(x)
    uniform = proper & (a > 100) & (np.abs(x - a) < 0.4 * a)
    in_region(y, uniform, lambda a, x: _uniform(a, x, upper), a, x)
    rest = proper & ~uniform
    with np.errstate(divide="ignore", invalid="ignore"):
        barely = np.where(x <= 0.5, -0.4 / np.log(np.where(x <= 0.5, x, 0.5)) < a, x * 1.1 < a)
    # where P is small, the series; where Q is, the fraction; in between, for small x, the series made for it
    lower = rest & np.where(x > 1.1, x < a, barely)
    if not upper:  # the series, of positive terms, serves further on
        lower |= rest & (x < 4)
    small = rest & ~lower & (x <= 1.1)
    tail = rest & ~lower & ~small
    in_region(y, lower, lambda a, x: 1 - _series(a, x) if upper else _series(a, x), a, x)
    in_region(y, small, _small_series, a, x)  # none of them where P is wanted
    in_region(y, tail, lambda a, x: _fraction(a, x) if upper else 1 - _fraction(a, x), a, x)
    end, start = (0.0, 1.0) if upper else (1.0, 0.0)
    y[(a > 0) & (x == 0)] = start
    y[(a == 0) & (x > 0)] = end
    y[(a >= 0) & (x == np.inf) & (a < np.inf)] = end
    y[(a == np.inf) & (x >= 0) & (x < np.inf)] = start
    return y


_GAMMALN = by_regions(_gammaln, 40)
_DIGAMMA = by_regions(_digamma, 40)
_ZETA = by_regions(_zeta, 300)
_GAMMAINC = by_regions(functools.partial(_incomplete, upper=False), 300)
_GAMMAINCC = by_regions(functools.partial(_incomplete, upper=True), 300)


def gammaln(x: Array, out: Array | None = None) -> Array:
    """Logarithm of the absolute value of the gamma function."""
    return _GAMMALN(x, out=out)


def digamma(x: Array, out: Array | None = None) -> Array:
    """Derivative of the logarithm of the gamma function."""
    return _DIGAMMA(x, out=out)


def polygamma(x: Array, n: int, out: Array | None = None) -> Array:
    """The n-th derivative of `digamma`, n at least 1."""
    return _polygamma(n)(x, out=out)  # type: ignore[no-any-return]


def zeta(x1: Array, x2: Array, out: Array | None = None) -> Array:
    """Hurwitz's zeta function: the sum of ``(x2 + k) ** -x1`` over k from 0."""
    return _ZETA(x1, x2, out=out)


def gammainc(x1: Array, x2: Array, out: Array | None = None) -> Array:
    """Regularized lower incomplete gamma function P(x1, x2)."""
    return _GAMMAINC(x1, x2, out=out)


def gammaincc(x1: Array, x2: Array, out: Array | None = None) -> Array:
    """Regularized upper incomplete gamma function Q(x1, x2)."""
    return _GAMMAINCC(x1, x2, out=out)
