"""Gradients through a captured function whose results are differentiated outside of it.

The record then has two parts: the forward, which also returns what the gradient needs, and the gradient of its results
with respect to whatever outside led to them, for any incoming gradient.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import kernels as K
from ..backend import empty
from ..engine import gradients_of
from ..kernels.batched.array import LEVELS, innermost
from ..kernels.batched.dispatch import over_samples
from ..tape import Branch, Leaf, Node, Op, grad_mode
from ..tensor import Tensor
from .program import (
    EXTERNAL,
    INPUT,
    TEMPORARY,
    Draw,
    Instruction,
    Launch,
    LiveRead,
    Program,
    Region,
    Span,
    mapped,
    slots_of,
)
from .recorder import Recorder
from .replay import replay_of

_OPERAND = 1  # to the engine: not the op's result, which is 0

__all__ = ["Gradient", "Refused", "Unbound", "record_gradient"]


class Unbound:
    """A recorded gradient, not yet taken apart from the forward.

    Attributes
    ----------
    places : list of int
        Which outputs have a gradient.
    boundary : list of Node
        What outside of the function they depend on.
    kept : list of Tensor
        Tensors that the outputs' graph holds.
    seeds, specs : list
        For each of those outputs, the region that its gradient comes in; shape and dtype.
    gradients, sources : list
        For each boundary node its gradient, and which of those outputs lead to it.
    """

    def __init__(self, places: list[int], boundary: list[Node], kept: list[Tensor]) -> None:
        self.places = places
        self.boundary = boundary
        self.kept = kept
        self.seeds: list[Region] = []
        self.gradients: list[Any] = []
        self.sources: list[set[int]] = []
        self.specs: list[Any] = []
        self.device: Any = None


def record_gradient(recorder: Recorder, outputs: list[Any], start: int) -> tuple[Unbound | None, Refused | None]:
    """Record the gradient of the outputs that some node made at or before ``start`` leads to.

    Returns
    -------
    recorded : Unbound or None
    refused : Refused or None
        The outputs that have a gradient no more, because the function has overwritten what it needs.
    """
    places = [
        i for i, y in enumerate(outputs)
        if isinstance(y, Tensor) and y._node is not None and not isinstance(y._node, Leaf) and y._node.time > start
    ]  # fmt: skip
    if not places or _boundary([outputs[i]._node for i in places], start)[0] is None:
        return None, None
    try:
        return _recorded(recorder, outputs, places, start), None
    except RuntimeError as error:
        if "overwritten" not in str(error):
            raise
        end, message = len(recorder.instructions), str(error)
    lost = [i for i in places if not _has_gradient(recorder, outputs, i, start)]
    del recorder.instructions[end:]
    left = [i for i in places if i not in lost]
    boundary, kept = _boundary([outputs[i]._node for i in lost], start)
    refused = Refused(lost, boundary or [], kept, [(outputs[i].shape, outputs[i].dtype) for i in lost], message)
    return (_recorded(recorder, outputs, left, start) if left else None), refused


def _has_gradient(recorder: Recorder, outputs: list[Any], place: int, start: int) -> bool:
    recorder.paused = True
    try:
        _recorded(recorder, outputs, [place], start)
    except RuntimeError:
        return False
    finally:
        recorder.paused = False
    return True


def _recorded(recorder: Recorder, outputs: list[Any], places: list[int], start: int) -> Unbound:
    """Take the gradient of some outputs; if that fails, what was recorded of it is gone again."""
    end, paused = len(recorder.instructions), recorder.paused
    nodes = [outputs[i]._node for i in places]
    boundary, kept = _boundary(nodes, start)
    assert boundary is not None
    found = Unbound(places, boundary, kept)
    reached = [set(_boundary([node], start)[0] or ()) for node in nodes]
    found.sources = [{k for k, ends in enumerate(reached) if node in ends} for node in boundary]
    seeds = []
    for i in places:
        y = outputs[i]
        recorder.paused = True
        seed = empty(y.shape, y.dtype, y.device)
        K.fill(seed, 1)
        recorder.paused = paused
        found.seeds.append(recorder.enter_input(seed))
        found.specs.append((y.shape, y.dtype))
        found.device = y.device
        seeds.append(seed)
    try:
        found.gradients = gradients_of(list(zip(nodes, seeds, strict=True)), boundary)
    except RuntimeError:
        del recorder.instructions[end:]
        raise
    return found


def _boundary(nodes: list[Node], start: int) -> tuple[list[Node] | None, list[Tensor]]:
    """The nodes from before ``start`` that lead to the given ones, and the tensors that those between have saved.

    None if the function itself has already used the graph up.
    """
    boundary: list[Node] = []
    kept: list[Tensor] = []
    seen: set[Node] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.time <= start:
            boundary.append(node)
            continue
        if node.saved is None:
            return None, []
        mapped(node.saved, lambda x: kept.append(x) if isinstance(x, Tensor) else None)
        stack.extend(p for p in node.parents if p is not None)
    boundary.sort(key=lambda node: node.time)
    return boundary, kept


class Gradient:
    """The program of a gradient, and the node that calls it.

    Parameters
    ----------
    recorded : Unbound
    forward : Program
        Is made to return what the gradient needs, after its own outputs.
    recorder : Recorder
    instructions : list of Instruction
        What was recorded of the gradient.
    stand_ins : dict
        Which argument had a place on the tape, by the ``id`` of its node.
    """

    def __init__(
        self,
        recorded: Unbound,
        forward: Program,
        recorder: Recorder,
        instructions: list[Instruction],
        stand_ins: dict[int, int],
    ) -> None:
        self._places = recorded.places
        self._specs = recorded.specs
        self._sources = recorded.sources
        self._device = recorded.device
        self._boundary = [stand_ins.get(id(node), node) for node in recorded.boundary]
        self._count = len(forward.outputs)
        outputs = [None if g is None else recorder.span(g) for g in recorded.gradients]
        launches = [i for i in instructions if isinstance(i, Launch)]
        read = dict.fromkeys(r for launch in launches for r in launch.reads)
        read.update(dict.fromkeys(s.region for s in outputs if s is not None))
        made = {r for launch in forward.launches for r in launch.writes}
        saved = [r for r in read if r.kind == TEMPORARY and r in made]
        arguments = [r for r in read if r.kind == INPUT and r not in recorded.seeds]
        self._arguments = [r.slot for r in arguments]
        self._externals = [r.owners[0] for r in read if r.kind == EXTERNAL and r.owners]
        known = {n for i in instructions for n in _made_slots(i)}
        told = sorted({n for x in launches for n in slots_of((x.args, x.params))} - known)
        self._shared = _places_by_region(forward.outputs, saved)
        forward.outputs += [_all_of(r) for r in saved]
        forward.told += told
        bound: dict[Region, Region] = {}
        for slot, region in enumerate([*recorded.seeds, *saved, *arguments]):
            bound[region] = inner = Region(region.number, INPUT, region.nbytes, region.device, slot=slot)
            inner.spec = region.spec or ((region.nbytes,), np.dtype(np.uint8))
        self._needed = [s is not None for s in outputs]
        spans = [_rebound(s, bound) for s in outputs if s is not None]
        self.program = Program(
            [_rebound_launch(i, bound) for i in instructions], list(bound.values()), spans, given=told
        )
        self.replay = replay_of(self.program)
        self._lock = threading.Lock()
        self._op = Op("jit", (lambda g, needs, *values: self._rule(g, values),), ("out",), (), joint=True,
                      outputs=len(self._places))  # fmt: skip
        self._op.saves_arrays = True
        self._op.shares_gradients = True
        self._op.fills = False

    def attach(
        self, results: Sequence[Any], leaves: Sequence[Any], arrays: list[Any]
    ) -> tuple[Sequence[Any], list[Tensor | None]]:
        """The program's own results, and those with a gradient as tensors on the tape."""
        own, saved = results[: self._count], results[self._count :]
        parents = tuple(leaves[n]._node if isinstance(n, int) else n for n in self._boundary)
        given = [arrays[k] for k in self._arguments]
        # the tensors behind the memory that is read again, so that the engine sees whether they were overwritten
        watched = [leaves[k] for k in self._arguments if k < len(leaves) and isinstance(leaves[k], Tensor)]
        split = len(self.program.inputs) - len(self._places) - len(given)
        # and the same for results that are read again: tensors that share only what says when those were written
        markers = [Tensor(own[places[0]]) for places in self._shared]
        values = (*saved[:split], *given, *saved[split:], *watched, *self._externals, *markers)
        self._op.codes = ((_OPERAND,) * len(values),)
        made = _on_tape(self._op, parents, values, own, self._places, self._specs)
        for marker, places in zip(markers, self._shared, strict=True):
            for place in places:
                y = made[place]
                if y is None:
                    y = made[place] = Tensor(own[place])
                y._share_memory_of(marker)
        return own, made

    def _rule(self, g: Any, values: tuple[Any, ...]) -> tuple[Any, ...]:
        seeds = g if isinstance(g, tuple) else (g,)
        if grad_mode.get():
            raise RuntimeError(
                "backward: create_graph=True through a captured function, whose recorded gradient has no gradient of "
                "its own; capture the function that computes the second-order gradient instead"
            )
        level = innermost(seeds, values) if LEVELS else None
        if level is not None:  # gradients for many at once: the program is that of one
            return over_samples(self._copied_rule, (g, values), level)  # type: ignore[no-any-return]
        arrays = [self._seed(k, s) for k, s in enumerate(seeds)]
        came = {k for k, s in enumerate(seeds) if s is not None}
        count = len(self.program.inputs) + len(self.program.given) - len(seeds)
        with self._lock:
            found = iter(self.replay.run(*arrays, *values[:count]))
        gradients = [next(found) if needed else None for needed in self._needed]
        return tuple([g if came & sources else None for g, sources in zip(gradients, self._sources, strict=True)])

    def _copied_rule(self, g: Any, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """The gradients in memory that the next replay does not write into."""
        return tuple(x if x is None else K.copy(x) for x in self._rule(g, values))

    def _seed(self, k: int, g: Any) -> Any:
        """The gradient of a result as the program takes it; zeros if there is none."""
        if g is not None:
            return g if g.flags.c_contiguous else K.copy(g)
        shape, dtype = self._specs[k]
        zeros = empty(shape, dtype, self._device)
        K.fill(zeros, 0)
        return zeros


class Refused:
    """Results whose gradient needs what the function has overwritten: it says so to who asks for one.

    Parameters
    ----------
    places : list of int
        Which outputs.
    boundary : list of Node
        What outside of the function they depend on.
    kept : list of Tensor
        Tensors that the outputs' graph holds.
    specs : list of (shape, dtype)
    message : str
        What is said.
    """

    def __init__(
        self, places: list[int], boundary: list[Node], kept: list[Tensor], specs: list[Any], message: str
    ) -> None:
        def refuse(g: Any, needs: tuple[bool, ...]) -> Any:
            raise RuntimeError(message)

        self.kept = kept
        self._places = places
        self._boundary: list[Any] = boundary
        self._specs = specs
        self._op = Op("jit", (refuse,), ("out",), (), joint=True, outputs=len(places))
        self._op.fills = False

    def bind(self, stand_ins: dict[int, int]) -> None:
        """Say which arguments had a place on the tape, by the ``id`` of their nodes."""
        self._boundary = [stand_ins.get(id(node), node) for node in self._boundary]

    def attach(self, own: Sequence[Any], leaves: Sequence[Any]) -> list[Tensor | None]:
        """The results as tensors on the tape."""
        parents = tuple(leaves[n]._node if isinstance(n, int) else n for n in self._boundary)
        return _on_tape(self._op, parents, (), own, self._places, self._specs)


def _on_tape(
    op: Op, parents: tuple[Any, ...], values: tuple[Any, ...], own: Sequence[Any], places: list[int], specs: list[Any]
) -> list[Tensor | None]:
    """Some results of a program as the results of one op; None for the others."""
    made: list[Tensor | None] = [None] * len(own)
    if len(places) == 1:
        (place,) = places
        made[place] = Tensor(own[place], Node(op, parents, values, own[place].shape))
        return made
    node = Node(op, parents, values, tuple(specs))
    for k, place in enumerate(places):
        made[place] = Tensor(own[place], Branch(node, k, *specs[k]))
    return made


def _places_by_region(outputs: list[Span], regions: list[Region]) -> list[list[int]]:
    """Which outputs lie in each of the regions that have any."""
    found: dict[Region, list[int]] = {}
    for i, span in enumerate(outputs):
        if span.region in regions:
            found.setdefault(span.region, []).append(i)
    return list(found.values())


def _made_slots(instruction: Instruction) -> tuple[int, ...]:
    if isinstance(instruction, Draw):
        return instruction.seed, instruction.offset
    return (instruction.slot,) if isinstance(instruction, LiveRead) else ()


def _all_of(region: Region) -> Span:
    return Span(region, 0, (region.nbytes,), (1,), np.dtype(np.uint8))


def _rebound(value: Any, bound: dict[Region, Region]) -> Any:
    def inner(item: Any) -> Any:
        return item._replace(region=bound[item.region]) if isinstance(item, Span) and item.region in bound else item

    return mapped(value, inner)


def _rebound_launch(instruction: Instruction, bound: dict[Region, Region]) -> Instruction:
    if not isinstance(instruction, Launch):
        return instruction
    return Launch(
        instruction.kernel,
        _rebound(instruction.args, bound),
        _rebound(instruction.params, bound),
        _rebound(instruction.outs, bound),
        instruction.several,
        frozenset(bound.get(r, r) for r in instruction.reads),
        frozenset(bound.get(r, r) for r in instruction.writes),
    )
