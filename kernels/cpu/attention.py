"""Scaled dot-product attention on NumPy: blocks of queries against blocks of keys, BLAS on each pair.

The score matrix never exists as a whole. Where the keys come in several blocks, the softmax keeps a running maximum and
sum; of each query the log-sum-exp of its scores is kept, from which the gradient finds the probabilities again. A block
is that of many heads at once, and its matrix products are so small that BLAS computes each on one thread: the threads
share out the heads.

Source: Milakov and Gimelshein, Online normalizer calculation for softmax, 2018; Dao et al., FlashAttention, 2022.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .blas_threads import without_threads
from .blocked import compute_type, get_num_threads, pays, walk
from .random import dropout_constants, keep_mask
from .softmax import line_max, row_sum
from .workspace import workspace

__all__ = ["attention", "attention_backward"]

Array = np.ndarray[Any, np.dtype[Any]]

_SIDE = 64  # queries, and keys, of a block; twice that where there are few heads
_FEW = 8  # heads for each thread: with fewer, larger blocks; one for each is not shared out
_SCORES = 3 << 15  # of a block of many heads, at most: two such arrays fit in a second-level cache
_SMALL = 30.0  # scores up to here need no shift: their exponentials neither overflow nor vanish beside one another
_LEAST, _MOST = 2.0**-60, 2.0**60  # nor do they where the sum of a row lies between these
_LOG2_E, _LN_2 = 1 / math.log(2.0), math.log(2.0)  # exponentials are taken to base 2, twice as fast in NumPy


class _Heads(NamedTuple):
    """Some heads of one sample, or all heads of some samples: an index of the first two axes."""

    samples: slice
    heads: slice


_ALL = _Heads(slice(None), slice(None))


class _Scores:
    """What makes the scores: scale, mask, causality and dropout; and how they are cut into blocks.

    The scores are those to base 2: times the logarithm of e. ``work`` is about how many simple ufuncs each is worth.
    """

    def __init__(
        self,
        q: Array,
        k: Array,
        mask: Array | None,
        causal: bool,
        scale: float,
        p: float,
        seed: int,
        offset: Any,
        work: int,
    ) -> None:
        self.batch, self.heads, self.rows = q.shape[:3]
        self.columns, self.width = k.shape[2:]
        self.causal, self.scale, self.dtype = causal, q.dtype.type(scale), q.dtype
        self.mask = None if mask is None else np.broadcast_to(mask, (*q.shape[:3], self.columns))
        self.hides = mask is not None and mask.dtype.kind == "b"
        self.p, self.seed, self.offset = p, seed, offset
        self.factor = q.dtype.type(dropout_constants(p)[1] if p else 1.0)
        count = self.batch * self.heads
        self.work = work
        share = -(-count // get_num_threads()) if pays(count * self.rows * self.columns, work) else count
        self.side = max(min(self.rows, 2 * _SIDE if count < _FEW * get_num_threads() else _SIDE), 1)
        if share < 2:
            share = count
        self.span = max(min(self.columns, _SCORES // self.side // _SIDE * _SIDE), _SIDE)
        self.group = max(min(_SCORES // (self.side * self.span), share), 1)

    def walk(self, task: Callable[[_Heads], None]) -> None:
        """Call ``task`` for groups of heads that cover all, in several threads if there is enough to do."""
        count = self.batch * self.heads
        if self.group >= count:  # so that threads do not pay
            if count:
                with without_threads():
                    task(_ALL)
            return
        if self.group >= self.heads:
            step = self.group // self.heads
            groups = [_Heads(slice(n, n + step), slice(None)) for n in range(0, self.batch, step)]
        else:
            starts = [(n, h) for n in range(self.batch) for h in range(0, self.heads, self.group)]
            groups = [_Heads(slice(n, n + 1), slice(h, h + self.group)) for n, h in starts]

        def several(low: int, high: int, _: int) -> None:
            for group in groups[low:high]:
                task(group)

        with without_threads():
            walk(several, len(groups), count * self.rows * self.columns // len(groups), self.work)

    def query_blocks(self) -> list[slice]:
        return [slice(first, min(first + self.side, self.rows)) for first in range(0, self.rows, self.side)]

    def key_blocks(self, queries: slice) -> list[slice]:
        """The keys that a block of queries sees, in blocks."""
        end = min(self.columns, queries.stop) if self.causal else self.columns
        return [slice(first, min(first + self.span, end)) for first in range(0, end, self.span)]

    def of(self, q: Array, k: Array, group: _Heads, queries: slice, keys: slice, s: Array) -> None:
        """Put the scores of a block of queries and packed keys, with what a mask adds, into ``s``."""
        np.matmul(q, k[..., keys], s)
        if self.mask is not None and self.mask.dtype.kind != "b":
            np.add(s, self.mask[(*group, queries, keys)].astype(s.dtype) * s.dtype.type(_LOG2_E), s)

    def hide(self, s: Array, group: _Heads, queries: slice, keys: slice) -> None:
        """Minus infinity for hidden keys, whatever is there."""
        if self.hides and self.mask is not None:
            np.copyto(s, -math.inf, where=~self.mask[(*group, queries, keys)])
        if self.cuts(queries, keys):
            np.copyto(s, -math.inf, where=_later(s.shape[2], s.shape[3], queries.start - keys.start))

    def cuts(self, queries: slice, keys: slice) -> bool:
        """Whether causality hides some of the keys from some of the queries."""
        return self.causal and keys.stop - 1 > queries.start

    def clear(self, s: Array, queries: slice, keys: slice) -> None:
        """0 where causality hides a key from a query, whatever is there, in a quarter of the time of `hide`."""
        part = s[..., max(queries.start - keys.start, 0) :].view(f"i{s.itemsize}")  # the keys that not all queries see
        np.bitwise_and(part, _seen(*part.shape[2:], min(queries.start - keys.start, 0), part.dtype.char), part)

    def kept(self, group: _Heads, queries: slice) -> Array | None:
        """Dropout's factor of every probability of some queries, 0 where it is dropped; None without dropout."""
        if not self.p:
            return None
        count = (queries.stop - queries.start) * self.columns
        samples, heads = range(self.batch)[group.samples], range(self.heads)[group.heads]
        masks = [
            keep_mask(((n * self.heads + h) * self.rows + queries.start) * self.columns, count, self.p, self.seed,
                      self.offset)
            for n in samples for h in heads
        ]  # fmt: skip
        kept: Array = np.multiply(np.stack(masks), self.factor, dtype=self.factor.dtype)
        return kept.reshape(len(samples), len(heads), -1, self.columns)


