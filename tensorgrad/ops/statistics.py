"""Averages with weights, ranges, covariance and correlation."""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes
from ..tensor import Tensor
from .arrangement import diagonal
from .complex_parts import conj, imag_part, join_parts, real_part
from .definition import lift, on_values
from .elementwise import clip, divide, multiply, sqrt, subtract
from .matmul import matmul
from .memory import cast, full_like
from .quantiles import placed_weights
from .reduction import max, mean, min, normalize_axes, sum
from .shape import broadcast_to, concat, expand_dims, matrix_transpose, reshape

__all__ = ["average", "corrcoef", "cov", "ptp"]

Axis = int | tuple[int, ...] | None


def ptp(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """The largest element over ``axis`` minus the smallest.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.ptp(tg.tensor([4, 1, 3]))
    tensor(3)
    """
    return on_values(lambda x: subtract(max(x, axis, keepdims=keepdims), min(x, axis, keepdims=keepdims)), lift(x))


def average(
    x: Any, /, axis: Axis = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False
) -> Any:
    """Weighted mean over ``axis``: ``sum(x * weights) / sum(weights)``.

    Parameters
    ----------
    weights : Tensor, optional
        Of the shape of ``x``, or of its axes ``axis``; 1 if left out.
    returned : bool
        Also return the sum of the weights, in the shape of the result.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.average(tg.tensor([1.0, 2.0]), weights=tg.tensor([3.0, 1.0]))
    tensor(1.25)
    """
    x = lift(x)
    if weights is None:
        y = mean(x, axis, keepdims=keepdims)
        axes = normalize_axes("average", axis, x.ndim)
        return (y, full_like(y, math.prod(x.shape[a] for a in axes))) if returned else y
    weights = lift(weights, x)
    if weights.shape != x.shape:
        axes = normalize_axes("average", axis, x.ndim)
        if axis is None or weights.shape != tuple(x.shape[a] for a in axes):
            raise ValueError(f"average: weights of shape {weights.shape} fit neither {x.shape} nor its axes {axis}")
        weights = placed_weights(weights, axes, x.ndim)
    dtype = dtypes.promote_types(x.dtype, weights.dtype)
    if dtype.kind in "biu":
        dtype = dtypes.get_default_dtype()
    x, weights = cast(x, dtype), broadcast_to(cast(weights, dtype), x.shape)
    total = sum(weights, axis, keepdims=keepdims)
    y = divide(sum(multiply(x, weights), axis, keepdims=keepdims), total)
    return (y, total) if returned else y


def cov(
    x: Any,
    y: Any = None,
    /,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    correction: int | None = None,
) -> Any:
    """Covariances of variables, each a row of observations.

    Parameters
    ----------
    x, y : Tensor
        At most two axes; ``y`` holds further variables.
    rowvar : bool
        False if the variables are columns.
    bias : bool
        Divide by the number of observations instead of by one less.
    ddof, correction : int, optional
        By how much less: NumPy's and PyTorch's name. Overrides ``bias``.
    fweights, aweights : Tensor, optional
        How often each observation counts: as whole numbers, and as relative weights.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.cov(tg.tensor([[1.0, 2.0], [3.0, 1.0]]))
    tensor([[ 0.5, -1. ],
            [-1. ,  2. ]])
    """
    if ddof is not None and correction is not None:
        raise ValueError("cov: ddof and correction mean the same; give one of them")
    less_by = ddof if ddof is not None else correction if correction is not None else 0 if bias else 1
    rows = _variables("cov", x, rowvar)
    if y is not None:
        other = _variables("cov", y, rowvar)
        dtype = dtypes.promote_types(rows.dtype, other.dtype)
        rows = concat([cast(rows, dtype), cast(other, dtype)], 0)
    n = rows.shape[1]
    weights: Any = None
    if fweights is not None:
        fweights = lift(fweights, rows)
        if fweights.dtype.kind not in "iu" and not isinstance(fweights, Tensor):
            raise TypeError(f"cov: fweights must be integers, got {fweights.dtype}")
        weights = cast(fweights, rows.dtype)
    if aweights is not None:
        relative = cast(lift(aweights, rows), rows.dtype)
        weights = relative if weights is None else multiply(weights, relative)
    if weights is None:
        centered = subtract(rows, mean(rows, 1, keepdims=True)) if n else rows
        left, scale = centered, 1.0 / (n - less_by) if n > less_by else math.inf if n else math.nan
        result = multiply(matmul(left, matrix_transpose(conj(centered))), scale)
        return reshape(result, ()) if result.shape == (1, 1) else result
    if weights.shape != (n,):
        raise ValueError(f"cov: {n} observations, weights of shape {weights.shape}")
    total = sum(weights)
    centered = subtract(rows, expand_dims(divide(sum(multiply(rows, weights), 1), total), 1))
    if aweights is None or not less_by:
        factor = subtract(total, less_by)
    else:
        factor = subtract(
            total, divide(multiply(sum(multiply(weights, cast(lift(aweights, rows), rows.dtype))), less_by), total)
        )
    result = divide(matmul(centered, matrix_transpose(conj(multiply(centered, weights)))), factor)
    return reshape(result, ()) if result.shape == (1, 1) else result


def _variables(name: str, x: Any, rowvar: bool) -> Any:
    x = lift(x)
    if x.ndim > 2:
        raise ValueError(f"{name}: needs at most 2 axes, got shape {x.shape}")
    if x.dtype.kind in "biu":
        x = cast(x, dtypes.get_default_dtype())
    if x.ndim < 2:
        return reshape(x, (1, x.size))
    return x if rowvar or x.shape[0] == 1 else matrix_transpose(x)


def corrcoef(x: Any, y: Any = None, /, rowvar: bool = True) -> Any:
    """Correlation coefficients of variables: `cov` divided by the deviations of both, within -1 and 1.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.corrcoef(tg.tensor([[1.0, 2.0], [3.0, 1.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    c = cov(x, y, rowvar=rowvar)
    if not c.ndim:
        return divide(c, c)
    deviation = sqrt(real_part(diagonal(c)))
    r = divide(divide(c, expand_dims(deviation, 1)), deviation)
    if c.dtype.kind == "c":
        return join_parts(clip(real_part(r), -1.0, 1.0), clip(imag_part(r), -1.0, 1.0))
    return clip(r, -1.0, 1.0)
