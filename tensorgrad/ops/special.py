"""Special functions: gamma, error, Bessel and zeta functions, entropies and logits.

On the CPU they are computed in float64, also those of float32; within a few units in the last place, and as closely as
rounding allows near zeros. Derivatives are those of the literature (M. Abramowitz, I. A. Stegun, Handbook of
Mathematical Functions, 1964; NIST Digital Library of Mathematical Functions).
"""

from __future__ import annotations

import math
import operator
from typing import Any

from .. import dtypes
from .. import kernels as K
from ..backend import device_of, empty
from ..tensor import Tensor
from .activation import sigmoid
from .definition import Function, binary, lift, primitive, unary
from .elementwise import (
    abs,
    add,
    clip,
    cos,
    divide,
    equal,
    erf,
    erfc,
    exp,
    exp2,
    expm1,
    less,
    less_equal,
    log,
    log1p,
    logical_and,
    multiply,
    negative,
    round,
    sign,
    square,
    subtract,
    where,
)
from .memory import cast, full_like, ones_like, zeros_like
from .numbers import paired
from .reduction import logsumexp
from .softmax import log_softmax, softmax

__all__ = [
    "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "betaln", "digamma", "entr", "erf", "erfc", "erfcx",
    "erfinv", "exp2", "expit", "expm1", "gammainc", "gammaincc", "gammaln", "i0", "i0e", "i1", "i1e", "igamma",
    "igammac", "lgamma", "log1p", "log_ndtr", "log_softmax", "logit", "logsumexp", "modified_bessel_i0",
    "modified_bessel_i1", "modified_bessel_k0", "modified_bessel_k1", "multigammaln", "mvlgamma", "ndtr", "ndtri",
    "polygamma", "psi", "round", "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "sinc", "softmax",
    "spherical_bessel_j0", "xlog1py", "xlogy", "zeta",
]  # fmt: skip

_ROOT_PI = math.sqrt(math.pi)
_ROOT_TWO_PI = math.sqrt(2 * math.pi)

# ----------------------------------------------------------------------------------------------------- error function
erfinv: Function = unary(
    "erfinv",
    K.erfinv,
    lambda g, out: multiply(g, multiply(exp(square(out)), 0.5 * _ROOT_PI)),
    delicate=True,
    doc="Inverse of `erf` on [-1, 1].",
)
erfcx: Function = unary(
    "erfcx",
    K.erfcx,
    lambda g, x, out: multiply(g, subtract(multiply(multiply(x, out), 2.0), 2 / _ROOT_PI)),
    delicate=True,
    doc="``exp(x**2) * erfc(x)``, which does not underflow for large x.",
)
ndtr: Function = unary(
    "ndtr",
    K.ndtr,
    lambda g, x: multiply(g, multiply(exp(multiply(square(x), -0.5)), 1 / _ROOT_TWO_PI)),
    delicate=True,
    doc="Probability that a standard normal variable is below ``x``.",
)
ndtri: Function = unary(
    "ndtri",
    K.ndtri,
    lambda g, out: multiply(g, multiply(exp(multiply(square(out), 0.5)), _ROOT_TWO_PI)),
    delicate=True,
    doc="Inverse of `ndtr`: the number below which a standard normal variable is with this probability.",
)
log_ndtr: Function = unary(
    "log_ndtr",
    K.log_ndtr,
    lambda g, x: multiply(g, divide(math.sqrt(2 / math.pi), erfcx(multiply(x, -math.sqrt(0.5))))),
    delicate=True,
    doc="Logarithm of `ndtr`, accurate in the far tail.",
)

# --------------------------------------------------------------------------------------------------------------- gamma
gammaln: Function = unary(
    "gammaln",
    K.gammaln,
    lambda g, x: multiply(g, digamma(x)),
    delicate=True,
    doc="Logarithm of the absolute value of the gamma function.",
)
digamma: Function = unary(
    "digamma",
    K.digamma,
    lambda g, x: multiply(g, _polygamma(x, 1)),
    delicate=True,
    doc="Derivative of `gammaln`; -inf at 0, NaN at negative integers.",
)
_polygamma: Function = primitive(
    "polygamma",
    K.polygamma,
    lambda g, x, n: multiply(g, _polygamma(x, n + 1)),
)
_zeta: Function = binary(
    "zeta",
    K.zeta,
    None,
    lambda g, x1, x2: negative(multiply(g, multiply(x1, _zeta(add(x1, 1.0), x2)))),
    fractional=True,
    doc="",
)
_gammainc: Function = binary(
    "gammainc",
    K.gammainc,
    None,
    lambda g, x1, x2: multiply(g, _gamma_density(x1, x2)),
    fractional=True,
    doc="",
)
_gammaincc: Function = binary(
    "gammaincc",
    K.gammaincc,
    None,
    lambda g, x1, x2: negative(multiply(g, _gamma_density(x1, x2))),
    fractional=True,
    doc="",
)


