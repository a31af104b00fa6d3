"""Cross-entropy; its options are tested in ``test_cross_entropy.py`` with the same reference."""

from __future__ import annotations

import math

import numpy as np

from tensorgrad.ops import loss as ops

from . import add, values


def cross_entropy(logits, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """The definition, sample by sample and class by class, in float64."""
    if logits.ndim == 1:
        result = cross_entropy(logits[None], np.asarray(target)[None], weight, ignore_index, reduction, label_smoothing)
        return result.reshape(())
    classes = logits.shape[1]
    w = np.ones(classes) if weight is None else weight
    shape = (logits.shape[0], *logits.shape[2:])
    soft = target.dtype.kind == "f"
    losses, counted = np.zeros(shape), 0.0
    for place in np.ndindex(shape):
        column = (place[0], slice(None), *place[1:])
        z = [float(v) for v in logits[column]]
        top = max(z)
        lse = top + math.log(math.fsum(math.exp(v - top) for v in z))
        if soft:
            q = [float(v) for v in target[column]]
            counted += 1
        else:
            y = int(target[place])
            if y == ignore_index:
                continue
            q = [float(c == y) for c in range(classes)]
            counted += w[y]
        q = [(1 - label_smoothing) * v + label_smoothing / classes for v in q]
        losses[place] = math.fsum(w[c] * q[c] * (lse - z[c]) for c in range(classes))
    if reduction == "none":
        return losses
    total = np.asarray(math.fsum(losses.ravel()))
    if reduction == "sum":
        return total
    return total / counted if counted else np.asarray(math.nan if losses.size or not soft else 0.0)


def _softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def _lse(z):
    return np.log(np.exp(z).sum(1))


_Z, _W = values(4, 3), np.array([0.5, 1.0, 2.0])
_Y = np.array([0, 2, 1, 2])
_P = _softmax(values(4, 3, seed=1))
_EYE = np.eye(3)

for _reduction in ("mean", "sum", "none"):
    add(
        "cross_entropy",
        _reduction,
        lambda z, y, r=_reduction: ops.cross_entropy(z, y, reduction=r),
        _Z,
        _Y,
        reference=lambda z, y, r=_reduction: cross_entropy(z, y, reduction=r),
        slack=4,
    )
    add(
        "soft_cross_entropy",
        _reduction,
        lambda z, p, r=_reduction: ops.cross_entropy(z, p, reduction=r),
        _Z,
        _P,
        reference=lambda z, p, r=_reduction: cross_entropy(z, p, reduction=r),
        slack=4,
    )
add(
    "cross_entropy",
    "pixels",
    lambda z, y: ops.cross_entropy(z, y),
    values(2, 3, 2),
    [[0, 2], [1, 1]],
    reference=cross_entropy,
    slack=4,
)
add("cross_entropy", "one sample", lambda z, y: ops.cross_entropy(z, y), values(3), 1, reference=cross_entropy, slack=4)
add(
    "soft_cross_entropy",
    "one sample",
    lambda z, p: ops.cross_entropy(z, p),
    values(3),
    _P[0],
    reference=cross_entropy,
    slack=4,
)
add(
    "cross_entropy",
    "weights, smoothing",
    lambda z, y, w: ops.cross_entropy(z, y, w, label_smoothing=0.2),
    _Z,
    _Y,
    _W,
    reference=lambda z, y, w: cross_entropy(z, y, w, label_smoothing=0.2),
    constant=(2,),
    slack=4,
)
add(
    "soft_cross_entropy",
    "weights, smoothing",
    lambda z, p, w: ops.cross_entropy(z, p, w, label_smoothing=0.2),
    _Z,
    _P,
    _W,
    reference=lambda z, p, w: cross_entropy(z, p, w, label_smoothing=0.2),
    constant=(2,),
    slack=4,
)
add(
    "cross_entropy",
    "no samples",
    lambda z, y: ops.cross_entropy(z, y, reduction="sum"),
    values(0, 3),
    np.zeros(0, int),
    reference=lambda z, y: np.array(0.0),
)

# The backward ops take the log-sum-exp as a value that they do not differentiate; so the samples compute it from the
# logits inside the call, where differences move it too.
add(
    "cross_entropy_backward",
    "indices",
    lambda g, z, y: ops._cross_entropy_backward(g, z, y, _lse_of(z), None, -100, 0.0),
    values(4, seed=2),
    _Z,
    _Y,
    reference=lambda g, z, y: g[:, None] * (_softmax(z) - _EYE[y]),
    slack=4,
)
add(
    "cross_entropy_backward",
    "weights, smoothing, ignored",
    lambda g, z, y, w: ops._cross_entropy_backward(g, z, y, _lse_of(z), w, 0, 0.3),
    values(4, seed=2),
    _Z,
    _Y,
    _W,
    reference=lambda g, z, y, w: g[:, None] * (y != 0)[:, None] * _pull(z, w * (0.7 * _EYE[y] + 0.1)),
    constant=(3,),
    slack=4,
)
add(
    "soft_cross_entropy_backward",
    "weights, smoothing",
    lambda g, z, p, w: ops._soft_cross_entropy_backward(g, z, p, _lse_of(z), w, 0.3),
    values(4, seed=2),
    _Z,
    _P,
    _W,
    reference=lambda g, z, p, w: g[:, None] * _pull(z, w * (0.7 * p + 0.1)),
    constant=(3,),
    slack=4,
)


def _pull(z, q):
    return _softmax(z) * q.sum(1, keepdims=True) - q


def _lse_of(z):
    import tensorgrad as tg

    return tg.logsumexp(z.detach(), axis=1)
