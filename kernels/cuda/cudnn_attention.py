"""Scaled dot-product attention through cuDNN, for float16 and bfloat16, where it is installed.

Operands are read as they lie in memory where their rows allow it, so that heads that were cut out of one projection are
not copied; results get the order of axes that the query has. The log-sum-exp is the one that the kernels of
``attention.cu`` write, so that either of the two can compute the gradient of the other's result. Gradients are added up
in a fixed order.

Every function returns None where cuDNN is missing or has no engine, and the caller computes by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cupy
import numpy as np

from . import cudnn as adapter
from .module import aligned

__all__ = ["attention", "attention_backward"]

_BYTES = 16  # rows start at a multiple of it
_ELEMENTS = _BYTES // 2


def _heads_inside(x: Any) -> bool:
    """Whether the heads of a position lie side by side, as a projection leaves them."""
    return bool(x.shape[1] > 1 and x.shape[2] > 1 and 0 < abs(x.strides[1]) < abs(x.strides[2]))


def _strides(shape: Sequence[int], inside: bool) -> list[int]:
    """In elements, of an array without gaps."""
    _, heads, rows, width = shape
    return [heads * rows * width, width, heads * width, 1] if inside else [heads * rows * width, rows * width, width, 1]


def _empty(shape: tuple[int, ...], dtype: Any, inside: bool) -> Any:
    batch, heads, rows, width = shape
    return cupy.empty((batch, rows, heads, width), dtype).swapaxes(1, 2) if inside else cupy.empty(shape, dtype)


def _declared(x: Any) -> list[int]:
    """Strides in elements; of an axis of length 1, whose own mean nothing, a multiple of all."""
    return [x.size if n == 1 else s for n, s in zip(x.shape[:3], adapter.strides_of(x), strict=False)] + [1]


def _readable(x: Any) -> Any:
    """The array, copied if its rows are not such as cuDNN reads."""
    axes = [s for n, s in zip(x.shape, adapter.strides_of(x), strict=True) if n > 1]
    rows = axes[:-1]  # heads have 8 columns or more, so that the last axis is among them
    if axes[-1] == 1 and all(s > 0 and s % _ELEMENTS == 0 for s in rows) and aligned([x], _BYTES):
        return x
    return cupy.ascontiguousarray(x) if not x.flags.c_contiguous else x.copy()


def _dense(x: Any, inside: bool) -> Any:
    """The array without gaps, its axes in this order."""
    wanted = zip(x.shape, adapter.strides_of(x), _strides(x.shape, inside), strict=True)
    if all(n == 1 or have == want for n, have, want in wanted) and aligned([x], _BYTES):
        return x
    made = _empty(x.shape, x.dtype, inside)
    made[...] = x
    return made


def _options(causal: bool, scale: float, cudnn: Any) -> dict[str, Any]:
    """What both graphs are told."""
    if not causal:
        return {"attn_scale": scale}
    # query i sees keys 0 to i
    return {
        "attn_scale": scale,
        "diagonal_alignment": cudnn.diagonal_alignment.TOP_LEFT,
        "diagonal_band_right_bound": 0,
    }


def _refused(q: Any, v: Any, mask: Any, p: float) -> bool:
    if adapter.attention_refusal(q.dtype.name, q.shape[-1], v.shape[-1], mask is not None, p > 0) is not None:
        return True
    return not (q.size and v.size)


def attention(q: Any, k: Any, v: Any, mask: Any, causal: bool, scale: float, p: float) -> tuple[Any, Any] | None:
    """The result and the log-sum-exp of every query's scores."""
    if _refused(q, v, mask, p):
        return None
    inside = _heads_inside(q)
    q, k, v = (_readable(x) for x in (q, k, v))
    read = (q, k, v)
    key = ("attention", q.dtype.name, *(x.shape for x in read), *(tuple(_declared(x)) for x in read), inside, causal,
           float(scale))  # fmt: skip
    if adapter.refused(key):
        return None
    batch, heads, rows = q.shape[:3]
    y = _empty((batch, heads, rows, v.shape[3]), q.dtype, inside)
    lse = cupy.empty((batch, heads, rows), np.float32)

    def describe(graph: Any, cudnn: Any) -> Sequence[Any]:
        operands = [
            adapter.operand(graph, cudnn, name, x, strides=_declared(x)) for name, x in zip("qkv", read, strict=True)
        ]
        o, stats = graph.sdpa(
            q=operands[0], k=operands[1], v=operands[2], generate_stats=True, **_options(causal, scale, cudnn)
        )
        adapter.result(o, cudnn, y, strides=_strides(y.shape, inside))
        adapter.result(stats, cudnn, lse, (*lse.shape, 1), (heads * rows, rows, 1, 1))
        return *operands, o, stats

    return (y, lse) if adapter.execute(key, describe, (*read, y, lse), q.dtype.name) else None


def attention_backward(
    g: Any, q: Any, k: Any, v: Any, y: Any, lse: Any, mask: Any, causal: bool, scale: float, p: float
) -> tuple[Any, Any, Any] | None:
    """The gradients by query, key and value."""
    if _refused(q, v, mask, p):
        return None
    inside = _heads_inside(q)
    q, k, v = (_readable(x) for x in (q, k, v))
    read = (q, k, v)
    key = ("attention_backward", q.dtype.name, *(x.shape for x in read), *(tuple(_declared(x)) for x in read), inside,
           causal, float(scale))  # fmt: skip
    if adapter.refused(key):
        return None
    g, y = _dense(g, inside), _dense(y, inside)  # of one layout, as cuDNN wants them
    lse = cupy.ascontiguousarray(lse)
    gradients = tuple(_empty(x.shape, x.dtype, inside) for x in read)
    batch, heads, rows = q.shape[:3]

    def describe(graph: Any, cudnn: Any) -> Sequence[Any]:
        operands = [
            *(
                adapter.operand(graph, cudnn, name, x, strides=_declared(x))
                for name, x in zip("qkv", read, strict=True)
            ),
            *(
                adapter.operand(graph, cudnn, name, x, strides=_strides(x.shape, inside))
                for name, x in (("o", y), ("dO", g))
            ),
            adapter.operand(graph, cudnn, "stats", lse, (batch, heads, rows, 1), (heads * rows, rows, 1, 1)),
        ]
        names = ("q", "k", "v", "o", "dO", "stats")
        made = graph.sdpa_backward(
            **dict(zip(names, operands, strict=True)),
            use_deterministic_algorithm=True,
            **_options(causal, scale, cudnn),
        )
        for tensor, x in zip(made, gradients, strict=True):
            adapter.result(tensor, cudnn, x, strides=_strides(x.shape, inside))
        return *operands, *made

    return gradients if adapter.execute(key, describe, (*read, y, g, lse, *gradients), q.dtype.name) else None
