"""`Jit`: the captured function, its cache of programs, and what a call of one does."""

from __future__ import annotations

import functools
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import kernels as K
from ..backend import get_default_device
from ..capture import CaptureError
from ..dtypes import get_default_dtype
from ..kernels import registry
from ..ops.precision import autocast_region
from ..tape import clock, grad_mode
from ..tensor import Tensor
from .backward import Gradient, record_gradient
from .cpu import Replay
from .guards import FunctionGuard, ModuleGuards, TensorGuards
from .program import EXTERNAL, INPUT, Launch, Program, Region, Span, bounds
from .recorder import Recorder
from .signature import flatten, rebuild, signature_of

__all__ = ["Jit"]

_PROGRAMS = 16  # per captured function; more than that means that no two calls are alike
_ATTEMPTS = 3  # at capturing a function that keeps tensors: the first calls may be setting something up


class Jit:
    """A function of tensors that is recorded at its first call with arguments of a kind, and replayed after that.

    Made by `jit`, which says what it does.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self._programs: OrderedDict[Any, list[Captured]] = OrderedDict()
        self._lock = threading.RLock()
        self._attempts = 0
        self._escaped: str | None = None
        self._warned = False
        self._last: Captured | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if registry._hooks:  # under another recorder, a profiler or anomaly mode: let them see every launch
            return self.function(*args, **kwargs)
        leaves: list[Any] = []
        structure = flatten((args, kwargs) if kwargs else args, leaves)
        key = (
            structure,
            tuple([signature_of(leaf) for leaf in leaves]),
            grad_mode.get(),
            autocast_region.get() and autocast_region.get()[:2],  # type: ignore[index]
            get_default_dtype(),
            get_default_device(),
        )
        with self._lock:
            try:
                programs = self._programs.get(key)
            except TypeError as error:
                raise TypeError(
                    f"jit: {self._name()}: arguments that are not tensors are part of the recording and must be "
                    f"hashable: {error}"
                ) from None
            for program in programs or ():
                if program.holds(leaves):
                    if program.may_run(leaves):
                        self._last = program
                        return program(leaves)
                    return self.function(*args, **kwargs)
            return self._captured(key, args, kwargs, leaves)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __getattr__(self, name: str) -> Any:
        if name == "function" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.function, name)  # a captured model has the model's methods

    def __repr__(self) -> str:
        return f"jit({self.function!r})"

    def _name(self) -> str:
        return str(getattr(self.function, "__qualname__", type(self.function).__name__))

    # ------------------------------------------------------------------------------------------------------- capture
    def _captured(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any], leaves: list[Any]) -> Any:
        """Run the function for real, and keep the record for the next call."""
        if self._escaped is not None and self._attempts >= _ATTEMPTS:
            raise CaptureError(
                f"jit: {self._name()} keeps a tensor, made at {self._escaped}, beyond its call; a replay could not "
                "bring it up to date: return the tensor and pass it in again, or write into one that exists: x[...] = y"
            )
        recording = Recording(self.function, args, kwargs, leaves)
        result = recording.run()
        escaped = recording.escaped()
        if escaped is not None:
            self._escaped, self._attempts = escaped, self._attempts + 1
            return result
        programs = self._programs.setdefault(key, [])
        programs.append(recording.captured())
        self._last = programs[-1]
        self._programs.move_to_end(key)
        while sum(map(len, self._programs.values())) > _PROGRAMS:
            oldest = next(iter(self._programs))
            self._programs[oldest].pop(0)
            if not self._programs[oldest]:
                del self._programs[oldest]
            if not self._warned:
                self._warned = True
                warnings.warn(
                    f"jit: {self._name()} was captured for {_PROGRAMS} kinds of arguments already, the last of them "
                    f"{[signature_of(x)[:2] for x in leaves]}; older ones are dropped, and captured again when needed. "
                    "Pad the inputs to a few shapes, and pass numbers that change as tensors",
                    stacklevel=4,
                )
        return result


class Recording:
    """One recorded call of a function.

    Parameters
    ----------
    function, args, kwargs
    leaves : list of Tensor or array
        The tensors and arrays among the arguments, in the order of `flatten`.
    """

    def __init__(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], leaves: list[Any]) -> None:
        self.function = function
        self.leaves = leaves
        arrays = [_alone(x._data if isinstance(x, Tensor) else x) for x in leaves]
        self._stand_ins = [_stand_in(x, a) for x, a in zip(leaves, arrays, strict=True)]
        structure = flatten((args, kwargs), [])
        self._args, self._kwargs = rebuild(structure, iter(self._stand_ins))
        places = {id(x): i for i, x in enumerate(self._stand_ins)}
        self._copied = [a.shape for a in ()]
        self._originals = [x._data if isinstance(x, Tensor) else x for x in leaves]
        self._arrays = arrays
        self.recorder = Recorder(arrays, places)
        self._start = next(clock)
        self._outputs: list[Any] = []
        self._structure: Any = None
        self._forward_end = 0
        self._gradient: Any = None
        self._guards = FunctionGuard(function)

    def run(self) -> Any:
        """Call the function on stand-ins for its arguments, and note what it returned."""
        region = autocast_region.get()
        token = autocast_region.set(region if region is None else region._replace(cache={}))
        try:
            result = self.recorder.run(self._body)
        finally:
            autocast_region.reset(token)
        self._hand_back()
        return rebuild(self._structure, iter(self._outputs), self._as_given)

    def _body(self) -> Any:
        result = self.function(*self._args, **self._kwargs)
        self._structure = flatten(result, self._outputs)
        self._forward_end = len(self.recorder.instructions)
        self._gradient = record_gradient(self.recorder, self._outputs, self._start)
        return result

    def _hand_back(self) -> None:
        """Give the arguments what their stand-ins got."""
        written = {r for i in self.recorder.instructions if isinstance(i, Launch) for r in i.writes}
        for i, (x, stand_in) in enumerate(zip(self.leaves, self._stand_ins, strict=True)):
            if not isinstance(x, Tensor):
                continue
            x.grad = stand_in.grad
            if self.recorder.inputs[i] in written:
                if not np.may_share_memory(x._data, self._arrays[i]):
                    K.assign(x._data, self._arrays[i])
                x._written()

    def _as_given(self, output: Any) -> Any:
        """An output of the first call: the argument itself where the function returned that."""
        for x, stand_in in zip(self.leaves, self._stand_ins, strict=True):
            if output is stand_in:
                return x
        return output

    def escaped(self) -> str | None:
        """Where a tensor was made that the function keeps."""
        kept = [x for x in self._outputs if isinstance(x, Tensor)]
        if self._gradient is not None:
            kept += self._gradient.kept
        return self.recorder.escaped(kept)

    def captured(self) -> Captured:
        """What replays the call."""
        return Captured(self)


class Captured:
    """A program with what must hold for it to be replayed."""

    def __init__(self, recording: Recording) -> None:
        recorder = recording.recorder
        self._structure = recording._structure
        self._leaves = len(recording.leaves)
        self._function_guard = recording._guards
        self._modules = ModuleGuards(list(recorder.modules.values()))
        stand_ins = {id(x) for x in recording._stand_ins}
        inputs = set(recorder.inputs)
        outside = [x for key, x in recorder.tensors.items() if key not in stand_ins]
        self._tensors = TensorGuards([x for x in outside if not _is_in(recorder, x, inputs)])
        self._found = [  # gradients that the function found: what they must be again
            (recorder._stand_ins.get(key, x), None if g is None else (g.shape, g.dtype))
            for key, (x, g) in recorder.entry_grads.items()
            if g is not NotImplemented
        ]
        self._plans = [self._plan(i, x, recording) for i, x in enumerate(recording._outputs)]
        arrays = [x._data if isinstance(x, Tensor) else x for x in recording._outputs]
        forward = recorder.instructions[: recording._forward_end]
        self.program: Program = recorder.program(arrays, forward)
        self.gradient: Gradient | None = None
        if recording._gradient is not None:
            self.gradient = recording._gradient.compiled(self.program, recorder)
        self.replay = Replay(self.program)
        written = {r for i in self.program.launches for r in i.writes}
        self._written = [x for r in written if r.kind == EXTERNAL for x in r.owners]
        self._written_inputs = [r.slot for r in self.program.inputs if r in written]
        self._danger = [bounds(r.array) for r in written if r.kind == EXTERNAL]
        self._owners: dict[Region, Tensor] = {r: r.owners[0] for r in self.program.externals() if r.owners}

    def _plan(self, i: int, x: Any, recording: Recording) -> Any:
        """How output ``i`` is made: a tensor that was there, the number of an argument, or None for the array."""
        for k, stand_in in enumerate(recording._stand_ins):
            if x is stand_in:
                return k
        return x if id(x) in recording.recorder.tensors else (None, isinstance(x, Tensor))

    # ------------------------------------------------------------------------------------------------------- calling
    def holds(self, leaves: list[Any]) -> bool:
        """Whether everything outside is as it was when the program was recorded."""
        if not (self._tensors.hold() and self._modules.hold() and self._function_guard.hold()):
            return False
        for target, expected in self._found:
            grad = (leaves[target] if isinstance(target, int) else target).grad
            if (None if grad is None else (grad.shape, grad.dtype)) != expected:
                return False
            if grad is not None and not grad._data.flags.c_contiguous:
                return False
        return True

    def may_run(self, leaves: list[Any]) -> bool:
        """Whether no argument overlaps memory that the program writes elsewhere."""
        if not self._danger and not self._written_inputs:
            return True
        spans = [bounds(x._data if isinstance(x, Tensor) else x) for x in leaves]
        for k, (low, high) in enumerate(spans):
            if any(low < end and start < high for start, end in self._danger):
                return False
            if k in self._written_inputs:
                array = leaves[k]._data if isinstance(leaves[k], Tensor) else leaves[k]
                if not (array.flags.c_contiguous and array.flags.writeable):
                    return False
                if any(low < end and start < high for j, (start, end) in enumerate(spans) if j != k):
                    return False
        return True

    def __call__(self, leaves: list[Any]) -> Any:
        if self.replay.grads_are_kept():
            self.replay = Replay(self.program, fresh_grads=True)
        arrays = []
        for x in leaves:
            array = x._data if isinstance(x, Tensor) else x
            arrays.append(array if array.flags.c_contiguous else np.ascontiguousarray(array).reshape(array.shape))
        for target, expected in self._found:
            if expected is not None:
                arrays.append((leaves[target] if isinstance(target, int) else target).grad._data)
        with K.ieee_semantics():
            results = self.replay.run(*arrays, *[leaves[k] for k in self.replay.targets])
        for x in self._written:
            x._written()
        for k in self._written_inputs:
            (leaves[k] if k < self._leaves else self._found_grad(k, leaves))._written()
        gradient = self.gradient
        if gradient is not None:
            results, made = gradient.attach(results, leaves, arrays)
        else:
            made = [None] * len(results)
        outputs = [
            self._output(plan, span, array, tensor, leaves)
            for plan, span, array, tensor in zip(self._plans, self.program.outputs, results, made, strict=False)
        ]
        return rebuild(self._structure, iter(outputs))

    def _found_grad(self, slot: int, leaves: list[Any]) -> Any:
        present = [target for target, expected in self._found if expected is not None]
        target = present[slot - self._leaves]
        return (leaves[target] if isinstance(target, int) else target).grad

    def _output(self, plan: Any, span: Span, array: Any, made: Tensor | None, leaves: list[Any]) -> Any:
        if isinstance(plan, int):
            return leaves[plan]
        if isinstance(plan, Tensor):
            return plan
        if not plan[1]:
            return array
        y = Tensor(array) if made is None else made
        region = span.region
        if region.kind == INPUT and isinstance(leaves[region.slot], Tensor):
            y._share_memory_of(leaves[region.slot])
        elif region.kind == EXTERNAL and region in self._owners:
            y._share_memory_of(self._owners[region])
        return y


def _alone(array: Any) -> Any:
    """The same memory as an array that is nobody's view, so that what is read through it is known to be the argument.

    Arrays that are not contiguous are copied, as replays do.
    """
    if not array.flags.c_contiguous:
        return np.ascontiguousarray(array).reshape(array.shape)
    from .cpu import bytes_of

    return np.ndarray(array.shape, array.dtype, _shielded(bytes_of(array)))


def _stand_in(x: Any, array: Any) -> Any:
    if not isinstance(x, Tensor):
        return array
    y = Tensor(array)
    if x._node is not None:
        y.requires_grad = True
    y.grad = x.grad
    return y


def _is_in(recorder: Recorder, x: Tensor, regions: set[Region]) -> bool:
    return recorder.span(x._data).region in regions
