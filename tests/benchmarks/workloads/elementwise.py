"""Elementwise ops in a row: on few elements, which is overhead, and on many, which is memory bandwidth."""

from __future__ import annotations

from typing import Any

import numpy as np

from .workload import Task, Workload

__all__ = ["WORKLOADS"]

_OPS = 1000  # ops of the tiny chain
_ELEMENTS = 4_000_000  # of the large one


def _tiny(framework: Any) -> Task:
    """1000 ops on 16 elements."""
    x = framework.tensor(np.linspace(-1, 1, 16, dtype=np.float32), requires_grad=True)
    scale = framework.tensor(np.full(16, 1.01, np.float32))
    shift = framework.tensor(np.full(16, 0.01, np.float32))

    def loss(scale: Any, shift: Any) -> Any:
        y = x
        for _ in range(_OPS // 4):
            y = y * scale
            y = y + shift
            y = y.tanh()
            y = y - 0.001
        return y.sum()

    return Task(loss, [(scale, shift)], lambda: setattr(x, "grad", None))


def _large(framework: Any) -> Task:
    """Ten ops on four million elements, and their mean."""
    rng = np.random.default_rng(0)
    x = framework.tensor(rng.standard_normal(_ELEMENTS).astype(np.float32), requires_grad=True)
    other = framework.tensor(rng.standard_normal(_ELEMENTS).astype(np.float32))

    def loss(other: Any) -> Any:
        y = (x * other + x).tanh()
        z = (x - 0.5).sigmoid()
        y = (y * z + 1.0).exp()
        return (y / (z + 2.0)).mean()

    return Task(loss, [(other,)], lambda: setattr(x, "grad", None))


WORKLOADS = {
    "chain-tiny": Workload("one op on 16 elements, in a chain of 1000", _tiny, _OPS),
    "chain-large": Workload("10 elementwise ops on 4 million elements, and mean", _large),
}
