"""Recurrent layers' kernels: NumPy against the formulas, CUDA against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tensorgrad.kernels.cpu import recurrent_steps
from tensorgrad.kernels.cpu.blocked import get_num_threads, set_num_threads

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


# ------------------------------------------------------------------------------------------------------------- threads
FLAGS = [(batch_first, reverse) for batch_first in (False, True) for reverse in (False, True)]


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    before = get_num_threads()
    set_num_threads(request.param)
    monkeypatch.setattr(recurrent_steps, "_LEAST", 0)  # so that another thread takes part in small ones
    yield request.param
    set_num_threads(before)


def large(kind: str, batch_first: bool, size: int = 40, dtype: Any = np.float64) -> list[Any]:
    """Operands of 40 sequences of 33 steps, which is enough for products beside the steps."""
    rows, shape = size * GATES[kind], (40, 33, 24) if batch_first else (33, 40, 24)
    shapes = [shape, *[(40, size)] * (1 + (kind == "lstm")), (rows, 24), (rows, size), (rows,), (rows,)]
    return [numbers(*s, seed=i, dtype=dtype) / (4 if i > 1 else 1) for i, s in enumerate(shapes)]


@pytest.mark.parametrize(("batch_first", "reverse"), FLAGS)
@pytest.mark.parametrize("kind", GATES)
def test_products_beside_the_steps(kind: str, batch_first: bool, reverse: bool, threads: int) -> None:
    given = large(kind, batch_first)
    found = K.INSTRUCTIONS[kind](*given, *more(kind), batch_first, reverse)
    x = given[0].swapaxes(0, 1) if batch_first else given[0]
    wanted = formula(kind, [x[::-1] if reverse else x, *given[1:]])
    y = found[0] if isinstance(found, tuple) else found
    y = y.swapaxes(0, 1) if batch_first else y
    np.testing.assert_allclose(y[::-1] if reverse else y, wanted[0], rtol=1e-11, atol=1e-13)


def in_turn(kind: str, taken: list[Any], wanted: tuple[bool, ...], flags: tuple[bool, bool]) -> list[Any]:
    """The gradients of a layer from those by its sums, all products after all steps."""
    g, x, h, y, weight_ih, weight_hh = (taken[i] for i in (0, -6, -5, -4, -2, -1))
    rest = [y] if kind == "rnn" else [taken[-3]]
    back = K.INSTRUCTIONS[f"{kind}_backward"](g, *taken[1:-6], *rest, weight_hh, *more(kind), *flags)
    states = 2 if kind == "lstm" else 1
    sums, hidden, states = back[0], back[-states - 1], back[-states:]
    x, y, sums, hidden = (a.swapaxes(0, 1) if flags[0] else a for a in (x, y, sums, hidden))
    before = np.concatenate([y[1:], h[None]] if flags[1] else [h[None], y[:-1]])
    dx = np.einsum("tnr,ri->tni", sums, weight_ih)
    made = [dx.swapaxes(0, 1) if flags[0] else dx, *states]
    made += [np.einsum("tnr,tni->ri", sums, x), np.einsum("tnr,tni->ri", hidden, before)]
    made += [sums.sum((0, 1)), hidden.sum((0, 1))]
    return [a for a, want in zip(made, wanted, strict=True) if want]


@pytest.mark.parametrize(("batch_first", "reverse"), FLAGS)
@pytest.mark.parametrize("kind", GATES)
def test_gradients_beside_the_steps(kind: str, batch_first: bool, reverse: bool, threads: int) -> None:
    """Some, and all, of the gradients."""
    given, flags = large(kind, batch_first), (batch_first, reverse)
    found = K.INSTRUCTIONS[kind](*given, *more(kind), *flags)
    y, kept = (found, found) if kind == "rnn" else (found[0], found[-1])
    g, gc = numbers(*y.shape, seed=9), numbers(*given[1].shape, seed=10)
    taken = [g, *([gc] if kind == "lstm" else []), *given[:2], y, kept, *given[-4:-2]]
    for wanted in ((True,) * (len(given)), tuple(i % 2 == 1 for i in range(len(given)))):
        order = [a for i, a in enumerate(taken) if not (kind == "rnn" and i == len(taken) - 3)]
        made = K.INSTRUCTIONS[f"{kind}_gradients"](*order, wanted, *more(kind), *flags)
        reference = in_turn(kind, taken, wanted, flags)
        assert len(made) == sum(wanted)
        for a, b in zip(made, reference, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)
        again = K.INSTRUCTIONS[f"{kind}_gradients"](*order, wanted, *more(kind), *flags)
        for a, b in zip(made, again, strict=True):
            np.testing.assert_array_equal(a, b)
        out = tuple(np.full_like(a, np.nan, order="C") for a in made)
        K.INSTRUCTIONS[f"{kind}_gradients"](*order, wanted, *more(kind), *flags, out=out)
        for a, b in zip(out, made, strict=True):
            np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------------------------------------------------------- CUDA


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
