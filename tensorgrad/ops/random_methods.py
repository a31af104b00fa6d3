"""PyTorch's methods that draw random numbers into a tensor; the parameters of `tensorgrad.random`'s functions."""

from __future__ import annotations

from typing import Any

from .. import distributions, random
from ..tensor import Tensor
from .overwriting import copy_

__all__ = ["bernoulli", "bernoulli_", "cauchy_", "exponential_", "geometric_", "log_normal_", "random_"]


def bernoulli(x: Tensor, p: Any = None, *, generator: Any = None) -> Tensor:
    """1 with the chance that an element is, else 0; or with one chance ``p`` for all elements.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.tensor([0.0, 1.0]).bernoulli(), tg.tensor([5, 6]).bernoulli(1.0)
    (tensor([0., 1.]), tensor([1, 1]))
    """
    if p is None:
        return random.bernoulli(x, generator=generator)
    return random.bernoulli(p, x.shape, dtype=x.dtype, device=x.device, generator=generator)


def bernoulli_(x: Tensor, p: Any = 0.5, *, generator: Any = None) -> Tensor:
    """Become 1 with chance ``p``, a number or a tensor that broadcasts, else 0."""
    return copy_(x, bernoulli(x, p, generator=generator))


def exponential_(x: Tensor, lambd: float = 1.0, *, generator: Any = None) -> Tensor:
    """Take numbers from the exponential distribution of this rate."""
    options = {"dtype": x.dtype, "device": x.device, "generator": generator}
    return copy_(x, distributions.exponential(lambd, x.shape, **options))


def geometric_(x: Tensor, p: float, *, generator: Any = None) -> Tensor:
    """Become how many trials of chance ``p`` the first success takes."""
    options = {"dtype": x.dtype, "device": x.device, "generator": generator}
    return copy_(x, distributions.geometric(p, x.shape, **options))


def cauchy_(x: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Any = None) -> Tensor:
    """Take numbers from the Cauchy distribution."""
    options = {"dtype": x.dtype, "device": x.device, "generator": generator}
    return copy_(x, distributions.cauchy(median, sigma, x.shape, **options))


def log_normal_(x: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Any = None) -> Tensor:
    """Take numbers whose logarithms are normal with this mean and standard deviation."""
    options = {"dtype": x.dtype, "device": x.device, "generator": generator}
    return copy_(x, distributions.log_normal(mean, std, x.shape, **options))


def random_(x: Tensor, from_: int | None = None, to: int | None = None, *, generator: Any = None) -> Tensor:
    """Take whole numbers of ``[from_, to)``, of ``[0, from_)`` if that is all that is given, or any that there are.

    Without an end, they go up to the largest of the dtype or, of a floating one, as far as it holds all of them.
    """
    low, high = (0, from_) if to is None and from_ is not None else (from_, to)
    options = {"dtype": x.dtype, "device": x.device, "generator": generator}
    return copy_(x, distributions.whole_numbers(low, high, x.shape, **options))
