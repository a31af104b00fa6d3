"""Discrete Fourier transforms: the array API's ``fft``, differentiable.

With N points, ``fft(x)[k]`` is the sum over n of ``x[n] * exp(-2j * pi * k * n / N)``. ``norm`` says which of a pair of
transforms is divided by N: the inverse (``"backward"``), the other (``"forward"``), or each by the root of N
(``"ortho"``). Single precision stays single precision; integers become the default floating dtype.

Examples
--------
>>> import tensorgrad as tg
>>> x = tg.tensor([1.0, 0.0, -1.0, 0.0])
>>> tg.fft.rfft(x)
tensor([0.+0.j, 2.+0.j, 0.+0.j], dtype=complex64)
>>> tg.fft.irfft(tg.fft.rfft(x))
tensor([ 1.,  0., -1.,  0.])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import kernels as K
from .backend import empty as empty_array
from .backend import resolve_device
from .dtypes import DType, complex64, complex128, dtype_of, float32, get_default_dtype, is_floating
from .errors import integer, integers
from .ops import fourier
from .ops.arrangement import roll
from .ops.complex_parts import conj
from .ops.cumulative import part
from .ops.definition import lift
from .ops.memory import cast, zeros
from .ops.reduction import normalize_axes
from .ops.shape import concat
from .tensor import Tensor

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "hfft2", "hfftn", "ifft", "ifft2", "ifftn", "ifftshift",
    "ihfft", "ihfft2", "ihfftn", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip

_LAST_TWO = (-2, -1)
_COMPLEX: dict[str, DType] = {"f": complex64, "d": complex128}  # those of the real dtypes that there are transforms of
Sizes = int | Sequence[int] | None


# ------------------------------------------------------------------------------------------------------------ arguments
def _norm(name: str, norm: str | None) -> str:
    if norm is not None and (not isinstance(norm, str) or norm not in fourier.OTHER_WAY):
        raise ValueError(f'{name}: norm must be "backward", "forward" or "ortho", got {norm!r}')
    return norm or "backward"


def _operand(name: str, x: Any, wanted: str) -> Tensor:
    """The tensor to transform, real or complex as ``wanted`` says."""
    x = lift(x)
    dtype = x.dtype
    if dtype.char in _COMPLEX or dtype.kind == "c":  # most calls
        pass
    elif dtype.kind in "biu":
        x = cast(x, get_default_dtype() if get_default_dtype().itemsize > 2 else float32)
    else:
        raise TypeError(f"{name}: no transforms of {dtype}; use .astype(tg.float32) first")
    if wanted == "real" and dtype.kind == "c":
        raise TypeError(f"{name}: expected a real tensor, got {dtype} of shape {x.shape}")
    if wanted == "complex" and dtype.kind != "c":
        x = cast(x, _COMPLEX[x.dtype.char])
    return x  # type: ignore[no-any-return]


def _axes(
    name: str, x: Tensor, s: Sequence[int] | None, axes: int | Sequence[int] | None
) -> tuple[list[int | None] | None, tuple[int, ...]]:
    """The sizes, None where the tensor's or all of them are, and the axes of a transform over several axes."""
    if s is None:
        plain = axes is None or isinstance(axes, (int, tuple))
        return None, normalize_axes(name, axes if plain else integers(axes, "axes", name), x.ndim)
    s = integers(s, "s", name)
    chosen = range(x.ndim - len(s), x.ndim) if axes is None else integers(axes, "axes", name)
    if len(s) != len(chosen):
        raise ValueError(f"{name}: s={tuple(s)} and axes={tuple(chosen)} differ in length")
    numbers = normalize_axes(name, tuple(chosen), x.ndim)
    return [None if n == -1 else n for n in s], numbers


def _sized(name: str, x: Tensor, sizes: Sequence[int | None] | None, axes: Sequence[int]) -> Tensor:
    """The tensor cut to the sizes, or filled up with zeros at the end."""
    if sizes is None:
        if x.size:
            return x
        sizes = [None] * len(axes)
    for n, axis in zip(sizes, axes, strict=True):
        have = x.shape[axis]
        wanted = have if n is None else n
        if wanted < 1:
            raise ValueError(f"{name}: a transform needs at least 1 point, got {wanted} along axis {axis} of {x.shape}")
        if wanted < have:
            x = part(x, axis, 0, wanted)
        elif wanted > have:
            shape = (*x.shape[:axis], wanted - have, *x.shape[axis + 1 :])
            x = concat([x, zeros(shape, dtype=x.dtype, device=x.device)], axis)
    return x


def _full(name: str, x: Any, s: Any, axes: Any, inverse: bool, norm: str | None) -> Tensor:
    x, norm = _operand(name, x, "complex"), _norm(name, norm)
    sizes, numbers = _axes(name, x, s, axes)
    y: Tensor = _sized(name, x, sizes, numbers)
    return fourier.fft(y, numbers, inverse, norm) if numbers else y


