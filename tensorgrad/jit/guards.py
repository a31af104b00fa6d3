"""What a recorded program takes for granted, and whether it still holds."""

from __future__ import annotations

import dis
import functools
import math
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from operator import is_
from typing import Any

from .. import capture
from ..tape import Leaf, Node
from ..tensor import Tensor

__all__ = ["FunctionGuard", "HookGuard", "ModuleGuards", "TensorGuards", "plain_attributes", "same"]

_TOLD_APART = (bool, int, float, complex, str, bytes)  # by value
_PLAIN = (*_TOLD_APART, type(None))
_SETTLED = {"tensorgrad", "numpy", "cupy", *sys.stdlib_module_names} - {"test", "__main__"}  # nobody changes those
_LONGEST = 256  # entries of a list or dict that is watched: longer ones are data


def same(a: Any, b: Any) -> bool:
    """Whether two values are one to whoever computes with them: the same object, or equal plain values of one type."""
    if a is b:
        return True
    kind = type(a)
    if kind is not type(b):
        return False
    if kind is tuple:
        return len(a) == len(b) and all(map(same, a, b))
    if kind is float and a == 0:
        return bool(b == 0) and math.copysign(1, a) == math.copysign(1, b)
    return issubclass(kind, _PLAIN) and bool(a == b)


class TensorGuards:
    """The arrays of tensors that a function found outside of itself, and whether gradients reach them."""

    def __init__(self, tensors: list[Tensor]) -> None:
        self.expected = [(x, x._data, x._node) for x in tensors]

    def hold(self) -> bool:
        """Whether every tensor still has the memory and the place on the tape that it had."""
        return all(x._data is array and x._node is node for x, array, node in self.expected)


class HookGuard:
    """The hooks of a place on the tape that a backward inside of a function reaches.

    Attributes
    ----------
    node : Node
    hooks, after : list or None
        Lists of hooks are not changed but replaced.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.hooks = node.hooks
        self.after = getattr(node, "after", None)

    @property
    def empty(self) -> bool:
        """Whether there were none."""
        return self.hooks is None and self.after is None

    def holds(self, node: Any) -> bool:
        """Whether ``node`` has the same hooks, and ends a backward if the one that was reached did."""
        if node is None or (type(node) is Leaf) is not (type(self.node) is Leaf):
            return False
        return bool(node.hooks == self.hooks and getattr(node, "after", None) == self.after)


class ModuleGuards:
    """The attributes of the modules that took part, and what their code reads around itself."""

    def __init__(self, modules: Iterable[Any]) -> None:
        self._expected = [(module, list(_attributes(module))) for module in modules]
        self._version = capture.structure_version
        self._around = Surroundings()
        for module, _ in self._expected:
            self._around.note(module)
            self._around.note_class_entry(type(module), "forward")
            for value in vars(module).values():  # what changes in these changes no attribute
                if isinstance(value, (list, dict)) and not _is_registry(module, value):
                    self._around.note(value)

    @property
    def empty(self) -> bool:
        """Whether there are no modules."""
        return not self._expected and self._around.empty

    def hold(self) -> bool:
        """Whether the modules are as they were; their attributes are looked at only after some module changed."""
        if not self._around.hold():
            return False
        if self._version == capture.structure_version:
            return True
        version = capture.structure_version
        for module, expected in self._expected:
            now = list(_attributes(module))
            if len(now) != len(expected) or not all(map(same, now, expected)):
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


def plain_attributes(module: Any) -> dict[str, Any]:
    """The numbers and strings among a module's attributes."""
    return {name: value for name, value in vars(module).items() if isinstance(value, _TOLD_APART)}


def _is_registry(module: Any, value: Any) -> bool:
    return any(value is vars(module).get(name) for name in ("_parameters", "_buffers", "_modules"))


def _is_module(value: Any) -> bool:
    return any(isinstance(value, cls) for cls, _ in capture.observed_classes)


