"""Fourier transforms; their references are sums of exponentials, written out."""

from __future__ import annotations

from typing import Any

import numpy as np

import tensorgrad as tg
from tensorgrad.ops.complex_parts import join_parts

from . import add, values


def _transform(x: Any, axis: int, sign: int = -1) -> Any:
    """Along an axis, the sums of the points times exponentials."""
    n = np.arange(x.shape[axis])
    return np.moveaxis(np.tensordot(x, np.exp(sign * 2j * np.pi * np.outer(n, n) / len(n)), (axis, 0)), -1, axis)


def _hermitian(x: Any, size: int) -> Any:
    """The whole spectrum of which the last axis is the first half, of real points."""
    whole = np.zeros((*x.shape[:-1], size), complex)
    whole[..., : size // 2 + 1] = x
    whole[..., 0] = x[..., 0].real
    if size % 2 == 0:
        whole[..., size // 2] = x[..., size // 2].real
    back = np.arange(1, (size + 1) // 2)
    whole[..., -back] = x[..., back].conj()
    return whole


for _shape in ((2, 4), (3, 5), (2, 1)):
    add(
        "fft",
        f"both axes {_shape}",
        lambda x, y: tg.fft.fftn(join_parts(x, y)),
        values(*_shape),
        values(*_shape, seed=1),
        reference=lambda x, y: _transform(_transform(x + 1j * y, 0), 1),
        halves=False,
        slack=20,
    )
    add(
        "fft",
        f"inverse {_shape}",
        lambda x, y: tg.fft.ifft(join_parts(x, y), axis=0, norm="ortho"),
        values(*_shape),
        values(*_shape, seed=1),
        reference=lambda x, y: _transform(x + 1j * y, 0, 1) / np.sqrt(len(x)),
        halves=False,
        slack=20,
    )
    add(
        "rfft",
        f"{_shape}",
        lambda x: tg.fft.rfft(x, norm="forward"),
        values(*_shape),
        reference=lambda x: _transform(x, 1)[:, : x.shape[1] // 2 + 1] / x.shape[1],
        halves=False,
        slack=20,
    )
for _size in (4, 5):
    add(
        "irfft",
        f"{_size} points",
        lambda x, y, n=_size: tg.fft.irfft(join_parts(x, y), n=n),
        values(2, 3),
        values(2, 3, seed=1),
        reference=lambda x, y, n=_size: _transform(_hermitian(x + 1j * y, n), 1, 1).real / n,
        halves=False,
        slack=20,
    )
