"""Recurrent layers over whole sequences on NumPy: one product and a dozen ufuncs per step, into buffers made once.

What the inputs add to the gates is one product for as many steps as stay in cache. Gates lie side by side in a row of a
product, and apart, one block each, where they are kept: whole blocks take half the time of parts of rows. The logistic
function is :math:`(1 + \\tanh(x / 2)) / 2`, so that one pass of ``tanh`` serves all gates; the half is in the weights.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from typing import Any, NamedTuple

import numpy as np

from . import pages
from .blocked import BLOCK, compute_type

__all__ = ["gru", "gru_backward", "lstm", "lstm_backward", "rnn", "rnn_backward"]

Array = np.ndarray[Any, np.dtype[Any]]

_LONG = 32  # steps from which a copy of the weight, in the order in which the product reads it, is worth its time
_SIDE = 64  # rows of a weight that are transposed at once
_CHUNK = 8 * BLOCK  # elements of the inputs' product that are made at once

# Local names, and operands of one shape or 0-d: a ufunc that has to broadcast takes twice as long on arrays this small.
_mul, _add, _subtract, _tanh, _dot, _copyto = np.multiply, np.add, np.subtract, np.tanh, np.dot, np.copyto


# ------------------------------------------------------------------------------------------------------ what all share
def _ordered(x: Array, batch_first: bool, reverse: bool) -> Array:
    """A sequence as (T, N, ...), in the order in which the steps are taken."""
    x = x.swapaxes(0, 1) if batch_first else x
    return x[::-1] if reverse else x


def _wide(x: Array) -> Array:
    return x.astype(compute_type(x.dtype), copy=False)


def _sequence(like: Array, size: int, given: Array | None) -> Array:
    """Memory for a result of the shape of a sequence."""
    if like.size > BLOCK or size * size > BLOCK // 4:  # of the weights there are copies, too
        pages.keep()
    return np.empty((*like.shape[:2], size), like.dtype) if given is None else given


def _place(shape: tuple[int, ...], kind: Any, given: Array | None) -> Array:
    """Memory to compute in: what is given if it is laid out for that."""
    if given is not None and given.flags.c_contiguous and given.dtype == kind:
        return given
    return np.empty(shape, kind)


def _stored(y: Array, dtype: Any, given: Array | None) -> Array:
    """A result in its dtype, where it is wanted."""
    if given is None or y is given:
        return y.astype(dtype, copy=False)
    _copyto(given, y, casting="unsafe")
    return given


class _Gate(NamedTuple):
    """Where the rows of a gate are in a weight, and what they are multiplied by on the way into a factor."""

    rows: slice
    scale: Any


@functools.lru_cache(64)
def _gates(kind: str, size: int, *places: int) -> tuple[_Gate, ...]:
    """The gates of a factor in its order, each with its place in the weight; the last is that of the tanh alone."""
    scales = (*(0.5,) * (len(places) - 1), 1.0)
    numbers = [np.full((), scale, kind) for scale in scales]
    return tuple(_Gate(slice(p * size, (p + 1) * size), scale) for p, scale in zip(places, numbers, strict=True))


def _factor(weight: Array, gates: tuple[_Gate, ...], length: int) -> Array:
    """The transposed weight, gate by gate, as the right factor of one product per step."""
    rows, width = weight.shape
    if length < _LONG:
        factor = np.empty((rows, width), weight.dtype)
        _scaled(weight, gates, factor)
        return factor.T
    factor = np.empty((width, rows), weight.dtype)
    at = 0
    for gate in gates:
        for start in range(gate.rows.start, gate.rows.stop, _SIDE):
            part = weight[start : min(start + _SIDE, gate.rows.stop)].T
            _mul(part, gate.scale, factor[:, at : at + part.shape[1]])
            at += part.shape[1]
    return factor


def _scaled(weight: Array, gates: tuple[_Gate, ...], out: Array) -> None:
    """The rows of a weight, or a bias, in the order of the gates."""
    at = 0
    for gate in gates:
        part = weight[gate.rows]
        _mul(part, gate.scale, out[at : at + len(part)])
        at += len(part)


def _products(x: Array, weight: Array, bias: Array | None, gates: tuple[_Gate, ...]) -> Iterator[Array]:
    """For each step ``x @ weight.T + bias``, gate by gate; the bias is the weight of an input that is always 1."""
    (length, batch, width), rows, kind = x.shape, weight.shape[0], weight.dtype
    factor = np.empty((rows, width + 1), kind)
    _scaled(weight, gates, factor[:, :width])
    if bias is None:
        factor[:, width] = 0
    else:
        _scaled(bias, gates, factor[:, width])
    count = max(min(length, _CHUNK // max(batch * rows, 1)), 1)
    inputs, product = np.empty((count, batch, width + 1), kind), np.empty((count, batch, rows), kind)
    inputs[..., width] = 1
    flat_inputs, flat_product, factor = inputs.reshape(-1, width + 1), product.reshape(-1, rows), factor.T
    for start in range(0, length, count):
        part = x[start : start + count]
        steps = len(part)
        _copyto(inputs[:steps, :, :width], part, casting="unsafe")
        np.matmul(flat_inputs[: steps * batch], factor, flat_product[: steps * batch])
        yield from product[:steps]


def _total(*biases: Array | None) -> Array | None:
    """The sum of those biases that there are."""
    given = [_wide(b) for b in biases if b is not None]
    return None if not given else given[0] if len(given) == 1 else given[0] + given[1]


def _targets(y: Array, kind: Any) -> tuple[Iterable[Array], bool]:
    """Where the result of each step is computed: in its place if BLAS can read it there, else in one buffer."""
    if y.dtype == kind and y[0].flags.c_contiguous:
        return y, True
    return repeat(np.empty(y.shape[1:], kind)), False


_HALF = {kind: np.full((), 0.5, kind) for kind in "fd"}
_ONE = {kind: np.ones((), kind) for kind in "fd"}


def _apart(rows: Array, size: int) -> Array:
    """Rows of gates side by side, (N, gates * H), as blocks (gates, N, H)."""
    return rows.reshape(rows.shape[0], -1, size).swapaxes(0, 1)


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
        Shape (T, 5, N, H), in the dtype that is computed in: for each step the gates i, f, o and g, and the cell state
        before it.
    """
    kind, size, given = compute_type(x.dtype), h.shape[1], out or (None, None, None)
    y = _sequence(x, size, given[0])
    steps, states = (_ordered(a, batch_first, reverse) for a in (x, y))
    length, batch = states.shape[:2]
    gates, half = _gates(kind.char, size, 0, 1, 3, 2), _HALF[kind.char]
    products = _products(steps, _wide(weight_ih), _total(bias_ih, bias_hh), gates)
    factor, h = _factor(_wide(weight_hh), gates, length), np.ascontiguousarray(_wide(h))
    product, part = np.empty((batch, 4 * size), kind), np.empty_like(h)
    apart = _apart(product, size)
    targets, direct = _targets(states, kind)
    blocks: Iterable[tuple[Array, ...]]
    if keep:
        kept, last = _place((length, 5, batch, size), kind, given[2]), np.empty_like(h)
        k = kept[::-1] if reverse else kept
        blocks = zip(k[:, :4], k[:, :3], *k.swapaxes(0, 1), chain(k[1:, 4], [last]), strict=True)
    else:
        k = np.empty((1, 5, batch, size), kind)
        last = k[0, 4]
        blocks = repeat((k[0, :4], k[0, :3], *k[0], last))
    _copyto(k[0, 4], c, casting="unsafe")
    for fed, h_t, y_t, (opened, ifo, i, f, o, n, before, c_t) in zip(products, targets, states, blocks, strict=False):
        _dot(h, factor, product)
        _add(product, fed, product)
        _tanh(apart, opened)
        _mul(ifo, half, ifo)
        _add(ifo, half, ifo)
        _mul(i, n, part)
        _mul(f, before, c_t)
        _add(c_t, part, c_t)
        _tanh(c_t, part)
        _mul(o, part, h_t)
        if not direct:
            _copyto(y_t, h_t, casting="unsafe")
        h = h_t
    results = y, _stored(last if keep else last.copy(), x.dtype, given[1])
    return (*results, _stored(kept, kind, given[2])) if keep else results


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

    ``g`` and ``gc`` are those by its results. The first is the gradient of the products of both weights.
    """
    dtype, kind, (batch, size) = g.dtype, kept.dtype, kept.shape[2:]
    given = out or (None, None, None)
    sums = _sequence(g, 4 * size, given[0])
    slopes, targets = (_ordered(a, batch_first, not reverse) for a in (g, sums))
    k = kept if reverse else kept[::-1]
    weight, one = _wide(weight_hh), _ONE[kind.char]
    dh, dc = _place((batch, size), kind, given[1]), _place((batch, size), kind, given[2])
    dh.fill(0)
    _copyto(dc, gc, casting="unsafe")
    d, slope, u = np.empty((4, batch, size), kind), np.empty((4, batch, size), kind), np.empty_like(dh)
    di, df, do, dg = d
    slope_ifo, slope_g = slope[:3], slope[3]
    i, f, _, n, before = k[0]
    cells = chain([f * before + i * n], k[:-1, 4])
    places, direct = _targets(targets, kind)
    blocks = zip(k[:, :4], k[:, :3], *k.swapaxes(0, 1), strict=True)
    for g_t, d_t, place, c_t, (opened, ifo, i, f, o, n, c) in zip(slopes, targets, places, cells, blocks, strict=False):
        _add(dh, g_t, dh)
        _tanh(c_t, u)
        _mul(dh, u, do)
        _mul(u, u, u)
        _subtract(one, u, u)
        _mul(u, o, u)
        _mul(u, dh, u)
        _add(dc, u, dc)
        _mul(dc, n, di)
        _mul(dc, c, df)
        _mul(dc, i, dg)
        _mul(dc, f, dc)
        _mul(opened, opened, slope)
        _subtract(ifo, slope_ifo, slope_ifo)
        _subtract(one, slope_g, slope_g)
        apart = _apart(place, size)
        _mul(d[:2], slope[:2], apart[:2])
        _mul(d[2:], slope[2:], apart[:1:-1])
        _dot(place, weight, dh)
        if not direct:
            _copyto(d_t, place, casting="unsafe")
    return sums, _stored(dh, dtype, given[1]), _stored(dc, dtype, given[2])


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
        Shape (T, 4, N, H), in the dtype that is computed in: the gates r, z, n of each step, and what n takes of r.
    """
    kind, size = compute_type(x.dtype), h.shape[1]
    given = (out if keep else (out, None)) or (None, None)
    y = _sequence(x, size, given[0])
    steps, states = (_ordered(a, batch_first, reverse) for a in (x, y))
    length, batch = states.shape[:2]
    gates, half = _gates(kind.char, size, 0, 1, 2), _HALF[kind.char]
    bias, bias_n = _gru_biases(bias_ih, bias_hh, size)
    products = _products(steps, _wide(weight_ih), bias, gates)
    factor, h = _factor(_wide(weight_hh), gates, length), np.ascontiguousarray(_wide(h))
    product, part = np.empty((batch, 3 * size), kind), np.empty_like(h)
    own, own_n, apart = product[:, : 2 * size], product[:, 2 * size :], _apart(product, size)[:2]
    targets, direct = _targets(states, kind)
    blocks: Iterable[tuple[Array, ...]]
    if keep:
        kept = _place((length, 4, batch, size), kind, given[1])
        k = kept[::-1] if reverse else kept
        blocks = zip(k[:, :2], k[:, 0], k[:, 1], k[:, 2], k[:, 3], strict=True)
    else:
        k = np.empty((4, batch, size), kind)
        blocks = repeat((k[:2], *k))
    for fed, h_t, y_t, (opened, r, z, n, reset) in zip(products, targets, states, blocks, strict=False):
        _dot(h, factor, product)
        _add(own, fed[:, : 2 * size], own)
        _tanh(apart, opened)
        _mul(opened, half, opened)
        _add(opened, half, opened)
        _add(own_n, bias_n, reset)
        _mul(r, reset, n)
        _add(n, fed[:, 2 * size :], n)
        _tanh(n, n)
        _subtract(h, n, part)
        _mul(z, part, part)
        _add(n, part, h_t)
        if not direct:
            _copyto(y_t, h_t, casting="unsafe")
        h = h_t
    return (y, _stored(kept, kind, given[1])) if keep else y


