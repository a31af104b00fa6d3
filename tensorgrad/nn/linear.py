"""Affine and bilinear layers."""

from __future__ import annotations

import math
from typing import Any

from ..ops.matmul import linear
from ..ops.memory import empty
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter

__all__ = ["Bilinear", "Identity", "Linear"]


class Identity(Module):
    """Returns its input. Takes and ignores any arguments, so that it can stand in for another layer.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.Identity(54, unused=True)(tg.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        """The input."""
        return input


class Linear(Module):
    """``y = x @ weight.T + bias``.

    Weight and bias are drawn from U(-k, k) with ``k = 1 / sqrt(in_features)``.

    Parameters
    ----------
    in_features, out_features : int
        Sizes of the last axis of input and output.
    bias : bool
        Whether there is a bias.

    Attributes
    ----------
    weight : Parameter
        Shape (out_features, in_features).
    bias : Parameter or None
        Shape (out_features,).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> layer = tg.nn.Linear(20, 30)
    >>> layer(tg.ones(128, 20)).shape
    (128, 30)
    """

    bias: Parameter | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(empty(out_features, in_features, dtype=dtype, device=device))
        self.register_parameter("bias", Parameter(empty(out_features, dtype=dtype, device=device)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # U(-1/sqrt(in_features), 1/sqrt(in_features))
        _uniform_by_fan(self.bias, self.in_features)

    def forward(self, input: Tensor) -> Tensor:
        """``(..., in_features) -> (..., out_features)``."""
        y: Tensor = linear(input, self.weight, self.bias)
        return y

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """``y_o = x1 @ weight_o @ x2 + bias_o``.

    Weight and bias are drawn from U(-k, k) with ``k = 1 / sqrt(in1_features)``.

    Parameters
    ----------
    in1_features, in2_features, out_features : int
        Sizes of the last axis of the inputs and of the output.
    bias : bool
        Whether there is a bias.

    Attributes
    ----------
    weight : Parameter
        Shape (out_features, in1_features, in2_features).
    bias : Parameter or None
        Shape (out_features,).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> layer = tg.nn.Bilinear(20, 30, 40)
    >>> layer(tg.ones(128, 20), tg.ones(128, 30)).shape
    (128, 40)
    """

    bias: Parameter | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if in1_features <= 0:
            raise ValueError(f"Bilinear: in1_features must be greater than 0, got {in1_features}")
        super().__init__()
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        self.weight = Parameter(empty(out_features, in1_features, in2_features, dtype=dtype, device=device))
        self.register_parameter("bias", Parameter(empty(out_features, dtype=dtype, device=device)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        _uniform_by_fan(self.weight, self.in1_features)
        _uniform_by_fan(self.bias, self.in1_features)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        """``(..., in1_features), (..., in2_features) -> (..., out_features)``."""
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


def _uniform_by_fan(parameter: Parameter | None, fan_in: int) -> None:
    """Draw from U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""
    if parameter is not None:
        bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0.0
        init.uniform_(parameter, -bound, bound)
