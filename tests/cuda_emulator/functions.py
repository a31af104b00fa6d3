"""The functions of CuPy's main namespace: those that make arrays, and NumPy's on device arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from . import names
from .dispatch import call, call_in_place, in_place, namespace, ufunc, wrap_function
from .ndarray import HostArray, ndarray
from .state import thread_state


def array(
    obj: Any,
    dtype: Any = None,
    copy: bool | None = True,
    order: str = "K",
    subok: bool = False,
    ndmin: int = 0,
    *,
    blocking: bool = False,
) -> ndarray:
    """Make an array on the current device; see ``cupy.array``."""
    if isinstance(obj, ndarray):
        here = obj.data.device_id == thread_state.device
        if here and not copy and (dtype is None or obj.dtype == np.dtype(dtype)):
            same = obj if order in "KA" or obj.flags[f"{order}_contiguous"] else obj.copy(order)
            return _at_least(same, ndmin)
        moved = obj if here else obj.copy()
        moved = call(lambda x: np.array(x, dtype, order=order), (moved,), label="copy")
        return _at_least(moved, ndmin)
    if _holds_device_arrays(obj):
        parts = [array(part, copy=False) for part in obj]
        return _at_least(namespace["stack"](parts).astype(dtype or parts[0].dtype, copy=False), ndmin)
    host = np.asarray(obj, dtype, "C" if order in "KA" else order)  # type: ignore[call-overload]
    return _at_least(ndarray.upload(host), ndmin)


def _holds_device_arrays(obj: Any) -> bool:
    if isinstance(obj, (list, tuple)) and obj:
        return isinstance(obj[0], ndarray) or _holds_device_arrays(obj[0])
    return False


def _at_least(a: ndarray, ndmin: int) -> ndarray:
    return a if a.ndim >= ndmin else a.reshape((1,) * (ndmin - a.ndim) + a.shape)


def asarray(
    a: Any, dtype: Any = None, order: str | None = None, *, copy: Any = None, blocking: bool = False
) -> ndarray:
    """Return an array on the current device, `a` itself if it is one."""
    return array(a, dtype, bool(copy), order or "K", blocking=blocking)


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    """Return a C-contiguous array of at least one dimension."""
    return array(a, dtype, False, "C", ndmin=1)


def asfortranarray(a: Any, dtype: Any = None) -> ndarray:
    """Return a Fortran-contiguous array."""
    return array(a, dtype, False, "F")


def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> HostArray:
    """Return an array on the host."""
    if isinstance(a, ndarray):
        return a.get(stream, order, out, blocking)
    result = np.asarray(a, order="F" if order == "F" else "C")
    if out is None:
        return result
    np.copyto(out, result)
    return out  # type: ignore[no-any-return]


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """Return an array with nothing useful in it."""
    return ndarray(shape, dtype, order=order)


def empty_like(
    prototype: ndarray, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None
) -> ndarray:
    """Return an array like another with nothing useful in it."""
    return ndarray.like(np.empty_like(prototype._values, dtype, order, shape=shape))


def _filled(result: ndarray, value: Any) -> ndarray:
    if result.size:
        result.fill(value)
    return result


def zeros(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """Return an array of zeros."""
    return _filled(empty(shape, dtype, order), 0)


def ones(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """Return an array of ones."""
    return _filled(empty(shape, dtype, order), 1)


def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C") -> ndarray:
    """Return an array of one value."""
    if dtype is None:
        dtype = fill_value.dtype if hasattr(fill_value, "dtype") else np.asarray(fill_value).dtype
    result = empty(shape, dtype, order)
    result[...] = fill_value
    return result


def zeros_like(a: ndarray, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None) -> ndarray:
    """Return zeros like another array."""
    return _filled(empty_like(a, dtype, order, shape=shape), 0)


def ones_like(a: ndarray, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None) -> ndarray:
    """Return ones like another array."""
    return _filled(empty_like(a, dtype, order, shape=shape), 1)


def full_like(
    a: ndarray,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: Any = None,
    shape: Any = None,
) -> ndarray:
    """Return one value like another array."""
    return _filled(empty_like(a, dtype, order, shape=shape), fill_value)


def may_share_memory(a: Any, b: Any, max_work: Any = None) -> bool:
    """Whether two arrays' bounds overlap."""
    if not (isinstance(a, ndarray) and isinstance(b, ndarray)):
        return False
    return bool(np.may_share_memory(a._values, b._values))


