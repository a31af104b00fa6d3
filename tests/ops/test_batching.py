"""`vmap` of every op against a loop over the samples: results, gradients through it, gradients inside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tensorgrad import Tensor, autograd, func, stack, tensor
from tensorgrad.backend import to_numpy

from .samples import Sample, per_op

COUNT = 2

BY_VALUES = {
    "bincount",
    "bincount_weighted",
    "counts",
    "nonzero",
    "repeated_indices",
    "searchsorted",
    "set_values",
    "take",
    "unique",
}
"""Ops of which some samples go through functions that make a shape from values, which no sample has alone."""


def batch(x: np.ndarray) -> np.ndarray:
    """Another sample beside this one: near it if it is floating, for whatever is defined there is so nearby."""
    if x.dtype.kind in "fc":
        return np.stack([x, x * 0.97])
    return np.stack([x, x])


def ways(count: int, device: str) -> Iterator[tuple[int | None, ...]]:
    """Which arguments are mapped over, and along which axis; the rules know no device, so one way does for CUDA."""
    yield (0,) * count
    if count > 1 and device == "cpu":
        yield (-1,) * count
        for i in range(count):
            yield tuple(0 if j == i else None for j in range(count))


def results(made: Any) -> tuple[Tensor, ...]:
    return tuple(made) if isinstance(made, (tuple, list)) else (made,)


def weights(outputs: Any) -> list[Tensor]:
    random = np.random.default_rng(5)
    return [tensor(random.uniform(0.5, 1.5, y.shape), dtype=y.dtype, device=y.device) for y in outputs]


def inputs(sample: Sample, dims: tuple[int | None, ...], device: str) -> list[Tensor]:
    made = []
    for i, (x, dim) in enumerate(zip(sample.inputs, dims, strict=True)):
        values = x if dim is None else np.moveaxis(batch(x), 0, dim)
        made.append(tensor(np.array(values, order="C"), device=device, requires_grad=i in sample.variables))
    return made


def loop(sample: Sample, given: list[Tensor], dims: tuple[int | None, ...]) -> tuple[Tensor, ...]:
    def one(x: Tensor, dim: int | None, n: int) -> Tensor:
        return x if dim is None else x[n] if dim == 0 else x[..., n]

    rows = [results(sample.call(*(one(x, dim, n) for x, dim in zip(given, dims, strict=True)))) for n in range(COUNT)]
    return tuple(stack(column) for column in zip(*rows, strict=True))


def gradients(sample: Sample, outputs: tuple[Tensor, ...], given: list[Tensor]) -> list[np.ndarray]:
    pairs = [(y, w) for y, w in zip(outputs, weights(outputs), strict=True) if y.requires_grad]
    if not pairs:
        return []
    variables = [given[i] for i in sample.variables]
    found = autograd.grad([y for y, _ in pairs], variables, [w for _, w in pairs], allow_unused=True)
    return [np.zeros(x.shape) if g is None else to_numpy(g._data) for x, g in zip(variables, found, strict=True)]


@per_op(lambda sample: bool(sample.inputs))
def test_vmap_is_a_loop(sample, device):
    for dims in ways(len(sample.inputs), device):
        try:
            given = inputs(sample, dims, device)
            wanted = loop(sample, given, dims)
        except Exception:
            if dims[0] == -1:
                raise
            continue
        try:
            found = func.vmap(lambda *x: results(sample.call(*x)), in_dims=dims)(*given)
        except RuntimeError as error:
            if sample.op not in BY_VALUES or "asks for the value" not in str(error):
                raise
            continue
        for y, z in zip(found, wanted, strict=True):
            np.testing.assert_allclose(
                to_numpy(y._data), to_numpy(z._data), rtol=1e-12, atol=1e-12, err_msg=str(dims), strict=True
            )
        for g, h in zip(gradients(sample, found, given), gradients(sample, wanted, given), strict=True):
            np.testing.assert_allclose(g, h, rtol=1e-10, atol=1e-12, err_msg=f"gradient, {dims}", strict=True)


@per_op(lambda sample: bool(sample.variables))
def test_gradients_per_sample(sample, device):
    dims = (0,) * len(sample.inputs)
    given = [x.detach() for x in inputs(sample, dims, device)]
    places = sample.variables
    if device != "cpu":
        pytest.skip("the rules know no device; vmap itself is tested on it")

    def loss(*x: Tensor) -> Tensor:
        outputs = [y for y in results(sample.call(*x)) if y.requires_grad]
        return stack([(y * w).real.sum() for y, w in zip(outputs, weights(outputs), strict=True)]).sum()

    per_sample = func.grad(loss, argnums=places)
    try:
        found = func.vmap(per_sample)(*given)
    except RuntimeError as error:
        if sample.op not in BY_VALUES or "asks for the value" not in str(error):
            raise
        return
    for n in range(COUNT):
        for g, h in zip(found, per_sample(*(x[n] for x in given)), strict=True):
            np.testing.assert_allclose(to_numpy(g._data)[n], to_numpy(h._data), rtol=1e-10, atol=1e-12)
