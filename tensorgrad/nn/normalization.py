"""Normalisation layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import integers
from ..ops.memory import ones, zeros
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Buffer, Parameter

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d",
    "LayerNorm", "LocalResponseNorm", "RMSNorm",
]  # fmt: skip


class _Affine(Module):
    """A layer that may scale and shift."""

    weight: Parameter | None
    bias: Parameter | None

    def _make(self, shape: Any, weight: bool, bias: bool, device: Any, dtype: Any) -> None:
        for name, value, wanted in (("weight", ones, weight), ("bias", zeros, bias)):
            self.register_parameter(name, Parameter(value(shape, device=device, dtype=dtype)) if wanted else None)

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


# ------------------------------------------------------------------------------------- with running statistics
class _Running(_Affine):
    """Batch norm and instance norm: parameters and running statistics per channel."""

    axes: tuple[int, ...] = ()
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: Any,
        dtype: Any,
        bias: bool,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._make(num_features, affine, affine and bias, device, dtype)
        tracked = track_running_stats
        self.register_buffer(
            "running_mean", Buffer(zeros(num_features, device=device, dtype=dtype)) if tracked else None
        )
        self.register_buffer("running_var", Buffer(ones(num_features, device=device, dtype=dtype)) if tracked else None)
        count = Buffer(zeros((), dtype="int64", device=device)) if tracked else None
        self.register_buffer("num_batches_tracked", count)

    def reset_running_stats(self) -> None:
        """Mean 0, variance 1, no batches seen."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            self.num_batches_tracked[...] = 0

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, and the running statistics as at first."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check_input(self, input: Tensor) -> None:
        if input.ndim not in self.axes:
            wanted = " or ".join(f"{n}D" for n in self.axes)
            raise ValueError(f"{type(self).__name__}: expected {wanted} input (got {input.ndim}D input)")

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_Running):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def _momentum(self) -> float | Tensor:
        """The share of this batch in the running statistics; with momentum None, of a plain average."""
        if not (self.training and self.track_running_stats) or self.num_batches_tracked is None:
            return self.momentum or 0.0
        self.num_batches_tracked += 1
        if self.momentum is not None:
            return self.momentum
        assert self.running_mean is not None
        return 1.0 / self.num_batches_tracked.astype(self.running_mean.dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise by the batch while training, or where no statistics are kept; else by the running statistics."""
        self._check_input(input)
        momentum = self._momentum()
        by_batch = self.training or (self.running_mean is None and self.running_var is None)
        keep = not self.training or self.track_running_stats
        mean, var = (self.running_mean, self.running_var) if keep else (None, None)
        return F.batch_norm(input, mean, var, self.weight, self.bias, by_batch, momentum, self.eps)


class BatchNorm1d(_BatchNorm):
    """Normalise each of ``num_features`` channels over the batch, for inputs (N, C) or (N, C, L).

    Parameters
    ----------
    num_features : int
        Number of channels C.
    eps : float
        Added to the variance.
    momentum : float or None
        Share of a new batch in the running statistics; None for the average over all batches.
    affine : bool
        Whether there are a weight (at first 1) and a bias (at first 0) per channel; without ``bias``, only the weight.
    track_running_stats : bool
        Whether to keep running statistics, for use after `eval`; without, the batch's own are always used.

    Attributes
    ----------
    weight, bias : Parameter or None
        Shape (C,).
    running_mean, running_var, num_batches_tracked : Tensor or None
        Shapes (C,), (C,) and ().

    Notes
    -----
    Ioffe and Szegedy, Batch Normalization, 2015. The batch is normalised by the variance divided by n, the running
    variance is divided by n - 1.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.BatchNorm1d(1, eps=0.0, affine=False)(tg.tensor([[1.0], [3.0]]))
    tensor([[-1.],
            [ 1.]])
    """

    axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for inputs (N, C, H, W).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.BatchNorm2d(8)(tg.ones(2, 8, 4, 4)).shape
    (2, 8, 4, 4)
    """

    axes = (4,)


class BatchNorm3d(_BatchNorm):
    """`BatchNorm1d` for inputs (N, C, D, H, W)."""

    axes = (5,)


class _InstanceNorm(_Running):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each channel of each sample; after `eval` with running statistics, by those."""
        self._check_input(input)
        whole = self.axes[1]
        batch = input if input.ndim == whole else input.expand_dims(0)
        if batch.shape[1] != self.num_features and self.affine:
            raise ValueError(
                f"expected input's size at dim={input.ndim - whole + 1} to match num_features ({self.num_features}), "
                f"but got: {batch.shape[1]}"
            )
        own = self.training or not self.track_running_stats
        momentum = 0.0 if self.momentum is None else self.momentum
        y = F.instance_norm(batch, self.running_mean, self.running_var, self.weight, self.bias, own, momentum, self.eps)
        return y if input.ndim == whole else y[0]


class InstanceNorm1d(_InstanceNorm):
    """Normalise each channel of each sample over its positions, for inputs (N, C, L) or (C, L).

    Parameters
    ----------
    num_features : int
        Number of channels C.
    eps : float
        Added to the variance.
    momentum : float
        Share of a new batch in the running statistics.
    affine : bool
        Whether there are a weight (at first 1) and a bias (at first 0) per channel; without ``bias``, only the weight.
    track_running_stats : bool
        Whether to keep running statistics and use them after `eval`.

    Notes
    -----
    Ulyanov, Vedaldi and Lempitsky, Instance Normalization, 2016.
    """

    axes = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """`InstanceNorm1d` for inputs (N, C, H, W) or (C, H, W)."""

    axes = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """`InstanceNorm1d` for inputs (N, C, D, H, W) or (C, D, H, W)."""

    axes = (4, 5)


# ----------------------------------------------------------------------------------------- without running statistics
class LayerNorm(_Affine):
    """Normalise over the trailing axes.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        Sizes of the trailing axes.
    eps : float
        Added to the variance.
    elementwise_affine : bool
        Whether there is a weight, at first 1, of shape ``normalized_shape``.
    bias : bool
        Whether there is, with the weight, a bias, at first 0.

    Notes
    -----
    Ba, Kiros and Hinton, Layer Normalization, 2016.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.LayerNorm(2, eps=0.0, elementwise_affine=False)(tg.tensor([[1.0, 3.0]]))
    tensor([[-1.,  1.]])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = integers(normalized_shape, "normalized_shape", type(self).__name__)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._make(self.normalized_shape, elementwise_affine, elementwise_affine and bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """``(..., *normalized_shape)`` to the same shape."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(_Affine):
    """Divide by the root mean square over the trailing axes.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        Sizes of the trailing axes.
    eps : float, optional
        Added to the mean square; by default the distance from 1 to the next number of the dtype that is computed in.
    elementwise_affine : bool
        Whether there is a weight, at first 1, of shape ``normalized_shape``.

    Notes
    -----
    Zhang and Sennrich, Root Mean Square Layer Normalization, 2019.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.RMSNorm(2, elementwise_affine=False)(tg.tensor([[2.0, 2.0]])).shape
    (1, 2)
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = integers(normalized_shape, "normalized_shape", type(self).__name__)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        value = ones(self.normalized_shape, device=device, dtype=dtype)
        self.register_parameter("weight", Parameter(value) if elementwise_affine else None)

    def reset_parameters(self) -> None:
        """Weight 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """``(..., *normalized_shape)`` to the same shape."""
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(_Affine):
    """Normalise each sample over groups of neighbouring channels.

    Parameters
    ----------
    num_groups, num_channels : int
        The first must divide the second.
    eps : float
        Added to the variance.
    affine : bool
        Whether there are a weight (at first 1) and a bias (at first 0) per channel; without ``bias``, only the weight.

    Notes
    -----
    Wu and He, Group Normalization, 2018.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.GroupNorm(3, 6)(tg.ones(2, 6, 10)).shape
    (2, 6, 10)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"GroupNorm: num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._make(num_channels, affine, affine and bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """``(N, C, ...)`` to the same shape."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Module):
    """``x / (k + alpha * average of x**2 over size neighbouring channels)**beta``.

    Notes
    -----
    Krizhevsky, Sutskever and Hinton, ImageNet Classification with Deep Convolutional Neural Networks, 2012.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.LocalResponseNorm(2)(tg.ones(1, 4, 3)).shape
    (1, 4, 3)
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        """``(N, C, ...)`` to the same shape."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
