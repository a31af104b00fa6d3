"""Dtypes and promotion, against the array API standard's tables written out here."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import dtypes

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float16", "float32", "float64"]
COMPLEX = ["complex64", "complex128"]
ALL = ["bool", *INTEGERS, *FLOATS, *COMPLEX]

SIGNED = ["int8", "int16", "int32", "int64"]
UNSIGNED = ["uint8", "uint16", "uint32", "uint64"]


def expected(first: str, second: str) -> str | None:
    """The standard's promotion table; across kinds, integers give way. None: the standard has no rule."""
    if first == second:
        return first
    kinds = [
        ("bool", "integer", "float", "complex")[
            next(i for i, g in enumerate((["bool"], INTEGERS, FLOATS, COMPLEX)) if d in g)
        ]
        for d in (first, second)
    ]
    if kinds[0] == kinds[1] == "integer":
        for family in (SIGNED, UNSIGNED):
            if first in family and second in family:
                return family[max(family.index(first), family.index(second))]
        signed, unsigned = sorted((first, second), key=lambda d: d in UNSIGNED)
        wider = max(SIGNED.index(signed), UNSIGNED.index(unsigned) + 1)
        return SIGNED[wider] if wider < 4 else None
    if kinds[0] == kinds[1]:
        return max(first, second, key=lambda d: int("".join(filter(str.isdigit, d))))
    order = ("bool", "integer", "float", "complex")
    low, high = sorted((first, second), key=lambda d: order.index(kinds[(first, second).index(d)]))
    if set(kinds) == {"float", "complex"}:
        return "complex128" if low == "float64" else high
    return high


@pytest.mark.parametrize("first", ALL)
def test_promotion(first):
    for second in ALL:
        wanted = expected(first, second)
        if wanted is None:
            continue
        found = dtypes.promote_types(np.dtype(first), np.dtype(second))
        assert found == wanted, (first, second)
        a, b = tg.ones(2, dtype=first), tg.ones(2, dtype=second)
        if wanted != "bool":
            assert (a + b).dtype == wanted, (first, second)
            assert (b * a).dtype == wanted, (first, second)
        assert tg.where(tg.tensor(True), a, b).dtype == wanted
        assert tg.concat([a, b]).dtype == wanted
        assert tg.result_type(a, b) == wanted


def test_bfloat16():
    pytest.importorskip("ml_dtypes")
    x = tg.ones(2, dtype=tg.bfloat16)
    assert (x + x).dtype == tg.bfloat16
    assert (x * 2.5).dtype == tg.bfloat16
    assert (2 - x).dtype == tg.bfloat16
    assert (x + tg.tensor([1, 2])).dtype == tg.bfloat16
    assert (x + tg.ones(2)).dtype == tg.float32
    assert (x + tg.ones(2, dtype=tg.float16)).dtype == tg.float32
    assert (x @ x).dtype == tg.bfloat16
    assert tg.zeros(2, dtype="bfloat16").dtype == tg.bfloat16
    x += 0.5
    x[0] = 3.0
    assert x.tolist() == [3, 1.5]
    assert x.dtype == tg.bfloat16
    assert tg.clip(x, 0, 2).dtype == tg.bfloat16
    assert tg.where(tg.tensor([True, False]), x, 0.5).dtype == tg.bfloat16
    assert dtypes.is_floating(x.dtype)
    y = x.detach()
    y.requires_grad = True
    (y * y * 0.5).sum().backward()
    assert y.grad.dtype == tg.bfloat16
    assert y.grad.tolist() == [3, 1.5]


@pytest.mark.parametrize("dtype", ["bool", *INTEGERS, *FLOATS, *COMPLEX])
def test_python_scalars_keep_the_dtype(dtype, device):
    x = tg.ones(2, dtype=dtype, device=device)
    kept = [(1, dtype)] if dtype != "bool" else [(1, "int64")]
    if dtype in FLOATS or dtype in COMPLEX:
        kept.append((0.5, dtype))
    else:
        kept.append((0.5, "float32"))
    for scalar, wanted in kept:
        for op in (operator.add, operator.sub, operator.mul):
            assert op(x, scalar).dtype == wanted, (op, scalar)
            assert op(scalar, x).dtype == wanted, (op, scalar)
        if dtype not in COMPLEX:
            assert tg.maximum(x, scalar).dtype == wanted
        assert tg.result_type(x, scalar) == wanted
    assert (x == 1).dtype == tg.bool
    if dtype not in COMPLEX:
        assert (x < 0.5).dtype == tg.bool


def test_types_of_dtypes_beside_tensors_and_arrays(device):
    x = tg.ones(3, dtype="float64", device=device)
    for other in (x, x._data, tg.float64):
        assert tg.result_type(tg.float32, other) == tg.float64
        assert tg.result_type(other, tg.float32) == tg.float64
    assert tg.result_type(tg.int8, tg.int8) == tg.int8


def test_complex_scalars():
    assert (tg.ones(2) + 1j).dtype == tg.complex64
    assert (tg.ones(2, dtype=tg.float64) * 1j).dtype == tg.complex128
    assert (tg.ones(2, dtype=tg.int64) * 1j).dtype == tg.complex64


