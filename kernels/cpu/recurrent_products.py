"""What follows from a way back through the steps: gradients of inputs, weights and biases, as products.

A step back is a product and a few ufuncs, too short to be shared by threads. These products are long, and for many
steps at once: one thread goes back, and another multiplies what it has left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from . import blas
from .beside import Beside, Piece
from .blocked import scratch
from .recurrent_steps import stored, threads_beside, wide

__all__ = ["operand_gradients"]

Array = np.ndarray[Any, np.dtype[Any]]

_PARTS = 8  # of the steps: the products of one are made while others are taken
_ROWS = 256  # steps times sequences that a part has at least, so that adding up its products takes little
_IH, _HH, _BIAS, _HIDDEN_BIAS = -4, -3, -2, -1  # where the gradients of weights and biases come


def operand_gradients(
    steps: Iterator[None],
    sums: Array,
    hidden: Array,
    states: tuple[Array, ...],
    x: Array,
    h: Array,
    y: Array,
    weight_ih: Array,
    weight_hh: Array,
    wanted: tuple[bool, ...],
    batch_first: bool,
    reverse: bool,
    out: tuple[Array, ...] | None,
) -> tuple[Array, ...]:
    """Take all steps back, and multiply what they leave; returns the gradients of the operands that are wanted.

    Parameters
    ----------
    steps : iterator
        Takes one step back at each turn. It writes the gradients by the products of the inputs and of the states to
        ``sums`` and ``hidden``, (T, N, rows), which are one array if they are the same.
    states : tuple of arrays
        The gradients by the first states, after the last of these steps.
    """
    (length, batch, rows), kind, dtype = sums.shape, sums.dtype, x.dtype
    given = iter(out or (None,) * len(wanted))
    places: list[Array | None] = [next(given) if want else None for want in wanted]
    dx = places[0]
    if dx is None and wanted[0]:
        dx = np.empty((length, batch, x.shape[2]), dtype).swapaxes(0, int(batch_first))
    x, y = (a.swapaxes(0, 1) if batch_first else a for a in (x, y))
    work = sums.size * (x.shape[2] * (wanted[0] + wanted[_IH]) + h.shape[1] * wanted[_HH])
    threads = threads_beside(length, batch, weight_hh, work)
    parts = max(min(_PARTS, length, length * batch // _ROWS), 1) if threads else 1
    ours = not threads and batch * weight_hh.size <= blas.ALONE  # whose steps have not woken BLAS's threads
    multiply = blas.product if ours else np.matmul
    shapes = {_IH: (rows, x.shape[2]), _HH: (rows, h.shape[1]), _BIAS: (rows,), _HIDDEN_BIAS: (rows,)}
    if wanted[_BIAS] and hidden is sums:
        del shapes[_HIDDEN_BIAS]
    made = {at: np.empty(shape, kind) for at, shape in shapes.items() if wanted[at]}
    weight = wide(weight_ih)

    def by_input(own: slice, _: Piece | None) -> None:
        assert dx is not None
        target, left = (dx[:, own].swapaxes(0, 1) if batch_first else dx[own]), _rows(sums[own])
        if target.dtype == kind and target.flags.c_contiguous:
            multiply(left, weight, target.reshape(len(left), target.shape[2]))
        else:
            np.copyto(target, multiply(left, weight).reshape(target.shape), casting="unsafe")

    def by_input_weight(own: slice, before: Piece | None) -> None:
        _add_product(multiply, _rows(sums[own]).T, _rows(x[own]), made[_IH], before)

    def by_state_weight(own: slice, before: Piece | None) -> None:
        states_before = _rows(_before(own, h, y, kind, reverse))
        _add_product(multiply, _rows(hidden[own]).T, states_before, made[_HH], before)

    def by_biases(own: slice, before: Piece | None) -> None:
        for at, by_products in ((_BIAS, sums), (_HIDDEN_BIAS, hidden)):
            if at in made:
                flat = _rows(by_products[own])
                _add_product(np.dot, np.ones(len(flat), kind), flat, made[at], before)

    tasks: list[Callable[[slice, Piece | None], None]]
    tasks = [by_input, by_input_weight, by_state_weight, by_biases]
    needed = (wanted[0], wanted[_IH], wanted[_HH], wanted[_BIAS] or wanted[_HIDDEN_BIAS])
    tasks = [task for task, need in zip(tasks, needed, strict=True) if need]
    before: list[Piece | None] = [None] * len(tasks)
    with Beside(threads) as beside:
        for part in range(parts):
            first, last = part * length // parts, (part + 1) * length // parts
            for _ in islice(steps, last - first):
                pass
            own = slice(first, last) if reverse else slice(length - last, length - first)
            before = [beside.put(task, own, piece) for task, piece in zip(tasks, before, strict=True)]
    results: list[Any] = [dx, *states, *(made.get(at) for at in shapes)]
    if _HIDDEN_BIAS not in shapes:
        results.append(results[-1].copy())
    return tuple(
        stored(result, dtype, place) for result, place, want in zip(results, places, wanted, strict=True) if want
    )


def _add_product(multiply: Callable[..., Any], left: Array, right: Array, total: Array, before: Piece | None) -> None:
    """Add a product to those of the parts before, once these are there: always in the same order."""
    if before is None:
        multiply(left, right, total)
        return
    (buffer,) = scratch(1, total.size, total.dtype)
    product = buffer.reshape(total.shape)
    multiply(left, right, product)
    before.wait()
    np.add(total, product, total)


def _rows(x: Array) -> Array:
    """All steps and sequences one below the other, in the dtype to compute in."""
    return np.ascontiguousarray(wide(x)).reshape(x.shape[0] * x.shape[1], x.shape[2])


def _before(own: slice, h: Array, y: Array, kind: Any, reverse: bool) -> Array:
    """The state before each of some steps."""
    first, last = (own.start + 1, own.stop + 1) if reverse else (own.start - 1, own.stop - 1)
    if first >= 0 and last <= len(y):
        return y[first:last]
    others = y[max(first, 0) : last]
    made = np.empty((last - first, *h.shape), kind)
    np.copyto(made[: len(others)] if reverse else made[1:], others, casting="unsafe")
    np.copyto(made[-1 if reverse else 0], h, casting="unsafe")
    return made
