"""Functions that PyTorch has in its main namespace, or as methods, and neither NumPy nor the array API standard."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..creation import as_tensor
from ..errors import ArgumentError
from ..tensor import Tensor
from . import elementwise, indexing, memory, reduction, shape
from .calculus import trapezoid
from .complex_parts import conj
from .cumulative import cumsum
from .definition import lift
from .placement import scatter_reduce

__all__ = [
    "adjoint", "clamp_max", "clamp_min", "detach", "fill", "from_file", "from_numpy", "hardshrink", "nonzero_static",
    "prelu", "rsub", "scalar_tensor", "segment_reduce", "split_with_sizes", "sum_to_size", "t", "trapz",
]  # fmt: skip


# ---------------------------------------------------------------------------------------------------------- elementwise
def clamp_min(x: Any, /, min: Any) -> Any:
    """``x``, or ``min`` where it is less: `clip` with a lower limit only.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.clamp_min(tg.tensor([1, 5]), 3)
    tensor([3, 5])
    """
    return elementwise.clip(x, min, None)


def clamp_max(x: Any, /, max: Any) -> Any:
    """``x``, or ``max`` where it is greater: `clip` with an upper limit only.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.clamp_max(tg.tensor([1, 5]), 3)
    tensor([1, 3])
    """
    return elementwise.clip(x, None, max)


def rsub(x: Any, /, other: Any, *, alpha: Any = 1) -> Any:
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


# ---------------------------------------------------------------------------------------------------------- new tensors
def scalar_tensor(value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor without axes, of the default floating dtype unless told otherwise.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.scalar_tensor(3)
    tensor(3.)
    """
    return memory.full((), value, dtype=dtype or dtypes.get_default_dtype(), device=device, requires_grad=requires_grad)


