"""Elementwise arithmetic, powers, exponentials, trigonometry, rounding, comparison and logic."""

from __future__ import annotations

import cmath
import math
from typing import Any

from .. import dtypes
from .. import kernels as K
from ..backend import is_array
from ..errors import integer
from ..tape import on_arrays
from ..tensor import Tensor
from .complex_parts import conj, real_part
from .definition import Function, binary, is_tensor, lift, primitive, unary
from .late import late_function
from .memory import cast, clone, zeros_like
from .precision import raised

__all__ = [
    "abs",
    "acos",
    "acosh",
    "add",
    "angle",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "ceil",
    "clip",
    "copysign",
    "cos",
    "cosh",
    "divide",
    "equal",
    "erf",
    "erfc",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "floor_divide",
    "greater",
    "greater_equal",
    "hypot",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log2",
    "log10",
        "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "masked_fill",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "nextafter",
    "not_equal",
    "positive",
    "pow",
    "reciprocal",
    "remainder",
    "round",
    "rsqrt",
    "sign",
    "signbit",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "subtract",
    "tan",
    "tanh",
    "trunc",
    "where",
]  # fmt: skip

_LN2 = math.log(2)
_LN10 = math.log(10)

# ---------------------------------------------------------------------------------------------------------- arithmetic
add: Function = binary("add", K.add, lambda g: g, lambda g: g, doc="``x1 + x2``.")
subtract: Function = binary("subtract", K.subtract, lambda g: g, lambda g: negative(g), doc="``x1 - x2``.")
multiply: Function = binary(
    "multiply",
    K.multiply,
    lambda g, x2: multiply(g, x2),
    lambda g, x1: multiply(g, x1),
    backward=(K.multiply, K.multiply),
    doc="``x1 * x2``.",
)
divide: Function = binary(
    "divide",
    K.divide,
    lambda g, x2: divide(g, x2),
    lambda g, x2, out: divisor_gradient(g, x2, out),
    fractional=True,
    backward=(K.divide, K.divisor_gradient),
    doc="``x1 / x2``; integers become floating first.",
)
divisor_gradient: Function = primitive(
    "divisor_gradient",
    K.divisor_gradient,
    lambda h, x, y: divisor_gradient(h, x, y),
    lambda h, g, x, y: negative(divide(multiply(h, divisor_gradient(g, x, y)), x)),
    lambda h, g, x: negative(divide(multiply(h, g), x)),
    broadcasts=True,
)
negative: Function = unary("negative", K.negative, lambda g: negative(g), fractional=False, doc="``-x``.")
reciprocal: Function = unary(
    "reciprocal", K.reciprocal, lambda g, out: negative(multiply(g, square(out))), delicate=True, doc="``1 / x``."
)
square: Function = unary(
    "square", K.square, lambda g, x: multiply(multiply(g, x), 2.0), fractional=False, doc="``x * x``."
)
abs: Function = unary("abs", K.absolute, lambda g, x: _abs_vjp(g, x), fractional=False, doc="Absolute value.")
_sign: Function = unary("sign", K.sign, lambda g: zeros_like(g), fractional=False, doc="-1, 0 or 1; NaN stays NaN.")


def _abs_vjp(g: Any, x: Any) -> Any:
    return multiply(cast(g, x.dtype), conj(sign(x)))


def sign(x: Any, /) -> Any:
    """-1, 0 or 1; NaN stays NaN. Of a complex number ``x / abs(x)``, and 0 of 0."""
    x = lift(x)
    if x.dtype.kind != "c":
        return _sign(x)
    size = abs(x)
    still = equal(size, 0)
    return where(still, zeros_like(x), divide(x, cast(where(still, 1.0, size), x.dtype)))


