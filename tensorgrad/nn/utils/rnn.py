"""Sequences of several lengths: padded to one length, or packed so that no step is computed for padding.

Packed, the steps come first: the first step of all sequences, longest first, then the second of those that have one,
and so on. Packing and padding are each one gather.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...boundary import explain as _explain
from ...creation import tensor
from ...ops.indexing import take
from ...ops.memory import full
from ...ops.selection import argsort
from ...ops.shape import concat
from ...tensor import Tensor

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class _Fields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Fields):
    """Sequences of several lengths without padding; made by `pack_padded_sequence` and `pack_sequence`.

    Attributes
    ----------
    data : Tensor
        The steps of all sequences, shape (sum of the lengths, ...).
    batch_sizes : Tensor
        How many sequences have a step 0, a step 1, and so on: int64, on the CPU, descending.
    sorted_indices : Tensor or None
        Which of the sequences given is the longest, the second longest, and so on; None if they came in that order.
    unsorted_indices : Tensor or None
        The inverse.
    """

    __slots__ = ()

    def __new__(
        cls,
        data: Tensor,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if batch_sizes is None:
            raise ValueError("PackedSequence: batch_sizes must be given; use pack_padded_sequence to find them")
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def _with(self, data: Tensor) -> PackedSequence:
        """Other data of the same lengths."""
        return PackedSequence(data, self.batch_sizes, self.sorted_indices, self.unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same with its data, and with the indices if the device changes, as `Tensor.to` makes them."""
        data = self.data.to(*args, **kwargs)
        indices = [None if i is None else i.to(data.device) for i in (self.sorted_indices, self.unsorted_indices)]
        return PackedSequence(data, self.batch_sizes, *indices)

    def cpu(self) -> PackedSequence:
        """The same in host memory."""
        return self.to("cpu")

    def cuda(self) -> PackedSequence:
        """The same on the current CUDA device."""
        return self.to("cuda")

    def double(self) -> PackedSequence:
        """The same in float64."""
        return self.to("float64")

    def float(self) -> PackedSequence:
        """The same in float32."""
        return self.to("float32")

    def half(self) -> PackedSequence:
        """The same in float16."""
        return self.to("float16")


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes another one; None for None.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.utils.rnn.invert_permutation(tg.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    return None if permutation is None else argsort(permutation)


def _indices(values: Any, device: Any) -> Tensor:
    return tensor(np.asarray(values, np.int64), device=device)


def _lengths(name: str, lengths: Any, batch: int) -> np.ndarray[Any, Any]:
    """The lengths as integers on the host."""
    given = np.asarray(lengths.tolist() if isinstance(lengths, Tensor) else lengths)
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise TypeError(f"{name}: lengths must be a list of integers or a tensor of one axis, got {lengths!r:.80}")
    if len(given) != batch:
        raise ValueError(f"{name}: there are {batch} sequences and {len(given)} lengths")
    return given.astype(np.int64)


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack padded sequences of several lengths.

    Parameters
    ----------
    input : Tensor
        Shape (T, N, ...), or (N, T, ...) with ``batch_first``.
    lengths : list of int or Tensor
        Of the N sequences, at least 1 and at most T.
    batch_first : bool
    enforce_sorted : bool
        Refuse lengths that do not descend. Otherwise the sequences are sorted, which `pad_packed_sequence` undoes.

    Raises
    ------
    ValueError
        If a length is out of range, or the lengths do not descend and must.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> from tensorgrad.nn.utils import rnn
    >>> x = tg.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
    >>> packed = rnn.pack_padded_sequence(x, [2, 1, 3], batch_first=True, enforce_sorted=False)
    >>> packed.data, packed.batch_sizes
    (tensor([4, 1, 3, 5, 2, 6]), tensor([3, 2, 1]))
    >>> rnn.pad_packed_sequence(packed, batch_first=True)
    (tensor([[1, 2, 0],
            [3, 0, 0],
            [4, 5, 6]]), tensor([2, 1, 3]))
    """
    name = "pack_padded_sequence"
    if input.ndim < 2 or not input.shape[0] or not input.shape[1]:
        raise ValueError(f"{name}: expected at least one sequence and one step, got an input of shape {input.shape}")
    batch, steps = input.shape[:2] if batch_first else input.shape[1::-1]
    counts = _lengths(name, lengths, batch)
    if counts.min() < 1 or counts.max() > steps:
        raise ValueError(f"{name}: lengths must be between 1 and {steps}, got {counts.tolist()}")
    order = np.arange(batch)
    if not enforce_sorted:
        order = np.argsort(-counts, kind="stable")
        counts = counts[order]
    elif (np.diff(counts) > 0).any():
        raise ValueError(f"{name}: lengths must descend unless enforce_sorted=False, got {counts.tolist()}")
    sizes = (counts > np.arange(counts[0])[:, None]).sum(1)
    places = np.concatenate(
        [order[:n] * steps + t if batch_first else order[:n] + t * batch for t, n in enumerate(sizes)]
    )
    data = take(input.reshape(batch * steps, *input.shape[2:]), _indices(places, input.device), axis=0)
    batch_sizes = _indices(sizes, "cpu")
    return PackedSequence(data, batch_sizes, None if enforce_sorted else _indices(order, input.device))


def _padded(data: Tensor, places: np.ndarray[Any, Any], padding_value: float) -> Tensor:
    """Rows of ``data`` at ``places``, which may have any shape; the padding where a place is -1."""
    if places.min(initial=0) < 0:
        padding = full((1, *data.shape[1:]), padding_value, dtype=data.dtype, device=data.device)
        places = np.where(places < 0, data.shape[0], places)
        data = concat([data, padding])
    y: Tensor = take(data, _indices(places, data.device), axis=0)
    return y


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """Undo `pack_padded_sequence`.

    Parameters
    ----------
    sequence : PackedSequence
    batch_first : bool
        Whether the result has the shape (N, T, ...) instead of (T, N, ...).
    padding_value : float
    total_length : int, optional
        T, if it is to be more than the longest length.

    Returns
    -------
    padded, lengths : Tensor
        The sequences in the order in which they were before packing, and their lengths: int64, on the CPU.

    Raises
    ------
    ValueError
        If ``total_length`` is less than the longest length.
    """
    sizes = np.asarray(sequence.batch_sizes.tolist(), np.int64)
    steps = len(sizes)
    if total_length is not None and total_length < steps:
        raise ValueError(
            f"pad_packed_sequence: total_length must be at least the longest length {steps}, got {total_length}"
        )
    present = np.arange(sizes[0]) < sizes[:, None]
    places = np.where(present, np.cumsum(sizes)[:, None] - sizes[:, None] + np.arange(sizes[0]), -1)
    lengths = present.sum(0)
    if sequence.unsorted_indices is not None:
        order = sequence.unsorted_indices.tolist()
        places, lengths = places[:, order], lengths[order]
    if total_length is not None:
        places = np.pad(places, ((0, total_length - steps), (0, 0)), constant_values=-1)
    padded = _padded(sequence.data, places.T if batch_first else places, padding_value)
    return padded, _indices(lengths, "cpu")


def pad_sequence(
    sequences: Sequence[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences of several lengths as one tensor.

    Parameters
    ----------
    sequences : sequence of Tensor
        Shapes (length, ...).
    batch_first : bool
        Whether the result has the shape (N, T, ...) instead of (T, N, ...), T being the longest length.
    padding_value : float
    padding_side : {"right", "left"}

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.utils.rnn.pad_sequence([tg.tensor([1, 2, 3]), tg.tensor([4])], batch_first=True)
    tensor([[1, 2, 3],
            [4, 0, 0]])
    """
    given = list(sequences)
    if not given:
        raise ValueError("pad_sequence: expected at least one sequence, got none")
    if any(x.ndim == 0 or x.shape[1:] != given[0].shape[1:] for x in given):
        raise ValueError(
            f"pad_sequence: sequences may differ in their first axis only, got {', '.join(str(x.shape) for x in given)}"
        )
    if padding_side not in ("right", "left"):
        raise ValueError(f"pad_sequence: padding_side must be 'right' or 'left', got {padding_side!r}")
    lengths = np.array([x.shape[0] for x in given])
    time, ends = np.arange(lengths.max()), np.cumsum(lengths)
    starts = ends - lengths.max() if padding_side == "left" else ends - lengths
    places = starts[:, None] + time
    places = np.where((places >= (ends - lengths)[:, None]) & (places < ends[:, None]), places, -1)
    return _padded(concat(given), places if batch_first else places.T, padding_value)


def unpad_sequence(padded_sequences: Tensor, lengths: Any, batch_first: bool = False) -> list[Tensor]:
    """Undo `pad_sequence`: each sequence in its length."""
    if padded_sequences.ndim < 2:
        raise ValueError(f"unpad_sequence: expected at least two axes, got shape {padded_sequences.shape}")
    batch = padded_sequences.shape[0 if batch_first else 1]
    counts = _lengths("unpad_sequence", lengths, batch).tolist()
    return [padded_sequences[n, :k] if batch_first else padded_sequences[:k, n] for n, k in enumerate(counts)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack a list of sequences, each of shape (length, ...); see `pack_padded_sequence`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> from tensorgrad.nn.utils import rnn
    >>> rnn.pack_sequence([tg.tensor([1, 2, 3]), tg.tensor([4])]).data
    tensor([1, 4, 2, 3])
    """
    given = list(sequences)
    return pack_padded_sequence(pad_sequence(given), [x.shape[0] for x in given], False, enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """Undo `pack_sequence`."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


_explain(globals(), __all__, __name__)
