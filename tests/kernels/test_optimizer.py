"""Optimizer steps against the textbook recurrences, one element at a time in float64."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from tensorgrad.kernels.cpu import blocked

from tensorgrad import kernels as K

Array = np.ndarray[Any, np.dtype[Any]]

SHAPES = [(10,), (), (0, 3), (1,), (32, 10), (64, 33), (2, 3, 4), (250, 400)]  # tiny, small, several blocks
BOUNDS = {"float64": 1e-13, "float32": 2e-6}


def arrays(seed: int, dtype: str, shapes: list[tuple[int, ...]] = SHAPES) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(s)).astype(dtype) for s in shapes]


def zeros(like: list[Array]) -> list[Array]:
    return [np.zeros_like(a) for a in like]


def widened(xs: list[Array]) -> list[Array]:
    return [x.astype("float64") for x in xs]


def close(actual: list[Array], expected: list[Array], bound: float) -> None:
    for a, e in zip(actual, expected, strict=True):
        assert a.shape == e.shape
        assert np.allclose(a, e, rtol=bound, atol=bound)


# ----------------------------------------------------------------------------------------------------------- references
def sgd(p: Array, grads: list[Array], lr: float, mu: float, tau: float, decay: float, nesterov: bool, sign: int) -> Any:
    b: Any = None
    for g in grads:
        d = sign * g + decay * p
        if mu:
            b = d if b is None else mu * b + (1 - tau) * d
            d = d + mu * b if nesterov else b
        p = p - lr * d
    return p, b


def adam(
    p: Array, grads: list[Array], lr: float, b1: float, b2: float, eps: float, decay: float, decoupled: bool, sign: int
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Parameter, both moments and the largest second one: plain, and with AMSGrad."""
    ends = []
    for amsgrad in (False, True):
        w, m, v, largest = p, np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
        for t, g in enumerate(grads, 1):
            d = sign * g
            if decoupled:
                w = w * (1 - lr * decay)
            else:
                d = d + decay * w
            m = b1 * m + (1 - b1) * d
            v = b2 * v + (1 - b2) * d * d
            largest = np.maximum(largest, v)
            second = (largest if amsgrad else v) / (1 - b2**t)
            w = w - lr * (m / (1 - b1**t)) / (np.sqrt(second) + eps)
        ends.append((w, m, v, largest))
    return ends[0], ends[1]


# ----------------------------------------------------------------------------------------------------------------- SGD
@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize(
    ("mu", "tau", "nesterov"), [(0.0, 0.0, False), (0.9, 0.0, False), (0.9, 0.3, False), (0.8, 0.0, True)]
)
def test_sgd(dtype: str, maximize: bool, decay: float, mu: float, tau: float, nesterov: bool) -> None:
    params = arrays(0, dtype)
    steps = [arrays(s, dtype) for s in (1, 2, 3)]
    expected = [
        sgd(p, [widened(g)[i] for g in steps], 0.1, mu, tau, decay, nesterov, -1 if maximize else 1)
        for i, p in enumerate(widened(params))
    ]
    buffers = zeros(params) if mu else []
    for k, grads in enumerate(steps):
        kept = [g.copy() for g in grads]
        K.sgd_step(params, grads, buffers, 0.1, mu, tau, decay, nesterov, maximize, k == 0)
        assert all(np.array_equal(g, h) for g, h in zip(grads, kept, strict=True))
    close(params, [e[0] for e in expected], BOUNDS[dtype])
    if mu:
        close(buffers, [e[1] for e in expected], BOUNDS[dtype])


def test_sgd_first_step_of_some_parameters() -> None:
    params, grads = arrays(0, "float64"), arrays(1, "float64")
    before, buffers = [p.copy() for p in params], arrays(2, "float64")
    old = [b.copy() for b in buffers]
    first = [i % 2 == 0 for i in range(len(params))]
    K.sgd_step(params, grads, buffers, np.array(0.5), 0.9, 0.5, 0.0, False, False, first)
    expected = [g if f else 0.9 * b + 0.5 * g for f, b, g in zip(first, old, grads, strict=True)]
    close(buffers, expected, 1e-15)
    close(params, [p - 0.5 * b for p, b in zip(before, expected, strict=True)], 1e-15)


