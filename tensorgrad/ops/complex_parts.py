"""Complex numbers and their parts.

Gradients travel conjugated: what the engine hands from rule to rule is the conjugate of PyTorch's gradient, which for a
real loss L and z = x + iy is ``dL/dx + i dL/dy``. The chain rule of a holomorphic function is then the one of a real
function, so that rules need to know of complex numbers only where a function is not holomorphic, as those here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from .. import kernels as K
from ..backend import address, real_pairs
from ..kernels.batched.array import BatchedArray
from ..tape import View
from ..tensor import Tensor
from .definition import Function, lift, primitive
from .memory import cast, zeros_like

__all__ = [
    "conj", "imag", "imag_part", "join_parts", "real", "real_part", "view_as_complex", "view_as_real", "write_part",
]  # fmt: skip

_conj: Function = primitive("conj", K.conj, lambda g: _conj(g))
_imag_copy: Function = primitive("imag_copy", K.imag, lambda g: _join(zeros_like(g), _negative(g)))
_join: Function = primitive(
    "join_parts", K.join_parts, lambda g: real_part(g), lambda g: _negative(imag_part(g)), broadcasts=True
)
_real: Function = primitive(
    "real", lambda x: x.real, lambda g, x_dtype: cast(g, x_dtype), put=lambda x, part: _join(part, imag_part(x))
)
_imag: Function = primitive(
    "imag",
    lambda x: x.imag,
    lambda g: _join(zeros_like(g), _negative(g)),
    put=lambda x, part: _join(real_part(x), part),
)
_pairs: Function = primitive(
    "view_as_real",
    lambda x: real_pairs(x),
    lambda g: _join(g[..., 0], _negative(g[..., 1])),
    put=lambda x, part: _join(part[..., 0], part[..., 1]),
)
_of_pairs: Function = primitive(
    "view_as_complex",
    lambda x: x.view(_whole(x.dtype))[..., 0],
    lambda g: _pairs_of(real_part(g), _negative(imag_part(g))),
    put=lambda x, part: _pairs_of(real_part(part), imag_part(part)),
)


def _pairs_of(first: Any, second: Any) -> Any:
    """Two numbers along a new last axis."""
    return _pairs(_join(first, second))


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
    """The real part as a view: a write to it is a write to ``x``. A real ``x`` itself.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor([1 + 2j])
    >>> y = tg.real(x)
    >>> y += 4
    >>> x
    tensor([5.+2.j], dtype=complex64)
    """
    x = lift(x)
    return _real(x) if x.dtype.kind == "c" else x


def imag(x: Any, /) -> Any:
    """The imaginary part as a view: a write to it is a write to ``x``. Zeros, of their own, for a real ``x``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.imag(tg.tensor([1 + 2j]))
    tensor([2.])
    """
    x = lift(x)
    return _imag(x) if x.dtype.kind == "c" else zeros_like(x)


def real_part(x: Any) -> Any:
    """The real part in memory of its own; a real ``x`` itself."""
    return cast(x, _part(x.dtype)) if x.dtype.kind == "c" else x


def imag_part(x: Any) -> Any:
    """The imaginary part in memory of its own; zeros for a real ``x``."""
    return _imag_copy(x) if x.dtype.kind == "c" else zeros_like(x)


def write_part(x: Tensor, part: Callable[[Tensor], Tensor], value: Any) -> None:
    """``x.real = value`` or ``x.imag = value``, which also ends ``x.real += value``."""
    if part is imag and x.dtype.kind != "c":
        raise TypeError(f"imag: a {x.dtype} tensor has no imaginary part to write into")
    view = part(x)
    if value is view or (isinstance(value, Tensor) and value._view is not None and _same_place(value._view, view)):
        return  # it has been written
    view[...] = value


def _same_place(view: View, part: Tensor) -> bool:
    return part._view is not None and view[:2] == part._view[:2]


def view_as_real(x: Any, /) -> Tensor:
    """Complex numbers as pairs of real ones along a new last axis, as a view: ``(...)`` becomes ``(..., 2)``.

    Raises
    ------
    TypeError
        If ``x`` is not complex.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.view_as_real(tg.tensor([1 + 2j]))
    tensor([[1., 2.]])
    """
    x = lift(x)
    if x.dtype.kind != "c":
        raise TypeError(f"view_as_real: expected complex numbers, got {x.dtype} of shape {x.shape}")
    return _pairs(x)  # type: ignore[no-any-return]


def view_as_complex(x: Any, /) -> Tensor:
    """Pairs of real numbers along the last axis as complex ones, as a view: ``(..., 2)`` becomes ``(...)``.

    Raises
    ------
    TypeError
        If ``x`` is not of float32 or float64.
    ValueError
        If the last axis does not have two elements, or they do not lie side by side as those of complex numbers do.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.view_as_complex(tg.tensor([[1.0, 2.0]]))
    tensor([1.+2.j], dtype=complex64)
    """
    x = lift(x)
    if x.dtype.char not in "fd":
        raise TypeError(f"view_as_complex: expected float32 or float64, got {x.dtype} of shape {x.shape}")
    if x.ndim == 0 or x.shape[-1] != 2:
        raise ValueError(f"view_as_complex: the last axis must have 2 elements, got shape {x.shape}")
    array = x._data if isinstance(x, Tensor) else x
    while isinstance(array, BatchedArray):
        array = array.data
    if array.size:
        pair = 2 * array.itemsize
        steps = [step for n, step in zip(array.shape[:-1], array.strides, strict=False) if n > 1]
        if array.strides[-1] != array.itemsize or any(at % pair for at in (address(array), *steps)):
            raise ValueError(
                f"view_as_complex: the numbers of a pair must lie side by side, and each pair at a multiple of {pair} "
                f"bytes, but this tensor of shape {x.shape} has strides {array.strides} in bytes; use .clone()"
            )
    return _of_pairs(x)  # type: ignore[no-any-return]


def join_parts(real: Any, imag: Any, /) -> Any:
    """``real + 1j * imag`` of two real operands of one floating dtype, which broadcast."""
    return _join(real, imag)


def _part(dtype: dtypes.DType) -> dtypes.DType:
    """The dtype of the parts of a complex one."""
    return np.dtype(dtype.char.lower())


def _whole(dtype: dtypes.DType) -> dtypes.DType:
    """The complex dtype whose parts have this one."""
    return np.dtype(dtype.char.upper())
