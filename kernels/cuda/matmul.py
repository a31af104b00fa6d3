"""Matrix products on cuBLAS.

Row-major ``C = A @ B`` is column-major ``C.T = B.T @ A.T``: every operand is passed as it lies in memory, with its
strides, and a transposed view is a flag, not a copy. Half types multiply with float32 accumulation.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import cupy
import numpy as np

from .. import switches
from .gemm import COMPUTE_32F, COMPUTE_32F_FAST_TF32, COMPUTE_64F, DATA_TYPES, cublas
from .module import stored

__all__ = ["accumulate", "linear", "matmul"]

_LOOP_LIMIT = 16  # products launched one by one rather than copying an operand whose batch axes do not merge


Shape = tuple[int, ...]
Call = tuple[int, ...]  # arguments of cuBLAS but the pointers, with an offset in elements in the place of each


def _compute_type(dtype: Any) -> int:
    if dtype.itemsize >= 8 and dtype.char != "F":
        return COMPUTE_64F
    return COMPUTE_32F_FAST_TF32 if switches.allow_tf32 and dtype.char in "fF" else COMPUTE_32F


def _stored_as(rows: int, columns: int, row_stride: int, column_stride: int) -> tuple[int, int] | None:
    """``(0, leading dimension)`` of a row-major matrix, ``(1, leading dimension)`` of a transposed one, else None."""
    if (column_stride == 1 or columns == 1) and (row_stride >= columns or rows == 1):
        return 0, max(row_stride if rows > 1 else columns, columns, 1)
    if (row_stride == 1 or rows == 1) and (column_stride >= rows or columns == 1):
        return 1, max(column_stride if columns > 1 else rows, rows, 1)
    return None


def _merged(shape: Shape, *strides: Shape) -> list[tuple[int, Shape]]:
    """Batch axes as ``(length, strides of every operand)``, merged where all operands allow it."""
    axes: list[tuple[int, Shape]] = []
    for n, *steps in zip(shape, *strides, strict=True):
        if n == 1:
            continue
        if axes and all(outer == inner * n for outer, inner in zip(axes[-1][1], steps, strict=True)):
            axes[-1] = (axes[-1][0] * n, tuple(steps))
        else:
            axes.append((n, tuple(steps)))
    return axes


def _backward(shape: Shape, strides: Shape) -> bool:
    """Whether an axis runs against memory; cuBLAS cannot read that."""
    return any(s < 0 < n - 1 for n, s in zip(shape, strides, strict=True))


def _flipped(shape: Shape) -> Shape:
    return (*shape[:-2], shape[-1], shape[-2])


def _over_batch(shape: Shape, strides: Shape, batch: Shape) -> Shape:
    """Strides of an operand's batch axes, 0 where it is broadcast."""
    missing = len(batch) - (len(shape) - 2)
    return (0,) * missing + tuple(0 if n == 1 else s for n, s in zip(shape[:-2], strides[:-2], strict=True))


@functools.lru_cache(8192)
def _plan(a_shape: Shape, a_strides: Shape, b_shape: Shape, b_strides: Shape, c_shape: Shape, c_strides: Shape) -> Any:
    """The calls to make, and whether ``a`` is their first operand; or the names of arrays to make contiguous first.

    Strides are in elements.
    """
    c_form = _stored_as(*c_shape[-2:], *c_strides[-2:])
    if c_form is None or _backward(c_shape, c_strides):
        return "c"
    flip = c_form[0] == 1  # the result is stored transposed: so is the product
    if flip:
        a_shape, b_shape, c_shape = _flipped(b_shape), _flipped(a_shape), _flipped(c_shape)
        a_strides, b_strides, c_strides = _flipped(b_strides), _flipped(a_strides), _flipped(c_strides)
    names = "ba" if flip else "ab"
    a_form, b_form = _stored_as(*a_shape[-2:], *a_strides[-2:]), _stored_as(*b_shape[-2:], *b_strides[-2:])
    if a_form is None or _backward(a_shape, a_strides):
        return names[0]
    if b_form is None or _backward(b_shape, b_strides):
        return names[1]
    (m, k), n, batch = a_shape[-2:], b_shape[-1], c_shape[:-2]
    c_form = _stored_as(m, n, *c_strides[-2:])
    axes: list[tuple[int, Shape]] = []
    # One matrix for the whole batch: the batch is more rows, if rows follow each other evenly.
    rows = (
        _merged(a_shape[:-1], a_strides[:-1], c_strides[:-1])
        if len(b_shape) == 2 < len(a_shape) == len(c_shape)
        else []
    )
    if len(rows) == 1 and a_strides[-1] == 1 and c_strides[-1] == 1:
        m, (a_step, c_step) = rows[0]
        a_form, c_form = _stored_as(m, k, a_step, 1), _stored_as(m, n, c_step, 1)
    else:
        steps = (_over_batch(a_shape, a_strides, batch), _over_batch(b_shape, b_strides, batch), c_strides[:-2])
        axes = sorted(_merged(batch, *steps), key=lambda axis: axis[0])
        if math.prod(length for length, _ in axes[:-1]) > _LOOP_LIMIT:
            return names
    if a_form is None or c_form is None:
        return names[0]
    count, (a_step, b_step, c_step) = axes.pop() if axes else (1, (0, 0, 0))
    calls = []
    for index in np.ndindex(*(length for length, _ in axes)):
        a_at, b_at, c_at = (sum(i * s[j] for i, (_, s) in zip(index, axes, strict=True)) for j in range(3))
        sizes = (b_form[0], a_form[0], n, m, k)
        calls.append((*sizes, b_at, b_form[1], b_step, a_at, a_form[1], a_step, c_at, c_form[1], c_step, count))
    return tuple(calls), flip


