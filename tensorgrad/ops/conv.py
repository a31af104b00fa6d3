"""Convolution over any number of spatial axes, and transposed convolution.

Convolution is linear in the input and in the weight. Its two gradients are again linear in both of their operands, and
the three instructions are each other's gradients: the rules below close over them, for derivatives of any order.
"""

from __future__ import annotations

from typing import Any

from .. import kernels as K
from ..errors import ArgumentError
from .definition import Function, lift, primitive
from .elementwise import add
from .memory import zeros
from .precision import lowered
from .reduction import summed
from .shape import concat, reshape

__all__ = ["conv", "conv_transpose"]

Sizes = tuple[int, ...]


def _channel_sum(g: Any) -> Any:
    return summed(g, (0, *range(2, g.ndim)), False)


_conv: Function = primitive(
    "conv",
    K.conv,
    lambda g, x_shape, weight, stride, padding, dilation, groups: _input_gradient(
        g, weight, x_shape[2:], stride, padding, dilation, groups
    ),
    lambda g, x, weight_shape, stride, padding, dilation, groups: _weight_gradient(
        g, x, weight_shape[2:], stride, padding, dilation, groups
    ),
    lambda g: _channel_sum(g),
)
_input_gradient: Function = primitive(
    "conv_input_gradient",
    K.conv_input_gradient,
    lambda h, weight, stride, padding, dilation, groups: _conv(h, weight, None, stride, padding, dilation, groups),
    lambda h, g, weight_shape, stride, padding, dilation, groups: _weight_gradient(
        g, h, weight_shape[2:], stride, padding, dilation, groups
    ),
)
_weight_gradient: Function = primitive(
    "conv_weight_gradient",
    K.conv_weight_gradient,
    lambda h, x, stride, padding, dilation, groups: _conv(x, h, None, stride, padding, dilation, groups),
    lambda h, g, x_shape, stride, padding, dilation, groups: _input_gradient(
        g, h, x_shape[2:], stride, padding, dilation, groups
    ),
)


def per_axis(name: str, what: str, value: Any, axes: int, least: int = 0) -> Sizes:
    """One int per spatial axis, from an int or a sequence.

    Raises
    ------
    ValueError
        If there are not as many as axes, or one is less than ``least``.
    TypeError
        If they are not integers.
    """
    given = (value,) * axes if hasattr(value, "__index__") else value
    try:
        sizes = tuple(n.__index__() for n in given)
    except (AttributeError, TypeError):
        raise TypeError(f"{name}: {what} must be an int or {axes} ints, got {value!r}") from None
    if len(sizes) == 1:
        sizes *= axes
    if len(sizes) != axes or min(sizes, default=least) < least:
        raise ArgumentError(f"{name}: {what} must be an int or {axes} ints of at least {least}, got {value!r}")
    return sizes


def _checked(name: str, x: Any, weight: Any, bias: Any, groups: int, channel_axis: int) -> None:
    """Complain about operands that do not fit; ``channel_axis`` is the weight's axis of input channels."""
    if x.ndim < 3 or weight.ndim != x.ndim:
        raise ArgumentError(
            f"{name}: expected an input (N, C, ...) and a weight with as many axes, got shapes {x.shape} and "
            f"{weight.shape}"
        )
    if not hasattr(groups, "__index__") or groups < 1:
        raise ArgumentError(f"{name}: groups must be at least 1, got {groups}")
    if weight.shape[0] % groups:
        raise ArgumentError(
            f"{name}: {weight.shape[0]} channels, axis 0 of the weight, cannot be divided by {groups} groups"
        )
    wanted = weight.shape[channel_axis] * (groups if channel_axis else 1)
    if x.shape[1] != wanted:
        raise ArgumentError(
            f"{name}: a weight of shape {weight.shape} with groups={groups} needs an input of {wanted} channels, got "
            f"shape {x.shape}"
        )
    outputs = weight.shape[0] if channel_axis else weight.shape[1] * groups
    if bias is not None and bias.shape != (outputs,):
        raise ArgumentError(f"{name}: {outputs} output channels need a bias of shape ({outputs},), got {bias.shape}")
    if x.dtype != weight.dtype or (bias is not None and bias.dtype != weight.dtype) or x.dtype.kind not in "fV":
        given = ", ".join(str(t.dtype) for t in (x, weight, *(() if bias is None else (bias,))))
        raise TypeError(f"{name}: input, weight and bias must have one floating-point dtype, got {given}")


