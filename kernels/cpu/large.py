"""How a plain ufunc runs on an array that is larger than the cache: in pieces, on several threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import pages
from .blocked import get_num_threads, overlaps, pays, walk

__all__ = ["in_pieces", "pair_in_pieces"]

Array = np.ndarray[Any, np.dtype[Any]]

# What four bytes of the result cost, in units of a simple ufunc on four bytes that are in cache; `exp` costs five.
_MEMORY_BOUND = 2
_WORK: dict[Any, int] = {
    **dict.fromkeys((np.sqrt, np.floor_divide, np.remainder, np.divmod, np.modf, np.spacing), 4),
    **dict.fromkeys((np.exp, np.exp2, np.log, np.log2, np.sin, np.cos, np.tanh), 5),
    **dict.fromkeys(
        (
            np.expm1,
            np.log1p,
            np.log10,
            np.tan,
            np.sinh,
            np.cosh,
            np.power,
            np.hypot,
            np.logaddexp,
            np.logaddexp2,
            np.cbrt,
        ),
        8,
    ),
    **dict.fromkeys((np.arcsin, np.arccos, np.arctan, np.arcsinh, np.arccosh, np.arctanh, np.arctan2), 8),
}


def in_pieces(ufunc: np.ufunc) -> Callable[..., Array]:
    """The same function as ``ufunc``, on several threads where the operands are large and simply laid out."""
    work = _WORK.get(ufunc, _MEMORY_BOUND)

    def run(*inputs: Any, out: Array | None = None) -> Array:
        if len(inputs) > ufunc.nin:
            *inputs, out = inputs  # type: ignore[assignment]
        pages.keep()
        large = max((a.nbytes for a in inputs if isinstance(a, np.ndarray)), default=0) // 4
        pieces = _pieces(ufunc, inputs, out) if pays(large, work) else None
        if pieces is None:
            return ufunc(*inputs, out=out)  # type: ignore[no-any-return]
        result, sources, target = pieces

        def task(low: int, high: int, _: int) -> None:
            ufunc(*[s[low:high] if cut else s for s, cut in sources], out=target[low:high])

        rows = target.shape[0]
        walk(task, rows, large // rows, work, ranges=4)
        return result

    return run


def pair_in_pieces(ufunc: np.ufunc) -> Callable[..., tuple[Array, Array]]:
    """`in_pieces` of a ufunc of two results that have the dtype of its operands."""
    work = _WORK[ufunc]

    def run(*inputs: Array) -> tuple[Array, Array]:
        first = inputs[0]
        simple = all(
            a.flags.c_contiguous and (a.shape == first.shape or (a.size == 1 and a.ndim <= first.ndim)) for a in inputs
        )
        if not simple or not pays(first.nbytes // 4, work):
            return ufunc(*inputs)  # type: ignore[no-any-return]
        pages.keep()
        results = pages.empty(first.shape, first.dtype), pages.empty(first.shape, first.dtype)
        one, two = (y.reshape(-1) for y in results)
        flat = [a.reshape(() if a.size == 1 else -1) for a in inputs]

        def task(low: int, high: int, _: int) -> None:
            ufunc(*[a[low:high] if a.ndim else a for a in flat], one[low:high], two[low:high])

        walk(task, first.size, 1, work, ranges=4)
        return results

    return run


def _pieces(
    ufunc: np.ufunc, inputs: Sequence[Any], out: Array | None
) -> tuple[Array, list[tuple[Any, bool]], Array] | None:
    """The result, and inputs and result as the rows to walk over; None where NumPy had better see them whole.

    An input comes with whether it is to be cut: one that is repeated for every row is not.
    """
    arrays = [a for a in inputs if isinstance(a, np.ndarray)]
    shape = np.broadcast_shapes(*[a.shape for a in arrays])
    if not any(a.shape == shape and a.flags.c_contiguous for a in arrays):
        return None  # NumPy chooses the order of the axes by that of the operands
    if out is None:
        given = [
            a.dtype if hasattr(a, "dtype") else np.dtype(bool) if a is True or a is False else type(a) for a in inputs
        ]
        out = pages.empty(shape, ufunc.resolve_dtypes((*given, None))[-1])
    elif out.shape != shape or overlaps(out, tuple(arrays)):
        return None
    if out.flags.c_contiguous and all(a.size == 1 or (a.shape == shape and a.flags.c_contiguous) for a in arrays):
        flat = [
            (a.reshape(() if a.size == 1 else -1), a.size > 1) if isinstance(a, np.ndarray) else (a, False)
            for a in inputs
        ]
        return out, flat, out.reshape(-1)
    if shape[0] < 2 * get_num_threads():
        return None
    return out, [(a, np.ndim(a) == len(shape) and a.shape[0] == shape[0]) for a in inputs], out
