"""Recurrent networks over whole sequences on NumPy: one product and a dozen ufuncs per step, into buffers made once.

The product of the inputs with their weights is done before, for all steps at once, and so are the gradients of the
weights after. Gates lie side by side in a row of that product, and apart, one block each, where they are kept: whole
blocks take half the time of parts of rows. The logistic function is :math:`(1 + \\tanh(x / 2)) / 2`, so that one pass
of ``tanh`` serves all gates.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from .blocked import compute_type

__all__ = ["gru", "gru_backward", "lstm", "lstm_backward", "rnn", "rnn_backward"]

Array = np.ndarray[Any, np.dtype[Any]]

_LONG = 8  # steps from which a copy of the weight, in the order in which the product reads it, is worth its time


def _wide(x: Array) -> Array:
    return x.astype(compute_type(x.dtype), copy=False)


def _results(out: Any, *specs: tuple[tuple[int, ...], Any]) -> tuple[Array, ...]:
    """Where to compute: the arrays given where they fit, else new ones."""
    given = out or (None,) * len(specs)
    return tuple(
        y if y is not None and y.dtype == dtype and y.flags.c_contiguous else np.empty(shape, dtype)
        for y, (shape, dtype) in zip(given, specs, strict=True)
    )


def _stored(results: tuple[Array, ...], out: Any, dtypes: tuple[Any, ...]) -> tuple[Array, ...]:
    """The results in their dtypes, in the arrays given if there are any."""
    if out is None:
        return tuple(y.astype(dtype, copy=False) for y, dtype in zip(results, dtypes, strict=True))
    for y, target in zip(results, out, strict=True):
        if y is not target:
            np.copyto(target, y, casting="unsafe")
    return tuple(out)


def _factor(weight: Array, length: int) -> Array:
    """The transposed weight, as the right factor of one product per step."""
    return np.ascontiguousarray(weight.T) if length >= _LONG else weight.T


def _apart(rows: Array, size: int) -> Array:
    """Rows of gates side by side, (..., N, gates * size), as blocks (..., gates, N, size)."""
    return rows.reshape(*rows.shape[:-1], -1, size).swapaxes(-3, -2)


def _in_order(reverse: bool, *sequences: Array) -> Iterator[tuple[Array, ...]]:
    """What belongs to each step, from the first to the last or in reverse."""
    return zip(*(s[::-1] for s in sequences) if reverse else sequences, strict=True)


def _numbers(dtype: Any, *values: float) -> Array:
    return np.array(values, dtype).reshape(-1, 1, 1)


@functools.cache
def _gate_constants(char: str) -> tuple[Array, Array, Array, Array]:
    """By gate i, f, g, o: s and b in ``s tanh(s x) + b``, and p and q in its derivative ``(p - y) y + q``."""
    return (
        _numbers(char, 0.5, 0.5, 1, 0.5),
        _numbers(char, 0.5, 0.5, 0, 0.5),
        _numbers(char, 1, 1, 0, 1),
        _numbers(char, 0, 0, 1, 0),
    )


_HALF = {c: np.full((), 0.5, c) for c in "fd"}
_ONE = {c: np.ones((), c) for c in "fd"}


# ---------------------------------------------------------------------------------------------------------------- LSTM
def lstm(
    x: Array, h: Array, c: Array, weight: Array, reverse: bool = False, out: tuple[Array, ...] | None = None
) -> tuple[Array, ...]:
    r"""Long short-term memory, from the products of the inputs with their weights.

    Parameters
    ----------
    x : array
        Shape (T, N, 4 H): what the inputs and the biases add to the gates i, f, g, o.
    h, c : arrays
        The state before the first step, shape (N, H).
    weight : array
        Of the hidden state, shape (4 H, H).
    reverse : bool
        Begin with the last step.

    Returns
    -------
    states : array
        Shape (T + 1, N, H): the hidden state after each step and, at the end, the cell state after the last one.
    cells, gates : arrays
        The cell state after each step, (T, N, H), and the gates of each step, (T, 4, N, H), as they were computed.
    """
    (length, batch, _), size, dtype = x.shape, h.shape[1], x.dtype
    x, h, c, weight = (_wide(a) for a in (x, h, c, weight))
    kind = x.dtype
    specs = ((length + 1, batch, size), kind), ((length, batch, size), kind), ((length, 4, batch, size), kind)
    states, cells, gates = _results(out, *specs)
    factor, (scale, shift, _, _) = _factor(weight, length), _gate_constants(kind.char)
    product, part = np.empty((batch, 4 * size), kind), np.empty((batch, size), kind)
    apart = _apart(product, size)
    for x_t, opened, c_t, h_t in _in_order(reverse, x, gates, cells, states[:-1]):
        np.matmul(h, factor, product)
        np.add(product, x_t, product)
        np.copyto(opened, apart)
        np.multiply(opened, scale, opened)
        np.tanh(opened, opened)
        np.multiply(opened, scale, opened)
        np.add(opened, shift, opened)
        i, f, g, o = opened
        np.multiply(f, c, c_t)
        np.multiply(i, g, part)
        np.add(c_t, part, c_t)
        np.tanh(c_t, part)
        np.multiply(o, part, h_t)
        h, c = h_t, c_t
    np.copyto(states[-1], c)
    return _stored((states, cells, gates), out, (dtype, kind, kind))


def lstm_backward(
    g: Array,
    c: Array,
    weight: Array,
    cells: Array,
    gates: Array,
    reverse: bool = False,
    out: tuple[Array, ...] | None = None,
) -> tuple[Array, ...]:
    """Gradients of `lstm` by ``x``, ``h`` and ``c``, from ``g``, that of its states.

    The gradient by ``x`` is also that of the product of the hidden states with their weight.
    """
    length, _, batch, size = gates.shape
    dtype, kind = g.dtype, gates.dtype
    g, c, weight = (_wide(a) for a in (g, c, weight))
    state = ((batch, size), kind)
    dx, dh, dc = _results(out, ((length, batch, 4 * size), kind), state, state)
    one, (_, _, p, q) = _ONE[kind.char], _gate_constants(kind.char)
    slope, d, u = np.empty((4, batch, size), kind), np.empty((4, batch, size), kind), np.empty((batch, size), kind)
    di, df, dg, do = d
    before = np.concatenate([cells[1:], c[None]]) if reverse else np.concatenate([c[None], cells[:-1]])
    dh.fill(0)
    np.copyto(dc, g[-1])
    for g_t, opened, c_t, c_before, dx_t, apart in _in_order(
        not reverse, g[:-1], gates, cells, before, dx, _apart(dx, size)
    ):
        i, f, n, o = opened
        np.add(dh, g_t, dh)
        np.tanh(c_t, u)
        np.multiply(dh, u, do)
        np.multiply(u, u, u)
        np.subtract(one, u, u)
        np.multiply(u, o, u)
        np.multiply(u, dh, u)
        np.add(dc, u, dc)
        np.multiply(dc, n, di)
        np.multiply(dc, c_before, df)
        np.multiply(dc, i, dg)
        np.multiply(dc, f, dc)
        np.subtract(p, opened, slope)
        np.multiply(slope, opened, slope)
        np.add(slope, q, slope)
        np.multiply(d, slope, d)
        np.copyto(apart, d)
        np.matmul(dx_t, weight, dh)
    return _stored((dx, dh, dc), out, (dtype, dtype, dtype))
