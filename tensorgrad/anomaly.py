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

__all__ = ["add_note", "check_gradient", "detect_anomaly", "set_detect_anomaly", "user_line"]

_PACKAGE = str(Path(__file__).parent)


def user_line() -> str:
    """File, line and function of the code outside of this package that called the op."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith((_PACKAGE, str(Path(K.__file__).parent))):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


class set_detect_anomaly:  # noqa: N801 - PyTorch's name
    """Turn `detect_anomaly` on or off: from here on when called, in the block as a context manager.

    Parameters
    ----------
    mode : bool
    check_nan : bool
        As for `detect_anomaly`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor(0.0, requires_grad=True)
    >>> with tg.autograd.detect_anomaly():
    ...     y = tg.sqrt(x) * 0
    ...     with tg.autograd.set_detect_anomaly(False):
    ...         y.backward()
    >>> x.grad
    tensor(nan)
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = _switched(mode, check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        tape.trace_forward, tape.check_nan = self._before


@contextmanager
def detect_anomaly(check_nan: bool = True) -> Iterator[None]:
    """Raise as soon as a gradient rule gives NaN, naming the line of the forward that called its op.

    For ops called, and backwards run, inside the block. Slow: every gradient is looked at. An error that a gradient
    rule raises, a user's own included, gets a note with that line.

    Parameters
    ----------
    check_nan : bool
        False for the notes only.

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
    before = _switched(True, check_nan)
    try:
        yield
    finally:
        tape.trace_forward, tape.check_nan = before


def _switched(mode: bool, check_nan: bool) -> tuple[Any, bool]:
    """Turn the mode on or off; what was before."""
    before = tape.trace_forward, tape.check_nan
    tape.trace_forward, tape.check_nan = (user_line if mode else None), check_nan
    return before


def add_note(error: BaseException, node: Node | None) -> None:
    """Tell, in an error of a gradient rule, where its op was called."""
    if node is not None and node.trace and str(node.trace) not in str(error):
        error.add_note(f"in the gradient rule of {node.name}, which was called at {node.trace}")


def check_gradient(node: Node, part: Any) -> None:
    """Raise if a gradient that a node's rule gave holds NaN."""
    if not tape.check_nan:
        return
    array = part._data if isinstance(part, Tensor) else part
    while isinstance(array, BatchedArray):
        array = array.data
    if array.dtype.kind in "fcV" and bool(K.any(K.isnan(array))):
        where = node.trace or "a line outside of detect_anomaly()"
        raise RuntimeError(f"backward: the gradient rule of {node.name} gave NaN; {node.name} was called at {where}")
