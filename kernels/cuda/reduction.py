"""Reductions on CUDA: own kernels for real dtypes, CuPy's for complex ones. Half types accumulate in float32."""

from __future__ import annotations

import builtins
import functools
import math
from typing import Any, NamedTuple

import cupy
import numpy as np

from .elementwise import where
from .module import FLOATS, REALS, blocks, by_value, c_name, from_number, is_half, launch, stored

__all__ = [
    "INSTANTIATIONS",
    "all",
    "any",
    "argmax",
    "argmin",
    "logsumexp",
    "max",
    "mean",
    "min",
    "nanmax",
    "nanmin",
    "nanvar",
    "prod",
    "std",
    "sum",
    "var",
    "vector_norm",
]

Axis = int | tuple[int, ...] | None
Dims = list[tuple[int, int]]  # (length, stride in elements), outermost first

_OPERATIONS = {
    **dict.fromkeys(("Sum", "Prod", "Max", "Min", "ArgMax", "ArgMin", "Any", "All"), REALS),
    **dict.fromkeys(("Mean", "Var", "Std", "LogSumExp", "SumOfSizes", "Norm"), FLOATS),
}
_STATE_BYTES = 24  # of the largest state, Var<double>
INSTANTIATIONS = {
    "reduction": [
        f"{kernel}<{op}<{t}>>"
        for op, types in _OPERATIONS.items()
        for t in types
        for kernel in ("reduce_rows", "reduce_columns", "merge_partials")
    ]
}


def _axes(ndim: int, axis: Axis) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    return tuple(sorted(a % ndim for a in ((axis,) if isinstance(axis, int) else axis)))


def collapsed(shape: tuple[int, ...], strides: tuple[int, ...]) -> Dims:
    """The same elements in the same order with as few axes as possible."""
    dims: Dims = []
    for n, s in zip(shape, strides, strict=True):
        if n == 1:
            continue
        if dims and dims[-1][1] == s * n:
            dims[-1] = (dims[-1][0] * n, s)
        else:
            dims.append((n, s))
    return dims


def _two(dims: Dims) -> tuple[int, int, int, int]:
    """Total length, inner length and the two strides of at most two axes."""
    (n0, s0), (n1, s1) = [*[(1, 0)] * (2 - len(dims)), *dims]
    return n0 * n1, n1, s0, s1


def lanes_for(n: int) -> tuple[int, int]:
    """Block shape for rows of ``n``: threads per row, rows per block."""
    if n > 1024:
        return (128 if n <= 4096 else 256 if n <= 16384 else 512), 1
    lanes = 1
    while lanes < 32 and lanes * 4 < n:
        lanes *= 2
    return lanes, 256 // lanes


class _Plan(NamedTuple):
    """How to reduce arrays of one shape and stride: made once for each."""

    shape: tuple[int, ...]  # of the result
    keepdims_shape: tuple[int, ...]
    transposed: tuple[int, ...] | None  # axes of a copy to make first, where there are too many separate ones
    kernel: str
    grid: tuple[int, int]
    block: tuple[int, int]
    splits: int
    kept: int
    n: int
    numbers: Any


