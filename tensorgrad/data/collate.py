"""From a list of samples to a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..creation import as_tensor, tensor
from ..ops.shape import stack
from ..tape import no_grad
from ..tensor import Tensor

__all__ = ["collate", "convert", "default_collate", "default_convert", "mapped"]


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


default_collate = collate  # PyTorch's name


def convert(sample: Any) -> Any:
    """A sample that is not batched, with tensors in place of NumPy arrays.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorgrad as tg
    >>> tg.data.convert({"x": np.ones(2), "name": "a"})
    {'x': tensor([1., 1.], dtype=float64), 'name': 'a'}
    """
    if isinstance(sample, (np.ndarray, np.generic)):
        return as_tensor(np.asarray(sample))
    if isinstance(sample, Mapping):
        return {key: convert(value) for key, value in sample.items()}
    if isinstance(sample, (tuple, list)):
        parts = [convert(value) for value in sample]
        return type(sample)(*parts) if hasattr(sample, "_fields") else type(sample)(parts)
    return sample


default_convert = convert  # PyTorch's name


def mapped(batch: Any, function: Callable[[Any], Any]) -> Any:
    """The batch with ``function(array)`` in place of the array of every tensor in it."""
    if isinstance(batch, Tensor):
        made = function(batch._data)
        return batch if made is batch._data else Tensor(made)
    if isinstance(batch, Mapping):
        return {key: mapped(value, function) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*[mapped(value, function) for value in batch])
    if isinstance(batch, (tuple, list)):
        return type(batch)(mapped(value, function) for value in batch)
    return batch