# ---------------------------------------------------------------------------------------------------------------- Adam
@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize(("decay", "decoupled"), [(0.0, False), (0.1, False), (0.0, True), (0.1, True)])
def test_adam(dtype: str, maximize: bool, amsgrad: bool, decay: float, decoupled: bool) -> None:
    params = arrays(0, dtype)
    gradients = [[g * s for g in arrays(k, dtype)] for k, s in ((1, 1.0), (2, 0.1), (3, 0.5))]
    options = (0.01, 0.8, 0.95, 1e-3, decay, decoupled)
    expected = [
        adam(p, [widened(g)[i] for g in gradients], *options, -1 if maximize else 1)[amsgrad]
        for i, p in enumerate(widened(params))
    ]
    m, v, largest = zeros(params), zeros(params), zeros(params) if amsgrad else []
    steps = [np.zeros((), "float32") for _ in params]
    for grads in gradients:
        kept = [g.copy() for g in grads]
        K.adam_step(params, grads, m, v, largest, steps, *options, maximize)
        assert all(np.array_equal(g, h) for g, h in zip(grads, kept, strict=True))
    assert [float(s) for s in steps] == [3.0] * len(params)
    for k, state in enumerate((params, m, v, largest) if amsgrad else (params, m, v)):
        close(state, [e[k] for e in expected], BOUNDS[dtype])


def test_adam_of_parameters_at_different_steps() -> None:
    """Parameters that joined later have their own bias correction."""
    params, grads = arrays(0, "float64"), arrays(1, "float64")
    before = [p.copy() for p in params]
    m, v = zeros(params), zeros(params)
    steps = [np.array(float(i % 3), "float32") for i in range(len(params))]
    K.adam_step(params, grads, m, v, [], steps, np.array(0.1), 0.9, 0.99, 0.0, 0.0, False, False)
    for i, (p, b, g) in enumerate(zip(params, before, grads, strict=True)):
        t = i % 3 + 1
        size = 0.1 * 0.1 / (1 - 0.9**t) * math.sqrt(1 - 0.99**t) / 0.1
        assert np.allclose(b - p, size * np.sign(g))
        assert float(steps[i]) == t


def test_adam_of_many_tiny_parameters() -> None:
    """More of them than are updated together, and with one large one among them."""
    shapes = [(50, 30), (7,), ()] * 40 + [(300, 300)] + [(5, 5)] * 3
    params, grads = arrays(0, "float32", shapes), arrays(1, "float32", shapes)
    alone = [p.copy() for p in params]
    m, v, steps = zeros(params), zeros(params), [np.zeros((), "float32") for _ in params]
    options = (0.1, 0.9, 0.999, 1e-8, 0.0, False, False)
    K.adam_step(params, grads, m, v, [], steps, *options)
    for i, (p, g) in enumerate(zip(alone, grads, strict=True)):
        m_, v_ = [np.zeros_like(p)], [np.zeros_like(p)]
        K.adam_step([p], [g], m_, v_, [], [np.zeros((), "float32")], *options)
        assert np.array_equal(p, params[i])
        assert np.array_equal(m_[0], m[i])
        assert np.array_equal(v_[0], v[i])


