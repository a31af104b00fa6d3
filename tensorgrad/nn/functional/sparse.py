"""Embeddings: rows of a table, looked up by index, one by one or in bags; and indices as unit vectors."""

from __future__ import annotations

from typing import Any

from ... import kernels as K
from ...capture import recording
from ...errors import ArgumentError
from ...ops.elementwise import equal, greater, less, logical_and, maximum, not_equal, where
from ...ops.indexing import embedding as looked_up
from ...ops.indexing import scatter, sum_by_index, take, take_along_axis
from ...ops.memory import arange, full_like, ones_like, zeros
from ...ops.reduction import argmax
from ...ops.search import searchsorted
from ...ops.shape import broadcast_to, concat
from ...tensor import Tensor

__all__ = ["embedding", "embedding_bag", "one_hot"]


def _renormalized(weight: Tensor, indices: Any, max_norm: float, norm_type: float) -> None:
    """Scale the rows that are looked up down to ``max_norm``, in place."""
    flat = indices.reshape(-1)
    if not flat.size:
        return
    rows = K.take(weight._data, flat, 0)
    size = K.absolute(rows)
    if norm_type == float("inf"):
        norms = K.max(size, 1, True)
    else:
        norms = K.power(K.sum(K.power(size, norm_type), 1, True), 1.0 / norm_type)
    factor = K.divide(max_norm, K.add(norms, 1e-7))
    K.setitem(weight._data, (flat,), K.where(K.greater(norms, max_norm), K.multiply(rows, factor), rows))
    weight._written()


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of ``weight`` at the indices ``input``.

    Parameters
    ----------
    input : Tensor
        Integers of any shape.
    weight : Tensor
        Shape (rows, features).
    padding_idx : int, optional
        A row that gets no gradient; counted from the end if negative.
    max_norm : float, optional
        Rows that are looked up and longer than this are first scaled down to it, in place.
    norm_type : float
        p of the p-norm for ``max_norm``.
    scale_grad_by_freq : bool
        Divide the gradient of each row by how often it was looked up.
    sparse : bool
        Must be False: gradients are dense.

    Returns
    -------
    Tensor
        Shape ``(*input.shape, features)``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.functional.embedding(tg.tensor([1, 0]), tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [1., 2.]])
    """
    if sparse:
        raise ArgumentError("embedding: sparse gradients do not exist here; use sparse=False")
    if max_norm is not None:
        _renormalized(weight, input._data, float(max_norm), float(norm_type))
    y: Tensor = looked_up(input, weight, padding_idx, scale_grad_by_freq)
    return y


# ----------------------------------------------------------------------------------------------------------------- bags
def _bag_of_each(offsets: Tensor, length: int) -> Tensor:
    """The bag of each of ``length`` places: how many offsets are not behind it, less one."""
    places = arange(length, dtype=offsets.dtype, device=offsets.device)
    bags: Tensor = searchsorted(offsets, places, side="right") - 1
    return maximum(bags, 0)  # type: ignore[no-any-return]


def _side_by_side(rows: Tensor, starts: Tensor) -> Tensor | None:
    """What `_largest` gives, from the bags padded to the length of the longest; None where that is not worth it.

    That length is a value, which a recorder cannot see.
    """
    length, count = rows.shape[0], starts.shape[0]
    if recording() is not None or not count:
        return None
    ends = concat([starts[1:], full_like(starts[:1], length)])
    longest = int((ends - starts).max().item())
    if not 0 < longest * count <= 4 * length:
        return None
    places = starts.expand_dims(1) + arange(longest, dtype=starts.dtype, device=starts.device)
    own = less(places, ends.expand_dims(1)).expand_dims(-1)
    padded = where(own, take(rows.detach(), places.clip(0, length - 1), axis=0), -float("inf"))
    winners = argmax(padded, axis=1) + starts.clip(0, length - 1).expand_dims(1)
    y: Tensor = take_along_axis(rows, winners, axis=0)
    return y


def _largest(rows: Tensor, bags: Tensor, starts: Tensor) -> Tensor:
    """Of each bag and column, the largest element: the first among equals.

    Place p first knows itself; then, with its bag's places p to p + 1, p + 3, p + 7 ..., where the largest of them is.
    """
    found = _side_by_side(rows, starts)
    if found is not None:
        return found
    length, columns = rows.shape
    values = rows.detach()
    winners = broadcast_to(arange(length, device=rows.device).expand_dims(1), (length, columns))
    reach = 1
    while reach < length:
        together = equal(bags[reach:], bags[:-reach]).expand_dims(1)
        better = logical_and(together, greater(values[reach:], values[:-reach]))
        values, winners = (concat([where(better, x[reach:], x[:-reach]), x[-reach:]], 0) for x in (values, winners))
        reach *= 2
    y: Tensor = take_along_axis(rows, winners[starts.clip(0, length - 1)], axis=0)
    return y


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sums, means or maxima of rows of ``weight``, for bags of indices.

    Parameters
    ----------
    input : Tensor
        Integers: one bag per row, shape (bags, indices), or all bags one behind the other, shape (indices,).
    weight : Tensor
        Shape (rows, features).
    offsets : Tensor, optional
        Needed for an ``input`` with one axis: where each bag starts, ascending; the first starts at 0.
    max_norm, norm_type, scale_grad_by_freq
        As for `embedding`; the last is not for ``"max"``.
    mode : {"sum", "mean", "max"}
        What becomes of a bag. An empty one is 0.
    sparse : bool
        Must be False: gradients are dense.
    per_sample_weights : Tensor, optional
        For ``"sum"``: a factor of each row, of the shape of ``input``.
    include_last_offset : bool
        Whether the last offset is the end of the last bag.
    padding_idx : int, optional
        An index that counts for nothing and whose row gets no gradient.

    Returns
    -------
    Tensor
        Shape (bags, features).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> table = tg.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> tg.nn.functional.embedding_bag(tg.tensor([0, 1, 2]), table, tg.tensor([0, 2]), mode="sum")
    tensor([[4., 6.],
            [5., 6.]])
    """
    _check_bags(input, weight, offsets, mode, sparse, scale_grad_by_freq, per_sample_weights, include_last_offset)
    if max_norm is not None:
        _renormalized(weight, input._data, float(max_norm), float(norm_type))
    rows = looked_up(input, weight, padding_idx, scale_grad_by_freq)
    counted = ones_like(input, dtype=rows.dtype)
    if padding_idx is not None:
        counts_for = not_equal(input, padding_idx % weight.shape[0])
        counted = counts_for.astype(rows.dtype)
        if mode == "max":
            rows = where(counts_for.expand_dims(-1), rows, -float("inf"))
    if mode != "max" and (per_sample_weights is not None or padding_idx is not None):
        rows = rows * (counted if per_sample_weights is None else counted * per_sample_weights).expand_dims(-1)
    if offsets is None:
        counts = counted.sum(1)
        if mode != "max":
            y: Tensor = rows.sum(1)
        elif input.shape[1]:
            y = take_along_axis(rows, argmax(rows, axis=1).expand_dims(1), axis=1).squeeze(1)
        else:
            y = rows.sum(1)
    else:
        bags, number = _bag_of_each(offsets, input.shape[0]), offsets.shape[0]
        counts = sum_by_index(counted, bags, number)
        y = _largest(rows, bags, offsets) if mode == "max" and len(input) else sum_by_index(rows, bags, number)
        if include_last_offset:
            y, counts = y[:-1], counts[:-1]
    counts = counts.expand_dims(1)
    if mode == "mean":
        y = y / counts.clip(1)
    elif mode == "max":
        y = where(equal(counts, 0), 0.0, y)
    return y


