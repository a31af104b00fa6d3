"""Convolution through cuDNN, where it is installed.

Engines that are not deterministic are left out, and for float32 those that round to TF32 unless
`switches.cudnn_allow_tf32`. Where products may run on tensor cores the operands are laid out with the channels last,
which those need; results then stay so, and the next convolution copies nothing.

Every function returns None where cuDNN is missing or has no engine, and the caller computes by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cupy

from .. import switches
from . import cudnn as adapter
from .module import is_half

__all__ = ["conv", "conv_input_gradient", "conv_weight_gradient"]

Sizes = tuple[int, ...]

_OPERATIONS = {
    # instruction: (operation of the graph, names of its operands)
    "conv": ("conv_fprop", "image", "weight"),
    "conv_input_gradient": ("conv_dgrad", "loss", "filter"),
    "conv_weight_gradient": ("conv_wgrad", "loss", "image"),
}
_ROUNDING = ("TENSOR_CORE", "DOWN_CONVERT_INPUTS")  # what gives a float32 product fewer bits


def _channels_last(x: Any) -> Any:
    """The same array with its channels side by side in memory."""
    return cupy.moveaxis(cupy.ascontiguousarray(cupy.moveaxis(x, 1, -1)), -1, 1)


def _empty_channels_last(shape: Sizes, dtype: Any) -> Any:
    return cupy.moveaxis(cupy.empty((shape[0], *shape[2:], shape[1]), dtype), -1, 1)


def _run(
    name: str, first: Any, second: Any, shape: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> Any | None:
    dtype = first.dtype.name
    if adapter.conv_refusal(dtype) is not None:
        return None
    if len(shape) == 3:  # cuDNN has no 1-d convolution
        made = _run(
            name,
            first[:, :, None],
            second[:, :, None],
            (*shape[:2], 1, shape[2]),
            (1, *stride),
            (0, *padding),
            (1, *dilation),
            groups,
        )
        return None if made is None else made[:, :, 0]
    rounds = switches.cudnn_allow_tf32
    key = (name, first.shape, second.shape, shape, dtype, stride, padding, dilation, groups, rounds)
    if adapter.refused(key):
        return None
    last = is_half(first.dtype) or rounds
    laid_out = _channels_last if last else cupy.ascontiguousarray
    first, second = laid_out(first), laid_out(second)
    made = _empty_channels_last(shape, first.dtype) if last else cupy.empty(shape, first.dtype)

    def describe(graph: Any, cudnn: Any) -> Sequence[Any]:
        operation, *names = _OPERATIONS[name]
        operands = [adapter.operand(graph, cudnn, label, x) for label, x in zip(names, (first, second), strict=True)]
        y = getattr(graph, operation)(
            **dict(zip(names, operands, strict=True)),
            stride=list(stride),
            padding=list(padding),
            dilation=list(dilation),
        )
        return *operands, adapter.result(y, cudnn, made)

    unwanted = ("NONDETERMINISTIC", *(() if last else _ROUNDING))
    return made if adapter.execute(key, describe, (first, second, made), dtype, unwanted) else None


def conv(x: Any, weight: Any, shape: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int) -> Any | None:
    """Cross-correlation; ``shape`` is the result's."""
    return _run("conv", x, weight, shape, stride, padding, dilation, groups)


def conv_input_gradient(
    g: Any, weight: Any, shape: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> Any | None:
    """Gradient by the input; ``shape`` is the input's."""
    return _run("conv_input_gradient", g, weight, shape, stride, padding, dilation, groups)


def conv_weight_gradient(
    g: Any, x: Any, shape: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> Any | None:
    """Gradient by the weight; ``shape`` is the weight's."""
    return _run("conv_weight_gradient", g, x, shape, stride, padding, dilation, groups)
