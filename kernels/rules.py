"""Shape and dtype rules: what a kernel returns, from its arguments, without running it.

Each rule takes exactly what its kernel takes and gives ``(shape, dtype)`` or a list of them. Planning (`tg.jit`) and
the registry test rely on them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .windows import out_size

__all__ = [
    "arrays_joined",
    "attended",
    "attended_backward",
    "boolean",
    "by_values",
    "cast_to",
    "channels_normalized",
    "channels_normalized_backward",
    "chosen_index",
    "class_losses",
    "complex_number",
    "condition_first",
    "convolved",
    "convolved_input",
    "convolved_line",
    "convolved_weight",
    "counted",
    "first_as_boolean",
    "first_as_index",
    "first_as_octets",
    "first_broadcast",
    "first_operand",
    "gru_states",
    "half_spectrum",
    "in_place",
    "indexed",
    "joint_order",
    "linear_product",
    "lstm_states",
    "matrix_product",
    "norm_of_all",
    "operand_gradients",
    "packed",
    "parted",
    "pooled",
    "pooled_average",
    "ranked",
    "real_part",
    "real_signal",
    "reduced",
    "reduced_boolean",
    "reduced_index",
    "reduced_size",
    "repeated",
    "repeated_slices",
    "rows_normalized",
    "rows_normalized_backward",
    "same",
    "second_as_index",
    "sorted_index",
    "sums_of_gates",
    "taken",
    "taken_along_axis",
    "two_alike",
    "unpacked",
    "whole",
]

Spec = tuple[tuple[int, ...], np.dtype[Any]]
Sizes = tuple[int, ...]


def _operands(args: tuple[Any, ...]) -> list[Any]:
    return [a for a in args if hasattr(a, "dtype")]


def same(*args: Any, **_: Any) -> Spec:
    """Broadcast shape; the one dtype that the operands share."""
    operands = _operands(args)
    return np.broadcast_shapes(*(a.shape for a in operands)), operands[0].dtype


def real_part(x: Any, **_: Any) -> Spec:
    """The operand's shape; the dtype of a part of it."""
    return x.shape, np.dtype(x.dtype.char.lower())


def complex_number(real: Any, imag: Any, **_: Any) -> Spec:
    """Broadcast shape; the complex dtype whose parts have the operands'."""
    return np.broadcast_shapes(real.shape, imag.shape), np.dtype(real.dtype.char.upper())


def convolved_line(x: Any, w: Any, start: int, size: int, *_: Any, **__: Any) -> Spec:
    """``size`` points of the convolution along the last axis, for all the lines that the operands have together."""
    return (*np.broadcast_shapes(x.shape[:-1], w.shape[:-1]), size), x.dtype


def half_spectrum(x: Any, axis: int, *_: Any, **__: Any) -> Spec:
    """The first half of the transform of a real array along an axis; complex."""
    shape = list(x.shape)
    shape[axis] = shape[axis] // 2 + 1
    return tuple(shape), np.dtype(x.dtype.char.upper())


def real_signal(x: Any, size: int, axis: int, *_: Any, **__: Any) -> Spec:
    """A real array of ``size`` points along an axis."""
    shape = list(x.shape)
    shape[axis] = size
    return tuple(shape), np.dtype(x.dtype.char.lower())


def boolean(*args: Any, **_: Any) -> Spec:
    """Broadcast shape; bool."""
    return np.broadcast_shapes(*(a.shape for a in _operands(args))), np.dtype(bool)


def condition_first(condition: Any, *args: Any, **_: Any) -> Spec:
    """Broadcast shape of all operands; the dtype of those after the condition."""
    operands = _operands(args)
    return np.broadcast_shapes(condition.shape, *(a.shape for a in operands)), operands[0].dtype


def first_operand(x: Any, *_: Any, **__: Any) -> Spec:
    """Shape and dtype of the first operand."""
    return x.shape, x.dtype


def first_as_index(x: Any, *_: Any, **__: Any) -> Spec:
    """The shape of the first operand; int64."""
    return x.shape, np.dtype(np.int64)


def whole(x: Any) -> Spec:
    """The shape of the operand; int32."""
    return x.shape, np.dtype(np.int32)


