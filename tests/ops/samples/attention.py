"""Scaled dot-product attention and its gradient."""

from __future__ import annotations

import numpy as np
from scipy import special

import tensorgrad as tg
from tensorgrad.ops import attention as ops

from . import add, values

_HIDE = np.array([[0, 0, 1, 0], [1, 1, 1, 1], [0, 1, 0, 0]], bool)  # the second query sees no key


def probabilities(q, k, mask, causal, scale):
    scores = np.einsum("...ie,...je->...ij", q, k) * scale
    if causal:
        mask = np.tril(np.ones(scores.shape[-2:], bool))
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    return np.where(np.isneginf(scores).all(-1, keepdims=True), 0.0, special.softmax(scores, -1))


def reference(q, k, v, mask=None, causal=False, scale=None):
    return probabilities(q, k, mask, causal, q.shape[-1] ** -0.5 if scale is None else scale) @ v


def gradients(g, q, k, v, mask, causal, scale):
    p = probabilities(q, k, mask, causal, scale)
    slope = g @ v.swapaxes(-1, -2)
    ds = p * (slope - (p * slope).sum(-1, keepdims=True)) * scale
    return ds @ k, ds.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ g


for _label, _mask, _causal in (
    ("plain", None, False),
    ("causal", None, True),
    ("boolean mask", ~_HIDE, False),
    ("added mask", values(3, 4, seed=9), False),
):
    _q, _k, _v = values(1, 2, 3, 2), values(1, 2, 4, 2, seed=1), values(1, 2, 4, 3, seed=2)
    _g = values(1, 2, 3, 3, seed=3)

    def _on(x, mask=_mask):
        if mask is None:
            return None
        return tg.tensor(mask, None if mask.dtype == bool else x.dtype, x.device)

    def _call(q, k, v, on=_on, causal=_causal):
        return ops.attention(q, k, v, on(q), causal)

    def _backward(g, q, k, v, on=_on, causal=_causal):
        mask = on(q)
        mask = None if mask is None else mask._data
        y, lse = ops.K.attention(q._data, k._data, v._data, mask, causal, 0.5)
        return ops._attention_backward(g, q, k, v, y, lse, mask, causal, 0.5, 0.0, 0, 0)

    add(
        "attention",
        _label,
        _call,
        _q,
        _k,
        _v,
        reference=lambda q, k, v, m=_mask, c=_causal: reference(q, k, v, m, c),
        slack=4,
    )
    add(
        "attention_backward",
        _label,
        _backward,
        _g,
        _q,
        _k,
        _v,
        reference=lambda g, q, k, v, m=_mask, c=_causal: gradients(g, q, k, v, m, c, 0.5),
        slack=8,
    )
add(
    "attention",
    "three axes, scale",
    lambda q, k, v: ops.attention(q, k, v, scale=0.3),
    values(2, 3, 2),
    values(2, 4, 2, seed=1),
    values(2, 4, 2, seed=2),
    reference=lambda q, k, v: reference(q, k, v, scale=0.3),
    slack=4,
)