def conv(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    name: str = "conv",
) -> Any:
    r"""Cross-correlation, :math:`y_{no} = b_o + \sum_{c,k} w_{ock}\, x_{nc}[s\,o + d\,k - p]`, over all spatial axes.

    Parameters
    ----------
    x : Tensor
        Shape (N, C, ...).
    weight : Tensor
        Shape (O, C / groups, ...), as many axes as ``x``.
    bias : Tensor, optional
        Shape (O,).
    stride, padding, dilation : int or tuple of int
        Per spatial axis: steps between windows, zeros added on both sides, steps inside a window.
    groups : int
        Input and output channels are cut into this many groups, and a group of outputs sees its group of inputs only.
    name : str
        Who errors say was called.

    Returns
    -------
    Tensor
        Shape (N, O, ...) with ``floor((n + 2 padding - dilation (k - 1) - 1) / stride) + 1`` along each axis.

    Raises
    ------
    ValueError
        If the shapes do not fit or the window is larger than the padded input.
    TypeError
        If the operands have different dtypes.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> from tensorgrad.ops.conv import conv
    >>> conv(tg.tensor([[[1.0, 2.0, 3.0, 4.0]]]), tg.tensor([[[1.0, -1.0]]]))
    tensor([[[-1., -1., -1.]]])
    """
    x, weight, bias = lowered(lift(x), lift(weight), bias)
    _checked(name, x, weight, bias, groups, 1)
    axes = x.ndim - 2
    steps = per_axis(name, "stride", stride, axes, 1)
    margins = per_axis(name, "padding", padding, axes)
    holes = per_axis(name, "dilation", dilation, axes, 1)
    for n, k, p, d in zip(x.shape[2:], weight.shape[2:], margins, holes, strict=True):
        if k < 1 or n + 2 * p < d * (k - 1) + 1:
            raise ArgumentError(
                f"{name}: a kernel of size {weight.shape[2:]} with dilation {holes} does not fit into an input of size "
                f"{x.shape[2:]} with padding {margins}"
            )
    return _conv(x, weight, bias, steps, margins, holes, groups)


def conv_transpose(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    *,
    name: str = "conv_transpose",
) -> Any:
    """The gradient of `conv` by its input, as an op of its own: every input element adds a scaled kernel to the output.

    Parameters
    ----------
    x : Tensor
        Shape (N, C, ...).
    weight : Tensor
        Shape (C, O / groups, ...).
    bias : Tensor, optional
        Shape (O,).
    stride, padding, dilation : int or tuple of int
        Those of the convolution whose gradient this is.
    output_padding : int or tuple of int
        What is added to the output's size, less than stride or dilation: a convolution with a stride has the same
        output size for several input sizes.
    groups : int
    name : str
        Who errors say was called.

    Returns
    -------
    Tensor
        Shape (N, O, ...) with ``(n - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1`` along each axis.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> from tensorgrad.ops.conv import conv_transpose
    >>> conv_transpose(tg.tensor([[[1.0, 2.0]]]), tg.tensor([[[1.0, -1.0]]]), stride=2)
    tensor([[[ 1., -1.,  2., -2.]]])
    """
    x, weight, bias = lowered(lift(x), lift(weight), bias)
    _checked(name, x, weight, bias, groups, 0)
    axes = x.ndim - 2
    steps = per_axis(name, "stride", stride, axes, 1)
    margins = per_axis(name, "padding", padding, axes)
    extra = per_axis(name, "output_padding", output_padding, axes)
    holes = per_axis(name, "dilation", dilation, axes, 1)
    if any(e >= max(s, d) for e, s, d in zip(extra, steps, holes, strict=True)):
        raise ArgumentError(
            f"{name}: output_padding must be smaller than stride or dilation, got {extra} with stride {steps} and "
            f"dilation {holes}"
        )
    size = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, k, s, p, e, d in zip(x.shape[2:], weight.shape[2:], steps, margins, extra, holes, strict=True)
    )
    if min(size) < 1 or min(x.shape[2:]) < 1:
        raise ArgumentError(
            f"{name}: an input of size {x.shape[2:]} with a kernel of size {weight.shape[2:]}, stride {steps} and "
            f"padding {margins} has no output: its size would be {size}"
        )
    for axis, (e, s) in enumerate(zip(extra, steps, strict=True), 2):
        if e >= s:  # with dilation: the output reaches as far as if more inputs, of zero, followed
            more = zeros((*x.shape[:axis], e // s, *x.shape[axis + 1 :]), dtype=x.dtype, device=x.device)
            x = concat([x, more], axis)
    y = _input_gradient(x, weight, size, steps, margins, holes, groups)
    return y if bias is None else add(y, reshape(bias, (-1, *(1,) * axes)))
