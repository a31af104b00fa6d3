"""Reductions on CUDA against the CPU's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.kernels.test_cuda_agreement import FLOATS, INTEGERS, agree, array, dtype_of, to_device

SHAPES = [
    ((), None),
    ((7,), None),
    ((5, 3), 0),
    ((5, 3), 1),
    ((5, 3), None),
    ((3, 40, 2), 1),
    ((2, 3, 4, 5), (1, 3)),
    ((2, 3, 4, 5), (0, 2)),
    ((4, 1, 6), (0, 1)),
    ((3, 0, 2), 1),
    ((0, 4), 1),
]
LONG = [((3, 1300), 1), ((9000,), None), ((700, 33), 0), ((2, 300, 9), (0, 1))]


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "any", "all", "max", "min", "var", "std", "logsumexp"])
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_shapes(name: str, shape: tuple[int, ...], axis: Any) -> None:
    if name in ("max", "min") and np.prod(shape, dtype=int) == 0 and axis == 1 and shape[1] == 0:
        return
    for keepdims in (False, True):
        agree(name, array(shape), axis, keepdims)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize(
    ("shape", "axis"), [case for case in SHAPES if not isinstance(case[1], tuple) and 0 not in case[0]]
)
def test_positions(name: str, shape: tuple[int, ...], axis: Any) -> None:
    if shape:
        agree(name, array(shape, "int32"), axis)
        agree(name, array(shape), axis, True)


@pytest.mark.parametrize(("shape", "axis"), LONG)
def test_ranges_split_over_blocks(shape: tuple[int, ...], axis: Any) -> None:
    for name in ("sum", "max", "var", "logsumexp", "mean"):
        agree(name, array(shape), axis, bounds={"rtol": 1e-4, "atol": 1e-3})
    if not isinstance(axis, tuple):
        agree("argmax", array(shape, "int32"), axis)


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS, "bool", "complex64"])
@pytest.mark.parametrize("name", ["sum", "prod", "any", "all"])
def test_dtypes(name: str, dtype: str) -> None:
    agree(name, array((4, 6), dtype, scale=1.0), 1)


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS, "bool"])
@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin"])
def test_extreme_dtypes(name: str, dtype: str) -> None:
    agree(name, array((4, 6), dtype), 1)
    agree(name, array((4, 6), dtype), 0)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["mean", "var", "std", "logsumexp"])
def test_float_dtypes(name: str, dtype: str) -> None:
    agree(name, array((4, 6), dtype), 1)
    agree(name, array((4, 6), dtype), 0)


def test_special_values() -> None:
    x = array((6, 5))
    x[0, 2], x[1, :], x[2, 1], x[3, :], x[4, 3] = np.nan, -np.inf, np.inf, np.nan, -np.inf
    for name in ("sum", "max", "min", "argmax", "argmin", "logsumexp", "any", "all", "mean"):
        for axis in (0, 1):
            agree(name, x, axis)
    agree("logsumexp", np.float32([[np.inf, np.inf, 1.0], [1000.0, 1000.0, -1000.0]]), 1)


def test_half_types_do_not_saturate() -> None:
    x = np.full((5000,), 1.0, dtype_of("float16"))
    agree("sum", x)
    agree("mean", np.full((5000,), 300.0, dtype_of("float16")))


def test_variance_keeps_its_digits_and_corrects() -> None:
    x = array((3, 50)) + np.float32(1000)
    agree("var", x, 1, bounds={"rtol": 1e-3, "atol": 1e-3})
    for correction in (1.0, 0.5, 50.0):
        agree("std", array((3, 50)), 1, correction=correction)
    agree("var", array((3, 1)), 1, correction=1.0)


def test_permuted_and_broadcast_views_are_read_in_place() -> None:
    x = array((2, 3, 4, 5))
    for axes in ((3, 1, 0, 2), (1, 3, 2, 0)):
        for axis in (0, 1, (0, 1), (0, 2), (1, 3), None):
            agree("sum", x.transpose(axes), axis)
    agree("sum", np.broadcast_to(array((1, 5)), (7, 5)), 0)


@pytest.mark.parametrize("name", ["max", "argmin"])
def test_nothing_to_choose_from_raises(name: str) -> None:
    from tensorgrad.kernels.cuda import reduction

    with pytest.raises(ValueError, match="no element"):
        getattr(reduction, name)(to_device(np.zeros((3, 0), np.float32)), 1)
