"""Chains of elementwise launches as generated CUDA kernels: which memory a kernel reads, and which it writes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from .. import kernels as K
from ..kernels import Kernel, rules
from ..kernels.cuda.fused import FusedChain, Operation, Sum, Value, is_fusible, used_operands
from .passes import Chain, Step, fuse, lowered, without_dead
from .program import Instruction, Launch, Program, Region, Span, each

__all__ = ["ChainKernel", "fused_steps"]

_CONVERT = Kernel("cast", "memory", "x", rules.same, "x")
"""`cast` and `copy` in chains: a chain converts what it stores."""


def fused_steps(program: Program) -> Iterator[Step]:
    """The live instructions of a program, in chains where one generated kernel can do them."""
    simple = [_converting(i) for i in lowered(without_dead(program), halves=True)]
    for step in fuse(simple, smallest=1):
        if not isinstance(step, Chain) or can_fuse(step):
            yield step
        else:
            yield from map(_as_it_was, step.launches)


def _converting(instruction: Instruction) -> Instruction:
    """A conversion between dtypes that chains have, or a copy, as an elementwise launch."""
    if not isinstance(instruction, Launch) or instruction.kernel not in (K.cast, K.copy):
        return instruction
    x, out = instruction.args[0], instruction.outs[0]
    narrowed_twice = x.dtype.itemsize == 8 and out.dtype.itemsize == 2  # chains would go through float32
    if narrowed_twice or not is_fusible(instruction.kernel, (x.dtype, out.dtype)):
        return instruction
    return replace(instruction, kernel=_CONVERT, args=(x,), params={})


def _as_it_was(launch: Launch) -> Launch:
    if launch.kernel is not _CONVERT:
        return launch
    dtype = launch.outs[0].dtype
    if launch.args[0].dtype == dtype:
        return replace(launch, kernel=K.copy)
    return replace(launch, kernel=K.cast, args=(launch.args[0], dtype))


def can_fuse(chain: Chain) -> bool:
    """Whether a chain gets a kernel of its own; a sum has one already, and a copy alone is no kernel."""
    first = _as_it_was(chain.launches[0])
    if len(chain.launches) == 1 and first.kernel in (K.sum, K.mean, K.copy):
        return False
    if not any(launch.kernel.elementwise for launch in chain.launches):
        return False
    for launch in chain.launches:
        if not launch.kernel.elementwise:
            continue
        spans = list(each((launch.args, launch.params, launch.outs)))
        if not is_fusible(launch.kernel, [s.dtype for s in spans]):
            return False
        if not all(isinstance(v, (Span, bool, int, float)) for v in by_parameter(launch)):
            return False
    return True


def by_parameter(launch: Launch) -> list[Any]:
    """Arguments in the order of the signature, those that were given by name included."""
    names = [p.split("=")[0].strip() for p in launch.kernel.signature.split(",")]
    return [*launch.args, *(launch.params[n] for n in names if n in launch.params)]


class ChainKernel:
    """A chain with the spans that its kernel takes.

    Parameters
    ----------
    chain : Chain
    scratch : set of Region
        What exists inside of the chain only.

    Attributes
    ----------
    inputs, outputs, results : list of Span
        Arrays that the kernel reads, arrays that it writes, and where the sums go.
    kernel : FusedChain
    """

    def __init__(self, chain: Chain, scratch: set[Region]) -> None:
        self.inputs: list[Span] = []
        self.results: list[Span] = []
        self._size = math.prod(chain.shape)
        self._dtypes: list[Any] = []
        self._loaded: list[tuple[int, int]] = []
        self._current: dict[Any, int] = {}  # which value a span has by now
        written: dict[Any, Span] = {}
        operations, sums = [], []
        for launch in chain.launches:
            (out,) = launch.outs
            if not launch.kernel.elementwise:
                sums.append(Sum(self._value(launch.args[0]), launch.kernel is K.mean))
                self.results.append(out)
                continue
            operands = self._operands(launch)
            result = self._new(out)
            operations.append(Operation(launch.kernel, operands, result))
            self._current[_key(out)] = result
            written[_key(out)] = out
        self.outputs = [span for span in written.values() if span.region not in scratch]
        stored = [self._current[_key(span)] for span in self.outputs]
        self.kernel = FusedChain(self._size, self._dtypes, self._loaded, operations, stored, sums)

    def _operands(self, launch: Launch) -> tuple[Any, ...]:
        """What the launch computes with: values, numbers, and None for what its expression does not need."""
        names = [p.split("=")[0].strip() for p in launch.kernel.signature.split(",")]
        used = used_operands(launch.kernel)
        return tuple(
            (Value(self._value(v)) if name in used else None) if isinstance(v, Span) else v
            for name, v in zip(names, by_parameter(launch), strict=False)
        )

    def _new(self, span: Span) -> int:
        self._dtypes.append(span.dtype)
        return len(self._dtypes) - 1

    def _value(self, span: Span) -> int:
        """The value that a span has at this point; read from memory if the chain has not written it."""
        number = self._current.get(_key(span))
        if number is None:
            number = self._current[_key(span)] = self._new(span)
            self._loaded.append((number, _length(span)))
            self.inputs.append(span)
        return number


def _length(span: Span) -> int:
    """How many elements there are in memory."""
    return 1 if span.uniform else span.size


def _key(span: Span) -> Any:
    return span.region, span.offset, _length(span), span.dtype
