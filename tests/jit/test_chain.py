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
