"""Scaled dot-product attention on CUDA, forward and backward: cuDNN for what it takes, else ``attention.cu``.

`choice` says which of the two is asked first, `computed_by` which computed the last call of each instruction.
"""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from ..cpu.random import dropout_constants
from . import cudnn, cudnn_attention
from .module import FLOATS, blocks, by_value, c_name, is_half, launch, stored
from .random import POSITION, position

__all__ = ["INSTANTIATIONS", "attention", "attention_backward", "choice", "computed_by"]

INSTANTIATIONS = {
    "attention": [
        f"{kernel}<{t}, {mask}>"
        for kernel in ("attention", "attention_queries", "attention_keys")
        for t in FLOATS
        for mask in (0, 1, 2)
    ]
}
computed_by: dict[str, str] = {}
"""``"cudnn"`` or ``"own"`` by instruction: what computed its last call in this process."""

_TILE, _PITCH = 32, 65  # as in attention.cu
_SHARED = 48 << 10  # bytes that every device grants without asking
_DROPOUT = np.dtype([("position", POSITION), ("threshold", "i8"), ("factor", "f8")])


def choice(dtype: Any, width: int, value_width: int | None = None, masked: bool = False, p: float = 0.0) -> str:
    """``"cudnn"`` or ``"own"``: what attention with heads of this width asks first."""
    value_width = width if value_width is None else value_width
    return "own" if cudnn.attention_refusal(np.dtype(dtype).name, width, value_width, masked, p > 0) else "cudnn"


def _cudnn(name: str, *args: Any) -> Any | None:
    """What cuDNN gives, or None where it is missing or does not take the call."""
    made = getattr(cudnn_attention, name)(*args)
    computed_by[name] = "own" if made is None else "cudnn"
    return made


def _compute(dtype: Any) -> Any:
    return np.dtype(np.float32) if is_half(dtype) else dtype


def _rows(per_row: int, item: int) -> tuple[int, int]:
    """Rows of a block, one for each warp, and the bytes of shared memory that it needs.

    Raises
    ------
    ValueError
        If the memory does not hold one row: at some thousand columns.
    """
    for warps in (8, 4, 2, 1):
        need = (_TILE * _PITCH + warps * per_row) * item
        if need <= _SHARED:
            return warps, need
    raise ValueError(f"attention: rows of query and value are too long, {per_row * item} bytes of shared memory each")


def _dropout(p: float, seed: Any, offset: Any) -> tuple[Any, Any]:
    """The struct that kernels take, and what must live until the launch."""
    made = np.zeros((), _DROPOUT)
    if p:
        threshold, factor = dropout_constants(p)
        made["position"], made["threshold"], made["factor"] = position(seed, offset), threshold, factor
    return made.reshape(1).view(np.dtype((np.void, _DROPOUT.itemsize))), (seed, offset)


class _Call:
    """What all kernels take: the sizes, the mask, dropout."""

    def __init__(
        self, q: Any, k: Any, v: Any, mask: Any, causal: bool, scale: float, p: float, seed: Any, offset: Any
    ) -> None:
        batch, heads, self.queries, self.width = q.shape
        self.batch_heads, self.keys, self.value_width = batch * heads, k.shape[2], v.shape[3]
        self.mask, kind, strides = mask, 0, (0, 0, 0, 0)
        if mask is not None:
            kind = 1 if mask.dtype.kind == "b" else 2
            if kind == 2 and mask.dtype != q.dtype:
                self.mask = mask = mask.astype(q.dtype)
            spread = cupy.broadcast_to(mask, (batch, heads, self.queries, self.keys))
            strides = tuple(s // mask.dtype.itemsize for s in spread.strides)
        sizes = (self.batch_heads, heads, self.queries, self.keys, self.width, self.value_width, int(causal))
        self.numbers = by_value(*sizes, *strides)
        self.scale = float(scale)
        self.dropout, self.alive = _dropout(p, seed, offset)
        self.suffix = f"<{c_name(q.dtype)}, {kind}>"

    def run(self, kernel: str, rows: int, per_row: int, arrays: tuple[Any, ...], item: int) -> None:
        warps, shared = _rows(per_row, item)
        grid = self.batch_heads * blocks(rows, warps)
        arguments = (*arrays, self.numbers, self.scale, self.dropout)
        launch("attention", kernel + self.suffix, (grid,), (_TILE, warps), arguments, shared)


def _place(out: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    direct = out is not None and out.flags.c_contiguous and out.dtype == dtype and out.shape == shape
    return out if direct else cupy.empty(shape, dtype)


def _stored(results: tuple[Any, ...], out: Any) -> Any:
    return results if out is None else tuple(stored(y, o) for y, o in zip(results, out, strict=True))


def attention(
    q: Any,
    k: Any,
    v: Any,
    mask: Any | None = None,
    causal: bool = False,
    scale: float = 1.0,
    p: float = 0.0,
    seed: Any = 0,
    offset: Any = 0,
    out: Any | None = None,
) -> Any:
    """``softmax(scale * q @ k.T + mask) @ v``, with dropout, and the log-sum-exp of every query's scores."""
    made = _cudnn("attention", q, k, v, mask, causal, scale, p)
    if made is not None:
        return _stored(made, out)
    compute = _compute(q.dtype)
    shape = (*q.shape[:3], v.shape[3])
    given = out or (None, None)
    y, lse = _place(given[0], shape, q.dtype), _place(given[1], shape[:3], compute)
    call = _Call(q, k, v, mask, causal, scale, p, seed, offset)
    arrays = (*(cupy.ascontiguousarray(a) for a in (q, k, v)), call.mask, y, lse)
    if call.batch_heads and call.queries:
        call.run("attention", call.queries, _TILE + call.width + call.value_width, arrays, compute.itemsize)
    return _stored((y, lse), out)


def attention_backward(
    g: Any,
    q: Any,
    k: Any,
    v: Any,
    y: Any,
    lse: Any,
    mask: Any | None = None,
    causal: bool = False,
    scale: float = 1.0,
    p: float = 0.0,
    seed: Any = 0,
    offset: Any = 0,
    out: Any | None = None,
) -> Any:
    """The gradients by ``q``, ``k`` and ``v``: one kernel for the first, one for the others."""
    made = _cudnn("attention_backward", g, q, k, v, y, lse, mask, causal, scale, p)
    if made is not None:
        return _stored(made, out)
    compute = _compute(q.dtype)
    call = _Call(q, k, v, mask, causal, scale, p, seed, offset)
    dq, dk, dv = (_place(o, x.shape, x.dtype) for o, x in zip(out or (None,) * 3, (q, k, v), strict=True))
    g, q, k, v, y, lse = (cupy.ascontiguousarray(a) for a in (g, q, k, v, y, lse))
    delta = cupy.empty(lse.shape, compute)
    width, value_width = call.width, call.value_width
    if call.batch_heads and call.queries:
        arrays = (g, q, k, v, y, lse, call.mask, dq, delta)
        call.run("attention_queries", call.queries, _TILE + 2 * width + value_width, arrays, compute.itemsize)
    if call.batch_heads and call.keys:
        arrays = (g, q, k, v, lse, delta, call.mask, dk, dv)
        call.run("attention_keys", call.keys, 2 * (_TILE + width + value_width), arrays, compute.itemsize)
    return _stored((dq, dk, dv), out)
