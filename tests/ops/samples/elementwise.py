"""Arithmetic, powers, exponentials, trigonometry, rounding, comparison and logic."""

from __future__ import annotations

import math
import operator

import numpy as np
from scipy import special

import tensorgrad as tg
from tensorgrad.ops.elementwise import divisor_gradient, tanh_backward

from . import add, values

nan, inf = math.nan, math.inf
POINTS = (nan, inf, -inf, 0.0, -0.0)

# function, reference, interval of the samples, values at POINTS
UNARY = {
    "negative": (tg.negative, operator.neg, -2, 2, (nan, -inf, inf, 0, 0)),
    "reciprocal": (tg.reciprocal, lambda x: 1 / x, 0.5, 2, (nan, 0, 0, inf, -inf)),
    "square": (tg.square, lambda x: x**2, -2, 2, (nan, inf, inf, 0, 0)),
    "abs": (tg.abs, math.fabs, -2, 2, (nan, inf, inf, 0, 0)),
    "sign": (tg.sign, lambda x: math.copysign(1, x), -2, 2, (nan, 1, -1, 0, 0)),
    "sqrt": (tg.sqrt, math.sqrt, 0.1, 3, (nan, inf, nan, 0, 0)),
    "rsqrt": (tg.rsqrt, lambda x: 1 / math.sqrt(x), 0.1, 3, (nan, 0, nan, inf, -inf)),
    "exp": (tg.exp, math.exp, -2, 2, (nan, inf, 0, 1, 1)),
    "exp2": (tg.exp2, lambda x: 2**x, -2, 2, (nan, inf, 0, 1, 1)),
    "expm1": (tg.expm1, math.expm1, -2, 2, (nan, inf, -1, 0, 0)),
    "log": (tg.log, math.log, 0.1, 3, (nan, inf, nan, -inf, -inf)),
    "log2": (tg.log2, math.log2, 0.1, 3, (nan, inf, nan, -inf, -inf)),
    "log10": (tg.log10, math.log10, 0.1, 3, (nan, inf, nan, -inf, -inf)),
    "log1p": (tg.log1p, math.log1p, -0.8, 3, (nan, inf, nan, 0, 0)),
    "sin": (tg.sin, math.sin, -2, 2, (nan, nan, nan, 0, 0)),
    "cos": (tg.cos, math.cos, -2, 2, (nan, nan, nan, 1, 1)),
    "tan": (tg.tan, math.tan, -1.2, 1.2, (nan, nan, nan, 0, 0)),
    "asin": (tg.asin, math.asin, -0.8, 0.8, (nan, nan, nan, 0, 0)),
    "acos": (tg.acos, math.acos, -0.8, 0.8, (nan, nan, nan, math.pi / 2, math.pi / 2)),
    "atan": (tg.atan, math.atan, -2, 2, (nan, math.pi / 2, -math.pi / 2, 0, 0)),
    "sinh": (tg.sinh, math.sinh, -2, 2, (nan, inf, -inf, 0, 0)),
    "cosh": (tg.cosh, math.cosh, -2, 2, (nan, inf, inf, 1, 1)),
    "tanh": (tg.tanh, math.tanh, -2, 2, (nan, 1, -1, 0, 0)),
    "asinh": (tg.asinh, math.asinh, -2, 2, (nan, inf, -inf, 0, 0)),
    "acosh": (tg.acosh, math.acosh, 1.2, 3, (nan, inf, nan, nan, nan)),
    "atanh": (tg.atanh, math.atanh, -0.8, 0.8, (nan, nan, nan, 0, 0)),
    "erf": (tg.erf, math.erf, -2, 2, (nan, 1, -1, 0, 0)),
    "erfc": (tg.erfc, math.erfc, -2, 2, (nan, 0, 2, 1, 1)),
    "floor": (tg.floor, math.floor, -2, 2, (nan, inf, -inf, 0, 0)),
    "ceil": (tg.ceil, math.ceil, -2, 2, (nan, inf, -inf, 0, 0)),
    "trunc": (tg.trunc, math.trunc, -2, 2, (nan, inf, -inf, 0, 0)),
    "round": (tg.round, round, -2, 2, (nan, inf, -inf, 0, 0)),
    "relu": (tg.relu, lambda x: max(x, 0.0), -2, 2, (nan, inf, 0, 0, 0)),
    "sigmoid": (tg.sigmoid, lambda x: 1 / (1 + math.exp(-x)), -3, 3, (nan, 1, 0, 0.5, 0.5)),
}
for _name, (_call, _math, _low, _high, _) in UNARY.items():
    _reference = np.vectorize(_math, otypes=[np.float64])
    for _label, _shape in {"matrix": (2, 3), "0-d": (), "empty": (0, 3)}.items():
        add(_name, _label, _call, values(*_shape, low=_low, high=_high), reference=_reference)
