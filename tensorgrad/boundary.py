"""What is raised inside a function, said at its boundary: whose argument it is, what was given and what is wanted."""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any, TypeVar

from numpy.linalg import LinAlgError

from .errors import ArgumentError, in_brief, is_integer
from .tensor import Tensor

__all__ = ["Explained", "explain", "explained", "in_words"]

_F = TypeVar("_F", bound=Callable[..., Any])
_PACKAGE = __name__.partition(".")[0]
# What is said in words, and as which error; errors of other classes pass as they are.
_SAID_AS: dict[type[Exception], type[Exception]] = {
    ArgumentError: ArgumentError,
    AttributeError: TypeError,
    IndexError: IndexError,
    KeyError: ValueError,
    LinAlgError: LinAlgError,
    OverflowError: OverflowError,
    TypeError: TypeError,
    ValueError: ValueError,
    ZeroDivisionError: ValueError,
}
_RAW = tuple(_SAID_AS)


@functools.cache
def explained(function: _F) -> _F:
    """Decorator: what is raised inside without the function's name is raised again with it and with the arguments.

    Errors that a user's own function raised meanwhile pass. A constructor's name is that of the class.
    """

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except _RAW as error:
            better = in_words(error, function, args, kwargs)
            if better is None:
                raise
            raise better from error

    return wrapper  # type: ignore[return-value]


def explain(namespace: dict[str, Any], names: Iterable[str], module: str) -> None:
    """Let the functions among these names be `explained`, as functions of ``module``.

    Those that are imported with the package stay as they are, under whatever name: ops, which are quick and name
    themselves.
    """
    eager = vars(sys.modules[_PACKAGE])
    for name in names:
        function = namespace[name]
        if isinstance(function, FunctionType) and eager.get(function.__name__) is not function:
            namespace[name] = explained(function)
            if name == function.__name__:
                namespace[name].__module__ = module


class Explained:
    """Base class: the constructors of the package's own subclasses are `explained`."""

    __slots__ = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls) and cls.__module__.partition(".")[0] == _PACKAGE:
            cls.__init__ = explained(vars(cls)["__init__"])  # type: ignore[method-assign]


def in_words(error: Exception, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Exception | None:
    """The error with the name of a function, or of the class whose method it is, and with the arguments.

    None if it has the name, or is not ours.
    """
    own_name = getattr(function, "__name__", "")
    constructs, called = own_name == "__init__", own_name == "forward"
    if constructs and not _is_outermost(function, type(args[0])):
        return None
    if called and (function.__module__.partition(".")[0] != _PACKAGE or re.match(r"\w+: ", str(error))):
        return None  # a user's module, or an error that already says whose it is
    name = type(args[0]).__name__ if constructs or called else own_name
    if isinstance(error, AttributeError) and error.name is None:
        return None  # not of an access, but raised as such
    named = name in str(error) or function.__qualname__.partition(".")[0] in str(error)
    if named or type(error) not in _SAID_AS or not _is_ours(error):
        return None
    signature = inspect.signature(function)
    try:
        given = signature.bind(*args, **kwargs).arguments
    except TypeError as misfit:
        return TypeError(f"{name}: {misfit}; it is {name}{signature}")
    if constructs or called:
        del given[next(iter(given))]
    for parameter, value in given.items():
        wanted = _wanted(signature.parameters[parameter].annotation, value)
        if wanted is not None:
            return TypeError(f"{name}: {parameter} must be {wanted}, got {in_brief(value)} ({type(value).__name__})")
    if len(given) == 1 and "args" in given:
        return None
    words = ", ".join(f"{parameter}: {in_brief(value)}" for parameter, value in given.items())
    # of a constructor, what was called on the way (`empty: `) says nothing to the user
    reason = re.sub(r"^\w+: ", "", str(error)) if constructs else str(error)
    return _SAID_AS[type(error)](f"{name}: {reason} (called with {words})")


def _is_outermost(constructor: Any, cls: type) -> bool:
    """Whether no other constructor of the package called this one to make a ``cls``."""
    ours = (vars(base) for base in cls.__mro__ if base.__module__.partition(".")[0] == _PACKAGE)
    first = next((names["__init__"] for names in ours if "__init__" in names), None)
    return getattr(first, "__wrapped__", None) is constructor


def _is_single(value: Any, method: str) -> bool:
    return hasattr(value, method) and not getattr(value, "ndim", 0)


# Of an annotation's parts: whether a value is one, and how to call it.
_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "None": (lambda value: value is None, "None"),
    "Tensor": (lambda value: isinstance(value, Tensor), "a Tensor"),
    "int": (is_integer, "an integer"),
    "float": (lambda value: _is_single(value, "__float__"), "a number"),
    "bool": (lambda value: _is_single(value, "__bool__"), "True or False"),
    "str": (lambda value: isinstance(value, str), "a string"),
}


def _wanted(annotation: Any, value: Any) -> str | None:
    """What an annotation says that a value is not; None if it is, or if the annotation is of another kind."""
    parts = str(annotation).split(" | ")
    if any(part not in _KINDS or _KINDS[part][0](value) for part in parts):
        return None
    return " or ".join(_KINDS[part][1] for part in parts)


def _is_ours(error: Exception) -> bool:
    """Whether an error comes from the package or NumPy, with nobody else's code in between."""
    trace = error.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        if module.partition(".")[0] not in (_PACKAGE, "numpy"):
            return False
        trace = trace.tb_next
    return True
