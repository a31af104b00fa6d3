"""Every function that NumPy has under the same name, on arrays of many layouts and dtypes, against NumPy.

The functions are found in the namespace. Each must take one of the argument lists below, or stand in `ELSEWHERE`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tensorgrad as tg

# Functions whose arguments are shapes, dtypes, files, functions or subscripts, and those that differ from NumPy's on
# purpose: equal elements keep their order in argsort, unique values are sorted, integers and Python floats become
# float32 in reciprocal, trapezoid and interp, put and fill_diagonal return something, setxor1d takes no flag by
# position. They have tests of their own.
ELSEWHERE = {
    "apply_along_axis", "apply_over_axes", "arange", "argsort", "array", "asarray", "astype", "bartlett",
    "blackman", "block", "broadcast_arrays", "broadcast_shapes", "broadcast_to", "can_cast", "choose", "copy",
    "copyto", "cross", "diag_indices", "dsplit", "einsum", "einsum_path", "empty", "empty_like", "eye",
    "fill_diagonal", "from_dlpack", "frombuffer", "fromfunction", "fromiter", "full", "geomspace", "hamming",
    "hanning", "histogram2d", "histogramdd", "identity", "indices", "interp", "isdtype", "kaiser", "linspace",
    "load", "logspace", "mask_indices", "ones", "piecewise", "place", "polydiv", "polyfit", "promote_types",
    "put", "put_along_axis", "putmask", "ravel_multi_index", "reciprocal", "reshape", "result_type", "roots",
    "save", "select", "set_printoptions", "setxor1d", "spacing", "trapezoid", "tri", "tril_indices", "triu_indices",
    "unique_values", "unpackbits", "unravel_index", "vander", "vecmat", "zeros",
}  # fmt: skip
LAYOUTS = {
    "plain": lambda x: x,
    "strided": lambda x: np.repeat(x, 2, -1)[..., ::2],
    "backwards": lambda x: x[..., ::-1].copy()[..., ::-1],
    "transposed": lambda x: x.T.copy().T,
}


def is_function(x: Any) -> bool:
    return callable(x) and not isinstance(x, type)


NAMES = sorted(
    n for n in dir(tg) if not n.startswith("_") and is_function(getattr(tg, n)) and is_function(getattr(np, n, None))
)


def arguments(rows: int, columns: int, layout: str, dtype: str) -> Iterator[tuple[Any, ...]]:
    """Argument lists, from simple to rare."""
    rng = np.random.default_rng(rows + 7 * columns)
    laid = LAYOUTS[layout]
    kind = np.dtype(dtype).kind

    def made(*shape: int) -> Any:
        values = rng.uniform(0.1, 0.9, shape) if kind in "fc" else rng.integers(1, 9, shape)
        return laid((values + (0.5j * rng.uniform(0.1, 0.9, shape) if kind == "c" else 0)).astype(dtype))

    x, y, matrix = made(columns), made(columns), made(rows, columns)
    whole = laid(rng.integers(1, 9, columns))
    yield from [(x,), (x, y), (matrix,), (matrix, matrix), (matrix, y), (whole,), (whole, whole), (x, 2), (x, 0.5)]
    yield from [(matrix, 0), (matrix, 1), (matrix, -1), (x > 0.5, x, y), (x > 0.5, x), (x, 0.2, 0.8)]
    yield from [([x, y],), (x, whole % columns), (matrix, (1, 0)), (matrix, 0, 1), (made(rows, rows),)]


def to_tensors(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        y = tg.asarray(x)
        assert y.numpy().strides == x.strides or not x.flags.writeable
        return y
    return [to_tensors(v) for v in x] if isinstance(x, list) else x


def flat(x: Any) -> list[Any]:
    return [v for part in x for v in flat(part)] if isinstance(x, (tuple, list)) else [np.asarray(x)]


def called(function: Any, args: Any) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return flat(function(*args))
    except Exception:
        return None


def compared(name: str, rows: int, columns: int, layout: str, dtype: str) -> int:
    """Compare all calls that both libraries answer; how many there were."""
    count = 0
    for args in arguments(rows, columns, layout, dtype):
        wanted = called(getattr(np, name), args)
        found = None if wanted is None else called(getattr(tg, name), [to_tensors(a) for a in args])
        if wanted is None or found is None or any(w.dtype.kind == "O" for w in wanted):
            continue
        count += 1
        assert len(found) == len(wanted)
        for y, w in zip(found, wanted, strict=True):
            assert y.shape == w.shape
            coarse = dtype in ("float32", "int64") or y.dtype in (np.float32, np.complex64)
            np.testing.assert_allclose(y, w, rtol=2e-4 if coarse else 1e-9, atol=2e-6 if coarse else 1e-12)
    return count


@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("name", [n for n in NAMES if n not in ELSEWHERE])
@given(
    st.integers(1, 4),
    st.integers(2, 6),
    st.sampled_from(list(LAYOUTS)),
    st.sampled_from(["float32", "float64", "int64"]),
)
def test_like_numpy(name, rows, columns, layout, dtype):
    compared(name, rows, columns, layout, dtype)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ELSEWHERE])
def test_every_function_has_a_case(name):
    assert compared(name, 3, 4, "plain", "float64"), "give the new function a list in arguments(), or a test of its own"


def test_what_stands_elsewhere_exists():
    assert {n for n in ELSEWHERE if not hasattr(tg, n)} <= {"array"}
