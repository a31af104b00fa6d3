"""Discrete Fourier transforms by cuFFT, through CuPy.

``norm`` is "backward" (the inverse is divided by the number of points), "forward" (the other one is) or "ortho" (both
are, by its root).
"""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

__all__ = ["fft", "irfft", "rfft"]


def fft(x: Any, axes: tuple[int, ...], inverse: bool, norm: str, out: Any | None = None) -> Any:
    """The transform of a complex array over some axes, or its inverse."""
    y = (cupy.fft.ifftn if inverse else cupy.fft.fftn)(x, axes=axes, norm=norm)
    return _stored(y, x.dtype, out)


def rfft(x: Any, axis: int, norm: str, out: Any | None = None) -> Any:
    """The first half of the transform of a real array along an axis; the other half is its mirrored conjugate."""
    return _stored(cupy.fft.rfft(x, axis=axis, norm=norm), np.dtype(x.dtype.char.upper()), out)


def irfft(x: Any, size: int, axis: int, norm: str, out: Any | None = None) -> Any:
    """The real array of ``size`` points that `rfft` makes ``x`` of."""
    return _stored(cupy.fft.irfft(x, size, axis=axis, norm=norm), np.dtype(x.dtype.char.lower()), out)


def _stored(y: Any, dtype: Any, out: Any | None) -> Any:
    if out is None:
        return cupy.ascontiguousarray(y, dtype).reshape(y.shape)
    cupy.copyto(out, y, casting="unsafe")
    return out
