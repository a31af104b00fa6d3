"""Copies, gather and scatter on CUDA against the CPU's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tensorgrad.kernels import INSTRUCTIONS

from tests import cuda_emulator
from tests.kernels.test_cuda_agreement import FLOATS, INTEGERS, agree, agree_in_place, array, to_device

I1 = np.array([2, 0, 2, -1])
I2 = np.array([[0, 1], [2, -3], [1, 1]])
MASK = np.array([True, False, True])
S = slice(None)

INDICES: list[tuple[tuple[int, ...], tuple[Any, ...]]] = [
    ((3,), (I1,)),
    ((3, 4), (I1,)),
    ((3, 4), (S, I1)),
    ((3, 4), (I1, I1)),
    ((3, 4), (I2, 1)),
    ((3, 4, 5), (S, I2)),
    ((3, 4, 5), (I1, S, I1)),
    ((3, 4, 5), (0, S, I1)),
    ((3, 4, 5), (S, 1, I1)),
    ((3, 4, 5), (I1, None, I1)),
    ((3, 4, 5), (..., I1)),
    ((3, 4, 5), (I1[:, None], S, np.array([0, 3]))),
    ((3, 4, 5), (slice(None, None, -1), I1, slice(1, 4))),
    ((3, 4), (MASK,)),
    ((4, 3), (S, MASK)),
    ((3, 4), (np.arange(12).reshape(3, 4) % 3 == 0,)),
    ((3, 4), (np.zeros(3, bool),)),
    ((3, 4), (np.zeros((0,), np.int64),)),
    ((3, 4), (np.array(1),)),
    ((3, 8), (I1.astype(np.int32),)),
    ((3, 16), (np.array([2, 0, 2, 1], np.uint8),)),
    ((2, 3, 1, 2, 2, 2), (S, I1, S, S, I1 % 2)),
    ((2, 2, 2, 2, 2, 2, 3), (S, S, S, S, S, S, I1)),
]


@pytest.mark.parametrize(("shape", "index"), INDICES)
def test_getitem(shape: tuple[int, ...], index: tuple[Any, ...]) -> None:
    agree("getitem", array(shape), index)


@pytest.mark.parametrize(("shape", "index"), INDICES)
def test_scatter_add(shape: tuple[int, ...], index: tuple[Any, ...]) -> None:
    out = array(shape)
    value = array(out[index].shape, seed=1)
    agree_in_place("scatter_add", out, index, value)
    agree_in_place("scatter_add", out, index, 2.0)


@pytest.mark.parametrize(("shape", "index"), INDICES)
def test_setitem(shape: tuple[int, ...], index: tuple[Any, ...]) -> None:
    out = array(shape)
    agree_in_place("setitem", out, index, 3.0)
    rows = np.arange(out.size).reshape(shape)[index]
    value = np.asarray(rows, np.float32)  # equal where an index repeats
    agree_in_place("setitem", out, index, value)


@pytest.mark.parametrize("index", [(slice(1, 3),), (0,), (..., slice(None, None, -1)), (None, 1)])
def test_basic_indices(index: tuple[Any, ...]) -> None:
    x = array((3, 4))
    agree("getitem", x, index)
    agree_in_place("setitem", x, index, 1.0)
    agree_in_place("scatter_add", x, index, 1.0)


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS, "bool", "complex64", "complex128"])
def test_dtypes(dtype: str) -> None:
    x, value = array((5, 6), dtype), array((4, 6), dtype, 1)
    bounds = {"rtol": 1e-2, "atol": 1e-2} if dtype in ("float16", "bfloat16") else {}
    agree("take", x, np.array([4, 0, 0, 2]), 0)
    agree("getitem", x, (I1, I1))
    agree_in_place("setitem", x, (np.array([4, 0, 1, 2]),), value)
    if dtype != "bool":
        agree_in_place("take_add", x, np.array([4, 0, 0, 2]), value, 0)
    assert bounds is not None


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("indices", [I1, I2, np.array(1), np.zeros((0, 2), np.int64)])
def test_take(axis: int, indices: Any) -> None:
    x = array((3, 4, 5))
    axis %= 3
    agree("take", x, indices, axis)
    value = array(np.take(x, indices, axis).shape, seed=1)
    agree_in_place("take_add", x, indices, value, axis)


@pytest.mark.parametrize(
    ("rows", "table", "width"), [(300, 7, 5), (5000, 40, 3), (100, 70000, 1), (64, 1, 130), (33, 2, 1)]
)
def test_runs_longer_than_a_tile_and_several_digits(rows: int, table: int, width: int) -> None:
    rng = np.random.default_rng(0)
    indices = rng.integers(-table, table, rows)
    indices[::3] = 0  # one run over many tiles, as padding makes it
    out, value = array((table, width)), array((rows, width), seed=1, scale=1.0)
    agree_in_place("take_add", out.astype(np.float64), indices, value.astype(np.float64), 0)


def test_adding_is_the_same_in_every_order_of_blocks() -> None:
    indices, value = np.random.default_rng(0).integers(0, 3, 999), array((999, 4), scale=100.0)
    results = []
    for order in ("ascending", "descending", "shuffled"):
        with cuda_emulator.override(order=order):
            out = to_device(np.zeros((3, 4), np.float32))
            INSTRUCTIONS["take_add"].cuda(out, *to_device((indices, value)), 0)
            results.append(out.get())
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_half_types_accumulate_in_float32() -> None:
    value = np.ones((4000, 1), np.float16)
    agree_in_place("take_add", np.zeros((2, 1), np.float16), np.ones(4000, np.int64), value, 0)


@pytest.mark.parametrize(("shape", "axis"), [((5,), 0), ((3, 4), 0), ((3, 4), 1), ((2, 3, 4), 1), ((2, 3, 4), -1)])
def test_along_axis(shape: tuple[int, ...], axis: int) -> None:
    axis %= len(shape)
    x = array(shape)
    order = np.argsort(x, axis)
    agree("take_along_axis", x, order, axis)
    agree_in_place("put_along_axis", x, order, array(shape, seed=1), axis)
    agree_in_place("put_along_axis", x, order, 0.0, axis)
    few = np.take(order, [0, 0], axis) - x.shape[axis]
    agree("take_along_axis", x, few, axis)
    agree_in_place("add_along_axis", x, few, array(few.shape, seed=1), axis)


def test_along_axis_broadcasts() -> None:
    x = array((3, 1, 4))
    agree("take_along_axis", x, np.array([[[0, 3], [1, -1]]]), 2)
    agree("take_along_axis", array((1, 4)), np.array([[0], [1], [3]]), 1)


@pytest.mark.parametrize("bad", [3, -4, 2**40])
def test_indices_out_of_range_are_reported(bad: int) -> None:
    from tensorgrad.kernels.cuda import errors

    x, index = to_device((array((3, 4)), np.array([0, 2, bad])))
    calls = [
        lambda: INSTRUCTIONS["take"].cuda(x, index, 0),
        lambda: INSTRUCTIONS["getitem"].cuda(x, (index, index[:1])),
        lambda: INSTRUCTIONS["setitem"].cuda(x, (index,), 1.0),
        lambda: INSTRUCTIONS["take_add"].cuda(x, index, cuda_emulator.install().ones((3, 4), "f4"), 0),
        lambda: INSTRUCTIONS["take_along_axis"].cuda(x[:, :1], index.reshape(3, 1), 0),
    ]
    for call in calls:
        call()
        with pytest.raises(IndexError, match=rf"index {bad} \(position 2 .* out of bounds for an axis of length 3"):
            errors.check()
        errors.check()


def test_wrong_kinds_of_index_raise_at_once() -> None:
    x = to_device(array((3, 4)))
    with pytest.raises(IndexError, match="integer or boolean"):
        INSTRUCTIONS["getitem"].cuda(x, (to_device(array((3,))),))
    with pytest.raises(IndexError, match="too many indices"):
        INSTRUCTIONS["getitem"].cuda(x, to_device((I1, I1, I1)))
    with pytest.raises(IndexError, match="mask"):
        INSTRUCTIONS["setitem"].cuda(x, (to_device(np.ones(2, bool)),), 0.0)


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS, "bool", "complex64"])
def test_memory(dtype: str) -> None:
    x = array((3, 4), dtype)
    agree("copy", x)
    for to in ("float32", "bfloat16", "int64", "bool", "complex64"):
        agree("cast", x, np.dtype(to) if to != "bfloat16" else array((), to).dtype)
    agree_in_place("fill", x, 1)
    agree_in_place("assign", x, array((4,), dtype, 1))
    agree_in_place("assign", x, 2)
    if dtype != "bool":
        agree_in_place("arange", x.reshape(-1), 3, 2)
    agree("concat", (x, x[:1], x[:0]), 0)
    agree("concat", [x, x[:, :2]], 1)


def test_arange_of_floats_and_of_large_integers() -> None:
    agree_in_place("arange", array((7,)), 0.5, -0.25)
    agree_in_place("arange", array((7,), "uint64"), 2**63, 2)
    agree_in_place("arange", array((0,)), 0, 1)
