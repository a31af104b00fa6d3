"""Softmax, its logarithm, and the logarithm of a sum of exponentials."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from .. import kernels as K
from ..tensor import Tensor
from .activation import sigmoid
from .complex_parts import real
from .definition import Function, binary, lift, primitive
from .elementwise import add, exp, greater_equal, isinf, log1p, multiply, negative, subtract, where
from .memory import cast
from .precision import raised
from .reduction import single_axis, sum
from .shape import reshape

__all__ = ["complex_logaddexp", "log_softmax", "logaddexp", "softmax"]


_logaddexp: Function = binary(
    "logaddexp",
    K.logaddexp,
    lambda g, x1, x2: multiply(g, sigmoid(subtract(x1, x2))),
    lambda g, x1, x2: multiply(g, sigmoid(subtract(x2, x1))),
    fractional=True,
    doc="``log(exp(x1) + exp(x2))`` without overflow.",
)


def logaddexp(x1: Any, x2: Any, /) -> Any:
    """``log(exp(x1) + exp(x2))`` without overflow; of complex numbers a logarithm, which one of many differs by 2 pi i.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.logaddexp(tg.tensor(1000.0), tg.tensor(-1000.0))
    tensor(1000.)
    """
    if (isinstance(x1, Tensor) and x1.dtype.kind == "c") or (isinstance(x2, Tensor) and x2.dtype.kind == "c"):
        return complex_logaddexp(lift(x1, x2), lift(x2, x1))
    return _logaddexp(x1, x2)


def complex_logaddexp(x1: Any, x2: Any) -> Any:
    """The same by the operand of the greater real part and the difference of the other to it."""
    first = greater_equal(real(x1), real(x2))
    most, least = where(first, x1, x2), where(first, x2, x1)
    endless = isinf(real(most))  # both minus infinity, or one plus infinity: nothing is added
    rest = log1p(exp(where(endless, 0.0, subtract(least, most))))
    return where(endless, most, add(most, rest))


def _total(x: Any, axis: int) -> Any:
    return sum(x, axis, keepdims=True)


_softmax: Function = primitive("softmax", K.softmax, lambda g, out, axis: softmax_backward(g, out, axis))
softmax_backward: Function = primitive(
    "softmax_backward",
    K.softmax_backward,
    lambda h, y, axis: softmax_backward(h, y, axis),
    lambda h, g, y, axis: subtract(
        multiply(h, subtract(g, _total(multiply(g, y), axis))), multiply(g, _total(multiply(h, y), axis))
    ),
)
_log_softmax: Function = primitive(
    "log_softmax", K.log_softmax, lambda g, out, axis: _log_softmax_backward(g, out, axis)
)
_log_softmax_backward: Function = primitive(
    "log_softmax_backward",
    K.log_softmax_backward,
    lambda h, y, axis: subtract(h, _total(multiply(h, exp(y)), axis)),
    lambda h, g, y, axis: negative(multiply(multiply(h, exp(y)), _total(g, axis))),
)


def _prepared(name: str, x: Any, axis: int, dtype: Any) -> tuple[Any, int]:
    x = raised(lift(x))
    if dtype is not None:
        x = cast(x, dtypes.dtype_of(dtype))
    elif x.dtype.kind in "biu":
        x = cast(x, dtypes.get_default_dtype())
    return x, single_axis(name, axis, max(x.ndim, 1))


def softmax(x: Any, /, axis: int = -1, *, dtype: Any = None) -> Any:
    """``exp(x) / sum(exp(x))`` along ``axis``, shifted by the maximum so that nothing overflows.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.softmax(tg.tensor([1000.0, 1000.0]))
    tensor([0.5, 0.5])
    """
    x, place = _prepared("softmax", x, axis, dtype)
    return _softmax(x, place) if x.ndim else reshape(_softmax(reshape(x, (1,)), 0), ())


def log_softmax(x: Any, /, axis: int = -1, *, dtype: Any = None) -> Any:
    """``log(softmax(x))`` along ``axis``, computed without forming the softmax."""
    x, place = _prepared("log_softmax", x, axis, dtype)
    return _log_softmax(x, place) if x.ndim else reshape(_log_softmax(reshape(x, (1,)), 0), ())
