"""How the emulator runs kernels; a test may change it for a while."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

ORDERS = ("ascending", "descending", "shuffled")


@dataclass
class Settings:
    """The options of a launch.

    Parameters
    ----------
    order : {"ascending", "descending", "shuffled"}
        The order in which blocks, and the warps and lanes of a block, get their turns.
    seed : int
        The seed of the shuffled order.
    check_memory : bool
        Whether kernels are compiled with checks of every memory access (races, bounds,
        uninitialised shared memory). Without them kernels run several times faster.
    poison : bool
        Whether newly allocated memory is filled with NaN patterns.
    """

    order: str = "ascending"
    seed: int = 0
    check_memory: bool = True
    poison: bool = True


def _from_environment() -> Settings:
    settings = Settings()
    settings.order = os.environ.get("TENSORGRAD_EMULATOR_ORDER", settings.order)
    if settings.order not in ORDERS:
        raise ValueError(f"TENSORGRAD_EMULATOR_ORDER is {settings.order!r}, not one of {', '.join(ORDERS)}")
    settings.seed = int(os.environ.get("TENSORGRAD_EMULATOR_SEED", settings.seed))
    settings.check_memory = os.environ.get("TENSORGRAD_EMULATOR_CHECK", "1") != "0"
    return settings


settings = _from_environment()


@contextmanager
def override(**changes: Any) -> Iterator[Settings]:
    """Change settings inside a ``with`` block."""
    known = {field.name for field in fields(settings)}
    if not changes.keys() <= known:
        raise TypeError(f"unknown settings: {', '.join(sorted(changes.keys() - known))}")
    before = {name: getattr(settings, name) for name in changes}
    for name, value in changes.items():
        setattr(settings, name, value)
    try:
        yield settings
    finally:
        for name, value in before.items():
            setattr(settings, name, value)
