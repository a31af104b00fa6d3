"""`Jit`: the captured function, its cache of programs, and what a call of one does."""

from __future__ import annotations

import copy
import functools
import pickle
import sys
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, NamedTuple

from .. import capture, tape
from .. import kernels as K
from ..backend import bounds, get_default_device
from ..capture import CaptureError
from ..dtypes import get_default_dtype
from ..kernels import registry
from ..kernels.batched.array import stands_by
from ..ops.precision import autocast_region
from ..tape import grad_mode
from ..tensor import Tensor
from .backward import Gradient
from .entry import MISS, Argument, short_way
from .explain import Explanation, planned
from .guards import ModuleGuards, TensorGuards
from .program import EXTERNAL, INPUT, TEMPORARY, Program, Region, Span
from .recording import Recording
from .replay import replay_of
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
        self._unkept = 0
        self._last: Captured | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        last = self._last
        if last is not None and last.enter is not None:
            result = last.enter(args, kwargs)
            if result is not MISS:
                return result
        if _is_watched():  # let a recorder, profiler or anomaly mode see it all
            return self.function(*args, **kwargs)
        leaves: list[Any] = []
        structure = flatten((args, kwargs), leaves)
        key = (structure, _signature(leaves), modes())
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

    def __copy__(self) -> Jit:
        return Jit(self.function)

    def __deepcopy__(self, memo: dict[int, Any]) -> Jit:
        """A captured function without programs, of a copy of the function: of a module, another module."""
        made = memo[id(self)] = Jit(copy.deepcopy(self.function, memo))
        return made

    def __reduce__(self) -> Any:
        """Pickle: a decorated function of a module by its name, everything else by what was captured."""
        function = self.function
        if not isinstance(function, FunctionType):
            return Jit, (function,)
        place: Any = sys.modules.get(function.__module__)
        for name in function.__qualname__.split("."):
            place = getattr(place, name, None)
        if place is self:
            return function.__qualname__
        if place is function:
            return Jit, (function,)
        raise pickle.PicklingError(
            f"jit: {function.__qualname__} cannot be pickled, captured or not: it has no name in the module "
            f"{function.__module__}"
        )

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __getattr__(self, name: str) -> Any:
        if name == "function" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.function, name)  # a captured model has the model's methods

    def explain(self, index: int | None = None) -> Explanation:
        """What was planned: an object that prints as text, and is a picture in notebooks and `Explanation.save`.

        Parameters
        ----------
        index : int, optional
            Which of the programs, in the order of their capture, one for each kind of arguments; by default all.

        Raises
        ------
        RuntimeError
            If nothing was captured yet.
        IndexError
            If there is no such program.

        Examples
        --------
        >>> import tensorgrad as tg
        >>> captured = tg.jit(lambda x: (tg.tanh(x) * 2 + x).mean())
        >>> y = captured(tg.ones(1000, 100))
        >>> print(captured.explain())
        jit(<lambda>) for (1000, 100) float32
          launches     4 recorded, 0 without effect; run as 1 launch, 1 chain among them
          traffic      3.2 MB recorded, 400.0 KB as planned
          temporaries  0 B in 0 buffers, 0 B if none shared memory; peak with results 4 B
          Python       0 calls, 0 draws of random numbers
        <BLANKLINE>
          step  what                                     bytes
             0  chain on (1000, 100)                  400.0 KB
                  tanh, multiply, add, mean -> ()
        """
        with self._lock:
            captured = [program for programs in self._programs.values() for program in programs]
        if not captured:
            raise RuntimeError(f"explain: {self._name()} was not captured yet; call it with arguments first")
        if index is not None and not -len(captured) <= index < len(captured):
            raise IndexError(f"explain: {self._name()} has {len(captured)} programs, there is none with index {index}")
        chosen = captured if index is None else [captured[index]]
        plans = []
        for program in chosen:
            kinds = ", ".join(f"{shape} {dtype}" for shape, dtype in program.kinds) or "no arguments"
            name = getattr(self.function, "__name__", type(self.function).__name__)
            plans.append(planned(f"jit({name}) for {kinds}", program.program, program.replay))
            if program.gradient is not None:
                plans.append(planned("its gradient", program.gradient.program, program.gradient.replay))
        return Explanation(plans)

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
        if not recording.lasting:
            self._note_unkept()
            return result
        self._last = Captured(recording, self._lock)
        self._programs.setdefault(key, []).append(self._last)
        self._programs.move_to_end(key)
        self._drop_oldest(leaves)
        return result

    def _note_unkept(self) -> None:
        """Say once that the function changes numbers around itself at every call."""
        self._unkept += 1
        if self._unkept == _PROGRAMS:
            warnings.warn(
                f"jit: {self._name()} has changed a number or string in a variable or an attribute at {_PROGRAMS} "
                "calls; a replay would not, so each of them has run the function itself. Count in a tensor instead",
                stacklevel=4,
            )

    def _drop_oldest(self, leaves: list[Any]) -> None:
        """Keep the cache bounded, and say once that it was full."""
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


