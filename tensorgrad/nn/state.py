"""Writing a ``state_dict`` into a module: everything is checked before anything is written."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import kernels as K
from ..backend import bounds, is_array
from ..conversion import as_array
from ..creation import as_tensor
from ..tensor import Tensor
from .parameter import Parameter

if TYPE_CHECKING:
    from .module import Module

__all__ = ["EXTRA", "IncompatibleKeys", "load"]


class IncompatibleKeys(NamedTuple):
    """Names that a module has and a state dict lacks, and the other way round."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


EXTRA = "_extra_state"
"""The name, below a module's, of what `Module.get_extra_state` gives."""


def load(module: Module, state_dict: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """Copy the values of ``state_dict`` into the tensors of ``module``, or put them in their place."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"load_state_dict: expected a mapping of names to tensors, got {type(state_dict).__name__}")
    given = dict(state_dict)  # hooks may change it
    own = _expected(module)
    missing: list[str] = []
    unexpected: list[str] = []
    errors: list[str] = []
    parts = [(f"{path}." if path else "", part) for path, part in module.named_modules(remove_duplicate=False)]
    for prefix, part in parts:
        for hook in list(part.__dict__.get("_load_state_dict_pre_hooks", {}).values()):
            hook(part, given, prefix, {}, strict, missing, unexpected, errors)
    missing += [name for name in own if name not in given and name not in missing]
    unexpected += [name for name in given if name not in own and name not in unexpected]
    values = {}
    written = _Memory([x._data for x in own.values() if isinstance(x, Tensor)])
    for name, target in own.items():
        if name in given and isinstance(target, Tensor):
            problem, value = _fitted(name, target, given[name], assign, written)
            if problem is None:
                values[name] = value
            else:
                errors.append(problem)
    found = IncompatibleKeys(missing, unexpected)
    after = [
        (part, hook) for _, part in parts for hook in part.__dict__.get("_load_state_dict_post_hooks", {}).values()
    ]
    if errors or not after:  # else the hooks have the last word on names
        _complain(module, found, strict, errors)
    for prefix, part in parts:
        _take(part, prefix, values, given, assign)
    for part, hook in reversed(after):
        if hook(part, found) is not None:
            raise RuntimeError("a load_state_dict post-hook must change the lists of names in place and return None")
    _complain(module, found, strict, [], "the rest was loaded")
    return found


class _Memory:
    """Where some arrays lie."""

    def __init__(self, arrays: list[Any]) -> None:
        places = sorted(bounds(array) for array in arrays)
        self._starts = [low for low, _ in places]
        self._ends = list(accumulate((high for _, high in places), max))  # so that the last is the highest

    def touches(self, array: Any) -> bool:
        """Whether another array may have memory in common with one of them."""
        low, high = bounds(array)
        before = bisect_left(self._starts, high)
        return before > 0 and self._ends[before - 1] > low


def _expected(module: Module) -> dict[str, Any]:
    """The tensors of a module by name, and `EXTRA` of those parts that have it."""
    own: dict[str, Any] = {}
    for path, part in module.named_modules(remove_duplicate=False):
        prefix = f"{path}." if path else ""
        for registry in (part._parameters, part._buffers):
            own.update(
                (prefix + name, x) for name, x in registry.items() if x is not None and name not in part._transient
            )
        if part._has_extra_state():
            own[prefix + EXTRA] = None
    return own


def _complain(
    module: Module, found: IncompatibleKeys, strict: bool, errors: list[str], outcome: str = "nothing was loaded"
) -> None:
    if strict and found.missing_keys:
        names = ", ".join(f'"{name}"' for name in found.missing_keys)
        errors = [f"Missing key(s) in state_dict: {names}.", *errors]
    if strict and found.unexpected_keys:
        names = ", ".join(f'"{name}"' for name in found.unexpected_keys)
        errors = [f"Unexpected key(s) in state_dict: {names}.", *errors]
    if errors:
        raise RuntimeError(
            f"Error(s) in loading state_dict for {type(module).__name__}, {outcome}:\n\t" + "\n\t".join(errors)
        )


def _take(part: Module, prefix: str, values: dict[str, Any], given: dict[str, Any], assign: bool) -> None:
    """The values of one module."""
    for registry in ("_parameters", "_buffers"):
        for name, target in list(getattr(part, registry).items()):
            if prefix + name not in values or target is None:
                continue
            value = values[prefix + name]
            if assign:
                part._place(registry, name, _replacing(target, value))
            else:
                K.assign(target._data, value)
                target._written()
    if prefix + EXTRA in given and part._has_extra_state():
        part.set_extra_state(given[prefix + EXTRA])


def _replacing(target: Tensor, value: Tensor) -> Tensor:
    """A value as a tensor of the kind that it replaces."""
    if isinstance(target, Parameter):
        if isinstance(value, Parameter):
            return value
        return Parameter(value, target.requires_grad)
    return value


def _fitted(name: str, target: Tensor, value: Any, assign: bool, written: _Memory) -> tuple[str | None, Any]:
    """What is wrong with ``value``, or None and what can be written into, or put in the place of, ``target``."""
    array = value._data if isinstance(value, Tensor) else value
    if not is_array(array) and not hasattr(array, "__array__") and not hasattr(array, "__dlpack__"):
        return f'while loading "{name}": expected a Tensor or an array, got {type(value).__name__}.', None
    shape = tuple(array.shape)
    if shape != target.shape:
        return (
            f"size mismatch for {name}: the state_dict has shape {shape}, the module has shape {target.shape}.",
            None,
        )
    if assign:
        return None, value if isinstance(value, Tensor) else as_tensor(value)
    if array.dtype.kind == "c" and target.dtype.kind != "c":
        return f"dtype mismatch for {name}: the state_dict has {array.dtype}, the module has {target.dtype}.", None
    if type(array) is type(target._data) and array.dtype == target.dtype and not written.touches(array):
        return None, array
    # A copy of its own: the value is a view of the module's own memory, which is written below, or of another kind.
    return None, as_array(array, target.dtype, target.device)
