"""Cross-entropy on CUDA: one kernel forward, one backward."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from . import reduction
from .errors import flag_pointer
from .module import FLOATS, by_value, c_name, is_half, launch, stored
from .softmax import few_long_rows, row_blocks, rows_of

__all__ = [
    "INSTANTIATIONS",
    "cross_entropy",
    "cross_entropy_backward",
    "soft_cross_entropy",
    "soft_cross_entropy_backward",
    "target_weight",
]

_KERNELS = ("cross_entropy", "cross_entropy_backward", "soft_cross_entropy", "soft_cross_entropy_backward")
INSTANTIATIONS = {
    "loss": [f"{k}<{t}, {s}>" for k in _KERNELS for t in FLOATS for s in dict.fromkeys((t, "float" if "_" in t else t))]
}


def _contiguous(x: Any, dtype: Any) -> Any:
    return cupy.ascontiguousarray(x, dtype)


def _run(
    kernel: str, logits: Any, lse: Any, arrays: tuple[Any, ...], ignore_index: int, smoothing: float, *rest: Any
) -> None:
    rows, n, inner = rows_of(logits.shape, 1)
    grid, block = row_blocks(rows, n, inner)
    sizes = by_value(rows, n, inner, ignore_index)
    mass = (1.0 - smoothing, smoothing / n)
    expression = f"{kernel}<{c_name(logits.dtype)}, {c_name(lse.dtype)}>"
    launch("loss", expression, grid, block, (*arrays, sizes, *mass, *rest))


def _forward(
    kernel: str,
    logits: Any,
    target: Any,
    weight: Any,
    ignore_index: int,
    smoothing: float,
    flag: tuple[Any, ...],
    out: Any,
) -> tuple[Any, Any]:
    shape = (logits.shape[0], *logits.shape[2:])
    loss = cupy.empty(shape, logits.dtype)
    lse = cupy.empty(shape, logits.dtype if out is None else out[1].dtype)
    if few_long_rows(*rows_of(logits.shape, 1)):  # a strided row per thread is too slow
        flat = cupy.moveaxis(logits, 1, -1).reshape(-1, logits.shape[1])
        soft = target.ndim == logits.ndim
        flat_target = cupy.moveaxis(target, 1, -1).reshape(flat.shape) if soft else target.reshape(-1)
        pair = (loss.reshape(-1), lse.reshape(-1))
        _forward(kernel, flat, flat_target, weight, ignore_index, smoothing, flag, pair)
    elif logits.size:
        logits = _contiguous(logits, logits.dtype)
        target = _contiguous(target, np.int64 if flag else logits.dtype)
        weight = None if weight is None else _contiguous(weight, logits.dtype)
        _run(kernel, logits, lse, (logits, target, weight, loss, lse), ignore_index, smoothing, *flag)
    if out is None:
        return loss, lse
    return stored(loss, out[0]), stored(lse, out[1])


def _backward(
    kernel: str, g: Any, logits: Any, target: Any, lse: Any, weight: Any, ignore_index: int, smoothing: float, out: Any
) -> Any:
    soft = target.ndim == logits.ndim
    if few_long_rows(*rows_of(logits.shape, 1)):
        flat = cupy.moveaxis(logits, 1, -1).reshape(-1, logits.shape[1])
        flat_target = cupy.moveaxis(target, 1, -1).reshape(flat.shape) if soft else target.reshape(-1)
        dx = _backward(kernel, g.reshape(-1), flat, flat_target, lse.reshape(-1), weight, ignore_index, smoothing, None)
        dx = cupy.moveaxis(dx.reshape(logits.shape[0], *logits.shape[2:], logits.shape[1]), -1, 1)
        return cupy.ascontiguousarray(dx) if out is None else stored(dx, out)
    logits = _contiguous(logits, logits.dtype)
    direct = out is not None and out.flags.c_contiguous and out.dtype == logits.dtype
    dx = out if direct else cupy.empty(logits.shape, logits.dtype)
    if logits.size:
        g = _contiguous(g, logits.dtype)
        target = _contiguous(target, logits.dtype if soft else np.int64)
        lse = _contiguous(lse, lse.dtype)
        weight = None if weight is None else _contiguous(weight, logits.dtype)
        extra: tuple[Any, ...] = ()
        if not soft:
            wide = None if weight is None else weight.astype(np.float32 if is_half(weight.dtype) else weight.dtype)
            extra = (None if wide is None else reduction.sum(wide),)
        _run(kernel, logits, lse, (g, logits, target, lse, weight, *extra, dx), ignore_index, smoothing)
    return stored(dx, out)


def cross_entropy(
    logits: Any,
    target: Any,
    weight: Any | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    out: Any | None = None,
) -> tuple[Any, Any]:
    """Loss per position against class indices, and the log-sum-exp of its logits.

    A class index out of range gives NaN and is raised by `errors.check` at the next synchronisation.
    """
    flag = (flag_pointer(),)
    return _forward("cross_entropy", logits, target, weight, ignore_index, float(label_smoothing), flag, out)


def cross_entropy_backward(
    g: Any,
    logits: Any,
    target: Any,
    lse: Any,
    weight: Any | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    out: Any | None = None,
) -> Any:
    """Gradient by the logits."""
    smoothing = float(label_smoothing)
    return _backward("cross_entropy_backward", g, logits, target, lse, weight, ignore_index, smoothing, out)


def target_weight(
    logits: Any, target: Any, weight: Any | None = None, ignore_index: int = -100, out: Any | None = None
) -> Any:
    """Sum of the weights of the classes of all samples that are not ignored; their number without weights."""
    counted = target != ignore_index
    if weight is None:
        return stored(cupy.count_nonzero(counted).astype(logits.dtype), out)
    chosen = weight[cupy.clip(target, 0, weight.size - 1)]  # targets out of range are reported by cross_entropy
    total = cupy.where(counted, chosen, 0).sum(dtype=np.float32 if is_half(weight.dtype) else weight.dtype)
    return stored(total.astype(logits.dtype), out)


def soft_cross_entropy(
    logits: Any, target: Any, weight: Any | None = None, label_smoothing: float = 0.0, out: Any | None = None
) -> tuple[Any, Any]:
    """Loss per position against class probabilities, and the log-sum-exp of its logits."""
    return _forward("soft_cross_entropy", logits, target, weight, 0, float(label_smoothing), (), out)


def soft_cross_entropy_backward(
    g: Any,
    logits: Any,
    target: Any,
    lse: Any,
    weight: Any | None = None,
    label_smoothing: float = 0.0,
    out: Any | None = None,
) -> Any:
    """Gradient by the logits."""
    smoothing = float(label_smoothing)
    return _backward("soft_cross_entropy_backward", g, logits, target, lse, weight, 0, smoothing, out)
