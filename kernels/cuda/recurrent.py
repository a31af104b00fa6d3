"""Recurrent layers on CUDA: for each step one product on cuBLAS and one kernel for everything else.

The product of the inputs is one for all steps. That of the state is added to it in place, except for GRU, which needs
the two apart.
"""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from .matmul import accumulate, linear, matmul
from .module import FLOATS, blocks, by_value, c_name, is_half, launch, stored

__all__ = ["INSTANTIATIONS", "gru", "gru_backward", "lstm", "lstm_backward", "rnn", "rnn_backward"]

INSTANTIATIONS = {
    "recurrent": [
        *(f"{kernel}<{t}>" for kernel in ("lstm", "lstm_backward", "gru", "gru_backward") for t in FLOATS),
        *(f"{kernel}<{t}, {relu}>" for kernel in ("rnn", "rnn_backward") for t in FLOATS for relu in ("false", "true")),
    ]
}
_THREADS = 256


def _compute(dtype: Any) -> Any:
    return np.dtype(np.float32) if is_half(dtype) else dtype


def _ordered(x: Any, batch_first: bool, reverse: bool) -> Any:
    """A sequence as (T, N, ...), in the order in which the steps are taken."""
    x = x.swapaxes(0, 1) if batch_first else x
    return x[::-1] if reverse else x


def _stride(rows: Any) -> int:
    """Elements from one row of a matrix to the next."""
    return int(rows.strides[0]) // int(rows.dtype.itemsize)


def _place(shape: tuple[int, ...], dtype: Any, given: Any) -> Any:
    """Memory to compute in: what is given if it is laid out for that."""
    direct = given is not None and given.flags.c_contiguous and given.dtype == dtype
    return given if direct else cupy.empty(shape, dtype)


def _run(kernel: str, state: Any, *arguments: Any) -> None:
    """Launch for every element of a state (N, H)."""
    grid = (blocks(state.size, _THREADS),)
    launch("recurrent", kernel, grid, (_THREADS,), (*arguments, by_value(*state.shape)))


def _bias(*biases: Any) -> Any:
    """The sum of those biases that there are."""
    given = [b for b in biases if b is not None]
    return None if not given else given[0] if len(given) == 1 else cupy.add(*given)


# ---------------------------------------------------------------------------------------------------------------- LSTM
def lstm(
    x: Any,
    h: Any,
    c: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any | None = None,
    bias_hh: Any | None = None,
    batch_first: bool = False,
    reverse: bool = False,
    keep: bool = True,
    out: Any | None = None,
) -> Any:
    """The hidden state after each step, the last cell state and, if kept, the slopes of the steps and the gate f."""
    dtype, compute, given = x.dtype, _compute(x.dtype), out or (None, None, None)
    length, (batch, size) = x.shape[batch_first], h.shape
    sums = linear(x, weight_ih, _bias(bias_ih, bias_hh))
    y = _place((*x.shape[:2], size), dtype, given[0])
    kept = _place((length, 6, batch, size), compute, given[2]) if keep else None
    state, cells = h.copy(order="C"), c.astype(compute, order="C")
    places = [None] * length if kept is None else kept[::-1] if reverse else kept
    steps = zip(_ordered(sums, batch_first, reverse), _ordered(y, batch_first, reverse), places, strict=True)
    for sums_t, y_t, kept_t in steps:
        accumulate(sums_t, state, weight_hh.T)
        arguments = (sums_t, _stride(sums_t), cells, kept_t, y_t, _stride(y_t), state)
        _run(f"lstm<{c_name(dtype)}>", state, *arguments)
    results = stored(y, given[0]), stored(cells.astype(dtype, copy=False), given[1])
    return (*results, stored(kept, given[2])) if keep else results


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
    sums = _place((*g.shape[:2], 4 * size), dtype, given[0])
    dh, dc = cupy.zeros((batch, size), dtype), gc.astype(kept.dtype, order="C")
    slopes, targets = (_ordered(a, batch_first, not reverse) for a in (g, sums))
    for g_t, sums_t, kept_t in zip(slopes, targets, kept if reverse else kept[::-1], strict=True):
        arguments = (g_t, _stride(g_t), dh, dc, kept_t, sums_t, _stride(sums_t))
        _run(f"lstm_backward<{c_name(dtype)}>", dh, *arguments)
        matmul(sums_t, weight_hh, dh)
    return stored(sums, given[0]), stored(dh, given[1]), stored(dc.astype(dtype, copy=False), given[2])


