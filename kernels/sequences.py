"""What follows from a way back through the steps of a recurrent layer, in the words of any backend."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["operand_gradients"]

Array = Any


def _rows(x: Array, time_first: bool, copy: Callable[..., Any]) -> Array:
    """A sequence as (steps * batch, size), or with its first two axes exchanged, whichever is wanted."""
    x = x.swapaxes(0, 1) if time_first else x
    x = x if x.flags.c_contiguous else copy(x)
    return x.reshape(math.prod(x.shape[:2]), x.shape[2])


def _previous(h: Array, y: Array, batch_first: bool, reverse: bool, concat: Callable[..., Any]) -> Array:
    """The state before each step, steps first."""
    others = y.swapaxes(0, 1) if batch_first else y
    parts = [h.reshape((1, *h.shape)), others[1:] if reverse else others[:-1]]
    return concat(parts[::-1] if reverse else parts, 0)


def operand_gradients(
    wanted: tuple[bool, ...],
    states: Sequence[Array],
    sums: Array,
    hidden: Array,
    x: Array,
    h: Array,
    y: Array,
    weight_ih: Array,
    batch_first: bool,
    reverse: bool,
    matmul: Callable[..., Any],
    total: Callable[..., Any],
    concat: Callable[..., Any],
    copy: Callable[..., Any],
) -> tuple[Array, ...]:
    """Those gradients that are wanted, of input, states, weights and biases.

    They follow from the gradients ``sums`` and ``hidden`` by the products of the inputs and of the states. Sums over
    all steps and sequences take them in the order in which they lie in memory.

    Parameters
    ----------
    wanted : tuple of bool
        One per operand: the input, the states, the weights of input and state, and their biases.
    states : tuple of arrays
        The gradients by the first states.
    matmul, total, concat, copy : callable
        Of two matrices; ``total(x, axis)``; ``concat(arrays, axis)``; into memory of C order.
    """
    by_x, *by_states, by_ih, by_hh, by_bias, by_hidden_bias = wanted
    exchanged = batch_first and sums.swapaxes(0, 1).flags.c_contiguous
    rows = _rows(sums, exchanged, copy)
    hidden_rows = rows if hidden is sums else _rows(hidden, exchanged, copy)
    made: list[Array] = []
    if by_x:
        dx = matmul(rows, weight_ih)
        first, second, width = x.shape
        if exchanged:
            made.append(dx.reshape((second, first, width)).swapaxes(0, 1))
        else:
            made.append(dx.reshape((first, second, width)))
    made += [state for state, want in zip(states, by_states, strict=True) if want]
    if by_ih:
        made.append(matmul(rows.T, _rows(x, exchanged, copy)))
    if by_hh:
        previous = _previous(h, y, batch_first, reverse, concat)
        made.append(matmul(hidden_rows.T, _rows(previous, batch_first and not exchanged, copy)))
    if by_bias:
        made.append(total(rows, 0))
    if by_hidden_bias:
        made.append(copy(made[-1]) if by_bias and hidden is sums else total(hidden_rows, 0))
    return tuple(made)
