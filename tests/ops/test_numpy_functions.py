"""Functions that NumPy has, too, beside NumPy's: values, shapes, dtypes."""

from __future__ import annotations

import ast
import importlib
import inspect
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import to_numpy
from tensorgrad.ops.late import FUNCTIONS

nan, inf = np.nan, np.inf
RNG = np.random.default_rng(0)
A, B, V = RNG.normal(size=(3, 4)), RNG.normal(size=(2, 4)), RNG.normal(size=5)
GAPS = np.where(RNG.random((4, 5)) < 0.3, nan, RNG.normal(size=(4, 5)))
GAPS[2] = nan
N, M = np.array([[3, 1, 2], [7, 1, 0]]), np.array([True, False, True])

CASES: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("append", (A, B), {"axis": 0}),
    ("array", (A,), {"ndmin": 3}),
    ("asarray_chkfinite", (A,), {}),
    ("ascontiguousarray", (A.T,), {}),
    ("ascontiguousarray", (np.array(3.0),), {}),
    ("bitwise_count", (np.array([-128, 127, 0, 1, 5, 100], "int8"),), {}),
    ("bitwise_count", (np.array([-(2**63), 2**63 - 1, 0, -1, 12345]),), {}),
    ("bitwise_count", (np.array([2**64 - 1, 7], "uint64"),), {}),
    ("diag_indices_from", (np.ones((3, 3)),), {}),
    ("ix_", (np.array([0, 2]), np.array([True, False, True])), {}),
    ("matvec", (RNG.normal(size=(5, 2, 3)), RNG.normal(size=3)), {}),
    ("packbits", (A > 0,), {"axis": 1}),
    ("packbits", (np.arange(22) % 3,), {"bitorder": "little"}),
    ("poly", (np.array([1.0, 2, 3]),), {}),
    ("poly", (np.array([1 + 1j, 1 - 1j]),), {}),
    ("poly", (np.array([1j, 2]),), {}),
    ("poly", (RNG.normal(size=(3, 3)),), {}),
    ("poly", (np.array([], "float64"),), {}),
    ("polyadd", (V, V[:2]), {}),
    ("polysub", (V[:1], V), {}),
    ("polymul", (np.array([0, 0, 2.0]), V), {}),
    ("polydiv", (np.convolve(V, V[:2]), V), {}),
    ("polydiv", (V, V[:3]), {}),
    ("polydiv", (V[:2], V[:3]), {}),
    ("polyder", (V,), {"m": 2}),
    ("polyint", (V,), {"m": 2, "k": [1.0, 2.0]}),
    ("polyint", (V,), {"k": 3.0}),
    ("polyval", (V, A), {}),
    ("polyval", (np.array([1, 2]), V + 1j), {}),
    ("real_if_close", (np.array([2.1 + 4e-14j, 5]),), {}),
    ("real_if_close", (np.array([2.1 + 4e-3j, 5]),), {}),
    ("rollaxis", (RNG.normal(size=(2, 3, 4)), 2, 1), {}),
    ("rollaxis", (RNG.normal(size=(2, 3, 4)), 0, -1), {}),
    ("sort_complex", (np.array([2 + 1j, 2 - 1j, 1 + 5j]),), {}),
    ("tril_indices_from", (A,), {"k": 1}),
    ("triu_indices_from", (A,), {"k": -1}),
    ("unpackbits", (np.array([[2, 200], [7, 23]], "uint8"),), {"axis": 0, "bitorder": "little"}),
    ("unpackbits", (np.array([2, 200, 7], "uint8"),), {"count": 30}),
    ("unpackbits", (np.array([2, 200, 7], "uint8"),), {"count": -3}),
    ("vecmat", (A[:, 0] + 1j, A), {}),
    ("append", (A, 2.5), {}),
    ("array_split", (V, 3), {}),
    ("array_split", (A, [1, 3]), {"axis": 1}),
    ("atleast_1d", (np.array(2.0), V), {}),
    ("atleast_2d", (V,), {}),
    ("atleast_3d", (A,), {}),
    ("atleast_3d", (V,), {}),
    ("average", (A,), {"axis": 1, "weights": np.array([1.0, 2, 0, 1])}),
    ("average", (A,), {"weights": np.abs(A), "returned": True}),
    ("block", ([[A, A], [A * 2, A]],), {}),
    ("column_stack", ([A[:, 0], A],), {}),
    ("compress", (M, A), {"axis": 0}),
    ("corrcoef", (A,), {}),
    ("cov", (A, B), {"fweights": np.array([1, 2, 1, 3]), "aweights": np.array([0.5, 1, 2, 1]), "ddof": 0}),
    ("cov", (A,), {"bias": True, "rowvar": False}),
    ("cumulative_sum", (N,), {"axis": 1, "include_initial": True}),
    ("delete", (A, [0, -1]), {"axis": 1}),
    ("delete", (A, slice(None, None, 2)), {}),
    ("delete", (A, M), {"axis": 0}),
    ("diag", (A,), {"k": 1}),
    ("diag", (V,), {"k": -2}),
    ("diagflat", (A,), {}),
    ("diff", (N.astype(bool),), {}),
    ("dstack", ([A, A],), {}),
    ("dot", (A, RNG.normal(size=(2, 4, 3))), {}),
    ("extract", (A > 0, A), {}),
    ("fliplr", (A,), {}),
    ("flipud", (A,), {}),
    ("float_power", (N, 2), {}),
    ("geomspace", (1.0, 1000.0, 4), {"dtype": "float64"}),
    ("gradient", (A,), {}),
    ("gradient", (A, 0.5), {"axis": 1, "edge_order": 2}),
    ("gradient", (V, np.array([0.0, 1, 1.5, 4, 5])), {"edge_order": 2}),
    ("histogram", (A, 4), {"density": True}),
    ("histogram", (N, np.array([0, 1, 3, 8])), {}),
    ("histogram", (A, "doane"), {}),
    ("histogram_bin_edges", (A, "auto"), {}),
    ("histogramdd", (A, 3), {}),
    ("hstack", ([V, V],), {}),
    ("hsplit", (A, 2), {}),
    ("indices", ((2, 3),), {}),
    ("insert", (A, 1, 9.0), {}),
    ("insert", (A, [3, 0], B[0, :2]), {"axis": 1}),
    ("insert", (A, 1, A[:, 0]), {"axis": 1}),
    ("interp", (np.array([-1.0, 0.5, 1, 9]), np.array([0.0, 1, 4]), np.array([2.0, 3, 1])), {"left": -5.0}),
    ("interp", (np.array([-1.0, 0.5, 9]), np.array([2.0, 0, 1]), np.array([2.0, 3, 1])), {"period": 3.0}),
    ("isclose", (np.array([1.0, nan, inf, 2]), np.array([1.0 + 1e-9, nan, inf, 3])), {"equal_nan": True}),
    ("lexsort", (N,), {}),
    ("logspace", (0.0, 3.0, 5), {"base": 2.0, "dtype": "float64"}),
    ("median", (A,), {"axis": (0, 1), "keepdims": True}),
    ("modf", (np.array([1.5, -2.25, inf]),), {}),
    ("nan_to_num", (np.array([nan, inf, -inf, 1.0]),), {"nan": 3.0, "posinf": 4.0}),
    ("nanargmax", (GAPS[:2],), {"axis": 1}),
    ("nanargmin", (np.array([inf, nan, inf]),), {}),
    ("nancumsum", (GAPS,), {"axis": 0}),
    ("nancumprod", (GAPS,), {}),
    ("nanmax", (GAPS,), {"axis": 1}),
    ("nanmean", (GAPS,), {"axis": 1}),
    ("nanmedian", (GAPS,), {"axis": 0}),
    ("nanmin", (N,), {"axis": 0}),
    ("nanprod", (GAPS,), {"axis": 1}),
    ("nanquantile", (GAPS, [0.25, 0.5]), {"axis": 1, "method": "weibull"}),
    ("nanvar", (GAPS + 1j * GAPS[:, ::-1],), {"axis": 0}),
    ("nan_to_num", (GAPS + 2j,), {"nan": 1.5}),
    ("interp", (np.array([0.5, 1.0]), np.array([0.0, 1, 4]), np.array([2.0 + 1j, 3, 1j])), {}),
    ("cumprod", (A + 1j,), {"axis": 1}),
    ("nanstd", (GAPS,), {"axis": 1, "keepdims": True}),
    ("nansum", (GAPS,), {"axis": 0}),
    ("percentile", (A, 30.0), {"axis": 0}),
    ("piecewise", (A, [A < 0, A > 1], [-1.0, 1.0, 0.5]), {}),
    ("ptp", (N,), {"axis": 0}),
    ("ravel_multi_index", ((np.array([0, 1]), np.array([5, -1])), (2, 3)), {"mode": "wrap"}),
    ("resize", (N, (3, 3)), {}),
    ("rot90", (A, 3), {}),
    ("select", ([A < -1, A > 0], [A, A * A], 7.0), {}),
    ("spacing", (V,), {}),
    ("trapezoid", (A, np.array([0.0, 1, 3, 4])), {}),
    ("tri", (3, 4, 1), {"dtype": "float64"}),
    ("trim_zeros", (np.array([0, 1, 0, 2, 0, 0]),), {}),
    ("unravel_index", (np.array([1, 5]), (2, 3)), {}),
    ("vsplit", (A, [1]), {}),
    ("vstack", ([V, V],), {}),
]  # fmt: skip
for _method in (
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull",
    "linear", "median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest",
):  # fmt: skip
    CASES.append(("quantile", (V, np.array([0.0, 0.1, 0.5, 0.6, 1.0])), {"method": _method}))
    CASES.append(("nanquantile", (GAPS, 0.35), {"axis": 1, "method": _method}))


