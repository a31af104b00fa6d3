"""Attention layers."""

from __future__ import annotations

from typing import Any

from ..ops.elementwise import logical_or
from ..ops.memory import empty
from ..ops.shape import broadcast_to
from ..tensor import Tensor
from . import init
from .functional.multihead_attention import attend, check_operands
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
        check_operands("MultiheadAttention", query, key, value, attn_mask, is_causal)
        if not batched:
            query, key, value = (x.expand_dims(0) for x in (query, key, value))
            key_padding_mask = None if key_padding_mask is None else key_padding_mask.expand_dims(0)
        elif not self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        weights = (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        y, shares = attend(
            query,
            key,
            value,
            self.num_heads,
            weights,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout if self.training else 0.0,
            key_padding_mask,
            attn_mask,
            need_weights,
            is_causal,
        )
        y = self.out_proj(y)
        if shares is not None and average_attn_weights:
            shares = shares.mean(1)
        if not batched:
            return y[0], None if shares is None else shares[0]
        return (y if self.batch_first else y.transpose(0, 1)), shares

    def merge_masks(
        self, attn_mask: Tensor | None, key_padding_mask: Tensor | None, query: Tensor
    ) -> tuple[Tensor | None, int | None]:
        """Both masks as one, and its kind: None without a mask, 1 for ``key_padding_mask`` alone, else 2.

        Parameters
        ----------
        attn_mask, key_padding_mask : Tensor, optional
            Of shapes (L, S) or (N * num_heads, L, S), and (N, S).
        query : Tensor
            Shape (N, L, embed_dim).

        Returns
        -------
        Tensor or None, int or None
            Shape (N, num_heads, L, S), or that of ``key_padding_mask`` alone.
        """
        if attn_mask is None:
            return key_padding_mask, None if key_padding_mask is None else 1
        samples, queries, _ = query.shape
        keys = attn_mask.shape[-1]
        shape = (samples, self.num_heads, queries, keys)
        if attn_mask.ndim == 3:
            attn_mask = attn_mask.reshape(samples, -1, queries, keys)
        merged: Tensor = broadcast_to(attn_mask, shape)
        if key_padding_mask is None:
            return merged, 2
        padding = broadcast_to(key_padding_mask.reshape(samples, 1, 1, keys), shape)
        both = logical_or(merged, padding) if merged.dtype.kind == padding.dtype.kind == "b" else merged + padding
        return both, 2
