"""Padding by NumPy's modes: with numbers, with what stands at the border, with its mirror image, with statistics."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from .. import dtypes
from .. import kernels as K
from ..backend import device_of
from ..backend import empty as empty_array
from ..tensor import Tensor
from .cumulative import part
from .definition import Function, lift, primitive
from .elementwise import add, divide, floor, multiply, round, subtract
from .memory import arange, cast, full
from .quantiles import median
from .reduction import max, mean, min
from .shape import broadcast_to, concat, reshape

__all__ = ["pad"]

Width = tuple[int, int]
_LARGE = 1 << 14  # elements that are not to be written twice


def _inside(shape: Sequence[int], before: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(b, b + n) for n, b in zip(shape, before, strict=True))


def _surrounded(x: Any, before: tuple[int, ...], shape: tuple[int, ...], value: Any) -> Any:
    out = empty_array(shape, x.dtype, device_of(x))
    if value is not None and x.size < _LARGE:
        K.fill(out, value)
    elif value is not None:
        for axis, (start, n) in enumerate(zip(before, x.shape, strict=True)):
            for border in (slice(0, start), slice(start + n, None)):
                K.fill(out[(slice(None),) * axis + (border,)], value)
    K.setitem(out, _inside(x.shape, before), x)
    return out


_framed: Function = primitive(
    "pad",
    _surrounded,
    lambda g, x_shape, before: g[_inside(x_shape, before)],
)


def _pairs(name: str, given: Any, ndim: int, whole: bool) -> list[tuple[Any, Any]]:
    """What NumPy takes as ``pad_width`` and the like, as a pair for each axis."""

    def entry(value: Any) -> Any:
        if value is None and not whole:
            return None
        if whole:
            value = operator.index(value)
            if value < 0:
                raise ValueError(f"pad: {name} must not be negative, got {given}")
        return value

    def one(value: Any) -> bool:
        return not isinstance(value, (tuple, list)) and not getattr(value, "ndim", False)

    if hasattr(given, "tolist") and getattr(given, "ndim", False):
        given = given.tolist()
    if isinstance(given, dict):
        pairs: list[tuple[Any, Any]] = [(0, 0)] * ndim
        for axis, width in given.items():
            if not -ndim <= axis < ndim:
                raise IndexError(f"pad: axis {axis} of {name} is out of range for {ndim} axes")
            pairs[axis] = (entry(width), entry(width)) if one(width) else (entry(width[0]), entry(width[1]))
        return pairs
    if one(given):
        return [(entry(given), entry(given))] * ndim
    entries = list(given)
    if len(entries) == 1 and not one(entries[0]):
        entries = entries * ndim
    if all(map(one, entries)) and len(entries) in (1, 2):
        return [(entry(entries[0]), entry(entries[-1]))] * ndim
    if len(entries) == ndim and not any(map(one, entries)) and all(len(e) in (1, 2) for e in entries):
        return [(entry(e[0]), entry(e[-1])) for e in entries]
    raise ValueError(f"pad: {name} {given} does not fit {ndim} axes: give a number, a pair, or a pair for each axis")


def _filled(x: Any, axis: int, count: int, value: Any) -> Any:
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    device = x.device if isinstance(x, Tensor) else device_of(x)
    if isinstance(value, Tensor):
        return broadcast_to(cast(value, x.dtype), shape)
    return full(shape, value, dtype=x.dtype, device=device)


def _ramp(x: Any, axis: int, count: int, end: Any, edge: Any) -> Any:
    """From ``end`` up to, not including, ``edge``."""
    shape = tuple(count if i == axis else 1 for i in range(x.ndim))
    real = x.dtype if x.dtype.kind not in "biu" else dtypes.float64
    steps = reshape(arange(count, dtype=real, device=x.device), shape)
    start = cast(lift(end, x), real)
    y = add(multiply(steps, divide(subtract(cast(edge, real), start), count or 1)), start)
    return cast(floor(y), x.dtype) if x.dtype.kind in "biu" else y


def _whole_if(y: Any, dtype: Any) -> Any:
    return cast(round(y), dtype) if dtype.kind in "biu" else y


_STATISTICS: dict[str, Any] = {
    "maximum": max,
    "minimum": min,
    "mean": lambda x, axis, keepdims: _whole_if(mean(x, axis, keepdims=keepdims), x.dtype),
    "median": lambda x, axis, keepdims: _whole_if(median(x, axis, keepdims=keepdims), x.dtype),
}


def _mirrored(x: Any, axis: int, width: Width, odd: bool, with_edge: bool) -> Any:
    """Mirror images at both ends, over again of what is there already while they are too short."""
    left, right = width
    period = x.shape[axis]
    if period == 1 and not with_edge:
        edge = part(x, axis, 0, 1)
        return concat([_spread(edge, axis, left), x, _spread(edge, axis, right)], axis)
    while left or right:
        n = x.shape[axis]
        if with_edge:
            offset, reach = 1, n // period * period
        else:
            offset, reach = 0, (n - 1) // (period - 1) * (period - 1)
        first, last = part(x, axis, 0, 1), part(x, axis, n - 1, n)
        count = reach if reach < left else left
        start = 1 - offset
        chunk = _turned(part(x, axis, start, start + count), axis)
        pieces = [subtract(multiply(first, 2), chunk) if odd else chunk, x]
        left -= count
        count = reach if reach < right else right
        stop = n - 1 + offset
        chunk = _turned(part(x, axis, stop - count, stop), axis)
        pieces.append(subtract(multiply(last, 2), chunk) if odd else chunk)
        right -= count
        x = concat(pieces, axis)
    return x


def _turned(x: Any, axis: int) -> Any:
    return x[(slice(None),) * axis + (slice(None, None, -1),)]


def _spread(edge: Any, axis: int, count: int) -> Any:
    return broadcast_to(edge, (*edge.shape[:axis], count, *edge.shape[axis + 1 :]))


def _wrapped(x: Any, axis: int, width: Width) -> Any:
    n = x.shape[axis]
    (before, head), (after, tail) = divmod(width[0], n), divmod(width[1], n)
    pieces = [part(x, axis, n - head, None)] if head else []
    pieces += [x] * (before + 1 + after)
    return concat([*pieces, part(x, axis, 0, tail)] if tail else pieces, axis)


def pad(
    x: Any,
    pad_width: Any,
    mode: str = "constant",
    *,
    constant_values: Any = 0,
    end_values: Any = 0,
    stat_length: Any = None,
    reflect_type: str = "even",
) -> Any:
    """``x`` with elements added at both ends of its axes; all modes of `numpy.pad`, differentiable.

    Parameters
    ----------
    pad_width : int, pair, sequence of pairs, or dict
        How many elements before and after: of all axes, of each axis, or of the axes that are keys.
    mode : str
        ``"constant"``, ``"edge"`` (the border), ``"linear_ramp"`` (from ``end_values`` to the border), ``"maximum"``,
        ``"mean"``, ``"median"``, ``"minimum"`` (of the ``stat_length`` elements next to the border), ``"reflect"`` and
        ``"symmetric"`` (the mirror image without and with the border), ``"wrap"`` (the other end), ``"empty"``
        (anything).
    constant_values, end_values : number, pair or sequence of pairs
        As ``pad_width``.
    stat_length : int, pair or sequence of pairs, optional
        How many elements, by default all.
    reflect_type : {"even", "odd"}
        ``"odd"`` reflects at the border's value, too: twice that value minus the mirror image.

    Raises
    ------
    ValueError
        If the widths do not fit the axes, or an axis without elements would have to be continued.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.pad(tg.tensor([1, 2, 3]), (2, 1), "reflect")
    tensor([3, 2, 1, 2, 3, 2])
    >>> tg.pad(tg.ones(1, 1), 1)
    tensor([[0., 0., 0.],
            [0., 1., 0.],
            [0., 0., 0.]])
    """
    x = lift(x)
    widths: list[Width] = _pairs("pad_width", pad_width, x.ndim, True)
    if reflect_type not in ("even", "odd"):
        raise ValueError(f"pad: reflect_type must be 'even' or 'odd', got {reflect_type!r}")
    if mode in ("constant", "empty"):
        values = _pairs("constant_values", constant_values, x.ndim, False) if mode == "constant" else [(None, None)]
        if len({id(v) if isinstance(v, Tensor) else v for pair in values for v in pair}) <= 1 and not isinstance(
            values[0][0] if values else None, Tensor
        ):
            shape = tuple(n + a + b for n, (a, b) in zip(x.shape, widths, strict=True))
            return _framed(x, tuple(a for a, _ in widths), shape, values[0][0] if values else 0)
        for axis, ((a, b), (first, last)) in enumerate(zip(widths, values, strict=True)):
            x = concat([_filled(x, axis, a, first), x, _filled(x, axis, b, last)], axis)
        return x
    if mode not in ("edge", "linear_ramp", "reflect", "symmetric", "wrap", *_STATISTICS):
        raise ValueError(f"pad: mode {mode!r} is not one of NumPy's")
    ends = _pairs("end_values", end_values, x.ndim, False)
    lengths = _pairs("stat_length", stat_length, x.ndim, stat_length is not None)
    for axis, width in enumerate(widths):
        a, b = width
        if a or b:
            n = x.shape[axis]
            if not n:
                raise ValueError(
                    f"pad: axis {axis} of shape {x.shape} has no elements to continue; use mode 'constant'"
                )
            x = _continued(x, axis, width, mode, ends[axis], lengths[axis], reflect_type == "odd")
    return x


def _continued(x: Any, axis: int, width: Width, mode: str, ends: Any, lengths: Any, odd: bool) -> Any:
    """One axis padded in any mode that looks at the elements."""
    n, (a, b) = x.shape[axis], width
    first, last = part(x, axis, 0, 1), part(x, axis, n - 1, n)
    if mode in ("reflect", "symmetric"):
        return _mirrored(x, axis, width, odd, mode == "symmetric")
    if mode == "wrap":
        return _wrapped(x, axis, width)
    if mode == "edge":
        return concat([_spread(first, axis, a), x, _spread(last, axis, b)], axis)
    if mode == "linear_ramp":
        right = _turned(_ramp(x, axis, b, ends[1], last), axis)
        return concat([_ramp(x, axis, a, ends[0], first), x, right], axis)
    statistic = _STATISTICS[mode]
    sizes = [n if length is None or length > n else length for length in lengths]
    if 0 in sizes and mode in ("maximum", "minimum"):
        raise ValueError(f"pad: stat_length 0 leaves nothing to take the {mode} of")
    left: Any = statistic(part(x, axis, 0, sizes[0]), axis=axis, keepdims=True)
    right = statistic(part(x, axis, n - sizes[1], None), axis=axis, keepdims=True) if sizes != [n, n] else left
    return concat([_spread(left, axis, a), x, _spread(right, axis, b)], axis)
