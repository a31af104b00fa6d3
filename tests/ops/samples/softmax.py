"""Softmax and its logarithm, along any axis."""

from __future__ import annotations

import numpy as np
from scipy import special

import tensorgrad as tg
from tensorgrad.ops import softmax as ops

from . import add, values

for _label, _x, _axis in (
    ("rows", values(2, 3), -1),
    ("columns", values(3, 2), 0),
    ("middle", values(2, 3, 2), 1),
    ("vector", values(4), 0),
    ("one class", values(3, 1), 1),
    ("empty", values(0, 3), 1),
    ("large", values(2, 3) + np.array([0.0, 800.0, -800.0]), -1),
):
    _g = values(*_x.shape, seed=1)
    add(
        "softmax",
        _label,
        lambda x, a=_axis: tg.softmax(x, axis=a),
        _x,
        reference=lambda x, a=_axis: special.softmax(x, a),
        slack=2,
    )
    add(
        "log_softmax",
        _label,
        lambda x, a=_axis: x.log_softmax(a),
        _x,
        reference=lambda x, a=_axis: x - special.logsumexp(x, a, keepdims=True) if x.size else x,
        slack=2,
    )
    if _label == "large":
        continue
    add(
        "softmax_backward",
        _label,
        lambda g, y, a=_axis: ops.softmax_backward(g, y, a),
        _g,
        _x,
        reference=lambda g, y, a=_axis: y * (g - (g * y).sum(a, keepdims=True)),
        slack=8,
    )
    add(
        "log_softmax_backward",
        _label,
        lambda g, y, a=_axis: ops._log_softmax_backward(g, y, a),
        _g,
        _x,
        reference=lambda g, y, a=_axis: g - np.exp(y) * g.sum(a, keepdims=True),
        slack=8,
    )
add("softmax", "0-d", lambda x: tg.softmax(x), values(), reference=np.ones_like)
add("log_softmax", "0-d", lambda x: tg.log_softmax(x), values(), reference=np.zeros_like)
add(
    "softmax",
    "a minus infinity",
    lambda x: tg.softmax(x),
    [0.0, -np.inf],
    reference=lambda x: np.array([1.0, 0.0]),
    constant=(0,),
)
