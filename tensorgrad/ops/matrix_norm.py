"""Norms of vectors and matrices, and condition numbers."""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes
from .. import kernels as K
from ..errors import is_integer
from ..tensor import Tensor
from .definition import Function, lift, on_values, primitive
from .elementwise import abs as absolute
from .elementwise import divide, equal, logical_or, multiply, not_equal, pow, sign, where
from .linear_system import inv_ex
from .matrices import LinAlgError, conjugate, in_half, prepared, require_matrix, require_square
from .memory import cast, zeros_like
from .precision import raised
from .reduction import any as any_of
from .reduction import max as largest_of
from .reduction import min as smallest_of
from .reduction import normalize_axes, summed
from .reduction import sum as sum_of
from .shape import broadcast_to, moveaxis, reshape
from .spectrum import svdvals

__all__ = ["cond", "matrix_norm", "norm", "vector_norm"]

Axes = int | tuple[int, ...] | None


# -------------------------------------------------------------------------------------------------------------- vectors
def _spread(g: Any, shape: tuple[int, ...], axis: tuple[int, ...], keepdims: bool) -> Any:
    if not keepdims:
        g = reshape(g, tuple(1 if i in axis else n for i, n in enumerate(shape)))
    return broadcast_to(g, shape)


def _vector_norm_vjp(g: Any, x: Any, out: Any, axis: tuple[int, ...], keepdims: bool, order: float) -> Any:
    """The gradient of a norm; 0 where the norm is 0, which has none there but 0 among its subgradients."""
    shape = x.shape
    if order == 0:
        return zeros_like(x)
    if order == 1:
        return multiply(sign(x), cast(_spread(g, shape, axis, keepdims), x.dtype))
    if order == 2:
        slope = where(equal(out, 0), 0.0, divide(g, where(equal(out, 0), 1.0, out)))
        return multiply(x, cast(_spread(slope, shape, axis, keepdims), x.dtype))
    top = _spread(out, shape, axis, keepdims)
    size = absolute(x)
    if math.isinf(order):
        attained = cast(equal(size, top), g.dtype)
        share = divide(attained, summed(attained, axis, True))
        return multiply(sign(x), cast(multiply(_spread(g, shape, axis, keepdims), share), x.dtype))
    nothing = logical_or(equal(top, 0), equal(size, 0))
    ratio = where(nothing, 1.0, divide(size, where(equal(top, 0), 1.0, top)))
    slope = where(nothing, 0.0, pow(ratio, order - 1))
    return multiply(sign(x), cast(multiply(_spread(g, shape, axis, keepdims), slope), x.dtype))


_vector_norm: Function = primitive(
    "vector_norm",
    K.vector_norm,
    lambda g, x, out, axis, keepdims, ord: conjugate(_vector_norm_vjp(g, x, out, axis, keepdims, ord)),
)


def vector_norm(x: Any, /, ord: float = 2, axis: Axes = None, keepdims: bool = False, *, dtype: Any = None) -> Any:
    """``sum(abs(x) ** ord) ** (1 / ord)`` over ``axis``, of all elements by default.

    Infinity gives the largest size, minus infinity the smallest, 0 the number of elements that are not 0. Where a norm
    is 0 its gradient is taken as 0, and elements that share the largest size share its gradient.

    Parameters
    ----------
    x : Tensor
    ord : float
    axis : int or tuple of int, optional
    keepdims : bool
    dtype : dtype, optional
        What to cast to first.

    Returns
    -------
    Tensor
        Real.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.vector_norm(tg.tensor([3.0, 4.0]))
    tensor(5.)
    """
    if isinstance(ord, bool) or not isinstance(ord, (int, float)):
        raise ValueError(f"vector_norm: ord must be a number, got {ord!r}")
    x = _floating("vector_norm", x, dtype)
    if axis is None and ord == 2:
        return _vector_norm(x, tuple(range(x.ndim)), keepdims, 2.0)
    axes = normalize_axes("vector_norm", axis, x.ndim)
    nothing = math.prod(x.shape[a] for a in axes) == 0 and math.prod(n for i, n in enumerate(x.shape) if i not in axes)
    if nothing and (ord < 0 or math.isinf(ord)):
        raise ValueError(f"vector_norm: there is no norm of order {ord} of no elements, axis {axis} of {x.shape}")
    return _vector_norm(x, axes, keepdims, float(ord))


def _floating(name: str, x: Any, dtype: Any) -> Any:
    if dtype is None and isinstance(x, Tensor) and x.dtype.char in "fdFD":
        return x
    x = raised(lift(x))
    if dtype is not None:
        kind = dtypes.dtype_of(dtype)
        if kind.kind in "biu":
            raise TypeError(f"{name}: dtype must be floating or complex, got {kind}")
        return cast(x, kind)
    return cast(x, dtypes.get_default_dtype()) if x.dtype.kind in "biu" else x


