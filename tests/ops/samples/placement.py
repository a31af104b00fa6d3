"""Writing to places that indices or masks tell."""

from __future__ import annotations

import numpy as np

import tensorgrad as tg

from . import add, values

_X, _V = values(3, 4), values(2, 4, seed=1)
_INDEX = np.array([[0, 2, 0, 0], [0, 1, 0, 2]])
_UFUNCS = {"sum": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum}


def _scattered(x, v, index, reduce, include_self):
    y = x.copy()
    if not include_self:
        identity = {"sum": 0, "mean": 0, "prod": 1, "amax": -np.inf, "amin": np.inf}[reduce]
        np.put_along_axis(y, index, identity, 0)
    at = (index, np.broadcast_to(np.arange(index.shape[1]), index.shape))
    _UFUNCS["sum" if reduce == "mean" else reduce].at(y, at, v)
    if reduce == "mean":
        count = np.full(x.shape, 1.0 if include_self else 0.0)
        np.add.at(count, at, 1)
        y = y / np.maximum(count, 1)
    return y


_ZEROS = _V.copy()
_ZEROS[0, 0] = _ZEROS[1, 0] = _ZEROS[0, 2] = 0
for _reduce, _op in (
    ("sum", "scatter_add"),
    ("mean", "divide"),
    ("prod", "scatter_prod"),
    ("amax", "scatter_extreme"),
    ("amin", "scatter_extreme"),
):
    for _include in (True, False):
        for _label, _values in (("", _V), ("zeros", _ZEROS)):
            if _label and _reduce != "prod":
                continue
            add(
                _op,
                f"{_reduce} {_include} {_label}",
                lambda x, v, i, r=_reduce, s=_include: tg.scatter_reduce(x, 0, i, v, r, include_self=s),
                _X,
                _values,
                _INDEX,
                reference=lambda x, v, i, r=_reduce, s=_include: _scattered(x, v, i, r, s),
                halves=_reduce in ("sum", "mean"),
            )
add(
    "scatter_prod",
    "part of the axes",
    lambda x, v, i: tg.scatter_reduce(x, 1, i, v, "prod"),
    _X,
    values(2, 3, seed=2),
    np.array([[0, 1, 0], [3, 3, 3]]),
    reference=lambda x, v, i: np.concatenate(
        [
            np.stack(
                [
                    _scattered(a[:, None], b[:, None], c[:, None], "prod", True)[:, 0]
                    for a, b, c in zip(x[:2], v, i, strict=True)
                ]
            ),
            x[2:],
        ]
    ),
)
_ROWS = np.array([2, 0, 2])


def _added(x, v, rows):
    y = x.copy()
    np.add.at(y, rows, 2 * v)
    return y


def _copied(x, v, rows, axis=0):
    y = x.copy()
    y[(slice(None),) * axis + (rows,)] = v
    return y


add("add", "index_add", lambda x, v, i: tg.index_add(x, 0, i, v, alpha=2), _X, values(3, 4, seed=3), _ROWS,
    reference=_added)  # fmt: skip
add("setitem", "index_copy", lambda x, v, i: tg.index_copy(x, 1, i, v), _X, values(3, 2, seed=3), [3, 0],
    reference=lambda x, v, i: _copied(x, v, i, 1))  # fmt: skip
add("where", "index_fill", lambda x, v, i: tg.index_fill(x, 0, i, v), _X, values(), [2, 0, 2],
    reference=lambda x, v, i: _copied(x, v, i))  # fmt: skip
add("setitem", "put", lambda x, v, i: tg.put(x, i, v), _X, values(2), [5, 0],
    reference=lambda x, v, i: _copied(x.reshape(-1), v, i).reshape(x.shape))  # fmt: skip
add("setitem", "diagonal_scatter", lambda x, v: tg.diagonal_scatter(x, v, 1), _X, values(3),
    reference=lambda x, v: x - np.diag(np.diag(x, 1), 1)[:3] + np.diag(v, 1)[:3])  # fmt: skip
add("diagonal_backward", "diag_embed", lambda x: tg.diag_embed(x, 1), values(2, 3),
    reference=lambda x: np.stack([np.diag(row, 1) for row in x]))  # fmt: skip
add("take", "masked_select", lambda x, m: tg.masked_select(x, m), _X, _X > 0, reference=lambda x, m: x[m])
add("where", "masked_scatter", lambda x, m, v: tg.masked_scatter(x, m, v), _X, _X > 0, values(3, 4, seed=5),
    reference=lambda x, m, v: np.where(m, v.flat[np.maximum(np.cumsum(m).reshape(m.shape) - 1, 0)], x))  # fmt: skip
add("take_along_axis", "choose", lambda a, x, y: tg.choose(a, [x, y]), [[0, 1, 1, 0]], _X, _X * 2,
    reference=lambda a, x, y: np.choose(a, [x, y]))  # fmt: skip
