"""Maxima and averages over sliding windows, and windows as columns."""

from __future__ import annotations

import itertools
import math
from typing import Any

from .. import kernels as K
from ..backend import device_of, empty
from ..errors import ArgumentError
from ..kernels.windows import out_size
from ..tape import grad_mode
from ..tensor import Tensor
from .conv import per_axis
from .definition import Function, lift, primitive
from .indexing import take_along_axis
from .shape import reshape

__all__ = ["avg_pool", "fold", "max_pool", "unfold"]

Sizes = tuple[int, ...]


# --------------------------------------------------------------------------------------------------------------- maxima
_max_pool: Function = primitive(
    "max_pool",
    K.max_pool,
    lambda g, indices, x_shape, kernel, stride, padding, dilation: _max_pool_backward(
        g, indices, x_shape[2:], kernel, stride, padding, dilation
    ),
    inputs=1,
    aux=("indices",),
)
_max_pool_backward: Function = primitive(
    "max_pool_backward", K.max_pool_backward, lambda h, indices: _at(h, indices), None
)


def _at(x: Any, indices: Any) -> Any:
    """The elements of each channel at indices into its flattened spatial axes."""
    flat, places = ((*y.shape[:2], math.prod(y.shape[2:])) for y in (x, indices))
    return reshape(take_along_axis(reshape(x, flat), reshape(indices, places), axis=-1), indices.shape)


def _windows(
    name: str, x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[Sizes, Sizes, Sizes, Sizes]:
    """Kernel, stride, padding and dilation per axis; complains where they do not fit."""
    if x.ndim < 3:
        raise ArgumentError(f"{name}: expected an input (N, C, ...), got shape {x.shape}")
    if x.dtype.kind not in "fV":
        raise TypeError(f"{name}: expected a floating-point input, got {x.dtype}")
    axes = x.ndim - 2
    kernel = per_axis(name, "kernel_size", kernel_size, axes, 1)
    same = stride is None or (isinstance(stride, tuple) and not stride)
    steps = kernel if same else per_axis(name, "stride", stride, axes, 1)
    margins = per_axis(name, "padding", padding, axes)
    holes = per_axis(name, "dilation", dilation, axes, 1)
    if any(2 * p > k for p, k in zip(margins, kernel, strict=True)):
        raise ArgumentError(f"{name}: padding must be at most half of kernel_size, got {margins} and {kernel}")
    if min(out_size(x.shape[2:], kernel, steps, margins, holes, ceil_mode)) < 1:
        raise ArgumentError(
            f"{name}: a window of size {kernel} with dilation {holes} does not fit into an input of size "
            f"{x.shape[2:]} with padding {margins}"
        )
    return kernel, steps, margins, holes


def max_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    name: str = "max_pool",
) -> Any:
    """Maximum of each window.

    Parameters
    ----------
    x : Tensor
        Shape (N, C, ...).
    kernel_size, stride, padding, dilation : int or tuple of int
        Per spatial axis; ``stride`` is ``kernel_size`` unless given; what is padded never wins.
    ceil_mode : bool
        Whether a last window may stand out on the right.
    return_indices : bool
        Whether to return also where each maximum stands: an index into the flattened spatial axes.
    name : str
        Who errors say was called.

    Notes
    -----
    The gradient goes to the first of equal maxima. A window with NaN is NaN.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> from tensorgrad.ops.pool import max_pool
    >>> max_pool(tg.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2)
    tensor([[[3., 2.]]])
    """
    x = lift(x)
    windows = _windows(name, x, kernel_size, stride, padding, dilation, ceil_mode)
    if not return_indices:
        if x._node is not None and grad_mode.get():
            return _max_pool(x, *windows, bool(ceil_mode))
        return Tensor(K.max_pool_values(x._data, *windows, bool(ceil_mode)))
    indices = Tensor(K.max_pool(x._data, *windows, bool(ceil_mode))[1])
    return _at(x, indices), indices


# ------------------------------------------------------------------------------------------------------------- averages
_avg_pool: Function = primitive(
    "avg_pool",
    K.avg_pool,
    lambda g, x_shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override: _avg_pool_backward(
        g, x_shape[2:], kernel, stride, padding, ceil_mode, count_include_pad, divisor_override
    ),
)
_avg_pool_backward: Function = primitive(
    "avg_pool_backward",
    K.avg_pool_backward,
    lambda h, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override: _avg_pool(
        h, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override
    ),
)


def avg_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    name: str = "avg_pool",
) -> Any:
    """Average of each window.

    Parameters
    ----------
    x : Tensor
        Shape (N, C, ...).
    kernel_size, stride, padding : int or tuple of int
        Per spatial axis; ``stride`` is ``kernel_size`` unless given.
    ceil_mode : bool
        Whether a last window may stand out on the right; what stands out beyond the padding is not counted.
    count_include_pad : bool
        Whether the zeros of the padding are counted.
    divisor_override : int, optional
        What to divide by in place of the number of elements.
    name : str
        Who errors say was called.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> from tensorgrad.ops.pool import avg_pool
    >>> avg_pool(tg.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2)
    tensor([[[2., 1.]]])
    """
    x = lift(x)
    kernel, steps, margins, _ = _windows(name, x, kernel_size, stride, padding, 1, ceil_mode)
    if divisor_override is not None and divisor_override == 0:
        raise ArgumentError(f"{name}: divisor_override must not be 0")
    return _avg_pool(x, kernel, steps, margins, bool(ceil_mode), bool(count_include_pad), divisor_override)


