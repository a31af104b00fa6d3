"""Recurrent layers over sequences and their gradients."""

from __future__ import annotations

import numpy as np
from scipy import special

from tensorgrad.ops import recurrent as ops

from . import add, values

sigmoid = special.expit


def steps(kind, x, h, c, w_ih, w_hh, b_ih=None, b_hh=None, batch_first=False, reverse=False, relu=False):
    """What each step computes, by the formulas: in the order of the steps, with the state before and the gates."""
    x = x.swapaxes(0, 1) if batch_first else x
    gates, made = {"lstm": 4, "gru": 3, "rnn": 1}[kind], []
    for x_t in x[::-1] if reverse else x:
        own = np.split(x_t @ w_ih.T + (0 if b_ih is None else b_ih), gates, 1)
        fed = np.split(h @ w_hh.T + (0 if b_hh is None else b_hh), gates, 1)
        before = h, c
        if kind == "rnn":
            opened = ()
            h = np.maximum(own[0] + fed[0], 0) if relu else np.tanh(own[0] + fed[0])
        elif kind == "gru":
            r, z = sigmoid(own[0] + fed[0]), sigmoid(own[1] + fed[1])
            opened = r, z, np.tanh(own[2] + r * fed[2]), fed[2]
            h = (1 - z) * opened[2] + z * h
        else:
            i, f, g, o = (a + b for a, b in zip(own, fed, strict=True))
            opened = i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
            c = f * c + i * g
            h = o * np.tanh(c)
        made.append((x_t, before, opened, h, c))
    return made


def states(kind, *operands, **how):
    """The hidden states of all steps and, for an LSTM, the last cell state."""
    if kind != "lstm":
        operands = (*operands[:2], None, *operands[2:])
    made = steps(kind, *operands, **how)
    y = np.stack([h for *_, h, _ in made][:: -1 if how.get("reverse") else 1], int(how.get("batch_first", False)))
    return (y, made[-1][4]) if kind == "lstm" else y


def gradients(kind, g, gc, *operands, batch_first=False, reverse=False, relu=False):
    """The gradients by all operands, backwards through the steps."""
    if kind != "lstm":
        operands = (*operands[:2], None, *operands[2:])
    _, h, _, w_ih, w_hh, *_ = operands
    made = steps(kind, *operands, batch_first=batch_first, reverse=reverse, relu=relu)
    g = g.swapaxes(0, 1) if batch_first else g
    g = g[::-1] if reverse else g
    dx, dh, dc = [], np.zeros_like(h), gc
    by_ih, by_hh, by_bias, by_hidden_bias = np.zeros_like(w_ih), np.zeros_like(w_hh), 0, 0
    for (x_t, (h, c), opened, now, cell), g_t in list(zip(made, g, strict=True))[::-1]:
        dh = dh + g_t
        around = 0
        if kind == "rnn":
            d = fed = dh * ((now > 0) if relu else 1 - now**2)
        elif kind == "gru":
            r, z, n, reset = opened
            dn, around = dh * (1 - z) * (1 - n**2), dh * z
            first = [dn * reset * r * (1 - r), dh * (h - n) * z * (1 - z)]
            d, fed = np.concatenate([*first, dn], 1), np.concatenate([*first, dn * r], 1)
        else:
            i, f, u, o = opened
            dc = dc + dh * o * (1 - np.tanh(cell) ** 2)
            slopes = dc * u * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - u**2), dh * np.tanh(cell) * o * (1 - o)
            d = fed = np.concatenate(slopes, 1)
            dc = dc * f
        dx.append(d @ w_ih)
        dh = fed @ w_hh + around
        by_ih, by_hh = by_ih + d.T @ x_t, by_hh + fed.T @ h
        by_bias, by_hidden_bias = by_bias + d.sum(0), by_hidden_bias + fed.sum(0)
    dx = np.stack(dx[:: 1 if reverse else -1], int(batch_first))
    return dx, dh, *([dc] if kind == "lstm" else []), by_ih, by_hh, by_bias, by_hidden_bias


for _kind, _gates in (("lstm", 4), ("gru", 3), ("rnn", 1)):
    for _first, _reverse in ((False, False), (True, True)):
        _x, _g = (values(2, 2, n, seed=n) / 2 for n in (1, 2))
        _h = [values(2, 2, seed=s) / 2 for s in range(2 if _kind == "lstm" else 1)]
        _w = [values(2 * _gates, n, seed=4) / 2 for n in (1, 2)]
        _b = [values(2 * _gates, seed=s) / 2 for s in (5, 6)]
        _how = {"batch_first": _first, "reverse": _reverse}
        _op = getattr(ops, _kind)
        add(
            _kind,
            f"batch_first={_first}, reverse={_reverse}",
            lambda *x, op=_op, how=_how: op(*x, **how),
            _x,
            *_h,
            *_w,
            *_b,
            reference=lambda *x, kind=_kind, how=_how: states(kind, *x, **how),
            slack=4,
        )

        def _backward(g, *rest, kind=_kind, first=_first, reverse=_reverse):
            rest = rest if kind == "lstm" else rest[1:]
            operands = rest[1:] if kind == "lstm" else rest
            forward, backward = getattr(ops.K, kind), getattr(ops, f"_{kind}_backward")
            how = (*(("tanh",) if kind == "rnn" else ()), first, reverse)
            made = forward(*(x._data for x in operands), *how)
            made = (made,) if kind == "rnn" else (made[0], made[-1])
            return backward(g, *rest, *made, (True,) * len(operands), *how)

        add(
            f"{_kind}_backward",
            f"batch_first={_first}, reverse={_reverse}",
            _backward,
            _g,
            values(2, 2, seed=9),
            _x,
            *_h,
            *_w,
            *_b,
            reference=lambda *x, kind=_kind, how=_how: gradients(kind, *x, **how),
            constant=() if _kind == "lstm" else (1,),
            twice=_first,
            slack=8,
        )
    add(
        _kind,
        "without biases, one step",
        getattr(ops, _kind),
        _x[:1, :1],
        *(h[:1] for h in _h),
        *_w,
        reference=lambda *x, kind=_kind: states(kind, *x),
        slack=4,
    )

_pieces = [values(3, 2, 3), values(2, 2), values(2, 3, seed=4), values(2, 2, seed=4)]
add(
    "rnn",
    "relu",
    lambda *x: ops.rnn(*x, nonlinearity="relu"),
    *_pieces,
    reference=lambda *x: states("rnn", *x, relu=True),
    slack=4,
)
