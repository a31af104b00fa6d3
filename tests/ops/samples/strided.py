"""Views by sizes and strides."""

from __future__ import annotations

import numpy as np

import tensorgrad as tg

from . import add, values


def _read(x, size, stride, offset):
    places = np.full((), offset)
    for n, step in zip(size, stride, strict=True):
        places = places[..., None] + np.arange(n) * step
    return x.reshape(-1)[places]


for _label, _size, _stride, _offset in (
    ("overlapping", (3, 3), (1, 2), 1),
    ("transposed", (4, 3), (1, 4), 0),
    ("one place", (2, 2), (0, 0), 5),
    ("number", (), (), 7),
    ("none", (0, 3), (1, 1), 0),
):
    add(
        "as_strided",
        _label,
        # of a copy: it reads memory, which the layouts of the tests order differently
        lambda x, s=_size, t=_stride, o=_offset: tg.as_strided((x + tg.zeros_like(x)).contiguous(), s, t, o),
        values(3, 4),
        reference=lambda x, s=_size, t=_stride, o=_offset: _read(x, s, t, o),
        halves=True,
    )


def _scattered(x, part, size, stride, offset):
    y = x.copy().reshape(-1)
    y[_read(np.arange(x.size), size, stride, offset)] = part
    return y.reshape(x.shape)


for _label, _size, _stride, _offset in (
    ("diagonal", (3,), (5,), 0),
    ("block", (2, 2), (4, 1), 5),
    ("number", (), (), 2),
):
    add(
        "setitem",
        f"as_strided_scatter {_label}",
        lambda x, p, s=_size, t=_stride, o=_offset: tg.as_strided_scatter(x.clone(), p, s, t, o),
        values(3, 4),
        values(*_size, seed=1),
        reference=lambda x, p, s=_size, t=_stride, o=_offset: _scattered(x, p, s, t, o),
    )
