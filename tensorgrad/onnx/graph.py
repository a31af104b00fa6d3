"""An ONNX graph that is being built, and the table of what builds the nodes of each op."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .alignment import Operand, Size, Step
from .errors import ExportError

__all__ = ["EXPORTERS", "Graph", "element_type", "exports"]

Exporter = Callable[..., Any]
"""``exporter(graph, step, *arguments)`` adds the nodes and returns the name of the result, or a list of names."""

EXPORTERS: dict[str, Exporter] = {}
"""By the name of the op; of a kernel that writes into its first argument, with ``kernel.`` before it."""

Array = np.ndarray[Any, np.dtype[Any]]


def exports(*names: str) -> Callable[[Exporter], Exporter]:
    """Decorator of the function that exports the ops of these names."""

    def register(exporter: Exporter) -> Exporter:
        for name in names:
            if name in EXPORTERS:
                raise ValueError(f"there are two exporters of {name}")
            EXPORTERS[name] = exporter
        return exporter

    return register


_TYPES = {
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "bool": 9, "float16": 10,
    "float64": 11, "uint32": 12, "uint64": 13, "complex64": 14, "complex128": 15, "bfloat16": 16,
}  # fmt: skip


def element_type(dtype: Any) -> int:
    """ONNX's number of a dtype (``TensorProto.DataType``)."""
    return _TYPES[str(dtype)]


