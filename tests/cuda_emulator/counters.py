"""Counts of what a program asked of the device, so that tests can forbid hidden work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields


@dataclass
class Counters:
    """How often each thing happened since the counters were started."""

    device_to_host: int = 0
    host_to_device: int = 0
    launches: int = 0
    synchronizations: int = 0
    allocations: int = 0
    graph_launches: int = 0

    def reset(self) -> None:
        """Set every count to zero."""
        for field in fields(self):
            setattr(self, field.name, 0)


_total = Counters()
_active: list[Counters] = [_total]


def total() -> Counters:
    """Return the counters of the whole process."""
    return _total


@contextmanager
def count() -> Iterator[Counters]:
    """Count what happens inside a ``with`` block.

    Examples
    --------
    >>> with count() as counts:
    ...     y = x + 1
    >>> counts.device_to_host, counts.launches
    (0, 1)
    """
    counters = Counters()
    _active.append(counters)
    try:
        yield counters
    finally:
        # By identity: equal counts are equal dataclasses.
        _active[:] = [other for other in _active if other is not counters]


def add(name: str, amount: int = 1) -> None:
    """Add to one count wherever somebody counts."""
    for counters in _active:
        setattr(counters, name, getattr(counters, name) + amount)