@functools.lru_cache(4096)
def _plan(shape: tuple[int, ...], strides: tuple[int, ...], size: int, axis: Axis) -> _Plan:
    axes = _axes(len(shape), axis)
    others = tuple(a for a in range(len(shape)) if a not in axes)
    results = tuple(shape[a] for a in others), tuple(1 if a in axes else m for a, m in enumerate(shape))
    kept, n = math.prod(results[0]), math.prod(shape[a] for a in axes)
    if not kept or not n:  # nothing to read: every result is the operation's value of nothing
        numbers = by_value(kept, kept or 1, 0, 0, 0, 0, 0, 0, 1, 0)
        return _Plan(*results, None, "reduce_rows", (blocks(kept, 256), 1), (1, 256), 1, kept, 0, numbers)
    kept_dims, dims = (
        collapsed(tuple(shape[a] for a in part), tuple(strides[a] // size for a in part)) for part in (others, axes)
    )
    transposed = None
    if len(kept_dims) > 2 or len(dims) > 2:
        transposed, kept_dims, dims = (*others, *axes), [(kept, n)], [(n, 1)]
    _, kept_inner, *kept_strides = _two(kept_dims)
    _, n_inner, *n_strides = _two(dims)
    nearest_kept, nearest = abs(kept_strides[1]) or 1 << 62, abs(n_strides[1]) or 1 << 62
    if kept_inner >= 8 and n > 1 and nearest_kept < nearest:
        kernel, block, per_block = "reduce_columns", (32, 8), 32
        splits = builtins.min(blocks(n, 64), blocks(1024, blocks(kept, 32)))
    else:
        kernel, block = "reduce_rows", lanes_for(n)
        per_block = block[1]
        splits = builtins.min(blocks(n, 4096), blocks(512, blocks(kept, per_block))) if block[0] > 32 else 1
    chunk = blocks(blocks(n, splits), 64) * 64
    splits = blocks(n, chunk)
    numbers = by_value(kept, kept_inner, *kept_strides, n, n_inner, *n_strides, splits, chunk)
    return _Plan(*results, transposed, kernel, (blocks(kept, per_block), splits), block, splits, kept, n, numbers)


def _reduce(op: str, x: Any, axis: Axis, keepdims: bool, dtype: Any, out: Any, correction: float = 0.0) -> Any:
    plan = _plan(x.shape, x.strides, x.dtype.itemsize, axis)
    shape = plan.keepdims_shape if keepdims else plan.shape
    direct = out is not None and out.flags.c_contiguous and out.dtype == dtype and out.shape == shape
    y = out if direct else cupy.empty(shape, dtype)
    operation = f"{op}<{c_name(x.dtype)}>"
    if plan.transposed is not None:
        x = cupy.ascontiguousarray(x.transpose(plan.transposed))
    if plan.splits == 1:
        launch("reduction", f"{plan.kernel}<{operation}>", plan.grid, plan.block, (x, y, y, plan.numbers, correction))
    else:
        partial = cupy.empty(plan.kept * plan.splits * _STATE_BYTES, np.uint8)
        arguments: tuple[Any, ...] = (x, y, partial, plan.numbers, correction)
        launch("reduction", f"{plan.kernel}<{operation}>", plan.grid, plan.block, arguments)
        block = lanes_for(plan.splits)
        arguments = (partial, y, plan.kept, plan.splits, float(plan.n), correction)
        launch("reduction", f"merge_partials<{operation}>", (blocks(plan.kept, block[1]),), block, arguments)
    return stored(y, out)


def _complex(name: str, x: Any, axis: Axis, keepdims: bool, out: Any | None) -> Any:
    return stored(getattr(cupy, name)(x, axis=axis, keepdims=keepdims), out)


def sum(x: Any, axis: Axis = None, keepdims: bool = False, out: Any | None = None) -> Any:
    """Sum over ``axis``; 0 where there is nothing to add."""
    if x.dtype.kind == "c":
        return _complex("sum", x, axis, keepdims, out)
    return _reduce("Sum", x, axis, keepdims, x.dtype, out)


def prod(x: Any, axis: Axis = None, keepdims: bool = False, out: Any | None = None) -> Any:
    """Product over ``axis``; 1 where there is nothing to multiply."""
    if x.dtype.kind == "c":
        return _complex("prod", x, axis, keepdims, out)
    return _reduce("Prod", x, axis, keepdims, x.dtype, out)


def mean(x: Any, axis: Axis = None, keepdims: bool = False, out: Any | None = None) -> Any:
    """Sum over ``axis`` divided by the number of terms; NaN where there is none."""
    if x.dtype.kind == "c":
        return _complex("mean", x, axis, keepdims, out)
    if x.dtype.kind in "biu":
        total = _reduce("Sum", x, axis, keepdims, x.dtype, None)
        count = x.size // total.size if total.size else 0
        return stored((total / count).astype(x.dtype), out)
    return _reduce("Mean", x, axis, keepdims, x.dtype, out)


def var(x: Any, axis: Axis = None, keepdims: bool = False, correction: float = 0.0, out: Any | None = None) -> Any:
    """Mean squared distance from the mean, divided by ``n - correction``."""
    return _reduce("Var", x, axis, keepdims, x.dtype, out, float(correction))


def std(x: Any, axis: Axis = None, keepdims: bool = False, correction: float = 0.0, out: Any | None = None) -> Any:
    """Square root of `var`."""
    return _reduce("Std", x, axis, keepdims, x.dtype, out, float(correction))


def _extreme(op: str, x: Any, axis: Axis, keepdims: bool, dtype: Any, out: Any | None) -> Any:
    if not x.size and not math.prod(x.shape[a] for a in _axes(x.ndim, axis)):
        raise ValueError(f"{op.lower()}: no element to choose from over axis {axis} of shape {x.shape}")
    return _reduce(op, x, axis, keepdims, dtype, out)


def max(x: Any, axis: Axis = None, keepdims: bool = False, out: Any | None = None) -> Any:
    """Largest element over ``axis``; NaN if there is one."""
    return _extreme("Max", x, axis, keepdims, x.dtype, out)


def min(x: Any, axis: Axis = None, keepdims: bool = False, out: Any | None = None) -> Any:
    """Smallest element over ``axis``; NaN if there is one."""
    return _extreme("Min", x, axis, keepdims, x.dtype, out)


def _number(name: str, x: Any, axis: Axis, keepdims: bool, out: Any | None) -> Any:
    """An extremum of what is not NaN."""
    if x.dtype.kind in "biu":
        return _extreme(name, x, axis, keepdims, x.dtype, out)
    missing = cupy.isnan(x)
    least = from_number(-math.inf if name == "Max" else math.inf, x.dtype)
    y = _extreme(name, where(missing, least, x), axis, keepdims, x.dtype, None)
    nothing = _reduce("All", missing, axis, keepdims, np.dtype(bool), None)
    return stored(where(nothing, from_number(math.nan, x.dtype), y), out)


def nanmax(x: Any, axis: Axis = None, keepdims: bool = False, out: Any | None = None) -> Any:
    """Largest element over ``axis`` that is not NaN; NaN if all are."""
    return _number("Max", x, axis, keepdims, out)


def nanmin(x: Any, axis: Axis = None, keepdims: bool = False, out: Any | None = None) -> Any:
    """Smallest element over ``axis`` that is not NaN; NaN if all are."""
    return _number("Min", x, axis, keepdims, out)


def nanvar(x: Any, axis: Axis = None, keepdims: bool = False, correction: float = 0.0, out: Any | None = None) -> Any:
    """`var` of what is not NaN; NaN where that is not more than ``correction`` elements."""
    wide = np.dtype(np.float32) if is_half(x.dtype) else x.dtype
    values = x.astype(wide)
    valid = ~cupy.isnan(values)
    count = sum(valid.astype(wide), axis, True)
    center = sum(cupy.where(valid, values, 0).astype(wide, copy=False), axis, True) / count
    distance = cupy.where(valid, values - center, 0).astype(wide, copy=False)
    left = count - correction
    y = sum(distance * distance, axis, True) / cupy.where(left > 0, left, float("nan")).astype(wide, copy=False)
    if not keepdims:
        y = y.reshape([n for a, n in enumerate(y.shape) if a not in _axes(x.ndim, axis)])
    return stored(y.astype(x.dtype, copy=False), out)


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False, out: Any | None = None) -> Any:
    """``log(sum(exp(x)))``, relative to the running maximum so that nothing overflows."""
    return _reduce("LogSumExp", x, axis, keepdims, x.dtype, out)


def any(x: Any, axis: Axis = None, keepdims: bool = False, out: Any | None = None) -> Any:
    """Whether one element over ``axis`` is true."""
    return _reduce("Any", x != 0 if x.dtype.kind == "c" else x, axis, keepdims, np.dtype(bool), out)


def all(x: Any, axis: Axis = None, keepdims: bool = False, out: Any | None = None) -> Any:
    """Whether every element over ``axis`` is true."""
    return _reduce("All", x != 0 if x.dtype.kind == "c" else x, axis, keepdims, np.dtype(bool), out)


def argmax(x: Any, axis: Axis = None, keepdims: bool = False, out: Any | None = None) -> Any:
    """Index (int64) of the first largest element, or of the first NaN; over several axes, of the flattened ones."""
    return _extreme("ArgMax", x, axis, keepdims, np.dtype(np.int64), out)


def argmin(x: Any, axis: Axis = None, keepdims: bool = False, out: Any | None = None) -> Any:
    """Index (int64) of the first smallest element, or of the first NaN; over several axes, of the flattened ones."""
    return _extreme("ArgMin", x, axis, keepdims, np.dtype(np.int64), out)


def vector_norm(x: Any, axis: Axis = None, keepdims: bool = False, ord: float = 2.0, out: Any | None = None) -> Any:
    """``sum(abs(x) ** ord) ** (1 / ord)``; the largest or smallest size for infinities, the number of sizes for 0."""
    if x.dtype.kind == "c":
        x = cupy.abs(x)
    if ord == 2:
        return _reduce("Norm", x, axis, keepdims, x.dtype, out)
    if ord == 1:
        return _reduce("SumOfSizes", x, axis, keepdims, x.dtype, out)
    if ord in (math.inf, -math.inf):
        return _extreme("Max" if ord > 0 else "Min", cupy.abs(x), axis, keepdims, x.dtype, out)
    wide = x.astype(np.float32) if is_half(x.dtype) else x
    if ord == 0:
        y = _reduce("Sum", (wide != 0).astype(wide.dtype), axis, keepdims, wide.dtype, None)
    else:
        y = _reduce("Sum", cupy.abs(wide) ** ord, axis, keepdims, wide.dtype, None) ** (1 / ord)
    return stored(y.astype(x.dtype, copy=False), out)
