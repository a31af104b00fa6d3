"""Convolution layers, transposed ones, and windows as columns."""

from __future__ import annotations

import math
from typing import Any

from ..ops.conv import per_axis
from ..ops.memory import empty
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter

__all__ = [
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Fold", "Unfold",
]  # fmt: skip

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(Module):
    """What all convolutions share: weight, bias, how they are drawn and shown.

    Weight and bias are drawn from U(-k, k) with ``k = sqrt(groups / (in_channels * prod(kernel_size)))``, for
    transposed convolutions with ``out_channels`` in the place of ``in_channels``.
    """

    bias: Parameter | None
    _axes: int
    _transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        output_padding: Any,
        dilation: Any,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        name, axes = type(self).__name__, self._axes
        if groups < 1:
            raise ValueError(f"{name}: groups must be at least 1, got {groups}")
        for what, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(f"{name}: {what} must be divisible by groups, got {channels} and {groups}")
        modes = ("zeros",) if self._transposed else _PADDING_MODES
        if padding_mode not in modes:
            raise ValueError(f"{name}: padding_mode must be one of {', '.join(modes)}, got {padding_mode!r}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, axes, 1)
        self.stride = per_axis(name, "stride", stride, axes, 1)
        self.dilation = per_axis(name, "dilation", dilation, axes, 1)
        self.padding: Any = padding
        if isinstance(padding, str):
            if padding not in ("same", "valid") or self._transposed:
                raise ValueError(f'{name}: padding must be numbers, "same" or "valid", got {padding!r}')
            if padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError(f'{name}: padding="same" needs stride 1, got {self.stride}')
        else:
            self.padding = per_axis(name, "padding", padding, axes)
        self.output_padding = per_axis(name, "output_padding", output_padding, axes)
        self.groups = groups
        self.padding_mode = padding_mode
        first, second = (in_channels, out_channels) if self._transposed else (out_channels, in_channels)
        self.weight = Parameter(empty(first, second // groups, *self.kernel_size, dtype=dtype, device=device))
        self.register_parameter("bias", Parameter(empty(out_channels, dtype=dtype, device=device)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in = self.weight.shape[1] * math.prod(self.kernel_size)
            bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
            init.uniform_(self.bias, -bound, bound)

    def _padded(self, input: Tensor) -> tuple[Tensor, Any]:
        """The input and the padding that is left for the convolution to do with zeros."""
        if self.padding_mode == "zeros":
            return input, self.padding
        if self.padding == "valid":
            return input, 0
        pairs = []
        for i in reversed(range(self._axes)):
            total = self.dilation[i] * (self.kernel_size[i] - 1)
            same = self.padding == "same"
            pairs += [total // 2, total - total // 2] if same else [self.padding[i], self.padding[i]]
        return F.pad(input, pairs, mode=self.padding_mode), 0

    def extra_repr(self) -> str:
        shown = [f"{self.in_channels}, {self.out_channels}", f"kernel_size={self.kernel_size}", f"stride={self.stride}"]
        if self.padding != (0,) * self._axes:
            shown.append(f"padding={self.padding}")
        if self.dilation != (1,) * self._axes:
            shown.append(f"dilation={self.dilation}")
        if self.output_padding != (0,) * self._axes:
            shown.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            shown.append(f"groups={self.groups}")
        if self.bias is None:
            shown.append("bias=False")
        if self.padding_mode != "zeros":
            shown.append(f"padding_mode={self.padding_mode}")
        return ", ".join(shown)


class _Conv(_Convolution):
    """PyTorch's constructor of a convolution."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            0,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        """``(N, in_channels, ...) -> (N, out_channels, ...)``, also without N."""
        x, padding = self._padded(input)
        function = (F.conv1d, F.conv2d, F.conv3d)[self._axes - 1]
        return function(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv1d(_Conv):
    """Convolution along the last axis of an input of shape (N, in_channels, L); see `Conv2d`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.Conv1d(16, 33, 3, stride=2)(tg.ones(20, 16, 50)).shape
    (20, 33, 24)
    """

    _axes = 1


class Conv2d(_Conv):
    r"""Convolution over the last two axes: :math:`y_o = b_o + \sum_c w_{oc} \star x_c`, cross-correlation as usual.

    Weight and bias are drawn from U(-k, k) with ``k = sqrt(groups / (in_channels * prod(kernel_size)))``.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, dilation : int or tuple of int
    padding : int, tuple of int, "same" or "valid"
        What is added on both sides of each axis; "same" keeps the size and needs stride 1.
    groups : int
        Channels are cut into this many groups which do not see each other.
    bias : bool
        Whether there is a bias.
    padding_mode : {"zeros", "reflect", "replicate", "circular"}

    Attributes
    ----------
    weight : Parameter
        Shape (out_channels, in_channels / groups, kH, kW).
    bias : Parameter or None
        Shape (out_channels,).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.Conv2d(3, 8, 3, padding="same")(tg.ones(2, 3, 10, 12)).shape
    (2, 8, 10, 12)
    """

    _axes = 2


class Conv3d(_Conv):
    """Convolution over the last three axes of an input of shape (N, in_channels, D, H, W); see `Conv2d`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.Conv3d(2, 4, 3)(tg.ones(1, 2, 5, 6, 7)).shape
    (1, 4, 3, 4, 5)
    """

    _axes = 3


class _ConvTranspose(_Convolution):
    """PyTorch's constructor of a transposed convolution."""

    _transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, output_padding, dilation, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        """``(N, in_channels, ...) -> (N, out_channels, ...)``; ``output_size`` chooses among the sizes that fit."""
        extra = self.output_padding if output_size is None else self._extra(input, tuple(output_size))
        function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self._axes - 1]
        return function(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def _extra(self, input: Tensor, wanted: tuple[int, ...]) -> tuple[int, ...]:
        """The output padding that gives the wanted size."""
        name, axes = type(self).__name__, self._axes
        wanted = wanted[-axes:] if len(wanted) in (axes + 1, axes + 2) else wanted
        if len(wanted) != axes:
            raise ValueError(f"{name}: output_size must have {axes} entries, got {wanted}")
        rows = zip(input.shape[-axes:], self.stride, self.padding, self.dilation, self.kernel_size, strict=True)
        least = tuple((n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in rows)
        extra = tuple(n - m for n, m in zip(wanted, least, strict=True))
        if any(not 0 <= e < s for e, s in zip(extra, self.stride, strict=True)):
            most = tuple(m + s - 1 for m, s in zip(least, self.stride, strict=True))
            raise ValueError(f"{name}: output_size must be between {least} and {most}, got {wanted}")
        return extra


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution along the last axis; see `ConvTranspose2d`."""

    _axes = 1


class ConvTranspose2d(_ConvTranspose):
    """The gradient of `Conv2d` by its input as a layer: every input element adds a scaled kernel to the output.

    Weight and bias are drawn from U(-k, k) with ``k = sqrt(groups / (out_channels * prod(kernel_size)))``.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding, dilation : int or tuple of int
        Those of the convolution; padding takes away from the output.
    output_padding : int or tuple of int
        Added to one side of the output's size; less than stride or dilation.
    groups : int
    bias : bool
    padding_mode : {"zeros"}

    Attributes
    ----------
    weight : Parameter
        Shape (in_channels, out_channels / groups, kH, kW).
    bias : Parameter or None
        Shape (out_channels,).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> layer = tg.nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1)
    >>> layer(tg.ones(1, 4, 5, 5)).shape, layer(tg.ones(1, 4, 5, 5), output_size=(10, 10)).shape
    ((1, 2, 9, 9), (1, 2, 10, 10))
    """

    _axes = 2


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution over the last three axes; see `ConvTranspose2d`."""

    _axes = 3


class Unfold(Module):
    """The windows of (N, C, H, W) as columns, (N, C * elements of a window, windows).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.Unfold((2, 3))(tg.ones(2, 5, 3, 4)).shape
    (2, 30, 4)
    """

    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        """``(N, C, H, W) -> (N, C * elements of a window, windows)``."""
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Module):
    """Columns, as `Unfold` makes them, added up where they came from.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.Fold((4, 5), (2, 2))(tg.ones(1, 12, 12)).shape
    (1, 3, 4, 5)
    """

    def __init__(
        self, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        """``(N, C * elements of a window, windows) -> (N, C, H, W)``."""
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )
