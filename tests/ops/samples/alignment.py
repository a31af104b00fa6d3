"""Samples of sums over alignments."""

from __future__ import annotations

import itertools

import numpy as np

from tensorgrad.ops.alignment import alignment_scan

from . import add, values


def _ways(emitted: np.ndarray, barriers: np.ndarray) -> np.ndarray:
    """The last step's sums, way by way."""
    steps, samples, states = emitted.shape
    total = np.zeros((samples, states))
    for n, way in itertools.product(range(samples), itertools.product(range(states), repeat=steps)):
        jumps = np.diff(way)
        if way[0] > 1 or (jumps < 0).any() or (jumps > 2).any():
            continue
        if all(barriers[n, s] == 0 for s, jump in zip(way[1:], jumps, strict=True) if jump == 2):
            total[n, way[-1]] += np.exp(sum(emitted[t, n, s] for t, s in enumerate(way)))
    return np.log(total)


_OPEN = np.where([[1, 1, 1, 1, 0], [1, 1, 0, 1, 1]], 0.0, -np.inf)
for _label, _states, _steps in (("states", 5, 4), ("two states", 2, 3), ("one step", 2, 1)):
    add(
        "alignment_scan",
        _label,
        lambda e, b: alignment_scan(e, b)[-1],
        values(_steps, 2, _states),
        _OPEN[:, :_states].copy(),
        constant=(1,),
        reference=_ways,
        halves=False,
    )
