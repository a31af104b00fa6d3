"""Several traces of one function, with inputs of different sizes, as one graph.

Where the traces agree, a number is a number and a constant a constant. What differs depends on the sizes that differ:
a `Size`, which the graph must compute.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import to_numpy
from .errors import ExportError
from .tracing import Record, Value

__all__ = ["Operand", "Size", "Step", "aligned", "operands_in"]


@dataclass(frozen=True)
class Size:
    """A number that depends on the sizes of the inputs: what it is in each trace."""

    series: tuple[Any, ...]


@dataclass(eq=False)
class Operand:
    """A value of the graph.

    Attributes
    ----------
    values : tuple of Value
        In each trace.
    step : Step or None
        What makes it.
    array : ndarray or None
        Of what is the same whatever the inputs are.
    """

    values: tuple[Value, ...]
    step: Step | None = None
    index: int = 0
    array: np.ndarray[Any, np.dtype[Any]] | None = None

    @property
    def name(self) -> str | None:
        """Of an input, a parameter or a buffer."""
        return self.values[0].name

    @property
    def dtype(self) -> Any:
        """Type of the elements."""
        return self.values[0].array.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.values[0].array.shape)

    @property
    def shape(self) -> tuple[Any, ...]:
        """Sizes of the axes, each an int or a `Size`."""
        return tuple(_merged(sizes) for sizes in zip(*(v.array.shape for v in self.values), strict=True))


@dataclass(eq=False)
class Step:
    """One record of all traces."""

    record: Record
    arguments: tuple[Any, ...] = ()
    outputs: tuple[Operand, ...] = ()


def _merged(entries: Sequence[Any]) -> Any:
    first = entries[0]
    return first if all(entry == first for entry in entries[1:]) else Size(tuple(entries))


def _host(array: Any) -> np.ndarray[Any, np.dtype[Any]]:
    return np.asarray(to_numpy(array))


def _same(values: tuple[Value, ...]) -> bool:
    first = values[0].array
    return all(
        v.array is first
        or (
            v.array.shape == first.shape
            and v.array.dtype == first.dtype
            and _host(v.array).tobytes() == _host(first).tobytes()
        )
        for v in values[1:]
    )


class _Aligner:
    def __init__(self) -> None:
        self.operands: dict[tuple[int, ...], Operand] = {}
        self.steps: dict[int, Step] = {}

    def operand(self, values: tuple[Value, ...]) -> Operand:
        """What a value in each trace is in the graph; the steps that lead to it are found with it."""
        pending = [values]
        while pending:
            current = pending[-1]
            key = tuple(id(v) for v in current)
            if key in self.operands:
                pending.pop()
                continue
            records = [v.record for v in current]
            first = current[0]
            if first.name is None and not any(v.kept for v in current) and _same(current):
                self.operands[key] = Operand(current, array=_host(first.array))
            elif first.record is None:
                self._leaf(key, current)
            else:
                self._check(current)
                missing = [vs for vs in self._below(records) if tuple(id(v) for v in vs) not in self.operands]
                if missing:
                    pending += missing
                    continue
                self._make(records)
            pending.pop()
        return self.operands[tuple(id(v) for v in values)]

    def _leaf(self, key: tuple[int, ...], values: tuple[Value, ...]) -> None:
        if any(v.name != values[0].name or v.record is not None for v in values):
            raise _unlike(values)
        self.operands[key] = Operand(values)

    def _check(self, values: tuple[Value, ...]) -> None:
        first = values[0]
        for v in values[1:]:
            if (
                v.record is None
                or first.record is None
                or v.record.name != first.record.name
                or v.index != first.index
                or len(v.record.arguments) != len(first.record.arguments)
            ):
                raise _unlike(values)

    def _below(self, records: Sequence[Any]) -> Iterator[tuple[Value, ...]]:
        for arguments in zip(*(r.arguments for r in records), strict=True):
            yield from _values(arguments, records)

    def _make(self, records: Sequence[Any]) -> None:
        record = records[0]
        step = Step(record)
        step.arguments = tuple(
            self._argument(entries, records) for entries in zip(*(r.arguments for r in records), strict=True)
        )
        outputs = []
        for index, values in enumerate(zip(*(r.outputs for r in records), strict=True)):
            made = self.operands.setdefault(tuple(id(v) for v in values), Operand(values))
            made.step, made.index = step, index
            outputs.append(made)
        step.outputs = tuple(outputs)
        self.steps[record.number] = step

    def _argument(self, entries: tuple[Any, ...], records: Sequence[Any]) -> Any:
        first = entries[0]
        if isinstance(first, Value):
            return self.operands[tuple(id(v) for v in entries)]
        if isinstance(first, tuple):
            return tuple(self._argument(parts, records) for parts in zip(*entries, strict=True))
        if isinstance(first, slice):
            parts = [_merged([getattr(s, name) for s in entries]) for name in ("start", "stop", "step")]
            return slice(*parts)
        return _merged(entries)


def _values(entries: tuple[Any, ...], records: Sequence[Any]) -> Iterator[tuple[Value, ...]]:
    first = entries[0]
    alike = all(type(entry) is type(first) for entry in entries)
    if isinstance(first, Value) and alike:
        yield entries
    elif isinstance(first, tuple) and alike and len({len(entry) for entry in entries}) == 1:
        for parts in zip(*entries, strict=True):
            yield from _values(parts, records)
    elif any(isinstance(entry, (Value, tuple)) for entry in entries):
        raise _different(records[0])


def _different(record: Record) -> ExportError:
    return ExportError(
        f"onnx.export: {record.name} at {record.place}: what is computed changes with the sizes of the dynamic axes, "
        "as where Python branches or loops on them; leave these axes out of dynamic_axes"
    )


def _unlike(values: tuple[Value, ...]) -> ExportError:
    record = next((v.record for v in values if v.record is not None), None)
    if record is not None:
        return _different(record)
    return ExportError("onnx.export: the result is made in different ways for different sizes of the dynamic axes")


def aligned(results: Sequence[tuple[Value, ...]]) -> tuple[list[Operand], list[Step]]:
    """The results of all traces as values of one graph, and the steps that lead to them, in order.

    Parameters
    ----------
    results : sequence of tuple of Value
        For each result, what it is in each trace.
    """
    aligner = _Aligner()
    found = [aligner.operand(values) for values in results]
    return found, [aligner.steps[number] for number in sorted(aligner.steps)]


def operands_in(x: Any) -> Iterator[Operand]:
    """The values among arguments."""
    if isinstance(x, Operand):
        yield x
    elif isinstance(x, tuple):
        for entry in x:
            yield from operands_in(entry)