@functools.lru_cache(64)
def _later(rows: int, columns: int, first: int) -> Array:
    """Where the key comes after the query, the first of the queries standing at key ``first``."""
    return np.arange(columns) > np.arange(first, first + rows)[:, None]


@functools.lru_cache(64)
def _seen(rows: int, columns: int, first: int, char: str) -> Array:
    """All bits of an integer where the key does not come after the query, else none."""
    return np.where(_later(rows, columns, first), 0, -1).astype(char)


def _packed(x: Array, scale: Any, ones: int = 0) -> Array:
    """The scaled transpose of every matrix: BLAS is twice as fast with it as with a transposed view.

    With ``ones``, one row of these more: what `_with_column` adds is then in each element of the product.
    """
    y = np.empty((*x.shape[:2], x.shape[3] + ones, x.shape[2]), x.dtype)
    np.multiply(x.swapaxes(2, 3), scale, y[:, :, : x.shape[3]])
    if ones:
        y[:, :, -1] = 1
    return y


def _with_column(x: Array, column: Array | float) -> Array:
    """A copy of every matrix with one column more."""
    y = np.empty((*x.shape[:3], x.shape[3] + 1), x.dtype)
    y[..., :-1], y[..., -1] = x, column
    return y


def _blocks(q: Array, keys: slice, count: int) -> list[Array]:
    """Memory for blocks of scores, valid until this thread's next call."""
    shape = (*q.shape[:3], keys.stop - keys.start)
    return [block.reshape(shape) for block in workspace(q.dtype, *[math.prod(shape)] * count)]


def _within(s: Array, limit: float) -> bool:
    """Whether all elements are between minus and plus the limit, none of them NaN."""
    return bool(np.minimum.reduce(s, None) > -limit and np.maximum.reduce(s, None) < limit)


def _line_max(s: Array) -> Array:
    return line_max(s.reshape(-1, s.shape[-1])).reshape(*s.shape[:-1], 1)


def _line_sum(s: Array) -> Array:
    return row_sum(s.reshape(-1, s.shape[-1])).reshape(*s.shape[:-1], 1)


def _operand(x: Array) -> Array:
    """``x`` in the dtype to compute in, its matrices laid out as BLAS takes them."""
    x = x.astype(compute_type(x.dtype), copy=False)
    rows, columns = x.strides[-2:]
    return x if columns == x.itemsize and rows >= columns * x.shape[-1] else np.ascontiguousarray(x)


