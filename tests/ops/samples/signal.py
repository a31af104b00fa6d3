"""Convolution of lines."""

from __future__ import annotations

import numpy as np

import tensorgrad as tg

from . import add, values

for _n, _m in ((5, 3), (3, 4), (4, 4), (1, 1)):
    for _mode in ("full", "same", "valid"):
        add(
            "convolve",
            f"{_mode} of {_n} and {_m}",
            lambda x, w, mode=_mode: tg.convolve(x, w, mode),
            values(_n, seed=_n),
            values(_m, seed=_m + 7),
            reference=lambda x, w, mode=_mode: np.convolve(x, w, mode),
        )
add(
    "convolve",
    "correlate",
    lambda x, w: tg.correlate(x, w, "same"),
    values(3),
    values(6, seed=1),
    reference=lambda x, w: np.correlate(x, w, "same"),
)
