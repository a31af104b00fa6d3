"""Random numbers of further distributions, drawn like those of `tensorgrad.random`, which names them too."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import kernels as K
from .backend import empty, resolve_device
from .boundary import explain as _explain
from .dtypes import DType, dtype_of, float32, float64, get_default_dtype, is_floating, promote_types
from .generator import Generator, draw, drawing_levels, reserve_for
from .kernels.batched.array import NeedsSamplesError
from .kernels.batched.dispatch import forward_over_batch
from .random import largest_whole, randint, sizes_of
from .tensor import Tensor

__all__ = ["binomial", "cauchy", "exponential", "geometric", "log_normal", "poisson", "whole_numbers"]


def _uniform(shape: Any, dtype: DType, device: Any, generator: Generator | None) -> Any:
    """Numbers of (0, 1) in at least float32."""
    work = float64 if dtype == float64 else float32
    u = draw(K.uniform, empty(shape, work, resolve_device(device)), 0.0, 1.0, generator=generator)
    return K.maximum(u, 2.0**-54 if work == float64 else 2.0**-25)  # half of the least step above 0


def _floating(name: str, dtype: Any) -> DType:
    chosen = get_default_dtype() if dtype is None else dtype_of(dtype)
    if not is_floating(chosen):
        raise TypeError(f"{name}: expected a floating dtype, got {chosen}")
    return chosen


def _made(array: Any, dtype: DType) -> Tensor:
    return Tensor(array if array.dtype == dtype else K.cast(array, dtype))


def exponential(
    rate: float = 1.0, shape: Any = (), *, dtype: Any = None, device: Any = None, generator: Generator | None = None
) -> Tensor:
    """Numbers above 0 with the density ``rate * exp(-rate * x)``.

    Raises
    ------
    ValueError
        If ``rate`` is not above 0.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.random.exponential(2.0, (3,)).min().item() > 0
    True
    """
    chosen = _floating("exponential", dtype)
    if not rate > 0:
        raise ValueError(f"exponential: the rate must be above 0, got {rate}")
    u = _uniform(sizes_of("exponential", shape), chosen, device, generator)
    return _made(K.multiply(K.log1p(K.negative(u)), -1.0 / float(rate)), chosen)


def cauchy(
    median: float = 0.0,
    sigma: float = 1.0,
    shape: Any = (),
    *,
    dtype: Any = None,
    device: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Numbers with the density ``sigma / (pi * ((x - median)**2 + sigma**2))``.

    Raises
    ------
    ValueError
        If ``sigma`` is not above 0.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.random.cauchy(0.0, 1.0, (2, 3)).shape
    (2, 3)
    """
    chosen = _floating("cauchy", dtype)
    if not sigma > 0:
        raise ValueError(f"cauchy: sigma must be above 0, got {sigma}")
    u = _uniform(sizes_of("cauchy", shape), chosen, device, generator)
    x = K.tan(K.multiply(K.subtract(u, 0.5), math.pi))
    return _made(K.add(K.multiply(x, float(sigma)), float(median)), chosen)


