"""Reductions: axes, several axes, kept axes, nothing to reduce."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

import tensorgrad as tg

from . import add, values

_X = values(2, 3, 4, low=0.3, high=2.0)
CASES = {
    "all axes": (_X, None, False),
    "axis": (_X, 1, False),
    "last axis kept": (_X, -1, True),
    "two axes": (_X, (0, 2), False),
    "two axes kept": (_X, (2, 0), True),
    "no axis": (_X[0], (), False),
    "0-d": (values(low=0.3), None, False),
    "one element": (values(1, 1), 0, False),
    "negative": (values(3, 3), 0, False),
}
EMPTY = {
    "empty": (values(0, 3), None, False),
    "empty axis": (values(2, 0), 1, False),
    "empty kept": (values(0, 3), 1, True),
}


def _loop(function):
    """A reduction of plain Python over the elements that meet."""

    def reference(x, axis, keepdims):
        axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
        axes = tuple(a % x.ndim for a in axes)
        kept = tuple(a for a in range(x.ndim) if a not in axes)
        count = math.prod(x.shape[a] for a in axes)
        rows = x.transpose(*kept, *axes).reshape(math.prod(x.shape[a] for a in kept), count)
        shape = [1 if a in axes else n for a, n in enumerate(x.shape) if keepdims or a not in axes]
        return np.array([function([v.item() for v in row]) for row in rows]).reshape(shape)

    return reference


def _mean(row):
    return math.fsum(row) / len(row) if row else math.nan


def _var(row, correction=0):
    center = _mean(row)
    return math.fsum((v - center) ** 2 for v in row) / (len(row) - correction)


REFERENCES = {
    "sum": math.fsum,
    "prod": math.prod,
    "mean": _mean,
    "max": max,
    "min": min,
    "var": _var,
    "std": lambda row: math.sqrt(_var(row)),
    "logsumexp": lambda row: float(special.logsumexp(row)),
    "any": any,
    "all": all,
}
for _name, _function in REFERENCES.items():
    _reference = _loop(_function)
    _f = getattr(tg, _name)
    for _label, (_x, _axis, _keep) in CASES.items():
        _kink = _name == "std" and _label in ("no axis", "0-d", "one element")  # a square root at 0
        add(
            _name,
            _label,
            lambda x, f=_f, a=_axis, k=_keep: f(x, axis=a, keepdims=k),
            _x,
            reference=lambda x, f=_reference, a=_axis, k=_keep: f(x, a, k),
            constant=(0,) if _kink else (),
            slack=2,
        )
for _name, _nothing in {
    "sum": 0.0,
    "prod": 1.0,
    "mean": math.nan,
    "logsumexp": -math.inf,
    "any": False,
    "all": True,
}.items():
    _f = getattr(tg, _name)
    for _label, (_x, _axis, _keep) in EMPTY.items():
        _shape = np.sum(_x, axis=_axis, keepdims=_keep).shape
        add(
            _name,
            _label,
            lambda x, f=_f, a=_axis, k=_keep: f(x, axis=a, keepdims=k),
            _x,
            reference=lambda x, s=_shape, v=_nothing: np.full(s, v),
        )
for _name in ("max", "min", "var", "std"):
    _f = getattr(tg, _name)
    add(_name, "no rows", lambda x, f=_f: f(x, axis=1), values(0, 3), reference=lambda x: np.zeros(0))

for _name in ("var", "std"):
    _f = getattr(tg, _name)
    for _c in (1, 0.5):
        add(
            _name,
            f"correction {_c}",
            lambda x, f=_f, c=_c: f(x, axis=0, correction=c),
            values(4, 2),
            reference=lambda x, n=_name, c=_c: _loop(lambda r: _var(r, c) ** (1 if n == "var" else 0.5))(x, 0, False),
            slack=2,
        )
add(
    "var",
    "far from 0",
    lambda x: tg.var(x),
    values(5) + 1e6,
    reference=lambda x: np.array(_var(list(x))),
    constant=(0,),
    halves=False,
    slack=1e4,
)

add("prod", "one zero", lambda x: tg.prod(x), [2.0, 0.0, 3.0], reference=lambda x: np.array(0.0))
add(
    "prod",
    "two zeros",
    lambda x: tg.prod(x, axis=1),
    [[0.0, 2.0, 0.0], [1.0, 0.0, 3.0]],
    reference=lambda x: np.zeros(2),
)
add("sum", "integers", lambda x: tg.sum(x, axis=0), [[1, 2], [3, 4]], reference=lambda x: np.array([4, 6]))
add("sum", "method", lambda x: x.sum(1, keepdims=True), values(2, 3), reference=lambda x: _loop(math.fsum)(x, 1, True))
add(
    "sum",
    "count_nonzero",
    lambda x: tg.count_nonzero(x, axis=1),
    [[0, 1, 2], [0, 0, 3]],
    reference=lambda x: np.array([2, 1]),
)
add("mean", "integers", lambda x: tg.mean(x), [1, 2], reference=lambda x: np.array(1.5))
add(
    "max",
    "nan",
    lambda x: tg.max(x, axis=1),
    [[1.0, math.nan], [3.0, 2.0]],
    reference=lambda x: np.array([math.nan, 3.0]),
    constant=(0,),
)
add(
    "min",
    "nan",
    lambda x: tg.min(x, axis=1),
    [[1.0, math.nan], [3.0, 2.0]],
    reference=lambda x: np.array([math.nan, 2.0]),
    constant=(0,),
)
add(
    "logsumexp",
    "large",
    lambda x: tg.logsumexp(x),
    [1000.0, 1000.0],
    reference=lambda x: np.array(1000 + math.log(2)),
    halves=False,
)
add(
    "logsumexp",
    "minus infinities",
    lambda x: tg.logsumexp(x, axis=1),
    [[-math.inf, -math.inf], [0.0, -math.inf]],
    reference=lambda x: np.array([-math.inf, 0.0]),
    constant=(0,),
)
add(
    "logsumexp",
    "infinity",
    lambda x: tg.logsumexp(x),
    [math.inf, 0.0],
    reference=lambda x: np.array(math.inf),
    constant=(0,),
)
add(
    "any",
    "bool",
    lambda x: tg.any(x, axis=0),
    [[True, False], [False, False]],
    reference=lambda x: np.array([True, False]),
)
add(
    "all",
    "bool",
    lambda x: tg.all(x, axis=0),
    [[True, False], [True, True]],
    reference=lambda x: np.array([True, False]),
)

for _name, _pick in {"argmax": max, "argmin": min}.items():
    _f = getattr(tg, _name)
    _first = _loop(lambda row, p=_pick: row.index(p(row)))
    add(_name, "flat", lambda x, f=_f: f(x), _X, reference=lambda x, r=_first: r(x, None, False))
    add(_name, "axis", lambda x, f=_f: f(x, axis=1), _X, reference=lambda x, r=_first: r(x, 1, False))
    add(_name, "kept", lambda x, f=_f: f(x, axis=-1, keepdims=True), _X, reference=lambda x, r=_first: r(x, -1, True))
    add(_name, "0-d", lambda x, f=_f: f(x), 3.0, reference=lambda x: np.array(0))
    add(_name, "ties", lambda x, f=_f: f(x), [2, 1, 2, 1], reference=lambda x, r=_first: r(x, None, False))
    add(_name, "nan", lambda x, f=_f: f(x), [1.0, math.nan, 3.0], reference=lambda x: np.array(1))
    add(_name, "no rows", lambda x, f=_f: f(x, axis=1), values(0, 3), reference=lambda x: np.zeros(0, np.int64))
