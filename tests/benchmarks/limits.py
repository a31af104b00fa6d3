"""What the machine can do at most: matrix products and copies, in the same run as the table."""

from __future__ import annotations

import importlib.util
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

__all__ = ["Limits", "measure"]

_SIDE = 2048  # of the square matrices
_BYTES = 256 * 2**20  # copied from; eight times a large cache
_REPEATS = 8


@dataclass(frozen=True)
class Limits:
    """The best of some repeats.

    Attributes
    ----------
    sgemm : dict
        GFLOP/s of a float32 matrix product, by library.
    copy : dict
        GB/s, read and written bytes counted, of copying an array that no cache holds, by library.
    """

    sgemm: dict[str, float]
    copy: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


def measure(threads: int) -> Limits:
    """In a process of its own for each library, one after the other."""
    libraries = [name for name in ("numpy", "torch") if importlib.util.find_spec(name) is not None]
    context = multiprocessing.get_context("spawn")
    sgemm, copy = {}, {}
    for library in libraries:
        with context.Pool(1) as pool:
            sgemm[library], copy[library] = pool.apply(_limits_of, (library, threads))
    return Limits(sgemm, copy)


def _limits_of(library: str, threads: int) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((_SIDE, _SIDE)).astype(np.float32) for _ in range(2))
    source = np.ones(_BYTES // 4, np.float32)
    product, target = np.empty_like(a), np.empty_like(source)
    if library == "torch":
        import torch

        torch.set_num_threads(threads)
        ta, tb, tp, ts, tt = (torch.from_numpy(array) for array in (a, b, product, source, target))
        seconds = _best(lambda: torch.mm(ta, tb, out=tp)), _best(lambda: tt.copy_(ts))
    else:
        seconds = _best(lambda: np.matmul(a, b, out=product)), _best(lambda: np.copyto(target, source))
    return 2 * _SIDE**3 / seconds[0] / 1e9, 2 * _BYTES / seconds[1] / 1e9


def _best(run: Callable[[], Any]) -> float:
    durations = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        run()
        durations.append(time.perf_counter() - start)
    return min(durations)
