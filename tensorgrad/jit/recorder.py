"""The recorder: runs a function once, for real, and writes down what it does to which memory."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import capture
from .. import kernels as K
from ..anomaly import user_line
from ..backend import Device, address, bounds, device_of, owner_of
from ..capture import CaptureError
from ..kernels import Kernel, rules
from ..tensor import Tensor
from .guards import HookGuard, plain_attributes, same
from .observation import observed, peek, peek_grad
from .program import (
    CONSTANT,
    EXTERNAL,
    INPUT,
    TEMPORARY,
    Draw,
    GradRef,
    HostCall,
    Instruction,
    Launch,
    LiveRead,
    Program,
    Region,
    SetGrad,
    Slot,
    Span,
    each,
)

__all__ = ["Recorder"]

# In-place kernels that write their whole first argument without reading it.
_OVERWRITES = {
    K.fill, K.assign, K.arange, K.random_bits, K.uniform, K.normal, K.bernoulli, K.integers, K.permutation,
    K.poisson, K.binomial,
}  # fmt: skip


_one_at_a_time = threading.Lock()  # what shows a recorder the world is there once


class Recorder:
    """Sees one call of a function in one thread.

    Parameters
    ----------
    arrays : list of array
        Arrays that another call will have others for, each the only view of its root.
    given : dict
        The tensor that an argument stands for, by the ``id`` of what stands for it.
    places : dict
        Which argument a tensor was given as, by its ``id``.
    """

    def __init__(self, arrays: list[Any], given: dict[int, Tensor], places: dict[int, int]) -> None:
        self.thread = threading.get_ident()
        self.paused = False
        self.instructions: list[Instruction] = []
        self.inputs: list[Region] = []
        self.slots = 0
        self.modules: dict[int, Any] = {}
        self._plain: dict[int, tuple[Any, dict[str, Any]]] = {}  # modules with plain attributes as they were
        # gradients that the function found, by the id of their tensor, and which inputs they became
        self.entry_grads: dict[int, tuple[Tensor, Any, int | None]] = {}
        self.tensors: dict[int, Tensor] = {}  # that were there before
        self.also_given: set[int] = set()  # numbers of arguments that the function also found outside of itself
        self.given = given
        self.places = places
        self.began = 0  # the tape's time
        self.hooked: dict[int, HookGuard] = {}  # by the id of nodes from outside that a backward has reached
        self._nodes: dict[int, Any] = {}  # of the tensors that were there before
        self._found: dict[int, HookGuard] = {}  # by the id of their nodes: hooks as they were at first
        for x in given.values():
            if x._node is not None:
                self._found[id(x._node)] = HookGuard(x._node)
        self._seen: set[int] = set()  # ids of the tensors whose arrays were read; of others only the gradient was
        self._regions: dict[int, Region] = {}  # by the id of the root
        self._watches: dict[int, Any] = {}  # keeps roots, or weak references to them
        self._anchors: dict[int, int] = {}  # where an input region begins in memory
        self._count = 0
        self._made: dict[int, tuple[weakref.ref[Tensor], str]] = {}
        for slot, array in enumerate(arrays):
            self._enter_input(array, slot)

    # ------------------------------------------------------------------------------------------------------- running
    def run(self, function: Callable[[], Any]) -> Any:
        """Call ``function`` and record it."""
        hook = self._launched  # one object: hooks are removed by identity, and methods are made anew at each access
        with _one_at_a_time:
            capture.start(self)
            K.add_hook(hook)
            try:
                with observed(self):
                    return function()
            finally:
                K.remove_hook(hook)
                capture.stop()

    def program(self, outputs: list[Any], instructions: list[Instruction] | None = None) -> Program:
        """What was recorded, as a function that returns the arrays ``outputs``."""
        recorded = self.instructions if instructions is None else instructions
        spans = [self._returned(self.span(array), recorded) for array in outputs]
        grads = {i.value.region for i in recorded if isinstance(i, SetGrad) and i.value is not None}
        return Program(recorded, list(self.inputs), spans, {g for g in grads if g.kind == TEMPORARY})

    def _returned(self, span: Span, recorded: list[Instruction]) -> Span:
        """A span that the caller may have: a copy of a constant, which the next call needs again."""
        if span.region.kind != CONSTANT:
            return span
        # this call's caller gets the constant itself, and may write into it
        span.region.array = span.region.array.copy(order="K")
        region = self._new(TEMPORARY, span.nbytes, span.region.device)
        strides = [span.dtype.itemsize]
        for length in span.shape[:0:-1]:
            strides.insert(0, strides[0] * length)
        copy = Span(region, 0, span.shape, tuple(strides[: len(span.shape)]), span.dtype)
        recorded.append(Launch(K.copy, (span,), {}, (copy,), False, frozenset((span.region,)), frozenset((region,))))
        return copy

    def escaped(self, kept: list[Tensor]) -> str | None:
        """Where a tensor was made that outlives the call although the caller does not get it."""
        allowed = set()
        for x in kept:
            part: Tensor | None = x
            while part is not None:  # a view keeps what it is a part of
                allowed.add(id(part))
                part = None if part._view is None else part._view.base
        outside = (*self.tensors.values(), *self.given.values())
        allowed.update(id(g) for x in outside if (g := peek_grad(x)) is not None)

        def found() -> list[str]:
            return [line for key, (ref, line) in self._made.items() if key not in allowed and ref() is not None]

        if not found():
            return None
        gc.collect()  # what only a cycle keeps is nobody's
        lines = found()
        return lines[0] if lines else None

    # ------------------------------------------------------------------------------------------------------- regions
    def enter_input(self, array: Any) -> Region:
        """Another array at each call, after those that are known."""
        region = self._enter_input(array, len(self.inputs))
        self.inputs.pop()  # of another program than the one that is being recorded
        return region

    def _enter_input(self, array: Any, slot: int) -> Region:
        region = self._new(INPUT, array.nbytes, device_of(array), slot=slot)
        region.spec = (array.shape, array.dtype)
        self.inputs.append(region)
        root = owner_of(array)
        self._regions[id(root)] = region
        self._watches[id(root)] = root
        self._anchors[region.number] = address(array)
        return region

    def _new(self, kind: str, nbytes: int, device: Device | None, array: Any = None, slot: int = -1) -> Region:
        self._count += 1
        return Region(self._count, kind, nbytes, device, array, slot)

    def _fixed(self, root: Any, kind: str) -> Region:
        """The region of memory that is the same at every call."""
        region = self._regions.get(id(root))
        if region is None:
            region = self._regions[id(root)] = self._new(kind, _extent(root), device_of(root), root)
            self._watches[id(root)] = root
        return region

    def _temporary(self, root: Any) -> Region:
        region = self._regions[id(root)] = self._new(TEMPORARY, _extent(root), device_of(root))
        key = id(root)

        def forget(_: Any) -> None:
            self._regions.pop(key, None)
            self._watches.pop(key, None)

        self._watches[key] = weakref.ref(root, forget)
        return region

    def _begin_at(self, region: Region, array: Any) -> None:
        """Cut off what lies around the one array in some memory, which is there to align it: replay aligns, too."""
        low, high = bounds(array)
        self._anchors[region.number], region.nbytes = low, high - low

    def span(self, array: Any, written: bool = False) -> Span:
        """Where an array is; memory that nobody knew is a constant, or a temporary if it is about to be overwritten."""
        root = owner_of(array)
        region = self._regions.get(id(root))
        if region is None:
            region = self._temporary(root) if written else self._fixed(root, CONSTANT)
        return self._span_in(region, root, array)

    def _span_in(self, region: Region, root: Any, array: Any) -> Span:
        start = self._anchors.get(region.number)
        offset = address(array) - (bounds(root)[0] if start is None else start)
        if start is not None and array.size:
            low, high = bounds(array)
            if low < start or high > start + region.nbytes:
                raise CaptureError(
                    f"jit: at {user_line()}: the function reads memory around one of its arguments; "
                    "pass a copy (x.clone()), or pass what it reads as an argument too"
                )
        return Span(region, offset, array.shape, array.strides, array.dtype)

    # --------------------------------------------------------------------------------------------------- launch hook
    def _launched(self, kernel: Kernel, args: tuple[Any, ...], params: dict[str, Any], run: Callable[[], Any]) -> Any:
        if self.paused or threading.get_ident() != self.thread:
            return run()
        names = [p.split("=")[0].strip() for p in kernel.signature.split(",")]
        out = params.get("out")
        if len(args) > len(names):
            args, out = args[: len(names)], args[len(names)]
        static = {k: v for k, v in params.items() if k != "out" or "out" in names}
        in_place = kernel.rule is rules.in_place
        self._refuse_unknown_shape(kernel, args, static)
        overwrites = kernel in _OVERWRITES

        def enter(value: Any, written: bool = False) -> Any:
            if isinstance(value, Tensor):
                value = peek(value)
            if _is_array(value):
                return self.span(value, written)
            if type(value) in (capture.LiveInt, capture.LiveFloat):
                return Slot(value.slot)
            if isinstance(value, tuple):
                return tuple(enter(v) for v in value)
            if isinstance(value, list):
                return [enter(v) for v in value]
            return value

        recorded = tuple(enter(a, overwrites and i == 0) for i, a in enumerate(args))
        named = {k: enter(v) for k, v in static.items()}
        reads = {s.region for s in each((recorded, named))}
        writes: set[Region] = set()
        if in_place:
            writes = {s.region for s in each(recorded if kernel.family == "optimizer" else recorded[:1])}
        several = isinstance(out, tuple)
        outs: tuple[Span, ...] = ()
        if out is not None and not in_place:
            outs = tuple(self.span(a, written=True) for a in (out if several else (out,)))
            writes = {s.region for s in outs}
        self._keep_pristine(writes)
        result = run()
        if not in_place and out is None:
            several = isinstance(result, tuple)
            arrays = result if several else (result,)
            if all(id(owner_of(a)) in self._regions for a in arrays):
                return result  # a view: nothing was written
            spans = []
            for a in arrays:
                root = owner_of(a)
                region = self._regions.get(id(root))
                if region is None:
                    region = self._temporary(root)
                    if root is not a and root.dtype == np.uint8 and sum(owner_of(x) is root for x in arrays) == 1:
                        self._begin_at(region, a)
                spans.append(self._span_in(region, root, a))
            outs, writes = tuple(spans), {s.region for s in spans}
        self.instructions.append(Launch(kernel, recorded, named, outs, several, frozenset(reads), frozenset(writes)))
        return result

    def _keep_pristine(self, writes: set[Region]) -> None:
        for region in writes:
            if region.kind == CONSTANT and region.pristine is None:
                region.pristine = region.array.copy()

    @staticmethod
    def _refuse_unknown_shape(kernel: Kernel, args: tuple[Any, ...], params: dict[str, Any]) -> None:
        if kernel.rule is rules.by_values:
            raise CaptureError(
                f"jit: at {user_line()}: the shape of {kernel.name}'s result depends on the data and cannot be "
                "recorded; compute it before, and pass it as an argument"
            )
        if kernel is not K.getitem:
            return
        index = args[1] if len(args) > 1 else params["index"]
        for part in index if isinstance(index, tuple) else (index,):
            if _is_array(part) and part.dtype == np.bool_:
                raise CaptureError(
                    f"jit: at {user_line()}: the shape of x[mask] depends on the data and cannot be recorded; "
                    "use where(mask, x, other) or masked_fill"
                )

    # ------------------------------------------------------------------------------------- what tensors are touched
    def saw(self, tensor: Tensor, array: Any) -> None:
        """The array of a tensor was read."""
        key = id(tensor)
        if key in self._made or key in self._seen or key in self.given:
            return
        self._enter_tensor(key, tensor)
        if key in self.places:  # itself, not what stands for it
            self.also_given.add(self.places[key])
        self._seen.add(key)
        root = owner_of(array)
        known = self._regions.get(id(root))
        if known is None or known.kind == CONSTANT:
            known = self._fixed(root, EXTERNAL)
            known.kind = EXTERNAL
        known.owners.append(tensor)

    def _enter_tensor(self, key: int, tensor: Tensor) -> None:
        if key not in self.places and self.tensors.setdefault(key, tensor) is tensor:
            self._nodes.setdefault(key, tensor._node)
            if tensor._node is not None:
                self._found.setdefault(id(tensor._node), HookGuard(tensor._node))

    def attached(self) -> list[Tensor]:
        """Tensors from outside whose place on the tape is another one than when they were first seen."""
        return [self.tensors[key] for key, node in self._nodes.items() if self.tensors[key]._node is not node]

    def reached(self, node: Any) -> None:
        """A backward has found the gradient of a node, and its hooks are next."""
        if node.time <= self.began:
            key = id(node)
            self.hooked[key] = self._found.setdefault(key, HookGuard(node))

    def went_through(self, node: Any) -> None:
        """A backward goes on to the operands of a node: not to those of an argument, which is another's next time."""
        if node.time > self.began:
            return
        waiting = [x._node for x in self.given.values() if x._node is not None]
        while waiting:
            older = waiting.pop()
            if older is node:
                raise CaptureError(
                    f"jit: at {user_line()}: backward() goes on beyond the captured function, through what has made "
                    "one of its arguments, and a replay could not; pass x.detach(), or call backward() outside, on "
                    "what the function returns"
                )
            if older.time > node.time:
                waiting.extend(parent for parent in older.parents if parent is not None)

    def made(self, tensor: Tensor) -> None:
        """A tensor was made."""
        key = id(tensor)
        line = user_line()
        self._made[key] = (weakref.ref(tensor, lambda _: self._made.pop(key, None)), line)

    def replaced(self, tensor: Tensor) -> None:
        """A tensor got another array."""
        if id(tensor) not in self._made:
            raise CaptureError(
                f"jit: at {user_line()}: a tensor of shape {peek(tensor).shape} from outside of the function gets "
                "other memory (.data = ..., .to(...)); write into it instead: x[...] = value"
            )

    def saw_grad(self, tensor: Tensor, grad: Tensor | None) -> None:
        """The gradient of a tensor was read."""
        key = id(tensor)
        if key in self._made or key in self.entry_grads:
            return
        self._enter_tensor(key, tensor)
        slot = None
        if grad is not None and id(grad) not in self._made:
            array = peek(grad)
            if id(owner_of(array)) not in self._regions and array.flags.c_contiguous:
                slot = len(self.inputs)
                self._enter_input(array, slot).owners.append(tensor)
            self._enter_tensor(id(grad), grad)
        self.entry_grads[key] = (tensor, grad, slot)

    def set_grad(self, tensor: Tensor, grad: Tensor | None) -> None:
        """A gradient was assigned."""
        key = id(tensor)
        if key in self._made:
            return
        self._enter_tensor(key, tensor)
        self.entry_grads.setdefault(
            key, (tensor, NotImplemented, None)
        )  # overwritten unread: what it was does not matter
        target = GradRef(self.places.get(key, tensor))
        if grad is not None and grad._node is not None:
            raise CaptureError(
                f"jit: at {user_line()}: a gradient that is itself part of a graph (create_graph=True) is stored in "
                ".grad; use tg.autograd.grad, which returns it"
            )
        self.instructions.append(SetGrad(target, None if grad is None else self.span(peek(grad))))

    # ------------------------------------------------------------------------------------------------ what Python does
    def drawn(self, generator: Any, blocks: int, seed: int, offset: int) -> tuple[int, int]:
        """A part of a random stream was set aside."""
        numbers = capture.LiveInt(seed), capture.LiveInt(offset)
        for number in numbers:
            number.slot = self._next_slot()
        self.instructions.append(Draw(generator, blocks, numbers[0].slot, numbers[1].slot))
        return numbers

    def live(self, value: float, source: Callable[[], float]) -> float:
        """A number that each replay asks for again."""
        number = capture.LiveFloat(value)
        number.slot = self._next_slot()
        self.instructions.append(LiveRead(number.slot, source))
        return number

    def _next_slot(self) -> int:
        self.slots += 1
        return self.slots - 1

    def host_call(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a function that runs again, as Python, at each replay."""
        if any(id(x) in self._made for x in (*args, *kwargs.values())):
            raise CaptureError(
                f"jit: at {user_line()}: {getattr(function, '__qualname__', function)} is given a tensor that the "
                "captured function made; call it outside of the function, with what the function returns"
            )
        self.instructions.append(HostCall(function, args, kwargs))
        self.paused = True
        try:
            result = function(*args, **kwargs)
        finally:
            self.paused = False
        if isinstance(result, Tensor):
            raise CaptureError(
                f"jit: at {user_line()}: {getattr(function, '__qualname__', function)} returned a tensor, which a "
                "replay would not see; compute the loss and call backward() in the function itself, then step()"
            )
        return result

    def host_read(self, what: str, array: Any = None) -> None:
        """Refuse a read of a value."""
        raise CaptureError(
            f"jit: at {user_line()}: {what} is read by Python, which a replay would not see; return it from the "
            "captured function instead, or compute with tensor functions such as where()"
        )

    def called(self, module: Any) -> None:
        """A module took part."""
        if self.modules.setdefault(id(module), module) is module:
            self.note_plain(module)

    def note_plain(self, module: Any) -> None:
        """Remember numbers and strings among the attributes of a module, unless they are known."""
        self._plain.setdefault(id(module), (module, plain_attributes(module)))

    @property
    def changed_module(self) -> bool:
        """Whether the function has given an attribute of a module another plain value."""
        return any(
            not same(vars(module).get(name), value)
            for module, before in self._plain.values()
            for name, value in before.items()
        )


# ----------------------------------------------------------------------------------------------------- memory of arrays
def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "strides") and not isinstance(value, np.generic)


def _extent(root: Any) -> int:
    low, high = bounds(root)
    return high - low
