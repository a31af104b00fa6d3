"""Recurrent layers' kernels: NumPy against the formulas, CUDA against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorgrad import kernels as K
from tests.kernels.test_cuda_agreement import agree

GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def numbers(*shape: int, seed: int = 0, dtype: Any = np.float64) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).uniform(-1, 1, shape).astype(dtype)


def operands(
    kind: str, dtype: Any = np.float64, batch_first: bool = False, steps: int = 3, bias: bool = True, batch: int = 2
) -> list[Any]:
    """Input, states, weights and biases of some sequences with 3 features and 4 hidden ones."""
    rows, shape = 4 * GATES[kind], (batch, steps, 3) if batch_first else (steps, batch, 3)
    made = [numbers(*shape, dtype=dtype), numbers(batch, 4, dtype=dtype)]
    if kind == "lstm":
        made.append(numbers(batch, 4, seed=1, dtype=dtype))
    made += [numbers(rows, 3, dtype=dtype), numbers(rows, 4, dtype=dtype)]
    biases = [numbers(rows, dtype=dtype), numbers(rows, seed=1, dtype=dtype)]
    return [*made, *(biases if bias else (None, None))]


def more(kind: str) -> tuple[Any, ...]:
    return ("tanh",) if kind == "rnn" else ()


def gradient_operands(kind: str, dtype: Any, batch_first: bool, reverse: bool, nonlinearity: str = "tanh") -> list[Any]:
    """What the backward kernel takes, from a forward on NumPy, but for the flags."""
    given = operands(kind, dtype, batch_first)
    how = (nonlinearity,) if kind == "rnn" else ()
    made = K.INSTRUCTIONS[kind].cpu(*given, *how, batch_first, reverse)
    y = made[0] if isinstance(made, tuple) else made
    g = numbers(*y.shape, seed=5, dtype=dtype)
    if kind == "lstm":
        return [g, numbers(2, 4, seed=6, dtype=dtype), made[2], given[4]]
    return [g, made[1], given[3]] if kind == "gru" else [g, y, given[3], nonlinearity]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def formula(kind: str, given: list[Any], relu: bool = False) -> tuple[np.ndarray, ...]:
    """The states of all steps, time first, and for an LSTM the last cell state, gate by gate."""
    x, h, *rest = given
    c = rest.pop(0) if kind == "lstm" else None
    w_ih, w_hh, b_ih, b_hh = rest
    outputs = []
    for x_t in x:
        own = np.split(x_t @ w_ih.T + (0 if b_ih is None else b_ih), GATES[kind], 1)
        fed = np.split(h @ w_hh.T + (0 if b_hh is None else b_hh), GATES[kind], 1)
        if kind == "rnn":
            h = np.maximum(own[0] + fed[0], 0) if relu else np.tanh(own[0] + fed[0])
        elif kind == "gru":
            r, z = sigmoid(own[0] + fed[0]), sigmoid(own[1] + fed[1])
            h = (1 - z) * np.tanh(own[2] + r * fed[2]) + z * h
        else:
            i, f, g, o = (a + b for a, b in zip(own, fed, strict=True))
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return (np.stack(outputs),) if c is None else (np.stack(outputs), c)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("batch", "steps"), [(2, 1), (2, 3), (3, 40), (1, 3), (1, 70)])
@pytest.mark.parametrize("kind", GATES)
def test_the_formula(kind: str, batch: int, steps: int, bias: bool) -> None:
    """Three sequences of 40 steps take the way on which the weight is transposed first."""
    given = operands(kind, steps=steps, bias=bias, batch=batch)
    wanted = formula(kind, given)
    found = K.INSTRUCTIONS[kind](*given, *more(kind))
    found = found if isinstance(found, tuple) else (found,)
    for y, reference in zip(found, wanted, strict=False):
        np.testing.assert_allclose(y, reference, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", GATES)
def test_reverse_and_batch_first_are_a_matter_of_order(kind: str) -> None:
    given = operands(kind)
    plain = K.INSTRUCTIONS[kind](*given, *more(kind))
    first = K.INSTRUCTIONS[kind](given[0].swapaxes(0, 1), *given[1:], *more(kind), True)
    back = K.INSTRUCTIONS[kind](given[0][::-1], *given[1:], *more(kind), False, True)
    if kind == "rnn":
        plain, first, back = (plain,), (first,), (back,)
    np.testing.assert_array_equal(first[0], plain[0].swapaxes(0, 1))
    np.testing.assert_array_equal(back[0], plain[0][::-1])
    if kind == "lstm":
        np.testing.assert_array_equal(first[1], plain[1])
        np.testing.assert_array_equal(back[1], plain[1])
    if kind != "rnn":
        np.testing.assert_array_equal(back[-1], plain[-1][::-1])


def test_relu() -> None:
    given = operands("rnn")
    np.testing.assert_allclose(K.rnn(*given, "relu"), formula("rnn", given, relu=True)[0], rtol=1e-12, atol=1e-14)
    assert (K.rnn(*given, "relu") == 0).any()


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_nothing_is_kept_unless_asked_for(kind: str) -> None:
    given = operands(kind, steps=5)
    kept = K.INSTRUCTIONS[kind](*given)
    made = K.INSTRUCTIONS[kind](*given, False, False, False)
    made = made if isinstance(made, tuple) else (made,)
    assert len(made) == len(kept) - 1
    for y, reference in zip(made, kept, strict=False):
        np.testing.assert_array_equal(y, reference)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", GATES)
def test_half_types_compute_in_float32(kind: str, dtype: str) -> None:
    dtype = np.dtype(np.float16) if dtype == "float16" else np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    given = operands(kind, dtype, steps=6)
    wide = [a.astype(np.float32) for a in given]
    found, wanted = (K.INSTRUCTIONS[kind](*a, *more(kind)) for a in (given, wide))
    found, wanted = (made if isinstance(made, tuple) else (made,) for made in (found, wanted))
    for y, reference in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(y, reference.astype(y.dtype))


def test_large_states_are_made_in_chunks() -> None:
    """The product of the inputs is made for as many steps as stay in cache: here for one, and not for all."""
    x, h, w_ih, w_hh = numbers(5, 300, 3), numbers(300, 80), numbers(240, 3), numbers(240, 80) / 10
    found, _ = K.gru(x, h, w_ih, w_hh)
    np.testing.assert_allclose(found, formula("gru", [x, h, w_ih, w_hh, None, None])[0], rtol=1e-10, atol=1e-12)


# ---------------------------------------------------------------------------------------------------------------- CUDA
FLAGS = [(batch_first, reverse) for batch_first in (False, True) for reverse in (False, True)]


@pytest.mark.parametrize(("batch_first", "reverse"), FLAGS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("kind", GATES)
def test_devices_agree(kind: str, dtype: Any, batch_first: bool, reverse: bool, device: str) -> None:
    if device == "cpu":
        return
    bounds = {"rtol": 8e-3, "atol": 8e-3} if dtype == np.float16 else None
    for bias in (True, False):
        given = operands(kind, dtype, batch_first, bias=bias)
        for how in (("tanh",), ("relu",)) if kind == "rnn" else ((),):
            agree(kind, *given, *how, batch_first, reverse, bounds=bounds)
        if kind != "rnn":
            agree(kind, *given, batch_first, reverse, False, bounds=bounds)
    for how in ("tanh", "relu") if kind == "rnn" else ("",):
        taken = gradient_operands(kind, dtype, batch_first, reverse, how)
        agree(f"{kind}_backward", *taken, batch_first, reverse, bounds=bounds)
