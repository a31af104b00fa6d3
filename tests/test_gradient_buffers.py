"""Large gradients that the engine writes over instead of asking for new memory: nobody else may notice."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import is_sole_view

N = 1 << 16  # large enough to be written over
X = np.random.default_rng(0).standard_normal(N)
OTHER = np.random.default_rng(1).standard_normal(N) + 4.0


def leaf(array: np.ndarray[Any, Any] = X) -> tg.Tensor:
    """A float64 leaf that requires a gradient."""
    return tg.tensor(array, requires_grad=True)


def _squared(x: Any) -> Any:
    y = x * 3.0
    return y * y


def _difference(x: Any) -> Any:
    y = x * 0.5
    return (y * 2.0 - y.exp()) * 3.0


def _doubled(x: Any) -> Any:
    y = (x * 2.0).tanh()
    return y + y


def _broadcast(x: Any) -> Any:
    return (x.reshape(256, -1) * 2.0 * x[:256].reshape(256, 1).detach()).tanh()


def _broadcast_slope(x: Any) -> Any:
    scale = 2 * x[:256, None]
    return (scale * (1 - np.tanh(scale * x.reshape(256, -1)) ** 2)).reshape(-1)


def _silu_slope(x: Any) -> Any:
    s = 1 / (1 + np.exp(-2 * x))
    return 2 * s * (1 + 2 * x * (1 - s))


FORMULAS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "tanh": (lambda x: (x * 2.0).tanh(), lambda x: 2 * (1 - np.tanh(2 * x) ** 2)),
    "sigmoid": (lambda x: (x * 2.0).sigmoid(), lambda x: 2 / (2 + np.exp(2 * x) + np.exp(-2 * x))),
    "relu": (lambda x: (x * 2.0).relu(), lambda x: 2.0 * (x > 0)),
    "silu": (lambda x: tg.nn.functional.silu(x * 2.0), _silu_slope),
    "exp": (lambda x: (x * 0.5).exp(), lambda x: 0.5 * np.exp(0.5 * x)),
    "log": (lambda x: (x * x + 1.0).log(), lambda x: 2 * x / (x * x + 1)),
    "product with itself": (lambda x: (x * 1.0) * (x * 1.0) * x, lambda x: 3 * x * x),
    "square of a node": (_squared, lambda x: 18 * x),
    "quotient": (lambda x: (x * 2.0) / (x * x + 1.0), lambda x: 2 * (1 - x * x) / (x * x + 1) ** 2),
    "difference": (_difference, lambda x: 3 * (1 - 0.5 * np.exp(x / 2))),
    "sum of one": (_doubled, lambda x: 4 * (1 - np.tanh(2 * x) ** 2)),
    "broadcast": (_broadcast, _broadcast_slope),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_gradient_of_a_long_way_back(name: str) -> None:
    formula, slope = FORMULAS[name]
    x = leaf()
    (formula(x) * 2.0).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * slope(X), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", FORMULAS)
def test_twice_with_retain_graph(name: str) -> None:
    x = leaf()
    loss = (FORMULAS[name][0](x) * 2.0).sum()
    loss.backward(retain_graph=True)
    first = x.grad.numpy().copy()
    x.grad = None
    loss.backward()
    np.testing.assert_array_equal(x.grad.numpy(), first)


@pytest.mark.parametrize("name", FORMULAS)
def test_same_as_with_recorded_gradients(name: str) -> None:
    """Under ``create_graph`` nothing is written over."""
    x, y = leaf(), leaf()
    (FORMULAS[name][0](x) * 2.0).sum().backward()
    (FORMULAS[name][0](y) * 2.0).sum().backward(create_graph=True)
    np.testing.assert_allclose(x.grad.numpy(), y.grad.detach().numpy(), rtol=1e-12, atol=1e-14)


def test_given_gradient_stays() -> None:
    x = leaf()
    g = tg.tensor(OTHER)
    y = (x * 2.0).tanh()
    y.backward(g, retain_graph=True)
    np.testing.assert_array_equal(g.numpy(), OTHER)
    tg.autograd.grad(y * 1.0, x, g)
    np.testing.assert_array_equal(g.numpy(), OTHER)


def test_results_and_operands_stay() -> None:
    x = leaf()
    y = (x * 2.0).tanh()
    z = y.exp()
    q = z / (y + 4.0)
    before = [t.detach().numpy().copy() for t in (x, y, z, q)]
    (q * 3.0).sum().backward()
    for t, value in zip((x, y, z, q), before, strict=True):
        np.testing.assert_array_equal(t.detach().numpy(), value)


def test_retained_gradients_and_hooks_keep_what_they_saw() -> None:
    x = leaf()
    y = x * 2.0
    z = y.tanh()
    seen: list[tg.Tensor] = []
    y.retain_grad()
    z.register_hook(seen.append)
    (z * tg.tensor(OTHER)).sum().backward()
    np.testing.assert_array_equal(seen[0].numpy(), OTHER)
    np.testing.assert_allclose(y.grad.numpy(), OTHER * (1 - np.tanh(2 * X) ** 2), rtol=1e-12)
    np.testing.assert_allclose(x.grad.numpy(), 2 * OTHER * (1 - np.tanh(2 * X) ** 2), rtol=1e-12)


def test_gradients_with_respect_to_steps_on_the_way() -> None:
    x = leaf()
    y = x * 2.0
    z = y.tanh()
    gz, gy, gx = tg.autograd.grad((z * tg.tensor(OTHER)).sum(), (z, y, x))
    slope = OTHER * (1 - np.tanh(2 * X) ** 2)
    np.testing.assert_array_equal(gz.numpy(), OTHER)
    np.testing.assert_allclose(gy.numpy(), slope, rtol=1e-12)
    np.testing.assert_allclose(gx.numpy(), 2 * slope, rtol=1e-12)


def test_gradient_that_goes_to_two_places() -> None:
    """A sum hands its gradient to both operands; the product beyond one of them must not write over the other's."""
    a, b = leaf(), leaf(OTHER)
    left, right = a * 2.0, b * 3.0
    ((left + right) * 5.0).sum().backward()
    np.testing.assert_array_equal(a.grad.numpy(), np.full(N, 10.0))
    np.testing.assert_array_equal(b.grad.numpy(), np.full(N, 15.0))
    assert not np.shares_memory(a.grad.numpy(), b.grad.numpy())


