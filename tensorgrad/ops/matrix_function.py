"""Powers, exponentials and products of matrices, and the standard's functions of vectors and matrices."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

from .. import dtypes
from .. import kernels as K
from ..backend import device_of, empty
from ..tensor import Tensor
from .arrangement import diagonal as diagonal_of
from .arrangement import trace as trace_of
from .definition import Function, alone, lift, primitive
from .elementwise import multiply, pow
from .linear_system import inv
from .matmul import matmul
from .matrices import LinAlgError, in_half, prepared, require_matrix, require_square
from .memory import cast, eye, ones_like, zeros_like
from .product import _together
from .reduction import single_axis
from .shape import broadcast_to, concat, matrix_transpose, reshape, stack

__all__ = ["cross", "diagonal", "expm", "matrix_exp", "matrix_power", "multi_dot", "outer", "trace", "vander"]


def _exp_vjp(g: Any, x: Any) -> Any:
    """The corner of the exponential of ``((x.T, g), (0, x.T))``: Frechet's derivative in the direction of g."""
    n = x.shape[-1]
    turned = matrix_transpose(x)
    g = broadcast_to(g, turned.shape)
    blocks = concat([concat([turned, g], -1), concat([zeros_like(turned), turned], -1)], -2)
    return _matrix_exp(blocks)[..., :n, n:]


_matrix_exp: Function = primitive("matrix_exp", K.matrix_exp, lambda g, x: _exp_vjp(g, x))


