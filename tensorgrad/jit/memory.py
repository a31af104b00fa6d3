"""The planner: which temporaries may have the same memory, because they are never needed at the same time."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

from .passes import Chain, Step
from .program import TEMPORARY, HostCall, Launch, Region, SetGrad, each

__all__ = ["Layout", "inside_one_chain", "plan"]

_ALIGNMENT = 64  # bytes: a cache line, and the widest vector
_LARGE = 1 << 15  # bytes above which a region is placed by a search over all others


@dataclass
class Layout:
    """Where each region lies in the arena.

    Attributes
    ----------
    offsets : dict
        Region to bytes.
    nbytes : int
        Size of the arena.
    unshared : int
        What it would be if no two regions had the same memory.
    lifetimes : dict
        Region to the first and the last step that touches it.
    """

    offsets: dict[Region, int]
    nbytes: int
    unshared: int
    lifetimes: dict[Region, tuple[int, int]]


def inside_one_chain(steps: list[Step]) -> set[Region]:
    """Temporaries that one chain alone touches and writes first: they exist block by block only."""
    touched: dict[Region, set[int]] = {}
    for i, step in enumerate(steps):
        for region in _regions(step):
            touched.setdefault(region, set()).add(i)
    found = set()
    for i, step in enumerate(steps):
        if isinstance(step, Chain):
            summed = {x.outs[0].region for x in step.launches if not x.kernel.elementwise}
            for region in step.writes - summed:
                if region.kind == TEMPORARY and touched[region] == {i}:
                    found.add(region)
    return found


def plan(steps: list[Step], kept: set[Region]) -> Layout:
    """Place every temporary that is not in ``kept``, which have memory of their own."""
    lifetimes = _lifetimes(steps, kept)
    offsets: dict[Region, int] = {}
    total = _place_large([(r, *t) for r, t in lifetimes.items() if r.nbytes >= _LARGE], offsets)
    total = _place_small([(r, *t) for r, t in lifetimes.items() if r.nbytes < _LARGE], offsets, total)
    return Layout(offsets, total, sum(_aligned(r.nbytes) for r in lifetimes), lifetimes)


def _regions(step: Step) -> set[Region]:
    if isinstance(step, (Launch, Chain)):
        return set(step.reads) | set(step.writes)
    if isinstance(step, SetGrad) and step.value is not None:
        return {step.value.region}
    if isinstance(step, HostCall):
        return {s.region for s in each((step.args, step.kwargs))}
    return set()


def _lifetimes(steps: list[Step], kept: set[Region]) -> dict[Region, tuple[int, int]]:
    """First and last step that touches a region."""
    found: dict[Region, tuple[int, int]] = {}
    for i, step in enumerate(steps):
        for region in _regions(step):
            if region.kind == TEMPORARY and region not in kept:
                found[region] = (found[region][0] if region in found else i, i)
    return found


def _aligned(nbytes: int) -> int:
    return max(-(-nbytes // _ALIGNMENT), 1) * _ALIGNMENT


def _place_large(regions: list[tuple[Region, int, int]], offsets: dict[Region, int]) -> int:
    """Largest first, each at the lowest place where nothing of its time lies."""
    placed: list[tuple[int, int, int, int]] = []  # offset, end, first, last
    total = 0
    for region, first, last in sorted(regions, key=lambda entry: -entry[0].nbytes):
        size = _aligned(region.nbytes)
        offset = 0
        for start, end, born, died in placed:
            if born > last or died < first:
                continue
            if start - offset >= size:
                break
            offset = max(offset, end)
        offsets[region] = offset
        insort(placed, (offset, offset + size, first, last))
        total = max(total, offset + size)
    return total


def _place_small(regions: list[tuple[Region, int, int]], offsets: dict[Region, int], total: int) -> int:
    """In order of time, from free pieces of the same size: there may be thousands."""
    free: dict[int, list[int]] = {}
    ending: list[tuple[int, int, int]] = []  # last step, offset, size; sorted
    for region, first, last in sorted(regions, key=lambda entry: entry[1]):
        while ending and ending[0][0] < first:
            _, offset, size = ending.pop(0)
            free.setdefault(size, []).append(offset)
        size = _aligned(region.nbytes)
        if free.get(size):
            offset = free[size].pop()
        else:
            offset, total = total, total + size
        offsets[region] = offset
        insort(ending, (last, offset, size))
    return total
