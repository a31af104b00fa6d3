"""Replay on the CPU: the program as one generated Python function of bound calls with preallocated results."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import bounds
from ..kernels.cpu import pages
from ..kernels.cpu.bound import bound
from ..tensor import Tensor
from .chain import ChainRunner
from .memory import Layout, inside_one_chain, plan
from .passes import Chain, Step, fuse, lowered, without_dead
from .pooling import pooled_first
from .program import (
    CONSTANT,
    EXTERNAL,
    INPUT,
    Draw,
    HostCall,
    Launch,
    LiveRead,
    Program,
    Region,
    SetGrad,
    Slot,
    Span,
    mapped,
)

__all__ = ["Replay"]

_BYTES = np.dtype(np.uint8)
_LARGE = 1 << 24  # bytes of temporaries


class _Memory:
    """Some bytes at an address, for `numpy.asarray`; keeps their owner alive."""

    def __init__(self, address: int, nbytes: int, owner: Any) -> None:
        self.__array_interface__ = {"shape": (nbytes,), "typestr": "|u1", "data": (address, False), "version": 3}
        self.owner = owner


def bytes_of(array: Any) -> Any:
    """All bytes between the lowest and the highest of an array, writable."""
    if not array.size:
        return np.empty(0, _BYTES)
    low, high = bounds(array)
    return np.asarray(_Memory(low, high - low, array))


class Replay:
    """A program compiled for the CPU.

    Parameters
    ----------
    program : Program
    fresh_grads : bool
        Allocate gradients at each call, because somebody keeps those of earlier calls.

    Attributes
    ----------
    steps : list
        What runs, after optimisation.
    layout : Layout
        Where temporaries lie.
    scratch : set of Region
        What exists inside of chains only.
    targets : list of int
        Arguments whose ``grad`` the program assigns.
    run : callable
        ``run(*inputs, *given, *targets)`` returns the outputs, in new memory, and the numbers that are told.
    """

    def __init__(self, program: Program, fresh_grads: bool = False) -> None:
        self.program = program
        self.steps: list[Step] = fuse(lowered(pooled_first(without_dead(program), program.returned | program.grads)))
        self.scratch = inside_one_chain(self.steps) - program.returned - program.grads
        per_call = set(program.returned)
        assigned = [i for i in program.instructions if isinstance(i, SetGrad)]
        own = (i.value.region for i in assigned if i.value and (fresh_grads or isinstance(i.target.target, int)))
        per_call |= program.grads & set(own)
        self._per_call = per_call
        kept = per_call | program.grads | self.scratch
        self.layout: Layout = plan(self.steps, kept)
        if self.layout.nbytes >= _LARGE:
            pages.give_back()  # those of the temporaries that were recorded: else they stay beside these
        arena = np.empty(self.layout.nbytes + 64, _BYTES)
        start = -arena.ctypes.data % 64
        self._storage: dict[Region, Any] = {
            region: arena[start + offset : start + offset + region.nbytes]
            for region, offset in self.layout.offsets.items()
        }
        for region in program.grads - per_call:
            self._storage[region] = pages.empty((region.nbytes,), _BYTES)
        self.targets: list[int] = []
        self._held: list[tuple[Tensor, Tensor, Any, Any]] = []
        self._namespace: dict[str, Any] = {"ndarray": np.ndarray, "empty": np.empty, "Tensor": Tensor}
        self._names: dict[Any, str] = {}
        self._static: dict[Any, Any] = {}
        self._constants: dict[int, str] = {}
        self._lines: list[str] = []
        self.run: Callable[..., Any] = self._compile()
        self._references = [_references(*entry) for entry in self._held]

    # ------------------------------------------------------------------------------------------------------- compiling
    def _compile(self) -> Callable[..., Any]:
        inputs = [f"i{k}" for k in range(len(self.program.inputs))]
        self._restore_constants()
        for step in self.steps:
            if isinstance(step, Launch):
                self._launch(step)
            elif isinstance(step, Chain):
                self._chain(step)
            elif isinstance(step, Draw):
                generator = self._constant(step.generator)
                self._lines.append(f"s{step.seed}, s{step.offset} = {generator}.reserve_stream({step.blocks})")
            elif isinstance(step, LiveRead):
                self._lines.append(f"s{step.slot} = {self._constant(step.source)}()")
            elif isinstance(step, HostCall):
                self._lines.append(
                    f"{self._constant(step.function)}(*{self._constant(step.args)}, **{self._constant(step.kwargs)})"
                )
            elif isinstance(step, SetGrad):
                self._set_grad(step)
        results = [self._array(span) for span in self.program.outputs] + [f"s{n}" for n in self.program.told]
        body = "\n    ".join([*self._lines, f"return ({''.join(f'{name}, ' for name in results)})"])
        parameters = [*inputs, *(f"s{n}" for n in self.program.given), *(f"t{n}" for n in self.targets)]
        source = f"def replay({', '.join(parameters)}):\n    {body}\n"
        exec(compile(source, "<tensorgrad.jit>", "exec"), self._namespace)
        return self._namespace["replay"]  # type: ignore[no-any-return]

    def _restore_constants(self) -> None:
        regions: dict[Region, None] = {}
        for launch in self.program.launches:
            for region in launch.writes:
                if region.pristine is not None and region.kind == CONSTANT:
                    regions[region] = None
        for region in regions:
            target, source = self._constant(region.array), self._constant(region.pristine)
            self._lines.append(f"{target}[...] = {source}")

    def _launch(self, launch: Launch) -> None:
        calls = self._bound(launch)
        if calls is not None:
            for function, operands in calls:
                self._lines.append(f"{self._constant(function)}({', '.join(self._expression(x) for x in operands)})")
            return
        outs = [self._array(span) for span in launch.outs]
        parts = [self._expression(a) for a in launch.args]
        named = [f"{k}={self._expression(v)}" for k, v in launch.params.items()]
        if outs:
            named.append(f"out=({', '.join(outs)},)" if launch.several else f"out={outs[0]}")
        self._lines.append(f"{self._constant(launch.kernel.large)}({', '.join([*parts, *named])})")

    @staticmethod
    def _bound(launch: Launch) -> list[Any] | None:
        """The launch as bare calls, if there are any."""
        if launch.several or len(launch.outs) != 1 or launch.params or any(isinstance(a, Slot) for a in launch.args):
            return None
        return bound(launch.kernel.cpu, launch.args, launch.outs[0])

    def _chain(self, chain: Chain) -> None:
        runner = ChainRunner(chain, self.scratch)
        arrays = [self._array(span) for span in (*runner.operands, *runner.results)]
        self._lines.append(f"{self._constant(runner.run)}({', '.join(arrays)})")

    def _set_grad(self, step: SetGrad) -> None:
        target = step.target.target
        name = f"t{target}" if isinstance(target, int) else self._constant(target)
        if isinstance(target, int) and target not in self.targets:
            self.targets.append(target)
        if step.value is None:
            self._lines.append(f"{name}.grad = None")
            return
        array = self._array(step.value)
        if array in self._static:
            tensor = Tensor(self._static[array])
            self._held.append((target, tensor, self._static[array], self._storage[step.value.region]))
            self._lines.append(f"{name}.grad = {self._constant(tensor)}")
        else:
            self._lines.append(f"{name}.grad = Tensor({array})")

    # ----------------------------------------------------------------------------------------------- names of values
    def _constant(self, value: Any) -> str:
        """The name of an object in the generated function."""
        name = self._constants.get(id(value))
        if name is None:
            name = self._constants[id(value)] = f"c{len(self._constants)}"
            self._namespace[name] = value
        return name

    def _expression(self, value: Any) -> str:
        """Source text of an argument."""
        if isinstance(value, Span):
            return self._array(value)
        if isinstance(value, Slot):
            return f"s{value.number}"
        if value is None or type(value) in (int, bool):
            return repr(value)
        if isinstance(value, (tuple, list)) and _holds_values(value):
            parts = ", ".join(self._expression(v) for v in value)
            return f"({parts},)" if isinstance(value, tuple) else f"[{parts}]"
        return self._constant(value)

    def _array(self, span: Span) -> str:
        """The name of a span's array, which is made here, or by a line of the function where the memory is new."""
        key = (span.region, span.offset, span.shape, span.strides, span.dtype)
        name = self._names.get(key)
        if name is not None:
            return name
        region = span.region
        if region.kind == INPUT or region in self._per_call:
            name = self._array_of_call(span)
        else:
            name = f"a{len(self._names)}"
            self._static[name] = self._namespace[name] = self._materialized(span)
        self._names[key] = name
        return name

    def _materialized(self, span: Span) -> Any:
        region = span.region
        if region not in self._storage:
            assert region.kind in (EXTERNAL, CONSTANT), f"no memory for {region}"
            self._storage[region] = bytes_of(region.array)
        return array_at(self._storage[region], span)

    def _array_of_call(self, span: Span) -> str:
        """The name of an array whose memory is another at each call."""
        region = span.region
        base = f"i{region.slot}" if region.kind == INPUT else f"r{region.number}"
        buffer = base
        if region.kind == INPUT:
            if span.offset == 0 and span.contiguous and region.spec == (span.shape, span.dtype):
                return base
            if region.spec[1].kind == "V":  # NumPy makes no buffers of bfloat16
                buffer = f"{base}.reshape(-1).view({self._constant(_BYTES)})"
        elif base not in self._names:
            whole = span.contiguous and span.nbytes == region.nbytes and span.dtype.kind != "V"
            shape, dtype = (span.shape, span.dtype) if whole else ((region.nbytes,), _BYTES)
            self._names[base] = base
            self._lines.append(f"{base} = empty({self._constant(shape)}, {self._constant(dtype)})")
            if whole:
                return base
        name = f"d{len(self._names)}"
        kind, strides = f"{self._constant(span.shape)}, {self._constant(span.dtype)}", self._constant(span.strides)
        self._lines.append(f"{name} = ndarray({kind}, {buffer}, {span.offset}, {strides})")
        return name

    @property
    def holds_gradients(self) -> bool:
        """Whether gradients that were assigned lie in memory of the program."""
        return bool(self._held)

    def grads_are_kept(self) -> bool:
        """Whether somebody holds on to the gradients of an earlier call, which the next one would overwrite."""
        for entry, (tensor, array, memory) in zip(self._held, self._references, strict=True):
            now = _references(*entry)
            own = entry[0].grad is entry[1]
            if now[0] > tensor + own or now[1] > array or now[2] > memory:
                return True
        return False

    @property
    def kept_bytes(self) -> int:
        """Memory that is held between calls."""
        return self.layout.nbytes + sum(r.nbytes for r in self.program.grads - self._per_call)


def _references(_: Tensor, tensor: Tensor, array: Any, memory: Any) -> tuple[int, int, int]:
    """How many references there are to a gradient, its array and the memory under it."""
    return sys.getrefcount(tensor), sys.getrefcount(array), sys.getrefcount(memory)


def array_at(memory: Any, span: Span) -> Any:
    """A span of some bytes as an array."""
    if not math.prod(span.shape):
        return np.empty(span.shape, span.dtype)
    return np.ndarray(span.shape, span.dtype, memory, span.offset, span.strides)


def _holds_values(value: Any) -> bool:
    found = False

    def note(item: Any) -> Any:
        nonlocal found
        found = found or isinstance(item, (Span, Slot))
        return item

    mapped(value, note)
    return found
