"""Affine and bilinear maps."""

from __future__ import annotations

from ...errors import ArgumentError
from ...ops import matmul as ops
from ...tensor import Tensor

__all__ = ["bilinear", "linear"]


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input @ weight.T + bias``.

    Parameters
    ----------
    input : Tensor
        Shape (..., in_features).
    weight : Tensor
        Shape (out_features, in_features), or (in_features,).
    bias : Tensor, optional
        Shape (out_features,).

    Returns
    -------
    Tensor
        Shape (..., out_features).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.functional.linear(tg.ones(1, 2), tg.ones(3, 2), tg.zeros(3))
    tensor([[2., 2., 2.]])
    """
    y: Tensor = ops.linear(input, weight, bias)
    return y


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``y_o = sum_ij input1_i weight_oij input2_j + bias_o``.

    Parameters
    ----------
    input1, input2 : Tensor
        Shapes (..., in1_features) and (..., in2_features) with the same leading axes.
    weight : Tensor
        Shape (out_features, in1_features, in2_features).
    bias : Tensor, optional
        Shape (out_features,).

    Returns
    -------
    Tensor
        Shape (..., out_features).
    """
    if weight.ndim != 3 or input1.shape[:-1] != input2.shape[:-1]:
        raise ArgumentError(
            f"bilinear: inputs of shapes {input1.shape} and {input2.shape} must have the same leading axes, and the "
            f"weight 3 axes (out_features, in1_features, in2_features), got {weight.shape}"
        )
    if (input1.shape[-1], input2.shape[-1]) != weight.shape[1:]:
        raise ArgumentError(
            f"bilinear: inputs of shapes {input1.shape} and {input2.shape} do not fit the weight, shape {weight.shape} "
            "(out_features, in1_features, in2_features)"
        )
    outputs, features1, features2 = weight.shape
    rows1, rows2 = input1.reshape(-1, features1), input2.reshape(-1, features2)
    left = linear(rows1, weight.transpose(1, 2).reshape(-1, features1))  # (rows, outputs * in2_features)
    y = (left.reshape(-1, outputs, features2) * rows2.expand_dims(1)).sum(-1)
    y = y.reshape(*input1.shape[:-1], outputs)
    return y if bias is None else y + bias
