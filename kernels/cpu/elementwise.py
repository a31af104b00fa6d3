"""Elementwise arithmetic, comparison, logic and transcendental functions on NumPy.

NumPy's ufuncs already have the kernels' signature, so most entries are names. Ufuncs broadcast, take ``out=`` and keep
a Python scalar in the dtype of the arrays.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .blocked import BLOCK, Body, bodies, elementwise, overlaps, scratch, walk
from .erf import clip as _clip_ufunc
from .erf import erf, erfc
from .large import in_pieces, pair_in_pieces

__all__ = [
    "clip",
    "divisor_gradient",
    "divmod",
    "erf",
    "erfc",
    "floor_divide",
    "formula",
    "frexp",
    "imag",
    "join_parts",
    "ldexp",
    "modf",
    "power",
    "round",
    "rsqrt",
    "spacing",
    "where",
]  # and the ufuncs below

Array = np.ndarray[Any, np.dtype[Any]]

_clip, _power = in_pieces(_clip_ufunc), in_pieces(np.power)
_floor_divide = in_pieces(np.floor_divide)
_divmod, _modf, _spacing = pair_in_pieces(np.divmod), pair_in_pieces(np.modf), in_pieces(np.spacing)
_BITS: dict[int, Any] = {1: np.dtype(np.int8), 2: np.dtype(np.int16), 4: np.dtype(np.int32), 8: np.dtype(np.int64)}

negative = np.negative
absolute = np.absolute
sign = np.sign
square = np.square
reciprocal = np.reciprocal
sqrt = np.sqrt
cbrt = np.cbrt
exp = np.exp
exp2 = np.exp2
expm1 = np.expm1
log = np.log
log2 = np.log2
log10 = np.log10
log1p = np.log1p
sin = np.sin
cos = np.cos
tan = np.tan
asin = np.arcsin
acos = np.arccos
atan = np.arctan
sinh = np.sinh
cosh = np.cosh
tanh = np.tanh
asinh = np.arcsinh
acosh = np.arccosh
atanh = np.arctanh
floor = np.floor
ceil = np.ceil
trunc = np.trunc
bitwise_invert = np.invert
isnan = np.isnan
isinf = np.isinf
isfinite = np.isfinite
signbit = np.signbit
conj = np.conjugate
logical_not = np.logical_not

add = np.add
subtract = np.subtract
multiply = np.multiply
divide = np.divide
remainder = np.remainder
maximum = np.maximum
minimum = np.minimum
atan2 = np.arctan2
hypot = np.hypot
copysign = np.copysign
nextafter = np.nextafter
logaddexp = np.logaddexp
logaddexp2 = np.logaddexp2
fmax = np.fmax
fmin = np.fmin
fmod = np.fmod
heaviside = np.heaviside
gcd = np.gcd
lcm = np.lcm
bitwise_and = np.bitwise_and
bitwise_or = np.bitwise_or
bitwise_xor = np.bitwise_xor
bitwise_left_shift = np.left_shift
bitwise_right_shift = np.right_shift
equal = np.equal
not_equal = np.not_equal
less = np.less
less_equal = np.less_equal
greater = np.greater
greater_equal = np.greater_equal
logical_and = np.logical_and
logical_or = np.logical_or
logical_xor = np.logical_xor


def imag(x: Array, out: Array | None = None) -> Array:
    """The imaginary part of a complex array."""
    if out is None:
        return x.imag.copy()
    np.copyto(out, x.imag)
    return out


def join_parts(real: Array, imag: Array, out: Array | None = None) -> Array:
    """``real + 1j * imag``, with no product."""
    if out is None:
        out = np.empty(np.broadcast_shapes(real.shape, imag.shape), real.dtype.char.upper())
    np.copyto(out.real, real)
    np.copyto(out.imag, imag)
    return out


def _put(value: Any, where: Any, out: Array) -> Array:
    np.copyto(out, value, where=where)
    return out


def floor_divide(x1: Any, x2: Any, out: Array | None = None) -> Array:
    """``floor(x1 / x2)``; with an infinite operand the floor of the quotient, where NumPy has NaN and -1."""
    if type(x1) is np.ndarray and x1.dtype.kind in "iu" and x1.size <= BLOCK:  # nothing is infinite
        return np.floor_divide(x1, x2, out=out)  # type: ignore[no-any-return]
    large = getattr(x1, "size", 1) > BLOCK or getattr(x2, "size", 1) > BLOCK
    kind = getattr(x1 if hasattr(x1, "dtype") else x2, "dtype", None)
    infinite = None
    if kind is not None and kind.kind not in "biu" and (_has_infinity(x1) or _has_infinity(x2)):
        infinite = np.isinf(x1) | np.isinf(x2)
        special = np.floor(np.divide(x1, x2))
    y: Array = _floor_divide(x1, x2, out=out) if large else np.floor_divide(x1, x2, out=out)
    if infinite is None:
        return y
    return np.where(infinite, special, y).astype(y.dtype, copy=False) if out is None else _put(special, infinite, out)


def _has_infinity(x: Any) -> bool:
    """Whether an element is infinite."""
    return bool(np.count_nonzero(np.isinf(x))) if hasattr(x, "dtype") else isinstance(x, float) and math.isinf(x)


def rsqrt(x: Array, out: Array | None = None) -> Array:
    """``1 / sqrt(x)``."""
    y: Array = np.sqrt(x, out=out)
    y = np.divide(1, y, out=out)
    return y


def _is_whole(n: Any) -> bool:
    return n.__class__ is int or (n.__class__ is float and n.is_integer())


@functools.lru_cache(64)
def _whole_power(n: int | float) -> dict[str, Body]:
    """``x ** n`` for a whole n; of negative numbers `numpy.power` takes fifty times as long as of positive ones."""

    def cube(x: Array, out: Array, w: Array) -> None:
        np.square(x, w)
        np.multiply(w, x, out)

    def even(x: Array, out: Array, w: Array) -> None:
        np.absolute(x, w)
        np.power(w, n, out)

    def odd(x: Array, out: Array, w: Array) -> None:
        np.absolute(x, w)
        np.power(w, n, w)
        np.copysign(w, x, out)

    return bodies(cube, 1, 2) if n == 3 else bodies(odd if n % 2 else even, 1, 10)


def power(x1: Any, x2: Any, out: Array | None = None) -> Array:
    """``x1 ** x2``."""
    if _is_whole(x2) and x1.dtype.char in "fd":
        return elementwise(_whole_power(x2), out, x1)
    if getattr(x2, "size", 0) == 1 and x2.ndim <= getattr(x1, "ndim", -1) and x2.dtype.kind == "f" and x2.item() == 0.5:
        infinite = np.isneginf(x1)  # NumPy takes the root, which is NaN of minus infinity and -0 of -0
        y: Array = np.sqrt(x1, out=out)
        return _put(np.inf, infinite, np.add(y, 0, out=np.asarray(y)))
    if getattr(x1, "size", 1) > BLOCK or getattr(x2, "size", 1) > BLOCK:
        return _power(x1, x2, out=out)
    return np.power(x1, x2, out=out)  # type: ignore[no-any-return]


def _divisor_gradient(g: Array, x: Array, y: Array, out: Array, w: Array) -> None:
    np.multiply(g, y, w)
    np.negative(w, w)
    np.divide(w, x, out)


_DIVISOR_GRADIENT = bodies(_divisor_gradient, 1, 4, "fdFD")


def divisor_gradient(g: Array, x: Array, y: Array, out: Array | None = None) -> Array:
    """``-g * y / x``, where ``y`` is a quotient by ``x``."""
    return elementwise(_DIVISOR_GRADIENT, out, g, x, y)


def formula(function: Any, args: Sequence[Any]) -> tuple[dict[str, Body], tuple[Any, ...]] | None:
    """The bodies by dtype that a function of this file runs, and which of its arguments they take; None without any."""
    if function is power and _is_whole(args[1]) and hasattr(args[0], "dtype"):
        return _whole_power(args[1]), tuple(args[:1])
    return (_DIVISOR_GRADIENT, tuple(args)) if function is divisor_gradient else None


def round(x: Array, out: Array | None = None) -> Array:
    """The nearest integer, halves to even; integers are themselves, which NumPy would make floating."""
    if x.dtype.kind not in "biu":
        return np.rint(x, out=out)
    if out is None:
        return x.copy()
    np.copyto(out, x)
    return out


def frexp(x: Array, out: tuple[Array, Array] | None = None) -> tuple[Array, Array]:
    """``x`` as a number of size 1/2 to 1 and the exponent (int32) of the power of 2 that it is multiplied by."""
    if x.dtype.kind == "V":
        mantissa, exponent = np.frexp(x.astype(np.float32))
        mantissa = mantissa.astype(x.dtype)
    else:
        mantissa, exponent = np.frexp(x)
    if out is None:
        return np.asarray(mantissa), np.asarray(exponent, np.int32)
    np.copyto(out[0], mantissa)
    np.copyto(out[1], exponent)
    return out


Pair = tuple[Array, Array]


def _pair_stored(made: Pair, out: Pair | None) -> Pair:
    if out is None:
        return made
    for y, given in zip(made, out, strict=True):
        np.copyto(given, y)
    return out


def divmod(x1: Array, x2: Array, out: Pair | None = None) -> Pair:
    """`floor_divide` and `remainder`."""
    if x1.dtype.kind not in "biu" and (_has_infinity(x1) or _has_infinity(x2)):
        return _pair_stored((floor_divide(x1, x2), np.remainder(x1, x2)), out)
    return _pair_stored((_divmod if x1.size > BLOCK else np.divmod)(x1, x2), out)


def modf(x: Array, out: Pair | None = None) -> Pair:
    """What ``x`` has after the point, and its whole part."""
    fraction, whole = (_modf if x.size > BLOCK else np.modf)(x)
    return _pair_stored((np.add(fraction, 0, fraction if x.ndim else None), whole), out)  # 0 has no sign


def ldexp(x: Array, exponent: Array, out: Array | None = None) -> Array:
    """``x`` times two to the power of the exponent."""
    return np.ldexp(x, exponent, out=out)


def spacing(x: Array, out: Array | None = None) -> Array:
    """The distance to the next number away from 0, with the sign of ``x``."""
    if x.dtype.char == "e":  # of which NumPy's has no sign
        return np.subtract(np.nextafter(x, np.copysign(np.inf, x + 0)), x, out=out)  # type: ignore[no-any-return]
    return _spacing(x, out=out) if x.size > BLOCK else np.spacing(x, out=out)


def where(condition: Array, x1: Any, x2: Any, out: Array | None = None) -> Array:
    """``x1`` where the condition holds, else ``x2``."""
    if condition.size > BLOCK or (out is not None and condition.size):
        chosen = _chosen(condition, x1, x2, out)
        if chosen is not None:
            return chosen
    y: Array = np.where(condition, x1, x2)
    if out is None:
        return y
    np.copyto(out, y)
    return out


def _chosen(condition: Array, x1: Any, x2: Any, out: Array | None) -> Array | None:
    """`where` without branches, as x2 ^ ((x1 ^ x2) & mask) on the bits; None if the operands are not simply laid out.

    A branch per element is several times slower where the condition is irregular.
    """
    dtype, shape = getattr(x1, "dtype", getattr(x2, "dtype", None)), condition.shape
    if dtype is not None and dtype.kind == "f":  # a number takes the dtype of the array
        x1, x2 = (np.array(x, dtype) if x.__class__ in (int, float) else x for x in (x1, x2))
    if (
        dtype is None
        or dtype != getattr(x1, "dtype", None)
        or dtype != getattr(x2, "dtype", None)
        or dtype.itemsize not in _BITS
        or condition.dtype != np.bool_
    ):
        return None
    if out is None:
        out = np.empty(shape, dtype)
    elif out.shape != shape or out.dtype != dtype or overlaps(out, (condition, x1, x2)):
        return None
    if not all(a.ndim == 0 or (a.shape == shape and a.flags.c_contiguous) for a in (condition, x1, x2, out)):
        return None
    if not shape:
        return None
    bits = _BITS[dtype.itemsize]
    first, second = (a.view(bits).reshape(-1) if a.ndim else a.view(bits) for a in (x1, x2))
    target, holds = out.view(bits).reshape(-1), condition.view(np.int8).reshape(-1)
    no_second = second.ndim == 0 and second == 0

    def task(low: int, high: int, step: int) -> None:
        for start in range(low, high, step):
            part = slice(start, min(start + step, high))
            x, y = (a[part] if a.ndim else a for a in (first, second))
            mask, difference = scratch(2, target[part].size, bits)
            np.copyto(mask, holds[part])
            np.negative(mask, mask)
            if no_second:
                np.bitwise_and(x, mask, target[part])
                continue
            np.bitwise_xor(x, y, difference)
            np.bitwise_and(difference, mask, difference)
            np.bitwise_xor(difference, y, target[part])

    walk(task, target.size, 1, 6)
    return out


def clip(x: Array, low: Any, high: Any, out: Array | None = None) -> Array:
    """``min(max(x, low), high)``; NaN stays NaN."""
    if x.dtype.kind == "V":  # NumPy would widen bfloat16
        low, high = np.asarray(low, x.dtype), np.asarray(high, x.dtype)
        return np.minimum(np.maximum(x, low, out=out), high, out=out)  # type: ignore[no-any-return]
    return _clip(x, low, high, out=out)
