"""Matrix products: every combination of axes, batches that broadcast, sizes of 0."""

from __future__ import annotations

import math

import numpy as np

import tensorgrad as tg
from tensorgrad.ops.matmul import linear

from . import add, values


def _product(x, y):
    """One dot product after the other."""
    a = x[None, :] if x.ndim == 1 else x
    b = y[:, None] if y.ndim == 1 else y
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = np.broadcast_to(a, (*batch, *a.shape[-2:])), np.broadcast_to(b, (*batch, *b.shape[-2:]))
    out = np.zeros((*batch, a.shape[-2], b.shape[-1]))
    for place in np.ndindex(out.shape):
        *lead, i, j = place
        out[place] = math.fsum(a[(*lead, i)] * b[(*lead, slice(None), j)])
    shape = batch + x.shape[-2:-1] * (x.ndim > 1) + y.shape[-1:] * (y.ndim > 1)
    return out.reshape(shape)


for _first, _second in (
    ((2, 3), (3, 4)),
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((2, 2, 3), (3, 2)),
    ((2, 3), (2, 3, 2)),
    ((2, 2, 3), (2, 3, 2)),
    ((2, 1, 2, 3), (3, 3, 1)),
    ((2, 2, 3), (3,)),
    ((3,), (2, 3, 2)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 3)),
    ((0, 2, 3), (3, 2)),
    ((2, 3), (0, 3, 2)),
    ((1, 1), (1, 1)),
):
    add(
        "matmul",
        f"{_first} {_second}",
        tg.matmul,
        values(*_first),
        values(*_second, seed=1),
        reference=_product,
        slack=4,
    )
add("matmul", "operator", lambda x, y: x @ y, values(2, 3), values(3, 2, seed=1), reference=_product, slack=4)
add("matmul", "with its transpose", lambda x: x @ x.T, values(2, 3), reference=lambda x: _product(x, x.T), slack=4)
add("matmul", "linear, vector weight", linear, values(2, 3), values(3, seed=1), reference=_product, slack=4)

for _shape in ((2, 3), (3,), (2, 2, 3), (0, 3)):
    _x, _w, _b = values(*_shape), values(4, 3, seed=1), values(4, seed=2)
    add("linear", f"{_shape}", linear, _x, _w, reference=lambda x, w: _product(x, w.T), slack=4)
    add("linear", f"{_shape} bias", linear, _x, _w, _b, reference=lambda x, w, b: _product(x, w.T) + b, slack=4)
add("linear", "no features", linear, values(2, 0), values(3, 0), values(3), reference=lambda x, w, b: np.stack([b, b]))
