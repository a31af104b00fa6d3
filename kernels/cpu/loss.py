"""Softmax cross-entropy on NumPy: log-softmax and the choice of the target in one walk over the logits.

The probabilities are never stored: the forward kernel keeps one number per sample, the log-sum-exp, and the backward
kernel recomputes them from it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .blocked import BLOCK, compute_type
from .softmax import line_max, line_sum, row_sum, walk_lines

__all__ = [
    "cross_entropy",
    "cross_entropy_backward",
    "soft_cross_entropy",
    "soft_cross_entropy_backward",
    "target_weight",
]

Array = np.ndarray[Any, np.dtype[Any]]
Pair = tuple[Array, Array]


# ------------------------------------------------------------------------------------------------------- common to both
def _lines(logits: Array) -> tuple[int, ...]:
    """``(N, C)`` or ``(N, C, L)``: the trailing axes as one."""
    inner = math.prod(logits.shape[2:])
    return (*logits.shape[:2],) if inner == 1 else (*logits.shape[:2], inner)


def _shifted(x: Array) -> tuple[Array, Array, Array]:
    """``x - m``, the maxima ``m`` over the classes, and ``log sum exp(x - m)``; the latter two without class axis."""
    m = line_max(x)
    z = np.subtract(x, m)
    total = line_sum(np.exp(z))[:, 0]
    return z, m[:, 0], np.log(total, total if total.ndim else None)


def _softmax(x: Array, lse: Array, out: Array | None) -> Array:
    """``exp(x - lse)``; two bytes do not hold the log-sum-exp well enough, so from those it is found again."""
    if lse.itemsize == 2:
        m = line_max(x)
        p = np.subtract(x, m, out)
        np.exp(p, p)
        return np.divide(p, line_sum(p), p)
    p = np.subtract(x, lse[:, None], out)
    return np.exp(p, p)


def _results(logits: Array, out: Pair | None) -> Pair:
    """Where the losses and the log-sum-exps go."""
    if out is not None:
        return out
    shape = (logits.shape[0], *logits.shape[2:])
    return np.empty(shape, logits.dtype), np.empty(shape, logits.dtype)


def _forward(
    block: Callable[..., Pair], logits: Array, target: Array, soft: bool, work: int, out: Pair | None, *more: Any
) -> Pair:
    """Run ``block(x, t, *more)`` on blocks of samples and store the pairs that it returns."""
    char = logits.dtype.char
    if logits.ndim == 2 and char in "fd" and 0 < logits.size <= BLOCK:
        pair = block(logits, target, *more)
        if out is None:
            return pair
        for r, y in zip(out, pair, strict=True):
            np.copyto(r, y)
        return out
    lines = _lines(logits)
    results = _results(logits, out)
    if not results[0].size:
        return results
    compute = compute_type(logits.dtype)
    x = logits.reshape(lines)
    t = target.reshape(lines if soft else (lines[0], *lines[2:]))
    whole = [r if r.flags.c_contiguous else np.empty(r.shape, r.dtype) for r in results]
    flat = [r.reshape(lines[0], *lines[2:]) for r in whole]

    def task(index: Any) -> None:
        chosen = t[index] if soft else t[_without_classes(index)]
        chosen = chosen.astype(compute, copy=False) if soft else chosen
        for r, y in zip(flat, block(x[index].astype(compute, copy=False), chosen, *more), strict=True):
            np.copyto(r[_without_classes(index)], y, casting="unsafe")

    walk_lines(task, lines, work)
    for result, r in zip(results, whole, strict=True):
        if result is not r:
            np.copyto(result, r)
    return results


def _backward(
    block: Callable[..., None],
    g: Array,
    logits: Array,
    target: Array,
    lse: Array,
    soft: bool,
    work: int,
    out: Array | None,
    *more: Any,
) -> Array:
    """Run ``block(g, x, t, lse, out, *more)`` on blocks of samples."""
    char = logits.dtype.char
    if logits.ndim == 2 and char in "fd" and 0 < logits.size <= BLOCK and (out is None or out.flags.c_contiguous):
        result = np.empty(logits.shape, logits.dtype) if out is None else out
        block(g, logits, target, lse, result, *more)
        return result
    y = np.empty(logits.shape, logits.dtype) if out is None or not out.flags.c_contiguous else out
    if y.size:
        compute = compute_type(logits.dtype)
        lines = _lines(logits)
        samples = (lines[0], *lines[2:])
        x, result = logits.reshape(lines), y.reshape(lines)
        t = target.reshape(lines if soft else samples)
        h = np.broadcast_to(g, (logits.shape[0], *logits.shape[2:])).reshape(samples)
        s = lse.reshape(samples)

        def task(index: Any) -> None:
            i = _without_classes(index)
            chosen = t[index].astype(compute, copy=False) if soft else t[i]
            if compute == logits.dtype and len(lines) == 2:
                block(h[i], x[index], chosen, s[i], result[index], *more)
                return
            p = np.empty(x[index].shape, compute)  # contiguous, as the block wants it
            block(h[i].astype(compute, copy=False), x[index].astype(compute, copy=False), chosen, s[i], p, *more)
            np.copyto(result[index], p, casting="unsafe")

        walk_lines(task, lines, work)
    if out is not None and y is not out:
        np.copyto(out, y)
        return out
    return y


def _without_classes(index: Any) -> Any:
    return (index[0], index[2]) if isinstance(index, tuple) else index


# ------------------------------------------------------------------------------------------------------- class indices
def _checked(target: Array, classes: int, ignore_index: int) -> tuple[Array, Array | None]:
    """The target with every index in range, and which samples count (None if all do).

    Raises
    ------
    IndexError
        If an index is neither a class nor ``ignore_index``.
    """
    if target.dtype != np.int64:
        if target.dtype.kind not in "iu":
            raise TypeError(f"cross_entropy: target must hold class indices of an integer dtype, got {target.dtype}")
        target = target.astype(np.int64)
    # As unsigned numbers the negative ones are the largest: one pass tells that nothing needs attention.
    if not target.size or (
        np.maximum.reduce(target.view(np.uint64), None) < classes and not 0 <= ignore_index < classes
    ):
        return target, None
    counts = target != ignore_index
    bad = counts & ((target < 0) | (target >= classes))
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        raise IndexError(
            f"cross_entropy: target {int(target[at])} at position {at} is out of range for {classes} classes "
            f"(and is not ignore_index={ignore_index})"
        )
    if counts.all():
        return target, None
    return np.where(counts, target, -1), counts


@functools.lru_cache(maxsize=32)
def _row_starts(rows: int, width: int) -> Array:
    return np.arange(0, rows * width, width)


def _places(target: Array, classes: int) -> Array:
    """Positions of the targets in the flattened block of logits."""
    if target.ndim == 1:
        return _row_starts(target.size, classes) + target
    n, inner = target.shape
    return (_row_starts(n, classes)[:, None] + target) * inner + np.arange(inner)  # type: ignore[no-any-return]


def _plain_losses(x: Array, target: Array) -> Pair:
    """The common case, (N, C) without weight, smoothing or ignored samples, in as few calls as it takes."""
    rows, classes = x.shape
    starts = _row_starts(rows, classes)
    m = x.take(x.argmax(1) + starts) if classes > 16 or rows < 128 else line_max(x)[:, 0]
    z = np.subtract(x, m[:, None])
    picked = z.take(starts + target)
    log_total = row_sum(np.exp(z, z))
    np.log(log_total, log_total)
    return np.subtract(log_total, picked, picked), np.add(log_total, m, m)


def _class_losses(x: Array, target: Array, weight: Array | None, ignored: bool, label_smoothing: float) -> Pair:
    classes = x.shape[1]
    if x.ndim == 2 and weight is None and not ignored and not label_smoothing:
        return _plain_losses(x, target)
    if ignored:
        dropped = target < 0
        target = np.maximum(target, 0)
    z, m, log_total = _shifted(x)
    picked = z.take(_places(target, classes))
    loss = np.subtract(log_total, picked, picked)
    if weight is not None:
        np.multiply(loss, weight.take(target), loss)
    if label_smoothing:
        if weight is None:
            total, spread = float(classes), line_sum(z)[:, 0]
        else:
            total, spread = float(weight.sum()), np.tensordot(z, weight, ((1,), (0,)))
        np.multiply(loss, 1.0 - label_smoothing, loss)
        loss += (label_smoothing / classes) * (total * log_total - spread)
    if ignored:
        np.copyto(loss, 0.0, where=dropped)
    return loss, np.add(log_total, m, log_total)


def _class_gradient(
    g: Array,
    x: Array,
    target: Array,
    lse: Array,
    out: Array,
    weight: Array | None,
    ignored: bool,
    label_smoothing: float,
) -> None:
    # loss = a (lse - x[target]) + sum_c b_c (lse - x_c), so d loss / d x_c = (a + sum b) p_c - a [c = target] - b_c
    classes = x.shape[1]
    if ignored:
        dropped = target < 0
        target = np.maximum(target, 0)
    p = _softmax(x, lse, out)
    a = g if weight is None else g * weight.take(target)
    if label_smoothing:
        a = a * (1.0 - label_smoothing)
        b = label_smoothing / classes
        total = b * (classes if weight is None else float(weight.sum()))
        np.multiply(p, (a + g * total)[:, None], p)
        p -= g[:, None] * (b if weight is None else (weight * b).reshape(-1, *[1] * (x.ndim - 2)))
    else:
        np.multiply(p, a[:, None], p)
    p.reshape(-1)[_places(target, classes)] -= a
    if ignored:
        np.copyto(p, 0.0, where=dropped[:, None])


def _weight_for(logits: Array, weight: Array | None) -> Array | None:
    return None if weight is None else weight.astype(compute_type(logits.dtype), copy=False)


def cross_entropy(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    out: Pair | None = None,
) -> Pair:
    r"""Cross-entropy of every sample with its class, and the log-sum-exp of its logits.

    With :math:`\log p_c = x_c - \log \sum_k e^{x_k}`, target :math:`y`, weights :math:`w` (1 if None) and smoothing
    :math:`\varepsilon`:

    .. math:: -(1 - \varepsilon) w_y \log p_y - \frac{\varepsilon}{C} \sum_c w_c \log p_c

    and 0 where the target is ``ignore_index``. This is ``reduction="none"`` of PyTorch's ``cross_entropy``.

    Parameters
    ----------
    logits : array of shape (N, C, ...)
    target : integer array of shape (N, ...)
    weight : array of shape (C,), optional
    ignore_index : int
    label_smoothing : float
    out : pair of arrays of shape (N, ...), optional

    Returns
    -------
    loss, lse : arrays of shape (N, ...)

    Raises
    ------
    IndexError
        If a target is neither a class nor ``ignore_index``.
    """
    target, counts = _checked(target, logits.shape[1], ignore_index)
    weight = _weight_for(logits, weight)
    return _forward(_class_losses, logits, target, False, 10, out, weight, counts is not None, label_smoothing)


def cross_entropy_backward(
    g: Array,
    logits: Array,
    target: Array,
    lse: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    out: Array | None = None,
) -> Array:
    """Gradient of the losses of `cross_entropy` with respect to the logits, which ``out`` may overwrite.

    ``g`` has the shape of the losses, ``lse`` is what `cross_entropy` returned.
    """
    target, counts = _checked(target, logits.shape[1], ignore_index)
    more = (_weight_for(logits, weight), counts is not None, label_smoothing)
    return _backward(_class_gradient, g, logits, target, lse, False, 10, out, *more)


# -------------------------------------------------------------------------------------------------- class probabilities
def _wanted(target: Array, weight: Array | None, label_smoothing: float) -> Array:
    """``q = weight * ((1 - label_smoothing) * target + label_smoothing / C)``."""
    q = target
    if label_smoothing:
        q = q * (1.0 - label_smoothing)
        q += label_smoothing / target.shape[1]
    return q if weight is None else q * weight.reshape(-1, *[1] * (target.ndim - 2))


def _soft_losses(x: Array, target: Array, weight: Array | None, label_smoothing: float) -> Pair:
    q = _wanted(target, weight, label_smoothing)
    z, m, log_total = _shifted(x)
    # sum_c q_c (log_total - z_c)
    np.subtract(log_total[:, None], z, z)
    np.multiply(z, q, z)
    return line_sum(z)[:, 0], np.add(log_total, m, log_total)


def _soft_gradient(
    g: Array, x: Array, target: Array, lse: Array, out: Array, weight: Array | None, label_smoothing: float
) -> None:
    q = _wanted(target, weight, label_smoothing)
    p = _softmax(x, lse, out)
    np.multiply(p, line_sum(q), p)
    np.subtract(p, q, p)
    np.multiply(p, g[:, None], p)


def target_weight(
    logits: Array, target: Array, weight: Array | None = None, ignore_index: int = -100, out: Array | None = None
) -> Array:
    """Sum of the weights of the classes of all samples that are not ignored; their number without weights."""
    counted = target != ignore_index
    if weight is None:
        total: Any = np.count_nonzero(counted)
    else:
        total = weight[target[counted]].sum(dtype=np.float64 if weight.dtype == np.float64 else np.float32)
    if out is None:
        return np.asarray(total, logits.dtype)
    out[...] = total
    return out


def soft_cross_entropy(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    label_smoothing: float = 0.0,
    out: Pair | None = None,
) -> Pair:
    r"""Cross-entropy of every sample with class probabilities, and the log-sum-exp of its logits.

    .. math:: -\sum_c w_c \left((1 - \varepsilon) t_c + \frac{\varepsilon}{C}\right) \log p_c

    ``target`` has the shape of the logits, (N, C, ...); loss and log-sum-exp have shape (N, ...).
    """
    return _forward(_soft_losses, logits, target, True, 13, out, _weight_for(logits, weight), label_smoothing)


def soft_cross_entropy_backward(
    g: Array,
    logits: Array,
    target: Array,
    lse: Array,
    weight: Array | None = None,
    label_smoothing: float = 0.0,
    out: Array | None = None,
) -> Array:
    """Gradient of the losses of `soft_cross_entropy` with respect to the logits, which ``out`` may overwrite."""
    more = (_weight_for(logits, weight), label_smoothing)
    return _backward(_soft_gradient, g, logits, target, lse, True, 13, out, *more)
