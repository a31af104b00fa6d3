"""Which replay a program gets: decided once, by where its memory is."""

from __future__ import annotations

from typing import Any, Protocol

from ..backend import Device
from ..capture import CaptureError
from . import cpu
from .memory import Layout
from .passes import Step, without_dead
from .program import CONSTANT, Launch, Program, Region, SetGrad

__all__ = ["Replay", "replay_of"]


class Replay(Protocol):
    """A program that can be run again and again.

    Attributes
    ----------
    scratch : set of Region
        What exists inside of a chain only.
    steps : list
        What runs, after optimisation.
    layout : Layout
        Where temporaries lie.
    scratch : set of Region
        What exists inside of chains only.
    targets : list of int
        Arguments whose ``grad`` the program assigns.
    """

    program: Program
    scratch: set[Region]
    steps: list[Step]
    layout: Layout
    targets: list[int]

    @property
    def run(self) -> Any:
        """``run(*inputs, *given, *targets)`` returns the outputs, in new memory, and the numbers that are told."""

    @property
    def kept_bytes(self) -> int:
        """Memory that is held between calls."""

    @property
    def holds_gradients(self) -> bool:
        """Whether gradients that were assigned lie in memory of the program."""

    def grads_are_kept(self) -> bool:
        """Whether somebody holds on to the gradients of an earlier call, which the next one would overwrite."""


def replay_of(program: Program, fresh_grads: bool = False) -> Replay:
    """The program, ready to run on the device of its arrays.

    Raises
    ------
    CaptureError
        If it works on arrays of several devices.
    """
    device = _device_of(program)
    if device is None or not device.is_cuda:
        return cpu.Replay(program, fresh_grads)
    from .cuda import CudaReplay

    return CudaReplay(program, device, fresh_grads)


def _device_of(program: Program) -> Device | None:
    regions = {span.region for span in program.outputs}
    for instruction in without_dead(program):
        if isinstance(instruction, Launch):
            regions |= instruction.reads | instruction.writes
        elif isinstance(instruction, SetGrad) and instruction.value is not None:
            regions.add(instruction.value.region)
    devices = {r.device for r in regions if r.device is not None}
    accelerators = {d for d in devices if d.is_cuda}
    changing = {r.device for r in regions if r.kind != CONSTANT} - accelerators - {None}
    if len(accelerators) > 1 or (accelerators and changing):
        names = ", ".join(sorted(str(d) for d in devices))
        raise CaptureError(
            f"jit: the function computes on several devices ({names}), and one program runs on one; move its arguments "
            "to one device, or capture the parts one by one"
        )
    return next(iter(accelerators or devices), None)