def second_as_index(x: Any, other: Any, *_: Any, **__: Any) -> Spec:
    """The shape of the second operand; int64."""
    return other.shape, np.dtype(np.int64)


def first_as_boolean(x: Any, *_: Any, **__: Any) -> Spec:
    """The shape of the first operand; bool."""
    return x.shape, np.dtype(bool)


def ranked(x: Any, ranks: Any, axis: int = -1) -> Spec:
    """One index per rank along the axis; int64."""
    shape = list(x.shape)
    shape[axis] = len(ranks) if isinstance(ranks, tuple) else ranks.shape[axis]
    return tuple(shape), np.dtype(np.int64)


def first_as_octets(x: Any) -> Spec:
    """The shape of the operand; uint8."""
    return x.shape, np.dtype(np.uint8)


def first_broadcast(x: Any, other: Any, **_: Any) -> Spec:
    """Broadcast shape; the dtype of the first operand."""
    return np.broadcast_shapes(x.shape, other.shape), x.dtype


def two_alike(*args: Any) -> list[Spec]:
    """Twice what `same` gives."""
    return [same(*args)] * 2


def _octets_along(x: Any, axis: int, count: int) -> Spec:
    shape = list(x.shape)
    shape[axis] = count
    return tuple(shape), np.dtype(np.uint8)