def _place(out: Array | None, like: Array, width: int, inputs: tuple[Array, ...]) -> Array:
    """Memory for a result: ``out`` if it can be written block by block, else laid out as ``like``."""
    fits = out is not None and out.dtype == like.dtype and out.strides[-1] == out.itemsize
    if out is None or not fits or any(np.may_share_memory(out, x) for x in inputs):
        y = np.empty_like(like, shape=(*like.shape[:-1], width))
        return y if y.strides[-1] == y.itemsize else np.empty(y.shape, y.dtype)
    return out


def _stored(y: Array, dtype: Any, out: Array | None) -> Array:
    """``y`` where it is wanted, in the dtype wanted."""
    if out is None or y is out:
        return y.astype(dtype, copy=False)
    np.copyto(out, y, casting="unsafe")
    return out


# ------------------------------------------------------------------------------------------------------------- forward
def attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None = None,
    causal: bool = False,
    scale: float = 1.0,
    p: float = 0.0,
    seed: int = 0,
    offset: Any = 0,
    out: tuple[Array, Array] | None = None,
) -> tuple[Array, ...]:
    r"""Attention, :math:`\operatorname{softmax}(s\, q k^T + m)\, v`, with dropout of the probabilities.

    Parameters
    ----------
    q, k, v : arrays
        Shapes (B, H, L, E), (B, H, S, E) and (B, H, S, D).
    mask : array, optional
        Broadcasts to (B, H, L, S). Boolean, true where a query may see a key, or to be added to the scores.
    causal : bool
        Query i sees keys 0 to i only.
    p, seed, offset : float, int, int
        Dropout, with the mask that `dropout` draws for the probabilities as an array (B, H, L, S).

    Returns
    -------
    y, lse : arrays
        Shapes (B, H, L, D) and (B, H, L). The log-sum-exp is in the dtype that is computed in; it is +inf, and the
        result 0, where a query sees no key.
    """
    dtype = q.dtype
    q, k, v = _operand(q), _operand(k), _operand(v)
    wanted = (None, None) if out is None else out
    y, lse = _place(wanted[0], q, v.shape[3], (q, k, v)), np.empty(q.shape[:3], q.dtype)
    scores = _Scores(q, k, mask, causal, scale, p, seed, offset, 10 + q.shape[3] // 2)

    def attend(group: _Heads) -> None:
        keys = _packed(k[group], scores.scale * scores.dtype.type(_LOG2_E))
        for queries in scores.query_blocks():
            place = (*group, queries)
            _attend(scores, group, queries, q[place], keys, v[group], y[place], lse[place])

    scores.walk(attend)
    return _stored(y, dtype, wanted[0]), _stored(lse, lse.dtype, wanted[1])


def _sums_if_small(scores: _Scores, group: _Heads, queries: slice, keys: slice, s: Array) -> Array | None:
    """Put the exponentials of the scores in their place; the sum of each row, or None if they do not fit a float."""
    if scores.hides:
        if not _within(s, _SMALL):
            return None
        scores.hide(s, group, queries, keys)
    np.exp2(s, s)
    if scores.cuts(queries, keys) and not scores.hides:
        scores.clear(s, queries, keys)
    total = _line_sum(s)
    # quicker than to look at the scores themselves; a sum of 0 is that of a query that sees no key
    fits = scores.hides or (np.minimum.reduce(total, None) > _LEAST and np.maximum.reduce(total, None) < _MOST)
    return total if fits else None


def _attend(scores: _Scores, group: _Heads, queries: slice, q: Array, k: Array, v: Array, y: Array, lse: Array) -> None:
    """Result and log-sum-exp of a block of queries, from all keys, which are packed."""
    kept = scores.kept(group, queries)
    level: Any = None  # what exponents are relative to: 0 as long as all scores are small, else the maximum of each row
    total: Any = 0
    for keys in scores.key_blocks(queries):
        (s,) = _blocks(q, keys, 1)
        scores.of(q, k, group, queries, keys, s)
        before, fade, part = level, None, None
        if not isinstance(level, np.ndarray):
            level, part = 0.0, _sums_if_small(scores, group, queries, keys, s)
            if part is None:  # they are exponentials by now
                scores.of(q, k, group, queries, keys, s)
        if part is None:
            scores.hide(s, group, queries, keys)
            level = _line_max(s) if before is None else np.maximum(_line_max(s), before)
            shift = np.where(level == -math.inf, 0, level)  # a query that has seen no key yet
            s -= shift
            fade = None if before is None else np.exp2(before - shift)
            np.exp2(s, s)
            part = _line_sum(s)
        if kept is not None:
            s *= kept[..., keys]
        if before is None:
            total = part
            np.matmul(s, v[:, :, keys], y)
            continue
        if fade is not None:
            total *= fade
            np.multiply(y, fade, y)
        total += part
        np.add(y, np.matmul(s, v[:, :, keys]), y)
    if level is None:  # no keys at all
        y[...], lse[...] = 0, math.inf
        return
    if not isinstance(level, np.ndarray) and scores.mask is None:  # every query sees a key, and no exponential is 0
        np.divide(y, total, y)
        np.log(total[..., 0], lse)
        return
    np.divide(y, np.where(total == 0, 1, total), y)
    lse[...] = np.where(total == 0, math.inf, np.log(total) + level * _LN_2)[..., 0]


# ------------------------------------------------------------------------------------------------------------ backward
def attention_backward(
    g: Array,
    q: Array,
    k: Array,
    v: Array,
    y: Array,
    lse: Array,
    mask: Array | None = None,
    causal: bool = False,
    scale: float = 1.0,
    p: float = 0.0,
    seed: int = 0,
    offset: Any = 0,
    out: tuple[Array, Array, Array] | None = None,
) -> tuple[Array, ...]:
    r"""Gradients of `attention` by ``q``, ``k`` and ``v``, from its results ``y`` and ``lse``.

    .. math::
        P = e^{S - lse}, \quad dv = \tilde P^T g, \quad dS = P \circ (\widetilde{g v^T} - \textstyle\sum g \circ y),
        \quad dq = s\, dS\, k, \quad dk = s\, dS^T q

    where the tilde is dropout.
    """
    dtypes = q.dtype, k.dtype, v.dtype
    g, q, k, v, y = (_operand(x) for x in (g, q, k, v, y))
    wanted = (None, None, None) if out is None else out
    inputs = (g, q, k, v, y, lse)
    gradients = tuple(_place(o, x, x.shape[3], inputs) for o, x in zip(wanted, (q, k, v), strict=True))
    scores = _Scores(q, k, mask, causal, scale, p, seed, offset, 15 + 2 * q.shape[3])
    if not scores.rows or not scores.columns or (causal and scores.columns > scores.rows):
        for d in gradients:  # there are keys that no query sees, or queries without keys
            d.fill(0)

    def differentiate(group: _Heads) -> None:
        operands = tuple(x[group] for x in inputs)
        _differentiate(scores, group, *operands, *(d[group] for d in gradients))

    scores.walk(differentiate)
    return tuple(_stored(d, dtype, o) for d, dtype, o in zip(gradients, dtypes, wanted, strict=True))


def _differentiate(
    scores: _Scores,
    group: _Heads,
    g: Array,
    q: Array,
    k: Array,
    v: Array,
    y: Array,
    lse: Array,
    dq: Array,
    dk: Array,
    dv: Array,
) -> None:
    """The gradients of a group of heads."""
    base2 = scores.dtype.type(_LOG2_E)
    packed_k, packed_v = _packed(k, scores.scale * base2, 1), _packed(v, scores.scale, 1)
    # subtracted from each row of the two products below, which is cheapest within them
    delta = np.vecdot(g, y) * scores.scale
    shifted_q, shifted_g = _with_column(q, lse * -base2), _with_column(g, 0 if scores.p else -delta)
    for i in reversed(scores.query_blocks()):
        kept = scores.kept(group, i)
        for j in scores.key_blocks(i):
            s, t = _blocks(q[:, :, i], j, 2)
            scores.of(shifted_q[:, :, i], packed_k, group, i, j, s)
            if scores.hides:
                scores.hide(s, group, i, j)
            np.exp2(s, s)
            if scores.cuts(i, j):
                scores.clear(s, i, j)
            np.matmul(shifted_g[:, :, i], packed_v[..., j], t)
            if kept is not None:
                t *= kept[..., j]
                t -= delta[:, :, i, None]
            t *= s
            if kept is not None:
                s *= kept[..., j]
            fresh = i.stop == scores.rows  # the last queries see all keys that any sees, and come first here
            _add_product(dv[:, :, j], s.swapaxes(2, 3), g[:, :, i], fresh)
            _add_product(dk[:, :, j], t.swapaxes(2, 3), q[:, :, i], fresh)
            _add_product(dq[:, :, i], t, k[:, :, j], j.start == 0)


def _add_product(total: Array, x1: Array, x2: Array, fresh: bool) -> None:
    """Add a matrix product; a ``fresh`` total is whatever was in its memory."""
    if fresh:
        np.matmul(x1, x2, total)
    else:
        total += np.matmul(x1, x2)