def _gamma_density(a: Any, x: Any) -> Any:
    """``x**(a - 1) * exp(-x) / gamma(a)``, the derivative of `gammainc`."""
    power = where(equal(a, 1), zeros_like(x), multiply(subtract(a, 1.0), log(x)))
    return exp(subtract(subtract(power, x), gammaln(a)))


def _without_gradient(name: str, x: Any) -> Any:
    x = lift(x)
    if isinstance(x, Tensor) and x.requires_grad:
        raise RuntimeError(f"{name}: there is no gradient by its first argument; use .detach() on it")
    return x


def gammainc(x1: Any, x2: Any, /) -> Any:
    """Regularized lower incomplete gamma function: the integral of ``t**(x1 - 1) * exp(-t)`` to x2, over gamma(x1).

    Raises
    ------
    RuntimeError
        If ``x1`` requires a gradient: there is none.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.special.gammainc(tg.tensor(1.0), tg.tensor(2.0))
    tensor(0.86466473)
    """
    return _gammainc(*_pair(_without_gradient("gammainc", x1), x2))


def gammaincc(x1: Any, x2: Any, /) -> Any:
    """Regularized upper incomplete gamma function, ``1 - gammainc(x1, x2)`` with all digits.

    Raises
    ------
    RuntimeError
        If ``x1`` requires a gradient: there is none.
    """
    return _gammaincc(*_pair(_without_gradient("gammaincc", x1), x2))


def zeta(x1: Any, x2: Any, /) -> Any:
    """Hurwitz's zeta function: the sum of ``(x2 + k) ** -x1`` over k from 0.

    Raises
    ------
    RuntimeError
        If ``x1`` requires a gradient: there is none.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.special.zeta(tg.tensor(2.0), tg.tensor(1.0))
    tensor(1.644934)
    """
    return _zeta(*_pair(_without_gradient("zeta", x1), x2))


def _pair(x1: Any, x2: Any) -> tuple[Any, Any]:
    """Two operands in one floating dtype."""
    x1, x2 = paired(x1, x2)
    if x1.dtype.kind in "biu":
        x1, x2 = (cast(x, dtypes.get_default_dtype()) for x in (x1, x2))
    return x1, x2


def polygamma(n: int, x: Any, /) -> Any:
    """The n-th derivative of `digamma`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.special.polygamma(1, tg.tensor(1.0))
    tensor(1.644934)
    """
    order = operator.index(n)
    if order < 0:
        raise ValueError(f"polygamma: the order must not be negative, got {n}")
    x = lift(x)
    if x.dtype.kind in "biu":
        x = cast(x, dtypes.get_default_dtype())
    return _polygamma(x, order) if order else digamma(x)


psi = digamma
lgamma, igamma, igammac = gammaln, gammainc, gammaincc  # PyTorch's names


def multigammaln(x: Any, p: int, /) -> Any:
    """Logarithm of the multivariate gamma function of dimension ``p``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.special.multigammaln(tg.tensor(2.0), 1)
    tensor(0.)
    """
    order = operator.index(p)
    if order < 1:
        raise ValueError(f"multigammaln: p must be at least 1, got {p}")
    x = lift(x)
    y = gammaln(x)
    for k in range(1, order):
        y = add(y, gammaln(subtract(x, 0.5 * k)))
    return add(y, 0.25 * order * (order - 1) * math.log(math.pi)) if order > 1 else y


mvlgamma = multigammaln


def betaln(x1: Any, x2: Any, /) -> Any:
    """Logarithm of the absolute value of the beta function."""
    x1, x2 = _pair(x1, x2)
    return subtract(add(gammaln(x1), gammaln(x2)), gammaln(add(x1, x2)))


# -------------------------------------------------------------------------------------------------------------- Bessel
def _over(y: Any, x: Any, limit: float) -> Any:
    """``y / x`` for an odd function, and its limit at 0."""
    zero = equal(x, 0)
    return where(zero, full_like(y, limit), divide(y, where(zero, ones_like(x), x)))


