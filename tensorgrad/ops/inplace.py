"""In-place operators: ``x += y`` and ``x[index] = value``.

While nothing is recorded they write into the memory. While the tape records, the result is a new step of the
computation and the tensor becomes its result. A write to a view is a write to the tensor that it is a part of, and to
every other view of it: all of them take their new place on the tape. A backward that would need a value that is gone
raises.
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
    """Refuse to overwrite a leaf, or a part of one, whose value the gradient is taken at."""
    root = x
    while root._view is not None:
        root = root._view.base
    if isinstance(root._node, Leaf):
        raise RuntimeError(
            f"{name}: a leaf that requires a gradient{'' if root is x else ', or a view of one,'} cannot be "
            "overwritten while the tape records; use tg.no_grad()"
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
        return x
    K.assign(x._data, result._data)
    x._written()
    _replace_on_tape(x, result)
    for reference in list(x._storage.views):
        view = reference()
        if view is not None and view._view is not None:
            base, take, _, params = view._view
            view._node = take(before(base), *params)._node
    return x


def _replace_on_tape(x: Tensor, value: Tensor) -> None:
    """Give the tensor that ``x`` is a part of its place after the write; the views follow from it."""
    if x._view is None:
        x._node = value._node
        return
    base, _, put, params = x._view
    _replace_on_tape(base, put(before(base), value, *params))


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
            shared = x._storage is not None and x._storage.shared
            old = Tensor(K.copy(x._data), x._node) if shared else before(x)  # the op may save it
            return become(x, op(old, old if y is x else y), name)
        if x.dtype.kind == "V":  # NumPy would widen bfloat16
            y = lift(y, x)
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
    if dtypes.is_floating(dtype) and dtypes.is_floating(x.dtype):
        return True
    return dtype.kind == x.dtype.kind or ((dtype.kind in "biu") == (x.dtype.kind in "biu") and dtype == x.dtype)
