"""Initial values of parameters: each function fills a tensor in place, records nothing, and returns the tensor.

Random values come from `tensorgrad.random.default_generator` unless a ``generator`` is given, and are the same on every
device.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np

from .. import kernels as K
from ..boundary import explain as _explain
from ..conversion import as_array
from ..random import Generator, draw
from ..tensor import Tensor
from .quantile import normal_quantile

__all__ = [
    "calculate_gain", "constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_",
    "orthogonal_", "skipped", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
]  # fmt: skip

_LINEAR = (
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "sigmoid",
)


_F = TypeVar("_F", bound=Callable[..., Tensor])
_idle: ContextVar[bool] = ContextVar("idle", default=False)


@contextmanager
def skipped() -> Iterator[None]:
    """A context in which the functions of this file leave tensors as they are."""
    before = _idle.set(True)
    try:
        yield
    finally:
        _idle.reset(before)


def _initializer(function: _F) -> _F:
    """A function that fills a tensor, unless that is skipped."""

    @functools.wraps(function)
    def filled(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return tensor if _idle.get() else function(tensor, *args, **kwargs)

    return filled  # type: ignore[return-value]


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a nonlinearity's weights are larger than a linear layer's.

    1 for linear layers and sigmoid, 5/3 for tanh, sqrt(2) for relu, sqrt(2 / (1 + slope**2)) for leaky_relu with
    ``param`` as its slope (0.01), 3/4 for selu.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.init.calculate_gain("tanh")
    1.6666666666666667
    """
    if nonlinearity in _LINEAR:
        return 1.0
    if nonlinearity == "leaky_relu":
        if param is not None and (isinstance(param, bool) or not isinstance(param, (int, float))):
            raise ValueError(f"calculate_gain: the slope of leaky_relu must be a number, got {param!r}")
        return math.sqrt(2.0 / (1 + (0.01 if param is None else param) ** 2))
    gains = {"tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4}
    if nonlinearity not in gains:
        known = ", ".join([*_LINEAR, *gains, "leaky_relu"])
        raise ValueError(f"calculate_gain: unknown nonlinearity {nonlinearity!r}; known are {known}")
    return gains[nonlinearity]


def _written(tensor: Tensor) -> Tensor:
    tensor._written()
    return tensor


def _set(tensor: Tensor, values: Any) -> Tensor:
    """Write host values, converted, into the tensor."""
    K.assign(tensor._data, as_array(values, tensor.dtype, tensor.device))
    return _written(tensor)


@_initializer
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill from U(a, b)."""
    if not a <= b:
        raise ValueError(f"uniform_: a must not be greater than b, got {a} and {b}")
    draw(K.uniform, tensor._data, float(a), float(b), generator=generator)
    return _written(tensor)


@_initializer
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill from N(mean, std**2)."""
    if not std >= 0:
        raise ValueError(f"normal_: std must be at least 0, got {std}")
    draw(K.normal, tensor._data, float(mean), float(std), generator=generator)
    return _written(tensor)


@_initializer
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Fill from N(mean, std**2) limited to [a, b].

    A number of U(0, 1) becomes one of the distribution through the inverse of the distribution function, on the host.
    """
    if not std > 0 or not a < b:
        raise ValueError(f"trunc_normal_: needs std > 0 and a < b, got std={std}, a={a}, b={b}")
    low, high = (a - mean) / std, (b - mean) / std
    sign = -1.0 if low + high > 0 else 1.0  # near 0 the distribution function has digits that it lacks near 1
    low, high = sorted((sign * low, sign * high))
    first, last = (0.5 * math.erfc(-z / math.sqrt(2)) for z in (low, high))
    u = draw(K.uniform, np.empty(tensor.shape), 0.0, 1.0, generator=generator)
    z = np.clip(normal_quantile(first + u * (last - first)), low, high)
    return _set(tensor, np.clip(z * (sign * std) + mean, a, b))


@_initializer
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with ``val``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.init.constant_(tg.empty(2), 0.5)
    tensor([0.5, 0.5])
    """
    K.fill(tensor._data, val)
    return _written(tensor)


@_initializer
def ones_(tensor: Tensor) -> Tensor:
    """Fill with 1."""
    return constant_(tensor, 1)


@_initializer
def zeros_(tensor: Tensor) -> Tensor:
    """Fill with 0."""
    return constant_(tensor, 0)


@_initializer
def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with ones on the diagonal and zeros elsewhere."""
    if tensor.ndim != 2:
        raise ValueError(f"eye_: expected a tensor with 2 axes, got shape {tensor.shape}")
    return _set(tensor, np.eye(tensor.shape[0], tensor.shape[1]))


@_initializer
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill a convolution's weight, shape (out, in, ...), so that it passes as many channels on as it can."""
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(f"dirac_: expected a tensor with 3, 4 or 5 axes, got shape {tensor.shape}")
    if tensor.shape[0] % groups:
        raise ValueError(f"dirac_: {tensor.shape[0]} output channels cannot be divided into {groups} groups")
    per_group = tensor.shape[0] // groups
    centre = tuple(n // 2 for n in tensor.shape[2:])
    values = np.zeros(tensor.shape)
    for group in range(groups):
        for channel in range(min(per_group, tensor.shape[1])):
            values[(group * per_group + channel, channel, *centre)] = 1
    return _set(tensor, values)


def _fans(name: str, tensor: Tensor) -> tuple[int, int]:
    """How many inputs an output has, and how many outputs an input, of a weight (out, in, ...)."""
    if tensor.ndim < 2:
        raise ValueError(f"{name}: fan in and fan out need at least 2 axes, got shape {tensor.shape}")
    receptive_field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * receptive_field, tensor.shape[0] * receptive_field


@_initializer
def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill from U(-k, k), ``k = gain * sqrt(6 / (fan_in + fan_out))``.

    Notes
    -----
    Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010.
    """
    bound = math.sqrt(3.0) * _xavier_std("xavier_uniform_", tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


@_initializer
def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill from N(0, std**2), ``std = gain * sqrt(2 / (fan_in + fan_out))`` (Glorot and Bengio, 2010)."""
    return normal_(tensor, 0.0, _xavier_std("xavier_normal_", tensor, gain), generator)


def _xavier_std(name: str, tensor: Tensor, gain: float) -> float:
    fan_in, fan_out = _fans(name, tensor)
    return gain * math.sqrt(2.0 / max(fan_in + fan_out, 1))


@_initializer
def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Fill from U(-k, k), ``k = gain * sqrt(3 / fan)``.

    Parameters
    ----------
    tensor : Tensor
        Shape (out, in, ...).
    a : float
        Slope of the leaky_relu that follows.
    mode : {"fan_in", "fan_out"}
        Whether the variance is kept in the forward or in the backward.
    nonlinearity : str
        What `calculate_gain` takes.

    Notes
    -----
    He et al., Delving deep into rectifiers, 2015.
    """
    std = _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -math.sqrt(3.0) * std, math.sqrt(3.0) * std, generator) if tensor.size else tensor


@_initializer
def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Fill from N(0, std**2), ``std = gain / sqrt(fan)`` (He et al., 2015); parameters as in `kaiming_uniform_`."""
    std = _kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity)
    return normal_(tensor, 0.0, std, generator) if tensor.size else tensor


def _kaiming_std(name: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'{name}: mode must be "fan_in" or "fan_out", got {mode!r}')
    gain = calculate_gain(nonlinearity, a)
    if not tensor.size:
        warnings.warn(f"{name}: the tensor of shape {tensor.shape} has no elements to fill", stacklevel=3)
        return 0.0
    fan = _fans(name, tensor)[mode == "fan_out"]
    return gain / math.sqrt(fan)


@_initializer
def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """Fill with ``gain`` times a random matrix, shape (n, rest), of orthonormal rows or, if n > rest, columns.

    Notes
    -----
    The QR decomposition of a normal matrix, computed on the host. Saxe et al., Exact solutions to the nonlinear
    dynamics of learning in deep linear neural networks, 2013.
    """
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_: expected a tensor with at least 2 axes, got shape {tensor.shape}")
    if not tensor.size:
        return tensor
    rows = tensor.shape[0]
    columns = tensor.size // rows
    normal = draw(K.normal, np.empty((rows, columns)), 0.0, 1.0, generator=generator)
    q, r = np.linalg.qr(normal.T if rows < columns else normal)
    q *= np.sign(np.diag(r))  # makes the distribution uniform
    return _set(tensor, gain * (q.T if rows < columns else q).reshape(tensor.shape))


@_initializer
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """Fill a matrix from N(0, std**2), except for zeros in a part ``sparsity`` of the rows of each column.

    Notes
    -----
    Martens, Deep learning via Hessian-free optimization, 2010.
    """
    if tensor.ndim != 2:
        raise ValueError(f"sparse_: expected a tensor with 2 axes, got shape {tensor.shape}")
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparse_: sparsity must be between 0 and 1, got {sparsity}")
    values = draw(K.normal, np.empty(tensor.shape), 0.0, float(std), generator=generator)
    order = np.argsort(draw(K.uniform, np.empty(tensor.shape), 0.0, 1.0, generator=generator), axis=0)
    zeros = math.ceil(sparsity * tensor.shape[0])
    np.put_along_axis(values, order[:zeros], 0.0, axis=0)
    return _set(tensor, values)


_explain(globals(), __all__, __name__)
