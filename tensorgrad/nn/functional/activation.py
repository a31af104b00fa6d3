"""Activation functions.

Values and gradients are PyTorch's, also at kinks and for infinities and NaN. Where a branch that is not taken could
overflow, its operand is replaced first, so that the zero that its gradient is multiplied by does not meet an infinity.
"""

from __future__ import annotations

import warnings
from typing import Any

from ...errors import ArgumentError
from ...ops import activation as ops
from ...ops import softmax as softmax_ops
from ...ops.elementwise import abs, exp, expm1, greater, less_equal, log, log1p, logical_xor, multiply, tanh, where
from ...ops.elementwise import greater_equal as at_least
from ...ops.elementwise import less as below
from ...ops.indexing import scatter
from ...ops.memory import zeros_like
from ...ops.pytorch_functions import hardshrink, prelu
from ...ops.reduction import argmax
from ...random import uniform
from ...tensor import Tensor
from .inplace import applied

__all__ = [
    "celu", "elu", "gelu", "glu", "gumbel_softmax", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu",
    "log_softmax", "logsigmoid", "mish", "prelu", "relu", "relu6", "rrelu", "selu", "sigmoid", "silu", "softmax",
    "softmin", "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "threshold",
]  # fmt: skip

_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


# ----------------------------------------------------------------------------------------------------- rectified linear
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``max(input, 0)``; the gradient at 0 is 0."""
    return applied("relu", ops.relu, input, inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """``min(max(input, 0), 6)``."""
    return hardtanh(input, 0.0, 6.0, inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """``input`` where positive, else ``negative_slope * input``."""
    return applied("leaky_relu", lambda x: where(greater(x, 0), x, multiply(x, negative_slope)), input, inplace)


def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """`leaky_relu` with a slope drawn from U(lower, upper) for each element; with their mean unless ``training``."""
    if not lower <= upper:
        raise ArgumentError(f"rrelu: lower must not be greater than upper, got {lower} and {upper}")
    if not training or lower == upper:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    slope = uniform(lower, upper, input.shape, dtype=input.dtype, device=input.device)
    return applied("rrelu", lambda x: where(greater(x, 0), x, multiply(x, slope)), input, inplace)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """``input`` where greater than ``threshold``, else ``value``."""
    return applied("threshold", lambda x: where(less_equal(x, threshold), value, x), input, inplace)


# ---------------------------------------------------------------------------------------------------------- exponential
def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` where positive, else ``alpha * (exp(input) - 1)``.

    Notes
    -----
    Clevert et al., Fast and Accurate Deep Network Learning by Exponential Linear Units, 2015.
    """
    return applied("elu", lambda x: _elu(x, alpha), input, inplace)


def _elu(x: Any, alpha: float, scale: float = 1.0, slope: float = 1.0) -> Any:
    """``scale * x`` where positive, else ``scale * alpha * (exp(slope * x) - 1)``."""
    curved = less_equal(x, 0)
    curve = multiply(expm1(multiply(where(curved, x, 0.0), slope)), alpha * scale)
    return where(curved, curve, multiply(x, scale) if scale != 1.0 else x)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """``scale * elu(input, alpha)`` with the constants that keep mean 0 and variance 1 (Klambauer et al., 2017)."""
    return applied("selu", lambda x: _elu(x, _SELU_ALPHA, _SELU_SCALE), input, inplace)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``max(0, input) + min(0, alpha * (exp(input / alpha) - 1))`` (Barron, 2017)."""
    if alpha == 0:
        raise ArgumentError("celu: alpha must not be 0")
    return applied("celu", lambda x: _elu(x, alpha, 1.0, 1.0 / alpha), input, inplace)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """``log(1 + exp(beta * input)) / beta``; ``input`` itself where ``beta * input > threshold``."""
    scaled = input * beta if beta != 1 else input
    linear = greater(scaled, threshold)
    curve = log1p(exp(where(linear, 0.0, scaled)))
    y: Tensor = where(linear, input, curve / beta if beta != 1 else curve)
    return y


def logsigmoid(input: Tensor) -> Tensor:
    """``log(sigmoid(input))``, without underflow."""
    # min(x, 0) - log(1 + exp(-|x|)), with the branches written out: their derivatives, unlike those of min and abs, are
    # one-sided at 0, where the kinks of the two terms cancel.
    negative = below(input, 0)
    tail = log1p(exp(where(negative, input, -input)))
    y: Tensor = where(negative, input, 0.0) - tail
    return y


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * tanh(softplus(input))`` (Misra, 2019)."""
    return applied("mish", lambda x: x * tanh(softplus(x)), input, inplace)


