"""Dropout: the mask is a function of the seed and the offset, so the reference reads it off the result for ones."""

from __future__ import annotations

import numpy as np

from tensorgrad.ops.dropout import dropout

from . import add, values


def _masked(x, p, offset):
    from tensorgrad import ones

    keep = dropout(ones(x.shape), p, 7, offset).numpy() != 0
    return np.where(keep, x / (1 - p) if p < 1 else 0, 0)


for _p in (0.0, 0.3, 0.5, 1.0):
    for _shape in ((4, 5), (), (0, 3)):
        add(
            "dropout",
            f"{_p} {_shape}",
            lambda x, p=_p: dropout(x, p, 7, 3),
            values(*_shape),
            reference=lambda x, p=_p: _masked(x, p, 3),
        )
