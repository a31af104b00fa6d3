"""Signals: convolution and correlation of two of them, phases without jumps, and windows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import dtypes
from .. import kernels as K
from ..backend import empty as empty_array
from ..backend import resolve_device
from ..errors import integer, is_integer
from ..tensor import Tensor
from .complex_parts import conj
from .cumulative import cumsum, diff
from .definition import Function, alone, is_tensor, lift, on_values, primitive
from .elementwise import abs, add, equal, less, logical_and, logical_not, multiply, remainder, subtract
from .joining import atleast_1d
from .memory import cast, ones, zeros_like
from .reduction import single_axis
from .shape import concat, flip

__all__ = [
    "bartlett", "bartlett_window", "blackman", "blackman_window", "convolve", "correlate", "hamming", "hamming_window",
    "hann_window", "hanning", "kaiser", "kaiser_window", "unwrap",
]  # fmt: skip

# Some points of a full convolution. Each gradient is again some points of one, with the other operand reversed.
_points: Function = primitive(
    "convolve",
    K.convolve,
    lambda g, x_shape, w, start: _points(g, flip(w), w.shape[-1] - 1 - start, x_shape[-1]),
    lambda g, x, w_shape, start: _points(g, flip(x), x.shape[-1] - 1 - start, w_shape[-1]),
)


def _two_lines(name: str, a: Any, v: Any) -> tuple[Any, Any]:
    """Two operands with one axis, not empty, in the dtype in which they meet."""
    if (
        isinstance(a, Tensor)
        and isinstance(v, Tensor)
        and a._data.dtype is v._data.dtype
        and a._data.ndim == v._data.ndim == 1
        and a._data.size
        and v._data.size
    ):
        return a, v
    a = lift(a, v) if is_tensor(v) else lift(a)
    v = lift(v, a)
    a, v = atleast_1d(a), atleast_1d(v)
    if a.ndim != 1 or v.ndim != 1 or not a.size or not v.size:
        raise ValueError(f"{name}: expected two operands with one axis, not empty, got shapes {a.shape} and {v.shape}")
    dtype = dtypes.promote_types(a.dtype, v.dtype)
    return cast(a, dtype), cast(v, dtype)


def _sized(name: str, a: Any, v: Any, mode: str, left: int) -> Any:
    """The points of a mode; of those that ``same`` leaves out, ``left`` stand before it."""
    n, m = a.shape[0], v.shape[0]
    if mode == "full":
        return _points(a, v, 0, n + m - 1)
    if mode == "same":
        return _points(a, v, left, max(n, m))
    if mode == "valid":
        return _points(a, v, min(n, m) - 1, max(n, m) - min(n, m) + 1)
    raise ValueError(f"{name}: mode must be 'full', 'same' or 'valid', got {mode!r}")


def convolve(a: Any, v: Any, /, mode: str = "full") -> Any:
    r"""The convolution of two sequences, :math:`y_i = \sum_k a_{i-k} v_k`, which are 0 outside.

    Parameters
    ----------
    a, v : Tensor
        With one axis, of n and m elements.
    mode : "full", "same" or "valid"
        All n + m - 1 points at which they overlap; the max(n, m) in the middle; those where one lies within the other.

    Raises
    ------
    ValueError
        If an operand is empty or has more than one axis.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.convolve(tg.tensor([1.0, 2.0, 3.0]), tg.tensor([0.0, 1.0, 0.5]))
    tensor([0. , 1. , 2.5, 4. , 1.5])
    """
    a, v = _two_lines("convolve", a, v)
    return _sized("convolve", a, v, mode, (min(a.shape[0], v.shape[0]) - 1) // 2)


def correlate(a: Any, v: Any, /, mode: str = "valid") -> Any:
    r"""The cross-correlation of two sequences, :math:`y_k = \sum_i a_{i+k} \overline{v_i}`, which are 0 outside.

    Parameters
    ----------
    a, v : Tensor
        With one axis, of n and m elements.
    mode : "valid", "same" or "full"
        As for `convolve`. The points begin, for ``"full"``, at k = 1 - m.

    Raises
    ------
    ValueError
        If an operand is empty or has more than one axis.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.correlate(tg.tensor([1.0, 2.0, 3.0]), tg.tensor([0.0, 1.0, 0.5]), mode="full")
    tensor([0.5, 2. , 3.5, 3. , 0. ])
    """
    a, v = _two_lines("correlate", a, v)
    short = min(a.shape[0], v.shape[0])
    left = short // 2 if a.shape[0] < v.shape[0] else (short - 1) // 2
    turned = Tensor(v._data[::-1]) if alone(a, v) and v.dtype.kind != "c" else flip(conj(v))
    return _sized("correlate", a, turned, mode, left)


def unwrap(p: Any, discont: float | None = None, axis: int = -1, *, period: float = 2 * math.pi) -> Any:
    """``p`` with whole periods added so that neighbours along an axis differ by half a period at most.

    Parameters
    ----------
    p : Tensor
    discont : float, optional
        Differences up to this one are left, if it is more than half a period.
    axis : int
    period : float
        For integers, an int leaves them integers.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.unwrap(tg.tensor([0, 1, 2, -1, 0]), period=4)
    tensor([0, 1, 2, 3, 4])
    """
    p = lift(p)
    whole = p.dtype.kind in "iu" and is_integer(period)
    period = integer(period, "period", "unwrap") if whole else period
    if not dtypes.is_floating(p.dtype) and not whole:
        p = cast(p, dtypes.get_default_dtype())
    place = single_axis("unwrap", axis, p.ndim)
    return on_values(lambda p: _unwrapped(p, discont, place, period, whole), p)


def _unwrapped(p: Any, discont: float | None, place: int, period: float, whole: bool) -> Any:
    change = diff(p, axis=place)
    if whole:
        high, rest = divmod(period, 2)
        ambiguous = not rest
    else:
        high, ambiguous = period / 2, True
    low = -(period // 2) if whole else -high
    turned = add(remainder(subtract(change, low), period), low)
    if ambiguous:
        turned = add(turned, multiply(cast(logical_and(equal(turned, low), less(0, change)), turned.dtype), period))
    fix = subtract(turned, change)
    limit = high if discont is None else max(discont, period / 2)
    fix = multiply(fix, cast(logical_not(less(abs(change), limit)), fix.dtype))
    first = (slice(None),) * place
    return concat([p[(*first, slice(0, 1))], add(p[(*first, slice(1, None))], cumsum(fix, axis=place))], axis=place)


def _filled(x: Any, value: Any) -> Any:
    return add(zeros_like(x), value)


# -------------------------------------------------------------------------------------------------------------- windows
def _finished(name: str, y: Any, dtype: Any, requires_grad: bool = False) -> Tensor:
    kind = dtypes.get_default_dtype() if dtype is None else dtypes.dtype_of(dtype)
    if not dtypes.is_floating(kind):
        raise TypeError(f"{name}: a window has a floating dtype, got {kind}")
    made: Tensor = cast(y, kind)
    if requires_grad:
        made.requires_grad = True
    return made


def _formed(M: int, device: Any, reach: float, formula: Callable[[Any], Any]) -> Tensor:
    """``formula(t)`` at ``M`` points from 0 to ``reach``, both included; 1 if there is one only."""
    if M <= 1:
        return ones(max(M, 0), dtype="float64", device=device)
    places = empty_array((M,), dtypes.float64, resolve_device(device))
    K.arange(places, 0, reach / (M - 1))
    return Tensor(formula(places))


def _sum_of_cosines(M: int, device: Any, *weights: float) -> Tensor:
    """``weights[0] - weights[1] cos(t) + weights[2] cos(2t) - ...`` at ``M`` points of a period, both ends included."""

    def formula(t: Any) -> Any:
        y: Any = weights[0]
        for k, weight in enumerate(weights[1:], 1):
            y = K.add(K.multiply(K.cos(K.multiply(t, k) if k > 1 else t), -weight if k % 2 else weight), y)
        return y

    return _formed(M, device, 2 * math.pi, formula)


def _triangle(M: int, device: Any) -> Tensor:
    return _formed(M, device, 2.0, lambda t: K.subtract(1.0, K.absolute(K.subtract(t, 1.0))))


def _bessel(M: int, beta: float, device: Any) -> Tensor:
    def formula(t: Any) -> Any:
        t = K.subtract(t, 1.0)
        top = K.sqrt(K.multiply(K.subtract(1.0, t), K.add(1.0, t)))
        largest = K.copy(t[:1])
        K.fill(largest, beta)
        return K.divide(K.i0(K.multiply(top, beta)), K.i0(largest))

    return _formed(M, device, 2.0, formula)


def bartlett(M: int, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Bartlett's window: a triangle of ``M`` points, 0 at both ends.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.bartlett(5)
    tensor([0. , 0.5, 1. , 0.5, 0. ])
    """
    return _finished("bartlett", _triangle(M, device), dtype)


