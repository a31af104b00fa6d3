"""Scaled dot-product attention on NumPy: blocks of queries against blocks of keys, BLAS on each pair.

The score matrix never exists as a whole. Where the keys come in several blocks, the softmax keeps a running maximum and
sum; of each query the log-sum-exp of its scores is kept, from which the gradient finds the probabilities again.

Source: Milakov and Gimelshein, Online normalizer calculation for softmax, 2018; Dao et al., FlashAttention, 2022.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .blocked import BLOCK, compute_type
from .random import dropout_constants, keep_mask
from .softmax import line_max, row_sum

__all__ = ["attention", "attention_backward"]

Array = np.ndarray[Any, np.dtype[Any]]

_KEYS = 1024  # of a block, at most
_SCORES = 2 * BLOCK  # of a block, about


class _Tile(NamedTuple):
    """Some queries of some heads of one sample."""

    sample: int
    heads: slice
    queries: slice


class _Scores:
    """What makes the scores of a tile: scale, mask, causality and dropout."""

    def __init__(
        self, q: Array, k: Array, mask: Array | None, causal: bool, scale: float, p: float, seed: int, offset: Any
    ) -> None:
        self.batch, self.heads, self.rows = q.shape[:3]
        self.columns = k.shape[2]
        self.causal, self.scale = causal, q.dtype.type(scale)
        self.mask = None if mask is None else np.broadcast_to(mask, (*q.shape[:3], self.columns))
        self.p, self.seed, self.offset = p, seed, offset
        self.factor = q.dtype.type(dropout_constants(p)[1] if p else 1.0)
        self.width = max(min(self.columns, _KEYS), 1)
        self.depth = max(min(self.rows, max(_SCORES // self.width, 16)), 1)
        self.group = max(min(self.heads, _SCORES // (self.width * self.depth)), 1)

    def head_groups(self) -> Iterator[tuple[int, slice]]:
        for sample in range(self.batch):
            for first in range(0, self.heads, self.group):
                yield sample, slice(first, min(first + self.group, self.heads))

    def tiles(self, sample: int, heads: slice) -> Iterator[_Tile]:
        for first in range(0, self.rows, self.depth):
            yield _Tile(sample, heads, slice(first, min(first + self.depth, self.rows)))

    def key_blocks(self, tile: _Tile) -> list[slice]:
        """The keys that the tile's queries see, in blocks."""
        end = min(self.columns, tile.queries.stop) if self.causal else self.columns
        return [slice(first, min(first + self.width, end)) for first in range(0, end, self.width)]

    def of(self, q: Array, k: Array, tile: _Tile, keys: slice) -> Array:
        """Scores of (heads, queries, keys), minus infinity where a key is hidden."""
        s: Array = np.matmul(q, k[tile.sample, tile.heads, keys].swapaxes(1, 2))
        s *= self.scale
        if self.mask is not None:
            mask = self.mask[tile.sample, tile.heads, tile.queries, keys]
            if mask.dtype.kind == "b":
                np.copyto(s, -math.inf, where=~mask)
            else:
                np.add(s, mask, s, casting="unsafe")
        if self.causal and keys.stop - 1 > tile.queries.start:
            first = tile.queries.start - keys.start
            np.copyto(s, -math.inf, where=_hidden(s.shape[1], s.shape[2], first))
        return s

    def kept(self, tile: _Tile) -> Array | None:
        """Dropout's factor of every probability of the tile, 0 where it is dropped; None without dropout."""
        if not self.p:
            return None
        count = tile.queries.stop - tile.queries.start
        first = tile.sample * self.heads
        masks = [
            keep_mask(((first + h) * self.rows + tile.queries.start) * self.columns, count * self.columns, self.p,
                      self.seed, self.offset).reshape(count, self.columns)
            for h in range(tile.heads.start, tile.heads.stop)
        ]  # fmt: skip
        kept: Array = np.multiply(np.stack(masks), self.factor, dtype=self.factor.dtype)
        return kept


@functools.lru_cache(64)
def _hidden(rows: int, columns: int, first: int) -> Array:
    """Where the key comes after the query, the first of the queries standing at key ``first``."""
    return np.arange(columns) > np.arange(first, first + rows)[:, None]