floor_divide: Function = binary(
    "floor_divide",
    K.floor_divide,
    lambda g: zeros_like(g),
    lambda g: zeros_like(g),
    doc="``floor(x1 / x2)``; its gradient is 0.",
)
remainder: Function = binary(
    "remainder",
    K.remainder,
    lambda g: g,
    lambda g, x1, x2: negative(multiply(g, floor_divide(x1, x2))),
    doc="``x1 - floor(x1 / x2) * x2``, which has the sign of ``x2``.",
)
maximum: Function = binary(
    "maximum",
    K.maximum,
    lambda g, x1, x2: multiply(g, _share(greater(x1, x2), equal(x1, x2), g)),
    lambda g, x1, x2: multiply(g, _share(less(x1, x2), equal(x1, x2), g)),
    ordered=True,
    doc="The larger element; NaN if one is. Where they are equal, each gets half of the gradient.",
)
minimum: Function = binary(
    "minimum",
    K.minimum,
    lambda g, x1, x2: multiply(g, _share(less(x1, x2), equal(x1, x2), g)),
    lambda g, x1, x2: multiply(g, _share(greater(x1, x2), equal(x1, x2), g)),
    ordered=True,
    doc="The smaller element; NaN if one is. Where they are equal, each gets half of the gradient.",
)


def _share(wins: Any, ties: Any, g: Any) -> Any:
    """1 where an operand wins, 1/2 where it ties: the mean of the one-sided derivatives."""
    dtype = g.dtype
    return add(cast(wins, dtype), multiply(cast(ties, dtype), 0.5))


def positive(x: Any, /) -> Any:
    """``+x``."""
    x = lift(x)
    return multiply(x, 1) if x.dtype.kind != "b" else x


# -------------------------------------------------------------------------------------------------------------- powers
sqrt: Function = unary("sqrt", K.sqrt, lambda g, out: divide(multiply(g, 0.5), out), doc="Square root.")
rsqrt: Function = unary(
    "rsqrt",
    K.rsqrt,
    lambda g, out: multiply(multiply(g, -0.5), multiply(out, square(out))),
    delicate=True,
    doc="``1 / sqrt(x)``.",
)
_power: Function = binary(
    "pow",
    K.power,
    lambda g, x1, x2: multiply(g, _power_slope(x1, x2)),
    lambda g, x1, x2, out: multiply(g, _exponent_slope(x1, x2, out)),
    doc="``x1 ** x2``.",
)


def _power_slope(x: Any, n: Any) -> Any:
    """``n * x**(n-1)``, and 0 for n = 0 also at x = 0."""
    if isinstance(n, (int, float)):
        if n == 2:
            return multiply(x, 2.0)
        return multiply(pow(x, n - 1), float(n)) if n else zeros_like(x)
    return where(equal(n, 0), zeros_like(n), multiply(n, _power(x, subtract(n, 1))))


def _exponent_slope(x: Any, n: Any, out: Any) -> Any:
    """``x**n * log(x)``, and 0 where x = 0 and n >= 0, where x**n does not move with n."""
    if isinstance(x, (int, float)):
        return (
            multiply(out, math.log(x))
            if x > 0
            else multiply(out, cmath.log(x))
            if x and out.dtype.kind == "c"
            else where(greater_equal(n, 0), zeros_like(out), multiply(out, math.nan))
        )
    still = logical_and(equal(x, 0), greater_equal(real_part(n), 0))
    return where(still, zeros_like(out), multiply(out, log(where(still, 1.0, x))))


def pow(x1: Any, x2: Any, /) -> Any:
    """``x1 ** x2``; a constant exponent of 1, 2, 0.5 or -1 runs as what it is."""
    if isinstance(x2, (int, float)) and not isinstance(x2, bool) and is_tensor(x1) and x1.dtype.kind not in "biu":
        if x2 == 2:
            return square(x1)
        if x2 == 0.5:
            return sqrt(x1)
        if x2 == -1:
            return reciprocal(x1)
    return _power(raised(x1), raised(x2))


# ----------------------------------------------------------------------------------------- exponentials and logarithms
exp: Function = unary(
    "exp", K.exp, lambda g, out: multiply(g, out), delicate=True, backward=K.multiply, doc="``e ** x``."
)
exp2: Function = unary("exp2", K.exp2, lambda g, out: multiply(multiply(g, out), _LN2), doc="``2 ** x``.")


def _complex_expm1(x: Any) -> Any:
    """``exp(x) - 1`` of complex numbers, also of infinite ones; the real part is never -0."""
    y = K.where(K.isfinite(x), K.expm1(x), K.subtract(K.exp(x), 1))
    return K.join_parts(K.add(y.real, 0.0), y.imag)


