"""Bits of integers: counted, packed into bytes and unpacked."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from .. import kernels as K
from .definition import Function, lift, primitive
from .memory import cast
from .reduction import single_axis
from .shape import raveled

__all__ = ["bitwise_count", "packbits", "unpackbits"]


_bitwise_count: Function = primitive("bitwise_count", K.bitwise_count, None)
_packbits: Function = primitive("packbits", K.packbits, None)
_unpackbits: Function = primitive("unpackbits", K.unpackbits, None)


def bitwise_count(x: Any, /) -> Any:
    """The number of bits that are 1 in the absolute value of each integer, as uint8.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.bitwise_count(tg.tensor([1023, -3, 0]))
    tensor([10,  2,  0], dtype=uint8)
    """
    x = lift(x)
    if x.dtype.kind == "b":
        return cast(x, dtypes.uint8)
    if x.dtype.kind not in "iu":
        raise TypeError(f"bitwise_count: expected integers, got {x.dtype}")
    return _bitwise_count(x)


def _order(name: str, bitorder: str) -> bool:
    if bitorder not in ("big", "little"):
        raise ValueError(f"{name}: bitorder must be 'big' or 'little', got {bitorder!r}")
    return bitorder == "big"


def packbits(x: Any, /, axis: int | None = None, bitorder: str = "big") -> Any:
    """Each 8 neighbours as the bits of a byte, 1 where an element is not 0; zeros fill the last one up.

    Parameters
    ----------
    x : Tensor
        Of booleans or integers.
    axis : int, optional
        Of the flattened tensor unless given.
    bitorder : "big" or "little"
        Whether the first element is the highest bit or the lowest.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.packbits(tg.tensor([1, 0, 1, 0, 0, 0, 0, 1, 1]))
    tensor([161, 128], dtype=uint8)
    """
    x = lift(x)
    if x.dtype.kind not in "biu":
        raise TypeError(f"packbits: expected booleans or integers, got {x.dtype}")
    big = _order("packbits", bitorder)
    if axis is None:
        x, axis = raveled(x), 0
    return _packbits(x, single_axis("packbits", axis, x.ndim), big)


def unpackbits(x: Any, /, axis: int | None = None, count: int | None = None, bitorder: str = "big") -> Any:
    """The 8 bits of each byte as elements of their own, along an axis.

    Parameters
    ----------
    x : Tensor
        Of uint8.
    axis : int, optional
        Of the flattened tensor unless given.
    count : int, optional
        How many bits to give: fewer, or more with zeros at the end; a negative one leaves so many off.
    bitorder : "big" or "little"
        Whether the highest bit comes first or the lowest.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.unpackbits(tg.tensor([161], dtype=tg.uint8))
    tensor([1, 0, 1, 0, 0, 0, 0, 1], dtype=uint8)
    """
    x = lift(x)
    if x.dtype != dtypes.uint8:
        raise TypeError(f"unpackbits: expected uint8, got {x.dtype}")
    big = _order("unpackbits", bitorder)
    if axis is None:
        x, axis = raveled(x), 0
    place = single_axis("unpackbits", axis, x.ndim)
    have = 8 * x.shape[place]
    if count is None:
        count = have
    elif count < 0:
        count += have
        if count < 0:
            raise ValueError(f"unpackbits: count {count - have} leaves off more than the {have} bits that there are")
    return _unpackbits(x, place, count, big)
