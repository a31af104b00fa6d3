"""What is done to a program before it runs: dead launches go, elementwise launches are gathered into chains.

A chain runs block by block, so that what its launches hand to each other stays in cache. Launches may change places as
long as every one still sees the memory as it was when the program was recorded.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from typing import Any

from .. import kernels as K
from .program import TEMPORARY, HostCall, Instruction, Launch, Program, Region, SetGrad, Slot, Span, each

__all__ = ["Chain", "Step", "fuse", "lowered", "without_dead"]

SMALLEST = 1 << 15
"""Elements below which a launch is not worth cutting into blocks: its operands fit in cache anyway."""


@dataclass(eq=False)
class Chain:
    """Elementwise launches on arrays of one shape, and sums over all elements of what they compute.

    Attributes
    ----------
    shape : tuple of int
    launches : list of Launch
        In order.
    """

    shape: tuple[int, ...]
    launches: list[Launch]
    reads: set[Region] = field(default_factory=set)
    writes: set[Region] = field(default_factory=set)

    def add(self, launch: Launch) -> None:
        """Append a launch."""
        self.launches.append(launch)
        self.reads |= launch.reads
        self.writes |= launch.writes


Step = Instruction | Chain


# ----------------------------------------------------------------------------------------------------------- dead code
def without_dead(program: Program) -> list[Instruction]:
    """The instructions without the launches whose results nobody uses."""
    wanted = program.returned | program.grads
    kept: list[Instruction] = []
    for instruction in reversed(program.instructions):
        if isinstance(instruction, Launch):
            if not any(r.kind != TEMPORARY or r in wanted for r in instruction.writes):
                continue
            wanted |= instruction.reads
        kept.append(instruction)
    return _without_useless_grads(kept[::-1])


def _without_useless_grads(instructions: list[Instruction]) -> list[Instruction]:
    """Drop assignments of ``grad`` that another one replaces before Python looks."""
    kept: list[Instruction] = []
    replaced: set[Any] = set()
    for instruction in reversed(instructions):
        if isinstance(instruction, HostCall):
            replaced.clear()
        elif isinstance(instruction, SetGrad):
            target = instruction.target.target
            key = target if isinstance(target, int) else ("tensor", id(target))
            if key in replaced:
                continue
            replaced.add(key)
        kept.append(instruction)
    return kept[::-1]


# ----------------------------------------------------------------------------------------------------- simpler launches
def lowered(instructions: list[Instruction], halves: bool = False) -> list[Instruction]:
    """The instructions with products of rows as products of matrices, and the bias of a linear layer as a sum.

    The sum can then be part of a chain. Products of half types too, if ``halves``.
    """
    found: list[Instruction] = []
    for instruction in instructions:
        if not isinstance(instruction, Launch) or not _multiplies_rows(instruction, halves):
            found.append(instruction)
        elif instruction.kernel is K.linear:
            found += _lowered_linear(instruction)
        else:
            x, matrix = instruction.args
            found.append(replace(instruction, args=(x.rows(), matrix), outs=(instruction.outs[0].rows(),)))
    return found


def _multiplies_rows(launch: Launch, halves: bool) -> bool:
    """Whether it is a product of rows that lie one after another with one matrix."""
    if launch.kernel not in (K.linear, K.matmul) or launch.params:
        return False
    (x, matrix), out = launch.args[:2], launch.outs[0]
    plain = x.contiguous and out.contiguous and min(x.size, out.size) > 0
    shaped = len(matrix.shape) == 2 and (len(x.shape) > 2 or launch.kernel is K.linear)
    real = out.dtype.char in "fd" or (halves and out.dtype.itemsize == 2 and out.dtype.kind in "fV")
    return plain and shaped and real and x.dtype == matrix.dtype == out.dtype


def _lowered_linear(launch: Any) -> tuple[Launch, ...]:
    x, weight, bias = (*launch.args, None)[:3]
    (out,) = launch.outs
    x, out = x.rows(), out.rows()
    reads = frozenset((x.region, weight.region))
    product = Launch(K.matmul, (x, weight.T), {}, (out,), False, reads, launch.writes)
    if bias is None:
        return (product,)
    reads = frozenset((out.region, bias.region))
    return product, Launch(K.add, (launch.outs[0], bias), {}, launch.outs, False, reads, launch.writes)


# -------------------------------------------------------------------------------------------------------------- chains
def fuse(instructions: list[Instruction], smallest: int = SMALLEST) -> list[Step]:
    """Gather elementwise launches of at least ``smallest`` elements into chains."""
    segments: list[Step] = []
    segment: list[Instruction] = []
    for instruction in instructions:
        if isinstance(instruction, Launch):
            segment.append(instruction)
            continue
        if not isinstance(instruction, HostCall):  # draws and gradients do not touch memory
            segment.append(instruction)
            continue
        segments += _fuse_segment(segment, smallest)
        segments.append(instruction)
        segment = []
    return segments + _fuse_segment(segment, smallest)


def _fuse_segment(segment: list[Instruction], smallest: int) -> list[Step]:
    shapes = [_chained_shape(i, smallest) if isinstance(i, Launch) else None for i in segment]
    if not any(shapes):
        return list(segment)
    followers = _followers(segment)
    reach = _reach(followers)  # by position, a bit set of what must come after
    groups: list[list[int]] = []
    chosen: dict[int, int] = {}
    members: list[int] = []  # by group, a bit set
    for i, shape in enumerate(shapes):
        if shape is None:
            continue
        launch: Any = segment[i]
        for g, group in enumerate(groups):
            first: Any = segment[group[0]]
            if shape != shapes[group[0]] or not _fits(launch, [segment[j] for j in group], first):
                continue
            if _reaches_around(members[g], i, followers, reach):
                continue
            group.append(i)
            members[g] |= 1 << i
            chosen[i] = g
            _merge(group, followers, reach)
            break
        else:
            groups.append([i])
            members.append(1 << i)
            chosen[i] = len(groups) - 1
    return _ordered(segment, groups, chosen, followers, shapes)


def _chained_shape(launch: Launch, smallest: int) -> tuple[int, ...] | None:
    """The shape over which a launch can be cut into blocks, if it is large and elementwise."""
    if launch.kernel in (K.sum, K.mean):
        return _summed_shape(launch, smallest)
    if not launch.kernel.elementwise or len(launch.outs) != 1 or any(isinstance(a, Slot) for a in launch.args):
        return None
    out = launch.outs[0]
    if out.size < smallest or not out.contiguous or len({s.region for s in launch.outs}) != 1:
        return None
    for span in each((launch.args, launch.params)):
        if span.uniform:
            continue
        if span.shape == out.shape and span.contiguous:
            continue
        if span.contiguous and _ends_with(out.shape, span.shape):  # one value per column
            continue
        return None
    return out.shape


def _ends_with(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether ``other``, but for ones at its start, is what ``shape`` ends with."""
    start = next((i for i, n in enumerate(other) if n != 1), len(other))
    rest = other[start:]
    return shape[len(shape) - len(rest) :] == rest


