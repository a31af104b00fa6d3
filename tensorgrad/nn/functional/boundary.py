"""What is raised inside a function, said at its boundary: with the function's name and what it was given."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from ...errors import ArgumentError, in_brief
from ...tensor import Tensor

__all__ = ["explained"]

_F = TypeVar("_F", bound=Callable[..., Any])
_PACKAGE = __name__.partition(".")[0]
_RAW = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def explained(function: _F) -> _F:
    """Decorator: what is raised inside without the function's name is raised again with it and with the arguments.

    Errors that a user's own function raised meanwhile pass.
    """

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except _RAW as error:
            better = _in_words(error, function, args, kwargs)
            if better is None:
                raise
            raise better from error

    return wrapper  # type: ignore[return-value]


def _in_words(error: Exception, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Exception | None:
    """The error with the function's name and arguments; None if it has the name, or is not ours."""
    name = function.__name__
    if name in str(error) or not _is_ours(error):
        return None
    signature = inspect.signature(function)
    try:
        given = signature.bind(*args, **kwargs).arguments
    except TypeError as misfit:
        return TypeError(f"{name}: {misfit}; it is {name}{signature}")
    for parameter, value in given.items():
        wanted = signature.parameters[parameter].annotation
        if not isinstance(value, Tensor) and (wanted == "Tensor" or (wanted == "Tensor | None" and value is not None)):
            return TypeError(f"{name}: {parameter} must be a Tensor, got {in_brief(value)} ({type(value).__name__})")
    if len(given) == 1 and "args" in given:
        return None
    words = ", ".join(f"{parameter}: {in_brief(value)}" for parameter, value in given.items())
    kind = next((k for k in (IndexError, OverflowError, ArgumentError, ValueError) if isinstance(error, k)), TypeError)
    return kind(f"{name}: {error} (called with {words})")


def _is_ours(error: Exception) -> bool:
    """Whether an error comes from the package or NumPy, with nobody else's code in between."""
    trace = error.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        if module.partition(".")[0] not in (_PACKAGE, "numpy"):
            return False
        trace = trace.tb_next
    return True
