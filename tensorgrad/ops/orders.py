"""Orders by several keys, and arrangements up to a place."""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Sequence
from typing import Any

from .. import kernels as K
from ..dtypes import int64
from ..errors import integers
from ..tensor import Tensor
from .definition import Function, lift, on_values, primitive
from .elementwise import add, clip, floor_divide, multiply, remainder
from .indexing import take_along_axis
from .memory import empty
from .reduction import max, min, single_axis
from .reduction import max as max_
from .reduction import min as min_
from .selection import sort
from .shape import raveled, reshape

__all__ = [
    "aminmax", "argpartition", "lexsort", "msort", "partition", "ravel_multi_index", "tril_indices", "triu_indices",
    "unravel_index",
]  # fmt: skip


def msort(x: Any, /) -> Any:
    """The elements in order along the first axis."""
    return sort(x, axis=0)


def lexsort(keys: Any, axis: int = -1) -> Any:
    """Indices that put several keys in order: by the last, then, where it is equal, by the one before, and so on.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.lexsort((tg.tensor([1, 2, 0]), tg.tensor([5, 4, 5])))
    tensor([1, 2, 0])
    """
    rows = [lift(k) for k in keys]
    if not rows:
        raise TypeError("lexsort: needs at least one key")
    if any(x.shape != rows[0].shape or x.dtype.kind == "c" for x in rows):
        given = ", ".join(f"{x.dtype} of shape {x.shape}" for x in rows)
        raise TypeError(f"lexsort: needs real keys of one shape, got {given}")
    if not rows[0].ndim:
        return reshape(lexsort([reshape(x, (1,)) for x in rows]), ())
    place = single_axis("lexsort", axis, rows[0].ndim)
    return Tensor(K.lexsort([x._data for x in rows], place))


_partition: Function = primitive("partition", K.partition, None)
_argpartition: Function = primitive("argpartition", K.argpartition, None)


def partition(x: Any, kth: int | Sequence[int], /, axis: int | None = -1) -> Any:
    """The elements such that each one at ``kth`` stands where it does in order, smaller ones before it; None flattens.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.partition(tg.tensor([3.0, 1.0, 2.0]), 1)
    tensor([1., 2., 3.])
    """
    x = _flat_if_none(lift(x), axis)
    places, place = _places("partition", x, kth, -1 if axis is None else axis)
    if x.requires_grad:
        return take_along_axis(x, _argpartition(x, places, place), axis=place)
    return _partition(x, places, place)


def argpartition(x: Any, kth: int | Sequence[int], /, axis: int | None = -1) -> Any:
    """Indices (int64) of the elements as `partition` arranges them."""
    x = _flat_if_none(lift(x), axis)
    return _argpartition(x, *_places("argpartition", x, kth, -1 if axis is None else axis))


def _flat_if_none(x: Any, axis: int | None) -> Any:
    return raveled(x) if axis is None else x


def _places(name: str, x: Any, kth: int | Sequence[int], axis: int) -> tuple[tuple[int, ...], int]:
    """The wanted places, counted from 0, and the axis."""
    if x.dtype.kind == "c":
        raise TypeError(f"{name}: complex numbers have no order, got {x.dtype}")
    place = single_axis(name, axis, x.ndim)
    n = x.shape[place]
    places = integers(kth, "kth", name)
    for k in places:
        if not -n <= k < n:
            raise ValueError(f"{name}: kth {k} is out of range for {n} elements along axis {axis}")
    return tuple(k % n for k in places), place


def aminmax(x: Any, /, axis: int | None = None, *, keepdims: bool = False) -> tuple[Any, Any]:
    """The smallest and the largest element over ``axis``."""
    return min(x, axis, keepdims=keepdims), max(x, axis, keepdims=keepdims)


def unravel_index(indices: Any, shape: Sequence[int]) -> tuple[Any, ...]:
    """Indices of a flattened tensor as one index tensor per axis of ``shape``.

    An index out of range raises; it is looked for, which waits for the device.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.unravel_index(tg.tensor([1, 5]), (2, 3))
    (tensor([0, 1]), tensor([1, 2]))
    """
    indices = lift(indices)
    sizes: tuple[int, ...] = (operator.index(shape),) if hasattr(shape, "__index__") else tuple(shape)
    if indices.dtype.kind not in "iu":
        raise TypeError(f"unravel_index: indices must be integers, got {indices.dtype}")
    _check_range("unravel_index", indices, math.prod(sizes), f"a tensor of shape {sizes}")
    if not sizes:
        return ()

    def places(indices: Any) -> tuple[Any, ...]:
        found = []
        for n in sizes[:0:-1]:
            found.append(remainder(indices, n))
            indices = floor_divide(indices, n)
        found.append(remainder(indices, sizes[0]))
        return tuple(found[::-1])

    found: tuple[Any, ...] = on_values(places, indices)
    return found


def ravel_multi_index(multi_index: Sequence[Any], dims: Sequence[int], mode: str = "raise") -> Any:
    """Indices of several axes as those of the flattened tensor.

    Parameters
    ----------
    mode : {"raise", "wrap", "clip"}
        What an index out of range means; with ``"raise"`` it is looked for, which waits for the device.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.ravel_multi_index((tg.tensor([0, 1]), tg.tensor([1, 2])), (2, 3))
    tensor([1, 5])
    """
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(f"ravel_multi_index: mode must be 'raise', 'wrap' or 'clip', got {mode!r}")
    if len(multi_index) != len(dims):
        raise ValueError(f"ravel_multi_index: {len(multi_index)} index tensors for {len(dims)} axes")
    total: Any = None
    for given, n in zip(multi_index, dims, strict=True):
        index = lift(given)
        if index.dtype.kind not in "iu":
            raise TypeError(f"ravel_multi_index: indices must be integers, got {index.dtype}")
        if mode == "wrap":
            index = remainder(index, n)
        elif mode == "clip":
            index = clip(index, 0, n - 1)
        else:
            _check_range("ravel_multi_index", index, n, f"an axis of size {n}")
        total = index if total is None else add(multiply(total, n), index)
    return total


def _check_range(name: str, index: Any, n: int, what: str) -> None:
    if index.size and (int(min_(index).item()) < 0 or int(max_(index).item()) >= n):
        raise ValueError(f"{name}: an index is out of range for {what}")


def _triangle(rows: int, columns: int, offset: int, lower: bool, device: Any) -> tuple[Any, Any]:
    """Indices of a triangle in row-major order; how many there are follows from the numbers alone."""
    bounds = [builtins.min(builtins.max(i + offset + lower, 0), columns) for i in range(rows)]
    total = builtins.sum(bounds) if lower else rows * columns - builtins.sum(bounds)
    out = empty(2, total, dtype=int64, device=device)
    K.triangle_indices(out._data, rows, columns, offset, not lower)
    first, second = out._data[0], out._data[1]
    return Tensor(first), Tensor(second)


def tril_indices(n: int, m: int | None = None, k: int = 0, *, device: Any = None) -> tuple[Any, Any]:
    """Rows and columns of the elements on and below diagonal ``k`` of an n x m matrix.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.tril_indices(2)
    (tensor([0, 1, 1]), tensor([0, 0, 1]))
    """
    return _triangle(n, n if m is None else m, k, True, device)


def triu_indices(n: int, m: int | None = None, k: int = 0, *, device: Any = None) -> tuple[Any, Any]:
    """Rows and columns of the elements on and above diagonal ``k`` of an n x m matrix.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.triu_indices(2)
    (tensor([0, 0, 1]), tensor([0, 1, 1]))
    """
    return _triangle(n, n if m is None else m, k, False, device)