@pytest.mark.parametrize("dtype", ["bool", *INTEGERS])
@pytest.mark.parametrize("name", ["exp", "sqrt", "sin", "log1p", "sigmoid", "tanh", "reciprocal", "erf"])
def test_integers_that_need_a_fraction_become_the_default(name, dtype, device):
    assert getattr(tg, name)(tg.ones(2, dtype=dtype, device=device)).dtype == tg.float32


@pytest.mark.parametrize("dtype", ["bool", *INTEGERS])
def test_division_is_true_division(dtype, device):
    x = tg.ones(2, dtype=dtype, device=device)
    assert (x / x).dtype == tg.float32
    assert (x / 2).tolist() == [0.5, 0.5]
    assert (1 / x).dtype == tg.float32
    if dtype != "bool":
        assert (x // x).dtype == dtype
        assert (x % x).dtype == dtype


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_keep_their_dtype(dtype, device):
    x = tg.ones(2, dtype=dtype, device=device)
    for function in (tg.abs, tg.square, tg.sign, tg.floor, tg.ceil, tg.trunc, tg.round, tg.relu, tg.positive):
        assert function(x).dtype == dtype, function
    assert (x @ x).dtype == dtype
    assert tg.max(x).dtype == dtype


@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [("bool", "int64"), *((d, "int64") for d in SIGNED), *((d, "uint64") for d in UNSIGNED), *((d, d) for d in FLOATS)],
)
def test_sums_do_not_overflow(dtype, wanted, device):
    x = tg.ones(300, dtype=dtype, device=device)
    assert tg.sum(x).dtype == wanted
    assert tg.sum(x).item() == 300
    assert tg.prod(x).dtype == wanted
    assert tg.sum(x, dtype=tg.float64).dtype == tg.float64


@pytest.mark.parametrize("dtype", ["bool", "int32", *FLOATS])
def test_reductions(dtype, device):
    x = tg.ones(2, 3, dtype=dtype, device=device)
    floating = dtype if dtype in FLOATS else "float32"
    for name in ("mean", "var", "std", "logsumexp"):
        assert getattr(tg, name)(x, axis=0).dtype == floating, name
    assert tg.softmax(x).dtype == floating
    assert tg.any(x).dtype == tg.all(x).dtype == tg.bool
    assert tg.argmax(x).dtype == tg.count_nonzero(x).dtype == tg.int64


def test_gradients_flow_through_promotion(device):
    x = tg.ones(2, dtype=tg.float16, device=device, requires_grad=True)
    y = tg.ones(2, dtype=tg.float64, device=device, requires_grad=True)
    n = tg.tensor([2, 3], device=device)
    (x * y * n).sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (tg.float16, tg.float64)
    assert x.grad.tolist() == y.grad.tolist() == [2, 3]


def test_casting_to_integers_ends_the_gradient(device):
    x = tg.tensor([1.5, -1.5], device=device, requires_grad=True)
    y = x.astype(tg.int64)
    assert y.tolist() == [1, -1]
    assert not y.requires_grad


def test_astype():
    x = tg.ones(2)
    assert x.astype(tg.float32) is not x
    assert x.astype(tg.float32, copy=False) is x
    assert x.astype("int8").dtype == tg.int8
    assert x.astype(float).dtype == tg.float32
    assert x.astype(int).dtype == tg.int64
    assert x.astype(bool).tolist() == [True, True]


def test_dtype_of():
    assert dtypes.dtype_of(float) == tg.float32
    assert dtypes.dtype_of(complex) == tg.complex64
    assert dtypes.dtype_of("float16") == tg.float16
    assert dtypes.dtype_of(np.float64) == tg.float64
    for wrong in ("float13", "nothing", object, "S3", np.longdouble if np.dtype(np.longdouble).itemsize > 8 else "O"):
        with pytest.raises(TypeError, match=r"tensors (cannot )?have.*float32"):
            dtypes.dtype_of(wrong)


def test_default_dtype():
    assert tg.get_default_dtype() == tg.float32
    try:
        tg.set_default_dtype(tg.float64)
        assert tg.tensor(1.5).dtype == tg.float64
        assert tg.zeros(2).dtype == tg.float64
        assert tg.exp(tg.tensor([1])).dtype == tg.float64
        assert (tg.tensor([1]) + 0.5).dtype == tg.float64
        assert tg.tensor(1j).dtype == tg.complex128
        assert tg.tensor(np.float32(1)).dtype == tg.float32
    finally:
        tg.set_default_dtype(tg.float32)
    with pytest.raises(TypeError, match="expected a floating dtype, got int64"):
        tg.set_default_dtype(tg.int64)


def test_comparing_with_python_integers_out_of_range():
    x = tg.tensor([1], tg.uint8)
    with pytest.raises(OverflowError, match="300 does not fit uint8"):
        x * 300
    with pytest.raises(OverflowError, match="-1 does not fit uint8"):
        x + -1
