"""Special functions, beside SciPy's."""

from __future__ import annotations

import numpy as np
from scipy import special

import tensorgrad as tg

from . import add, values

nan, inf = np.nan, np.inf

# op, function, reference, interval of the samples
UNARY = {
    "erfinv": (tg.special.erfinv, special.erfinv, -0.95, 0.95),
    "erfcx": (tg.special.erfcx, special.erfcx, -2, 4),
    "ndtr": (tg.special.ndtr, special.ndtr, -3, 3),
    "ndtri": (tg.special.ndtri, special.ndtri, 0.05, 0.95),
    "log_ndtr": (tg.special.log_ndtr, special.log_ndtr, -6, 3),
    "gammaln": (tg.special.gammaln, special.gammaln, 0.2, 9),
    "digamma": (tg.special.digamma, special.digamma, 0.2, 9),
    "i0": (tg.special.i0, special.i0, -4, 4),
    "i0e": (tg.special.i0e, special.i0e, 0.2, 5),
    "i1": (tg.special.i1, special.i1, -4, 4),
    "i1e": (tg.special.i1e, special.i1e, 0.2, 5),
    "bessel_j0": (tg.special.bessel_j0, special.j0, -9, 9),
    "bessel_j1": (tg.special.bessel_j1, special.j1, -9, 9),
    "bessel_y0": (tg.special.bessel_y0, special.y0, 0.5, 9),
    "bessel_y1": (tg.special.bessel_y1, special.y1, 0.5, 9),
    "modified_bessel_k0": (tg.special.modified_bessel_k0, special.k0, 0.3, 4),
    "modified_bessel_k1": (tg.special.modified_bessel_k1, special.k1, 0.3, 4),
    "scaled_modified_bessel_k0": (tg.special.scaled_modified_bessel_k0, special.k0e, 0.3, 4),
    "scaled_modified_bessel_k1": (tg.special.scaled_modified_bessel_k1, special.k1e, 0.3, 4),
    "sinc": (tg.special.sinc, np.sinc, -2.2, 2.3),
    "entr": (tg.special.entr, special.entr, 0.2, 3),
}
for _name, (_call, _reference, _low, _high) in UNARY.items():
    for _label, _shape in {"matrix": (3, 4), "0-d": (), "empty": (0, 3)}.items():
        add(
            _name,
            _label,
            _call,
            values(*_shape, low=_low, high=_high, seed=4),
            reference=_reference,
            halves=_name not in ("bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "erfcx"),
            slack=20,
        )
for _n in (1, 2, 5):
    add(
        "polygamma",
        str(_n),
        lambda x, n=_n: tg.special.polygamma(n, x),
        values(6, low=0.4, high=7),
        reference=lambda x, n=_n: special.polygamma(n, x),
        halves=False,
        slack=20,
    )
add("polygamma", "negative", lambda x: tg.special.polygamma(1, x), [-0.3, -1.6], halves=False, slack=50,
    reference=lambda x: special.polygamma(1, x + 3) + 1 / x**2 + 1 / (x + 1) ** 2 + 1 / (x + 2) ** 2)  # fmt: skip
_A, _X = values(3, 1, low=0.4, high=6), values(1, 4, low=0.3, high=8)
for _name, _call, _reference in (
    ("gammainc", tg.special.gammainc, special.gammainc),
    ("gammaincc", tg.special.gammaincc, special.gammaincc),
):
    add(_name, "matrix", _call, _A, _X, reference=_reference, constant=(0,), halves=False, slack=50)
add("zeta", "matrix", tg.special.zeta, _A + 1, _X, reference=special.zeta, constant=(0,), halves=False, slack=50)
for _name, _call, _reference in (
    ("xlogy", tg.special.xlogy, special.xlogy),
    ("xlog1py", tg.special.xlog1py, special.xlog1py),
):
    add(_name, "matrix", _call, values(3, 1), _X, reference=_reference, slack=4)
    add(_name, "zeros", _call, [0.0, 0.0, 0.0, 2.0], [0.0, nan, 3.0, 1.5], reference=_reference, constant=(0, 1))
add("subtract", "logit", lambda x: tg.special.logit(x, 0.1), [0.05, 0.3, 0.8],
    reference=lambda x: special.logit(np.clip(x, 0.1, 0.9)))  # fmt: skip
add("subtract", "betaln", tg.special.betaln, [0.4, 3.0], [2.0, 0.7], reference=special.betaln, slack=20)
add("add", "multigammaln", lambda x: tg.special.multigammaln(x, 3), [1.6, 3.0], slack=20,
    reference=lambda x: np.array([special.multigammaln(v, 3) for v in x]))  # fmt: skip
for _name, _reference in (
    ("chebyshev_polynomial_t", special.eval_chebyt),
    ("shifted_chebyshev_polynomial_u", special.eval_sh_chebyu),
    ("hermite_polynomial_h", special.eval_hermite),
    ("hermite_polynomial_he", special.eval_hermitenorm),
    ("laguerre_polynomial_l", special.eval_laguerre),
    ("legendre_polynomial_p", special.eval_legendre),
):
    add(
        "subtract",
        _name,
        lambda x, name=_name: getattr(tg.special, name)(x, 4),
        values(4, low=-0.9, high=0.9),
        reference=lambda x, f=_reference: f(4, x),
        slack=50,
        halves=False,
    )
