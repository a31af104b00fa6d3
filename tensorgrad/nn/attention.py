"""Attention layers."""

from __future__ import annotations

import math
from typing import Any

from ..ops.arrangement import split
from ..ops.elementwise import logical_and, logical_not, where
from ..ops.matmul import matmul
from ..ops.memory import empty, full_like, zeros, zeros_like
from ..ops.shape import broadcast_to, concat
from ..ops.softmax import softmax
from ..tensor import Tensor
from . import functional as F
from . import init
from .linear import Linear
from .module import Module
from .parameter import Parameter

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    r"""Attention in several heads: :math:`\operatorname{concat}(h_1, \dots, h_n) W_o` with
    :math:`h_i = \operatorname{attention}(q W_i^q, k W_i^k, v W_i^v)`.

    Parameters
    ----------
    embed_dim : int
        Size of the last axis of query and result.
    num_heads : int
        Must divide ``embed_dim``.
    dropout : float
        Probability with which a weight of the attention is dropped while training.
    bias : bool
        Whether the projections have biases.
    add_bias_kv : bool
        Add a learnt key and value to every sequence.
    add_zero_attn : bool
        Add a key and a value of zeros to every sequence.
    kdim, vdim : int, optional
        Sizes of the last axis of key and value, if not ``embed_dim``.
    batch_first : bool
        Inputs are (batch, sequence, features) instead of (sequence, batch, features).

    Attributes
    ----------
    in_proj_weight : Parameter or None
        Shape (3 embed_dim, embed_dim): query, key, value. With ``kdim`` or ``vdim`` instead ``q_proj_weight``,
        ``k_proj_weight`` and ``v_proj_weight``.
    in_proj_bias : Parameter or None
        Shape (3 embed_dim,).
    bias_k, bias_v : Parameter or None
        Shape (1, 1, embed_dim).
    out_proj : Linear

    Notes
    -----
    Vaswani et al., Attention Is All You Need, 2017. Without ``need_weights``, the scores are never held as a whole.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> layer = tg.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = tg.ones(3, 5, 8)
    >>> y, weights = layer(x, x, x)
    >>> y.shape, weights.shape
    ((3, 5, 8), (3, 5, 5))
    """

    in_proj_weight: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and num_heads={num_heads}"
            )
        if embed_dim % num_heads:
            raise ValueError(f"embed_dim ({embed_dim}) must be divisible by num_heads ({num_heads})")
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.add_zero_attn = add_zero_attn

        def parameter(name: str, wanted: bool, *shape: int) -> None:
            made = Parameter(empty(*shape, device=device, dtype=dtype)) if wanted else None
            self.register_parameter(name, made)

        joint = self.kdim == self.vdim == embed_dim
        parameter("in_proj_weight", joint, 3 * embed_dim, embed_dim)
        parameter("q_proj_weight", not joint, embed_dim, embed_dim)
        parameter("k_proj_weight", not joint, embed_dim, self.kdim)
        parameter("v_proj_weight", not joint, embed_dim, self.vdim)
        parameter("in_proj_bias", bias, 3 * embed_dim)
        self.out_proj = Linear(embed_dim, embed_dim, bias, device, dtype)
        parameter("bias_k", add_bias_kv, 1, 1, embed_dim)
        parameter("bias_v", add_bias_kv, 1, 1, embed_dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew; biases of the projections are 0."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None and self.out_proj.bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for row in (self.bias_k, self.bias_v):
            if row is not None:
                init.xavier_normal_(row)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend from the queries to the keys.

        Parameters
        ----------
        query, key, value : Tensor
            Shapes (L, N, embed_dim), (S, N, kdim) and (S, N, vdim), with ``batch_first`` (N, L, embed_dim) and so on;
            or without the axis N.
        key_padding_mask : Tensor, optional
            Shape (N, S): true for keys to pass over; or numbers to add to the scores.
        need_weights : bool
            Whether to return the weights of the attention, which then exist as a whole.
        attn_mask : Tensor, optional
            Shape (L, S) or (N * num_heads, L, S): true for keys that a query must not see; or numbers to add.
        average_attn_weights : bool
            Average the weights over the heads.
        is_causal : bool
            Says that ``attn_mask``, which must be given, is the causal one; a faster way may then be taken.

        Returns
        -------
        y, weights : Tensor, Tensor or None
            Shapes as the query's, and (N, L, S) or (N, num_heads, L, S).
        """
        batched = query.ndim == 3
        if query.ndim not in (2, 3) or not query.ndim == key.ndim == value.ndim:
            raise ValueError(
                "MultiheadAttention: query, key and value need 3 axes, or 2 without a batch, got "
                f"{query.shape}, {key.shape} and {value.shape}"
            )
        if is_causal and attn_mask is None:
            raise ValueError("MultiheadAttention: is_causal is a hint about attn_mask, which must be given with it")
        if not batched:
            query, key, value = (x.expand_dims(0) for x in (query, key, value))
            key_padding_mask = None if key_padding_mask is None else key_padding_mask.expand_dims(0)
        elif not self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        causal = is_causal and key_padding_mask is None and not need_weights and self._adds_nothing()
        q, k, v, mask = self._prepared(query, key, value, key_padding_mask, None if causal else attn_mask)
        p = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            weights = _weights(q, k, mask)
            weights = F.dropout(weights, p) if p else weights
            y: Tensor = matmul(weights, v)
        else:
            y = F.scaled_dot_product_attention(q, k, v, mask, p, causal)
        y = self.out_proj(y.transpose(1, 2).reshape(query.shape[0], query.shape[1], self.embed_dim))
        if weights is not None and average_attn_weights:
            weights = weights.mean(1)
        if not batched:
            return y[0], None if weights is None else weights[0]
        return (y if self.batch_first else y.transpose(0, 1)), weights

    def _adds_nothing(self) -> bool:
        return self.bias_k is None and not self.add_zero_attn

    def _prepared(
        self, query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, attn_mask: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Query, key and value of every head, (N, heads, length, head_dim), and the mask as attention takes it."""
        q, k, v = self._projected(query, key, value)
        samples, added = query.shape[0], 0
        if self.bias_k is not None and self.bias_v is not None:
            k, v = (
                concat([x, broadcast_to(row, (samples, 1, self.embed_dim))], 1)
                for x, row in ((k, self.bias_k), (v, self.bias_v))
            )
            added = 1
        if self.add_zero_attn:
            nothing = zeros(samples, 1, self.embed_dim, dtype=k.dtype, device=k.device)
            k, v, added = concat([k, nothing], 1), concat([v, nothing], 1), added + 1
        q, k, v = (x.reshape(samples, -1, self.num_heads, self.head_dim).transpose(1, 2) for x in (q, k, v))
        return q, k, v, self._merged(q, key.shape[1], added, padding, attn_mask)

    def _projected(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self.in_proj_weight is not None:
            if query is key and key is value:
                q, k, v = split(F.linear(query, self.in_proj_weight, self.in_proj_bias), 3, axis=-1)
                return q, k, v
            parts = list(split(self.in_proj_weight, 3))
        else:
            parts = [w for w in (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight) if w is not None]
        biases = [None] * 3 if self.in_proj_bias is None else split(self.in_proj_bias, 3)
        q, k, v = (F.linear(x, w, b) for x, w, b in zip((query, key, value), parts, biases, strict=True))
        return q, k, v

    def _merged(
        self, q: Tensor, keys: int, added: int, padding: Tensor | None, attn_mask: Tensor | None
    ) -> Tensor | None:
        """Both masks as one that broadcasts to (N, heads, L, S): where keys are seen, or what to add to the scores."""
        samples, heads, queries, _ = q.shape
        for name, mask in (("key_padding_mask", padding), ("attn_mask", attn_mask)):
            if mask is not None and mask.dtype.kind in "iuc":
                raise TypeError(f"{name} must be boolean or floating, got {mask.dtype}")
        found: list[Tensor] = []
        if padding is not None:
            if padding.shape != (samples, keys):
                raise ValueError(f"key_padding_mask must have shape {(samples, keys)}, got {padding.shape}")
            found.append(padding.reshape(samples, 1, 1, keys))
        if attn_mask is not None:
            if attn_mask.shape == (queries, keys):
                found.append(attn_mask.reshape(1, 1, queries, keys))
            elif attn_mask.shape == (samples * heads, queries, keys):
                found.append(attn_mask.reshape(samples, heads, queries, keys))
            else:
                raise ValueError(
                    f"attn_mask must have shape {(queries, keys)} or {(samples * heads, queries, keys)}, got "
                    f"{attn_mask.shape}"
                )
        if not found:
            return None
        if all(mask.dtype.kind == "b" for mask in found):
            masks = [_extended(logical_not(mask), added, True) for mask in found]
            return masks[0] if len(masks) == 1 else logical_and(*masks)
        numbers = [_extended(_added(mask, q), added, 0.0) for mask in found]
        return numbers[0] if len(numbers) == 1 else numbers[0] + numbers[1]


def _added(mask: Tensor, like: Tensor) -> Tensor:
    """A mask as numbers to add: minus infinity where it is true."""
    if mask.dtype.kind != "b":
        return mask.astype(like.dtype)
    nothing = zeros_like(mask, dtype=like.dtype)
    y: Tensor = where(mask, full_like(nothing, -math.inf), nothing)
    return y


def _extended(mask: Tensor, added: int, value: Any) -> Tensor:
    """The mask with columns for keys that were added and that everyone sees."""
    if not added:
        return mask
    columns = full_like(mask[..., :1], value)
    y: Tensor = concat([mask, *[columns] * added], -1)
    return y


def _weights(q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
    """The probabilities as a whole, (N, heads, L, S)."""
    scores = matmul(q * (1 / math.sqrt(q.shape[-1])), k.transpose(-2, -1))
    if mask is not None:
        scores = where(mask, scores, full_like(scores, -math.inf)) if mask.dtype.kind == "b" else scores + mask
    y: Tensor = softmax(scores, -1)
    return y
