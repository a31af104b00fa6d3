"""What makes a batch: samples of a dataset by number, or the next ones of a stream. It runs here or in a worker."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from .collate import collate, convert

__all__ = ["END", "Fetch", "FetchNext"]

END = "the end of the stream"  # compared by equality, for it comes back from another process too


class Fetch:
    """Batches of a dataset with ``dataset[i]``.

    Parameters
    ----------
    dataset : Dataset
    combine : callable, optional
        Makes a batch of a list of samples, `collate` if not given.
    batched : bool
        Whether it is called with lists of indices, or with single ones.
    """

    def __init__(self, dataset: Any, combine: Callable[[Any], Any] | None, batched: bool) -> None:
        self.dataset = dataset
        self._batched = batched
        self._combine = combine or (collate if batched else convert)

    def __call__(self, index: Any, epoch: int = 0) -> Any:
        """The batch of these indices, which is the same in every epoch."""
        dataset = self.dataset
        if not self._batched:
            return self._combine(dataset[index])
        if hasattr(dataset, "__getitems__"):
            return self._combine(dataset.__getitems__(index))
        return self._combine([dataset[i] for i in index])


class FetchNext:
    """Batches of an `IterableDataset`: each call takes the next samples of its iterator, `END` when there are none."""

    def __init__(
        self, dataset: Any, combine: Callable[[Any], Any] | None, batch_size: int | None, drop_last: bool
    ) -> None:
        self.dataset = dataset
        self._combine = combine or (convert if batch_size is None else collate)
        self._size = batch_size
        self._drop_last = drop_last
        self._epoch = -1
        self._samples: Iterator[Any] = iter(())

    def __call__(self, index: Any, epoch: int = 0) -> Any:
        """The next batch of an epoch; the first call of a new one starts the dataset again."""
        if epoch < self._epoch:
            raise RuntimeError(
                "DataLoader: a second loop over an IterableDataset has begun in the same workers and ended this one; "
                "use persistent_workers=False for two loops at once"
            )
        if epoch > self._epoch:
            self._epoch, self._samples = epoch, iter(self.dataset)
        samples = list(itertools.islice(self._samples, self._size or 1))
        if len(samples) < (self._size or 1) and (self._drop_last or not samples):
            return END
        return self._combine(samples[0] if self._size is None else samples)
