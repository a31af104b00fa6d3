"""Polynomials as vectors of coefficients, that of the highest power first, as in NumPy."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .. import capture, dtypes
from .. import kernels as K
from ..backend import device_of
from ..backend import empty as empty_array
from ..inspection import finfo
from ..tensor import Tensor
from .complex_parts import conj, real
from .definition import alone, lift, on_values
from .elementwise import abs, add, divide, less_equal, logical_not, multiply, negative, sqrt, square, subtract
from .joining import atleast_1d, trim_zeros
from .linear_system import inv
from .matmul import matmul
from .matrix_aliases import vander
from .memory import arange, cast, eye, ones, ones_like, zeros, zeros_like
from .padding import pad
from .product import outer
from .reduction import sum
from .search import flatnonzero
from .shape import concat, expand_dims, matrix_transpose, stack
from .signal import convolve
from .spectrum import eigvals, lstsq

__all__ = ["poly", "polyadd", "polyder", "polydiv", "polyfit", "polyint", "polymul", "polysub", "polyval", "roots"]


def _coefficients(name: str, p: Any) -> Any:
    if isinstance(p, Tensor) and p._data.ndim == 1:  # most calls
        return p
    p = atleast_1d(lift(p))
    if p.ndim != 1:
        raise ValueError(f"{name}: the coefficients of a polynomial are a vector, got shape {p.shape}")
    return p


def _two(name: str, a: Any, b: Any) -> tuple[Any, Any]:
    """Coefficients of two polynomials in one dtype and number."""
    a, b = _coefficients(name, a), _coefficients(name, b)
    dtype = dtypes.promote_types(a.dtype, b.dtype)
    n, m = a.shape[0], b.shape[0]
    a, b = cast(a, dtype), cast(b, dtype)
    return pad(a, (m - n, 0)) if n < m else a, pad(b, (n - m, 0)) if m < n else b


def polyval(p: Any, x: Any, /) -> Any:
    r"""The values of a polynomial, :math:`\sum_i p_i x^{n - 1 - i}`, by Horner's rule; differentiable in both.

    Parameters
    ----------
    p : Tensor
        n coefficients, that of the highest power first.
    x : Tensor
        Of any shape.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.polyval(tg.tensor([3.0, 0.0, 1.0]), tg.tensor([5.0, 1.0]))
    tensor([76.,  4.])
    """
    p = _coefficients("polyval", p)
    x = lift(x, p)
    if not p.shape[0]:
        return zeros_like(x)
    dtype = dtypes.promote_types(p.dtype, x.dtype)
    p, x = cast(p, dtype), cast(x, dtype)
    if alone(p, x):
        return Tensor(_values(p._data, x._data))
    y = add(multiply(x, 0), p[0])
    for i in range(1, p.shape[0]):
        y = add(multiply(y, x), p[i])
    return y


def _values(p: Any, x: Any) -> Any:
    """`polyval` of arrays, in one array."""
    y = K.multiply(x, 0)
    K.add(y, p[0, ...], y)
    for i in range(1, p.shape[0]):
        K.multiply(y, x, y)
        K.add(y, p[i, ...], y)
    return y


def polyadd(a1: Any, a2: Any, /) -> Any:
    """The sum of two polynomials.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.polyadd(tg.tensor([1, 2]), tg.tensor([9, 5, 4]))
    tensor([9, 6, 6])
    """
    return add(*_two("polyadd", a1, a2))


def polysub(a1: Any, a2: Any, /) -> Any:
    """The difference of two polynomials.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.polysub(tg.tensor([2, 10, -2]), tg.tensor([3, 10, -4]))
    tensor([-1,  0,  2])
    """
    return subtract(*_two("polysub", a1, a2))


def _trimmed(name: str, p: Any) -> Any:
    """Coefficients without zeros in front; one 0 if there is nothing else."""
    p = _coefficients(name, p)
    if p.size and bool(p[0] != 0):
        return p
    short = trim_zeros(p, "f")
    return short if short.size else p[:1] * 0


def polymul(a1: Any, a2: Any, /) -> Any:
    """The product of two polynomials, from which zeros in front are taken away; waits for the device.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.polymul(tg.tensor([1, 2, 3]), tg.tensor([9, 5, 1]))
    tensor([ 9, 23, 38, 17,  3])
    """
    return convolve(_trimmed("polymul", a1), _trimmed("polymul", a2))


def polydiv(u: Any, v: Any, /) -> tuple[Any, Any]:
    """Quotient and remainder of two polynomials; zeros in front of the remainder are taken away, which waits.

    Zeros are numbers of a size up to 1e-8, as in NumPy; what rounding leaves of the places that the division clears
    never is in the remainder.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.polydiv(tg.tensor([3.0, 5.0, 2.0]), tg.tensor([2.0, 1.0]))
    (tensor([1.5 , 1.75]), tensor([0.25]))
    """
    u, v = _coefficients("polydiv", u), _coefficients("polydiv", v)
    dtype = dtypes.promote_types(u.dtype, v.dtype)
    if dtype.kind in "biu":
        dtype = dtypes.get_default_dtype()
    u, rest, v = cast(u, dtype), cast(u, dtype), cast(v, dtype)
    steps, n = u.shape[0] - v.shape[0] + 1, v.shape[0]
    if steps < 1:
        whole = zeros_like(u[:1])
    elif alone(u, v):
        array = K.copy(u._data)
        whole, rest = Tensor(_divided(array, v._data, steps)), Tensor(array)
    else:
        quotient = []
        for k in range(steps):
            d = divide(rest[k], v[0])
            quotient.append(d)
            rest = concat([rest[:k], subtract(rest[k : k + n], multiply(v, d)), rest[k + n :]], axis=0)
        whole = stack(quotient)
    if steps > 0:  # where the steps have left 0, but for rounding
        rest = rest[steps:] if n > 1 else zeros_like(rest[:1])
    small = less_equal(abs(rest.detach() if isinstance(rest, Tensor) else rest), 1e-8)  # NaN is not
    large = flatnonzero(logical_not(small))
    first = int(large[0].item()) if large.size else rest.shape[0] - 1
    return whole, rest[first:]


def _divided(rest: Any, v: Any, steps: int) -> Any:
    """The quotient by ``v`` of an array, of which the remainder is left at the end."""
    n, first = v.shape[0], v[:1]
    quotient = K.copy(rest[:steps])
    for k in range(steps):
        d = quotient[k : k + 1]
        K.divide(rest[k : k + 1], first, d)
        part = rest[k : k + n]
        K.subtract(part, K.multiply(v, d), part)
    return quotient


def polyder(p: Any, /, m: int = 1) -> Any:
    """The derivative of order ``m`` of a polynomial.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.polyder(tg.tensor([1, 1, 1, 1]))
    tensor([3, 2, 1])
    """
    p = _coefficients("polyder", p)
    if m < 0:
        raise ValueError(f"polyder: the order must not be negative (polyint is the other way), got {m}")
    kind = p.dtype if p.dtype.kind in "fcV" else "int64"
    for _ in range(m):
        powers = arange(p.shape[0] - 1, 0, -1, dtype=kind, device=p.device)
        p = multiply(p[:-1], powers)
    return p


def polyint(p: Any, /, m: int = 1, k: Any = None) -> Any:
    """The integral of order ``m`` of a polynomial.

    Parameters
    ----------
    p : Tensor
    m : int
    k : number or sequence of numbers, optional
        The constants, of the first integration first; 0 unless given.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.polyint(tg.tensor([6.0, 2.0]), k=1.0)
    tensor([3., 2., 1.])
    """
    p = _coefficients("polyint", p)
    if m < 0:
        raise ValueError(f"polyint: the order must not be negative (polyder is the other way), got {m}")
    if not m:
        return p
    if p.dtype.kind in "biu":
        p = cast(p, dtypes.get_default_dtype())
    if k is None and alone(p):
        return Tensor(_integral(p._data, m))
    constants = zeros(1, dtype=p.dtype, device=p.device) if k is None else cast(atleast_1d(lift(k, p)), p.dtype)
    single = constants.shape[0] == 1
    if not single and constants.shape[0] < m:
        raise ValueError(f"polyint: {m} integrations need as many constants or one, got {constants.shape[0]}")
    for i in range(m):
        powers = arange(p.shape[0], 0, -1, dtype=p.dtype, device=p.device)
        p = on_values(_integrated, p, powers, constants if single else constants[i : i + 1])
    return p


def _integral(p: Any, m: int) -> Any:
    """`polyint` of an array, without constants."""
    for _ in range(m):
        n = p.shape[0]
        powers, y = (empty_array((size,), p.dtype, device_of(p)) for size in (n, n + 1))
        K.arange(powers, n, -1)
        K.divide(p, powers, y[:n])
        K.fill(y[n:], 0)
        p = y
    return p


def _integrated(p: Any, powers: Any, constant: Any) -> Any:
    return concat([divide(p, powers), constant], axis=0)


def poly(seq_of_zeros: Any, /) -> Any:
    """The polynomial with the given roots, or the characteristic one of a matrix; of the highest power once.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.poly(tg.tensor([1.0, 2.0]))
    tensor([ 1., -3.,  2.])
    """
    z = atleast_1d(lift(seq_of_zeros))
    if z.dtype.kind in "biu":
        z = cast(z, dtypes.get_default_dtype())
    if z.ndim == 2 and z.shape[0] == z.shape[1] and z.shape[0]:
        z = eigvals(z)
    elif z.ndim != 1:
        raise ValueError(f"poly: expected a vector of roots or a square matrix, got shape {z.shape}")
    if not z.shape[0]:
        return ones((), dtype=z.dtype, device=z.device)
    p = Tensor(_with_roots(z._data)) if alone(z) else _product_of_factors(z)
    if z.dtype.kind == "c" and _in_pairs(z):
        return real(p) * 1
    return p


def _product_of_factors(z: Any) -> Any:
    """The coefficients of the product of all ``x - z[i]``."""
    one = ones_like(z[:1])
    p = one
    for i in range(z.shape[0]):
        p = convolve(p, concat([one, negative(z[i : i + 1])], axis=0))
    return p


def _with_roots(z: Any) -> Any:
    """`_product_of_factors` of an array, multiplied out in place."""
    p = K.concat([z[:1], z], 0)
    K.fill(p, 0)
    K.fill(p[:1], 1)
    for i in range(z.shape[0]):
        tail = p[1 : i + 2]
        K.subtract(tail, K.multiply(p[: i + 1], z[i : i + 1]), tail)
    return p


def _in_pairs(z: Any) -> bool:
    """Whether with every complex number its conjugate is there."""
    values = (z.detach() if isinstance(z, Tensor) else z).cpu().numpy()
    return bool(np.all(np.sort_complex(values) == np.sort_complex(values.conj())))


def roots(p: Any, /) -> Any:
    """The roots of a polynomial, complex: the eigenvalues of its companion matrix; waits for the device.

    Zeros in front of the coefficients are passed over. Gradients are those of `tg.linalg.eigvals`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.sort(tg.roots(tg.tensor([1.0, -3.0, 2.0])).real)
    tensor([1., 2.])
    """
    p = _coefficients("roots", p)
    if p.dtype.kind in "biu":
        p = cast(p, dtypes.get_default_dtype())
    places = flatnonzero(p.detach() if isinstance(p, Tensor) else p)
    kind = np.dtype(p.dtype.char.upper())
    if not places.size:
        return zeros(0, dtype=kind, device=p.device)
    first, last = int(places[0].item()), int(places[-1].item())
    zero_roots = p.shape[0] - 1 - last
    p = p[first : last + 1]
    n = p.shape[0]
    if n < 2:
        return zeros(zero_roots, dtype=kind, device=p.device)
    top = expand_dims(negative(divide(p[1:], p[:1])), 0)
    companion = concat([top, eye(n - 2, n - 1, dtype=p.dtype, device=p.device)], axis=0) if n > 2 else top
    found = eigvals(companion)
    return concat([found, zeros(zero_roots, dtype=kind, device=p.device)], axis=0) if zero_roots else found


def polyfit(
    x: Any, y: Any, deg: int, rcond: float | None = None, full: bool = False, w: Any = None, cov: bool | str = False
) -> Any:
    """The polynomial of degree ``deg`` that fits points best, by least squares; differentiable in all of them.

    Parameters
    ----------
    x : Tensor
        Shape (n,).
    y : Tensor
        Shape (n,), or (n, k) for k fits at once.
    deg : int
    rcond : float, optional
        Singular values up to ``rcond`` times the largest count as 0; by default n times the spacing of the dtype.
    full : bool
        Return ``(p, residuals, rank, singular_values, rcond)``.
    w : Tensor, optional
        Shape (n,): what the differences are multiplied by.
    cov : bool or "unscaled"
        Return ``(p, covariance)``: scaled so that the differences have the size that they should have, unless
        ``"unscaled"``.

    Returns
    -------
    Tensor
        Shape (deg + 1,) or (deg + 1, k), that of the highest power first.

    Warns
    -----
    RankWarning
        If the points do not determine the polynomial, unless ``full``; the check waits for the device, and is left out
        under `tg.jit`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor([0.0, 1.0, 2.0, 3.0])
    >>> tg.polyfit(x, 2 * x**2 - 1, 2).round(decimals=3) + 0.0
    tensor([ 2.,  0., -1.])
    """
    x, y = lift(x), lift(y)
    if deg < 0:
        raise ValueError(f"polyfit: deg must not be negative, got {deg}")
    if x.ndim != 1 or not x.size or y.ndim not in (1, 2) or x.shape[0] != y.shape[0]:
        raise TypeError(f"polyfit: expected x of shape (n,) and y of shape (n,) or (n, k), got {x.shape} and {y.shape}")
    dtype = dtypes.promote_types(x.dtype, y.dtype)
    if dtype.kind in "biu":
        dtype = dtypes.get_default_dtype()
    x, y = cast(x, dtype), cast(y, dtype)
    limit = x.shape[0] * finfo(dtype).eps if rcond is None else rcond
    rows = vander(x, deg + 1)
    if w is not None:
        w = cast(lift(w, x), dtype)
        if w.ndim != 1 or w.shape[0] != y.shape[0]:
            raise TypeError(f"polyfit: expected weights of shape ({y.shape[0]},), got {w.shape}")
        rows = multiply(rows, expand_dims(w, -1))
        y = multiply(y, expand_dims(w, -1) if y.ndim == 2 else w)
    scale = sqrt(sum(square(abs(rows) if dtype.kind == "c" else rows), axis=0))
    rows = divide(rows, scale)
    found, residuals, rank, singular = lstsq(rows, y, limit)
    p = divide(found, expand_dims(scale, -1) if found.ndim == 2 else scale)
    if full:
        return p, residuals, rank, singular, limit
    if capture.recording() is None and int(rank.item()) != deg + 1:
        warnings.warn("polyfit: the points do not determine the polynomial", np.exceptions.RankWarning, stacklevel=2)
    if not cov:
        return p
    base = inv(matmul(matrix_transpose(conj(rows)), rows))
    base = divide(base, outer(scale, scale))
    factor: Any = 1.0
    if cov != "unscaled":
        freedom = x.shape[0] - (deg + 1)
        if freedom <= 0:
            raise ValueError(f"polyfit: {x.shape[0]} points are too few for the covariance; use cov='unscaled'")
        factor = divide(residuals, freedom)
    return p, multiply(base if y.ndim == 1 else expand_dims(base, -1), factor)
