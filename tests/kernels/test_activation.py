"""Activations, erf and the block walk against scipy, finite differences and hand-written formulas in float64."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special
from tensorgrad.kernels.cpu import blocked

from tensorgrad import kernels as K

Array = np.ndarray[Any, np.dtype[Any]]

PHI = 0.3989422804014327  # 1 / sqrt(2 pi)


def gelu_tanh(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_tanh_slope(x: Array) -> Array:
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    du = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    return 0.5 * (1 + np.tanh(u)) + 0.5 * x * du / np.cosh(u) ** 2


# name: (launch, reference in float64)
UNARY: dict[str, tuple[Callable[..., Array], Callable[[Array], Array]]] = {
    "erf": (K.erf, special.erf),
    "erfc": (K.erfc, special.erfc),
    "sigmoid": (K.sigmoid, special.expit),
    "relu": (K.relu, lambda x: np.where(x > 0, x, 0)),
    "silu": (K.silu, lambda x: x * special.expit(x)),
    "gelu": (K.gelu, lambda x: x * special.ndtr(x)),
    "gelu_tanh": (lambda x, **kw: K.gelu(x, True, **kw), gelu_tanh),
}
# the derivative as a function of what the kernel takes: the input, or for sigmoid and tanh the output
SLOPES: dict[str, tuple[Callable[..., Array], Callable[[Array], Array]]] = {
    "sigmoid": (K.sigmoid_backward, lambda y: y * (1 - y)),
    "tanh": (K.tanh_backward, lambda y: 1 - y**2),
    "relu": (K.relu_backward, lambda y: np.where(y > 0, 1.0, 0.0)),
    "silu": (K.silu_backward, lambda x: special.expit(x) * (1 + x * special.expit(-x))),
    "gelu": (
        lambda g, x, **kw: K.gelu_backward(g, x, K.gelu(x), **kw),
        lambda x: special.ndtr(x) + x * PHI * np.exp(-(x**2) / 2),
    ),
    "gelu_tanh": (lambda g, x, **kw: K.gelu_backward(g, x, K.gelu(x, True), True, **kw), gelu_tanh_slope),
}
# how large the terms are that make up the derivative; those of the approximate gelu grow as x^3 and then cancel
SLOPE_SIZE = {"sigmoid": 1, "tanh": 1, "relu": 1, "silu": 2, "gelu": 2, "gelu_tanh": 16}
BOUNDS = {"float64": 2e-15, "float32": 5e-7, "float16": 6e-4}
SIZES = [(), (0, 3), (5,), (7, 11), (3, 40_000), (600_000,)]  # below a block, several blocks, enough for threads


def values(shape: tuple[int, ...], dtype: str = "float64", seed: int = 0, scale: float = 3.0) -> Array:
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


def close(actual: Array, expected: Array, scale: Array | float = 1.0) -> None:
    """Within the dtype's bound, relative to the larger of ``expected`` and ``scale``."""
    assert actual.shape == expected.shape
    smallest = 6e-8 if actual.dtype == "float16" else 0.0
    bound = BOUNDS[actual.dtype.name] * np.maximum(np.abs(expected), scale) + smallest
    assert np.all(np.abs(actual.astype("float64") - expected) <= bound)


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("shape", SIZES)
def test_values(name: str, dtype: str, shape: tuple[int, ...]) -> None:
    function, reference = UNARY[name]
    x = values(shape, dtype)
    y = function(x)
    assert type(y) is np.ndarray
    assert y.dtype == dtype
    close(y, np.asarray(reference(x.astype("float64"))))


@pytest.mark.parametrize("name", SLOPES)
@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("shape", SIZES)
def test_gradients(name: str, dtype: str, shape: tuple[int, ...]) -> None:
    backward, slope = SLOPES[name]
    x = values(shape, dtype)
    if name in {"sigmoid", "tanh"}:
        x = np.asarray(special.expit(x) if name == "sigmoid" else np.tanh(x)).astype(dtype)
    g = values(shape, dtype, seed=1, scale=1.0)
    y = backward(g, x)
    assert y.dtype == dtype
    wide = g.astype("float64")
    close(y, np.asarray(wide * slope(x.astype("float64"))), SLOPE_SIZE[name] * np.abs(wide))


@pytest.mark.parametrize("name", ["silu", "gelu", "gelu_tanh"])
def test_gradient_is_the_slope_of_the_function(name: str) -> None:
    x, h = np.linspace(-8, 8, 401), 1e-5
    difference = (UNARY[name][0](x + h) - UNARY[name][0](x - h)) / (2 * h)
    assert np.allclose(SLOPES[name][0](np.ones_like(x), x), difference, rtol=0, atol=1e-9)


