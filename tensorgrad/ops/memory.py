"""Casting, copying, moving between devices, and making tensors from nothing."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from .. import capture, dtypes
from .. import kernels as K
from ..anomaly import user_line
from ..backend import Device, device_of, resolve_device, to_device
from ..backend import empty as empty_array
from ..capture import CaptureError
from ..errors import integer, integers, of_tensor
from ..kernels.batched.array import BatchedArray, allocated, levels_of
from ..tensor import Tensor
from .definition import Function, lift, primitive

__all__ = [
    "arange",
    "astype",
    "clone",
    "empty",
    "empty_like",
    "eye",
    "full",
    "full_like",
    "linspace",
    "ones",
    "ones_like",
    "zeros",
    "zeros_like",
]

_cast: Function = primitive("cast", K.cast, lambda g, x_dtype: cast(g, x_dtype))
_clone: Function = primitive("clone", K.copy, lambda g: g)


def clone(x: Any, /) -> Any:
    """A copy in fresh contiguous memory, through which gradients flow."""
    return _clone(x if isinstance(x, Tensor) else lift(x))


def _to_device(x: Any, device: Device, source: Device, non_blocking: bool) -> Any:
    if capture.recording() is not None:
        raise CaptureError(
            f"jit: at {user_line()}: a tensor is moved from {source} to another device, {device}, which a replay would "
            "not do again; move it before, and pass it as an argument"
        )
    return to_device(x, device, non_blocking)


_moved: Function = primitive(
    "moved",
    _to_device,
    lambda g, device, source: _moved(g, source, device, False),
)


def moved(x: Any, device: Device, non_blocking: bool = False) -> Any:
    """The tensor on another device; its gradient comes back to the first."""
    return _moved(x, device, _device(x), non_blocking)


def _device(x: Any) -> Device:
    return x.device if isinstance(x, Tensor) else device_of(x)


def cast(x: Any, dtype: dtypes.DType) -> Any:
    """``x`` in ``dtype``: itself if it has it. To integers and booleans no gradient flows.

    Of a complex number in a real dtype the real part is left; its gradient is real, as that of a real number is.
    """
    if x.dtype == dtype:
        return x
    if isinstance(x, Tensor) and not dtypes.is_differentiable(dtype):
        return Tensor(K.cast(x._data, dtype))
    return _cast(x, dtype)


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """``x`` in another dtype; a copy unless ``copy=False`` and nothing changes."""
    wanted = dtypes.dtype_of(dtype)
    x = lift(x)
    if device is not None:
        x = x.to(device)
    if x.dtype == wanted:
        return clone(x) if copy else x
    return cast(x, wanted)


def _shape(shape: Any, name: str) -> tuple[int, ...]:
    """A shape from an int or a sequence of ints."""
    sizes = integers(shape, "shape", name)
    if any(n < 0 for n in sizes):
        raise ValueError(f"{name}: sizes must not be negative, got shape {sizes}")
    return sizes


def _made(shape: Any, dtype: Any, device: Any, requires_grad: bool, value: Any, name: str) -> Tensor:
    kind = dtypes.get_default_dtype() if dtype is None else dtypes.dtype_of(dtype)
    array = empty_array(_shape(shape, name), kind, resolve_device(device))
    if value is not None:
        K.fill(array, value)
    x = Tensor(array)
    if requires_grad:
        x.requires_grad = True
    return x


def _whole(shape: Any, sizes: tuple[Any, ...]) -> Any:
    """``zeros(2, 3)``, ``zeros((2, 3))`` and ``zeros(shape=(2, 3))`` mean the same; ``zeros()`` is 0-d."""
    return (shape, *sizes) if sizes else shape


def empty(shape: Any = (), *sizes: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor with arbitrary content."""
    return _made(_whole(shape, sizes), dtype, device, requires_grad, None, "empty")


