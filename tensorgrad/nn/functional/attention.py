"""Attention: of queries to keys, and in several heads with projections."""

from __future__ import annotations

import math

import numpy as np

from ... import random
from ...dtypes import bool_
from ...generator import drawing_levels
from ...ops import attention as ops
from ...ops.arrangement import repeat, tril
from ...ops.elementwise import where
from ...ops.matmul import matmul
from ...ops.memory import ones
from ...ops.softmax import softmax
from ...tensor import Tensor
from .dropout import dropout

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
    if dropout_p and drawing_levels():
        return _dropped_for_samples(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)
    seed, offset = _place(query, key, dropout_p)
    y: Tensor = ops.attention(query, key, value, attn_mask, is_causal, scale, enable_gqa, dropout_p, seed, offset)
    return y


def _dropped_for_samples(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None,
    dropout_p: float,
    is_causal: bool,
    scale: float | None,
    enable_gqa: bool,
) -> Tensor:
    """Attention inside of a `vmap` whose samples drop weights of their own: the weights are written out."""
    if is_causal and attn_mask is not None:
        raise ValueError("scaled_dot_product_attention: is_causal=True makes the mask; attn_mask must be None")
    if enable_gqa:
        key, value = (repeat(x, query.shape[-3] // x.shape[-3], axis=-3) for x in (key, value))
    scores = matmul(query, key.mT) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    seen = None
    if is_causal:
        seen = tril(ones(scores.shape[-2:], dtype=bool_, device=query.device))
    elif attn_mask is not None and attn_mask.dtype.kind == "b":
        seen = attn_mask
    elif attn_mask is not None:
        scores = scores + attn_mask
    if seen is not None:
        scores = where(seen, scores, -math.inf)
    blind = scores.max(axis=-1, keepdims=True) == -math.inf
    weights = where(blind, 0.0, softmax(where(blind, 0.0, scores), -1))
    y: Tensor = matmul(dropout(weights, dropout_p), value)
    return y
