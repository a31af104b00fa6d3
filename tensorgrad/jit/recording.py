"""One call of a function, recorded: run for real, on stand-ins for its arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import kernels as K
from ..backend import address
from ..capture import CaptureError
from ..ops.precision import autocast_region
from ..tape import clock
from ..tensor import Tensor
from .backward import Refused, Unbound, record_gradient
from .cpu import bytes_of
from .guards import FunctionGuard
from .observation import peek
from .program import Launch
from .recorder import Recorder
from .signature import flatten, rebuild

__all__ = ["Recording"]


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
        self.args = args
        self.kwargs = kwargs
        self.leaves = leaves
        unlike = {id(x): x for x in leaves}  # one that is given twice has one stand-in: functions ask `query is key`
        alones = {key: _alone(x._data if isinstance(x, Tensor) else x) for key, x in unlike.items()}
        stand_ins = {key: _stand_in(x, alones[key]) for key, x in unlike.items()}
        arrays = [alones[id(x)] for x in leaves]
        self.stand_ins = [stand_ins[id(x)] for x in leaves]
        self._args, self._kwargs = rebuild(flatten((args, kwargs), []), iter(self.stand_ins))
        tensors = [i for i, x in enumerate(leaves) if isinstance(x, Tensor)]
        given = {id(self.stand_ins[i]): leaves[i] for i in tensors}
        self.recorder = Recorder(arrays, given, {id(leaves[i]): i for i in tensors})
        self._arrays = arrays
        self._start = self.recorder.began = next(clock)
        self.outputs: list[Any] = []
        self.structure: Any = None
        self.forward_end = 0
        self.gradient: Unbound | None = None
        self.refused: Refused | None = None
        self.guard = FunctionGuard(function, (args, tuple(kwargs.values())))
        for module in self.guard.modules:
            self.recorder.note_plain(module)
        self.lasting = True  # whether a replay is the same: it would not change the variables that the call has changed

    def run(self) -> Any:
        """Call the function on stand-ins for its arguments, and note what it returned."""
        region = autocast_region.get()
        token = autocast_region.set(region if region is None else region._replace(cache={}))
        try:
            self.recorder.run(self._body)
        finally:
            autocast_region.reset(token)
        self.lasting = not (self.guard.changed or self.recorder.changed_module)
        self.guard.recorded()
        self._hand_back()
        return rebuild(self.structure, iter(self.outputs), self._as_given)

    def _body(self) -> None:
        result = self.function(*self._args, **self._kwargs)
        self.structure = flatten(result, self.outputs)
        for x in self.outputs:
            if isinstance(x, Tensor):
                self.recorder.saw(x, peek(x))  # one from outside may have been passed on without a look at it
        self.forward_end = len(self.recorder.instructions)
        self.gradient, self.refused = record_gradient(self.recorder, self.outputs, self._start)

    def _hand_back(self) -> None:
        """Give arguments what was written into the copies that stood for them."""
        written = {r for i in self.recorder.instructions if isinstance(i, Launch) for r in i.writes}
        attached = self.recorder.attached()
        for i, (x, stand_in) in enumerate(zip(self.leaves, self.stand_ins, strict=True)):
            original = x._data if isinstance(x, Tensor) else x
            if self.recorder.inputs[i] in written and address(original) != address(self._arrays[i]):
                K.assign(original, self._arrays[i])
                if isinstance(x, Tensor):
                    x._written()
            if isinstance(x, Tensor) and stand_in._node is not x._node:
                attached.append(x)
        if attached:
            raise CaptureError(
                f"jit: a tensor of shape {attached[0].shape}, which was there before, was put on the tape by an "
                "in-place write or by requires_grad, and a replay could not do so; compute a new tensor and return it, "
                "or have x.detach() require the gradient"
            )

    def _as_given(self, output: Any) -> Any:
        """An output of the first call: the argument itself where the function returned that."""
        for x, stand_in in zip(self.leaves, self.stand_ins, strict=True):
            if output is stand_in:
                return x
        return output

    def escaped(self) -> str | None:
        """Where a tensor was made that the function keeps."""
        kept = [x for x in self.outputs if isinstance(x, Tensor)]
        for found in (self.gradient, self.refused):
            kept += [] if found is None else found.kept
        return self.recorder.escaped(kept)


def _alone(array: Any) -> Any:
    """The same memory as an array that is nobody's view, so that what is read through it is known to be the argument.

    Arrays that are not contiguous are copied, as replays do.
    """
    if not array.flags.c_contiguous:
        return K.copy(array)
    if not isinstance(array, np.ndarray):
        return type(array)(array.shape, array.dtype, array.data)
    return np.ndarray(array.shape, array.dtype, bytes_of(array))


def _stand_in(x: Any, array: Any) -> Any:
    if not isinstance(x, Tensor):
        return array
    y = Tensor(array, x._node)
    if address(array) == address(x._data):
        y._share_memory_of(x)
    return y
