"""Nodes of the elementwise ops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .alignment import Operand, Step
from .graph import Graph, element_type, exports

__all__: list[str] = []

_ONE = {
    "negative": "Neg", "reciprocal": "Reciprocal", "abs": "Abs", "absolute": "Abs", "sign": "Sign", "sqrt": "Sqrt",
    "exp": "Exp", "log": "Log", "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin", "acos": "Acos",
    "atan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "tanh": "Tanh", "asinh": "Asinh", "acosh": "Acosh",
    "atanh": "Atanh", "erf": "Erf", "floor": "Floor", "ceil": "Ceil", "round": "Round", "isnan": "IsNaN",
    "isinf": "IsInf", "bitwise_invert": "BitwiseNot", "relu": "Relu", "sigmoid": "Sigmoid", "logical_not": "Not",
}  # fmt: skip
_TWO = {
    "add": "Add", "subtract": "Sub", "multiply": "Mul", "maximum": "Max", "minimum": "Min", "pow": "Pow",
    "power": "Pow", "equal": "Equal", "less": "Less", "less_equal": "LessOrEqual", "greater": "Greater",
    "greater_equal": "GreaterOrEqual", "bitwise_and": "BitwiseAnd", "bitwise_or": "BitwiseOr",
    "bitwise_xor": "BitwiseXor",
}  # fmt: skip
_LOGIC = {"logical_and": "And", "logical_or": "Or", "logical_xor": "Xor"}
_BITS_OF_BOOL = {"BitwiseAnd": "And", "BitwiseOr": "Or", "BitwiseXor": "Xor"}


def _kind(x: Any) -> str:
    return x.dtype.kind if isinstance(x, Operand) else "n"


def pair(g: Graph, x1: Any, x2: Any) -> tuple[str, str]:
    """Two operands of which one may be a Python number, which takes the dtype of the other."""
    dtype = x1.dtype if isinstance(x1, Operand) else x2.dtype
    names = [g.name_of(x) if isinstance(x, Operand) else g.number(x, dtype) for x in (x1, x2)]
    return names[0], names[1]


def _as_bool(g: Graph, x: Any) -> str:
    """Whether each element is not 0."""
    return g.name_of(x) if x.dtype.kind == "b" else g.cast(x, np.dtype(bool))


@exports(*_ONE)
def _one(g: Graph, step: Step, x: Operand, *_: Any) -> str:
    kind = _ONE[step.record.name]
    if x.dtype.kind in "biu":
        if kind in ("Floor", "Ceil", "Round"):
            kind = "Identity"
        elif kind in ("IsNaN", "IsInf"):
            false = g.number(False, np.dtype(bool))
            return g.op("And", g.op("Equal", x, x), false)
        elif x.dtype.kind == "b" and kind in ("BitwiseNot", "Abs", "Sign", "Relu"):
            kind = "Not" if kind == "BitwiseNot" else "Identity"
    return g.op(kind, _as_bool(g, x) if kind == "Not" else x)


@exports(*_TWO)
def _two(g: Graph, step: Step, x1: Any, x2: Any) -> str:
    kind = _TWO[step.record.name]
    names = pair(g, x1, x2)
    if "b" in (_kind(x1), _kind(x2)):
        if kind in _BITS_OF_BOOL:
            kind = _BITS_OF_BOOL[kind]
        elif kind in ("Add", "Max"):
            kind = "Or"
        elif kind in ("Mul", "Min"):
            kind = "And"
        elif kind in ("Less", "LessOrEqual", "Greater", "GreaterOrEqual"):
            names = g.cast(names[0], np.dtype("int32")), g.cast(names[1], np.dtype("int32"))
    return g.op(kind, *names)


@exports("not_equal")
def _not_equal(g: Graph, step: Step, x1: Any, x2: Any) -> str:
    return g.op("Not", g.op("Equal", *pair(g, x1, x2)))


@exports(*_LOGIC)
def _logic(g: Graph, step: Step, x1: Any, x2: Any) -> str:
    names = [_as_bool(g, x) if isinstance(x, Operand) else g.number(bool(x), np.dtype(bool)) for x in (x1, x2)]
    return g.op(_LOGIC[step.record.name], *names)


@exports("divide")
def _divide(g: Graph, step: Step, x1: Any, x2: Any) -> str:
    return g.op("Div", *pair(g, x1, x2))


@exports("floor_divide")
def _floor_divide(g: Graph, step: Step, x1: Any, x2: Any) -> str:
    a, b = pair(g, x1, x2)
    if step.outputs[0].dtype.kind in "iu":  # Div rounds towards 0; without its remainder it is exact
        return g.op("Div", g.op("Sub", a, g.op("Mod", a, b)), b)
    return g.op("Floor", g.op("Div", a, b))


@exports("remainder")
def _remainder(g: Graph, step: Step, x1: Any, x2: Any) -> str:
    a, b = pair(g, x1, x2)
    if step.outputs[0].dtype.kind in "iu":
        return g.op("Mod", a, b)
    return g.op("Sub", a, g.op("Mul", g.op("Floor", g.op("Div", a, b)), b))


@exports("square")
def _square(g: Graph, step: Step, x: Operand) -> str:
    return g.op("Mul", x, x)


@exports("rsqrt")
def _rsqrt(g: Graph, step: Step, x: Operand) -> str:
    return g.op("Reciprocal", g.op("Sqrt", x))


@exports("exp2")
def _exp2(g: Graph, step: Step, x: Operand) -> str:
    return g.op("Pow", g.number(2, x.dtype), x)


def expm1(g: Graph, x: Any, dtype: Any) -> str:
    """``exp(x) - 1 = 2 sinh(x / 2) exp(x / 2)``, which is accurate near 0; minus infinity gives -1 the plain way."""
    half = g.op("Mul", x, g.number(0.5, dtype))
    near = g.op("Mul", g.number(2, dtype), g.op("Mul", g.op("Sinh", half), g.op("Exp", half)))
    small = g.op("Less", g.op("Abs", x), g.number(1, dtype))
    return g.masked(small, near, g.op("Sub", g.op("Exp", x), g.number(1, dtype)))


def log1p(g: Graph, x: Any, dtype: Any) -> str:
    """``log(1 + x)``: with u = 1 + x as rounded, x log(u) / (u - 1) makes up for the rounding (Kahan)."""
    one = g.number(1, dtype)
    u = g.op("Add", x, one)
    lost = g.op("Sub", u, one)
    exact = g.op("Or", g.op("Equal", lost, g.number(0, dtype)), g.op("IsInf", u))
    factor = g.op("Div", g.op("Log", u), g.masked(exact, one, lost))
    plain = g.masked(g.op("IsInf", u), u, x)
    return g.masked(exact, plain, g.op("Mul", x, factor))


@exports("expm1")
def _expm1(g: Graph, step: Step, x: Operand) -> str:
    return expm1(g, x, x.dtype)


@exports("log1p")
def _log1p(g: Graph, step: Step, x: Operand) -> str:
    return log1p(g, x, x.dtype)


@exports("log2", "log10")
def _log_to(g: Graph, step: Step, x: Operand) -> str:
    base = 2 if step.record.name == "log2" else 10
    return g.op("Mul", g.op("Log", x), g.number(1 / math.log(base), x.dtype))


@exports("erfc")
def _erfc(g: Graph, step: Step, x: Operand) -> str:
    return g.op("Sub", g.number(1, x.dtype), g.op("Erf", x))


@exports("trunc")
def _trunc(g: Graph, step: Step, x: Operand) -> str:
    if x.dtype.kind in "biu":
        return g.op("Identity", x)
    return g.op("Mul", g.op("Sign", x), g.op("Floor", g.op("Abs", x)))


@exports("isfinite")
def _isfinite(g: Graph, step: Step, x: Operand) -> str:
    if x.dtype.kind in "biu":
        return g.op("Equal", x, x)
    return g.op("Not", g.op("Or", g.op("IsNaN", x), g.op("IsInf", x)))


@exports("hypot")
def _hypot(g: Graph, step: Step, x1: Any, x2: Any) -> str:
    """Divided by the larger one, so that the squares do not overflow."""
    dtype = step.outputs[0].dtype
    a, b = (g.op("Abs", x) for x in pair(g, x1, x2))
    large, small = g.op("Max", a, b), g.op("Min", a, b)
    regular = g.op("And", g.op("Greater", large, g.number(0, dtype)), g.op("Not", g.op("IsInf", large)))
    ratio = g.op("Div", small, g.masked(regular, large, g.number(1, dtype)))
    whole = g.op("Mul", large, g.op("Sqrt", g.op("Add", g.op("Mul", ratio, ratio), g.number(1, dtype))))
    return g.masked(regular, whole, g.op("Add", large, small))


@exports("atan2")
def _atan2(g: Graph, step: Step, y: Any, x: Any) -> str:
    dtype = step.outputs[0].dtype
    y, x = pair(g, y, x)
    zero = g.number(0, dtype)
    on_axis = g.op("Equal", x, zero)
    slope = g.op("Atan", g.op("Div", y, g.masked(on_axis, g.number(1, dtype), x)))
    turn = g.masked(g.op("Less", y, zero), g.number(-math.pi, dtype), g.number(math.pi, dtype))
    whole = g.masked(g.op("Less", x, zero), g.op("Add", slope, turn), slope)
    upright = g.op("Mul", g.op("Sign", y), g.number(math.pi / 2, dtype))
    return g.masked(on_axis, upright, whole)


@exports("copysign")
def _copysign(g: Graph, step: Step, x1: Any, x2: Any) -> str:
    """The sign of 1 / x2 tells -0 from 0."""
    dtype = step.outputs[0].dtype
    a, b = pair(g, x1, x2)
    zero = g.number(0, dtype)
    size = g.op("Abs", a)
    below = g.op("Less", b, zero)
    below = g.op("Or", below, g.op("And", g.op("Equal", b, zero), g.op("Less", g.op("Reciprocal", b), zero)))
    return g.masked(below, g.op("Neg", size), size)


@exports("logaddexp")
def _logaddexp(g: Graph, step: Step, x1: Any, x2: Any) -> str:
    return logaddexp(g, *pair(g, x1, x2), step.outputs[0].dtype)


def logaddexp(g: Graph, a: str, b: str, dtype: Any) -> str:
    """The logarithm of the sum of two exponentials; equal infinities have no gap between them."""
    large = g.op("Max", a, b)
    same = g.op("Equal", a, b)
    gap = g.masked(same, g.number(0, dtype), g.op("Neg", g.op("Abs", g.op("Sub", a, b))))
    return g.op("Add", large, log1p(g, g.op("Exp", gap), dtype))


@exports("bitwise_left_shift", "bitwise_right_shift")
def _shift(g: Graph, step: Step, x1: Any, x2: Any) -> str:
    if step.outputs[0].dtype.kind != "u":
        raise g.error("ONNX shifts the bits of unsigned integers only")
    direction = "LEFT" if "left" in step.record.name else "RIGHT"
    return g.op("BitShift", *pair(g, x1, x2), direction=direction)


@exports("where")
def _where(g: Graph, step: Step, condition: Operand, x1: Any, x2: Any) -> str:
    dtype = step.outputs[0].dtype
    names = [g.name_of(x) if isinstance(x, Operand) else g.number(x, dtype) for x in (x1, x2)]
    return g.masked(condition, *names)


@exports("clip")
def _clip(g: Graph, step: Step, x: Operand, low: Any, high: Any) -> str:
    return g.op("Clip", x, g.number(low, x.dtype), g.number(high, x.dtype))


@exports("cast")
def _cast(g: Graph, step: Step, x: Operand, dtype: Any) -> str:
    if dtype.kind == "c" or x.dtype.kind == "c":
        raise g.error("ONNX has no arithmetic of complex numbers")
    return g.op("Cast", x, to=element_type(dtype))


# --------------------------------------------------------------------------------------------------------- activations
def _gelu(g: Graph, x: Any, dtype: Any, tanh: bool) -> str:
    if g.opset >= 20:
        return g.op("Gelu", x, approximate="tanh" if tanh else "none")
    if tanh:
        cubed = g.op("Mul", g.op("Mul", x, x), g.op("Mul", x, g.number(0.044715, dtype)))
        inner = g.op("Tanh", g.op("Mul", g.op("Add", x, cubed), g.number(math.sqrt(2 / math.pi), dtype)))
    else:
        inner = g.op("Erf", g.op("Mul", x, g.number(math.sqrt(0.5), dtype)))
    half = g.op("Mul", x, g.number(0.5, dtype))
    return g.op("Mul", half, g.op("Add", inner, g.number(1, dtype)))


@exports("silu")
def _silu(g: Graph, step: Step, x: Operand) -> str:
    return g.op("Mul", x, g.op("Sigmoid", x))


@exports("gelu")
def _gelu_op(g: Graph, step: Step, x: Operand, tanh: bool = False) -> str:
    return _gelu(g, x, x.dtype, tanh)


@exports("bias_activation")
def _bias_activation(g: Graph, step: Step, x: Operand, bias: Operand, activation: str) -> str:
    z = g.op("Add", x, bias)
    if activation.startswith("gelu"):
        return _gelu(g, z, x.dtype, activation == "gelu_tanh")
    if activation == "silu":
        return g.op("Mul", z, g.op("Sigmoid", z))
    return g.op({"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid"}[activation], z)
