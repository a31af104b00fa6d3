"""Functions that run on the arrays where their values are all that is wanted: the same numbers, memory of their own."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import func
from tensorgrad.ops.definition import alone, on_values

RNG = np.random.default_rng(0)
VECTOR, OTHER, SHORT = RNG.normal(size=9), RNG.normal(size=9), RNG.normal(size=3)
MATRIX = RNG.normal(size=(4, 5))
HOLED = np.where(MATRIX > 0.8, np.nan, MATRIX)
PLACES = np.arange(9) % 2

CASES = {
    "block": (lambda x, y: tg.block([[x, x], [y, y]]), MATRIX, MATRIX + 1),
    "choose": (lambda x, y: tg.choose(tg.tensor(PLACES, device=x.device), [x, y]), VECTOR, OTHER),
    "compress": (lambda x: tg.compress(tg.tensor(PLACES > 0, device=x.device), x), VECTOR),
    "cond": (tg.linalg.cond, MATRIX),
    "count_nonzero": (lambda x: tg.count_nonzero(x, axis=1), MATRIX),
    "delete": (lambda x: tg.delete(x, [0, 3], axis=1), MATRIX),
    "diff": (lambda x: tg.diff(x, 2, axis=0), MATRIX),
    "divmod": (lambda x, y: tg.divmod(x, y), VECTOR, OTHER),
    "dstack": (lambda x, y: tg.dstack([x, y]), VECTOR, OTHER),
    "extract": (lambda x: tg.extract(tg.tensor(PLACES > 0, device=x.device), x), VECTOR),
    "fftshift": (tg.fft.fftshift, MATRIX),
    "gradient": (lambda x: tg.gradient(x, 0.5, edge_order=2), MATRIX),
    "insert": (lambda x, y: tg.insert(x, 1, y, axis=1), MATRIX, MATRIX[:, 0]),
    "ldexp": (lambda x: tg.ldexp(x, tg.tensor(PLACES, device=x.device)), VECTOR),
    "lstsq": (lambda x, y: tg.linalg.lstsq(x, y)[:2], MATRIX.T, SHORT.repeat(2)[:5]),
    "modf": (tg.modf, VECTOR),
    "nancumsum": (lambda x: tg.nancumsum(x, axis=1), HOLED),
    "nanmean": (lambda x: tg.nanmean(x, axis=0), HOLED),
    "outer": (tg.outer, VECTOR, SHORT),
    "poly": (tg.poly, SHORT),
    "polydiv": (tg.polydiv, VECTOR, SHORT),
    "polyint": (lambda p: tg.polyint(p, 2), VECTOR),
    "polyval": (tg.polyval, SHORT, MATRIX),
    "ptp": (lambda x: tg.ptp(x, axis=1), MATRIX),
    "roll": (lambda x: tg.roll(x, (1, -2), axis=(0, 1)), MATRIX),
    "spacing": (tg.spacing, VECTOR),
    "tensordot": (lambda x, y: tg.tensordot(x, y, 2), MATRIX, MATRIX),
    "trapezoid": (lambda x: tg.trapezoid(x, dx=0.5, axis=0), MATRIX),
    "unwrap": (lambda x: tg.unwrap(x, axis=0), 4 * MATRIX),
    "vander": (lambda x: tg.vander(x, 4), VECTOR),
    "vecdot": (tg.linalg.vecdot, MATRIX, MATRIX + 1),
}


def _results(found):
    return [np.asarray(y.detach().cpu().numpy()) for y in (found if isinstance(found, (tuple, list)) else (found,))]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_numbers_as_with_a_gradient(name, dtype, device):
    function, *given = CASES[name]
    operands = [tg.tensor(x, dtype, device) for x in given]
    recorded = [x.clone().requires_grad_() for x in operands]
    assert alone(*operands)
    assert not alone(*recorded)
    for found, wanted in zip(_results(function(*operands)), _results(function(*recorded)), strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=2e-5 if dtype == "float32" else 1e-13, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_results_have_memory_of_their_own(name, device):
    function, *given = CASES[name]
    operands = [tg.tensor(x, device=device) for x in given]
    found = function(*operands)
    for y in found if isinstance(found, (tuple, list)) else (found,):
        y[...] = 0
    for x, before in zip(operands, given, strict=True):
        np.testing.assert_array_equal(x.cpu().numpy(), before)


@pytest.mark.parametrize("name", ["block", "vander", "gradient", "unwrap", "roll", "modf", "polyval"])
def test_over_samples(name, device):
    function, *given = CASES[name]
    batches = [np.stack([x, x * 1.5, x - 0.1]) for x in given]
    found = _results(func.vmap(function)(*[tg.tensor(x, device=device) for x in batches]))
    for i in range(3):
        wanted = _results(function(*[tg.tensor(x[i], device=device) for x in batches]))
        for y, z in zip(found, wanted, strict=True):
            np.testing.assert_allclose(y[i], z, rtol=1e-12, atol=1e-12)


def test_mixed_precision_sees_the_steps(device):
    x = tg.ones(3, dtype=tg.float16, device=device)
    with tg.amp.autocast(x.device.type, dtype=tg.float16):
        assert on_values(tg.sum, x).dtype == tg.sum(x).dtype


@pytest.mark.parametrize(
    "function",
    [
        lambda x: tg.roll(x, 0),
        lambda x: tg.roll(x, (2, -3), (0, 1)),
        lambda x: tg.tile(x, 1),
        lambda x: tg.tile(x, (1, 1, 1)),
        lambda x: tg.clip(x, None, None),
        lambda x: tg.fft.fftshift(x, axes=()),
    ],
    ids=["roll", "roll by whole axes", "tile", "tile with more axes", "clip", "fftshift"],
)
def test_what_changes_nothing_returns_a_copy(function, device):
    values = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    x = tg.tensor(values, device=device)
    function(x)[...] = 0
    np.testing.assert_array_equal(x.cpu().numpy(), values)
    recorded = x.clone().requires_grad_()
    y = function(recorded)
    y.sum().backward()
    assert recorded.grad.tolist() == [[1] * 3] * 2
    with tg.no_grad():
        y[...] = 0
    np.testing.assert_array_equal(recorded.detach().cpu().numpy(), values)
