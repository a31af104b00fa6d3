"""Order statistics, reductions without NaN, counting, covariance."""

from __future__ import annotations

import numpy as np
from scipy import stats

import tensorgrad as tg
from tensorgrad.ops.quantiles import ranked_indices

from . import add, values

nan = np.nan
_X = values(3, 5)
_GAPS = _X.copy()
_GAPS[0, 1] = _GAPS[1, 0] = _GAPS[1, 3] = nan

for _axis in (None, 0, 1):
    for _name in ("nanmax", "nanmin"):
        add(
            _name,
            f"axis {_axis}",
            lambda x, f=tg.nanmax if _name == "nanmax" else tg.nanmin, a=_axis: f(x, a),
            _GAPS,
            reference=lambda x, f=np.nanmax if _name == "nanmax" else np.nanmin, a=_axis: f(x, axis=a),
            constant=(0,),
        )
        add(
            _name,
            f"numbers, axis {_axis}",
            lambda x, f=tg.nanmax if _name == "nanmax" else tg.nanmin, a=_axis: f(x, a, keepdims=True),
            _X,
            reference=lambda x, f=np.nanmax if _name == "nanmax" else np.nanmin, a=_axis: f(x, axis=a, keepdims=True),
        )
    for _call, _reference in ((tg.median, np.median), (tg.nanmedian, np.nanmedian)):
        add(
            "take_along_axis",
            f"{_call.__name__}, axis {_axis}",
            lambda x, f=_call, a=_axis: f(x, a),
            _X,
            reference=lambda x, f=_reference, a=_axis: f(x, a),
        )
for _axis in (None, 0, 1):
    for _label, _call, _reference, _values in (
        ("quantile", tg.quantile, np.quantile, _X),
        ("nanquantile", tg.nanquantile, np.nanquantile, _GAPS),
    ):
        add(
            "quantiles",
            f"{_label}, axis {_axis}",
            lambda x, f=_call, a=_axis: f(x.detach(), (0.2, 0.75), axis=a),
            _values,
            reference=lambda x, f=_reference, a=_axis: f(x, (0.2, 0.75), axis=a),
            halves=False,
        )
    add(
        "quantiles",
        f"medians, axis {_axis}",
        lambda x, a=_axis: tg.median(x.detach(), a) + tg.nanmedian(x.detach(), a, keepdims=a is not None),
        _X,
        reference=lambda x, a=_axis: np.median(x, a) + np.median(x, a, keepdims=a is not None),
        halves=False,
    )
for _axis in (None, 0, 1):
    for _name, _call, _reference in (("nanvar", tg.nanvar, np.nanvar), ("nanstd", tg.nanstd, np.nanstd)):
        add(
            "nanvar",
            f"{_name}, axis {_axis}",
            lambda x, f=_call, a=_axis: f(x.detach(), axis=a, correction=1, keepdims=a is None),
            _GAPS,
            reference=lambda x, f=_reference, a=_axis: f(x, axis=a, ddof=1, keepdims=a is None),
        )
add(
    "counts",
    "plain",
    lambda x: tg.bincount(x, minlength=6),
    np.array([0, 2, 2, 3]),
    reference=lambda x: np.bincount(x, minlength=6),
)
add(
    "counts",
    "weighted",
    lambda x, w: tg.bincount(x, w.detach()),
    np.array([0, 2, 2, 3]),
    values(4),
    reference=np.bincount,
)
add(
    "ranked_indices",
    "tuple",
    lambda x: ranked_indices(x, (0, 4, 2), 1),
    _X,
    reference=lambda x: np.argsort(x, 1)[:, [0, 4, 2]],
    halves=False,
)
add(
    "ranked_indices",
    "by row",
    lambda x, ranks: ranked_indices(x, ranks, 0),
    _X,
    np.array([[0, 1, 2, 0, 1]]),
    reference=lambda x, ranks: np.take_along_axis(np.argsort(x, 0), ranks, 0),
    halves=False,
)
add(
    "ranked_indices",
    "long rows",
    lambda x: ranked_indices(x, (299, 7), 1),
    np.concatenate([values(2, 299), np.full((2, 1), nan)], 1),
    reference=lambda x: np.argsort(x, 1)[:, [299, 7]],
    halves=False,
)
add(
    "bincount",
    "plain",
    lambda x: tg.bincount(x, minlength=6),
    [1, 4, 1, 0],
    reference=lambda x: np.bincount(x, None, 6),
)
add("bincount", "empty", lambda x: tg.bincount(x, minlength=2), np.zeros(0, np.int64), reference=lambda x: np.zeros(2))
add(
    "bincount_weighted",
    "weights",
    lambda w, x: tg.bincount(x, w),
    values(4),
    [1, 4, 1, 0],
    reference=lambda w, x: np.bincount(x, w),
)
add(
    "bincount_weighted",
    "histogram",
    lambda w, x: tg.histogram(x, 3, (0.0, 3.0), weights=w)[0],
    values(5),
    np.array([0, 1, 3, 1, 7]),
    reference=lambda w, x: np.histogram(x, 3, (0, 3), weights=w)[0],
)
add("matmul", "cov", tg.cov, _X, reference=np.cov, slack=4)
add("divide", "corrcoef", tg.corrcoef, _X, reference=np.corrcoef, slack=8)
add(
    "divide",
    "average",
    lambda x, w: tg.average(x, 1, weights=w),
    _X,
    values(5, low=0.5, high=2),
    reference=lambda x, w: np.average(x, 1, weights=w),
)
add("take_along_axis", "mode", lambda x: tg.mode(x).values, [[2.5, 1.0, 2.5, 3.0, 1.0]],
    reference=lambda x: stats.mode(x, 1).mode, constant=(0,))  # fmt: skip
add("take_along_axis", "kthvalue", lambda x: tg.kthvalue(x, 2, 0).values, _X, reference=lambda x: np.sort(x, 0)[1])
add(
    "interval_indices",
    "histogram",
    lambda x: tg.histogram(x.detach(), 4, (-1.0, 1.0))[0],
    [-1.0, -0.5, 0.0, 0.99, 1.0, 1.1, nan],
    reference=lambda x: np.histogram(x[:5], 4, (-1, 1))[0],
    halves=False,
)
