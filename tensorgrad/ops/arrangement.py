"""Repeating, shifting, cutting up and choosing parts of arrays by place; made of the ops of the other files."""

from __future__ import annotations

import builtins
import functools
import itertools
from collections.abc import Sequence
from typing import Any

from .. import kernels as K
from ..backend import device_of, diagonal_view, empty, is_array
from ..dtypes import int64
from ..errors import integer, integers, is_integer
from ..tensor import Tensor
from .definition import Function, alone, lift, primitive
from .elementwise import less
from .indexing import become_part, take
from .memory import clone, zeros
from .reduction import normalize_axes, single_axis, sum, summed
from .shape import broadcast_to, concat, permuted, raveled, reshape

__all__ = [
    "chunk", "diagonal", "meshgrid", "on_diagonal", "parts_between", "repeat", "roll", "split", "tile", "trace", "tril",
    "triu",
]  # fmt: skip


def tile(x: Any, repetitions: int | Sequence[int], /) -> Any:
    """``x`` repeated along every axis, as whole; numbers and axes that are missing count as 1, at the front.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.tile(tg.arange(2), (2, 2))
    tensor([[0, 1, 0, 1],
            [0, 1, 0, 1]])
    """
    x = lift(x)
    counts = integers(repetitions, "repetitions", "tile")
    if any(n < 0 for n in counts):
        raise ValueError(f"tile: repetitions {counts} must not be negative")
    counts = (1,) * (x.ndim - len(counts)) + counts
    shape = (1,) * (len(counts) - x.ndim) + x.shape
    longer = [k for k, n in enumerate(counts) if n != 1]
    if not longer:  # which no view is to share memory with
        return clone(reshape(x, shape))
    if len(longer) == 1 and 1 < counts[longer[0]] <= 8:
        return concat([x if shape == x.shape else reshape(x, shape)] * counts[longer[0]], longer[0])
    spread = tuple(size for n, m in zip(counts, shape, strict=True) for size in (n, m))
    y = broadcast_to(reshape(x, tuple(size for m in shape for size in (1, m))), spread)
    return reshape(y, tuple(n * m for n, m in zip(counts, shape, strict=True)))


_repeat: Function = primitive(
    "repeat", K.repeat, lambda g, x_shape, count, axis: _sums_of_runs(g, x_shape, count, axis)
)


def _sums_of_runs(g: Any, shape: tuple[int, ...], count: int, axis: int) -> Any:
    return summed(reshape(g, (*shape[: axis + 1], count, *shape[axis + 1 :])), (axis + 1,), False)


def repeat(x: Any, repeats: Any, /, axis: int | None = None, *, output_size: int | None = None) -> Any:
    """Every element ``repeats`` times in a row along ``axis``; None flattens first.

    Parameters
    ----------
    repeats : int, sequence or Tensor of int
        One number for all elements of the axis, or one for each.
    output_size : int, optional
        The sum of a tensor ``repeats``. Without it, the sum must be read from the device, which `tg.jit` refuses.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.repeat(tg.arange(3), 2)
    tensor([0, 0, 1, 1, 2, 2])
    >>> tg.repeat(tg.arange(3), tg.tensor([1, 0, 2]))
    tensor([0, 2, 2])
    """
    x = lift(x)
    if axis is None:
        x, axis = raveled(x), 0
    place = single_axis("repeat", axis, x.ndim)
    if isinstance(repeats, Tensor) or getattr(repeats, "ndim", False) or not hasattr(repeats, "__index__"):
        return _repeated(x, repeats, place, output_size)
    count = integer(repeats, "repeats", "repeat")
    if count < 0:
        raise ValueError(f"repeat: repeats must not be negative, got {repeats}")
    n = x.shape[place]
    if output_size not in (None, n * count):
        raise ValueError(f"repeat: {n} elements {count} times are {n * count}, not output_size={output_size}")
    return _repeat(x, count, place)


_repeated_indices: Function = primitive("repeated_indices", K.repeated_indices, None)


