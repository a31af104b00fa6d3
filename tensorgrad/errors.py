"""Errors of arguments."""

from __future__ import annotations

__all__ = ["ArgumentError"]


class ArgumentError(ValueError, RuntimeError):
    """Arguments that do not fit: a ValueError, as NumPy raises, and a RuntimeError, as PyTorch raises for most of them.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> try:
    ...     tg.nn.functional.glu(tg.ones(3))
    ... except RuntimeError as error:
    ...     print(error)
    glu: the size along dim -1 must be even, got shape (3,)
    """