def _summed_shape(launch: Launch, smallest: int) -> tuple[int, ...] | None:
    """The shape of what a launch sums up, if it sums all of a large float array."""
    x = launch.args[0]
    axis = launch.args[1] if len(launch.args) > 1 else launch.params.get("axis")
    whole = axis is None or (isinstance(axis, tuple) and len(axis) == len(x.shape))
    fits = x.size >= smallest and x.contiguous and x.dtype.char in "fd" and launch.outs[0].dtype == x.dtype
    return x.shape if whole and fits and len(launch.outs) == 1 else None


def _fits(launch: Launch, group: list[Any], first: Launch) -> bool:
    """Whether block after block of the group and the launch is the same as one launch after another."""
    spans = [s for member in (*group, launch) for s in each((member.args, member.params, member.outs))]
    written = {r for member in (*group, launch) for r in member.writes}
    seen: dict[Region, Span] = {}
    for span in spans:
        if span.region in written:
            other = seen.setdefault(span.region, span)
            if (other.offset, other.shape, other.dtype) != (span.offset, span.shape, span.dtype):
                return False
    sums = [m.outs[0].region for m in (*group, launch) if not m.kernel.elementwise]
    reads = {s.region for m in (*group, launch) for s in each((m.args, m.params))}
    return not any(r in reads for r in sums)


