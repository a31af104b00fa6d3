"""What a program is: how much of it was dropped, fused and put into the same memory, as text and as a picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .passes import Chain, Step, without_dead
from .program import Draw, HostCall, Launch, LiveRead, Program, Region, SetGrad, each
from .replay import Replay

__all__ = ["Explanation", "Lifetime", "Plan", "StepInfo", "planned"]


@dataclass(frozen=True)
class StepInfo:
    """One step of a plan.

    Attributes
    ----------
    kind : {"launch", "chain", "call", "draw", "number", "grad"}
        A kernel; several elementwise ones at once; a function that runs as Python; a part of a random stream set
        aside; a number asked for anew; a gradient assigned.
    name : str
        Of the kernel or the function; of a chain the shape that it runs on.
    details : str
        Shapes of what goes in and out; of a chain the kernels.
    nbytes : int
        What is read from memory and written to it, each operand once.
    """

    kind: str
    name: str
    details: str
    nbytes: int


@dataclass(frozen=True)
class Lifetime:
    """Where and when a buffer is: bytes of the arena, and the first and last step that touches it."""

    offset: int
    nbytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Plan:
    """One program as it runs.

    Attributes
    ----------
    title : str
        Whose, and for which arguments.
    recorded, dropped : int
        Launches that were recorded; those among them whose results nobody uses.
    bytes_recorded, bytes_planned : int
        What the launches move before and after launches were dropped and fused.
    arena_bytes, unshared_bytes : int
        Memory for temporaries, and what it would be if no two of them shared any.
    peak_bytes : int
        The arena together with gradients and with the results of a call.
    steps : list of StepInfo
        In order.
    lifetimes : list of Lifetime
        The buffers in the arena.
    """

    title: str
    recorded: int
    dropped: int
    bytes_recorded: int
    bytes_planned: int
    arena_bytes: int
    unshared_bytes: int
    peak_bytes: int
    steps: list[StepInfo]
    lifetimes: list[Lifetime]

    def count(self, *kinds: str) -> int:
        """How many steps are of the given kinds."""
        return sum(step.kind in kinds for step in self.steps)

    @property
    def host_calls(self) -> list[str]:
        """The functions that run as Python."""
        return [step.name for step in self.steps if step.kind == "call"]

    def __str__(self) -> str:
        chains, calls = self.count("chain"), self.host_calls
        names = f": {', '.join(calls)}" if calls else ""
        numbers = self.count("number")
        lines = [
            self.title,
            f"  launches     {self.recorded} recorded, {self.dropped} without effect; "
            f"run as {_several(self.count('launch', 'chain'), 'launch')}, {_several(chains, 'chain')} among them",
            f"  traffic      {sized(self.bytes_recorded)} recorded, {sized(self.bytes_planned)} as planned",
            f"  temporaries  {sized(self.arena_bytes)} in {_several(len(self.lifetimes), 'buffer')}, "
            f"{sized(self.unshared_bytes)} if none shared memory; peak with results {sized(self.peak_bytes)}",
            f"  Python       {_several(len(calls), 'call')}{names}, "
            f"{_several(self.count('draw'), 'draw')} of random numbers"
            + (f", {_several(numbers, 'number')} asked for anew" if numbers else ""),
            "",
            f"  step  {'what':36}{'bytes':>10}",
        ]
        for i, step in enumerate(self.steps):
            title = step.name if step.kind == "launch" else f"{step.kind} {step.name}"
            if len(title) + len(step.details) < 36:
                lines.append(_row(i, f"{title} {step.details}".rstrip(), step.nbytes))
            else:
                lines += [_row(i, title, step.nbytes), *([f"          {step.details}"] if step.details else [])]
        return "\n".join(lines)


class Explanation:
    """The plans of the programs of a captured function; prints as text, shows as a picture in notebooks.

    Attributes
    ----------
    plans : list of Plan
        One per program, each followed by that of its gradient where results are differentiated outside of it.
    """

    def __init__(self, plans: Sequence[Plan]) -> None:
        self.plans = list(plans)

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.plans))

    __repr__ = __str__

    @property
    def svg(self) -> str:
        """The picture: a row per step, with what it moves, beside the memory that is in use at the time."""
        from .explain_picture import draw

        return draw(self.plans)

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture into an ``.svg`` file, or the text into a ``.txt`` file."""
        name = os.fspath(path)
        if not name.endswith((".svg", ".txt")):
            raise ValueError(f"save: expected the name of an .svg or a .txt file, got {name!r}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.svg if name.endswith(".svg") else f"{self}\n")


def planned(title: str, program: Program, replay: Replay) -> Plan:
    """Describe a program and what runs of it."""
    launches = program.launches
    left = sum(isinstance(i, Launch) for i in without_dead(program))
    scratch, layout = replay.scratch, replay.layout
    steps = [_described(step, scratch) for step in replay.steps]
    kept = {r: r.nbytes for r in program.returned | program.grads}
    return Plan(
        title,
        len(launches),
        len(launches) - left,
        sum(launch.nbytes for launch in launches),
        sum(step.nbytes for step in steps),
        layout.nbytes,
        layout.unshared,
        layout.nbytes + sum(kept.values()),
        steps,
        [Lifetime(offset, r.nbytes, *layout.lifetimes[r]) for r, offset in layout.offsets.items()],
    )


def _described(step: Step, scratch: set[Region]) -> StepInfo:
    if isinstance(step, Launch):
        ins = _shapes(each((step.args, step.params)))
        outs = _shapes(step.outs)
        return StepInfo("launch", step.kernel.name, f"{ins} -> {outs}" if outs else ins, step.nbytes)
    if isinstance(step, Chain):
        used = (each((launch.args, launch.params, launch.outs)) for launch in step.launches)
        spans = {span for group in used for span in group if span.region not in scratch}
        sums = [s for launch in step.launches if not launch.kernel.elementwise for s in launch.outs]
        names = ", ".join(launch.kernel.name for launch in step.launches) + (f" -> {_shapes(sums)}" if sums else "")
        return StepInfo("chain", f"on {step.shape}", names, sum(s.nbytes for s in spans))
    if isinstance(step, HostCall):
        owner = type(step.args[0]).__name__ if "." in step.name and step.args else ""
        return StepInfo("call", f"{owner}.{step.function.__name__}" if owner else step.name, "", 0)
    if isinstance(step, Draw):
        return StepInfo("draw", "random numbers", "", 0)
    if isinstance(step, LiveRead):
        return StepInfo("number", getattr(step.source, "__qualname__", ""), "", 0)
    assert isinstance(step, SetGrad)
    return StepInfo("grad", "= None" if step.value is None else "of shape", _shapes(each((step.value,))), 0)


def _shapes(spans: Any) -> str:
    return " ".join(str(span.shape) for span in spans)


def _several(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 'es' if noun.endswith('ch') else 's'}"


def _row(number: int, what: str, nbytes: int) -> str:
    return f"  {number:4}  {what:36}{sized(nbytes) if nbytes else '':>10}".rstrip()


def sized(nbytes: float) -> str:
    """Bytes in words, a thousand to a kilobyte."""
    for unit in ("B", "KB", "MB"):
        if nbytes < 1000:
            return f"{nbytes} B" if unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= 1000
    return f"{nbytes:.1f} GB"
