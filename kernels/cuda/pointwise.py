"""Elementwise kernels made from an expression: operands broadcast, half types compute in float32."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import cupy

from .module import header

__all__ = ["on_complex", "pointwise", "pointwise_parts"]

_CALLED = re.compile(r"\b([a-z_]\w*)\s*\(")
_DEFINED = re.compile(r"(?:inline \w+ |TG_REAL[12]\()(\w+)\b")


@functools.cache
def _own_names() -> frozenset[str]:
    return frozenset(_DEFINED.findall(header("functions")))


def pointwise_parts(
    operands: str, expression: str, result: str = "T", constants: str = "", conditions: str = ""
) -> tuple[str, str, str]:
    """Input parameters, output parameters and operation of a CuPy ``ElementwiseKernel``.

    Parameters
    ----------
    operands : str
        Names of the operands that share dtype ``T``, separated by spaces, as ``expression`` calls them.
    expression : str
        Value of one element, in C++; it sees the operands as ``float`` where ``T`` is a half type.
    result : str
        ``"T"`` or ``"bool"``.
    constants : str
        Statements in front, such as ``constexpr bool tanh = true;``.
    conditions : str
        Names of operands of dtype bool; they come first.
    """
    inputs = [f"bool {name}" for name in conditions.split()] + [f"T in_{name}" for name in operands.split()]
    lines = [f"using tg::{name};" for name in sorted(set(_CALLED.findall(expression)) & _own_names())]
    lines.append("using C = tg::compute_t<T>;")
    lines += [f"const C {name} = static_cast<C>(in_{name});" for name in operands.split()]
    lines += [constants, f"out_value = static_cast<{result}>({expression});"]
    return ", ".join(inputs), f"{result} out_value", "\n".join(line for line in lines if line)


def on_complex(real: Callable[..., Any], parts: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel ``real``, and on complex arrays ``parts``, which is made of CuPy's functions."""

    def launch(*args: Any, out: Any | None = None) -> Any:
        if not any(isinstance(a, cupy.ndarray) and a.dtype.kind == "c" for a in args):
            return real(*args, out=out)
        y = parts(*args)
        if out is None:
            return y
        cupy.copyto(out, y)
        return out

    launch.__name__ = launch.__qualname__ = real.__name__
    launch.__doc__ = real.__doc__
    return launch


@functools.cache
def pointwise(
    name: str, operands: str, expression: str, result: str = "T", constants: str = "", conditions: str = ""
) -> Any:
    """The `cupy.ElementwiseKernel` of `pointwise_parts`; called with the operands and, last, perhaps an output."""
    inputs, outputs, operation = pointwise_parts(operands, expression, result, constants, conditions)
    return cupy.ElementwiseKernel(inputs, outputs, operation, f"tg_{name}", preamble=header("functions"))
