"""Activation functions, their backward ops, and bias with activation."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from tensorgrad.ops import activation as ops

from . import add, values


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _phi(x):
    return np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _gelu_tanh_slope(x):
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    return 0.5 * (1 + np.tanh(u)) + 0.5 * x * (1 - np.tanh(u) ** 2) * slope


FORWARD = {
    "relu": lambda x: np.where(x > 0, x, 0),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "silu": lambda x: x * _sigmoid(x),
    "gelu": lambda x: x * special.ndtr(x),
    "gelu_tanh": _gelu_tanh,
}
SLOPE = {
    "relu": lambda x: (x > 0) * 1.0,
    "sigmoid": lambda x: _sigmoid(x) * (1 - _sigmoid(x)),
    "tanh": lambda x: 1 - np.tanh(x) ** 2,
    "silu": lambda x: _sigmoid(x) * (1 + x * (1 - _sigmoid(x))),
    "gelu": lambda x: special.ndtr(x) + x * _phi(x),
    "gelu_tanh": _gelu_tanh_slope,
}

for _label, _x in {
    "matrix": values(2, 3),
    "0-d": values(),
    "empty": values(0, 3),
    "wide": values(2, 5, low=-8, high=8),
}.items():
    _g = values(*_x.shape, seed=1)
    add("silu", _label, ops.silu, _x, reference=FORWARD["silu"])
    add("gelu", _label, ops.gelu, _x, reference=FORWARD["gelu"], slack=2)
    add("gelu", f"tanh {_label}", lambda x: ops.gelu(x, "tanh"), _x, reference=_gelu_tanh, slack=2)
    add("silu_backward", _label, ops._silu_backward, _g, _x, reference=lambda g, x: g * SLOPE["silu"](x))
    for _tanh in (False, True):
        add(
            "gelu_backward",
            f"{'tanh ' if _tanh else ''}{_label}",
            lambda g, x, tanh=_tanh: ops._gelu_backward(g, x, ops._gelu(x, tanh), tanh),
            _g,
            _x,
            reference=lambda g, x, tanh=_tanh: g * SLOPE["gelu_tanh" if tanh else "gelu"](x),
            slack=2,
        )
    add("relu_backward", _label, ops._relu_backward, _g, _x, reference=lambda g, y: np.where(y > 0, g, 0))
    add("sigmoid_backward", _label, ops._sigmoid_backward, _g, _x, reference=lambda g, y: g * y * (1 - y), slack=2)

for _activation in FORWARD:
    for _label, _shape in {"matrix": (2, 3), "three axes": (1, 2, 3), "vector": (3,), "empty": (0, 3)}.items():
        _x, _bias = values(*_shape), values(3, seed=1)
        add(
            "bias_activation",
            f"{_activation} {_label}",
            lambda x, b, a=_activation: ops.bias_activation(x, b, a),
            _x,
            _bias,
            reference=lambda x, b, a=_activation: FORWARD[a](x + b),
            slack=3,
        )
        add(
            "bias_activation_backward",
            f"{_activation} {_label}",
            lambda g, x, b, a=_activation: ops._bias_activation_backward(g, x, b, a),
            values(*_shape, seed=2),
            _x,
            _bias,
            reference=lambda g, x, b, a=_activation: g * SLOPE[a](x + b),
            slack=4,
        )