def _half(name: str, x: Any, s: Any, axes: Any, norm: str | None) -> Tensor:
    """Real to half complex over the last axis, then complex over the others."""
    x, norm = _operand(name, x, "real"), _norm(name, norm)
    sizes, numbers = _axes(name, x, s, axes)
    if not numbers:
        raise ValueError(f"{name}: needs at least one axis, shape {x.shape} has none of those asked for")
    y = fourier.rfft(_sized(name, x, sizes, numbers), numbers[-1], norm)
    return fourier.fft(y, numbers[:-1], False, norm) if numbers[1:] else y  # type: ignore[no-any-return]


def _real(name: str, x: Any, s: Any, axes: Any, norm: str | None) -> Tensor:
    """Complex over all axes but the last, then half complex to real over that."""
    x, norm = _operand(name, x, "complex"), _norm(name, norm)
    sizes, numbers = _axes(name, x, s, axes)
    if not numbers:
        raise ValueError(f"{name}: needs at least one axis, shape {x.shape} has none of those asked for")
    own = 2 * (x.shape[numbers[-1]] - 1)
    size = own if sizes is None or sizes[-1] is None else sizes[-1]
    if size < 1:
        raise ValueError(
            f"{name}: a transform needs at least 1 point, got {size} along axis {numbers[-1]} of {x.shape}"
        )
    wanted = None if sizes is None else [*sizes[:-1], size // 2 + 1]
    y = _sized(name, x, wanted, numbers)
    if numbers[1:]:
        y = fourier.fft(y, numbers[:-1], True, norm)
    return fourier.irfft(y, size, numbers[-1], norm)  # type: ignore[no-any-return]


def _one(name: str, n: int | None) -> list[int] | None:
    if n is not None and integer(n, "n", name) < 1:
        raise ValueError(f"{name}: a transform needs at least 1 point, got n={n}")
    return None if n is None else [n]


# ------------------------------------------------------------------------------------------------------- over one axis
def fft(x: Any, /, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """The transform along an axis.

    Parameters
    ----------
    x : Tensor
        Real or complex.
    n : int, optional
        Number of points: the axis is cut, or filled up with zeros, to it.
    axis : int
    norm : {"backward", "ortho", "forward"}
        None means ``"backward"``.

    Returns
    -------
    Tensor
        Complex, ``n`` long along the axis.

    Raises
    ------
    ValueError, IndexError, TypeError
        If ``n``, ``norm``, the axis or the dtype make no transform.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.fft.fft(tg.tensor([1.0, 0.0, 0.0]), n=2)
    tensor([1.+0.j, 1.+0.j], dtype=complex64)
    """
    return _full("fft", x, _one("fft", n), (axis,), False, norm)


def ifft(x: Any, /, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """The inverse of `fft`, with its parameters."""
    return _full("ifft", x, _one("ifft", n), (axis,), True, norm)


def rfft(x: Any, /, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """The first ``n // 2 + 1`` frequencies of `fft` of a real tensor; the others are their mirrored conjugates."""
    return _half("rfft", x, _one("rfft", n), (axis,), norm)


def irfft(x: Any, /, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """The inverse of `rfft`: ``n`` real points, by default an even number, ``2 * (frequencies - 1)``."""
    return _real("irfft", x, _one("irfft", n), (axis,), norm)


def hfft(x: Any, /, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """`fft` of points of which the second half is the mirrored conjugate of the first, which is given; real."""
    x, norm = _operand("hfft", x, "complex"), _norm("hfft", norm)
    return _real("hfft", conj(x), _one("hfft", n), (axis,), fourier.OTHER_WAY[norm])


def ihfft(x: Any, /, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Tensor:
    """The inverse of `hfft`: the first half of the inverse transform of a real tensor."""
    x, norm = _operand("ihfft", x, "real"), _norm("ihfft", norm)
    y: Tensor = conj(_half("ihfft", x, _one("ihfft", n), (axis,), fourier.OTHER_WAY[norm]))
    return y


# --------------------------------------------------------------------------------------------------- over several axes
def fftn(x: Any, /, s: Sizes = None, axes: Sizes = None, norm: str | None = "backward") -> Tensor:
    """The transform over several axes, by default all; ``s`` are the numbers of points along them.

    Without ``axes``, ``s`` is for the last ones. A size of -1 is the tensor's own.
    """
    return _full("fftn", x, s, axes, False, norm)


def ifftn(x: Any, /, s: Sizes = None, axes: Sizes = None, norm: str | None = "backward") -> Tensor:
    """The inverse of `fftn`, with its parameters."""
    return _full("ifftn", x, s, axes, True, norm)


def rfftn(x: Any, /, s: Sizes = None, axes: Sizes = None, norm: str | None = "backward") -> Tensor:
    """`rfft` over the last of the axes, `fftn` over the others."""
    return _half("rfftn", x, s, axes, norm)


def irfftn(x: Any, /, s: Sizes = None, axes: Sizes = None, norm: str | None = "backward") -> Tensor:
    """The inverse of `rfftn`; real."""
    return _real("irfftn", x, s, axes, norm)


def fft2(x: Any, /, s: Sizes = None, axes: Sizes = _LAST_TWO, norm: str | None = "backward") -> Tensor:
    """`fftn` over the last two axes."""
    return _full("fft2", x, s, axes, False, norm)


def ifft2(x: Any, /, s: Sizes = None, axes: Sizes = _LAST_TWO, norm: str | None = "backward") -> Tensor:
    """`ifftn` over the last two axes."""
    return _full("ifft2", x, s, axes, True, norm)


def rfft2(x: Any, /, s: Sizes = None, axes: Sizes = _LAST_TWO, norm: str | None = "backward") -> Tensor:
    """`rfftn` over the last two axes."""
    return _half("rfft2", x, s, axes, norm)


def irfft2(x: Any, /, s: Sizes = None, axes: Sizes = _LAST_TWO, norm: str | None = "backward") -> Tensor:
    """`irfftn` over the last two axes."""
    return _real("irfft2", x, s, axes, norm)


def hfftn(x: Any, /, s: Sizes = None, axes: Sizes = None, norm: str | None = "backward") -> Tensor:
    """`hfft` over the last of the axes, `fftn` over the others; real."""
    x, norm = _operand("hfftn", x, "complex"), _norm("hfftn", norm)
    return _real("hfftn", conj(x), s, axes, fourier.OTHER_WAY[norm])


def ihfftn(x: Any, /, s: Sizes = None, axes: Sizes = None, norm: str | None = "backward") -> Tensor:
    """The inverse of `hfftn`."""
    x, norm = _operand("ihfftn", x, "real"), _norm("ihfftn", norm)
    y: Tensor = conj(_half("ihfftn", x, s, axes, fourier.OTHER_WAY[norm]))
    return y


def hfft2(x: Any, /, s: Sizes = None, axes: Sizes = _LAST_TWO, norm: str | None = "backward") -> Tensor:
    """`hfftn` over the last two axes."""
    return hfftn(x, s, axes, norm)


def ihfft2(x: Any, /, s: Sizes = None, axes: Sizes = _LAST_TWO, norm: str | None = "backward") -> Tensor:
    """`ihfftn` over the last two axes."""
    return ihfftn(x, s, axes, norm)


# ---------------------------------------------------------------------------------------------------------- frequencies
def _frequencies(name: str, n: int, d: float, half: bool, dtype: Any, device: Any) -> Tensor:
    """Those of the points in order; in a whole spectrum, the second half's are negative."""
    if integer(n, "n", name) < 1:
        raise ValueError(f"{name}: n must be at least 1, got {n}")
    kind = get_default_dtype() if dtype is None else dtype_of(dtype)
    if not is_floating(kind):
        raise TypeError(f"{name}: dtype must be real and floating, got {kind}")
    array = empty_array((n // 2 + 1 if half else n,), kind, resolve_device(device))
    end = array.size if half else (n + 1) // 2
    K.arange(array[:end], 0, 1)
    if end < array.size:
        K.arange(array[end:], end - n, 1)
    return Tensor(K.multiply(array, 1.0 / (n * d), array))


def fftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Tensor:
    """The frequencies of `fft` of ``n`` points at distances ``d``, in cycles per unit of ``d``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.fft.fftfreq(4, d=0.5)
    tensor([ 0. ,  0.5, -1. , -0.5])
    """
    return _frequencies("fftfreq", n, d, False, dtype, device)


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Tensor:
    """The frequencies of `rfft` of ``n`` points at distances ``d``."""
    return _frequencies("rfftfreq", n, d, True, dtype, device)


def _rolled(name: str, x: Any, axes: int | Sequence[int] | None, forth: bool) -> Tensor:
    x = lift(x)
    numbers = _axes(name, x, None, axes)[1]
    shape = x.shape
    half = tuple([shape[a] // 2 if forth else -(shape[a] // 2) for a in numbers])
    return roll(x, half, axis=numbers)  # type: ignore[no-any-return]


def fftshift(x: Any, /, *, axes: int | Sequence[int] | None = None) -> Tensor:
    """Move the frequency 0 into the middle of the axes, by default of all.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.fft.fftshift(tg.tensor([0, 1, 2, -2, -1]))
    tensor([-2, -1,  0,  1,  2])
    """
    return _rolled("fftshift", x, axes, True)


def ifftshift(x: Any, /, *, axes: int | Sequence[int] | None = None) -> Tensor:
    """The inverse of `fftshift`."""
    return _rolled("ifftshift", x, axes, False)
