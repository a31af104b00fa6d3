"""The ``inplace=True`` of PyTorch's functions."""

from __future__ import annotations

from collections.abc import Callable

from ... import kernels as K
from ...ops.inplace import become, before, check_writable
from ...tape import grad_mode
from ...tensor import Tensor

__all__ = ["applied"]


def applied(name: str, function: Callable[[Tensor], Tensor], x: Tensor, inplace: bool) -> Tensor:
    """``function(x)``; with ``inplace`` the result is written into ``x``, which is returned."""
    if not inplace:
        return function(x)
    recorded = grad_mode.get() and x.requires_grad
    if recorded:
        check_writable(x, name)
        shared = x._storage is not None and x._storage.shared
        old = Tensor(K.copy(x._data), x._node) if shared else before(x)  # the function may save it
        y = function(old)
    else:
        y = function(x)
    if y.dtype != x.dtype:
        raise TypeError(f"{name}: the result is {y.dtype}, which does not fit in place into {x.dtype}")
    if recorded:
        return become(x, y, name)
    K.assign(x._data, y._data)
    x._written()
    return x