def _followers(segment: list[Instruction]) -> list[int]:
    """By position, a bit set of the later instructions that must stay behind it."""
    after = [0] * len(segment)
    writer: dict[Region, int] = {}
    readers: dict[Region, list[int]] = {}
    last_other: int | None = None
    slots: dict[int, int] = {}
    for i, instruction in enumerate(segment):
        if not isinstance(instruction, Launch):
            if last_other is not None:
                after[last_other] |= 1 << i
            last_other = i
            for name in ("seed", "offset", "slot"):
                number = getattr(instruction, name, None)
                if number is not None:
                    slots[number] = i
            continue
        for part in (*instruction.args, *instruction.params.values()):
            if isinstance(part, Slot) and part.number in slots:  # else it is known before the segment
                after[slots[part.number]] |= 1 << i
        for region in instruction.reads:
            if region in writer:
                after[writer[region]] |= 1 << i
        for region in instruction.writes:
            if region in writer:
                after[writer[region]] |= 1 << i
            for j in readers.pop(region, ()):
                if j != i:
                    after[j] |= 1 << i
            writer[region] = i
        for region in instruction.reads:
            readers.setdefault(region, []).append(i)
    return after


def _bits(value: int) -> list[int]:
    found = []
    while value:
        low = value & -value
        found.append(low.bit_length() - 1)
        value ^= low
    return found


def _reach(followers: list[int]) -> list[int]:
    reach = [0] * len(followers)
    for i in range(len(followers) - 1, -1, -1):
        total = followers[i]
        for j in _bits(followers[i]):
            total |= reach[j]
        reach[i] = total
    return reach


def _reaches_around(group: int, i: int, followers: list[int], reach: list[int]) -> bool:
    """Whether some instruction outside must stand between the group and ``i``, one way or the other."""
    for j in _bits(group):
        for k in _bits(reach[j] & ~group & ~(1 << i)):
            if reach[k] >> i & 1:
                return True
    return bool(reach[i] & group)


def _merge(group: list[int], followers: list[int], reach: list[int]) -> None:
    """Make whatever leads to one member of the group lead to what follows any member."""
    together = 0
    for j in group:
        together |= reach[j]
    inside = 0
    for j in group:
        inside |= 1 << j
    together &= ~inside
    for j in group:
        reach[j] |= together
    for k in range(len(reach)):
        if reach[k] & inside:
            reach[k] |= together | (inside if not inside >> k & 1 else 0)


def _ordered(
    segment: list[Instruction],
    groups: list[list[int]],
    chosen: dict[int, int],
    followers: list[int],
    shapes: list[tuple[int, ...] | None],
) -> list[Step]:
    """The segment in an order that keeps what must follow behind, with each group as one step."""
    unit = [chosen[i] if i in chosen else len(groups) + i for i in range(len(segment))]
    blocked: dict[int, int] = dict.fromkeys(unit, 0)
    edges: dict[int, set[int]] = {u: set() for u in blocked}
    for i, bits in enumerate(followers):
        for j in _bits(bits):
            if unit[i] != unit[j] and unit[j] not in edges[unit[i]]:
                edges[unit[i]].add(unit[j])
                blocked[unit[j]] += 1
    place: dict[int, int] = {}
    for i, u in enumerate(unit):
        place.setdefault(u, i)
    ready = [(place[u], u) for u, n in blocked.items() if not n]
    heapq.heapify(ready)
    steps: list[Step] = []
    while ready:
        _, u = heapq.heappop(ready)
        if u < len(groups):
            chain = Chain(shapes[groups[u][0]] or (), [])
            for i in sorted(groups[u]):
                member = segment[i]
                assert isinstance(member, Launch)
                chain.add(member)
            steps.append(chain)
        else:
            steps.append(segment[u - len(groups)])
        for v in edges[u]:
            blocked[v] -= 1
            if not blocked[v]:
                heapq.heappush(ready, (place[v], v))
    assert len(steps) == len(blocked), "chains depend on each other in a circle"
    return steps