expm1: Function = unary(
    "expm1",
    K.expm1,
    lambda g, out: multiply(g, add(out, 1.0)),
    delicate=True,
    on_complex=_complex_expm1,
    doc="``e ** x - 1``, accurate near 0.",
)
log: Function = unary(
    "log", K.log, lambda g, x: divide(g, x), delicate=True, backward=K.divide, doc="Natural logarithm."
)
log2: Function = unary(
    "log2", K.log2, lambda g, x: divide(g, multiply(x, _LN2)), delicate=True, doc="Logarithm to base 2."
)
log10: Function = unary(
    "log10", K.log10, lambda g, x: divide(g, multiply(x, _LN10)), delicate=True, doc="Logarithm to base 10."
)
log1p: Function = unary(
    "log1p", K.log1p, lambda g, x: divide(g, add(x, 1.0)), delicate=True, doc="``log(1 + x)``, accurate near 0."
)
# -------------------------------------------------------------------------------------- trigonometric and hyperbolic
sin: Function = unary("sin", K.sin, lambda g, x: multiply(g, cos(x)), doc="Sine of radians.")
cos: Function = unary("cos", K.cos, lambda g, x: negative(multiply(g, sin(x))), doc="Cosine of radians.")
tan: Function = unary(
    "tan", K.tan, lambda g, out: multiply(g, add(square(out), 1.0)), delicate=True, doc="Tangent of radians."
)
asin: Function = unary(
    "asin", K.asin, lambda g, x: multiply(g, rsqrt(subtract(1.0, square(x)))), delicate=True, doc="Inverse sine."
)
acos: Function = unary(
    "acos",
    K.acos,
    lambda g, x: negative(multiply(g, rsqrt(subtract(1.0, square(x))))),
    delicate=True,
    doc="Inverse cosine.",
)
atan: Function = unary("atan", K.atan, lambda g, x: divide(g, add(square(x), 1.0)), doc="Inverse tangent.")
sinh: Function = unary("sinh", K.sinh, lambda g, x: multiply(g, cosh(x)), delicate=True, doc="Hyperbolic sine.")
cosh: Function = unary("cosh", K.cosh, lambda g, x: multiply(g, sinh(x)), delicate=True, doc="Hyperbolic cosine.")


def _complex_tanh(x: Any) -> Any:
    """The hyperbolic tangent of complex numbers: 1 or -1 at infinity, and a zero with the imaginary part's sign."""
    real, imag = x.real, x.imag
    limit = K.join_parts(K.sign(real), K.copysign(K.multiply(K.sign(real), 0.0), imag))
    return K.where(K.isinf(real), limit, K.tanh(x))


tanh: Function = unary(
    "tanh",
    K.tanh,
    lambda g, out: tanh_backward(g, out),
    backward=K.tanh_backward,
    on_complex=_complex_tanh,
    doc="Hyperbolic tangent.",
)
tanh_backward: Function = primitive(
    "tanh_backward",
    K.tanh_backward,
    lambda h, y: tanh_backward(h, y),
    lambda h, g, y: multiply(multiply(multiply(h, g), y), -2.0),
)
asinh: Function = unary(
    "asinh", K.asinh, lambda g, x: multiply(g, rsqrt(add(square(x), 1.0))), doc="Inverse hyperbolic sine."
)
acosh: Function = unary(
    "acosh",
    K.acosh,
    lambda g, x: divide(g, multiply(sqrt(subtract(x, 1.0)), sqrt(add(x, 1.0)))),
    doc="Inverse hyperbolic cosine.",
)
atanh: Function = unary(
    "atanh", K.atanh, lambda g, x: divide(g, subtract(1.0, square(x))), doc="Inverse hyperbolic tangent."
)
atan2: Function = binary(
    "atan2",
    K.atan2,
    lambda g, x1, x2: multiply(g, divide(x2, add(square(x1), square(x2)))),
    lambda g, x1, x2: negative(multiply(g, divide(x1, add(square(x1), square(x2))))),
    fractional=True,
    doc="Angle of the point (x2, x1), in (-pi, pi].",
)
hypot: Function = binary(
    "hypot",
    K.hypot,
    lambda g, x1, out: multiply(g, divide(x1, out)),
    lambda g, x2, out: multiply(g, divide(x2, out)),
    fractional=True,
    doc="``sqrt(x1**2 + x2**2)`` without overflow.",
)


def _angle_backward(g: Any, x: Any) -> Any:
    """The conjugate of ``i z / abs(z)**2`` times a real gradient; 0 at 0, where no angle is steeper than another."""
    still = equal(x, 0)
    return where(still, zeros_like(x), divide(multiply(cast(g, x.dtype), -1j), where(still, 1.0, x)))


