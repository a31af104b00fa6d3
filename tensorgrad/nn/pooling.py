"""Pooling layers; `tensorgrad.nn.functional` has the definitions."""

from __future__ import annotations

from typing import Any

from ..ops.conv import per_axis
from ..tensor import Tensor
from . import functional as F
from .module import Module

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "LPPool1d", "LPPool2d", "LPPool3d", "MaxPool1d",
    "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d",
]  # fmt: skip


class _MaxPool(Module):
    """Maximum of each window.

    Parameters
    ----------
    kernel_size, stride, padding, dilation : int or tuple of int
        ``stride`` is ``kernel_size`` unless given; padding never wins.
    return_indices : bool
        Whether `forward` returns also where each maximum stands in its flattened channel.
    ceil_mode : bool
        Whether a last window may stand out on the right.
    """

    _function: Any

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        """One value per window, and its index where wanted."""
        return self._function(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """Maxima of windows along the last axis; see `MaxPool2d`."""

    _function = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """Maxima of windows over the last two axes.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.MaxPool2d(2)(tg.arange(16.0).reshape(1, 4, 4))
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """

    _function = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    """Maxima of windows over the last three axes; see `MaxPool2d`."""

    _function = staticmethod(F.max_pool3d)


class _MaxUnpool(Module):
    """Zeros with the maxima of a pooling back where they stood.

    Parameters
    ----------
    kernel_size, stride, padding : int or tuple of int
        Those of the pooling.
    """

    _function: Any
    _axes: int

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, self._axes, 1)
        self.stride = self.kernel_size if stride is None else per_axis(name, "stride", stride, self._axes, 1)
        self.padding = per_axis(name, "padding", padding, self._axes)

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        """The input at its indices; ``output_size`` chooses among sizes that have as many windows."""
        y: Tensor = self._function(input, indices, self.kernel_size, self.stride, self.padding, output_size)
        return y

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Maxima back where they stood along the last axis; see `MaxUnpool2d`."""

    _function = staticmethod(F.max_unpool1d)
    _axes = 1


class MaxUnpool2d(_MaxUnpool):
    """Maxima back where they stood over the last two axes."""

    _function = staticmethod(F.max_unpool2d)
    _axes = 2


class MaxUnpool3d(_MaxUnpool):
    """Maxima back where they stood over the last three axes; see `MaxUnpool2d`."""

    _function = staticmethod(F.max_unpool3d)
    _axes = 3


class _AvgPool(Module):
    """Average of each window.

    Parameters
    ----------
    kernel_size, stride, padding : int or tuple of int
        ``stride`` is ``kernel_size`` unless given.
    ceil_mode : bool
        Whether a last window may stand out on the right.
    count_include_pad : bool
        Whether the zeros of the padding count as elements.
    divisor_override : int, optional
        What to divide by in place of the number of elements.
    """

    _function: Any

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """One value per window."""
        y: Tensor = self._function(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad,
            self.divisor_override,
        )  # fmt: skip
        return y

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(Module):
    """Averages of windows along the last axis.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.AvgPool1d(2)(tg.tensor([[1.0, 3.0, 5.0, 7.0]]))
    tensor([[2., 6.]])
    """

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = _single(kernel_size)
        self.stride = self.kernel_size if stride is None else _single(stride)
        self.padding = _single(padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """One value per window."""
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


def _single(value: Any) -> tuple[int, ...]:
    return (value,) if hasattr(value, "__index__") else tuple(value)


class AvgPool2d(_AvgPool):
    """Averages of windows over the last two axes.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.AvgPool2d(3, stride=2)(tg.ones(1, 2, 7, 7)).shape
    (1, 2, 3, 3)
    """

    _function = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPool):
    """Averages of windows over the last three axes; see `AvgPool2d`."""

    _function = staticmethod(F.avg_pool3d)


class _LPPool(Module):
    """``(sum of x ** norm_type) ** (1 / norm_type)`` of each window.

    Parameters
    ----------
    norm_type : float
    kernel_size, stride : int or tuple of int
        ``stride`` is ``kernel_size`` unless given.
    ceil_mode : bool
        Whether a last window may stand out on the right.
    """

    _function: Any

    def __init__(self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        """One value per window."""
        y: Tensor = self._function(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)
        return y

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """Norms of windows along the last axis; see `LPPool2d`."""

    _function = staticmethod(F.lp_pool1d)


class LPPool2d(_LPPool):
    """Norms of windows over the last two axes.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.LPPool2d(2, 2)(tg.ones(1, 2, 2))
    tensor([[[2.]]])
    """

    _function = staticmethod(F.lp_pool2d)


class LPPool3d(_LPPool):
    """Norms of windows over the last three axes; see `LPPool2d`."""

    _function = staticmethod(F.lp_pool3d)


class _AdaptiveAvgPool(Module):
    """Averages of ``output_size`` windows of nearly equal size; None keeps an axis.

    Parameters
    ----------
    output_size : int or None, or tuple of them
    """

    _function: Any

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """One value per window."""
        y: Tensor = self._function(input, self.output_size)
        return y

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Averages of as many windows as wanted along the last axis; see `AdaptiveAvgPool2d`."""

    _function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Averages of as many windows as wanted over the last two axes.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.AdaptiveAvgPool2d((None, 1))(tg.ones(1, 2, 7, 7)).shape
    (1, 2, 7, 1)
    """

    _function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Averages of as many windows as wanted over the last three axes; see `AdaptiveAvgPool2d`."""

    _function = staticmethod(F.adaptive_avg_pool3d)


class _AdaptiveMaxPool(Module):
    """Maxima of ``output_size`` windows of nearly equal size; None keeps an axis.

    Parameters
    ----------
    output_size : int or None, or tuple of them
    return_indices : bool
        Whether `forward` returns also where each maximum stands in its flattened channel.
    """

    _function: Any

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        """One value per window, and its index where wanted."""
        return self._function(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Maxima of as many windows as wanted along the last axis; see `AdaptiveMaxPool2d`."""

    _function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Maxima of as many windows as wanted over the last two axes.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.AdaptiveMaxPool2d(3)(tg.ones(1, 2, 7, 7)).shape
    (1, 2, 3, 3)
    """

    _function = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Maxima of as many windows as wanted over the last three axes; see `AdaptiveMaxPool2d`."""

    _function = staticmethod(F.adaptive_max_pool3d)
