"""Counting: how often integers occur, and how many numbers fall into intervals."""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Sequence
from typing import Any

from .. import dtypes
from .. import kernels as K
from ..errors import is_integer
from ..tensor import Tensor
from .cumulative import diff
from .definition import Function, alone, lift, primitive
from .elementwise import (
    add,
    divide,
    greater_equal,
    less,
    less_equal,
    logical_and,
    logical_or,
    multiply,
    subtract,
    where,
)
from .indexing import take
from .memory import cast, linspace, zeros
from .quantiles import quantile
from .reduction import any as any_
from .reduction import max, mean, min, std, sum
from .search import flatnonzero, searchsorted
from .shape import raveled, reshape

__all__ = ["bincount", "histc", "histogram", "histogram2d", "histogram_bin_edges", "histogramdd"]

_bincount: Function = primitive("bincount", lambda x, size: K.bincount(x, size), None)
_weighted: Function = primitive(
    "bincount_weighted",
    lambda weights, x, size: K.bincount(x, size, weights),
    lambda g, x: take(g, x),
    None,
)


_counted: Function = primitive("counts", K.counts, None, None, outputs=2)


def _counts(x: Any, size: int, weights: Any) -> Any:
    """`bincount` of indices that are known to be below ``size``."""
    return _bincount(x, size) if weights is None else _weighted(weights, x, size)


def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """How often each integer from 0 to the largest occurs in a vector, or the sums of the weights of each.

    How many there are depends on the values, so that it waits for the device and cannot be captured by `tg.jit`.

    Parameters
    ----------
    weights : Tensor, optional
        Of the size of ``x``; integers count in float64. Differentiable.
    minlength : int
        Least size of the result.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.bincount(tg.tensor([0, 2, 2]))
    tensor([1, 0, 2])
    """
    x = lift(x)
    if x.dtype.kind not in "iu" or x.ndim != 1:
        raise TypeError(f"bincount: needs integers of one axis, got {x.dtype} of shape {x.shape}")
    if minlength < 0:
        raise ValueError(f"bincount: minlength must not be negative, got {minlength}")
    if weights is not None:
        weights = lift(weights)
        if weights.dtype.kind in "biu":
            weights = cast(weights, dtypes.float64)
        if weights.shape != x.shape:
            raise ValueError(f"bincount: {x.size} integers, weights of shape {weights.shape}")
    if alone(x, *(() if weights is None else (weights,))):
        try:
            return _counted(cast(x, dtypes.int64), weights, minlength)[0]
        except ValueError:
            raise ValueError("bincount: there are negative integers") from None
    size = minlength
    if x.size:
        if int(min(x).item()) < 0:
            raise ValueError("bincount: there are negative integers")
        size = builtins.max(int(max(x).item()) + 1, size)
    return _counts(cast(x, dtypes.int64), size, weights)


def _range_of(name: str, x: Any, limits: tuple[float, float] | None) -> tuple[float, float]:
    """The interval to cut up: as given, or that of the numbers, widened if it is a point."""
    if limits is not None:
        low, high = float(limits[0]), float(limits[1])
        if not low <= high or not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError(f"{name}: range must be two finite numbers in order, got {limits}")
    elif not x.size:
        low, high = 0.0, 1.0
    else:
        low, high = float(min(x).item()), float(max(x).item())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError(f"{name}: the numbers are not finite; give a range")
    return (low - 0.5, high + 0.5) if low == high else (low, high)


def _estimated(x: Any, rule: str, limits: tuple[float, float] | None, weights: Any) -> int:
    """The number of bins by one of NumPy's rules."""
    if weights is not None:
        raise TypeError(f"histogram: the number of bins cannot be estimated ({rule!r}) where there are weights")
    rules = ("auto", "doane", "fd", "rice", "scott", "sqrt", "stone", "sturges")
    if rule not in rules:
        raise ValueError(f"histogram: bins must be a number, edges or one of {', '.join(rules)}, got {rule!r}")
    low, high = _range_of("histogram", x, limits)
    if limits is not None:
        inside = logical_and(greater_equal(x, low), less_equal(x, high))
        x = take(x, flatnonzero(inside))
    n, whole = x.size, x.dtype.kind in "iu"
    if not n:
        return 1
    x = cast(x, dtypes.float64)
    extent = float(max(x).item()) - float(min(x).item())
    sturges, root = extent / (math.log2(n) + 1), extent / math.sqrt(n)

    def spread() -> float:
        quarter = quantile(x, [0.75, 0.25])
        return 2.0 * float((quarter[0] - quarter[1]).item()) / math.cbrt(n)

    if rule == "sqrt":
        width = root
    elif rule == "sturges":
        width = sturges
    elif rule == "rice":
        width = extent / (2.0 * n ** (1.0 / 3))
    elif rule == "scott":
        width = (24.0 * math.pi**0.5 / n) ** (1.0 / 3.0) * float(std(x).item())
    elif rule == "fd":
        width = spread()
    elif rule == "auto":
        width = builtins.min(builtins.max(spread(), root / 2), sturges)
    elif rule == "doane":
        width = 0.0
        sigma = float(std(x).item())
        if n > 2 and sigma > 0:
            bias = math.sqrt(6.0 * (n - 2) / ((n + 1.0) * (n + 3)))
            skew = abs(float(mean((subtract(x, mean(x)) / sigma) ** 3).item()))
            width = extent / (1.0 + math.log2(n) + math.log2(1.0 + skew / bias))
    else:
        width = _stone(x, extent, low, high, n)
    if whole and 0 < width < 1:
        width = 1.0
    return math.ceil((high - low) / width) if width else 1


