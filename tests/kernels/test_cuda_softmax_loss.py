"""Softmax and cross-entropy on CUDA against the CPU's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tensorgrad.kernels import INSTRUCTIONS

from tests.kernels.test_cuda_agreement import FLOATS, agree, array, to_device

SOFTMAX = ["softmax", "log_softmax"]


@pytest.mark.parametrize("name", SOFTMAX)
@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((), -1),
        ((7,), 0),
        ((5, 10), -1),
        ((5, 10), 0),
        ((2, 3, 4), 1),
        ((0, 3), 1),
        ((2, 1), 1),
        ((70, 33), -1),
        ((3, 300, 2), 1),
    ],
)
def test_softmax_shapes(name: str, shape: tuple[int, ...], axis: int) -> None:
    x = array(shape, scale=5.0)
    agree(name, x, axis=axis)
    y = INSTRUCTIONS[name].cpu(x, axis)
    agree(f"{name}_backward", array(shape, seed=1), np.asarray(y), axis=axis)


@pytest.mark.parametrize("name", SOFTMAX)
@pytest.mark.parametrize("n", [1025, 5003, 20001])
def test_long_rows(name: str, n: int) -> None:
    x = array((3, n), scale=3.0)
    bounds = {"rtol": 1e-4, "atol": 1e-5}
    agree(name, x, bounds=bounds)
    y = INSTRUCTIONS[name].cpu(x, -1)
    agree(f"{name}_backward", array((3, n), seed=1), y, bounds={"rtol": 1e-3, "atol": 1e-3})


@pytest.mark.parametrize("name", SOFTMAX)
@pytest.mark.parametrize("dtype", FLOATS)
def test_softmax_dtypes(name: str, dtype: str) -> None:
    half = dtype in ("float16", "bfloat16")
    bounds = {"rtol": 3e-2, "atol": 3e-2} if half else None
    x = array((6, 40), dtype)
    agree(name, x, bounds=bounds)
    y = INSTRUCTIONS[name].cpu(x, -1)
    agree(
        f"{name}_backward",
        array((6, 40), dtype, 1),
        np.asarray(y),
        bounds={"rtol": 1e-1, "atol": 1e-1} if half else None,
    )


def test_softmax_survives_extremes() -> None:
    x = np.float32([[1e4, 1e4 - 1, 0], [-1e4, -1e4, -1e4], [-np.inf, 0, 1], [np.inf, 0, 1], [np.nan, 0, 1]])
    for name in SOFTMAX:
        agree(name, x)


def targets(shape: tuple[int, ...], classes: int, ignore: bool) -> Any:
    t = np.random.default_rng(0).integers(0, classes, shape)
    if ignore:
        t.reshape(-1)[::3] = -100
    return t


CASES = [(5, 10), (4, 3, 6), (2, 5, 3, 2), (3, 1500), (2, 300, 4), (0, 4), (1, 1)]


@pytest.mark.parametrize("shape", CASES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy(shape: tuple[int, ...], smoothing: float, weighted: bool) -> None:
    x, classes = array(shape, scale=3.0), shape[1]
    weight = np.abs(array((classes,), seed=2)) + 0.1 if weighted else None
    t = targets((shape[0], *shape[2:]), classes, ignore=True)
    g = array(t.shape, seed=3)
    params = {"weight": None if weight is None else weight.astype(np.float32), "label_smoothing": smoothing}
    bounds = {"rtol": 1e-4, "atol": 1e-4}
    both(x, t, g, "cross_entropy", params, bounds)
    both(x, t.astype(np.int32), g, "cross_entropy", params, bounds)


@pytest.mark.parametrize("shape", CASES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_soft_cross_entropy(shape: tuple[int, ...], smoothing: float, weighted: bool) -> None:
    x, classes = array(shape, scale=3.0), shape[1]
    p = np.abs(array(shape, seed=1))
    p = (p / np.maximum(p.sum(1, keepdims=True), 1e-6)).astype(np.float32)
    weight = (np.abs(array((classes,), seed=2)) + 0.1).astype(np.float32) if weighted else None
    g = array((shape[0], *shape[2:]), seed=3)
    params = {"weight": weight, "label_smoothing": smoothing}
    both(x, p, g, "soft_cross_entropy", params, {"rtol": 1e-4, "atol": 1e-4})


def both(x: Any, target: Any, g: Any, name: str, params: dict[str, Any], bounds: dict[str, float]) -> None:
    """Forward and backward."""
    weight = params["weight"]
    smoothing = params["label_smoothing"]
    agree(name, x, target, weight, label_smoothing=smoothing, bounds=bounds)
    _, lse = INSTRUCTIONS[name].cpu(x, target, weight, label_smoothing=smoothing)
    agree(f"{name}_backward", g, x, target, lse, weight, label_smoothing=smoothing, bounds=bounds)


@pytest.mark.parametrize("dtype", FLOATS)
def test_cross_entropy_dtypes(dtype: str) -> None:
    bounds = {"rtol": 5e-2, "atol": 5e-2} if dtype in ("float16", "bfloat16") else None
    x, t = array((6, 12), dtype), targets((6,), 12, ignore=True)
    agree("cross_entropy", x, t, bounds=bounds)
    _, lse = INSTRUCTIONS["cross_entropy"].cpu(x, t)
    agree("cross_entropy_backward", array((6,), dtype, 1), x, t, lse, bounds=bounds)


def test_gradient_of_a_mean_comes_broadcast() -> None:
    x, t = array((6, 12)), targets((6,), 12, ignore=False)
    _, lse = INSTRUCTIONS["cross_entropy"].cpu(x, t)
    agree("cross_entropy_backward", np.broadcast_to(np.float32(1 / 6), (6,)), x, t, lse)


def test_minus_infinity_under_no_mass_costs_nothing() -> None:
    from tensorgrad.kernels.cuda import loss

    x = np.float32([[0.0, -np.inf, 1.0]])
    value, _ = loss.cross_entropy(*to_device((x, np.array([2]))))
    np.testing.assert_allclose(value.get(), [np.log1p(np.exp(-1.0))], rtol=1e-6)


def test_targets_out_of_range_are_reported_once() -> None:
    from tensorgrad.kernels.cuda import errors, loss

    x, t = to_device((array((4, 3)), np.array([0, 1, 3, 2])))
    value, _ = loss.cross_entropy(x, t)
    assert np.isnan(value.get()[2])
    with pytest.raises(IndexError, match=r"cross_entropy: target 3 at position 2 is out of range for 3 classes"):
        errors.check()
    errors.check()
