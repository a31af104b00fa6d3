"""Datasets: samples by number. Anything with ``len(dataset)`` and ``dataset[i]`` is one."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..boundary import Explained
from ..random import Generator, randperm
from ..tensor import Tensor

__all__ = [
    "ChainDataset",
    "ConcatDataset",
    "Dataset",
    "IterableDataset",
    "StackDataset",
    "Subset",
    "TensorDataset",
    "random_split",
]

Indices = np.ndarray[Any, np.dtype[np.int64]]


class Dataset(Explained):
    """Base class of datasets: a subclass defines ``__getitem__`` and ``__len__``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> class Squares(tg.data.Dataset):
    ...     def __len__(self):
    ...         return 5
    ...     def __getitem__(self, i):
    ...         return float(i), float(i * i)
    >>> x, y = next(iter(tg.data.DataLoader(Squares(), batch_size=5)))
    >>> y
    tensor([ 0.,  1.,  4.,  9., 16.])
    """

    def __getitem__(self, index: Any) -> Any:
        """The sample with this number."""
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__")

    def __len__(self) -> int:
        """Number of samples."""
        raise NotImplementedError(f"{type(self).__name__} does not define __len__")

    def __add__(self, other: Any) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Explained):
    """Base class of datasets that are streams of samples: a subclass defines ``__iter__``.

    Each worker of a `DataLoader` iterates over the whole of it, unless ``__iter__`` asks `get_worker_info` which part
    is its own; the loader takes a batch from each worker in turn.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> class Powers(tg.data.IterableDataset):
    ...     def __iter__(self):
    ...         return (2**i for i in range(5))
    >>> [x.tolist() for x in tg.data.DataLoader(Powers(), batch_size=2)]
    [[1, 2], [4, 8], [16]]
    """

    def __iter__(self) -> Iterator[Any]:
        """The samples of one pass."""
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__")

    def __add__(self, other: Any) -> ChainDataset:
        return ChainDataset([self, other])


class ChainDataset(IterableDataset):
    """Streams one after another; ``first + second`` makes one too.

    Raises
    ------
    TypeError
        When it is iterated over, if one of them is not an `IterableDataset`.
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)

    def __iter__(self) -> Iterator[Any]:
        for i, dataset in enumerate(self.datasets):
            if not isinstance(dataset, IterableDataset):
                raise TypeError(f"ChainDataset: dataset {i} is a {type(dataset).__name__}, expected an IterableDataset")
            yield from dataset

    def __len__(self) -> int:
        """Number of samples, if every stream knows its own."""
        return sum(len(dataset) for dataset in self.datasets)


