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

__all__ = ["cuda", "cudnn"]


def _checked(name: str, value: bool) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"backends.{name}: expected True or False, got {value!r}")
    return value


class _Matmul:
    """``tg.backends.cuda.matmul``: matrix products on CUDA."""

    __slots__ = ()

    @property
    def allow_tf32(self) -> bool:
        """Whether float32 products may round their operands to 10 bits of mantissa, for more speed."""
        return switches.allow_tf32

    @allow_tf32.setter
    def allow_tf32(self, allowed: bool) -> None:
        switches.allow_tf32 = _checked("cuda.matmul.allow_tf32", allowed)


class _Cuda:
    """``tg.backends.cuda``."""

    __slots__ = ("matmul",)

    def __init__(self) -> None:
        self.matmul = _Matmul()


class _Cudnn:
    """``tg.backends.cudnn``: convolution, and attention in half precision, by cuDNN."""

    __slots__ = ()

    @property
    def enabled(self) -> bool:
        """Whether cuDNN is asked first where it is installed; the library's own kernels compute otherwise."""
        return switches.cudnn_enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        switches.cudnn_enabled = _checked("cudnn.enabled", enabled)

    @property
    def allow_tf32(self) -> bool:
        """As for matrix products, for float32 convolutions; False at first, unlike in PyTorch."""
        return switches.cudnn_allow_tf32

    @allow_tf32.setter
    def allow_tf32(self, allowed: bool) -> None:
        switches.cudnn_allow_tf32 = _checked("cudnn.allow_tf32", allowed)


cuda = _Cuda()
cudnn = _Cudnn()
