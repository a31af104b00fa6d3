"""What a CUDA replay does between two calls of Python: graphs, and the launches that no graph can hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..kernels.cuda.graph import CudaGraph, NotCapturableError
from .passes import Chain, Step
from .program import Draw, HostCall, Launch, LiveRead, Region, SetGrad

__all__ = ["Alone", "Segment", "Stretch", "divided"]

Call = Callable[[], object]


class Segment:
    """Calls that become one graph.

    Attributes
    ----------
    calls : list of callable
    names : list of str
        Of their kernels.
    graph : CudaGraph or None
        None until it is captured: the first run makes the calls one by one.
    """

    def __init__(self, calls: list[Call], names: list[str]) -> None:
        self.calls = calls
        self.names = names
        self.graph: CudaGraph | None = None

    def run(self) -> None:
        """Do the work on the current stream."""
        if self.graph is not None:
            self.graph.launch()
            return
        for call in self.calls:
            call()

    def captured(self) -> Iterator[Segment | Alone]:
        """The same work with graphs; calls that refuse to be captured stand alone between them."""
        waiting: list[Segment | Alone] = [self]
        while waiting:
            piece = waiting.pop()
            if isinstance(piece, Segment) and piece.calls:
                try:
                    piece.graph = CudaGraph(piece.calls)
                except NotCapturableError as refusal:
                    waiting += reversed(piece.around(refusal.position))
                    continue
                yield piece
            elif isinstance(piece, Alone):
                yield piece

    def around(self, at: int) -> tuple[Segment, Alone, Segment]:
        """The calls before one, that one, and the calls after it."""
        calls, names = self.calls, self.names
        before, after = Segment(calls[:at], names[:at]), Segment(calls[at + 1 :], names[at + 1 :])
        return before, Alone(calls[at], names[at]), after


class Alone:
    """A call that is made anew in every run.

    Attributes
    ----------
    run : callable
    name : str
        Of the kernel.
    """

    def __init__(self, call: Call, name: str) -> None:
        self.run = call
        self.name = name


class Stretch:
    """The steps up to the next call of Python, and that call.

    Attributes
    ----------
    drawn : list of Draw or LiveRead
        Numbers that change; found first.
    work : list of Launch or Chain
    pieces : list of Segment or Alone
        What does the work.
    set_grads : list of SetGrad
        Done when the work has been launched.
    then : HostCall or None
    written : list of Region
        Inputs that are written: the caller's memory must know before Python looks.
    refreshed : list of Region
        Inputs that are read later and that the call may have changed.
    """

    def __init__(self) -> None:
        self.drawn: list[Draw | LiveRead] = []
        self.work: list[Launch | Chain] = []
        self.pieces: list[Segment | Alone] = []
        self.set_grads: list[SetGrad] = []
        self.then: HostCall | None = None
        self.written: list[Region] = []
        self.refreshed: list[Region] = []

    def append(self, step: Step) -> None:
        """Take a step in; nothing but launches depends on the order among steps of several kinds."""
        if isinstance(step, (Draw, LiveRead)):
            self.drawn.append(step)
        elif isinstance(step, SetGrad):
            self.set_grads.append(step)
        elif isinstance(step, HostCall):
            self.then = step
        else:
            self.work.append(step)

    @property
    def slots(self) -> set[int]:
        """The slots whose numbers are found here."""
        found: set[int] = set()
        for step in self.drawn:
            found |= {step.seed, step.offset} if isinstance(step, Draw) else {step.slot}
        return found

    def find_numbers(self, numbers: dict[int, Any]) -> None:
        """Set the slots of this stretch."""
        for step in self.drawn:
            if isinstance(step, Draw):
                numbers[step.seed], numbers[step.offset] = step.generator.reserve_stream(step.blocks)
            else:
                numbers[step.slot] = step.source()

    def add(self, call: Call, name: str, alone: bool = False) -> None:
        """Append a call of a kernel to the pieces."""
        if alone:
            self.pieces.append(Alone(call, name))
            return
        if not self.pieces or isinstance(self.pieces[-1], Alone):
            self.pieces.append(Segment([], []))
        segment: Any = self.pieces[-1]
        segment.calls.append(call)
        segment.names.append(name)

    def capture(self) -> None:
        """Replace calls by graphs."""
        pieces: list[Segment | Alone] = []
        for piece in self.pieces:
            pieces += piece.captured() if isinstance(piece, Segment) else (piece,)
        self.pieces = pieces


def divided(steps: list[Step], inputs: list[Region]) -> list[Stretch]:
    """The steps, divided where Python runs.

    Parameters
    ----------
    steps : list of Step
    inputs : list of Region
        Memory that a run copies in.
    """
    stretches = [Stretch()]
    for step in steps:
        stretches[-1].append(step)
        if isinstance(step, HostCall):
            stretches.append(Stretch())
    written = {r for stretch in stretches for step in stretch.work for r in step.writes}
    changing = [r for r in inputs if r in written or r.owners]  # the caller's gradients, which Python may work on
    later: set[Region] = set()
    for stretch in reversed(stretches):
        stretch.refreshed = [r for r in changing if r in later]
        writes = {r for step in stretch.work for r in step.writes}
        stretch.written = [r for r in inputs if r in writes]
        later |= writes.union(*(step.reads for step in stretch.work))
    return stretches
