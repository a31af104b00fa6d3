"""Activation functions, each with a fused forward and backward kernel, and bias with activation in one."""

from __future__ import annotations

import math
from typing import Any

from .. import kernels as K
from ..errors import ArgumentError
from .definition import Function, lift, primitive, unary
from .elementwise import add, exp, multiply, negative, square, subtract, tanh, tanh_backward
from .memory import zeros_like
from .reduction import summed

__all__ = ["bias_activation", "gelu", "relu", "sigmoid", "silu"]

# ---------------------------------------------------------------------------------------------------------------- relu
relu: Function = unary(
    "relu",
    K.relu,
    lambda g, out: _relu_backward(g, out),
    fractional=False,
    backward=K.relu_backward,
    doc="``max(x, 0)``.",
)
_relu_backward: Function = primitive(
    "relu_backward", K.relu_backward, lambda h, y: _relu_backward(h, y), lambda h: zeros_like(h)
)

# ------------------------------------------------------------------------------------------------------------- sigmoid
sigmoid: Function = unary(
    "sigmoid",
    K.sigmoid,
    lambda g, out: _sigmoid_backward(g, out),
    backward=K.sigmoid_backward,
    doc="``1 / (1 + exp(-x))``.",
)
_sigmoid_backward: Function = primitive(
    "sigmoid_backward",
    K.sigmoid_backward,
    lambda h, y: _sigmoid_backward(h, y),
    lambda h, g, y: multiply(multiply(h, g), subtract(1.0, multiply(y, 2.0))),
)

# ---------------------------------------------------------------------------------------------------------------- silu
silu: Function = unary(
    "silu",
    K.silu,
    lambda g, x: _silu_backward(g, x),
    backward=K.silu_backward,
    doc="``x * sigmoid(x)``, also called swish.",
)
_silu_backward: Function = primitive(
    "silu_backward",
    K.silu_backward,
    lambda h, x: _silu_backward(h, x),
    lambda h, g, x: multiply(multiply(h, g), _silu_curvature(x)),
)


def _silu_curvature(x: Any) -> Any:
    """Second derivative, ``s (1 - s) (2 + x (1 - 2 s))`` with s the sigmoid."""
    s = sigmoid(x)
    return multiply(multiply(s, subtract(1.0, s)), add(multiply(x, subtract(1.0, multiply(s, 2.0))), 2.0))


# ---------------------------------------------------------------------------------------------------------------- gelu
_gelu: Function = primitive("gelu", K.gelu, lambda g, x, out, tanh: _gelu_backward(g, x, out, tanh))
_gelu_backward: Function = primitive(
    "gelu_backward",
    K.gelu_backward,
    lambda h, x, y, tanh: _gelu_backward(h, x, y, tanh),
    lambda h, g, x, tanh: multiply(multiply(h, g), _gelu_curvature(x, tanh)),
    None,  # the result that helps is a function of x, whose rule is complete
)


def _gelu_curvature(x: Any, approximate: bool) -> Any:
    """Second derivative."""
    if not approximate:  # phi(x) (2 - x**2), phi the normal density
        density = multiply(exp(multiply(square(x), -0.5)), 1 / math.sqrt(2 * math.pi))
        return multiply(density, subtract(2.0, square(x)))
    # 0.5 x (1 + t) with t = tanh(u), u = k (x + c x**3), differentiated twice
    k, c = math.sqrt(2 / math.pi), 0.044715
    x2 = square(x)
    t = tanh(multiply(multiply(x, add(multiply(x2, c), 1.0)), k))
    slope = multiply(add(multiply(x2, 3 * c), 1.0), k)
    bend = multiply(x, 6 * k * c)
    sech2 = subtract(1.0, square(t))
    inner = subtract(bend, multiply(multiply(t, 2.0), square(slope)))
    return multiply(sech2, add(slope, multiply(multiply(x, 0.5), inner)))


def gelu(x: Any, approximate: str = "none") -> Any:
    """``x * P(X <= x)`` for a standard normal X: exactly, or by tanh with ``approximate="tanh"``.

    Source: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016.
    """
    if approximate not in ("none", "tanh"):
        raise ArgumentError(f'gelu: approximate must be "none" or "tanh", got {approximate!r}')
    return _gelu(lift(x), approximate == "tanh")


# ----------------------------------------------------------------------------------------------------- bias, activation
_CURVATURES: dict[str, Function] = {
    "relu": zeros_like,
    "gelu": lambda z: _gelu_curvature(z, False),
    "gelu_tanh": lambda z: _gelu_curvature(z, True),
    "silu": _silu_curvature,
    "tanh": lambda z: multiply(tanh_backward(negative(add(zeros_like(z), 2.0)), tanh(z)), tanh(z)),
    "sigmoid": lambda z: _sigmoid_backward(subtract(1.0, multiply(sigmoid(z), 2.0)), sigmoid(z)),
}

_bias_activation: Function = primitive(
    "bias_activation",
    K.bias_activation,
    joint=lambda g, needs, x, bias, activation: _with_bias_gradient(
        _bias_activation_backward(g, x, bias, activation), needs
    ),
    inputs=2,
)
_bias_activation_backward: Function = primitive(
    "bias_activation_backward",
    K.bias_activation_backward,
    joint=lambda h, needs, g, x, bias, activation: (
        _bias_activation_backward(h, x, bias, activation) if needs[0] else None,
        *_with_bias_gradient(multiply(multiply(h, g), _CURVATURES[activation](add(x, bias))), needs[1:]),
    ),
    inputs=3,
)


def _with_bias_gradient(gx: Any, needs: tuple[bool, ...]) -> tuple[Any, Any]:
    """The gradient of the input and, summed over all axes but the last, of the bias."""
    return gx, summed(gx, tuple(range(gx.ndim - 1)), False) if needs[1] else None


def bias_activation(x: Any, bias: Any, activation: str) -> Any:
    """``activation(x + bias)`` in one pass over memory.

    Parameters
    ----------
    x : Tensor
        Shape (..., features).
    bias : Tensor
        Shape (features,).
    activation : {"relu", "gelu", "gelu_tanh", "silu", "tanh", "sigmoid"}
    """
    x, bias = lift(x), lift(bias)
    if activation not in _CURVATURES:
        raise ArgumentError(f"bias_activation: activation must be one of {', '.join(_CURVATURES)}, got {activation!r}")
    if bias.shape != x.shape[-1:] or bias.dtype != x.dtype:
        raise ArgumentError(
            f"bias_activation: an input of shape {x.shape} and dtype {x.dtype} needs a bias of shape {x.shape[-1:]} "
            f"and that dtype, got {bias.shape}, {bias.dtype}"
        )
    return _bias_activation(x, bias, activation)
