"""Calls of NumPy functions on device arrays, as launches."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from . import counters, names
from .execution import execute, is_capturing, require_no_capture, require_synchronizable
from .ndarray import HostArray, ndarray
from .state import thread_state

namespace: dict[str, Any] = {}


def _unwrap(value: Any, arrays: list[ndarray]) -> Any:
    """Replace device arrays in an argument by their values, and collect them."""
    if isinstance(value, ndarray):
        arrays.append(value)
        return value._values
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, (tuple, list)):
        return type(value)(_unwrap(item, arrays) for item in value)
    return value


def check_device(arrays: list[ndarray]) -> None:
    """Raise if an array is on another device than the current one."""
    for array in arrays:
        if array.data.device_id != thread_state.device:
            raise ValueError(
                f"The device where the array resides ({array.data.device_id}) is different from "
                f"the current device ({thread_state.device})."
            )


def _outputs(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (tuple, list)) else [result]


def _base_of(values: HostArray, arrays: list[ndarray]) -> ndarray | None:
    """Return the array whose block of memory holds `values`, if one does."""
    address = values.ctypes.data
    for array in arrays:
        block = array.data.block
        if block.ptr <= address < block.ptr + block.size:
            return array
    return None


def call(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
    *,
    label: str,
    synchronizes: bool = False,
    cublas: bool = False,
) -> Any:
    """Call a NumPy function as one launch on device arrays.

    Results that share memory with an argument become views of it. While a stream is being
    captured the function runs once on whatever is in memory, for the shape of its result, and
    again into that result whenever the graph is launched.
    """
    arrays: list[ndarray] = []
    values = _unwrap(args, arrays)
    keywords = {key: _unwrap(value, arrays) for key, value in (kwargs or {}).items()}
    written = [array for array in _outputs((kwargs or {}).get("out")) if isinstance(array, ndarray)]
    check_device(arrays)
    capturing = is_capturing()
    if synchronizes:
        require_synchronizable(label)
        counters.add("synchronizations")
    if cublas and capturing:
        raise NotImplementedError("calling cuBLAS API during stream capture is currently unsupported")
    if written:
        return _call_into(function, values, keywords, arrays, written, label)
    result = function(*values, **keywords)
    fresh: list[tuple[int, ndarray]] = []

    def wrap(position: int, value: Any) -> Any:
        if isinstance(value, np.generic):
            value = np.asarray(value)
        if not isinstance(value, np.ndarray):
            return value
        base = _base_of(value, arrays)
        if base is not None:
            return ndarray.over(value, base)
        array = ndarray.like(value)
        if not capturing:
            np.copyto(array._values, value)
        fresh.append((position, array))
        return array

    wrapped = [wrap(i, value) for i, value in enumerate(_outputs(result))]

    def replay() -> None:
        again = _outputs(function(*values, **keywords))
        for position, array in targets:
            np.copyto(array, again[position])

    if fresh:
        targets = [(position, array._values) for position, array in fresh]
        regions = [array.region(writes=False) for array in arrays]
        regions += [array.region(writes=True) for _, array in fresh]
        execute(label, replay, regions, done=True)
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return type(result)(*wrapped)
    return type(result)(wrapped) if isinstance(result, (tuple, list)) else wrapped[0]


def _call_into(
    function: Callable[..., Any],
    values: Any,
    keywords: dict[str, Any],
    arrays: list[ndarray],
    written: list[ndarray],
    label: str,
) -> Any:
    regions = [array.region(writes=False) for array in arrays]
    regions += [array.region(writes=True) for array in written]
    execute(label, lambda: function(*values, **keywords), regions)
    return written[0] if len(written) == 1 else tuple(written)


def call_in_place(function: Callable[..., Any], target: ndarray, args: tuple[Any, ...], *, label: str) -> None:
    """Call a function that changes its first argument, as one launch."""
    arrays: list[ndarray] = [target]
    values = _unwrap(args, arrays)
    check_device(arrays)
    into = target._values
    regions = [target.region(writes=True), *(array.region(writes=False) for array in arrays[1:])]
    execute(label, lambda: function(into, *values), regions)


class ufunc:  # noqa: N801 - CuPy's name
    """A universal function on device arrays."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self.__name__ = self.name = function.__name__
        self.nin, self.nout, self.nargs = function.nin, function.nout, function.nargs

    def __repr__(self) -> str:
        return f"<ufunc 'cupy_{self.name}'>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        inputs, outputs = args[: self.nin], args[self.nin :]
        if any(output is not None for output in outputs):
            if kwargs.get("out") is not None:
                raise ValueError("Cannot specify 'out' as both a positional and keyword argument")
            kwargs["out"] = outputs
        out = kwargs.get("out")
        for output in _outputs(out) if out is not None else []:
            if output is not None and not isinstance(output, ndarray):
                raise TypeError("Output arguments type must be cupy.ndarray")
        for value in inputs:
            if not _is_operand(value):
                raise TypeError(f"Unsupported type {type(value)}")
        if isinstance(out, tuple) and len(out) == 1:
            kwargs["out"] = out[0]
        return call(self._quiet, inputs, kwargs, label=self.name, cublas=self.name == "matmul")

    def _quiet(self, *args: Any, **kwargs: Any) -> Any:
        # A device does not warn about overflow or division by zero.
        with np.errstate(all="ignore"):
            return self._function(*args, **kwargs)

    def at(self, a: ndarray, indices: Any, b: Any = None) -> None:
        """Apply the function in place at indices, which may repeat."""
        call_in_place(self._function.at, a, (indices, b), label=f"{self.name}.at")

    def reduce(self, array: ndarray, axis: Any = 0, **kwargs: Any) -> Any:
        """Reduce over an axis."""
        return call(self._function.reduce, (array, axis), kwargs, label=f"{self.name}.reduce")

    def accumulate(self, array: ndarray, axis: int = 0, **kwargs: Any) -> Any:
        """Accumulate along an axis."""
        return call(self._function.accumulate, (array, axis), kwargs, label=f"{self.name}.accumulate")

    def outer(self, a: ndarray, b: ndarray, **kwargs: Any) -> Any:
        """Apply the function to all pairs."""
        return call(self._function.outer, (a, b), kwargs, label=f"{self.name}.outer")


def _is_operand(value: Any) -> bool:
    return isinstance(value, (ndarray, bool, int, float, complex, np.generic))


def wrap_function(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    synchronizes, cublas = name in names.SYNCHRONIZING, name in names.CUBLAS
    sorts = name in names.SORTING

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if sorts:
            require_no_capture()
        if name == "where":
            return call(function, args, kwargs, label=name, synchronizes=len(args) == 1)
        with np.errstate(all="ignore"):
            return call(function, args, kwargs, label=name, synchronizes=synchronizes, cublas=cublas)

    return wrapper


def in_place(name: str, target: int = 0) -> Callable[..., Any]:
    function = getattr(np, name)

    @functools.wraps(function)
    def wrapper(a: ndarray, *args: Any, **kwargs: Any) -> None:
        call_in_place(lambda x, *rest: function(x, *rest, **kwargs), a, args, label=name)

    return wrapper


def wrap_module(module: Any, wanted: frozenset[str], cublas: bool = False) -> dict[str, Any]:
    """Return functions of a NumPy submodule as functions of device arrays."""

    def wrap(name: str) -> Any:
        function = getattr(module, name)

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return call(function, args, kwargs, label=name, cublas=cublas)

        return wrapper

    return {name: wrap(name) for name in sorted(wanted)}