class FunctionGuard:
    """What the code of a function, and of those that it calls, reads around itself: closures, globals, attributes.

    Lists and dicts that the function itself changes while it is recorded are not watched: they are results.
    """

    def __init__(self, function: Callable[..., Any], arguments: Iterable[Any] = ()) -> None:
        self._around = Surroundings()
        self._around.note(function)
        if not isinstance(function, (types.FunctionType, types.MethodType, functools.partial)):
            self._around.note_class_entry(type(function), "__call__")
        for argument in arguments:
            self._around.note(argument)

    @property
    def modules(self) -> list[Any]:
        """The modules that the code can reach, whether it calls them or only reads their parameters."""
        return self._around.modules

    @property
    def functions(self) -> list[tuple[types.FunctionType, Any, Any, Any]]:
        """The functions that take part, with their code, defaults and defaults by name."""
        return self._around.functions

    @property
    def empty(self) -> bool:
        """Whether there is nothing to watch but functions."""
        return self._around.empty

    def recorded(self) -> None:
        """Declare the recording done."""
        self._around.forget_changed_containers()

    @property
    def changed(self) -> bool:
        """Whether the function has given a variable or attribute another plain value."""
        return self._around.changed

    def hold(self) -> bool:
        """Whether everything is as it was."""
        return self._around.hold()


