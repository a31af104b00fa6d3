"""What the comparisons of CUDA kernels with CPU kernels share, and that both backends declare the same functions.

The kernels run on the emulator in ``tests/cuda_emulator``: every ``.cu`` source is compiled by the host's compiler and
executed, with its memory accesses checked.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from tensorgrad.kernels import INSTRUCTIONS, ieee_semantics

from tests import cuda_emulator

HALF = ("float16", "bfloat16")
FLOATS = ("float32", "float64", *HALF)
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def dtype_of(name: str) -> np.dtype[Any]:
    """The NumPy dtype, for bfloat16 from ml_dtypes."""
    if name == "bfloat16":
        return np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    return np.dtype(name)


def array(shape: tuple[int, ...], dtype: str = "float32", seed: int = 0, scale: float = 2.0) -> Any:
    """Reproducible values: normal for real and complex dtypes, small integers otherwise."""
    rng = np.random.default_rng([seed, *shape])
    if dtype.startswith("complex"):
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if "int" in dtype:
        return rng.integers(0 if dtype.startswith("u") else -9, 10, shape).astype(dtype)
    return np.asarray(rng.normal(size=shape) * scale).astype(dtype_of(dtype))


def strided(x: Any) -> Any:
    """The same values on the device in memory contiguous in no sense: reversed, with gaps, axes in another order."""
    cupy = cuda_emulator.install()
    if x.ndim == 0 or x.size == 0:
        return cupy.asarray(x)
    big = cupy.zeros([2 * n for n in x.shape[::-1]], x.dtype)
    view = big.transpose()[tuple(slice(None, None, -2) for _ in x.shape)]
    view[...] = cupy.asarray(x)
    return view


def to_device(value: Any, place: Any = None) -> Any:
    """Arrays, alone or in sequences, on the device; anything else as it is."""
    if isinstance(value, (list, tuple)):
        return type(value)(to_device(v, place) for v in value)
    if not isinstance(value, np.ndarray):
        return value
    return (place or cuda_emulator.install().asarray)(value)


def to_host(value: Any) -> Any:
    """The inverse of `to_device`."""
    if isinstance(value, (list, tuple)):
        return type(value)(to_host(v) for v in value)
    return value.get() if hasattr(value, "get") else value


def tolerance(dtype: np.dtype[Any]) -> dict[str, float]:
    """For results computed in another order."""
    bits = {
        "float16": 2e-3,
        "bfloat16": 1.6e-2,
        "float32": 2e-5,
        "float64": 1e-12,
        "complex64": 2e-5,
        "complex128": 1e-12,
    }
    size = bits.get(dtype.name, 0.0)
    return {"rtol": size, "atol": size}


def assert_close(actual: Any, expected: Any, **bounds: float) -> None:
    """Same shape, dtype and values."""
    actual, expected = to_host(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    bounds = tolerance(expected.dtype) | bounds
    if expected.dtype.name in HALF:
        actual, expected = actual.astype(np.float32), expected.astype(np.float32)
    np.testing.assert_allclose(actual, expected, equal_nan=True, **bounds)


def agree(name: str, *args: Any, bounds: dict[str, float] | None = None, **params: Any) -> None:
    """Run a kernel on both backends, alone, with ``out=``, and on strided views; compare."""
    kernel = INSTRUCTIONS[name]
    with ieee_semantics():
        expected = kernel.cpu(*args, **params)
    expected = expected if isinstance(expected, tuple) else np.asarray(expected)
    for place in (None, strided):
        operands = to_device(args, place)
        compare(kernel.cuda(*operands, **params), expected, bounds)
        empty = tuple(map(np.zeros_like, expected)) if isinstance(expected, tuple) else np.zeros_like(expected)
        out = to_device(empty, place)
        returned = kernel.cuda(*operands, **params, out=out)
        compare(out, expected, bounds)
        compare(returned, expected, bounds)


def compare(actual: Any, expected: Any, bounds: dict[str, float] | None) -> None:
    """`assert_close` for one result or several."""
    pairs = zip(actual, expected, strict=True) if isinstance(expected, tuple) else [(actual, expected)]
    for a, e in pairs:
        assert_close(a, e, **(bounds or {}))


def agree_in_place(name: str, out: Any, *args: Any, **params: Any) -> None:
    """Run a kernel that writes its first argument on both backends, into contiguous and into strided memory."""
    kernel = INSTRUCTIONS[name]
    expected = out.copy()
    with ieee_semantics():
        kernel.cpu(expected, *args, **params)
    for place in (None, strided):
        on_device = to_device(out, place)
        kernel.cuda(on_device, *to_device(args, place), **params)
        assert_close(on_device, expected)


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_both_backends_take_the_same_parameters(name: str) -> None:
    cuda_emulator.install()
    kernel = INSTRUCTIONS[name]
    cpu = kernel.cpu
    if (
        isinstance(cpu, np.ufunc)
        or not inspect.isfunction(kernel.cuda)
        or "*args" in str(inspect.signature(kernel.cuda))
    ):
        return
    names = [p for p in inspect.signature(kernel.cuda).parameters if p != "out"]
    wanted = [p.split("=")[0].strip() for p in kernel.signature.split(",")]
    assert names[: len(wanted)] == wanted or "out" in wanted
