"""In-place operators: ``x += y`` and ``x[index] = value``.

While nothing is recorded they write into the memory. While the tape records, the result is a new step of the
computation and the tensor becomes its result. A backward that would need a value that is gone raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import dtypes
from .. import kernels as K
from ..tape import Leaf, clock, grad_mode
from ..tensor import Tensor
from .definition import lift

__all__ = ["become", "before", "check_writable", "in_place"]


def check_writable(x: Tensor, name: str) -> None:
    if isinstance(x._node, Leaf):
        raise RuntimeError(
            f"{name}: a leaf that requires a gradient cannot be overwritten while the tape records; use tg.no_grad()"
        )
    if x._base is not None or (x._storage is not None and x._storage.viewed):
        raise RuntimeError(
            f"{name}: this tensor of shape {x.shape} shares memory with a view, and gradients through an in-place "
            "write to one of them are not recorded; write y = x + ... instead, or .clone() first"
        )


def become(x: Tensor, result: Tensor, name: str) -> Tensor:
    """Let ``x`` be ``result`` from now on."""
    if result.shape != x.shape:
        raise ValueError(f"{name}: the result has shape {result.shape}, which does not fit in place into {x.shape}")
    node = result._node
    if x._storage is None or not x._storage.shared:
        # Nobody else sees this memory: take the new one. Ops that saved the tensor before must find it changed; the new
        # op, which saved the old memory, must not.
        version = x._version
        x._data, x._node, x._storage = result._data, node, None
        storage = x._shared_storage()
        storage.version = version + 1
        storage.written_at = next(clock) if node is None else node.time
    else:
        K.assign(x._data, result._data)
        x._written()
        x._node = node
    return x


def before(x: Tensor) -> Tensor:
    """What ``x`` is now, as a tensor that stays so when ``x`` becomes something else."""
    old = Tensor(x._data, x._node)
    old._storage = x._storage
    return old


def in_place(name: str, op: Callable[..., Any], kernel: Any) -> Callable[[Tensor, Any], Any]:
    """The in-place form of a binary op."""

    def function(x: Tensor, other: Any) -> Any:
        y = other if isinstance(other, (Tensor, bool, int, float, complex)) else lift(other, x)
        other_node = y._node if isinstance(y, Tensor) else None
        recorded = grad_mode.get() and (x._node is not None or other_node is not None)
        if recorded:
            check_writable(x, name)
        if not _keeps_dtype(x, y, op):
            dtype = dtypes.result_type(x, y)
            raise TypeError(f"{name}: the result is {dtype}, which does not fit in place into {x.dtype}")
        if recorded:
            return become(x, op(before(x), y), name)
        other_array = y._data if isinstance(y, Tensor) else y
        if isinstance(y, Tensor) and y.dtype != x.dtype:
            other_array = K.cast(other_array, x.dtype)
        kernel(x._data, other_array, out=x._data)
        x._written()
        return x

    function.__name__ = function.__qualname__ = name
    return function


def _keeps_dtype(x: Tensor, y: Any, op: Callable[..., Any]) -> bool:
    dtype = dtypes.result_type(x, y)
    if op.__name__ == "divide" and dtype.kind in "biu":
        return False
    return dtype.kind == x.dtype.kind or ((dtype.kind in "biu") == (x.dtype.kind in "biu") and dtype == x.dtype)
