"""Pooling against windows written out, and windows as columns."""

from __future__ import annotations

import numpy as np

from tensorgrad.ops import pool as ops

from . import add, values


def _windows(size, kernel, stride, padding, dilation, ceil):
    """(output, elements of the input in its window, elements the divisor counts with padding) per output."""
    out = []
    for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True):
        count = (n + 2 * p - d * (k - 1) - 1 + (s - 1) * ceil) // s + 1
        out.append(count - (ceil and (count - 1) * s >= n + p))
    for o in np.ndindex(*out):
        corner = [i * s - p for i, s, p in zip(o, stride, padding, strict=True)]
        places = [tuple(c + j * d for c, j, d in zip(corner, k, dilation, strict=True)) for k in np.ndindex(*kernel)]
        inside = [at for at in places if all(0 <= a < n for a, n in zip(at, size, strict=True))]
        counted = sum(all(a < n + p for a, n, p in zip(at, size, padding, strict=True)) for at in places)
        yield o, inside, counted, out


def _max(x, kernel, stride, padding, dilation, ceil):
    made = list(_windows(x.shape[2:], kernel, stride, padding, dilation, ceil))
    y = np.zeros((*x.shape[:2], *made[0][3]))
    for o, inside, _, _ in made:
        y[(..., *o)] = np.max([x[(..., *at)] for at in inside], axis=0)
    return y


def _average(x, kernel, stride, padding, ceil, include, divisor):
    made = list(_windows(x.shape[2:], kernel, stride, padding, (1,) * len(kernel), ceil))
    y = np.zeros((*x.shape[:2], *made[0][3]))
    for o, inside, counted, _ in made:
        y[(..., *o)] = sum(x[(..., *at)] for at in inside) / (divisor or (counted if include else len(inside)))
    return y


def _average_back(g, size, kernel, stride, padding, ceil, include, divisor):
    dx = np.zeros((*g.shape[:2], *size))
    for o, inside, counted, _ in _windows(size, kernel, stride, padding, (1,) * len(kernel), ceil):
        for at in inside:
            dx[(..., *at)] += g[(..., *o)] / (divisor or (counted if include else len(inside)))
    return dx


for _label, _size, _kernel, _stride, _padding, _dilation, _ceil in (
    ("1d", (5,), (2,), (2,), (0,), (1,), False),
    ("1d, ceil", (6,), (3,), (2,), (1,), (1,), True),
    ("2d", (4, 4), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ("2d, overlapping", (4, 5), (3, 2), (1, 2), (1, 1), (1, 1), False),
    ("2d, dilated", (5, 4), (2, 2), (1, 1), (1, 0), (2, 1), False),
    ("3d", (2, 3, 3), (2, 2, 1), (1, 2, 1), (1, 0, 0), (1, 1, 1), True),
):
    _x = values(2, 2, *_size)
    add(
        "max_pool",
        _label,
        lambda x, o=(_kernel, _stride, _padding, _dilation, _ceil): ops.max_pool(x, *o),
        _x,
        reference=lambda x, o=(_kernel, _stride, _padding, _dilation, _ceil): _max(x, *o),
    )
    _options = (_kernel, _stride, _padding, _dilation)
    _indices = ops.K.max_pool(_x, *_options, _ceil)[1]

    def _max_back(g, i, n=_size):
        dx = np.zeros((*g.shape[:2], int(np.prod(n))))
        for place in np.ndindex(g.shape):
            dx[(*place[:2], i[place])] += g[place]
        return dx.reshape(*g.shape[:2], *n)

    add(
        "max_pool_backward",
        _label,
        lambda g, i, n=_size, o=_options: ops._max_pool_backward(g, i._data if hasattr(i, "_data") else i, n, *o),
        values(*_indices.shape, seed=1),
        _indices,
        reference=_max_back,
    )
    for _include, _divisor in ((True, None), (False, None), (True, 3)):
        _averaging = (_kernel, _stride, _padding, _ceil, _include, _divisor)
        add(
            "avg_pool",
            f"{_label}, {_include}, {_divisor}",
            lambda x, o=_averaging: ops.avg_pool(x, *o),
            _x,
            reference=lambda x, o=_averaging: _average(x, *o),
            slack=2,
        )
        _shape = _average(_x, *_averaging).shape
        add(
            "avg_pool_backward",
            f"{_label}, {_include}, {_divisor}",
            lambda g, n=_size, o=_averaging: ops._avg_pool_backward(g, n, *o),
            values(*_shape, seed=1),
            reference=lambda g, n=_size, o=_averaging: _average_back(g, n, *o),
            slack=2,
        )


def _columns(x, kernel, stride, padding, dilation):
    made = list(_windows(x.shape[2:], kernel, stride, padding, dilation, False))
    y = np.zeros((*x.shape[:2], *kernel, *made[0][3]))
    for o, _, _, _ in made:
        for k in np.ndindex(*kernel):
            at = tuple(i * s - p + j * d for i, s, p, j, d in zip(o, stride, padding, k, dilation, strict=True))
            if all(0 <= a < n for a, n in zip(at, x.shape[2:], strict=True)):
                y[(slice(None), slice(None), *k, *o)] = x[(..., *at)]
    return y.reshape(x.shape[0], x.shape[1] * int(np.prod(kernel)), -1)


def _folded(g, size, kernel, stride, padding, dilation):
    """By the matrix of `_columns`."""
    volume, channels = int(np.prod(size)), g.shape[1] // int(np.prod(kernel))
    eye = np.eye(volume).reshape(volume, 1, *size)
    matrix = _columns(eye, kernel, stride, padding, dilation)  # (element of the input, offset, window)
    y = np.einsum("nckw,ikw->nci", g.reshape(g.shape[0], channels, -1, g.shape[2]), matrix)
    return y.reshape(g.shape[0], channels, *size)


for _label, _size, _options in (
    ("1d", (5,), ((2,), (1,), (0,), (2,))),
    ("2d", (3, 4), ((2, 2), (1, 2), (1, 0), (1, 1))),
):
    _x = values(2, 2, *_size)
    add("unfold", _label, lambda x, o=_options: ops._unfold(x, *o), _x, reference=lambda x, o=_options: _columns(x, *o))
    add(
        "fold",
        _label,
        lambda g, n=_size, o=_options: ops._fold(g, n, *o),
        values(*_columns(_x, *_options).shape, seed=1),
        reference=lambda g, n=_size, o=_options: _folded(g, n, *o),
        slack=2,
    )
