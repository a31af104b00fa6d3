"""Attention: of queries to keys, and in several heads with projections."""

from __future__ import annotations

import math

import numpy as np

from ... import random
from ...ops import attention as ops
from ...tensor import Tensor

__all__ = ["scaled_dot_product_attention"]


def _place(query: Tensor, key: Tensor, dropout_p: float) -> tuple[int, int]:
    """A part of the random stream with 16 bits for every probability."""
    if dropout_p == 0.0:
        return 0, 0
    heads = max(math.prod(query.shape[-3:-2]), math.prod(key.shape[-3:-2]))
    samples = math.prod(np.broadcast_shapes(query.shape[:-3], key.shape[:-3]))
    count = samples * heads * query.shape[-2] * key.shape[-2]
    return random.default_generator.reserve_stream(-(-count // 16))


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    r"""``softmax(query @ key.T * scale + attn_mask) @ value``, without the matrix of all scores in memory.

    Parameters
    ----------
    query, key, value : Tensor
        Shapes (..., L, E), (..., S, E) and (..., S, D).
    attn_mask : Tensor, optional
        Broadcasts to (..., L, S). Boolean, true where a query may see a key, or of the query's dtype, to be added to
        the scores.
    dropout_p : float
        Probability with which each weight is zeroed; the others are scaled by ``1 / (1 - dropout_p)``. Also outside of
        training: pass 0 there.
    is_causal : bool
        Query i sees keys 0 to i only; then no mask may be given.
    scale : float, optional
        By default ``1 / sqrt(E)``.
    enable_gqa : bool
        Axis -3 of key and value may divide that of the query: neighbouring heads share them.

    Returns
    -------
    Tensor
        Shape (..., L, D); 0 for a query that sees no key.

    Notes
    -----
    Vaswani et al., Attention Is All You Need, 2017; Dao et al., FlashAttention, 2022.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.ones(2, 4, 3)
    >>> tg.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True).shape
    (2, 4, 3)
    """
    seed, offset = _place(query, key, dropout_p)
    y: Tensor = ops.attention(query, key, value, attn_mask, is_causal, scale, enable_gqa, dropout_p, seed, offset)
    return y
