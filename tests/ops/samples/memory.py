"""Casts and copies."""

from __future__ import annotations

import numpy as np

import tensorgrad as tg
from tensorgrad.backend import CPU
from tensorgrad.ops.memory import moved

from . import add, values

for _shape in ((2, 3), (), (0, 2)):
    add("clone", str(_shape), tg.clone, values(*_shape), reference=lambda x: x)
    # to a wider or the same range and back; differences are of float64, so the way through must not round
    add(
        "cast",
        f"complex {_shape}",
        lambda x: tg.astype(x, tg.complex128),
        values(*_shape),
        reference=lambda x: x + 0j,
        halves=False,
        constant=(0,),
    )
    add(
        "cast",
        f"float32 and back {_shape}",
        lambda x: x.astype(tg.float32).astype(x.dtype),
        values(*_shape).astype(np.float32).astype(float),
        reference=lambda x: x,
        slack=1e5,
        constant=(0,),
    )
    add(
        "cast",
        f"integers {_shape}",
        lambda x: x.astype(tg.float32),
        np.ones(_shape, int),
        reference=lambda x: x.astype(float),
    )
    add("moved", str(_shape), lambda x: moved(x, CPU), values(*_shape), reference=lambda x: x)
