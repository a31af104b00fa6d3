"""Elementwise functions of numbers that are less used: remainders, extrema without NaN, closeness, interpolation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from .. import kernels as K
from ..tensor import Tensor
from .complex_parts import imag_part, join_parts, real_part
from .definition import Function, alone, binary, is_tensor, lift, primitive, unary
from .elementwise import (
    abs,
    add,
    clip,
    divide,
    equal,
    exp2,
    floor_divide,
    greater,
    greater_equal,
    isfinite,
    isinf,
    isnan,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    multiply,
    negative,
    pow,
    remainder,
    square,
    subtract,
    together,
    trunc,
    where,
)
from .memory import cast, clone, zeros_like
from .reduction import all as all_

__all__ = [
    "addcdiv", "addcmul", "allclose", "array_equal", "array_equiv", "cbrt", "deg2rad", "divmod", "fabs",
    "float_power", "fmax", "fmin", "fmod", "frac", "frexp", "gcd", "heaviside", "isclose", "isneginf", "isposinf",
    "lcm", "ldexp", "lerp", "logaddexp2", "modf", "nan_to_num", "paired", "rad2deg", "spacing",
]  # fmt: skip

cbrt: Function = unary(
    "cbrt",
    K.cbrt,
    lambda g, out: divide(g, multiply(square(out), 3.0)),
    delicate=True,
    doc="Cube root, also of negatives.",
)
logaddexp2: Function = binary(
    "logaddexp2",
    K.logaddexp2,
    lambda g, x1, out: multiply(g, exp2(subtract(x1, _finite(out)))),
    lambda g, x2, out: multiply(g, exp2(subtract(x2, _finite(out)))),
    fractional=True,
    doc="``log2(2**x1 + 2**x2)`` without overflow.",
)
fmax: Function = binary(
    "fmax",
    K.fmax,
    lambda g, x1, x2: multiply(g, cast(logical_or(greater_equal(x1, x2), isnan(x2)), g.dtype)),
    lambda g, x1, x2: multiply(g, cast(logical_not(logical_or(greater_equal(x1, x2), isnan(x2))), g.dtype)),
    ordered=True,
    doc="The larger element; of a number and a NaN, the number. Where they are equal, ``x1`` gets the gradient.",
)
fmin: Function = binary(
    "fmin",
    K.fmin,
    lambda g, x1, x2: multiply(g, cast(logical_or(less_equal(x1, x2), isnan(x2)), g.dtype)),
    lambda g, x1, x2: multiply(g, cast(logical_not(logical_or(less_equal(x1, x2), isnan(x2))), g.dtype)),
    ordered=True,
    doc="The smaller element; of a number and a NaN, the number. Where they are equal, ``x1`` gets the gradient.",
)
fmod: Function = binary(
    "fmod",
    K.fmod,
    lambda g: g,
    lambda g, x1, x2: negative(multiply(g, trunc(divide(x1, x2)))),
    doc="``x1 - trunc(x1 / x2) * x2``, which has the sign of ``x1``.",
)
heaviside: Function = binary(
    "heaviside",
    K.heaviside,
    lambda g: zeros_like(g),
    lambda g, x1: multiply(g, cast(equal(x1, 0), g.dtype)),
    fractional=True,
    doc="0 where ``x1`` is negative, 1 where it is positive and ``x2`` where it is 0.",
)
_gcd: Function = binary("gcd", K.gcd, doc="")
_lcm: Function = binary("lcm", K.lcm, doc="")
_frexp: Function = primitive(
    "frexp",
    K.frexp,
    joint=lambda g, needs, x: (ldexp(g[0], negative(frexp(x)[1])),),
    inputs=1,
    outputs=2,
)


def _finite(x: Any) -> Any:
    """Minus infinity as 0: what is subtracted from it then stays minus infinity."""
    return where(equal(x, -math.inf), zeros_like(x), x)


def paired(x1: Any, x2: Any) -> tuple[Any, Any]:
    """Two operands of any kind as tensors of one dtype."""
    first, second = (x if is_tensor(x) or isinstance(x, (bool, int, float, complex)) else lift(x) for x in (x1, x2))
    return together(first, second, first)


def _whole(name: str, op: Any, x1: Any, x2: Any) -> Any:
    x1, x2 = lift(x1, x2 if is_tensor(x2) else None), lift(x2, x1 if is_tensor(x1) else None)
    for x in (x1, x2):
        if x.dtype.kind not in "iu":
            raise TypeError(f"{name}: needs integers, got {x1.dtype} and {x2.dtype}")
    return op(x1, x2)


def gcd(x1: Any, x2: Any, /) -> Any:
    """Greatest common divisor of integers; of two zeros, 0.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.gcd(tg.tensor([12, 5]), 18)
    tensor([6, 1])
    """
    return _whole("gcd", _gcd, x1, x2)


def lcm(x1: Any, x2: Any, /) -> Any:
    """Lowest common multiple of integers, not negative.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.lcm(tg.tensor([4, 5]), 6)
    tensor([12, 30])
    """
    return _whole("lcm", _lcm, x1, x2)


def frexp(x: Any, /) -> tuple[Any, Any]:
    """``(mantissa, exponent)`` with ``x = mantissa * 2**exponent`` and a mantissa of size 1/2 to 1, or 0.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.frexp(tg.tensor([8.0, -0.75]))
    (tensor([ 0.5 , -0.75]), tensor([4, 0], dtype=int32))
    """
    x = lift(x)
    if x.dtype.kind in "biu":
        x = cast(x, dtypes.get_default_dtype())
    mantissa, exponent = _frexp(x)
    return mantissa, exponent.detach() if isinstance(exponent, Tensor) else exponent


def ldexp(x1: Any, x2: Any, /) -> Any:
    """``x1 * 2**x2``, also where ``2**x2`` alone would overflow.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.ldexp(tg.tensor([0.5, 0.75]), tg.tensor([3, 2]))
    tensor([4., 3.])
    """
    x1 = lift(x1, x2 if is_tensor(x2) and x2.dtype.kind not in "biu" else None)
    x2 = lift(x2)
    if x1.dtype.kind in "biu":
        x1 = cast(x1, dtypes.get_default_dtype())
    if x2.dtype.kind not in "iu":
        return multiply(x1, exp2(x2))
    if x1.dtype.kind == "f" and alone(x1, x2):
        return Tensor(K.ldexp(x1._data, x2._data))
    half = floor_divide(x2, 2)
    return multiply(multiply(x1, exp2(cast(half, x1.dtype))), exp2(cast(subtract(x2, half), x1.dtype)))


def modf(x: Any, /) -> tuple[Any, Any]:
    """The fraction and the whole part of ``x``, both with its sign.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.modf(tg.tensor([1.25, -2.5]))
    (tensor([ 0.25, -0.5 ]), tensor([ 1., -2.]))
    """
    x = lift(x)
    if x.dtype.kind in "biu":
        x = cast(x, dtypes.get_default_dtype())
    if x.dtype.kind == "f" and alone(x):
        fraction, whole = K.modf(x._data)
        return Tensor(fraction), Tensor(whole)
    whole = trunc(x)
    return where(isinf(x), zeros_like(x), subtract(x, whole)), whole


def frac(x: Any, /) -> Any:
    """``x - trunc(x)``, which has the sign of ``x``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.frac(tg.tensor([1.25, -2.5]))
    tensor([ 0.25, -0.5 ])
    """
    return subtract(x, trunc(x))


def divmod(x1: Any, x2: Any, /) -> tuple[Any, Any]:
    """``(floor_divide(x1, x2), remainder(x1, x2))``."""
    if alone(x1, x2) and x1.dtype == x2.dtype and x1.dtype.kind in "iuf":
        quotient, rest = K.divmod(x1._data, x2._data)
        return Tensor(quotient), Tensor(rest)
    return floor_divide(x1, x2), remainder(x1, x2)


def fabs(x: Any, /) -> Any:
    """Absolute value; of integers, as floating numbers."""
    x = lift(x)
    return abs(cast(x, dtypes.get_default_dtype()) if x.dtype.kind in "biu" else x)


def deg2rad(x: Any, /) -> Any:
    """Degrees as radians.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.deg2rad(tg.tensor([180.0]))
    tensor([3.1415927])
    """
    return multiply(lift(x), math.pi / 180)


def rad2deg(x: Any, /) -> Any:
    """Radians as degrees.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.rad2deg(tg.tensor([tg.pi]))
    tensor([180.])
    """
    return multiply(lift(x), 180 / math.pi)


def float_power(x1: Any, x2: Any, /) -> Any:
    """``x1 ** x2`` in float64, or complex128."""
    x1, x2 = lift(x1, x2 if is_tensor(x2) else None), lift(x2, x1 if is_tensor(x1) else None)
    wide = dtypes.complex128 if "c" in (x1.dtype.kind, x2.dtype.kind) else dtypes.float64
    return pow(cast(x1, wide), cast(x2, wide))


def isposinf(x: Any, /) -> Any:
    """Whether ``x`` is plus infinity."""
    return equal(lift(x), math.inf) if lift(x).dtype.kind not in "biu" else isinf(x)


def isneginf(x: Any, /) -> Any:
    """Whether ``x`` is minus infinity."""
    return equal(lift(x), -math.inf) if lift(x).dtype.kind not in "biu" else isinf(x)


def spacing(x: Any, /) -> Any:
    """The distance to the next floating number away from 0, with the sign of ``x``."""
    from .elementwise import copysign, nextafter

    x = lift(x)
    if x.dtype.kind in "biu":
        x = cast(x, dtypes.get_default_dtype())
    if x.dtype.kind == "f" and alone(x):
        return Tensor(K.spacing(x._data))
    outward = copysign(math.inf, add(x, 0.0))  # of a negative zero it is the one to the positive numbers
    return subtract(nextafter(x, outward), x)


def isclose(x1: Any, x2: Any, /, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Whether ``abs(x1 - x2) <= atol + rtol * abs(x2)``; infinities are close to themselves only.

    Parameters
    ----------
    equal_nan : bool
        Whether two NaNs are close.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.isclose(tg.tensor([1.0, 1.1]), 1.000001)
    tensor([ True, False])
    """
    x1, x2 = paired(x1, x2)
    if x1.dtype.kind in "biu":
        x1, x2 = cast(x1, dtypes.float64), cast(x2, dtypes.float64)
    near = less_equal(abs(subtract(x1, x2)), add(multiply(abs(x2), rtol), atol))
    close = logical_or(equal(x1, x2), logical_and(near, isfinite(x2)))
    return logical_or(close, logical_and(isnan(x1), isnan(x2))) if equal_nan else close


