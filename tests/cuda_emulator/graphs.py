"""Stream capture: work is recorded instead of done, and done whenever the graph is launched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from . import counters, ordering
from .errors import CUDARuntimeError, EmulatorError
from .ordering import AccessLog, Queue, Region
from .state import thread_state

_CAPTURE_UNSUPPORTED, _CAPTURE_INVALIDATED, _CAPTURE_UNJOINED, _CAPTURE_ISOLATION = 900, 901, 904, 905


class Capture:
    """The recording of one graph on one stream and the streams that join it through events.

    The order of captured work is checked like that of any other work, with clocks that know
    nothing of the work outside.
    """

    def __init__(self, origin: Queue) -> None:
        self.origin = origin
        self.active = True
        self.valid = True
        self._outside: dict[Queue, ordering.Clock] = {}
        self._logs: defaultdict[Any, AccessLog] = defaultdict(AccessLog)
        self._nodes: list[tuple[Callable[[], object], tuple[Region, ...]]] = []
        self._pending: tuple[Region, ...] = ()
        self.join(origin)

    def join(self, queue: Queue) -> None:
        """Let a stream take part, because it waits for an event of this capture."""
        if queue.capture is self:
            return
        if queue.capture is not None or queue.null or not self.active:
            raise CUDARuntimeError(_CAPTURE_ISOLATION)
        self._outside[queue] = queue.clock
        queue.clock = {}
        queue.capture = self

    def advance(self, queue: Queue, regions: Iterable[Region], label: str) -> None:
        """Check and note one piece of work of a captured stream."""
        self._pending = tuple(regions)
        for region in self._pending:
            self._logs[region.memory].check(queue, region, label)
        queue.tick()
        for region in self._pending:
            self._logs[region.memory].add(queue, region)

    def add(self, action: Callable[[], object]) -> None:
        """Record what the piece of work noted last does."""
        self._nodes.append((action, self._pending))

    def invalidate(self) -> None:
        """Something was asked for that no captured stream does."""
        self.valid = False

    def finish(self) -> Graph:
        """End the recording; every stream goes back to its own work."""
        done = self.origin.clock
        unjoined = any(done.get(queue.id, 0) < queue.clock.get(queue.id, 0) for queue in self._outside)
        self.abandon()
        if not self.valid:
            raise CUDARuntimeError(_CAPTURE_INVALIDATED)
        if unjoined:
            raise CUDARuntimeError(_CAPTURE_UNJOINED)
        return Graph(self._nodes, self.origin.device)

    def abandon(self) -> None:
        """Take every stream out of the capture."""
        self.active = False
        for queue, clock in self._outside.items():
            queue.clock = clock
            queue.capture = None


class Graph:
    """A recorded piece of work; see ``cupy.cuda.Graph``."""

    def __init__(self, nodes: list[tuple[Callable[[], object], tuple[Region, ...]]], device: int) -> None:
        self._nodes = nodes
        self._device = device

    def launch(self, stream: Any = None) -> None:
        """Do the recorded work, on the current stream by default."""
        from .memory import lent_to_graph
        from .streams import get_current_stream

        if thread_state.device != self._device:
            raise CUDARuntimeError(400)
        queue = (stream or get_current_stream()).queue
        if queue.capture is not None:
            raise CUDARuntimeError(_CAPTURE_UNSUPPORTED)
        regions = dict.fromkeys(region for _, regions in self._nodes for region in regions)
        for region in regions:
            if region.memory.released:
                raise EmulatorError(
                    "the graph uses memory that its pool has given back to the device: keep the "
                    "pool and the captured arrays alive as long as the graph"
                )
        counters.add("graph_launches")
        queue.advance(regions, "graph")
        with lent_to_graph(regions):
            for action, _ in self._nodes:
                action()

    def upload(self, stream: Any = None) -> None:
        """Prepare the graph on the device; there is nothing to prepare here."""

    def debug_dot_str(self, flags: int = 0) -> str:
        """Return the nodes in the DOT language."""
        names = "".join(f'  n{i} [label="node {i}"];\n' for i in range(len(self._nodes)))
        edges = "".join(f"  n{i} -> n{i + 1};\n" for i in range(len(self._nodes) - 1))
        return f"digraph {{\n{names}{edges}}}\n"
