"""The error function, which NumPy does not have, without branches.

The coefficients below are minimax rational fits made for this file (Lawson's iteration in 60-digit arithmetic); what
they approximate and how closely stands at each. Rounding adds the rest of the error stated in the docstrings.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .blocked import Body, elementwise

try:  # the ufunc; `numpy.clip` goes through Python before it gets there
    from numpy._core.umath import clip  # type: ignore[attr-defined]
except ImportError:
    from numpy import clip

__all__ = ["SCALED_DENOMINATOR", "SCALED_NUMERATOR", "clip", "constants", "erf", "erfc", "erfc_block", "ratio"]

Array = np.ndarray[Any, np.dtype[Any]]
Constants = tuple[Array, ...]


def constants(char: str, *values: float) -> Constants:
    """0-d arrays: a ufunc takes them twice as fast as Python floats."""
    return tuple(np.array(v, char) for v in values)


# atanh(erf(t)) / t - 1 at z = t^2, for float32 on [0, 4.2]; erf is then within 4e-9. Highest power first.
_NUMERATOR_F = constants("f", 5.7040109928, 58.342649793, 378.2937403, 395.11340886)
_DENOMINATOR_F = constants("f", 72.909900343, 482.86736397, 3077.7065025)  # after a leading 1
_LIMITS_F = constants("f", 0.0, 18.0)

# atanh(erf(t)) / t at z = t^2, for float64 on [0, 6.1]; erf is then within 2e-17.
NUMERATOR_D = constants(
    "d",
    4.08760101249503191e-12,
    1.16714585469819446e-9,
    7.43555052621739184e-8,
    2.13620980776900116e-6,
    0.0000398431764973866661,
    0.000529991489432117236,
    0.00514892778094220122,
    0.0359573853549850245,
    0.180315912825794497,
    0.581504663678567228,
    1.1283791670955126,
)
DENOMINATOR_D = constants(
    "d",
    1.72358061781145558e-13,
    1.75933982978408564e-10,
    2.06597361784091211e-8,
    7.83114967844073106e-7,
    0.0000170611962143036347,
    0.000254772709981092035,
    0.00279975163639073765,
    0.0214160311527490612,
    0.121344197101178718,
    0.424265241983245023,
    1.0,
)
LIMITS_D = constants("d", 0.0, 37.5)

# exp(t^2) erfc(t) at t, on [0, 28]; within 6e-17 relative.
SCALED_NUMERATOR = constants(
    "d",
    0.0000630210782783950004,
    0.00119707105610574644,
    0.0111352799201352637,
    0.065616595772770557,
    0.267881110377107694,
    0.783037379888193369,
    1.63898308337632739,
    2.37843069074474363,
    2.19276922853788588,
    0.999999999999999947,
)
SCALED_DENOMINATOR = constants(
    "d",
    0.000111701952883071179,
    0.00212175320315611727,
    0.0197926207548575067,
    0.117363264340059618,
    0.484619442890954098,
    1.44498787200208492,
    3.13269753025773717,
    4.85409741177127258,
    5.1259453512108035,
    3.32114839563338373,
    1.0,
)
_RANGE = constants("d", 0.0, 28.0)
_SIXTEEN, _SIXTEENTH, _TWO = constants("d", 16.0, 1 / 16, 2.0)


def ratio(z: Array, numerator: Constants, denominator: Constants, p: Array, q: Array) -> None:
    """Put the quotient of two polynomials in ``z`` into ``p``, by Horner's rule; ``q`` is scratch."""
    for coefficients, y in ((numerator, p), (denominator, q)):
        np.multiply(z, coefficients[0], y)
        np.add(y, coefficients[1], y)
        for c in coefficients[2:]:
            np.multiply(y, z, y)
            np.add(y, c, y)
    np.divide(p, q, p)


def _erf_f(x: Array, out: Array, p: Array, q: Array, z: Array) -> None:
    np.multiply(x, x, z)
    clip(z, *_LIMITS_F, z)
    n3, n2, n1, n0 = _NUMERATOR_F
    np.multiply(z, n3, p)
    np.add(p, n2, p)
    np.multiply(p, z, p)
    np.add(p, n1, p)
    np.multiply(p, z, p)
    np.add(p, n0, p)
    d2, d1, d0 = _DENOMINATOR_F
    np.add(z, d2, q)
    np.multiply(q, z, q)
    np.add(q, d1, q)
    np.multiply(q, z, q)
    np.add(q, d0, q)
    np.divide(p, q, p)
    np.multiply(p, x, p)  # x + x r rather than x (1 + r): the rounding of r hardly counts
    np.add(p, x, p)
    np.tanh(p, out)


def _erf_d(x: Array, out: Array, p: Array, q: Array, z: Array) -> None:
    np.multiply(x, x, z)
    clip(z, *LIMITS_D, z)
    ratio(z, NUMERATOR_D, DENOMINATOR_D, p, q)
    np.multiply(p, x, p)
    np.tanh(p, out)


def erfc_block(x: Array, out: Array, p: Array, q: Array, a: Array, b: Array) -> None:
    """`erfc` of a block of float64; the last four arguments are scratch."""
    np.absolute(x, a)
    clip(a, *_RANGE, a)
    ratio(a, SCALED_NUMERATOR, SCALED_DENOMINATOR, p, q)
    # exp(-a^2) with a = b + (a - b), b a multiple of 1/16 whose square is exact (W. J. Cody, Math. Comp. 23, 1969)
    np.multiply(a, _SIXTEEN, b)
    np.rint(b, b)
    np.multiply(b, _SIXTEENTH, b)
    np.subtract(b, a, q)
    np.add(a, b, a)
    np.multiply(q, a, q)
    np.exp(q, q)
    np.multiply(p, q, p)
    np.multiply(b, b, b)
    np.negative(b, b)
    np.exp(b, b)
    np.multiply(p, b, p)
    # erfc(-a) = 2 - erfc(a)
    np.copysign(p, x, p)
    np.signbit(x, q)
    np.multiply(q, _TWO, q)
    np.add(p, q, out)


_ERF = {"f": Body(_erf_f, 3, 24), "d": Body(_erf_d, 3, 60)}
_ERFC = {"d": Body(erfc_block, 4, 65)}


def erf(x: Array, out: Array | None = None) -> Array:
    r"""Error function, :math:`\frac{2}{\sqrt\pi} \int_0^x e^{-t^2} dt`.

    Computed as :math:`\tanh(x R(x^2))`, which saturates by itself; relative error below 3e-7 in float32 and 6e-16 in
    float64.
    """
    return elementwise(_ERF, out, x)


def erfc(x: Array, out: Array | None = None) -> Array:
    r"""Complementary error function, :math:`1 - \mathrm{erf}(x)`, accurate for large ``x`` too.

    Computed in float64 as :math:`e^{-x^2} R(x)`; relative error below 2e-15, and half a unit in the last place of
    float32.
    """
    return elementwise(_ERFC, out, x, compute=np.dtype(np.float64))