def _repeated(x: Any, repeats: Any, axis: int, output_size: int | None) -> Any:
    """Each slice as often as its own number says."""
    n = x.shape[axis]
    if not isinstance(repeats, Tensor) and not is_array(repeats):
        numbers = list(integers(repeats, "repeats", "repeat"))
        repeats = lift(numbers) if numbers else zeros(0, dtype=int64)
        if isinstance(x, Tensor):
            repeats = repeats.to(x.device)
        output_size = builtins.sum(numbers) * (n if len(numbers) == 1 else 1) if output_size is None else output_size
        low = min(numbers, default=0)
    else:
        repeats, low = lift(repeats), None
    if repeats.dtype.kind not in "iu":
        raise TypeError(f"repeat: repeats must be integers, got {repeats.dtype}")
    if repeats.ndim > 1 or repeats.size not in (1, n):
        raise ValueError(f"repeat: {n} elements along the axis of shape {x.shape}, repeats of shape {repeats.shape}")
    repeats = broadcast_to(raveled(repeats), (n,))
    if output_size is None:
        low = sum(less(repeats, 0)).item()
        low, output_size = -low, sum(repeats).item()
    if low is not None and low < 0:
        raise ValueError("repeat: repeats must not be negative")
    return take(x, _repeated_indices(repeats, int(output_size)), axis=axis)


def _exchanged(x: Any, shifts: tuple[int, ...], axes: tuple[int, ...], join: Any) -> Any:
    """Both parts of each axis exchanged; ``x`` itself where nothing moves."""
    for by, axis in zip(shifts, axes, strict=True):
        n = x.shape[axis]
        cut = -by % n if n else 0
        if cut:
            lead = (slice(None),) * axis
            x = join([x[(*lead, slice(cut, None))], x[(*lead, slice(None, cut))]], axis)
    return x


def roll(x: Any, /, shift: int | tuple[int, ...], axis: int | tuple[int, ...] | None = None) -> Any:
    """The elements moved on by ``shift`` along ``axis``, those from the end to the start; None rolls them flattened.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.roll(tg.arange(4), 1)
    tensor([3, 0, 1, 2])
    """
    x = lift(x)
    if axis is None and x.ndim != 1:
        flat = roll(raveled(x), shift, axis=0)
        return reshape(flat, x.shape)
    axes = axis if isinstance(axis, tuple) else (0 if axis is None else axis,)
    shifts = integers(shift, "shift", "roll")
    if len(shifts) == 1:
        shifts *= len(axes)
    if len(shifts) != len(axes):
        raise ValueError(f"roll: {len(shifts)} shifts for {len(axes)} axes")
    places = tuple([single_axis("roll", a, x.ndim) for a in axes])
    if alone(x):
        array = x._data
        y = _exchanged(array, shifts, places, K.concat)
        return clone(x) if y is array else Tensor(y)
    moved = _exchanged(x, shifts, places, concat)
    return clone(x) if moved is x else moved


def split(x: Any, indices_or_sections: int | Sequence[int], /, axis: int = 0) -> tuple[Any, ...]:
    """Parts along ``axis``, as views: a number of equal ones, or those between the given indices, as NumPy's.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.split(tg.arange(4), 2)
    (tensor([0, 1]), tensor([2, 3]))
    >>> tg.split(tg.arange(4), [1])
    (tensor([0]), tensor([1, 2, 3]))
    """
    x = lift(x)
    place = single_axis("split", axis, x.ndim)
    n = x.shape[place]
    if is_integer(indices_or_sections):
        indices_or_sections = integer(indices_or_sections, "indices_or_sections", "split")
        if indices_or_sections < 1 or n % indices_or_sections:
            raise ValueError(
                f"split: axis {axis} of shape {x.shape} does not divide into {indices_or_sections} equal parts; "
                "give the indices to split at, or use chunk"
            )
        size = n // indices_or_sections
        indices = [size * k for k in range(1, indices_or_sections)]
    else:
        indices = list(integers(indices_or_sections, "indices_or_sections", "split"))
    return parts_between(x, place, indices)


@functools.lru_cache(256)
def _slices(axis: int, bounds: tuple[int, ...]) -> tuple[tuple[slice, ...], ...]:
    """The indices of what lies between neighbouring bounds on an axis."""
    before = (slice(None),) * axis
    return tuple((*before, slice(start, stop)) for start, stop in itertools.pairwise(bounds))


_split: Function = primitive(
    "split",
    lambda x, axis, bounds: tuple([x[index] for index in _slices(axis, bounds)]),
    joint=lambda g, needs, axis: (concat(g, axis),),
    inputs=1,
    outputs=2,  # or as many as there are
)


def parts_between(x: Any, place: int, indices: Sequence[int]) -> tuple[Any, ...]:
    """The slices of axis ``place`` that end at the given indices and at its end."""
    bounds = (0, *indices, x.shape[place])
    slices = _slices(place, bounds)
    if list(bounds) != sorted(bounds):  # then some overlap
        return tuple(x[index] for index in slices)
    # one op, so that the gradients of the parts are joined and not added up, each of them in an array full of zeros
    parts: tuple[Any, ...] = _split(x, place, bounds)
    if isinstance(x, Tensor):
        for part, index in zip(parts, slices, strict=True):
            become_part(part, x, index)
    return parts


