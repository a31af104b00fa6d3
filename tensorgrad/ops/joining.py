"""Putting tensors together and cutting them up by NumPy's and PyTorch's other names, inserting and deleting."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence
from typing import Any

from .. import dtypes
from .. import kernels as K
from ..backend import device_of
from ..backend import empty as empty_array
from ..tensor import Tensor
from .arrangement import parts_between, split
from .cumulative import part
from .definition import alone, is_tensor, lift, on_values
from .elementwise import logical_not
from .indexing import take
from .memory import cast, zeros
from .reduction import single_axis
from .search import flatnonzero
from .shape import broadcast_to, concat, expand_dims, moveaxis, raveled, reshape, stack

__all__ = [
    "append", "array_split", "atleast_1d", "atleast_2d", "atleast_3d", "block", "block_diag", "cartesian_prod",
    "column_stack", "combinations", "delete", "dsplit", "dstack", "hsplit", "hstack", "insert", "resize",
    "row_stack", "tensor_split", "trim_zeros", "vsplit", "vstack",
]  # fmt: skip


def _each(function: Any, arrays: tuple[Any, ...]) -> Any:
    made = tuple(function(lift(x)) for x in arrays)
    return made[0] if len(made) == 1 else made


def atleast_1d(*arrays: Any) -> Any:
    """The tensors with one axis at least; a tuple of them if there are several."""
    return _each(lambda x: x if x.ndim else reshape(x, (1,)), arrays)


def atleast_2d(*arrays: Any) -> Any:
    """The tensors with two axes at least, new ones in front; a tuple of them if there are several."""
    return _each(lambda x: x if x.ndim > 1 else reshape(x, (1, x.size)), arrays)


def atleast_3d(*arrays: Any) -> Any:
    """The tensors with three axes at least: a vector becomes a row of one page, a matrix gets an axis at the end."""
    return _each(
        lambda x: x if x.ndim > 2 else expand_dims(x, -1) if x.ndim == 2 else reshape(x, (1, x.size, 1)), arrays
    )


def _all(function: Any, arrays: Sequence[Any]) -> list[Any]:
    return [function(x) for x in arrays]


def hstack(arrays: Sequence[Any], /, *, dtype: Any = None) -> Any:
    """The tensors one after another along axis 1, or 0 for those of one axis.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.hstack([tg.tensor([1]), tg.tensor([2, 3])])
    tensor([1, 2, 3])
    """
    tensors = [x if isinstance(x, Tensor) and x.ndim else atleast_1d(x) for x in arrays]
    return _of_dtype(concat(tensors, 0 if tensors and tensors[0].ndim == 1 else 1), dtype)


def vstack(arrays: Sequence[Any], /, *, dtype: Any = None) -> Any:
    """The tensors below each other, along axis 0; those of one axis are rows.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.vstack([tg.tensor([1, 2]), tg.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    tensors = _all(lift, arrays)
    if _are_vectors(tensors):
        return _of_dtype(stack(tensors), dtype)
    return _of_dtype(concat(_all(atleast_2d, tensors), 0), dtype)


def _are_vectors(tensors: Sequence[Any]) -> bool:
    """Whether they have one axis of one size each, so that `stack` joins them in one step."""
    return bool(tensors) and {x.ndim for x in tensors} == {1} and len({x.shape for x in tensors}) == 1


def dstack(arrays: Sequence[Any], /) -> Any:
    """The tensors behind each other, along axis 2, as `atleast_3d` makes them."""
    tensors = _all(lift, arrays)
    if _are_vectors(tensors):
        return on_values(lambda *rows: concat([x[None, :, None] for x in rows], 2), *tensors)
    return concat(_all(atleast_3d, tensors), 2)


def column_stack(arrays: Sequence[Any], /) -> Any:
    """The tensors beside each other; those of one axis are columns.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.column_stack([tg.tensor([1, 2]), tg.tensor([3, 4])])
    tensor([[1, 3],
            [2, 4]])
    """
    tensors = _all(lift, arrays)
    if _are_vectors(tensors):
        return stack(tensors, 1)
    return concat([x if x.ndim > 1 else reshape(x, (x.size, 1)) for x in tensors], 1)


def _of_dtype(x: Any, dtype: Any) -> Any:
    return x if dtype is None else cast(x, dtypes.dtype_of(dtype))


def array_split(x: Any, indices_or_sections: Any, /, axis: int = 0) -> tuple[Any, ...]:
    """`split` into a number of parts of which the first are longer by one where it does not divide the axis.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.array_split(tg.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    x = lift(x)
    place = single_axis("array_split", axis, x.ndim)
    if getattr(indices_or_sections, "ndim", False) or not hasattr(indices_or_sections, "__index__"):
        return split(x, indices_or_sections, axis=place)
    count = operator.index(indices_or_sections)
    if count < 1:
        raise ValueError(f"array_split: needs at least one part, got {count}")
    size, longer = divmod(x.shape[place], count)
    sizes = [size + 1] * longer + [size] * (count - longer)
    return parts_between(x, place, list(itertools.accumulate(sizes))[:-1])


def tensor_split(x: Any, indices_or_sections: Any, /, axis: int = 0) -> tuple[Any, ...]:
    """PyTorch's name for `array_split`; the indices may be a tensor."""
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    return array_split(x, indices_or_sections, axis)


def _split_along(name: str, least: int, axis: int, x: Any, indices_or_sections: Any) -> tuple[Any, ...]:
    x = lift(x)
    if x.ndim < least:
        raise ValueError(f"{name}: needs at least {least} axes, got shape {x.shape}")
    return split(x, indices_or_sections, axis=axis if x.ndim > 1 else 0)


def hsplit(x: Any, indices_or_sections: Any, /) -> tuple[Any, ...]:
    """`split` along axis 1, or along 0 if there is no other."""
    return _split_along("hsplit", 1, 1, x, indices_or_sections)


def vsplit(x: Any, indices_or_sections: Any, /) -> tuple[Any, ...]:
    """`split` along axis 0 of a tensor of at least two axes."""
    return _split_along("vsplit", 2, 0, x, indices_or_sections)


def dsplit(x: Any, indices_or_sections: Any, /) -> tuple[Any, ...]:
    """`split` along axis 2."""
    return _split_along("dsplit", 3, 2, x, indices_or_sections)


def append(x: Any, values: Any, /, axis: int | None = None) -> Any:
    """``values`` after ``x`` along ``axis``; None flattens both first.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.append(tg.tensor([1, 2]), [3])
    tensor([1, 2, 3])
    """
    x = lift(x)
    values = lift(values, x)
    return concat([x, values], 0 if axis is None and x.ndim == values.ndim == 1 else axis)


def _places(name: str, index: Any, n: int, ends: bool) -> tuple[list[int], bool]:
    """Integer places on an axis of ``n``, counted from 0, and whether they were one number."""
    if isinstance(index, slice):
        return list(range(*index.indices(n))), False
    if is_tensor(index) or hasattr(index, "tolist"):
        index = index.tolist()
    alone = hasattr(index, "__index__")
    places = [operator.index(i) for i in ((index,) if alone else index)]
    limit = n if ends else n - 1
    for i in places:
        if not -n <= i <= limit:
            raise IndexError(f"{name}: index {i} is out of range for an axis of size {n}")
    return [i + n if i < 0 else i for i in places], alone


def _flattened(name: str, x: Any, axis: int | None) -> tuple[Any, int]:
    x = lift(x)
    if axis is None:
        return raveled(x), 0
    return x, single_axis(name, axis, x.ndim)


def insert(x: Any, index: Any, values: Any, /, axis: int | None = None) -> Any:
    """``values`` put before the elements at ``index`` along ``axis``; None flattens first.

    Parameters
    ----------
    index : int, slice, sequence or Tensor of int
        Places in ``x`` as it is; n means after the last one.
    values : Tensor
        What is put there, in the dtype of ``x``: at one place any number of slices, else one for each place.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.insert(tg.tensor([1, 2, 3]), 1, 9)
    tensor([1, 9, 2, 3])
    >>> tg.insert(tg.tensor([1, 2, 3]), [0, 2], [8, 9])
    tensor([8, 1, 2, 9, 3])
    """
    x, place = _flattened("insert", x, axis)
    n = x.shape[place]
    places, alone = _places("insert", index, n, True)
    values = cast(lift(values, x), x.dtype)
    if values.ndim < x.ndim:
        values = reshape(values, (1,) * (x.ndim - values.ndim) + values.shape)
    if alone and values.ndim > 1:
        values = moveaxis(values, 0, place)
    count = values.shape[place] if len(places) == 1 else len(places)
    values = broadcast_to(values, (*x.shape[:place], count, *x.shape[place + 1 :]))

    def joined(x: Any, values: Any) -> Any:
        if len(places) == 1:
            return concat([part(x, place, 0, places[0]), values, part(x, place, places[0], None)], place)
        pieces, at = [], 0
        for i, k in sorted((i, k) for k, i in enumerate(places)):
            pieces += [part(x, place, at, i), part(values, place, k, k + 1)]
            at = i
        return concat([*pieces, part(x, place, at, None)], place)

    return on_values(joined, x, values)


def delete(x: Any, index: Any, /, axis: int | None = None) -> Any:
    """``x`` without what is at ``index`` along ``axis``; None flattens first.

    Parameters
    ----------
    index : int, slice, sequence or Tensor of int, or mask
        A mask of the length of the axis is True where elements go; how many are left then depends on its values.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.delete(tg.tensor([1, 2, 3]), 1)
    tensor([1, 3])
    """
    x, place = _flattened("delete", x, axis)
    n = x.shape[place]
    if not isinstance(index, (slice, int)) and (getattr(index, "ndim", False) or not hasattr(index, "__index__")):
        mask = lift(index)
        if mask.dtype.kind == "b":
            if mask.shape != (n,):
                raise ValueError(f"delete: a mask of shape {mask.shape} does not fit an axis of size {n}")
            return take(x, flatnonzero(logical_not(mask)), axis=place)
        index = [] if not mask.size else index
    gone = sorted(set(_places("delete", index, n, False)[0]))
    bounds = [-1, *gone, n]
    kept = [(i + 1, j) for i, j in itertools.pairwise(bounds) if j > i + 1] or [(0, 0)]
    return on_values(lambda x: concat([part(x, place, i, j) for i, j in kept], place), x)


def resize(x: Any, shape: Any, /) -> Any:
    """The elements in C order in another shape, over again from the first where there are too few.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.resize(tg.arange(3), (2, 2))
    tensor([[0, 1],
            [2, 0]])
    """
    x = lift(x)
    sizes = (shape,) if hasattr(shape, "__index__") else tuple(shape)
    wanted, flat = math.prod(sizes), raveled(x)
    if not x.size:
        return zeros(sizes, dtype=x.dtype, device=x.device)
    times, rest = divmod(wanted, x.size)
    y = concat([flat] * times + [flat[:rest]] * (rest > 0 or not times))
    return y if y.shape == sizes else reshape(y, sizes)


def trim_zeros(x: Any, /, trim: str = "fb") -> Any:
    """A vector without the zeros at its front (``"f"``), its back (``"b"``) or both; waits for the device.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.trim_zeros(tg.tensor([0, 1, 0, 2, 0]))
    tensor([1, 0, 2])
    """
    x = lift(x)
    if x.ndim != 1:
        raise ValueError(f"trim_zeros: needs one axis, got shape {x.shape}")
    places = flatnonzero(x)
    if not places.size:
        return x[:0]
    start = int(places[0].item()) if "f" in trim.lower() else 0
    stop = int(places[-1].item()) + 1 if "b" in trim.lower() else x.size
    return x[start:stop]


row_stack = vstack


def _assembled(arrays: Any, ndim: int, deep: int) -> Any:
    """The array that nested lists of blocks of one dtype make, each block copied to its place."""

    def found(item: Any, level: int) -> tuple[list[int], list[tuple[list[int], Any]]]:
        """The shape of an item, and its blocks with where they start."""
        if not isinstance(item, list):
            x = lift(item)._data
            x = x.reshape((1,) * (ndim - x.ndim) + x.shape)
            return list(x.shape), [([0] * ndim, x)]
        if not item:
            raise ValueError("block: a list is empty")
        axis = ndim - deep + level
        whole, blocks = found(item[0], level + 1)
        for child in item[1:]:
            shape, others = found(child, level + 1)
            if shape[:axis] + shape[axis + 1 :] != whole[:axis] + whole[axis + 1 :]:
                raise ValueError(f"block: shapes {tuple(whole)} and {tuple(shape)} differ off axis {axis}")
            for start, _ in others:
                start[axis] += whole[axis]
            blocks += others
            whole[axis] += shape[axis]
        return whole, blocks

    shape, blocks = found(arrays, 0)
    first = blocks[0][1]
    y = empty_array(tuple(shape), first.dtype, device_of(first))
    for start, x in blocks:
        K.assign(y[tuple([slice(i, i + n) for i, n in zip(start, x.shape, strict=True)])], x)
    return y


def block(arrays: Any, /) -> Any:
    """A tensor from nested lists of blocks: the innermost lists are joined along the last axis, and so on outwards.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.block([[tg.ones(1, 1), tg.zeros(1, 2)]])
    tensor([[1., 0., 0.]])
    """

    def depth(item: Any) -> int:
        return 1 + max(map(depth, item)) if isinstance(item, list) else 0

    def leaves(item: Any) -> list[Any]:
        return [y for child in item for y in leaves(child)] if isinstance(item, list) else [lift(item)]

    deep, tensors = depth(arrays), leaves(arrays)
    ndim = max(deep, *(x.ndim for x in tensors))
    if alone(*tensors) and len({x.dtype for x in tensors}) == 1:
        return Tensor(_assembled(arrays, ndim, deep))

    def joined(item: Any, level: int) -> Any:
        if not isinstance(item, list):
            x = lift(item)
            return reshape(x, (1,) * (ndim - x.ndim) + x.shape)
        if not item:
            raise ValueError("block: a list is empty")
        return concat([joined(child, level + 1) for child in item], ndim - deep + level)

    return joined(arrays, 0)


def block_diag(*arrays: Any) -> Any:
    """Matrices along the diagonal of one, zeros elsewhere; vectors and numbers are rows.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.block_diag(tg.tensor([[1, 2]]), tg.tensor(3))
    tensor([[1, 2, 0],
            [0, 0, 3]])
    """
    tensors = [atleast_2d(x) for x in arrays] or [zeros(1, 0)]
    if any(x.ndim > 2 for x in tensors):
        raise ValueError(f"block_diag: needs matrices, got shapes {', '.join(str(x.shape) for x in tensors)}")
    dtype = dtypes.result_type(*(x.dtype for x in tensors))
    columns, before, rows = sum(x.shape[1] for x in tensors), 0, []
    for x in tensors:
        left, right = before, columns - before - x.shape[1]
        sides = [zeros(x.shape[0], size, dtype=dtype, device=x.device) for size in (left, right)]
        rows.append(concat([sides[0], cast(x, dtype), sides[1]], 1))
        before += x.shape[1]
    return concat(rows, 0)


def cartesian_prod(*arrays: Any) -> Any:
    """All choices of one element from each vector, as rows; of one vector, itself.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.cartesian_prod(tg.arange(2), tg.tensor([5, 6]))
    tensor([[0, 5],
            [0, 6],
            [1, 5],
            [1, 6]])
    """
    from .arrangement import meshgrid

    if len(arrays) == 1:
        return lift(arrays[0])
    return stack([raveled(x) for x in meshgrid(*arrays, indexing="ij")], axis=-1)


def combinations(x: Any, /, r: int = 2, with_replacement: bool = False) -> Any:
    """All choices of ``r`` elements of a vector in their order, as rows.

    Parameters
    ----------
    with_replacement : bool
        Whether an element may be chosen again.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.combinations(tg.tensor([7, 8, 9]))
    tensor([[7, 8],
            [7, 9],
            [8, 9]])
    """
    x = lift(x)
    if x.ndim != 1:
        raise ValueError(f"combinations: needs one axis, got shape {x.shape}")
    if r < 0:
        raise ValueError(f"combinations: r must not be negative, got {r}")
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = list(choose(range(x.size), r))
    if not rows or not r:
        return x[:0] if not r else reshape(x[:0], (0, r))
    return take(x, lift(rows).to(x.device), axis=0)
