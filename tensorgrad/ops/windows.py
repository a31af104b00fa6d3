"""Windows that slide over axes, as views."""

from __future__ import annotations

from typing import Any

from .. import kernels as K
from ..backend import device_of, sliding_view
from ..backend import empty as empty_array
from ..errors import axis_index, integers
from .definition import Function, lift, primitive
from .reduction import single_axis
from .shape import reshape

__all__ = ["overlap_add", "sliding_window_view", "unfold"]


def _summed(g: Any, axis: int, size: int, step: int, shape: tuple[int, ...]) -> Any:
    """Every element of every window added where it came from; in as few launches as there are windows, or elements."""
    out = empty_array(shape, g.dtype, device_of(g))
    K.fill(out, 0)
    before, n, last = (slice(None),) * axis, g.shape[axis], len(shape) - 1
    if n < size:
        order = (*range(axis), last, *range(axis, last))
        for k in range(n):
            place = out[(*before, slice(k * step, k * step + size))]
            K.add(place, g[(*before, k)].transpose(order), out=place)
        return out
    for k in range(size if n else 0):
        place = out[(*before, slice(k, k + (n - 1) * step + 1, step))]
        K.add(place, g[..., k], out=place)
    return out


def _not_writable(x: Any, part: Any, axis: int, size: int, step: int) -> Any:
    raise RuntimeError(f"windows of {size} over axis {axis} of shape {x.shape} cannot be written: they share memory")


_unfold: Function = primitive(
    "sliding_windows",
    lambda x, axis, size, step: sliding_view(x, axis, size, step),
    lambda g, x_shape, axis, size, step: _folded(g, axis, size, step, x_shape),
    put=_not_writable,
)
_folded: Function = primitive(
    "sliding_windows_backward",
    _summed,
    lambda h, axis, size, step: _unfold(h, axis, size, step),
)


def unfold(x: Any, axis: int, size: int, step: int = 1) -> Any:
    """Windows of ``size`` elements, ``step`` apart, along ``axis``; what is in a window is the last axis of the result.

    Returns
    -------
    Tensor
        A view that cannot be written.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.unfold(tg.arange(5), 0, 3, 2)
    tensor([[0, 1, 2],
            [2, 3, 4]])
    """
    x = lift(x)
    if not x.ndim:
        x = reshape(x, (1,))
        if size == 1:
            return reshape(x, (1,))
    place = single_axis("unfold", axis, x.ndim)
    if step < 1:
        raise ValueError(f"unfold: step must be at least 1, got {step}")
    if not 0 <= size <= x.shape[place]:
        raise ValueError(f"unfold: size {size} does not fit axis {axis} of shape {x.shape}")
    return _unfold(x, place, size, step)


def overlap_add(x: Any, step: int) -> Any:
    """Windows, the last axis, ``step`` apart along the axis before it, added up where they overlap.

    Shape (..., windows, size) becomes (..., (windows - 1) * step + size); the transpose of `unfold` of the last axis.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> from tensorgrad.ops.windows import overlap_add
    >>> overlap_add(tg.ones(3, 2), 1)
    tensor([1., 2., 2., 1.])
    """
    *others, count, size = x.shape
    return _folded(x, len(others), size, step, (*others, (count - 1) * step + size))


def sliding_window_view(x: Any, window_shape: int | tuple[int, ...], axis: int | tuple[int, ...] | None = None) -> Any:
    """Windows of a shape at every place, as NumPy's: their elements are the last axes of the result.

    Parameters
    ----------
    window_shape : int or tuple of int
        One size for each axis.
    axis : int or tuple of int, optional
        The axes that windows slide over, perhaps one several times; all by default.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.sliding_window_view(tg.arange(4), 3)
    tensor([[0, 1, 2],
            [1, 2, 3]])
    """
    x = lift(x)
    sizes = integers(window_shape, "window_shape", "sliding_window_view")
    if axis is None:
        axes = tuple(range(x.ndim))
    else:
        axes = tuple(
            axis_index("sliding_window_view", a, x.ndim) for a in integers(axis, "axis", "sliding_window_view")
        )
    if len(sizes) != len(axes):
        raise ValueError(f"sliding_window_view: {len(sizes)} sizes for {len(axes)} axes")
    for size, a in zip(sizes, axes, strict=True):
        if size < 0 or size > x.shape[a]:
            raise ValueError(f"sliding_window_view: window {sizes} does not fit shape {x.shape}")
        x = _unfold(x, a, size, 1)
    return x
