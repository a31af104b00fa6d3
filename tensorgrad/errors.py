"""Errors of arguments, and what they are called after: the function that the user called."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

__all__ = ["ArgumentError", "axis_index", "called", "in_brief", "integer", "integers", "is_integer", "of_tensor"]


class ArgumentError(ValueError, RuntimeError):
    """Arguments that do not fit: a ValueError, as NumPy raises, and a RuntimeError, as PyTorch raises for most of them.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> try:
    ...     tg.nn.functional.glu(tg.ones(3))
    ... except RuntimeError as error:
    ...     print(error)
    glu: the size along dim -1 must be even, got shape (3,)
    """


# ------------------------------------------------------------------------------------------------------- whom to name
_PACKAGE = __name__.partition(".")[0]
_FUNCTIONS = tuple(
    f"{_PACKAGE}.{part}" for part in ("ops", "nn.functional", "fft", "linalg", "special", "random", "creation")
)
_BELOW = tuple(
    f"{_PACKAGE}.{part}"
    for part in ("backend", "boundary", "conversion", "dtypes", "errors", "kernels", "tensor", "generator")
)


def called(otherwise: str) -> str:
    """The name of the function of ours that is under way, the outermost one; ``otherwise`` if there is none.

    It looks at the stack, and so costs only those who are about to raise.
    """
    frame: FrameType | None = sys._getframe(1)
    name = otherwise
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(_FUNCTIONS):
            name = _name_of(frame) or name
        elif not module.startswith(_BELOW):
            break
        frame = frame.f_back
    return name


def _name_of(frame: FrameType) -> str | None:
    """What a frame's function is called by users; None for what is private to a file."""
    name = frame.f_code.co_name
    if name in ("function", "method"):  # made of a definition, or written in place
        name = getattr(frame.f_locals.get("op"), "name", None) or frame.f_locals.get("name", "_")
    return None if name.startswith(("_", "<")) or name in ("lift", "checked", "wrapper") else name


# ---------------------------------------------------------------------------------------------------------- integers
def integer(value: Any, what: str, name: str | None = None) -> int:
    """``value`` as an int; a TypeError that names the function and the argument if it is none."""
    try:
        return value.__index__()  # type: ignore[no-any-return]
    except (AttributeError, TypeError):
        kind = type(value).__name__
        raise TypeError(f"{name or called(what)}: {what} must be an integer, got {in_brief(value)} ({kind})") from None


def is_integer(value: Any) -> bool:
    """Whether a value stands for one integer rather than several: Python's, NumPy's, a 0-d array or tensor."""
    return hasattr(value, "__index__") and not getattr(value, "ndim", 0)


def integers(values: Any, what: str, name: str | None = None) -> tuple[int, ...]:
    """An int, or several, as a tuple of ints."""
    try:
        given = (values,) if is_integer(values) else tuple(values)
        return tuple([value.__index__() for value in given])
    except (AttributeError, TypeError):
        kind = type(values).__name__
        raise TypeError(
            f"{name or called(what)}: {what} must be an integer or a sequence of them, got {in_brief(values)} ({kind})"
        ) from None


def axis_index(name: str, axis: Any, ndim: int) -> int:
    """An axis counted from 0; an IndexError if there is no such axis."""
    index = axis if axis.__class__ is int else integer(axis, "axis", name)
    if not -ndim <= index < ndim:
        raise IndexError(f"{name}: axis {index} is out of range for {ndim} axes")
    return index % ndim


def in_brief(value: Any) -> str:
    """A value in a few words: tensors and arrays by dtype and shape."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    return f"{value!r:.60}"


def of_tensor(x: Any) -> None:
    """Refuse what is neither a tensor nor an array."""
    if not hasattr(x, "dtype") or not hasattr(x, "shape"):
        raise TypeError(f"{called('tensor')}: expected a Tensor, got {in_brief(x)} ({type(x).__name__})")
