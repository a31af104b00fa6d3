"""Nested arguments and results: taken apart into arrays and a hashable structure, and put together again."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..backend import is_array
from ..tensor import Tensor

__all__ = ["LEAF", "flatten", "rebuild", "signature_of"]

LEAF = object()
"""What stands for a tensor or an array in a structure."""


def flatten(value: Any, found: list[Any]) -> Any:
    """The structure of nested tuples, lists, dicts and slices; tensors and arrays go to ``found``, the rest stays."""
    if isinstance(value, Tensor) or is_array(value):
        found.append(value)
        return LEAF
    if isinstance(value, (tuple, list)):
        return (type(value), *[flatten(item, found) for item in value])
    if isinstance(value, dict):
        return (dict, tuple(value), *[flatten(item, found) for item in value.values()])
    if isinstance(value, slice):  # not hashable by itself
        return (slice, *[flatten(item, found) for item in (value.start, value.stop, value.step)])
    if isinstance(value, (float, complex)) and not value:
        return (None, type(value), value, repr(value))  # 0.0 equals -0.0
    if isinstance(value, float) and math.isnan(value):
        return (None, float, math.nan)  # one object, which a tuple finds equal to itself
    return (None, type(value), value)


def rebuild(structure: Any, leaves: Any, make: Callable[[Any], Any] = lambda leaf: leaf) -> Any:
    """What `flatten` took apart, with the leaves from an iterator."""
    if structure is LEAF:
        return make(next(leaves))
    kind = structure[0]
    if kind is None:
        return structure[2]
    if kind is dict:
        return {key: rebuild(part, leaves, make) for key, part in zip(structure[1], structure[2:], strict=True)}
    parts = [rebuild(part, leaves, make) for part in structure[1:]]
    if kind is list:
        return parts
    return tuple(parts) if kind is tuple else kind(*parts)  # a named tuple, a slice


def signature_of(leaf: Any) -> Any:
    """What of a tensor or array a program depends on."""
    if not isinstance(leaf, Tensor):
        return (leaf.shape, leaf.dtype, str(getattr(leaf, "device", "cpu")))
    array = leaf._data
    return (array.shape, array.dtype, str(leaf.device), leaf._node is not None)
