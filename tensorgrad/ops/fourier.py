"""Discrete Fourier transforms as ops.

The matrix of the transform is symmetric, and gradients travel conjugated: so the gradient of a transform is the same
transform. That of a half spectrum is the inverse one with the weights of its frequencies, of which those between the
first and the last stand for two.
"""

from __future__ import annotations

from typing import Any

from .. import kernels as K
from .complex_parts import conj
from .cumulative import part
from .definition import Function, primitive
from .elementwise import multiply
from .shape import concat

__all__ = ["OTHER_WAY", "fft", "irfft", "rfft"]

OTHER_WAY = {"backward": "forward", "forward": "backward", "ortho": "ortho"}  # the ``norm`` of the adjoint

fft: Function = primitive("fft", K.fft, lambda g, axes, inverse, norm: fft(g, axes, inverse, norm))
fft.__doc__ = "The transform of a complex tensor over some axes, or its inverse; ``norm`` as in `tg.fft`."

rfft: Function = primitive(
    "rfft",
    K.rfft,
    lambda g, x_shape, axis, norm: irfft(
        _weighted(conj(g), axis, x_shape[axis], 0.5), x_shape[axis], axis, OTHER_WAY[norm]
    ),
)
rfft.__doc__ = "The first half of the transform of a real tensor along an axis."

irfft: Function = primitive(
    "irfft",
    K.irfft,
    lambda g, x_shape, size, axis, norm: conj(_weighted(rfft(g, axis, OTHER_WAY[norm]), axis, size, 2.0)),
)
irfft.__doc__ = "The real tensor of ``size`` points whose `rfft` is given, ``size // 2 + 1`` frequencies long."


def _weighted(x: Any, axis: int, size: int, weight: float) -> Any:
    """A half spectrum of ``size`` points with those frequencies weighted that have a mirrored one."""
    end = (size + 1) // 2
    parts = [part(x, axis, 0, 1), multiply(part(x, axis, 1, end), weight), part(x, axis, end, None)]
    return concat(parts, axis)
