"""Convolution and its two gradients against sums written out, element by element."""

from __future__ import annotations

import itertools

import numpy as np

from tensorgrad.ops import conv as ops

from . import add, values


def _visits(size, kernel, stride, padding, dilation):
    """(output, offset in the kernel, element of the input) wherever a window reads inside the input."""
    out = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
    ]
    for o in np.ndindex(*out):
        for k in np.ndindex(*kernel):
            at = tuple(i * s - p + j * d for i, s, p, j, d in zip(o, stride, padding, k, dilation, strict=True))
            if all(0 <= a < n for a, n in zip(at, size, strict=True)):
                yield o, k, at


def _pairs(outputs, inputs, groups):
    """(output channel, input channel, input channel within its group)."""
    for o, c in itertools.product(range(outputs), range(inputs // groups)):
        yield o, o // (outputs // groups) * (inputs // groups) + c, c


def _conv(x, w, b, stride, padding, dilation, groups):
    size, kernel = x.shape[2:], w.shape[2:]
    out = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
    ]
    y = np.zeros((x.shape[0], w.shape[0], *out)) + (0 if b is None else b.reshape(-1, *(1,) * len(out)))
    for o, k, at in _visits(size, kernel, stride, padding, dilation):
        for to, source, within in _pairs(w.shape[0], x.shape[1], groups):
            y[(slice(None), to, *o)] += w[(to, within, *k)] * x[(slice(None), source, *at)]
    return y


def _input(g, w, size, stride, padding, dilation, groups):
    dx = np.zeros((g.shape[0], w.shape[1] * groups, *size))
    for o, k, at in _visits(size, w.shape[2:], stride, padding, dilation):
        for to, source, within in _pairs(w.shape[0], dx.shape[1], groups):
            dx[(slice(None), source, *at)] += w[(to, within, *k)] * g[(slice(None), to, *o)]
    return dx


def _weight(g, x, kernel, stride, padding, dilation, groups):
    dw = np.zeros((g.shape[1], x.shape[1] // groups, *kernel))
    for o, k, at in _visits(x.shape[2:], kernel, stride, padding, dilation):
        for to, source, within in _pairs(g.shape[1], x.shape[1], groups):
            dw[(to, within, *k)] += (g[(slice(None), to, *o)] * x[(slice(None), source, *at)]).sum()
    return dw


for _label, _images, _channels, _size, _kernel, _stride, _padding, _dilation, _groups in (
    ("1d", 2, (2, 3), (5,), (3,), (1,), (0,), (1,), 1),
    ("1d, stride larger than the kernel", 1, (1, 2), (7,), (2,), (3,), (1,), (1,), 1),
    ("1d, dilated", 1, (2, 1), (6,), (2,), (2,), (2,), (3,), 1),
    ("2d", 2, (2, 2), (4, 3), (2, 3), (1, 1), (0, 1), (1, 1), 1),
    ("2d, every option", 1, (2, 4), (5, 4), (3, 2), (2, 1), (1, 1), (1, 2), 2),
    ("2d, depthwise", 1, (2, 2), (3, 4), (2, 2), (1, 1), (1, 0), (1, 1), 2),
    ("2d, one by one", 2, (3, 2), (2, 3), (1, 1), (1, 1), (0, 0), (1, 1), 1),
    ("3d", 1, (1, 2), (2, 3, 2), (2, 2, 1), (1, 2, 1), (1, 0, 0), (1, 1, 1), 1),
):
    _options = (_stride, _padding, _dilation, _groups)
    _x = values(_images, _channels[0], *_size)
    _w = values(_channels[1], _channels[0] // _groups, *_kernel, seed=1)
    _b = values(_channels[1], seed=2)
    _y = _conv(_x, _w, _b, *_options)
    _g = values(*_y.shape, seed=3)
    add(
        "conv",
        _label,
        lambda x, w, b, o=_options: ops.conv(x, w, b, *o),
        _x,
        _w,
        _b,
        reference=lambda x, w, b, o=_options: _conv(x, w, b, *o),
        slack=4,
    )
    add(
        "conv_input_gradient",
        _label,
        lambda g, w, n=_size, o=_options: ops._input_gradient(g, w, n, *o),
        _g,
        _w,
        reference=lambda g, w, n=_size, o=_options: _input(g, w, n, *o),
        slack=4,
    )
    add(
        "conv_weight_gradient",
        _label,
        lambda g, x, k=_kernel, o=_options: ops._weight_gradient(g, x, k, *o),
        _g,
        _x,
        reference=lambda g, x, k=_kernel, o=_options: _weight(g, x, k, *o),
        slack=4,
    )
add(
    "conv",
    "no images",
    lambda x, w: ops.conv(x, w),
    values(0, 1, 3),
    values(2, 1, 2),
    reference=lambda x, w: np.zeros((0, 2, 2)),
)
add(
    "conv_input_gradient",
    "transposed convolution",
    lambda x, w, b: ops.conv_transpose(x, w, b, 2, 1, 1),
    values(1, 2, 3),
    values(2, 1, 3, seed=1),
    values(1, seed=2),
    reference=lambda x, w, b: _input(x, w, (6,), (2,), (1,), (1,), 1) + b.reshape(1, -1, 1),
    slack=4,
)
add(
    "conv_input_gradient",
    "transposed convolution, more padded than a stride",
    lambda x, w: ops.conv_transpose(x, w, None, 1, 1, 2, 1, 3),
    values(1, 2, 3),
    values(2, 1, 2, seed=1),
    # as if the input went on with zeros
    reference=lambda x, w: _input(np.pad(x, [(0, 0), (0, 0), (0, 2)]), w, (6,), (1,), (1,), (3,), 1),
    slack=4,
)
