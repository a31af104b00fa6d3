"""Transformers: encoder and decoder layers of attention, stacks of them, and the two together."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

from ..capture import recording
from ..ops.elementwise import where
from ..ops.memory import arange, full_like, zeros
from ..tensor import Tensor
from . import functional as F
from . import init
from .attention import MultiheadAttention
from .container import ModuleList
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .normalization import LayerNorm

__all__ = [
    "Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder", "TransformerEncoderLayer",
]  # fmt: skip

Activation = str | Callable[[Tensor], Tensor]
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}


class _Layer(Module):
    """Blocks of attention and one feed-forward block, each with a residual connection and a normalisation."""

    attentions: tuple[str, ...]
    activation: Callable[[Tensor], Tensor]
    self_attn: MultiheadAttention

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if isinstance(activation, str):
            if activation not in _ACTIVATIONS:
                raise ValueError(f"activation must be 'relu', 'gelu' or a callable, got {activation!r}")
            activation = _ACTIVATIONS[activation]
        super().__init__()
        place = {"device": device, "dtype": dtype}
        for name in self.attentions:
            self.add_module(name, MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **place))
        self.linear1 = Linear(d_model, dim_feedforward, bias, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **place)
        self.norm_first = norm_first
        blocks = range(1, len(self.attentions) + 2)
        for i in blocks:
            self.add_module(f"norm{i}", LayerNorm(d_model, layer_norm_eps, bias=bias, **place))
        for i in blocks:
            self.add_module(f"dropout{i}", Dropout(dropout))
        self.activation = activation

    def _feedforward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear2(self.dropout(self.activation(self.linear1(x))))
        return y

    def _residual(self, x: Tensor, norm: Module, dropout: Module, block: Callable[[Tensor], Tensor]) -> Tensor:
        """``x + block(norm(x))`` or ``norm(x + block(x))``."""
        y: Tensor = x + dropout(block(norm(x))) if self.norm_first else norm(x + dropout(block(x)))
        return y

    def _check(self, what: str, x: Tensor, d_model: int) -> None:
        if x.ndim not in (2, 3) or x.shape[-1] != d_model:
            raise ValueError(f"{type(self).__name__}: {what} must be (..., d_model={d_model}), got shape {x.shape}")


class TransformerEncoderLayer(_Layer):
    r"""Self-attention and a feed-forward network: :math:`y = N(x + A(x, x))`, :math:`z = N(y + W_2 f(W_1 y))`.

    Parameters
    ----------
    d_model : int
        Size of the last axis of input and output.
    nhead : int
        Number of heads of the attention; must divide ``d_model``.
    dim_feedforward : int
        Size between the two products of the feed-forward network.
    dropout : float
        Probability of dropout after each block, in the feed-forward network and of the attention's weights.
    activation : {"relu", "gelu"} or callable
        The function f.
    layer_norm_eps : float
        Added to the variance.
    batch_first : bool
        Inputs are (batch, sequence, features) instead of (sequence, batch, features).
    norm_first : bool
        Normalise what goes into a block, not the sum that comes out: :math:`y = x + A(N(x), N(x))`.
    bias : bool
        Whether products and normalisations have biases.

    Attributes
    ----------
    self_attn : MultiheadAttention
    linear1, linear2 : Linear
    norm1, norm2 : LayerNorm

    Notes
    -----
    Vaswani et al., Attention Is All You Need, 2017; ``norm_first``: Xiong et al., 2020.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> layer = tg.nn.TransformerEncoderLayer(8, 2, dim_feedforward=16)
    >>> layer(tg.ones(5, 3, 8)).shape
    (5, 3, 8)
    """

    attentions = ("self_attn",)

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """Encode ``src``, shape (S, N, d_model), or as ``batch_first`` says, or without N; masks as of attention.

        ``is_causal`` says that ``src_mask``, which must be given, is the causal one.
        """
        self._check("src", src, self.self_attn.embed_dim)

        def attend(x: Tensor) -> Any:
            return self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal)[0]

        x = self._residual(src, self.norm1, self.dropout1, attend)
        return self._residual(x, self.norm2, self.dropout2, self._feedforward)


class TransformerDecoderLayer(_Layer):
    r"""Self-attention, attention to the encoder's output m, and a feed-forward network:
    :math:`y = N(x + A(x, x))`, :math:`z = N(y + A'(y, m))`, :math:`N(z + W_2 f(W_1 z))`.

    The parameters are those of `TransformerEncoderLayer`.

    Attributes
    ----------
    self_attn, multihead_attn : MultiheadAttention
    linear1, linear2 : Linear
    norm1, norm2, norm3 : LayerNorm

    Examples
    --------
    >>> import tensorgrad as tg
    >>> layer = tg.nn.TransformerDecoderLayer(8, 2, dim_feedforward=16)
    >>> layer(tg.ones(5, 3, 8), tg.ones(7, 3, 8)).shape
    (5, 3, 8)
    """

    attentions = ("self_attn", "multihead_attn")

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Decode ``tgt``, shape (T, N, d_model), with the encoder's output ``memory``, shape (S, N, d_model).

        Masks are those of attention; ``is_causal`` says that the mask, which must be given, is the causal one.
        """
        self._check("tgt", tgt, self.self_attn.embed_dim)
        self._check("memory", memory, self.self_attn.embed_dim)

        def attend(x: Tensor) -> Any:
            return self.self_attn(x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal)[0]

        def look(x: Tensor) -> Any:
            mask, padding = memory_mask, memory_key_padding_mask
            return self.multihead_attn(x, memory, memory, padding, False, mask, is_causal=memory_is_causal)[0]

        x = self._residual(tgt, self.norm1, self.dropout1, attend)
        x = self._residual(x, self.norm2, self.dropout2, look)
        return self._residual(x, self.norm3, self.dropout3, self._feedforward)


