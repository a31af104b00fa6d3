"""The order of work on streams, and the check that conflicting work is ordered.

Work is done at once when it is enqueued, so a program without the synchronisation that a device
needs would compute the right numbers here. To see the mistake, every stream keeps a vector clock:
for each stream, how much of that stream's work is known to come before. Events, synchronisation
and the rules of the null stream merge clocks; an access to memory whose earlier conflicting access
is not in the clock raises.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .errors import EmulatorError

Clock = dict[int, int]

_ids = itertools.count(1)
host_clock: Clock = {}
_deferred: list[tuple[int, int, Callable[[], None]]] = []


def merge(into: Clock, other: Clock) -> None:
    """Make `into` know all that `other` knows."""
    for key, tick in other.items():
        if into.get(key, 0) < tick:
            into[key] = tick


@dataclass(frozen=True, slots=True)
class Region:
    """A range of bytes of one device allocation, and whether it is written."""

    memory: Any
    begin: int
    end: int
    writes: bool


class AccessLog:
    """The last accesses to one allocation, by stream and range of bytes."""

    _LIMIT = 128

    def __init__(self) -> None:
        self._ticks: dict[tuple[int, int, int, bool], int] = {}

    def check(self, queue: Queue, region: Region, label: str) -> None:
        """Raise if an earlier conflicting access is not ordered before `queue`'s next work."""
        own, clock = queue.id, queue.clock
        for (other, begin, end, writes), tick in self._ticks.items():
            if other == own or begin >= region.end or end <= region.begin:
                continue
            if (writes or region.writes) and clock.get(other, 0) < tick:
                raise EmulatorError(
                    f"{label} {'writes' if region.writes else 'reads'} memory on {queue} which "
                    f"work on {describe(other)} {'writes' if writes else 'reads'}, and no event "
                    f"or synchronisation orders the two"
                )

    def add(self, queue: Queue, region: Region) -> None:
        """Note an access at the present time of `queue`."""
        if len(self._ticks) >= self._LIMIT:
            self._compact()
        key = (queue.id, region.begin, region.end, region.writes)
        self._ticks[key] = queue.clock[queue.id]

    def _compact(self) -> None:
        """Drop what the host has waited for; join the ranges of what is left, by stream."""
        joined: dict[tuple[int, bool], tuple[int, int, int]] = {}
        for (queue, begin, end, writes), tick in self._ticks.items():
            if host_clock.get(queue, 0) >= tick:
                continue
            old = joined.get((queue, writes), (begin, end, tick))
            joined[queue, writes] = min(old[0], begin), max(old[1], end), max(old[2], tick)
        self._ticks = {(queue, begin, end, writes): tick for (queue, writes), (begin, end, tick) in joined.items()}


@dataclass(eq=False)
class Queue:
    """A stream as the device sees it: work in order, and what is known to come before it."""

    device: int
    blocking: bool = True
    null: bool = False
    id: int = field(default_factory=lambda: next(_ids))
    clock: Clock = field(default_factory=dict)
    capture: Any = None

    def __post_init__(self) -> None:
        _queues[self.id] = self

    def __str__(self) -> str:
        return describe(self.id)

    def advance(self, regions: Iterable[Region], label: str) -> None:
        """Enqueue one piece of work that touches `regions`."""
        if self.capture is not None:
            self.capture.advance(self, regions, label)
            return
        self.settle()
        regions = tuple(regions)
        for region in regions:
            region.memory.log.check(self, region, label)
        self.tick()
        for region in regions:
            region.memory.log.add(self, region)

    def settle(self) -> None:
        """Take over the order that the host and the null stream impose on new work."""
        merge(self.clock, host_clock)
        if self.null:
            for other in list(_queues.values()):
                if other.blocking and other.device == self.device and other.capture is None:
                    merge(self.clock, other.clock)
        elif self.blocking:
            merge(self.clock, null_queue(self.device).clock)

    def tick(self) -> None:
        """Count one more piece of work."""
        self.clock[self.id] = self.clock.get(self.id, 0) + 1


_queues: weakref.WeakValueDictionary[int, Queue] = weakref.WeakValueDictionary()
_null_queues: dict[int, Queue] = {}


def null_queue(device: int) -> Queue:
    """Return the null stream of a device."""
    if device not in _null_queues:
        _null_queues[device] = Queue(device, null=True)
    return _null_queues[device]


def describe(queue_id: int) -> str:
    """Return a stream's name for messages."""
    queue = _queues.get(queue_id)
    if queue is None:
        return f"stream {queue_id} (deleted)"
    kind = "the null stream" if queue.null else f"stream {queue_id}"
    return f"{kind} of device {queue.device}"


def defer(queue: Queue, action: Callable[[], None]) -> None:
    """Do something when the host has waited for the work that `queue` has been given so far."""
    _deferred.append((queue.id, queue.clock[queue.id], action))


def host_waits_for(clock: Clock) -> None:
    """Make the host know all that a clock knows."""
    merge(host_clock, clock)
    due = [entry for entry in _deferred if host_clock.get(entry[0], 0) >= entry[1]]
    _deferred[:] = [entry for entry in _deferred if host_clock.get(entry[0], 0) < entry[1]]
    for _, _, action in due:
        action()


def synchronize_queue(queue: Queue) -> None:
    """Make the host wait for all work of a stream."""
    if queue.null:
        queue.settle()
    host_waits_for(queue.clock)


def synchronize_device(device: int) -> None:
    """Make the host wait for all work of a device."""
    clock: Clock = {}
    for queue in list(_queues.values()):
        if queue.device == device:
            merge(clock, queue.clock)
    host_waits_for(clock)


def join_devices(first: int, second: int) -> None:
    """Order the null streams of two devices, as a copy between the devices on them does."""
    queues = null_queue(first), null_queue(second)
    for queue in queues:
        queue.settle()
    merge(queues[0].clock, queues[1].clock)
    merge(queues[1].clock, queues[0].clock)


def capturing_queues(device: int) -> list[Queue]:
    """Return the streams of a device that are being captured."""
    return [queue for queue in list(_queues.values()) if queue.capture is not None and queue.device == device]
