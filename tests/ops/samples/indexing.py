"""Reading and writing parts."""

from __future__ import annotations

import numpy as np

import tensorgrad as tg
from tensorgrad.ops import indexing as ops

from . import add, values

_X = values(3, 4)


def _element_by_element(x, index):
    """Positions of the elements that an index reads, found on numbers."""
    return np.arange(x.size).reshape(x.shape)[index]


VIEWS = {
    "integer": 1,
    "negative": -1,
    "two integers": (1, 2),
    "slice": slice(1, None),
    "step": (slice(None), slice(None, None, 2)),
    "backwards": (slice(None, None, -1), slice(3, 0, -2)),
    "new axis": (None, 1, None),
    "ellipsis": (..., 2),
    "nothing": slice(2, 2),
    "everything": (),
}
ADVANCED = {
    "integers": (np.array([2, 0]),),
    "repeated": (np.array([1, 1, 0, 1]),),
    "negative": (np.array([-1, 0]),),
    "matrix": (np.array([[0, 1], [2, 2]]),),
    "two arrays": (np.array([0, 2, 0]), np.array([1, 3, 1])),
    "arrays that broadcast": (np.array([[0], [2]]), np.array([1, 3])),
    "array and slice": (np.array([2, 0]), slice(1, 3)),
    "slice and array": (slice(None), np.array([3, 3])),
    "array and integer": (np.array([2, 0]), 1),
    "new axis between": (np.array([2, 0]), None, np.array([1, 1])),
    "mask": (_X > 0,),
    "row mask": (np.array([True, False, True]),),
    "mask of nothing": (np.zeros((3, 4), bool),),
    "no indices": (np.zeros(0, int),),
}


def _on(x, index):
    """The index with its arrays as tensors beside ``x``."""
    return tuple(tg.tensor(i, device=x.device) if isinstance(i, np.ndarray) else i for i in index)


for _label, _index in VIEWS.items():
    add(
        "getitem",
        _label,
        lambda x, i=_index: x[i],
        _X,
        reference=lambda x, i=_index: x.ravel()[_element_by_element(x, i)],
    )
    if _label != "everything":
        _shape = _X[_index].shape
        add(
            "setitem",
            _label,
            lambda x, v, i=_index: _written(x, i, v),
            _X,
            values(*_shape, seed=1),
            reference=lambda x, v, i=_index: _replaced(x, i, v),
        )
add("getitem", "0-d", lambda x: x[...], values(), reference=lambda x: x)
add("getitem", "empty", lambda x: x[1:], values(2, 0), reference=lambda x: np.zeros((1, 0)))
add("getitem", "flip", lambda x: tg.flip(x, 1), _X, reference=lambda x: np.array([list(reversed(row)) for row in x]))
add(
    "getitem",
    "unstack",
    lambda x: tg.unstack(x, axis=1),
    _X,
    reference=lambda x: tuple(np.array([row[j] for row in x]) for j in range(4)),
)
for _label, _index in ADVANCED.items():
    add(
        "getitem_advanced",
        _label,
        lambda x, i=_index: x[_on(x, i)],
        _X,
        reference=lambda x, i=_index: x.ravel()[_element_by_element(x, i)],
    )
add("getitem_advanced", "list", lambda x: x[[2, 0]], _X, reference=lambda x: np.array([x[2], x[0]]))


def _written(x, index, value):
    y = x.clone()
    y[index] = value
    return y


def _replaced(x, index, value):
    y = x.copy().ravel()
    places = np.asarray(_element_by_element(x, index))
    y[places.ravel()] = np.broadcast_to(value, places.shape).ravel()
    return y.reshape(x.shape)


add("setitem", "number", lambda x: _written(x, 1, 0.5), _X, reference=lambda x: _replaced(x, 1, 0.5))
add(
    "setitem",
    "broadcast",
    lambda x, v: _written(x, slice(1, None), v),
    _X,
    values(4),
    reference=lambda x, v: _replaced(x, slice(1, None), v),
)
add(
    "setitem",
    "0-d value",
    lambda x, v: _written(x, slice(1, None), v),
    _X,
    values(),
    reference=lambda x, v: _replaced(x, slice(1, None), v),
)
add(
    "setitem",
    "mask",
    lambda x, v: _written(x, _on(x, (_X > 0,)), v),
    _X,
    values(),
    reference=lambda x, v: _replaced(x, _X > 0, v),
)
add(
    "setitem",
    "array",
    lambda x, v: _written(x, _on(x, (np.array([2, 0]),)), v),
    _X,
    values(2, 4, seed=1),
    reference=lambda x, v: _replaced(x, np.array([2, 0]), v),
)

for _label, _index in {"slice": (slice(1, None),), "integer": (1,), "nothing": (slice(2, 2),)}.items():
    add(
        "getitem_backward",
        _label,
        lambda g, i=_index: ops._placed(g, i, False, (3, 4)),
        values(*_X[_index].shape),
        reference=lambda g, i=_index: _added(i, g),
    )
for _label in ("repeated", "array and slice", "mask", "no indices"):
    _index = ADVANCED[_label]
    add(
        "getitem_backward",
        _label,
        lambda g, i=_index: ops._placed(
            g, tuple(t._data if hasattr(t, "_data") else t for t in _on(g, i)), True, (3, 4)
        ),
        values(*_X[_index].shape),
        reference=lambda g, i=_index: _added(i, g),
    )


def _added(index, g):
    y = np.zeros(12)
    places = np.asarray(_element_by_element(_X, index))
    for place, v in zip(places.ravel(), np.asarray(g).ravel(), strict=True):
        y[place] += v
    return y.reshape(3, 4)