def log_normal(
    mean: float = 1.0,
    std: float = 2.0,
    shape: Any = (),
    *,
    dtype: Any = None,
    device: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Numbers whose logarithms are normal with this mean and standard deviation.

    Raises
    ------
    ValueError
        If ``std`` is not above 0.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.random.log_normal(0.0, 1.0, (3,)).min().item() > 0
    True
    """
    chosen = _floating("log_normal", dtype)
    if not std > 0:
        raise ValueError(f"log_normal: std must be above 0, got {std}")
    work = float64 if chosen == float64 else float32
    out = empty(sizes_of("log_normal", shape), work, resolve_device(device))
    return _made(K.exp(draw(K.normal, out, float(mean), float(std), generator=generator)), chosen)


def geometric(
    p: float, shape: Any = (), *, dtype: Any = None, device: Any = None, generator: Generator | None = None
) -> Tensor:
    """How many trials of chance ``p`` the first success takes: k with probability ``(1 - p)**(k - 1) * p``.

    Parameters
    ----------
    p : float
        Between 0 and 1, which it must not be.
    dtype : optional
        The default floating one if not given; integers end at their largest.

    Raises
    ------
    ValueError
        If ``p`` is not between 0 and 1.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.random.geometric(0.5, (4,), dtype=tg.int64).min().item() >= 1
    True
    """
    chosen = get_default_dtype() if dtype is None else dtype_of(dtype)
    if not 0 < p < 1:
        raise ValueError(f"geometric: p must be between 0 and 1, got {p}")
    if not is_floating(chosen) and chosen.kind not in "iu":
        raise TypeError(f"geometric: expected an integer or floating dtype, got {chosen}")
    u = _uniform(sizes_of("geometric", shape), float64, device, generator)
    k = K.ceil(K.multiply(K.log1p(K.negative(u)), 1.0 / math.log1p(-p)))
    k = K.maximum(k, 1.0)
    if chosen.kind in "iu":
        k = K.minimum(k, float(min(np.iinfo(chosen).max, 2**53)))
    return _made(k, chosen)


def whole_numbers(
    low: int | None,
    high: int | None,
    shape: Any,
    *,
    dtype: Any,
    device: Any = None,
    generator: Generator | None = None,
) -> Tensor:
    """Whole numbers of [low, high) in any real dtype, each equally likely.

    Parameters
    ----------
    low, high : int or None
        Without ``low``, from 0; without ``high``, up to the largest number of the dtype or, of a floating one, up to
        which it holds all whole numbers.
    """
    chosen = dtype_of(dtype)
    first = 0 if low is None else int(low)
    if high is None:
        most = largest_whole(chosen)
        if most is None:
            raise TypeError(f"random_: expected a real dtype, got {chosen}")
        high = most + 1
    if not first < high:
        raise ValueError(f"random_: from must be less than to, got {first} and {high}")
    return randint(first, high, shape, dtype=chosen, device=device, generator=generator)


# --------------------------------------------------------------------------------------------------------------- counts
def _counted(name: str, kernel: Any, parameters: tuple[Tensor, ...], generator: Generator | None) -> Tensor:
    dtype = parameters[0].dtype
    for x in parameters[1:]:
        dtype = promote_types(dtype, x.dtype)
    if not is_floating(dtype) or any(not is_floating(x.dtype) for x in parameters):
        raise TypeError(f"{name}: expected floating dtypes, got {', '.join(str(x.dtype) for x in parameters)}")
    device = parameters[0].device
    if any(x.device != device for x in parameters):
        raise ValueError(f"{name}: tensors are on {' and '.join(str(x.device) for x in parameters)}")
    try:
        shape = np.broadcast_shapes(*(x.shape for x in parameters))
    except ValueError:
        shapes = " and ".join(str(x.shape) for x in parameters)
        raise ValueError(f"{name}: shapes {shapes} do not broadcast") from None
    arrays = [x._data for x in parameters]
    if drawing_levels():
        return Tensor(draw(kernel, empty(shape, dtype, device), *arrays, generator=generator))
    seed, offset = reserve_for(kernel, empty(shape, dtype, device), generator)

    def forward(*arrays: Any) -> Any:
        out = empty(shape, dtype, device)
        kernel(out, *arrays, seed, offset)
        return out

    try:
        return Tensor(forward(*arrays))
    except NeedsSamplesError as error:  # inside of vmap: the same numbers for each sample
        return Tensor(forward_over_batch(forward, arrays, error))


def poisson(rates: Tensor, generator: Generator | None = None) -> Tensor:
    """Poisson numbers, each of its own mean: k with probability ``rate**k * exp(-rate) / k!``. No gradient flows.

    Parameters
    ----------
    rates : Tensor
        Floating, at least 0; shape, dtype and device are those of the result.

    Raises
    ------
    ValueError
        If a rate is negative. (On CUDA, where elements are not checked, the result is NaN.)

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.poisson(tg.tensor([0.0, 1e9])) > 1e8
    tensor([False,  True])
    """
    return _counted("poisson", K.poisson, (rates,), generator)


def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """How many of ``count`` trials succeed that each do with chance ``prob``. No gradient flows.

    Parameters
    ----------
    count, prob : Tensor
        Floating, of shapes that broadcast; counts are rounded down.

    Raises
    ------
    ValueError
        If a count is negative or a chance not between 0 and 1. (On CUDA, where elements are not checked, the result is
        NaN.)

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.binomial(tg.tensor([5.0, 7.0]), tg.tensor([0.0, 1.0]))
    tensor([0., 7.])
    """
    return _counted("binomial", K.binomial, (count, prob), generator)


_explain(globals(), [name for name in __all__ if name != "whole_numbers"], __name__)
