"""Comparisons that say where two results differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..backend import to_numpy
from ..dtypes import DType, is_differentiable, is_floating
from ..tensor import Tensor

__all__ = ["assert_close", "index_of", "worst_of"]

Array = np.ndarray[Any, np.dtype[Any]]

_TOLERANCES = {
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
    "complex64": (1.3e-6, 1e-5),
    "complex128": (1e-7, 1e-7),
}
"""By dtype, the relative and the absolute tolerance of `assert_close`: PyTorch's."""


def assert_close(
    actual: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    *,
    equal_nan: bool = False,
    check_dtype: bool = True,
    check_device: bool = True,
    check_stride: bool = False,
    msg: str | None = None,
) -> None:
    """Assert that ``abs(actual - expected) <= atol + rtol * abs(expected)`` for every element.

    Parameters
    ----------
    actual, expected : Tensor, array, number, nested sequence of numbers, or a sequence or mapping of such
    rtol, atol : float, optional
        Both or none. By default PyTorch's for the dtype, the looser one if there are two dtypes; exact for integers
        and booleans.
    equal_nan : bool
        Whether NaN equals NaN.
    check_dtype : bool
        Also compare dtypes, of operands that both have one.
    check_device : bool
        Also compare devices, if both are Tensors.
    check_stride : bool
        Also compare how the memory is laid out, of operands that both have strides.
    msg : str, optional
        Put before the explanation.

    Raises
    ------
    AssertionError
        With the number of elements that differ, and the index and the values of the worst.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.testing.assert_close(tg.ones(2) / 3, [1 / 3, 1 / 3])
    >>> tg.testing.assert_close(tg.tensor([1.0, 2.0]), [1.0, 2.5])
    Traceback (most recent call last):
    AssertionError: 1 of 2 elements differ by more than rtol=1.3e-06, atol=1e-05; worst is (1,): 2.0, expected 2.5
    """
    if (rtol is None) != (atol is None):
        raise ValueError(f"assert_close: give both rtol and atol, or none; got rtol={rtol}, atol={atol}")
    head = "" if msg is None else f"{msg}: "
    pairs = _parts(actual, expected, head)
    if pairs is not None:
        for name, x, y in pairs:
            assert_close(
                x, y, rtol, atol, equal_nan=equal_nan, check_dtype=check_dtype, check_device=check_device,
                check_stride=check_stride, msg=f"{head}item {name}",
            )  # fmt: skip
        return
    first, second = _values(actual), _values(expected)
    if first.shape != second.shape:
        raise AssertionError(f"{head}the shapes differ: {first.shape}, expected {second.shape}")
    typed = hasattr(actual, "dtype"), hasattr(expected, "dtype")
    if check_dtype and all(typed) and first.dtype != second.dtype:
        raise AssertionError(f"{head}the dtypes differ: {first.dtype}, expected {second.dtype}")
    if (
        check_device
        and isinstance(actual, Tensor)
        and isinstance(expected, Tensor)
        and actual.device != expected.device
    ):
        raise AssertionError(f"{head}the devices differ: {actual.device}, expected {expected.device}")
    if check_stride and hasattr(actual, "dtype") and hasattr(expected, "dtype") and first.strides != second.strides:
        raise AssertionError(f"{head}the strides differ: {first.strides} bytes, expected {second.strides}")
    if rtol is None or atol is None:
        # Python numbers have no precision of their own: the other side's decides.
        dtypes = [a.dtype for a, counts in zip((first, second), typed, strict=True) if counts or not any(typed)]
        rtol, atol = (max(pair) for pair in zip(*(_tolerance(d) for d in dtypes), strict=True))
    _compare(_wide(first), _wide(second), rtol, atol, equal_nan, head)


def _parts(actual: Any, expected: Any, head: str) -> list[tuple[Any, Any, Any]] | None:
    """What two containers hold, by name; None of what is compared as a whole."""
    if isinstance(actual, Mapping) or isinstance(expected, Mapping):
        if not (isinstance(actual, Mapping) and isinstance(expected, Mapping)):
            raise AssertionError(f"{head}a {type(actual).__name__}, expected a {type(expected).__name__}")
        if actual.keys() != expected.keys():
            raise AssertionError(f"{head}the keys differ: {list(actual)}, expected {list(expected)}")
        return [(repr(key), actual[key], expected[key]) for key in actual]
    both = isinstance(actual, (list, tuple)) and isinstance(expected, (list, tuple))
    if not both or not (_holds_arrays(actual) or _holds_arrays(expected)):
        return None
    if len(actual) != len(expected):
        raise AssertionError(f"{head}the lengths differ: {len(actual)}, expected {len(expected)}")
    return [(i, x, y) for i, (x, y) in enumerate(zip(actual, expected, strict=True))]


def _holds_arrays(tree: Any) -> bool:
    if isinstance(tree, (list, tuple)):
        return any(_holds_arrays(part) for part in tree)
    return isinstance(tree, Mapping) or hasattr(tree, "dtype")


def _values(x: Any) -> Array:
    if isinstance(x, Tensor):
        return to_numpy(x._data)
    return to_numpy(x) if hasattr(x, "__cuda_array_interface__") else np.asarray(x)


def _tolerance(dtype: DType) -> tuple[float, float]:
    return _TOLERANCES.get(dtype.name, (0.0, 0.0))


def _wide(x: Array) -> Array:
    """In a dtype in which differences are exact enough; integers and booleans as they are."""
    if not is_differentiable(x.dtype):
        return x
    return x.astype(np.float64 if is_floating(x.dtype) else np.complex128)


def _compare(actual: Array, expected: Array, rtol: float, atol: float, equal_nan: bool, head: str) -> None:
    if actual.dtype.kind in "biu" and expected.dtype.kind in "biu":
        actual, expected = actual.astype(object), expected.astype(object)  # Python's integers do not overflow
    with np.errstate(all="ignore"):
        difference = _floats(np.abs(actual - expected))
        limit = _floats(atol + rtol * np.abs(expected))
        close = (difference <= limit) & np.isfinite(limit)
        close |= np.asarray(actual == expected, bool)  # equal infinities too, whose difference is NaN
        if equal_nan:
            close |= (actual != actual) & (expected != expected)  # noqa: PLR0124 - NaN
    if close.all():
        return
    worst = worst_of(difference, ~close)
    raise AssertionError(
        f"{head}{close.size - int(close.sum())} of {close.size} elements differ by more than rtol={rtol:g}, "
        f"atol={atol:g}; worst is {worst}: {actual[worst]}, expected {expected[worst]}"
    )


def _floats(x: Any) -> Array:
    return np.asarray(x, np.float64)


def worst_of(difference: Array, wrong: Array) -> tuple[int, ...]:
    """Index of the largest difference among the wrong elements; NaN counts as the largest."""
    size = np.where(np.isnan(difference), np.inf, difference)
    return index_of(int(np.argmax(np.where(wrong, size, -1))), wrong.shape)


def index_of(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(n) for n in np.unravel_index(flat, shape)) if shape else ()
