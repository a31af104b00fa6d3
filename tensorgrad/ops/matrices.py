"""What the functions of matrices share: operands checked, in a dtype that has LAPACK routines; transposes; errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..tensor import Tensor
from .complex_parts import conj
from .definition import lift
from .memory import cast
from .precision import raised
from .shape import matrix_transpose

__all__ = ["LinAlgError", "adjoint", "conjugate", "in_half", "prepared", "recorded", "require_matrix", "require_square"]

_READY = "fdFD"  # what LAPACK computes in

LinAlgError = np.linalg.LinAlgError
"""Raised where a matrix has no such factorization, inverse or gradient; a ``ValueError``."""


def conjugate(x: Any) -> Any:
    """The complex conjugate; real tensors, and None, are their own, at no cost."""
    return x if x is None or x.dtype.kind != "c" else conj(x)


def adjoint(x: Any) -> Any:
    """The conjugate transposes of the last two axes; of real tensors a view."""
    return matrix_transpose(conjugate(x))


def prepared(*operands: Any) -> tuple[Any, ...]:
    """The operands as floating tensors of one dtype, halves as float32, and last the half dtype or None.

    No library factors matrices of half precision, and products of them accumulate in float32 anyway.
    """
    first = operands[0]
    if isinstance(first, Tensor) and first.dtype.char in _READY:  # the usual case, at little cost
        if len(operands) == 1:
            return first, None
        second = operands[1]
        if isinstance(second, Tensor) and second.dtype is first.dtype:
            return first, second, None
    like = next((x for x in operands if isinstance(x, Tensor)), None)
    tensors = [raised(lift(x, like)) for x in operands]
    dtype = tensors[0].dtype
    for x in tensors[1:]:
        dtype = dtypes.promote_types(dtype, x.dtype)
    if dtype.kind in "biu":
        dtype = dtypes.get_default_dtype()
    half = None
    if dtype.itemsize == 2:
        half, dtype = dtype, dtypes.float32
    return (*(cast(x, dtype) for x in tensors), half)


def in_half(y: Any, half: Any) -> Any:
    """A result in the half dtype that the operands had, if they had one."""
    return y if half is None else cast(y, half)


def require_matrix(name: str, x: Any) -> None:
    """Refuse what has fewer than two axes."""
    if x.ndim < 2:
        raise LinAlgError(f"{name}: needs matrices, at least 2 axes; got shape {x.shape}")


def require_square(name: str, x: Any) -> None:
    """Refuse what are not square matrices."""
    require_matrix(name, x)
    if x.shape[-1] != x.shape[-2]:
        m, n = x.shape[-2:]
        raise LinAlgError(f"{name}: needs square matrices, got shape {x.shape}: {m} rows, {n} columns")


def recorded(x: Any) -> bool:
    """Whether a gradient may be asked for, so that it pays to compute what that needs along with the result."""
    from ..tape import grad_mode

    return getattr(x, "_node", None) is not None and grad_mode.get()
