"""Activation functions and their gradients on NumPy.

Each is a short sequence of ufuncs (a `Body`) that `elementwise` runs whole on small arrays and block by block on large
ones. Infinities and NaN come out as in PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .blocked import BLOCK, Body, bodies, compute_type, elementwise, scratch, walk
from .erf import DENOMINATOR_D, LIMITS_D, NUMERATOR_D, clip, constants, ratio

try:
    from numpy._core._multiarray_umath import (  # type: ignore[import-not-found]
        __cpu_features__ as _CPU_FEATURES,
    )
except ImportError:
    _CPU_FEATURES = {}

__all__ = [
    "bias_activation",
    "bias_activation_backward",
    "formula",
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

Array = np.ndarray[Any, np.dtype[Any]]

_ZERO = {c: np.zeros((), c) for c in "fd"}
_ONE = {c: np.ones((), c) for c in "fdFD"}
_INFINITY = {c: np.full((), np.inf, c) for c in "fd"}
_BITS: dict[int, Any] = {2: np.dtype(np.int16), 4: np.dtype(np.int32), 8: np.dtype(np.int64)}


# --------------------------------------------------------------------------------------------------------------- bodies
# Signature: inputs, out, scratch. Only the last ufunc writes `out`; see `Body`.
def _sigmoid(x: Array, out: Array, w: Array) -> None:
    one = _ONE[x.dtype.char]
    np.negative(x, w)
    np.exp(w, w)
    np.add(w, one, w)
    np.divide(one, w, out)


def _sigmoid_backward(g: Array, y: Array, out: Array, w: Array) -> None:
    np.subtract(_ONE[y.dtype.char], y, w)
    np.multiply(w, y, w)
    np.multiply(w, g, out)


def _tanh_backward(g: Array, y: Array, out: Array, w: Array) -> None:
    np.multiply(y, y, w)
    np.subtract(_ONE[y.dtype.char], w, w)
    np.multiply(w, g, out)


def _relu(x: Array, out: Array) -> None:
    c = x.dtype.char
    clip(x, _ZERO[c], _INFINITY[c], out)  # several times faster than `maximum`, and passes NaN on


def _relu_backward(g: Array, y: Array, out: Array) -> None:
    # g's bits times 0 or 1: an infinite or NaN g gives 0 too, which a product of floats would not, and `where` is slow
    keep = np.less_equal(y, _ZERO[y.dtype.char])
    keep = np.logical_not(keep, keep if keep.ndim else None)
    bits = _BITS[y.itemsize]
    np.multiply(g.view(bits), keep, out.view(bits))


def _silu(x: Array, out: Array, w: Array) -> None:
    np.negative(x, w)
    np.exp(w, w)
    np.add(w, _ONE[x.dtype.char], w)
    np.divide(x, w, out)


def _silu_backward(g: Array, x: Array, out: Array, s: Array, w: Array) -> None:
    one = _ONE[x.dtype.char]
    _sigmoid(x, s, s)
    np.subtract(one, s, w)
    np.multiply(w, x, w)
    np.add(w, one, w)
    np.multiply(w, s, w)
    np.multiply(w, g, out)


# gelu(x) = x Phi(x), where Phi = 1 / (1 + exp(-L)) = (1 + tanh(L / 2)) / 2 and L(x), the log-odds of the normal
# distribution function, is 2 atanh(erf(x / sqrt 2)): x times a smooth function of x^2. So nothing branches.

# In float32, NumPy's exp2 takes half the time of exp where it has vector instructions for it, and several times as long
# where it has none.
_EXP2_IS_FAST = bool({"AVX512_SKX", "X86_V4"} & {feature for feature, there in _CPU_FEATURES.items() if there})
_EXP, _BASE = (np.exp2, 2.0) if _EXP2_IS_FAST else (np.exp, math.e)
_LOG = math.log(_BASE)

# -L / x in float32 as a polynomial in z = x^2, highest power first: fitted by linear programming for the least error of
# Phi, which is 3e-8, and so that L keeps growing beyond |x| = 5.6, where Phi has reached 1. Here in powers of `_BASE`.
_MINUS_LOG_ODDS = constants(
    "f",
    *(
        -c / _LOG
        for c in (
            3.51232974e-9,
            -2.64526185e-7,
            7.92948204e-6,
            -0.000110612351,
            -0.0000651900293,
            0.0726661692,
            1.59576988,
        )
    ),
)
_SCALE_D, _HALF_D = constants("d", -(2**0.5), 0.5)
_HALF = {c: np.full((), 0.5, c) for c in "fd"}
_DENSITY = {c: np.full((), 0.3989422804014327, c) for c in "fd"}  # 1 / sqrt(2 pi)
_EXPONENT = {c: np.full((), -0.5 / _LOG, c) for c in "fd"}


def _inverse_phi_f(x: Array, w: Array, z: Array) -> None:
    """Put 1 / Phi(x), which is 1 + exp(-L), into ``w`` and x^2 into ``z``."""
    first, second, *others = _MINUS_LOG_ODDS
    np.square(x, z)
    np.multiply(z, first, w)
    np.add(w, second, w)
    for c in others:
        np.multiply(w, z, w)
        np.add(w, c, w)
    np.multiply(w, x, w)
    _EXP(w, w)
    np.add(w, _ONE["f"], w)


def _gelu_f(x: Array, out: Array, w: Array, z: Array) -> None:
    _inverse_phi_f(x, w, z)
    np.divide(x, w, out)


def _gelu_backward_f(g: Array, x: Array, out: Array, w: Array, z: Array) -> None:
    _inverse_phi_f(x, w, z)
    np.divide(_ONE["f"], w, w)
    _gelu_derivative(g, x, out, w, z)


def _gelu_derivative(g: Array, x: Array, out: Array, phi: Array, z: Array) -> None:
    """``g (Phi(x) + x Phi'(x))`` from Phi(x) and x^2 in ``z``."""
    c = x.dtype.char
    np.multiply(z, _EXPONENT[c], z)
    _EXP(z, z)
    np.multiply(z, _DENSITY[c], z)
    np.multiply(z, x, z)
    np.add(phi, z, phi)
    np.multiply(phi, g, out)


def _gelu_backward_from_result(g: Array, x: Array, y: Array, out: Array, s: Array, z: Array) -> None:
    # Phi(x) = y / x takes a fifth of the time that it takes to find it from x
    np.square(x, z)
    np.divide(y, x, s)
    tiny = np.equal(z, _ZERO[x.dtype.char])  # then y may have no digits left
    if tiny.any():
        np.copyto(s, _HALF[x.dtype.char], where=tiny)
    _gelu_derivative(g, x, out, s, z)


# In float64 with exp, which keeps the digits of Phi in the lower tail.
def _negative_log_odds_d(x: Array, z: Array, w: Array, q: Array, t: Array) -> None:
    """Put -L(x) into ``w`` and x^2 into ``z``."""
    np.square(x, z)
    np.multiply(z, _HALF_D, t)
    clip(t, *LIMITS_D, t)
    ratio(t, NUMERATOR_D, DENOMINATOR_D, w, q)
    np.multiply(w, x, w)
    np.multiply(w, _SCALE_D, w)


def _gelu_d(x: Array, out: Array, w: Array, z: Array, q: Array, t: Array) -> None:
    _negative_log_odds_d(x, z, w, q, t)
    np.exp(w, w)
    np.add(w, _ONE["d"], w)
    np.divide(x, w, out)


def _gelu_backward_d(g: Array, x: Array, out: Array, w: Array, z: Array, q: Array, t: Array) -> None:
    _negative_log_odds_d(x, z, w, q, t)
    np.exp(w, w)
    np.add(w, _ONE["d"], w)
    np.divide(_ONE["d"], w, w)
    _gelu_derivative(g, x, out, w, z)


# gelu with tanh: x s with s = (1 + tanh(u)) / 2, u = x (k + c x^2) / 2, k = 2 sqrt(2 / pi), c = 0.044715 k
_K = 1.5957691216057308
_TANH_GELU = {c: constants(c, 0.044715 * _K, _K, 3 * 0.044715 * _K) for c in "fd"}


def _gelu_tanh(x: Array, out: Array, w: Array, h: Array) -> None:
    cubic, linear, _ = _TANH_GELU[x.dtype.char]
    np.square(x, w)
    np.multiply(w, cubic, w)
    np.add(w, linear, w)
    np.multiply(x, _HALF[x.dtype.char], h)
    np.multiply(w, h, w)
    np.tanh(w, w)
    np.add(w, _ONE[x.dtype.char], w)
    np.multiply(w, h, out)


def _gelu_tanh_backward(g: Array, x: Array, out: Array, s: Array, z: Array, t: Array) -> None:
    # g s (1 + (1 - s) x (2u)')
    cubic, linear, slope = _TANH_GELU[x.dtype.char]
    one, half = _ONE[x.dtype.char], _HALF[x.dtype.char]
    np.square(x, z)
    np.multiply(z, cubic, s)
    np.add(s, linear, s)
    np.multiply(s, x, s)
    np.multiply(s, half, s)
    np.tanh(s, s)
    np.multiply(s, half, s)
    np.add(s, half, s)
    np.multiply(z, slope, z)
    np.add(z, linear, z)
    np.multiply(z, x, z)
    np.subtract(one, s, t)
    np.multiply(z, t, z)
    np.add(z, one, z)
    np.multiply(z, s, z)
    np.multiply(z, g, out)


_SIGMOID = bodies(_sigmoid, 1, 9, "fdFD")
_SIGMOID_BACKWARD = bodies(_sigmoid_backward, 1, 3, "fdFD")
_TANH_BACKWARD = bodies(_tanh_backward, 1, 3, "fdFD")
_RELU = bodies(_relu, 0, 1)
_RELU_BACKWARD = bodies(_relu_backward, 0, 4)
_SILU = bodies(_silu, 1, 9, "fdFD")
_SILU_BACKWARD = bodies(_silu_backward, 2, 14, "fdFD")
_GELU = {"f": Body(_gelu_f, 2, 18), "d": Body(_gelu_d, 4, 60)}
_GELU_BACKWARD = {"f": Body(_gelu_backward_f, 2, 30), "d": Body(_gelu_backward_d, 4, 75)}
_GELU_BACKWARD_FROM_RESULT = bodies(_gelu_backward_from_result, 2, 16)
_GELU_TANH = bodies(_gelu_tanh, 2, 12)
_GELU_TANH_BACKWARD = bodies(_gelu_tanh_backward, 3, 20)


# ---------------------------------------------------------------------------------------------------------- activations
def sigmoid(x: Array, out: Array | None = None) -> Array:
    r"""Logistic function, :math:`1 / (1 + e^{-x})`."""
    return elementwise(_SIGMOID, out, x)


def sigmoid_backward(g: Array, y: Array, out: Array | None = None) -> Array:
    """``g * y * (1 - y)``, where ``y = sigmoid(x)``."""
    return elementwise(_SIGMOID_BACKWARD, out, g, y)


def tanh_backward(g: Array, y: Array, out: Array | None = None) -> Array:
    """``g * (1 - y ** 2)``, where ``y = tanh(x)``."""
    if out is None and y.ndim and 0 < y.size <= BLOCK and y.dtype.char in "fd" and g.shape == y.shape:
        w = np.multiply(y, y)  # what `elementwise` would do, with less ado: recurrent nets live on small tanhs
        np.subtract(_ONE[y.dtype.char], w, w)
        return np.multiply(w, g, w)
    return elementwise(_TANH_BACKWARD, out, g, y)


def relu(x: Array, out: Array | None = None) -> Array:
    """``max(x, 0)``; NaN stays NaN. Integers are allowed."""
    if x.dtype.char in "fd":
        return elementwise(_RELU, out, x)
    if x.dtype.kind == "c":
        raise TypeError(f"relu: complex numbers have no order, got {x.dtype} of shape {x.shape}")
    return np.maximum(x, x.dtype.type(0), out=out)  # type: ignore[no-any-return]


def relu_backward(g: Array, y: Array, out: Array | None = None) -> Array:
    """``g`` where ``y = relu(x)`` (or ``x`` itself) is positive or NaN, and 0 elsewhere, whatever ``g`` is there."""
    return elementwise(_RELU_BACKWARD, out, g, y)


def silu(x: Array, out: Array | None = None) -> Array:
    """``x * sigmoid(x)`` (Elfwing et al., 2017, arXiv:1702.03118)."""
    return elementwise(_SILU, out, x)


def silu_backward(g: Array, x: Array, out: Array | None = None) -> Array:
    """``g * s * (1 + x * (1 - s))``, where ``s = sigmoid(x)``."""
    return elementwise(_SILU_BACKWARD, out, g, x)


def gelu(x: Array, tanh: bool = False, out: Array | None = None) -> Array:
    r"""Gaussian error linear unit, :math:`x \Phi(x)` (Hendrycks and Gimpel, 2016, arXiv:1606.08415).

    With ``tanh`` its approximation :math:`\frac x2 (1 + \tanh(\sqrt{2/\pi} (x + 0.044715 x^3)))`. The error of the
    exact form is below ``2e-7 |x|`` in float32 and ``1e-15 |x|`` in float64.
    """
    return elementwise(_GELU_TANH if tanh else _GELU, out, x)


def gelu_backward(g: Array, x: Array, y: Array, tanh: bool = False, out: Array | None = None) -> Array:
    r"""Gradient of `gelu`: :math:`g (\Phi(x) + x \varphi(x))`, or that of the approximation, where ``y = gelu(x)``."""
    if tanh:
        return elementwise(_GELU_TANH_BACKWARD, out, g, x)
    if x.dtype.char in "fd":
        return elementwise(_GELU_BACKWARD_FROM_RESULT, out, g, x, y)
    return elementwise(_GELU_BACKWARD, out, g, x)  # a result of two bytes does not tell Phi well enough


# ----------------------------------------------------------------------------------------------------- bias, activation
def _tanh(x: Array, out: Array) -> None:
    np.tanh(x, out)


def _tanh_backward_from_input(g: Array, x: Array, out: Array, y: Array, w: Array) -> None:
    np.tanh(x, y)
    _tanh_backward(g, y, out, w)


def _sigmoid_backward_from_input(g: Array, x: Array, out: Array, y: Array, w: Array) -> None:
    _sigmoid(x, y, y)
    _sigmoid_backward(g, y, out, w)


_FORWARD = {
    "relu": _RELU,
    "gelu": _GELU,
    "gelu_tanh": _GELU_TANH,
    "silu": _SILU,
    "tanh": bodies(_tanh, 0, 4),
    "sigmoid": _SIGMOID,
}
_BACKWARD = {
    "relu": _RELU_BACKWARD,
    "gelu": _GELU_BACKWARD,
    "gelu_tanh": _GELU_TANH_BACKWARD,
    "silu": _SILU_BACKWARD,
    "tanh": bodies(_tanh_backward_from_input, 2, 8),
    "sigmoid": bodies(_sigmoid_backward_from_input, 2, 12),
}


def bias_activation(x: Array, bias: Array, activation: str, out: Array | None = None) -> Array:
    """``activation(x + bias)`` in one walk over ``x``.

    Parameters
    ----------
    x : array of shape (..., n)
    bias : array of shape (n,)
    activation : str
        ``"relu"``, ``"gelu"``, ``"gelu_tanh"``, ``"silu"``, ``"tanh"`` or ``"sigmoid"``.
    out : array, optional
        Where to put the result; may be ``x``.
    """
    return _on_biased("bias_activation", _FORWARD, activation, None, x, bias, out)


def bias_activation_backward(g: Array, x: Array, bias: Array, activation: str, out: Array | None = None) -> Array:
    """Gradient of `bias_activation` with respect to ``x``; its sum over all axes but the last is that of ``bias``."""
    return _on_biased("bias_activation_backward", _BACKWARD, activation, g, x, bias, out)


def _on_biased(
    name: str,
    table: dict[str, dict[str, Body]],
    activation: str,
    g: Array | None,
    x: Array,
    bias: Array,
    out: Array | None,
) -> Array:
    """Run the body of ``activation`` on ``g`` (unless it is None) and ``x + bias``."""
    if activation not in table:
        raise ValueError(f"{name}: activation must be one of {', '.join(table)}, got {activation!r}")
    inputs = () if g is None else (g,)
    compute = compute_type(x.dtype)
    direct = compute == x.dtype
    contiguous = out is None or out.flags.c_contiguous
    if x.size <= BLOCK or not direct or not contiguous or not x.flags.c_contiguous:
        # The sum is a new array, and so a place for the result too.
        z = np.add(x, bias)
        return elementwise(table[activation], z if out is None else out, *inputs, z)
    body = table[activation][compute.char]
    result = np.empty(x.shape, x.dtype) if out is None else out
    width = x.shape[-1]
    rows = x.reshape(-1, width)
    target = result.reshape(-1, width)
    cotangent = () if g is None else (np.ascontiguousarray(np.broadcast_to(g, x.shape)).reshape(-1, width),)

    def task(low: int, high: int, step: int) -> None:
        buffers = scratch(1 + body.scratch, min(step, high - low) * width, compute)
        for start in range(low, high, step):
            stop = min(start + step, high)
            z, *free = [b[: (stop - start) * width] for b in buffers]
            np.add(rows[start:stop], bias, z.reshape(-1, width))
            body.function(*(c[start:stop].reshape(-1) for c in cotangent), z, target[start:stop].reshape(-1), *free)

    walk(task, rows.shape[0], width, body.work + 1)
    return result


_PLAIN = {
    relu: _RELU,
    relu_backward: _RELU_BACKWARD,
    sigmoid: _SIGMOID,
    sigmoid_backward: _SIGMOID_BACKWARD,
    silu: _SILU,
    silu_backward: _SILU_BACKWARD,
    tanh_backward: _TANH_BACKWARD,
}


def formula(function: Any, args: Sequence[Any]) -> tuple[dict[str, Body], tuple[Any, ...]] | None:
    """The bodies by dtype that a function of this file runs, and which of its arguments they take; None without any."""
    if function in _PLAIN:
        return _PLAIN[function], tuple(args)
    if function is gelu:
        return _GELU_TANH if any(args[1:]) else _GELU, tuple(args[:1])
    if function is gelu_backward:
        g, x, y = args[:3]
        if any(args[3:]):
            return _GELU_TANH_BACKWARD, (g, x)
        return (_GELU_BACKWARD_FROM_RESULT, (g, x, y)) if x.dtype.char in "fd" else (_GELU_BACKWARD, (g, x))
    return None
