"""Normalisation: layer norm and RMS norm over trailing axes, group norm, batch norm per channel."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import kernels as K
from ..dtypes import float32
from ..errors import ArgumentError, integers
from ..tape import grad_mode
from ..tensor import Tensor
from .definition import Function, lift, primitive
from .elementwise import add, multiply, negative, rsqrt, square, subtract
from .memory import cast
from .precision import autocast_region, raised
from .reduction import mean, summed
from .shape import reshape

__all__ = ["batch_norm", "batch_norm_with", "group_norm", "layer_norm", "rms_norm"]

Axes = tuple[int, ...]


def _average(x: Any, axis: Axes) -> Any:
    return mean(x, axis, keepdims=True)


def _standard(x: Any, axis: Axes, eps: float, centered: bool) -> tuple[Any, Any]:
    """The normalised ``x`` and one over its deviation, as functions of ``x``."""
    if centered:
        x = subtract(x, _average(x, axis))
    rstd = rsqrt(add(_average(square(x), axis), eps))
    return multiply(x, rstd), rstd


def _second_order(
    h: Any,
    hw: Any,
    hb: Any,
    g: Any,
    x: Any,
    weight: Any,
    axis: Axes,
    eps: float,
    centered: bool,
    project: Callable[[Any], Any],
) -> tuple[Any, Any, Any]:
    r"""The gradients of :math:`\langle h, dx\rangle + \langle h_w, dw\rangle + \langle h_b, db\rangle`.

    With :math:`\hat x = (x - \mu) r`, :math:`u = g w`, and the symmetric map
    :math:`P(v) = r (v - \bar v - \hat x\, \overline{v \hat x})`, the first order is :math:`dx = P(u)`,
    :math:`dw = \sum g \hat x`, :math:`db = \sum g`. The factor of :math:`\hat x` pulls back to ``x`` by :math:`P` too,
    and that of :math:`r` by :math:`-r^2 \hat x / n`.

    Returns
    -------
    Gradients by ``g``, by ``x``, and by the weight, the latter not yet summed.
    """
    normal, rstd = _standard(x, axis, eps, centered)
    upstream = g if weight is None else multiply(g, weight)
    back = project(h)
    slope = _average(multiply(upstream, normal), axis)
    through = negative(multiply(rstd, add(multiply(h, slope), multiply(upstream, _average(multiply(h, normal), axis)))))
    by_g = back if weight is None else multiply(back, weight)
    if hw is not None:
        through = add(through, multiply(g, hw))
        by_g = add(add(by_g, multiply(normal, hw)), hb)
    by_rstd = multiply(multiply(normal, rstd), _average(multiply(h, project(upstream)), axis))
    return by_g, subtract(project(through), by_rstd), multiply(g, back)


# ------------------------------------------------------------------------------------------------- layer norm, RMS norm
def _leading(x: Any, axes: int) -> Axes:
    return tuple(range(x.ndim - axes))


def _trailing(x: Any, axes: int) -> Axes:
    return tuple(range(x.ndim - axes, x.ndim))


def _layer_norm_vjp(
    g: Any, needs: tuple[bool, ...], x: Any, weight: Any, mean: Any, rstd: Any, axes: int, eps: float, centered: bool
) -> tuple[Any, Any, Any]:
    if needs[1] or needs[2]:
        dx, dw, db = _layer_norm_affine_backward(g, x, weight, mean, rstd, axes, eps, centered)
        return dx if needs[0] else None, dw if needs[1] else None, db if needs[2] else None
    return _layer_norm_backward(g, x, weight, mean, rstd, axes, eps, centered), None, None


def _layer_norm_second_order(
    h: Any, needs: tuple[bool, ...], g: Any, x: Any, weight: Any, *rest: Any
) -> tuple[Any, ...]:
    mean, rstd, axes, eps, centered = rest
    hx, hw, hb = h if isinstance(h, tuple) else (h, None, None)

    def project(v: Any) -> Any:
        return _layer_norm_backward(v, x, None, mean, rstd, axes, eps, centered)

    by_g, by_x, by_w = _second_order(hx, hw, hb, g, x, weight, _trailing(x, axes), eps, centered, project)
    return by_g, by_x if needs[1] else None, summed(by_w, _leading(x, axes), False) if needs[2] else None, None, None


_layer_norm: Function = primitive(
    "layer_norm",
    K.layer_norm,
    joint=lambda g, needs, x, weight, mean, rstd, axes, eps, centered: _layer_norm_vjp(
        g, needs, x, weight, mean, rstd, axes, eps, centered
    ),
    inputs=3,
    aux=("mean", "rstd"),
)
_layer_norm_backward: Function = primitive(
    "layer_norm_backward",
    lambda g, x, weight, mean, rstd, axes, eps, centered: K.layer_norm_backward(
        g, x, mean, rstd, weight, axes, centered, False
    ),
    joint=lambda h, needs, g, x, weight, mean, rstd, axes, eps, centered: _layer_norm_second_order(
        h, needs, g, x, weight, mean, rstd, axes, eps, centered
    ),
    inputs=5,
)
_layer_norm_affine_backward: Function = primitive(
    "layer_norm_affine_backward",
    lambda g, x, weight, mean, rstd, axes, eps, centered: K.layer_norm_backward(
        g, x, mean, rstd, weight, axes, centered, True
    ),
    joint=lambda h, needs, g, x, weight, mean, rstd, axes, eps, centered: _layer_norm_second_order(
        h, needs, g, x, weight, mean, rstd, axes, eps, centered
    ),
    inputs=5,
    outputs=3,
)


def _check(name: str, x: Any, shape: tuple[int, ...], kinds: str = "fV", **parameters: Any) -> None:
    if x.dtype.kind not in kinds:
        raise TypeError(f"{name}: expected a real floating-point input, got {x.dtype}")
    if not shape or x.shape[-len(shape) :] != shape:
        raise ArgumentError(f"{name}: an input of shape {x.shape} does not end in normalized_shape {shape}")
    _check_parameters(name, x, shape, **parameters)


def _check_parameters(name: str, x: Any, shape: tuple[int, ...], **parameters: Any) -> None:
    dtype = x.dtype
    for label, p in parameters.items():
        if p is not None and (p.shape != shape or (p.dtype is not dtype and p.dtype != dtype)):
            raise ArgumentError(
                f"{name}: {label} must have shape {shape} and the input's dtype {x.dtype}, got {p.shape}, {p.dtype}"
            )


def _wide(x: Any, *parameters: Any) -> Any:
    """A half-precision input as float32 where the parameters are, as in mixed precision; else as it is."""
    mixed = (
        x.dtype.itemsize == 2 and x.dtype.kind in "fV" and any(p is not None and p.dtype == float32 for p in parameters)
    )
    return cast(x, float32) if mixed else x


def _sizes(normalized_shape: Any) -> tuple[int, ...]:
    return integers(normalized_shape, "normalized_shape")


def layer_norm(x: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    r"""Normalise over the trailing axes: :math:`y = (x - \mu) / \sqrt{\sigma^2 + \epsilon} \cdot w + b`.

    Parameters
    ----------
    x : Tensor
        Shape (..., \*normalized_shape).
    normalized_shape : int or tuple of int
        Sizes of the trailing axes to normalise over.
    weight, bias : Tensor, optional
        Shape ``normalized_shape``.
    eps : float

    Raises
    ------
    ValueError
        If the shapes do not agree.

    Notes
    -----
    Ba, Kiros and Hinton, Layer Normalization, 2016. One kernel forward and a pair backward; variances are divided by n.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> from tensorgrad.ops.norm import layer_norm
    >>> layer_norm(tg.tensor([[1.0, 3.0]]), 2, eps=0.0)
    tensor([[-1.,  1.]])
    """
    x, shape = lift(x), _sizes(normalized_shape)
    if autocast_region.get() is not None:
        x, weight, bias = raised(x), raised(weight), raised(bias)
    wide = _wide(x, weight, bias)
    if wide is not x:
        return cast(layer_norm(wide, shape, weight, bias, eps), x.dtype)
    _check("layer_norm", x, shape, weight=weight, bias=bias)
    return _layer_norm(x, weight, bias, len(shape), eps, True)


def rms_norm(x: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    r"""Divide by the root mean square over the trailing axes: :math:`y = x / \sqrt{\overline{x^2} + \epsilon} \cdot w`.

    Parameters
    ----------
    x : Tensor
        Shape (..., \*normalized_shape).
    normalized_shape : int or tuple of int
    weight : Tensor, optional
        Shape ``normalized_shape``.
    eps : float, optional
        By default the distance from 1 to the next number of the dtype that is computed in.

    Notes
    -----
    Zhang and Sennrich, Root Mean Square Layer Normalization, 2019. Of complex numbers it takes the squares, as PyTorch
    does, not those of their absolute values.
    """
    x, shape = lift(x), _sizes(normalized_shape)
    if autocast_region.get() is not None:
        x, weight = raised(x), raised(weight)
    wide = _wide(x, weight)
    if wide is not x:
        return cast(rms_norm(wide, shape, weight, eps), x.dtype)
    _check("rms_norm", x, shape, kinds="fVc", weight=weight)
    if eps is None:
        eps = 2.0**-52 if x.dtype.char in "dD" else 2.0**-23
    if x.dtype.kind == "c":
        y = _standard(x, tuple(range(x.ndim - len(shape), x.ndim)), eps, False)[0]
        return y if weight is None else multiply(y, weight)
    return _layer_norm(x, weight, None, len(shape), eps, False)


# ----------------------------------------------------------------------------------------------------------- batch norm
def _by_channel(parameter: Any, ndim: int) -> Any:
    """A vector of channels with its axis at 1."""
    return None if parameter is None else reshape(parameter, (-1, *(1,) * (ndim - 2)))


def _others(x: Any) -> Axes:
    return (0, *range(2, x.ndim))


def _batch_norm_forward(x: Any, weight: Any, bias: Any, eps: float) -> tuple[Any, Any, Any]:
    results = K.batch_norm(x, weight, bias, eps)
    return results, *results[1:]


def _batch_norm_second_order(
    h: Any, needs: tuple[bool, ...], g: Any, x: Any, weight: Any, mean: Any, var: Any, eps: float
) -> tuple[Any, ...]:
    hx, hw, hb = (h[0], *(_by_channel(part, x.ndim) for part in h[1:]))

    def project(v: Any) -> Any:
        return _batch_norm_backward(v, x, None, mean, var, eps)[0]

    by_g, by_x, by_w = _second_order(hx, hw, hb, g, x, _by_channel(weight, x.ndim), _others(x), eps, True, project)
    return by_g, by_x if needs[1] else None, summed(by_w, _others(x), False) if needs[2] else None, None, None


# Mean and variance are results too, but for reading only: no gradient is taken of them.
_batch_norm: Function = primitive(
    "batch_norm",
    _batch_norm_forward,
    joint=lambda g, needs, x, weight, eps, mean, var: tuple(
        gradient if need else None
        for need, gradient in zip(needs, _batch_norm_backward(g[0], x, weight, mean, var, eps), strict=True)
    ),
    inputs=3,
    aux=("mean", "var"),
    outputs=3,
)
_batch_norm_backward: Function = primitive(
    "batch_norm_backward",
    lambda g, x, weight, mean, var, eps: K.batch_norm_backward(g, x, mean, var, weight, eps),
    joint=lambda h, needs, g, x, weight, mean, var, eps: _batch_norm_second_order(
        h, needs, g, x, weight, mean, var, eps
    ),
    inputs=5,
    outputs=3,
)


def _check_channels(name: str, x: Any, **parameters: Any) -> None:
    if x.dtype.kind in "biuc":
        raise TypeError(f"{name}: expected a real floating-point input, got {x.dtype}")
    if x.ndim < 2:
        raise ArgumentError(f"{name}: expected an input with at least 2 axes (samples, channels, ...), got {x.shape}")
    _check_parameters(name, x, x.shape[1:2], **parameters)


def batch_norm(x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> tuple[Any, Any, Any]:
    r"""Normalise each channel over all else: :math:`y = (x - \mu) / \sqrt{\sigma^2 + \epsilon} \cdot w + b`.

    Parameters
    ----------
    x : Tensor
        Shape (samples, channels, ...).
    weight, bias : Tensor, optional
        Shape (channels,).
    eps : float

    Returns
    -------
    y, mean, var : Tensor
        The statistics have shape (channels,) and no gradient; the variance is divided by the number of elements.

    Notes
    -----
    Ioffe and Szegedy, Batch Normalization, 2015.
    """
    x = lift(x)
    wide = _wide(x, weight, bias)
    if wide is not x:
        y, average, variance = batch_norm(wide, weight, bias, eps)
        return cast(y, x.dtype), average, variance
    _check_channels("batch_norm", x, weight=weight, bias=bias)
    y, average, variance = _batch_norm(x, weight, bias, eps)
    return y, Tensor(average._data), Tensor(variance._data)


def _only_values(x: Any, *parameters: Any) -> bool:
    """Whether no gradient is taken, and all are tensors of the dtype of ``x``, so that one kernel does it."""
    given = [x, *(p for p in parameters if p is not None)]
    recorded = grad_mode.get()
    return all(isinstance(p, Tensor) and p.dtype == x.dtype and not (recorded and p._node is not None) for p in given)


def batch_norm_with(
    x: Any, average: Any, variance: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """`batch_norm` by a given mean and variance of shape (channels,), such as the running ones."""
    x = lift(x)
    wide = _wide(x, average, variance, weight, bias)
    if wide is not x:
        return cast(batch_norm_with(wide, average, variance, weight, bias, eps), x.dtype)
    _check_channels("batch_norm", x, mean=average, variance=variance, weight=weight, bias=bias)
    if _only_values(x, average, variance, weight, bias):
        arrays = (None if p is None else p._data for p in (weight, bias))
        return Tensor(K.batch_norm_with(x._data, average._data, variance._data, *arrays, eps))
    scale = rsqrt(add(variance, eps))
    if weight is not None:
        scale = multiply(scale, weight)
    shift = negative(multiply(average, scale))
    if bias is not None:
        shift = add(shift, bias)
    return add(multiply(x, _by_channel(scale, x.ndim)), _by_channel(shift, x.ndim))


def group_norm(x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Normalise each sample over groups of neighbouring channels; weight and bias are per channel.

    Parameters
    ----------
    x : Tensor
        Shape (samples, channels, ...).
    groups : int
        Must divide the channels. As many groups as channels make it instance norm.

    Notes
    -----
    Wu and He, Group Normalization, 2018.
    """
    x = lift(x)
    if autocast_region.get() is not None:
        x, weight, bias = raised(x), raised(weight), raised(bias)
    wide = _wide(x, weight, bias)
    if wide is not x:
        return cast(group_norm(wide, groups, weight, bias, eps), x.dtype)
    _check_channels("group_norm", x, weight=weight, bias=bias)
    if groups < 1 or x.shape[1] % groups:
        raise ArgumentError(f"group_norm: {x.shape[1]} channels cannot be divided into {groups} groups")
    size = x.shape[1] // groups * math.prod(x.shape[2:])
    y = reshape(_layer_norm(reshape(x, (x.shape[0], groups, size)), None, None, 1, eps, True), x.shape)
    if weight is not None:
        y = multiply(y, _by_channel(weight, x.ndim))
    return y if bias is None else add(y, _by_channel(bias, x.ndim))
