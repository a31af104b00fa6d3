"""Switches under PyTorch's names. Setting one neither imports CuPy nor asks for a GPU.

Only what a kernel reads is here; another name is an error rather than a switch without effect.

Examples
--------
>>> import tensorgrad as tg
>>> tg.backends.cuda.matmul.allow_tf32
False
"""

from __future__ import annotations

from .kernels import switches

__all__ = ["cuda"]


class _Matmul:
    """``tg.backends.cuda.matmul``: matrix products on CUDA."""

    __slots__ = ()

    @property
    def allow_tf32(self) -> bool:
        """Whether float32 products may round their operands to 10 bits of mantissa, for more speed."""
        return switches.allow_tf32

    @allow_tf32.setter
    def allow_tf32(self, allowed: bool) -> None:
        if not isinstance(allowed, bool):
            raise TypeError(f"backends.cuda.matmul.allow_tf32: expected True or False, got {allowed!r}")
        switches.allow_tf32 = allowed


class _Cuda:
    """``tg.backends.cuda``."""

    __slots__ = ("matmul",)

    def __init__(self) -> None:
        self.matmul = _Matmul()


cuda = _Cuda()
