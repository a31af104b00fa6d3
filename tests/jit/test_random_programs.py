"""Random programs, replayed and not: equal to the bit where no sum is added up in another order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tensorgrad as tg

from .programs import Program, World, programs, sums_everything

SMALL = [(3, 4), (1, 5), (4, 1), (2, 2), (7, 16)]
LARGE = [(128, 257), (3, 30000), (40000, 1)]  # above the size from which launches are gathered into chains
SETTINGS: dict[str, Any] = {
    "derandomize": True, "deadline": None, "database": None, "suppress_health_check": list(HealthCheck),
}  # fmt: skip


def check(program: Program, shape: tuple[int, int], dtype: Any, device: str, exactly: bool) -> None:
    eager = World(*shape, dtype, device).run(program, False)
    replayed = World(*shape, dtype, device).run(program, True)
    assert len(eager) == len(replayed)
    for i, (expected, found) in enumerate(zip(eager, replayed, strict=True)):
        if expected is None or isinstance(expected, str):
            assert type(found) is type(expected), f"{i}: {found!r} is not {expected!r}"
            assert found == expected
        elif exactly:
            np.testing.assert_array_equal(found, expected, err_msg=str(i), strict=True)
        else:
            scale = np.abs(expected[np.isfinite(expected)]).max(initial=1.0)
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6 * scale, err_msg=str(i), strict=True)


@settings(max_examples=50, **SETTINGS)
@given(program=programs(), shape=st.sampled_from(SMALL), double=st.booleans())
def test_small(program, shape, double):
    check(program, shape, tg.float64 if double else tg.float32, "cpu", exactly=True)


@settings(max_examples=10, **SETTINGS)
@given(program=programs(), shape=st.sampled_from(LARGE))
def test_large(program, shape):
    """In float64, where the order of a sum shows in the last digits only."""
    check(program, shape, tg.float64, "cpu", exactly=not sums_everything(program))


@settings(max_examples=15, **SETTINGS)
@given(program=programs(8), shape=st.sampled_from(SMALL))
def test_on_a_device(device, program, shape):
    check(program, shape, tg.float32, device, exactly=device == "cpu")


@pytest.mark.slow
@settings(max_examples=500, **SETTINGS)
@given(program=programs(25), shape=st.sampled_from(SMALL))
def test_long_ones(program, shape):
    check(program, shape, tg.float32, "cpu", exactly=True)


@pytest.mark.slow
@settings(max_examples=60, **SETTINGS)
@given(program=programs(25), shape=st.sampled_from(LARGE))
def test_long_and_large_ones(program, shape):
    check(program, shape, tg.float64, "cpu", exactly=not sums_everything(program))