# ----------------------------------------------------------------------------------------------------------------- GRU
def gru(
    x: Any,
    h: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any | None = None,
    bias_hh: Any | None = None,
    batch_first: bool = False,
    reverse: bool = False,
    keep: bool = True,
    out: Any | None = None,
) -> Any:
    """The hidden state after each step and, if kept, the gates r and z and the slopes of the steps."""
    dtype, given = x.dtype, (out if keep else (out, None)) or (None, None)
    length, (batch, size) = x.shape[batch_first], h.shape
    fed = linear(x, weight_ih, bias_ih)
    y = _place((*x.shape[:2], size), dtype, given[0])
    kept = _place((length, 5, batch, size), _compute(dtype), given[1]) if keep else None
    state, own = h.copy(order="C"), cupy.empty((batch, 3 * size), dtype)
    bias = None if bias_hh is None else cupy.ascontiguousarray(bias_hh)
    places = [None] * length if kept is None else kept[::-1] if reverse else kept
    steps = zip(_ordered(fed, batch_first, reverse), _ordered(y, batch_first, reverse), places, strict=True)
    for fed_t, y_t, kept_t in steps:
        matmul(state, weight_hh.T, own)
        arguments = (fed_t, _stride(fed_t), own, bias, kept_t, y_t, _stride(y_t), state)
        _run(f"gru<{c_name(dtype)}>", state, *arguments)
    return (stored(y, given[0]), stored(kept, given[1])) if keep else stored(y, given[0])


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
    inputs, hidden = (_place((*g.shape[:2], 3 * size), dtype, a) for a in given[:2])
    dh = cupy.zeros((batch, size), dtype)
    slopes, by_inputs, by_hidden = (_ordered(a, batch_first, not reverse) for a in (g, inputs, hidden))
    steps = zip(slopes, by_inputs, by_hidden, kept if reverse else kept[::-1], strict=True)
    for g_t, inputs_t, hidden_t, kept_t in steps:
        arguments = (g_t, _stride(g_t), dh, kept_t, inputs_t, hidden_t, _stride(hidden_t))
        _run(f"gru_backward<{c_name(dtype)}>", dh, *arguments)
        accumulate(dh, hidden_t, weight_hh)
    return stored(inputs, given[0]), stored(hidden, given[1]), stored(dh, given[2])


# ----------------------------------------------------------------------------------------------------------------- RNN
def _rnn_kernel(name: str, dtype: Any, nonlinearity: str) -> str:
    return f"{name}<{c_name(dtype)}, {'true' if nonlinearity == 'relu' else 'false'}>"


def rnn(
    x: Any,
    h: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any | None = None,
    bias_hh: Any | None = None,
    nonlinearity: str = "tanh",
    batch_first: bool = False,
    reverse: bool = False,
    out: Any | None = None,
) -> Any:
    """The hidden state after each step."""
    sums = linear(x, weight_ih, _bias(bias_ih, bias_hh))
    y = _place((*x.shape[:2], h.shape[1]), x.dtype, out)
    state, kernel = h.copy(order="C"), _rnn_kernel("rnn", x.dtype, nonlinearity)
    for sums_t, y_t in zip(*(_ordered(a, batch_first, reverse) for a in (sums, y)), strict=True):
        accumulate(sums_t, state, weight_hh.T)
        _run(kernel, state, sums_t, _stride(sums_t), y_t, _stride(y_t), state)
    return stored(y, out)


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
    sums = _place(g.shape, dtype, given[0])
    dh = cupy.zeros((g.shape[not batch_first], g.shape[2]), dtype)
    kernel = _rnn_kernel("rnn_backward", dtype, nonlinearity)
    for g_t, y_t, sums_t in zip(*(_ordered(a, batch_first, not reverse) for a in (g, y, sums)), strict=True):
        _run(kernel, dh, g_t, y_t, _stride(g_t), dh, sums_t, _stride(sums_t))
        matmul(sums_t, weight_hh, dh)
    return stored(sums, given[0]), stored(dh, given[1])