class Surroundings:
    """Values by where they are found, gathered by following what code names."""

    def __init__(self) -> None:
        self._cells: list[tuple[Any, Any]] = []
        self._entries: list[tuple[dict[Any, Any], Any, Any]] = []  # a namespace or dict, a key, what is there
        self._lists: list[tuple[list[Any], tuple[Any, ...]]] = []
        self._sizes: list[tuple[dict[Any, Any], int]] = []
        self._groups: list[dict[Any, Any]] = []  # of optimizers
        self._optimizers: list[tuple[Any, list[tuple[Any, ...]]]] = []  # with their parameters, group by group
        self._names: set[str] = set()  # of attributes, in all code that was read
        self._objects: list[Any] = []
        self._seen: dict[int, Any] = {}
        self.modules: list[Any] = []
        self.functions: list[tuple[types.FunctionType, Any, Any, Any]] = []  # with code, defaults and those by name

    # --------------------------------------------------------------------------------------------------- what is there
    @property
    def empty(self) -> bool:
        """Whether nothing but functions was noted."""
        return not (self._cells or self._entries or self._lists or self._sizes or self._optimizers)

    def hold(self) -> bool:
        """Whether all of it is as it was noted."""
        for cell, value in self._cells:
            try:
                now = cell.cell_contents
            except ValueError:  # deleted
                return False
            if now is not value and not same(now, value):
                return False
        for namespace, key, value in self._entries:
            now = namespace.get(key, self)
            if now is not value and not same(now, value):
                return False
        for values, expected in self._lists:
            if len(values) != len(expected):
                return False
            if not all(map(is_, values, expected)) and not all(map(same, values, expected)):
                return False
        for function, code, defaults, named in self.functions:
            if function.__code__ is not code:
                return False
            if function.__defaults__ is not defaults or function.__kwdefaults__ is not named:
                return False
        for optimizer, known in self._optimizers:
            groups = optimizer.param_groups
            if len(groups) != len(known):
                return False
            for group, params in zip(groups, known, strict=True):
                if len(group["params"]) != len(params) or not all(map(is_, group["params"], params)):
                    return False
        return all(len(namespace) == size for namespace, size in self._sizes)

    def forget_changed_containers(self) -> None:
        """Watch no list or dict any more that has changed since it was noted, but groups of optimizers as they are."""
        self._lists = [(now, was) for now, was in self._lists if len(now) == len(was) and all(map(same, now, was))]
        changed = {id(d) for d, size in self._sizes if len(d) != size}
        contents = {id(d) for d, _ in self._sizes}
        changed |= {id(d) for d, key, value in self._entries if id(d) in contents and not same(d.get(key, self), value)}
        self._sizes = [(d, size) for d, size in self._sizes if id(d) not in changed]
        self._entries = [entry for entry in self._entries if id(entry[0]) not in changed]
        for group in self._groups:  # who sets the learning rate in there means it
            if id(group) in changed:
                self._entries += [(group, key, now) for key, now in group.items() if isinstance(now, _PLAIN)]

    @property
    def changed(self) -> bool:
        """Whether a variable or attribute that held a plain value holds another now."""
        for cell, value in self._cells:
            try:
                now = cell.cell_contents
            except ValueError:
                now = None
            if isinstance(value, _TOLD_APART) and not same(now, value):
                return True
        contents = {id(d) for d, _ in self._sizes}
        return any(
            isinstance(value, _TOLD_APART) and not same(namespace.get(key), value)
            for namespace, key, value in self._entries
            if id(namespace) not in contents
        )

    # -------------------------------------------------------------------------------------------------------- gathering
    def note(self, value: Any) -> None:
        """Follow a value to whatever code may find through it."""
        if isinstance(value, (*_PLAIN, Tensor)) or id(value) in self._seen:
            return
        if isinstance(value, (tuple, frozenset)):
            for item in value:
                self.note(item)
        elif isinstance(value, types.MethodType):
            self.note(value.__self__)
            self.note(value.__func__)
        elif isinstance(value, types.FunctionType):
            if not _is_settled(value.__module__):
                self.note_function(value)
        elif isinstance(value, functools.partial):
            self.note(value.func)
            self.note(value.args)
            self.note(value.keywords)
        elif isinstance(value, list):
            if len(value) <= _LONGEST:
                self._seen[id(value)] = value
                self._lists.append((value, tuple(value)))
                self.note(tuple(value))
        elif isinstance(value, dict):
            if len(value) <= _LONGEST:
                self._seen[id(value)] = value
                self._sizes.append((value, len(value)))
                self._entries += [(value, key, item) for key, item in value.items()]
                self.note(tuple(value.values()))
        elif isinstance(value, types.ModuleType):
            if not _is_settled(value.__name__):
                self._note_object(value)
        elif isinstance(value, type):
            if not _is_settled(value.__module__):
                self._note_object(value)
        elif isinstance(getattr(value, "__dict__", None), dict):
            self._note_groups(value)
            if _is_module(value):
                self._note_module(value)
            else:
                self._note_object(value)

    def note_function(self, function: types.FunctionType) -> None:
        """Follow a function to the values that its code names."""
        if id(function) in self._seen:
            return
        self._seen[id(function)] = function
        self.functions.append((function, function.__code__, function.__defaults__, function.__kwdefaults__))
        found = []
        for cell in function.__closure__ or ():
            try:
                value = cell.cell_contents
            except ValueError:  # assigned later
                continue
            self._cells.append((cell, value))
            found.append(value)
        attributes: set[str] = set()
        for name, is_global in _named(function.__code__):
            if not is_global:
                attributes.add(name)
            elif name in function.__globals__:
                value = function.__globals__[name]
                self._entries.append((function.__globals__, name, value))
                found.append(value)
        defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        fresh = attributes - self._names
        self._names |= fresh
        for known in self._objects if fresh else ():
            self._note_attributes(known, fresh)
        for value in (*found, *defaults):
            self.note(value)

    def _note_object(self, value: Any) -> None:
        self._seen[id(value)] = value
        self._objects.append(value)
        self._note_attributes(value, self._names)
        self.note(vars(value).get("__wrapped__"))  # a captured function, or a decorator's object

    def _note_groups(self, value: Any) -> None:
        """Watch which parameters an optimizer has."""
        groups = vars(value).get("param_groups")
        if isinstance(groups, list) and all(isinstance(group, dict) and "params" in group for group in groups):
            self._groups += groups
            self._optimizers.append((value, [tuple(group["params"]) for group in groups]))

    def _note_module(self, value: Any) -> None:
        """A module's attributes are its guard's to watch; its methods may lead further."""
        self._seen[id(value)] = value
        self._objects.append(value)
        self.modules.append(value)
        for name in tuple(self._names):  # a method may add names: then to all objects noted so far, this one included
            self.note_class_entry(type(value), name)
        self.note(tuple(value.__dict__["_modules"].values()))

    def _note_attributes(self, value: Any, names: set[str]) -> None:
        """Watch those attributes of an object that some code names."""
        own = vars(value)
        watched = not isinstance(value, type) and not _is_module(value)
        for name in sorted(names):
            if isinstance(value, type):
                self.note_class_entry(value, name)
            elif name in own and watched:
                self._entries.append((own, name, own[name]))
                self.note(own[name])
            elif not isinstance(value, types.ModuleType):
                self.note_class_entry(type(value), name)

    def note_class_entry(self, kind: type, name: str) -> None:
        """Follow a method, or a value that all instances share."""
        for cls in kind.__mro__:
            inner = vars(cls).get(name)
            if inner is None or _is_settled(cls.__module__):
                continue
            self._entries.append((vars(cls), name, inner))  # type: ignore[arg-type]
            self.note(inner.fget if isinstance(inner, property) else getattr(inner, "__func__", inner))
            return


def _is_settled(module: str | None) -> bool:
    return (module or "").partition(".")[0] in _SETTLED


def _named(code: types.CodeType) -> Iterator[tuple[str, bool]]:
    """The names in some code and in functions inside of it, each with whether it is a global, not an attribute."""
    for instruction in dis.get_instructions(code):
        name = instruction.argval
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield name, True
        elif instruction.opname in ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR"):
            yield name, False
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _named(constant)