def test_bfloat16() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = values((300,)).astype(ml_dtypes.bfloat16)
    g = values((300,), seed=1).astype(ml_dtypes.bfloat16)
    for name, (function, reference) in UNARY.items():
        y = function(x)
        assert y.dtype == x.dtype, name
        assert np.allclose(y.astype("float64"), reference(x.astype("float64")), rtol=4e-3, atol=1e-6), name
    for name, (backward, _) in SLOPES.items():
        narrow, wide = backward(g, x), backward(g.astype("float32"), x.astype("float32"))
        assert narrow.dtype == x.dtype, name
        assert np.array_equal(narrow, wide.astype(x.dtype)), name
    bias = values((300,), seed=2).astype(ml_dtypes.bfloat16)
    assert np.array_equal(K.bias_activation(x, bias, "gelu"), K.gelu(x + bias))


# ----------------------------------------------------------------------------------------------------------------- erf
def test_erf_is_accurate_everywhere() -> None:
    tiny = 10.0 ** np.linspace(-300, 0, 1000)
    x = np.concatenate([np.linspace(-7, 7, 20_001), tiny, -tiny])
    expected = np.array([math.erf(v) for v in x])
    assert np.all(np.abs(K.erf(x) - expected) <= 6e-16 * np.abs(expected))
    narrow = np.concatenate([np.linspace(-5, 5, 100_001), 10.0 ** np.linspace(-37, 0, 1000)]).astype("float32")
    expected = special.erf(narrow.astype("float64"))
    assert np.all(np.abs(K.erf(narrow) - expected) <= 2.5 * np.spacing(np.abs(expected.astype("float32"))))


def test_erfc_keeps_its_digits_in_the_tail() -> None:
    x = np.linspace(-6, 26.5, 20_001)
    expected = np.array([math.erfc(v) for v in x])
    assert np.all(np.abs(K.erfc(x) / expected - 1) <= 2e-15)
    narrow = x[x < 9].astype("float32")
    assert np.all(np.abs(K.erfc(narrow) / special.erfc(narrow.astype("float64")) - 1) <= 6.1e-8)


def test_gelu_keeps_its_digits_in_the_tail() -> None:
    x = np.linspace(-6, -1, 5001)
    assert np.all(np.abs(K.gelu(x) / (x * special.ndtr(x)) - 1) <= 1e-9)


def test_gelu_in_float32_is_as_close_as_documented() -> None:
    x = np.concatenate([np.linspace(-12, 12, 100_001), [1e-30, 1e4, 1e10, 1e25]]).astype("float32")
    wide = x.astype("float64")
    assert np.all(np.abs(K.gelu(x) - wide * special.ndtr(wide)) <= 2e-7 * np.abs(wide))


# --------------------------------------------------------------------------------------------------------- edge values
EDGES = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1e30, -1e30, 100.0, -100.0])
NAN = np.nan


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("erf", [1, -1, NAN, 0, 0, 1, -1, 1, -1]),
        ("erfc", [0, 2, NAN, 1, 1, 0, 2, 0, 2]),
        ("sigmoid", [1, 0, NAN, 0.5, 0.5, 1, 0, 1, 0]),
        ("relu", [np.inf, 0, NAN, 0, 0, 1e30, 0, 100, 0]),
        ("silu", [np.inf, NAN, NAN, 0, 0, 1e30, 0, 100, 0]),
        ("gelu", [np.inf, NAN, NAN, 0, 0, 1e30, 0, 100, 0]),
        ("gelu_tanh", [np.inf, NAN, NAN, 0, 0, 1e30, 0, 100, 0]),
    ],
)
def test_edge_values(name: str, dtype: str, expected: list[float]) -> None:
    x = EDGES.astype(dtype)
    y = UNARY[name][0](x)
    assert np.allclose(y, np.array(expected).astype(dtype), rtol=1e-6, atol=1e-40, equal_nan=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["silu", "gelu"])
def test_gradient_edge_values(name: str, dtype: str) -> None:
    expected = np.array([NAN, NAN, NAN, 0.5, 0.5, 1, 0, 1, 0])
    y = SLOPES[name][0](np.ones(9, dtype), EDGES.astype(dtype))
    assert np.allclose(y, expected, rtol=1e-6, atol=1e-40, equal_nan=True)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_relu_gradient_is_zero_whatever_comes_in(dtype: str) -> None:
    g = np.array([np.inf, np.nan, 2.0, np.inf, -np.inf, 5.0, 7.0], dtype)
    y = np.array([0.0, 0.0, 0.0, 1.0, 1e-7, -3.0, np.nan], dtype)
    expected = np.array([0, 0, 0, np.inf, -np.inf, 0, 7], dtype)
    assert np.array_equal(K.relu_backward(g, y), expected)
    assert K.relu_backward(np.array(np.inf, dtype), np.array(0.0, dtype)) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gelu_gradient_where_the_result_has_no_digits_left(dtype: str) -> None:
    smallest = np.finfo(dtype).smallest_subnormal
    x = np.array([0.0, -0.0, smallest, -smallest, 3 * smallest, 1e-30, -1e-20, 1e-10], dtype)
    assert np.allclose(K.gelu_backward(np.full(8, 2.0, dtype), x, K.gelu(x)), 1.0, rtol=1e-6, atol=0)


