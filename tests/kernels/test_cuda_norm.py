"""Normalisation on CUDA against the CPU's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tensorgrad.kernels import INSTRUCTIONS

from tests.kernels.test_cuda_agreement import FLOATS, HALF, agree, array


def bounds(dtype: str) -> dict[str, float] | None:
    if dtype in HALF:
        return {"rtol": 5e-2, "atol": 8e-2}
    return {"rtol": 2e-4, "atol": 2e-4} if dtype == "float32" else None


def check_rows(shape: tuple[int, ...], axes: int, dtype: str = "float32", centered: bool = True) -> None:
    x, g = array(shape, dtype), array(shape, dtype, 1)
    weight, bias = array(shape[len(shape) - axes :], dtype, 2), array(shape[len(shape) - axes :], dtype, 3)
    agree("layer_norm", x, weight, bias, axes, 1e-5, centered, bounds=bounds(dtype))
    agree("layer_norm", x, None, None, axes, 1e-5, centered, bounds=bounds(dtype))
    _, mean, rstd = INSTRUCTIONS["layer_norm"].cpu(x, weight, bias, axes, 1e-5, centered)
    for affine in (False, True):
        for w in (weight, None):
            agree("layer_norm_backward", g, x, mean, rstd, w, axes, centered, affine, bounds=bounds(dtype))


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize(("shape", "axes"), [((5, 8), 1), ((3, 4, 5), 2), ((33, 130), 1), ((2, 1), 1), ((7,), 1)])
def test_layer_norm_shapes(shape: tuple[int, ...], axes: int, centered: bool) -> None:
    check_rows(shape, axes, centered=centered)


@pytest.mark.parametrize("n", [1028, 5003, 8192])
def test_long_rows(n: int) -> None:
    check_rows((3, n), 1)


@pytest.mark.parametrize("dtype", FLOATS)
def test_layer_norm_dtypes(dtype: str) -> None:
    check_rows((6, 40), 1, dtype)
    check_rows((6, 15), 1, dtype, centered=False)


def test_more_rows_than_blocks() -> None:
    check_rows((5000, 4), 1)


@pytest.mark.parametrize("shape", [(0, 4), (3, 0)])
def test_nothing_to_normalise(shape: tuple[int, int]) -> None:
    x = np.zeros(shape, np.float32)
    agree("layer_norm", x)
    _, mean, rstd = INSTRUCTIONS["layer_norm"].cpu(x)
    agree("layer_norm_backward", x, x, mean, rstd, None, 1, True, True)


def check_channels(shape: tuple[int, ...], dtype: str = "float32") -> None:
    x, g = array(shape, dtype), array(shape, dtype, 1)
    weight, bias = array(shape[1:2], dtype, 2), array(shape[1:2], dtype, 3)
    for w, b in ((weight, bias), (None, None)):
        agree("batch_norm", x, w, b, bounds=bounds(dtype))
        _, mean, var = INSTRUCTIONS["batch_norm"].cpu(x, w, b)
        agree("batch_norm_backward", g, x, mean, var, w, bounds=bounds(dtype))
        agree("batch_norm_with", x, mean, var, w, b, bounds=bounds(dtype))


@pytest.mark.parametrize(
    "shape", [(6, 3), (300, 40), (2, 3, 5), (4, 5, 6, 7), (2, 3, 2, 20, 9), (0, 3, 2), (700, 2, 16), (1, 1, 4096)]
)
def test_batch_norm_shapes(shape: tuple[int, ...]) -> None:
    check_channels(shape)


@pytest.mark.parametrize("dtype", FLOATS)
def test_batch_norm_dtypes(dtype: str) -> None:
    check_channels((8, 3, 4), dtype)
    check_channels((8, 3, 40), dtype)


def test_variance_far_from_zero() -> None:
    x: Any = array((4, 3, 500)) * 0.01 + 100
    agree("batch_norm", x.astype(np.float32), bounds={"rtol": 1e-2, "atol": 1e-2})
    agree("layer_norm", x.astype(np.float32), bounds={"rtol": 1e-2, "atol": 1e-2})