def _strides(x: Any) -> Shape:
    size = x.dtype.itemsize
    return tuple(s // size for s in x.strides)


def _product(a: Any, b: Any, c: Any, beta: float) -> None:
    """``c = a @ b + beta * c`` for arrays of two or more axes whose shapes agree; batch axes broadcast."""
    if not c.size:
        return
    if not a.shape[-1]:
        if not beta:
            c.fill(0)
        return
    plan = _plan(a.shape, _strides(a), b.shape, _strides(b), c.shape, _strides(c))
    if plan == "c":
        whole = cupy.ascontiguousarray(c) if beta else cupy.empty(c.shape, c.dtype)
        _product(a, b, whole, beta)
        c[...] = whole
        return
    if isinstance(plan, str):
        if "a" in plan:
            a = _contiguous(a, c.shape[:-2] if plan != "a" else None)
        if "b" in plan:
            b = _contiguous(b, c.shape[:-2] if plan != "b" else None)
        _product(a, b, c, beta)
        return
    calls, flip = plan
    dtype, gemm = c.dtype, cublas().gemm_strided_batched_ex
    kind, size, compute = DATA_TYPES[dtype], dtype.itemsize, _compute_type(dtype)
    first, second, result = (a if flip else b).data.ptr, (b if flip else a).data.ptr, c.data.ptr
    for ta, tb, m, n, k, at1, ld1, step1, at2, ld2, step2, at, ld, step, count in calls:
        gemm(
            ta, tb, m, n, k, 1.0, first + at1 * size, kind, ld1, step1, second + at2 * size, kind, ld2, step2,
            beta, result + at * size, kind, ld, step, count, compute,
        )  # fmt: skip


def _contiguous(x: Any, batch: Shape | None) -> Any:
    """A copy in C order, with batch axes written out where ``batch`` is given."""
    return cupy.ascontiguousarray(x if batch is None else cupy.broadcast_to(x, batch + x.shape[-2:]))


def _result_shape(x1: Any, x2: Any) -> tuple[int, ...]:
    """Shape of the product of two arrays of two or more axes."""
    if x1.shape[-1] != x2.shape[-2]:
        raise ValueError(
            f"matmul: shapes {x1.shape} and {x2.shape} do not agree: {x1.shape[-1]} != {x2.shape[-2]} "
            "(axis -1 of the first, -2 of the second)"
        )
    batch = np.broadcast_shapes(x1.shape[:-2], x2.shape[:-2]) if x1.ndim > 2 or x2.ndim > 2 else ()
    return (*batch, x1.shape[-2], x2.shape[-1])


def matmul(x1: Any, x2: Any, out: Any | None = None) -> Any:
    """``np.matmul``: stacks broadcast, a vector is a row on the left and a column on the right."""
    if x1.dtype not in DATA_TYPES:
        return stored(cupy.matmul(x1, x2).astype(x1.dtype, copy=False), out)
    a = x1[None, :] if x1.ndim == 1 else x1
    b = x2[:, None] if x2.ndim == 1 else x2
    shape = _result_shape(a, b)
    final = shape[:-2] + (shape[-2:-1] if x1.ndim > 1 else ()) + (shape[-1:] if x2.ndim > 1 else ())
    if out is not None and (out.shape != final or out.dtype != x1.dtype):
        raise ValueError(f"matmul: out has shape {out.shape} and dtype {out.dtype}, the product {final} and {x1.dtype}")
    y = cupy.empty(final, x1.dtype) if out is None else out
    c = y
    if x1.ndim == 1:
        c = c[..., None] if x2.ndim == 1 else c[..., None, :]
    if x2.ndim == 1:
        c = c[..., None]
    _product(a, b, c, 0.0)
    return y


def accumulate(out: Any, x1: Any, x2: Any) -> None:
    """``out += x1 @ x2`` inside the product, for arrays of two or more axes."""
    _product(x1, x2, out, 1.0)


def linear(x: Any, weight: Any, bias: Any | None = None, out: Any | None = None) -> Any:
    """``x @ weight.T + bias``, the bias added into the product's own memory."""
    y = matmul(x, weight.T, out)
    if bias is not None:
        cupy.add(y, bias, out=y)
    return y
