"""Running sums, products, extrema and log-sum-exps; differences of neighbours."""

from __future__ import annotations

import numpy as np

import tensorgrad as tg

from . import add, values

_X = values(2, 3, 4)
_ZEROS = values(3, 5)
_ZEROS[0, 1] = _ZEROS[1, 0] = _ZEROS[1, 3] = _ZEROS[2, 4] = 0

for _axis in (0, 1, -1, None):
    for _call, _reference in ((tg.cumsum, np.cumsum), (tg.cumprod, np.cumprod)):
        add(
            _call.__name__,
            f"axis {_axis}",
            lambda x, f=_call, a=_axis: f(x, a),
            _X,
            reference=lambda x, f=_reference, a=_axis: f(x, a),
            slack=4,
        )
    add(
        "logcumsumexp",
        f"axis {_axis}",
        lambda x, a=_axis: tg.logcumsumexp(x, a),
        _X,
        reference=lambda x, a=_axis: np.log(np.cumsum(np.exp(x), a)),
    )
    for _call, _ufunc in ((tg.cummax, np.maximum), (tg.cummin, np.minimum)):
        add(
            "take_along_axis",
            f"{_call.__name__}, axis {_axis}",
            lambda x, f=_call, a=_axis: f(x, a).values,
            _X,
            reference=lambda x, u=_ufunc, a=_axis: u.accumulate(x if a is not None else x.reshape(-1), a or 0),
        )
add("cumprod", "zeros", lambda x: tg.cumprod(x, 1), _ZEROS, reference=lambda x: np.cumprod(x, 1))
add("cumsum", "0-d", lambda x: tg.cumsum(x, -1), 1.5, reference=lambda x: x)
add("cumprod", "empty", lambda x: tg.cumprod(x, 1), values(2, 0), reference=lambda x: x)
add("logcumsumexp", "empty", lambda x: tg.logcumsumexp(x, 0), values(0, 2), reference=lambda x: x)
add(
    "logcumsumexp",
    "wide",
    lambda x: tg.logcumsumexp(x, 0),
    [-900.0, 0.0, 800.0, 1.0],
    reference=np.logaddexp.accumulate,
    halves=False,
    twice=False,
)
add(
    "concat",
    "cumulative_sum with initial",
    lambda x: tg.cumulative_sum(x, axis=1, include_initial=True),
    _X,
    reference=lambda x: np.cumulative_sum(x, axis=1, include_initial=True),
)
add(
    "concat",
    "cumulative_prod with initial",
    lambda x: tg.cumulative_prod(x, axis=0, include_initial=True),
    _X,
    reference=lambda x: np.cumulative_prod(x, axis=0, include_initial=True),
)
for _largest, _wanted in ((True, [0, 1, 1, 1, 4, 4, 6]), (False, [0, 0, 2, 3, 4, 4, 6])):
    add(
        "cummax_indices",
        f"largest={_largest}",
        lambda x, largest=_largest: (tg.cummax if largest else tg.cummin)(x).indices,
        [1.0, 3.0, 1.0, 1.0, np.nan, 5.0, np.nan],
        reference=lambda x, w=_wanted: np.array(w),
    )
for _n, _axis in ((0, 0), (1, -1), (2, 1), (3, 1)):
    add(
        "subtract" if _n else "add",
        f"diff {_n} {_axis}",
        lambda x, n=_n, a=_axis: tg.diff(x, n=n, axis=a) + (0 if n else x - x),
        _X,
        reference=lambda x, n=_n, a=_axis: np.diff(x, n, a),
    )
add(
    "subtract",
    "diff with ends",
    lambda x, y: tg.diff(x, axis=0, prepend=y, append=1.0),
    _X,
    values(1, 3, 4, seed=1),
    reference=lambda x, y: np.diff(x, 1, 0, y, np.ones((1, 3, 4))),
)
add(
    "concat",
    "ediff1d",
    lambda x: tg.ediff1d(x, to_end=[1.0, 2.0], to_begin=3.0),
    _X,
    reference=lambda x: np.ediff1d(x, [1.0, 2.0], 3.0),
)
