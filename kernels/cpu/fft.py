"""Discrete Fourier transforms on NumPy, whose transforms of single precision stay in single precision.

``norm`` is "backward" (the inverse is divided by the number of points), "forward" (the other one is) or "ortho" (both
are, by its root).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

__all__ = ["fft", "irfft", "rfft"]

Array = np.ndarray[Any, np.dtype[Any]]
Norm = Literal["backward", "ortho", "forward"]


def fft(x: Array, axes: tuple[int, ...], inverse: bool, norm: Norm, out: Array | None = None) -> Array:
    """The transform of a complex array over some axes, or its inverse."""
    if len(axes) == 1:
        y = (np.fft.ifft if inverse else np.fft.fft)(x, None, axes[0], norm)
    else:
        y = (np.fft.ifftn if inverse else np.fft.fftn)(x, None, axes, norm)
    return _stored(y, x.dtype, out)


def rfft(x: Array, axis: int, norm: Norm, out: Array | None = None) -> Array:
    """The first half of the transform of a real array along an axis; the other half is its mirrored conjugate."""
    return _stored(np.fft.rfft(x, axis=axis, norm=norm), np.dtype(x.dtype.char.upper()), out)


def irfft(x: Array, size: int, axis: int, norm: Norm, out: Array | None = None) -> Array:
    """The real array of ``size`` points that `rfft` makes ``x`` of."""
    return _stored(np.fft.irfft(x, size, axis=axis, norm=norm), np.dtype(x.dtype.char.lower()), out)


def _stored(y: Array, dtype: Any, out: Array | None) -> Array:
    if out is None:
        if y.dtype == dtype and y.flags.c_contiguous:
            return y
        return np.ascontiguousarray(y, dtype).reshape(y.shape)
    np.copyto(out, y, casting="unsafe")
    return out