_angle: Function = primitive("angle", lambda x: K.atan2(K.imag(x), x.real), lambda g, x: _angle_backward(g, x))


def angle(x: Any, /) -> Any:
    """The angle of complex numbers in (-pi, pi]: of real ones 0 or pi, with no gradient.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.angle(tg.tensor([1j, -1.0]))
    tensor([1.5707964, 3.1415927])
    """
    x = lift(x)
    if x.dtype.kind == "c":
        return _angle(x)
    x = x if dtypes.is_floating(x.dtype) else cast(x, dtypes.get_default_dtype())
    return add(multiply(minimum(sign(x), 0.0), -math.pi), 0.0)  # of NaN NaN, and no negative zeros


_ERF_SLOPE = 2 / math.sqrt(math.pi)
erf: Function = unary(
    "erf",
    K.erf,
    lambda g, x: multiply(g, multiply(exp(negative(square(x))), _ERF_SLOPE)),
    doc="Error function, ``2 / sqrt(pi)`` times the integral of ``exp(-t**2)`` from 0 to x.",
)
erfc: Function = unary(
    "erfc",
    K.erfc,
    lambda g, x: multiply(g, multiply(exp(negative(square(x))), -_ERF_SLOPE)),
    doc="``1 - erf(x)``, accurate for large x.",
)

# ------------------------------------------------------------------------------------------------- rounding and steps
floor: Function = unary("floor", K.floor, lambda g: zeros_like(g), fractional=False, doc="Largest integer not above x.")
ceil: Function = unary("ceil", K.ceil, lambda g: zeros_like(g), fractional=False, doc="Smallest integer not below x.")
trunc: Function = unary("trunc", K.trunc, lambda g: zeros_like(g), fractional=False, doc="x without its fraction.")
_round: Function = unary(
    "round", K.round, lambda g: zeros_like(g), fractional=False, doc="Nearest integer, halves to even."
)
copysign: Function = binary(
    "copysign",
    K.copysign,
    lambda g, x1, out: multiply(g, multiply(sign(x1), sign(out))),
    lambda g: zeros_like(g),
    fractional=True,
    doc="Magnitude of ``x1`` with the sign of ``x2``.",
)
nextafter: Function = binary("nextafter", K.nextafter, doc="The next floating number after ``x1`` towards ``x2``.")


def round(x: Any, /, decimals: int = 0) -> Any:
    """Nearest number with ``decimals`` digits after the point, halves to even; the gradient is 0."""
    if decimals == 0:
        return _round(x)
    decimals = integer(decimals, "decimals", "round")
    if decimals > 0:
        scale = 10.0**decimals
        return divide(_round(multiply(x, scale)), scale)
    scale = 10.0**-decimals
    return multiply(_round(divide(x, scale)), scale)


# --------------------------------------------------------------------------------------------- comparison and logic
equal: Function = binary("equal", K.equal, doc="Whether ``x1 == x2``.")
not_equal: Function = binary("not_equal", K.not_equal, doc="Whether ``x1 != x2``.")
less: Function = binary("less", K.less, ordered=True, doc="Whether ``x1 < x2``.")
less_equal: Function = binary("less_equal", K.less_equal, ordered=True, doc="Whether ``x1 <= x2``.")
greater: Function = binary("greater", K.greater, ordered=True, doc="Whether ``x1 > x2``.")
greater_equal: Function = binary("greater_equal", K.greater_equal, ordered=True, doc="Whether ``x1 >= x2``.")
logical_and: Function = binary("logical_and", K.logical_and, doc="Whether both are true.")
logical_or: Function = binary("logical_or", K.logical_or, doc="Whether one is true.")
logical_xor: Function = binary("logical_xor", K.logical_xor, doc="Whether exactly one is true.")
logical_not: Function = unary("logical_not", K.logical_not, fractional=False, doc="Whether ``x`` is false.")
isnan: Function = unary("isnan", K.isnan, fractional=False, doc="Whether ``x`` is NaN.")
isinf: Function = unary("isinf", K.isinf, fractional=False, doc="Whether ``x`` is an infinity.")
isfinite: Function = unary(
    "isfinite", K.isfinite, fractional=False, doc="Whether ``x`` is neither NaN nor an infinity."
)
signbit: Function = unary("signbit", K.signbit, doc="Whether the sign bit of a floating number is set.")
bitwise_and: Function = binary("bitwise_and", K.bitwise_and, doc="Bits set in both.")
bitwise_or: Function = binary("bitwise_or", K.bitwise_or, doc="Bits set in one.")
bitwise_xor: Function = binary("bitwise_xor", K.bitwise_xor, doc="Bits set in exactly one.")
bitwise_invert: Function = unary("bitwise_invert", K.bitwise_invert, fractional=False, doc="Every bit turned over.")
bitwise_left_shift: Function = binary("bitwise_left_shift", K.bitwise_left_shift, doc="``x1 * 2**x2``.")
bitwise_right_shift: Function = binary("bitwise_right_shift", K.bitwise_right_shift, doc="``floor(x1 / 2**x2)``.")

