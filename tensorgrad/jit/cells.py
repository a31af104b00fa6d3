"""Numbers that change from call to call, in device memory: what a CUDA graph reads in place of an argument."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import kernels as K
from ..kernels.cuda.numbers import Numbers
from .program import Launch, Slot, Span, each, slots_of
from .stretch import Stretch

__all__ = ["Cells", "takes_cells"]

_WORD = np.dtype(np.uint64)


def named_arguments(launch: Launch) -> Iterator[tuple[str, Any]]:
    """The arguments of a launch with the names that the signature gives them."""
    names = [p.split("=")[0].strip() for p in launch.kernel.signature.split(",")]
    yield from zip(names, launch.args, strict=False)
    yield from launch.params.items()


def _dtype(launch: Launch, name: str) -> Any | None:
    """The dtype in which a kernel reads the argument from memory; None if it takes it as a number only."""
    if name in ("seed", "offset"):
        return _WORD
    if launch.kernel.elementwise:
        others = [v for n, v in named_arguments(launch) if isinstance(v, Span) and n != "condition"]
        return others[0].dtype if others else None
    if launch.kernel is K.fill:
        return next(each(launch.args)).dtype
    return np.dtype(np.float64) if launch.kernel is K.scale else None


def takes_cells(launch: Launch) -> bool:
    """Whether a launch can read all of its numbers from memory."""
    found = [(name, value) for name, value in named_arguments(launch) if isinstance(value, Slot)]
    if len(found) < len(list(slots_of((launch.args, launch.params)))):  # some are inside of lists
        return False
    dtypes = [_dtype(launch, name) for name, _ in found]
    return all(d is not None and d.itemsize <= _WORD.itemsize for d in dtypes)


class Cells:
    """The cells of a program: one for each number and dtype in which some kernel reads it.

    Parameters
    ----------
    stretches : list of Stretch
        Which find the numbers; those that nobody finds are there before the first.
    """

    def __init__(self, stretches: list[Stretch]) -> None:
        places = {slot: i for i, stretch in enumerate(stretches) for slot in stretch.slots}
        wanted: dict[tuple[int, Any], None] = {}
        for stretch in stretches:
            for step in stretch.work:
                if isinstance(step, Launch) and takes_cells(step):
                    for name, value in named_arguments(step):
                        if isinstance(value, Slot):
                            wanted[value.number, _dtype(step, name)] = None
        order = sorted(wanted, key=lambda cell: places.get(cell[0], 0))
        self._numbers = Numbers([dtype for _, dtype in order])
        self._array = dict(zip(order, self._numbers.cells, strict=True))
        self._filled: list[tuple[int, list[int]]] = []
        first = 0
        for i in range(len(stretches)):
            slots = [slot for slot, _ in order if places.get(slot, 0) == i]
            self._filled.append((first, slots))
            first += len(slots)

    def put(self, stretch: int, numbers: dict[int, Any]) -> None:
        """Write what a stretch has found, in the order of the current stream."""
        first, slots = self._filled[stretch]
        if slots:
            self._numbers.put(first, [numbers[slot] for slot in slots])

    def argument(self, launch: Launch, name: str, value: Any) -> Any:
        """The array that takes the place of a number."""
        return self._array[value.number, _dtype(launch, name)] if isinstance(value, Slot) else value
