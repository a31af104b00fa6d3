"""Integrals and derivatives of sampled functions, and interpolation between samples."""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes
from .. import kernels as K
from ..tensor import Tensor
from .cumulative import cumsum, diff, part
from .definition import Function, alone, is_tensor, lift, on_values, primitive
from .elementwise import add, divide, equal, greater, isnan, less, multiply, remainder, subtract, where
from .indexing import take
from .memory import cast, full_like, zeros_like
from .reduction import normalize_axes, single_axis, sum
from .search import searchsorted
from .selection import argsort
from .shape import concat, reshape

__all__ = ["cumulative_trapezoid", "gradient", "interp", "trapezoid"]


_interp: Function = primitive("interp", K.interp, None, None, None)


def _trapezoids(name: str, y: Any, x: Any, dx: float, axis: int) -> tuple[Any, Any, int]:
    """The samples, the distances between neighbouring ones, and the axis counted from 0."""
    y = lift(y)
    if y.dtype.kind in "biu":
        y = cast(y, dtypes.get_default_dtype())
    place = single_axis(name, axis, y.ndim)
    if x is None:
        step: Any = dx
    else:
        x = lift(x, y)
        if x.ndim == 1:
            if x.shape[0] != y.shape[place]:
                raise ValueError(f"{name}: {y.shape[place]} samples along axis {axis}, x of shape {x.shape}")
            step = reshape(diff(x), tuple(-1 if i == place else 1 for i in range(y.ndim)) if x.size > 1 else (0,))
            if x.size < 2:
                step = reshape(step, tuple(0 if i == place else 1 for i in range(y.ndim)))
        else:
            step = diff(x, axis=place - y.ndim + x.ndim if place - y.ndim + x.ndim >= 0 else place)
    return y, step, place


def _areas(y: Any, step: Any, place: int) -> Any:
    sums = add(part(y, place, 1, None), part(y, place, 0, max(y.shape[place] - 1, 0)))
    return multiply(sums, 0.5 * step) if isinstance(step, (int, float)) else multiply(multiply(sums, 0.5), step)


def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    """Integral of ``y`` along ``axis`` by the trapezoidal rule.

    Parameters
    ----------
    x : Tensor, optional
        Where the samples are: of one axis, or of the shape of ``y``.
    dx : float
        Distance between samples if ``x`` is left out.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.trapezoid(tg.tensor([1.0, 2.0, 3.0]))
    tensor(4.)
    """
    y, step, place = _trapezoids("trapezoid", y, x, dx, axis)
    if isinstance(step, (int, float)):
        return on_values(lambda y: sum(_areas(y, step, place), place), y)
    return sum(_areas(y, step, place), place)


def cumulative_trapezoid(
    y: Any, x: Any = None, dx: float = 1.0, axis: int = -1, *, initial: float | None = None
) -> Any:
    """Integrals of ``y`` up to each sample but the first along ``axis``, by the trapezoidal rule.

    Parameters
    ----------
    x, dx
        As for `trapezoid`.
    initial : float, optional
        What is put in front.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.cumulative_trapezoid(tg.tensor([1.0, 2.0, 3.0]), initial=0)
    tensor([0. , 1.5, 4. ])
    """
    y, step, place = _trapezoids("cumulative_trapezoid", y, x, dx, axis)
    total = cumsum(_areas(y, step, place), place)
    if initial is None:
        return total
    return concat([full_like(part(lift(y), place, 0, 1), initial, dtype=total.dtype), total], place)