def allclose(x1: Any, x2: Any, /, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether all elements are close in the sense of `isclose`; waits for the device."""
    return bool(all_(isclose(x1, x2, rtol=rtol, atol=atol, equal_nan=equal_nan)))


def array_equal(x1: Any, x2: Any, /, equal_nan: bool = False) -> bool:
    """Whether shapes and all elements are equal; waits for the device.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.array_equal(tg.arange(2), tg.tensor([0, 1]))
    True
    """
    x1, x2 = paired(x1, x2)
    if x1.shape != x2.shape:
        return False
    same = equal(x1, x2)
    if equal_nan and x1.dtype.kind not in "biu":
        same = logical_or(same, logical_and(isnan(x1), isnan(x2)))
    return bool(all_(same))


def array_equiv(x1: Any, x2: Any, /) -> bool:
    """Whether one broadcasts to the other and all elements are equal then."""
    x1, x2 = paired(x1, x2)
    try:
        np.broadcast_shapes(x1.shape, x2.shape)
    except ValueError:
        return False
    return bool(all_(equal(x1, x2)))


def nan_to_num(
    x: Any, /, copy: bool = True, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Any:
    """NaN as ``nan``, and infinities as the largest numbers of the dtype or as told; there the gradient is 0.

    Parameters
    ----------
    copy : bool
        False writes into ``x`` itself.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nan_to_num(tg.tensor([1.0, tg.nan, tg.inf]), posinf=9.0)
    tensor([1., 0., 9.])
    """
    x = lift(x)
    if x.dtype.kind in "biu":
        return clone(x) if copy else x
    if x.dtype.kind == "c":
        parts = (nan_to_num(part(x), nan=nan, posinf=posinf, neginf=neginf) for part in (real_part, imag_part))
        y = join_parts(*parts)
        if not copy:
            x[...] = y
        return y if copy else x
    largest = float(np.finfo(x.dtype).max) if x.dtype.kind == "f" else 3.3895313892515355e38  # bfloat16's
    y = where(equal(x, x), x, nan)
    if posinf is None and neginf is None and math.isfinite(nan) and -largest <= nan <= largest:
        return _kept(clip(y, -largest, largest), x, copy)
    y = where(equal(x, math.inf), largest if posinf is None else float(posinf), y)
    y = where(equal(x, -math.inf), -largest if neginf is None else float(neginf), y)
    return _kept(y, x, copy)


def _kept(y: Any, x: Any, copy: bool) -> Any:
    """The result, or ``x`` with the result written into it."""
    if copy:
        return y
    x[...] = y
    return x


def lerp(start: Any, end: Any, weight: Any) -> Any:
    """``start + weight * (end - start)``, exact at both ends.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.lerp(tg.tensor([1.0, 2.0]), tg.tensor([3.0, 4.0]), 0.5)
    tensor([2., 3.])
    """
    start, end = paired(start, end)
    distance = subtract(end, start)
    if isinstance(weight, (int, float)):
        if weight < 0.5:
            return add(start, multiply(distance, weight))
        return subtract(end, multiply(distance, 1 - weight))
    weight = lift(weight, start)
    return where(
        greater(abs(weight), 0.5),
        subtract(end, multiply(distance, subtract(1, weight))),
        add(start, multiply(distance, weight)),
    )


def addcmul(x: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
    """``x + value * tensor1 * tensor2``."""
    product = multiply(tensor1, tensor2)
    return add(x, product if value == 1 else multiply(product, value))


def addcdiv(x: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
    """``x + value * tensor1 / tensor2``."""
    quotient = divide(tensor1, tensor2)
    return add(x, quotient if value == 1 else multiply(quotient, value))