def _check_bags(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None,
    mode: str,
    sparse: bool,
    by_frequency: bool,
    factors: Tensor | None,
    include_last: bool,
) -> None:
    if mode not in ("sum", "mean", "max"):
        raise ArgumentError(f'embedding_bag: mode must be "sum", "mean" or "max", got {mode!r}')
    if sparse:
        raise ArgumentError("embedding_bag: sparse gradients do not exist here; use sparse=False")
    if input.ndim not in (1, 2) or weight.ndim != 2 or (offsets is None) != (input.ndim == 2):
        raise ArgumentError(
            "embedding_bag: expected an input (bags, indices), or (indices,) with offsets, and a weight (rows, "
            f"features); got input {input.shape}, weight {weight.shape}, "
            f"{'no offsets' if offsets is None else f'offsets {offsets.shape}'}"
        )
    if offsets is not None and (
        offsets.ndim != 1 or offsets.dtype.kind not in "iu" or offsets.shape[0] < int(include_last)
    ):
        raise ArgumentError(
            f"embedding_bag: offsets must be integers with one axis, got {offsets.dtype} of shape {offsets.shape}"
        )
    if by_frequency and mode == "max":
        raise ArgumentError('embedding_bag: scale_grad_by_freq is not for mode "max"')
    if factors is not None and (mode != "sum" or factors.shape != input.shape):
        raise ArgumentError(
            f'embedding_bag: per_sample_weights are for mode "sum" and of the shape {input.shape} of the input, got '
            f"mode {mode!r} and shape {factors.shape}"
        )


# --------------------------------------------------------------------------------------------------------- unit vectors
def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """A new last axis of zeros with a one at each index.

    Parameters
    ----------
    tensor : Tensor
        Integers of any shape, from 0 on.
    num_classes : int
        Size of the new axis; -1 for the largest index and one more, which has to be read from the device.

    Returns
    -------
    Tensor
        Shape ``(*tensor.shape, num_classes)``, int64.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.functional.one_hot(tg.tensor([2, 0]))
    tensor([[0, 0, 1],
            [1, 0, 0]])
    """
    if tensor.dtype.kind not in "iu":
        raise TypeError(f"one_hot: expected integers, got {tensor.dtype}")
    if num_classes < -1 or (num_classes < 1 and not tensor.size):
        raise ArgumentError(
            f"one_hot: num_classes must be greater than 0, or -1 for an input that is not empty, got {num_classes}"
        )
    classes = int(tensor.max().item()) + 1 if num_classes == -1 else num_classes
    nothing = zeros((*tensor.shape, classes), dtype="int64", device=tensor.device)
    # an index below 0, which would count from the end, is out of range as well
    y: Tensor = scatter(nothing, -1, where(tensor < 0, classes, tensor).expand_dims(-1), 1)
    return y
