"""How the special functions are compiled: the shared coefficients as C++, then ``special.cuh``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import cupy

from ..coefficients import RATIOS, TEMME
from ..cpu.erf import SCALED_DENOMINATOR, SCALED_NUMERATOR
from .module import header

__all__ = ["SPECIAL", "special", "special_parts", "special_preamble"]

# name -> (operands, expression in them): what the three families are made of
SPECIAL = {
    "gammaln": ("x", "gammaln(x)"),
    "digamma": ("x", "digamma(x)"),
    "zeta": ("x1 x2", "zeta(x1, x2)"),
    "gammainc": ("x1 x2", "gammainc(x1, x2)"),
    "gammaincc": ("x1 x2", "gammaincc(x1, x2)"),
    **{
        f"{kind}{order}{'e' if scaled else ''}": (
            "x",
            f"modified_{which}<C, {'true' if order else 'false'}, {'true' if scaled else 'false'}>(x)",
        )
        for kind, which in (("i", "first"), ("k", "second"))
        for order in (0, 1)
        for scaled in (False, True)
    },
    **{
        f"{kind}{order}": ("x", f"bessel_{which}<C, {'true' if order else 'false'}>(x)")
        for kind, which in (("j", "first"), ("y", "second"))
        for order in (0, 1)
    },
    **{name: ("x", f"{name}(x)") for name in ("ndtr", "ndtri", "log_ndtr", "erfinv", "erfcx")},
}


def _horner(target: str, coefficients: tuple[float, ...]) -> str:
    lines = [f"    T {target} = T({coefficients[0]!r});"]
    lines += [f"    {target} = {target} * x + T({c!r});" for c in coefficients[1:]]
    return "\n".join(lines)


def _function(name: str, numerator: tuple[float, ...], denominator: tuple[float, ...]) -> str:
    body = _horner("p", numerator)
    result = "p"
    if len(denominator) > 1:
        body, result = f"{body}\n{_horner('q', denominator)}", "p / q"
    return f"template <typename T>\n__device__ inline T {name}(T x) {{\n{body}\n    return {result};\n}}\n"


@functools.cache
def special_preamble() -> str:
    """The source that kernels of special functions start with."""
    parts = [_function(name, *ratio) for name, ratio in RATIOS.items()]
    scaled = (tuple(map(float, SCALED_NUMERATOR)), tuple(map(float, SCALED_DENOMINATOR)))
    parts.append(_function("erfc_scaled", *scaled))
    rows = "\n".join(f"    {{\n{_horner('p', row)}\n    total = total * y + p;\n    }}" for row in reversed(TEMME))
    parts.append(
        "template <typename T>\n__device__ inline T temme(T x, T y) {\n    T total = T(0);\n"
        f"{rows}\n    return total;\n}}\n"
    )
    return f"{header('functions')}\nnamespace tg {{\n{''.join(parts)}}}\n{header('special')}"


def special_parts(operands: str, expression: str) -> tuple[str, str, str]:
    """Input parameters, output parameter and operation of a CuPy ``ElementwiseKernel``."""
    inputs = ", ".join(f"T in_{x}" for x in operands.split())
    loads = "".join(f"const C {x} = static_cast<C>(in_{x});\n" for x in operands.split())
    return inputs, "T out_value", f"using C = tg::compute_t<T>;\n{loads}out_value = static_cast<T>(tg::{expression});"


@functools.cache
def _compiled(name: str, operands: str, expression: str) -> Any:
    return cupy.ElementwiseKernel(*special_parts(operands, expression), f"tg_{name}", preamble=special_preamble())


def special(name: str, operands: str = "", expression: str = "") -> Callable[..., Any]:
    """The kernel of one function of `SPECIAL`, or of an expression."""
    if not expression:
        operands, expression = SPECIAL[name]

    def launch(*args: Any, out: Any | None = None) -> Any:
        kernel = _compiled(name, operands, expression)
        return kernel(*args) if out is None else kernel(*args, out)

    launch.__name__ = launch.__qualname__ = name
    launch.__doc__ = f"``{expression}``."
    return launch