add(
    "round",
    "halves",
    tg.round,
    [0.5, 1.5, 2.5, -0.5, -1.5],
    reference=lambda x: np.array([0.0, 2, 2, 0, -2]),
    constant=(0,),
)
add("round", "decimals", lambda x: tg.round(x, 1), [0.12, 0.27, -1.01], reference=lambda x: np.array([0.1, 0.3, -1.0]))
add("round", "tens", lambda x: tg.round(x, -1), [14.0, 27.0], reference=lambda x: np.array([10.0, 30.0]))
add("sigmoid", "large", tg.sigmoid, [-700.0, -40.0, 40.0, 700.0], reference=special.expit)
add("relu", "integers", tg.relu, [-2, 0, 3], reference=lambda x: np.array([0, 0, 3]))

# function, reference, intervals of both operands
BINARY = {
    "add": (tg.add, operator.add, (-2, 2), (-2, 2)),
    "subtract": (tg.subtract, operator.sub, (-2, 2), (-2, 2)),
    "multiply": (tg.multiply, operator.mul, (-2, 2), (-2, 2)),
    "divide": (tg.divide, operator.truediv, (-2, 2), (0.5, 2)),
    "floor_divide": (tg.floor_divide, operator.floordiv, (-9, 9), (0.5, 2)),
    "remainder": (tg.remainder, operator.mod, (-9, 9), (0.5, 2)),
    "maximum": (tg.maximum, max, (-2, 2), (-2, 2)),
    "minimum": (tg.minimum, min, (-2, 2), (-2, 2)),
    "pow": (tg.pow, math.pow, (0.2, 2), (-2, 2)),
    "logaddexp": (tg.logaddexp, lambda x, y: math.log(math.exp(x) + math.exp(y)), (-2, 2), (-2, 2)),
    "atan2": (tg.atan2, math.atan2, (-2, 2), (-2, 2)),
    "hypot": (tg.hypot, math.hypot, (-2, 2), (-2, 2)),
    "copysign": (tg.copysign, math.copysign, (-2, 2), (-2, 2)),
    "nextafter": (tg.nextafter, math.nextafter, (-2, 2), (-2, 2)),
    "equal": (tg.equal, operator.eq, (-2, 2), (-2, 2)),
    "not_equal": (tg.not_equal, operator.ne, (-2, 2), (-2, 2)),
    "less": (tg.less, operator.lt, (-2, 2), (-2, 2)),
    "less_equal": (tg.less_equal, operator.le, (-2, 2), (-2, 2)),
    "greater": (tg.greater, operator.gt, (-2, 2), (-2, 2)),
    "greater_equal": (tg.greater_equal, operator.ge, (-2, 2), (-2, 2)),
}
SHAPES = {
    "matrices": ((2, 3), (2, 3)),
    "row": ((2, 3), (3,)),
    "row first": ((3,), (2, 3)),
    "outer": ((2, 1), (1, 3)),
    "new axes": ((2, 1, 3), (4, 1)),
    "0-d": ((), ()),
    "with 0-d": ((2, 3), ()),
    "0-d first": ((), (3,)),
    "empty": ((0, 3), (3,)),
    "empty by broadcasting": ((1, 3), (0, 1)),
}
_STEPS = ("floor_divide", "remainder")  # a rounded quotient may fall on the other side of a whole number
for _name, (_call, _math, _first, _second) in BINARY.items():
    _reference = np.vectorize(_math, otypes=[np.float64 if _name not in list(BINARY)[-6:] else bool])
    for _label, (_shape1, _shape2) in SHAPES.items():
        _x1 = values(*_shape1, low=_first[0], high=_first[1], seed=1)
        _x2 = values(*_shape2, low=_second[0], high=_second[1], seed=2)
        _halves = _name != "nextafter" and _name not in _STEPS
        add(_name, _label, _call, _x1, _x2, reference=_reference, halves=_halves)

