"""What a recorded program takes for granted, and whether it still holds."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

from .. import capture
from ..tensor import Tensor

__all__ = ["FunctionGuard", "ModuleGuards", "TensorGuards"]

_PLAIN = (bool, int, float, complex, str, bytes, type(None))


class TensorGuards:
    """The arrays of tensors that a function found outside of itself, and whether gradients reach them."""

    def __init__(self, tensors: list[Tensor]) -> None:
        self.expected = [(x, x._data, x._node) for x in tensors]

    def hold(self) -> bool:
        """Whether every tensor still has the memory and the place on the tape that it had."""
        return all(x._data is array and x._node is node for x, array, node in self.expected)


class ModuleGuards:
    """The attributes of the modules that took part."""

    def __init__(self, modules: list[Any]) -> None:
        self._expected = [(module, list(_attributes(module))) for module in modules]
        self._version = capture.structure_version

    @property
    def empty(self) -> bool:
        """Whether there are no modules."""
        return not self._expected

    def hold(self) -> bool:
        """Whether the modules are as they were; looked at only after some module changed."""
        if self._version == capture.structure_version:
            return True
        version = capture.structure_version
        for module, expected in self._expected:
            now = list(_attributes(module))
            if len(now) != len(expected) or not all(map(_same, now, expected)):
                return False
        self._version = version
        return True


def _attributes(module: Any) -> Iterator[Any]:
    for name, value in vars(module).items():
        yield name
        if isinstance(value, dict):
            yield from value.values()
        else:
            yield value


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    return type(a) is type(b) and isinstance(a, (*_PLAIN, tuple)) and bool(a == b)


class FunctionGuard:
    """Plain values (numbers, strings) that the code of a function reads from around itself."""

    def __init__(self, function: Callable[..., Any]) -> None:
        code_of = getattr(function, "__func__", function)
        self._cells: list[tuple[Any, Any]] = []
        self._globals: dict[str, Any] = getattr(code_of, "__globals__", {})
        self._names: list[tuple[str, Any]] = []
        code = getattr(code_of, "__code__", None)
        if code is None:
            return
        for cell in code_of.__closure__ or ():
            try:
                value = cell.cell_contents
            except ValueError:  # assigned later
                continue
            if isinstance(value, _PLAIN):
                self._cells.append((cell, value))
        for name in sorted(_names(code)):
            value = self._globals.get(name, self)
            if isinstance(value, _PLAIN):
                self._names.append((name, value))

    @property
    def empty(self) -> bool:
        """Whether there are no such values."""
        return not self._cells and not self._names

    def hold(self) -> bool:
        """Whether the values are as they were."""
        for cell, value in self._cells:
            if not _same(cell.cell_contents, value):
                return False
        return all(_same(self._globals.get(name, self), value) for name, value in self._names)


def _names(code: types.CodeType) -> set[str]:
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found
