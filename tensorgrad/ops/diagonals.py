"""Diagonals: reading them, making matrices of them, and turning matrices over and around."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from .. import kernels as K
from ..backend import empty as empty_array
from ..backend import resolve_device
from ..tensor import Tensor
from .arrangement import diagonal, on_diagonal
from .definition import alone, lift
from .joining import resize
from .memory import arange, cast
from .reduction import normalize_axes
from .shape import flip, raveled, reshape, swapaxes

__all__ = [
    "diag", "diag_embed", "diag_indices", "diagflat", "fill_diagonal", "fliplr", "flipud", "rot90", "tri",
]  # fmt: skip


def diag(x: Any, /, k: int = 0) -> Any:
    """Of a vector, the matrix that has it on diagonal ``k``; of a matrix, diagonal ``k``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.diag(tg.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    x = lift(x)
    if x.ndim == 1:
        return diag_embed(x, offset=k)
    if x.ndim != 2:
        raise ValueError(f"diag: needs 1 or 2 axes, got shape {x.shape}")
    return diagonal(x, offset=k)


def diagflat(x: Any, /, k: int = 0) -> Any:
    """The matrix that has the flattened tensor on diagonal ``k``."""
    x = lift(x)
    return diag_embed(raveled(x), offset=k)


def diag_embed(x: Any, /, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Any:
    """Matrices with the rows of ``x`` on diagonal ``offset``, zeros elsewhere.

    Parameters
    ----------
    axis1, axis2 : int
        Where the two axes of the matrices are in the result.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.diag_embed(tg.tensor([[1, 2]]), offset=1)
    tensor([[[0, 1, 0],
             [0, 0, 2],
             [0, 0, 0]]])
    """
    x = lift(x)
    if not x.ndim:
        raise ValueError("diag_embed: needs at least one axis, got shape ()")
    first, second = normalize_axes("diag_embed", (axis1, axis2), x.ndim + 1)
    size, lead = x.shape[-1] + abs(offset), iter(x.shape[:-1])
    shape = tuple([size if a in (first, second) else next(lead) for a in range(x.ndim + 1)])
    return on_diagonal(x, shape, offset, first, second)


def diag_indices(n: int, ndim: int = 2, *, device: Any = None) -> tuple[Any, ...]:
    """Indices of the main diagonal of a tensor of ``ndim`` axes of size ``n``."""
    return (arange(n, device=device),) * ndim


def fill_diagonal(x: Tensor, value: Any, wrap: bool = False) -> None:
    """Write a number, or the elements of a tensor over and over, on the main diagonal of ``x``, in place.

    Parameters
    ----------
    wrap : bool
        Start again, one row lower, below the square at the top of a tall matrix.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.zeros(2, 3)
    >>> tg.fill_diagonal(x, 1)
    >>> x
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if x.ndim < 2:
        raise ValueError(f"fill_diagonal: needs at least 2 axes, got shape {x.shape}")
    if x.ndim > 2 and len(set(x.shape)) > 1:
        raise ValueError(f"fill_diagonal: more than 2 axes must have one size, got shape {x.shape}")
    columns = x.shape[1]
    step = columns + 1 if x.ndim == 2 else sum(x.shape[0] ** k for k in range(x.ndim))
    stop = columns * columns if x.ndim == 2 and not wrap else None
    count = len(range(*slice(None, stop, step).indices(x.size)))
    value = cast(lift(value, x), x.dtype)
    if value.ndim:
        value = resize(value, (count,))
    if alone(x, value) and x._data.flags.c_contiguous:
        K.assign(x._data.reshape(-1)[:stop:step], value._data)
        x._written()
        return
    flat = raveled(x)  # a copy where the memory is in another order
    flat[:stop:step] = value
    if not x._data.flags.c_contiguous:
        x[...] = reshape(flat, x.shape)


def fliplr(x: Any, /) -> Any:
    """The order along axis 1 reversed."""
    x = lift(x)
    if x.ndim < 2:
        raise ValueError(f"fliplr: needs at least 2 axes, got shape {x.shape}")
    return flip(x, 1)


def flipud(x: Any, /) -> Any:
    """The order along axis 0 reversed."""
    x = lift(x)
    if not x.ndim:
        raise ValueError("flipud: needs at least one axis, got shape ()")
    return flip(x, 0)


def rot90(x: Any, /, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """The plane of two axes turned by ``k`` right angles, from the first towards the second; a view.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.rot90(tg.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    x = lift(x)
    first, second = normalize_axes("rot90", tuple(axes), x.ndim)
    turns = k % 4
    if turns == 0:
        return flip(x, ())
    if turns == 2:
        return flip(x, (first, second))
    return swapaxes(flip(x, second), first, second) if turns == 1 else flip(swapaxes(x, first, second), second)


def tri(n: int, m: int | None = None, k: int = 0, dtype: Any = None, *, device: Any = None) -> Any:
    """Ones on and below diagonal ``k`` of an n x m matrix, zeros above."""
    rows, columns = max(n, 0), max(n if m is None else m, 0)
    kind = dtypes.get_default_dtype() if dtype is None else dtypes.dtype_of(dtype)
    place = resolve_device(device)
    low, high = min(k, 0), max(k + rows, columns)
    narrow = dtypes.int16 if max(-low, high) < 1 << 15 else dtypes.int64
    numbers = empty_array((high - low,), narrow, place)
    K.arange(numbers, low, 1)
    inside = K.greater_equal(numbers[k - low : k - low + rows, None], numbers[-low : columns - low])
    return Tensor(inside if kind == inside.dtype else K.cast(inside, kind))