# ------------------------------------------------------------------------------------------------------------- stacks
class _Stack(Module):
    """Copies of one layer, one after the other."""

    norm: Module | None

    def __init__(self, layer: Module, num_layers: int, norm: Module | None) -> None:
        super().__init__()
        self.layers = ModuleList([copy.deepcopy(layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm

    def _run(self, x: Tensor, *args: Any) -> Tensor:
        for layer in self.layers:
            x = layer(x, *args)
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """Copies of an encoder layer, one after the other, and then ``norm``, if there is one.

    Parameters
    ----------
    encoder_layer : Module
        Copied ``num_layers`` times, so that all copies start from the same weights.
    num_layers : int
    norm : Module, optional
    enable_nested_tensor, mask_check : bool
        Taken for PyTorch's sake, where they choose a faster way; positions that are padded are computed like others.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> encoder = tg.nn.TransformerEncoder(tg.nn.TransformerEncoderLayer(8, 2, 16), num_layers=2)
    >>> encoder(tg.ones(5, 3, 8)).shape
    (5, 3, 8)
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__(encoder_layer, num_layers, norm)
        self.enable_nested_tensor = enable_nested_tensor
        self.mask_check = mask_check

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """Encode ``src`` with every layer; with ``is_causal`` None, it is found out whether ``mask`` is causal."""
        return self._run(src, mask, src_key_padding_mask, _is_causal(mask, is_causal))


class TransformerDecoder(_Stack):
    """Copies of a decoder layer, one after the other, and then ``norm``, if there is one.

    The parameters are those of `TransformerEncoder`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> decoder = tg.nn.TransformerDecoder(tg.nn.TransformerDecoderLayer(8, 2, 16), num_layers=2)
    >>> decoder(tg.ones(5, 3, 8), tg.ones(7, 3, 8)).shape
    (5, 3, 8)
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__(decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Decode ``tgt`` with every layer; with ``tgt_is_causal`` None, it is found out whether ``tgt_mask`` is."""
        causal = _is_causal(tgt_mask, tgt_is_causal)
        paddings = tgt_key_padding_mask, memory_key_padding_mask
        return self._run(tgt, memory, tgt_mask, memory_mask, *paddings, causal, memory_is_causal)


def _is_causal(mask: Tensor | None, said: bool | None) -> bool:
    """What was said about a mask, or else whether it hides exactly the keys after each query."""
    if said is not None or mask is None:
        return bool(said)
    if mask.ndim != 2 or mask.shape[0] != mask.shape[1] or recording() is not None:
        return False  # a recorder sees no values; the mask itself says the same
    place = arange(mask.shape[0], device=mask.device)
    later = place.expand_dims(0) > place.expand_dims(1)
    wanted = later if mask.dtype.kind == "b" else _minus_infinity(later, mask.dtype)
    return bool((mask == wanted).all())


def _minus_infinity(where_true: Tensor, dtype: Any) -> Tensor:
    nothing = zeros(where_true.shape, dtype=dtype, device=where_true.device)
    y: Tensor = where(where_true, full_like(nothing, -math.inf), nothing)
    return y


class Transformer(Module):
    """An encoder and a decoder that attends to its output.

    All weights with two axes are drawn as `init.xavier_uniform_` does.

    Parameters
    ----------
    d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias
        As of `TransformerEncoderLayer`.
    num_encoder_layers, num_decoder_layers : int
    custom_encoder, custom_decoder : Module, optional
        Taken in place of the ones made from the other parameters.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> model = tg.nn.Transformer(8, 2, 1, 1, dim_feedforward=16)
    >>> mask = model.generate_square_subsequent_mask(5)
    >>> model(tg.ones(7, 3, 8), tg.ones(5, 3, 8), tgt_mask=mask).shape
    (5, 3, 8)
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        place = {"device": device, "dtype": dtype}
        options = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)
        if custom_encoder is None:
            norm = LayerNorm(d_model, layer_norm_eps, bias=bias, **place)
            custom_encoder = TransformerEncoder(TransformerEncoderLayer(*options, **place), num_encoder_layers, norm)
        if custom_decoder is None:
            norm = LayerNorm(d_model, layer_norm_eps, bias=bias, **place)
            custom_decoder = TransformerDecoder(TransformerDecoderLayer(*options, **place), num_decoder_layers, norm)
        self.encoder = custom_encoder
        self.decoder = custom_decoder
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Decode ``tgt``, shape (T, N, d_model), given ``src``, shape (S, N, d_model), to the shape of ``tgt``."""
        batch = 0 if self.batch_first else 1
        widths = {src.shape[-1], tgt.shape[-1], self.d_model}
        one_batch = src.ndim == tgt.ndim == 2 or (src.ndim == tgt.ndim == 3 and src.shape[batch] == tgt.shape[batch])
        if len(widths) > 1 or not one_batch:
            raise ValueError(
                f"Transformer: src and tgt need one batch size and a last axis of size d_model={self.d_model}, got "
                f"shapes {src.shape} and {tgt.shape}"
            )
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        y: Tensor = self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )
        return y

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """The causal mask to add to scores, shape (sz, sz): minus infinity for keys after the query, 0 for others."""
        place = arange(sz, device=device)
        return _minus_infinity(place.expand_dims(0) > place.expand_dims(1), dtype)
