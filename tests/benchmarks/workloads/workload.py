"""What a workload is, and what comes of it in one framework.

A workload is written once, in the names that ``tensorgrad`` and ``torch`` share. Weights and data come from NumPy, so
that every contender starts from the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Network", "Task", "Workload"]

_BATCHES = 8  # that a training loop goes through again and again


@dataclass(frozen=True)
class Task:
    """A workload made in one framework.

    Attributes
    ----------
    forward : callable
        ``forward(*batch)`` is the loss or, where nothing is trained, the output.
    batches : list of tuple
        What ``forward`` is given, in turn.
    zero_grad, update : callable, optional
        Forget the gradients; use them. Without ``zero_grad`` nothing is differentiated.
    """

    forward: Callable[..., Any]
    batches: list[tuple[Any, ...]]
    zero_grad: Callable[[], Any] | None = None
    update: Callable[[], Any] | None = None


@dataclass(frozen=True)
class Workload:
    """One row of the table.

    Attributes
    ----------
    title : str
        What it is, in words.
    make : callable
        ``make(framework)`` is the `Task`; the framework is a module, ``tensorgrad`` or ``torch``.
    per : int
        How many equal parts a step has; times are given per part.
    """

    title: str
    make: Callable[[Any], Task]
    per: int = 1


@dataclass(frozen=True)
class Network:
    """A model with what it is trained with: two workloads, training and inference.

    Attributes
    ----------
    title, training : str
        The model in words; how it is trained.
    build : callable
        ``build(framework)`` is the module, whose weights are then drawn from NumPy.
    optimizer : callable
        ``optimizer(framework, parameters)``.
    batch : callable
        ``batch(rng, size)`` is the inputs and the classes that cross-entropy compares the scores with, as NumPy arrays.
    size : int
        Samples in a batch of training.
    """

    title: str
    training: str
    build: Callable[[Any], Any]
    optimizer: Callable[[Any, Any], Any]
    batch: Callable[[np.random.Generator, int], tuple[Any, Any]]
    size: int

    def workloads(self, name: str) -> dict[str, Workload]:
        """Training and inference by the names that ``--workload`` takes."""
        return {
            name: Workload(f"{self.title}, batch {self.size}, {self.training}", self.train),
            f"{name}-inference": Workload(f"{self.title}, batch 1", self.infer),
        }

    def train(self, framework: Any) -> Task:
        """Forward, backward and the optimizer's step."""
        rng = np.random.default_rng(0)
        model = self._model(framework, rng)
        optimizer = self.optimizer(framework, model.parameters())
        cross_entropy = framework.nn.functional.cross_entropy

        def loss(inputs: Any, target: Any) -> Any:
            scores = model(inputs)
            return cross_entropy(scores.reshape(-1, scores.shape[-1]), target.reshape(-1))

        batches = [self.batch(rng, self.size) for _ in range(_BATCHES)]
        batches = [tuple(framework.tensor(array) for array in batch) for batch in batches]
        return Task(loss, batches, optimizer.zero_grad, optimizer.step)

    def infer(self, framework: Any) -> Task:
        """Forward alone, for one sample, as a model is used."""
        rng = np.random.default_rng(0)
        model = self._model(framework, rng).eval()
        batches = [(framework.tensor(self.batch(rng, 1)[0]),) for _ in range(_BATCHES)]
        return Task(lambda inputs: model(inputs), batches)

    def _model(self, framework: Any, rng: np.random.Generator) -> Any:
        """The module with matrices of the usual uniform distribution, biases 0, and norms as they are made."""
        model = self.build(framework)
        state = model.state_dict()
        for name, value in state.items():
            shape = tuple(value.shape)
            if len(shape) > 1:
                bound = float(np.prod(shape[1:])) ** -0.5
                state[name] = framework.tensor(rng.uniform(-bound, bound, shape).astype(np.float32))
            elif "bias" in name:
                state[name] = framework.zeros(shape)
        model.load_state_dict(state)
        return model
