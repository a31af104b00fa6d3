"""Order statistics: quantiles, medians, the k-th and the most frequent element."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .. import dtypes
from .. import kernels as K
from ..backend import CPU
from ..conversion import as_array
from ..kernels.ranks import METHODS, place, speed, virtual_index
from ..tensor import Tensor
from .cumulative import cummax, cumsum, part
from .definition import Function, lift, primitive
from .elementwise import (
    add,
    divide,
    equal,
    floor,
    greater,
    isfinite,
    isinf,
    isnan,
    less,
    logical_and,
    multiply,
    remainder,
    round,
    subtract,
    where,
)  # fmt: skip
from .indexing import take_along_axis
from .memory import arange, cast, full_like, ones_like, zeros_like
from .reduction import argmax, normalize_axes, single_axis, sum
from .selection import argsort
from .shape import broadcast_to, concat, moveaxis, reshape, squeeze, stack

__all__ = [
    "KthValue", "Mode", "kthvalue", "median", "mode", "nanmedian", "nanpercentile", "nanquantile", "percentile",
    "placed_weights", "quantile", "ranked_indices",
]  # fmt: skip

Axis = int | tuple[int, ...] | None

ranked_indices: Function = primitive("ranked_indices", K.ranked_indices, None, None)
_values: Function = primitive("quantiles", K.quantiles, None)


class KthValue(NamedTuple):
    """What `kthvalue` returns."""

    values: Any
    indices: Any


class Mode(NamedTuple):
    """What `mode` returns."""

    values: Any
    indices: Any


def _real(name: str, x: Any) -> Any:
    """A tensor of real floating numbers."""
    x = lift(x)
    if x.dtype.kind == "c":
        raise TypeError(f"{name}: complex numbers have no order, got {x.dtype}")
    return cast(x, dtypes.get_default_dtype()) if x.dtype.kind in "biu" else x


def _as_rows(name: str, x: Any, axis: Axis) -> tuple[Any, tuple[int, ...]]:
    """The tensor with the axes as one, the last, and the shape that is left with size 1 in their place."""
    axes = normalize_axes(name, axis, x.ndim)
    kept = tuple([1 if a in axes else n for a, n in enumerate(x.shape)])
    if axes == (x.ndim - 1,):
        return x, kept
    others = tuple(a for a in range(x.ndim) if a not in axes)
    moved = moveaxis(x, axes, tuple(range(len(others), x.ndim)))
    rows = reshape(moved, (*(x.shape[a] for a in others), math.prod(x.shape[a] for a in axes)))
    return rows, kept


def _shaped(y: Any, lead: tuple[int, ...], kept: tuple[int, ...], axis: Axis, keepdims: bool, ndim: int) -> Any:
    """A result of rows with the axes that it lost, or without."""
    if keepdims:
        return reshape(y, (*lead, *kept))
    return reshape(y, (*lead, *y.shape[len(lead) :]))


def _between(low: Any, high: Any, gamma: Any) -> Any:
    """Linear interpolation, exact at both ends and in the middle of equal numbers."""
    distance = subtract(high, low)
    if isinstance(gamma, float):
        if gamma in (0, 1):
            return high if gamma else low
        y = add(low, multiply(distance, gamma)) if gamma < 0.5 else subtract(high, multiply(distance, 1 - gamma))
        return where(logical_and(equal(low, high), isinf(low)), low, y)
    near = add(low, multiply(distance, gamma))
    y = where(less(gamma, 0.5), near, subtract(high, multiply(distance, subtract(1, gamma))))
    return where(logical_and(equal(low, high), isinf(low)), low, y)


def _parts_of(name: str, q: Any, scale: float) -> tuple[list[float], tuple[int, ...]]:
    """The wanted parts as numbers from 0 to 1, and their shape."""
    shape: tuple[int, ...] = ()
    if isinstance(q, (list, tuple)):  # numbers of Python stay so: nothing needs to be read back
        each = [_parts_of(name, v, scale) for v in q]
        shapes = {inner for _, inner in each}
        if len(shapes) > 1:
            raise ValueError(f"{name}: q is ragged: {q}")
        return [v for numbers, _ in each for v in numbers], (len(each), *(shapes.pop() if shapes else ()))
    numbers: list[float]
    if isinstance(q, (int, float)):
        numbers = [float(q)]
    else:
        given = q if isinstance(q, Tensor) else Tensor(as_array(q, dtypes.float64, CPU))
        numbers, shape = [float(v) for v in reshape(given, (given.size,)).tolist()], given.shape
    for v in numbers:
        if not 0 <= v <= scale:
            raise ValueError(f"{name}: q must be between 0 and {scale:g}, got {v}")
    return [v / scale for v in numbers], shape


def _followed(q: Any) -> Any:
    """The wanted parts as a tensor if a gradient goes to them, else None."""
    if isinstance(q, Tensor):
        return q if q.requires_grad else None
    if not isinstance(q, (list, tuple)) or all(_followed(v) is None for v in q):
        return None
    kept = [_followed(v) for v in q]
    like = next(v for v in kept if v is not None)
    return stack([lift(v, like).to(like) if k is None else k.to(like) for v, k in zip(q, kept, strict=True)])


def _moving(y: Any, q: Any, slopes: list[Any], scale: float) -> Any:
    """Quantiles that have also a gradient by the parts ``q``, which come first in their shape."""
    slope = reshape(stack(slopes), y.shape)
    slope = where(isfinite(slope), divide(slope, scale), zeros_like(slope))
    q = reshape(q.to(y.device, y.dtype), (*q.shape, *(1,) * (y.ndim - q.ndim)))
    return add(y, multiply(slope, subtract(q, q.detach())))


def _quantiles(
    name: str, x: Any, q: Any, axis: Axis, method: str, keepdims: bool, weights: Any, scale: float, skip_nan: bool
) -> Any:
    if method not in METHODS:
        raise ValueError(f"{name}: method must be one of {', '.join(METHODS)}, got {method!r}")
    x = _real(name, x)
    parts, shape = _parts_of(name, q, scale)
    rows, kept = _as_rows(name, x, axis)
    n = rows.shape[-1]
    by_part = None if isinstance(q, (int, float)) or not n or not parts or not speed(n, method) else _followed(q)
    slopes: list[Any] | None = None if by_part is None else []
    if weights is None and n and parts and _alone(x) and slopes is None:
        y = _values(rows, tuple(parts), method, skip_nan)
        if shape:
            y = moveaxis(y, -1, 0) if y.ndim > 1 else y
        lead = kept if keepdims else rows.shape[:-1]
        return y if y.shape == (*shape, *lead) else reshape(y, (*shape, *lead))
    if weights is not None:
        found = _weighted(name, x, rows, parts, axis, method, weights, skip_nan)
    elif not n:
        found = [full_like(sum(rows, -1), math.nan)] * len(parts)
    elif skip_nan:
        found = _of_numbers(rows, parts, method, slopes)
    else:
        found = _of_all(rows, parts, method, slopes)
    y = reshape(stack(found), (*shape, *found[0].shape)) if found else reshape(part(rows, -1, 0, 0), (0,))
    if slopes is not None:
        y = _moving(y, by_part, slopes, scale)
    return _shaped(y, shape, kept, axis, keepdims, x.ndim)


def _alone(x: Any) -> bool:
    """Whether values are wanted without where they come from, which takes several times as long."""
    return isinstance(x, Tensor) and not x.requires_grad


def _of_all(rows: Any, parts: list[float], method: str, slopes: list[Any] | None = None) -> list[Any]:
    """Quantiles of rows; NaN where a row has one, which would be its largest number."""
    n = rows.shape[-1]
    places = [place(virtual_index(n, q, method), n, method) for q in parts]
    ranks = tuple(sorted({rank for low, high, _ in places for rank in (low, high)} | {n - 1}))
    ordered = take_along_axis(rows, ranked_indices(rows, ranks, rows.ndim - 1), axis=-1)
    at = {rank: ordered[..., k] for k, rank in enumerate(ranks)}
    missing = isnan(at[n - 1])
    if slopes is not None:
        for low, high, gamma in places:
            slope = multiply(subtract(at[high], at[low]), speed(n, method) if gamma else 0.0)
            slopes.append(where(missing, zeros_like(slope), slope))
    return [where(missing, at[n - 1], _between(at[low], at[high], gamma)) for low, high, gamma in places]


def _of_numbers(rows: Any, parts: list[float], method: str, slopes: list[Any] | None = None) -> list[Any]:
    """Quantiles of what is not NaN in each row."""
    count = sum(equal(rows, rows), -1)
    real = cast(count, dtypes.float64)
    found = []
    for q in parts:
        h = virtual_index(real, q, method)
        low, high, gamma = _tensor_places(h, count, method)
        ranks = stack([low, high], axis=-1)
        pair = take_along_axis(rows, ranked_indices(rows, ranks, rows.ndim - 1), axis=-1)
        y = _between(pair[..., 0], pair[..., 1], cast(gamma, rows.dtype))
        if slopes is not None:
            moved = where(equal(gamma, 0), zeros_like(real), speed(real, method))
            slopes.append(multiply(subtract(pair[..., 1], pair[..., 0]), cast(moved, rows.dtype)))
        found.append(where(equal(count, 0), full_like(y, math.nan), y))
    return found


def _tensor_places(h: Any, count: Any, method: str) -> tuple[Any, Any, Any]:
    """`ranks.place` where each row has its own number of elements."""
    base = floor(h)
    gamma = subtract(h, base)
    some = greater(gamma, 0)
    zero, one, half = zeros_like(gamma), ones_like(gamma), full_like(gamma, 0.5)
    if method in ("inverted_cdf", "higher"):
        gamma = where(some, one, zero)
    elif method == "averaged_inverted_cdf":
        gamma = where(some, one, half)
    elif method == "closest_observation":
        gamma = where(logical_and(equal(gamma, 0), equal(remainder(base, 2), 1)), zero, one)
    elif method == "lower":
        gamma = zero
    elif method == "midpoint":
        gamma = where(some, half, zero)
    elif method == "nearest":
        base, gamma = round(h), zero
    last = where(less(count, 1), zeros_like(count), subtract(count, 1))
    low = cast(base, dtypes.int64)
    high = add(low, 1)
    gamma = where(less(low, 0), zero, gamma)  # both ends are the first one then
    low, high = (where(less(k, 0), zeros_like(k), where(less(last, k), last, k)) for k in (low, high))
    return low, high, gamma


def _weighted(
    name: str, x: Any, rows: Any, parts: list[float], axis: Axis, method: str, weights: Any, skip_nan: bool
) -> list[Any]:
    """Quantiles of the distribution that has each element with its weight."""
    if method != "inverted_cdf":
        raise ValueError(f"{name}: weights need method 'inverted_cdf', got {method!r}")
    weights = cast(lift(weights, x), dtypes.float64)
    if weights.shape != x.shape:
        axes = normalize_axes(name, axis, x.ndim)
        if axis is None or weights.shape != tuple(x.shape[a] for a in axes):
            raise ValueError(f"{name}: weights of shape {weights.shape} fit neither {x.shape} nor its axes {axis}")
        weights = broadcast_to(placed_weights(weights, axes, x.ndim), x.shape)
    heavy, _ = _as_rows(name, weights, axis)
    missing = isnan(rows)
    if skip_nan:
        heavy = where(missing, zeros_like(heavy), heavy)
    order = argsort(rows)
    ordered = take_along_axis(rows, order, axis=-1)
    reached = cumsum(take_along_axis(heavy, order, axis=-1), -1)
    share = divide(reached, reached[..., -1:])
    share = where(equal(share, 0), full_like(share, -1), share)
    found = []
    for q in parts:
        index = sum(less(share, q), -1, keepdims=True)
        index = where(less(rows.shape[-1] - 1, index), full_like(index, rows.shape[-1] - 1), index)
        y = take_along_axis(ordered, index, axis=-1)[..., 0]
        found.append(y if skip_nan else where(isnan(ordered[..., -1]), full_like(y, math.nan), y))
    return found


def placed_weights(weights: Any, axes: tuple[int, ...], ndim: int) -> Any:
    """Weights of some axes with size 1 for the others."""
    order = sorted(range(len(axes)), key=lambda k: axes[k])
    weights = moveaxis(weights, tuple(order), tuple(range(len(axes))))
    sizes = iter(weights.shape)
    return reshape(weights, tuple(next(sizes) if a in axes else 1 for a in range(ndim)))


def quantile(
    x: Any, q: Any, /, axis: Axis = None, *, method: str = "linear", keepdims: bool = False, weights: Any = None
) -> Any:
    """The number below which the part ``q`` of the elements over ``axis`` is.

    Parameters
    ----------
    q : float, or sequence or tensor of them
        From 0 to 1. Their axes come first in the result. A tensor's values are read by Python; it has a gradient where
        the method goes continuously from one element to the next: between two of them their difference times the
        speed (``n - 1`` for ``"linear"``); at one of them, beside infinities and with methods that step it is 0.
    axis : int, tuple of int or None
        None takes all elements.
    method : str
        How to choose between neighbours, by the names of `numpy.quantile`: those of Hyndman and Fan (1996), and
        PyTorch's ``"linear"``, ``"lower"``, ``"higher"``, ``"midpoint"`` and ``"nearest"``.
    weights : Tensor, optional
        Of the shape of ``x`` or of its axes; for ``method="inverted_cdf"``.

    Returns
    -------
    Tensor
        Floating; NaN where one of the elements is. The gradient goes to the neighbours.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.quantile(tg.tensor([4.0, 1.0, 3.0, 2.0]), [0.5, 1.0])
    tensor([2.5, 4. ])
    """
    return _quantiles("quantile", x, q, axis, method, keepdims, weights, 1.0, False)


def percentile(
    x: Any, q: Any, /, axis: Axis = None, *, method: str = "linear", keepdims: bool = False, weights: Any = None
) -> Any:
    """`quantile` with ``q`` from 0 to 100.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.percentile(tg.tensor([4.0, 1.0, 3.0]), 50)
    tensor(3.)
    """
    return _quantiles("percentile", x, q, axis, method, keepdims, weights, 100.0, False)


def nanquantile(
    x: Any, q: Any, /, axis: Axis = None, *, method: str = "linear", keepdims: bool = False, weights: Any = None
) -> Any:
    """`quantile` of what is not NaN; NaN where nothing else is.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nanquantile(tg.tensor([4.0, tg.nan, 3.0]), 0.5)
    tensor(3.5)
    """
    return _quantiles("nanquantile", x, q, axis, method, keepdims, weights, 1.0, True)


def nanpercentile(
    x: Any, q: Any, /, axis: Axis = None, *, method: str = "linear", keepdims: bool = False, weights: Any = None
) -> Any:
    """`percentile` of what is not NaN; NaN where nothing else is."""
    return _quantiles("nanpercentile", x, q, axis, method, keepdims, weights, 100.0, True)


def median(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """The middle one of the elements over ``axis`` in order, or the mean of the two in the middle; NaN if one is.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.median(tg.tensor([4.0, 1.0, 3.0, 2.0]))
    tensor(2.5)
    """
    x = _real("median", x)
    rows, kept = _as_rows("median", x, axis)
    n = rows.shape[-1]
    if n and _alone(x):
        y = _values(rows, (0.5,), "median", False)
        return reshape(y, kept if keepdims else rows.shape[:-1])
    if not n:
        y = full_like(sum(rows, -1), math.nan)
    else:
        ranks = tuple(sorted({(n - 1) // 2, n // 2, n - 1}))
        ordered = take_along_axis(rows, ranked_indices(rows, ranks, rows.ndim - 1), axis=-1)
        middle, last = ordered[..., 0], ordered[..., -1]
        if n % 2 == 0:
            middle = multiply(add(middle, ordered[..., 1]), 0.5)
        y = where(isnan(last), last, middle)
    return _shaped(y, (), kept, axis, keepdims, x.ndim)


def nanmedian(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """`median` of what is not NaN; NaN where nothing else is."""
    x = _real("nanmedian", x)
    if x.size and _alone(x):
        rows, kept = _as_rows("nanmedian", x, axis)
        return reshape(_values(rows, (0.5,), "median", True), kept if keepdims else rows.shape[:-1])
    return _quantiles("nanmedian", x, 0.5, axis, "averaged_inverted_cdf", keepdims, None, 1.0, True)


def kthvalue(x: Any, k: int, /, axis: int = -1, *, keepdims: bool = False) -> KthValue:
    """The ``k``-th smallest element along ``axis``, counted from 1, and its index. NaN counts as the largest number.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.kthvalue(tg.tensor([4.0, 1.0, 3.0]), 2)
    KthValue(values=tensor(3.), indices=tensor(2))
    """
    x = lift(x)
    if x.dtype.kind == "c":
        raise TypeError(f"kthvalue: complex numbers have no order, got {x.dtype}")
    place = single_axis("kthvalue", axis, x.ndim or 1)
    rows = x if x.ndim else reshape(x, (1,))
    if not 1 <= k <= rows.shape[place]:
        raise ValueError(f"kthvalue: k must be from 1 to the size {rows.shape[place]} of axis {axis}, got {k}")
    indices = ranked_indices(rows, (k - 1,), place)
    values = take_along_axis(rows, indices, axis=place)
    if keepdims and x.ndim:
        return KthValue(values, indices)
    return KthValue(squeeze(values, place), squeeze(indices, place))


def mode(x: Any, /, axis: int = -1, *, keepdims: bool = False) -> Mode:
    """The most frequent element along ``axis``, of several the smallest, and the index of the last one equal to it.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.mode(tg.tensor([3.0, 1.0, 3.0, 1.0, 2.0]))
    Mode(values=tensor(1.), indices=tensor(3))
    """
    x = lift(x)
    if x.dtype.kind == "c":
        raise TypeError(f"mode: complex numbers have no order, got {x.dtype}")
    place = single_axis("mode", axis, x.ndim or 1)
    rows = moveaxis(x, place, -1) if x.ndim else reshape(x, (1,))
    n = rows.shape[-1]
    if not n:
        raise ValueError(f"mode: shape {x.shape} has no elements along axis {axis}")
    order = argsort(rows)
    ordered = take_along_axis(rows, order, axis=-1)
    counting = broadcast_to(arange(n, device=x.device), rows.shape)
    fresh = equal(part(ordered, rows.ndim - 1, 1, None), part(ordered, rows.ndim - 1, 0, n - 1))
    begins = concat([zeros_like(part(counting, rows.ndim - 1, 0, 1)),
                     where(fresh, zeros_like(part(counting, rows.ndim - 1, 1, None)),
                           part(counting, rows.ndim - 1, 1, None))], -1)  # fmt: skip
    length = subtract(counting, cummax(begins, -1).values)
    at = argmax(length, -1, keepdims=True)
    indices = take_along_axis(order, at, axis=-1)
    values = take_along_axis(rows, indices, axis=-1)
    if keepdims and x.ndim:
        return Mode(moveaxis(values, -1, place), moveaxis(indices, -1, place))
    return Mode(squeeze(values, -1), squeeze(indices, -1))