_X, _P = values(2, 3), values(2, 3, low=0.3, high=2)
add("add", "one tensor twice", lambda x: x + x, _X, reference=lambda x: 2 * x)
add("add", "number", lambda x: x + 3, _X, reference=lambda x: x + 3)
add("add", "number first", lambda x: 0.5 + x, _X, reference=lambda x: x + 0.5)
add("subtract", "one tensor twice", lambda x: x - x, _X, reference=lambda x: 0 * x)
add("subtract", "number", lambda x: x - 3, _X, reference=lambda x: x - 3)
add("subtract", "number first", lambda x: 3 - x, _X, reference=lambda x: 3 - x)
add("multiply", "one tensor twice", lambda x: x * x, _X, reference=lambda x: x * x)
add("multiply", "number", lambda x: x * 3, _X, reference=lambda x: x * 3)
add("multiply", "number first", lambda x: 0.5 * x, _X, reference=lambda x: x * 0.5)
add("multiply", "positive", lambda x: +x, _X, reference=lambda x: x)
add("divide", "number", lambda x: x / 4, _X, reference=lambda x: x / 4)
add("divide", "number first", lambda x: 4 / x, _P, reference=lambda x: 4 / x)
add("divide", "integers", tg.divide, [1, 2], [4, 5], reference=lambda x, y: x / y)
add("floor_divide", "integers", tg.floor_divide, [7, -7, 6], [2, 2, -3], reference=lambda x, y: np.array([3, -4, -2]))
add("remainder", "integers", tg.remainder, [7, -7, 7], [2, 3, -3], reference=lambda x, y: np.array([1, 2, -2]))
add(
    "remainder",
    "number",
    lambda x: x % 0.7,
    [1.0, -1.0, 2.5],
    reference=lambda x: np.array([0.3, 0.4, 0.4]),
    halves=False,
)
for _name, _side in (("maximum", max), ("minimum", min)):
    _f = getattr(tg, _name)
    add(_name, "number", lambda x, f=_f: f(x, 0.5), _X, reference=np.vectorize(lambda x, s=_side: s(x, 0.5)))
    add(_name, "nan", _f, [nan, 1.0, nan], [1.0, nan, nan], reference=lambda x, y: np.full(3, nan), constant=(0, 1))

for _n in (0, 1, 2, 3, 0.5, -1, -2, 1.5):
    _op = {2: "square", 0.5: "sqrt", -1: "reciprocal"}.get(_n, "pow")
    add(_op, f"power {_n}", lambda x, n=_n: x**n, _P, reference=np.vectorize(lambda x, n=_n: math.pow(x, n)))
add("pow", "negative base", lambda x: x**3, -_P, reference=lambda x: x * x * x)
add("pow", "zero base", lambda x: x**3, [0.0, 1.0], reference=lambda x: x * x * x)
add("pow", "zero to the zero", lambda x: x**0, [0.0, 1.0], reference=np.ones_like)
add(
    "pow",
    "whole exponents",
    lambda x, n: x**n,
    [-1.5, 0.5, 2.0],
    [2, 3, 0],
    reference=lambda x, n: np.array([2.25, 0.125, 1]),
)
add("pow", "number base", lambda x: 2.0**x, _X, reference=np.exp2)
add("pow", "whole number base", lambda x: 3**x, _X, reference=lambda x: np.exp(x * math.log(3)))
add("pow", "integers", tg.pow, [2, -3], [5, 3], reference=lambda x, n: np.array([32, -27]))
add("logaddexp", "far apart", tg.logaddexp, [800.0, -800.0], [0.0, 0.0], reference=lambda x, y: np.array([800.0, 0.0]))
add("logaddexp", "minus infinity", tg.logaddexp, [-inf], [1.0], reference=lambda x, y: y, constant=(0, 1))
add("hypot", "large", tg.hypot, [3e20], [4e20], reference=lambda x, y: np.array([5e20]), constant=(0, 1), halves=False)
add("atan2", "axes", tg.atan2, [0.0, 1, -1], [1.0, 0, 0], reference=np.vectorize(math.atan2))

add("tanh_backward", "matrix", tanh_backward, _X, values(2, 3, seed=3), reference=lambda g, y: g * (1 - y * y))
for _shape in ((), (0, 2)):
    add(
        "tanh_backward",
        str(_shape),
        tanh_backward,
        values(*_shape),
        values(*_shape, seed=3),
        reference=lambda g, y: g * (1 - y * y),
    )

add(
    "divisor_gradient",
    "broadcast",
    divisor_gradient,
    _X,
    [1.5, -2.0, 0.5],
    values(2, 3, seed=3),
    reference=lambda g, x, y: -g * y / x,
)

