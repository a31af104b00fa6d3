"""Padding layers: constants, zeros, mirror images, the border, the other side."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import functional as F
from .module import Module

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d",
    "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d",
    "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class _Pad(Module):
    """Padding of the last axes.

    Parameters
    ----------
    padding : int or tuple of int
        On all sides, or ``(left, right)`` of the last axis, then of the one before, and so on.
    """

    _axes: int
    _mode = "constant"

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = (padding,) * (2 * self._axes) if hasattr(padding, "__index__") else tuple(padding)
        if len(self.padding) != 2 * self._axes:
            raise ValueError(f"{type(self).__name__}: padding must be an int or {2 * self._axes} ints, got {padding!r}")

    def forward(self, input: Tensor) -> Tensor:
        """The padded input."""
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    """Padding with a constant."""

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """The padded input."""
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """Pads the last axis with ``value``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.ConstantPad1d((1, 2), 9.0)(tg.tensor([[1.0, 2.0]]))
    tensor([[9., 1., 2., 9., 9.]])
    """

    _axes = 1


class ConstantPad2d(_ConstantPad):
    """Pads the last two axes with ``value``."""

    _axes = 2


class ConstantPad3d(_ConstantPad):
    """Pads the last three axes with ``value``."""

    _axes = 3


class ZeroPad1d(_Pad):
    """Pads the last axis with zeros."""

    _axes = 1


class ZeroPad2d(_Pad):
    """Pads the last two axes with zeros.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.ZeroPad2d((1, 0, 0, 1))(tg.ones(1, 1, 2))
    tensor([[[0., 1., 1.],
             [0., 0., 0.]]])
    """

    _axes = 2


class ZeroPad3d(_Pad):
    """Pads the last three axes with zeros."""

    _axes = 3


class ReflectionPad1d(_Pad):
    """Pads the last axis with the mirror image, without the border itself.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.ReflectionPad1d(2)(tg.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 2., 1., 2., 3., 2., 1.]])
    """

    _axes = 1
    _mode = "reflect"


class ReflectionPad2d(_Pad):
    """Pads the last two axes with the mirror image, without the border itself."""

    _axes = 2
    _mode = "reflect"


class ReflectionPad3d(_Pad):
    """Pads the last three axes with the mirror image, without the border itself."""

    _axes = 3
    _mode = "reflect"


class ReplicationPad1d(_Pad):
    """Pads the last axis with what stands at the border.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.ReplicationPad1d(1)(tg.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 1., 2., 3., 3.]])
    """

    _axes = 1
    _mode = "replicate"


class ReplicationPad2d(_Pad):
    """Pads the last two axes with what stands at the border."""

    _axes = 2
    _mode = "replicate"


class ReplicationPad3d(_Pad):
    """Pads the last three axes with what stands at the border."""

    _axes = 3
    _mode = "replicate"


class CircularPad1d(_Pad):
    """Pads the last axis with what stands on the other side.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.CircularPad1d(1)(tg.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 1., 2., 3., 1.]])
    """

    _axes = 1
    _mode = "circular"


class CircularPad2d(_Pad):
    """Pads the last two axes with what stands on the other side."""

    _axes = 2
    _mode = "circular"


class CircularPad3d(_Pad):
    """Pads the last three axes with what stands on the other side."""

    _axes = 3
    _mode = "circular"