def _is_watched() -> bool:
    """Whether somebody else wants to see this thread's ops one by one; the recorder of another thread does not."""
    if tape.trace_forward is not None:
        return True
    return bool(registry._hooks) and len(registry._hooks) > capture.recorded_elsewhere() + stands_by()


def modes() -> tuple[Any, ...]:
    """What else a recording depends on."""
    region = autocast_region.get()
    return grad_mode.get(), region and region[:2], get_default_dtype(), get_default_device()


def _signature(leaves: list[Any]) -> tuple[Any, ...]:
    """What of the tensors and arrays a program depends on, and which of them are one."""
    places: dict[int, int] = {}
    return tuple([(signature_of(x), places.setdefault(id(x), i)) for i, x in enumerate(leaves)])


class Captured:
    """A program with what must hold for it to be replayed."""

    def __init__(self, recording: Recording, lock: Any) -> None:
        recorder = recording.recorder
        self.kinds = [(tuple(x.shape), x.dtype) for x in recording.leaves]
        self._structure = recording.structure
        self._leaves = len(recording.leaves)
        self._function_guard = recording.guard
        modules = {id(module): module for module in (*recorder.modules.values(), *recording.guard.modules)}
        self._modules = ModuleGuards(modules.values())
        inputs = set(recorder.inputs)
        outside = [x for x in recorder.tensors.values() if recorder.span(x._data).region not in inputs]
        self._also_given = [(i, recording.leaves[i]) for i in recorder.also_given]
        self._outside = frozenset(map(id, outside))
        self._tensors = TensorGuards([*outside, *(x for _, x in self._also_given)])
        self._found = [
            Found(recorder.places.get(key, x), g if slot is None else (g.shape, g.dtype), slot)
            for key, (x, g, slot) in recorder.entry_grads.items()
        ]
        self._plans = [self._plan(x, recording) for x in recording.outputs]
        firsts: dict[int, int] = {}
        numbered = [(i, firsts.setdefault(id(x), i)) for i, x in enumerate(recording.outputs)]
        self._repeated = [(i, first) for i, first in numbered if i != first]  # one result in two places
        arrays = [x._data if isinstance(x, Tensor) else x for x in recording.outputs]
        self.program: Program = recorder.program(arrays, recorder.instructions[: recording.forward_end])
        self._own_outputs = list(self.program.outputs)
        self.gradient: Gradient | None = None
        self._refused = recording.refused
        stand_ins = {id(x._node): i for i, x in enumerate(recording.leaves) if isinstance(x, Tensor) and x._node}
        self._hooks = [(stand_ins.get(key), guard) for key, guard in recorder.hooked.items()]
        if self._refused is not None:
            self._refused.bind(stand_ins)
        if recording.gradient is not None:
            later = recorder.instructions[recording.forward_end :]
            self.gradient = Gradient(recording.gradient, self.program, recorder, later, stand_ins)
        self.replay = replay_of(self.program)
        written = {r for i in self.program.launches for r in i.writes}
        externals = [r for r in written if r.kind == EXTERNAL]
        self._written = [x for r in externals for x in r.owners]
        self._written_inputs = [r.slot for r in self.program.inputs if r in written]
        self._danger = [bounds(r.array) for r in externals]
        self._roots = {id(r.array) for r in externals}
        self._owners: dict[Region, Tensor] = {r: r.owners[0] for r in self.program.externals() if r.owners}
        self.enter = self._short_way(recording, lock)

    def _short_way(self, recording: Recording, lock: Any) -> Callable[..., Any] | None:
        """The generated function for plain calls; None where calls of this kind are not plain."""
        specs = _plain_specs(recording)
        if specs is None or self._written_inputs or self.replay.targets:
            return None
        if any(found.slot is not None for found in self._found):
            return None
        if any(isinstance(found.target, int) and found.expected is not NotImplemented for found in self._found):
            return None
        guards: list[Callable[[], bool]] = []
        if not self._modules.empty:
            guards.append(self._modules.hold)
        if not self._function_guard.empty:
            guards.append(self._function_guard.hold)
        found = [f for f in self._found if f.expected is not NotImplemented]
        if found:
            guards.append(lambda: all(f.holds(()) for f in found))
        bare = (
            len(self._plans) == 1
            and isinstance(self._plans[0], tuple)
            and self._plans[0][0]
            and self.gradient is None
            and self._refused is None
            and not self._written
            and self._own_outputs[0].region.kind == TEMPORARY
            and self._structure == flatten(recording.outputs[0], [])
        )
        return short_way(
            flatten((recording.args, recording.kwargs), []),
            specs,
            bool(self._danger),
            dict(self._also_given),
            self._tensors.expected,
            self._hooks,
            self._function_guard.functions if self._function_guard.empty else [],  # else its own check is made
            guards,
            lock,
            None if bare else self._finished,
            self._prepare if self.replay.holds_gradients else None,
            self,
        )

    def _plan(self, x: Any, recording: Recording) -> Any:
        """How an output is made: a tensor that was there, the number of an argument, or whether it is a tensor."""
        for k, stand_in in enumerate(recording.stand_ins):
            if x is stand_in:
                return k
        return x if id(x) in recording.recorder.tensors else (isinstance(x, Tensor),)

    # ------------------------------------------------------------------------------------------------------- calling
    def holds(self, leaves: Sequence[Any]) -> bool:
        """Whether everything outside is as it was when the program was recorded."""
        if not (self._tensors.hold() and self._modules.hold() and self._function_guard.hold()):
            return False
        if any(leaves[i] is not x for i, x in self._also_given) or not self._outside.isdisjoint(map(id, leaves)):
            return False
        if not all(guard.holds(guard.node if i is None else leaves[i]._node) for i, guard in self._hooks):
            return False
        return all(found.holds(leaves) for found in self._found)

    def may_run(self, leaves: Sequence[Any]) -> bool:
        """Whether no argument overlaps memory that the program writes elsewhere."""
        if not self._danger and not self._written_inputs:
            return True
        arrays = [x._data if isinstance(x, Tensor) else x for x in leaves]
        if not self._written_inputs and all(a.base is None and id(a) not in self._roots for a in arrays):
            return True  # each has memory of its own
        spans = [bounds(a) for a in arrays]
        for k, (low, high) in enumerate(spans):
            if any(low < end and start < high for start, end in self._danger):
                return False
            if k in self._written_inputs:
                if not (arrays[k].flags.c_contiguous and _is_writeable(arrays[k])):
                    return False
                if any(low < end and start < high for j, (start, end) in enumerate(spans) if j != k):
                    return False
        return True

    def _prepare(self) -> None:
        if self.replay.grads_are_kept():
            self.replay = replay_of(self.program, fresh_grads=True)

    def __call__(self, leaves: Sequence[Any]) -> Any:
        self._prepare()
        arrays = []
        for x in leaves:
            array = x._data if isinstance(x, Tensor) else x
            arrays.append(array if array.flags.c_contiguous else K.copy(array))
        for found in self._found:
            if found.slot is not None:
                arrays.append(found.grad(leaves)._data)
        with K.ieee_semantics():
            results = self.replay.run(*arrays, *[leaves[k] for k in self.replay.targets])
        return self._finished(results, leaves, arrays)

    def _finished(self, results: Sequence[Any], leaves: Sequence[Any], arrays: list[Any]) -> Any:
        """What the call returns; what was written is noted."""
        for x in self._written:
            x._written()
        for k in self._written_inputs:
            self._input(k, leaves)._written()
        made: list[Tensor | None] = [None] * len(self._own_outputs)
        if self.gradient is not None:
            results, made = self.gradient.attach(results, leaves, arrays)
        if self._refused is not None:
            refused = self._refused.attach(results, leaves)
            made = [other if y is None else y for y, other in zip(made, refused, strict=True)]
        outputs = [
            self._output(plan, span, array, tensor, leaves)
            for plan, span, array, tensor in zip(self._plans, self._own_outputs, results, made, strict=True)
        ]
        for i, first in self._repeated:
            outputs[i] = outputs[first]
        return rebuild(self._structure, iter(outputs))

    def _input(self, slot: int, leaves: Sequence[Any]) -> Any:
        """The tensor whose memory an input of the program is."""
        if slot < self._leaves:
            return leaves[slot]
        return next(found for found in self._found if found.slot == slot).grad(leaves)

    def _output(self, plan: Any, span: Span, array: Any, made: Tensor | None, leaves: Sequence[Any]) -> Any:
        if isinstance(plan, int):
            return leaves[plan]
        if isinstance(plan, Tensor):
            return plan
        if not plan[0]:
            return array
        y = Tensor(array) if made is None else made
        region = span.region
        if region.kind == INPUT and isinstance(leaves[region.slot], Tensor):
            y._share_memory_of(leaves[region.slot])
        elif region.kind == EXTERNAL and region in self._owners:
            y._share_memory_of(self._owners[region])
        return y


