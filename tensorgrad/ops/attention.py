"""Scaled dot-product attention."""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes
from .. import kernels as K
from ..backend import device_of, empty
from ..errors import ArgumentError
from ..tensor import Tensor
from .definition import Function, lift, primitive
from .dropout import _dropout
from .elementwise import add, multiply, subtract, where
from .matmul import _matmul, _transposed
from .memory import cast, full_like
from .precision import autocast_region, lowered
from .reduction import sum
from .shape import broadcast_to, expand_dims, reshape
from .softmax import softmax

__all__ = ["attention"]


def _attention_vjp(g: Any, needs: tuple[bool, ...], *values: Any) -> tuple[Any, ...]:
    gradients = _attention_backward(g, *values)
    return tuple(gradient if need else None for need, gradient in zip(needs, gradients, strict=True))


_attention: Function = primitive(
    "attention",
    K.attention,
    joint=lambda g, needs, q, k, v, out, lse, mask, causal, scale, p, seed, offset: _attention_vjp(
        g, needs, q, k, v, out, lse, mask, causal, scale, p, seed, offset
    ),
    inputs=3,
    aux=("lse",),
)
_attention_backward: Function = primitive(
    "attention_backward",
    K.attention_backward,
    joint=lambda h, needs, g, q, k, v, mask, causal, scale, p, seed, offset: _second_order(
        h, needs, g, q, k, v, mask, causal, scale, p, seed, offset
    ),
    inputs=7,
    outputs=3,
)


def _array_of(x: Any) -> Any:
    return x._data if isinstance(x, Tensor) else x


def _visible(queries: int, keys: int, like: Any) -> Any:
    """Whether the key comes no later than the query, as an array."""
    rows, columns = (empty((n,), dtypes.int64, device_of(_array_of(like))) for n in (queries, keys))
    K.arange(rows, 0, 1)
    K.arange(columns, 0, 1)
    return K.less_equal(columns, rows.reshape(queries, 1))


def _probabilities(q: Any, k: Any, mask: Any, causal: bool, scale: float) -> Any:
    """``softmax(scale * q @ k.T + mask)``, 0 throughout for a query that sees no key."""
    scores = multiply(_matmul(q, _transposed(k)), scale)
    if causal:
        mask = _visible(q.shape[-2], k.shape[-2], q)
    if mask is not None:
        boolean = mask.dtype.kind == "b"
        scores = where(mask, scores, full_like(scores, -math.inf)) if boolean else add(scores, mask)
        seen = K.greater(K.max(_array_of(scores), -1, True), -math.inf)
        nothing = full_like(scores, 0.0)
        return where(seen, softmax(where(seen, scores, nothing), -1), nothing)
    return softmax(scores, -1)


def _total(x: Any) -> Any:
    return sum(x, -1, keepdims=True)


def _second_order(
    h: tuple[Any, Any, Any],
    needs: tuple[bool, ...],
    g: Any,
    q: Any,
    k: Any,
    v: Any,
    mask: Any,
    causal: bool,
    scale: float,
    p: float,
    seed: int,
    offset: int,
) -> tuple[Any, ...]:
    r"""The gradients of :math:`\langle h_q, dq\rangle + \langle h_k, dk\rangle + \langle h_v, dv\rangle`.

    With :math:`P` the probabilities, a tilde for dropout, :math:`A = \widetilde{g v^T}`, the first order is
    :math:`dS = P \circ (A - \sum P \circ A)`, :math:`dq = s\, dS\, k`, :math:`dk = s\, dS^T q`,
    :math:`dv = \tilde P^T g`. Here the score matrix is made: the third order follows from these ops.
    """
    hq, hk, hv = h

    def dropped(x: Any) -> Any:
        return _dropout(x, p, seed, offset) if p else x

    probabilities = _probabilities(q, k, mask, causal, scale)
    slope = dropped(_matmul(g, _transposed(v)))
    centered = subtract(slope, _total(multiply(probabilities, slope)))
    ds = multiply(probabilities, centered)
    by_ds = multiply(add(_matmul(hq, _transposed(k)), _matmul(q, _transposed(hk))), scale)
    mean = _total(multiply(probabilities, by_ds))
    by_slope = dropped(multiply(probabilities, subtract(by_ds, mean)))
    by_p = subtract(multiply(by_ds, centered), multiply(slope, mean))
    by_p = add(by_p, dropped(_matmul(g, _transposed(hv))))
    by_s = multiply(multiply(probabilities, subtract(by_p, _total(multiply(probabilities, by_p)))), scale)
    ds = multiply(ds, scale)
    return (
        add(_matmul(by_slope, v), _matmul(dropped(probabilities), hv)),
        add(_matmul(by_s, k), _matmul(ds, hk)),
        add(_matmul(_transposed(by_s), q), _matmul(_transposed(ds), hq)),
        _matmul(_transposed(by_slope), g),
        None,
        None,
        None,
    )


def _composed(q: Any, k: Any, v: Any, mask: Any, causal: bool, scale: float, p: float, seed: int, offset: int) -> Any:
    """The same by single ops, for a mask that has a gradient."""
    probabilities = _probabilities(q, k, mask, causal, scale)
    return _matmul(_dropout(probabilities, p, seed, offset) if p else probabilities, v)


