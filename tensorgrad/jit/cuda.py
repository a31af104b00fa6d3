"""Replay on CUDA: the launches of a program as CUDA graphs, with what only Python can do between them.

The first run makes every launch by itself, which compiles what is not compiled yet; then the launches are captured, and
from the second run on each stretch between two calls of Python is one launch of a graph. A graph has its addresses
built in: arguments are copied into memory of the program, results out of it into memory that is the caller's.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import kernels as K
from ..backend import Device, bounds, to_device
from ..kernels.cuda.fused import compile_together
from ..kernels.cuda.graph import array_at, copy_bytes, empty_bytes, take_turn
from ..kernels.cuda.placement import on_device
from ..tensor import Tensor
from .cells import Cells, named_arguments, takes_cells
from .fused import ChainKernel, fused_steps
from .memory import Layout, inside_one_chain, plan
from .passes import Chain, Step
from .program import CONSTANT, INPUT, Launch, Program, Region, SetGrad, Slot, Span, mapped
from .stretch import Alone, Segment, divided

__all__ = ["CudaReplay"]

_WAITING = {K.argsort, K.sort, K.partition, K.topk_indices, K.permutation} | {
    kernel
    for kernel in K.INSTRUCTIONS.values()
    if kernel.family in ("decomposition", "solving") and kernel is not K.cross
}
"""Kernels that wait for the device: CuPy's sorts do, and factorizations to see whether there is one.

Whatever else does is found out by trying.
"""


class _Assigned(NamedTuple):
    """A gradient that a run assigns: none without a ``span``; an array in an argument's memory without a ``tensor``."""

    target: Any
    span: Span | None
    tensor: Tensor | None