def _line_max(s: Array) -> Array:
    return line_max(s.reshape(-1, s.shape[-1])).reshape(*s.shape[:-1], 1)


def _line_sum(s: Array) -> Array:
    return row_sum(s.reshape(-1, s.shape[-1])).reshape(*s.shape[:-1], 1)


def _wide(x: Array) -> Array:
    return x.astype(compute_type(x.dtype), copy=False)


def _like(x: Array, width: int, dtype: Any) -> Array:
    """Memory laid out as ``x`` is, for another size of the last axis."""
    return np.empty_like(x, dtype, shape=(*x.shape[:-1], width))


def _stored(results: tuple[Array, ...], out: tuple[Array, ...] | None) -> tuple[Array, ...]:
    if out is None:
        return results
    for y, target in zip(results, out, strict=True):
        np.copyto(target, y, casting="unsafe")
    return out


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
    q, k, v = _wide(q), _wide(k), _wide(v)
    y, lse = _like(q, v.shape[3], q.dtype), np.empty(q.shape[:3], q.dtype)
    scores = _Scores(q, k, mask, causal, scale, p, seed, offset)
    for sample, heads in scores.head_groups():
        for tile in scores.tiles(sample, heads):
            y[tile], lse[tile] = _attend(scores, tile, q[tile], k, v)
    return _stored((y.astype(dtype, copy=False), lse), out)


def _attend(scores: _Scores, tile: _Tile, q: Array, k: Array, v: Array) -> tuple[Array, Array]:
    kept = scores.kept(tile)
    top: Any = None
    total: Any = None
    result: Any = None
    for keys in scores.key_blocks(tile):
        s = scores.of(q, k, tile, keys)
        highest = _line_max(s)
        if top is not None:
            highest = np.maximum(highest, top)
        shift = np.where(highest == -math.inf, 0, highest)  # a query that has seen no key yet
        s -= shift
        np.exp(s, s)
        part = _line_sum(s)
        if kept is not None:
            s *= kept[..., keys]
        product = np.matmul(s, v[tile.sample, tile.heads, keys])
        if top is None:
            total, result = part, product
        else:
            fade = np.exp(top - shift)
            total = total * fade + part
            result = result * fade + product
        top = highest
    if top is None:  # no keys at all
        shape = (*q.shape[:2], v.shape[3])
        return np.zeros(shape, q.dtype), np.full(shape[:2], math.inf, q.dtype)
    result /= np.where(total == 0, 1, total)
    return result, np.where(total == 0, math.inf, np.log(total) + top)[..., 0]


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
    g, q, k, v, y, lse = (_wide(a) for a in (g, q, k, v, y, lse))
    dq, dk, dv = _like(q, q.shape[3], q.dtype), np.zeros_like(k), np.zeros_like(v)
    scores = _Scores(q, k, mask, causal, scale, p, seed, offset)
    for sample, heads in scores.head_groups():
        for tile in scores.tiles(sample, heads):
            upstream, queries = g[tile], q[tile]
            delta, level = np.einsum("hij,hij->hi", upstream, y[tile])[..., None], lse[tile][..., None]
            kept = scores.kept(tile)
            total = np.zeros_like(queries)
            for keys in scores.key_blocks(tile):
                place = (sample, heads, keys)
                s = scores.of(queries, k, tile, keys)
                s -= level
                np.exp(s, s)
                t = np.matmul(upstream, v[place].swapaxes(1, 2))
                if kept is not None:
                    t *= kept[..., keys]
                dropped = s if kept is None else s * kept[..., keys]
                dv[place] += np.matmul(dropped.swapaxes(1, 2), upstream)
                t -= delta
                t *= s
                t *= scores.scale
                total += np.matmul(t, k[place])
                dk[place] += np.matmul(t.swapaxes(1, 2), queries)
            dq[tile] = total
    results = tuple(d.astype(dtype, copy=False) for d, dtype in zip((dq, dk, dv), dtypes, strict=True))
    return _stored(results, out)