def _four(x: Any) -> Any:
    """Leading axes as two."""
    if x.ndim == 4:
        return x
    if x.ndim > 4:
        return reshape(x, (math.prod(x.shape[:-3]), *x.shape[-3:]))
    return reshape(x, (*(1,) * (4 - x.ndim), *x.shape))


def _mask_of_four(mask: Any, batch: tuple[int, ...], queries: int, keys: int) -> Any:
    """The mask with four axes, those that broadcast of length 1 where that can be."""
    mask = reshape(mask, (*(1,) * (len(batch) + 2 - mask.ndim), *mask.shape))
    if len(batch) > 2:
        mask = broadcast_to(mask, (*batch, queries, keys))
    return _four(mask)


def attention(
    q: Any,
    k: Any,
    v: Any,
    mask: Any = None,
    causal: bool = False,
    scale: float | None = None,
    grouped: bool = False,
    p: float = 0.0,
    seed: int = 0,
    offset: int = 0,
) -> Any:
    r"""Attention, :math:`\operatorname{softmax}(s\, q k^T + m)\, v`, in one kernel that never holds all scores.

    Parameters
    ----------
    q, k, v : Tensor
        Shapes (..., L, E), (..., S, E) and (..., S, D); leading axes broadcast.
    mask : Tensor, optional
        Broadcasts to (..., L, S). Boolean, true where a query may see a key, or to be added to the scores.
    causal : bool
        Query i sees keys 0 to i only.
    scale : float, optional
        By default ``1 / sqrt(E)``.
    grouped : bool
        Axis -3 of ``k`` and ``v`` may divide that of ``q``: neighbouring heads then share keys and values.
    p, seed, offset : float, int, int
        Dropout of the probabilities, and its place in the random stream.

    Notes
    -----
    Vaswani et al., Attention Is All You Need, 2017. The gradient of a query that sees no key is 0, as is its result.
    """
    q, k, v = lowered(lift(q), lift(k), lift(v))
    if autocast_region.get() is not None and mask is not None and mask.dtype.kind in "fV":
        mask = cast(lift(mask), q.dtype)
    _check(q, k, v, mask, causal, p)
    if grouped:
        k, v = (_repeated(x, q.shape[-3]) for x in (k, v))
    queries, keys = q.shape[-2], k.shape[-2]
    batch = _common(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    q, k, v = (_four(x if x.shape[:-2] == batch else broadcast_to(x, (*batch, *x.shape[-2:]))) for x in (q, k, v))
    if mask is not None:
        mask = _mask_of_four(lift(mask), batch, queries, keys)
        if mask.dtype.kind == "f" and mask.dtype != q.dtype:
            raise TypeError(f"attention: a mask to be added must have the query's dtype {q.dtype}, got {mask.dtype}")
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else float(scale)
    if getattr(mask, "requires_grad", False):
        y = _composed(q, k, v, mask, causal, scale, p, seed, offset)
    else:
        y = _attention(q, k, v, getattr(mask, "_data", mask), causal, scale, p, seed, offset)
    return y if len(batch) == 2 else reshape(y, (*batch, *y.shape[-2:]))


def _common(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(shapes)) == 1:
        return shapes[0]
    from numpy import broadcast_shapes

    return broadcast_shapes(*shapes)


def _check(q: Any, k: Any, v: Any, mask: Any, causal: bool, p: float) -> None:
    queries, keys, values = q.shape, k.shape, v.shape
    if min(len(queries), len(keys), len(values)) < 2 or queries[-1] != keys[-1] or keys[-2] != values[-2]:
        shapes = f"query {queries}, key {keys}, value {values}"
        if min(len(queries), len(keys), len(values)) < 2:
            raise ArgumentError(f"attention: query, key and value need at least 2 axes, got {shapes}")
        raise ArgumentError(
            f"attention: the last axes of query and key, and axis -2 of key and value, must agree, got {shapes}"
        )
    dtype = q.dtype
    if not (dtype == k.dtype == v.dtype) or dtype.kind in "biuc":
        raise TypeError(f"attention: expected one real floating dtype, got {dtype}, {k.dtype} and {v.dtype}")
    if mask is not None and causal:
        raise ArgumentError("attention: give a mask or is_causal=True, not both")
    if mask is not None and mask.dtype.kind in "iuc":
        raise TypeError(f"attention: a mask must be boolean or floating, got {mask.dtype}")
    if not 0.0 <= p <= 1.0:
        raise ArgumentError(f"attention: the dropout probability must be between 0 and 1, got {p}")


def _repeated(x: Any, heads: int) -> Any:
    """Every head as often as there are queries' heads that share it."""
    own = x.shape[-3] if x.ndim > 2 else 0
    if not own or heads % own:
        raise ArgumentError(f"attention: {heads} heads of the query are not a multiple of {own} of key and value")
    if own == heads:
        return x
    wide = expand_dims(x, -3)
    shape = (*x.shape[:-2], heads // own, *x.shape[-2:])
    return reshape(broadcast_to(wide, shape), (*x.shape[:-3], heads, *x.shape[-2:]))