def _gathered(x, index, axis):
    """``y[i, j] = x[index[i, j], j]`` for axis 0, element by element."""
    y = np.zeros(index.shape)
    for place in np.ndindex(index.shape):
        source = list(place)
        source[axis] = index[place]
        y[place] = x[tuple(source)]
    return y


def _scattered(x, index, v, axis, adds):
    y = x.copy()
    for place in np.ndindex(index.shape):
        target = list(place)
        target[axis] = index[place]
        y[tuple(target)] = v[place] + (y[tuple(target)] if adds else 0)
    return y


def _slices(x, index, axis):
    return np.stack([np.moveaxis(x, axis, 0)[i] for i in index.ravel()] or [np.moveaxis(x, axis, 0)[0]])[: index.size]


for _label, _i in {"repeated": [2, 0, 2], "negative": [-1], "none": np.zeros(0, int)}.items():
    add("take", _label, lambda x, i: tg.take(x, i, axis=0), _X, _i, reference=lambda x, i: _slices(x, i, 0))
    add(
        "take_backward",
        _label,
        lambda g, i: ops._taken_back(g, i, 0, (3, 4)),
        values(len(_i), 4),
        _i,
        reference=lambda g, i: _added((i,), g),
    )
add("take", "columns", lambda x, i: tg.take(x, i, axis=1), _X, [3, 3, 0], reference=lambda x, i: _slices(x, i, 1).T)
add(
    "take",
    "matrix of indices",
    lambda x, i: tg.take(x, i, axis=0),
    _X,
    [[0, 2], [1, 1]],
    reference=lambda x, i: _slices(x, i, 0).reshape(2, 2, 4),
)
add("take", "one index", lambda x, i: tg.take(x, i, axis=0), _X, 1, reference=lambda x, i: x[1])
add("take", "vector", lambda x, i: x.take(i), values(3), [2, 2], reference=lambda x, i: np.array([x[2], x[2]]))

_I0, _I1 = np.array([[0, 2, 1, 1], [2, 2, 0, 1]]), np.array([[3, 3], [0, 1], [2, 2]])
for _label, _i, _axis in (("rows", _I0, 0), ("columns", _I1, 1), ("none", np.zeros((3, 0), int), 1)):
    _g = values(*_i.shape, seed=1)
    add(
        "take_along_axis",
        _label,
        lambda x, i, a=_axis: tg.take_along_axis(x, i, axis=a),
        _X,
        _i,
        reference=lambda x, i, a=_axis: _gathered(x, i, a),
    )
    add(
        "take_along_axis_backward",
        _label,
        lambda g, i, a=_axis: ops._along_back(g, i, a, (3, 4)),
        _g,
        _i,
        reference=lambda g, i, a=_axis: _scattered(np.zeros((3, 4)), i, g, a, True),
    )
    add(
        "scatter_add",
        _label,
        lambda x, v, i, a=_axis: tg.scatter_add(x, a, i, v),
        _X,
        _g,
        _i,
        reference=lambda x, v, i, a=_axis: _scattered(x, i, v, a, True),
    )
_U0, _U1 = np.array([[0, 2, 1, 1], [2, 1, 0, 0]]), np.array([[3, 0], [0, 1], [2, 3]])  # no index twice
for _label, _i, _axis in (
    ("rows", _U0, 0),
    ("columns", _U1, 1),
    ("negative", _U1 - 4, 1),
    ("none", np.zeros((0, 4), int), 0),
):
    _g = values(*_i.shape, seed=1)
    add(
        "put_along_axis",
        _label,
        lambda x, v, i, a=_axis: tg.scatter(x, a, i, v),
        _X,
        _g,
        _i,
        reference=lambda x, v, i, a=_axis: _scattered(x, i, v, a, False),
    )
add(
    "put_along_axis",
    "function",
    lambda x, v, i: tg.put_along_axis(x, i, v, axis=1),
    _X,
    values(3, 2),
    _U1,
    reference=lambda x, v, i: _scattered(x, i, v, 1, False),
)
add(
    "put_along_axis",
    "number",
    lambda x, i: tg.scatter(x, 1, i, 0.5),
    _X,
    _U1,
    reference=lambda x, i: _scattered(x, i, np.full((3, 2), 0.5), 1, False),
)
add(
    "take_along_axis",
    "broadcast",
    lambda x, i: tg.take_along_axis(x, i, axis=1),
    _X,
    [[1, 2]],
    reference=lambda x, i: np.array([[row[1], row[2]] for row in x]),
)
add(
    "take_along_axis",
    "gather a part",
    lambda x, i: tg.gather(x, 1, i),
    _X,
    _I1[:2],
    reference=lambda x, i: _gathered(x, i, 1),
)
add(
    "scatter_add",
    "into a part",
    lambda x, v, i: tg.scatter_add(x, 1, i, v),
    _X,
    values(2, 2),
    _I1[:2],
    reference=lambda x, v, i: _scattered(x, i, v, 1, True),
)


for _rows, _padding, _frequency in (
    ([[2, 1], [0, 2]], None, False),
    ([[2, 1], [0, 2]], 1, False),
    ([[2, 1], [0, 2]], None, True),
    ([[2, 1], [0, 2]], -2, True),
    ([[2], [0]], 1, True),
):
    _op = "take" if _padding is None and not _frequency else "embedding"
    add(
        _op,
        f"embedding of {_rows}, padding_idx={_padding}, by frequency={_frequency}",
        lambda w, i=_rows, p=_padding, f=_frequency: ops.embedding(tg.tensor(i, device=w.device), w, p, f),
        values(3, 2),
        reference=lambda w, i=_rows: w[np.array(i)],
        # a gradient that passes rows over or divides by their number is not the derivative
        constant=(0,) if _op == "embedding" and len(_rows[0]) == 2 else (),
    )
