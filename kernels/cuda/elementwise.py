"""Elementwise arithmetic, comparison, logic and transcendental functions on CuPy.

CuPy's ufuncs are used where they give NumPy's results for every dtype; the rest is generated from the instruction
table's expressions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import cupy
import numpy as np

from .module import from_number, is_half, stored
from .pointwise import on_complex, pointwise

__all__ = [
    "EXPRESSIONS",
    "clip",
    "divmod",
    "frexp",
    "imag",
    "join_parts",
    "ldexp",
    "modf",
    "spacing",
    "where",
]  # and the functions below

negative = cupy.negative
absolute = cupy.absolute
sign = cupy.sign
square = cupy.square
reciprocal = cupy.reciprocal
sqrt = cupy.sqrt
exp = cupy.exp
exp2 = cupy.exp2
expm1 = cupy.expm1
log = cupy.log
log2 = cupy.log2
log10 = cupy.log10
log1p = cupy.log1p
sin = cupy.sin
cos = cupy.cos
tan = cupy.tan
asin = cupy.arcsin
acos = cupy.arccos
atan = cupy.arctan
sinh = cupy.sinh
cosh = cupy.cosh
tanh = cupy.tanh
asinh = cupy.arcsinh
acosh = cupy.arccosh
atanh = cupy.arctanh
floor = cupy.floor
ceil = cupy.ceil
trunc = cupy.trunc
bitwise_invert = cupy.invert
isnan = cupy.isnan
isinf = cupy.isinf
isfinite = cupy.isfinite
signbit = cupy.signbit
conj = cupy.conj

add = cupy.add
subtract = cupy.subtract
multiply = cupy.multiply
divide = cupy.divide
power = cupy.power
maximum = cupy.maximum
minimum = cupy.minimum
atan2 = cupy.arctan2
hypot = cupy.hypot
copysign = cupy.copysign
nextafter = cupy.nextafter
bitwise_and = cupy.bitwise_and
bitwise_or = cupy.bitwise_or
bitwise_xor = cupy.bitwise_xor
equal = cupy.equal
not_equal = cupy.not_equal
less = cupy.less
less_equal = cupy.less_equal
greater = cupy.greater
greater_equal = cupy.greater_equal


def imag(x: Any, out: Any | None = None) -> Any:
    """The imaginary part of a complex array."""
    if out is None:
        return x.imag.copy(order="C")
    cupy.copyto(out, x.imag)
    return out


def join_parts(real: Any, imag: Any, out: Any | None = None) -> Any:
    """``real + 1j * imag``, with no product."""
    if out is None:
        out = cupy.empty(np.broadcast_shapes(real.shape, imag.shape), real.dtype.char.upper())
    cupy.copyto(out.real, real)
    cupy.copyto(out.imag, imag)
    return out


# What CuPy lacks (out=, bfloat16) or computes differently: name -> (operands, expression, result).
EXPRESSIONS = {
    "rsqrt": ("x", "rsqrt(x)", "T"),
    "divisor_gradient": ("g x y", "-(g * y) / x", "T"),
    "erf": ("x", "erf(x)", "T"),
    "erfc": ("x", "erfc(x)", "T"),
    "floor_divide": ("x1 x2", "floor_divide(x1, x2)", "T"),
    "remainder": ("x1 x2", "remainder(x1, x2)", "T"),
    "logaddexp": ("x1 x2", "logaddexp(x1, x2)", "T"),
    "cbrt": ("x", "cbrt(x)", "T"),
    "logaddexp2": ("x1 x2", "logaddexp2(x1, x2)", "T"),
    "fmax": ("x1 x2", "fmax(x1, x2)", "T"),
    "fmin": ("x1 x2", "fmin(x1, x2)", "T"),
    "fmod": ("x1 x2", "fmod(x1, x2)", "T"),
    "heaviside": ("x1 x2", "heaviside(x1, x2)", "T"),
    "gcd": ("x1 x2", "gcd(x1, x2)", "T"),
    "lcm": ("x1 x2", "lcm(x1, x2)", "T"),
    "clip": ("x low high", "minimum(maximum(x, low), high)", "T"),
    "logical_not": ("x", "x == C(0)", "bool"),
    "logical_and": ("x1 x2", "x1 != C(0) && x2 != C(0)", "bool"),
    "logical_or": ("x1 x2", "x1 != C(0) || x2 != C(0)", "bool"),
    "logical_xor": ("x1 x2", "(x1 != C(0)) != (x2 != C(0))", "bool"),
    # C++ leaves shifts by the width and more undefined; NumPy shifts everything out.
    "bitwise_left_shift": ("x1 x2", "shift_left(x1, x2)", "T"),
    "bitwise_right_shift": ("x1 x2", "shift_right(x1, x2)", "T"),
}


def _generated(name: str) -> Callable[..., Any]:
    operands, expression, result = EXPRESSIONS[name]

    def launch(*args: Any, out: Any | None = None) -> Any:
        kernel = pointwise(name, operands, expression, result)
        return kernel(*args) if out is None else kernel(*args, out)

    launch.__name__ = launch.__qualname__ = name
    launch.__doc__ = f"``{expression}``."
    return launch


rsqrt = on_complex(_generated("rsqrt"), lambda x: cupy.divide(1, cupy.sqrt(x)))
divisor_gradient = on_complex(_generated("divisor_gradient"), lambda g, x, y: cupy.divide(cupy.negative(g * y), x))
erf = _generated("erf")
erfc = _generated("erfc")
floor_divide = _generated("floor_divide")
remainder = _generated("remainder")
logaddexp = _generated("logaddexp")
cbrt = _generated("cbrt")
logaddexp2 = _generated("logaddexp2")
fmax = _generated("fmax")
fmin = _generated("fmin")
fmod = _generated("fmod")
heaviside = _generated("heaviside")
gcd = _generated("gcd")
lcm = _generated("lcm")
logical_not = on_complex(_generated("logical_not"), cupy.logical_not)
logical_and = on_complex(_generated("logical_and"), cupy.logical_and)
logical_or = on_complex(_generated("logical_or"), cupy.logical_or)
logical_xor = on_complex(_generated("logical_xor"), cupy.logical_xor)
bitwise_left_shift = _generated("bitwise_left_shift")
bitwise_right_shift = _generated("bitwise_right_shift")


def round(x: Any, out: Any | None = None) -> Any:
    """The nearest integer, halves to even; integers are themselves."""
    if x.dtype.kind not in "biu":
        return cupy.rint(x) if out is None else cupy.rint(x, out)
    return stored(x.copy(), out)


def frexp(x: Any, out: Any | None = None) -> Any:
    """``x`` as a number of size 1/2 to 1 and the exponent (int32) of the power of 2 that it is multiplied by."""
    wide = x.astype(np.float32) if is_half(x.dtype) else x
    mantissa, exponent = cupy.frexp(wide)
    made = mantissa.astype(x.dtype, copy=False), exponent.astype(np.int32, copy=False)
    return made if out is None else tuple(stored(y, o) for y, o in zip(made, out, strict=True))


def divmod(x1: Any, x2: Any, out: Any | None = None) -> Any:
    """`floor_divide` and `remainder`."""
    quotient, rest = (None, None) if out is None else out
    return floor_divide(x1, x2, out=quotient), remainder(x1, x2, out=rest)


def modf(x: Any, out: Any | None = None) -> Any:
    """What ``x`` has after the point, and its whole part."""
    fraction, whole = (None, None) if out is None else out
    whole = trunc(x) if whole is None else trunc(x, whole)
    return where(isinf(x), from_number(0, x.dtype), x - whole, out=fraction), whole


def ldexp(x: Any, exponent: Any, out: Any | None = None) -> Any:
    """``x`` times two to the power of the exponent."""
    return stored(cupy.ldexp(x, exponent.astype(np.int32, copy=False)), out)


def spacing(x: Any, out: Any | None = None) -> Any:
    """The distance to the next number away from 0, with the sign of ``x``."""
    outward = copysign(from_number(np.inf, x.dtype), x + from_number(0, x.dtype))  # of -0 the one to the positive ones
    return stored(nextafter(x, outward) - x, out)


def where(condition: Any, x1: Any, x2: Any, out: Any | None = None) -> Any:
    """``x1`` where the condition holds, else ``x2``."""
    if not hasattr(x1, "dtype") and not hasattr(x2, "dtype"):  # T is taken from an array
        x1 = from_number(x1, np.asarray(x1).dtype if out is None else out.dtype)
    if "c" in (getattr(getattr(x, "dtype", None), "kind", "") for x in (x1, x2)):
        return stored(cupy.where(condition, x1, x2), out)
    operands = (condition.astype(bool, copy=False), x1, x2)
    # Chosen, not computed with: the value keeps its bits, also a NaN's.
    kernel = _select()
    return kernel(*operands) if out is None else kernel(*operands, out)


@functools.cache
def _select() -> Any:
    return cupy.ElementwiseKernel(
        "bool condition, T x1, T x2", "T out_value", "out_value = condition ? x1 : x2", "tg_where"
    )


def clip(x: Any, low: Any, high: Any, out: Any | None = None) -> Any:
    """``min(max(x, low), high)``; NaN stays NaN."""
    operands, expression, result = EXPRESSIONS["clip"]
    kernel = pointwise("clip", operands, expression, result)
    return kernel(x, low, high) if out is None else kernel(x, low, high, out)
