"""What recurrent layers on NumPy have in common: sequences in the order of their steps, and the factors of products."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np

from . import pages
from .beside import Beside
from .blocked import BLOCK, compute_type, pays

__all__ = [
    "HALF", "ONE", "Gate", "apart", "at_once", "biases", "factor", "gates", "helpers", "ordered", "place", "products",
    "right_factor", "sequence", "stored", "targets", "threads_beside", "wide",
]  # fmt: skip

Array = np.ndarray[Any, np.dtype[Any]]

_LONG = 4  # steps from which a copy of the weight, in the order in which the product reads it, is worth its time
_LEAST, _MOST = 1 << 20, 1 << 23  # multiplications of a step that another thread does something beside
_SEQUENCES = 16  # that there are at least in such a step
_SIDE = 64  # rows of a weight that are transposed at once
_CHUNK = 8 * BLOCK  # elements of the inputs' product that are made at once; a quarter beside the steps
_AHEAD = 3  # such products that another thread may have made before they are taken
_COLUMNS = 64  # steps times sequences whose products are made at once where there are few

# Operands of one shape or 0-d: a ufunc that has to broadcast takes twice as long on arrays this small.
HALF = {kind: np.full((), 0.5, kind) for kind in "fd"}
ONE = {kind: np.ones((), kind) for kind in "fd"}


def ordered(x: Array, batch_first: bool, reverse: bool) -> Array:
    """A sequence as (T, N, ...), in the order in which the steps are taken."""
    x = x.swapaxes(0, 1) if batch_first else x
    return x[::-1] if reverse else x


def wide(x: Array) -> Array:
    return x.astype(compute_type(x.dtype), copy=False)


def sequence(like: Array, size: int, given: Array | None, time_first: bool = False) -> Array:
    """Memory for a result of the shape of a sequence, which the second axis may come first in."""
    if like.size > BLOCK or size * size > BLOCK // 4:  # of the weights there are copies, too
        pages.keep()
    if given is not None:
        return given
    first, second = like.shape[:2]
    if time_first:
        return pages.empty((second, first, size), like.dtype).swapaxes(0, 1)
    return np.empty((first, second, size), like.dtype)


def place(shape: tuple[int, ...], kind: Any, given: Array | None) -> Array:
    """Memory to compute in: what is given if it is laid out for that."""
    if given is not None and given.flags.c_contiguous and given.dtype == kind:
        return given
    return pages.empty(shape, kind)


def stored(y: Array, dtype: Any, given: Array | None) -> Array:
    """A result in its dtype, where it is wanted."""
    if given is None or y is given:
        return y.astype(dtype, copy=False)
    np.copyto(given, y, casting="unsafe")
    return given


def apart(rows: Array, size: int) -> Array:
    """Rows of gates side by side, (N, gates * H), as blocks (gates, N, H)."""
    return rows.reshape(rows.shape[0], rows.shape[1] // size, size).swapaxes(0, 1)


def targets(y: Array, kind: Any) -> tuple[Iterable[Array], bool]:
    """Where the result of each step is computed: in its place if BLAS can read it there, else in one buffer."""
    if y.dtype == kind and y[0].flags.c_contiguous:
        return y, True
    return repeat(pages.empty(y.shape[1:], kind)), False


# -------------------------------------------------------------------------------------------------- beside the steps
def helpers(x: Array, weight_ih: Array, weight_hh: Array) -> int:
    """How many threads make products of a sequence (T, N, I), and slopes, beside its steps."""
    length, batch = x.shape[:2]
    return 0 if _are_few(length, batch) else threads_beside(length, batch, weight_hh, x.size * len(weight_ih))


def threads_beside(length: int, batch: int, weight_hh: Array, work: int) -> int:
    """How many threads make ``work`` multiplications beside the steps; if none, BLAS's own share the product of each.

    One does if that takes a good part of the time of the steps, each of which has to be long enough for the interpreter
    lock to change hands meanwhile, and short enough not to be worth several threads; few sequences leave BLAS waiting
    for the weight, which it reads faster by two threads.
    """
    step = batch * weight_hh.size
    balanced = _LEAST <= step <= _MOST and batch >= _SEQUENCES and 2 * work >= length * step
    return int(balanced and pays(work, 1))


def at_once(size: int, beside: Beside) -> int:
    """Of how many steps, with states of so many elements, slopes are made at once: in cache, or by another thread."""
    return max((BLOCK if beside.helped else BLOCK // 4) // max(size, 1), 1)


# ---------------------------------------------------------------------------------------------------- gates in a weight
class Gate(NamedTuple):
    """Where the rows of a gate are in a weight, and what they are multiplied by on the way into a factor."""

    rows: slice
    scale: Any


@functools.lru_cache(64)
def gates(kind: str, size: int, *places: int) -> tuple[Gate, ...]:
    """The gates of a factor in its order, each with its place in the weight; the last is that of the tanh alone."""
    scales = (*(0.5,) * (len(places) - 1), 1.0)
    numbers = [np.full((), scale, kind) for scale in scales]
    return tuple(Gate(slice(p * size, (p + 1) * size), scale) for p, scale in zip(places, numbers, strict=True))


def _scaled(weight: Array, gates: tuple[Gate, ...], out: Array) -> None:
    """The rows of a weight, or a bias, in the order of the gates."""
    at = 0
    for gate in gates:
        part = weight[gate.rows]
        np.multiply(part, gate.scale, out[at : at + len(part)])
        at += len(part)


def factor(weight: Array, gates: tuple[Gate, ...], length: int, batch: int) -> Array:
    """The transposed weight, gate by gate, as the right factor of one product per step."""
    rows, width = weight.shape
    if length < _LONG or batch <= 2:  # BLAS multiplies one or two rows as fast with the weight as it is
        copied = pages.empty((rows, width), weight.dtype)
        _scaled(weight, gates, copied)
        return copied.T
    copied = pages.empty((width, rows), weight.dtype)
    at = 0
    for gate in gates:
        for start in range(gate.rows.start, gate.rows.stop, _SIDE):
            part = weight[start : min(start + _SIDE, gate.rows.stop)].T
            np.multiply(part, gate.scale, copied[:, at : at + part.shape[1]])
            at += part.shape[1]
    return copied


def right_factor(weight: Array, length: int) -> Array:
    """The weight to multiply by at each step: BLAS takes an eighth longer where it does not begin with a cache line."""
    if length < 8 * _LONG or not weight.ctypes.data % pages.LINE:
        return weight
    copied = pages.empty(weight.shape, weight.dtype)
    np.copyto(copied, weight)
    return copied


def products(x: Array, weight: Array, bias: Array | None, gates: tuple[Gate, ...], beside: Beside) -> Iterator[Array]:
    """For each step ``x @ weight.T + bias``, gate by gate."""
    if _are_few(*x.shape[:2]):
        return _products_of_few(x, weight, bias, gates)
    return _products_of_many(x, weight, bias, gates, beside)


def _are_few(length: int, batch: int) -> bool:
    return batch == 1 or 0 < length * batch <= _COLUMNS


def _products_of_many(
    x: Array, weight: Array, bias: Array | None, gates: tuple[Gate, ...], beside: Beside
) -> Iterator[Array]:
    """`products`, as many at once as stay in cache; the bias is the weight of an input that is always 1.

    Another thread makes those of steps to come while the caller takes those that are made.
    """
    (length, batch, width), rows, kind = x.shape, weight.shape[0], weight.dtype
    factor = pages.empty((rows, width + 1), kind)
    _scaled(weight, gates, factor[:, :width])
    if bias is None:
        factor[:, width] = 0
    else:
        _scaled(bias, gates, factor[:, width])
    cuts = _cuts(length, (_CHUNK // 4 if beside.helped else _CHUNK) // max(batch * rows, 1), beside.helped)
    slots, count = 1 + (_AHEAD if beside.helped else 0), max(last - first for first, last in cuts)
    inputs, made = (pages.empty((slots, count, batch, size), kind) for size in (width + 1, rows))
    inputs[..., width] = 1

    def make(k: int) -> None:
        first, last = cuts[k]
        flat, product = (a[k % slots, : last - first].reshape(-1, a.shape[3]) for a in (inputs, made))
        np.copyto(inputs[k % slots, : last - first, :, :width], x[first:last], casting="unsafe")
        np.matmul(flat, factor.T, product)

    def steps() -> Iterator[Array]:
        for k, (first, last) in enumerate(cuts):
            beside.wait(pieces.popleft())
            yield from made[k % slots, : last - first]
            if k + slots < len(cuts):
                pieces.append(beside.put(make, k + slots))

    pieces = deque(beside.put(make, k) for k in range(min(slots, len(cuts))))
    return steps()


def _cuts(length: int, count: int, growing: bool) -> list[tuple[int, int]]:
    """``range(length)`` cut into runs of ``count`` steps, the first ones short if they are waited for."""
    cuts, first, size = [], 0, 1 if growing else max(count, 1)
    while first < length:
        last = min(first + size, length)
        cuts.append((first, last))
        first, size = last, max(min(last, count), 1) if growing else size
    return cuts


def _products_of_few(x: Array, weight: Array, bias: Array | None, gates: tuple[Gate, ...]) -> Iterator[Array]:
    """`products` of a single sequence, or of few steps: what is put in order are these, which are less than the weight.

    BLAS multiplies so few columns in two thirds of the time that it needs for as many rows.
    """
    (length, batch, width), rows = x.shape, weight.shape[0]
    count = min(length, _COLUMNS // batch)
    made = pages.empty((count, batch, rows), weight.dtype)
    for start in range(0, length, count):
        part = wide(x[start : start + count])
        product = np.matmul(weight, part.reshape(-1, width).T)
        if bias is not None:
            product += bias[:, None]
        steps, at = made[: len(part)], 0
        flat = steps.reshape(len(part) * batch, rows)
        for gate in gates:
            own = product[gate.rows].T
            np.multiply(own, gate.scale, flat[:, at : at + own.shape[1]])
            at += own.shape[1]
        yield from steps


def biases(*given: Array | None) -> Array | None:
    """The sum of those biases that there are."""
    found = [wide(b) for b in given if b is not None]
    return None if not found else found[0] if len(found) == 1 else found[0] + found[1]
