"""Normalisation over trailing axes, groups of channels, and per channel."""

from __future__ import annotations

import numpy as np

from tensorgrad.ops import norm as ops

from . import add, values


def rows(x, axes, weight=None, bias=None, eps=1e-5, centered=True):
    axis = tuple(range(x.ndim - axes, x.ndim))
    x = x.astype(np.float64)
    z = x - x.mean(axis, keepdims=True) if centered else x
    y = z / np.sqrt((z * z).mean(axis, keepdims=True) + eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def channels(x, weight=None, bias=None, eps=1e-5):
    axis = (0, *range(2, x.ndim))
    x = x.astype(np.float64)
    z = x - x.mean(axis, keepdims=True)
    y = z / np.sqrt((z * z).mean(axis, keepdims=True) + eps)
    shape = (-1, *(1,) * (x.ndim - 2))
    y = y if weight is None else y * weight.reshape(shape)
    return y if bias is None else y + bias.reshape(shape)


def project(g, x, axis, eps, centered):
    """The gradient of a normalisation without weight."""
    z = x - x.mean(axis, keepdims=True) if centered else x
    r = 1 / np.sqrt((z * z).mean(axis, keepdims=True) + eps)
    z = z * r
    shift = g.mean(axis, keepdims=True) if centered else 0
    return r * (g - shift - z * (g * z).mean(axis, keepdims=True)), z


for _label, _shape, _axes in (("rows", (3, 4), 1), ("two axes", (2, 3, 2), 2), ("everything", (5,), 1)):
    _x, _g, _tail = values(*_shape), values(*_shape, seed=1), _shape[len(_shape) - _axes :]
    _w, _b = values(*_tail, low=0.5, seed=2), values(*_tail, seed=3)
    add(
        "layer_norm",
        _label,
        lambda x, w, b, s=_tail: ops.layer_norm(x, s, w, b),
        _x,
        _w,
        _b,
        reference=lambda x, w, b, a=_axes: rows(x, a, w, b),
        slack=4,
    )
    add(
        "layer_norm",
        f"{_label}, no weight",
        lambda x, s=_tail: ops.layer_norm(x, s, eps=0.1),
        _x,
        reference=lambda x, a=_axes: rows(x, a, eps=0.1),
        slack=4,
    )
    add(
        "layer_norm",
        f"{_label}, root mean square",
        lambda x, w, s=_tail: ops.rms_norm(x, s, w, 0.01),
        _x,
        _w,
        reference=lambda x, w, a=_axes: rows(x, a, w, eps=0.01, centered=False),
        slack=4,
    )
    for _centered in (True, False):

        def _statistics(x, axes=_axes, centered=_centered):
            _, mean, rstd = ops.K.layer_norm(x._data, None, None, axes, 0.1, centered)
            return mean, rstd

        def _backward(g, x, w, axes=_axes, centered=_centered, of=_statistics):
            return ops._layer_norm_backward(g, x, w, *of(x), axes, 0.1, centered)

        def _affine(g, x, w, axes=_axes, centered=_centered, of=_statistics):
            return ops._layer_norm_affine_backward(g, x, w, *of(x), axes, 0.1, centered)

        def _reference(g, x, w, axes=_axes, centered=_centered):
            return project(g * w, x, tuple(range(x.ndim - axes, x.ndim)), 0.1, centered)[0]

        def _all_three(g, x, w, axes=_axes, centered=_centered):
            dx, z = project(g * w, x, tuple(range(x.ndim - axes, x.ndim)), 0.1, centered)
            lead = tuple(range(x.ndim - axes))
            return dx, (g * z).sum(lead), g.sum(lead)

        _kind = "centered" if _centered else "root mean square"
        add("layer_norm_backward", f"{_label}, {_kind}", _backward, _g, _x, _w, reference=_reference, slack=8)
        add("layer_norm_affine_backward", f"{_label}, {_kind}", _affine, _g, _x, _w, reference=_all_three, slack=8)

add(
    "layer_norm",
    "groups",
    lambda x, w, b: ops.group_norm(x, 2, w, b),
    values(2, 4, 3),
    values(4, seed=2),
    values(4, seed=3),
    reference=lambda x, w, b: rows(x.reshape(2, 2, 6), 1).reshape(2, 4, 3) * w.reshape(4, 1) + b.reshape(4, 1),
    slack=4,
)
add("layer_norm", "empty", lambda x: ops.layer_norm(x, 3), values(0, 3), reference=lambda x: x)

for _label, _shape in (("matrix", (5, 3)), ("images", (2, 3, 2, 2)), ("sequences", (3, 2, 3))):
    _x, _g, _w, _b = values(*_shape), values(*_shape, seed=1), values(_shape[1], low=0.5, seed=2), values(_shape[1])
    add(
        "batch_norm",
        _label,
        lambda x, w, b: ops.batch_norm(x, w, b)[0],
        _x,
        _w,
        _b,
        reference=channels,
        slack=4,
    )
    add("batch_norm", f"{_label}, no weight", lambda x: ops.batch_norm(x)[0], _x, reference=channels, slack=4)

    def _channel_backward(g, x, w):
        _, mean, var = ops.K.batch_norm(x._data, None, None, 0.1)
        return ops._batch_norm_backward(g, x, w, mean, var, 0.1)

    def _channel_reference(g, x, w):
        others = (0, *range(2, x.ndim))
        dx, z = project(g, x, others, 0.1, True)
        return dx * w.reshape(-1, *(1,) * (x.ndim - 2)), (g * z).sum(others), g.sum(others)

    add("batch_norm_backward", _label, _channel_backward, _g, _x, _w, reference=_channel_reference, slack=8)