def gradient(f: Any, *spacing: Any, axis: int | tuple[int, ...] | None = None, edge_order: int = 1) -> Any:
    """Derivatives of a sampled function: second-order differences inside, one-sided ones at the borders.

    Parameters
    ----------
    *spacing : number or Tensor
        One distance for all axes, or for each axis a distance or the places of its samples.
    axis : int or tuple of int, optional
        All axes by default.
    edge_order : {1, 2}
        Accuracy of the differences at the borders.

    Returns
    -------
    Tensor, or tuple of Tensor
        One for each axis.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.gradient(tg.tensor([1.0, 2.0, 4.0, 7.0]))
    tensor([1. , 1.5, 2.5, 3. ])
    """
    f = lift(f)
    if f.dtype.kind in "biu":
        f = cast(f, dtypes.get_default_dtype())
    axes = normalize_axes("gradient", axis, f.ndim)
    if edge_order not in (1, 2):
        raise ValueError(f"gradient: edge_order must be 1 or 2, got {edge_order}")
    if len(spacing) == 1 and not getattr(lift(spacing[0]), "ndim", 0):
        spacing = spacing * len(axes)
    if spacing and len(spacing) != len(axes):
        raise ValueError(f"gradient: {len(spacing)} spacings for {len(axes)} axes")
    found = []
    for k, a in enumerate(axes):
        n = f.shape[a]
        if n < edge_order + 1:
            raise ValueError(f"gradient: axis {a} of shape {f.shape} has fewer than {edge_order + 1} samples")
        found.append(_slope(f, spacing[k] if spacing else 1.0, a, edge_order))
    return found[0] if len(found) == 1 else tuple(found)


def _evenly(f: Any, h: Any, a: int, edge_order: int) -> Any:
    """The derivative along an axis whose samples are a distance ``h`` apart."""

    def at(start: int | None, stop: int | None) -> Any:
        return part(f, a, start, stop)

    n = f.shape[a]
    inner = divide(subtract(at(2, None), at(0, n - 2)), 2 * h)
    if edge_order == 1:
        first, last = divide(subtract(at(1, 2), at(0, 1)), h), divide(subtract(at(n - 1, n), at(n - 2, n - 1)), h)
    else:
        first = divide(subtract(multiply(at(1, 2), 2.0), add(multiply(at(0, 1), 1.5), multiply(at(2, 3), 0.5))), h)
        ends = at(n - 3, n - 2), at(n - 2, n - 1), at(n - 1, n)
        last = divide(subtract(add(multiply(ends[0], 0.5), multiply(ends[2], 1.5)), multiply(ends[1], 2.0)), h)
    return concat([first, inner, last], a)


def _slope(f: Any, step: Any, a: int, edge_order: int) -> Any:
    def at(start: int | None, stop: int | None) -> Any:
        return part(f, a, start, stop)

    n = f.shape[a]
    if isinstance(step, (int, float)):
        return on_values(lambda f: _evenly(f, step, a, edge_order), f)
    places = lift(step, f)
    if not places.ndim:
        return _evenly(f, places, a, edge_order)
    if places.shape != (n,):
        raise ValueError(f"gradient: {n} samples along axis {a}, places of shape {places.shape}")
    gaps = reshape(diff(cast(places, f.dtype)), tuple(n - 1 if i == a else 1 for i in range(f.ndim)))
    before, after = part(gaps, a, 0, n - 2), part(gaps, a, 1, None)
    whole = add(before, after)
    inner = add(
        add(
            multiply(at(0, n - 2), divide(multiply(after, -1.0), multiply(before, whole))),
            multiply(at(1, n - 1), divide(subtract(after, before), multiply(before, after))),
        ),
        multiply(at(2, None), divide(before, multiply(after, whole))),
    )
    if edge_order == 1:
        first = divide(subtract(at(1, 2), at(0, 1)), part(gaps, a, 0, 1))
        last = divide(subtract(at(n - 1, n), at(n - 2, n - 1)), part(gaps, a, n - 2, n - 1))
        return concat([first, inner, last], a)
    h1, h2 = part(gaps, a, 0, 1), part(gaps, a, 1, 2)
    first = _one_sided((at(0, 1), at(1, 2), at(2, 3)), h1, h2)
    h1, h2 = part(gaps, a, n - 2, n - 1), part(gaps, a, n - 3, n - 2)
    last = multiply(_one_sided((at(n - 1, n), at(n - 2, n - 1), at(n - 3, n - 2)), h1, h2), -1.0)
    return concat([first, inner, last], a)


