"""The comparisons that users test with; `gradcheck` is tested beside the engine."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.testing import assert_close

LIMITS = {"float16": (1e-3, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7), "complex128": (1e-7, 1e-7)}


@pytest.mark.parametrize("dtype", LIMITS)
def test_default_tolerances(dtype, device):
    relative, absolute = LIMITS[dtype]
    expected = np.array([0.0, 512.0])
    allowed = absolute + relative * expected
    x = tg.tensor(expected, dtype, device)
    assert_close(x, x)
    # float16 cannot hold every step at 512, so its limit is looked at from 0 alone
    place = 0 if dtype == "float16" else slice(None)
    assert_close(tg.tensor((expected + 0.9 * allowed)[place], dtype, device), x[place])
    with pytest.raises(AssertionError, match="differ by more than"):
        assert_close(tg.tensor((expected + 1.2 * allowed)[place], dtype, device), x[place])


def test_message_has_the_worst_element(device):
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0]], device=device)
    with pytest.raises(AssertionError, match=r"^loss: 2 of 4 elements .* worst is \(1, 0\): 3\.0, expected 3\.5"):
        assert_close(x, tg.tensor([[1.0, 2.1], [3.5, 4.0]], device=device), msg="loss")
    with pytest.raises(AssertionError, match=r"worst is \(\): 1\.0, expected 2\.0"):
        assert_close(tg.tensor(1.0, device=device), 2.0)


def test_shapes_dtypes_devices(device):
    x = tg.ones(2, device=device)
    with pytest.raises(AssertionError, match=r"shapes differ: \(2,\), expected \(1, 2\)"):
        assert_close(x, tg.ones(1, 2, device=device))
    with pytest.raises(AssertionError, match="dtypes differ: float32, expected float64"):
        assert_close(x, np.ones(2))
    assert_close(x, np.ones(2), check_dtype=False)
    assert_close(x, [1.0, 1.0])
    if device == "cuda":
        with pytest.raises(AssertionError, match="devices differ: cuda:0, expected cpu"):
            assert_close(x, tg.ones(2))
        assert_close(x, tg.ones(2), check_device=False)


def test_the_looser_dtype_decides():
    assert_close(tg.tensor([1.0005], tg.float16), tg.tensor([1.0], tg.float64), check_dtype=False)
    assert_close(tg.tensor([1.0]), [1.0 + 1e-5])
    with pytest.raises(AssertionError):
        assert_close(tg.tensor([1.0], tg.float64), [1.0 + 1e-5])


def test_integers_are_exact():
    assert_close(tg.tensor([2**62, 1]), tg.tensor([2**62, 1]))
    with pytest.raises(AssertionError, match=rf"{2**62}, expected {2**62 + 1}"):
        assert_close(tg.tensor([2**62]), tg.tensor([2**62 + 1]))
    assert_close(tg.tensor([10]), tg.tensor([11]), rtol=0, atol=1)
    with pytest.raises(AssertionError):
        assert_close(tg.tensor([0], tg.uint8), tg.tensor([255], tg.uint8), rtol=0, atol=1)
    with pytest.raises(AssertionError, match="1 of 2 elements"):
        assert_close(tg.tensor([True, False]), tg.tensor([True, True]))


def test_special_values():
    assert_close(tg.tensor([math.inf, -math.inf]), tg.tensor([math.inf, -math.inf]))
    for wrong in (-math.inf, 1e30, math.nan):
        with pytest.raises(AssertionError):
            assert_close(tg.tensor([math.inf]), tg.tensor([wrong]))
        with pytest.raises(AssertionError):
            assert_close(tg.tensor([wrong]), tg.tensor([math.inf]))
    with pytest.raises(AssertionError, match=r"worst is \(1,\): nan"):
        assert_close(tg.tensor([5.0, math.nan]), tg.tensor([1.0, math.nan]))
    assert_close(tg.tensor([1.0, math.nan]), tg.tensor([1.0, math.nan]), equal_nan=True)
    with pytest.raises(AssertionError):
        assert_close(tg.tensor([1.0, math.nan]), tg.tensor([1.0, 2.0]), equal_nan=True)


def test_nothing_equals_nothing():
    assert_close(tg.zeros(0, 3), tg.zeros(0, 3))
    assert_close([], [])


def test_one_tolerance_alone_is_refused():
    with pytest.raises(ValueError, match=r"both rtol and atol.*rtol=0\.1, atol=None"):
        assert_close(1.0, 1.0, rtol=0.1)


def test_bfloat16():
    pytest.importorskip("ml_dtypes")
    assert_close(tg.tensor([1.0], tg.bfloat16), tg.tensor([1.01], tg.bfloat16))
    with pytest.raises(AssertionError):
        assert_close(tg.tensor([1.0], tg.bfloat16), tg.tensor([1.04], tg.bfloat16))
