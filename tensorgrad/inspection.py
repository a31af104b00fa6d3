"""What the array API standard lets a program ask: about dtypes, their limits, and about this namespace.

>>> import tensorgrad as tg
>>> tg.isdtype(tg.float32, "real floating"), tg.finfo(tg.float32).bits, tg.can_cast(tg.int8, tg.int16)
(True, 32, True)
>>> tg.__array_namespace_info__().default_dtypes()["real floating"]
dtype('float32')
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import dtypes
from .backend import CPU, Device, cuda_device_count, get_default_device, resolve_device
from .dtypes import DType, dtype_of, is_floating, promote_types

__all__ = ["__array_namespace_info__", "can_cast", "finfo", "iinfo", "isdtype"]

_BOOLEAN = (dtypes.bool_,)
_SIGNED = (dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64)
_UNSIGNED = (dtypes.uint8, dtypes.uint16, dtypes.uint32, dtypes.uint64)
_REAL = (dtypes.float32, dtypes.float64)
_COMPLEX = (dtypes.complex64, dtypes.complex128)
_STANDARD = {
    "bool": _BOOLEAN,
    "signed integer": _SIGNED,
    "unsigned integer": _UNSIGNED,
    "integral": (*_SIGNED, *_UNSIGNED),
    "real floating": _REAL,
    "complex floating": _COMPLEX,
    "numeric": (*_SIGNED, *_UNSIGNED, *_REAL, *_COMPLEX),
}
_LETTERS = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": "fV",  # bfloat16 is of NumPy's kind V
    "complex floating": "c",
    "numeric": "iufVc",
}


def _dtype(name: str, x: Any) -> DType:
    """The dtype of an array, or the one that ``x`` names."""
    found = x if isinstance(x, type) else getattr(x, "dtype", x)  # NumPy's scalar types have an attribute of that name
    if isinstance(found, (bool, int, float, complex)):
        raise TypeError(f"{name}: expected a dtype or a tensor, got {x!r}")
    return dtype_of(found)


def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether promotion leads from one dtype to another: whether the two meet in ``to``.

    Parameters
    ----------
    from_ : dtype or Tensor
    to : dtype

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.can_cast(tg.float32, tg.float64), tg.can_cast(tg.float64, tg.float32), tg.can_cast(tg.int64, tg.float32)
    (True, False, True)
    """
    wanted = _dtype("can_cast", to)
    return promote_types(_dtype("can_cast", from_), wanted) == wanted


@dataclass(frozen=True)
class FloatingLimits:
    """Limits of a floating dtype, as Python numbers: what `finfo` returns."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType

    @property
    def tiny(self) -> float:
        """NumPy's and PyTorch's name for ``smallest_normal``."""
        return self.smallest_normal


@dataclass(frozen=True)
class IntegerLimits:
    """Limits of an integer dtype: what `iinfo` returns."""

    bits: int
    max: int
    min: int
    dtype: DType


def finfo(type: Any, /) -> FloatingLimits:
    """Limits of a floating dtype, or of the parts of a complex one.

    Parameters
    ----------
    type : dtype or Tensor

    Raises
    ------
    TypeError
        If the dtype is not floating or complex.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.finfo(tg.complex128).eps == 2**-52
    True
    """
    dtype = _dtype("finfo", type)
    part = np.empty(0, dtype).real.dtype if dtype.kind == "c" else dtype
    if not is_floating(part):
        raise TypeError(f"finfo: expected a floating or complex dtype, got {dtype}; iinfo has the limits of integers")
    limits: Any
    if part.kind == "V":
        import ml_dtypes

        limits = ml_dtypes.finfo(part)  # type: ignore[no-untyped-call]
    else:
        limits = np.finfo(part)
    return FloatingLimits(
        bits=int(limits.bits),
        eps=float(limits.eps),
        max=float(limits.max),
        min=float(limits.min),
        smallest_normal=float(limits.smallest_normal),
        dtype=part,
    )


def iinfo(type: Any, /) -> IntegerLimits:
    """Limits of an integer dtype.

    Parameters
    ----------
    type : dtype or Tensor

    Raises
    ------
    TypeError
        If the dtype is not an integer one.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.iinfo(tg.uint8).max
    255
    """
    dtype = _dtype("iinfo", type)
    if dtype.kind not in "iu":
        raise TypeError(f"iinfo: expected an integer dtype, got {dtype}; finfo has the limits of floating ones")
    limits = np.iinfo(dtype)
    return IntegerLimits(limits.bits, int(limits.max), int(limits.min), dtype)


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is another dtype, or of a kind.

    Parameters
    ----------
    dtype : dtype
    kind : dtype, str or tuple of them
        ``"bool"``, ``"signed integer"``, ``"unsigned integer"``, ``"integral"``, ``"real floating"``,
        ``"complex floating"``, ``"numeric"``; of a tuple, one suffices.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.isdtype(tg.int8, ("bool", "signed integer")), tg.isdtype(tg.int8, tg.int16)
    (True, False)
    """
    found = _dtype("isdtype", dtype)
    if isinstance(kind, tuple):
        return any(isdtype(found, k) for k in kind)
    if isinstance(kind, str) and kind in _LETTERS:
        return found.kind in _LETTERS[kind]
    try:
        return found == dtype_of(kind)
    except TypeError:
        names = ", ".join(map(repr, _LETTERS))
        raise ValueError(f"isdtype: {kind!r} is neither a dtype nor one of the kinds {names}") from None


class NamespaceInfo:
    """What the array API's inspection functions say about tensorgrad; made by `__array_namespace_info__`."""

    def capabilities(self) -> dict[str, Any]:
        """Boolean masks index, shapes may depend on values, and shapes may have up to 64 axes."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> Device:
        """Where new tensors are made."""
        return get_default_device()

    def default_dtypes(self, *, device: Any = None) -> dict[str, DType]:
        """The dtypes that Python numbers, and indices, become."""
        resolve_device(device)
        return {
            "real floating": dtype_of(float),
            "complex floating": dtype_of(complex),
            "integral": dtypes.int64,
            "indexing": dtypes.int64,
        }

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, DType]:
        """The standard's dtypes of a kind (see `isdtype`), or of several, by name."""
        resolve_device(device)
        kinds = ("bool", "numeric") if kind is None else kind if isinstance(kind, tuple) else (kind,)
        unknown = [k for k in kinds if k not in _STANDARD]
        if unknown:
            raise ValueError(f"dtypes: {unknown[0]!r} is not one of the kinds {', '.join(map(repr, _STANDARD))}")
        return {d.name: d for k in kinds for d in _STANDARD[k]}

    def devices(self) -> list[Device]:
        """The CPU and every CUDA device."""
        return [CPU, *(Device("cuda", i) for i in range(cuda_device_count()))]


def __array_namespace_info__() -> NamespaceInfo:  # noqa: N807 - the standard's name
    """An object that says which devices and dtypes there are and which of them are the defaults."""
    return NamespaceInfo()
