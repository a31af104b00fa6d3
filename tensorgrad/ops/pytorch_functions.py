"""Functions that PyTorch has in its main namespace, or as methods, and neither NumPy nor the array API standard."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from ..errors import ArgumentError
from ..tensor import Tensor
from . import elementwise, indexing, reduction, shape
from .complex_parts import conj
from .definition import lift

__all__ = [
    "adjoint", "clamp_max", "clamp_min", "hardshrink", "prelu", "rsub", "split_with_sizes", "sum_to_size", "t",
]  # fmt: skip


# ---------------------------------------------------------------------------------------------------------- elementwise
def clamp_min(x: Any, min: Any, /) -> Any:
    """``x``, or ``min`` where it is less: `clip` with a lower limit only.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.clamp_min(tg.tensor([1, 5]), 3)
    tensor([3, 5])
    """
    return elementwise.clip(x, min, None)


def clamp_max(x: Any, max: Any, /) -> Any:
    """``x``, or ``max`` where it is greater: `clip` with an upper limit only.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.clamp_max(tg.tensor([1, 5]), 3)
    tensor([1, 3])
    """
    return elementwise.clip(x, None, max)


def rsub(x: Any, other: Any, /, *, alpha: Any = 1) -> Any:
    """``other - alpha * x``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.rsub(tg.tensor([1, 2]), 10, alpha=2)
    tensor([8, 6])
    """
    x = lift(x, other) if isinstance(other, Tensor) else lift(x)
    return elementwise.subtract(other, x if alpha == 1 else elementwise.multiply(x, alpha))


def hardshrink(input: Any, lambd: float = 0.5) -> Tensor:
    """``input`` where outside of [-lambd, lambd], else 0.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.hardshrink(tg.tensor([-1.0, 0.25, 0.75]))
    tensor([-1.  ,  0.  ,  0.75])
    """
    x = lift(input)
    y: Tensor = elementwise.where(elementwise.less_equal(elementwise.abs(Tensor(x._data)), lambd), 0.0, x)
    return y


def prelu(input: Any, weight: Any) -> Tensor:
    """``input`` where positive, else ``weight * input``, with one weight per channel (axis 1) or one for all.

    Notes
    -----
    He et al., Delving Deep into Rectifiers, 2015.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.prelu(tg.tensor([-2.0, 3.0]), tg.tensor(0.25))
    tensor([-0.5,  3. ])
    """
    x, weight = lift(input), lift(weight)
    if weight.ndim > 1:
        raise ArgumentError(f"prelu: the weight must have 0 or 1 axes, got shape {weight.shape}")
    if weight.size != 1:
        channels = 1 if x.ndim < 2 else x.shape[1]
        if weight.size != channels:
            raise ArgumentError(
                f"prelu: an input of shape {x.shape} has {channels} channels, got {weight.size} weights"
            )
        weight = shape.reshape(weight, (1, -1, *(1,) * (x.ndim - 2)) if x.ndim > 1 else (-1,))
    elif weight.ndim > x.ndim:
        weight = shape.reshape(weight, ())
    y: Tensor = elementwise.where(elementwise.greater(x, 0), x, elementwise.multiply(x, weight))
    return y


# --------------------------------------------------------------------------------------------------------------- shapes
def t(x: Any, /) -> Any:
    """The two axes of a matrix exchanged; a vector or a number as it is.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.t(tg.ones(2, 3)).shape
    (3, 2)
    """
    return lift(x).t()


def adjoint(x: Any, /) -> Any:
    """The last two axes exchanged and the elements conjugated.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.adjoint(tg.tensor([[1 + 2j, 3]]))
    tensor([[1.-2.j],
            [3.-0.j]], dtype=complex64)
    """
    return conj(shape.matrix_transpose(lift(x)))


def split_with_sizes(x: Any, split_sizes: Sequence[int], axis: int = 0) -> tuple[Any, ...]:
    """Views of the given sizes, which add up to that of the axis.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.split_with_sizes(tg.arange(4), [1, 3])
    (tensor([0]), tensor([1, 2, 3]))
    """
    x = lift(x)
    (place,) = reduction.normalize_axes("split_with_sizes", axis, x.ndim)
    sizes = [operator.index(n) for n in split_sizes]
    if any(n < 0 for n in sizes) or sum(sizes) != x.shape[place]:
        raise ValueError(f"split_with_sizes: sizes {sizes} do not add up to axis {axis} of shape {x.shape}")
    parts, start = [], 0
    for n in sizes:
        parts.append(indexing.getitem(x, (*(slice(None),) * place, slice(start, start + n))))
        start += n
    return tuple(parts)


def sum_to_size(x: Any, *size: Any) -> Any:
    """The sums over those axes that broadcasting to the shape of ``x`` from ``size`` would repeat.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.ones(2, 3).sum_to_size(1, 3)
    tensor([[2., 2., 2.]])
    """
    x = lift(x)
    wanted = tuple(size[0] if len(size) == 1 and not hasattr(size[0], "__index__") else size)
    front = x.ndim - len(wanted)
    if front < 0 or any(m not in (1, n) for m, n in zip(wanted, x.shape[front:], strict=True)):
        raise ValueError(f"sum_to_size: shape {x.shape} is not what {wanted} broadcasts to")
    axes = [*range(front), *(front + i for i, m in enumerate(wanted) if m == 1 != x.shape[front + i])]
    return shape.reshape(reduction.sum(x, tuple(axes)), wanted) if axes else x