def sigmoid(input: Tensor) -> Tensor:
    """``1 / (1 + exp(-input))``."""
    y: Tensor = ops.sigmoid(input)
    return y


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * sigmoid(input)``, also called swish (Hendrycks and Gimpel, 2016; Elfwing et al., 2017)."""
    return applied("silu", ops.silu, input, inplace)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """``input * Phi(input)`` with the normal distribution function; with ``approximate="tanh"`` its approximation.

    Notes
    -----
    Hendrycks and Gimpel, Gaussian Error Linear Units, 2016.
    """
    y: Tensor = ops.gelu(input, approximate)
    return y


# ----------------------------------------------------------------------------------------------------- piecewise linear
def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` limited to [min_val, max_val]; the gradient at the limits is 0."""
    if min_val > max_val:
        raise ArgumentError(f"hardtanh: min_val must not be greater than max_val, got {min_val} and {max_val}")

    def limited(x: Tensor) -> Tensor:
        y: Tensor = where(less_equal(x, min_val), min_val, where(at_least(x, max_val), max_val, x))
        return y

    return applied("hardtanh", limited, input, inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """``relu6(input + 3) / 6``."""
    return applied("hardsigmoid", lambda x: relu6(x + 3.0) / 6.0, input, inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * relu6(input + 3) / 6`` (Howard et al., Searching for MobileNetV3, 2019)."""

    def curve(x: Tensor) -> Tensor:
        zero = less_equal(x, -3.0)
        curved = logical_xor(below(x, 3.0), zero)
        middle = where(curved, x, 0.0)
        y: Tensor = where(curved, middle * (middle + 3.0) / 6.0, where(zero, 0.0, x))
        return y

    return applied("hardswish", curve, input, inplace)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """``input`` moved towards 0 by ``lambd``, at most to 0."""
    if not lambd >= 0:
        raise ArgumentError(f"softshrink: lambd must be at least 0, got {lambd}")
    shrunk = where(greater(input, lambd), input - lambd, input + lambd)
    y: Tensor = where(_within(input, lambd), 0.0, shrunk)
    return y


def _within(x: Tensor, limit: float) -> Any:
    return less_equal(abs(Tensor(x._data)), limit)


def softsign(input: Tensor) -> Tensor:
    """``input / (1 + |input|)``."""
    return input / (input.abs() + 1.0)


def tanhshrink(input: Tensor) -> Tensor:
    """``input - tanh(input)``."""
    return input - input.tanh()


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """``a * sigmoid(b)`` where a and b are the two halves of the input along ``dim``.

    Notes
    -----
    Dauphin et al., Language Modeling with Gated Convolutional Networks, 2016.
    """
    if not -input.ndim <= dim < input.ndim:
        raise IndexError(f"glu: dim {dim} is out of range for shape {input.shape}")
    size = input.shape[dim]
    if size % 2:
        raise ArgumentError(f"glu: the size along dim {dim} must be even, got shape {input.shape}")
    before = (slice(None),) * (dim % input.ndim)
    return input[(*before, slice(size // 2))] * input[(*before, slice(size // 2, None))].sigmoid()


# -------------------------------------------------------------------------------------------------------------- softmax
def softmax(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """``exp(input) / sum(exp(input))`` along ``dim``, in ``dtype`` if given."""
    y: Tensor = softmax_ops.softmax(input, _chosen("softmax", dim, input.ndim), dtype=dtype)
    return y


def softmin(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """``softmax(-input)``."""
    y: Tensor = softmax_ops.softmax(-input, _chosen("softmin", dim, input.ndim), dtype=dtype)
    return y


def log_softmax(input: Tensor, dim: int | None = None, dtype: Any = None) -> Tensor:
    """``log(softmax(input))`` along ``dim``, computed without forming the softmax."""
    y: Tensor = softmax_ops.log_softmax(input, _chosen("log_softmax", dim, input.ndim), dtype=dtype)
    return y


def gumbel_softmax(logits: Tensor, tau: float = 1.0, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """A sample of the classes along ``dim``, relaxed so that it can be differentiated.

    It is ``softmax((logits + n) / tau)`` with n from the Gumbel distribution; its maximum is at a class with the
    probability of that class under ``softmax(logits)``.

    Parameters
    ----------
    logits : Tensor
    tau : float
        Temperature: the smaller, the closer to a unit vector.
    hard : bool
        Return unit vectors, with the gradient of the relaxed sample.
    eps : float
        Has no effect, as in PyTorch, where it is deprecated.
    dim : int

    Notes
    -----
    Jang, Gu and Poole, Categorical Reparameterization with Gumbel-Softmax, 2017; Maddison, Mnih and Teh, The Concrete
    Distribution, 2017.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.functional.gumbel_softmax(tg.tensor([[50.0, 0.0], [0.0, 50.0]]), hard=True)
    tensor([[1., 0.],
            [0., 1.]])
    """
    noise = -log(-log(uniform(0.0, 1.0, logits.shape, dtype=logits.dtype, device=logits.device)))
    soft: Tensor = softmax_ops.softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    chosen = argmax(soft.detach(), axis=dim, keepdims=True)
    unit: Tensor = scatter(zeros_like(soft.detach()), dim, chosen, 1.0)
    return unit - soft.detach() + soft


def _chosen(name: str, dim: int | None, ndim: int) -> int:
    """``dim``, or the axis that PyTorch guesses with a warning."""
    if dim is not None:
        return dim
    guess = 0 if ndim in (0, 1, 3) else 1
    warnings.warn(f"{name}: dim is not given; dim={guess} is taken for {ndim} axes. Say dim=...", stacklevel=4)
    return guess
