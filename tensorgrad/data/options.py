"""Which options of a DataLoader go together."""

from __future__ import annotations

from typing import Any

from ..generator import Generator
from .dataset import IterableDataset
from .sampler import positive_integer

__all__ = ["check_options"]


def check_options(
    dataset: Any,
    batch_size: Any,
    shuffle: bool,
    sampler: Any,
    batch_sampler: Any,
    num_workers: Any,
    drop_last: bool,
    timeout: Any,
    worker_init_fn: Any,
    multiprocessing_context: Any,
    generator: Any,
    prefetch_factor: Any,
    persistent_workers: bool,
    worker_type: Any,
    pin_memory: bool,
    device: Any,
) -> None:
    """Raise if an option is of the wrong type or without effect, or if two exclude each other."""
    stream = isinstance(dataset, IterableDataset)
    if not stream and not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise TypeError(
            f"DataLoader: a dataset has len() and [i], or is an IterableDataset; {type(dataset).__name__} has not"
        )
    if generator is not None and not isinstance(generator, Generator):
        raise TypeError(f"DataLoader: generator must be a tensorgrad.random.Generator, got {type(generator).__name__}")
    if stream and (shuffle or sampler is not None or batch_sampler is not None):
        raise ValueError("DataLoader: an IterableDataset gives its own order: no shuffle, sampler or batch_sampler")
    if sampler is not None and shuffle:
        raise ValueError("DataLoader: sampler and shuffle=True exclude each other: the sampler gives the order")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
        raise ValueError(
            "DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last: it gives whole batches"
        )
    if batch_size is not None:
        positive_integer(batch_size, "DataLoader: batch_size")
    elif drop_last:
        raise ValueError("DataLoader: drop_last needs batches, but batch_size is None")
    if isinstance(num_workers, bool) or not isinstance(num_workers, int):
        raise TypeError(f"DataLoader: num_workers must be an integer, got {num_workers!r}")
    if num_workers < 0 or timeout < 0:
        raise ValueError(f"DataLoader: num_workers and timeout must not be negative, got {num_workers} and {timeout}")
    if worker_type not in ("thread", "process"):
        raise ValueError(f"DataLoader: worker_type must be 'thread' or 'process', got {worker_type!r}")
    if multiprocessing_context is not None and worker_type != "process":
        raise ValueError("DataLoader: multiprocessing_context needs worker_type='process'")
    if not num_workers:
        for name, given in (
            ("timeout", timeout),
            ("worker_init_fn", worker_init_fn),
            ("persistent_workers", persistent_workers),
        ):
            if given:
                raise ValueError(f"DataLoader: {name} needs workers, but num_workers is 0")
    if prefetch_factor is None:
        return
    copies = pin_memory and device is not None
    if not num_workers and not copies:
        raise ValueError(
            "DataLoader: prefetch_factor needs pin_memory=True and a device to copy the batches to, or num_workers"
        )
    if positive_integer(prefetch_factor, "DataLoader: prefetch_factor") < 2 and not num_workers:
        raise ValueError("DataLoader: prefetch_factor must be at least 2: one is used, the next copied")