i0: Function = unary("i0", K.i0, lambda g, x: multiply(g, i1(x)), delicate=True, doc="Modified Bessel function I0.")
i0e: Function = unary(
    "i0e",
    K.i0e,
    lambda g, x, out: multiply(g, subtract(i1e(x), multiply(sign(x), out))),
    delicate=True,
    doc="``exp(-abs(x)) * i0(x)``.",
)
i1: Function = unary(
    "i1",
    K.i1,
    lambda g, x: multiply(g, _i1_slope(x)),
    delicate=True,
    doc="Modified Bessel function I1.",
)
i1e: Function = unary(
    "i1e",
    K.i1e,
    lambda g, x, out: multiply(g, subtract(multiply(exp(negative(abs(x))), _i1_slope(x)), multiply(sign(x), out))),
    delicate=True,
    doc="``exp(-abs(x)) * i1(x)``.",
)
bessel_j0: Function = unary(
    "bessel_j0", K.j0, lambda g, x: negative(multiply(g, bessel_j1(x))), delicate=True, doc="Bessel function J0."
)
bessel_j1: Function = unary(
    "bessel_j1", K.j1, lambda g, x: multiply(g, _j1_slope(x)), delicate=True, doc="Bessel function J1."
)
bessel_y0: Function = unary(
    "bessel_y0", K.y0, lambda g, x: negative(multiply(g, bessel_y1(x))), delicate=True, doc="Bessel function Y0."
)
bessel_y1: Function = unary(
    "bessel_y1",
    K.y1,
    lambda g, x, out: multiply(g, subtract(bessel_y0(x), divide(out, x))),
    delicate=True,
    doc="Bessel function Y1.",
)
modified_bessel_k0: Function = unary(
    "modified_bessel_k0",
    K.k0,
    lambda g, x: negative(multiply(g, modified_bessel_k1(x))),
    delicate=True,
    doc="Modified Bessel function K0.",
)
modified_bessel_k1: Function = unary(
    "modified_bessel_k1",
    K.k1,
    lambda g, x, out: negative(multiply(g, add(modified_bessel_k0(x), divide(out, x)))),
    delicate=True,
    doc="Modified Bessel function K1.",
)
scaled_modified_bessel_k0: Function = unary(
    "scaled_modified_bessel_k0",
    K.k0e,
    lambda g, x, out: multiply(g, subtract(out, scaled_modified_bessel_k1(x))),
    delicate=True,
    doc="``exp(x) * modified_bessel_k0(x)``.",
)
scaled_modified_bessel_k1: Function = unary(
    "scaled_modified_bessel_k1",
    K.k1e,
    lambda g, x, out: multiply(g, subtract(subtract(out, scaled_modified_bessel_k0(x)), divide(out, x))),
    delicate=True,
    doc="``exp(x) * modified_bessel_k1(x)``.",
)
modified_bessel_i0, modified_bessel_i1 = i0, i1


def _i1_slope(x: Any) -> Any:
    """``i0(x) - i1(x) / x``; near 0 its power series, whose derivatives are right there, too."""
    z = multiply(square(x), 0.25)
    near = less(abs(x), 0.1)
    series = 0.0
    for k in range(6, -1, -1):  # sum of (2k + 1) z^k / (2 k! (k + 1)!)
        series = add(multiply(z, series), (2 * k + 1) / (2 * math.factorial(k) * math.factorial(k + 1)))
    safe = where(near, ones_like(x), x)
    return where(near, series, subtract(i0(safe), divide(i1(safe), safe)))


def _j1_slope(x: Any) -> Any:
    """``j0(x) - j1(x) / x``; near 0 its power series, whose derivatives are right there, too."""
    z = multiply(square(x), -0.25)
    near = less(abs(x), 0.1)
    series = 0.0
    for k in range(6, -1, -1):
        series = add(multiply(z, series), (2 * k + 1) / (2 * math.factorial(k) * math.factorial(k + 1)))
    safe = where(near, ones_like(x), x)
    return where(near, series, subtract(bessel_j0(safe), divide(bessel_j1(safe), safe)))


# --------------------------------------------------------------------------------------------------------------- sinc
_sinc: Function = primitive("sinc", lambda x: _sinc_values(x), lambda g, x: multiply(g, _sinc_slope(x)))


def _number(value: float, x: Any) -> Any:
    """A number in the dtype of an array: of a bfloat16 array and a Python number, NumPy makes float32."""
    if x.dtype.kind != "V":
        return value
    y = empty((), x.dtype, device_of(x))
    K.fill(y, value)
    return y


_TINY, _TINY_HALF = 1e-20, 1e-4


def _sinc_values(x: Any) -> Any:
    # of a number as small as this, sine and argument are equal
    tiny = _number(_TINY_HALF if x.dtype.char == "e" else _TINY, x)
    # the function is even
    size = K.where(K.equal(x, 0), tiny, x) if x.dtype.kind == "c" else K.maximum(K.absolute(x), tiny)
    turns = K.multiply(size, _number(math.pi, x))
    return K.divide(K.sin(turns), turns)


