"""Gradients of recurrent layers on NumPy: the way back through the steps, and the products of what it leaves.

Each step back is a generator's: the products, which are for many steps at once, are made beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any

import numpy as np

from . import pages
from .blocked import compute_type
from .recurrent_products import operand_gradients
from .recurrent_steps import ONE, ordered, place, right_factor, sequence, stored, targets, wide

__all__ = ["gru_backward", "gru_gradients", "lstm_backward", "lstm_gradients", "rnn_backward", "rnn_gradients"]

Array = np.ndarray[Any, np.dtype[Any]]
Wanted = tuple[bool, ...]

_mul, _add, _subtract, _dot, _copyto = np.multiply, np.add, np.subtract, np.ndarray.dot, np.copyto


# ---------------------------------------------------------------------------------------------------------------- LSTM
def lstm_backward(
    g: Array,
    gc: Array,
    kept: Array,
    weight_hh: Array,
    batch_first: bool = False,
    reverse: bool = False,
    out: tuple[Array, ...] | None = None,
) -> tuple[Array, ...]:
    r"""Gradients of `lstm` by the sums that its gates are functions of, (T, N, 4 H), and by ``h`` and ``c``.

    ``g`` and ``gc`` are those by its results. The first is the gradient of the products of both weights; with
    ``batch_first`` it is (N, T, 4 H), but the steps come first in memory.
    """
    given, kind = out or (None, None, None), kept.dtype
    sums = sequence(g, weight_hh.shape[0], given[0], batch_first)
    dh, dc = (place(gc.shape, kind, a) for a in given[1:])
    for _ in _lstm_steps_back(g, gc, kept, weight_hh, sums, dh, dc, batch_first, reverse):
        pass
    return sums, stored(dh, g.dtype, given[1]), stored(dc, g.dtype, given[2])


def _lstm_steps_back(
    g: Array,
    gc: Array,
    kept: Array,
    weight_hh: Array,
    sums: Array,
    dh: Array,
    dc: Array,
    batch_first: bool,
    reverse: bool,
) -> Iterator[None]:
    """`lstm_backward` step by step, into ``sums``, ``dh`` and ``dc``."""
    size = gc.shape[1]
    slopes, places = (ordered(a, batch_first, not reverse) for a in (g, sums))
    k = kept if reverse else kept[::-1]
    weight = right_factor(wide(weight_hh), len(k))
    dh.fill(0)
    _copyto(dc, gc, casting="unsafe")
    u = np.empty_like(dh)
    made, direct = targets(places, dh.dtype)
    own = places if direct else next(iter(made))[None]
    blocks = own.reshape(*own.shape[:2], 4, size).swapaxes(1, 2)
    gates: Iterator[tuple[Array, ...]] = zip(blocks[:, :2], blocks[:, 2], blocks[:, 3], strict=True)
    gates = gates if direct else repeat(next(gates))
    steps = zip(slopes, places, made, gates, k[:, :2], k[:, 2], k[:, 3], k[:, 4], k[:, 5], strict=False)
    for g_t, place_t, sums_t, (sums_i_f, sums_g, sums_o), by_i_f, by_o, by_g, f, by_c in steps:
        _add(dh, g_t, dh)
        _mul(dh, by_c, u)
        _add(dc, u, dc)
        _mul(dc, by_i_f, sums_i_f)
        _mul(dc, by_g, sums_g)
        _mul(dh, by_o, sums_o)
        _mul(dc, f, dc)
        _dot(sums_t, weight, dh)
        if not direct:
            _copyto(place_t, sums_t, casting="unsafe")
        yield


def lstm_gradients(
    g: Array,
    gc: Array,
    x: Array,
    h: Array,
    y: Array,
    kept: Array,
    weight_ih: Array,
    weight_hh: Array,
    wanted: Wanted,
    batch_first: bool = False,
    reverse: bool = False,
    out: tuple[Array, ...] | None = None,
) -> tuple[Array, ...]:
    """Gradients of `lstm` by those of its operands that are ``wanted``, in their order; ``y`` is its first result."""
    kind = kept.dtype
    sums = pages.empty((*kept.shape[:1], len(gc), weight_hh.shape[0]), kind)
    dh, dc = np.empty(gc.shape, kind), np.empty(gc.shape, kind)
    ours = sums.swapaxes(0, 1) if batch_first else sums
    steps = _lstm_steps_back(g, gc, kept, weight_hh, ours, dh, dc, batch_first, reverse)
    return operand_gradients(
        steps, sums, sums, (dh, dc), x, h, y, weight_ih, weight_hh, wanted, batch_first, reverse, out
    )


# ----------------------------------------------------------------------------------------------------------------- GRU
def gru_backward(
    g: Array,
    kept: Array,
    weight_hh: Array,
    batch_first: bool = False,
    reverse: bool = False,
    out: tuple[Array, ...] | None = None,
) -> tuple[Array, ...]:
    """Gradients of `gru` by the products of the inputs and of the states, both (T, N, 3 H), and by ``h``.

    With ``batch_first`` the first two are (N, T, 3 H), but the steps come first in memory.
    """
    given = out or (None, None, None)
    inputs, hidden = (sequence(g, weight_hh.shape[0], a, batch_first) for a in given[:2])
    dh = place(kept.shape[2:], kept.dtype, given[2])
    for _ in _gru_steps_back(g, kept, weight_hh, inputs, hidden, dh, batch_first, reverse):
        pass
    return inputs, hidden, stored(dh, g.dtype, given[2])


def _gru_steps_back(
    g: Array,
    kept: Array,
    weight_hh: Array,
    inputs: Array,
    hidden: Array,
    dh: Array,
    batch_first: bool,
    reverse: bool,
) -> Iterator[None]:
    """`gru_backward` step by step, into ``inputs``, ``hidden`` and ``dh``."""
    size = dh.shape[1]
    slopes, by_inputs, by_hidden = (ordered(a, batch_first, not reverse) for a in (g, inputs, hidden))
    k = kept if reverse else kept[::-1]
    weight = right_factor(wide(weight_hh), len(k))
    dh.fill(0)
    u, back = np.empty_like(dh), np.empty_like(dh)
    made, direct = targets(by_hidden, dh.dtype)
    steps = zip(slopes, by_inputs, by_hidden, made, k[:, 0], k[:, 1], k[:, 2], k[:, 3], k[:, 4], strict=False)
    for g_t, inputs_t, hidden_t, sums_t, r, z, by_r, by_z, by_n in steps:
        _add(dh, g_t, dh)
        _mul(dh, by_n, u)
        _mul(u, by_r, sums_t[:, :size])
        _mul(dh, by_z, sums_t[:, size : 2 * size])
        _mul(u, r, sums_t[:, 2 * size :])
        _mul(dh, z, back)
        _copyto(inputs_t[:, : 2 * size], sums_t[:, : 2 * size], casting="unsafe")
        _copyto(inputs_t[:, 2 * size :], u, casting="unsafe")
        _dot(sums_t, weight, dh)
        _add(dh, back, dh)
        if not direct:
            _copyto(hidden_t, sums_t, casting="unsafe")
        yield


def gru_gradients(
    g: Array,
    x: Array,
    h: Array,
    y: Array,
    kept: Array,
    weight_ih: Array,
    weight_hh: Array,
    wanted: Wanted,
    batch_first: bool = False,
    reverse: bool = False,
    out: tuple[Array, ...] | None = None,
) -> tuple[Array, ...]:
    """Gradients of `gru` by those of its operands that are ``wanted``, in their order; ``y`` is its result."""
    kind = kept.dtype
    inputs, hidden = (pages.empty((len(kept), len(h), weight_hh.shape[0]), kind) for _ in range(2))
    dh = np.empty(h.shape, kind)
    ours = [a.swapaxes(0, 1) if batch_first else a for a in (inputs, hidden)]
    steps = _gru_steps_back(g, kept, weight_hh, ours[0], ours[1], dh, batch_first, reverse)
    return operand_gradients(
        steps, inputs, hidden, (dh,), x, h, y, weight_ih, weight_hh, wanted, batch_first, reverse, out
    )


# ----------------------------------------------------------------------------------------------------------------- RNN
def rnn_backward(
    g: Array,
    y: Array,
    weight_hh: Array,
    nonlinearity: str = "tanh",
    batch_first: bool = False,
    reverse: bool = False,
    out: tuple[Array, ...] | None = None,
) -> tuple[Array, ...]:
    """Gradients of `rnn` by the sums that its results are functions of, (T, N, H), and by ``h``.

    With ``batch_first`` the first is (N, T, H), but the steps come first in memory.
    """
    given = out or (None, None)
    sums = sequence(g, g.shape[2], given[0], batch_first)
    dh = place((g.shape[not batch_first], g.shape[2]), compute_type(g.dtype), given[1])
    for _ in _rnn_steps_back(g, y, weight_hh, sums, dh, nonlinearity, batch_first, reverse):
        pass
    return sums, stored(dh, g.dtype, given[1])


def _rnn_steps_back(
    g: Array,
    y: Array,
    weight_hh: Array,
    sums: Array,
    dh: Array,
    nonlinearity: str,
    batch_first: bool,
    reverse: bool,
) -> Iterator[None]:
    """`rnn_backward` step by step, into ``sums`` and ``dh``."""
    slopes, states, by_sums = (ordered(a, batch_first, not reverse) for a in (g, wide(y), sums))
    weight = right_factor(wide(weight_hh), len(states))
    one, relu = ONE[dh.dtype.char], nonlinearity == "relu"
    dh.fill(0)
    u = np.empty_like(dh)
    made, direct = targets(by_sums, dh.dtype)
    for g_t, y_t, d_t, sums_t in zip(slopes, states, by_sums, made, strict=False):
        _add(dh, g_t, dh)
        if relu:
            _mul(dh, y_t > 0, sums_t)
        else:
            _mul(y_t, y_t, u)
            _subtract(one, u, u)
            _mul(dh, u, sums_t)
        _dot(sums_t, weight, dh)
        if not direct:
            _copyto(d_t, sums_t, casting="unsafe")
        yield


def rnn_gradients(
    g: Array,
    x: Array,
    h: Array,
    y: Array,
    weight_ih: Array,
    weight_hh: Array,
    wanted: Wanted,
    nonlinearity: str = "tanh",
    batch_first: bool = False,
    reverse: bool = False,
    out: tuple[Array, ...] | None = None,
) -> tuple[Array, ...]:
    """Gradients of `rnn` by those of its operands that are ``wanted``, in their order; ``y`` is its result."""
    kind = compute_type(g.dtype)
    sums = pages.empty((g.shape[batch_first], *h.shape), kind)
    dh = np.empty(h.shape, kind)
    ours = sums.swapaxes(0, 1) if batch_first else sums
    steps = _rnn_steps_back(g, y, weight_hh, ours, dh, nonlinearity, batch_first, reverse)
    return operand_gradients(steps, sums, sums, (dh,), x, h, y, weight_ih, weight_hh, wanted, batch_first, reverse, out)