def _stone(x: Any, extent: float, low: float, high: float, n: int) -> float:
    """Width of least estimated squared error (C. J. Stone, An asymptotically optimal histogram rule, 1984)."""
    if n <= 1 or extent == 0:
        return 0.0

    def loss(bins: int) -> float:
        width = extent / bins
        share = histogram(x, bins, (low, high))[0] / n
        return float((2 - (n + 1) * sum(share * share).item()) / width)

    most = builtins.max(100, int(math.sqrt(n)))
    best = 1
    least = loss(1)
    for bins in range(2, most + 1):
        value = loss(bins)
        if value < least:
            best, least = bins, value
    return extent / best


def histogram_bin_edges(x: Any, bins: Any = 10, range: tuple[float, float] | None = None, weights: Any = None) -> Any:
    """The edges of the bins that `histogram` counts in."""
    x = lift(x)
    return _edges("histogram_bin_edges", raveled(x), bins, range, weights)[0]


def _edges(
    name: str, x: Any, bins: Any, limits: tuple[float, float] | None, weights: Any
) -> tuple[Any, tuple[float, float, int] | None]:
    """Edges, and the interval and number of equal bins if they are equal."""
    if isinstance(bins, str):
        bins = _estimated(x, bins, limits, weights)
    given = None if is_integer(bins) else lift(bins)
    if given is None or not given.ndim:
        count = operator.index(bins)
        if count < 1:
            raise ValueError(f"{name}: needs at least one bin, got {count}")
        low, high = _range_of(name, x, limits)
        dtype = x.dtype if x.dtype.kind not in "biu" else dtypes.float64
        return linspace(low, high, count + 1, dtype=dtype, device=x.device), (low, high, count)
    if given.ndim != 1:
        raise ValueError(f"{name}: edges must have one axis, got shape {given.shape}")
    edges = given.to(x.device)
    if bool(any_(less(diff(edges), 0)).item()):
        raise ValueError(f"{name}: edges must not fall")
    return edges, None


_interval_indices: Function = primitive("interval_indices", K.interval_indices, None, None)


def _bins_of(x: Any, edges: Any, equal_bins: tuple[float, float, int] | None) -> Any:
    """The bin of each number; how many there are for one that is in none. The last bin includes its upper edge."""
    count = edges.shape[0] - 1
    if equal_bins is not None:
        if x.dtype.kind in "biu":
            x = cast(x, dtypes.float64)
        return _interval_indices(x, edges, equal_bins[0], equal_bins[1])
    dtype = dtypes.result_type(x.dtype, edges.dtype)
    x, edges = cast(x, dtype), cast(edges, dtype)
    index = subtract(searchsorted(edges, x, side="right"), 1)
    inside = logical_and(greater_equal(x, edges[:1]), less_equal(x, edges[-1:]))
    return where(inside, where(greater_equal(index, count), count - 1, index), count)


def histogram(
    x: Any, bins: Any = 10, range: tuple[float, float] | None = None, density: bool = False, weights: Any = None
) -> tuple[Any, Any]:
    """How many elements are in each of the bins, or the sums of their weights; each includes its lower edge.

    Parameters
    ----------
    bins : int, str, or Tensor
        A number of equal bins, the name of one of NumPy's rules for it (``"auto"``, ``"fd"``, ...), or the edges.
    range : (float, float), optional
        What equal bins divide, by default from the smallest to the largest element, which is read by Python.
    weights : Tensor, optional
        Of the shape of ``x``; differentiable.
    density : bool
        Divide by the widths of the bins and the sum of all.

    Returns
    -------
    tuple of Tensor
        The numbers and the edges, of which there is one more.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.histogram(tg.tensor([1.0, 2.0, 1.0, 4.0]), 3)
    (tensor([2, 1, 1]), tensor([1., 2., 3., 4.]))
    """
    x = lift(x)
    flat = raveled(x)
    if weights is not None:
        weights = lift(weights)
        if weights.shape != x.shape:
            raise ValueError(f"histogram: weights of shape {weights.shape} for shape {x.shape}")
        weights = raveled(weights)
    edges, equal_bins = _edges("histogram", flat, bins, range, weights)
    count = edges.shape[0] - 1
    found = _gathered_counts(_bins_of(flat, edges, equal_bins), count, weights)
    if density:
        found = divide(_share(found, edges), diff(edges))
    return found, edges


