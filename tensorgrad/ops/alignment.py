"""All ways through the states of an alignment, summed in logarithms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import kernels as K
from ..backend import device_of, empty
from .definition import Function, primitive
from .elementwise import add, equal, exp, multiply, subtract, where
from .memory import full_like, zeros_like
from .shape import concat, stack

__all__ = ["alignment_scan"]


def _scan(emitted: Any, barriers: Any) -> Any:
    steps, samples, states = emitted.shape
    # two more states in front, in which nothing ever is, so that all three ways into a state are slices
    padded = empty((steps, samples, states + 2), emitted.dtype, device_of(emitted))
    K.fill(padded, -math.inf)
    reached = padded[:, :, 2:]
    K.assign(reached[0, :, :2], emitted[0, :, :2])
    ways = empty((3, samples, states), emitted.dtype, device_of(emitted))
    skip, step, stay = ways
    largest = empty((samples, states), emitted.dtype, device_of(emitted))
    lowest = float(np.finfo(padded.dtype).min) if padded.dtype.kind == "f" else -1e38  # bfloat16
    for t in range(1, steps):
        before, now = padded[t - 1], reached[t]
        K.add(before[:, :-2], barriers, out=skip)
        K.assign(step, before[:, 1:-1])
        K.assign(stay, before[:, 2:])
        # log(sum(exp)) less the largest, or less a finite number where nothing can be: -inf - (-inf) is NaN
        K.maximum(step, stay, out=largest)
        K.maximum(largest, skip, out=largest)
        K.maximum(largest, lowest, out=largest)
        K.subtract(ways, largest, out=ways)
        K.exp(ways, out=ways)
        K.add(skip, step, out=skip)
        K.add(skip, stay, out=skip)
        K.log(skip, out=skip)
        K.add(skip, largest, out=now)
        K.add(now, emitted[t], out=now)
    return reached


def _scan_vjp(g: Any, emitted: Any, barriers: Any, out: Any) -> Any:
    """Step by step back: what arrives in a state goes to those it came from, by their shares in it."""
    steps = g.shape[0]
    nothing = zeros_like(g[0, :, :1])
    carry, gradients = g[steps - 1], []
    if steps > 1:
        later = out[1:]
        base = subtract(emitted[1:], where(equal(later, -math.inf), zeros_like(later), later))
        nowhere = full_like(base[:, :, :1], -math.inf)
        base, walls = concat([base, nowhere, nowhere], 2), concat([barriers, nowhere[0], nowhere[0]], 1)
        stay = exp(add(out[:-1], base[:, :, :-2]))
        step = exp(add(out[:-1], base[:, :, 1:-1]))
        skip = exp(add(out[:-1], add(base[:, :, 2:], walls[:, 2:])))
        for t in range(steps - 2, -1, -1):
            gradients.append(carry)
            wide = concat([carry, nothing, nothing], 1)
            carry = add(add(g[t], multiply(stay[t], carry)), multiply(step[t], wide[:, 1:-1]))
            carry = add(carry, multiply(skip[t], wide[:, 2:]))
    if carry.shape[1] > 2:
        carry = concat([carry[:, :2], zeros_like(carry[:, 2:])], 1)
    return stack([carry, *reversed(gradients)])


alignment_scan: Function = primitive("alignment_scan", _scan, _scan_vjp, None)
alignment_scan.__doc__ = """``log`` of the summed probability of all ways to have come to a state.

A way starts in the first or the second state and at each step stays, goes on by one state, or by two where there is no
barrier. With y for the result, e for ``emitted`` and b for ``barriers``, y[0, n, s] = e[0, n, s] for s < 2, and
``exp(y[t, n, s] - e[t, n, s]) = exp(y[t-1, n, s]) + exp(y[t-1, n, s-1]) + exp(y[t-1, n, s-2] + b[n, s])``.

Parameters
----------
emitted : Tensor
    Logarithms of the probability of what each state emits at each step, shape (T, N, S).
barriers : Tensor
    0 where a state may be entered from the one before the last, else minus infinity; shape (N, S).
"""