def packed(x: Any, axis: int, big: bool = True) -> Spec:
    """An eighth of the axis, rounded up; uint8."""
    return _octets_along(x, axis, -(-x.shape[axis] // 8))


def unpacked(x: Any, axis: int, count: int, big: bool = True) -> Spec:
    """``count`` along the axis; uint8."""
    return _octets_along(x, axis, count)


def joint_order(arrays: Any, axis: int) -> Spec:
    """The shape that all have; int64."""
    return arrays[0].shape, np.dtype(np.int64)


def parted(x: Any, parts: tuple[float, ...], *_: Any, **__: Any) -> Spec:
    """One number per part in the place of the last axis."""
    return (*x.shape[:-1], len(parts)), x.dtype


def counted(x: Any, size: int, weights: Any = None) -> Spec:
    """One number per index: int64, or the dtype of the weights."""
    return (size,), np.dtype(np.int64) if weights is None else weights.dtype


def repeated_slices(x: Any, count: int, axis: int) -> Spec:
    """The axis ``count`` times as long."""
    axis %= x.ndim
    return (*x.shape[:axis], x.shape[axis] * count, *x.shape[axis + 1 :]), x.dtype


def repeated(repeats: Any, total: int) -> Spec:
    """A row of as many indices as are asked for."""
    return (total,), np.dtype(np.int64)


def by_values(*_: Any, **__: Any) -> Spec:
    """The shape is known only when the values are: such a kernel takes no ``out`` and cannot be captured."""
    raise ValueError("the shape of the result depends on the values of the operands")


def in_place(*_: Any, **__: Any) -> None:
    """Nothing is returned: the first argument is written."""


def _reduced_shape(x: Any, axis: int | tuple[int, ...] | None, keepdims: bool) -> tuple[int, ...]:
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    gone = {a % x.ndim for a in axes} if x.ndim else set()
    return tuple(1 if a in gone else n for a, n in enumerate(x.shape) if keepdims or a not in gone)


def reduced(x: Any, axis: Any = None, keepdims: bool = False, *_: Any, **__: Any) -> Spec:
    """The shape without the reduced axes; the same dtype."""
    return _reduced_shape(x, axis, keepdims), x.dtype


def reduced_boolean(x: Any, axis: Any = None, keepdims: bool = False) -> Spec:
    """The shape without the reduced axes; bool."""
    return _reduced_shape(x, axis, keepdims), np.dtype(bool)


def reduced_index(x: Any, axis: Any = None, keepdims: bool = False) -> Spec:
    """The shape without the reduced axes; int64."""
    return _reduced_shape(x, axis, keepdims), np.dtype(np.int64)


def reduced_size(x: Any, axis: Any = None, keepdims: bool = False, *_: Any, **__: Any) -> Spec:
    """The shape without the reduced axes; the dtype of absolute values."""
    dtype = np.dtype(x.dtype.char.lower()) if x.dtype.kind == "c" else x.dtype
    return _reduced_shape(x, axis, keepdims), dtype


def matrix_product(x1: Any, x2: Any) -> Spec:
    """``np.matmul``'s shape; the one dtype that the operands share."""
    batch = np.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    rows = x1.shape[-2:-1] if x1.ndim > 1 else ()
    columns = x2.shape[-1:] if x2.ndim > 1 else ()
    return (*batch, *rows, *columns), x1.dtype


def linear_product(x: Any, weight: Any, bias: Any = None) -> Spec:
    """``(..., in) x (out, in) -> (..., out)``."""
    return (*x.shape[:-1], weight.shape[0]), x.dtype


def cast_to(x: Any, dtype: Any) -> Spec:
    """The same shape in another dtype."""
    return x.shape, np.dtype(dtype)


def arrays_joined(arrays: Any, axis: int) -> Spec:
    """Sizes add up along ``axis``."""
    shape = list(arrays[0].shape)
    shape[axis] = sum(a.shape[axis] for a in arrays)
    return tuple(shape), arrays[0].dtype


def indexed(x: Any, index: Any) -> Spec:
    """What NumPy's indexing gives, found on a stand-in without memory."""
    stand_in = np.broadcast_to(np.empty((), x.dtype), x.shape)
    plain = tuple(np.asarray(i.get() if hasattr(i, "get") else i) if hasattr(i, "dtype") else i for i in index)
    return stand_in[plain].shape, x.dtype


def taken(x: Any, indices: Any, axis: int) -> Spec:
    """``axis`` is replaced by the axes of ``indices``."""
    axis %= x.ndim
    return (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype


def taken_along_axis(x: Any, indices: Any, axis: int) -> Spec:
    """The shape of ``indices``, broadcast against ``x`` off the axis."""
    axis %= x.ndim
    shape = [max(n, m) if min(n, m) == 1 else min(n, m) for n, m in zip(x.shape, indices.shape, strict=True)]
    shape[axis] = indices.shape[axis]
    return tuple(shape), x.dtype


def class_losses(logits: Any, *_: Any, **__: Any) -> list[Spec]:
    """Loss and log-sum-exp: the shape without the class axis 1."""
    shape = (logits.shape[0], *logits.shape[2:])
    return [(shape, logits.dtype), (shape, logits.dtype)]


def _statistics(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Statistics of half types are kept in float32."""
    return np.dtype(np.float32) if dtype.itemsize == 2 else dtype


def rows_normalized(x: Any, weight: Any = None, bias: Any = None, axes: int = 1, *_: Any, **__: Any) -> list[Spec]:
    """The result, and mean and 1/deviation of each row, with the normalised axes kept."""
    kept = ((*x.shape[: x.ndim - axes], *(1,) * axes), _statistics(x.dtype))
    return [(x.shape, x.dtype), kept, kept]


def rows_normalized_backward(
    g: Any,
    x: Any,
    mean: Any,
    rstd: Any,
    weight: Any = None,
    axes: int = 1,
    centered: bool = True,
    affine: bool = False,
) -> Spec | list[Spec]:
    """The gradient by ``x``; with ``affine`` also those by weight and bias."""
    parameter = (x.shape[x.ndim - axes :], x.dtype)
    return [(x.shape, x.dtype), parameter, parameter] if affine else (x.shape, x.dtype)


def channels_normalized(x: Any, *_: Any, **__: Any) -> list[Spec]:
    """The result, and mean and variance of each channel."""
    kept = (x.shape[1:2], _statistics(x.dtype))
    return [(x.shape, x.dtype), kept, kept]


def channels_normalized_backward(g: Any, x: Any, *_: Any, **__: Any) -> list[Spec]:
    """The gradients by ``x``, weight and bias."""
    return [(x.shape, x.dtype), (x.shape[1:2], x.dtype), (x.shape[1:2], x.dtype)]


def convolved(x: Any, weight: Any, bias: Any, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int) -> Spec:
    """``(N, C, ...) x (O, C / groups, ...) -> (N, O, ...)``."""
    positions = out_size(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    return (x.shape[0], weight.shape[0], *positions), x.dtype


def convolved_input(
    g: Any, weight: Any, size: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> Spec:
    """``(N, O, ...) x (O, C / groups, ...) -> (N, C, *size)``."""
    return (g.shape[0], weight.shape[1] * groups, *size), g.dtype


def convolved_weight(
    g: Any, x: Any, kernel_size: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> Spec:
    """``(N, O, ...) x (N, C, ...) -> (O, C / groups, *kernel_size)``."""
    return (g.shape[1], x.shape[1] // groups, *kernel_size), g.dtype


def pooled(
    x: Any, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, ceil_mode: bool = False
) -> list[Spec]:
    """Values and indices of the windows."""
    shape = (*x.shape[:2], *out_size(x.shape[2:], kernel, stride, padding, dilation, ceil_mode))
    return [(shape, x.dtype), (shape, np.dtype(np.int64))]


def pooled_average(
    x: Any, kernel: Sizes, stride: Sizes, padding: Sizes, ceil_mode: bool = False, *_: Any, **__: Any
) -> Spec:
    """One value per window."""
    return (*x.shape[:2], *out_size(x.shape[2:], kernel, stride, padding, (1,) * len(kernel), ceil_mode)), x.dtype


def norm_of_all(arrays: Any, *_: Any, **__: Any) -> Spec:
    """One number, float64 if an array is and else float32."""
    return (), np.dtype(np.float64 if any(a.dtype.itemsize == 8 for a in arrays) else np.float32)


def sorted_index(x: Any, *_: Any, **__: Any) -> Spec:
    """The same shape; int64."""
    return x.shape, np.dtype(np.int64)


def chosen_index(x: Any, k: int, axis: int = -1, *_: Any, **__: Any) -> Spec:
    """``k`` along ``axis``; int64."""
    shape = list(x.shape)
    shape[axis] = k
    return tuple(shape), np.dtype(np.int64)


def attended(q: Any, k: Any, v: Any, *_: Any, **__: Any) -> list[Spec]:
    """The result, (B, H, L, D), and the log-sum-exp of every query's scores."""
    return [((*q.shape[:3], v.shape[3]), q.dtype), (q.shape[:3], _statistics(q.dtype))]


def attended_backward(g: Any, q: Any, k: Any, v: Any, *_: Any, **__: Any) -> list[Spec]:
    """The gradients by query, key and value."""
    return [(x.shape, x.dtype) for x in (q, k, v)]


def _kept_states(x: Any, h: Any, blocks: int, batch_first: bool) -> Spec:
    """Blocks of the size of the state, for each step."""
    return (x.shape[batch_first], blocks, *h.shape), _statistics(x.dtype)


def lstm_states(
    x: Any,
    h: Any,
    c: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    batch_first: bool = False,
    reverse: bool = False,
    keep: bool = True,
) -> list[Spec]:
    """The hidden states of all steps, the last cell state and, if kept, slopes and a gate of each step."""
    results = [((*x.shape[:2], h.shape[1]), x.dtype), (h.shape, x.dtype)]
    return [*results, _kept_states(x, h, 6, batch_first)] if keep else results


def gru_states(
    x: Any,
    h: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    batch_first: bool = False,
    reverse: bool = False,
    keep: bool = True,
) -> Spec | list[Spec]:
    """The states of all steps and, if kept, gates and slopes of each step."""
    states = (*x.shape[:2], h.shape[1]), x.dtype
    return [states, _kept_states(x, h, 5, batch_first)] if keep else states


def operand_gradients(
    x: Any, states: tuple[Any, ...], weight_ih: Any, weight_hh: Any, wanted: tuple[bool, ...]
) -> list[Spec]:
    """Those gradients of a recurrent layer's operands, its biases included, that are wanted."""
    bias = weight_hh.shape[:1]
    shapes = [x.shape, *(state.shape for state in states), weight_ih.shape, weight_hh.shape, bias, bias]
    return [(shape, x.dtype) for shape, want in zip(shapes, wanted, strict=True) if want]


def sums_of_gates(g: Any, weight_hh: Any, batch_first: bool, states: int) -> list[Spec]:
    """The gradient by the sums that gates are functions of, in all steps, and those by the first states."""
    state = (g.shape[not batch_first], weight_hh.shape[1]), g.dtype
    return [((*g.shape[:2], weight_hh.shape[0]), g.dtype), *[state] * states]
