"""Products over named axes; on the tape they are matrix products, or elementwise ones where nothing is summed."""

from __future__ import annotations

import numpy as np

import tensorgrad as tg

from . import add, values

for _subscripts, *_shapes in (
    ("ij,jk", (2, 3), (3, 2)),
    ("ba,cb->ac", (2, 3), (2, 2)),
    ("...ij,...jk->...ik", (2, 1, 1, 2), (3, 2, 2)),
    ("iij,jkk->i", (2, 2, 3), (3, 2, 2)),
    ("bqd,bkd->bqk", (2, 2, 3), (2, 1, 3)),
    ("ab,bc,cd->da", (2, 3), (3, 2), (2, 1)),
    ("ijk,ijl->kl", (2, 2, 2), (2, 2, 1)),
    ("ij,jk->ik", (2, 0), (0, 2)),
):
    add(
        "matmul",
        f"einsum {_subscripts} {_shapes}",
        lambda *x, s=_subscripts: tg.einsum(s, *x),
        *(values(*n, seed=i) for i, n in enumerate(_shapes)),
        reference=lambda *x, s=_subscripts: np.einsum(s, *x),
        slack=4,
    )
for _subscripts, *_shapes in (
    ("i,j->ji", (2,), (3,)),
    ("i,i", (1,), (3,)),
    ("i,i->i", (3,), (3,)),
    (",ij->j", (), (2, 3)),
    ("...,...", (2, 1), (3,)),
    ("i,j,k->kij", (2,), (1,), (2,)),
):
    add(
        "multiply",
        f"einsum {_subscripts} {_shapes}",
        lambda *x, s=_subscripts: tg.einsum(s, *x),
        *(values(*n, seed=i) for i, n in enumerate(_shapes)),
        reference=lambda *x, s=_subscripts: np.einsum(s, *x),
        slack=2,
    )
for _subscripts, _shape in (("ii", (3, 3)), ("iij->j", (2, 2, 3)), ("i...->...", (0, 2)), ("ij->i", (2, 3))):
    add(
        "sum",
        f"einsum {_subscripts}",
        lambda x, s=_subscripts: tg.einsum(s, x),
        values(*_shape),
        reference=lambda x, s=_subscripts: np.einsum(s, x),
        slack=2,
    )
add(
    "permute_dims",
    "einsum, diagonal",
    lambda x: tg.einsum("ijij->ji", x),
    values(2, 3, 2, 3),
    reference=lambda x: np.einsum("ijij->ji", x),
)

for _first, _second, _axes in (
    ((2, 3, 2), (3, 2, 2), 2),
    ((2, 3), (3,), 1),
    ((2, 3, 2), (2, 3, 1), ((1, 2), (1, 0))),
    ((2, 3), (3, 2), ((-1,), (0,))),
):
    add(
        "matmul",
        f"tensordot {_first} {_second} {_axes}",
        lambda x, y, a=_axes: tg.tensordot(x, y, axes=a),
        values(*_first),
        values(*_second, seed=1),
        reference=lambda x, y, a=_axes: np.tensordot(x, y, a),
        slack=4,
    )
for _first, _second, _axis in (((2, 3), (3,), -1), ((2, 1, 3), (2, 3), -1), ((3, 2), (3, 2), 0), ((0, 3), (3,), -1)):
    add(
        "matmul",
        f"vecdot {_first} {_second} {_axis}",
        lambda x, y, a=_axis: tg.vecdot(x, y, axis=a),
        values(*_first),
        values(*_second, seed=1),
        reference=lambda x, y, a=_axis: np.vecdot(x, y, axis=a),
        slack=4,
    )
for _name, _op, _first, _second in (
    ("inner", "matmul", (2, 3), (2, 3)),
    ("inner", "matmul", (3,), (2, 1, 3)),
    ("inner", "multiply", (), (3,)),
    ("outer", "multiply", (2,), (3,)),
    ("outer", "multiply", (2, 2), ()),
    ("kron", "multiply", (2, 2), (1, 3)),
    ("kron", "multiply", (2,), (2, 1, 2)),
    ("kron", "multiply", (), (2,)),
    ("tensordot of 0 axes", "multiply", (2,), (1, 2)),
):
    _call = getattr(tg, _name, lambda x, y: tg.tensordot(x, y, axes=0))
    _reference = getattr(np, _name, lambda x, y: np.tensordot(x, y, 0))
    add(
        _op,
        f"{_name} {_first} {_second}",
        _call,
        values(*_first),
        values(*_second, seed=1),
        reference=_reference,
        slack=4,
    )
