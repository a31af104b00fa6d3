"""``cupy.linalg`` and ``cupyx.scipy.linalg``, computed by NumPy and SciPy, with the limits of CuPy's.

cuBLAS and cuSOLVER cannot be captured. They report a matrix that they cannot factor in a number on the device, which
CuPy reads, and raises, only inside of ``cupyx.errstate(linalg="raise")``; without, what is in the result means nothing.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import names
from .dispatch import call, wrap_module
from .ndarray import ndarray

_config = threading.local()


@contextlib.contextmanager
def errstate(
    *, divide: Any = None, over: Any = None, under: Any = None, invalid: Any = None, linalg: Any = None
) -> Iterator[None]:
    """``cupyx.errstate``: of its options only ``linalg`` does anything, and it is "ignore" or "raise"."""
    if any(option is not None for option in (divide, over, under, invalid)) or linalg not in (None, "ignore", "raise"):
        raise NotImplementedError
    before = _raises()
    if linalg is not None:
        _config.raises = linalg == "raise"
    try:
        yield
    finally:
        _config.raises = before


def _raises() -> bool:
    return getattr(_config, "raises", False)


def _meaningless(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """NaN in place of results that a device would leave undefined."""
    identity = [np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape) if _square(a) else a for a in args]
    results = function(*identity, **kwargs)
    several = isinstance(results, tuple)
    wrong = [np.full_like(y, np.nan) for y in (results if several else (results,))]
    return tuple(wrong) if several else wrong[0]


def _square(a: Any) -> bool:
    return isinstance(a, np.ndarray) and a.ndim >= 2 and a.shape[-1] == a.shape[-2]


def _routine(function: Callable[..., Any], halves: bool = False) -> Callable[..., Any]:
    """A function of cuSOLVER: CuPy checks its arrays, and its failures only if that is asked for."""
    name = function.__name__

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        for a in args:
            if isinstance(a, ndarray):
                if a.dtype.kind not in "fciub":
                    raise TypeError(f"{name}: no routine for {a.dtype}")
                if a.dtype == np.float16 and not halves:
                    raise TypeError("float16 is unsupported in linalg")
            elif isinstance(a, np.ndarray):
                raise np.linalg.LinAlgError("cupy.linalg only supports cupy.ndarray")
        raises = _raises()

        def computed(*values: Any, **options: Any) -> Any:
            with np.errstate(all="ignore"):
                try:
                    return function(*values, **options)
                except np.linalg.LinAlgError as error:
                    if raises or "must be" in str(error):
                        raise
                    return _meaningless(function, values, options)

        result = call(computed, args, kwargs, label=name, cublas=True, synchronizes=raises)
        return tuple(result) if isinstance(result, tuple) else result

    return wrapper


def cholesky(a: Any) -> Any:
    """The lower factor; there is no ``upper``."""
    return np.linalg.cholesky(a)


def qr(a: Any, mode: str = "reduced") -> Any:
    """As NumPy's."""
    made = np.linalg.qr(a, mode)
    return tuple(made) if isinstance(made, tuple) else made


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """As NumPy's, without ``hermitian``."""
    made = np.linalg.svd(a, full_matrices, compute_uv)
    return tuple(made) if isinstance(made, tuple) else made


def eigh(a: Any, UPLO: str = "L") -> Any:
    """As NumPy's."""
    return tuple(np.linalg.eigh(a, UPLO))


def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """As NumPy's."""
    return np.linalg.eigvalsh(a, UPLO)


def _complex(y: Any) -> Any:
    return y.astype(np.dtype(y.dtype.char.upper()), copy=False)


def eig(a: Any) -> Any:
    """Complex results also where NumPy's are real."""
    return tuple(map(_complex, np.linalg.eig(a)))


def eigvals(a: Any) -> Any:
    """Complex results also where NumPy's are real."""
    return _complex(np.linalg.eigvals(a))


def inv(a: Any) -> Any:
    """As NumPy's."""
    return np.linalg.inv(a)


def solve(a: Any, b: Any) -> Any:
    """As NumPy's, but the batches must be the same."""
    if b.ndim > 1 and a.shape[:-1] != b.shape[:-1]:
        raise ValueError("a must have (..., M, M) shape and b must have (..., M, K) for multidimensional b")
    if b.size == 0 and a.size:
        raise ValueError("cuSOLVER takes no right-hand sides without columns")
    return np.linalg.solve(a, b)


def det(a: Any) -> Any:
    """As NumPy's."""
    return np.linalg.det(a)


def slogdet(a: Any) -> Any:
    """As NumPy's."""
    return tuple(map(np.asarray, np.linalg.slogdet(a)))


def solve_triangular(
    a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False, overwrite_b: bool = False,
    check_finite: bool = False,
) -> Any:  # fmt: skip
    """``cupyx.scipy.linalg.solve_triangular``: batched, but not broadcast; a 0 on the diagonal is not seen."""
    from scipy import linalg

    if a.shape[-1] != a.shape[-2] or a.shape[:-2] != b.shape[: a.ndim - 2] or a.shape[-2] != b.shape[a.ndim - 2]:
        raise ValueError("incompatible dimensions")
    y = np.empty(b.shape, b.dtype)
    for index in np.ndindex(a.shape[:-2]):
        y[index] = linalg.solve_triangular(a[index], b[index], trans, lower, unit_diagonal, check_finite=False)
    return y


def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """``cupyx.scipy.linalg.lu_factor``: one matrix of two axes; 0-based pivots; a warning if it is singular."""
    from scipy import linalg

    if a.ndim != 2:
        raise np.linalg.LinAlgError(f"{a.ndim}-dimensional array given. Array must be two-dimensional")
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        factors, pivots = linalg.lu_factor(a, check_finite=check_finite)
    if np.any(np.diagonal(factors) == 0):
        warnings.warn("Diagonal number is exactly zero. Singular matrix.", RuntimeWarning, stacklevel=2)
    return factors, pivots.astype(np.int32)


_OWN = (cholesky, qr, svd, eig, eigvals, inv, solve, det, slogdet)


def contents() -> dict[str, Any]:
    """What is in ``cupy.linalg``."""
    own = {function.__name__: _routine(function) for function in _OWN}
    own |= {function.__name__: _routine(function, halves=True) for function in (eigh, eigvalsh)}
    return {
        **wrap_module(np.linalg, names.LINALG - set(own), cublas=True),
        **own,
        "LinAlgError": np.linalg.LinAlgError,
    }


def scipy_contents() -> dict[str, Any]:
    """What is in ``cupyx.scipy.linalg``."""
    return {function.__name__: _routine(function) for function in (solve_triangular, lu_factor)}