def _share(counts: Any, edges: Any) -> Any:
    """The counts divided by their sum, in floating numbers like the edges."""
    if counts.dtype.kind in "biu":
        counts = cast(counts, edges.dtype if edges.dtype.kind not in "biu" else dtypes.float64)
    return divide(counts, sum(counts))


def _gathered_counts(index: Any, count: int, weights: Any) -> Any:
    """Counts of the indices below ``count``."""
    if weights is None:
        return _counts(index, count + 1, None)[:count]
    kind = weights.dtype
    real = cast(weights, dtypes.float64) if kind.kind in "biu" else weights
    total = _counts(index, count + 1, real)[:count]
    return cast(total, dtypes.int64 if kind.kind in "bi" else kind) if kind.kind in "biu" else total


def histogramdd(
    sample: Any,
    bins: Any = 10,
    range: Sequence[tuple[float, float] | None] | None = None,
    density: bool = False,
    weights: Any = None,
) -> tuple[Any, tuple[Any, ...]]:
    """Histogram of points in several dimensions.

    Parameters
    ----------
    sample : Tensor, or sequence of Tensor
        Points as rows, or one vector per coordinate.
    bins : int, or sequence
        For all coordinates, or what `histogram` takes for each.
    range : sequence of (float, float) or None, optional
        For each coordinate.

    Returns
    -------
    Tensor
        With one axis per coordinate.
    tuple of Tensor
        The edges of each.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.histogramdd(tg.tensor([[0.0, 0.0], [1.0, 1.0], [1.0, 0.0]]), 2)[0]
    tensor([[1., 0.],
            [1., 1.]])
    """
    if isinstance(sample, Tensor) or hasattr(sample, "ndim"):
        sample = lift(sample)
        if sample.ndim < 2:
            sample = reshape(sample, (sample.size, 1))
        columns = [sample[:, k] for k in builtins.range(sample.shape[1])]
    else:
        columns = [lift(c) for c in sample]
    count = len(columns)
    each = [bins] * count if is_integer(bins) else list(bins)
    limits = [None] * count if range is None else list(range)
    if len(each) != count or len(limits) != count:
        raise ValueError(f"histogramdd: {count} coordinates, {len(each)} bins and {len(limits)} ranges")
    index: Any = None
    outside: Any = None
    shape, found = [], []
    for x, how, limit in zip(columns, each, limits, strict=True):
        edges, equal_bins = _edges("histogramdd", x, how, limit, weights)
        size = edges.shape[0] - 1
        place = _bins_of(x, edges, equal_bins)
        beyond = greater_equal(place, size)
        index = place if index is None else add(multiply(index, size), place)
        outside = beyond if outside is None else logical_or(outside, beyond)
        shape.append(size)
        found.append(edges)
    index = where(outside, math.prod(shape), index)
    weights = None if weights is None else lift(weights)
    counts = reshape(_gathered_counts(index, math.prod(shape), weights), tuple(shape))
    if counts.dtype.kind in "biu":  # as in NumPy, other than for one coordinate
        counts = cast(counts, found[0].dtype if found[0].dtype.kind not in "biu" else dtypes.float64)
    if density:
        counts = _share(counts, found[0])
        for k, edges in enumerate(found):
            widths = reshape(diff(edges), tuple(-1 if i == k else 1 for i in builtins.range(count)))
            counts = divide(counts, widths)
    return counts, tuple(found)


def histogram2d(
    x: Any,
    y: Any,
    bins: Any = 10,
    range: Sequence[tuple[float, float] | None] | None = None,
    density: bool = False,
    weights: Any = None,
) -> tuple[Any, Any, Any]:
    """Histogram of points in the plane; see `histogramdd`."""
    counts, (first, second) = histogramdd(
        [x, y], [bins, bins] if is_integer(bins) or getattr(bins, "ndim", 0) == 1 else bins, range,
        weights=weights, density=density,
    )  # fmt: skip
    return counts, first, second


def histc(x: Any, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    """How many elements are in each of ``bins`` equal parts of [min, max], in the dtype of ``x``; PyTorch's.

    Parameters
    ----------
    min, max : float
        If they are equal, the smallest and the largest element.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.histc(tg.tensor([1.0, 2.0, 1.0]), 4, 0, 3)
    tensor([0., 2., 1., 0.])
    """
    x = lift(x)
    if max < min:
        raise ValueError(f"histc: max must not be less than min, got {min} and {max}")
    if not x.size:
        return zeros(bins, dtype=x.dtype, device=x.device)
    counts, _ = histogram(x, bins, None if min == max else (min, max))
    return cast(counts, x.dtype)
