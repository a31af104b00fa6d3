"""Further names that NumPy and PyTorch have for functions of this library, and short products and sums of them."""

from __future__ import annotations

from typing import Any

from ..creation import asarray
from . import arrangement, complex_parts, elementwise, indexing, matmul, memory, product, reduction, shape
from . import pytorch_methods as methods
from .definition import lift
from .elementwise import multiply
from .numbers import deg2rad, rad2deg
from .pytorch_methods import addmm, bmm, div, expand, mm, mv, numel, weighted

__all__ = [
    "absolute", "addbmm", "addmm", "addmv", "addr", "amax", "amin", "arccos", "arccosh", "arcsin", "arcsinh",
    "arctan", "arctan2", "arctanh", "around", "asanyarray", "asarray_chkfinite", "ascontiguousarray", "baddbmm",
    "bitwise_not", "bmm", "broadcast_tensors", "cat", "clamp", "concatenate", "conjugate", "copy", "degrees", "div",
    "dot", "eq", "expand", "fix", "ge", "ger", "gt", "invert", "le", "left_shift", "lt", "mm", "mod", "movedim",
    "mul", "mv", "narrow", "ne", "neg", "numel", "permute", "power", "radians", "ravel", "repeat_interleave",
    "right_shift", "rint", "std_mean", "sub", "swapdims", "take_along_dim", "transpose", "true_divide", "unbind",
    "unflatten", "unsqueeze", "var_mean",
]  # fmt: skip

absolute, arccos, arccosh, arcsin = elementwise.abs, elementwise.acos, elementwise.acosh, elementwise.asin
arcsinh, arctan, arctan2, arctanh = elementwise.asinh, elementwise.atan, elementwise.atan2, elementwise.atanh
around, bitwise_not, invert = elementwise.round, elementwise.bitwise_invert, elementwise.bitwise_invert
left_shift, right_shift = elementwise.bitwise_left_shift, elementwise.bitwise_right_shift
power, mod, true_divide, fix = elementwise.pow, elementwise.remainder, elementwise.divide, elementwise.trunc
mul, sub, neg, clamp = elementwise.multiply, elementwise.subtract, elementwise.negative, elementwise.clip
eq, ne, lt, le = elementwise.equal, elementwise.not_equal, elementwise.less, elementwise.less_equal
gt, ge = elementwise.greater, elementwise.greater_equal
degrees, radians = rad2deg, deg2rad
amax, amin = reduction.max, reduction.min
cat = concatenate = shape.concat
movedim, swapdims, unsqueeze, permute = shape.moveaxis, shape.swapaxes, shape.expand_dims, shape.permute_dims
broadcast_tensors = shape.broadcast_arrays
repeat_interleave = arrangement.repeat
copy, conjugate = memory.clone, complex_parts.conj
asanyarray = asarray
ger = product.outer


def rint(x: Any, /) -> Any:
    """The nearest integer, halves to even."""
    return elementwise.round(x)


def ravel(x: Any, /) -> Any:
    """All elements in one axis; a view where possible."""
    x = lift(x)
    return shape.reshape(x, (x.size,))


def transpose(x: Any, /, *axes: Any) -> Any:
    """The axes in another order, by default reversed; two numbers exchange two axes, as in PyTorch.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.transpose(tg.ones(2, 3, 4)).shape, tg.transpose(tg.ones(2, 3, 4), 0, 1).shape
    ((4, 3, 2), (3, 2, 4))
    """
    return lift(x).transpose(*(axes if axes != (None,) else ()))


def narrow(x: Any, axis: int, start: int, length: int) -> Any:
    """The view of ``length`` entries of an axis from ``start`` on."""
    return methods.narrow(x, axis, start, length)


def unflatten(x: Any, axis: int, sizes: Any) -> Any:
    """An axis as several, of the given sizes; one may be -1."""
    return methods.unflatten(x, axis, sizes)


