"""Gradients of recurrent layers on CUDA: for each step back one kernel and one product, then products for all steps."""

from __future__ import annotations

from typing import Any

import cupy

from .. import sequences
from . import memory, reduction
from .matmul import accumulate, matmul
from .module import c_name, stored
from .recurrent import ordered, place, rnn_kernel, run, stride

__all__ = ["gru_backward", "gru_gradients", "lstm_backward", "lstm_gradients", "rnn_backward", "rnn_gradients"]


def _gradients(
    wanted: tuple[bool, ...],
    states: Any,
    sums: Any,
    hidden: Any,
    x: Any,
    h: Any,
    y: Any,
    weight_ih: Any,
    batch_first: bool,
    reverse: bool,
    out: Any | None,
) -> tuple[Any, ...]:
    made = sequences.operand_gradients(
        wanted, states, sums, hidden, x, h, y, weight_ih, batch_first, reverse,
        matmul, reduction.sum, cupy.concatenate, memory.copy,
    )  # fmt: skip
    return tuple(stored(result, given) for result, given in zip(made, out or (None,) * len(made), strict=True))


# ---------------------------------------------------------------------------------------------------------------- LSTM
def lstm_backward(
    g: Any,
    gc: Any,
    kept: Any,
    weight_hh: Any,
    batch_first: bool = False,
    reverse: bool = False,
    out: Any | None = None,
) -> Any:
    """The gradients by the sums that the gates are functions of, in all steps, and by the first states."""
    dtype, given = g.dtype, out or (None, None, None)
    batch, size = gc.shape
    g, kept = cupy.ascontiguousarray(g), cupy.ascontiguousarray(kept)
    sums = place((*g.shape[:2], 4 * size), dtype, given[0])
    dh, dc = cupy.zeros((batch, size), dtype), gc.astype(kept.dtype, order="C")
    slopes, targets = (ordered(a, batch_first, not reverse) for a in (g, sums))
    for g_t, sums_t, kept_t in zip(slopes, targets, kept if reverse else kept[::-1], strict=True):
        arguments = (g_t, stride(g_t), dh, dc, kept_t, sums_t, stride(sums_t))
        run(f"lstm_backward<{c_name(dtype)}>", dh, *arguments)
        matmul(sums_t, weight_hh, dh)
    return stored(sums, given[0]), stored(dh, given[1]), stored(dc.astype(dtype, copy=False), given[2])


def lstm_gradients(
    g: Any,
    gc: Any,
    x: Any,
    h: Any,
    y: Any,
    kept: Any,
    weight_ih: Any,
    weight_hh: Any,
    wanted: tuple[bool, ...],
    batch_first: bool = False,
    reverse: bool = False,
    out: Any | None = None,
) -> Any:
    """The gradients by those operands that are wanted."""
    sums, *states = lstm_backward(g, gc, kept, weight_hh, batch_first, reverse)
    return _gradients(wanted, states, sums, sums, x, h, y, weight_ih, batch_first, reverse, out)


# ----------------------------------------------------------------------------------------------------------------- GRU
def gru_backward(
    g: Any,
    kept: Any,
    weight_hh: Any,
    batch_first: bool = False,
    reverse: bool = False,
    out: Any | None = None,
) -> Any:
    """The gradients by the products of the inputs and of the states, in all steps, and by the first state."""
    dtype, given = g.dtype, out or (None, None, None)
    batch, size = kept.shape[2:]
    g, kept = cupy.ascontiguousarray(g), cupy.ascontiguousarray(kept)
    inputs, hidden = (place((*g.shape[:2], 3 * size), dtype, a) for a in given[:2])
    dh = cupy.zeros((batch, size), dtype)
    slopes, by_inputs, by_hidden = (ordered(a, batch_first, not reverse) for a in (g, inputs, hidden))
    steps = zip(slopes, by_inputs, by_hidden, kept if reverse else kept[::-1], strict=True)
    for g_t, inputs_t, hidden_t, kept_t in steps:
        arguments = (g_t, stride(g_t), dh, kept_t, inputs_t, hidden_t, stride(hidden_t))
        run(f"gru_backward<{c_name(dtype)}>", dh, *arguments)
        accumulate(dh, hidden_t, weight_hh)
    return stored(inputs, given[0]), stored(hidden, given[1]), stored(dh, given[2])


def gru_gradients(
    g: Any,
    x: Any,
    h: Any,
    y: Any,
    kept: Any,
    weight_ih: Any,
    weight_hh: Any,
    wanted: tuple[bool, ...],
    batch_first: bool = False,
    reverse: bool = False,
    out: Any | None = None,
) -> Any:
    """The gradients by those operands that are wanted."""
    sums, hidden, *states = gru_backward(g, kept, weight_hh, batch_first, reverse)
    return _gradients(wanted, states, sums, hidden, x, h, y, weight_ih, batch_first, reverse, out)


# ----------------------------------------------------------------------------------------------------------------- RNN
def rnn_backward(
    g: Any,
    y: Any,
    weight_hh: Any,
    nonlinearity: str = "tanh",
    batch_first: bool = False,
    reverse: bool = False,
    out: Any | None = None,
) -> Any:
    """The gradients by the sums that the states are functions of, in all steps, and by the first state."""
    dtype, given = g.dtype, out or (None, None)
    g, y = cupy.ascontiguousarray(g), cupy.ascontiguousarray(y)
    sums = place(g.shape, dtype, given[0])
    dh = cupy.zeros((g.shape[not batch_first], g.shape[2]), dtype)
    kernel = rnn_kernel("rnn_backward", dtype, nonlinearity)
    for g_t, y_t, sums_t in zip(*(ordered(a, batch_first, not reverse) for a in (g, y, sums)), strict=True):
        run(kernel, dh, g_t, y_t, stride(g_t), dh, sums_t, stride(sums_t))
        matmul(sums_t, weight_hh, dh)
    return stored(sums, given[0]), stored(dh, given[1])


def rnn_gradients(
    g: Any,
    x: Any,
    h: Any,
    y: Any,
    weight_ih: Any,
    weight_hh: Any,
    wanted: tuple[bool, ...],
    nonlinearity: str = "tanh",
    batch_first: bool = False,
    reverse: bool = False,
    out: Any | None = None,
) -> Any:
    """The gradients by those operands that are wanted."""
    sums, *states = rnn_backward(g, y, weight_hh, nonlinearity, batch_first, reverse)
    return _gradients(wanted, states, sums, sums, x, h, y, weight_ih, batch_first, reverse, out)
