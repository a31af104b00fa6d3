"""Repeating, shifting, cutting up; by the op that does most of the work."""

from __future__ import annotations

import numpy as np

import tensorgrad as tg
from tensorgrad.ops import arrangement

from . import add, values

_X = values(2, 3, 4)

for _label, _x, _n in (
    ("rows", values(3), (2, 1)),
    ("all", values(2, 3), (2, 2)),
    ("few", _X, 2),
    ("none", values(2), 0),
    ("0-d", values(), 2),
):
    _op = "broadcast_to" if _label in ("all", "none") else "concat"
    add(_op, f"tile {_label}", lambda x, n=_n: tg.tile(x, n), _x, reference=lambda x, n=_n: np.tile(x, n))
for _label, _x, _axis in (("flat", values(2, 3), None), ("first", values(2, 3), 0), ("last", values(2, 3), -1)):
    for _n in (0, 3):
        add(
            "repeat",
            f"{_label} {_n}",
            lambda x, a=_axis, n=_n: tg.repeat(x, n, axis=a),
            _x,
            reference=lambda x, a=_axis, n=_n: np.repeat(x, n, axis=a),
        )
for _shift, _axis in ((1, None), (-2, 1), (7, -1), ((1, -1), (0, 2))):
    add(
        "concat",
        f"roll {_shift} {_axis}",
        lambda x, s=_shift, a=_axis: tg.roll(x, s, axis=a),
        _X,
        reference=lambda x, s=_shift, a=_axis: np.roll(x, s, a),
    )
for _indexing in ("xy", "ij"):
    add(
        "broadcast_to",
        f"meshgrid {_indexing}",
        lambda *x, i=_indexing: tuple(tg.meshgrid(*x, indexing=i)),
        values(2),
        values(3),
        values(1),
        reference=lambda *x, i=_indexing: tuple(np.meshgrid(*x, indexing=i)),
    )
for _name in ("tril", "triu"):
    _call, _reference = getattr(tg, _name), getattr(np, _name)
    for _k in (0, 1, -2):
        add(
            "triangle",
            f"{_name} {_k}",
            lambda x, f=_call, k=_k: f(x, k=k),
            _X,
            reference=lambda x, f=_reference, k=_k: f(x, k),
        )
for _offset in (0, 1, -1, 3, 9):
    add(
        "diagonal",
        f"diagonal {_offset}",
        lambda x, o=_offset: tg.diagonal(x, offset=o),
        _X,
        reference=lambda x, o=_offset: np.diagonal(x, o),
    )
    add(
        "sum",
        f"trace {_offset}",
        lambda x, o=_offset: tg.trace(x, offset=o),
        _X,
        reference=lambda x, o=_offset: np.trace(x, o),
        slack=2,
    )
add(
    "diagonal",
    "of other axes",
    lambda x: tg.diagonal(x, axis1=2, axis2=0),
    _X,
    reference=lambda x: np.diagonal(x, 0, 2, 0),
)
for _g, _offset in ((values(2, 3), 0), (values(2, 2), -1), (values(2, 0), 5)):
    add(
        "diagonal_backward",
        f"{_offset}",
        lambda g, o=_offset: arrangement.on_diagonal(g, (3, 2, 4), o, 0, 2),
        _g,
        reference=lambda g, o=_offset: (
            sum(
                np.einsum("b,ij->ibj", g[:, k], np.outer(np.eye(3)[k + max(-o, 0)], np.eye(4)[k + max(o, 0)]))
                for k in range(g.shape[1])
            )
            + np.zeros((3, 2, 4))
        ),
    )
for _label, _bounds, _axis in (("equal parts", 3, 1), ("parts", [0, 1], 0), ("overlapping parts", [2, 1], -1)):
    add(
        "getitem" if _label.startswith("overlapping") else "split",
        f"split {_label}",
        lambda x, b=_bounds, a=_axis: tg.split(x, b, axis=a),
        _X,
        reference=lambda x, b=_bounds, a=_axis: tuple(np.split(x, b, a)),
    )
