"""Norms and fused instructions whose parameters may differ from sample to sample."""

from __future__ import annotations

from typing import Any

from .along import wrapped
from .array import Level, data_at, empty_like, spread

__all__ = ["RULES"]


def _layer_norm(
    kernel: Any, level: Level, x: Any, weight: Any, bias: Any, axes: int, eps: float, centered: bool
) -> Any:
    from .. import add, multiply

    if data_at(weight, level) is None and data_at(bias, level) is None:
        return wrapped(kernel(spread(x, level), weight, bias, axes, eps, centered), level)
    y, mean, rstd = kernel(x, None, None, axes, eps, centered)
    if weight is not None:
        y = multiply(y, weight)
    return (y if bias is None else add(y, bias)), mean, rstd


def _layer_norm_backward(
    kernel: Any,
    level: Level,
    g: Any,
    x: Any,
    mean: Any,
    rstd: Any,
    weight: Any,
    axes: int,
    centered: bool,
    affine: bool,
) -> Any:
    from .. import cast, multiply, subtract, sum

    scaled, factor = (g, weight) if data_at(weight, level) is None else (multiply(g, weight), None)
    rows = [spread(a, level) for a in (scaled, x, mean, rstd)]
    gx = wrapped(kernel(*rows, factor, axes, centered, False), level)
    if not affine:
        return gx
    before = tuple(range(x.ndim - axes))
    wide, upper = cast(x, mean.dtype), cast(g, mean.dtype)
    unit = multiply(subtract(wide, mean) if centered else wide, rstd)
    gw, gb = sum(multiply(upper, unit), before), sum(upper, before)
    return gx, cast(gw, x.dtype), cast(gb, x.dtype)


def _bias_activation(kernel: Any, level: Level, x: Any, bias: Any, activation: str) -> Any:
    from .. import add

    if data_at(bias, level) is None:
        return wrapped(kernel(spread(x, level), bias, activation), level)
    return kernel(add(x, bias), _zeros_like(bias), activation)


def _bias_activation_backward(kernel: Any, level: Level, g: Any, x: Any, bias: Any, activation: str) -> Any:
    from .. import add

    if data_at(bias, level) is None:
        return wrapped(kernel(spread(g, level), spread(x, level), bias, activation), level)
    return kernel(g, add(x, bias), _zeros_like(bias), activation)


def _zeros_like(x: Any) -> Any:
    """Zeros that all samples share."""
    from .. import fill

    zeros = empty_like(x, x.shape)
    fill(zeros, 0)
    return zeros


def _target_weight(kernel: Any, level: Level, logits: Any, target: Any, weight: Any, ignore_index: int) -> Any:
    from .. import cast, maximum, multiply, not_equal, sum, take, where

    counted = not_equal(target, ignore_index)
    if weight is None:
        return sum(cast(counted, logits.dtype))
    chosen = take(weight, maximum(where(counted, target, 0), 0), 0)
    return sum(multiply(chosen, cast(counted, chosen.dtype)))


RULES = {
    "layer_norm": _layer_norm,
    "layer_norm_backward": _layer_norm_backward,
    "bias_activation": _bias_activation,
    "bias_activation_backward": _bias_activation_backward,
    "target_weight": _target_weight,
}