def test_relu_of_integers() -> None:
    assert np.array_equal(K.relu(np.array([-2, 0, 3])), [0, 0, 3])
    with pytest.raises(TypeError, match="gelu: expected a floating-point array, got dtype int64"):
        K.gelu(np.array([1, 2]))


# -------------------------------------------------------------------------------------------------- layout and aliasing
@pytest.mark.parametrize("shape", [(6, 8), (500, 400)])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("name", UNARY)
def test_layouts_and_out(name: str, dtype: str, shape: tuple[int, int]) -> None:
    function = UNARY[name][0]
    x = values(shape, dtype)
    expected = function(x)
    assert np.array_equal(function(np.asfortranarray(x)), expected)
    assert np.array_equal(function(x[::-1, ::2]), expected[::-1, ::2])
    assert np.array_equal(function(np.broadcast_to(x[0], shape)), np.broadcast_to(expected[0], shape))
    for out in (np.empty_like(x), np.empty(shape[::-1], dtype).T, np.empty((shape[0], 2 * shape[1]), dtype)[:, ::2]):
        assert function(x, out=out) is out
        assert np.array_equal(out, expected)
    again = x.copy()
    assert function(again, out=again) is again
    assert np.array_equal(again, expected)


@pytest.mark.parametrize("shape", [(6, 8), (500, 400)])
@pytest.mark.parametrize("name", SLOPES)
def test_gradient_layouts_and_out(name: str, shape: tuple[int, int]) -> None:
    backward = SLOPES[name][0]
    x, g = values(shape, "float32", scale=0.5), values(shape, "float32", seed=1)
    expected = backward(g, x)
    assert np.array_equal(backward(np.asfortranarray(g), x[:, :]), expected)
    one = np.broadcast_to(np.float32(0.25), shape)  # what the gradient of a mean looks like
    assert np.array_equal(backward(one, x), backward(one.copy(), x))
    assert np.array_equal(backward(np.array(0.25, "float32"), x), backward(one.copy(), x))
    assert np.array_equal(backward(g, x[:1]), backward(g, np.broadcast_to(x[:1], shape)))
    for which in (0, 1):  # out may be either operand
        operands = [g.copy(), x.copy()]
        assert backward(*operands, out=operands[which]) is operands[which]
        assert np.array_equal(operands[which], expected)


def test_out_of_another_shape() -> None:
    for shape in ((3, 4), (300, 400)):
        x = values(shape, "float32")
        with pytest.raises(ValueError):
            K.gelu(x, out=np.empty(shape[1:], "float32"))


def test_out_that_overlaps_an_input_askew() -> None:
    store = values((70_001,), "float32")
    expected = K.gelu(store[:-1].copy())
    assert np.array_equal(K.gelu(store[:-1], out=store[1:]), expected)


# ---------------------------------------------------------------------------------------------------- bias, activation
ACTIVATIONS = ["relu", "gelu", "gelu_tanh", "silu", "tanh", "sigmoid"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 7), (0, 4), (300, 1500), (2, 400_000)])
def test_bias_activation(activation: str, dtype: str, shape: tuple[int, ...]) -> None:
    x, g = values(shape, dtype), values(shape, dtype, seed=2)
    bias = values(shape[-1:], dtype, seed=1)
    z = (x + bias).astype("float64")
    plain = np.tanh if activation == "tanh" else UNARY[activation][1]
    y = K.bias_activation(x, bias, activation)
    assert y.dtype == dtype
    close(y, plain(z))
    slope = SLOPES[activation][1]
    if activation in {"tanh", "sigmoid"}:
        z = plain(z)
    dx = K.bias_activation_backward(g, x, bias, activation)
    assert dx.dtype == dtype
    wide = g.astype("float64")
    close(dx, wide * slope(z), 2 * SLOPE_SIZE[activation] * np.abs(wide))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shape", [(6, 8), (500, 400)])
