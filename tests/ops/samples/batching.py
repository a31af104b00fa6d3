"""The way into a batch and out of it."""

from __future__ import annotations

from tensorgrad import func

from . import add, values

for _op in ("enter_vmap", "leave_vmap"):
    add(_op, "rows", lambda x: func.vmap(lambda x: x * x)(x), values(2, 3), reference=lambda x: x * x)
    add(_op, "columns", lambda x: func.vmap(lambda x: x * x, 1, 1)(x), values(2, 3), reference=lambda x: x * x)
    add(_op, "sums", lambda x: func.vmap(lambda x: (x * x).sum())(x), values(2, 3), reference=lambda x: (x * x).sum(1))
