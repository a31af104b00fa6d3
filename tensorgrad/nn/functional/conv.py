"""Convolution and transposed convolution over one to three spatial axes, and windows as columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import ArgumentError
from ...ops import conv as ops
from ...ops import pool as columns
from ...ops.complex_parts import join_parts
from ...tensor import Tensor
from .padding import pad

__all__ = [
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "fold", "unfold",
]  # fmt: skip


def batched(name: str, axes: int, input: Tensor, function: Callable[[Tensor], Any]) -> Any:
    """Apply a function of (N, C, ...) also to (C, ...), as a batch of one."""
    if input.ndim not in (axes + 1, axes + 2):
        raise ArgumentError(
            f"{name}: expected an input with {axes + 2} axes, or {axes + 1} without a batch, got shape {input.shape}"
        )
    if input.ndim == axes + 2:
        return function(input)
    made = function(input.expand_dims(0))
    return tuple(y.squeeze(0) for y in made) if isinstance(made, tuple) else made.squeeze(0)


def _conv(
    axes: int, input: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Tensor:
    name = f"conv{axes}d"
    if weight.ndim != axes + 2:
        raise ArgumentError(
            f"{name}: expected a weight with {axes + 2} axes (out_channels, in_channels / groups, ...), got shape "
            f"{weight.shape}"
        )
    if isinstance(padding, str):
        input, padding = _by_name(name, axes, input, weight, stride, padding, dilation)
    if input.dtype.kind == weight.dtype.kind == "c":
        return _of_parts(input, weight, bias, lambda x, w: _conv(axes, x, w, None, stride, padding, dilation, groups))
    y: Tensor = batched(
        name, axes, input, lambda x: ops.conv(x, weight, bias, stride, padding, dilation, groups, name=name)
    )
    return y


def _of_parts(input: Tensor, weight: Tensor, bias: Any, function: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """A bilinear function of complex tensors, from that of real ones, plus a bias per channel."""
    (a, b), (c, d) = ((x.real, x.imag) for x in (input, weight))
    y: Tensor = join_parts(function(a, c) - function(b, d), function(a, d) + function(b, c))
    return y if bias is None else y + bias.reshape(-1, *(1,) * (weight.ndim - 2))


def _by_name(
    name: str, axes: int, input: Tensor, weight: Tensor, stride: Any, padding: str, dilation: Any
) -> tuple[Tensor, Any]:
    """The input and the padding in numbers that ``"same"`` or ``"valid"`` mean."""
    if padding == "valid":
        return input, 0
    if padding != "same":
        raise ArgumentError(f'{name}: padding must be "same", "valid" or numbers, got {padding!r}')
    if any(s != 1 for s in ops.per_axis(name, "stride", stride, axes, 1)):
        raise ArgumentError(f'{name}: padding="same" needs stride 1, got {stride}')
    holes = ops.per_axis(name, "dilation", dilation, axes, 1)
    total = [d * (k - 1) for d, k in zip(holes, weight.shape[2:], strict=True)]
    if any(t % 2 for t in total):  # one more on the right
        input = pad(input, [n for t in reversed(total) for n in (0, t % 2)])
    return input, tuple(t // 2 for t in total)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation along one axis; see `conv2d`."""
    return _conv(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    r"""Cross-correlation, :math:`y_{no} = b_o + \sum_{c,k} w_{ock}\, x_{nc}[s\,o + d\,k - p]`.

    Parameters
    ----------
    input : Tensor
        Shape (N, C, H, W) or (C, H, W).
    weight : Tensor
        Shape (O, C / groups, kH, kW).
    bias : Tensor, optional
        Shape (O,).
    stride, dilation : int or tuple of int
    padding : int, tuple of int, "valid" or "same"
        Zeros on both sides of each axis; "same" keeps the size and needs stride 1.
    groups : int

    Returns
    -------
    Tensor
        Shape (N, O, ...) with ``floor((n + 2 padding - dilation (k - 1) - 1) / stride) + 1`` along each axis.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.functional.conv2d(tg.ones(1, 1, 3, 3), tg.ones(1, 1, 2, 2))
    tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation over three axes; see `conv2d`."""
    return _conv(3, input, weight, bias, stride, padding, dilation, groups)


def _transposed(
    axes: int,
    input: Tensor,
    weight: Tensor,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Tensor:
    name = f"conv_transpose{axes}d"
    if input.dtype.kind == weight.dtype.kind == "c":
        rest = stride, padding, output_padding, groups, dilation
        return _of_parts(input, weight, bias, lambda x, w: _transposed(axes, x, w, None, *rest))
    y: Tensor = batched(
        name,
        axes,
        input,
        lambda x: ops.conv_transpose(x, weight, bias, stride, padding, output_padding, groups, dilation, name=name),
    )
    return y


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The gradient of `conv1d` by its input, as a function of its own; see `conv_transpose2d`."""
    return _transposed(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The gradient of `conv2d` by its input, as a function of its own.

    Parameters
    ----------
    input : Tensor
        Shape (N, C, H, W) or (C, H, W).
    weight : Tensor
        Shape (C, O / groups, kH, kW).
    bias : Tensor, optional
        Shape (O,).
    stride, padding, dilation : int or tuple of int
        Those of the convolution.
    output_padding : int or tuple of int
        Added to the output's size; less than stride or dilation.
    groups : int

    Returns
    -------
    Tensor
        Shape (N, O, ...) with ``(n - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1`` along each axis.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.functional.conv_transpose2d(tg.ones(1, 1, 2, 2), tg.ones(1, 1, 2, 2)).sum().item()
    16.0
    """
    return _transposed(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The gradient of `conv3d` by its input, as a function of its own; see `conv_transpose2d`."""
    return _transposed(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def unfold(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """The windows of an input of shape (N, C, H, W) as columns: (N, C * elements of a window, windows).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.functional.unfold(tg.ones(1, 2, 4, 4), 3).shape
    (1, 18, 4)
    """
    y: Tensor = batched("unfold", 2, input, lambda x: columns.unfold(x, kernel_size, dilation, padding, stride))
    return y


def fold(
    input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Columns, as `unfold` makes them, added up where they came from: (N, C, H, W).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.functional.fold(tg.ones(1, 18, 4), 4, 3).shape
    (1, 2, 4, 4)
    """
    y: Tensor = batched(
        "fold", 1, input, lambda x: columns.fold(x, output_size, kernel_size, dilation, padding, stride)
    )
    return y
