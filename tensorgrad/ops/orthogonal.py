"""Orthogonal polynomials, by their recurrences (NIST Digital Library of Mathematical Functions, chapter 18)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import dtypes
from ..tensor import Tensor
from .definition import lift
from .elementwise import equal, multiply, subtract, trunc, where
from .memory import cast, ones_like, zeros_like

__all__ = [
    "chebyshev_polynomial_t", "chebyshev_polynomial_u", "chebyshev_polynomial_v", "chebyshev_polynomial_w",
    "hermite_polynomial_h", "hermite_polynomial_he", "laguerre_polynomial_l", "legendre_polynomial_p",
    "shifted_chebyshev_polynomial_t", "shifted_chebyshev_polynomial_u", "shifted_chebyshev_polynomial_v",
    "shifted_chebyshev_polynomial_w",
]  # fmt: skip

Step = Callable[[int], tuple[float, float, float]]
"""What ``P[k+1] = (a x + b) P[k] - c P[k-1]`` has at k."""


def _polynomial(name: str, x: Any, n: Any, first: tuple[float, float], step: Step, shifted: bool = False) -> Any:
    """The polynomial of degree ``n``, one for all elements or, read by Python for the largest, one for each."""
    x = lift(x)
    if x.dtype.kind in "biu":
        x = cast(x, dtypes.get_default_dtype())
    if shifted:
        x = subtract(multiply(x, 2.0), 1.0)
    each = n if isinstance(n, Tensor) and n.ndim else None
    if each is not None and each.dtype.kind not in "iu":
        each = trunc(each)  # as `int` does with a number
    if each is None:
        degree = int(n.item() if isinstance(n, Tensor) else n)
    else:
        degree = int(each.max().item()) if each.size else -1
    before, now = ones_like(x), x * first[0] + first[1]
    y = zeros_like(x) if each is not None or degree < 0 else before if degree == 0 else now
    if each is not None:
        y = where(equal(each, 0), before, where(equal(each, 1), now, y))
    for k in range(1, degree):
        a, b, c = step(k)
        slope = multiply(x, a)
        before, now = now, multiply(slope + b if b else slope, now) - multiply(before, c)
        y = now if each is None else where(equal(each, k + 1), now, y)
    return y


def chebyshev_polynomial_t(x: Any, n: Any) -> Any:
    """Chebyshev polynomial of the first kind of degree ``n``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.special.chebyshev_polynomial_t(tg.tensor(0.5), 2)
    tensor(-0.5)
    """
    return _polynomial("chebyshev_polynomial_t", x, n, (1, 0), lambda k: (2, 0, 1))


def chebyshev_polynomial_u(x: Any, n: Any) -> Any:
    """Chebyshev polynomial of the second kind of degree ``n``."""
    return _polynomial("chebyshev_polynomial_u", x, n, (2, 0), lambda k: (2, 0, 1))


def chebyshev_polynomial_v(x: Any, n: Any) -> Any:
    """Chebyshev polynomial of the third kind of degree ``n``."""
    return _polynomial("chebyshev_polynomial_v", x, n, (2, -1), lambda k: (2, 0, 1))


def chebyshev_polynomial_w(x: Any, n: Any) -> Any:
    """Chebyshev polynomial of the fourth kind of degree ``n``."""
    return _polynomial("chebyshev_polynomial_w", x, n, (2, 1), lambda k: (2, 0, 1))


def shifted_chebyshev_polynomial_t(x: Any, n: Any) -> Any:
    """`chebyshev_polynomial_t` of ``2 x - 1``."""
    return _polynomial("shifted_chebyshev_polynomial_t", x, n, (1, 0), lambda k: (2, 0, 1), True)


def shifted_chebyshev_polynomial_u(x: Any, n: Any) -> Any:
    """`chebyshev_polynomial_u` of ``2 x - 1``."""
    return _polynomial("shifted_chebyshev_polynomial_u", x, n, (2, 0), lambda k: (2, 0, 1), True)


def shifted_chebyshev_polynomial_v(x: Any, n: Any) -> Any:
    """`chebyshev_polynomial_v` of ``2 x - 1``."""
    return _polynomial("shifted_chebyshev_polynomial_v", x, n, (2, -1), lambda k: (2, 0, 1), True)


def shifted_chebyshev_polynomial_w(x: Any, n: Any) -> Any:
    """`chebyshev_polynomial_w` of ``2 x - 1``."""
    return _polynomial("shifted_chebyshev_polynomial_w", x, n, (2, 1), lambda k: (2, 0, 1), True)


def hermite_polynomial_h(x: Any, n: Any) -> Any:
    """Physicists' Hermite polynomial of degree ``n``."""
    return _polynomial("hermite_polynomial_h", x, n, (2, 0), lambda k: (2, 0, 2 * k))


def hermite_polynomial_he(x: Any, n: Any) -> Any:
    """Probabilists' Hermite polynomial of degree ``n``."""
    return _polynomial("hermite_polynomial_he", x, n, (1, 0), lambda k: (1, 0, k))


def laguerre_polynomial_l(x: Any, n: Any) -> Any:
    """Laguerre polynomial of degree ``n``."""
    return _polynomial(
        "laguerre_polynomial_l", x, n, (-1, 1), lambda k: (-1 / (k + 1), (2 * k + 1) / (k + 1), k / (k + 1))
    )


def legendre_polynomial_p(x: Any, n: Any) -> Any:
    """Legendre polynomial of degree ``n``."""
    return _polynomial("legendre_polynomial_p", x, n, (1, 0), lambda k: ((2 * k + 1) / (k + 1), 0, k / (k + 1)))
