"""Samplers: the order in which a `DataLoader` visits a dataset, one pass per ``iter``."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from ..boundary import Explained
from ..creation import tensor
from ..generator import Generator
from ..random import multinomial, randint, randperm
from ..tensor import Tensor

__all__ = [
    "BatchSampler",
    "DistributedSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]


def positive_integer(value: Any, name: str) -> int:
    """``value`` if it is a positive integer; the error names the parameter."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value.__index__() <= 0:
        raise ValueError(f"{name} must be positive, got {value}")
    return int(value.__index__())


class Sampler(Explained):
    """Base class of samplers: a subclass defines ``__iter__``, which yields indices, and ``__len__``."""

    def __iter__(self) -> Iterator[Any]:
        """The indices of one pass."""
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__")

    def __len__(self) -> int:
        """How many indices one pass has."""
        raise NotImplementedError(f"{type(self).__name__} does not define __len__")


class SequentialSampler(Sampler):
    """0, 1, 2, ...

    Examples
    --------
    >>> import tensorgrad as tg
    >>> list(tg.data.SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source: Any) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler):
    """Every index once, in a fresh random order each pass.

    Parameters
    ----------
    data_source : Dataset
    replacement : bool
        Draw each index anew instead, so that some come twice and some not at all.
    num_samples : int, optional
        How many to draw; the length of the dataset if not given. Without replacement, further orders are appended.
    generator : Generator, optional
        `tensorgrad.random.default_generator` if not given.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> sorted(tg.data.RandomSampler("abcd"))
    [0, 1, 2, 3]
    """

    def __init__(
        self,
        data_source: Any,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.data_source = data_source
        self.replacement = replacement
        self.generator = generator
        self._count = None if num_samples is None else positive_integer(num_samples, "RandomSampler: num_samples")

    @property
    def num_samples(self) -> int:
        """How many indices one pass has."""
        return len(self.data_source) if self._count is None else self._count

    def __iter__(self) -> Iterator[int]:
        # The draw happens here, not at the first `next`: two loops then never share a part of the stream by accident.
        n, count = len(self.data_source), self.num_samples
        if not n:
            return iter(())
        if self.replacement:
            return iter(randint(0, n, (count,), device="cpu", generator=self.generator).tolist())
        orders = [randperm(n, device="cpu", generator=self.generator).tolist() for _ in range(-(-count // n))]
        return itertools.islice(itertools.chain(*orders), count)

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """The given indices, in a fresh random order each pass.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> sorted(tg.data.SubsetRandomSampler([7, 1, 5]))
    [1, 5, 7]
    """

    def __init__(self, indices: Iterable[int], generator: Generator | None = None) -> None:
        self.indices = [int(i) for i in indices]
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        order = randperm(len(self.indices), device="cpu", generator=self.generator).tolist()
        return iter([self.indices[i] for i in order])

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    """Indices drawn with probabilities proportional to ``weights``, for example to balance classes.

    Parameters
    ----------
    weights : sequence of float
        One non-negative weight per sample; they need not sum to 1.
    num_samples : int
        How many to draw.
    replacement : bool
        Whether an index can be drawn again.
    generator : Generator, optional

    Examples
    --------
    >>> import tensorgrad as tg
    >>> list(tg.data.WeightedRandomSampler([0.0, 0.5, 0.0], 3))
    [1, 1, 1]
    """

    def __init__(
        self, weights: Any, num_samples: int, replacement: bool = True, generator: Generator | None = None
    ) -> None:
        self.weights = weights.cpu() if isinstance(weights, Tensor) else tensor(weights, device="cpu")
        if self.weights.ndim != 1:
            raise ValueError(f"WeightedRandomSampler: expected one weight per sample, got shape {self.weights.shape}")
        self.num_samples = positive_integer(num_samples, "WeightedRandomSampler: num_samples")
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        drawn = multinomial(self.weights, self.num_samples, self.replacement, generator=self.generator)
        return iter(drawn.tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler):
    """Lists of ``batch_size`` indices at a time.

    Parameters
    ----------
    sampler : iterable of int
    batch_size : int
    drop_last : bool
        Leave out the last list if it is shorter.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> list(tg.data.BatchSampler(range(5), 2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool = False) -> None:
        self.sampler = sampler
        self.batch_size = positive_integer(batch_size, "BatchSampler: batch_size")
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        return self._grouped(iter(self.sampler))

    def _grouped(self, indices: Iterator[int]) -> Iterator[list[int]]:
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield batch

    def __len__(self) -> int:
        count = len(self.sampler)  # type: ignore[arg-type]  # raises for a sampler that does not know
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)


class DistributedSampler(Sampler):
    """The part of a dataset that one of several processes trains on: every ``num_replicas``-th index from ``rank`` on.

    Parameters
    ----------
    dataset : Dataset
    num_replicas : int
        How many processes there are.
    rank : int
        Which of them this is, from 0.
    shuffle : bool
        A fresh random order each epoch, the same in all processes; call `set_epoch` before each.
    seed : int
        Of that order.
    drop_last : bool
        Leave out indices so that all parts have one length; otherwise some come twice.

    Raises
    ------
    ValueError
        If ``rank`` is not one of ``num_replicas``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> [list(tg.data.DistributedSampler("abcde", 2, rank, shuffle=False)) for rank in range(2)]
    [[0, 2, 4], [1, 3, 0]]
    """

    def __init__(
        self,
        dataset: Any,
        num_replicas: int,
        rank: int,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        self.num_replicas = positive_integer(num_replicas, "DistributedSampler: num_replicas")
        if not 0 <= rank < num_replicas:
            raise ValueError(f"DistributedSampler: rank must be at least 0 and below {num_replicas}, got {rank}")
        self.dataset = dataset
        self.rank = rank
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        count = len(self.dataset)
        order = list(range(count))
        if self.shuffle:
            order = randperm(count, device="cpu", generator=Generator().manual_seed(self.seed + self.epoch)).tolist()
        total = len(self) * self.num_replicas
        return itertools.islice(itertools.cycle(order), self.rank, total, self.num_replicas)

    def __len__(self) -> int:
        count = len(self.dataset)
        return count // self.num_replicas if self.drop_last else -(-count // self.num_replicas)
