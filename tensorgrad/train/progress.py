"""The progress bar of an epoch."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .measure import Measurements

__all__ = ["described", "interval_of", "progress_bar"]

SECONDS_ON_SCREEN = 0.25
SECONDS_IN_LOG = 10.0


def described(measured: Measurements, validated: Mapping[str, float] | None = None) -> str:
    """The text behind the bar."""
    text = f"{_listed(measured.means())}, {measured.samples_per_second:,.0f} samples/s"
    return f"{text} | validation {_listed(validated)}" if validated else text


def _listed(means: Mapping[str, float]) -> str:
    shown = ((name, f"{value:.2%}" if name == "accuracy" else f"{value:.4f}") for name, value in means.items())
    return ", ".join(f"{name} {value}" for name, value in shown)


def interval_of(bar: Any) -> float:
    """Seconds between two looks at what was measured."""
    return SECONDS_IN_LOG if bar is None else float(bar.mininterval)


def _in_notebook() -> bool:
    """Whether output goes to a notebook's cell, which is no terminal but draws over a line all the same."""
    interactive = sys.modules.get("IPython")
    shell = None if interactive is None else interactive.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


@contextmanager
def progress_bar(loader: Any, title: str, progress: bool | None) -> Iterator[Any]:
    """A tqdm bar that counts batches, or None if none is to be shown."""
    terminal = hasattr(sys.stderr, "isatty") and sys.stderr.isatty()
    on_screen = terminal or _in_notebook()
    if progress is False or (progress is None and not on_screen):
        yield None
        return
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[misc]
        monitor_interval = 0  # tqdm would start a thread

    try:
        total = len(loader)
    except TypeError:  # a generator
        total = None
    # Without a terminal, the delay keeps tqdm from printing a bar at 0%.
    bar = Bar(
        total=total,
        desc=title,
        file=sys.stderr,
        mininterval=SECONDS_ON_SCREEN if on_screen else SECONDS_IN_LOG,
        miniters=1,
        delay=0 if on_screen else 1e-3,
        dynamic_ncols=terminal,
        bar_format="{desc} {percentage:3.0f}%|{bar:12}| {n_fmt}/{total_fmt}{postfix}",
    )
    try:
        yield bar
    finally:
        bar.delay = 0  # or tqdm would leave the last state out
        bar.close()
