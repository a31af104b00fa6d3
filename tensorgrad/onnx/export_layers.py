"""Nodes of matrix products, convolution, pooling, normalisation and attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..kernels.windows import out_size
from .alignment import Operand, Size, Step
from .graph import Graph, exports

__all__: list[str] = []


# ------------------------------------------------------------------------------------------------------ matrix products
@exports("matmul")
def _matmul(g: Graph, step: Step, x1: Operand, x2: Operand) -> str:
    return g.op("MatMul", x1, x2)


@exports("linear")
def _linear(g: Graph, step: Step, x: Operand, weight: Operand, bias: Operand | None = None) -> str:
    if x.ndim == 2 and x.dtype.kind == "f":
        return g.op("Gemm", x, weight, *(() if bias is None else (bias,)), transB=1)
    y = g.op("MatMul", x, g.op("Transpose", weight, perm=[1, 0]))
    return y if bias is None else g.op("Add", y, bias)


# --------------------------------------------------------------------------------------------------------- convolution
@exports("conv")
def _conv(
    g: Graph, step: Step, x: Operand, weight: Operand, bias: Operand | None, stride: Any, padding: Any, dilation: Any,
    groups: int,
) -> str:  # fmt: skip
    inputs = (x, weight) if bias is None else (x, weight, bias)
    return g.op(
        "Conv", *inputs, strides=list(stride), pads=[*padding, *padding], dilations=list(dilation), group=groups,
        kernel_shape=list(weight.shape[2:]),
    )  # fmt: skip


@exports("conv_input_gradient")
def _conv_transpose(
    g: Graph, step: Step, x: Operand, weight: Operand, size: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> str:
    """The transposed convolution; its ``output_padding`` is what the size has more than the formula gives."""
    extra = []
    for n, m, k, s, p, d in zip(x.shape[2:], size, weight.shape[2:], stride, padding, dilation, strict=True):
        pairs = zip(_series(n, m), _series(m, n), strict=True)
        found = {b - ((a - 1) * s - 2 * p + d * (k - 1) + 1) for a, b in pairs}
        if len(found) > 1:
            raise g.error("the size of the output depends on that of a dynamic axis in a way that ONNX lacks")
        extra.append(found.pop())
    return g.op(
        "ConvTranspose", x, weight, strides=list(stride), pads=[*padding, *padding], dilations=list(dilation),
        group=groups, output_padding=extra, kernel_shape=list(weight.shape[2:]),
    )  # fmt: skip


def _series(n: int | Size, like: int | Size) -> tuple[Any, ...]:
    """A size in each trace."""
    if isinstance(n, Size):
        return n.series
    return (n,) * (len(like.series) if isinstance(like, Size) else 1)


# ------------------------------------------------------------------------------------------------------------- pooling
def _windows(g: Graph, x: Operand, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool) -> list[int]:
    """What to pad behind each axis so that windows counted downwards are as many as with ``ceil_mode``."""
    if not ceil:
        return list(padding)
    g.fixed(x.shape[2:], what="a window that stands out (ceil_mode)")
    sizes = out_size(x.shape[2:], kernel, stride, padding, dilation, True)
    behind = []
    for n, m, k, s, p, d in zip(x.shape[2:], sizes, kernel, stride, padding, dilation, strict=True):
        behind.append(max((m - 1) * s + d * (k - 1) + 1 - n - p, p))
    return behind


def _padded(g: Graph, x: Any, ndim: int, before: Any, behind: Any, value: float, dtype: Any) -> str:
    pads = [0, 0, *before, 0, 0, *behind]
    assert len(pads) == 2 * ndim
    return g.op("Pad", x, g.integers(pads), g.number(value, dtype))


def _over_all(g: Graph, kind: str, x: Operand) -> str:
    """One window that is the whole, of whatever size."""
    return g.op(kind, x, g.integers(range(2, x.ndim)), keepdims=1)


def _max_pooled(
    g: Graph, x: Operand, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool, outputs: int
) -> list[str]:
    if outputs == 1 and tuple(kernel) == x.shape[2:] and not any(padding) and set(dilation) == {1}:
        return [_over_all(g, "ReduceMax", x)]
    g.fixed(kernel, stride, what="a window")
    behind = _windows(g, x, kernel, stride, padding, dilation, ceil)
    before = list(padding)
    data = g.name_of(x)
    if outputs == 1 and any(p >= k for p, k in zip(behind, kernel, strict=True)):
        data = _padded(g, x, x.ndim, before, behind, -math.inf, x.dtype)
        before, behind = [0] * len(before), [0] * len(before)
    return g.ops(
        "MaxPool", data, kernel_shape=list(kernel), strides=list(stride), pads=[*before, *behind],
        dilations=list(dilation), outputs=outputs,
    )  # fmt: skip


@exports("max_pool_values")
def _max_pool_values(
    g: Graph, step: Step, x: Operand, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool = False
) -> str:
    return _max_pooled(g, x, kernel, stride, padding, dilation, ceil, 1)[0]


@exports("max_pool")
def _max_pool(
    g: Graph, step: Step, x: Operand, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool = False
) -> list[str]:
    """Values and places; ONNX counts these through the whole array, we within a channel."""
    values, places = _max_pooled(g, x, kernel, stride, padding, dilation, ceil, 2)
    channel = g.op("ReduceProd", g.vector(x.shape[2:], x), keepdims=0)
    return [values, g.op("Mod", places, channel)][: max(len(step.outputs), 2)]


@exports("avg_pool")
def _avg_pool(
    g: Graph, step: Step, x: Operand, kernel: Any, stride: Any, padding: Any, ceil: bool = False,
    counted: bool = True, divisor: int | None = None,
) -> str:  # fmt: skip
    """Where windows stand out, the sum of zeros beyond the edge, divided by a constant number of elements."""
    if tuple(kernel) == x.shape[2:] and not any(padding) and divisor is None:
        return _over_all(g, "ReduceMean", x)
    g.fixed(kernel, stride, what="a window")
    ones = (1,) * len(kernel)
    shape: dict[str, Any] = {"kernel_shape": list(kernel), "strides": list(stride)}
    if not ceil and divisor is None:
        return g.op("AveragePool", x, pads=[*padding, *padding], count_include_pad=int(counted), **shape)
    behind = _windows(g, x, kernel, stride, padding, ones, ceil)
    padded = _padded(g, x, x.ndim, padding, behind, 0.0, x.dtype)
    mean = g.op("AveragePool", padded, **shape)
    whole = math.prod(kernel)
    if divisor is not None:
        return g.op("Mul", mean, g.number(whole / divisor, x.dtype))
    sizes = out_size(x.shape[2:], kernel, stride, padding, ones, ceil)
    counts = np.ones((1, 1, *(1,) * len(kernel)))
    for axis, (n, m, k, s, p) in enumerate(zip(x.shape[2:], sizes, kernel, stride, padding, strict=True)):
        starts = np.arange(m) * s - p
        low, high = (-p, n + p) if counted else (0, n)
        along = np.minimum(starts + k, high) - np.maximum(starts, low)
        counts = counts * along.reshape([-1 if i == axis + 2 else 1 for i in range(x.ndim)])
    return g.op("Mul", mean, g.constant((whole / counts).astype(x.dtype)))


def _one_hot_windows(channels: int, kernel: Any, dtype: Any) -> Any:
    """A kernel per channel and place of a window, 1 there and 0 elsewhere."""
    size = math.prod(kernel)
    return np.tile(np.eye(size).reshape(size, 1, *kernel), (channels, 1, *(1,) * len(kernel))).astype(dtype)


@exports("unfold")
def _unfold(g: Graph, step: Step, x: Operand, kernel: Any, stride: Any, padding: Any, dilation: Any) -> str:
    """A convolution with kernels that each copy one place of the window."""
    channels = x.shape[1]
    g.fixed(channels, what="the number of channels")
    y = g.op(
        "Conv", x, _one_hot_windows(channels, kernel, x.dtype), group=channels, strides=list(stride),
        pads=[*padding, *padding], dilations=list(dilation), kernel_shape=list(kernel),
    )  # fmt: skip
    return g.reshaped(y, (0, 0, -1))


@exports("fold")
def _fold(g: Graph, step: Step, x: Operand, size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> str:
    """The transpose of `_unfold`."""
    g.fixed(size, x.shape[1], what="the size of the output")
    channels = x.shape[1] // math.prod(kernel)
    windows = out_size(size, kernel, stride, padding, dilation)
    extra = [
        n - ((m - 1) * s - 2 * p + d * (k - 1) + 1)
        for n, m, k, s, p, d in zip(size, windows, kernel, stride, padding, dilation, strict=True)
    ]
    return g.op(
        "ConvTranspose", g.reshaped(x, (0, 0, *windows)), _one_hot_windows(channels, kernel, x.dtype), group=channels,
        strides=list(stride), pads=[*padding, *padding], dilations=list(dilation), output_padding=extra,
        kernel_shape=list(kernel),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------- normalisation
@exports("layer_norm")
def _layer_norm(
    g: Graph, step: Step, x: Operand, weight: Operand | None, bias: Operand | None, axes: int, eps: float,
    centered: bool,
) -> list[str]:  # fmt: skip
    last = tuple(range(x.ndim - axes, x.ndim))
    if centered:
        scale: Any = weight
        if weight is None:
            size = x.shape[x.ndim - axes :]
            one = g.number(1, x.dtype)
            varies = any(isinstance(n, Size) for n in size)
            scale = g.op("Expand", one, g.vector(size, x)) if varies else np.ones(size, x.dtype)
        inputs = (x, scale) if bias is None else (x, scale, bias)
        return [g.op("LayerNormalization", *inputs, axis=x.ndim - axes, epsilon=eps)]
    square = g.op("ReduceMean", g.op("Mul", x, x), g.integers(last), keepdims=1)
    y = g.op("Div", x, g.op("Sqrt", g.op("Add", square, g.number(eps, x.dtype))))
    return [y if weight is None else g.op("Mul", y, weight)]


@exports("batch_norm")
def _batch_norm(
    g: Graph, step: Step, x: Operand, weight: Operand | None, bias: Operand | None, eps: float
) -> list[str]:
    """By the statistics of the batch, which are results too."""
    axes = (0, *range(2, x.ndim))
    mean = g.op("ReduceMean", x, g.integers(axes), keepdims=1)
    distance = g.op("Sub", x, mean)
    var = g.op("ReduceMean", g.op("Mul", distance, distance), g.integers(axes), keepdims=1)
    y = g.op("Div", distance, g.op("Sqrt", g.op("Add", var, g.number(eps, x.dtype))))
    if weight is not None:
        y = g.op("Mul", y, g.at_channels(weight, x.ndim))
    if bias is not None:
        y = g.op("Add", y, g.at_channels(bias, x.ndim))
    return [y, g.reshaped(mean, (-1,)), g.reshaped(var, (-1,))]


@exports("batch_norm_with")
def _batch_norm_with(
    g: Graph, step: Step, x: Operand, mean: Operand, var: Operand, weight: Operand | None = None,
    bias: Operand | None = None, eps: float = 1e-5,
) -> str:  # fmt: skip
    def filled(value: int) -> str:
        return g.op("Expand", g.number(value, x.dtype), g.vector(x.shape[1:2], x))

    scale = filled(1) if weight is None else weight
    shift = filled(0) if bias is None else bias
    return g.op("BatchNormalization", x, scale, shift, mean, var, epsilon=eps)


# ----------------------------------------------------------------------------------------------------------- attention
@exports("attention")
def _attention(
    g: Graph, step: Step, q: Operand, k: Operand, v: Operand, mask: Operand | None, causal: bool, scale: float,
    p: float, *_: Any,
) -> str:  # fmt: skip
    if p:
        raise g.error("attention with dropout is random; export in eval mode")
    g.fixed(scale, what="the scale")
    dtype = q.dtype
    scores = g.op("MatMul", g.op("Mul", q, g.number(scale, dtype)), g.op("Transpose", k, perm=[0, 1, 3, 2]))
    low = g.number(-math.inf, dtype)
    if causal:
        scores = g.masked(_causal(g, q.shape[-2], k.shape[-2], q, k), scores, low)
    if mask is None:
        return g.op("MatMul", g.op("Softmax", scores, axis=-1), v)
    scores = g.masked(mask, scores, low) if mask.dtype.kind == "b" else g.op("Add", scores, mask)
    seen = g.op("Greater", g.op("ReduceMax", scores, g.integers([-1]), keepdims=1), low)  # else no key is visible
    zero = g.number(0, dtype)
    probabilities = g.op("Softmax", g.masked(seen, scores, zero), axis=-1)
    return g.op("MatMul", g.masked(seen, probabilities, zero), v)


def _causal(g: Graph, queries: int | Size, keys: int | Size, q: Operand, k: Operand) -> Any:
    """Whether the key comes no later than the query."""
    if not isinstance(queries, Size) and not isinstance(keys, Size):
        return np.tril(np.ones((queries, keys), bool))
    zero, one = g.number(0, np.int64), g.number(1, np.int64)
    rows, columns = (g.op("Range", zero, g.reshaped(g.size(n, q, k), ()), one) for n in (queries, keys))
    return g.op("LessOrEqual", columns, g.op("Unsqueeze", rows, g.integers([1])))
