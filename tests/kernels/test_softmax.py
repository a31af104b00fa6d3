"""Softmax and log-softmax against scipy in float64, and their gradients against finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import special

from tensorgrad import kernels as K

Array = np.ndarray[Any, np.dtype[Any]]

BOUNDS = {"float64": 3e-14, "float32": 5e-6, "float16": 1e-3}
CASES = [
    ((5,), 0),
    ((32, 10), -1),
    ((32, 10), 1),
    ((32, 10), 0),
    ((500, 7), -1),  # many short rows
    ((3, 4, 5), -1),
    ((3, 4, 5), 1),
    ((3, 4, 5), 0),
    ((300, 700), -1),  # several blocks
    ((300, 700), 0),
    ((2, 21, 90, 80), 1),
    ((2, 60_000), -1),  # rows longer than a block
    ((60_000, 3), 0),
    ((4, 2000, 9), 1),
    ((1, 1), 0),
]


def values(shape: tuple[int, ...], dtype: str = "float64", seed: int = 0) -> Array:
    return (3 * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize(("shape", "axis"), CASES)
def test_values(dtype: str, shape: tuple[int, ...], axis: int) -> None:
    x = values(shape, dtype)
    wide = x.astype("float64")
    y, log_y = K.softmax(x, axis), K.log_softmax(x, axis)
    assert y.dtype == log_y.dtype == dtype
    assert np.allclose(y, special.softmax(wide, axis), rtol=BOUNDS[dtype], atol=1e-7 if dtype == "float16" else 0)
    assert np.allclose(log_y, special.log_softmax(wide, axis), rtol=BOUNDS[dtype], atol=BOUNDS[dtype])


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize(("shape", "axis"), CASES)
def test_gradients(dtype: str, shape: tuple[int, ...], axis: int) -> None:
    x, g = values(shape, dtype), values(shape, dtype, seed=1)
    y, log_y = K.softmax(x, axis), K.log_softmax(x, axis)
    wide, y_, log_y_ = (a.astype("float64") for a in (g, y, log_y))
    expected = y_ * (wide - (wide * y_).sum(axis, keepdims=True))
    log_expected = wide - np.exp(log_y_) * wide.sum(axis, keepdims=True)
    dx, log_dx = K.softmax_backward(g, y, axis), K.log_softmax_backward(g, log_y, axis)
    assert dx.dtype == log_dx.dtype == dtype
    scale = np.abs(wide).max()
    assert np.allclose(dx, expected, rtol=BOUNDS[dtype], atol=BOUNDS[dtype] * scale)
    # the terms of the sum cancel: its rounding error is relative to their number, not to the sum
    size = np.abs(wide).sum(axis, keepdims=True) * np.exp(log_y_) + scale
    assert np.all(np.abs(log_dx.astype("float64") - log_expected) <= BOUNDS[dtype] * size)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_gradient_is_the_slope_of_the_function(axis: int) -> None:
    x, g = values((3, 4, 5)), values((3, 4, 5), seed=1)
    h = 1e-6
    for forward, backward in ((K.softmax, K.softmax_backward), (K.log_softmax, K.log_softmax_backward)):
        numeric = np.empty_like(x)
        for i in np.ndindex(*x.shape):
            up, down = x.copy(), x.copy()
            up[i] += h
            down[i] -= h
            numeric[i] = (g * (forward(up, axis) - forward(down, axis))).sum() / (2 * h)
        assert np.allclose(backward(g, forward(x, axis), axis), numeric, rtol=0, atol=1e-8)


def test_bfloat16() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x, g = (values((20, 30), seed=s).astype(ml_dtypes.bfloat16) for s in (0, 1))
    for axis in (0, 1):
        y = K.softmax(x, axis)
        assert y.dtype == x.dtype
        assert np.array_equal(y, K.softmax(x.astype("float32"), axis).astype(x.dtype))
        dx = K.softmax_backward(g, y, axis)
        assert np.array_equal(dx, K.softmax_backward(g.astype("float32"), y.astype("float32"), axis).astype(x.dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [3, 40])
def test_edge_values(dtype: str, columns: int) -> None:
    inf, nan = np.inf, np.nan
    x = np.full((7, columns), -inf, dtype)
    x[1:5, :3] = [[inf, 1, 2], [nan, 1, 2], [-inf, 1, 2], [1e4, 1e4 - 1, 0]]
    x[5:, :3] = [[-1e30, -1e30, 0], [3e38, 0, -3e38]]
    y, log_y = K.softmax(x), K.log_softmax(x)
    assert np.isnan(y[:3]).all()
    assert np.isnan(log_y[:3]).all()
    p = special.expit(1.0)
    expected = np.zeros((4, columns))
    expected[:, :3] = [[0, 1 - p, p], [p, 1 - p, 0], [0, 0, 1], [1, 0, 0]]
    assert np.allclose(y[3:], expected, rtol=1e-6, atol=1e-40)
    assert np.allclose(y[3:].sum(-1), 1)
    assert log_y[3, 0] == -inf
    assert np.allclose(log_y[3, 1:3], np.log([1 - p, p]), rtol=1e-5)
    assert np.isfinite(log_y[4, :3]).all()


def test_large_offset_does_not_overflow() -> None:
    x = values((40, 50), "float32")
    assert np.allclose(K.softmax(x + np.float32(64)), K.softmax(x), rtol=1e-4)
    assert np.allclose(K.softmax(x * np.float32(1e4)).sum(-1), 1)


@pytest.mark.parametrize("shape", [(16_000, 2), (40_000, 3)])
def test_long_sums_across_rows_keep_their_digits(shape: tuple[int, int]) -> None:
    x = values(shape, "float32")
    assert np.all(np.abs(K.softmax(x, 0) / special.softmax(x.astype("float64"), 0) - 1) < 4e-6)


def test_zero_size_and_zero_dimensions() -> None:
    for shape, axis in [((0, 3), 1), ((3, 0), 1), ((0, 3), 0), ((2, 0, 4), 1)]:
        x = np.empty(shape, "float32")
        for y in (K.softmax(x, axis), K.log_softmax(x, axis), K.softmax_backward(x, x, axis)):
            assert y.shape == shape
            assert y.dtype == "float32"
    one = np.array(3.0, "float32")
    for axis in (0, -1):
        y = K.softmax(one, axis)
        assert y.shape == ()
        assert y == 1
        assert K.log_softmax(one, axis) == 0
        assert K.softmax_backward(one, y, axis) == 0
        assert K.log_softmax_backward(one, y * 0, axis) == 0
        assert np.isnan(K.softmax(np.array(np.nan), axis))
        out = np.empty((), "float32")
        assert K.softmax(one, axis, out=out) is out
        assert out == 1


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(("shape", "axis"), [((6, 8), -1), ((6, 8), 0), ((400, 500), 1), ((400, 500), 0)])
def test_layouts_and_out(name: str, shape: tuple[int, int], axis: int) -> None:
    forward, backward = K.INSTRUCTIONS[name], K.INSTRUCTIONS[f"{name}_backward"]
    x, g = values(shape, "float32"), values(shape, "float32", seed=1)
    y = forward(x, axis)
    dx = backward(g, y, axis)
    same = {"rtol": 3e-6, "atol": 3e-6}  # sums may be taken in another order
    assert np.allclose(forward(np.asfortranarray(x), axis), y, **same)
    assert np.allclose(forward(x[::-1], axis), y[::-1], **same)
    wide = np.repeat(x, 2, axis=1)[:, ::2]
    assert np.allclose(forward(wide, axis), y, **same)
    flat = np.broadcast_to(np.float32(0.5), shape)
    assert np.allclose(backward(flat, y, axis), backward(flat.copy(), y, axis), rtol=1e-5, atol=1e-5)
    for out in (np.empty_like(x), np.empty(shape[::-1], "float32").T):
        assert forward(x, axis, out=out) is out
        assert np.allclose(out, y, **same)
        assert backward(g, y, axis, out=out) is out
        assert np.allclose(out, dx, rtol=1e-5, atol=1e-5)
    again = x.copy()
    assert forward(again, axis, out=again) is again
    assert np.array_equal(again, y)
    for which in (0, 1):
        operands = [g.copy(), y.copy()]
        assert backward(*operands, axis, out=operands[which]) is operands[which]
        assert np.array_equal(operands[which], dx)


def test_out_that_overlaps_the_input_askew() -> None:
    store = values((301, 200), "float32")
    expected = K.softmax(store[:-1].copy())
    assert np.array_equal(K.softmax(store[:-1], out=store[1:]), expected)


def test_inputs_are_left_alone() -> None:
    for shape in ((6, 8), (300, 300)):
        x, g = values(shape), values(shape, seed=1)
        kept = x.copy(), g.copy()
        K.softmax_backward(g, K.softmax(x))
        K.log_softmax_backward(g, K.log_softmax(x))
        K.softmax_backward(g, x)
        assert np.array_equal(x, kept[0])
        assert np.array_equal(g, kept[1])