def test_bias_activation_out(activation: str, shape: tuple[int, int]) -> None:
    x, g, bias = values(shape, "float32"), values(shape, "float32", 1), values(shape[1:], "float32", 2)
    expected = K.bias_activation(x, bias, activation)
    strided = np.empty(shape[::-1], "float32").T
    assert K.bias_activation(x, bias, activation, out=strided) is strided
    assert np.array_equal(strided, expected)
    assert np.array_equal(K.bias_activation(np.asfortranarray(x), bias, activation), expected)
    gradient = K.bias_activation_backward(g, x, bias, activation)
    again, dx = x.copy(), g.copy()
    assert K.bias_activation(again, bias, activation, out=again) is again
    assert np.array_equal(again, expected)
    assert K.bias_activation_backward(dx, x, bias, activation, out=dx) is dx
    assert np.array_equal(dx, gradient)
    one = np.broadcast_to(np.float32(1), shape)
    assert np.array_equal(
        K.bias_activation_backward(one, x, bias, activation),
        K.bias_activation_backward(one.copy(), x, bias, activation),
    )


def test_bias_activation_names_the_choices() -> None:
    x = values((2, 3))
    with pytest.raises(ValueError, match=r"bias_activation: activation must be one of relu, .*, got 'elu'"):
        K.bias_activation(x, x[0], "elu")


# ------------------------------------------------------------------------------------------------------------- threads
@pytest.mark.usefixtures("many_threads")
def test_threads_give_the_same_result() -> None:
    x = values((50_021,), "float32")
    x[::1000] = -np.inf  # a warning from a thread would be an error here
    seen = set()

    def spy(x: Array, out: Array, *_: Array) -> None:
        seen.add(threading.get_ident())
        time.sleep(0.001)  # so that no thread is done before the others have begun
        np.negative(x, out)

    blocked.elementwise(blocked.bodies(spy, 0, 1), None, x)
    assert 1 < len(seen) <= 4
    whole = K.gelu(x)
    blocked.set_num_threads(1)
    assert np.array_equal(K.gelu(x), whole, equal_nan=True)


@pytest.mark.usefixtures("many_threads")
def test_a_walk_does_not_wait_for_a_thread_that_is_late() -> None:
    held, hold = threading.Event(), threading.Event()

    def busy(low: int, high: int, step: int) -> None:
        if threading.current_thread() is not caller:
            held.set()
            hold.wait(10)

    def first() -> None:
        blocked.walk(lambda low, high, step: busy(low, high, step), 4000, 1, 1)

    rows: list[int] = []
    caller = threading.Thread(target=first)
    caller.start()
    try:
        if held.wait(1):  # the workers that hold are of no help now
            blocked.walk(lambda low, high, step: rows.extend(range(low, high)), 4000, 1, 1)
            assert sorted(rows) == list(range(4000))
    finally:
        hold.set()
        caller.join()


@pytest.mark.usefixtures("many_threads")
def test_an_error_in_a_thread_is_raised_after_all_have_stopped() -> None:
    rows: list[int] = []

    def task(low: int, high: int, step: int) -> None:
        rows.extend(range(low, high))
        if low:
            raise RuntimeError("from a thread")

    with pytest.raises(RuntimeError, match="from a thread"):
        blocked.walk(task, 40_000, 1, 1)
    assert sorted(rows) == list(range(40_000))


@pytest.mark.usefixtures("many_threads")
def test_no_thread_is_left_behind_by_an_error() -> None:
    finished: list[int] = []

    def task(low: int, high: int, step: int) -> None:
        if not low:
            raise RuntimeError("from the caller")
        time.sleep(0.05)
        finished.extend(range(low, high))

    with pytest.raises(RuntimeError, match="from the caller"):
        blocked.walk(task, 40_000, 1, 1)
    assert sorted(finished) == list(range(40_000 - len(finished), 40_000))
    assert len(finished) > 20_000


def test_the_caller_takes_more_for_it_begins_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocked, "_num_threads", 2)
    cuts: list[tuple[int, int]] = []
    blocked.walk(lambda low, high, step: cuts.append((low, high)), 1 << 20, 1, 8)
    (low, first), (middle, high) = sorted(cuts)
    assert (low, high) == (0, 1 << 20)
    assert first == middle
    assert first - (high - middle) == blocked._HEAD_START // 8


def test_walk_covers_every_row_once() -> None:
    for n, width in [(1, 1), (7, 3), (100_000, 1), (5, 100_000), (0, 4), (3, 0)]:
        rows: list[int] = []

        def task(low: int, high: int, step: int, rows: list[int] = rows) -> None:
            for start in range(low, high, step):
                rows.extend(range(start, min(start + step, high)))

        blocked.walk(task, n, width, 1)
        assert sorted(rows) == list(range(n))


def test_number_of_threads() -> None:
    before = blocked.get_num_threads()
    try:
        blocked.set_num_threads(3)
        assert blocked.get_num_threads() == 3
        with pytest.raises(ValueError, match="n must be at least 1, got 0"):
            blocked.set_num_threads(0)
    finally:
        blocked.set_num_threads(before)
