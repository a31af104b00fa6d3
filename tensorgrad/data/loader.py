"""The DataLoader: a dataset, in some order, as batches on a device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from .. import kernels as K
from ..backend import Device, device_of, resolve_device, to_device
from ..creation import as_tensor, tensor
from ..cuda.transfer import pinned_if_possible, prefetched
from ..ops.shape import stack
from ..random import Generator, randperm
from ..tape import no_grad
from ..tensor import Tensor
from .dataset import whole_tensors
from .sampler import BatchSampler, RandomSampler, SequentialSampler, positive_integer

__all__ = ["DataLoader", "collate"]

# How much is gathered at once from whole tensors: many small batches share one gather, and what was gathered is still
# in the cache when the model reads it. Ten times as much is slower, for the fresh memory that it touches.
_CHUNK_BYTES = 1 << 20


class DataLoader:
    """Iterates over a dataset in batches; every ``iter`` is one epoch.

    A batch is what ``collate_fn`` makes of its samples. Of a `TensorDataset` (or a `Subset` of one) the batches are cut
    out of the whole tensors, which costs about a microsecond per batch. Batches are copies and carry no gradient.

    Parameters
    ----------
    dataset : Dataset
        Anything with ``len(dataset)`` and ``dataset[i]``.
    batch_size : int
        Samples per batch.
    shuffle : bool
        Visit the samples in a fresh random order each epoch. One seed gives one order, on every device.
    sampler : iterable of int, optional
        The order, in place of ``shuffle``.
    batch_sampler : iterable of list of int, optional
        The batches, in place of ``batch_size``, ``shuffle``, ``sampler`` and ``drop_last``.
    drop_last : bool
        Leave out the last batch if it is smaller.
    generator : Generator, optional
        Draws the order; `tensorgrad.random.default_generator` if not given.
    collate_fn : callable, optional
        Makes a batch of a list of samples; `collate` if not given.
    device : str or Device, optional
        Where the batches go. By default they stay where the dataset is.
    pin_memory : bool
        Batches of a dataset in host memory go through page-locked memory. With a CUDA ``device``, the next batches are
        copied to it while one is used; without ``device``, the batches are page-locked, for
        ``x.to("cuda", non_blocking=True)``. Where there is no GPU, this changes nothing.
    prefetch_factor : int, optional
        Number of page-locked buffers for the copies to ``device``, at least 2, which is the default: that many batches
        less one are read ahead.

    Raises
    ------
    TypeError, ValueError
        If ``batch_size`` is not a positive integer, or options exclude each other.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> dataset = tg.data.TensorDataset(tg.arange(5), tg.arange(5) * 10)
    >>> loader = tg.data.DataLoader(dataset, batch_size=2, shuffle=True)
    >>> len(loader), sorted(i for x, y in loader for i in x.tolist())
    (3, [0, 1, 2, 3, 4])
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[list[int]] | None = None,
        drop_last: bool = False,
        generator: Generator | None = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        device: Any = None,
        pin_memory: bool = False,
        prefetch_factor: int | None = None,
    ) -> None:
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise TypeError(f"DataLoader: a dataset has len() and [i], {type(dataset).__name__} has not")
        if generator is not None and not isinstance(generator, Generator):
            raise TypeError(
                f"DataLoader: generator must be a tensorgrad.random.Generator, got {type(generator).__name__}"
            )
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: sampler and shuffle=True exclude each other: the sampler gives the order")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError(
                "DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last: it gives whole batches"
            )
        self.dataset = dataset
        self.batch_size = positive_integer(batch_size, "DataLoader: batch_size")
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.generator = generator
        self.collate_fn = collate_fn
        self.device = None if device is None else resolve_device(device)
        if prefetch_factor is not None and (not pin_memory or device is None):
            raise ValueError("DataLoader: prefetch_factor needs pin_memory=True and a device to copy the batches to")
        if prefetch_factor is not None and positive_integer(prefetch_factor, "DataLoader: prefetch_factor") < 2:
            raise ValueError("DataLoader: prefetch_factor must be at least 2: one is used, the next copied")
        self.pin_memory = pin_memory
        self.prefetch_factor = prefetch_factor
        self._whole = whole_tensors(dataset) if collate_fn is None else None
        self._in_order = sampler is None and batch_sampler is None
        if sampler is None:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        self.sampler = sampler
        self.batch_sampler = BatchSampler(sampler, batch_size, drop_last) if batch_sampler is None else batch_sampler

    def __len__(self) -> int:
        """Number of batches."""
        return len(self.batch_sampler)  # type: ignore[arg-type]  # raises for a sampler that does not know

    def __iter__(self) -> Iterator[Any]:
        if not self.pin_memory:
            return self._batches(self.device)
        batches = self._batches(None)
        if self.device is None:
            return (_mapped(batch, pinned_if_possible) for batch in batches)
        return prefetched(batches, self.device, self.prefetch_factor or 2, _mapped)

    def _batches(self, device: Device | None) -> Iterator[Any]:
        """One epoch on ``device``, by default where the dataset is."""
        if self._whole is None:
            return self._collated(iter(self.batch_sampler), device)
        tensors, rows = self._whole
        arrays = [x._data for x in tensors]
        if rows is not None:
            rows = to_device(rows, device_of(arrays[0]))
        if self._in_order:
            if self.shuffle:
                order = randperm(len(self.dataset), device=device_of(arrays[0]), generator=self.generator)._data
                rows = order if rows is None else K.take(rows, order, 0)
            return self._sliced(arrays, rows, device)
        return self._gathered(arrays, rows, iter(self.batch_sampler), device)

    def _sliced(self, arrays: list[Any], rows: Any, device: Device | None) -> Iterator[tuple[Tensor, ...]]:
        """Batches of whole tensors: gather a run of them at once, hand out slices, which do not overlap."""
        size, total = self.batch_size, len(self.dataset)
        stop = total - total % size if self.drop_last else total
        batch_bytes = sum(a.nbytes for a in arrays) * size // max(total, 1)
        step = size * max(1, _CHUNK_BYTES // max(batch_bytes, 1))
        for start in range(0, stop, step):
            end = min(start + step, stop)
            if rows is None:
                parts = [_copied(a[start:end], device) for a in arrays]
            else:
                index = rows[start:end]
                parts = [_moved(K.take(a, index, 0), device) for a in arrays]
            for first in range(0, end - start, size):
                yield tuple([Tensor(p[first : first + size]) for p in parts])

    def _gathered(
        self, arrays: list[Any], rows: Any, batches: Iterator[list[int]], device: Device | None
    ) -> Iterator[tuple[Tensor, ...]]:
        """Batches of whole tensors in a sampler's order."""
        here = device_of(arrays[0])
        for batch in batches:
            index = to_device(np.asarray(batch, np.int64), here)
            if rows is not None:
                index = K.take(rows, index, 0)
            yield tuple([Tensor(_moved(K.take(a, index, 0), device)) for a in arrays])

    def _collated(self, batches: Iterator[list[int]], device: Device | None) -> Iterator[Any]:
        """Batches of samples that are fetched one by one."""
        dataset, combine = self.dataset, self.collate_fn or collate
        for batch in batches:
            combined = combine([dataset[i] for i in batch])
            yield combined if device is None else _mapped(combined, lambda array: to_device(array, device))


def _moved(array: Any, device: Device | None) -> Any:
    return array if device is None else to_device(array, device)


def _copied(array: Any, device: Device | None) -> Any:
    moved = _moved(array, device)
    return K.copy(array) if moved is array else moved


def collate(samples: list[Any]) -> Any:
    """One batch of a list of samples.

    Tensors, arrays and numbers are stacked along a new first axis; tuples, lists and dicts are combined entry by entry;
    anything else, strings for example, stays a list.

    Raises
    ------
    ValueError
        If shapes, or lengths of tuples, differ between samples.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.data.collate([(1.0, "a"), (2.0, "b")])
    (tensor([1., 2.]), ['a', 'b'])
    """
    first = samples[0]
    if isinstance(first, (Tensor, np.ndarray)):
        shapes = {tuple(x.shape) for x in samples}
        if len(shapes) > 1:
            raise ValueError(
                f"collate: the samples of a batch must have one shape, got {sorted(shapes)}; pad them in the dataset "
                "or pass collate_fn"
            )
        if isinstance(first, np.ndarray):
            return as_tensor(np.stack(samples))
        with no_grad():
            return stack(samples)
    if isinstance(first, (bool, int, float, complex, np.generic)):
        return tensor(samples)
    if isinstance(first, Mapping):
        return {key: collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, (tuple, list)):
        if len({len(sample) for sample in samples}) > 1:
            raise ValueError(
                f"collate: the samples of a batch must have equally many parts, got {[len(s) for s in samples]}"
            )
        parts = [collate(list(part)) for part in zip(*samples, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    return samples


def _mapped(batch: Any, function: Callable[[Any], Any]) -> Any:
    """The batch with ``function(array)`` in place of the array of every tensor in it."""
    if isinstance(batch, Tensor):
        made = function(batch._data)
        return batch if made is batch._data else Tensor(made)
    if isinstance(batch, Mapping):
        return {key: _mapped(value, function) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*[_mapped(value, function) for value in batch])
    if isinstance(batch, (tuple, list)):
        return type(batch)(_mapped(value, function) for value in batch)
    return batch