def test_leaves_that_get_one_gradient_do_not_share_it() -> None:
    a, b = leaf(), leaf(OTHER)
    ((a + b).tanh() * 1.0).sum().backward()
    assert not np.shares_memory(a.grad.numpy(), b.grad.numpy())
    np.testing.assert_array_equal(a.grad.numpy(), b.grad.numpy())


def test_custom_function_may_keep_its_gradient() -> None:
    kept: list[tg.Tensor] = []

    class Keep(tg.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: tg.Tensor) -> tg.Tensor:
            return x * 1.0

        @staticmethod
        def backward(ctx: Any, g: tg.Tensor) -> tg.Tensor:
            kept.append(g * 7.0)
            return kept[0]

    x = leaf()
    (Keep.apply((x * 2.0).tanh() * 1.0) * 1.0).sum().backward()
    np.testing.assert_array_equal(kept[0].numpy(), np.full(N, 7.0))
    np.testing.assert_allclose(x.grad.numpy(), 14 * (1 - np.tanh(2 * X) ** 2), rtol=1e-12)


def test_several_threads_through_one_graph() -> None:
    x = leaf()
    y = (x * 2.0).tanh().exp()
    expected = tg.autograd.grad(y.sum(), x, retain_graph=True)[0].numpy()
    found: list[Any] = []

    def run() -> None:
        found.append(tg.autograd.grad(y, x, tg.ones(N, dtype="float64"), retain_graph=True)[0].numpy())

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for g in found:
        np.testing.assert_array_equal(g, expected)


def test_way_back_needs_one_buffer() -> None:
    def peak() -> int:
        y = leaf()
        for _ in range(8):
            y = (y * 1.01).tanh()
        g = tg.ones(N, dtype="float64")
        tracemalloc.start()
        y.backward(g)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak()  # makes the scratch memory, which stays
    assert peak() < 1.5 * X.nbytes  # the first product's, in which all others follow


def test_sole_view() -> None:
    base = np.zeros((4, 6))
    assert not is_sole_view(base[:2])
    part, reshaped = np.zeros((4, 6))[:2], np.zeros(6).reshape(2, 3)
    assert is_sole_view(part)
    assert is_sole_view(reshaped)
    assert not is_sole_view(np.zeros((4, 6)).T)  # of another layout
    assert not is_sole_view(np.broadcast_to(np.zeros(1), (1,)))  # read-only
    first = np.zeros(6).reshape(2, 3)
    second = first.T
    assert not is_sole_view(first)
    del second
    assert is_sole_view(first)
    assert not is_sole_view(np.frombuffer(bytearray(16), np.uint8))  # somebody else's memory