# -------------------------------------------------------------------------------------------------------- layout, dtype
@pytest.mark.parametrize("shape", [(5, 7), (60, 50), (300, 400)])
def test_noncontiguous_parameters(shape: tuple[int, int]) -> None:
    options = (0.1, 0.9, 0.99, 1e-8, 0.1, False, True)
    for make in (np.asfortranarray, lambda a: np.repeat(a, 2, axis=1)[:, ::2], lambda a: a[::-1]):
        (p,), (g,) = arrays(0, "float64", [shape]), arrays(1, "float64", [shape])
        other, gradient = make(p.copy()), np.asfortranarray(make(g.copy()))
        expected, h = other.copy("C"), gradient.copy("C")
        states = [[[np.zeros(shape)], [np.zeros(shape)], [np.zeros(shape)]] for _ in range(2)]
        for q, d, (a, b, c) in ((other, gradient, states[0]), (expected, h, states[1])):
            K.adam_step([q], [d], a, b, c, [np.zeros((), "float32")], *options)
            K.sgd_step([q], [d], a, 0.1, 0.9, 0.1, 0.1, False, True, False)
            K.sgd_step([q], [d], [], 0.1, 0.0, 0.0, 0.1, False, True, False)
        assert np.allclose(other, expected, rtol=1e-14)
        assert np.allclose(states[0][0][0], states[1][0][0], rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_two_byte_floats_are_computed_in_float32(dtype: str) -> None:
    kind: Any = dtype if dtype == "float16" else pytest.importorskip("ml_dtypes").bfloat16
    shapes = [(10,), (), (40, 50), (70, 60)]
    params, grads = ([x.astype(kind) for x in arrays(s, "float32", shapes)] for s in (0, 1))
    wide_params, wide_grads = ([x.astype("float32") for x in xs] for xs in (params, grads))
    state = [zeros(params), zeros(params), [np.zeros((), "float32") for _ in params]]
    wide_state = [zeros(wide_params), zeros(wide_params), [np.zeros((), "float32") for _ in params]]
    for p, g, (m, v, steps) in ((params, grads, state), (wide_params, wide_grads, wide_state)):
        K.adam_step(p, g, m, v, [], steps, 0.01, 0.9, 0.99, 1e-4, 0.01, True, False)
    for narrow, wide in zip(
        [*params, *state[0], *state[1]], [*wide_params, *wide_state[0], *wide_state[1]], strict=True
    ):
        assert np.array_equal(narrow, wide.astype(kind))
    (p, q), (g, h) = (params[2], wide_params[2].astype(kind).astype("float32")), (grads[2], wide_grads[2])
    K.sgd_step([p], [g], [], 0.1, 0.0, 0.0, 0.0, False, False, False)
    K.sgd_step([q], [h], [], 0.1, 0.0, 0.0, 0.0, False, False, False)
    assert np.array_equal(p, q.astype(kind))


def test_threads_give_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = [(300, 400), (60, 50)]
    ends = []
    before = blocked.get_num_threads()
    monkeypatch.setattr(blocked, "_THREAD_BLOCK", 1000)
    monkeypatch.setattr(blocked, "_THREAD_WORK", 1)
    try:
        for threads in (1, 4):
            blocked.set_num_threads(threads)
            params, grads = arrays(0, "float32", shapes), arrays(1, "float32", shapes)
            m, v, steps = zeros(params), zeros(params), [np.zeros((), "float32") for _ in params]
            for _ in range(3):
                K.adam_step(params, grads, m, v, [], steps, 0.01, 0.9, 0.99, 1e-8, 0.1, False, True)
                K.sgd_step(params, grads, m, 0.01, 0.9, 0.1, 0.1, False, True, False)
            ends.append([*params, *m, *v])
    finally:
        blocked.set_num_threads(before)
    assert all(np.array_equal(a, b) for a, b in zip(*ends, strict=True))


def test_nothing_to_do() -> None:
    K.sgd_step([], [], [], 0.1, 0.9, 0.0, 0.0, False, False, True)
    K.adam_step([], [], [], [], [], [], 0.1, 0.9, 0.99, 1e-8, 0.0, False, False)


def test_every_flag_matters() -> None:
    """No two settings give the same parameters: a guard against an option that is read but not used."""
    ends = []
    for decay, decoupled, maximize, amsgrad in itertools.product([0.0, 0.1], *[[False, True]] * 3):
        if decoupled and not decay:
            continue
        (p,), g = (
            arrays(0, "float64", [(50,)]),
            [a * s for a, s in zip(arrays(1, "float64", [(50,)] * 2), (1, 0.1), strict=True)],
        )
        m, v, largest = np.zeros(50), np.zeros(50), [np.zeros(50)] if amsgrad else []
        step = np.zeros((), "float32")
        for gradient in g:
            K.adam_step([p], [gradient], [m], [v], largest, [step], 0.1, 0.9, 0.9, 1e-8, decay, decoupled, maximize)
        ends.append(p)
    for a, b in itertools.combinations(ends, 2):
        assert not np.allclose(a, b)
