"""Cross-entropy against a sample-by-sample formula in float64, and its gradients against finite differences."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import special

from tensorgrad import kernels as K

Array = np.ndarray[Any, np.dtype[Any]]

BOUNDS = {"float64": 1e-13, "float32": 5e-6, "float16": 2e-3}
SHAPES = [
    (1, 1),
    (32, 10),
    (0, 5),
    (200, 10),  # many short rows
    (5, 7, 3),
    (2, 4, 3, 5),
    (3, 4, 1),
    (700, 97),  # several blocks
    (3, 40_000),  # rows longer than a block
    (2, 21, 50, 60),
]
OPTIONS = list(itertools.product([False, True], [-100, 2, -1], [0.0, 0.1]))  # weighted, ignore_index, label_smoothing


def sample(shape: tuple[int, ...], dtype: str, ignore_index: int = -100) -> tuple[Array, Array, Array, Array]:
    """Logits, class indices of which some are ``ignore_index``, weights, and a gradient of the losses."""
    rng = np.random.default_rng(0)
    classes, others = shape[1], (shape[0], *shape[2:])
    target = rng.integers(0, classes, others)
    if ignore_index < 0 or ignore_index >= classes:
        target[rng.random(others) < 0.2] = ignore_index
    logits = 4 * rng.standard_normal(shape)
    weight, g = rng.random(classes) + 0.1, rng.standard_normal(others)
    return logits.astype(dtype), target, weight.astype(dtype), g.astype(dtype)


def reference(x: Array, q: Array, g: Array) -> tuple[Array, Array, Array]:
    """Losses ``-sum_c q_c log p_c``, log-sum-exps and gradient, in float64 with the classes last."""
    x, q = (np.moveaxis(a.astype("float64"), 1, -1) for a in (x, q))
    g = g.astype("float64")[..., None]
    log_p = special.log_softmax(x, -1)
    dx = g * (np.exp(log_p) * q.sum(-1, keepdims=True) - q)
    return -(q * log_p).sum(-1), special.logsumexp(x, -1), np.moveaxis(dx, -1, 1)


def wanted(target: Array, classes: int, weight: Array | None, ignore_index: int, smoothing: float) -> Array:
    """What class indices mean as the ``q`` of `reference`."""
    q = np.zeros((*target.shape, classes))
    w = np.ones(classes) if weight is None else weight.astype("float64")
    for i in np.ndindex(*target.shape):
        y = target[i]
        if y != ignore_index:
            q[i] = smoothing / classes * w
            q[i][y] += (1 - smoothing) * w[y]
    return np.moveaxis(q, -1, 1)


def close(actual: Array, expected: Array, scale: float = 1.0) -> None:
    assert actual.shape == expected.shape
    bound = BOUNDS[actual.dtype.name]
    assert np.allclose(actual.astype("float64"), expected, rtol=bound, atol=bound * scale)


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_class_indices(dtype: str, shape: tuple[int, ...]) -> None:
    for weighted, ignore_index, smoothing in OPTIONS:
        x, target, w, g = sample(shape, dtype, ignore_index)
        weight = w if weighted else None
        q = wanted(target, shape[1], weight, ignore_index, smoothing)
        loss, lse, dx = reference(x, q, g)
        options = (weight, ignore_index, smoothing)
        actual_loss, actual_lse = K.cross_entropy(x, target, *options)
        assert actual_loss.dtype == actual_lse.dtype == dtype
        close(actual_loss, loss)
        close(actual_lse, lse)
        assert np.all(actual_loss[target == ignore_index] == 0)
        actual_dx = K.cross_entropy_backward(g, x, target, actual_lse, *options)
        assert actual_dx.dtype == dtype
        close(actual_dx, dx, 2.0)
        assert np.all(np.moveaxis(actual_dx, 1, -1)[target == ignore_index] == 0)


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_class_probabilities(dtype: str, shape: tuple[int, ...]) -> None:
    for weighted, smoothing in itertools.product([False, True], [0.0, 0.1]):
        x, _, w, g = sample(shape, dtype)
        target = np.random.default_rng(1).random(shape)
        target = (target / target.sum(1, keepdims=True)).astype(dtype)
        weight = w if weighted else None
        q = target.astype("float64") * (1 - smoothing) + smoothing / shape[1]
        if weighted:
            q *= w.astype("float64").reshape(-1, *[1] * (len(shape) - 2))
        loss, lse, dx = reference(x, q, g)
        actual_loss, actual_lse = K.soft_cross_entropy(x, target, weight, smoothing)
        assert actual_loss.dtype == actual_lse.dtype == dtype
        close(actual_loss, loss)
        close(actual_lse, lse)
        actual_dx = K.soft_cross_entropy_backward(g, x, target, actual_lse, weight, smoothing)
        assert actual_dx.dtype == dtype
        close(actual_dx, dx, 2.0)


@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 4)])
def test_gradient_is_the_slope_of_the_loss(shape: tuple[int, ...]) -> None:
    x, target, w, g = sample(shape, "float64", -1)
    soft = np.random.default_rng(2).random(shape)
    cases = [
        (K.cross_entropy, K.cross_entropy_backward, (target, w, -1, 0.2), 1),
        (K.soft_cross_entropy, K.soft_cross_entropy_backward, (soft, w, 0.2), 1),
    ]
    for forward, backward, (t, *options), _ in cases:
        numeric = np.empty_like(x)
        for i in np.ndindex(*shape):
            up, down = x.copy(), x.copy()
            up[i] += 1e-6
            down[i] -= 1e-6
            numeric[i] = (g * (forward(up, t, *options)[0] - forward(down, t, *options)[0])).sum() / 2e-6
        lse = forward(x, t, *options)[1]
        assert np.allclose(backward(g, x, t, lse, *options), numeric, rtol=0, atol=1e-8)


def test_hand_worked_example() -> None:
    x = np.log(np.array([[1.0, 2.0, 5.0], [4.0, 4.0, 2.0]]))
    loss, lse = K.cross_entropy(x, np.array([2, 0]))
    assert np.allclose(loss, [-np.log(5 / 8), -np.log(4 / 10)])
    assert np.allclose(lse, [np.log(8), np.log(10)])
    dx = K.cross_entropy_backward(np.ones(2), x, np.array([2, 0]), lse)
    assert np.allclose(dx, [[1 / 8, 2 / 8, -3 / 8], [-6 / 10, 4 / 10, 2 / 10]])


def test_bfloat16() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x, target, w, g = (a if a.dtype == int else a.astype(ml_dtypes.bfloat16) for a in sample((40, 30), "float32"))
    wide = [a.astype("float32") for a in (x, w, g)]
    loss, lse = K.cross_entropy(x, target, w, -100, 0.1)
    expected, lse_ = K.cross_entropy(wide[0], target, wide[1], -100, 0.1)
    assert loss.dtype == lse.dtype == x.dtype
    assert np.array_equal(loss, expected.astype(x.dtype))
    # two bytes do not hold the log-sum-exp well enough, so the gradient must not depend on its rounding
    dx = K.cross_entropy_backward(g, x, target, lse, w, -100, 0.1)
    expected = K.cross_entropy_backward(wide[2], wide[0], target, lse_, wide[1], -100, 0.1)
    assert dx.dtype == x.dtype
    assert np.allclose(dx.astype("float32"), expected, rtol=8e-3, atol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "uint64"])
def test_index_dtypes(dtype: str) -> None:
    x, _, _, g = sample((32, 10), "float32")
    target = np.random.default_rng(3).integers(0, 10, 32)
    loss, lse = K.cross_entropy(x, target)
    assert np.array_equal(K.cross_entropy(x, target.astype(dtype))[0], loss)
    assert np.array_equal(
        K.cross_entropy_backward(g, x, target.astype(dtype), lse), K.cross_entropy_backward(g, x, target, lse)
    )


def test_targets_out_of_range_are_named() -> None:
    x, target, _, g = sample((6, 10), "float32", 2)
    lse = K.cross_entropy(x, target)[1]
    for value in (12, 10, -1, -100):
        bad = target.copy()
        bad[3] = value
        ignore_index = 4 if value == -100 else -100
        message = (
            rf"^cross_entropy: target {value} at position \(3,\) is out of range for 10 classes "
            rf"\(and is not ignore_index={ignore_index}\)$"
        )
        with pytest.raises(IndexError, match=message):
            K.cross_entropy(x, bad, None, ignore_index)
        with pytest.raises(IndexError, match=message):
            K.cross_entropy_backward(g, x, bad, lse, None, ignore_index)
    far = np.zeros((2, 3, 4), dtype=int)
    far[1, 2, 3] = 5
    with pytest.raises(IndexError, match=r"target 5 at position \(1, 2, 3\) is out of range for 5 classes"):
        K.cross_entropy(np.zeros((2, 5, 3, 4)), far)
    with pytest.raises(TypeError, match="target must hold class indices of an integer dtype, got float32"):
        K.cross_entropy(x, target.astype("float32"))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_ignored_samples_may_hold_anything(smoothing: float) -> None:
    x, target, _, g = sample((8, 10), "float32", 2)
    x[3], target[3] = np.nan, -100
    loss, lse = K.cross_entropy(x, target, None, -100, smoothing)
    assert loss[3] == 0
    assert np.isfinite(loss).all()
    dx = K.cross_entropy_backward(g, x, target, lse, None, -100, smoothing)
    assert np.all(dx[3] == 0)
    assert np.isfinite(dx).all()


def test_extreme_logits() -> None:
    x = np.array([[1e4, 0.0, -1e4], [-np.inf, 0.0, 1.0], [3e38, 3e38, 0.0]], "float32")
    loss, lse = K.cross_entropy(x, np.array([1, 2, 0]))
    assert np.allclose(loss, [1e4, np.log1p(np.exp(-1)), np.log(2)])
    dx = K.cross_entropy_backward(np.ones(3, "float32"), x, np.array([1, 2, 0]), lse)
    p = special.expit(1.0)
    assert np.allclose(dx[:2], [[1, -1, 0], [0, 1 - p, p - 1]], atol=1e-6)
    assert K.cross_entropy(x, np.array([1, 0, 0]))[0][1] == np.inf
    # the loss is not a difference of two large numbers
    near = np.array([[1e4, 1e4 - 1.0]], "float32")
    assert np.allclose(K.cross_entropy(near, np.array([0]))[0], np.log1p(np.exp(-1)), rtol=1e-6)


@pytest.mark.parametrize("shape", [(6, 8), (5, 4, 3), (300, 200), (2, 7, 90, 80)])
def test_layouts_and_out(shape: tuple[int, ...]) -> None:
    x, target, w, g = sample(shape, "float32", -1)
    soft = np.abs(np.random.default_rng(4).standard_normal(shape)).astype("float32")
    same = {"rtol": 1e-5, "atol": 1e-5}
    cases: list[tuple[Any, Any, Array, tuple[Any, ...]]] = [
        (K.cross_entropy, K.cross_entropy_backward, target, (w, -1, 0.1)),
        (K.cross_entropy, K.cross_entropy_backward, np.maximum(target, 0), ()),
        (K.soft_cross_entropy, K.soft_cross_entropy_backward, soft, (w, 0.1)),
    ]
    for forward, backward, t, options in cases:
        loss, lse = forward(x, t, *options)
        dx = backward(g, x, t, lse, *options)
        for y in (np.asfortranarray(x), np.repeat(x, 2, axis=-1)[..., ::2]):
            assert np.allclose(forward(y, np.asfortranarray(t), *options)[0], loss, **same)
            assert np.allclose(backward(g, y, np.asfortranarray(t), lse, *options), dx, **same)
        for scalar in (np.broadcast_to(np.float32(0.5), g.shape), np.array(0.5, "float32")):
            expected = backward(np.full_like(g, 0.5), x, t, lse, *options)
            if scalar.shape == g.shape:
                assert np.allclose(backward(scalar, x, t, lse, *options), expected, **same)
        pair = np.empty_like(loss), np.empty((*loss.shape, 2), "float32")[..., 0]
        results = forward(x, t, *options, out=pair)
        assert all(a is b for a, b in zip(results, pair, strict=True))
        assert np.allclose(pair[0], loss, **same)
        assert np.allclose(pair[1], lse, **same)
        for out in (np.empty_like(x), np.empty(shape[::-1], "float32").T, x.copy()):
            source = out if np.array_equal(out, x) else x
            assert backward(g, source, t, lse, *options, out=out) is out
            assert np.allclose(out, dx, **same)


def test_inputs_are_left_alone() -> None:
    for shape in ((6, 8), (300, 200)):
        x, target, w, g = sample(shape, "float32", -1)
        soft = np.abs(x)
        arrays = (x, target, w, g, soft)
        kept = [a.copy() for a in arrays]
        _, lse = K.cross_entropy(x, target, w, -1, 0.1)
        K.cross_entropy_backward(g, x, target, lse, w, -1, 0.1)
        K.soft_cross_entropy(x, soft, w, 0.1)
        K.soft_cross_entropy_backward(g, x, soft, lse, w, 0.1)
        K.soft_cross_entropy(x, soft)
        assert all(np.array_equal(a, k) for a, k in zip(arrays, kept, strict=True))
