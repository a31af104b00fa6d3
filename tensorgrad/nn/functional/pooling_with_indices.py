"""Maxima together with where they stand: pooling with ``return_indices=True`` under names of its own."""

from __future__ import annotations

from typing import Any

from ...tensor import Tensor
from .pooling import (
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)

__all__ = [
    "adaptive_max_pool1d_with_indices", "adaptive_max_pool2d_with_indices", "adaptive_max_pool3d_with_indices",
    "max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices",
]  # fmt: skip

Pair = tuple[Tensor, Tensor]


def adaptive_max_pool1d_with_indices(input: Tensor, output_size: Any, return_indices: bool = False) -> Pair:
    """`adaptive_max_pool1d` and the indices, whatever ``return_indices`` says."""
    made: Pair = adaptive_max_pool1d(input, output_size, True)
    return made


def adaptive_max_pool2d_with_indices(input: Tensor, output_size: Any, return_indices: bool = False) -> Pair:
    """`adaptive_max_pool2d` and the indices, whatever ``return_indices`` says."""
    made: Pair = adaptive_max_pool2d(input, output_size, True)
    return made


def adaptive_max_pool3d_with_indices(input: Tensor, output_size: Any, return_indices: bool = False) -> Pair:
    """`adaptive_max_pool3d` and the indices, whatever ``return_indices`` says."""
    made: Pair = adaptive_max_pool3d(input, output_size, True)
    return made


def max_pool1d_with_indices(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Pair:
    """`max_pool1d` and the indices, whatever ``return_indices`` says."""
    made: Pair = max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode, True)
    return made


def max_pool2d_with_indices(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Pair:
    """`max_pool2d` and the indices, whatever ``return_indices`` says."""
    made: Pair = max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, True)
    return made


def max_pool3d_with_indices(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Pair:
    """`max_pool3d` and the indices, whatever ``return_indices`` says."""
    made: Pair = max_pool3d(input, kernel_size, stride, padding, dilation, ceil_mode, True)
    return made