def _gru_biases(bias_ih: Array | None, bias_hh: Array | None, size: int) -> tuple[Array | None, Any]:
    """What is added to the product of the inputs, and what is added to that of the state before n is reset."""
    if bias_hh is None:
        return _total(bias_ih), 0
    bias_hh = _wide(bias_hh)
    bias = np.zeros_like(bias_hh) if bias_ih is None else bias_ih.astype(bias_hh.dtype)
    bias[: 2 * size] += bias_hh[: 2 * size]
    return bias, bias_hh[2 * size :]


def gru_backward(
    g: Array,
    h: Array,
    y: Array,
    kept: Array,
    weight_hh: Array,
    batch_first: bool = False,
    reverse: bool = False,
    out: tuple[Array, ...] | None = None,
) -> tuple[Array, ...]:
    """Gradients of `gru` by the products of the inputs and of the states, both (T, N, 3 H), and by ``h``."""
    dtype, kind, (batch, size) = g.dtype, kept.dtype, kept.shape[2:]
    given = out or (None, None, None)
    inputs, hidden = (_sequence(g, 3 * size, a) for a in given[:2])
    slopes, states, d_inputs, d_hidden = (_ordered(a, batch_first, not reverse) for a in (g, y, inputs, hidden))
    k = kept if reverse else kept[::-1]
    weight, one = _wide(weight_hh), _ONE[kind.char]
    dh = _place((batch, size), kind, given[2])
    dh.fill(0)
    d, slope, u, back = (np.empty(s, kind) for s in ((2, batch, size), (2, batch, size), dh.shape, dh.shape))
    dr, dz = d
    places, direct = _targets(d_hidden, kind)
    previous = chain(states[1:], [h])
    blocks = zip(k[:, :2], k[:, 0], k[:, 1], k[:, 2], k[:, 3], strict=True)
    for g_t, d_x, d_t, place, before, (opened, r, z, n, reset) in zip(
        slopes, d_inputs, d_hidden, places, previous, blocks, strict=False
    ):
        _add(dh, g_t, dh)
        _subtract(before, n, u)
        _mul(dh, u, dz)
        _mul(dh, z, back)
        _subtract(dh, back, dh)  # the gradient by n
        _mul(n, n, u)
        _subtract(one, u, u)
        _mul(dh, u, u)
        _mul(u, reset, dr)
        _mul(opened, opened, slope)
        _subtract(opened, slope, slope)
        _mul(d, slope, _apart(place, size)[:2])
        _mul(u, r, place[:, 2 * size :])
        _copyto(d_x[:, : 2 * size], place[:, : 2 * size], casting="unsafe")
        _copyto(d_x[:, 2 * size :], u, casting="unsafe")
        _dot(place, weight, dh)
        _add(dh, back, dh)
        if not direct:
            _copyto(d_t, place, casting="unsafe")
    return inputs, hidden, _stored(dh, dtype, given[2])


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
    y = _sequence(x, size, out)
    steps, states = (_ordered(a, batch_first, reverse) for a in (x, y))
    gates, relu = _gates(kind.char, size, 0), nonlinearity == "relu"
    products = _products(steps, _wide(weight_ih), _total(bias_ih, bias_hh), gates)
    factor, h = _factor(_wide(weight_hh), gates, len(states)), np.ascontiguousarray(_wide(h))
    product = np.empty_like(h)
    targets, direct = _targets(states, kind)
    for fed, h_t, y_t in zip(products, targets, states, strict=False):
        _dot(h, factor, product)
        _add(product, fed, product)
        if relu:
            np.maximum(product, 0, out=h_t)
        else:
            _tanh(product, h_t)
        if not direct:
            _copyto(y_t, h_t, casting="unsafe")
        h = h_t
    return y


