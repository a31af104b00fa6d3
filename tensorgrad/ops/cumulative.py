"""Running sums, products, extrema and log-sum-exps along one axis, and differences of neighbours."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .. import dtypes
from .. import kernels as K
from .definition import Function, lift, on_values, primitive
from .elementwise import add, equal, exp, multiply, not_equal, subtract, where
from .indexing import take_along_axis
from .memory import cast, full_like, ones_like, zeros_like
from .precision import raised
from .reduction import single_axis
from .shape import broadcast_to, concat, raveled, reshape
from .softmax import complex_logaddexp

__all__ = [
    "Extrema", "cummax", "cummin", "cumprod", "cumsum", "cumulative_prod", "cumulative_sum", "diff", "ediff1d",
    "logcumsumexp",
]  # fmt: skip


class Extrema(NamedTuple):
    """What `cummax` and `cummin` return."""

    values: Any
    indices: Any


def part(x: Any, axis: int, start: int | None, stop: int | None) -> Any:
    """A slice along one axis, as a view."""
    return x[(slice(None),) * axis + (slice(start, stop),)]


_cumsum: Function = primitive(
    "cumsum",
    K.cumsum,
    lambda g, axis, reverse: _cumsum(g, axis, not reverse),
)
_cumprod: Function = primitive(
    "cumprod",
    K.cumprod,
    lambda g, x, axis: multiply(_products_before(x, axis), _recurrence(g, _next(x, axis), axis)),
)
_logcumsumexp: Function = primitive(
    "logcumsumexp",
    K.logcumsumexp,
    lambda g, x, out, axis: multiply(
        exp(subtract(x, _finite(out))), _recurrence(g, exp(subtract(out, _finite(_next(out, axis)))), axis)
    ),
)
_cummax_indices: Function = primitive("cummax_indices", K.cummax_indices, None)


def _products_before(x: Any, axis: int) -> Any:
    """For each element, the product of those before it."""
    return concat([ones_like(part(x, axis, 0, 1)), _cumprod(part(x, axis, 0, x.shape[axis] - 1), axis)], axis)


def _next(x: Any, axis: int) -> Any:
    """For each element, the one after it; for the last, itself."""
    return concat([part(x, axis, 1, None), part(x, axis, max(x.shape[axis] - 1, 0), None)], axis)


def _finite(x: Any) -> Any:
    """Minus infinity as 0: what is subtracted from it then stays minus infinity."""
    return where(equal(x, -math.inf), zeros_like(x), x)


def _recurrence(y: Any, factors: Any, axis: int) -> Any:
    """``z[i] = y[i] + factors[i] * z[i + 1]`` by doubling: log2(n) steps of whole arrays, and no division."""
    n = y.shape[axis]
    reach = 1
    while reach < n:
        ahead = multiply(part(factors, axis, 0, n - reach), part(y, axis, reach, None))
        y = concat([add(part(y, axis, 0, n - reach), ahead), part(y, axis, n - reach, None)], axis)
        reach *= 2
        if reach < n:
            half = reach // 2
            near, far = part(factors, axis, 0, n - half), part(factors, axis, half, None)
            factors = concat([multiply(near, far), part(factors, axis, n - half, None)], axis)
    return y


def _prepared(name: str, x: Any, axis: int | None) -> tuple[Any, int]:
    """The tensor, flattened for None, and the axis counted from 0; one element counts as an axis of one."""
    x = lift(x)
    if axis is None:
        return raveled(x), 0
    return x, single_axis(name, axis, max(x.ndim, 1))


def _scanned(op: Function, x: Any, *parameters: Any) -> Any:
    return reshape(op(reshape(x, (1,)), *parameters), ()) if not x.ndim else op(x, *parameters)


def _accumulated(x: Any, dtype: Any) -> Any:
    if dtype is not None:
        return cast(x, dtypes.dtype_of(dtype))
    return cast(x, {"b": dtypes.int64, "i": dtypes.int64, "u": dtypes.uint64}.get(x.dtype.kind, x.dtype))


def cumsum(x: Any, /, axis: int | None = None, dtype: Any = None) -> Any:
    """Sums of all elements up to each one along ``axis``; None flattens first.

    Booleans and integers narrower than 64 bits are summed in 64.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.cumsum(tg.tensor([1, 2, 3]))
    tensor([1, 3, 6])
    """
    x, place = _prepared("cumsum", x, axis)
    return _scanned(_cumsum, _accumulated(raised(x), dtype), place, False)


def cumprod(x: Any, /, axis: int | None = None, dtype: Any = None) -> Any:
    """Products of all elements up to each one along ``axis``; None flattens first.

    The gradient is exact also where elements are 0.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.cumprod(tg.tensor([2, 3, 4]))
    tensor([ 2,  6, 24])
    """
    x, place = _prepared("cumprod", x, axis)
    return _scanned(_cumprod, _accumulated(raised(x), dtype), place)


def _cumulative(name: str, op: Any, x: Any, axis: int | None, dtype: Any, first: float, include_initial: bool) -> Any:
    x = lift(x)
    if axis is None and x.ndim != 1:
        raise ValueError(f"{name}: axis is needed for shape {x.shape}")
    if not x.ndim:
        raise ValueError(f"{name}: needs at least one axis, got shape ()")
    place = single_axis(name, 0 if axis is None else axis, x.ndim)
    y = op(x, place, dtype=dtype)
    if not include_initial:
        return y
    start = full_like(part(y, place, 0, 1), first) if x.shape[place] else None
    if start is None:  # nothing to slice
        from .memory import full

        shape = (*x.shape[:place], 1, *x.shape[place + 1 :])
        return broadcast_to(full((1,) * x.ndim, first, dtype=y.dtype, device=getattr(x, "device", None)), shape)
    return concat([start, y], place)


def cumulative_sum(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    """`cumsum` as the array API has it: ``axis`` may be left out for one axis only.

    Parameters
    ----------
    include_initial : bool
        Put the sum of nothing, 0, in front.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.cumulative_sum(tg.tensor([1, 2, 3]), include_initial=True)
    tensor([0, 1, 3, 6])
    """
    return _cumulative("cumulative_sum", cumsum, x, axis, dtype, 0, include_initial)


def cumulative_prod(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    """`cumprod` as the array API has it: ``axis`` may be left out for one axis only.

    Parameters
    ----------
    include_initial : bool
        Put the product of nothing, 1, in front.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.cumulative_prod(tg.tensor([2, 3]), include_initial=True)
    tensor([1, 2, 6])
    """
    return _cumulative("cumulative_prod", cumprod, x, axis, dtype, 1, include_initial)


def _complex_logcumsumexp(x: Any, axis: int) -> Any:
    """By doubling: each element with the one that is 1, 2, 4, ... before it."""
    n, reach = x.shape[axis], 1
    while reach < n:
        later = complex_logaddexp(part(x, axis, reach, None), part(x, axis, 0, n - reach))
        x = concat([part(x, axis, 0, reach), later], axis)
        reach *= 2
    return x


def logcumsumexp(x: Any, /, axis: int | None = None) -> Any:
    """``log(cumsum(exp(x)))`` along ``axis`` without overflow; None flattens first.

    Of complex numbers it is a logarithm: its imaginary part may differ from the principal one by multiples of 2 pi.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.logcumsumexp(tg.tensor([0.0, 1000.0, 1000.0], dtype=tg.float64))
    tensor([   0.        , 1000.        , 1000.69314718], dtype=float64)
    """
    x, place = _prepared("logcumsumexp", x, axis)
    if x.dtype.kind == "c":
        return _scanned(_complex_logcumsumexp, x, place)
    if x.dtype.kind in "biu":
        x = cast(x, dtypes.get_default_dtype())
    return _scanned(_logcumsumexp, raised(x), place)


def _extreme(name: str, x: Any, axis: int | None, largest: bool) -> Extrema:
    x, place = _prepared(name, x, axis)
    if x.dtype.kind == "c":
        raise TypeError(f"{name}: complex numbers have no order, got {x.dtype}")
    if not x.ndim:
        values, indices = _extreme(name, reshape(x, (1,)), 0, largest)
        return Extrema(reshape(values, ()), reshape(indices, ()))
    indices = _cummax_indices(x, place, largest)
    return Extrema(take_along_axis(x, indices, axis=place), indices)


def cummax(x: Any, /, axis: int | None = None) -> Extrema:
    """The largest element up to each one along ``axis`` and its index, of equal ones the last; None flattens first.

    Returns
    -------
    Extrema
        Named tuple ``(values, indices)``. NaN counts as larger than all numbers. The gradient goes to the elements at
        the indices.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.cummax(tg.tensor([1.0, 3.0, 2.0, 3.0]))
    Extrema(values=tensor([1., 3., 3., 3.]), indices=tensor([0, 1, 1, 3]))
    """
    return _extreme("cummax", x, axis, True)


def cummin(x: Any, /, axis: int | None = None) -> Extrema:
    """The smallest element up to each one along ``axis`` and its index; see `cummax`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.cummin(tg.tensor([2.0, 3.0, 1.0])).values
    tensor([2., 2., 1.])
    """
    return _extreme("cummin", x, axis, False)


def diff(x: Any, /, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Differences of neighbours along ``axis``, ``n`` times over; of booleans, whether they differ.

    Parameters
    ----------
    prepend, append : Tensor, optional
        What is put before and after ``x`` along the axis first; a number counts as one element everywhere.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.diff(tg.tensor([1, 4, 9, 16]), n=2)
    tensor([2, 2])
    """
    x = lift(x)
    if n < 0:
        raise ValueError(f"diff: n must not be negative, got {n}")
    if not x.ndim:
        raise ValueError("diff: needs at least one axis, got shape ()")
    place = single_axis("diff", axis, x.ndim)
    if n == 0:
        return x
    parts = [x]
    for side, extra in (("front", prepend), ("back", append)):
        if extra is not None:
            extra = lift(extra, x)  # noqa: PLW2901
            if not extra.ndim:
                extra = broadcast_to(extra, (*x.shape[:place], 1, *x.shape[place + 1 :]))  # noqa: PLW2901
            parts = [extra, *parts] if side == "front" else [*parts, extra]
    if len(parts) > 1:
        x = concat(parts, place)
    difference = not_equal if x.dtype.kind == "b" else subtract

    def differences(x: Any) -> Any:
        return difference(part(x, place, 1, None), part(x, place, 0, max(x.shape[place] - 1, 0)))

    for _ in range(n):
        x = on_values(differences, x)
    return x


def ediff1d(x: Any, /, to_end: Any = None, to_begin: Any = None) -> Any:
    """Differences of neighbours of the flattened tensor, with other numbers before and after them if given.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.ediff1d(tg.tensor([1, 4, 9]), to_begin=0)
    tensor([0, 3, 5])
    """
    x = lift(x)
    parts = [diff(raveled(x))] if x.size else [reshape(x, (0,))]
    for at, extra in ((0, to_begin), (len(parts) + 1, to_end)):
        if extra is not None:
            parts.insert(at, cast(reshape(lift(extra, x), (-1,)), x.dtype))
    return concat(parts) if len(parts) > 1 else parts[0]