def _one_sided(values: tuple[Any, Any, Any], h1: Any, h2: Any) -> Any:
    """The slope of the parabola through three samples, at the first of them."""
    whole = add(h1, h2)
    c0 = divide(multiply(add(whole, h1), -1.0), multiply(h1, whole))
    c1 = divide(whole, multiply(h1, h2))
    c2 = divide(multiply(h1, -1.0), multiply(h2, whole))
    return add(add(multiply(values[0], c0), multiply(values[1], c1)), multiply(values[2], c2))


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: float | None = None) -> Any:
    """Linear interpolation between the points ``(xp, fp)``; differentiable in all three.

    Parameters
    ----------
    x : Tensor
        Any shape.
    xp, fp : Tensor
        One axis; ``xp`` rising, unless there is a period.
    left, right : number, optional
        The result before the first and after the last point, by default the value there.
    period : float, optional
        Of a periodic function: ``xp`` may then be in any order, and ``left`` and ``right`` mean nothing.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.interp(tg.tensor([0.5, 2.5]), tg.tensor([0.0, 1.0, 2.0]), tg.tensor([3.0, 5.0, 4.0]))
    tensor([4., 4.])
    """
    if not (isinstance(x, Tensor) and isinstance(xp, Tensor) and isinstance(fp, Tensor)):
        like = next((v for v in (x, xp, fp) if isinstance(v, Tensor)), None)
        x, xp, fp = (v if is_tensor(v) else lift(v, like) for v in (x, xp, fp))
    if xp.ndim != 1 or fp.shape != xp.shape or not xp.size:
        raise ValueError(f"interp: needs points of one axis and one size, got shapes {xp.shape} and {fp.shape}")
    dtype = dtypes.result_type(x.dtype, xp.dtype, fp.dtype)
    if dtype.kind in "biu":
        dtype = dtypes.get_default_dtype()
    real = dtype if dtype.kind != "c" else dtypes.promote_types(dtypes.result_type(x.dtype, xp.dtype), dtypes.float32)
    x, xp, fp = cast(x, real), cast(xp, real), cast(fp, dtype)
    if period is not None:
        if period == 0:
            raise ValueError("interp: period must not be 0")
        period = abs(period)
        x, xp = remainder(x, period), remainder(xp, period)
        order = argsort(xp)
        xp, fp = take(xp, order), take(fp, order)
        xp = concat([subtract(xp[-1:], period), xp, add(xp[:1], period)])
        fp = concat([fp[-1:], fp, fp[:1]])
        left = right = None
    elif (
        alone(x, xp, fp) and dtype.kind != "c" and all(v is None or isinstance(v, (int, float)) for v in (left, right))
    ):
        return _interp(x, xp, fp, left, right)
    n = xp.shape[0]
    if n == 1:
        y = add(zeros_like(x), fp[0])
    else:
        below = subtract(searchsorted(xp, x, side="right"), 1)
        below = where(less(below, 0), zeros_like(below), where(greater(below, n - 2), full_like(below, n - 2), below))
        x0, x1, y0, y1 = take(xp, below), take(xp, add(below, 1)), take(fp, below), take(fp, add(below, 1))
        gap = subtract(x1, x0)
        slope = divide(subtract(y1, y0), where(equal(gap, 0), full_like(gap, 1), gap))
        y = add(y0, multiply(slope, subtract(x, x0)))
        y = where(equal(x, x1), y1, y)
    low = fp[0] if left is None else cast(lift(left, fp), dtype)
    high = fp[-1] if right is None else cast(lift(right, fp), dtype)
    y = where(less(x, xp[0]), low, where(greater(x, xp[-1]), high, y))
    return where(isnan(x), full_like(y, math.nan), y)
