"""Tables of vectors that are looked up by index, one by one or in bags."""

from __future__ import annotations

from itertools import chain
from typing import Any

from .. import kernels as K
from ..creation import as_tensor
from ..errors import integer
from ..ops.memory import empty
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter

__all__ = ["Embedding", "EmbeddingBag"]


class _Table(Module):
    """What both embeddings have: the vectors, and the options of looking them up."""

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
        scale_grad_by_freq: bool,
        sparse: bool,
        weight: Any,
        freeze: bool,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if sparse:
            raise ValueError(f"{name}: sparse gradients do not exist here; use sparse=False")
        num_embeddings = integer(num_embeddings, "num_embeddings", name)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"{name}: padding_idx {padding_idx} must be within num_embeddings {num_embeddings}")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx + num_embeddings if padding_idx is not None and padding_idx < 0 else padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = False
        if weight is None:
            self.weight = Parameter(empty(num_embeddings, embedding_dim, device=device, dtype=dtype), not freeze)
            self.reset_parameters()
        else:
            if tuple(weight.shape) != (num_embeddings, embedding_dim):
                raise ValueError(
                    f"{name}: the weight must have shape {(num_embeddings, embedding_dim)}, got {weight.shape}"
                )
            self.weight = Parameter(as_tensor(weight), not freeze)

    def reset_parameters(self) -> None:
        """Draw the vectors anew; that of ``padding_idx`` is 0."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            K.fill(self.weight._data[self.padding_idx], 0)

    def _shown(self, *parts: list[str]) -> str:
        return ", ".join([f"{self.num_embeddings}, {self.embedding_dim}", *chain.from_iterable(parts)])

    def _padding(self) -> list[str]:
        return [] if self.padding_idx is None else [f"padding_idx={self.padding_idx}"]

    def _options(self) -> list[str]:
        shown = [] if self.max_norm is None else [f"max_norm={self.max_norm}"]
        if self.norm_type != 2:
            shown.append(f"norm_type={self.norm_type}")
        if self.scale_grad_by_freq:
            shown.append("scale_grad_by_freq=True")
        return shown


class Embedding(_Table):
    """A table of ``num_embeddings`` vectors, drawn from N(0, 1).

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        Number of vectors and their size.
    padding_idx : int, optional
        A vector that is 0 at first and gets no gradient; counted from the end if negative.
    max_norm : float, optional
        Vectors that are looked up and longer than this are scaled down to it, in place.
    norm_type : float
        p of the p-norm for ``max_norm``.
    scale_grad_by_freq : bool
        Divide the gradient of each vector by how often it was looked up.
    sparse : bool
        Must be False: gradients are dense.

    Attributes
    ----------
    weight : Parameter
        Shape (num_embeddings, embedding_dim).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.Embedding(10, 3)(tg.tensor([[1, 2, 4, 5], [4, 3, 2, 9]])).shape
    (2, 4, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Any = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight,
            _freeze, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        """Integers of any shape to ``(*shape, embedding_dim)``."""
        return F.embedding(input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq)

    def extra_repr(self) -> str:
        return self._shown(self._padding(), self._options())

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """An embedding with the given vectors, whose memory it shares.

        Parameters
        ----------
        embeddings : Tensor
            Shape (num_embeddings, embedding_dim).
        freeze : bool
            Whether the vectors take no gradient.

        Examples
        --------
        >>> import tensorgrad as tg
        >>> table = tg.nn.Embedding.from_pretrained(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
        >>> table(tg.tensor([1]))
        tensor([[3., 4.]])
        """
        if embeddings.ndim != 2:
            raise ValueError(f"from_pretrained: expected embeddings with 2 axes, got shape {embeddings.shape}")
        rows, columns = embeddings.shape
        return cls(rows, columns, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, embeddings, freeze)


class EmbeddingBag(_Table):
    """Sums, means or maxima of the vectors of bags of indices, from a table drawn from N(0, 1).

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        Number of vectors and their size.
    max_norm, norm_type, scale_grad_by_freq, sparse
        As for `Embedding`.
    mode : {"sum", "mean", "max"}
        What becomes of a bag. An empty one is 0.
    include_last_offset : bool
        Whether the last offset is the end of the last bag.
    padding_idx : int, optional
        An index that counts for nothing; its vector is 0 at first and gets no gradient.

    Attributes
    ----------
    weight : Parameter
        Shape (num_embeddings, embedding_dim).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> layer = tg.nn.EmbeddingBag(10, 3, mode="sum")
    >>> layer(tg.tensor([1, 2, 4, 5, 4, 3]), tg.tensor([0, 4])).shape
    (2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Any = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight,
            False, device, dtype,
        )  # fmt: skip
        if mode not in ("sum", "mean", "max"):
            raise ValueError(f'EmbeddingBag: mode must be "sum", "mean" or "max", got {mode!r}')
        if scale_grad_by_freq and mode == "max":
            raise ValueError('EmbeddingBag: scale_grad_by_freq is not for mode "max"')
        self.mode = mode
        self.include_last_offset = include_last_offset

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        """One vector per bag; see `tensorgrad.nn.functional.embedding_bag`."""
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            per_sample_weights=per_sample_weights,
            include_last_offset=self.include_last_offset,
            padding_idx=self.padding_idx,
        )

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """An embedding with the given vectors, shape (num_embeddings, embedding_dim), whose memory it shares."""
        if embeddings.ndim != 2:
            raise ValueError(f"from_pretrained: expected embeddings with 2 axes, got shape {embeddings.shape}")
        rows, columns = embeddings.shape
        made = cls(
            rows, columns, max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings, include_last_offset,
            padding_idx,
        )  # fmt: skip
        made.weight.requires_grad = not freeze
        return made

    def extra_repr(self) -> str:
        return self._shown(self._options(), [f"mode={self.mode!r}"], self._padding())
