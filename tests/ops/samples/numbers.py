"""Less used elementwise functions."""

from __future__ import annotations

import math

import numpy as np

import tensorgrad as tg

from . import add, values

nan, inf = math.nan, math.inf

for _name, _low, _high in (("fmax", -2, 2), ("fmin", -2, 2), ("fmod", 0.5, 2), ("logaddexp2", -2, 2)):
    _call, _reference = getattr(tg, _name), getattr(np, _name)
    for _first, _second in (((2, 3), (2, 3)), ((2, 1), (1, 3)), ((), ()), ((0, 3), (3,))):
        add(
            _name,
            f"{_first} {_second}",
            _call,
            values(*_first, low=-5, high=5, seed=1),
            values(*_second, low=_low, high=_high, seed=2),
            reference=_reference,
            halves=_name != "fmod",
        )
add("fmax", "nan", tg.fmax, [nan, 1.0, nan], [1.0, nan, nan], reference=np.fmax, constant=(0, 1))
add("fmin", "nan", tg.fmin, [nan, 1.0, nan], [1.0, nan, nan], reference=np.fmin, constant=(0, 1))
add("logaddexp2", "wide", tg.logaddexp2, [-inf, 900.0], [1.0, 0.0], reference=np.logaddexp2, constant=(0, 1))
add("heaviside", "matrix", tg.heaviside, [[-1.5, 0.7, 2.0]], [[0.5], [1.0]], reference=np.heaviside)
add("heaviside", "zero", tg.heaviside, [0.0, nan], [0.25, 1.0], reference=np.heaviside, constant=(0, 1))
add("gcd", "integers", tg.gcd, [[12], [-5], [0]], [18, 0], reference=np.gcd)
add("lcm", "integers", tg.lcm, [[12], [-5], [0]], [18, 0], reference=np.lcm)
add("cbrt", "matrix", tg.cbrt, [[0.3, -2.0], [8.0, 1.0]], reference=np.cbrt)
add("cbrt", "empty", tg.cbrt, values(0, 2), reference=np.cbrt)
add("frexp", "matrix", lambda x: tg.frexp(x)[0], [[0.3, -2.5], [8.1, 1.2]], reference=lambda x: np.frexp(x)[0])
add("frexp", "exponent", lambda x: tg.frexp(x)[1], [0.3, -2.5, 0.0], reference=lambda x: np.frexp(x)[1], constant=(0,))
for _label, _call, _reference in (
    ("modf", lambda x: tg.modf(x)[0], lambda x: np.modf(x)[0]),
    ("frac", tg.frac, lambda x: np.modf(x)[0]),
):
    add("subtract", _label, _call, [1.25, -2.6, 0.3], reference=_reference, halves=False)
add("multiply", "ldexp", lambda x: tg.ldexp(x, tg.tensor([3, -2], device=x.device)), values(2),
    reference=lambda x: np.ldexp(x, [3, -2]))  # fmt: skip
add("where", "nan_to_num", tg.nan_to_num, [1.5, -2.0], reference=lambda x: x)
add("where", "lerp", tg.lerp, values(3), values(3, seed=1), [0.2, 0.5, 0.9],
    reference=lambda x, y, w: x + w * (y - x))  # fmt: skip
