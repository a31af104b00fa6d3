"""Maxima of windows before relu: of a rectified map only the maxima are kept, and the others need no rectifying.

``max_pool(relu(x))`` is ``relu(max_pool(x))``, on a fraction of the elements; where a window has no positive element
the gradient is 0 wherever its maximum stands. Nothing else may have seen the rectified map.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import count
from typing import Any, NamedTuple

from .. import kernels as K
from .program import TEMPORARY, HostCall, Instruction, Launch, Region, SetGrad, Span, each

__all__ = ["pooled_first"]


class _Found(NamedTuple):
    """Where relu, the pooling of its result and, if they are there, the backward passes of both stand."""

    relu: int
    pool: int
    unpool: int | None
    back: int | None


def pooled_first(instructions: list[Instruction], kept: set[Region]) -> list[Instruction]:
    """The instructions with relu after max pooling, where what lies between them is not in ``kept``."""
    touching: dict[Region, list[int]] = {}
    for i, instruction in enumerate(instructions):
        for region in _regions(instruction):
            touching.setdefault(region, []).append(i)
    numbers = count(1 + max((region.number for region in touching), default=0))
    changed: dict[int, list[Instruction]] = {}
    for i, instruction in enumerate(instructions):
        if isinstance(instruction, Launch) and instruction.kernel is K.relu:
            found = _find(i, instructions, touching, kept)
            if found is not None:
                changed.update(_exchanged(found, instructions, numbers))
    return [new for i, old in enumerate(instructions) for new in changed.get(i, [old])]


def _regions(instruction: Instruction) -> set[Region]:
    if isinstance(instruction, Launch):
        return set(instruction.reads | instruction.writes)
    if isinstance(instruction, SetGrad):
        return set() if instruction.value is None else {instruction.value.region}
    if isinstance(instruction, HostCall):
        return {span.region for span in each((instruction.args, instruction.kwargs))}
    return set()


def _find(i: int, program: list[Instruction], touching: dict[Region, list[int]], kept: set[Region]) -> _Found | None:
    def passing(span: Any, *places: int) -> bool:
        """Whether nothing but the instructions at these places has to do with the memory of a span."""
        region = span.region
        return region.kind == TEMPORARY and region not in kept and touching[region] == list(places)

    def steady(span: Any, first: int, last: int) -> bool:
        """Whether the memory of a span stays as it is between two instructions."""
        between = program[first + 1 : last]
        return not any(isinstance(j, HostCall) or span.region in getattr(j, "writes", ()) for j in between)

    relu: Any = program[i]
    x, y = relu.args[0], relu.outs[0] if relu.outs else None
    if y is None or x.region is y.region or len(touching[y.region]) not in (2, 3):
        return None
    p, *later = touching[y.region][1:]
    pool: Any = program[p]
    if not _is(pool, K.max_pool, K.max_pool_values) or pool.args[0] != y or not pool.outs[0].contiguous:
        return None
    if not steady(x, i, p) or y.dtype.kind not in "fV":
        return None
    places = pool.outs[1] if pool.kernel is K.max_pool else None
    if not later:
        unused = places is None or passing(places, p)
        return _Found(i, p, None, None) if unused and passing(y, i, p) else None
    (b,) = later
    back: Any = program[b]
    if places is None or not _is(back, K.relu_backward) or not passing(y, i, p, b) or back.args[1] != y:
        return None
    slopes = back.args[0]
    q = touching[slopes.region][0]
    unpool: Any = program[q]
    if not _is(unpool, K.max_pool_backward) or unpool.outs[0] != slopes or unpool.args[1] != places:
        return None
    upstream, value = unpool.args[0], pool.outs[0]
    alike = (upstream.shape, upstream.dtype) == (value.shape, value.dtype)
    alone = passing(slopes, q, b) and passing(places, p, q)
    return _Found(i, p, q, b) if alike and alone and steady(value, p, q) else None


def _is(instruction: Instruction, *kernels: Any) -> bool:
    return isinstance(instruction, Launch) and instruction.kernel in kernels and bool(instruction.outs)


def _exchanged(found: _Found, program: list[Instruction], numbers: Any) -> dict[int, list[Instruction]]:
    """By position, what stands there instead."""

    def temporary(like: Span) -> Span:
        shape, size = like.shape, like.dtype.itemsize
        strides = tuple(size * math.prod(shape[k + 1 :]) for k in range(len(shape)))
        region = Region(next(numbers), TEMPORARY, like.nbytes, like.region.device)
        return Span(region, 0, shape, strides, like.dtype)

    relu: Any = program[found.relu]
    pool: Any = program[found.pool]
    x, (value, *places) = relu.args[0], pool.outs
    maxima = temporary(value)
    changed: dict[int, list[Instruction]] = {
        found.relu: [],
        found.pool: [
            _launch(pool, (x, *pool.args[1:]), (maxima, *places)),
            _launch(relu, (maxima, *relu.args[1:]), (value,)),
        ],
    }
    if found.unpool is not None and found.back is not None:
        unpool: Any = program[found.unpool]
        back: Any = program[found.back]
        slopes = temporary(unpool.args[0])
        changed[found.unpool] = [_launch(back, (unpool.args[0], value, *back.args[2:]), (slopes,))]
        changed[found.back] = [_launch(unpool, (slopes, *unpool.args[1:]), back.outs)]
    return changed


def _launch(like: Launch, args: tuple[Any, ...], outs: tuple[Span, ...]) -> Launch:
    reads = frozenset(span.region for span in each((args, like.params)))
    return replace(like, args=args, outs=outs, reads=reads, writes=frozenset(span.region for span in outs))
