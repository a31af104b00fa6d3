"""Products of what lies at one place: for each value, that of all others, without a division."""

from __future__ import annotations

import math
from typing import Any

from ..backend import device_of
from ..tensor import Tensor
from .elementwise import add, equal, less, multiply, where
from .indexing import scatter, take
from .memory import arange, ones_like
from .selection import argsort
from .shape import broadcast_to, concat, reshape

__all__ = ["others_of_each"]


def others_of_each(values: Any, indices: Any, axis: int, shape: tuple[int, ...]) -> Any:
    """For each value, the product of the others that `scatter_add` would put into the same place of ``shape``."""
    keys = _places(indices, axis, shape)
    order = argsort(keys)
    sorted_keys, row = take(keys, order), take(reshape(values, (values.size,)), order)
    before = _before(row, sorted_keys)
    after = _before(row[::-1], sorted_keys[::-1])[::-1]
    back = scatter(ones_like(row), 0, order, multiply(before, after))
    return reshape(back, values.shape)


def _places(indices: Any, axis: int, shape: tuple[int, ...]) -> Any:
    """Where each index points to, counted in C order, as a vector."""
    device = indices.device if isinstance(indices, Tensor) else device_of(indices)
    place: Any = None
    for a, n in enumerate(indices.shape):
        step = math.prod(shape[a + 1 :])
        line = arange(n, device=device)
        if not isinstance(indices, Tensor):
            line = line._data
        if a == axis:
            along = where(less(indices, 0), add(indices, shape[axis]), indices)
        else:
            along = reshape(line, tuple(-1 if i == a else 1 for i in range(indices.ndim)))
        place = multiply(along, step) if place is None else add(place, multiply(along, step))
    return reshape(broadcast_to(place, indices.shape), (indices.size,))


def _before(row: Any, keys: Any) -> Any:
    """Products of the elements of the same key before each one, by doubling."""
    n = row.shape[0]
    if n < 2:
        return ones_like(row)
    near = equal(keys[1:], keys[:-1])
    one = ones_like(row)
    products = concat([one[:1], where(near, row[: n - 1], one[1:])])
    reach = 1
    while reach < n:
        # what came before the first element that is taken in: its product is of elements that end just there
        same = equal(keys[reach:], keys[: n - reach])
        products = concat(
            [products[:reach], multiply(products[reach:], where(same, products[: n - reach], one[reach:]))]
        )
        reach *= 2
    return products
