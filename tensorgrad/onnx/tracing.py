"""Running a function once while writing down which op made which tensor from which.

Ops do nothing to be watched. That one made a tensor is seen when the tensor is made: its maker's frame is that of an
op's call. What is computed by kernels outside of ops is seen at their launch. A value is known by its array, which the
trace keeps alive, so that one array is one value whatever tensors hold it.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np

from .. import births, capture
from .. import kernels as K
from ..anomaly import user_line
from ..backend import is_array
from ..nn import calls
from ..ops.definition import call_in
from ..tensor import Tensor
from .errors import ExportError

__all__ = ["Record", "Trace", "Value"]

_COPIES = frozenset(("clone", "copy", "moved"))  # ops and kernels whose result is their operand


@dataclass(eq=False)
class Value:
    """An array that took part.

    Attributes
    ----------
    array : array
    record : Record or None
        What made it; None for an input, a parameter or a constant.
    index : int
        Which of the record's results it is.
    name : str or None
        Of an input, a parameter or a buffer.
    depends : bool
        Whether it depends on an input.
    kept : bool
        Whether it depends on an input or on what has a name, and so is computed by the graph.
    """

    array: Any
    record: Record | None = None
    index: int = 0
    name: str | None = None
    depends: bool = False
    kept: bool = False


@dataclass(eq=False)
class Record:
    """One op, or one launch of a kernel outside of ops.

    Attributes
    ----------
    number : int
        In order of time.
    name : str
    arguments : tuple
        As the op was given them, with values in place of tensors and arrays.
    outputs : list of Value
    place : str
        The line of the user's code and the layer, for messages.
    """

    number: int
    name: str
    arguments: tuple[Any, ...]
    outputs: list[Value] = field(default_factory=list)
    place: str = ""


def _owner(array: Any) -> int:
    """Which memory an array is in, or part of."""
    while getattr(array, "base", None) is not None and hasattr(array.base, "strides"):
        array = array.base
    return id(array)


class Trace:
    """What one call of a function computes; implements `capture.Recorder`."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.paused = False
        self.records: list[Record] = []
        self._values: dict[int, Value] = {}  # by the id of the array
        self._within: dict[int, list[Value]] = {}  # by the memory
        self._depending: set[int] = set()  # memory that holds what depends on an input
        self._kept: list[Any] = []  # ids are of living objects only
        self._holders: dict[int, list[weakref.ref[Tensor]]] = {}
        self._last: Any = None  # the result of the last op, of which several tensors may be made
        self._inside = False  # a kernel, which may launch others

    # ------------------------------------------------------------------------------------------------------- values
    def add_leaf(self, array: Any, name: str, depends: bool) -> Value:
        """Declare an input, a parameter or a buffer."""
        return self._known(array, Value(array, name=name, depends=depends, kept=True))

    def value_of(self, array: Any) -> Value:
        """The value that an array is; a constant if nothing made it."""
        value = self._values.get(id(array))
        if value is not None:
            return value
        if _owner(array) in self._depending:
            raise ExportError(
                f"onnx.export: at {_place()}: a tensor of shape {tuple(array.shape)} was computed from the inputs by "
                "code outside of tensor operations, which the graph would lack"
            )
        return self._known(array, Value(array))

    def _known(self, array: Any, value: Value) -> Value:
        self._values[id(array)] = value
        if array is value.array:  # and not a copy of it
            self._within.setdefault(_owner(array), []).append(value)
        self._kept.append(array)
        if value.depends:
            self._depend(array)
        return value

    def _depend(self, array: Any) -> None:
        self._depending.add(_owner(array))
        self._kept.append(array)

    def _argument(self, x: Any) -> Any:
        if isinstance(x, Tensor):
            return self.value_of(x._data)
        if is_array(x):
            return self.value_of(x)
        if isinstance(x, (list, tuple)):
            return tuple(self._argument(entry) for entry in x)
        return x

    def _write(self, name: str, arguments: tuple[Any, ...], results: tuple[Any, ...]) -> None:
        if name in _COPIES:
            value = self._argument(arguments[0])
            self._known(results[0], value)
            return
        record = Record(len(self.records), name, tuple(self._argument(x) for x in arguments), place=_place())
        operands = list(_values_in(record.arguments))
        depends, kept = any(value.depends for value in operands), any(value.kept for value in operands)
        for index, array in enumerate(results):
            value = Value(array, record, index, None, depends, kept)
            record.outputs.append(self._known(array, value))
        self.records.append(record)

    # --------------------------------------------------------------------------------------------------- what is seen
    def on_tensor(self, tensor: Tensor) -> None:
        """A tensor was made; if by an op, write that op down."""
        if threading.get_ident() != self.thread or self.paused:
            return
        call = call_in(_maker(sys._getframe(2)))
        if call is not None and call[2] is not None and call[2] is not self._last:
            op, arguments, result = call
            self._last = result
            self._kept.append(result)
            self._write(op.name, arguments, tuple(result) if isinstance(result, (tuple, list)) else (result,))
        self._holders.setdefault(id(tensor._data), []).append(weakref.ref(tensor))

    def on_launch(self, kernel: K.Kernel, args: tuple[Any, ...], params: dict[str, Any], run: Callable[[], Any]) -> Any:
        """A kernel is launched; if not by an op, and on what depends on an input, write it down."""
        if threading.get_ident() != self.thread or self.paused or self._inside:
            return run()
        names = [parameter.split("=")[0].strip() for parameter in kernel.signature.split(",")]
        writes = kernel.rule is K.rules.in_place
        out = params.get("out", args[len(names)] if len(args) > len(names) else None)
        target = args[0] if writes else out
        depends = any(_owner(x) in self._depending for x in _arrays_in((args, params)) if x is not target or writes)
        inside = _in_op(sys._getframe(1))
        if target is not None and not inside:
            self._before_write(kernel.name, target)
        read: tuple[Any, ...] = ()
        if depends and not inside:
            params_read = {k: v for k, v in params.items() if k != "out"}
            read = tuple(self._argument(x) for x in (*args[: len(names)], *_by_place(names, len(args), params_read)))
        self._inside = True
        try:
            result = run()
        finally:
            self._inside = False
        results = (target,) if target is not None else result if isinstance(result, tuple) else (result,)
        if depends and inside:
            for array in results:
                if is_array(array):
                    self._depend(array)
        elif depends:
            self._write(f"kernel.{kernel.name}" if writes else kernel.name, read, tuple(results))
        elif target is not None and id(target) in self._values and not inside:
            self._known(target, Value(target))  # a constant with new contents
        return result

    def _before_write(self, name: str, target: Any) -> None:
        """An array is about to be overwritten: keep what it was, and refuse if others would see the write."""
        for value in self._within.get(_owner(target), []):
            array = value.array
            if array is not target and not np.may_share_memory(array, target):
                continue
            if array is not target and any(holder() is not None for holder in self._holders.get(id(array), [])):
                raise ExportError(
                    f"onnx.export: at {_place()}: {name} writes into memory of which another tensor is a view, which a "
                    "graph cannot express; compute a new tensor instead, with where() or concat()"
                )
            if value.name is not None and not value.depends and array is target:
                raise ExportError(
                    f"onnx.export: at {_place()}: {name} overwrites {value.name!r} while the model runs; a graph has "
                    "no state that changes"
                )
            self._inside = True
            try:
                value.array = K.copy(array)
            finally:
                self._inside = False

    # ------------------------------------------------------------------------------------------- as a capture.Recorder
    def drawn(self, generator: Any, blocks: int, seed: int, offset: int) -> tuple[int, int]:
        """Refuse random numbers."""
        raise ExportError(
            f"onnx.export: at {_place()}: random numbers are drawn, which a graph cannot do as tensorgrad does; "
            "pass them as an input"
        )

    def live(self, value: float, source: Callable[[], float]) -> float:
        """A number that changes from step to step is a constant here."""
        return value

    def host_call(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Nothing is replayed: call it."""
        return function(*args, **kwargs)

    def host_read(self, what: str, array: Any = None) -> None:
        """Refuse a read of what depends on an input: the graph would hold what it was for these inputs."""
        if array is None or _owner(array) in self._depending:
            raise ExportError(
                f"onnx.export: at {_place()}: {what} is read by Python, and the graph would not see it change with the "
                "input; compute with tensor functions such as where() instead"
            )

    def called(self, module: Any) -> None:
        """Modules are known by their parameters."""

    def reached(self, node: Any) -> None:
        """Hooks are traced like all code."""

    def went_through(self, node: Any) -> None:
        """Gradients are traced like all code."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Watch the calling thread in this block."""
        if capture.recording() is not None:
            raise ExportError("onnx.export: cannot run inside a function that tg.jit records")
        hook, witness = self.on_launch, self.on_tensor  # each access makes another bound method
        K.add_hook(hook)
        capture.start(self)
        try:
            with births.witnessed(witness), calls.watched(lambda call, result: None):
                yield
        finally:
            capture.stop()
            K.remove_hook(hook)


def _maker(frame: FrameType | None) -> FrameType:
    """The frame in which a tensor is made, seen through a list comprehension, which before Python 3.12 has its own."""
    assert frame is not None
    return frame.f_back if frame.f_code.co_name == "<listcomp>" and frame.f_back is not None else frame


def _in_op(frame: FrameType | None) -> bool:
    """Whether an op's call is under way: a kernel that it launches is a part of it."""
    while frame is not None and frame.f_globals.get("__name__", "").startswith("tensorgrad"):
        if call_in(frame) is not None:
            return True
        frame = frame.f_back
    return False


def _place() -> str:
    """Where in the user's code, and in which layer, an op is called."""
    call = calls.current.get()
    if call is None:
        return user_line()
    layer = f"{call.path!r} ({type(call.module).__name__})" if call.path else type(call.module).__name__
    return f"{user_line()}, in the layer {layer}" if call.path else f"{user_line()}, in the module {layer}"


def _by_place(names: list[str], given: int, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """Parameters given by name, in the order of the signature; those left out before them are None."""
    rest = names[given:]
    last = max((i for i, name in enumerate(rest) if name in params), default=-1)
    return tuple(params.get(name) for name in rest[: last + 1])


def _arrays_in(x: Any) -> Iterator[Any]:
    if isinstance(x, Tensor):
        yield x._data
    elif is_array(x):
        yield x
    elif isinstance(x, Mapping):
        yield from _arrays_in(tuple(x.values()))
    elif isinstance(x, (list, tuple)):
        for entry in x:
            yield from _arrays_in(entry)


def _values_in(x: Any) -> Iterator[Value]:
    if isinstance(x, Value):
        yield x
    elif isinstance(x, tuple):
        for entry in x:
            yield from _values_in(entry)