def placed(value: Any, device: str) -> Any:
    if isinstance(value, np.ndarray):
        return tg.tensor(value, device=device)
    if isinstance(value, (list, tuple)):
        return type(value)(placed(v, device) for v in value)
    return value


def compare(found: Any, wanted: Any) -> None:
    if isinstance(wanted, (tuple, list)):
        assert len(found) == len(wanted)
        for first, second in zip(found, wanted, strict=True):
            compare(first, second)
        return
    value, wanted = to_numpy(found._data), np.asarray(wanted)
    assert value.shape == wanted.shape
    assert value.dtype.kind == wanted.dtype.kind
    np.testing.assert_allclose(value, wanted, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda i: f"{CASES[i][0]}-{i}")
def test_numpy(case, device):
    name, args, options = CASES[case]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = getattr(np, name)(*args, **options)
    made = [n for n in ("geomspace", "logspace", "tri", "indices") if n == name]
    found = getattr(tg, name)(*placed(args, device), **placed(options, device) | ({"device": device} if made else {}))
    compare(found, wanted)


@pytest.mark.parametrize(("n", "m", "k"), [(3, 4, 1), (4, 2, -1), (0, 3, 0), (3, None, 5)])
def test_indices_of_triangles(n, m, k, device):
    compare(tg.tril_indices(n, m, k, device=device), np.tril_indices(n, k, m))
    compare(tg.triu_indices(n, m, k, device=device), np.triu_indices(n, k, m))


