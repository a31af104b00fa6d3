"""Padding by every mode of NumPy's, and windows."""

from __future__ import annotations

import numpy as np

import tensorgrad as tg
from tensorgrad.ops.windows import _folded

from . import add, values

_X = values(3, 4)
for _mode, _op, _more in (
    ("constant", "pad", {}),
    ("constant", "concat", {"constant_values": (1.5, -1)}),
    ("edge", "concat", {}),
    ("linear_ramp", "concat", {"end_values": (1, -2)}),
    ("maximum", "concat", {}),
    ("mean", "concat", {"stat_length": 2}),
    ("median", "concat", {}),
    ("minimum", "concat", {"stat_length": ((1, 2), (2, 3))}),
    ("reflect", "concat", {}),
    ("reflect", "concat", {"reflect_type": "odd"}),
    ("symmetric", "concat", {}),
    ("symmetric", "concat", {"reflect_type": "odd"}),
    ("wrap", "concat", {}),
):
    for _width in (((1, 2), (0, 3)), 6):
        add(
            _op,
            f"{_mode} {_width} {_more}",
            lambda x, w=_width, m=_mode, k=_more: tg.pad(x, w, m, **k),
            _X,
            reference=lambda x, w=_width, m=_mode, k=_more: np.pad(x, w, m, **k),
            slack=4,
        )
add("pad", "one axis", lambda x: tg.pad(x, {-1: (1, 0)}), _X, reference=lambda x: np.pad(x, ((0, 0), (1, 0))))
add("pad", "empty", lambda x: tg.pad(x, 1), values(0, 2), reference=lambda x: np.pad(x, 1))
_view = np.lib.stride_tricks.sliding_window_view
for _axis, _size, _step in ((0, 2, 1), (1, 3, 2), (-1, 1, 3)):
    add(
        "sliding_windows",
        f"{_axis} {_size} {_step}",
        lambda x, a=_axis, n=_size, s=_step: tg.unfold(x, a, n, s),
        values(4, 5),
        reference=lambda x, a=_axis, n=_size, s=_step: _view(x, n, a)[
            tuple(slice(None, None, s) if i == a % 2 else slice(None) for i in range(2))
        ],
    )
add("sliding_windows", "two axes", lambda x: tg.sliding_window_view(x, (2, 3)), values(4, 5),
    reference=lambda x: _view(x, (2, 3)))  # fmt: skip
add(
    "sliding_windows_backward",
    "overlapping",
    lambda g: _folded(g, 0, 3, 1, (5,)),
    values(3, 3),
    reference=lambda g: sum(np.pad(g[i], (i, 2 - i)) for i in range(3)),
)
