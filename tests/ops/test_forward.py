"""Values of every op against the references beside its samples: dtypes, memory layouts, special values."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import to_numpy

from .samples import LAYOUTS, Sample, per_op, place
from .samples.elementwise import POINTS, UNARY

TOLERANCES = {"float64": 1e-13, "float32": 4e-6, "float16": 4e-3, "bfloat16": 3e-2}


def _is_floating(sample: Sample) -> bool:
    return any(x.dtype == np.float64 for x in sample.inputs)


def outputs(sample: Sample, inputs: list[Any]) -> list[tg.Tensor]:
    made = sample.call(*inputs)
    return list(made) if isinstance(made, tuple) else [made]


def references(sample: Sample, inputs: list[np.ndarray]) -> list[np.ndarray]:
    with np.errstate(all="ignore"):
        made = sample.reference(*inputs)
    return [np.asarray(y) for y in (made if isinstance(made, tuple) else [made])]


def wide(x: np.ndarray) -> np.ndarray:
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


def compare(found: list[tg.Tensor], wanted: list[np.ndarray], tolerance: float) -> None:
    for y, reference in zip(found, wanted, strict=True):
        assert y.shape == reference.shape
        value, reference = wide(to_numpy(y._data)), wide(reference)
        scale = np.abs(reference[np.isfinite(reference)]).max(initial=1)
        np.testing.assert_allclose(value, reference, rtol=tolerance, atol=tolerance * scale)


def check(sample: Sample, device: str, dtype: str) -> None:
    inputs = sample.tensors(device, dtype, grad=False)
    floating = [x.dtype == np.float64 for x in sample.inputs]
    rounded = [
        to_numpy(x._data).astype(np.float64) if f else s
        for x, s, f in zip(inputs, sample.inputs, floating, strict=True)
    ]
    found = outputs(sample, inputs)
    if any(floating):
        kept = inputs[floating.index(True)].dtype
        assert all(y.dtype == kept or y.dtype.kind in "biuc" for y in found)
    tolerance = TOLERANCES[dtype] * sample.slack if any(floating) else TOLERANCES["float32"]
    compare(found, references(sample, rounded), tolerance)


@per_op()
def test_float64(sample, device):
    check(sample, device, "float64")


@per_op(_is_floating)
def test_float32(sample, device):
    check(sample, device, "float32")


@per_op(lambda sample: _is_floating(sample) and sample.halves)
def test_float16(sample, device):
    check(sample, device, "float16")


@per_op(lambda sample: _is_floating(sample) and sample.halves)
def test_bfloat16(sample, device):
    pytest.importorskip("ml_dtypes")
    check(sample, device, "bfloat16")


@per_op()
def test_layout_does_not_matter(sample, device):
    wanted = outputs(sample, sample.tensors(device))
    for layout in LAYOUTS:
        found = outputs(sample, sample.tensors(device, layout=layout))
        for y, reference in zip(found, wanted, strict=True):
            np.testing.assert_allclose(
                to_numpy(y._data),
                to_numpy(reference._data),
                rtol=1e-13 * sample.slack,
                atol=1e-14,
                err_msg=layout,
                strict=True,
            )


@per_op()
def test_recording_changes_nothing(sample, device):
    plain = outputs(sample, sample.tensors(device, grad=False))
    recorded = outputs(sample, sample.tensors(device))
    with tg.no_grad():
        unrecorded = outputs(sample, sample.tensors(device))
    for first, second, third in zip(plain, recorded, unrecorded, strict=True):
        np.testing.assert_array_equal(to_numpy(first._data), to_numpy(second._data), strict=True)
        np.testing.assert_array_equal(to_numpy(first._data), to_numpy(third._data), strict=True)
        assert not first.requires_grad
        assert second.requires_grad == bool(sample.variables)
        assert not third.requires_grad


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("name", UNARY)
def test_special_values(name, device, dtype):
    function, *_, wanted = UNARY[name]
    # long enough, too, that vectorised loops and their remainders both run
    for repeats in (1, 9):
        found = function(tg.tensor(np.repeat(POINTS, repeats), dtype, device))
        np.testing.assert_allclose(found.cpu().numpy(), np.repeat(wanted, repeats), rtol=2e-3, err_msg=name)


@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "prod", "logsumexp"])
def test_half_types_accumulate_in_float32(name, device):
    x = np.full(4096, 1.001, np.float16) if name != "prod" else np.full(600, 1.004, np.float16)
    x[::2] += np.float16(0.5) if name != "prod" else np.float16(0)
    found = getattr(tg, name)(tg.tensor(x, device=device))
    wanted = getattr(tg, name)(tg.tensor(x.astype(np.float64)))
    assert found.dtype == np.float16
    np.testing.assert_allclose(found.item(), wanted.item(), rtol=2e-3)


def test_matmul_of_halves_accumulates_in_float32(device):
    x = np.full((1, 4096), 0.1, np.float16)
    found = tg.tensor(x, device=device) @ tg.tensor(x.T, device=device)
    np.testing.assert_allclose(found.item(), 4096 * float(x[0, 0]) ** 2, rtol=2e-3)


@pytest.mark.parametrize(
    "operation", [operator.add, operator.mul, operator.sub, operator.truediv], ids=lambda f: f.__name__
)
def test_large_arrays(operation, device):
    """Long enough for blocks, threads and vector remainders."""
    x = np.random.default_rng(0).uniform(0.5, 2, 70_001)
    found = operation(tg.tensor(x, device=device), tg.tensor(x[::-1].copy(), device=device))
    np.testing.assert_array_equal(to_numpy(found._data), operation(x, x[::-1]))


@pytest.mark.parametrize("shape", [(300, 301), (2, 30_000), (30_000, 3)], ids=str)
@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("name", ["sum", "max", "logsumexp", "argmin", "var"])
def test_large_reductions(name, axis, shape, device):
    from scipy import special

    x = np.random.default_rng(0).uniform(-2, 2, shape)
    reference = special.logsumexp if name == "logsumexp" else getattr(np, name)
    found = getattr(tg, name)(tg.tensor(x, device=device), axis=axis)
    np.testing.assert_allclose(to_numpy(found._data), reference(x, axis=axis), rtol=1e-10, atol=1e-10)


def test_placing(device):
    """The layouts that the tests above rely on are what they say."""
    x = np.arange(6.0).reshape(2, 3)
    for layout in LAYOUTS:
        y = place(x, device, layout=layout)
        assert not y._data.flags.c_contiguous
        np.testing.assert_array_equal(to_numpy(y._data), x)
