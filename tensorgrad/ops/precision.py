"""Automatic mixed precision, as the ops see it: which of them run in a half type and which must not.

`tensorgrad.amp.autocast` sets the region; products ask for `lowered` operands, functions that lose too much in a half
type for a `raised` one.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, NamedTuple

from .. import dtypes
from ..tape import Leaf
from ..tensor import Tensor

__all__ = ["Region", "autocast_region", "lowered", "raised"]


class Region(NamedTuple):
    """An autocast region.

    Attributes
    ----------
    device_type : str
        ``"cpu"`` or ``"cuda"``: the tensors that it concerns.
    dtype : dtype
        What products run in.
    cache : dict or None
        Casts of leaves, so that a weight used several times is cast once.
    """

    device_type: str
    dtype: dtypes.DType
    cache: dict[tuple[int, int], tuple[Tensor, Any]] | None


autocast_region: ContextVar[Region | None] = ContextVar("autocast_region", default=None)


def _is_half(dtype: dtypes.DType) -> bool:
    return dtype.itemsize == 2 and dtypes.is_floating(dtype)


def lowered(*operands: Any) -> tuple[Any, ...]:
    """The operands of a product, in the region's dtype if there is a region; float64 stays."""
    region = autocast_region.get()
    if region is None:
        return operands
    return tuple(_lowered(x, region) for x in operands)


def _lowered(x: Any, region: Region) -> Any:
    concerned = isinstance(x, Tensor) and x.device.type == region.device_type
    if not concerned or x.dtype == region.dtype or not (x.dtype == dtypes.float32 or _is_half(x.dtype)):
        return x
    if region.cache is None or not isinstance(x._node, Leaf):
        return x.astype(region.dtype)
    key = (id(x), x._version)
    if key not in region.cache:
        region.cache[key] = (x, x.astype(region.dtype))  # with the leaf itself, so that its id stays taken
    return region.cache[key][1]


def raised(x: Any) -> Any:
    """A half-precision tensor as float32 if there is a region; anything else as it is."""
    region = autocast_region.get()
    if region is None or not isinstance(x, Tensor) or not _is_half(x.dtype) or x.device.type != region.device_type:
        return x
    return x.astype(dtypes.float32)