class StackDataset(Dataset):
    """Datasets side by side: sample i is the tuple, or for datasets given by name the dict, of their i-th samples.

    Parameters
    ----------
    *args, **kwargs : dataset
        All of one length, either by position or by name.

    Raises
    ------
    ValueError
        If there are none, both kinds, or lengths differ.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> dataset = tg.data.StackDataset(image=[10, 20], text=["a", "b"])
    >>> dataset[1]
    {'image': 20, 'text': 'b'}
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if bool(args) == bool(kwargs):
            raise ValueError("StackDataset: expected datasets either by position or by name")
        self.datasets: Any = args or kwargs
        lengths = [len(dataset) for dataset in (args or tuple(kwargs.values()))]
        if len(set(lengths)) > 1:
            raise ValueError(f"StackDataset: the datasets have different lengths: {lengths}")
        self._length = lengths[0]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __len__(self) -> int:
        return self._length


class TensorDataset(Dataset):
    """Tensors side by side: sample i is the tuple of their i-th slices.

    `DataLoader` cuts batches out of whole tensors here, without touching samples one by one.

    Parameters
    ----------
    *tensors : Tensor
        All of one length along axis 0 and on one device.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a tensor, or lengths or devices differ.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> dataset = tg.data.TensorDataset(tg.ones(4, 3), tg.arange(4))
    >>> len(dataset), dataset[2]
    (4, (tensor([1., 1., 1.]), tensor(2)))
    """

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors:
            raise ValueError("TensorDataset: expected at least one tensor")
        for i, x in enumerate(tensors):
            if not isinstance(x, Tensor):
                raise TypeError(
                    f"TensorDataset: argument {i} is a {type(x).__name__}, expected a Tensor; use tg.tensor(...)"
                )
            if not x.ndim:
                raise ValueError(f"TensorDataset: argument {i} has no axis of samples (its shape is ())")
        lengths = [x.shape[0] for x in tensors]
        if len(set(lengths)) > 1:
            raise ValueError(f"TensorDataset: the tensors have different lengths along axis 0: {lengths}")
        devices = sorted({str(x.device) for x in tensors})
        if len(devices) > 1:
            raise ValueError(f"TensorDataset: the tensors are on {' and '.join(devices)}; move them with .to(device)")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(x[index] for x in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].shape[0]


class Subset(Dataset):
    """Some samples of another dataset, in the order of ``indices``.

    Raises
    ------
    TypeError
        If the indices are not integers.
    IndexError
        If an index is out of range.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> list(tg.data.Subset("abcdef", [5, 0, -2]))
    ['f', 'a', 'e']
    """

    def __init__(self, dataset: Any, indices: Any) -> None:
        given = np.asarray(indices.tolist() if isinstance(indices, Tensor) else indices)
        if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
            raise TypeError(f"Subset: expected a sequence of integers, got {indices!r:.80}")
        length = len(dataset)
        wrong = given[(given < -length) | (given >= length)] if given.size else given
        if wrong.size:
            raise IndexError(f"Subset: index {wrong[0]} is out of range for a dataset of {length} samples")
        self.dataset = dataset
        self.indices: Indices = np.where(given < 0, given + length, given).astype(np.int64)

    def __getitem__(self, index: Any) -> Any:
        return self.dataset[int(self.indices[index])]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset):
    """Datasets one after another; ``first + second`` makes one too.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> both = tg.data.ConcatDataset(["ab", "cde"])
    >>> len(both), both[1], both[2], both[-1]
    (5, 'b', 'c', 'e')
    """

    def __init__(self, datasets: Sequence[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: expected at least one dataset")
        self._ends = list(itertools.accumulate(len(d) for d in self.datasets))

    def __getitem__(self, index: Any) -> Any:
        i, length = int(index), len(self)
        if not -length <= i < length:
            raise IndexError(f"ConcatDataset: index {i} is out of range for {length} samples")
        i %= length
        which = bisect.bisect_right(self._ends, i)
        return self.datasets[which][i - (self._ends[which - 1] if which else 0)]

    def __len__(self) -> int:
        return self._ends[-1]


def random_split(dataset: Any, lengths: Sequence[float], generator: Generator | None = None) -> list[Subset]:
    """Split a dataset at random into parts that do not overlap.

    Parameters
    ----------
    dataset : Dataset
    lengths : sequence of int or float
        The parts' sizes, which add up to ``len(dataset)``; or fractions that add up to 1, rounded down, what is left
        going one by one to the first parts.
    generator : Generator, optional
        Where the order is drawn from. One seed gives one split, on every device.

    Raises
    ------
    ValueError
        If the lengths do not add up.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> train, test = tg.data.random_split(range(10), [0.8, 0.2], tg.random.Generator().manual_seed(0))
    >>> len(train), sorted([*train, *test]) == list(range(10))
    (8, True)
    """
    total = len(dataset)
    if any(n < 0 for n in lengths):
        raise ValueError(f"random_split: lengths must not be negative, got {list(lengths)}")
    if math.isclose(sum(lengths), 1.0) and any(isinstance(n, float) for n in lengths):
        sizes = [math.floor(total * fraction) for fraction in lengths]
        for i in range(total - sum(sizes)):
            sizes[i % len(sizes)] += 1
    elif all(n == int(n) for n in lengths) and sum(lengths) == total:
        sizes = [int(n) for n in lengths]
    else:
        raise ValueError(
            f"random_split: expected sizes that add up to {total} or fractions that add up to 1, got {list(lengths)}"
        )
    order = randperm(total, device="cpu", generator=generator).numpy()
    ends = list(itertools.accumulate(sizes))
    return [Subset(dataset, order[end - size : end]) for size, end in zip(sizes, ends, strict=True)]


def whole_tensors(dataset: Any) -> tuple[tuple[Tensor, ...], Indices | None] | None:
    """The tensors behind a TensorDataset, or a Subset of one, and which of their rows belong to it (None: all).

    None if samples must be fetched one by one: another dataset, or a subclass that makes its samples itself.
    """
    indices: Indices | None = None
    while isinstance(dataset, Subset) and type(dataset).__getitem__ is Subset.__getitem__:
        indices = dataset.indices if indices is None else dataset.indices[indices]
        dataset = dataset.dataset
    if isinstance(dataset, TensorDataset) and type(dataset).__getitem__ is TensorDataset.__getitem__:
        return dataset.tensors, indices
    return None