def rnn_backward(
    g: Array,
    y: Array,
    weight_hh: Array,
    nonlinearity: str = "tanh",
    batch_first: bool = False,
    reverse: bool = False,
    out: tuple[Array, ...] | None = None,
) -> tuple[Array, ...]:
    """Gradients of `rnn` by the sums that its results are functions of, (T, N, H), and by ``h``."""
    kind, (batch, size), given = compute_type(g.dtype), (g.shape[not batch_first], g.shape[2]), out or (None, None)
    sums = _sequence(g, size, given[0])
    slopes, states, targets = (_ordered(a, batch_first, not reverse) for a in (g, _wide(y), sums))
    weight, one, relu = _wide(weight_hh), _ONE[kind.char], nonlinearity == "relu"
    dh = _place((batch, size), kind, given[1])
    dh.fill(0)
    u = np.empty_like(dh)
    places, direct = _targets(targets, kind)
    for g_t, y_t, d_t, place in zip(slopes, states, targets, places, strict=False):
        _add(dh, g_t, dh)
        if relu:
            _mul(dh, y_t > 0, place)
        else:
            _mul(y_t, y_t, u)
            _subtract(one, u, u)
            _mul(dh, u, place)
        _dot(place, weight, dh)
        if not direct:
            _copyto(d_t, place, casting="unsafe")
    return sums, _stored(dh, g.dtype, given[1])
