"""Softmax, its logarithm, and the logarithm of a sum of exponentials."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from .. import kernels as K
from .activation import sigmoid
from .definition import Function, binary, lift, primitive
from .elementwise import exp, multiply, negative, subtract
from .memory import cast
from .precision import raised
from .reduction import normalize_axes, sum
from .shape import reshape

__all__ = ["log_softmax", "logaddexp", "softmax"]


logaddexp: Function = binary(
    "logaddexp",
    K.logaddexp,
    lambda g, x1, x2: multiply(g, sigmoid(subtract(x1, x2))),
    lambda g, x1, x2: multiply(g, sigmoid(subtract(x2, x1))),
    fractional=True,
    doc="``log(exp(x1) + exp(x2))`` without overflow.",
)


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
    return x, normalize_axes(name, axis, max(x.ndim, 1))[0]


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
