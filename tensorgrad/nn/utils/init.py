"""Modules without the work of drawing their parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..init import skipped
from ..module import Module

__all__ = ["skip_init"]

_M = TypeVar("_M", bound=Module)


def skip_init(module_cls: Callable[..., _M], *args: Any, **kwargs: Any) -> _M:
    """``module_cls(*args, **kwargs)`` with parameters that hold whatever was in their memory.

    For modules that are filled from a file at once. It skips what the functions of `tensorgrad.nn.init` do.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.utils.skip_init(tg.nn.Linear, 5, 1).weight.shape
    (1, 5)
    """
    with skipped():
        return module_cls(*args, **kwargs)
