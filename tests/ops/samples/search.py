"""Finding elements, distinct ones, and repeating each its own number of times."""

from __future__ import annotations

import numpy as np

import tensorgrad as tg

from . import add, values

nan = np.nan
_SORTED, _SOUGHT = [1.0, 2.0, 2.0, 4.0, nan], [[0.0, 2.0, 3.0], [4.0, 9.0, nan]]

add("nonzero", "matrix", lambda x: tg.nonzero(x), [[0.0, 1.5], [-2.0, 0.0]], reference=np.nonzero)
add("nonzero", "bool", lambda x: tg.argwhere(x), [[True, False], [True, True]], reference=np.argwhere)
add("nonzero", "flat", lambda x: tg.flatnonzero(x), np.zeros((0, 3)), reference=np.flatnonzero)
for _side in ("left", "right"):
    add(
        "searchsorted",
        _side,
        lambda x, y, s=_side: tg.searchsorted(x, y, side=s),
        _SORTED,
        _SOUGHT,
        reference=lambda x, y, s=_side: np.searchsorted(x, y, s),
    )
    for _rows in (3, 100):
        add(
            "searchsorted",
            f"{_rows} rows {_side}",
            lambda x, y, s=_side: tg.searchsorted(x, y, side=s),
            np.sort(values(_rows, 6), axis=1),
            np.concatenate([values(_rows, 4, seed=1), np.full((_rows, 1), nan)], 1),
            reference=lambda x, y, s=_side: np.stack([np.searchsorted(a, b, s) for a, b in zip(x, y, strict=True)]),
            halves=False,
        )
add(
    "searchsorted",
    "sorter",
    lambda x, y, order: tg.searchsorted(x, y, sorter=order),
    [3.0, 1.0, 2.0],
    [0.0, 2.5],
    [1, 2, 0],
    reference=lambda x, y, order: np.searchsorted(x, y, sorter=order),
)
for _right in (False, True):
    for _bins in ([1.0, 2.0, 2.0, 5.0], [5.0, 2.0, 2.0, 1.0]):
        add(
            "searchsorted",
            f"digitize {_bins[0]} {_right}",
            lambda x, b, r=_right: tg.digitize(x, b, r),
            [0.5, 1.0, 2.0, 3.0, 6.0],
            _bins,
            reference=lambda x, b, r=_right: np.digitize(x, b, r),
        )
add("isin", "floats", tg.isin, [[1.0, nan], [3.0, 0.0]], [3.0, nan, 1.0], reference=np.isin)
add("isin", "integers", tg.isin, [[1, 2], [3, 0]], [3, 1, 1], reference=np.isin)
add("isin", "nothing", tg.isin, [1.0, 2.0], np.zeros(0), reference=np.isin)
for _label, _x, _axis in (
    ("integers", np.array([[3, 1, 3], [3, 1, 2]]), None),
    ("floats", np.array([2.5, nan, -1.0, 2.5, nan]), None),
    ("bool", np.array([True, False, True]), None),
    ("rows", np.array([[3, 1], [2, 9], [3, 1]]), 0),
    ("columns", np.array([[3, 1, 3], [3, 1, 3]]), 1),
    ("empty", np.zeros((0, 2)), None),
    ("empty rows", np.zeros((3, 0)), 0),
):
    for _equal in (False, True):

        def _reference(x, a=_axis, e=_equal):
            if a is not None and not x.size:
                return x[:1], np.zeros(1), np.zeros(len(x)), np.full(1, len(x))
            values_, index, inverse, counts = np.unique(x, True, True, True, a, equal_nan=e)
            return values_, index, inverse.reshape(x.shape if a is None else -1), counts

        add(
            "unique",
            f"{_label} {_equal}",
            lambda x, a=_axis, e=_equal: tg.unique(
                x, return_index=True, return_inverse=True, return_counts=True, axis=a, equal_nan=e
            ),
            _x,
            reference=_reference,
        )
add("take", "unique", lambda x: tg.unique(x), [2.5, -1.0, 2.0], reference=np.sort)
add("repeated_indices", "matrix", lambda n: tg.repeat(tg.arange(3, device=n.device), n), [2, 0, 1],
    reference=lambda n: np.repeat(np.arange(3), n))  # fmt: skip
for _axis in (0, 1):
    add(
        "take",
        f"repeat each {_axis}",
        lambda x, n, a=_axis: tg.repeat(x, n, axis=a),
        values(3, 3),
        [2, 0, 1],
        reference=lambda x, n, a=_axis: np.repeat(x, n, a),
    )
for _name in ("union1d", "intersect1d", "setdiff1d", "setxor1d"):
    _call, _reference = getattr(tg, _name), getattr(np, _name)
    add(
        "set_values",
        _name,
        lambda x, y, f=_call: f(x.detach(), y.detach()),
        [3.0, 1.0, 3.0, 2.0],
        [[2.0, 5.0], [3.0, 5.0]],
        reference=_reference,
    )
_POINTS, _PLACES = np.array([0.1, 0.4, 0.5, 0.9]), np.array([[0.0, 0.1, 0.2], [0.45, 0.9, 1.0]])
for _ends in ({}, {"left": -1.0, "right": 2.0}):
    add(
        "interp",
        f"{len(_ends)} ends given",
        lambda x, xp, fp, e=_ends: tg.interp(x.detach(), xp.detach(), fp.detach(), **e),
        _PLACES,
        _POINTS,
        values(4),
        reference=lambda x, xp, fp, e=_ends: np.interp(x, xp, fp, **e),
        halves=False,
    )
add(
    "bitwise_count",
    "signed",
    tg.bitwise_count,
    np.array([[-128, 7, 0], [1, -1, 100]]),
    reference=lambda x: np.bitwise_count(x),
)
add(
    "packbits",
    "packbits along the first axis",
    lambda x: tg.packbits(x, axis=0),
    np.arange(33).reshape(11, 3) % 4 % 3,
    reference=lambda x: np.packbits(x, axis=0),
)
add(
    "unpackbits",
    "unpackbits of little ends",
    lambda x: tg.unpackbits(x.astype(tg.uint8), axis=1, bitorder="little"),
    np.array([[161, 7, 0], [1, 255, 100]]),
    reference=lambda x: np.unpackbits(x.astype(np.uint8), axis=1, bitorder="little"),
)
