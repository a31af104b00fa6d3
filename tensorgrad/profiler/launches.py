"""Launches as data: what is known of one, and sums over many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["COLUMNS", "KEYS", "Entry", "Launch", "added_up", "table"]

KEYS = ("kernel", "shapes", "module", "phase", "device", "thread")
"""What launches can be grouped by."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One launch of a kernel.

    Attributes
    ----------
    kernel : str
    shapes : str
        Of the operands: ``(64, 10) (10,) list of 6``.
    module : str
        The layer that called it, or whose gradient it computes: the class of the outermost module and the dotted name
        below it, ``Sequential.0``. Empty outside of modules.
    phase : str
        ``"forward"`` within a call of a module, ``"backward"`` for gradients, ``"other"`` for the rest.
    device : str
    thread : str
        Name of the thread.
    start : float
        Seconds since the profile began.
    total : float
        Seconds that it took; on CUDA, on the device.
    seconds : float
        ``total`` without the launches of other kernels within it.
    host : float
        Seconds that the launching thread spent, launches within it included. On the CPU what ``total`` is.
    bytes : int
        Of its operands and results: what it moves if it reads or writes each once.
    flops : int
        Twice the multiply-adds of matrix products, convolutions, attention and recurrent layers.
    """

    kernel: str
    shapes: str
    module: str
    phase: str
    device: str
    thread: str
    start: float
    total: float
    seconds: float
    host: float
    bytes: int
    flops: int


@dataclass
class Entry:
    """Launches that have something in common. The keys that they were not grouped by are empty.

    Attributes
    ----------
    kernel, shapes, module, phase, device, thread : str
        As in `Launch`.
    calls : int
    seconds, host : float
        Sums over the launches.
    share : float
        Of the seconds of all launches.
    bytes, flops : int
        Sums over the launches.
    """

    kernel: str = ""
    shapes: str = ""
    module: str = ""
    phase: str = ""
    device: str = ""
    thread: str = ""
    calls: int = 0
    seconds: float = 0.0
    host: float = 0.0
    share: float = 0.0
    bytes: int = 0
    flops: int = 0
    keys: tuple[str, ...] = field(default=(), repr=False)

    @property
    def average(self) -> float:
        """Seconds per launch."""
        return self.seconds / self.calls if self.calls else 0.0

    @property
    def bandwidth(self) -> float:
        """Bytes per second."""
        return self.bytes / self.seconds if self.seconds else 0.0


def added_up(launches: Iterable[Launch], by: str | Sequence[str]) -> list[Entry]:
    """One entry for each combination of the keys, the one with most seconds first."""
    keys = (by,) if isinstance(by, str) else tuple(by)
    unknown = [key for key in keys if key not in KEYS]
    if unknown or not keys:
        raise ValueError(f"key_averages: cannot group by {unknown or 'nothing'}; there is {', '.join(KEYS)}")
    entries: dict[tuple[Any, ...], Entry] = {}
    for launch in launches:
        values = tuple(getattr(launch, key) for key in keys)
        entry = entries.get(values)
        if entry is None:
            entry = entries[values] = Entry(**dict(zip(keys, values, strict=True)), keys=keys)
        entry.calls += 1
        entry.seconds += launch.seconds
        entry.host += launch.host
        entry.bytes += launch.bytes
        entry.flops += launch.flops
    whole = sum(entry.seconds for entry in entries.values())
    for entry in entries.values():
        entry.share = entry.seconds / whole if whole else 0.0
    return sorted(entries.values(), key=lambda entry: -entry.seconds)


COLUMNS: dict[str, str] = {
    "time": "seconds",
    "share": "share",
    "calls": "calls",
    "average": "average",
    "host": "host",
    "bytes": "bytes",
    "bandwidth": "bandwidth",
    "flops": "flops",
}
"""What a table can be sorted by, and the attribute of an entry that it is."""


def table(entries: list[Entry], sort_by: str, limit: int | None) -> str:
    """Entries as text, one a line, the largest first."""
    if sort_by not in COLUMNS:
        raise ValueError(f"table: cannot sort by {sort_by!r}; there is {', '.join(COLUMNS)}")
    if limit is not None and limit < 0:
        raise ValueError(f"table: limit must not be negative, got {limit}")
    entries = sorted(entries, key=lambda entry: -float(getattr(entry, COLUMNS[sort_by])))
    shown = entries if limit is None else entries[:limit]
    keys = shown[0].keys if shown else ()
    head = ["time ms", "share", "calls", "us/call", "host ms", "MB", "GB/s", "GFLOP", *keys]
    rows = [
        [
            f"{entry.seconds * 1e3:.3f}",
            f"{entry.share:.1%}",
            str(entry.calls),
            f"{entry.average * 1e6:.1f}",
            f"{entry.host * 1e3:.3f}",
            f"{entry.bytes / 1e6:.2f}",
            f"{entry.bandwidth / 1e9:.1f}",
            f"{entry.flops / 1e9:.3f}" if entry.flops else "",
            *(getattr(entry, key) or "-" for key in keys),
        ]
        for entry in shown
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    numbers = len(head) - len(keys)
    lines = [
        "  ".join(
            cell.rjust(width) if i < numbers else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in [head, *rows]
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    left_out = entries[len(shown) :]
    if left_out:
        rest = sum(entry.share for entry in left_out)
        lines.append(f"and {len(left_out)} more with {rest:.1%} of the time")
    calls, seconds = sum(entry.calls for entry in entries), sum(entry.seconds for entry in entries)
    lines.append(f"{calls} launches, {seconds * 1e3:.3f} ms in kernels")
    return "\n".join(lines)
