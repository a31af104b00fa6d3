"""In-place operators: ``x += y`` and ``x[index] = value``.

While nothing is recorded they write into the memory. While the tape records, the result is a new step of the
computation and the tensor becomes its result. A write to a view is a write to the tensor that it is a part of, and to
every other view of it: all of them take their new place on the tape. A backward that would need a value that is gone
raises.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from .. import dtypes
from .. import kernels as K
from ..tape import Leaf, clock, enable_grad, grad_mode
from ..tensor import Tensor
from .definition import lift

__all__ = ["become", "before", "check_writable", "fitted", "in_place", "keeps_dtype", "overwrite", "take_shape"]


_REAL = frozenset((bool, int, float))


def check_writable(x: Tensor, name: str) -> None:
    """Refuse to overwrite a leaf, or a part of one, whose value the gradient is taken at."""
    root = x
    while root._view is not None:
        if root._view.put is None:
            raise RuntimeError(
                f"{name}: a result of a custom or checkpointed function that is a part of its argument, or of another "
                "result, cannot be overwritten while the tape records; let the function return a .clone()"
            )
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
        x._move_on_tape(node)
        x._data, x._storage = result._data, None
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
            view._move_on_tape(take(before(base), *params)._node)
    return x


def _replace_on_tape(x: Tensor, value: Tensor) -> None:
    """Give the tensor that ``x`` is a part of its place after the write; the views follow from it."""
    if x._view is None:
        x._move_on_tape(value._node)
        return
    base, _, put, params = x._view
    assert put is not None
    _replace_on_tape(base, put(before(base), value, *params))


def before(x: Tensor) -> Tensor:
    """What ``x`` is now, as a tensor that stays so when ``x`` becomes something else."""
    old = Tensor(x._data, x._node)
    old._storage = x._storage
    return old


def in_place(name: str, op: Callable[..., Any], kernel: Any) -> Callable[[Tensor, Any], Any]:
    """The in-place form of a binary op."""
    # by position where a launch takes it so, which is the short way
    write = kernel.launch if kernel.elementwise else lambda x1, x2, out: kernel(x1, x2, out=out)

    def function(x: Tensor, other: Any) -> Any:
        y = other if isinstance(other, (Tensor, bool, int, float, complex)) else lift(other, x)
        other_node = y._node if isinstance(y, Tensor) else None
        recorded = grad_mode.get() and (x._node is not None or other_node is not None)
        if recorded:
            check_writable(x, name)
        if not keeps_dtype(x, y, op):
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
        write(x._data, other_array, x._data)
        x._written()
        return x

    function.__name__ = function.__qualname__ = name
    return function


def keeps_dtype(x: Tensor, y: Any, op: Callable[..., Any]) -> bool:
    """Whether a binary op of ``x`` and ``y`` has a dtype that its kernel may write into ``x``."""
    if x._data.dtype.kind in "fc" and (y.__class__ in _REAL or (isinstance(y, Tensor) and y.dtype == x.dtype)):
        return True
    dtype = dtypes.result_type(x, y)
    if op.__name__ == "divide" and dtype.kind in "biu":
        return False
    if dtypes.is_floating(dtype) and dtypes.is_floating(x.dtype):
        return True
    return dtype.kind == x.dtype.kind or ((dtype.kind in "biu") == (x.dtype.kind in "biu") and dtype == x.dtype)


def overwrite(x: Tensor, name: str, op: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Tensor:
    """Let ``x`` become ``op(x, *args, **options)``, which must have its shape, in its dtype."""
    given = (x, *args, *options.values())
    if not grad_mode.get() or all(y._node is None for y in given if isinstance(y, Tensor)):
        K.assign(x._data, fitted(x, op(x, *args, **options), name)._data)
        x._written()
        return x
    check_writable(x, name)
    shared = x._storage is not None and x._storage.shared
    old = Tensor(K.copy(x._data), x._node) if shared else before(x)  # the op may save it
    args = tuple([old if y is x else y for y in args])
    options = {key: old if y is x else y for key, y in options.items()}
    return become(x, fitted(x, op(old, *args, **options), name), name)


def fitted(x: Tensor, result: Tensor, name: str) -> Tensor:
    """A result in the dtype of the tensor that it is written into.

    Integers become real and real numbers complex, not the other way round, and only comparisons become bool.
    """
    if result is NotImplemented:  # as operators answer operands that they do not know
        raise TypeError(f"{name}: operands must be tensors, arrays or numbers")
    if result.shape != x.shape:
        raise ValueError(f"{name}: the result has shape {result.shape}, which does not fit in place into {x.shape}")
    if result.dtype == x.dtype:
        return result
    ranks = [
        0 if d.kind == "b" else 1 if d.kind in "iu" else 3 if d.kind == "c" else 2 for d in (result.dtype, x.dtype)
    ]
    if ranks[0] > ranks[1]:
        raise TypeError(f"{name}: the result is {result.dtype}, which cannot be written into a {x.dtype} tensor")
    return result.astype(x.dtype)


def take_shape(x: Tensor, name: str, op: Callable[..., Tensor], *args: Any) -> Tensor:
    """Let ``x`` be the view of itself that ``op(x, *args)`` is; other views stay what they are."""
    is_leaf = isinstance(x._node, Leaf)
    if is_leaf and grad_mode.get():
        check_writable(x, name)
    storage = x._shared_storage()
    old = before(x)
    old._view = x._view
    if is_leaf or x._node is None:
        result = op(old, *args)
    else:
        with enable_grad():  # the gradient must find its way back to the old shape
            result = op(old, *args)
    if result is old:
        return x
    references = []
    for reference in storage.views:
        view = reference()
        if view is x:
            references.append(weakref.ref(old))
        elif view is not None and view is not result and view is not old:
            references.append(reference)
            if view._view is not None and view._view.base is x:
                view._view = view._view._replace(base=old)
    x._data = result._data
    if is_leaf:
        x._node.shape = x.shape  # type: ignore[union-attr]
    else:
        x._node, x._view = result._node, result._view
        references.append(weakref.ref(x))
    storage.views, storage.shared = references, True
    x._written()  # ops that saved the tensor must find it changed
    return x