_B1, _B2 = [True, True, False, False], [True, False, True, False]
add("logical_and", "bool", tg.logical_and, _B1, _B2, reference=lambda x, y: np.array([True, False, False, False]))
add("logical_or", "bool", tg.logical_or, _B1, _B2, reference=lambda x, y: np.array([True, True, True, False]))
add("logical_xor", "bool", tg.logical_xor, _B1, _B2, reference=lambda x, y: np.array([False, True, True, False]))
add("logical_not", "bool", tg.logical_not, _B2, reference=lambda x: np.array([False, True, False, True]))
add(
    "logical_xor",
    "numbers",
    tg.logical_xor,
    [0.0, 2.0, 3.0],
    [1.0, 0.0, -1.0],
    reference=lambda x, y: np.array([True, True, False]),
)
add("logical_not", "numbers", tg.logical_not, [0.0, 2.0], reference=lambda x: np.array([True, False]))
add("isnan", "special", tg.isnan, POINTS, reference=lambda x: np.array([True, False, False, False, False]))
add("isinf", "special", tg.isinf, POINTS, reference=lambda x: np.array([False, True, True, False, False]))
add("isfinite", "special", tg.isfinite, POINTS, reference=lambda x: np.array([False, False, False, True, True]))
add("signbit", "special", tg.signbit, POINTS[1:], reference=lambda x: np.array([False, True, False, True]))
for _name in ("isnan", "isinf", "isfinite"):
    add(_name, "integers", getattr(tg, _name), [1, 2], reference=lambda x, n=_name: np.full(2, n == "isfinite"))
for _name, _f in {
    "bitwise_and": operator.and_, "bitwise_or": operator.or_, "bitwise_xor": operator.xor,
    "bitwise_left_shift": operator.lshift, "bitwise_right_shift": operator.rshift,
}.items():  # fmt: skip
    add(_name, "integers", getattr(tg, _name), [12, -5, 7], [1, 3, 2], reference=np.vectorize(_f, otypes=[np.int64]))
    add(
        _name,
        "operator",
        lambda x, f=_f: f(x, 3),
        [12, -5, 7],
        reference=lambda x, f=_f: np.array([f(int(n), 3) for n in x]),
    )
add("bitwise_and", "bool", operator.and_, _B1, _B2, reference=lambda x, y: np.array([True, False, False, False]))
add("bitwise_invert", "integers", operator.invert, [0, 5, -3], reference=lambda x: np.array([-1, -6, 2]))
add("bitwise_invert", "bool", operator.invert, [True, False], reference=lambda x: np.array([False, True]))

_C = np.array([[True, False, True], [False, False, True]])
_choose = np.vectorize(lambda c, x, y: x if c else y, otypes=[np.float64])
add("where", "matrices", tg.where, _C, _X, _P, reference=_choose)
add("where", "broadcast", tg.where, _C[:, :1], values(3), values(2, 1), reference=_choose)
add("where", "0-d", tg.where, True, values(), values(seed=1), reference=_choose)
add("where", "empty", tg.where, np.zeros((0, 3), bool), values(3), values(), reference=_choose)
add("where", "number", lambda c, x: tg.where(c, x, 0.5), _C, _X, reference=lambda c, x: _choose(c, x, 0.5))
add("where", "number first", lambda c, x: tg.where(c, 2, x), _C, _X, reference=lambda c, x: _choose(c, 2.0, x))
add(
    "where",
    "nan not chosen",
    tg.where,
    [True, False],
    [1.0, nan],
    [nan, 2.0],
    reference=lambda c, x, y: np.array([1.0, 2.0]),
    constant=(1, 2),
)
add("where", "masked_fill", lambda x, m: x.masked_fill(m, -1.0), _X, _C, reference=lambda x, m: _choose(m, -1.0, x))
add(
    "where",
    "masked_fill row",
    lambda x, m: tg.masked_fill(x, m, 0),
    _X,
    _C[0],
    reference=lambda x, m: _choose(m, 0.0, x),
)
add(
    "where",
    "clip by tensors",
    lambda x, a, b: tg.clip(x, a, b),
    _X,
    [-1.0, -0.5, -0.1],
    [1.0, 0.5, 0.1],
    reference=np.clip,
)
add(
    "where",
    "clip from below by a tensor",
    lambda x, a: tg.clip(x, a),
    _X,
    values(),
    reference=lambda x, a: np.where(x < a, a, x),
)

for _label, _limits in {"both": (-0.5, 0.7), "low": (-0.5, None), "high": (None, 0.7)}.items():
    add(
        "clip",
        _label,
        lambda x, n=_limits: x.clip(*n),
        _X,
        reference=lambda x, n=_limits: np.array(
            [[min(max(v, -inf if n[0] is None else n[0]), inf if n[1] is None else n[1]) for v in row] for row in x]
        ),
    )
add("clip", "0-d", lambda x: tg.clip(x, -1, 1), 3.0, reference=lambda x: np.array(1.0))
add("clip", "empty", lambda x: tg.clip(x, -1, 1), values(2, 0), reference=lambda x: x)
add(
    "clip",
    "special",
    lambda x: tg.clip(x, -1, 1),
    POINTS,
    reference=lambda x: np.array([nan, 1, -1, 0, 0]),
    constant=(0,),
)