def zeros(shape: Any = (), *sizes: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros, of the default floating dtype unless told otherwise.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.zeros(2, 3).shape == tg.zeros((2, 3)).shape == (2, 3)
    True
    """
    return _made(_whole(shape, sizes), dtype, device, requires_grad, 0, "zeros")


def ones(shape: Any = (), *sizes: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones, of the default floating dtype unless told otherwise."""
    return _made(_whole(shape, sizes), dtype, device, requires_grad, 1, "ones")


def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """``fill_value`` everywhere; its own dtype unless told otherwise."""
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    if dtype is None:
        dtype = fill_value.dtype if hasattr(fill_value, "dtype") else dtypes.scalar_dtype(value)
    return _made(shape, dtype, device, requires_grad, value, "full")


def _like(x: Any, dtype: Any, device: Any, value: Any, requires_grad: bool = False) -> Any:
    data = x._data if isinstance(x, Tensor) else x
    of_tensor(data)
    kind = data.dtype if dtype is None else dtypes.dtype_of(dtype)
    place = device_of(data) if device is None else resolve_device(device)
    levels = levels_of(data) if isinstance(data, BatchedArray) else ()
    if levels:
        array = allocated(lambda shape: empty_array(shape, kind, place), x.shape, levels)
    else:
        array = empty_array(data.shape, kind, place)
    if value is not None:
        K.fill(array, value)
    if data is x:
        return array
    made = Tensor(array)
    if requires_grad:
        made.requires_grad = True
    return made


def empty_like(x: Any, /, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """Arbitrary content in the shape, dtype and device of ``x``."""
    return _like(x, dtype, device, None, requires_grad)


def zeros_like(x: Any, /, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """Zeros in the shape, dtype and device of ``x``."""
    return _like(x, dtype, device, 0, requires_grad)


def ones_like(x: Any, /, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """Ones in the shape, dtype and device of ``x``."""
    return _like(x, dtype, device, 1, requires_grad)


def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Any:
    """``fill_value`` everywhere in the shape, dtype and device of ``x``."""
    return _like(x, dtype, device, fill_value, requires_grad)


def arange(
    start: Any,
    /,
    stop: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``start, start + step, ...`` up to but not including ``stop``; ``arange(n)`` counts from 0.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.arange(1, 6, 2)
    tensor([1, 3, 5])
    """
    if stop is None:
        start, stop = 0, start
    whole = start.__class__ is int and stop.__class__ is int and step.__class__ is int
    if not whole:
        start, stop, step = (v.item() if hasattr(v, "item") else v for v in (start, stop, step))
        for v in (start, stop, step):
            if not isinstance(v, Real) or not math.isfinite(v):
                raise ValueError(f"arange: start, stop and step must be finite numbers, got {start}, {stop} and {step}")
        whole = all(isinstance(v, int) for v in (start, stop, step))
    if step == 0:
        raise ValueError("arange: step must not be 0")
    if dtype is None:
        dtype = dtypes.int64 if whole else dtypes.get_default_dtype()
    size = max(0, -((start - stop) // step) if whole else math.ceil((stop - start) / step))
    out = empty_array((size,), dtypes.dtype_of(dtype), resolve_device(device))
    K.arange(out, start, step)
    x = Tensor(out)
    if requires_grad:
        x.requires_grad = True
    return x


def linspace(
    start: Any,
    stop: Any,
    /,
    num: int = 50,
    endpoint: bool = True,
    *,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """``num`` evenly spaced numbers from ``start`` to ``stop``, which is included unless ``endpoint=False``.

    Parameters
    ----------
    start, stop : number or Tensor
        Of tensors with axes, which broadcast, many such rows at once; they are differentiable.
    retstep : bool
        Return ``(numbers, distance)``.
    axis : int
        Where the numbers lie if ``start`` or ``stop`` has axes.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.linspace(0, 1, 5)
    tensor([0.  , 0.25, 0.5 , 0.75, 1.  ])
    >>> tg.linspace(tg.tensor([0.0, 1.0]), 2, 3)
    tensor([[0. , 1. ],
            [1. , 1.5],
            [2. , 2. ]])
    """
    num = integer(num, "num", "linspace")
    if num < 0:
        raise ValueError(f"linspace: num must not be negative, got {num}")
    if getattr(start, "shape", ()) or getattr(stop, "shape", ()) or isinstance(start, list) or isinstance(stop, list):
        from .ranges import between

        return between(start, stop, num, endpoint, retstep, dtype, axis, device)
    start, stop = (v.item() if hasattr(v, "item") else v for v in (start, stop))
    gaps = num - 1 if endpoint else num
    if dtype is None:
        dtype = complex if isinstance(start, complex) or isinstance(stop, complex) else dtypes.get_default_dtype()
    wanted = dtypes.dtype_of(dtype)
    out = empty_array((num,), dtypes.float64 if wanted.kind in "iu" else wanted, resolve_device(device))
    K.arange(out, start, (stop - start) / gaps if gaps > 0 else 0)
    if endpoint and num > 1:
        K.fill(out[-1:], stop)  # exactly, whatever the rounding
    x = Tensor(out if out.dtype == wanted else K.cast(K.floor(out), wanted))
    if requires_grad:
        x.requires_grad = True
    return (x, (stop - start) / gaps if gaps > 0 else float("nan")) if retstep else x


def eye(n_rows: int, n_cols: int | None = None, /, k: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Ones on the ``k``-th diagonal, zeros elsewhere."""
    columns = n_rows if n_cols is None else n_cols
    x = zeros(n_rows, columns, dtype=dtype, device=device)
    first = k if k >= 0 else -k * columns
    count = max(0, min(n_rows, columns - k) if k >= 0 else min(n_rows + k, columns))
    if count:
        flat = x._data.reshape(-1)
        K.fill(flat[first : first + (count - 1) * (columns + 1) + 1 : columns + 1], 1)
    return x
