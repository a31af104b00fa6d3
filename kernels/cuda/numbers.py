"""Numbers in device memory that the host sets: what captured kernels read in place of arguments that change."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from .module import launch

__all__ = ["INSTANTIATIONS", "Numbers"]

INSTANTIATIONS = {"numbers": ["put_words"]}

_AT_ONCE = 448  # as in numbers.cu
_WORD = np.dtype((np.void, 8 * _AT_ONCE))


class Numbers:
    """Cells of eight bytes on the current device.

    Parameters
    ----------
    dtypes : list of dtype
        Of each cell.

    Attributes
    ----------
    cells : list of array
        A 0-d array for each.
    """

    def __init__(self, dtypes: list[Any]) -> None:
        self._dtypes = dtypes
        self._memory = cupy.empty(max(len(dtypes), 1), np.uint64)
        at = self._memory.data
        self.cells = [cupy.ndarray((), dtype, at + 8 * i) for i, dtype in enumerate(dtypes)]

    def put(self, first: int, values: list[Any]) -> None:
        """Set the cells from ``first`` on, in the order of the current stream."""
        for start in range(0, len(values), _AT_ONCE):
            part = values[start : start + _AT_ONCE]
            words = np.zeros(_AT_ONCE, np.uint64)
            for i, value in enumerate(part):
                dtype = self._dtypes[first + start + i]
                number = int(value) % (1 << 64) if dtype == np.uint64 else value
                words[i : i + 1].view(dtype)[0] = number
            arguments = (self._memory[first + start :], words.view(_WORD), np.int32(len(part)))
            launch("numbers", "put_words", (1,), (128,), arguments)
