"""Writing a ``state_dict`` into a module: everything is checked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import kernels as K
from ..backend import as_array, is_array
from ..tensor import Tensor

if TYPE_CHECKING:
    from .module import Module

__all__ = ["IncompatibleKeys", "load"]


class IncompatibleKeys(NamedTuple):
    """Names that a module has and a state dict lacks, and the other way round."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


def load(module: Module, state_dict: Mapping[str, Any], strict: bool) -> IncompatibleKeys:
    """Copy the values of ``state_dict`` into the tensors of ``module``."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"load_state_dict: expected a mapping of names to tensors, got {type(state_dict).__name__}")
    own: dict[str, Tensor] = module.state_dict(keep_vars=True)
    missing = [name for name in own if name not in state_dict]
    unexpected = [name for name in state_dict if name not in own]
    errors = []
    if strict and unexpected:
        errors.append("Unexpected key(s) in state_dict: " + ", ".join(f'"{name}"' for name in unexpected) + ".")
    if strict and missing:
        errors.append("Missing key(s) in state_dict: " + ", ".join(f'"{name}"' for name in missing) + ".")
    values = {}
    for name, target in own.items():
        if name in state_dict:
            problem, value = _fitted(name, target, state_dict[name])
            if problem is None:
                values[name] = value
            else:
                errors.append(problem)
    if errors:
        raise RuntimeError(
            f"Error(s) in loading state_dict for {type(module).__name__}, nothing was loaded:\n\t" + "\n\t".join(errors)
        )
    for name, value in values.items():
        K.assign(own[name]._data, value)
        own[name]._written()
    return IncompatibleKeys(missing, unexpected)


def _fitted(name: str, target: Tensor, value: Any) -> tuple[str | None, Any]:
    """What is wrong with ``value``, or None and the array that can be written into ``target``."""
    array = value._data if isinstance(value, Tensor) else value
    if not is_array(array) and not hasattr(array, "__array__") and not hasattr(array, "__dlpack__"):
        return f'while loading "{name}": expected a Tensor or an array, got {type(value).__name__}.', None
    shape = tuple(array.shape)
    if shape != target.shape:
        return (
            f"size mismatch for {name}: the state_dict has shape {shape}, the module has shape {target.shape}.",
            None,
        )
    if array.dtype.kind == "c" and target.dtype.kind != "c":
        return f"dtype mismatch for {name}: the state_dict has {array.dtype}, the module has {target.dtype}.", None
    # A copy of its own: values may be views of the module's own memory, which is written below.
    return None, as_array(array, target.dtype, target.device)
