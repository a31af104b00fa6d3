"""Chains of elementwise launches as generated CUDA kernels: which memory a kernel reads, and which it writes."""

from __future__ import annotations

import math
from typing import Any

from .. import kernels as K
from ..kernels.cuda.fused import FusedChain, Operation, Sum, Value, is_fusible
from .passes import Chain
from .program import Launch, Region, Span, each

__all__ = ["ChainKernel", "by_parameter", "can_fuse"]


def can_fuse(chain: Chain) -> bool:
    """Whether a chain has a kernel of its own; single sums have one already."""
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
            operands = tuple(Value(self._value(v)) if isinstance(v, Span) else v for v in by_parameter(launch))
            result = self._new(out)
            operations.append(Operation(launch.kernel, operands, result))
            self._current[_key(out)] = result
            written[_key(out)] = out
        self.outputs = [span for span in written.values() if span.region not in scratch]
        stored = [self._current[_key(span)] for span in self.outputs]
        self.kernel = FusedChain(self._size, self._dtypes, self._loaded, operations, stored, sums)

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
