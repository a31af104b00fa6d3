"""Activation layers; `tensorgrad.nn.functional` has the formulas."""

from __future__ import annotations

from typing import Any

from ..ops import activation as ops
from ..ops.elementwise import tanh
from ..ops.memory import full
from ..tensor import Tensor
from . import functional as F
from .init import constant_
from .module import Module
from .parameter import Parameter

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "SELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU",
    "LogSigmoid", "LogSoftmax", "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SiLU", "Sigmoid", "Softmax",
    "Softmax2d", "Softmin", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold",
]  # fmt: skip


class _Activation(Module):
    """An activation whose parameters are plain attributes, shown by `repr` in the order of ``_shown``."""

    _shown: tuple[str, ...] = ()

    def extra_repr(self) -> str:
        shown = [f"{name}={getattr(self, name)}" for name in self._shown]
        return ", ".join([*shown, "inplace=True"] if getattr(self, "inplace", False) else shown)


class ReLU(_Activation):
    """``max(x, 0)``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.ReLU()(tg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        if self.inplace:
            return F.relu(input, inplace=True)
        y: Tensor = ops.relu(input)
        return y


class ReLU6(_Activation):
    """``min(max(x, 0), 6)``."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.relu6(input, self.inplace)


class LeakyReLU(_Activation):
    """``x`` where positive, else ``negative_slope * x``."""

    _shown = ("negative_slope",)

    def __init__(self, negative_slope: float = 1e-2, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.leaky_relu(input, self.negative_slope, self.inplace)


class PReLU(_Activation):
    """``x`` where positive, else ``weight * x`` with a trained weight: one, or one per channel (axis 1).

    Attributes
    ----------
    weight : Parameter
        Shape (num_parameters,), at first ``init`` everywhere.
    """

    _shown = ("num_parameters",)

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(full((num_parameters,), float(init), dtype=dtype, device=device))

    def reset_parameters(self) -> None:
        """Set the weight to ``init`` again."""
        constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.prelu(input, self.weight)


class RReLU(_Activation):
    """`LeakyReLU` with a slope drawn from U(lower, upper) for each element; after ``eval()`` with their mean."""

    _shown = ("lower", "upper")

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False) -> None:
        super().__init__()
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class Threshold(_Activation):
    """``x`` where greater than ``threshold``, else ``value``."""

    _shown = ("threshold", "value")

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.threshold(input, self.threshold, self.value, self.inplace)


class ELU(_Activation):
    """``x`` where positive, else ``alpha * (exp(x) - 1)``."""

    _shown = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.elu(input, self.alpha, self.inplace)


class SELU(_Activation):
    """`ELU` with the scale and alpha that keep mean 0 and variance 1 (Klambauer et al., 2017)."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.selu(input, self.inplace)


class CELU(_Activation):
    """``max(0, x) + min(0, alpha * (exp(x / alpha) - 1))``."""

    _shown = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.celu(input, self.alpha, self.inplace)


class GELU(_Activation):
    """``x * Phi(x)`` with the normal distribution function; with ``approximate="tanh"`` its approximation."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        y: Tensor = ops.gelu(input, self.approximate)
        return y

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(_Activation):
    """``x * sigmoid(x)``, also called swish."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.silu(input, self.inplace)


class Mish(_Activation):
    """``x * tanh(softplus(x))``."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.mish(input, self.inplace)


class Softplus(_Activation):
    """``log(1 + exp(beta * x)) / beta``; ``x`` itself where ``beta * x > threshold``."""

    _shown = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.softplus(input, self.beta, self.threshold)


class Sigmoid(_Activation):
    """``1 / (1 + exp(-x))``."""

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        y: Tensor = ops.sigmoid(input)
        return y


class LogSigmoid(_Activation):
    """``log(1 / (1 + exp(-x)))``, without underflow."""

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.logsigmoid(input)


class Tanh(_Activation):
    """``tanh(x)``."""

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        y: Tensor = tanh(input)
        return y


class Tanhshrink(_Activation):
    """``x - tanh(x)``."""

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.tanhshrink(input)


class Hardtanh(_Activation):
    """``x`` limited to [min_val, max_val]."""

    _shown = ("min_val", "max_val")

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        if not min_val < max_val:
            raise ValueError(f"Hardtanh: min_val must be less than max_val, got {min_val} and {max_val}")
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)


class Hardsigmoid(_Activation):
    """``min(max(x + 3, 0), 6) / 6``."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.hardsigmoid(input, self.inplace)


class Hardswish(_Activation):
    """``x * min(max(x + 3, 0), 6) / 6``."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.hardswish(input, self.inplace)


class _Shrink(_Activation):
    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def extra_repr(self) -> str:
        return str(self.lambd)


class Hardshrink(_Shrink):
    """``x`` where outside of [-lambd, lambd], else 0."""

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.hardshrink(input, self.lambd)


class Softshrink(_Shrink):
    """``x`` moved towards 0 by ``lambd``, at most to 0."""

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.softshrink(input, self.lambd)


class Softsign(_Activation):
    """``x / (1 + |x|)``."""

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.softsign(input)


class GLU(_Activation):
    """``a * sigmoid(b)`` where a and b are the two halves of the input along ``dim``."""

    _shown = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """A tensor with half the size along ``dim``."""
        return F.glu(input, self.dim)


class _Normalized(_Activation):
    _shown = ("dim",)

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim


class Softmax(_Normalized):
    """``exp(x) / sum(exp(x))`` along ``dim``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.Softmax(dim=1)(tg.zeros(1, 4))
    tensor([[0.25, 0.25, 0.25, 0.25]])
    """

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.softmax(input, self.dim)


class Softmin(_Normalized):
    """``softmax(-x)`` along ``dim``."""

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.softmin(input, self.dim)


class LogSoftmax(_Normalized):
    """``log(softmax(x))`` along ``dim``."""

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        return F.log_softmax(input, self.dim)


class Softmax2d(_Activation):
    """Softmax over the channels of an input of shape (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        """A tensor of the same shape."""
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected an input of shape (N, C, H, W) or (C, H, W), got {input.shape}")
        return F.softmax(input, -3)
