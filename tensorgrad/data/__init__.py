"""From samples to batches: datasets, the order in which they are drawn, and the loader that puts the two together.

>>> import tensorgrad as tg
>>> dataset = tg.data.TensorDataset(tg.arange(6), tg.arange(6) % 2)
>>> [x.tolist() for x, y in tg.data.DataLoader(dataset, batch_size=4)]
[[0, 1, 2, 3], [4, 5]]
"""

from __future__ import annotations

from .dataset import ConcatDataset, Dataset, Subset, TensorDataset, random_split
from .loader import DataLoader, collate
from .sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

__all__ = [
    "BatchSampler",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "collate",
    "random_split",
]
