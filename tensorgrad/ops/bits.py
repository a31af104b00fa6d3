"""Bits of integers: counted, packed into bytes and unpacked."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from .. import kernels as K
from .definition import Function, lift, primitive
from .elementwise import bitwise_and, bitwise_left_shift, bitwise_right_shift
from .memory import arange, cast
from .padding import pad
from .reduction import single_axis, sum
from .shape import flip, moveaxis, reshape

__all__ = ["bitwise_count", "packbits", "unpackbits"]


_bitwise_count: Function = primitive("bitwise_count", K.bitwise_count, None)


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
        x, axis = reshape(x, (x.size,)), 0
    place = single_axis("packbits", axis, x.ndim)
    bits = moveaxis(cast(x != 0, dtypes.uint8), place, -1)
    missing = -bits.shape[-1] % 8
    if missing:
        bits = pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, missing)])
    bits = reshape(bits, (*bits.shape[:-1], bits.shape[-1] // 8, 8))
    places = arange(8, dtype=dtypes.uint8, device=x.device)
    values = bitwise_left_shift(bits, flip(places) if big else places)
    return moveaxis(cast(sum(values, axis=-1), dtypes.uint8), -1, place)


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
        x, axis = reshape(x, (x.size,)), 0
    place = single_axis("unpackbits", axis, x.ndim)
    places = arange(8, dtype=dtypes.uint8, device=x.device)
    lines = moveaxis(x, place, -1)
    bits = bitwise_and(bitwise_right_shift(lines[..., None], flip(places) if big else places), 1)
    bits = reshape(bits, (*lines.shape[:-1], 8 * lines.shape[-1]))
    if count is not None:
        have = bits.shape[-1]
        if count < -have:
            raise ValueError(f"unpackbits: count {count} leaves off more than the {have} bits that there are")
        if count > have:
            bits = pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, count - have)])
        else:
            bits = bits[..., : count if count >= 0 else have + count]
    return moveaxis(bits, -1, place)