def blackman(M: int, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Blackman's window, ``0.42 - 0.5 cos(t) + 0.08 cos(2t)`` at ``M`` points of a period.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.blackman(5).round(decimals=2)
    tensor([-0.  ,  0.34,  1.  ,  0.34, -0.  ])
    """
    return _finished("blackman", _sum_of_cosines(M, device, 0.42, 0.5, 0.08), dtype)


def hamming(M: int, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Hamming's window, ``0.54 - 0.46 cos(t)`` at ``M`` points of a period.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.hamming(3)
    tensor([0.08, 1.  , 0.08])
    """
    return _finished("hamming", _sum_of_cosines(M, device, 0.54, 0.46), dtype)


def hanning(M: int, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Hann's window, ``0.5 - 0.5 cos(t)`` at ``M`` points of a period.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.hanning(5)
    tensor([0. , 0.5, 1. , 0.5, 0. ])
    """
    return _finished("hanning", _sum_of_cosines(M, device, 0.5, 0.5), dtype)


def kaiser(M: int, beta: float, /, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Kaiser's window, ``i0(beta * sqrt(1 - t**2)) / i0(beta)`` at ``M`` points from -1 to 1.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.kaiser(3, 0.0)
    tensor([1., 1., 1.])
    """
    return _finished("kaiser", _bessel(M, beta, device), dtype)


def _periodic(name: str, window: Any, window_length: int, periodic: bool) -> Any:
    """A window of PyTorch's: if ``periodic``, one point more is made and left out."""
    if window_length < 0:
        raise RuntimeError(f"{name}: window_length must not be negative, got {window_length}")
    if not periodic or window_length <= 1:
        return window(window_length)
    return window(window_length + 1)[:-1]


def bartlett_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`bartlett`, by default for a period: as many points of a window with one more.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.bartlett_window(4)
    tensor([0. , 0.5, 1. , 0.5])
    """
    y = _periodic("bartlett_window", lambda M: _triangle(M, device), window_length, periodic)
    return _finished("bartlett_window", y, dtype, requires_grad)


def blackman_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`blackman`, by default for a period: as many points of a window with one more.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.blackman_window(2).round(decimals=2)
    tensor([-0.,  1.])
    """
    name = "blackman_window"
    y = _periodic(name, lambda M: _sum_of_cosines(M, device, 0.42, 0.5, 0.08), window_length, periodic)
    return _finished(name, y, dtype, requires_grad)


def hann_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`hanning`, by default for a period: as many points of a window with one more.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.hann_window(4)
    tensor([0. , 0.5, 1. , 0.5])
    """
    y = _periodic("hann_window", lambda M: _sum_of_cosines(M, device, 0.5, 0.5), window_length, periodic)
    return _finished("hann_window", y, dtype, requires_grad)


def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``alpha - beta cos(t)``, by default for a period: as many points of a window with one more.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.hamming_window(2)
    tensor([0.08, 1.  ])
    """
    y = _periodic("hamming_window", lambda M: _sum_of_cosines(M, device, alpha, beta), window_length, periodic)
    return _finished("hamming_window", y, dtype, requires_grad)


def kaiser_window(
    window_length: int,
    periodic: bool = True,
    beta: float = 12.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`kaiser`, by default for a period: as many points of a window with one more.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.kaiser_window(2, beta=0.0)
    tensor([1., 1.])
    """
    y = _periodic("kaiser_window", lambda M: _bessel(M, beta, device), window_length, periodic)
    return _finished("kaiser_window", y, dtype, requires_grad)
