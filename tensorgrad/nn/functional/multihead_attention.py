"""Attention in several heads, from given weights."""

from __future__ import annotations

import math
from typing import Any

from ...errors import ArgumentError
from ...ops.arrangement import split
from ...ops.elementwise import logical_and, logical_not, where
from ...ops.matmul import matmul
from ...ops.memory import full_like, zeros, zeros_like
from ...ops.shape import broadcast_to, concat
from ...ops.softmax import softmax
from ...tensor import Tensor
from .attention import scaled_dot_product_attention
from .dropout import dropout
from .linear import linear

__all__ = ["attend", "check_operands", "multi_head_attention_forward"]

Weights = tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]
"""The joint projection of query, key and value, or None and the three."""


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """What `MultiheadAttention` computes, from weights that are given.

    Parameters
    ----------
    query, key, value : Tensor
        Shapes (L, N, E), (S, N, kdim) and (S, N, vdim), or without the axis N.
    embed_dim_to_check : int
        What E must be.
    num_heads : int
    in_proj_weight, in_proj_bias : Tensor, optional
        Shapes (3 E, E) and (3 E,): query, key, value.
    bias_k, bias_v : Tensor, optional
        Shape (1, 1, E), added to every sequence of keys and values.
    add_zero_attn : bool
        Add a key and a value of zeros to every sequence.
    dropout_p : float
        Probability with which a weight of the attention is dropped, if ``training``.
    out_proj_weight, out_proj_bias : Tensor
        Shapes (E, E) and (E,).
    key_padding_mask : Tensor, optional
        Shape (N, S): true for keys to pass over; or numbers to add to the scores.
    need_weights : bool
        Whether to return the weights of the attention, averaged over the heads if ``average_attn_weights``.
    attn_mask : Tensor, optional
        Shape (L, S) or (N * num_heads, L, S): true for keys that a query must not see; or numbers to add.
    use_separate_proj_weight : bool
        Take ``q_proj_weight``, ``k_proj_weight`` and ``v_proj_weight``, (E, E), (E, kdim) and (E, vdim).
    static_k, static_v : Tensor, optional
        Shape (N * num_heads, S, E / num_heads): keys and values of the heads, in place of the projected ones.
    is_causal : bool
        Says that ``attn_mask``, which must be given, is the causal one.

    Returns
    -------
    y, weights : Tensor, Tensor or None
        Shapes (L, N, E), and (N, L, S) or (N, num_heads, L, S).

    Raises
    ------
    ValueError
        If shapes do not fit.
    RuntimeError
        If ``is_causal`` is given without a mask, or ``static_k`` or ``static_v`` with ``bias_k`` and ``bias_v``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x, w, b = tg.ones(5, 3, 8), tg.ones(24, 8), tg.zeros(24)
    >>> y, weights = tg.nn.functional.multi_head_attention_forward(
    ...     x, x, x, 8, 2, w, b, None, None, False, 0.0, tg.ones(8, 8), tg.zeros(8)
    ... )
    >>> y.shape, weights.shape
    ((5, 3, 8), (3, 5, 5))
    """
    name = "multi_head_attention_forward"
    check_operands(name, query, key, value, attn_mask, is_causal)
    if query.shape[-1] != embed_dim_to_check:
        raise ArgumentError(f"{name}: expected queries of {embed_dim_to_check} features, got shape {query.shape}")
    if embed_dim_to_check % num_heads:
        raise ArgumentError(f"{name}: embed_dim ({embed_dim_to_check}) must be divisible by num_heads ({num_heads})")
    separate = (q_proj_weight, k_proj_weight, v_proj_weight)
    if use_separate_proj_weight and any(w is None for w in separate):
        raise ArgumentError(f"{name}: use_separate_proj_weight needs q_proj_weight, k_proj_weight and v_proj_weight")
    if not use_separate_proj_weight and in_proj_weight is None:
        raise ArgumentError(f"{name}: in_proj_weight is needed unless use_separate_proj_weight")
    if (bias_k is None) != (bias_v is None):
        raise ArgumentError(f"{name}: bias_k and bias_v must be given both or neither")
    if bias_k is not None and not (static_k is None and static_v is None):
        raise RuntimeError(f"{name}: bias_k and bias_v cannot be added to static keys or values")
    batched = query.ndim == 3
    if batched:
        query, key, value = _batch_first(query, key, value)
    else:
        query, key, value = (x.expand_dims(0) for x in (query, key, value))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.expand_dims(0)
    y, weights = attend(
        query,
        key,
        value,
        num_heads,
        (None, *separate) if use_separate_proj_weight else (in_proj_weight, None, None, None),
        in_proj_bias,
        bias_k,
        bias_v,
        add_zero_attn,
        dropout_p if training else 0.0,
        key_padding_mask,
        attn_mask,
        need_weights,
        is_causal,
        static_k,
        static_v,
    )
    y = linear(y, out_proj_weight, out_proj_bias)
    if weights is not None and average_attn_weights:
        weights = weights.mean(1)
    if not batched:
        return y[0], None if weights is None else weights[0]
    return y.transpose(0, 1), weights


