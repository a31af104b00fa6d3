"""Batches that are cut out of whole tensors, without a look at single samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import kernels as K
from ..backend import Device, device_of, to_device
from ..random import Generator, randperm
from ..tensor import Tensor

__all__ = ["cut_in_order", "gathered"]

# How much is gathered at once from whole tensors: many small batches share one gather, and what was gathered is still
# in the cache when the model reads it. Ten times as much is slower, for the fresh memory that it touches.
_CHUNK_BYTES = 1 << 20


def cut_in_order(
    tensors: tuple[Tensor, ...],
    rows: Any,
    size: int,
    total: int,
    skip: int,
    shuffle: bool,
    generator: Generator | None,
    device: Device | None,
) -> Iterator[tuple[Tensor, ...]]:
    """Batches of ``size`` of the first ``total`` rows (or of ``rows``), in order or shuffled, ``skip`` left out."""
    arrays = [x._data for x in tensors]
    here = device_of(arrays[0])
    if rows is not None:
        rows = to_device(rows, here)
    if shuffle:  # drawn here and now, not when the first batch is asked for
        order = randperm(arrays[0].shape[0] if rows is None else len(rows), device=here, generator=generator)._data
        rows = order if rows is None else K.take(rows, order, 0)
    return _cut(arrays, rows, size, total, skip * size, device)


def _cut(
    arrays: list[Any], rows: Any, size: int, total: int, first: int, device: Device | None
) -> Iterator[tuple[Tensor, ...]]:
    """Gather a run of batches at once, hand out slices, which do not overlap."""
    batch_bytes = sum(a.nbytes for a in arrays) * size // max(arrays[0].shape[0], 1)
    step = size * max(1, _CHUNK_BYTES // max(batch_bytes, 1))
    for start in range(first, total, step):
        end = min(start + step, total)
        if rows is None:
            parts = [_copied(a[start:end], device) for a in arrays]
        else:
            index = rows[start:end]
            parts = [_moved(K.take(a, index, 0), device) for a in arrays]
        for offset in range(0, end - start, size):
            yield tuple([Tensor(p[offset : offset + size]) for p in parts])


def gathered(
    tensors: tuple[Tensor, ...], rows: Any, batches: Iterator[list[int]], device: Device | None
) -> Iterator[tuple[Tensor, ...]]:
    """Batches of whole tensors in a sampler's order."""
    arrays = [x._data for x in tensors]
    here = device_of(arrays[0])
    if rows is not None:
        rows = to_device(rows, here)
    for batch in batches:
        index = to_device(np.asarray(batch, np.int64), here)
        if rows is not None:
            index = K.take(rows, index, 0)
        yield tuple([Tensor(_moved(K.take(a, index, 0), device)) for a in arrays])


def _moved(array: Any, device: Device | None) -> Any:
    return array if device is None else to_device(array, device)


def _copied(array: Any, device: Device | None) -> Any:
    moved = _moved(array, device)
    return K.copy(array) if moved is array else moved
