"""Attention on CUDA against the CPU's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tensorgrad.kernels import INSTRUCTIONS

from tests.kernels.test_cuda_agreement import FLOATS, HALF, agree, array

SHAPES = [(1, 2, 5, 7, 4, 6), (2, 1, 33, 40, 8, 8), (1, 1, 3, 70, 70, 66), (1, 3, 1, 1, 1, 1)]


def check(shape: tuple[int, ...], dtype: str = "float32", mask: Any = None, **params: Any) -> None:
    batch, heads, queries, keys, width, value_width = shape
    q, g = array((batch, heads, queries, width), dtype), array((batch, heads, queries, value_width), dtype, 1)
    k, v = array((batch, heads, keys, width), dtype, 2), array((batch, heads, keys, value_width), dtype, 3)
    bounds = {"rtol": 5e-2, "atol": 1e-1} if dtype in HALF else {"rtol": 1e-3, "atol": 1e-4}
    params["scale"] = width**-0.5
    agree("attention", q, k, v, mask, bounds=bounds, **params)
    y, lse = INSTRUCTIONS["attention"](q, k, v, mask, **params)
    agree("attention_backward", g, q, k, v, y, lse, mask, bounds=bounds, **params)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(shape: tuple[int, ...], causal: bool) -> None:
    check(shape, causal=causal)


@pytest.mark.parametrize("dtype", FLOATS)
def test_dtypes(dtype: str) -> None:
    check((1, 2, 5, 7, 4, 6), dtype, mask=array((5, 7), dtype))


@pytest.mark.parametrize("mask_shape", [(5, 7), (2, 1, 1, 7), (2, 3, 5, 1), (2, 3, 5, 7)])
def test_masks(mask_shape: tuple[int, ...]) -> None:
    check((2, 3, 5, 7, 4, 6), mask=array(mask_shape))
    check((2, 3, 5, 7, 4, 6), mask=array(mask_shape) < 1)


def test_queries_that_see_no_key() -> None:
    mask = np.ones((5, 7), bool)
    mask[2] = False
    check((1, 2, 5, 7, 4, 6), mask=mask)
    check((1, 2, 5, 7, 4, 6), mask=np.where(mask, np.float32(0), np.float32(-np.inf)))


@pytest.mark.parametrize("p", [0.3, 1.0])
def test_dropout(p: float) -> None:
    check((2, 2, 9, 40, 4, 6), p=p, seed=5, offset=11)


@pytest.mark.parametrize("shape", [(0, 2, 3, 4, 2, 2), (1, 2, 0, 4, 2, 2), (1, 2, 3, 0, 2, 2)])
def test_nothing(shape: tuple[int, ...]) -> None:
    check(shape)
