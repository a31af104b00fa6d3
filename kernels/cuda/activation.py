"""Activation functions and their gradients on CUDA: one kernel each, computed in float32 for half types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cupy

from .pointwise import on_complex, pointwise

__all__ = [
    "EXPRESSIONS",
    "bias_activation",
    "bias_activation_backward",
    "gelu",
    "gelu_backward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "tanh_backward",
]

# of z, and of (g, z) where z is the input of the activation
_FORWARD = {
    "relu": "maximum(z, C(0))",
    "gelu": "gelu(z)",
    "gelu_tanh": "gelu_tanh(z)",
    "silu": "silu(z)",
    "tanh": "tanh(z)",
    "sigmoid": "sigmoid(z)",
}
_BACKWARD = {
    "relu": "z <= C(0) ? C(0) : g",
    "gelu": "gelu_backward(g, z)",
    "gelu_tanh": "gelu_tanh_backward(g, z)",
    "silu": "silu_backward(g, z)",
    "tanh": "g * (C(1) - tanh(z) * tanh(z))",
    "sigmoid": "g * (sigmoid(z) * (C(1) - sigmoid(z)))",
}

# name -> (operands, expression, result, constants)
EXPRESSIONS = {
    "sigmoid": ("x", "sigmoid(x)", "T", ""),
    "sigmoid_backward": ("g y", "g * (y * (C(1) - y))", "T", ""),
    "tanh_backward": ("g y", "g * (C(1) - y * y)", "T", ""),
    "relu_backward": ("g y", "y <= C(0) ? C(0) : g", "T", ""),
    "silu": ("x", "silu(x)", "T", ""),
    "silu_backward": ("g x", "silu_backward(g, x)", "T", ""),
    "gelu": ("x", "gelu(x)", "T", ""),
    "gelu_tanh": ("x", "gelu_tanh(x)", "T", ""),
    "gelu_backward": ("g x", "gelu_backward(g, x)", "T", ""),
    "gelu_tanh_backward": ("g x", "gelu_tanh_backward(g, x)", "T", ""),
    **{f"bias_{name}": ("x bias", code, "T", "const C z = x + bias;") for name, code in _FORWARD.items()},
    **{f"bias_{name}_backward": ("g x bias", code, "T", "const C z = x + bias;") for name, code in _BACKWARD.items()},
}


def _launch(name: str, *args: Any, out: Any | None = None) -> Any:
    kernel = pointwise(name, *EXPRESSIONS[name])
    return kernel(*args) if out is None else kernel(*args, out)


def _generated(name: str) -> Callable[..., Any]:
    def launch(*args: Any, out: Any | None = None) -> Any:
        return _launch(name, *args, out=out)

    launch.__name__ = launch.__qualname__ = name
    launch.__doc__ = f"``{EXPRESSIONS[name][1]}``."
    return launch


def _sigmoid(z: Any) -> Any:
    return 1 / (1 + cupy.exp(-z))


sigmoid = on_complex(_generated("sigmoid"), _sigmoid)
sigmoid_backward = on_complex(_generated("sigmoid_backward"), lambda g, y: g * (y * (1 - y)))
tanh_backward = on_complex(_generated("tanh_backward"), lambda g, y: g * (1 - y * y))
relu_backward = _generated("relu_backward")
silu = on_complex(_generated("silu"), lambda z: z * _sigmoid(z))
silu_backward = on_complex(_generated("silu_backward"), lambda g, z: g * _sigmoid(z) * (1 + z * (1 - _sigmoid(z))))


def relu(x: Any, out: Any | None = None) -> Any:
    """``max(x, 0)``; NaN stays NaN."""
    if x.dtype.kind == "c":
        raise TypeError(f"relu: complex numbers have no order, got {x.dtype} of shape {x.shape}")
    return cupy.maximum(x, 0, out=out)


def gelu(x: Any, tanh: bool = False, out: Any | None = None) -> Any:
    """``x * normal_cdf(x)``, or its approximation by a hyperbolic tangent."""
    return _launch("gelu_tanh" if tanh else "gelu", x, out=out)


def gelu_backward(g: Any, x: Any, y: Any, tanh: bool = False, out: Any | None = None) -> Any:
    """Gradient of `gelu` by ``x``; to read the result ``y`` too would take longer than to find it again."""
    return _launch("gelu_tanh_backward" if tanh else "gelu_backward", g, x, out=out)


def _known(activation: str) -> str:
    if activation not in _FORWARD:
        raise ValueError(f"bias_activation: activation {activation!r} is none of {', '.join(map(repr, _FORWARD))}")
    return activation


def bias_activation(x: Any, bias: Any, activation: str, out: Any | None = None) -> Any:
    """``activation(x + bias)``, the bias along the last axis."""
    return _launch(f"bias_{_known(activation)}", x, bias, out=out)


def bias_activation_backward(g: Any, x: Any, bias: Any, activation: str, out: Any | None = None) -> Any:
    """Gradient of `bias_activation` by ``x``."""
    return _launch(f"bias_{_known(activation)}_backward", g, x, bias, out=out)