def from_numpy(array: Any, /) -> Tensor:
    """A tensor in the host's memory on that of a NumPy array: a write to one of the two is a write to both.

    Raises
    ------
    TypeError
        If it is no NumPy array, or of a dtype that tensors do not have.
    ValueError
        If its memory is read-only, or its bytes are in the other order.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> a = np.zeros(2)
    >>> tg.from_numpy(a).add_(1).tolist(), a.tolist()
    ([1.0, 1.0], [1.0, 1.0])
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected a NumPy array, got {type(array).__name__}; use tg.asarray")
    if not array.flags.writeable or not array.dtype.isnative:
        what = "read-only" if array.dtype.isnative else array.dtype.str
        raise ValueError(f"from_numpy: memory of a {what} array cannot be shared; use tg.tensor, which copies it")
    return as_tensor(np.asarray(array), device="cpu")


def from_file(filename: Any, shared: bool = False, size: int | None = 0, *, dtype: Any = None) -> Tensor:
    """A vector in the host's memory on the bytes of a file, which are read when they are used.

    Parameters
    ----------
    filename : str or path
    shared : bool
        What is written to the tensor is written to the file, which is made, or lengthened, if it is too short.
    size : int, optional
        How many elements; 0 or None for as many as there are.
    dtype : dtype, optional
        The default floating one if not given.

    Raises
    ------
    ValueError
        If the file is not ``shared`` and too short.

    Examples
    --------
    >>> import os, tempfile
    >>> import tensorgrad as tg
    >>> name = os.path.join(tempfile.mkdtemp(), "numbers")
    >>> x = tg.from_file(name, shared=True, size=3).fill_(7)
    >>> tg.from_file(name)
    tensor([7., 7., 7.])
    """
    chosen = dtypes.get_default_dtype() if dtype is None else dtypes.dtype_of(dtype)
    there = os.path.getsize(filename) if os.path.exists(filename) else 0
    count = size or there // chosen.itemsize
    if count * chosen.itemsize > there:
        if not shared:
            raise ValueError(f"from_file: {filename} has {there} bytes, {count} elements of {chosen} need more")
        with open(filename, "ab") as file:
            file.truncate(count * chosen.itemsize)
    if not count:
        return memory.empty(0, dtype=chosen, device="cpu")
    array = np.memmap(filename, np.uint8, "r+" if shared else "c", shape=(count * chosen.itemsize,))
    return as_tensor(np.asarray(array).view(chosen), device="cpu")


def fill(x: Any, /, value: Any) -> Any:
    """One value everywhere, in the shape, dtype and device of ``x``; gradients flow to the value.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.fill(tg.tensor([1, 2]), 5)
    tensor([5, 5])
    """
    x = lift(x)
    value = memory.cast(lift(value, x), x.dtype)
    if value.ndim:
        raise ValueError(f"fill: the value must be one number, got shape {value.shape}")
    return indexing.replaced(x, value, (...,))


def detach(x: Tensor, /) -> Tensor:
    """The same memory as a tensor that needs no gradient.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.detach(tg.ones(1, requires_grad=True)).requires_grad
    False
    """
    return x.detach()


# ---------------------------------------------------------------------------------------------------- sums and counting
def trapz(y: Any, x: Any = None, *, dx: float = 1.0, axis: int = -1) -> Any:
    """`trapezoid` under PyTorch's older name.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.trapz(tg.tensor([1.0, 2.0, 3.0]))
    tensor(4.)
    """
    return trapezoid(y, x, dx, axis)


def nonzero_static(x: Any, /, *, size: int, fill_value: int = -1) -> Any:
    """The indices of the first ``size`` elements that are not 0, a row for each: a shape that no value decides.

    Parameters
    ----------
    size : int
        How many rows; where there are fewer elements, the rest holds ``fill_value``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nonzero_static(tg.tensor([[1, 0], [0, 2]]), size=3)
    tensor([[ 0,  0],
            [ 1,  1],
            [-1, -1]])
    """
    x = lift(x)
    count = operator.index(size)
    if count < 0:
        raise ValueError(f"nonzero_static: size must be at least 0, got {size}")
    flags = elementwise.not_equal(shape.reshape(x, (x.size,)), 0)
    rank = elementwise.subtract(cumsum(flags), 1)  # of each element among those that are not 0
    place = elementwise.where(elementwise.logical_and(flags, elementwise.less(rank, count)), rank, count)
    at = memory.arange(x.size, device=x.device)
    flat = indexing.scatter(memory.full(count + 1, -1, dtype=dtypes.int64, device=x.device), 0, place, at)[:count]
    rows, steps = [], 1
    for n in reversed(x.shape):
        rows.append(elementwise.remainder(elementwise.floor_divide(flat, steps), max(n, 1)))
        steps *= max(n, 1)
    if not rows:
        return memory.empty((count, 0), dtype=dtypes.int64, device=x.device)
    missing = shape.expand_dims(elementwise.less(flat, 0), 1)
    return elementwise.where(missing, fill_value, shape.stack(rows[::-1], axis=1))


_SEGMENTS = {"sum": "sum", "mean": "sum", "prod": "prod", "max": "amax", "min": "amin"}


def segment_reduce(
    data: Any,
    reduce: str,
    *,
    lengths: Any = None,
    offsets: Any = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: float | None = None,
) -> Any:
    """Elements that follow each other along ``axis`` combined, segment by segment.

    Parameters
    ----------
    data : Tensor
        Floating.
    reduce : {"sum", "mean", "max", "min", "prod"}
        Elements that share an extremum share its gradient evenly.
    lengths, offsets : Tensor of int
        One of the two, of shape ``(*data.shape[:axis], segments)``, or with one more for the offsets, of which the
        first is 0 and the last the length of the axis.
    unsafe : bool
        Do not read the lengths to see whether they fit, which waits for a GPU.
    initial : float, optional
        What each segment starts from. Without it, an empty one gives 0, NaN, -inf, inf or 1.

    Raises
    ------
    ValueError
        If the lengths are negative, or do not add up to the length of the axis.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.segment_reduce(tg.tensor([1.0, 2.0, 3.0]), "max", lengths=tg.tensor([1, 2, 0]))
    tensor([  1.,   3., -inf])
    """
    data = lift(data)
    if reduce not in _SEGMENTS:
        raise ValueError(f"segment_reduce: reduce must be one of {', '.join(_SEGMENTS)}, got {reduce!r}")
    if (lengths is None) == (offsets is None):
        raise ValueError("segment_reduce: needs either lengths or offsets")
    if not dtypes.is_floating(data.dtype):
        raise TypeError(f"segment_reduce: expected floating data, got {data.dtype}")
    (place,) = reduction.normalize_axes("segment_reduce", axis, data.ndim)
    count = data.shape[place]
    if offsets is not None:
        offsets = lift(offsets, data) if not isinstance(offsets, Tensor) else offsets
        lengths = elementwise.subtract(offsets[..., 1:], offsets[..., :-1])
    lengths = memory.cast(lift(lengths, data) if not isinstance(lengths, Tensor) else lengths, dtypes.int64)
    if lengths.ndim != place + 1 or lengths.shape[:-1] != data.shape[:place]:
        raise ValueError(f"segment_reduce: lengths of shape {lengths.shape} do not fit axis {axis} of {data.shape}")
    segments = lengths.shape[-1]
    if not unsafe and lengths.size:
        sums = reduction.sum(lengths, -1)
        if bool(reduction.any(elementwise.less(lengths, 0))) or bool(reduction.any(elementwise.not_equal(sums, count))):
            raise ValueError(f"segment_reduce: the lengths must add up to {count}, the length of axis {axis}")
    ends = elementwise.clip(cumsum(lengths, -1), 0, count)
    marks = memory.zeros((*lengths.shape[:-1], count + 1), dtype=dtypes.int64, device=data.device)
    marks = indexing.scatter_add(marks, place, ends, memory.ones_like(ends))
    which = elementwise.clip(cumsum(marks, -1), 0, max(segments - 1, 0))[..., :count]
    trailing = (1,) * (data.ndim - place - 1)
    start = {"sum": 0.0, "mean": 0.0, "prod": 1.0, "max": -math.inf, "min": math.inf}[reduce]
    shape_ = (*data.shape[:place], segments, *data.shape[place + 1 :])
    base = memory.full(shape_, start if initial is None else initial, dtype=data.dtype, device=data.device)
    if not segments:
        return base
    index = shape.broadcast_to(shape.reshape(which, (*which.shape, *trailing)), data.shape)
    y = scatter_reduce(base, place, index, data, _SEGMENTS[reduce])
    if reduce != "mean":
        return y
    terms = memory.cast(shape.reshape(lengths, (*lengths.shape, *trailing)), data.dtype)
    if initial is None:
        return elementwise.divide(y, terms)
    return elementwise.divide(y, elementwise.maximum(terms, 1.0))
