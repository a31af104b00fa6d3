"""Random tensors, drawn where they live from one stream of numbers for every device.

Every function takes ``generator``, by default the one that `manual_seed` sets.
"""

from __future__ import annotations

import math
import operator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from . import kernels as K
from .backend import empty, resolve_device, to_device, to_numpy
from .boundary import explain as _explain
from .dtypes import DType, dtype_of, get_default_dtype, int64, is_floating
from .errors import of_tensor
from .generator import (
    Generator,
    blocks_used,
    default_generator,
    draw,
    fork_rng,
    get_rng_state,
    manual_seed,
    reserve_for,
    set_rng_state,
)
from .tensor import Tensor

if TYPE_CHECKING:
    from .distributions import binomial, cauchy, exponential, geometric, log_normal, poisson

__all__ = [
    "Generator",
    "bernoulli",
    "binomial",
    "blocks_used",
    "cauchy",
    "choice",
    "default_generator",
    "draw",
    "exponential",
    "fork_rng",
    "geometric",
    "get_rng_state",
    "log_normal",
    "manual_seed",
    "multinomial",
    "normal",
    "poisson",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
    "reserve_for",
    "set_rng_state",
    "uniform",
]


def _tensor(array: Any, requires_grad: bool = False) -> Tensor:
    result = Tensor(array)
    if requires_grad:
        result.requires_grad = True
    return result


def sizes_of(name: str, shape: Any) -> tuple[int, ...]:
    """The sizes in ``shape``: an int, a sequence of ints, or a tuple of varargs that holds one of the two."""
    sizes = shape
    if isinstance(sizes, tuple) and len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = sizes[0]
    if not isinstance(sizes, (tuple, list)):
        sizes = (sizes,)
    try:
        result = tuple(operator.index(n) for n in sizes)
    except TypeError:
        raise TypeError(f"{name}: expected integers as the shape, got {shape!r}") from None
    if any(n < 0 for n in result):
        raise ValueError(f"{name}: shape {result} has a negative size")
    return result


_OF_COMPLEX = ("rand", "randn")


def _new(name: str, shape: Any, dtype: Any, device: Any) -> Any:
    """An array of a floating or complex dtype to be filled."""
    chosen = get_default_dtype() if dtype is None else dtype_of(dtype)
    if not is_floating(chosen) and not (chosen.kind == "c" and name in _OF_COMPLEX):
        raise TypeError(f"{name}: expected a floating dtype, got {chosen}")
    return empty(sizes_of(name, shape), chosen, resolve_device(device))


# ------------------------------------------------------------------------------------------------------ distributions


def rand(
    *shape: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, generator: Generator | None = None
) -> Tensor:
    """Numbers from the uniform distribution on [0, 1).

    Parameters
    ----------
    *shape : int or sequence of int
        The sizes, as separate arguments or as one sequence.
    dtype : optional
        A floating dtype; float32 unless the default was changed. A complex dtype gives numbers whose parts are such.
    device : optional
        Where to make the tensor.
    requires_grad : bool
        Whether the result is a leaf that gradients are collected for.
    generator : Generator, optional
        The stream to draw from; `default_generator` if not given.

    Raises
    ------
    TypeError
        If the dtype is not floating or complex or the shape not made of integers.
    ValueError
        If a size is negative.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.random.rand(2, 3).shape
    (2, 3)
    """
    out = _new("rand", shape, dtype, device)
    return _tensor(draw(K.uniform, out, 0.0, 1.0, generator=generator), requires_grad)


def randn(
    *shape: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, generator: Generator | None = None
) -> Tensor:
    """Numbers from the normal distribution with mean 0 and standard deviation 1; parameters as in `rand`.

    The parts of complex numbers have a variance of 1/2 each.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.random.randn(10000, generator=tg.random.Generator().manual_seed(0)).numpy()
    >>> bool(abs(x.mean()) < 0.05), bool(abs(x.std() - 1) < 0.05)
    (True, True)
    """
    out = _new("randn", shape, dtype, device)
    return _tensor(draw(K.normal, out, 0.0, 1.0, generator=generator), requires_grad)


