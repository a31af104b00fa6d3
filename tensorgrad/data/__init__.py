"""From files to batches: readers, datasets, the order in which samples are drawn, and the loader that batches them.

>>> import tensorgrad as tg
>>> dataset = tg.data.TensorDataset(tg.arange(6), tg.arange(6) % 2)
>>> [x.tolist() for x, y in tg.data.DataLoader(dataset, batch_size=4)]
[[0, 1, 2, 3], [4, 5]]
"""

from __future__ import annotations

from .binary import cifar10, cifar100, mnist, read_idx
from .collate import collate, convert, default_collate, default_convert
from .dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from .loader import DataLoader
from .sampler import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from .tables import read_csv, read_npz
from .text import ByteTokenizer, CharTokenizer, TextDataset, read_text
from .workers import WorkerInfo, get_worker_info

__all__ = [
    "BatchSampler",
    "ByteTokenizer",
    "ChainDataset",
    "CharTokenizer",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "DistributedSampler",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "TextDataset",
    "WeightedRandomSampler",
    "WorkerInfo",
    "cifar10",
    "cifar100",
    "collate",
    "convert",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "mnist",
    "random_split",
    "read_csv",
    "read_idx",
    "read_npz",
    "read_text",
]