def test_fill_diagonal(device):
    for shape, wrap in (((3, 3), False), ((6, 2), True), ((2, 5), False), ((2, 2, 2), False)):
        x, y = np.zeros(shape), tg.zeros(shape, dtype="float64", device=device)
        np.fill_diagonal(x, [1.0, 2.0], wrap)
        tg.fill_diagonal(y, [1.0, 2.0], wrap)
        compare(y, x)
    y = tg.zeros(2, 3, device=device).T
    tg.fill_diagonal(y, 1)
    assert y.tolist() == [[1, 0], [0, 1], [0, 0]]


def test_distances(device):
    from scipy.spatial.distance import cdist

    x, y = tg.tensor(A, device=device), tg.tensor(B, device=device)
    for p in (0.5, 1.0, 2.0, 3.0, inf):
        wanted = cdist(A, B, "minkowski", p=p) if p < inf else cdist(A, B, "chebyshev")
        compare(tg.cdist(x, y, p), wanted)
    z = tg.tensor(A, device=device, requires_grad=True)
    tg.cdist(z, z).sum().backward()
    assert np.isfinite(to_numpy(z.grad._data)).all()


def test_infinities_stay_in_order_statistics():
    x = tg.tensor([inf, inf, 1.0])
    assert tg.quantile(x, 0.75).item() == inf
    assert tg.nanmedian(tg.tensor([inf, nan, inf])).item() == inf


def test_no_gradient_flows_to_nan(device):
    for name in ("nansum", "nanmean", "nanvar", "nanstd", "nanmax", "nanprod"):
        x = tg.tensor(GAPS, device=device, requires_grad=True)
        getattr(tg, name)(x, 1).sum().backward()
        grad = to_numpy(x.grad._data)
        assert (grad[np.isnan(GAPS)] == 0).all(), name
        assert np.isfinite(grad).all(), name


