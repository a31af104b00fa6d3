"""Images of another size: each axis is resampled by weights that depend on its two sizes alone."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...creation import tensor
from ...errors import ArgumentError
from ...ops.indexing import take
from ...ops.matmul import matmul
from ...ops.shape import broadcast_to
from ...tensor import Tensor
from .pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d

__all__ = ["interpolate", "upsample", "upsample_bilinear", "upsample_nearest"]

Array = np.ndarray[Any, np.dtype[Any]]

_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
_AREA: dict[int, Callable[..., Tensor]] = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}
CUBIC_SLOPE = -0.75
_MODES = ("nearest", "nearest-exact", "linear", "bilinear", "trilinear", "bicubic", "lanczos", "area")


# -------------------------------------------------------------------------------------------------- filters and weights
def _triangle(x: Array) -> Array:
    y: Array = np.maximum(1 - np.abs(x), 0)
    return y


def cubic_near(x: Any, a: float) -> Any:
    """The cubic convolution kernel of Keys (1981) with slope ``a`` at 1, for x from 0 to 1."""
    return ((a + 2) * x - (a + 3)) * x * x + 1


def cubic_far(x: Any, a: float) -> Any:
    """The same kernel for x from 1 to 2, where it ends."""
    return (((x - 5) * x + 8) * x - 4) * a


def _cubic(x: Array, a: float) -> Array:
    x = np.abs(x)
    return np.where(x < 1, cubic_near(x, a), np.where(x < 2, cubic_far(x, a), 0))


def _lanczos(x: Array) -> Array:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


_FILTERS: dict[str, tuple[int, Callable[[Array], Array]]] = {  # how far each reaches to either side
    "linear": (1, _triangle),
    "cubic": (2, functools.partial(_cubic, a=-0.5)),
    "lanczos": (3, _lanczos),
}


class _Axis(NamedTuple):
    """What the weights of one axis depend on; ``step`` is input pixels per output pixel."""

    kind: str
    size: int
    wanted: int
    step: float
    align_corners: bool


@functools.lru_cache(128)
def _mixing(axis: _Axis) -> Array:
    """Matrix (size, wanted): column j holds the share of each input pixel in output pixel j."""
    places = np.arange(axis.wanted)
    centers = axis.step * places if axis.align_corners else axis.step * (places + 0.5) - 0.5
    matrix = np.zeros((axis.size, axis.wanted))
    if axis.kind == "linear":
        centers = np.maximum(centers, 0)
        taps: tuple[int, ...] = (0, 1)
    else:
        taps = (-1, 0, 1, 2)
    start = np.floor(centers)
    for tap in taps:
        distance = centers - start - tap
        share = _triangle(distance) if axis.kind == "linear" else _cubic(distance, CUBIC_SLOPE)
        np.add.at(matrix, (np.clip(start + tap, 0, axis.size - 1).astype(int), places), share)
    return matrix


@functools.lru_cache(128)
def _smoothing(axis: _Axis) -> Array:
    """`_mixing` with a filter that widens where the image shrinks, so that no input pixel is passed over.

    As in PyTorch, ``align_corners`` changes the step alone.
    """
    reach, kernel = _FILTERS[axis.kind]
    widened = max(axis.step, 1.0)
    centers = axis.step * (np.arange(axis.wanted) + 0.5)
    first = np.maximum(np.trunc(centers - reach * widened + 0.5), 0)
    last = np.minimum(np.trunc(centers + reach * widened + 0.5), axis.size)
    rows = np.arange(axis.size)[:, None]
    matrix: Array = np.where((rows >= first) & (rows < last), kernel((rows - centers + 0.5) / widened), 0)
    matrix /= matrix.sum(0)
    return matrix


@functools.lru_cache(128)
def _nearest(axis: _Axis) -> Array:
    """Which input pixel each output pixel is, found in single precision as PyTorch does."""
    offset = 0.5 if axis.kind == "nearest-exact" else 0.0
    places = (np.arange(axis.wanted) + np.float32(offset)) * np.float32(axis.step)
    return np.minimum(np.floor(places.astype(np.float32)).astype(np.int64), axis.size - 1)


# -------------------------------------------------------------------------------------------------------- application
def _mixed(x: Tensor, place: int, matrix: Array) -> Tensor:
    """The matrix applied along one axis, without moving the axis."""
    before, after = x.shape[:place], x.shape[place + 1 :]
    n, m = matrix.shape
    if math.prod(after) == 1:
        y: Tensor = matmul(x.reshape(-1, n), tensor(matrix, x.dtype, x.device))
    else:
        y = matmul(tensor(matrix.T, x.dtype, x.device), x.reshape(-1, n, math.prod(after)))
    return y.reshape(*before, m, *after)


def _repeated(x: Tensor, place: int, axis: _Axis) -> Tensor:
    """Each output pixel as a copy of one input pixel."""
    times, rest = divmod(axis.wanted, axis.size)
    if not rest and axis.step * times == 1:
        before, after = x.shape[:place], x.shape[place + 1 :]
        spread = broadcast_to(x.expand_dims(place + 1), (*before, axis.size, times, *after))
        return spread.reshape(*before, axis.wanted, *after)  # type: ignore[no-any-return]
    y: Tensor = take(x, tensor(_nearest(axis), device=x.device), axis=place)
    return y


def _scales(scale_factor: Any, axes: int) -> tuple[float, ...]:
    given = tuple(scale_factor) if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * axes
    if len(given) != axes or not all(s > 0 for s in given):
        raise ArgumentError(
            f"interpolate: scale_factor must be a number greater than 0, or {axes} of them, got {scale_factor!r}"
        )
    return tuple(float(s) for s in given)


def _sizes(size: Any, axes: int) -> tuple[int, ...]:
    given = tuple(size) if isinstance(size, (tuple, list)) else (size,) * axes
    if len(given) != axes or not all(hasattr(n, "__index__") and n > 0 for n in given):
        raise ArgumentError(f"interpolate: size must be an int greater than 0, or {axes} of them, got {size!r}")
    return tuple(n.__index__() for n in given)


def _check(input: Tensor, mode: str, align_corners: bool | None, antialias: bool) -> None:
    axes = input.ndim - 2
    if mode not in _MODES:
        raise ArgumentError(f"interpolate: mode must be one of {', '.join(_MODES)}, got {mode!r}")
    if axes not in (1, 2, 3):
        raise ArgumentError(f"interpolate: expected an input (N, C, ...) with 3 to 5 axes, got shape {input.shape}")
    if (mode in _LINEAR.values() and mode != _LINEAR[axes]) or (mode in ("bicubic", "lanczos") and axes != 2):
        raise ArgumentError(f"interpolate: mode {mode!r} does not fit an input of shape {input.shape}")
    if align_corners is not None and (mode.startswith("nearest") or mode == "area"):
        raise ArgumentError(
            f"interpolate: align_corners is for linear, bilinear, trilinear and bicubic, not for {mode!r}"
        )
    if antialias and mode not in ("bilinear", "bicubic", "lanczos"):
        raise ArgumentError(f"interpolate: antialias is for bilinear, bicubic and lanczos, not for {mode!r}")
    if mode == "lanczos" and (align_corners or not antialias):
        raise ArgumentError("interpolate: mode 'lanczos' needs antialias=True and has no align_corners=True")


def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resample the spatial axes of ``input`` to another size.

    Parameters
    ----------
    input : Tensor
        Shape (N, C, ...) with one to three spatial axes.
    size : int or tuple of int, optional
        Size of the spatial axes of the result.
    scale_factor : float or tuple of float, optional
        In place of ``size``: how many times the size of the input, rounded down.
    mode : str
        ``"nearest"``; ``"nearest-exact"``, which rounds from the centers of pixels; ``"linear"``, ``"bilinear"`` and
        ``"trilinear"`` for one, two and three axes; ``"bicubic"`` (Keys, 1981, with a = -0.75), ``"lanczos"``; or
        ``"area"``, the averages of `adaptive_avg_pool2d`.
    align_corners : bool, optional
        Whether the centers of the corner pixels stay where they are, rather than the corners.
    recompute_scale_factor : bool, optional
        Place output pixels by the ratio of the sizes even where ``scale_factor`` is given, which may be another since
        the size was rounded.
    antialias : bool
        Widen the filter where the image shrinks; for bilinear, bicubic (then with a = -0.5) and lanczos.

    Returns
    -------
    Tensor
        Shape (N, C, *size).

    Raises
    ------
    ValueError
        If not exactly one of ``size`` and ``scale_factor`` is given, or options do not fit the mode or the shape.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor([[[0.0, 4.0]]])
    >>> tg.nn.functional.interpolate(x, scale_factor=2, mode="linear")
    tensor([[[0., 1., 3., 4.]]])
    >>> tg.nn.functional.interpolate(x, 4)
    tensor([[[0., 0., 4., 4.]]])
    """
    _check(input, mode, align_corners, antialias)
    if (size is None) == (scale_factor is None):
        raise ArgumentError(f"interpolate: give one of size and scale_factor, got {size!r} and {scale_factor!r}")
    given = input.shape[2:]
    if min(input.shape[1:]) < 1:
        raise ArgumentError(f"interpolate: expected an input that is not empty off axis 0, got shape {input.shape}")
    scales: tuple[float, ...] | None = None
    if size is not None:
        if recompute_scale_factor:
            raise ArgumentError("interpolate: recompute_scale_factor is for scale_factor, but size is given")
        sizes = _sizes(size, len(given))
    else:
        scales = _scales(scale_factor, len(given))
        sizes = tuple(int(n * s) for n, s in zip(given, scales, strict=True))
        if min(sizes) < 1:
            raise ArgumentError(f"interpolate: scale_factor {scale_factor!r} leaves nothing of an input {input.shape}")
    if mode == "area":
        return _AREA[len(given)](input, sizes)
    kind = "linear" if mode in _LINEAR.values() else "cubic" if mode == "bicubic" else mode
    used = None if recompute_scale_factor else scales
    if antialias and sizes == given:
        return input
    for place, (n, m) in enumerate(zip(given, sizes, strict=True), 2):
        if align_corners:
            step = (n - 1) / (m - 1) if m > 1 else 0.0
        else:
            step = 1 / used[place - 2] if used is not None else n / m
        if kind == "nearest" and len(given) == 2 and m in (n, 2 * n):
            step = n / m  # PyTorch's way in two dimensions, whatever the scale factor
        axis = _Axis(kind, n, m, step, bool(align_corners))
        if n == m and (step == 1 or kind == "linear"):
            continue
        if kind.startswith("nearest"):
            input = _repeated(input, place, axis)
        else:
            input = _mixed(input, place, _smoothing(axis) if antialias else _mixing(axis))
    return input


def upsample(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> Tensor:
    """The former name of `interpolate`."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with the nearest pixels."""
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """Bilinear `interpolate` with ``align_corners=True``."""
    return interpolate(input, size, scale_factor, "bilinear", True)