def take_along_dim(x: Any, indices: Any, /, axis: int | None = None) -> Any:
    """`take_along_axis`, but without an axis of all elements in one, as in PyTorch.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.take_along_dim(tg.tensor([[10, 30], [20, 40]]), tg.tensor([[3, 0]]))
    tensor([40, 10])
    """
    if axis is None:
        return indexing.take_along_axis(ravel(x), ravel(indices), axis=0)
    return indexing.take_along_axis(x, indices, axis=axis)


def unbind(x: Any, axis: int = 0) -> tuple[Any, ...]:
    """The views at every index of an axis: PyTorch's name for `unstack`."""
    return shape.unstack(x, axis=axis)


# ------------------------------------------------------------------------------------------------------------- products
def dot(x1: Any, x2: Any, /) -> Any:
    """NumPy's product: of vectors their inner product, else sums over the last axis of ``x1`` and
    the last but one of ``x2``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.dot(tg.tensor([1, 2]), tg.tensor([3, 4]))
    tensor(11)
    """
    x1, x2 = lift(x1), lift(x2)
    if not x1.ndim or not x2.ndim:
        return multiply(x1, x2)
    axis = -1 if x2.ndim == 1 else -2
    if x1.shape[-1] != x2.shape[axis]:
        raise ValueError(f"dot: shapes {x1.shape} and {x2.shape} do not fit: {x1.shape[-1]} != {x2.shape[axis]}")
    if x1.ndim <= 2 and x2.ndim <= 2:
        return matmul.matmul(x1, x2)
    return product.tensordot(x1, x2, axes=((-1,), (axis,)))


def addmv(x: Any, mat: Any, vec: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """``beta * x + alpha * (mat @ vec)``."""
    return weighted(x, mv(mat, vec), beta, alpha)


def addr(x: Any, vec1: Any, vec2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """``beta * x + alpha * outer(vec1, vec2)``."""
    return weighted(x, product.outer(vec1, vec2), beta, alpha)


def baddbmm(x: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """``beta * x + alpha * (batch1 @ batch2)``, stack by stack."""
    return weighted(x, bmm(batch1, batch2), beta, alpha)


def addbmm(x: Any, batch1: Any, batch2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """``beta * x + alpha *`` the sum of the products of two stacks."""
    return weighted(x, reduction.sum(bmm(batch1, batch2), 0), beta, alpha)


# ---------------------------------------------------------------------------------------------------------- statistics
def var_mean(x: Any, /, axis: Any = None, *, correction: float = 1.0, keepdims: bool = False) -> tuple[Any, Any]:
    """`var` and `mean`; with PyTorch's name comes its correction, 1."""
    return (
        reduction.var(x, axis, correction=correction, keepdims=keepdims),
        reduction.mean(x, axis, keepdims=keepdims),
    )


def std_mean(x: Any, /, axis: Any = None, *, correction: float = 1.0, keepdims: bool = False) -> tuple[Any, Any]:
    """`std` and `mean`; with PyTorch's name comes its correction, 1."""
    return (
        reduction.std(x, axis, correction=correction, keepdims=keepdims),
        reduction.mean(x, axis, keepdims=keepdims),
    )


def ascontiguousarray(x: Any, /, dtype: Any = None, *, device: Any = None) -> Any:
    """``x`` as a tensor with one axis or more whose elements lie in C order; itself where it is that.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.ascontiguousarray(tg.ones(2, 3).T).is_contiguous()
    True
    """
    x = asarray(x, dtype=dtype, device=device)
    x = shape.reshape(x, (1,)) if not x.ndim else x
    return x if x._data.flags.c_contiguous else memory.clone(x)


def asarray_chkfinite(x: Any, /, dtype: Any = None, *, device: Any = None) -> Any:
    """`asarray`, but numbers that are infinite or NaN raise ValueError; waits for the device.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.asarray_chkfinite([1.0, 2.0])
    tensor([1., 2.])
    """
    x = asarray(x, dtype=dtype, device=device)
    if x.dtype.kind not in "biu" and not bool(reduction.all(elementwise.isfinite(x.detach()))):
        raise ValueError(f"asarray_chkfinite: there are infinite numbers or NaN in a tensor of shape {x.shape}")
    return x