def test_late_functions_are_those_that_their_files_export():
    tree = ast.parse((Path(inspect.getfile(tg)).parent / "__init__.py").read_text())
    (typed,) = (node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    whole = {
        node.module[4:]
        for node in ast.walk(typed)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ops.")
    }
    assert whole == set(FUNCTIONS.values())
    for name, file in FUNCTIONS.items():
        assert name in importlib.import_module(f"tensorgrad.ops.{file}").__all__
    for name in FUNCTIONS:
        function = getattr(tg, name)
        assert callable(function) or name in ("c_", "index_exp", "mgrid", "ogrid", "r_", "s_")
        assert inspect.getdoc(function), name
        assert name in dir(tg)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tg.pad(tg.ones(2), ((1, 1), (1, 1))), "pad_width"),
        (lambda: tg.pad(tg.ones(2), 1, "mirror"), "mirror"),
        (lambda: tg.pad(tg.ones(0), 1, "edge"), r"axis 0 of shape \(0,\)"),
        (lambda: tg.quantile(tg.ones(2), 1.5), "between 0 and 1"),
        (lambda: tg.quantile(tg.ones(2), 0.5, method="best"), "method"),
        (lambda: tg.scatter_reduce(tg.ones(2), 0, tg.tensor([0]), tg.ones(1), "max"), "reduce"),
        (lambda: tg.index_add(tg.ones(2, 3), 1, tg.tensor([0]), tg.ones(2, 2)), r"1 slices of \(2, 3\)"),
        (lambda: tg.unfold(tg.ones(3), 0, 4), r"size 4 .*\(3,\)"),
        (lambda: tg.kthvalue(tg.ones(3), 4), "size 3"),
        (lambda: tg.gradient(tg.ones(1)), "samples"),
        (lambda: tg.interp(tg.ones(1), tg.ones(2), tg.ones(3)), r"\(2,\) and \(3,\)"),
        (lambda: tg.histogram(tg.ones(3), 0), "at least one bin"),
        (lambda: tg.cdist(tg.ones(2, 3), tg.ones(2, 4)), r"\(2, 3\) and \(2, 4\)"),
        (lambda: tg.bincount(tg.tensor([-1])), "negative"),
        (lambda: tg.hsplit(tg.tensor(1.0), 1), "axes"),
        (lambda: tg.ix_([[1]]), r"sequence 0 must have one axis, got shape \(1, 1\)"),
        (lambda: tg.diag_indices_from(tg.ones(2, 3)), r"\(2, 3\)"),
        (lambda: tg.tril_indices_from(tg.ones(2)), r"needs a matrix, got shape \(2,\)"),
        (lambda: tg.rollaxis(tg.ones(2, 3), 0, 4), "start 4"),
        (lambda: tg.mgrid[3], "mgrid: expected slices, got 3"),
        (lambda: tg.matvec(tg.ones(2, 3), tg.ones(2)), r"got \(2, 3\) and \(2,\)"),
        (lambda: tg.vecmat(tg.ones(2), tg.ones(3, 2)), r"got \(2,\) and \(3, 2\)"),
        (lambda: tg.asarray_chkfinite([1.0, inf]), "infinite numbers or NaN"),
        (lambda: tg.bitwise_count(tg.ones(2)), "expected integers, got float32"),
        (lambda: tg.packbits(tg.ones(2)), "expected booleans or integers, got float32"),
        (lambda: tg.unpackbits(tg.tensor([1])), "expected uint8, got int64"),
        (lambda: tg.unpackbits(tg.tensor([1], dtype="uint8"), count=-9), "count -9"),
        (lambda: tg.packbits(tg.tensor([1]), bitorder="middle"), "bitorder"),
        (lambda: tg.copyto(tg.tensor([1]), tg.tensor([0.5])), "cannot cast from float32 to int64"),
        (lambda: tg.place(tg.ones(2), tg.tensor([True, False]), []), "nothing to write at 1 places"),
        (lambda: tg.putmask(tg.ones(2), tg.tensor([True]), 1), r"mask of shape \(1,\)"),
        (lambda: tg.unravel_index(tg.tensor([6]), (2, 3)), r"out of range for a tensor of shape \(2, 3\)"),
        (lambda: tg.unravel_index(tg.tensor([-1]), (2, 3)), "out of range"),
        (lambda: tg.polyder(tg.ones(2), -1), "must not be negative"),
        (lambda: tg.polyval(tg.ones(2, 2), 1.0), r"got shape \(2, 2\)"),
        (lambda: tg.polyint(tg.ones(2), 3, k=[1.0, 2.0]), "3 integrations"),
        (lambda: tg.polyfit(tg.ones(2), tg.ones(3), 1), r"got \(2,\) and \(3,\)"),
        (lambda: tg.polyfit(tg.arange(3.0), tg.ones(3), 2, cov=True), "3 points are too few"),
        (lambda: tg.poly(tg.ones(2, 3)), r"got shape \(2, 3\)"),
        (lambda: tg.apply_along_axis(tg.sum, 0, tg.ones(2, 0)), "there is no line along axis 0"),
        (lambda: tg.apply_over_axes(lambda x, axis: x.sum(), tg.ones(2, 3), 0), "must keep the axes"),
    ],
)  # fmt: skip
def test_errors(call, message):
    with pytest.raises((ValueError, IndexError, TypeError), match=message):
        call()


def test_windows_cannot_be_written():
    x = tg.ones(4, requires_grad=True) * 1
    with pytest.raises((ValueError, RuntimeError)):
        tg.unfold(x, 0, 2)[0] = 0


@pytest.mark.parametrize(("shape", "axis"), [((0,), None), ((2, 0), 1), ((0, 3), 0)])
def test_bits_of_no_bytes_are_zeros(shape, axis, device):
    x = tg.zeros(shape, dtype="uint8", device=device)
    bits = tg.unpackbits(x, axis=axis, count=11)
    wanted = (11,) if axis is None else tuple(11 if i == axis else n for i, n in enumerate(shape))
    assert bits.shape == wanted
    assert not bits.any()