def matrix_exp(x: Any, /) -> Any:
    """Exponentials of square matrices, the sum of ``x**k / k!``.

    By a Pade approximant of the matrix divided by a power of 2, which is squared as often: N. J. Higham, The scaling
    and squaring method for the matrix exponential revisited, SIAM J. Matrix Anal. Appl. 26 (2005). The gradient: A. H.
    Al-Mohy and N. J. Higham, Computing the Frechet derivative of the matrix exponential, SIAM J. Matrix Anal. Appl. 30
    (2009).

    Parameters
    ----------
    x : Tensor
        Shape (..., n, n).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.matrix_exp(tg.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    x, half = prepared(x)
    require_square("matrix_exp", x)
    return in_half(_matrix_exp(x), half)


expm = matrix_exp


def matrix_power(x: Any, n: int, /) -> Any:
    """Products of ``n`` equal square matrices, in about ``2 * log2(n)`` of them; of the inverse for negative ``n``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.matrix_power(tg.tensor([[1.0, 1.0], [0.0, 1.0]]), 5)
    tensor([[1., 5.],
            [0., 1.]])
    """
    x = lift(x)
    require_square("matrix_power", x)
    n = operator.index(n)
    if n == 0:
        return multiply(pow(x, 0), eye(x.shape[-1], dtype=x.dtype, device=x.device))  # its gradient is 0
    if n < 0:
        x, n = inv(x), -n
    y = None
    while True:
        n, odd = divmod(n, 2)
        if odd:
            y = x if y is None else matmul(y, x)
        if not n:
            return y if y is not x else multiply(x, 1)
        x = matmul(x, x)


def multi_dot(arrays: Sequence[Any], /) -> Any:
    """The product of several matrices in the order that takes the fewest multiplications.

    Parameters
    ----------
    arrays : sequence of Tensor
        At least two, of two axes; the first may be a row and the last a column of one axis.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.multi_dot([tg.ones(2, 9), tg.ones(9, 9), tg.ones(9)])
    tensor([81., 81.])
    """
    tensors = _together(*arrays)
    shapes = [x.shape for x in tensors]
    if len(tensors) < 2:
        raise ValueError(f"multi_dot: needs at least two tensors, got {len(tensors)}")
    row, column = tensors[0].ndim == 1, tensors[-1].ndim == 1
    if row:
        tensors[0] = reshape(tensors[0], (1, -1))
    if column:
        tensors[-1] = reshape(tensors[-1], (-1, 1))
    if any(x.ndim != 2 for x in tensors):
        raise LinAlgError(f"multi_dot: needs matrices, only the first and the last may be vectors; got shapes {shapes}")
    for i, (x, y) in enumerate(itertools.pairwise(tensors)):
        if x.shape[1] != y.shape[0]:
            raise LinAlgError(
                f"multi_dot: {x.shape[1]} columns of tensor {i} do not fit {y.shape[0]} rows of tensor {i + 1}, shapes "
                f"{shapes}"
            )
    if len(tensors) == 2:
        y = matmul(*tensors)
    elif len(tensors) == 3:
        a, b, c = tensors
        (m, k), n = a.shape, c.shape[1]
        later = b.shape[1]
        first, last = m * later * (k + n), k * n * (later + m)  # multiplications if it is a @ b first, or b @ c
        y = matmul(matmul(a, b), c) if first < last else matmul(a, matmul(b, c))
    else:
        sizes = [x.shape[0] for x in tensors] + [tensors[-1].shape[1]]
        y = _multiplied(tensors, _cuts(sizes), 0, len(tensors) - 1)
    return reshape(y, (() if row else y.shape[:1]) + (() if column else y.shape[1:])) if row or column else y


def _cuts(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Where to cut each part of a product in two: T. H. Cormen et al., Introduction to Algorithms, chain products."""
    count = len(sizes) - 1
    costs = {(i, i): 0 for i in range(count)}
    cuts: dict[tuple[int, int], int] = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            options = [(costs[i, k] + costs[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)]
            costs[i, j], cuts[i, j] = min(options)
    return cuts


def _multiplied(tensors: list[Any], cuts: dict[tuple[int, int], int], i: int, j: int) -> Any:
    if i == j:
        return tensors[i]
    k = cuts[i, j]
    return matmul(_multiplied(tensors, cuts, i, k), _multiplied(tensors, cuts, k + 1, j))


_cross: Function = primitive(
    "cross",
    K.cross,
    lambda g, x2, axis: _cross(x2, g, axis),
    lambda g, x1, axis: _cross(g, x1, axis),
    broadcasts=True,
)


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Cross products of vectors of 3 elements along ``axis``; the other axes broadcast.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.cross(tg.tensor([1.0, 0.0, 0.0]), tg.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    x1, x2 = _together(x1, x2)
    if x1.dtype.kind == "b":
        raise TypeError("cross: needs numbers, got bool")
    for x in (x1, x2):
        place = single_axis("cross", axis, x.ndim)
        if x.shape[place] != 3:
            raise ValueError(f"cross: axis {axis} must have 3 elements, got shapes {x1.shape} and {x2.shape}")
    if axis >= 0 and x1.ndim != x2.ndim:
        raise ValueError(f"cross: count axis {axis} from the end, because shapes {x1.shape} and {x2.shape} broadcast")
    return _cross(x1, x2, axis if axis < 0 else axis - x1.ndim)


def diagonal(x: Any, /, offset: int = 0) -> Any:
    """The diagonals of the matrices on the last two axes.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.diagonal(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), offset=1)
    tensor([2.])
    """
    x = lift(x)
    require_matrix("diagonal", x)
    return diagonal_of(x, offset=offset, axis1=-2, axis2=-1)


def trace(x: Any, /, offset: int = 0, *, dtype: Any = None) -> Any:
    """Sums of the diagonals of the matrices on the last two axes.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.trace(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)
    """
    x = lift(x)
    require_matrix("trace", x)
    if dtype is not None:
        x = cast(x, dtypes.dtype_of(dtype))
    return trace_of(x, offset=offset, axis1=-2, axis2=-1)


def outer(x1: Any, x2: Any, /) -> Any:
    """All products of an element of one vector with one of another.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.outer(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 10.0])).shape
    (2, 2)
    """
    x1, x2 = _together(x1, x2)
    if x1.ndim != 1 or x2.ndim != 1:
        raise ValueError(f"outer: needs vectors, got shapes {x1.shape} and {x2.shape}")
    return multiply(reshape(x1, (x1.size, 1)), x2)


def vander(x: Any, /, N: int | None = None, *, increasing: bool = True) -> Any:
    """Matrices of powers of the elements of vectors, by default the rising ones 0 to N - 1 (PyTorch's).

    Parameters
    ----------
    x : Tensor
        Shape (..., n).
    N : int, optional
        Number of columns, by default n.
    increasing : bool
        False: the falling powers, N - 1 to 0, as NumPy's ``vander``.

    Returns
    -------
    Tensor
        Shape (..., n, N).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linalg.vander(tg.tensor([2.0, 3.0]), 3)
    tensor([[1., 2., 4.],
            [1., 3., 9.]])
    """
    x = lift(x)
    if not x.ndim:
        raise ValueError("vander: needs vectors, got a scalar")
    count = x.shape[-1] if N is None else operator.index(N)
    if count < 0:
        raise ValueError(f"vander: N must not be negative, got {count}")
    if x.dtype.kind == "b":
        x = cast(x, dtypes.int64)
    if not count:
        return stack([x], axis=-1)[..., :0]
    if alone(x):
        return Tensor(_powers(x._data, count, increasing))
    columns = [ones_like(x)]
    while len(columns) < count:
        columns.append(multiply(columns[-1], x))
    return stack(columns if increasing else columns[::-1], axis=-1)


def _powers(x: Any, count: int, increasing: bool) -> Any:
    """`vander` of an array, column by column in place."""
    y = empty((*x.shape, count), x.dtype, device_of(x))
    rising = y if increasing else y[..., ::-1]
    K.fill(rising[..., 0], 1)
    for k in range(1, count):
        K.multiply(rising[..., k - 1], x, rising[..., k])
    return y