# ----------------------------------------------------------------------------------------------------------- selection
_where: Function = primitive(
    "where",
    K.where,
    None,
    lambda g, condition: _where(condition, g, zeros_like(g)),
    lambda g, condition: _where(condition, zeros_like(g), g),
    broadcasts=True,
)


def where(condition: Any, x1: Any = None, x2: Any = None, /) -> Any:
    """``x1`` where the condition holds, else ``x2``; all three broadcast. ``where(condition)`` is `nonzero`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.where(tg.tensor([True, False]), tg.tensor([1.0, 2.0]), 0.0)
    tensor([1., 0.])
    """
    if x1 is None or x2 is None:
        if x1 is not x2:
            raise TypeError("where: expected a condition alone, or a condition and two tensors or numbers")
        return late_function("nonzero")(condition)
    condition = lift(condition)
    if condition.dtype.kind != "b":
        raise TypeError(f"where: the condition must be bool, got {condition.dtype}")
    if x2.__class__ in (int, float) and on_arrays.get() and is_array(x1) and x1.dtype.kind == "f":
        return _where(condition, x1, x2)  # kernels take numbers
    x1, x2 = together(x1, x2, condition)
    return _where(condition, x1, x2)


def together(x1: Any, x2: Any, place: Any) -> tuple[Any, Any]:
    """Two operands, tensors or scalars, as tensors of one dtype on the device of ``place``."""
    if isinstance(x1, Tensor) and isinstance(x2, Tensor) and x1._data.dtype is x2._data.dtype:
        return x1, x2
    if is_tensor(x1) or is_tensor(x2):
        x1, x2 = lift(x1, x2 if is_tensor(x2) else None), lift(x2, x1 if is_tensor(x1) else None)
    else:
        dtype = dtypes.result_type(x1, x2)
        x1, x2 = (cast(lift(x, place), dtype) for x in (x1, x2))
    if x1.dtype != x2.dtype:
        dtype = dtypes.promote_types(x1.dtype, x2.dtype)
        x1, x2 = cast(x1, dtype), cast(x2, dtype)
    return x1, x2


def masked_fill(x: Any, mask: Any, value: Any) -> Any:
    """``value`` where ``mask`` is true, else ``x``; the mask broadcasts to the shape of ``x``."""
    return where(mask, cast(lift(value, x), x.dtype), x)


def clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
    """``x`` limited to the interval from ``min`` to ``max``, either of which may be None.

    The gradient passes where ``x`` lies within the limits, the limits included; a tensor limit receives it where it
    decides.
    """
    if min is None and max is None:
        return clone(x)
    x = lift(x)
    if x.dtype.kind == "c":
        raise TypeError(f"clip: complex numbers have no order, got {x.dtype} of shape {x.shape}")
    if _is_number(min) and _is_number(max) and x.dtype.kind not in "biu":
        return _clip(x, -math.inf if min is None else min, math.inf if max is None else max)
    if min is not None:
        low = lift(min, x)
        x, low = together(x, low, x)
        x = where(less(x, low), low, x)
    if max is not None:
        high = lift(max, x)
        x, high = together(x, high, x)
        x = where(greater(x, high), high, x)
    return x


def _is_number(limit: Any) -> bool:
    return limit is None or isinstance(limit, (int, float))


_clip: Function = primitive(
    "clip",
    K.clip,
    lambda g, x, low, high: where(logical_and(greater_equal(x, low), less_equal(x, high)), g, zeros_like(g)),
)
