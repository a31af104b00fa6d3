"""How a chain of elementwise launches runs on the CPU: block after block, the blocks divided among threads."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np

from .. import kernels as K
from ..kernels.cpu.blocked import walk
from .passes import Chain
from .program import Launch, Region, Span, mapped

__all__ = ["ChainRunner"]

_BLOCK_BYTES = 1 << 16  # of one operand: several of them fit in a second-level cache, and calls are few enough
_WORK = 3  # simple ufuncs that a launch is worth on average


class ChainRunner:
    """A chain, ready to run.

    Parameters
    ----------
    chain : Chain
    scratch : set of Region
        What exists inside of the chain only.
    """

    def __init__(self, chain: Chain, scratch: set[Region]) -> None:
        self.operands: list[Span] = []  # arrays that `run` takes, in order
        self._size = math.prod(chain.shape)
        self._values: list[Any] = []  # by number: constants; None for what is bound later
        self._numbers: dict[Any, int] = {}
        self._sliced: list[int] = []
        self._places: list[int] = []  # numbers of the operands
        self._ops: list[tuple[Any, tuple[int, ...], int]] = []
        self._sums: list[tuple[int, Span, bool]] = []
        self._buffers: list[Any] = []  # dtypes of the scratch blocks
        self._columns = self._find_columns(chain)
        self._held: dict[Region, int] = {}
        self._read(chain, scratch)
        widest = max(s.dtype.itemsize for launch in chain.launches for s in launch.outs)
        rows = self._size // self._columns
        self._block = min(max(_BLOCK_BYTES // widest // self._columns, 1), rows)
        self._blocks = -(-rows // self._block)
        self._work = _WORK * len(chain.launches)
        self._local = threading.local()

    # ------------------------------------------------------------------------------------------------------- planning
    @staticmethod
    def _find_columns(chain: Chain) -> int:
        """Length of the rows: one, unless some operand has a value per column."""
        sizes = {
            span.size
            for launch in chain.launches
            for span in _spans(launch)
            if span.size != 1 and span.shape != chain.shape
        }
        return max(sizes, default=1)

    def _read(self, chain: Chain, scratch: set[Region]) -> None:
        last: dict[Region, int] = {}
        for i, launch in enumerate(chain.launches):
            for span in _spans(launch):
                last[span.region] = i
        free: dict[Any, list[int]] = {}
        for i, launch in enumerate(chain.launches):
            args = tuple(self._number(value, scratch) for value in _arguments(launch))
            for region in {s.region for s in _spans(launch) if s.region in scratch and last[s.region] == i}:
                number = self._held.get(region)
                if number is not None and isinstance(launch.kernel.cpu, np.ufunc):
                    free.setdefault(self._buffers[number], []).append(number)
            out = launch.outs[0]
            if not launch.kernel.elementwise:
                self._sums.append((args[0], out, launch.kernel is K.mean))
                self._ops.append((None, args[:1], len(self._sums) - 1))
            else:
                if out.region in scratch and out.region not in self._held:
                    waiting = free.get(out.dtype)
                    if waiting:
                        self._held[out.region] = waiting.pop()
                    else:
                        self._buffers.append(out.dtype)
                        self._held[out.region] = len(self._buffers) - 1
                self._ops.append((launch.kernel.cpu, args, self._number(out, scratch)))
            for region in {s.region for s in _spans(launch) if s.region in scratch and last[s.region] == i}:
                number = self._held.get(region)
                if number is not None and not isinstance(launch.kernel.cpu, np.ufunc):
                    free.setdefault(self._buffers[number], []).append(number)

    def _number(self, value: Any, scratch: set[Region]) -> int:
        """Which entry of the table of values an argument is."""
        if not isinstance(value, Span):
            self._values.append(value)
            return len(self._values) - 1
        if value.region in scratch:
            return -1 - self._held[value.region]
        key = (value.region, value.offset, value.shape, value.dtype)
        if key not in self._numbers:
            self._values.append(None)
            self._numbers[key] = number = len(self._values) - 1
            self.operands.append(value)
            self._places.append(number)
            if value.size == self._size:
                self._sliced.append(number)
        return self._numbers[key]

    @property
    def results(self) -> list[Span]:
        """Where the sums go; `run` takes their arrays after the operands."""
        return [out for _, out, _ in self._sums]

    # -------------------------------------------------------------------------------------------------------- running
    def run(self, *arrays: Any) -> None:
        """Run the chain on the arrays of its operands and results."""
        values = list(self._values)
        columns = self._columns
        for number, array in zip(self._places, arrays, strict=False):
            if array.size == self._size:
                values[number] = array.reshape(-1) if columns == 1 else array.reshape(-1, columns)
            else:
                values[number] = array.reshape(()) if array.size == 1 else array.reshape(-1)
        rows = self._size // columns
        block = self._block
        partial = [np.empty(self._blocks, values_dtype) for values_dtype in (out.dtype for _, out, _ in self._sums)]

        def task(low: int, high: int, _: int) -> None:
            scratch = self._scratch()
            table = list(values)
            sliced = [(number, values[number]) for number in self._sliced]
            for b in range(low, high):
                start, stop = b * block, min((b + 1) * block, rows)
                for number, array in sliced:
                    table[number] = array[start:stop]
                buffers = scratch if stop - start == block else [s[: stop - start] for s in scratch]
                for function, args, out in self._ops:
                    operands = [table[a] if a >= 0 else buffers[-1 - a] for a in args]
                    if function is None:
                        partial[out][b] = np.add.reduce(operands[0], axis=None)
                    else:
                        function(*operands, out=table[out] if out >= 0 else buffers[-1 - out])

        walk(task, self._blocks, block * columns, self._work)
        for sums, (_, _, average), array in zip(partial, self._sums, arrays[len(self._places) :], strict=True):
            total = np.add.reduce(sums)
            array[...] = total / sums.dtype.type(self._size) if average else total

    def _scratch(self) -> list[Any]:
        """This thread's scratch blocks."""
        held: list[Any] | None = getattr(self._local, "buffers", None)
        if held is None:
            shape = self._block if self._columns == 1 else (self._block, self._columns)
            held = self._local.buffers = [np.empty(shape, dtype) for dtype in self._buffers]
        return held


def _arguments(launch: Launch) -> list[Any]:
    """Arguments in the order of the signature, those that were given by name included."""
    names = [p.split("=")[0].strip() for p in launch.kernel.signature.split(",")]
    return [*launch.args, *(launch.params[n] for n in names if n in launch.params)]


def _spans(launch: Launch) -> list[Span]:
    found: list[Span] = []

    def note(value: Any) -> Any:
        if isinstance(value, Span):
            found.append(value)
        return value

    mapped((launch.args, launch.params, launch.outs if launch.kernel.elementwise else ()), note)
    return found
