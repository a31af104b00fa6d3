"""Layers that pool windows at random distances; `tensorgrad.nn.functional` has the definitions."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import functional as F
from .module import Module

__all__ = ["FractionalMaxPool2d", "FractionalMaxPool3d"]


class _FractionalMaxPool(Module):
    """Maxima of windows at random distances, drawn anew in every call.

    Parameters
    ----------
    kernel_size : int or tuple of int
    output_size : int or tuple of int, optional
        How many windows there are along each axis.
    output_ratio : float or tuple of float, optional
        In place of ``output_size``: between 0 and 1, how many windows there are per pixel.
    return_indices : bool
        Whether `forward` returns also where each maximum stands in its flattened channel.
    _random_samples : Tensor, optional
        What decides on the distances, from U(0, 1), shape (N, C, axes).
    """

    _function: Any
    _axes: int

    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if (output_size is None) == (output_ratio is None):
            raise ValueError(
                f"{name}: give one of output_size and output_ratio, got {output_size!r} and {output_ratio!r}"
            )
        self.kernel_size = self._per_axis(kernel_size)
        self.output_size = None if output_size is None else self._per_axis(output_size)
        self.output_ratio = None if output_ratio is None else self._per_axis(output_ratio)
        if self.output_ratio is not None and not all(0 < r < 1 for r in self.output_ratio):
            raise ValueError(f"{name}: output_ratio must be between 0 and 1, got {output_ratio}")
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)

    def _per_axis(self, value: Any) -> tuple[Any, ...]:
        return tuple(value) if isinstance(value, (tuple, list)) else (value,) * self._axes

    def forward(self, input: Tensor) -> Any:
        """One value per window, and its index where wanted."""
        return self._function(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices, self._random_samples
        )


class FractionalMaxPool2d(_FractionalMaxPool):
    """Maxima of windows at random distances over the last two axes (Graham, 2014).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.FractionalMaxPool2d(3, output_size=(13, 12))(tg.ones(2, 4, 50, 32)).shape
    (2, 4, 13, 12)
    """

    _function = staticmethod(F.fractional_max_pool2d)
    _axes = 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """Maxima of windows at random distances over the last three axes; see `FractionalMaxPool2d`."""

    _function = staticmethod(F.fractional_max_pool3d)
    _axes = 3