def chunk(x: Any, chunks: int, /, axis: int = 0) -> tuple[Any, ...]:
    """At most ``chunks`` parts along ``axis``, as views, of equal size but for the last, which may be smaller.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.chunk(tg.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    x = lift(x)
    place = single_axis("chunk", axis, x.ndim)
    chunks = integer(chunks, "chunks", "chunk")
    if chunks < 1:
        raise ValueError(f"chunk: needs at least one part, got {chunks}")
    size = max(-(-x.shape[place] // chunks), 1)
    return parts_between(x, place, range(size, x.shape[place], size))


def meshgrid(*arrays: Any, copy: bool = False, sparse: bool = False, indexing: str = "xy") -> list[Any]:
    """Coordinates of a grid from those of its axes, as views.

    Parameters
    ----------
    *arrays : Tensor
        One axis each; others are flattened.
    copy : bool
        Give results memory of their own.
    sparse : bool
        Leave axes along which a result does not change at size 1; they broadcast.
    indexing : str
        ``"ij"``: axis k of the results is that of the k-th tensor; ``"xy"``: the first two exchanged.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.meshgrid(tg.arange(2), tg.arange(3), indexing="ij")[1]
    tensor([[0, 1, 2],
            [0, 1, 2]])
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}")
    tensors = [lift(x) for x in arrays]
    tensors = [raveled(x) for x in tensors]
    count = len(tensors)
    shape = tuple(x.size for x in tensors)
    grids = [reshape(x, tuple(x.size if i == k else 1 for i in range(count))) for k, x in enumerate(tensors)]
    if not sparse:
        grids = [broadcast_to(grid, shape) for grid in grids]
    if indexing == "xy" and count > 1:
        grids = [permuted(grid, (1, 0, *range(2, count))) for grid in grids]
    return [clone(grid) for grid in grids] if copy else grids


def tril(x: Any, /, k: int = 0) -> Any:
    """The matrices of the last two axes with zeros above diagonal ``k``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.tril(tg.ones(2, 3))
    tensor([[1., 0., 0.],
            [1., 1., 0.]])
    """
    return _triangle("tril", x, k, False)


def triu(x: Any, /, k: int = 0) -> Any:
    """The matrices of the last two axes with zeros below diagonal ``k``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.triu(tg.ones(2, 3))
    tensor([[1., 1., 1.],
            [0., 1., 1.]])
    """
    return _triangle("triu", x, k, True)


triangle: Function = primitive("triangle", K.triangle, lambda g, k, upper: triangle(g, k, upper))


def _triangle(name: str, x: Any, k: int, upper: bool) -> Any:
    x = lift(x)
    if x.ndim < 2:
        raise ValueError(f"{name}: needs at least 2 axes, got shape {x.shape}")
    return triangle(x, integer(k, "k"), upper)


def _with_diagonal(g: Any, shape: tuple[int, ...], offset: int, axis1: int, axis2: int) -> Any:
    out = empty(shape, g.dtype, device_of(g))
    K.fill(out, 0)
    K.assign(diagonal_view(out, offset, axis1, axis2), g)
    return out


on_diagonal: Function = primitive(
    "diagonal_backward", _with_diagonal, lambda h, offset, axis1, axis2: _diagonal(h, offset, axis1, axis2)
)
on_diagonal.__doc__ = "Zeros with ``g`` on a diagonal: the gradient of reading there."
_diagonal: Function = primitive(
    "diagonal",
    lambda x, offset, axis1, axis2: diagonal_view(x, offset, axis1, axis2),
    lambda g, x_shape, offset, axis1, axis2: on_diagonal(g, x_shape, offset, axis1, axis2),
    put=lambda x, part, offset, axis1, axis2: _scattered(x, part, offset, axis1, axis2),
)


def _scattered(x: Any, part: Any, offset: int, axis1: int, axis2: int) -> Any:
    from .placement import diagonal_scatter

    return diagonal_scatter(x, part, offset, axis1, axis2)


def diagonal(x: Any, /, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The elements whose places on the two axes differ by ``offset``, along a new last axis; a view.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.diagonal(tg.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    x = lift(x)
    first, second = normalize_axes("diagonal", (axis1, axis2), x.ndim)
    return _diagonal(x, integer(offset, "offset"), first, second)


def trace(x: Any, /, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Sum of the `diagonal`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.trace(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)
    """
    return sum(diagonal(x, offset=offset, axis1=axis1, axis2=axis2), axis=-1)
