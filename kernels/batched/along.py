"""Instructions along an axis, and others that need no more than an axis before those they work on."""

from __future__ import annotations

from typing import Any

from .array import BatchedArray, Level, data_at, spread

__all__ = ["RULES", "launch", "moved"]


def moved(axis: Any, ndim: int) -> Any:
    """An axis, or several, of a sample as those of the batch."""
    if isinstance(axis, (tuple, list)):
        return tuple(moved(a, ndim) for a in axis)
    return axis % ndim + 1


def wrapped(result: Any, level: Level) -> Any:
    """The results of a launch on the whole batch."""
    if isinstance(result, (tuple, list)):
        return tuple(wrapped(r, level) for r in result)
    return BatchedArray(result, level)


def launch(kernel: Any, level: Level, /, **values: Any) -> Any:
    """Launch with all operands over the batch and the axis moved by one."""
    name = "axes" if "axes" in values else "axis"
    arrays = [key for key, value in values.items() if hasattr(value, "dtype")]
    ndim = values[arrays[0]].ndim
    if not ndim or values[name] is None or any(values[key].ndim != ndim for key in arrays):
        return NotImplemented
    values = {key: spread(value, level) if key in arrays else value for key, value in values.items()}
    values[name] = moved(values[name], ndim)
    result = kernel(*values.values())
    return None if result is None else wrapped(result, level)


def _last_axes(kernel: Any, level: Level, x: Any, *args: Any, **more: Any) -> Any:
    """A function of the last axes of one array."""
    return wrapped(kernel(data_at(x, level), *args, *more.values()), level)


def _looked_up(kernel: Any, level: Level, x: Any, values: Any, **more: Any) -> Any:
    """The values are looked up one by one in an array that all samples share."""
    if data_at(x, level) is not None or x.ndim > 1:
        return NotImplemented
    return wrapped(kernel(x, data_at(values, level), *more.values()), level)


def _each_in(kernel: Any, level: Level, x: Any, values: Any) -> Any:
    if data_at(values, level) is not None:
        return NotImplemented
    return wrapped(kernel(data_at(x, level), values), level)


def _launch_fft(kernel: Any, level: Level, /, **values: Any) -> Any:
    return launch(kernel, level, **values)


def _lines(kernel: Any, level: Level, x: Any, w: Any, **more: Any) -> Any:
    """A function of the last axes of two arrays, whose other axes broadcast."""
    if x.ndim != w.ndim:
        return NotImplemented
    whole = [a if (data := data_at(a, level)) is None else data for a in (x, w)]
    return wrapped(kernel(*whole, *more.values()), level)


RULES = {
    "bitwise_count": _last_axes,
    "convolve": _lines,
    "triangle": _last_axes,
    "quantiles": _last_axes,
    "searchsorted": _looked_up,
    "isin": _each_in,
    "fft": _launch_fft,
}
