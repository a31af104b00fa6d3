"""Writing to places that indices or masks tell, as functions: PyTorch's ``index_*``, ``masked_*``, NumPy's choices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import dtypes
from .. import kernels as K
from ..tensor import Tensor
from .cumulative import cumsum
from .definition import Function, is_tensor, lift, on_values, primitive
from .elementwise import (
    add,
    clip,
    divide,
    equal,
    floor_divide,
    logical_not,
    logical_or,
    maximum,
    multiply,
    remainder,
    subtract,
    where,
)  # fmt: skip
from .indexing import gather, index_along, replaced, scatter_add, sum_at, take, within
from .memory import cast, full, full_like, ones_like, zeros_like
from .reduction import normalize_axes, single_axis
from .search import flatnonzero
from .segments import others_of_each
from .shape import broadcast_arrays, broadcast_to, concat, raveled, reshape

__all__ = [
    "choose", "compress", "diagonal_scatter", "extract", "index_add", "index_copy", "index_fill", "index_put",
    "index_reduce", "index_select", "masked_scatter", "masked_select", "piecewise", "put", "scatter_reduce", "select",
    "select_scatter", "slice_scatter",
]  # fmt: skip


# ------------------------------------------------------------------------------------------------- slices of one axis
def _row_of(name: str, index: Any, x: Any) -> Any:
    """An index with one axis at most, as one with one."""
    index = index if isinstance(index, Tensor) else lift(index).to(x.device)
    if index.dtype.kind not in "iu":
        raise TypeError(f"{name}: indices must be integers, got {index.dtype}")
    if index.ndim > 1:
        raise ValueError(f"{name}: the index must have one axis, got shape {index.shape}")
    return raveled(index)


def index_select(x: Any, axis: int, index: Any) -> Any:
    """The slices of ``x`` at the indices of a vector along ``axis``: PyTorch's name for `take`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.index_select(tg.tensor([[1, 2], [3, 4]]), 1, tg.tensor([1]))
    tensor([[2],
            [4]])
    """
    x = lift(x)
    if not x.ndim:
        return reshape(take(reshape(x, (1,)), _row_of("index_select", index, x), axis=0), ())
    return take(x, _row_of("index_select", index, x), axis=axis)


def _slices(name: str, x: Any, axis: int, index: Any, source: Any) -> tuple[Any, int, Any, Any]:
    x = lift(x)
    place = single_axis(name, axis, max(x.ndim, 1))
    index = _row_of(name, index, x)
    source = cast(lift(source, x), x.dtype)
    wanted = (*x.shape[:place], index.size, *x.shape[place + 1 :])
    if source.shape != wanted and source.size != math.prod(wanted):
        raise ValueError(f"{name}: {index.size} slices of {x.shape} along axis {axis}, source of shape {source.shape}")
    return x, place, index, reshape(source, wanted) if source.shape != wanted else source


def index_add(x: Any, axis: int, index: Any, source: Any, *, alpha: float = 1) -> Any:
    """A copy of ``x`` with the slices of ``source``, times ``alpha``, added where the index says along ``axis``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.index_add(tg.tensor([1, 2, 3]), 0, tg.tensor([0, 0]), tg.tensor([10, 20]))
    tensor([31,  2,  3])
    """
    x, place, index, source = _slices("index_add", x, axis, index, source)
    if alpha != 1:
        source = multiply(source, alpha)
    return add(x, sum_at(source, index, place, x.shape))


def index_copy(x: Any, axis: int, index: Any, source: Any) -> Any:
    """A copy of ``x`` with slices of ``source`` where the index, which names none twice, says along ``axis``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.index_copy(tg.tensor([1, 2, 3]), 0, tg.tensor([2]), tg.tensor([9]))
    tensor([1, 2, 9])
    """
    x, place, index, source = _slices("index_copy", x, axis, index, source)
    return replaced(x, source, index_along(index, place))


def index_fill(x: Any, axis: int, index: Any, value: Any) -> Any:
    """A copy of ``x`` with one value in the slices at the index along ``axis``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.index_fill(tg.tensor([1, 2, 3]), 0, tg.tensor([0, 2]), 9)
    tensor([9, 2, 9])
    """
    x = lift(x)
    place = single_axis("index_fill", axis, max(x.ndim, 1))
    value = cast(lift(value, x), x.dtype)
    if value.ndim:
        raise ValueError(f"index_fill: the value must be one number, got shape {value.shape}")
    index = _row_of("index_fill", index, x)
    if not x.ndim:
        return reshape(index_fill(reshape(x, (1,)), 0, index, value), ())
    # by a mask, in which an index that repeats counts once
    places = full(x.shape[place], False, dtype=dtypes.bool_, device=x.device)
    reached = replaced(places, full((), True, dtype=dtypes.bool_, device=x.device), (index,))
    return where(reshape(reached, (-1, *(1,) * (x.ndim - place - 1))), value, x)


def index_put(x: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Any:
    """A copy of ``x`` with ``x[indices] = values``, or ``+=`` that adds again where an index repeats.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.index_put(tg.tensor([1, 2, 3]), (tg.tensor([0, 0]),), tg.tensor(5), accumulate=True)
    tensor([11,  2,  3])
    """
    x = lift(x)
    values = cast(lift(values, x), x.dtype)
    where_to = tuple(slice(None) if i is None else i for i in indices)
    return replaced(x, values, where_to, accumulate=accumulate)


def index_reduce(x: Any, axis: int, index: Any, source: Any, reduce: str, *, include_self: bool = True) -> Any:
    """A copy of ``x`` with slices of ``source`` combined where the index says along ``axis``; see `scatter_reduce`."""
    x, place, index, source = _slices("index_reduce", x, axis, index, source)
    spread = broadcast_to(reshape(index, tuple(-1 if i == place else 1 for i in range(max(x.ndim, 1)))), source.shape)
    return scatter_reduce(x, place, spread, source, reduce, include_self=include_self)


# ------------------------------------------------------------------------------------------------------ scatter_reduce
_scatter_prod: Function = primitive(
    "scatter_prod",
    lambda x, values, indices, axis: _combined(x, values, indices, axis, "prod"),
    lambda g, values, indices, axis: multiply(g, _scatter_prod(ones_like(g), values, indices, axis)),
    lambda g, x, values, indices, axis: multiply(
        gather(multiply(g, x), axis, indices), others_of_each(values, indices, axis, x.shape)
    ),
    None,
)
_scatter_extreme: Function = primitive(
    "scatter_extreme",
    lambda x, values, indices, axis, operation: _combined(x, values, indices, axis, operation),
    lambda g, x, values, out, indices, axis: multiply(g, _share(x, values, out, indices, axis)[0]),
    lambda g, x, values, out, indices, axis: multiply(
        gather(g, axis, indices), _share(x, values, out, indices, axis)[1]
    ),
    None,
)


def _combined(x: Any, values: Any, indices: Any, axis: int, operation: str) -> Any:
    y = K.copy(x)
    K.reduce_along_axis(y, indices, values, axis, operation)
    return y


def _share(x: Any, values: Any, out: Any, indices: Any, axis: int) -> tuple[Any, Any]:
    """Of an extremum, which elements attain it, divided by how many of them there are at their place."""
    here = cast(equal(x, out), x.dtype)
    there = cast(equal(values, gather(out, axis, indices)), x.dtype)
    count = maximum(scatter_add(here, axis, indices, there), 1.0)
    return divide(here, count), divide(there, gather(count, axis, indices))


_IDENTITIES = {"sum": 0, "mean": 0, "prod": 1, "amax": -math.inf, "amin": math.inf}


def _identity(x: Any, reduce: str) -> Any:
    if reduce in ("amax", "amin") and x.dtype.kind in "biu":
        limits = (False, True) if x.dtype.kind == "b" else (np.iinfo(x.dtype).min, np.iinfo(x.dtype).max)
        return full_like(x, limits[0] if reduce == "amax" else limits[1])
    return full_like(x, _IDENTITIES[reduce])


def scatter_reduce(x: Any, axis: int, index: Any, values: Any, reduce: str, *, include_self: bool = True) -> Any:
    """A copy of ``x`` with ``values`` combined at ``y[index[i, j], j]`` for axis 0, and so on.

    Parameters
    ----------
    index : Tensor of int
        At most as large as ``x`` off the axis, and as ``values`` everywhere.
    reduce : {"sum", "prod", "mean", "amax", "amin"}
        Elements that share an extremum share its gradient evenly; that of a product is exact also where elements are 0.
    include_self : bool
        Whether what is in ``x`` counts, too, at the places that are reached.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x, index = tg.tensor([1.0, 2.0]), tg.tensor([0, 0, 1])
    >>> tg.scatter_reduce(x, 0, index, tg.tensor([3.0, 5.0, 7.0]), "mean")
    tensor([3. , 4.5])
    """
    if reduce not in _IDENTITIES:
        raise ValueError(f"scatter_reduce: reduce must be one of {', '.join(_IDENTITIES)}, got {reduce!r}")
    x = lift(x)
    index = index if isinstance(index, Tensor) else lift(index).to(x.device)
    if index.dtype.kind not in "iu":
        raise TypeError(f"scatter_reduce: indices must be integers, got {index.dtype}")
    if not x.ndim:
        parts = (raveled(v) for v in (x, index, lift(values, x)))
        first, second, third = parts
        return reshape(scatter_reduce(first, 0, second, third, reduce, include_self=include_self), ())
    reach, place = within("scatter_reduce", x, axis, index)
    values = cast(lift(values, x), x.dtype)
    if values.ndim != index.ndim or any(m > n for m, n in zip(index.shape, values.shape, strict=True)):
        raise ValueError(f"scatter_reduce: an index of shape {index.shape} does not fit values of shape {values.shape}")
    values = values[tuple(slice(n) for n in index.shape)]
    if reach is None:
        return _reduced(x, values, index, place, reduce, include_self)
    return replaced(x, _reduced(x[reach], values, index, place, reduce, include_self), reach)


def _reduced(x: Any, values: Any, index: Any, axis: int, reduce: str, include_self: bool) -> Any:
    count: Any = None
    if reduce == "mean" or not include_self:
        whole = zeros_like(x, dtype=dtypes.int64)
        count = scatter_add(whole, axis, index, full_like(index, 1, dtype=dtypes.int64))
    if not include_self:
        x = where(equal(count, 0), x, _identity(x, reduce))
    if reduce in ("sum", "mean"):
        y = scatter_add(x, axis, index, values)
        if reduce == "sum":
            return y
        terms = add(count, 1) if include_self else maximum(count, 1)
        return floor_divide(y, cast(terms, y.dtype)) if y.dtype.kind in "iu" else divide(y, cast(terms, y.dtype))
    if reduce == "prod":
        return _scatter_prod(x, values, index, axis)
    return _scatter_extreme(x, values, index, axis, reduce)


# --------------------------------------------------------------------------------------------------------------- masks
def _mask(name: str, mask: Any, x: Any) -> Any:
    mask = lift(mask)
    if mask.dtype.kind != "b":
        raise TypeError(f"{name}: the mask must be bool, got {mask.dtype}")
    return mask


def masked_select(x: Any, mask: Any) -> Any:
    """The elements where the mask is True, in one axis; both broadcast. How many there are depends on the values.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.masked_select(tg.tensor([1, 2, 3]), tg.tensor([True, False, True]))
    tensor([1, 3])
    """
    x = lift(x)
    x, mask = broadcast_arrays(x, _mask("masked_select", mask, x))
    return take(raveled(x), flatnonzero(mask))


def masked_scatter(x: Any, mask: Any, source: Any) -> Any:
    """A copy of ``x`` with the elements of ``source``, in order, where the mask is True.

    Parameters
    ----------
    source : Tensor
        At least as many elements as the mask has True ones; else reading them is an error of the index.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.masked_scatter(tg.zeros(3), tg.tensor([True, False, True]), tg.tensor([7.0, 8.0]))
    tensor([7., 0., 8.])
    """
    x = lift(x)
    x, mask = broadcast_arrays(x, _mask("masked_scatter", mask, x))
    source = cast(lift(source, x), x.dtype)
    flat = raveled(mask)
    order = subtract(cumsum(flat), 1)
    first = raveled(source)
    if not source.size:
        first = full_like(order[:1], 0, dtype=x.dtype)
    chosen = take(first, where(flat, order, zeros_like(order)))
    return where(mask, reshape(chosen, x.shape), x)


def compress(condition: Any, x: Any, /, axis: int | None = None) -> Any:
    """The slices of ``x`` along ``axis`` where a vector of conditions is true; None flattens first.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.compress([True, False, True], tg.tensor([1, 2, 3]))
    tensor([1, 3])
    """
    x = lift(x)
    condition = lift(condition)
    if condition.ndim != 1:
        raise ValueError(f"compress: the condition must have one axis, got shape {condition.shape}")
    if axis is None:
        x, axis = raveled(x), 0
    if condition.device != x.device:
        condition = condition.to(x.device)
    return on_values(lambda condition, x: take(x, flatnonzero(condition), axis=axis), condition, x)


def extract(condition: Any, x: Any, /) -> Any:
    """The elements of ``x`` where a condition of as many elements is true, in one axis."""
    x, condition = lift(x), lift(condition)
    if condition.device != x.device:
        condition = condition.to(x.device)
    return on_values(lambda condition, x: take(raveled(x), flatnonzero(condition)), condition, x)


# ------------------------------------------------------------------------------------------------------------- choices
def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    """Each element from the first of the choices whose condition holds, else ``default``; all broadcast.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.arange(4)
    >>> tg.select([x < 1, x > 2], [x - 10, x * 10])
    tensor([-10,   0,   0,  30])
    """
    if len(condlist) != len(choicelist) or not condlist:
        raise ValueError(f"select: {len(condlist)} conditions for {len(choicelist)} choices")
    y = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        y = where(condition, choice, y)
    return y


def choose(a: Any, choices: Sequence[Any], mode: str = "raise") -> Any:
    """Each element from the choice whose number is at its place in ``a``; all broadcast.

    Parameters
    ----------
    mode : {"raise", "wrap", "clip"}
        What a number that no choice has means.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.choose(tg.tensor([1, 0]), [tg.tensor([1, 2]), tg.tensor([3, 4])])
    tensor([3, 2])
    """
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(f"choose: mode must be 'raise', 'wrap' or 'clip', got {mode!r}")
    a = lift(a)
    if a.dtype.kind not in "iu":
        raise TypeError(f"choose: the numbers of choices must be integers, got {a.dtype}")
    options = [lift(c) for c in choices]
    dtype, index = dtypes.result_type(*[c.dtype for c in options]), a
    options = [cast(c, dtype) for c in options]
    for c in options:
        if c.shape != a.shape:
            index, *options = broadcast_arrays(a, *options)
            break
    if mode == "wrap":
        index = remainder(index, len(options))
    elif mode == "clip":
        index = clip(index, 0, len(options) - 1)
    return on_values(_chosen, index, *options)


def _chosen(index: Any, *options: Any) -> Any:
    """Of each element, the option that the index tells."""
    return gather(concat([c[None] for c in options], 0), 0, index[None])[0]


def piecewise(x: Any, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> Any:
    """A function given by pieces: the last condition that holds decides, one function more than conditions is for none.

    Parameters
    ----------
    condlist : sequence of Tensor
    funclist : sequence of callable or number
        Every function is called with the whole of ``x``, so that shapes do not depend on values.
    *args, **kw
        Handed on to the functions.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor([-2.0, 3.0])
    >>> tg.piecewise(x, [x < 0, x >= 0], [lambda x: -x, 1.0])
    tensor([2., 1.])
    """
    x = lift(x)
    conditions = [condlist] if is_tensor(condlist) and condlist.ndim == x.ndim else list(condlist)
    conditions = [lift(c) for c in conditions]
    functions = list(funclist)
    if len(functions) == len(conditions) + 1:
        covered = conditions[0]
        for condition in conditions[1:]:
            covered = logical_or(covered, condition)
        conditions.append(logical_not(covered))
    if len(functions) != len(conditions):
        raise ValueError(f"piecewise: {len(conditions)} conditions for {len(functions)} functions")
    y = zeros_like(x)
    for condition, function in zip(conditions, functions, strict=True):
        value = function(x, *args, **kw) if isinstance(function, Callable) else function  # type: ignore[arg-type]
        y = where(condition, cast(lift(value, x), x.dtype), y)
    return y


def put(x: Any, index: Any, values: Any, accumulate: bool = False) -> Any:
    """A copy of ``x`` with ``values`` at places of the flattened tensor, or added there.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.put(tg.tensor([[1, 2], [3, 4]]), tg.tensor([0, 3]), tg.tensor([9, 8]))
    tensor([[9, 2],
            [3, 8]])
    """
    x = lift(x)
    index = index if isinstance(index, Tensor) else lift(index).to(x.device)
    values = cast(lift(values, x), x.dtype)
    if values.shape != index.shape and values.size == index.size:
        values = reshape(values, index.shape)
    y = replaced(raveled(x), values, (index,), accumulate=accumulate)
    return y if x.ndim == 1 else reshape(y, x.shape)


# ---------------------------------------------------------------------------------------------------- parts of an axis
def select_scatter(x: Any, source: Any, axis: int, index: int) -> Any:
    """A copy of ``x`` with ``source`` at one index of an axis."""
    x = lift(x)
    place = single_axis("select_scatter", axis, x.ndim)
    return replaced(x, cast(lift(source, x), x.dtype), (slice(None),) * place + (index,))


def slice_scatter(
    x: Any, source: Any, axis: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Any:
    """A copy of ``x`` with ``source`` in a slice of an axis."""
    x = lift(x)
    place = single_axis("slice_scatter", axis, x.ndim)
    return replaced(x, cast(lift(source, x), x.dtype), (slice(None),) * place + (slice(start, end, step),))


def diagonal_scatter(x: Any, source: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """A copy of ``x`` with ``source`` where `diagonal` would read.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.diagonal_scatter(tg.zeros(2, 2), tg.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    """
    from .shape import moveaxis

    x = lift(x)
    first, second = normalize_axes("diagonal_scatter", (axis1, axis2), x.ndim)
    moved = moveaxis(x, (first, second), (-2, -1))
    rows, columns = moved.shape[-2:]
    top, left = max(-offset, 0), max(offset, 0)
    count = max(min(rows - top, columns - left), 0)
    flat = reshape(moved, (*moved.shape[:-2], rows * columns))
    begin = top * columns + left
    index = (..., slice(begin, begin + (count - 1) * (columns + 1) + 1 if count else begin, columns + 1))
    filled = replaced(flat, cast(lift(source, x), x.dtype), index)
    return moveaxis(reshape(filled, moved.shape), (-2, -1), (first, second))
