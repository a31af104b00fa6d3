"""Modules that hold modules: in sequence, in a list, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, groupby
from typing import Any, TypeVar, overload

from ..errors import integer
from .module import Module

__all__ = ["ModuleDict", "ModuleList", "Sequential"]

_L = TypeVar("_L", bound="_ModuleSequence")


class _ModuleSequence(Module):
    """List operations over the submodules, which are named 0, 1, 2, ... unless they were given names."""

    _modules: dict[str, Module]  # type: ignore[assignment]

    def _made_of(self: _L, modules: dict[str, Module]) -> _L:
        """A container of the same class with these modules."""
        raise NotImplementedError

    def _replace_modules(self, modules: dict[str, Module]) -> None:
        for name in list(self._modules):
            delattr(self, name)
        for name, module in modules.items():
            self.add_module(name, module)

    def _name_at(self, index: Any) -> str:
        place: int = index.__index__()
        size = len(self._modules)
        if not -size <= place < size:
            raise IndexError(f"{type(self).__name__}: index {place} is out of range for {size} modules")
        return list(self._modules)[place]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __contains__(self, module: object) -> bool:
        return any(module is own for own in self._modules.values())

    @overload
    def __getitem__(self: _L, index: slice) -> _L: ...
    @overload
    def __getitem__(self, index: int) -> Module: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._made_of(dict(list(self._modules.items())[index]))
        return self._modules[self._name_at(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        name = self._name_at(index)
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}: expected a Module, got {type(module).__name__}")
        setattr(self, name, module)

    def __delitem__(self, index: int | slice) -> None:
        names = list(self._modules)
        gone = set(names[index]) if isinstance(index, slice) else {self._name_at(index)}
        kept = {name: module for name, module in self._modules.items() if name not in gone}
        if all(name.isdigit() for name in names):
            kept = _numbered(kept.values())
        self._replace_modules(kept)

    def __add__(self: _L, other: Iterable[Module]) -> _L:
        return self._made_of(_numbered(chain(self, _modules_of(self, other))))

    def __iadd__(self: _L, other: Iterable[Module]) -> _L:
        return self.extend(other)

    def pop(self, key: int = -1) -> Module:
        """Take a module out and return it."""
        module = self[key]
        del self[key]
        return module

    def append(self: _L, module: Module) -> _L:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self: _L, index: int, module: Module) -> _L:
        """Add a module before the one at ``index``; the modules are numbered anew."""
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}: expected a Module, got {type(module).__name__}")
        modules = list(self)
        if not -len(modules) <= index <= len(modules):
            raise IndexError(f"{type(self).__name__}: index {index} is out of range for {len(modules)} modules")
        modules.insert(index, module)
        self._replace_modules(_numbered(modules))
        return self

    def extend(self: _L, modules: Iterable[Module]) -> _L:
        """Add modules at the end."""
        for module in list(_modules_of(self, modules)):
            self.append(module)
        return self


def _numbered(modules: Iterable[Module]) -> dict[str, Module]:
    return {str(i): module for i, module in enumerate(modules)}


def _modules_of(container: Module, modules: Any) -> Iterable[Module]:
    if not isinstance(modules, Iterable) or isinstance(modules, (str, Mapping)):
        raise TypeError(f"{type(container).__name__}: expected an iterable of modules, got {type(modules).__name__}")
    return modules


class Sequential(_ModuleSequence):
    """Modules one after the other: each gets what the one before it returned.

    Parameters
    ----------
    *args : Module, or one dict of str to Module
        The modules; a dict also names them.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> model = tg.nn.Sequential(tg.nn.Linear(2, 8), tg.nn.ReLU(), tg.nn.Linear(8, 1))
    >>> model(tg.ones(4, 2)).shape
    (4, 1)
    >>> list(model.state_dict())
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        named = args[0] if len(args) == 1 and isinstance(args[0], Mapping) else _numbered(args)
        for name, module in named.items():
            self.add_module(name, module)

    def _made_of(self: _L, modules: dict[str, Module]) -> _L:
        return type(self)(modules)  # type: ignore[call-arg]

    def __mul__(self, times: int) -> Sequential:
        """The sequence repeated, with the same modules each time."""
        return self._made_of(_numbered(self._repeated(times)))

    def __rmul__(self, times: int) -> Sequential:
        return self * times

    def __imul__(self, times: int) -> Sequential:
        self._replace_modules(_numbered(self._repeated(times)))
        return self

    def _repeated(self, times: int) -> list[Module]:
        times = integer(times, "the number of repetitions", "Sequential")
        if times <= 0:
            raise ValueError(f"Sequential: can be multiplied by an int greater than 0, got {times}")
        return list(self) * times

    def forward(self, input: Any) -> Any:
        """What the last module returns."""
        for module in self._modules.values():
            input = module(input)
        return input


class ModuleList(_ModuleSequence):
    """A list of modules, whose parameters are those of the list.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> layers = tg.nn.ModuleList([tg.nn.Linear(4, 4) for _ in range(3)])
    >>> len(layers), len(list(layers.parameters()))
    (3, 6)
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def _made_of(self: _L, modules: dict[str, Module]) -> _L:
        return type(self)(modules.values())  # type: ignore[call-arg]

    def _shown_children(self) -> list[tuple[str, str]]:
        """Neighbours that look alike are shown once, with their number."""
        shown: list[tuple[str, str]] = []
        start = 0
        for text, alike in groupby(map(repr, self._modules.values())):
            count = len(list(alike))
            last = start + count - 1
            shown.append((f"{start}", text) if count == 1 else (f"{start}-{last}", f"{count} x {text}"))
            start += count
        return shown


class ModuleDict(Module):
    """Modules by name, in the order in which they were added.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> heads = tg.nn.ModuleDict({"mean": tg.nn.Linear(4, 1), "scale": tg.nn.Linear(4, 1)})
    >>> heads["mean"](tg.ones(2, 4)).shape
    (2, 1)
    """

    _modules: dict[str, Module]  # type: ignore[assignment]

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Module:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        if key not in self._modules:
            raise KeyError(key)
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Take all modules out."""
        for key in list(self):
            del self[key]

    def pop(self, key: str) -> Module:
        """Take a module out and return it."""
        module = self[key]
        del self[key]
        return module

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._modules.keys()

    def items(self) -> Iterable[tuple[str, Module]]:
        """The names with their modules."""
        return self._modules.items()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return self._modules.values()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add modules, or replace those of the same name."""
        if not isinstance(modules, (Iterable, ModuleDict)):
            raise TypeError(f"ModuleDict: expected a mapping or pairs of name and module, got {type(modules).__name__}")
        pairs = modules.items() if isinstance(modules, (Mapping, ModuleDict)) else modules
        for key, module in pairs:
            self[key] = module
