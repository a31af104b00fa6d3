"""Views and joins."""

from __future__ import annotations

import numpy as np

import tensorgrad as tg

from . import add, values

_X = values(2, 3, 4)

for _label, _x, _shape in (
    ("flat", _X, (24,)),
    ("unknown size", _X, (4, -1)),
    ("to 0-d", values(1), ()),
    ("from 0-d", values(), (1, 1)),
    ("empty", values(0, 3), (3, 0)),
    ("same", _X, (2, 3, 4)),
):
    add(
        "reshape",
        _label,
        lambda x, s=_shape: tg.reshape(x, s),
        _x,
        reference=lambda x, s=_shape: np.array(list(x.flat)).reshape(s),
    )
add("reshape", "sizes", lambda x: x.reshape(3, -1), _X, reference=lambda x: np.array(list(x.flat)).reshape(3, 8))
add("reshape", "flatten", lambda x: tg.flatten(x, 1), _X, reference=lambda x: np.stack([x[0].ravel(), x[1].ravel()]))
add("reshape", "expand_dims", lambda x: tg.expand_dims(x, (0, -1)), _X, reference=lambda x: x[None, ..., None])
add("reshape", "squeeze", lambda x: tg.squeeze(x), values(1, 2, 1), reference=lambda x: x[0, :, 0])
add("reshape", "squeeze axis", lambda x: tg.squeeze(x, axis=0), values(1, 2, 1), reference=lambda x: x[0])
add(
    "reshape",
    "of a transpose",
    lambda x: x.mT.reshape(2, 12),
    _X,
    reference=lambda x: np.stack([x[0].T.ravel(), x[1].T.ravel()]),
)

for _axes in ((2, 0, 1), (0, 1, 2), (-1, 1, 0)):
    add(
        "permute_dims",
        str(_axes),
        lambda x, a=_axes: tg.permute_dims(x, a),
        _X,
        reference=lambda x, a=_axes: np.einsum(x, [0, 1, 2], [a % 3 for a in a]),
    )
add(
    "permute_dims",
    "T",
    lambda x: x.T,
    _X[0],
    reference=lambda x: np.array([[x[j, i] for j in range(3)] for i in range(4)]),
)
add("permute_dims", "mT", lambda x: x.mT, _X, reference=lambda x: np.einsum("ijk->ikj", x))
add("permute_dims", "swapaxes", lambda x: x.swapaxes(0, -1), _X, reference=lambda x: np.einsum("ijk->kji", x))
add("permute_dims", "moveaxis", lambda x: tg.moveaxis(x, 0, 1), _X, reference=lambda x: np.einsum("ijk->jik", x))
add("permute_dims", "0-d", lambda x: tg.permute_dims(x, ()), values(), reference=lambda x: x)
add("permute_dims", "empty", lambda x: x.T, values(0, 2), reference=lambda x: np.zeros((2, 0)))

for _label, _x, _shape in (
    ("rows", values(3), (2, 3)),
    ("columns", values(3, 1), (3, 2)),
    ("new axes", values(2, 1), (3, 2, 2)),
    ("from 0-d", values(), (2, 2)),
    ("to nothing", values(1, 2), (0, 2)),
):
    add(
        "broadcast_to",
        _label,
        lambda x, s=_shape: tg.broadcast_to(x, s),
        _x,
        reference=lambda x, s=_shape: x + np.zeros(s),
    )
add(
    "broadcast_to",
    "broadcast_arrays",
    lambda x, y: tuple(tg.broadcast_arrays(x, y)),
    values(3, 1),
    values(2),
    reference=lambda x, y: (x + 0 * y, 0 * x + y),
)

_A, _B = values(2, 3), values(1, 3, seed=1)
add("concat", "rows", lambda *x: tg.concat(x), _A, _B, reference=lambda a, b: np.array([*a, *b]))
add(
    "concat",
    "columns",
    lambda *x: tg.concat(x, axis=-1),
    _A,
    _A + 1,
    reference=lambda a, b: np.array([[*r, *s] for r, s in zip(a, b, strict=True)]),
)
add(
    "concat",
    "flattened",
    lambda *x: tg.concat(x, axis=None),
    _A,
    _B,
    reference=lambda a, b: np.array([*a.flat, *b.flat]),
)
add("concat", "twice the same", lambda x: tg.concat([x, x]), _A, reference=lambda a: np.array([*a, *a]))
add("concat", "one", lambda x: tg.concat([x]), _A, reference=lambda a: a)
add("concat", "with nothing", lambda *x: tg.concat(x), values(0, 3), _A, reference=lambda a, b: b)
add("concat", "empty", lambda *x: tg.concat(x), values(0, 3), values(0, 3), reference=lambda a, b: a)
add(
    "stack",
    "middle",
    lambda *x: tg.stack(x, axis=1),
    _A,
    _A + 1,
    reference=lambda a, b: np.array([[r, s] for r, s in zip(a, b, strict=True)]),
)
add(
    "stack",
    "0-d",
    lambda *x: tg.stack(x),
    values(),
    values(seed=1),
    reference=lambda a, b: np.array([a.item(), b.item()]),
)
