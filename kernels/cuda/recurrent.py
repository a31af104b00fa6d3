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

__all__ = ["INSTANTIATIONS", "gru", "lstm", "ordered", "place", "rnn", "rnn_kernel", "run", "stride"]

INSTANTIATIONS = {
    "recurrent": [
        *(f"{kernel}<{t}>" for kernel in ("lstm", "lstm_backward", "gru", "gru_backward") for t in FLOATS),
        *(f"{kernel}<{t}, {relu}>" for kernel in ("rnn", "rnn_backward") for t in FLOATS for relu in ("false", "true")),
    ]
}
_THREADS = 256


def _compute(dtype: Any) -> Any:
    return np.dtype(np.float32) if is_half(dtype) else dtype


def ordered(x: Any, batch_first: bool, reverse: bool) -> Any:
    """A sequence as (T, N, ...), in the order in which the steps are taken."""
    x = x.swapaxes(0, 1) if batch_first else x
    return x[::-1] if reverse else x


def stride(rows: Any) -> int:
    """Elements from one row of a matrix to the next."""
    return int(rows.strides[0]) // int(rows.dtype.itemsize)


def place(shape: tuple[int, ...], dtype: Any, given: Any) -> Any:
    """Memory to compute in: what is given if it is laid out for that."""
    direct = given is not None and given.flags.c_contiguous and given.dtype == dtype
    return given if direct else cupy.empty(shape, dtype)


def run(kernel: str, state: Any, *arguments: Any) -> None:
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
    y = place((*x.shape[:2], size), dtype, given[0])
    kept = place((length, 6, batch, size), compute, given[2]) if keep else None
    state, cells = h.copy(order="C"), c.astype(compute, order="C")
    places = [None] * length if kept is None else kept[::-1] if reverse else kept
    steps = zip(ordered(sums, batch_first, reverse), ordered(y, batch_first, reverse), places, strict=True)
    for sums_t, y_t, kept_t in steps:
        accumulate(sums_t, state, weight_hh.T)
        arguments = (sums_t, stride(sums_t), cells, kept_t, y_t, stride(y_t), state)
        run(f"lstm<{c_name(dtype)}>", state, *arguments)
    results = stored(y, given[0]), stored(cells.astype(dtype, copy=False), given[1])
    return (*results, stored(kept, given[2])) if keep else results


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
    y = place((*x.shape[:2], size), dtype, given[0])
    kept = place((length, 5, batch, size), _compute(dtype), given[1]) if keep else None
    state, own = h.copy(order="C"), cupy.empty((batch, 3 * size), dtype)
    bias = None if bias_hh is None else cupy.ascontiguousarray(bias_hh)
    places = [None] * length if kept is None else kept[::-1] if reverse else kept
    steps = zip(ordered(fed, batch_first, reverse), ordered(y, batch_first, reverse), places, strict=True)
    for fed_t, y_t, kept_t in steps:
        matmul(state, weight_hh.T, own)
        arguments = (fed_t, stride(fed_t), own, bias, kept_t, y_t, stride(y_t), state)
        run(f"gru<{c_name(dtype)}>", state, *arguments)
    return (stored(y, given[0]), stored(kept, given[1])) if keep else stored(y, given[0])


# ----------------------------------------------------------------------------------------------------------------- RNN
def rnn_kernel(name: str, dtype: Any, nonlinearity: str) -> str:
    """The name of a kernel for a function."""
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
    y = place((*x.shape[:2], h.shape[1]), x.dtype, out)
    state, kernel = h.copy(order="C"), rnn_kernel("rnn", x.dtype, nonlinearity)
    for sums_t, y_t in zip(*(ordered(a, batch_first, reverse) for a in (sums, y)), strict=True):
        accumulate(sums_t, state, weight_hh.T)
        run(kernel, state, sums_t, stride(sums_t), y_t, stride(y_t), state)
    return stored(y, out)
