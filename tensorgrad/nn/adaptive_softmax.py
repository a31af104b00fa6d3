"""A softmax over very many classes, of which few are frequent."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from ..ops.elementwise import greater_equal, less, logical_and, where
from ..ops.indexing import gather
from ..ops.memory import zeros
from ..ops.reduction import argmax, sum
from ..ops.shape import concat
from ..tensor import Tensor
from . import functional as F
from .container import ModuleList, Sequential
from .linear import Linear
from .module import Module

__all__ = ["ASMoutput", "AdaptiveLogSoftmaxWithLoss"]


class ASMoutput(NamedTuple):
    """The log-probability of each target, and the loss: minus their mean."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-softmax and loss for classes that are sorted by frequency, the frequent first.

    The head decides among the classes below the first cutoff and the clusters of the others; the tail of a cluster,
    computed only for the samples whose target is in it, among its classes.

    Parameters
    ----------
    in_features : int
    n_classes : int
    cutoffs : sequence of int
        Where clusters begin; ascending, between 1 and ``n_classes - 1``.
    div_value : float
        Cluster i has ``in_features // div_value ** (i + 1)`` features.
    head_bias : bool
        Whether the head has a bias.

    Attributes
    ----------
    head : Linear
    tail : ModuleList
        For each cluster two linear layers without bias, in sequence.

    Notes
    -----
    Grave et al., Efficient softmax approximation for GPUs, 2016.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> layer = tg.nn.AdaptiveLogSoftmaxWithLoss(16, 100, [10, 50], div_value=2.0)
    >>> output, loss = layer(tg.ones(3, 16), tg.tensor([4, 40, 90]))
    >>> output.shape, loss.shape
    ((3,), ())
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        bounds = list(cutoffs)
        if not bounds:
            raise ValueError("AdaptiveLogSoftmaxWithLoss: cutoffs must not be empty")
        if any(int(c) != c for c in bounds) or not all(a < b for a, b in pairwise([0, *bounds, n_classes])):
            raise ValueError(
                f"AdaptiveLogSoftmaxWithLoss: cutoffs must be whole, ascending and between 1 and n_classes - 1 = "
                f"{n_classes - 1}, got {bounds}"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*bounds, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, head_bias, device, dtype)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(pairwise(self.cutoffs)):
            features = int(in_features // div_value ** (i + 1))
            projection = Linear(in_features, features, False, device, dtype)
            self.tail.append(Sequential(projection, Linear(features, high - low, False, device, dtype)))

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        for module in self.modules():
            if isinstance(module, Linear):
                module.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> ASMoutput:
        """Inputs (N, in_features) and targets (N,), or (in_features,) and ()."""
        if target_.ndim > 1 or input_.ndim != target_.ndim + 1 or input_.shape[:-1] != target_.shape:
            raise ValueError(
                "AdaptiveLogSoftmaxWithLoss: expected an input (N, in_features) and targets (N,), or (in_features,) "
                f"and (), got {input_.shape} and {target_.shape}"
            )
        single = target_.ndim == 0
        input, target = (input_.expand_dims(0), target_.expand_dims(0)) if single else (input_, target_)
        if target.size and bool(((target < 0) | (target >= self.n_classes)).any().item()):
            raise ValueError(
                f"AdaptiveLogSoftmaxWithLoss: targets must be from 0 to {self.n_classes - 1}, got "
                f"{target.min().item()} to {target.max().item()}"
            )
        output = zeros(target.shape, dtype=input.dtype, device=input.device)
        place = target  # in the head: that of the class, or of its cluster
        for i, (low, high) in enumerate(pairwise(self.cutoffs)):
            inside = logical_and(greater_equal(target, low), less(target, high))
            place = where(inside, self.shortlist_size + i, place)
            if int(sum(inside).item()):
                scores = F.log_softmax(self.tail[i](input[inside]), 1)
                output[inside] = gather(scores, 1, (target[inside] - low).expand_dims(1)).squeeze(1)
        output = output + gather(F.log_softmax(self.head(input), 1), 1, place.expand_dims(1)).squeeze(1)
        loss = -output.mean()
        return ASMoutput(output[0] if single else output, loss)

    def log_prob(self, input: Tensor) -> Tensor:
        """The log-probabilities of all classes: (N, in_features) to (N, n_classes)."""
        head = F.log_softmax(self.head(input), 1)
        parts = [head[:, : self.shortlist_size]]
        for i, tail in enumerate(self.tail):
            cluster = head[:, self.shortlist_size + i].expand_dims(1)
            parts.append(F.log_softmax(tail(input), 1) + cluster)
        y: Tensor = concat(parts, 1)
        return y

    def predict(self, input: Tensor) -> Tensor:
        """The most probable class of each sample: (N, in_features) to (N,)."""
        y: Tensor = argmax(self.log_prob(input), axis=1)
        return y
