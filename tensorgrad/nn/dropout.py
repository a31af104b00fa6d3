"""Dropout layers: active in training, the identity after ``eval()``."""

from __future__ import annotations

from ..tensor import Tensor
from . import functional as F
from .module import Module

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class _Dropout(Module):
    """Probability and place of the result.

    Parameters
    ----------
    p : float
        Probability of dropping, between 0 and 1.
    inplace : bool
        Whether the result is written into the input.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: p must be between 0 and 1, got {p}")
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Zeroes each element with probability ``p`` and scales the others by ``1 / (1 - p)``.

    Parameters
    ----------
    p : float
        Probability of dropping, between 0 and 1.
    inplace : bool
        Whether the result is written into the input.

    Notes
    -----
    Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, 2014.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> layer = tg.nn.Dropout(0.25)
    >>> sorted(set(layer(tg.ones(100)).tolist()))
    [0.0, 1.3333333730697632]
    >>> layer.eval()(tg.ones(2))
    tensor([1., 1.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_Dropout):
    """`Dropout` of whole channels of an input of shape (N, C, L) or (C, L)."""

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    """`Dropout` of whole channels of an input of shape (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_Dropout):
    """`Dropout` of whole channels of an input of shape (N, C, D, H, W) or (C, D, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_Dropout):
    """Dropout that keeps mean 0 and variance 1 of its input, for networks with `SELU` (Klambauer et al., 2017)."""

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.alpha_dropout(input, self.p, self.training, self.inplace)


class FeatureAlphaDropout(_Dropout):
    """`AlphaDropout` of whole channels of an input of shape (N, C, ...)."""

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.feature_alpha_dropout(input, self.p, self.training, self.inplace)
