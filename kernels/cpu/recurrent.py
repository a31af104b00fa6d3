"""Recurrent layers over whole sequences on NumPy: one product and a dozen ufuncs per step, into buffers made once.

What the inputs add to the gates is one product for as many steps as stay in cache. Gates lie side by side in a row of a
product, and apart, one block each, elsewhere: whole blocks take half the time of parts of rows. The logistic function
is :math:`(1 + \\tanh(x / 2)) / 2`, so that one pass of ``tanh`` serves all gates; the half is in the weights. What is
kept for the gradient are the slopes themselves, so that the way back only multiplies: they are made of what the steps
have worked in, beside the steps that follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice, repeat
from typing import Any

import numpy as np

from . import pages
from .beside import Beside
from .blocked import compute_type, scratch
from .recurrent_steps import (
    HALF,
    ONE,
    apart,
    at_once,
    biases,
    factor,
    gates,
    helpers,
    ordered,
    place,
    products,
    sequence,
    stored,
    targets,
    wide,
)

__all__ = ["gru", "lstm", "rnn"]

Array = np.ndarray[Any, np.dtype[Any]]

# Local names: a call of a ufunc by its module's takes a tenth longer. `np.dot` asks first whose array function to call.
_mul, _add, _subtract, _tanh, _dot, _copyto = np.multiply, np.add, np.subtract, np.tanh, np.ndarray.dot, np.copyto


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
        i and f, of the hidden state by that of o, of the cell state by that of g, the gate f, and the slope of the
        hidden state by the cell state.
    """
    kind, size, given = compute_type(x.dtype), h.shape[1], out or (None, None, None)
    y = sequence(x, size, given[0])
    steps, states = (ordered(a, batch_first, reverse) for a in (x, y))
    length, batch = states.shape[:2]
    order = gates(kind.char, size, 0, 1, 3, 2)
    h = np.ascontiguousarray(wide(h))
    last = np.empty(h.shape, kind)
    kept = place((length, 6, batch, size), kind, given[2]) if keep else None
    with Beside(helpers(steps, weight_ih, weight_hh)) as beside:
        fed = products(steps, wide(weight_ih), biases(bias_ih, bias_hh), order, beside)
        weight = factor(wide(weight_hh), order, length, batch)
        _lstm_steps(h, c, states, fed, weight, last, kept[::-1] if kept is not None and reverse else kept, beside)
    results = y, stored(last, x.dtype, given[1])
    return results if kept is None else (*results, stored(kept, kind, given[2]))


def _lstm_steps(
    h: Array,
    c: Array,
    states: Array,
    fed: Iterable[Array],
    weight: Array,
    last: Array,
    kept: Array | None,
    beside: Beside,
) -> None:
    """Take all steps of `lstm`, the last cell state into ``last``."""
    (batch, size), kind, length = h.shape, h.dtype, len(states)
    half = HALF[kind.char]
    product = pages.empty((batch, 4 * size), kind)
    blocks, parts = apart(product, size), pages.empty((2, batch, size), kind)
    by_i, by_f = parts
    # A step works in six blocks: i, f, o, g, the cell state before it, and the tanh of that after it.
    cells: Iterator[tuple[Array, ...]]
    if kept is None:
        cell, count = pages.empty((6, batch, size), kind), length
        first = cell[4]
        cells = repeat((cell[:4], cell[:3], cell[:2], cell[3:5], cell[2], cell[4], cell[5]))
    else:
        first, count = kept[0, 4], at_once(h.size, beside)
        after = chain(kept[1:, 4], (last,))
        cells = zip(kept[:, :4], kept[:, :3], kept[:, :2], kept[:, 3:5], kept[:, 2], after, kept[:, 5], strict=True)
    _copyto(first, c, casting="unsafe")
    places, direct = targets(states, kind)
    in_steps = not direct and kept is None
    steps = zip(fed, places, states, cells, strict=False)
    for start in range(0, length, count):
        for fed_t, h_t, y_t, (opened, ifo, i_f, g_c, o, c_t, u) in islice(steps, count):
            _dot(h, weight, product)
            _add(product, fed_t, product)
            _tanh(blocks, opened)
            _mul(ifo, half, ifo)
            _add(ifo, half, ifo)
            _mul(i_f, g_c, parts)
            _add(by_i, by_f, c_t)
            _tanh(c_t, u)
            _mul(o, u, h_t)
            if in_steps:
                _copyto(y_t, h_t, casting="unsafe")
            h = h_t
        if kept is not None:
            beside.put(_lstm_slopes, kept[start : start + count], None if direct else states[start : start + count])
    if kept is None:
        _copyto(last, first)