class Graph:
    """Nodes, constants and weights, in the order in which they are needed.

    Attributes
    ----------
    nodes : list
        Of ``onnx.NodeProto``.
    initializers : dict of ndarray
        Constants and weights by name.
    opset : int
        The version of the operator set.
    """

    def __init__(self, onnx: Any, opset: int, inputs: Sequence[Operand]) -> None:
        self._onnx = onnx
        self.opset = opset
        self.nodes: list[Any] = []
        self.initializers: dict[str, Array] = {}
        self._names: dict[int, str] = {}
        self._taken: set[str] = {str(x.name) for x in inputs}
        self._constants: dict[tuple[Any, ...], str] = {}
        self._sizes: dict[tuple[str, int], str] = {}
        self._varying: dict[tuple[Any, ...], tuple[Operand, int]] = {}  # an axis of each size that varies
        for x in inputs:
            self.note_sizes(x)
        self.step: Step | None = None  # the one whose nodes are being added

    # ------------------------------------------------------------------------------------------------------ names
    def fresh(self, stem: str) -> str:
        """A name that nothing has yet."""
        name, count = stem, 0
        while name in self._taken:
            count += 1
            name = f"{stem}_{count}"
        self._taken.add(name)
        return name

    def reserve(self, name: str) -> None:
        """Keep a name for later."""
        self._taken.add(name)

    def bind(self, operand: Operand, name: str) -> None:
        """Declare what a value is called."""
        self._names[id(operand)] = name

    def note_sizes(self, operand: Operand) -> None:
        """Remember where the sizes of a value that is made can be read."""
        for axis, n in enumerate(operand.shape):
            if isinstance(n, Size):
                self._varying.setdefault(n.series, (operand, axis))

    def name_of(self, x: Any) -> str:
        """The name of an operand of a node: a value, a name, or an array, which becomes a constant."""
        if x is None:
            return ""
        if isinstance(x, str):
            return x
        if not isinstance(x, Operand):
            return self.constant(np.asarray(x))
        name = self._names.get(id(x))
        if name is None:
            if x.array is not None:
                name = self.constant(x.array)
            elif x.name is not None:
                name = x.name
            else:
                name = self._constant_of_size(x)
            self.bind(x, name)
        return name

    def constant(self, array: Array) -> str:
        """The name of a constant; equal small ones are one."""
        if array.nbytes > 1024:
            name = self.fresh("constant")
            self.initializers[name] = array
            return name
        key = (array.shape, str(array.dtype), array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.fresh("constant")
            self.initializers[self._constants[key]] = array
        return self._constants[key]

    def integers(self, values: Any) -> str:
        """A constant vector of 64-bit integers, as ONNX takes axes and shapes."""
        return self.constant(np.asarray(values, np.int64).reshape(-1))

    def number(self, value: Any, dtype: Any) -> str:
        """A number without axes; one that varies is a size, or one over a size."""
        if isinstance(value, Size):
            if all(isinstance(n, int) for n in value.series):
                return self.cast(self.reshaped(self.size(value), ()), dtype)
            whole = tuple(round(1 / n) if n else 0 for n in value.series)
            if all(n and abs(1 / n - m) < 1e-9 * m for n, m in zip(value.series, whole, strict=True)):
                return self.op("Reciprocal", self.number(Size(whole), dtype))
            raise self.error("a number depends on the size of a dynamic axis in a way that is not understood")
        return self.constant(np.asarray(value).astype(dtype))

    # ------------------------------------------------------------------------------------------------------ nodes
    def op(self, kind: str, *inputs: Any, **attributes: Any) -> str:
        """Add a node of one result; returns its name."""
        return self.ops(kind, *inputs, outputs=1, **attributes)[0]

    def ops(self, kind: str, *inputs: Any, outputs: int, **attributes: Any) -> list[str]:
        """Add a node of several results; returns their names."""
        names = [self.fresh(kind.lower()) for _ in range(outputs)]
        self.add(kind, inputs, names, **attributes)
        return names

    def add(self, kind: str, inputs: Sequence[Any], outputs: Sequence[str], **attributes: Any) -> None:
        """Add a node whose results have the given names."""
        node = self._onnx.helper.make_node(
            kind,
            [self.name_of(x) for x in inputs],
            list(outputs),
            name=self.fresh(f"node_{kind}"),
            **{name: value for name, value in attributes.items() if value is not None},
        )
        if self.step is not None:
            node.doc_string = f"{self.step.record.name} at {self.step.record.place}"
        self.nodes.append(node)

    def cast(self, x: Any, dtype: Any) -> str:
        """A value in another dtype."""
        return self.op("Cast", x, to=element_type(dtype))

    def permuted(self, x: Any, axes: Sequence[int]) -> str:
        """The axes in another order; itself if that is theirs."""
        if list(axes) == sorted(axes):
            return self.name_of(x)
        return self.op("Transpose", x, perm=list(axes))

    def reshaped(self, x: Any, sizes: Sequence[int]) -> str:
        """Another shape; a size of 0 is that of the input, -1 the rest."""
        return self.op("Reshape", x, self.integers(sizes))

    def at_channels(self, vector: Any, ndim: int) -> str:
        """A vector with its axis at 1 of ``ndim``."""
        return self.name_of(vector) if ndim == 2 else self.reshaped(vector, (-1, *(1,) * (ndim - 2)))

    def masked(self, condition: Any, x: Any, y: Any) -> str:
        """``x`` where the condition holds, else ``y``."""
        return self.op("Where", condition, x, y)

    # ------------------------------------------------------------------------------------------------------ sizes
    def fixed(self, *numbers: Any, what: str) -> None:
        """Refuse numbers that depend on the sizes of dynamic axes, where ONNX takes constants."""
        for number in numbers:
            if isinstance(number, (tuple, list)):
                self.fixed(*number, what=what)
            elif isinstance(number, Size):
                raise self.error(f"{what} depends on the size of a dynamic axis, and ONNX takes constants for it")

    def vector(self, sizes: Sequence[int | Size], *sources: Operand) -> str:
        """A vector of sizes; those that vary are found among the axes of the sources and of the inputs."""
        if not any(isinstance(n, Size) for n in sizes):
            return self.integers(sizes)
        parts = []
        for varies, run in itertools.groupby(sizes, lambda n: isinstance(n, Size)):
            if varies:
                parts += [self.size(n, *sources) for n in run]
            else:
                parts.append(self.integers(list(run)))
        return parts[0] if len(parts) == 1 else self.op("Concat", *parts, axis=0)

    def size(self, n: int | Size, *sources: Operand) -> str:
        """A vector of one size."""
        if not isinstance(n, Size):
            return self.integers([n])
        for source in sources:
            for axis, m in enumerate(source.shape):
                if m == n:
                    return self._axis(source, axis)
        if n.series in self._varying:
            return self._axis(*self._varying[n.series])
        found = self._composed(n.series)
        if found is None:
            raise self.error(
                f"a size ({', '.join(map(str, n.series))} in the runs of the trace) depends on those of the dynamic "
                "axes in a way that is not understood"
            )
        return found

    def _axis(self, source: Operand, axis: int) -> str:
        name = self.name_of(source)
        if (name, axis) not in self._sizes:
            self._sizes[name, axis] = self.op("Shape", name, start=axis, end=axis + 1)
        return self._sizes[name, axis]

    def _composed(self, series: tuple[Any, ...]) -> str | None:
        """A size as ``a n + b``, ``(n + b) // a`` or ``a n m`` of varying axes, with whole a and b."""
        axes = self._varying
        for known, place in axes.items():
            rise, step = series[1] - series[0], known[1] - known[0]
            if step and rise % step == 0:
                a = rise // step
                b = series[0] - a * known[0]
                if a and all(y == a * x + b for x, y in zip(known, series, strict=True)):
                    name = self._axis(*place)
                    name = name if a == 1 else self.op("Mul", name, self.integers([a]))
                    return name if b == 0 else self.op("Add", name, self.integers([b]))
        for known, place in axes.items():  # n // a, as after a stride or a shuffle
            for a in range(2, 65):
                for b in range(-a + 1, a):
                    if all(y == (x + b) // a for x, y in zip(known, series, strict=True)):
                        shifted = self.op("Add", self._axis(*place), self.integers([b])) if b else self._axis(*place)
                        return self.op("Div", shifted, self.integers([a]))
        for (first, one), (second, other) in itertools.combinations_with_replacement(axes.items(), 2):
            whole = [x * y for x, y in zip(first, second, strict=True)]
            if all(whole) and series[0] % whole[0] == 0:
                a = series[0] // whole[0]
                if all(y == a * x for x, y in zip(whole, series, strict=True)):
                    name = self.op("Mul", self._axis(*one), self._axis(*other))
                    return name if a == 1 else self.op("Mul", name, self.integers([a]))
        return None

    def _constant_of_size(self, x: Operand) -> str:
        """A constant whose shape, or whose contents, depend on the sizes: one number throughout, or a count."""
        arrays = [np.asarray(v.array) for v in x.values]
        first = arrays[0]
        if not any(a.size for a in arrays):
            return self.op("Expand", self.number(0, first.dtype), self.vector(x.shape))
        if first.size and all((a == first.flat[0]).all() for a in arrays):
            return self.op(
                "Expand", self.constant(np.asarray(first.flat[0], first.dtype).reshape(())), self.vector(x.shape)
            )
        if first.ndim == 1 and first.size > 1 and first.dtype.kind in "iuf":
            start, delta = first[0], first[1] - first[0]
            if all(
                a.size > 1 and np.array_equal(a, (start + delta * np.arange(a.size)).astype(a.dtype)) for a in arrays
            ):
                count = self.reshaped(self.size(x.shape[0]), ())
                counted = self.op("Range", self.number(0, np.int64), count, self.number(1, np.int64))
                counted = self.cast(counted, first.dtype) if first.dtype != np.int64 else counted
                if delta != 1:
                    counted = self.op("Mul", counted, self.number(delta, first.dtype))
                return counted if start == 0 else self.op("Add", counted, self.number(start, first.dtype))
        if first.ndim == 0 and first.dtype.kind in "iu":
            return self.cast(self.reshaped(self.size(Size(tuple(int(a) for a in arrays))), ()), first.dtype)
        raise self.error(
            f"a constant of shape {' or '.join(str(a.shape) for a in arrays)} depends on the sizes of the dynamic axes "
            "in a way that is not understood; make it with tensor functions, such as arange and comparisons"
        )

    # ------------------------------------------------------------------------------------------------------ errors
    def error(self, why: str) -> ExportError:
        """An error that names the op and where it was called."""
        if self.step is None:
            return ExportError(f"onnx.export: {why}")
        return ExportError(f"onnx.export: {self.step.record.name} at {self.step.record.place}: {why}")
