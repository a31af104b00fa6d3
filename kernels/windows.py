"""Sizes of convolution and pooling: how many windows fit along each axis. Shared by both backends and the rules."""

from __future__ import annotations

__all__ = ["out_size"]

Sizes = tuple[int, ...]


def out_size(
    size: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, ceil_mode: bool = False
) -> Sizes:
    """Windows per axis, ``floor((n + 2 p - d (k - 1) - 1) / s) + 1``.

    With ``ceil_mode`` also the last one that begins inside the input or its left padding.

    Examples
    --------
    >>> out_size((7,), (2,), (2,), (0,), (1,)), out_size((7,), (2,), (2,), (0,), (1,), ceil_mode=True)
    ((3,), (4,))
    """
    result = []
    for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True):
        span = n + 2 * p - d * (k - 1) - 1
        count = (span + (s - 1 if ceil_mode else 0)) // s + 1
        result.append(count - 1 if ceil_mode and (count - 1) * s >= n + p else count)
    return tuple(result)