# --------------------------------------------------------------------------------------------------- windows as columns
def _view(x: Any, offset: Sizes, stride: Sizes, dilation: Sizes, out: Sizes) -> Any:
    """What all windows read at one offset of the kernel."""
    starts = [k * d for k, d in zip(offset, dilation, strict=True)]
    cut = (slice(a, a + (o - 1) * s + 1, s) for a, o, s in zip(starts, out, stride, strict=True))
    return x[(slice(None), slice(None), *cut)]


def _padded_size(size: Sizes, padding: Sizes) -> Sizes:
    return tuple(n + 2 * p for n, p in zip(size, padding, strict=True))


def _middle(padding: Sizes, size: Sizes) -> tuple[slice, ...]:
    return (slice(None), slice(None), *(slice(p, p + n) for p, n in zip(padding, size, strict=True)))


def _to_columns(x: Any, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes) -> Any:
    size = x.shape[2:]
    out = out_size(size, kernel, stride, padding, dilation)
    if any(padding):
        whole = empty((*x.shape[:2], *_padded_size(size, padding)), x.dtype, device_of(x))
        K.fill(whole, 0)
        K.assign(whole[_middle(padding, size)], x)
        x = whole
    y = empty((*x.shape[:2], math.prod(kernel), *out), x.dtype, device_of(x))
    for i, offset in enumerate(itertools.product(*map(range, kernel))):
        K.assign(y[:, :, i], _view(x, offset, stride, dilation, out))
    return y.reshape(x.shape[0], x.shape[1] * math.prod(kernel), math.prod(out))


def _from_columns(g: Any, size: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes) -> Any:
    out = out_size(size, kernel, stride, padding, dilation)
    columns = g.reshape(g.shape[0], g.shape[1] // math.prod(kernel), math.prod(kernel), *out)
    whole = empty((*columns.shape[:2], *_padded_size(size, padding)), g.dtype, device_of(g))
    K.fill(whole, 0)
    for i, offset in enumerate(itertools.product(*map(range, kernel))):
        view = _view(whole, offset, stride, dilation, out)
        K.add(view, columns[:, :, i], out=view)
    return K.copy(whole[_middle(padding, size)]) if any(padding) else whole


_unfold: Function = primitive(
    "unfold",
    _to_columns,
    lambda g, x_shape, kernel, stride, padding, dilation: _fold(g, x_shape[2:], kernel, stride, padding, dilation),
)
_fold: Function = primitive(
    "fold",
    _from_columns,
    lambda h, kernel, stride, padding, dilation: _unfold(h, kernel, stride, padding, dilation),
)


def unfold(x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """The windows of an input as columns, (N, C, ...) -> (N, C * elements of a window, windows).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> from tensorgrad.ops.pool import unfold
    >>> unfold(tg.tensor([[[[1.0, 2.0, 3.0]]]]), (1, 2))
    tensor([[[1., 2.],
             [2., 3.]]])
    """
    x = lift(x)
    axes = x.ndim - 2
    if axes < 1:
        raise ArgumentError(f"unfold: expected an input (N, C, ...), got shape {x.shape}")
    kernel = per_axis("unfold", "kernel_size", kernel_size, axes, 1)
    steps = per_axis("unfold", "stride", stride, axes, 1)
    margins = per_axis("unfold", "padding", padding, axes)
    holes = per_axis("unfold", "dilation", dilation, axes, 1)
    if min(out_size(x.shape[2:], kernel, steps, margins, holes)) < 1:
        raise ArgumentError(
            f"unfold: a window of size {kernel} with dilation {holes} does not fit into an input of size "
            f"{x.shape[2:]} with padding {margins}"
        )
    return _unfold(x, kernel, steps, margins, holes)


def fold(
    x: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1, axes: int = 2
) -> Any:
    """Columns back to windows, adding where these overlap: (N, C * elements of a window, windows) -> (N, C, ...).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> from tensorgrad.ops.pool import fold
    >>> fold(tg.ones(1, 2, 2), (1, 3), (1, 2))
    tensor([[[[1., 2., 1.]]]])
    """
    x = lift(x)
    size = per_axis("fold", "output_size", output_size, axes, 1)
    kernel = per_axis("fold", "kernel_size", kernel_size, axes, 1)
    steps = per_axis("fold", "stride", stride, axes, 1)
    margins = per_axis("fold", "padding", padding, axes)
    holes = per_axis("fold", "dilation", dilation, axes, 1)
    windows = out_size(size, kernel, steps, margins, holes)
    if x.ndim != 3 or x.shape[1] % math.prod(kernel) or min(windows) < 1 or x.shape[2] != math.prod(windows):
        raise ArgumentError(
            f"fold: an output of size {size} with a window of size {kernel} has {windows} windows of "
            f"{math.prod(kernel)} elements per channel, which an input of shape {x.shape} does not fit"
        )
    return _fold(x, size, kernel, steps, margins, holes)