class CudaReplay:
    """A program compiled for a CUDA device.

    Parameters
    ----------
    program : Program
    device : Device
    fresh_grads : bool
        Give gradients memory of their own at each call, because somebody keeps those of earlier calls.

    Attributes
    ----------
    steps : list
        What runs, after optimisation.
    layout : Layout
        Where temporaries lie.
    targets : list of int
        Arguments whose ``grad`` the program assigns.
    scratch : set of Region
        Temporaries that exist inside of one chain only.
    stretches : list of Stretch
        What a run does, in order.
    """

    def __init__(self, program: Program, device: Device, fresh_grads: bool = False) -> None:
        self.program = program
        self.steps: list[Step] = list(fused_steps(program))
        assigned = [i for i in program.instructions if isinstance(i, SetGrad)]
        self.targets = list(dict.fromkeys(i.target.target for i in assigned if isinstance(i.target.target, int)))
        own = (i.value.region for i in assigned if i.value and (fresh_grads or isinstance(i.target.target, int)))
        self._per_call = (program.grads & set(own)) | program.returned
        self._kept = program.returned | program.grads
        self.scratch = inside_one_chain(self.steps) - self._kept
        self.layout: Layout = plan(self.steps, self._kept | self.scratch)
        used = {r for x in program.launches for r in (*x.reads, *x.writes)}
        self._inputs = [r for r in program.inputs if r in used and r.nbytes]
        self.stretches = divided(self.steps, self._inputs)
        self._device = device
        self._memory: dict[Region, Any] = {}  # pointers
        self._arrays: dict[Any, Any] = {}
        self._numbers: dict[int, Any] = {}  # by slot
        self._held: list[tuple[Any, Tensor, Any, Any]] = []  # gradients that every run writes anew
        self._is_captured = False
        on_device(device.index, self._build)
        self._references = self._counted()

    # ------------------------------------------------------------------------------------------------------- building
    def _build(self) -> None:
        arena = empty_bytes(self.layout.nbytes)
        self._memory.update((region, arena + offset) for region, offset in self.layout.offsets.items())
        self._memory.update((region, empty_bytes(region.nbytes)) for region in (*self._kept, *self._inputs))
        self._cells = Cells(self.stretches)
        chains = {id(step): ChainKernel(step, self.scratch) for step in self.steps if isinstance(step, Chain)}
        compile_together([chain.kernel.source(self._is_whole(chain)) for chain in chains.values()])
        for region in self._overwritten_constants():
            restore = functools.partial(K.assign, self._whole(region.array), self._whole(region.pristine))
            self.stretches[0].add(restore, "assign")
        for stretch in self.stretches:
            for step in stretch.work:
                if isinstance(step, Chain):
                    stretch.add(self._chain(chains[id(step)]), f"chain of {len(step.launches)}")
                else:
                    alone = step.kernel in _WAITING or not takes_cells(step)
                    stretch.add(self._launch(step), step.kernel.name, alone)
        self._assigned = [[self._assignment(step) for step in stretch.set_grads] for stretch in self.stretches]

    def _overwritten_constants(self) -> dict[Region, None]:
        written = dict.fromkeys(r for launch in self.program.launches for r in launch.writes)
        return {r: None for r in written if r.kind == CONSTANT and r.pristine is not None}

    def _is_whole(self, chain: ChainKernel) -> bool:
        return chain.kernel.is_whole(self._all(chain.inputs), self._all(chain.outputs))

    def _chain(self, chain: ChainKernel) -> Callable[[], None]:
        return chain.kernel.bind(self._all(chain.inputs), self._all(chain.outputs), self._all(chain.results))

    def _launch(self, launch: Launch) -> Callable[[], object]:
        """The call of a kernel; numbers that it cannot read from memory are looked up when it is made."""
        kernel = launch.kernel
        arguments = dict(named_arguments(launch))
        if takes_cells(launch):
            arguments = {name: self._cells.argument(launch, name, value) for name, value in arguments.items()}
        values = {name: mapped(value, self._as_array) for name, value in arguments.items()}
        outs = tuple(self._all(launch.outs))
        options = {name: values.pop(name) for name in launch.params}
        if outs:
            options["out"] = outs if launch.several else outs[0]
        positional = tuple(values.values())
        if takes_cells(launch):
            return functools.partial(kernel, *positional, **options)
        return lambda: kernel(*self._with_numbers(positional), **self._with_numbers(options))

    def _with_numbers(self, value: Any) -> Any:
        return mapped(value, lambda item: self._numbers[item.number] if isinstance(item, Slot) else item)

    def _assignment(self, step: SetGrad) -> _Assigned:
        target, span = step.target.target, step.value
        if span is None or span.region.kind == INPUT:
            return _Assigned(target, span, None)
        array = self._as_array(span)
        tensor = Tensor(array)
        if span.region in self.program.grads - self._per_call:
            self._held.append((target, tensor, array, self._memory[span.region].mem))
        return _Assigned(target, span, tensor)

    # --------------------------------------------------------------------------------------------------------- arrays
    def _whole(self, array: Any) -> Any:
        """An array that was there before; constants may come from the host."""
        return to_device(array, self._device) if isinstance(array, np.ndarray) else array

    def _pointer(self, region: Region) -> Any:
        pointer = self._memory.get(region)
        if pointer is None:
            array = region.array = self._whole(region.array)
            pointer = self._memory[region] = array.data + (bounds(array)[0] - array.data.ptr)
        return pointer

    def _as_array(self, value: Any) -> Any:
        """The array of a span, in the memory that graphs have built in; anything else is itself."""
        if not isinstance(value, Span):
            return value
        key = (value.region, value.offset, value.shape, value.strides, value.dtype)
        if key not in self._arrays:
            pointer = self._pointer(value.region) if value.size else None
            self._arrays[key] = array_at(pointer, value.offset, value.shape, value.dtype, value.strides)
        return self._arrays[key]

    def _all(self, spans: Sequence[Span]) -> list[Any]:
        return [self._as_array(span) for span in spans]

    # -------------------------------------------------------------------------------------------------------- running
    def run(self, *values: Any) -> tuple[Any, ...]:
        """``run(*inputs, *given, *targets)`` returns the outputs, in new memory, and the numbers that are told."""
        results = on_device(self._device.index, self._run, values)
        if not self._is_captured:
            on_device(self._device.index, self._capture)
        return results  # type: ignore[no-any-return]

    def _run(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        program, numbers = self.program, self._numbers
        inputs, rest = values[: len(program.inputs)], values[len(program.inputs) :]
        numbers.update(zip(program.given, rest, strict=False))
        targets = dict(zip(self.targets, rest[len(program.given) :], strict=True))
        take_turn()
        self._copy_in(self._inputs, inputs)
        for i, stretch in enumerate(self.stretches):
            stretch.find_numbers(numbers)
            self._cells.put(i, numbers)
            for piece in stretch.pieces:
                piece.run()
            for region in stretch.written:
                copy_bytes(inputs[region.slot].data, self._memory[region], region.nbytes)
            for target, span, tensor in self._assigned[i]:
                owner = targets[target] if isinstance(target, int) else target
                owner.grad = tensor if span is None or tensor is not None else Tensor(self._given(span, inputs))
            if stretch.then is not None:
                stretch.then.function(*stretch.then.args, **stretch.then.kwargs)
                self._copy_in(stretch.refreshed, inputs)
        copies: dict[Region, Any] = {}
        results = [self._result(span, inputs, copies) for span in program.outputs]
        self._hand_out_grads(targets, copies)
        return (*results, *(numbers[slot] for slot in program.told))

    def _copy_in(self, regions: list[Region], inputs: tuple[Any, ...]) -> None:
        for region in regions:
            copy_bytes(self._memory[region], inputs[region.slot].data, region.nbytes)

    @staticmethod
    def _given(span: Span, inputs: tuple[Any, ...]) -> Any:
        """A span of an input as an array in the caller's memory."""
        return array_at(inputs[span.region.slot].data, span.offset, span.shape, span.dtype, span.strides)

    def _result(self, span: Span, inputs: tuple[Any, ...], copies: dict[Region, Any]) -> Any:
        region = span.region
        if region.kind == INPUT:
            return self._given(span, inputs)
        if region not in self._per_call:
            return self._as_array(span)
        if region not in copies:
            copies[region] = empty_bytes(region.nbytes)
            copy_bytes(copies[region], self._memory[region], region.nbytes)
        return array_at(copies[region], span.offset, span.shape, span.dtype, span.strides)

    def _hand_out_grads(self, targets: dict[int, Any], copies: dict[Region, Any]) -> None:
        """Replace gradients that the next run would overwrite by copies; so far Python saw the memory of the graph."""
        for assigned in self._assigned:
            for target, span, tensor in assigned:
                owner = targets[target] if isinstance(target, int) else target
                if span is not None and span.region in self._per_call and owner.grad is tensor:
                    owner.grad = Tensor(self._result(span, (), copies))

    def _capture(self) -> None:
        for stretch in self.stretches:
            stretch.capture()
        self._is_captured = True
        self._references = self._counted()

    # --------------------------------------------------------------------------------------------------------- memory
    def _counted(self) -> list[tuple[int, int, int]]:
        """How many references there are to each gradient, its array and the memory under it, but for the owner's."""
        return [
            (sys.getrefcount(tensor) - (target.grad is tensor), sys.getrefcount(array), sys.getrefcount(memory))
            for target, tensor, array, memory in self._held
        ]

    @property
    def holds_gradients(self) -> bool:
        """Whether gradients that were assigned lie in memory of the program."""
        return bool(self._held)

    def grads_are_kept(self) -> bool:
        """Whether somebody holds on to the gradients of an earlier call, which the next one would overwrite."""
        counts = zip(self._counted(), self._references, strict=True)
        return any(n > m for now, before in counts for n, m in zip(now, before, strict=True))

    @property
    def summary(self) -> str:
        """What a run launches: its graphs, and what runs between them."""
        pieces = [piece for stretch in self.stretches for piece in stretch.pieces]
        graphs = [str(len(piece.calls)) for piece in pieces if isinstance(piece, Segment)]
        between = [piece.name for piece in pieces if isinstance(piece, Alone)]
        between += [stretch.then.name for stretch in self.stretches if stretch.then is not None]
        text = f"{len(graphs)} graph{'s' * (len(graphs) != 1)} of {' and '.join(graphs) or 'no'} launches"
        return f"{text}, {', '.join(between)} outside" if between else text

    @property
    def kept_bytes(self) -> int:
        """Memory that is held between calls."""
        return self.layout.nbytes + sum(r.nbytes for r in (*self._kept, *self._inputs))