# ------------------------------------------------------------------------------------------------------------- matrices
def matrix_norm(
    x: Any,
    /,
    ord: float | str | None = "fro",
    axis: tuple[int, int] = (-2, -1),
    keepdims: bool = False,
    *,
    dtype: Any = None,
) -> Any:
    """Norms of the matrices on two axes, the last by default.

    Parameters
    ----------
    x : Tensor
        Shape (..., m, n).
    ord : {"fro", "nuc", 1, -1, 2, -2, inf, -inf}
        ``"fro"``: of all elements as a vector; ``"nuc"``: sum of the singular values; 2 and -2: the largest and the
        smallest one; 1 and -1: the largest and smallest sum of sizes of a column; the infinities: of a row.
    axis : (int, int)
        Of the rows and of the columns.
    keepdims : bool
    dtype : dtype, optional
        What to cast to first.

    Returns
    -------
    Tensor
        Real.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.matrix_norm(tg.tensor([[3.0, 0.0], [0.0, 4.0]]), ord="nuc")
    tensor(7.)
    """
    x = _floating("matrix_norm", x, dtype)
    require_matrix("matrix_norm", x)
    axes = normalize_axes("matrix_norm", axis, x.ndim)
    if len(axes) != 2:
        raise ValueError(f"matrix_norm: axis must name two axes, got {axis}")
    row, column = axes
    if ord is None or ord == "fro":
        return _vector_norm(x, axes, keepdims, 2.0)
    if ord in (1, -1, math.inf, -math.inf):
        summed_over, chosen = (row, column) if abs(ord) == 1 else (column, row)
        sums = _vector_norm(x, (summed_over,), True, 1.0)
        if not x.shape[chosen]:
            return _empty_norm(ord, x, axes, keepdims)
        y = (largest_of if ord > 0 else smallest_of)(sums, axis=chosen, keepdims=True)
    elif ord in (2, -2, "nuc"):
        kind = x.dtype
        s = svdvals(moveaxis(x, axes, (-2, -1)))
        if not s.shape[-1] and ord != "nuc":
            return _empty_norm(ord, x, axes, keepdims)
        y = sum_of(s, axis=-1) if ord == "nuc" else (largest_of if ord == 2 else smallest_of)(s, axis=-1)
        y = cast(y, kind) if kind.itemsize == 2 else y
    else:
        raise ValueError(f"matrix_norm: ord must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, got {ord!r}")
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes)
    return reshape(y, shape)


def _empty_norm(ord: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    """The largest of nothing is the norm 0; there is no smallest."""
    if ord < 0:
        raise ValueError(f"matrix_norm: there is no norm of order {ord} of matrices without elements, shape {x.shape}")
    return _vector_norm(x, axes, keepdims, 2.0)


def norm(
    x: Any, /, ord: float | str | None = None, axis: Axes = None, keepdims: bool = False, *, dtype: Any = None
) -> Any:
    """A norm of vectors or of matrices, as ``numpy.linalg.norm`` and ``torch.linalg.norm``.

    Without ``axis``, a tensor of one axis is a vector and one of two a matrix; without ``ord`` either, any tensor is
    taken as one long vector. With ``axis``, one axis is that of vectors, two are those of matrices. Without ``ord`` it
    is the root of the sum of squares.

    Raises
    ------
    ValueError
        If there are neither one nor two axes and an ``ord``.

    See Also
    --------
    vector_norm, matrix_norm

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.norm(tg.tensor([[3.0, 0.0], [0.0, 4.0]]), 2)
    tensor(4.)
    """
    x = lift(x)
    if ord is None and (axis is None or is_integer(axis) or len(axis) == 1):  # type: ignore[arg-type]
        return vector_norm(x, 2, axis, keepdims, dtype=dtype)
    axes = normalize_axes("norm", axis, x.ndim)
    if len(axes) == 1 and ord is not None:
        if isinstance(ord, str):
            raise ValueError(f"norm: order {ord!r} is one of matrices, got axis {axis} of shape {x.shape}")
        return vector_norm(x, ord, axes, keepdims, dtype=dtype)
    if len(axes) == 2:
        return matrix_norm(x, ord, axes, keepdims, dtype=dtype)
    raise ValueError(f"norm: order {ord!r} is one of vectors or matrices; name one or two axes of shape {x.shape}")


def _ratio_of_ends(x: Any, s: Any, turned: bool) -> Any:
    """The largest singular value over the smallest, or the smallest over the largest."""
    first, last = s[..., :1], s[..., -1:]
    y = divide(last, first) if turned else divide(first, last)
    y = reshape(y, y.shape[:-1])
    missing = any_of(not_equal(x, x), axis=(-2, -1))
    # 0 / 0: a matrix of zeros is singular
    return where(logical_or(missing, equal(y, y)), y, math.inf)


def cond(x: Any, /, p: float | str | None = None) -> Any:
    """Condition numbers: the largest singular value over the smallest, or a norm times that of the inverse.

    Parameters
    ----------
    x : Tensor
        Shape (..., m, n); square unless ``p`` is None, 2 or -2.
    p : {None, 2, -2, "fro", "nuc", 1, -1, inf, -inf}
        None is 2; -2 is the smallest over the largest; others are orders of `matrix_norm`.

    Returns
    -------
    Tensor
        Infinity for singular matrices.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.cond(tg.tensor([[4.0, 0.0], [0.0, 2.0]]))
    tensor(2.)
    """
    x, half = prepared(x)
    require_matrix("cond", x)
    if p is None or p in (2, -2):
        if not min(x.shape[-2:]):
            raise LinAlgError(f"cond: matrices without elements have no condition number, shape {x.shape}")
        return in_half(on_values(lambda x, s: _ratio_of_ends(x, s, p == -2), x, svdvals(x)), half)
    require_square("cond", x)
    if not x.shape[-1]:
        raise LinAlgError(f"cond: matrices without elements have no condition number, shape {x.shape}")
    inverse, info = inv_ex(x)
    y = multiply(matrix_norm(x, p), matrix_norm(inverse, p))
    return in_half(where(equal(info, 0), y, math.inf), half)
