"""The gamma function's logarithm and its derivatives, and the incomplete gamma functions, on CUDA."""

from __future__ import annotations

import math
from typing import Any

from ..cpu.gamma import cotangents
from .special import special

__all__ = ["digamma", "gammainc", "gammaincc", "gammaln", "polygamma", "zeta"]

gammaln = special("gammaln")
digamma = special("digamma")
zeta = special("zeta")
gammainc = special("gammainc")
gammaincc = special("gammaincc")


def polygamma(x: Any, n: int, out: Any | None = None) -> Any:
    """The n-th derivative of `digamma`, n at least 1."""
    return special(f"polygamma_{n}", "x", polygamma_expression(n))(x, out=out)


def polygamma_expression(n: int) -> str:
    """One element, with what depends on the order alone written out."""
    factorial = repr(float(math.factorial(n))) if n < 171 else "tg::infinite<C>()"
    first, *rest = cotangents(n)
    turned = f"C({first!r})"
    for c in rest:
        turned = f"({turned} * t + C({c!r}))"
    sign = 1.0 if n % 2 else -1.0
    scale = f"C({math.pi ** (n + 1)!r})"
    return f"polygamma<C>(x, {n}, C({sign}), C({factorial}), [](C t) {{ return {scale} * {turned}; }})"
