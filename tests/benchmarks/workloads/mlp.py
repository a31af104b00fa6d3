"""Multilayer perceptrons: from nearly all overhead to nearly all matrix products."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from .workload import Network

__all__ = ["NETWORKS"]


def _mlp(sizes: tuple[int, ...], activation: str) -> Callable[[Any], Any]:
    """Linear layers with activations between them."""

    def build(framework: Any) -> Any:
        layers: list[Any] = []
        for fan_in, fan_out in pairwise(sizes):
            layers += [framework.nn.Linear(fan_in, fan_out), getattr(framework.nn, activation)()]
        return framework.nn.Sequential(*layers[:-1])

    return build


def _clusters(features: int, classes: int) -> Callable[[np.random.Generator, int], tuple[Any, Any]]:
    """Noise around as many centres as classes."""
    centres = np.random.default_rng(1).standard_normal((classes, features))

    def batch(rng: np.random.Generator, size: int) -> tuple[Any, Any]:
        target = rng.integers(0, classes, size)
        inputs = centres[target] + 2 * rng.standard_normal((size, features))
        return inputs.astype(np.float32), target

    return batch


def _sgd(framework: Any, parameters: Any) -> Any:
    return framework.optim.SGD(parameters, lr=0.01)


def _adamw(framework: Any, parameters: Any) -> Any:
    return framework.optim.AdamW(parameters, lr=1e-3)


NETWORKS = {
    "mlp-small": Network("MLP 64-32-10", "SGD", _mlp((64, 32, 10), "ReLU"), _sgd, _clusters(64, 10), 32),
    "mlp-medium": Network(
        "MLP 784-256-128-10", "SGD", _mlp((784, 256, 128, 10), "ReLU"), _sgd, _clusters(784, 10), 64
    ),
    "mlp-large": Network(
        "MLP 1024-2048-2048-1000 GELU", "AdamW", _mlp((1024, 2048, 2048, 1000), "GELU"), _adamw,
        _clusters(1024, 1000), 256,
    ),
}  # fmt: skip
