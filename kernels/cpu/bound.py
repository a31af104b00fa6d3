"""Launches whose operands stay the same from call to call, as the bare calls that they come down to.

A kernel looks at its operands each time: how large they are, whether they broadcast, which dtype to compute in. Where
all of that is known beforehand, as in a recorded program, what is left are a few ufuncs on arrays that exist already.
Results are the kernel's own, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import activation, elementwise, matmul, reduction
from .blas import ALONE
from .blocked import BLOCK, Body

__all__ = ["bound", "by_position", "formula"]

Call = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function with its positional arguments: operands as they were given, and arrays made here."""


def bound(function: Callable[..., Any], args: Sequence[Any], out: Any) -> list[Call] | None:
    """The calls that ``function(*args, out=out)`` comes down to; None if there is no shorter way than that.

    Parameters
    ----------
    function : callable
        A kernel's implementation on NumPy.
    args : sequence
        Its arguments by position. Arrays may be stood for by whatever has ``shape``, ``dtype``, ``size``.
    out : array
        Where the result goes, or what stands for it.
    """
    if out.size > BLOCK:  # then threads may pay, which the kernel itself knows
        return None
    if isinstance(function, np.ufunc):
        return [(by_position(function), (*args, out))] if function.nin == len(args) else None
    found = formula(function, args)
    if found is not None:
        return _formula(*found, out)
    bind = _BINDERS.get(function)
    return None if bind is None else bind(args, out)


def formula(function: Callable[..., Any], args: Sequence[Any]) -> tuple[dict[str, Body], tuple[Any, ...]] | None:
    """The bodies by dtype that a kernel's implementation runs, and which of its arguments they take; None without."""
    return activation.formula(function, args) or elementwise.formula(function, args)


def by_position(ufunc: np.ufunc) -> Callable[..., Any]:
    """A function that takes the ufunc's operands and then the place for its result."""
    return _BY_NAME.get(ufunc, ufunc)  # type: ignore[no-any-return]


def _maximum(a: Any, b: Any, out: Any) -> None:
    np.maximum(a, b, out=out)


def _minimum(a: Any, b: Any, out: Any) -> None:
    np.minimum(a, b, out=out)


_BY_NAME: dict[Any, Any] = {
    np.maximum: _maximum,
    np.minimum: _minimum,
}  # NumPy warns of their third argument without its name


def _formula(formulas: Any, args: Sequence[Any], out: Any) -> list[Call] | None:
    body = formulas.get(out.dtype.char)
    if body is None or any(getattr(a, "shape", None) != out.shape or a.dtype != out.dtype for a in args):
        return None
    scratch = [np.empty(out.shape, out.dtype) for _ in range(body.scratch)]
    return [(body.function, (*args, out, *scratch))]


def _matmul(args: Sequence[Any], out: Any) -> list[Call] | None:
    if any(len(a.shape) != 2 or a.dtype != out.dtype for a in args) or out.dtype.char not in "fd":
        return None
    if out.size * args[0].shape[1] > ALONE:  # whose threads multiply depends on what else has run
        return None
    return [(np.matmul, (*args, out))]


def _sum(args: Sequence[Any], out: Any) -> list[Call] | None:
    x, axis, keepdims = (list(args) + [None, False][len(args) - 1 :])[:3]
    if x.size >= reduction.SMALL or x.dtype != out.dtype or out.dtype.char not in "fd":
        return None
    return [(np.add.reduce, (x, axis, x.dtype, out, keepdims))]


_BINDERS: dict[Callable[..., Any], Callable[..., list[Call] | None]] = {
    matmul.matmul: _matmul,
    reduction.sum: _sum,
}
