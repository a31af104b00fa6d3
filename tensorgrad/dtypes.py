"""Dtypes and the rules by which they combine.

A dtype is NumPy's ``numpy.dtype`` object, the same on both backends. Two dtypes of one kind promote as the array API
standard says. Across kinds the narrower kind gives way: integers that meet a floating dtype take it, and integers that
need a fraction (``sqrt``, ``/``) become the default floating dtype, float32, as Python floats do.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .errors import called

__all__ = [
    "DType",
    "bool_",
    "complex64",
    "complex128",
    "dtype_of",
    "float16",
    "float32",
    "float64",
    "get_default_dtype",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_differentiable",
    "is_floating",
    "promote_types",
    "result_type",
    "set_default_dtype",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]

DType = np.dtype[Any]

bool_ = np.dtype(np.bool_)
int8 = np.dtype(np.int8)
int16 = np.dtype(np.int16)
int32 = np.dtype(np.int32)
int64 = np.dtype(np.int64)
uint8 = np.dtype(np.uint8)
uint16 = np.dtype(np.uint16)
uint32 = np.dtype(np.uint32)
uint64 = np.dtype(np.uint64)
float16 = np.dtype(np.float16)
float32 = np.dtype(np.float32)
float64 = np.dtype(np.float64)
complex64 = np.dtype(np.complex64)
complex128 = np.dtype(np.complex128)

_default = float32
_ALL = (
    bool_, int8, int16, int32, int64, uint8, uint16, uint32, uint64,
    float16, float32, float64, complex64, complex128,
)  # fmt: skip
_SUPPORTED = {dtype: dtype for dtype in _ALL}
_BY_NAME: dict[Any, DType] = {name: dtype for dtype in _ALL for name in (dtype, dtype.type, dtype.name)}
_BY_NAME |= {bool: bool_, int: int64}


def get_default_dtype() -> DType:
    """The floating dtype that Python floats, and integers that need a fraction, become."""
    return _default


def set_default_dtype(dtype: Any) -> None:
    """Set the default floating dtype.

    Raises
    ------
    TypeError
        If ``dtype`` is not a real floating dtype.
    """
    global _default
    wanted = dtype_of(dtype)
    if not is_floating(wanted):
        raise TypeError(f"set_default_dtype: expected a floating dtype, got {wanted}")
    _default = wanted


def bfloat16_or_none() -> DType | None:
    """The bfloat16 dtype if ``ml_dtypes`` is installed."""
    try:
        import ml_dtypes
    except ImportError:
        return None
    dtype: DType = np.dtype(ml_dtypes.bfloat16)
    return dtype


def bfloat16() -> DType:
    """The bfloat16 dtype.

    Raises
    ------
    ImportError
        If ``ml_dtypes`` is not installed.
    """
    dtype = bfloat16_or_none()
    if dtype is None:
        raise ImportError('bfloat16 needs ml_dtypes: pip install "tensorgrad-cupy[io]"')
    return dtype


def dtype_of(spec: Any) -> DType:
    """The dtype that ``spec`` names.

    Parameters
    ----------
    spec : dtype, str, or Python type
        ``float`` is the default floating dtype, ``complex`` its complex companion, ``int`` is int64.

    Raises
    ------
    TypeError
        If the dtype is not one that tensors have.
    """
    try:
        return _BY_NAME[spec]
    except (KeyError, TypeError):  # or of no hash
        pass
    if spec is float:
        return _default
    if spec is complex:
        return complex128 if _default == float64 else complex64
    if spec.__class__ is str and spec == "bfloat16":
        return bfloat16()
    try:
        dtype: DType = np.dtype(spec)
    except (TypeError, ValueError, SyntaxError):
        raise TypeError(f"{called('dtype')}: {spec!r:.60} is not a dtype; tensors have {_names()}") from None
    dtype = dtype if dtype.isnative else dtype.newbyteorder("=")
    known = _SUPPORTED.get(dtype)  # the one object that all tensors of this dtype share; pickling makes others
    if known is not None:
        return known
    if dtype.name == "bfloat16":
        return bfloat16()
    raise TypeError(f"{called('dtype')}: tensors cannot have dtype {dtype}; they have {_names()}")


def _names() -> str:
    return ", ".join([*sorted(str(d) for d in _SUPPORTED), "bfloat16"])


def is_floating(dtype: DType) -> bool:
    """Whether ``dtype`` is real and floating, bfloat16 included."""
    return dtype.kind == "f" or (dtype.kind == "V" and dtype.name == "bfloat16")


def is_differentiable(dtype: DType) -> bool:
    """Whether a tensor of this dtype can have a gradient: floating or complex."""
    return dtype.kind in "fVc"


def promote_types(first: Any, second: Any) -> DType:
    """The smallest dtype that holds both, by the rules at the top of this page."""
    if not (isinstance(first, np.dtype) and isinstance(second, np.dtype)):
        return promote_types(dtype_of(first), dtype_of(second))
    return first if first is second else _promoted(first, second)


@functools.cache
def _promoted(first: DType, second: DType) -> DType:
    ranks = _rank(first), _rank(second)
    if ranks[0] == ranks[1] or max(ranks) < 2:
        if "bfloat16" in (first.name, second.name) and "float16" in (first.name, second.name):
            return float32
        return np.promote_types(first, second)
    if max(ranks) == 3 and min(ranks) == 2:  # real floating meets complex
        return np.promote_types(first, second) if "bfloat16" not in (first.name, second.name) else complex64
    return first if ranks[0] > ranks[1] else second


def _rank(dtype: DType) -> int:
    """bool 0, integer 1, floating 2, complex 3."""
    rank = _RANKS.get(dtype.kind)
    if rank is None:
        raise TypeError(f"{called('dtype')}: tensors cannot have dtype {dtype}; they have {_names()}")
    return rank


_RANKS = {"b": 0, "i": 1, "u": 1, "f": 2, "V": 2, "c": 3}


def result_type(*operands: Any) -> DType:
    """The dtype in which ``operands`` (arrays, dtypes and Python scalars) meet.

    A Python scalar takes the dtype of the arrays if that can hold its kind.
    """
    if len({*map(id, operands)}) == 1 and isinstance(operands[0], np.dtype):
        return operands[0]
    dtypes: list[DType] = []
    for o in operands:
        if isinstance(o, np.dtype):
            if not dtypes or o is not dtypes[-1]:
                dtypes.append(o)
        elif isinstance(o, type):
            dtypes.append(dtype_of(o))
        elif hasattr(o, "dtype"):
            dtypes.append(o.dtype)
    scalars = [o for o in operands if isinstance(o, (bool, int, float, complex)) and not hasattr(o, "dtype")]
    if not dtypes:
        dtypes = [scalar_dtype(s) for s in scalars]
        scalars = []
    dtype = dtypes[0]
    for other in dtypes[1:]:
        dtype = promote_types(dtype, other)
    for scalar in scalars:
        dtype = with_scalar(dtype, scalar)
    return dtype


def scalar_dtype(value: Any) -> DType:
    """The dtype of a tensor made from one Python scalar."""
    if isinstance(value, bool):
        return bool_
    if isinstance(value, int):
        return int64
    return dtype_of(complex if isinstance(value, complex) else float)


def with_scalar(dtype: DType, scalar: Any) -> DType:
    """The dtype in which an array of ``dtype`` meets a Python scalar: its own unless the kind is too narrow."""
    rank = _rank(dtype)
    if isinstance(scalar, bool):
        return dtype
    if isinstance(scalar, int):
        return dtype if rank else int64
    if isinstance(scalar, float):
        return dtype if rank >= 2 else _default
    if rank == 3:
        return dtype
    return complex128 if dtype == float64 else complex64
