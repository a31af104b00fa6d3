"""Batch normalisation that follows a linear map, folded into its weight for inference."""

from __future__ import annotations

import copy
from typing import TypeVar

from ...ops.elementwise import rsqrt
from ...ops.memory import ones_like, zeros_like
from ...tape import no_grad
from ...tensor import Tensor
from ..module import Module
from ..parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]

_M = TypeVar("_M", bound=Module)


def _scale_and_shift(
    bias: Tensor | None, mean: Tensor, var: Tensor, eps: float, weight: Tensor | None, shift: Tensor | None
) -> tuple[Tensor, Tensor]:
    """What the weights of each channel are multiplied by, and the bias in the end."""
    factor = rsqrt(var + eps) * (ones_like(mean) if weight is None else weight)
    start = zeros_like(mean) if bias is None else bias
    return factor, (start - mean) * factor + (zeros_like(mean) if shift is None else shift)


def _parameters(
    weight: Tensor, bias: Tensor, old_weight: Tensor, old_bias: Tensor | None
) -> tuple[Parameter, Parameter]:
    """The new weight and bias, to be trained where the old ones were."""
    return (
        Parameter(weight.astype(old_weight.dtype), old_weight.requires_grad),
        Parameter(bias.astype(old_weight.dtype), old_bias is not None and old_bias.requires_grad),
    )


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of a convolution that does what it and a batch norm did.

    Parameters
    ----------
    conv_w, conv_b : Tensor
        Weight and bias of the convolution; the bias may be None.
    bn_rm, bn_rv : Tensor
        Running mean and variance, one per channel.
    bn_eps : float
    bn_w, bn_b : Tensor or None
        Weight and bias of the batch norm.
    transpose : bool
        Whether the convolution is transposed, so that its output channels are axis 1.
    """
    with no_grad():
        factor, bias = _scale_and_shift(conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)
        shape = [1] * conv_w.ndim
        shape[1 if transpose else 0] = -1
        return _parameters(conv_w * factor.reshape(*shape), bias, conv_w, conv_b)


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of a linear layer that does what it and a batch norm did; see `fuse_conv_bn_weights`."""
    with no_grad():
        factor, bias = _scale_and_shift(linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)
        return _parameters(linear_w * factor.expand_dims(1), bias, linear_w, linear_b)


def _check(name: str, layer: Module, bn: Module) -> None:
    if layer.training or bn.training:
        raise ValueError(f"{name}: fusing is for inference; call .eval() on both modules first")
    if bn.running_mean is None or bn.running_var is None:
        raise ValueError(f"{name}: the batch norm has no running statistics")


def fuse_conv_bn_eval(conv: _M, bn: Module, transpose: bool = False) -> _M:
    """A copy of ``conv`` that does what ``conv`` and then ``bn`` do in `eval` mode.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> conv, bn = tg.nn.Conv2d(3, 8, 3).eval(), tg.nn.BatchNorm2d(8).eval()
    >>> tg.nn.utils.fuse_conv_bn_eval(conv, bn)(tg.ones(1, 3, 5, 5)).shape
    (1, 8, 3, 3)
    """
    _check("fuse_conv_bn_eval", conv, bn)
    fused = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


def fuse_linear_bn_eval(linear: _M, bn: Module) -> _M:
    """A copy of ``linear`` that does what ``linear`` and then ``bn`` do in `eval` mode.

    Raises
    ------
    ValueError
        If a module is in training mode, or the batch norm does not have one feature per output, or just one.
    """
    _check("fuse_linear_bn_eval", linear, bn)
    if bn.num_features not in (1, linear.out_features):
        raise ValueError(
            f"fuse_linear_bn_eval: {linear.out_features} outputs do not fit a batch norm of {bn.num_features} features"
        )
    fused = copy.deepcopy(linear)
    fused.weight, fused.bias = fuse_linear_bn_weights(
        linear.weight, linear.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused
