"""Scans on CUDA against those on the CPU: lines of threads and tiles of blocks, carried over."""

from __future__ import annotations

import numpy as np
import pytest

from tensorgrad import kernels as K
from tests import cuda_emulator

from .test_cuda_agreement import array, dtype_of, strided

SHAPES = [((3, 2500), 1), ((2500, 2), 0), ((1, 4097), 1), ((2, 300, 2), 1), ((9000, 1, 3), 1), ((2, 129), -1)]


def wide(x):
    return np.asarray(x).astype(np.float64) if np.asarray(x).dtype.kind not in "iub" else np.asarray(x)


@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float16", "int32"])
@pytest.mark.parametrize("name", ["cumsum", "cumprod", "logcumsumexp", "cummax_indices"])
def test_scan(name, dtype, shape, axis):
    if name == "logcumsumexp" and dtype == "int32":
        return
    cuda_emulator.install()
    x = array(shape, dtype, scale=0.1 if name != "cummax_indices" else 2.0)
    if name == "cumprod":
        x = (1 + x * 0.1).astype(dtype_of(dtype))
    for arguments in ((axis,), (axis, True), (axis, False))[: 3 if name in ("cumsum", "cummax_indices") else 1]:
        wanted = K.INSTRUCTIONS[name](x, *arguments)
        found = K.INSTRUCTIONS[name](strided(x), *arguments).get()
        tolerance = {"float16": 4e-3, "float32": 1e-4}.get(dtype, 1e-10)
        np.testing.assert_allclose(wide(found), wide(wanted), rtol=tolerance, atol=tolerance)


def test_nan_and_infinities():
    cupy = cuda_emulator.install()
    nan, inf = np.nan, np.inf
    x = np.array([-inf, 1, nan, 2, inf, nan, -inf] * 400)
    for largest in (True, False):
        found = K.cummax_indices(cupy.asarray(x), 0, largest).get()
        np.testing.assert_array_equal(found, K.cummax_indices(x, 0, largest))
    for y in (np.array([-inf, -inf, 1.0, 2.0]), np.array([1.0, inf, inf, 2.0]), np.array([1.0, nan, 2.0])):
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(K.logcumsumexp(cupy.asarray(y), 0).get(), np.logaddexp.accumulate(y))
