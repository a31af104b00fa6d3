"""Plain ufuncs on arrays of more than one block: the same as NumPy's, however many threads there are."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from tensorgrad.kernels.cpu.blocked import BLOCK

from tensorgrad import kernels as K

Array = np.ndarray[Any, np.dtype[Any]]
ROWS, COLUMNS = 300, 257  # more than a block

pytestmark = pytest.mark.usefixtures("many_threads")


def values(shape: tuple[int, ...], dtype: str = "float32", seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(0.5, 2, shape).astype(dtype)


LAYOUTS = {
    "same": (values((ROWS, COLUMNS)), values((ROWS, COLUMNS), seed=1)),
    "row": (values((ROWS, COLUMNS)), values((COLUMNS,), seed=1)),
    "column": (values((ROWS, COLUMNS)), values((ROWS, 1), seed=1)),
    "single": (values((ROWS, COLUMNS)), values((1, 1), seed=1)),
    "scalar": (values((ROWS, COLUMNS)), 1.5),
    "transposed": (values((ROWS, COLUMNS)), values((COLUMNS, ROWS), seed=1).T),
    "both transposed": (values((COLUMNS, ROWS)).T, values((COLUMNS, ROWS), seed=1).T),
    "strided": (values((ROWS, COLUMNS, 2))[..., 0], values((ROWS, COLUMNS), seed=1)[::-1]),
    "one row": (values((1, ROWS * COLUMNS)), values((1, ROWS * COLUMNS), seed=1)),
    "repeated": (values((ROWS, COLUMNS)), np.broadcast_to(values((COLUMNS,)), (4, ROWS, COLUMNS))),
    "more axes": (values((4, ROWS, COLUMNS)), values((ROWS, COLUMNS), seed=1)),
    "float64": (values((ROWS, COLUMNS), "float64"), values((ROWS, COLUMNS), "float64")),
    "float16": (values((ROWS, COLUMNS), "float16"), values((ROWS, COLUMNS), "float16")),
    "wider": (values((ROWS, COLUMNS)), values((ROWS, COLUMNS), "float64")),
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("kernel", ["multiply", "less", "power", "maximum"])
def test_two_operands(name: str, kernel: str) -> None:
    x1, x2 = LAYOUTS[name]
    expected = getattr(np, kernel)(x1, x2)
    launch = K.INSTRUCTIONS[kernel]
    found = launch(x1, x2)
    assert found.dtype == expected.dtype
    assert found.strides == expected.strides or not x1.flags.c_contiguous
    np.testing.assert_array_equal(found, expected)
    for out in (np.full_like(expected, 7, order="C"), np.full_like(expected, 7, order="F")):
        assert launch(x1, x2, out) is out
        np.testing.assert_array_equal(out, expected)
        assert launch(x1, x2, out=out) is out
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("kernel", ["negative", "exp", "isnan", "sqrt"])
def test_one_operand(kernel: str) -> None:
    x = values((ROWS, COLUMNS)) - 1
    x[0, 0] = np.inf
    with np.errstate(all="ignore"):
        for source in (x, x.T, x[::-1], x[:, ::2]):
            expected = getattr(np, kernel)(source)
            np.testing.assert_array_equal(K.INSTRUCTIONS[kernel](source), expected)
            np.testing.assert_array_equal(K.INSTRUCTIONS[kernel](source, out=np.empty_like(expected)), expected)


def test_results_may_overlap_operands() -> None:
    x = values((ROWS, COLUMNS))
    expected = x[:-1] + x[1:]
    assert np.array_equal(K.add(x[:-1].copy(), x[1:], out=x[1:]), expected)
    x = values((ROWS, COLUMNS))
    expected = x[:-1] + x[1:]
    K.add(x[:-1], x[1:], out=x[1:])
    assert np.array_equal(x[1:], expected)
    x = values((ROWS, COLUMNS))
    expected = x * 2
    assert K.add(x, x, out=x) is x
    assert np.array_equal(x, expected)


def test_errors_name_the_shapes() -> None:
    x = values((ROWS, COLUMNS))
    with pytest.raises(ValueError, match=r"add: shapes \(300, 257\) and \(300, 256\) cannot be broadcast together"):
        K.add(x, x[:, 1:])
    with pytest.raises(ValueError, match="add"):
        K.add(x, x, out=np.empty((COLUMNS, ROWS), "float32"))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "int8"])
def test_where(dtype: str) -> None:
    rng = np.random.default_rng(0)
    condition = rng.random((ROWS, COLUMNS)) < 0.5
    x1, x2 = (rng.integers(-9, 9, (ROWS, COLUMNS)).astype(dtype) for _ in range(2))
    if np.dtype(dtype).kind == "f":
        x1[0, :4], x2[0, :4] = [np.nan, -0.0, np.inf, 1], [1, 0.0, np.nan, -np.inf]
    zero, number = np.zeros((), dtype), np.full((), 3, dtype)
    for a, b in ((x1, x2), (x1, zero), (zero, x2), (x1, number), (number, zero), (x1[0], x2), (x1, x2[::-1])):
        for c in (condition, condition[::-1], condition[:, :1]):
            expected = np.where(c, a, b)
            np.testing.assert_array_equal(K.where(c, a, b), expected)
            out = np.full(expected.shape, 5, dtype)
            assert K.where(c, a, b, out=out) is out
            np.testing.assert_array_equal(out, expected)
            assert np.array_equal(np.signbit(out), np.signbit(expected))
    expected = np.where(condition[1:], x1[:-1], x2[1:])
    np.testing.assert_array_equal(K.where(condition[1:], x1[:-1], x2[1:], out=x1[1:]), expected)


def test_clip() -> None:
    x = values((ROWS, COLUMNS))
    x[0, :3] = [np.nan, np.inf, -np.inf]
    expected = np.minimum(np.maximum(x, np.float32(0.75)), np.float32(1.25))
    np.testing.assert_array_equal(K.clip(x, 0.75, 1.25), expected)
    np.testing.assert_array_equal(K.clip(x, 0.75, 1.25, out=x), expected)
    assert (K.clip(x[1:], 2.0, 1.0) == 1).all()


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", ()), reason="glibc's allocator only")
@pytest.mark.parametrize("kept", [True, False])
def test_freed_pages_are_used_again(kept: bool) -> None:
    program = """
import resource
import numpy as np
from tensorgrad import kernels as K
x = np.ones(1 << 18, np.float32)
def chain():
    K.add(K.multiply(K.add(x, x), x), K.add(x, x))
chain()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    chain()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    environment["TENSORGRAD_KEEP_PAGES"] = "1" if kept else "0"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    faults = int(run.stdout)
    assert faults < 2000 if kept else faults > 2000  # a chain writes 4 MiB, which are 1024 pages


@pytest.mark.parametrize("size", [BLOCK + 1, 3_000_001])
@pytest.mark.parametrize("kernel", [K.sigmoid, K.exp], ids=lambda k: k.name)
def test_large_results_begin_with_a_cache_line(kernel: K.Kernel, size: int) -> None:
    x = values((size,))
    y = kernel(x)
    assert y.ctypes.data % 64 == 0
    assert y.flags.c_contiguous
    assert y.flags.writeable
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
