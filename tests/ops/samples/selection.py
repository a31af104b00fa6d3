"""Sorting and choosing; their gradients are those of `take_along_axis`."""

from __future__ import annotations

import numpy as np

import tensorgrad as tg

from . import add, values

for _label, _x, _axis in (
    ("rows", values(3, 4), -1),
    ("columns", values(4, 3), 0),
    ("middle", values(2, 5, 2), 1),
    ("ties", np.array([[2.0, 1.0, 2.0, 1.0]]), -1),
    ("empty", values(0, 3), 1),
):
    _not_differentiable = (0,) if _label == "ties" else ()
    for _descending in (False, True):
        add(
            "argsort",
            f"{_label}, descending={_descending}",
            lambda x, a=_axis, d=_descending: tg.argsort(x, axis=a, descending=d),
            _x,
            reference=lambda x, a=_axis, d=_descending: np.argsort(-x if d else x, a, kind="stable"),
        )
        add(
            "take_along_axis",
            f"sort, {_label}, descending={_descending}",
            lambda x, a=_axis, d=_descending: tg.sort(x, axis=a, descending=d),
            _x,
            reference=lambda x, a=_axis, d=_descending: -np.sort(-x, a) if d else np.sort(x, a),
            constant=_not_differentiable,
        )
    for _largest in (False, True):
        add(
            "topk_indices",
            f"{_label}, largest={_largest}",
            lambda x, a=_axis, m=_largest: tg.topk(x, 2, a, largest=m).indices,
            _x,
            reference=lambda x, a=_axis, m=_largest: np.take(np.argsort(-x if m else x, a, kind="stable"), [0, 1], a),
        )
        add(
            "take_along_axis",
            f"topk, {_label}, largest={_largest}",
            lambda x, a=_axis, m=_largest: tg.topk(x, 2, a, largest=m).values,
            _x,
            reference=lambda x, a=_axis, m=_largest: np.take(-np.sort(-x, a) if m else np.sort(x, a), [0, 1], a),
            constant=_not_differentiable,
        )

for _axis in (0, 1):
    for _down in (False, True):
        add(
            "sort",
            f"values, axis {_axis} {_down}",
            lambda x, a=_axis, d=_down: tg.sort(x.detach(), axis=a, descending=d),
            values(3, 4),
            reference=lambda x, a=_axis, d=_down: np.flip(np.sort(x, a), a) if d else np.sort(x, a),
        )
_SHUFFLED = np.array([[3.0, 1.0, 2.0]])
add("partition", "last", lambda x: tg.partition(x.detach(), (0, 1)), _SHUFFLED, reference=np.sort)
add("argpartition", "last", lambda x: tg.argpartition(x, (0, 1)), _SHUFFLED, reference=np.argsort)
add("take_along_axis", "partition", lambda x: tg.partition(x, (0, 1)), _SHUFFLED, reference=np.sort)
