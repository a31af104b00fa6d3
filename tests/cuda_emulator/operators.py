"""The operators of arrays, and the methods that are functions of the namespace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_METHODS = (
    "all any argmax argmin argpartition argsort choose clip compress conj cumprod cumsum diagonal "
    "dot max mean min prod ravel repeat round searchsorted squeeze std sum swapaxes take trace var"
)
_OPERATORS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "divmod": "divmod",
    "pow": "power",
    "lshift": "left_shift",
    "rshift": "right_shift",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "matmul": "matmul",
}
_COMPARISONS = {
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}
_UNARY = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}


def _method(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        from .functions import namespace

        return namespace[name](self, *args, **kwargs)

    method.__name__ = name
    method.__doc__ = f"See ``cupy.{name}``."
    return method


def _operator(name: str, reflected: bool = False) -> Callable[..., Any]:
    def method(self: Any, other: Any) -> Any:
        from .functions import namespace

        if getattr(other, "__array_priority__", -1.0) > self.__array_priority__:
            return NotImplemented
        return namespace[name](other, self) if reflected else namespace[name](self, other)

    return method


def _in_place_operator(name: str) -> Callable[..., Any]:
    def method(self: Any, other: Any) -> Any:
        from .functions import namespace

        if name == "matmul":
            self[...] = namespace[name](self, other)
        else:
            namespace[name](self, other, self)
        return self

    return method


def attach(cls: type) -> None:
    """Give the array class its operators and methods."""
    for name in _METHODS.split():
        setattr(cls, name, _method(name))
    for short, name in _OPERATORS.items():
        setattr(cls, f"__{short}__", _operator(name))
        setattr(cls, f"__r{short}__", _operator(name, reflected=True))
        if short != "divmod":
            setattr(cls, f"__i{short}__", _in_place_operator(name))
    for short, name in _COMPARISONS.items():
        setattr(cls, f"__{short}__", _operator(name))
    for short, name in _UNARY.items():
        setattr(cls, f"__{short}__", _method(name))
