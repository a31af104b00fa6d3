"""Elementwise functions that are computed differently in different regions, in float64, on NumPy."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..coefficients import RATIOS
from .blocked import Body, elementwise

__all__ = ["by_regions", "horner", "in_region", "ratio_of"]

Array = np.ndarray[Any, np.dtype[Any]]
Function = Callable[..., Array]


@functools.cache
def _as_arrays(coefficients: tuple[float, ...]) -> tuple[Array, ...]:
    """0-d arrays: a ufunc takes them twice as fast as Python floats."""
    return tuple([np.array(c) for c in coefficients])


def horner(coefficients: tuple[float, ...], x: Array) -> Array:
    """A polynomial, the highest power first."""
    add, multiply = np.add, np.multiply
    first, second, *others = _as_arrays(coefficients)
    y: Array = multiply(x, first)
    add(y, second, y)
    for c in others:
        multiply(y, x, y)
        add(y, c, y)
    return y


def ratio_of(name: str, x: Array) -> Array:
    """One of the rational functions of ``coefficients.py``."""
    numerator, denominator = RATIOS[name]
    y = horner(numerator, x)
    if len(denominator) > 1:
        y /= horner(denominator, x)
    return y


def in_region(y: Array, mask: Array, function: Function, *inputs: Array) -> None:
    """Put ``function`` of the inputs where the mask holds into ``y``; they are flat arrays."""
    count = np.count_nonzero(mask)
    if not count:
        return
    if count == y.size:
        y[...] = function(*inputs)
    else:
        (places,) = mask.nonzero()
        y[places] = function(*[x[places] for x in inputs])


def by_regions(function: Function, work: int) -> Callable[..., Array]:
    """The kernel that computes ``function`` of flat arrays of float64 block by block."""

    def run(*values: Array) -> None:
        *inputs, out = values
        # copies, because the inputs may lie in scratch memory that other kernels, called by the function, use again
        out[...] = function(*[x.reshape(-1).copy() for x in inputs]).reshape(out.shape)

    bodies = {"d": Body(run, 0, work)}
    wide = np.dtype(np.float64)

    def kernel(*inputs: Array, out: Array | None = None) -> Array:
        return elementwise(bodies, out, *inputs, compute=wide)

    return kernel
