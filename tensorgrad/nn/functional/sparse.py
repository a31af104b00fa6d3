"""Embeddings: rows of a table, looked up by index."""

from __future__ import annotations

from typing import Any

from ... import kernels as K
from ...ops.indexing import embedding as looked_up
from ...tensor import Tensor

__all__ = ["embedding"]


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
    if max_norm is not None:
        _renormalized(weight, input._data, float(max_norm), float(norm_type))
    y: Tensor = looked_up(input, weight, padding_idx, scale_grad_by_freq)
    return y