def _lstm_slopes(cells: Array, states: Array | None) -> None:
    """Make what the gradient needs of the six blocks that some steps have left, in their place, and their states."""
    steps, _, *state = cells.shape
    buffers = scratch(3, cells.size // 2, cells.dtype)
    parts, products_3, products_2 = (a.reshape(steps, 3, *state) for a in buffers)
    products_2 = products_2[:, :2]
    _mul(cells[:, :3], cells[:, 3:], parts)  # what i and f let through, and the hidden state
    if states is not None:
        _copyto(states, parts[:, 2], casting="unsafe")
    _mul(parts, cells[:, :3], products_3)
    _mul(parts[:, ::2], cells[:, 3::2], products_2)
    _copyto(cells[:, 4], cells[:, 1])
    _subtract(cells[:, :3:2], products_2, cells[:, 3::2])
    _subtract(parts, products_3, cells[:, :3])


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
    h = np.ascontiguousarray(wide(h))
    kept = place((length, 5, batch, size), kind, given[1]) if keep else None
    with Beside(helpers(steps, weight_ih, weight_hh)) as beside:
        fed = products(steps, wide(weight_ih), bias, order, beside)
        weight = factor(wide(weight_hh), order, length, batch)
        _gru_steps(h, states, fed, weight, bias_n, kept[::-1] if kept is not None and reverse else kept, beside)
    return y if kept is None else (y, stored(kept, kind, given[1]))


def _gru_biases(bias_ih: Array | None, bias_hh: Array | None, size: int) -> tuple[Array | None, Any]:
    """What is added to the product of the inputs, and what is added to that of the state before n is reset."""
    if bias_hh is None:
        return biases(bias_ih), 0
    bias_hh = wide(bias_hh)
    bias = np.zeros_like(bias_hh) if bias_ih is None else bias_ih.astype(bias_hh.dtype)
    bias[: 2 * size] += bias_hh[: 2 * size]
    return bias, bias_hh[2 * size :]


def _gru_steps(
    h: Array,
    states: Array,
    fed: Iterable[Array],
    weight: Array,
    bias_n: Any,
    kept: Array | None,
    beside: Beside,
) -> None:
    """Take all steps of `gru`."""
    kind, (batch, size), length = h.dtype, h.shape, len(states)
    half = HALF[kind.char]
    product = pages.empty((batch, 3 * size), kind)
    own, own_n, blocks = product[:, : 2 * size], product[:, 2 * size :], apart(product, size)[:2]
    # A step works in five blocks: r, z, what r leaves of n's product, z of the difference to the state, and n.
    cells: Iterator[tuple[Array, ...]]
    if kept is None:
        cell, count = pages.empty((5, batch, size), kind), length
        cells = repeat((cell[:2], *cell))
    else:
        count = at_once(h.size, beside)
        cells = zip(kept[:, :2], kept[:, 0], kept[:, 1], kept[:, 2], kept[:, 3], kept[:, 4], strict=True)
    places, direct = targets(states, kind)
    in_steps = not direct and kept is None
    steps = zip(fed, places, states, cells, strict=False)
    for start in range(0, length, count):
        for fed_t, h_t, y_t, (opened, r, z, reset, faded, n) in islice(steps, count):
            _dot(h, weight, product)
            _add(own, fed_t[:, : 2 * size], own)
            _tanh(blocks, opened)
            _mul(opened, half, opened)
            _add(opened, half, opened)
            _add(own_n, bias_n, reset)
            _mul(r, reset, reset)
            _add(reset, fed_t[:, 2 * size :], n)
            _tanh(n, n)
            _subtract(h, n, faded)
            _mul(z, faded, faded)
            _add(n, faded, h_t)
            if in_steps:
                _copyto(y_t, h_t, casting="unsafe")
            h = h_t
        if kept is not None:
            beside.put(_gru_slopes, kept[start : start + count], None if direct else states[start : start + count])


def _gru_slopes(cells: Array, states: Array | None) -> None:
    """Make what the gradient needs of the five blocks that some steps have left, in their place, and their states."""
    steps, _, *state = cells.shape
    (made,) = (a.reshape(steps, 2, *state) for a in scratch(1, 2 * cells.size // 5, cells.dtype))
    n, rest, one = cells[:, 4], made[:, 0], ONE[cells.dtype.char]
    if states is not None:
        _add(n, cells[:, 3], states, casting="unsafe")
    _mul(cells[:, 2:4], cells[:, :2], made)
    _subtract(cells[:, 2:4], made, cells[:, 2:4])
    _mul(n, n, n)
    _subtract(one, n, n)
    _subtract(one, cells[:, 1], rest)
    _mul(n, rest, n)


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
    h = np.ascontiguousarray(wide(h))
    with Beside(helpers(steps, weight_ih, weight_hh)) as beside:
        fed = products(steps, wide(weight_ih), biases(bias_ih, bias_hh), order, beside)
        weight = factor(wide(weight_hh), order, length, batch)
        _rnn_steps(h, states, fed, weight, nonlinearity == "relu")
    return y


def _rnn_steps(h: Array, states: Array, fed: Iterable[Array], weight: Array, relu: bool) -> None:
    """Take all steps of `rnn`."""
    product = pages.empty(h.shape, h.dtype)
    places, direct = targets(states, h.dtype)
    for fed_t, h_t, y_t in zip(fed, places, states, strict=False):
        _dot(h, weight, product)
        _add(product, fed_t, product)
        if relu:
            np.maximum(product, 0, out=h_t)
        else:
            _tanh(product, h_t)
        if not direct:
            _copyto(y_t, h_t, casting="unsafe")
        h = h_t
