"""Anomaly mode: find the line of the forward whose gradient became NaN."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import kernels as K
from . import tape
from .kernels.batched.array import BatchedArray
from .tape import Node
from .tensor import Tensor

__all__ = ["check_gradient", "detect_anomaly", "user_line"]

_PACKAGE = str(Path(__file__).parent)


def user_line() -> str:
    """File, line and function of the code outside of this package that called the op."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith((_PACKAGE, str(Path(K.__file__).parent))):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Raise as soon as a gradient rule gives NaN, naming the line of the forward that called its op.

    For ops called, and backwards run, inside the block. Slow: every gradient is looked at.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor(0.0, requires_grad=True)
    >>> with tg.autograd.detect_anomaly():
    ...     y = tg.sqrt(x) * 0
    ...     y.backward()
    Traceback (most recent call last):
    ...
    RuntimeError: backward: the gradient rule of sqrt gave NaN; sqrt was called at ...
    """
    before = tape.trace_forward
    tape.trace_forward = user_line
    try:
        yield
    finally:
        tape.trace_forward = before


def check_gradient(node: Node, part: Any) -> None:
    """Raise if a gradient that a node's rule gave holds NaN."""
    array = part._data if isinstance(part, Tensor) else part
    while isinstance(array, BatchedArray):
        array = array.data
    if array.dtype.kind in "fcV" and bool(K.any(K.isnan(array))):
        where = node.trace or "a line outside of detect_anomaly()"
        raise RuntimeError(f"backward: the gradient rule of {node.name} gave NaN; {node.name} was called at {where}")