class Found(NamedTuple):
    """A gradient that the function found, or found missing, when it was recorded.

    Attributes
    ----------
    target : Tensor or int
        The tensor whose gradient it is, or the number of the argument.
    expected : (shape, dtype), Tensor, None or NotImplemented
        Of what there was; or, without a slot, just that; NotImplemented if nobody read it.
    slot : int or None
        Which input of the program it is.
    """

    target: Any
    expected: Any
    slot: int | None

    def grad(self, leaves: Sequence[Any]) -> Any:
        """What is there now."""
        return (leaves[self.target] if isinstance(self.target, int) else self.target).grad

    def holds(self, leaves: Sequence[Any]) -> bool:
        """Whether what is there now can take the place of what was there."""
        expected = self.expected
        if expected is NotImplemented:
            return True
        grad = self.grad(leaves)
        if self.slot is None:
            return grad is expected
        if grad is None or (grad.shape, grad.dtype) != expected:
            return False
        return grad._node is None and bool(grad._data.flags.c_contiguous)


def _plain_specs(recording: Recording) -> list[Argument] | None:
    """What each tensor among the arguments must be again, if there are no arrays and all is in plain memory."""
    leaves = recording.leaves
    if autocast_region.get() is not None or len(set(map(id, leaves))) != len(leaves):
        return None
    if any(type(x) is not Tensor or not x._data.flags.c_contiguous for x in leaves):
        return None
    return [
        Argument(type(a), a.shape, a.dtype, a.strides, x.device, x._node is not None)
        for x, a in ((x, x._data) for x in leaves)
    ]


def _is_writeable(array: Any) -> bool:
    return bool(getattr(array.flags, "writeable", True))
