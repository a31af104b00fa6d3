"""Complex numbers from their parts and as pairs, signs of them, and questions about them."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..inspection import finfo
from ..tensor import Tensor
from .complex_parts import conj, imag_part, join_parts, real, real_part, view_as_complex, view_as_real
from .definition import is_tensor, lift
from .elementwise import cos, equal, multiply, sign, sin
from .indexing import take_along_axis
from .memory import cast, clone, ones_like, zeros_like
from .orders import lexsort
from .selection import sort

__all__ = [
    "complex", "conj_physical", "is_complex", "iscomplex", "iscomplexobj", "isreal", "isrealobj", "polar",
    "real_if_close", "resolve_conj", "sgn", "sort_complex", "view_as_complex", "view_as_real",
]  # fmt: skip


def _parts(name: str, first: Any, second: Any) -> tuple[Tensor, Tensor]:
    """Two operands in the real dtype, float32 or float64, in which they meet."""
    first = lift(first, second) if is_tensor(second) else lift(first)
    second = lift(second, first)
    dtype = dtypes.promote_types(first.dtype, second.dtype)
    if dtype.kind in "biu":
        dtype = dtypes.get_default_dtype()
    if dtype.char not in "fd":
        raise TypeError(f"{name}: expected real numbers of float32 or float64, got {first.dtype} and {second.dtype}")
    return cast(first, dtype), cast(second, dtype)


def complex(real: Any, imag: Any, /) -> Tensor:
    """``real + 1j * imag`` of two real operands, which broadcast.

    Raises
    ------
    TypeError
        If an operand is complex or of a half precision, which no complex dtype has.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.complex(tg.tensor([1.0, 2.0]), tg.tensor([3.0, -4.0]))
    tensor([1.+3.j, 2.-4.j], dtype=complex64)
    """
    x, y = _parts("complex", real, imag)
    return join_parts(x, y)  # type: ignore[no-any-return]


def polar(abs: Any, angle: Any, /) -> Tensor:
    """``abs * exp(1j * angle)`` of two real operands, which broadcast.

    Raises
    ------
    TypeError
        If an operand is complex or of a half precision, which no complex dtype has.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.polar(tg.tensor([1.0, 2.0]), 0.0)
    tensor([1.+0.j, 2.+0.j], dtype=complex64)
    """
    size, turn = _parts("polar", abs, angle)
    return join_parts(multiply(size, cos(turn)), multiply(size, sin(turn)))  # type: ignore[no-any-return]


def sgn(x: Any, /) -> Tensor:
    """`sign`: of complex numbers ``x / abs(x)``, and 0 of 0.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.sgn(tg.tensor([2j, 0]))
    tensor([0.+1.j, 0.+0.j], dtype=complex64)
    """
    return sign(x)  # type: ignore[no-any-return]


def conj_physical(x: Any, /) -> Tensor:
    """The complex conjugate in memory of its own; of a real ``x`` a copy.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.conj_physical(tg.tensor([1 + 2j]))
    tensor([1.-2.j], dtype=complex64)
    """
    x = lift(x)
    return conj(x) if x.dtype.kind == "c" else clone(x)  # type: ignore[no-any-return]


def resolve_conj(x: Any, /) -> Tensor:
    """``x`` itself: conjugates are computed when they are asked for.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.resolve_conj(tg.tensor([1 + 2j]).conj())
    tensor([1.-2.j], dtype=complex64)
    """
    return lift(x)  # type: ignore[no-any-return]


def is_complex(x: Tensor, /) -> bool:
    """Whether a tensor has a complex dtype.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.is_complex(tg.tensor([1j])), tg.is_complex(tg.tensor([1.0]))
    (True, False)
    """
    return bool(x.dtype.kind == "c")


def iscomplexobj(x: Any, /) -> bool:
    """Whether ``x``, or the tensor that it would become, has a complex dtype.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.iscomplexobj([1, 2j])
    True
    """
    return is_complex(lift(x))


def isrealobj(x: Any, /) -> bool:
    """Whether ``x``, or the tensor that it would become, does not have a complex dtype.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.isrealobj([1, 2j])
    False
    """
    return not is_complex(lift(x))


def isreal(x: Any, /) -> Tensor:
    """Whether the imaginary part is 0, for each element; NaN is real where it is in the real part alone.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.isreal(tg.tensor([1 + 0j, 2j]))
    tensor([ True, False])
    """
    x = lift(x)
    if x.dtype.kind == "c":
        return equal(imag_part(x), 0)  # type: ignore[no-any-return]
    return ones_like(x, dtype=bool)  # type: ignore[no-any-return]


def iscomplex(x: Any, /) -> Tensor:
    """Whether the imaginary part is not 0, for each element.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.iscomplex(tg.tensor([1 + 0j, 2j]))
    tensor([False,  True])
    """
    x = lift(x)
    if x.dtype.kind == "c":
        return imag_part(x) != 0  # type: ignore[no-any-return]
    return zeros_like(x, dtype=bool)  # type: ignore[no-any-return]


def real_if_close(x: Any, /, tol: float = 100) -> Any:
    """The real part, if no imaginary one is larger than ``tol`` times the spacing of the dtype; waits for the device.

    Parameters
    ----------
    x : Tensor
    tol : float
        Up to 1, the size itself.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.real_if_close(tg.tensor([2.1 + 4e-14j]))
    tensor([2.1])
    """
    x = lift(x)
    if x.dtype.kind != "c":
        return x
    limit = tol * finfo(x.dtype).eps if tol > 1 else tol
    values = x.detach() if isinstance(x, Tensor) else x
    return real(x) if bool((imag_part(values).abs() < limit).all()) else x


def sort_complex(x: Any, /) -> Any:
    """``x`` sorted along its last axis, by the real parts and where they are equal by the imaginary ones; complex.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.sort_complex(tg.tensor([2 + 1j, 1 + 5j, 2 - 1j]))
    tensor([1.+5.j, 2.-1.j, 2.+1.j], dtype=complex64)
    """
    x = lift(x)
    if x.dtype.kind != "c":
        small = x.dtype.itemsize <= (2 if x.dtype.kind in "iu" else 4)
        return cast(sort(x), dtypes.complex64 if small else dtypes.complex128)
    return take_along_axis(x, lexsort((imag_part(x), real_part(x))), axis=-1)