def _sinc_slope(x: Any) -> Any:
    """``(cos(pi x) - sinc(x)) / x``; near 0 its power series, whose derivatives are right there, too."""
    near = less(abs(x), 0.1)
    z = multiply(square(x), -(math.pi**2))
    series = 0.0
    for k in range(8, 0, -1):  # of sinc's series z^k / (2k + 1)!, by x: 2k z^(k-1) / (2k + 1)! times -pi^2 x
        series = add(multiply(z, series), 2 * k / math.factorial(2 * k + 1))
    safe = where(near, ones_like(x), x)
    far = divide(subtract(cos(multiply(safe, math.pi)), _sinc(safe)), safe)
    return where(near, multiply(multiply(x, -(math.pi**2)), series), far)


def sinc(x: Any, /) -> Any:
    """``sin(pi x) / (pi x)``, and 1 at 0.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.sinc(tg.tensor([0.0, 0.5]))
    tensor([1.        , 0.63661975])
    """
    return _sinc(_floating(x))


def spherical_bessel_j0(x: Any, /) -> Any:
    """``sin(x) / x``, and 1 at 0."""
    return _sinc(multiply(_floating(x), 1 / math.pi))


def _floating(x: Any) -> Any:
    x = lift(x)
    return cast(x, dtypes.get_default_dtype()) if x.dtype.kind in "biu" else x


# ------------------------------------------------------------------------------------------------ entropies and logits
def _times_log(x1: Any, logarithm: Any, x2: Any) -> Any:
    """``x1 * logarithm``, and 0 where ``x1`` is 0 and ``x2`` a number."""
    nothing = K.logical_and(K.equal(x1, 0), K.equal(x2, x2))
    y = K.multiply(x1, logarithm)
    return K.where(nothing, _number(0.0, y), y)


_xlogy: Function = primitive(
    "xlogy",
    lambda x1, x2: _times_log(x1, K.log(x2), x2),
    lambda g, x1, x2: multiply(g, log(where(logical_and(equal(x1, 0), less_equal(x2, 0)), ones_like(x2), x2))),
    lambda g, x1, x2: multiply(g, _times_reciprocal(x1, x2)),
    broadcasts=True,
)
_xlog1py: Function = primitive(
    "xlog1py",
    lambda x1, x2: _times_log(x1, K.log1p(x2), x2),
    lambda g, x1, x2: multiply(g, log1p(where(logical_and(equal(x1, 0), less_equal(x2, -1)), zeros_like(x2), x2))),
    lambda g, x1, x2: multiply(g, _times_reciprocal(x1, add(x2, 1.0))),
    broadcasts=True,
)


def _times_reciprocal(x1: Any, x2: Any) -> Any:
    """``x1 / x2``, and 0 where both are 0."""
    nothing = logical_and(equal(x1, 0), equal(x2, 0))
    return divide(x1, where(nothing, ones_like(x2), x2))


def xlogy(x1: Any, x2: Any, /) -> Any:
    """``x1 * log(x2)``, and 0 where ``x1`` is 0 and ``x2`` a number.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.xlogy(tg.tensor([0.0, 2.0]), tg.tensor([0.0, 1.0]))
    tensor([0., 0.])
    """
    return _xlogy(*_pair(x1, x2))


def xlog1py(x1: Any, x2: Any, /) -> Any:
    """``x1 * log1p(x2)``, and 0 where ``x1`` is 0 and ``x2`` a number."""
    return _xlog1py(*_pair(x1, x2))


_entr: Function = primitive(
    "entr",
    lambda x: _entropy(x),
    lambda g, x: negative(multiply(g, add(log(x), 1.0))),
)


def _entropy(x: Any) -> Any:
    y = K.multiply(K.negative(x), K.log(x))
    y = K.where(K.equal(y, y), K.add(y, _number(0.0, x)), K.where(K.equal(x, 0), _number(0.0, x), x))  # no -0
    return K.where(K.less(x, 0), _number(-math.inf, x), y)


def entr(x: Any, /) -> Any:
    """``-x * log(x)``; 0 at 0 and minus infinity below.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.special.entr(tg.tensor([0.0, 1.0, -1.0]))
    tensor([  0.,   0., -inf])
    """
    return _entr(_floating(x))


def expit(x: Any, /) -> Any:
    """``1 / (1 + exp(-x))``: SciPy's name for `sigmoid`."""
    return sigmoid(x)


def logit(x: Any, /, eps: float | None = None) -> Any:
    """``log(x / (1 - x))``, the inverse of `expit`.

    Parameters
    ----------
    eps : float, optional
        Clip ``x`` to ``[eps, 1 - eps]`` first.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.logit(tg.tensor([0.5, 1.0]))
    tensor([ 0., inf])
    """
    x = _floating(x)
    if eps is not None:
        x = clip(x, eps, 1 - eps)
    return subtract(log(x), log1p(negative(x)))
