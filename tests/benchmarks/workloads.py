"""What is timed: each workload is written once, in the names that both frameworks share.

A workload is made from a framework, the module ``tensorgrad`` or ``torch``, and is a function that does one training
step and returns the loss. Weights and data come from NumPy, so that both frameworks start from the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, pairwise
from typing import Any

import numpy as np

__all__ = ["WORKLOADS", "Step", "Workload"]

Step = Callable[[], float]

_CHAIN = 1000  # ops in a row
_BATCHES = 8  # that a training loop goes through again and again


@dataclass(frozen=True)
class Workload:
    """One row of the table.

    Attributes
    ----------
    title : str
        What it is, in words.
    make : callable
        ``make(framework)`` gives the step.
    target : float or None
        The ratio of tensorgrad's time to PyTorch's that is aimed at.
    per : int
        How many equal parts a step has; times are given per part.
    """

    title: str
    make: Callable[[Any], Step]
    target: float | None
    per: int = 1


# ------------------------------------------------------------------------------------------------------ cost of an op
def _chain(framework: Any, backward: bool) -> Step:
    x = framework.tensor(np.linspace(-1, 1, 16, dtype=np.float32), requires_grad=True)
    scale = framework.tensor(np.full(16, 1.01, np.float32))
    shift = framework.tensor(np.full(16, 0.01, np.float32))

    def step() -> float:
        y = x
        for _ in range(_CHAIN // 4):
            y = y * scale
            y = y + shift
            y = y.tanh()
            y = y - 0.001
        loss = y.sum()
        if backward:
            x.grad = None
            loss.backward()
        return float(loss.item())

    return step


def chain_forward(framework: Any) -> Step:
    """1000 ops on 16 elements, recorded but not walked back."""
    return _chain(framework, backward=False)


def chain(framework: Any) -> Step:
    """1000 ops on 16 elements, forward and backward."""
    return _chain(framework, backward=True)


# --------------------------------------------------------------------------------------------------------------- MLPs
def _model(framework: Any, sizes: tuple[int, ...], activation: str, rng: np.random.Generator) -> Any:
    """Linear layers with activations between them, their weights drawn from ``rng``."""
    layers: list[Any] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [framework.nn.Linear(fan_in, fan_out), getattr(framework.nn, activation)()]
    model = framework.nn.Sequential(*layers[:-1])
    weights = {}
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        bound = fan_in**-0.5
        for name, shape in (("weight", (fan_out, fan_in)), ("bias", (fan_out,))):
            weights[f"{2 * i}.{name}"] = framework.tensor(rng.uniform(-bound, bound, shape).astype(np.float32))
    model.load_state_dict(weights)
    return model


def _batches(
    framework: Any, batch_size: int, features: int, classes: int, rng: np.random.Generator
) -> list[tuple[Any, Any]]:
    """Noise with as many class centres as classes."""
    centres = rng.standard_normal((classes, features))
    batches = []
    for _ in range(_BATCHES):
        target = rng.integers(0, classes, batch_size)
        inputs = centres[target] + 2 * rng.standard_normal((batch_size, features))
        batches.append((framework.tensor(inputs.astype(np.float32)), framework.tensor(target)))
    return batches


def _training(framework: Any, model: Any, optimizer: Any, batches: list[tuple[Any, Any]]) -> Step:
    cross_entropy = framework.nn.functional.cross_entropy
    data = cycle(batches)

    def step() -> float:
        inputs, target = next(data)
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), target)
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step


def mlp_small(framework: Any) -> Step:
    """64-32-10 on batches of 32: nearly all overhead."""
    rng = np.random.default_rng(0)
    model = _model(framework, (64, 32, 10), "ReLU", rng)
    optimizer = framework.optim.SGD(model.parameters(), lr=0.01)
    return _training(framework, model, optimizer, _batches(framework, 32, 64, 10, rng))


def mlp_medium(framework: Any) -> Step:
    """784-256-128-10 on batches of 64: the usual first network."""
    rng = np.random.default_rng(0)
    model = _model(framework, (784, 256, 128, 10), "ReLU", rng)
    optimizer = framework.optim.SGD(model.parameters(), lr=0.01)
    return _training(framework, model, optimizer, _batches(framework, 64, 784, 10, rng))


def mlp_large(framework: Any) -> Step:
    """1024-2048-2048-1000 on batches of 256: matrix products, and an optimizer over eight million weights."""
    rng = np.random.default_rng(0)
    model = _model(framework, (1024, 2048, 2048, 1000), "GELU", rng)
    optimizer = framework.optim.AdamW(model.parameters(), lr=1e-3)
    return _training(framework, model, optimizer, _batches(framework, 256, 1024, 1000, rng))


WORKLOADS = {
    "chain-forward": Workload("one op on 16 elements, forward", chain_forward, None, _CHAIN),
    "chain": Workload("one op on 16 elements, forward and backward", chain, 0.6, _CHAIN),
    "mlp-small": Workload("MLP 64-32-10, batch 32, SGD", mlp_small, 0.7),
    "mlp-medium": Workload("MLP 784-256-128-10, batch 64, SGD", mlp_medium, 1.0),
    "mlp-large": Workload("MLP 1024-2048-2048-1000, batch 256, GELU, AdamW", mlp_large, 1.2),
}
"""By the name that ``--workload`` takes."""