def shares_memory(a: Any, b: Any, max_work: Any = None) -> bool:
    """Whether two arrays have an element in common."""
    if not (isinstance(a, ndarray) and isinstance(b, ndarray)):
        return False
    return bool(np.shares_memory(a._values, b._values))


def copyto(dst: ndarray, src: Any, casting: str = "same_kind", where: Any = None) -> None:
    """Copy values into an array."""
    keywords = {"casting": casting}
    if where is None:
        call_in_place(lambda d, s: np.copyto(d, s, **keywords), dst, (src,), label="copyto")
    else:
        call_in_place(lambda d, s, w: np.copyto(d, s, where=w, **keywords), dst, (src, where), label="copyto")


def _dtype_of(value: Any) -> Any:
    return value.dtype if isinstance(value, ndarray) else value


def result_type(*values: Any) -> Any:
    """Return the dtype that NumPy's promotion gives."""
    return np.result_type(*map(_dtype_of, values))


def can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    """Whether a cast is allowed."""
    return bool(np.can_cast(_dtype_of(from_), to, casting))


def get_array_module(*values: Any) -> Any:
    """Return cupy if an argument is a device array, else numpy."""
    if any(isinstance(value, ndarray) for value in values):
        import cupy

        return cupy
    return np


def from_dlpack(array: Any, *, device: Any = None, copy: bool | None = None) -> ndarray:
    """Return a view of another library's device array."""
    from .dlpack import adopt

    return adopt(array)


def scatter_add(a: ndarray, slices: Any, value: Any) -> None:
    """Add to elements, which may repeat, ``cupyx.scatter_add``."""
    call_in_place(np.add.at, a, (slices, value), label="scatter_add")


def scatter_max(a: ndarray, slices: Any, value: Any) -> None:
    """Take maxima of elements, which may repeat, ``cupyx.scatter_max``."""
    call_in_place(np.maximum.at, a, (slices, value), label="scatter_max")


def scatter_min(a: ndarray, slices: Any, value: Any) -> None:
    """Take minima of elements, which may repeat, ``cupyx.scatter_min``."""
    call_in_place(np.minimum.at, a, (slices, value), label="scatter_min")


def special_functions() -> dict[str, Any]:
    """Return ``cupyx.scipy.special``, by SciPy where it is installed."""
    try:
        from scipy import special
    except ImportError:
        return {
            name: ufunc(_from_math(name, function))
            for name, function in {
                "erf": math.erf,
                "erfc": math.erfc,
                "gammaln": math.lgamma,
                "gamma": math.gamma,
            }.items()
        }
    result = {}
    for name in names.SPECIAL:
        function = getattr(special, name)
        result[name] = ufunc(function) if isinstance(function, np.ufunc) else wrap_function(function, name)
    return result


def _from_math(name: str, function: Callable[[float], float]) -> Any:
    python = np.frompyfunc(function, 1, 1)

    class Ufunc:
        __name__, nin, nout, nargs = name, 1, 1, 2

        def __call__(self, x: Any, out: Any = None) -> Any:
            dtype = np.result_type(x, np.float32 if np.asarray(x).itemsize <= 4 else np.float64)
            result = np.asarray(python(x)).astype(dtype)
            if out is None:
                return result
            np.copyto(out, result, casting="same_kind")
            return out

    return Ufunc()


def _diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """NumPy's, but a view that can be written, as CuPy's is."""
    view = np.diagonal(a, offset, axis1, axis2)
    view.flags.writeable = True
    return view


def _fill_namespace() -> None:
    for name in names.UFUNCS:
        namespace[name] = ufunc(getattr(np, name))
    for name in names.FUNCTIONS:
        namespace[name] = wrap_function(getattr(np, name), name)
    namespace["diagonal"] = wrap_function(_diagonal, "diagonal")
    for name in names.IN_PLACE:
        namespace[name] = in_place(name)
    for name in names.PLAIN:
        namespace[name] = getattr(np, name)
    for function in (array, asarray, ascontiguousarray, asfortranarray, asnumpy, empty, empty_like,
                     zeros, ones, full, zeros_like, ones_like, full_like, may_share_memory,
                     shares_memory, copyto, result_type, can_cast, get_array_module,
                     from_dlpack):  # fmt: skip
        namespace[function.__name__] = function
    namespace["asanyarray"] = asarray
    namespace["ndarray"] = ndarray
    namespace["ufunc"] = ufunc


_fill_namespace()
