"""Complex numbers and their parts.

Gradients travel conjugated: what the engine hands from rule to rule is the conjugate of PyTorch's gradient, which for a
real loss L and z = x + iy is ``dL/dx + i dL/dy``. The chain rule of a holomorphic function is then the one of a real
function, so that rules need to know of complex numbers only where a function is not holomorphic, as those here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from .. import kernels as K
from ..tensor import Tensor
from .definition import Function, lift, primitive
from .memory import cast, zeros_like

__all__ = ["conj", "imag", "join_parts", "real"]

_conj: Function = primitive("conj", K.conj, lambda g: _conj(g))
_imag: Function = primitive("imag", K.imag, lambda g: _join(zeros_like(g), _negative(g)))
_join: Function = primitive(
    "join_parts", K.join_parts, lambda g: real(g), lambda g: _negative(imag(g)), broadcasts=True
)


def _negative(x: Any) -> Any:
    """``-x``."""
    return -x if isinstance(x, Tensor) else K.negative(x)


def conj(x: Any, /) -> Any:
    """The complex conjugate; a real ``x`` itself.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.conj(tg.tensor([1 + 2j]))
    tensor([1.-2.j], dtype=complex64)
    """
    x = lift(x)
    return _conj(x) if x.dtype.kind == "c" else x


def real(x: Any, /) -> Any:
    """The real part; a real ``x`` itself.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.real(tg.tensor([1 + 2j]))
    tensor([1.])
    """
    x = lift(x)
    return cast(x, _part(x.dtype)) if x.dtype.kind == "c" else x


def imag(x: Any, /) -> Any:
    """The imaginary part; zeros for a real ``x``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.imag(tg.tensor([1 + 2j]))
    tensor([2.])
    """
    x = lift(x)
    return _imag(x) if x.dtype.kind == "c" else zeros_like(x)


def join_parts(real: Any, imag: Any, /) -> Any:
    """``real + 1j * imag`` of two real operands of one floating dtype, which broadcast."""
    return _join(real, imag)


def _part(dtype: dtypes.DType) -> dtypes.DType:
    """The dtype of the parts of a complex one."""
    return np.dtype(dtype.char.lower())