def rand_like(input: Tensor, *, dtype: Any = None, device: Any = None, **options: Any) -> Tensor:
    """`rand` with the shape, and unless given the dtype and device, of a tensor.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.random.rand_like(tg.tensor([1.0, 2.0])).shape
    (2,)
    """
    return rand(input.shape, **_like(input, dtype, device), **options)


def randn_like(input: Tensor, *, dtype: Any = None, device: Any = None, **options: Any) -> Tensor:
    """`randn` with the shape, and unless given the dtype and device, of a tensor.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.random.randn_like(tg.tensor([1.0, 2.0])).shape
    (2,)
    """
    return randn(input.shape, **_like(input, dtype, device), **options)


def _like(x: Any, dtype: Any, device: Any) -> dict[str, Any]:
    of_tensor(x)
    return {"dtype": x.dtype if dtype is None else dtype, "device": x.device if device is None else device}


def uniform(
    low: float = 0.0,
    high: float = 1.0,
    shape: Any = (),
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """Numbers from the uniform distribution on [low, high); ``low`` and ``high`` are rounded to the dtype.

    Raises
    ------
    ValueError
        If not low < high, or if low, high or their difference is beyond the range of the dtype.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.random.uniform(-2, 5, (1000,)).numpy()
    >>> bool(x.min() >= -2), bool(x.max() < 5)
    (True, True)
    """
    out = _new("uniform", shape, dtype, device)
    low, high = float(low), float(high)
    if not low < high:
        raise ValueError(f"uniform: low must be less than high, got low={low} and high={high}")
    with K.ieee_semantics():
        finite = np.isfinite(np.asarray([low, high, high - low], out.dtype).astype(np.float64)).all()
    if not finite:
        raise ValueError(f"uniform: low={low}, high={high} or their difference is not finite in {out.dtype}")
    return _tensor(draw(K.uniform, out, low, high, generator=generator), requires_grad)


def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    shape: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """Numbers from the normal distribution.

    Parameters
    ----------
    mean, std : float or Tensor
        Mean and standard deviation. Tensors give each element its own; they get no gradient.
    shape : int or sequence of int, optional
        By default that of ``mean`` and ``std`` together, as dtype and device are.

    Raises
    ------
    ValueError
        If ``std`` is a negative number or NaN.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.random.normal(tg.tensor([0.0, 100.0, 1000.0]), 0.0).numpy().tolist()
    [0.0, 100.0, 1000.0]
    """
    tensors = [t for t in (mean, std) if hasattr(t, "_data")]
    if not hasattr(std, "_data") and not std >= 0:
        raise ValueError(f"normal: std must be at least 0, got {std}")
    if shape is None:
        shape = np.broadcast_shapes(*(t.shape for t in tensors))
    place = _like(tensors[0], dtype, device) if tensors else {"dtype": dtype, "device": device}
    out = _new("normal", shape, **place)
    if tensors:
        out = draw(K.normal, out, 0.0, 1.0, generator=generator)
        out = K.add(K.multiply(out, _operand(std, out.dtype)), _operand(mean, out.dtype))
    else:
        out = draw(K.normal, out, float(mean), float(std), generator=generator)
    return _tensor(out, requires_grad)


def _operand(value: Any, dtype: DType) -> Any:
    """A tensor's array in the given dtype; a number as it is."""
    if not hasattr(value, "_data"):
        return float(value)
    return value._data if value.dtype == dtype else K.cast(value._data, dtype)


def bernoulli(
    p: Any, shape: Any = None, *, dtype: Any = None, device: Any = None, generator: Generator | None = None
) -> Tensor:
    """1 with probability ``p``, otherwise 0.

    Parameters
    ----------
    p : float or Tensor
        The probability; a floating tensor gives each element its own, and shape, dtype and device unless given.
    shape : int or sequence of int, optional
    dtype : optional
        Any dtype, bool included; for a number ``p`` by default the default floating dtype.

    Raises
    ------
    ValueError
        If a probability is not between 0 and 1. (On CUDA, the elements of a tensor are not checked.)

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.random.bernoulli(tg.tensor([0.0, 1.0, 1.0])).numpy().tolist()
    [0.0, 1.0, 1.0]
    """
    place = {"dtype": get_default_dtype() if dtype is None else dtype, "device": device}
    if hasattr(p, "_data"):
        if not is_floating(p.dtype):
            raise TypeError(f"bernoulli: expected probabilities of a floating dtype, got {p.dtype}")
        place, shape, p = _like(p, dtype, device), p.shape if shape is None else shape, p._data
    elif not 0 <= p <= 1:
        raise ValueError(f"bernoulli: p must be between 0 and 1, got {p}")
    sizes = sizes_of("bernoulli", () if shape is None else shape)
    out = empty(sizes, dtype_of(place["dtype"]), resolve_device(place["device"]))
    return _tensor(draw(K.bernoulli, out, p, generator=generator))


def randint(
    low: Any = 0,
    high: Any = None,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """Integers of [low, high), each equally likely; also called as ``randint(high, size)``.

    Parameters
    ----------
    low, high : int
        The first integer, 0 if not given, and the one after the last.
    size : int or sequence of int
        The shape.
    dtype : optional
        int64 if not given; a floating dtype holds the integers as numbers.

    Raises
    ------
    ValueError
        If not low < high, or if the dtype cannot hold every integer of the range.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> sorted(set(tg.random.randint(3, 8, (200,)).numpy().tolist()))
    [3, 4, 5, 6, 7]
    """
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if size is None:
        raise TypeError("randint: expected randint(high, size) or randint(low, high, size)")
    try:
        low, high = operator.index(low), operator.index(high)
    except TypeError:
        raise TypeError(f"randint: expected integers, got low={low!r} and high={high!r}") from None
    if not low < high:
        raise ValueError(f"randint: low must be less than high, got low={low} and high={high}")
    chosen = _holding("randint", low, high - 1, int64 if dtype is None else dtype_of(dtype))
    drawn = chosen if chosen.kind in "iu" else int64
    out = empty(sizes_of("randint", size), drawn, resolve_device(device))
    out = draw(K.integers, out, low, high, generator=generator)
    return _tensor(out if chosen == drawn else K.cast(out, chosen), requires_grad)


def randint_like(
    input: Tensor, low: Any = 0, high: Any = None, *, dtype: Any = None, device: Any = None, **options: Any
) -> Tensor:
    """`randint` with the shape, and unless given the dtype and device, of a tensor; also ``randint_like(x, high)``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.random.randint_like(tg.tensor([1.0, 2.0]), 3, 4)
    tensor([3., 3.])
    """
    low, high = (0, low) if high is None else (low, high)
    return randint(low, high, input.shape, **_like(input, dtype, device), **options)


def largest_whole(dtype: DType) -> int | None:
    """Up to where a dtype holds every whole number from 0 on; None for complex ones."""
    if dtype.kind == "b":
        return 1
    if dtype.kind in "iu":
        return int(np.iinfo(dtype).max)
    if is_floating(dtype):
        return 1 << {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}[dtype.name]
    return None


@lru_cache
def _holding(name: str, first: int, last: int, chosen: DType) -> DType:
    """The dtype, after a check that it holds every integer from ``first`` to ``last``."""
    most = largest_whole(chosen)
    if most is None:
        raise TypeError(f"{name}: expected an integer or floating dtype, got {chosen}")
    least = 0 if chosen.kind == "b" else int(np.iinfo(chosen).min) if chosen.kind in "iu" else -most
    if first < least or last > most:
        raise ValueError(f"{name}: {chosen} holds the integers {least} to {most}, not all of {first} to {last}")
    return chosen


def randperm(n: int, *, dtype: Any = None, device: Any = None, generator: Generator | None = None) -> Tensor:
    """The integers 0 to n - 1 in a random order, each order equally likely; int64 unless another dtype is given.

    Raises
    ------
    ValueError
        If ``n`` is negative or the dtype cannot hold n - 1.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> sorted(tg.random.randperm(5).numpy().tolist())
    [0, 1, 2, 3, 4]
    """
    out = empty(sizes_of("randperm", (n,)), int64, resolve_device(device))
    chosen = _holding("randperm", 0, n - 1, int64 if dtype is None else dtype_of(dtype))
    out = draw(K.permutation, out, generator=generator)
    return _tensor(out if chosen == int64 else K.cast(out, chosen))


def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Indices drawn with probabilities proportional to the rows of ``input``.

    The weights are read back to the host, where the sampling is done in float64.

    Parameters
    ----------
    input : Tensor
        Non-negative weights of shape (C,) or (N, C); they need not sum to 1.
    num_samples : int
        How many indices per row.
    replacement : bool
        Whether an index can be drawn again.

    Returns
    -------
    Tensor
        int64 indices of shape (num_samples,) or (N, num_samples), in the order in which they were drawn.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or a row has no weight above zero, or without replacement fewer such
        weights than ``num_samples``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.random.multinomial(tg.tensor([0.0, 1.0, 0.0]), 4, replacement=True).numpy().tolist()
    [1, 1, 1, 1]
    """
    if input.ndim not in {1, 2}:
        raise ValueError(f"multinomial: expected weights of shape (C,) or (N, C), got {input.shape}")
    count = sizes_of("multinomial", (num_samples,))[0]
    weights = np.atleast_2d(to_numpy(input._data).astype(np.float64))
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError("multinomial: weights must be finite and at least 0")
    rows, needed = len(weights), 1 if replacement else count
    for row, positive in enumerate((weights > 0).sum(axis=1)):
        if positive < needed:
            raise ValueError(f"multinomial: row {row} has {positive} weights above 0, {needed} are needed")
    if replacement:
        u = draw(K.uniform, np.empty((rows, count)), 0.0, 1.0, generator=generator)
        # Scaled first so that the sum stays finite. The division makes the last sum exactly 1, which u never reaches.
        cumulative = np.cumsum(weights / weights.max(axis=1, keepdims=True), axis=1)
        cumulative /= cumulative[:, -1:]
        index = np.array([np.searchsorted(c, v, side="right") for c, v in zip(cumulative, u, strict=True)])
    else:
        # Of independent exponential clocks with rates w, clock i rings first with probability w_i / sum w.
        u = draw(K.uniform, np.empty(weights.shape), 0.0, 1.0, generator=generator)
        with K.ieee_semantics():
            times = np.where(weights > 0, -np.log1p(-u) / weights, np.inf)
        index = np.argsort(times, axis=1, kind="stable")[:, :count]
    result = np.ascontiguousarray(index.reshape((*input.shape[:-1], count)), dtype=np.int64)
    return _tensor(to_device(result, input.device))


def choice(
    input: Any,
    shape: Any = (),
    replace: bool = True,
    p: Tensor | None = None,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Elements of a 1-D tensor drawn at random; a number n stands for the tensor of 0 to n - 1.

    Parameters
    ----------
    input : int or Tensor
    shape : int or sequence of int
        Shape of the result.
    replace : bool
        Whether an element can be drawn again.
    p : Tensor, optional
        Weights of the elements, as in `multinomial`; equal if not given.

    Raises
    ------
    ValueError
        If there is nothing to draw from, or less than wanted without replacement.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> sorted(tg.random.choice(tg.tensor([5, 6, 7]), 3, replace=False).numpy().tolist())
    [5, 6, 7]
    """
    values = input if hasattr(input, "_data") else None
    if values is not None and values.ndim != 1:
        raise ValueError(f"choice: expected a 1-D tensor, got shape {values.shape}")
    n = operator.index(input) if values is None else values.size
    if p is not None and p.shape != (n,):
        raise ValueError(f"choice: expected weights p of shape ({n},), got {p.shape}")
    sizes = sizes_of("choice", shape)
    count = math.prod(sizes)
    if n <= 0 or (not replace and count > n):
        raise ValueError(f"choice: cannot draw {count} of {n} elements with replace={replace}")
    device = None if values is None else values.device
    if p is not None:
        index = to_device(multinomial(p, count, replace, generator=generator)._data, resolve_device(device))
    elif replace:
        index = randint(0, n, (count,), device=device, generator=generator)._data
    else:
        index = randperm(n, device=device, generator=generator)._data[:count]
    return _tensor((index if values is None else K.take(values._data, index, 0)).reshape(sizes))


_OTHERS = ("binomial", "cauchy", "exponential", "geometric", "log_normal", "poisson")  # loaded when first used
_BELOW = ("blocks_used", "draw", "reserve_for")  # what functions are made of
_explain(globals(), [name for name in __all__ if name not in _OTHERS + _BELOW], __name__)


def __getattr__(name: str) -> Any:
    if name not in _OTHERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import distributions

    return getattr(distributions, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_OTHERS})
