"""Chains of elementwise launches: operands of other shapes than the chain's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.jit.passes import Chain

SHAPES = [
    ((1, 256, 384), [(256, 384)]),  # one whole sample is all that there is
    ((8, 64, 96), [(64, 96), (96,)]),  # rows of two lengths
    ((8, 64, 96), [(1, 64, 96), (1, 1, 96)]),
    ((40000,), [(1,), ()]),
    ((3, 200, 128), [(3, 200, 128), (128,), (1, 1, 1)]),
]


@pytest.mark.parametrize(("shape", "others"), SHAPES)
def test_repeated_operands(shape: tuple[int, ...], others: list[tuple[int, ...]], device: str) -> None:
    rng = np.random.default_rng(0)
    operands = [tg.tensor(rng.standard_normal(s).astype(np.float32), device=device) for s in (shape, *others)]

    def function(x: Any, *more: Any) -> Any:
        for y in more:
            x = tg.sigmoid(x * y) + y
        return x.exp(), x.sum()

    captured = tg.jit(function)
    captured(*operands)
    chains = [step for step in captured._last.replay.steps if isinstance(step, Chain)]
    assert [len(chain.launches) for chain in chains] == [3 * len(others) + 2]
    for scale in (1, 2):
        given = [x * scale for x in operands]
        expected, total = (y.cpu().numpy() for y in function(*given))
        result, found = (y.cpu().numpy() for y in captured(*given))
        np.testing.assert_allclose(result, expected, rtol=0 if device == "cpu" else 2e-6)
        np.testing.assert_allclose(found, total, rtol=1e-5)


def test_chains_equal_the_kernels_one_by_one(device: str) -> None:
    """Kernels that are several ufuncs, numbers in arrays where others have blocks, ufuncs that want ``out`` by name."""
    rng = np.random.default_rng(1)
    x, y = (tg.tensor(rng.standard_normal((3, 50000)).astype(np.float32), device=device) for _ in range(2))

    def function(x: Any, y: Any, number: Any) -> Any:
        parts = [tg.maximum(x, y), tg.minimum(x, 0.25), x**3, x**-2, x**4.0, tg.clip(x, -0.5, 0.5)]
        parts += [tg.where(x > y, x, y), tg.sigmoid(x), tg.nn.functional.gelu(x), tg.rsqrt(y * y + 1)]
        slope = tg.autograd.grad((tg.sigmoid(x * number) / (2 + y * y)).sum(), (x, y, number))
        more = tg.autograd.grad(tg.relu(x).sum() + tg.nn.functional.silu(y).sum(), (x, y))
        return *(part.detach() for part in parts), *more, *slope

    for a in (x, y):
        a.requires_grad = True
    number = tg.tensor(1.5, device=device, requires_grad=True)
    captured = tg.jit(function)
    captured(x, y, number)
    for scale in (1, -2):
        given = [(a.detach() * scale).clone() for a in (x, y)]
        for a in given:
            a.requires_grad = True
        expected, found = function(*given, number), captured(*given, number)
        for i, (a, b) in enumerate(zip(expected[:-1], found[:-1], strict=True)):
            rtol = 0 if device == "cpu" else 2e-6
            np.testing.assert_allclose(b.cpu().numpy(), a.cpu().numpy(), rtol, rtol, err_msg=str(i))
        np.testing.assert_allclose(found[-1].cpu().numpy(), expected[-1].cpu().numpy(), rtol=1e-4)
