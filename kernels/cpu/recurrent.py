"""Recurrent layers over whole sequences on NumPy: one product and a dozen ufuncs per step, into buffers made once.

What the inputs add to the gates is one product for as many steps as stay in cache. Gates lie side by side in a row of a
product, and apart, one block each, elsewhere: whole blocks take half the time of parts of rows. The logistic function
is :math:`(1 + \\tanh(x / 2)) / 2`, so that one pass of ``tanh`` serves all gates; the half is in the weights. What is
kept for the gradient are the slopes themselves, made while the gates are in cache: the way back only multiplies.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from typing import Any

import numpy as np

from . import pages
from .blocked import compute_type
from .recurrent_steps import (
    HALF,
    ONE,
    alone,
    apart,
    biases,
    factor,
    gates,
    ordered,
    place,
    products,
    sequence,
    step_product,
    stored,
    targets,
    wide,
)

__all__ = ["gru", "lstm", "rnn"]

Array = np.ndarray[Any, np.dtype[Any]]

# Local names: a call of a ufunc by its module's takes a tenth longer. `np.dot` asks first whose array function to call.
_mul, _add, _subtract, _tanh, _copyto = np.multiply, np.add, np.subtract, np.tanh, np.copyto


# ---------------------------------------------------------------------------------------------------------------- LSTM
def lstm(
    x: Array,
    h: Array,
    c: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    batch_first: bool = False,
    reverse: bool = False,
    keep: bool = True,
    out: tuple[Array, ...] | None = None,
) -> tuple[Array, ...]:
    r"""Long short-term memory.

    Parameters
    ----------
    x : array
        Shape (T, N, I), or (N, T, I) with ``batch_first``, as is then the result.
    h, c : arrays
        The state before the first step, shape (N, H).
    weight_ih, weight_hh, bias_ih, bias_hh : arrays
        Shapes (4 H, I), (4 H, H), (4 H,) and (4 H,): the rows of the gates i, f, g, o.
    reverse : bool
        Begin with the last step.
    keep : bool
        Return what the gradient needs, too.

    Returns
    -------
    y, c : arrays
        The hidden state after each step, (T, N, H), and the last cell state, (N, H).
    kept : array
        Shape (T, 6, N, H), in the dtype that is computed in: for each step the slopes of the cell state by the sums of
        g, i and f, those of the hidden state by the sum of o and by the cell state, and the gate f.
    """
    kind, size, given = compute_type(x.dtype), h.shape[1], out or (None, None, None)
    y = sequence(x, size, given[0])
    steps, states = (ordered(a, batch_first, reverse) for a in (x, y))
    length, batch = states.shape[:2]
    order = gates(kind.char, size, 0, 1, 3, 2)
    fed = products(steps, wide(weight_ih), weight_hh, biases(bias_ih, bias_hh), order)
    weight, h = factor(wide(weight_hh), order, length, batch), np.ascontiguousarray(wide(h))
    product = pages.empty((batch, 4 * size), kind)
    cell = pages.empty((6, batch, size), kind)  # i, f, o, g, the cell state and its tanh
    parts = pages.empty((3, batch, size), kind)  # what i and f let through, and the hidden state
    _copyto(cell[4], c, casting="unsafe")
    kept = None
    if keep:
        kept = place((length, 6, batch, size), kind, given[2])
    slopes = kept[::-1] if kept is not None and reverse else kept
    with alone(weight, batch):
        _lstm_steps(h, states, fed, weight, product, cell, parts, slopes)
    results = y, stored(cell[4].copy(), x.dtype, given[1])
    return results if kept is None else (*results, stored(kept, kind, given[2]))


def _lstm_steps(
    h: Array,
    states: Array,
    fed: Iterable[Array],
    weight: Array,
    product: Array,
    cell: Array,
    parts: Array,
    kept: Array | None,
) -> None:
    """Take all steps of `lstm`."""
    half, size, dot = HALF[h.dtype.char], h.shape[1], step_product(weight, len(h))
    opened, ifo, i_f, io, o = cell[:4], cell[:3], cell[:2], cell[:3:2], cell[2]
    f, g_c, g_u, c, u = cell[1], cell[3:5], cell[3::2], cell[4], cell[5]
    by_i_f, by_i, by_f, by_io, own = parts[:2], parts[0], parts[1], parts[::2], parts[2]
    blocks = apart(product, size)
    if kept is None:
        places, direct = targets(states, h.dtype)
        for fed_t, h_t, y_t in zip(fed, places, states, strict=False):
            dot(h, weight, product)
            _add(product, fed_t, product)
            _tanh(blocks, opened)
            _mul(ifo, half, ifo)
            _add(ifo, half, ifo)
            _mul(i_f, g_c, by_i_f)
            _add(by_i, by_f, c)
            _tanh(c, u)
            _mul(o, u, h_t)
            if not direct:
                _copyto(y_t, h_t, casting="unsafe")
            h = h_t
        return
    products_2, products_3 = np.empty_like(parts[:2]), np.empty_like(parts)
    for fed_t, y_t, slopes, g_h, kept_f in zip(fed, states, kept[:, 1:4], kept[:, 0:5:4], kept[:, 5], strict=False):
        dot(h, weight, product)
        _add(product, fed_t, product)
        _tanh(blocks, opened)
        _mul(ifo, half, ifo)
        _add(ifo, half, ifo)
        _mul(i_f, g_c, by_i_f)
        _add(by_i, by_f, c)
        _tanh(c, u)
        _mul(o, u, own)
        _copyto(y_t, own, casting="unsafe")
        _mul(parts, ifo, products_3)
        _subtract(parts, products_3, slopes)
        _mul(by_io, g_u, products_2)
        _subtract(io, products_2, g_h)
        _copyto(kept_f, f)
        h = own


# ----------------------------------------------------------------------------------------------------------------- GRU
def gru(
    x: Array,
    h: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    batch_first: bool = False,
    reverse: bool = False,
    keep: bool = True,
    out: Any = None,
) -> Any:
    r"""Gated recurrent units.

    Parameters
    ----------
    x : array
        Shape (T, N, I), or (N, T, I) with ``batch_first``, as is then the result.
    h : array
        The state before the first step, shape (N, H).
    weight_ih, weight_hh, bias_ih, bias_hh : arrays
        Shapes (3 H, I), (3 H, H), (3 H,) and (3 H,): the rows of the gates r, z, n.
    reverse : bool
        Begin with the last step.
    keep : bool
        Return what the gradient needs, too.

    Returns
    -------
    y : array
        The hidden state after each step, (T, N, H).
    kept : array
        Shape (T, 5, N, H), in the dtype that is computed in: for each step the gates r and z and the slopes of n's sum
        by that of r, and of the state by the sums of z and n.
    """
    kind, size = compute_type(x.dtype), h.shape[1]
    given = (out if keep else (out, None)) or (None, None)
    y = sequence(x, size, given[0])
    steps, states = (ordered(a, batch_first, reverse) for a in (x, y))
    length, batch = states.shape[:2]
    order = gates(kind.char, size, 0, 1, 2)
    bias, bias_n = _gru_biases(bias_ih, bias_hh, size)
    fed = products(steps, wide(weight_ih), weight_hh, bias, order)
    weight, h = factor(wide(weight_hh), order, length, batch), np.ascontiguousarray(wide(h))
    kept = place((length, 5, batch, size), kind, given[1]) if keep else None
    with alone(weight, batch):
        _gru_steps(h, states, fed, weight, bias_n, kept[::-1] if kept is not None and reverse else kept)
    return y if kept is None else (y, stored(kept, kind, given[1]))


def _gru_biases(bias_ih: Array | None, bias_hh: Array | None, size: int) -> tuple[Array | None, Any]:
    """What is added to the product of the inputs, and what is added to that of the state before n is reset."""
    if bias_hh is None:
        return biases(bias_ih), 0
    bias_hh = wide(bias_hh)
    bias = np.zeros_like(bias_hh) if bias_ih is None else bias_ih.astype(bias_hh.dtype)
    bias[: 2 * size] += bias_hh[: 2 * size]
    return bias, bias_hh[2 * size :]


def _gru_steps(h: Array, states: Array, fed: Iterable[Array], weight: Array, bias_n: Any, kept: Array | None) -> None:
    """Take all steps of `gru`."""
    kind, (batch, size) = h.dtype, h.shape
    half, one, dot = HALF[kind.char], ONE[kind.char], step_product(weight, batch)
    product = pages.empty((batch, 3 * size), kind)
    own, own_n, blocks = product[:, : 2 * size], product[:, 2 * size :], apart(product, size)[:2]
    parts = pages.empty((2, batch, size), kind)  # what r leaves of n's product, and z of the difference to the state
    reset, faded = parts
    opened, products_2 = np.empty_like(parts), np.empty_like(parts)
    n, slope = np.empty_like(h), np.empty_like(h)
    places, direct = targets(states, kind)
    slopes: Iterable[tuple[Array, ...]] = repeat((opened, *opened, slope, slope))
    if kept is not None:
        slopes = zip(kept[:, :2], kept[:, 0], kept[:, 1], kept[:, 2:4], kept[:, 4], strict=True)
    for fed_t, h_t, y_t, (r_z, r, z, by_r_z, by_n) in zip(fed, places, states, slopes, strict=False):
        dot(h, weight, product)
        _add(own, fed_t[:, : 2 * size], own)
        _tanh(blocks, opened)
        _mul(opened, half, opened)
        _add(opened, half, r_z)
        _add(own_n, bias_n, reset)
        _mul(r, reset, reset)
        _add(reset, fed_t[:, 2 * size :], n)
        _tanh(n, n)
        _subtract(h, n, faded)
        _mul(z, faded, faded)
        _add(n, faded, h_t)
        if not direct:
            _copyto(y_t, h_t, casting="unsafe")
        if kept is not None:
            _mul(parts, r_z, products_2)
            _subtract(parts, products_2, by_r_z)
            _mul(n, n, n)
            _subtract(one, n, n)
            _mul(n, z, slope)
            _subtract(n, slope, by_n)
        h = h_t


# ----------------------------------------------------------------------------------------------------------------- RNN
def rnn(
    x: Array,
    h: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    nonlinearity: str = "tanh",
    batch_first: bool = False,
    reverse: bool = False,
    out: Array | None = None,
) -> Array:
    """An Elman network; the hidden state after each step, (T, N, H), or (N, T, H) with ``batch_first``.

    Shapes are (T, N, I), (N, H), (H, I), (H, H) and (H,) twice; ``nonlinearity`` is "tanh" or "relu".
    """
    kind, size = compute_type(x.dtype), h.shape[1]
    y = sequence(x, size, out)
    steps, states = (ordered(a, batch_first, reverse) for a in (x, y))
    length, batch = states.shape[:2]
    order = gates(kind.char, size, 0)
    fed = products(steps, wide(weight_ih), weight_hh, biases(bias_ih, bias_hh), order)
    weight, h = factor(wide(weight_hh), order, length, batch), np.ascontiguousarray(wide(h))
    with alone(weight, batch):
        _rnn_steps(h, states, fed, weight, nonlinearity == "relu")
    return y


def _rnn_steps(h: Array, states: Array, fed: Iterable[Array], weight: Array, relu: bool) -> None:
    """Take all steps of `rnn`."""
    dot, product = step_product(weight, len(h)), pages.empty(h.shape, h.dtype)
    places, direct = targets(states, h.dtype)
    for fed_t, h_t, y_t in zip(fed, places, states, strict=False):
        dot(h, weight, product)
        _add(product, fed_t, product)
        if relu:
            np.maximum(product, 0, out=h_t)
        else:
            _tanh(product, h_t)
        if not direct:
            _copyto(y_t, h_t, casting="unsafe")
        h = h_t