def _batch_first(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(N, length, features); what is one tensor stays one, which is projected at once."""
    q = query.transpose(0, 1)
    k = q if key is query else key.transpose(0, 1)
    return q, k, k if value is key else value.transpose(0, 1)


def check_operands(
    name: str, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, is_causal: bool
) -> None:
    """Complain about numbers of axes, and about a hint without a mask."""
    if query.ndim not in (2, 3) or not query.ndim == key.ndim == value.ndim:
        raise ArgumentError(
            f"{name}: query, key and value need 3 axes, or 2 without a batch, got {query.shape}, {key.shape} and "
            f"{value.shape}"
        )
    if is_causal and attn_mask is None:
        raise RuntimeError(f"{name}: is_causal is a hint about attn_mask, which must be given with it")


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    num_heads: int,
    weights: Weights,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    p: float,
    key_padding_mask: Tensor | None,
    attn_mask: Tensor | None,
    need_weights: bool,
    is_causal: bool,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Query, key and value (N, length, features) to what the heads give, (N, L, E), and, if wanted, their weights."""
    samples, queries, width = query.shape
    head = width // num_heads
    adds = bias_k is not None or add_zero_attn
    causal = is_causal and key_padding_mask is None and not need_weights and not adds
    q, k, v = _projected(query, key, value, weights, in_proj_bias)
    added = 0
    if bias_k is not None and bias_v is not None:
        k, v = (concat([x, broadcast_to(row, (samples, 1, width))], 1) for x, row in ((k, bias_k), (v, bias_v)))
        added = 1
    q = q.reshape(samples, queries, num_heads, head).transpose(1, 2)
    k = _of_heads("static_k", k, static_k, samples, num_heads, head)
    v = _of_heads("static_v", v, static_v, samples, num_heads, head)
    keys = k.shape[2] - added
    if add_zero_attn:
        nothing = zeros(samples, num_heads, 1, head, dtype=k.dtype, device=k.device)
        k, v, added = concat([k, nothing], 2), concat([v, nothing], 2), added + 1
    mask = _merged(q, keys, added, key_padding_mask, None if causal else attn_mask)
    shares = None
    if need_weights:
        shares = _shares(q, k, mask)
        shares = dropout(shares, p) if p else shares
        y: Tensor = matmul(shares, v)
    else:
        y = scaled_dot_product_attention(q, k, v, mask, p, causal)
    return y.transpose(1, 2).reshape(samples, queries, width), shares


def _of_heads(name: str, x: Tensor, static: Tensor | None, samples: int, heads: int, size: int) -> Tensor:
    """Keys or values as (N, heads, S, size): the projected ones, or those that are given."""
    if static is None:
        return x.reshape(samples, x.shape[1], heads, size).transpose(1, 2)
    if static.ndim != 3 or static.shape[0] != samples * heads or static.shape[2] != size:
        raise ArgumentError(f"{name} must have shape ({samples * heads}, S, {size}), got {static.shape}")
    return static.reshape(samples, heads, static.shape[1], size)


def _projected(
    query: Tensor, key: Tensor, value: Tensor, weights: Weights, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    if weights[0] is not None:
        if query is key and key is value:
            q, k, v = split(linear(query, weights[0], bias), 3, axis=-1)
            return q, k, v
        parts = list(split(weights[0], 3))
    else:
        parts = [w for w in weights[1:] if w is not None]
    biases = [None] * 3 if bias is None else split(bias, 3)
    q, k, v = (linear(x, w, b) for x, w, b in zip((query, key, value), parts, biases, strict=True))
    return q, k, v


def _merged(q: Tensor, keys: int, added: int, padding: Tensor | None, attn_mask: Tensor | None) -> Tensor | None:
    """Both masks as one that broadcasts to (N, heads, L, S): where keys are seen, or what to add to the scores."""
    samples, heads, queries, _ = q.shape
    for name, mask in (("key_padding_mask", padding), ("attn_mask", attn_mask)):
        if mask is not None and mask.dtype.kind in "iuc":
            raise TypeError(f"{name} must be boolean or floating, got {mask.dtype}")
    found: list[Tensor] = []
    if padding is not None:
        if padding.shape != (samples, keys):
            raise ArgumentError(f"key_padding_mask must have shape {(samples, keys)}, got {padding.shape}")
        found.append(padding.reshape(samples, 1, 1, keys))
    if attn_mask is not None:
        if attn_mask.shape == (queries, keys):
            found.append(attn_mask.reshape(1, 1, queries, keys))
        elif attn_mask.shape == (samples * heads, queries, keys):
            found.append(attn_mask.reshape(samples, heads, queries, keys))
        else:
            raise ArgumentError(
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


def _shares(q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
    """The probabilities as a whole, (N, heads, L, S)."""
    scores = matmul(q * (1 / math.sqrt(q.shape[-1])), k.transpose(-2, -1))
    if mask is not None:
        scores = where(mask, scores, full_like(scores, -math.inf)) if mask.dtype.kind == "b" else scores + mask
    y: Tensor = softmax(scores, -1)
    return y
