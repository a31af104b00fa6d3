"""How a chain of elementwise launches runs on the CPU: block after block, the blocks divided among threads."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import kernels as K
from ..kernels.cpu import pages
from ..kernels.cpu.blocked import walk
from ..kernels.cpu.bound import by_position, formula
from .passes import Chain
from .program import Launch, Region, Span, mapped
from .source import Writer

__all__ = ["ChainRunner"]

_WORK = 3  # simple ufuncs that a launch is worth on average
_KEPT = 1 << 26  # bytes of scratch memory that a thread keeps
_local = threading.local()  # the scratch memory of each thread, for all chains


class ChainRunner:
    """A chain as a generated function that runs some of its blocks.

    Parameters
    ----------
    chain : Chain
    scratch : set of Region
        What exists inside of the chain only.

    Attributes
    ----------
    operands : list of Span
        Arrays that `run` takes.
    results : list of Span
        Where sums go; `run` takes their arrays after the operands.
    """

    def __init__(self, chain: Chain, scratch: set[Region]) -> None:
        self.operands: list[Span] = []
        self.results: list[Span] = []
        self._averages: list[bool] = []
        self._scratch_regions = scratch
        self._size = math.prod(chain.shape)
        self._columns = _columns_of(chain)
        self._names: dict[Any, str] = {}
        self._buffers: list[Any] = []  # dtypes of the scratch blocks
        self._free: dict[Any, list[str]] = {}
        self._held: dict[Region, str] = {}
        self._writer = Writer()
        self._body: list[str] = []
        self._read(chain)
        self._work = _WORK * len(chain.launches)
        self._task = self._generated()

    # ------------------------------------------------------------------------------------------------------- planning
    def _read(self, chain: Chain) -> None:
        last: dict[Region, int] = {}
        for i, launch in enumerate(chain.launches):
            for span in _spans(launch):
                last[span.region] = i
        for i, launch in enumerate(chain.launches):
            args = _arguments(launch)
            names = [self._operand(value) for value in args]
            ending = [r for r in {s.region: None for s in _spans(launch)} if last[r] == i and r in self._held]
            if not launch.kernel.elementwise:
                total = f"{self._writer.name(np.add.reduce)}({names[0]}, None)"
                self._body.append(f"t{len(self.results)}.append((start, {total}))")
                self.results.append(launch.outs[0])
                self._averages.append(launch.kernel is K.mean)
            else:
                self._elementwise(launch, args, names, ending)
            for region in ending:
                self._release(region)

    def _elementwise(self, launch: Launch, args: list[Any], names: list[str], ending: list[Region]) -> None:
        function, out = launch.kernel.cpu, launch.outs[0]
        found = formula(function, args)
        if isinstance(function, np.ufunc):
            for region in ending:  # the result may take the place of an operand that nobody needs any more
                self._release(region)
            self._body.append(f"{self._writer.name(by_position(function))}({', '.join([*names, self._target(out)])})")
        elif found is not None and found[0].get(out.dtype.char) and all(_goes_with(a, out) for a in found[1]):
            body, target = found[0][out.dtype.char], self._target(out)
            operands = names[: len(found[1])]
            itself = [target] if body.scratch and target not in operands else []
            work = [self._buffer(out.dtype) for _ in range(body.scratch - len(itself))]
            self._body.append(f"{self._writer.name(body.function)}({', '.join([*operands, target, *itself, *work])})")
            self._free.setdefault(out.dtype, []).extend(work)
        else:
            self._body.append(f"{self._writer.name(function)}({', '.join([*names, f'out={self._target(out)}'])})")

    def _target(self, out: Span) -> str:
        """Where a result goes."""
        if out.region in self._scratch_regions and out.region not in self._held:
            self._held[out.region] = self._buffer(out.dtype)
        return self._operand(out)

    def _buffer(self, dtype: Any) -> str:
        """A scratch block that nobody uses."""
        waiting = self._free.get(dtype)
        if waiting:
            return waiting.pop()
        self._buffers.append(dtype)
        return f"b{len(self._buffers) - 1}"

    def _release(self, region: Region) -> None:
        name = self._held.pop(region, None)
        if name is not None:
            self._free.setdefault(self._buffers[int(name[1:])], []).append(name)

    def _operand(self, value: Any) -> str:
        """The name of an argument inside of the loop."""
        if not isinstance(value, Span):
            return self._writer.name(value)
        if value.region in self._held:
            return self._held[value.region]
        key = (value.region, value.offset, value.shape, value.strides, value.dtype)
        if key not in self._names:
            cut = value.size == self._size and not value.uniform
            self._names[key] = f"{'v' if cut else 'p'}{len(self.operands)}"
            self.operands.append(value)
        return self._names[key]

    def _generated(self) -> Callable[..., None]:
        w = self._writer
        cut = [i for i in range(len(self.operands)) if f"v{i}" in self._names.values()]
        buffers = [f"b{j}" for j in range(len(self._buffers))]
        if buffers:
            w.lines.append(f"{', '.join(buffers)}, = buffers")
        w.lines += ["for start in range(low, high, step):", "    stop = start + step"]
        w.lines += ["    if stop > high:", "        stop = high"]
        w.lines += [f"        {b} = {b}[:stop - start]" for b in buffers]
        w.lines += [f"    v{i} = p{i}[start:stop]" for i in cut]
        w.lines += [f"    {line}" for line in self._body]
        places = [*(f"p{i}" for i in range(len(self.operands))), *(f"t{i}" for i in range(len(self.results)))]
        return w.function(f"def task({', '.join([*places, 'buffers', 'low', 'high', 'step'])})")

    # -------------------------------------------------------------------------------------------------------- running
    def run(self, *arrays: Any) -> None:
        """Run the chain on the arrays of its operands and results."""
        values = [self._laid_out(span, array) for span, array in zip(self.operands, arrays, strict=False)]
        sums: list[list[tuple[int, Any]]] = [[] for _ in self.results]  # by the rows that they begin with

        def task(low: int, high: int, step: int) -> None:
            self._task(*values, *sums, self._scratch(min(step, high - low)), low, high, step)

        rows = self._size // self._columns
        walk(task, rows, self._columns, self._work, arrays=len(values) + len(self._buffers))
        for parts, average, array in zip(sums, self._averages, arrays[len(values) :], strict=True):
            total = np.add.reduce(np.array([part for _, part in sorted(parts)], array.dtype))
            array[...] = total / array.dtype.type(self._size) if average else total

    def _laid_out(self, span: Span, array: Any) -> Any:
        """An operand as the blocks are cut from it: a number, one row, or rows."""
        if span.uniform:
            return array[(0,) * array.ndim]
        flat = array.reshape(-1)
        if flat.size < self._size:
            return flat if flat.size == self._columns else np.tile(flat, self._columns // flat.size)
        return flat if self._columns == 1 else flat.reshape(-1, self._columns)

    def _scratch(self, rows: int) -> list[Any]:
        """This thread's scratch blocks, of so many rows each."""
        shape = rows if self._columns == 1 else (rows, self._columns)
        lengths = [rows * self._columns * dtype.itemsize for dtype in self._buffers]
        starts = list(itertools.accumulate((-(-n // pages.LINE) * pages.LINE for n in lengths), initial=0))
        memory: Any = getattr(_local, "memory", None)
        if memory is None or memory.size < starts[-1]:
            memory = pages.empty((starts[-1],), np.uint8)
            if memory.size <= _KEPT:
                _local.memory = memory
        return [np.ndarray(shape, dtype, memory, at) for dtype, at in zip(self._buffers, starts, strict=False)]


def _columns_of(chain: Chain) -> int:
    """Length of the rows: one, unless some operand has a value per column; shorter operands are repeated in a row."""
    size = math.prod(chain.shape)
    sizes = {
        span.size for launch in chain.launches for span in _spans(launch) if not span.uniform and span.size != size
    }
    return max(sizes, default=1)


def _goes_with(value: Any, out: Span) -> bool:
    """Whether a body for the result's dtype takes an operand: a block like the result's, or a number in an array."""
    return isinstance(value, Span) and value.dtype == out.dtype and (value.uniform or value.size == out.size)


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
