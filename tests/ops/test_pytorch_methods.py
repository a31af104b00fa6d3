"""Methods under PyTorch's names."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import tensorgrad as tg
import tensorgrad.inplace_methods
import tensorgrad.tensor_methods
from tensorgrad.ops.methods import METHODS
from tensorgrad.ops.pytorch_methods import PYTORCH_METHODS


def _array(x: tg.Tensor) -> np.ndarray:
    return x.detach().cpu().numpy()


@pytest.fixture
def x(device: str) -> tg.Tensor:
    return tg.tensor(np.linspace(-2, 3, 12, dtype=np.float32).reshape(3, 4), device=device)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("float", "float32"), ("double", "float64"), ("half", "float16"), ("cfloat", "complex64"),
        ("cdouble", "complex128"), ("long", "int64"), ("int", "int32"), ("short", "int16"), ("char", "int8"),
        ("bool", "bool"),
    ],
)  # fmt: skip
def test_a_conversion_is_a_cast_and_the_tensor_itself_where_nothing_changes(x, name, dtype):
    y = getattr(x, name)()
    np.testing.assert_array_equal(_array(y), _array(x).astype(dtype))
    assert getattr(y, name)() is y


def test_type_as_takes_dtype_and_device(x):
    assert x.type_as(tg.ones(1, dtype=tg.int64, device=x.device)).dtype == tg.int64


def test_contiguous_copies_only_what_is_not(x):
    assert x.contiguous() is x
    assert not x.t().is_contiguous()
    y = x.t().contiguous()
    assert y.is_contiguous()
    np.testing.assert_array_equal(_array(y), _array(x).T)


def test_counts(x):
    assert (x.numel(), x.nelement(), x.dim(), x.ndimension()) == (12, 12, 2, 2)


def test_expand_repeats_axes_of_size_one_without_a_copy(x):
    row = x[:1]
    np.testing.assert_array_equal(_array(row.expand(5, 3, -1)), np.broadcast_to(_array(x)[:1], (5, 3, 4)))
    assert row.expand((3, 4)).shape == row.expand_as(x).shape == (3, 4)
    for wrong in ((4,), (-1, 3, 4), (3, 5)):
        with pytest.raises(ValueError, match="cannot"):
            row.expand(*wrong)


def test_parts_of_an_axis(x):
    a = _array(x)
    np.testing.assert_array_equal(_array(x.narrow(1, -3, 2)), a[:, 1:3])
    np.testing.assert_array_equal(_array(x.select(-1, -1)), a[:, -1])
    assert [part.shape for part in x.unbind(1)] == [(3,)] * 4
    for start, length in ((2, 3), (-5, 1), (1, -1)):
        with pytest.raises(IndexError, match=r"narrow: .*\(3, 4\)"):
            x.narrow(1, start, length)
    with pytest.raises(IndexError, match="select: axis 2 is out of range for 2 axes"):
        x.select(2, 0)


def test_unflatten_splits_an_axis(x):
    assert x.unflatten(1, (2, -1)).shape == (3, 2, 2)
    assert x.unflatten(-2, (3, 1)).shape == (3, 1, 4)
    for wrong in ((3, 2), (-1, -1), (3, -1), (0, -1)):
        with pytest.raises(ValueError, match="unflatten"):
            x.unflatten(1, wrong)


def test_arithmetic_with_factors_and_rounding(x):
    a = _array(x)
    np.testing.assert_allclose(_array(x.add(x, alpha=3)), a + 3 * a, rtol=1e-6)
    np.testing.assert_allclose(_array(x.sub(1.0, alpha=0.5)), a - 0.5, rtol=1e-6)
    np.testing.assert_array_equal(_array(x.div(0.7, rounding_mode="trunc")), np.trunc(a / np.float32(0.7)))
    np.testing.assert_array_equal(_array(x.div(0.7, rounding_mode="floor")), np.floor(a / np.float32(0.7)))
    whole = tg.tensor([-7, 7], device=x.device).div(2, rounding_mode="trunc")
    assert whole.dtype == tg.int64
    assert whole.tolist() == [-3, 3]
    with pytest.raises(ValueError, match="rounding_mode"):
        x.div(2, rounding_mode="up")


def test_products_take_exactly_the_axes_in_their_name(x):
    a = _array(x)
    stack = x.expand(2, 3, 4).contiguous()
    np.testing.assert_allclose(_array(x.mm(x.t())), a @ a.T, rtol=1e-5)
    np.testing.assert_allclose(_array(stack.bmm(stack.mT)), np.stack([a @ a.T] * 2), rtol=1e-5)
    np.testing.assert_allclose(_array(x.mv(x[0])), a @ a[0], rtol=1e-5)
    np.testing.assert_allclose(_array(x[0].dot(x[1])), a[0] @ a[1], rtol=1e-5)
    np.testing.assert_allclose(
        _array(x[:, :3].addmm(x, x.t(), beta=2, alpha=0.5)), 2 * a[:, :3] + 0.5 * a @ a.T, rtol=1e-5
    )
    for call in (lambda: x.mm(x[0]), lambda: stack.bmm(x), lambda: x.mv(x), lambda: x.dot(x), lambda: x[0].t().mm(x)):
        with pytest.raises(ValueError, match="axes, got shapes"):
            call()
    with pytest.raises(ValueError, match="differ in length"):
        stack.bmm(stack[:1].mT)
    with pytest.raises(ValueError, match="differ in length"):
        tg.bmm(stack, stack[:1].mT)


def test_a_product_with_beta_zero_ignores_what_it_would_be_added_to(x):
    wanted = 0.5 * _array(x) @ _array(x).T
    nothing = tg.full((3, 3), tg.nan, device=x.device)
    for y in (nothing.addmm(x, x.t(), beta=0, alpha=0.5), tg.addmm(nothing, x, x.t(), beta=0, alpha=0.5)):
        np.testing.assert_allclose(_array(y), wanted, rtol=1e-5)


def test_functions_of_these_names_take_what_becomes_a_tensor():
    rows = [[1.0, 2.0], [3.0, 4.0]]
    a = np.array(rows)
    np.testing.assert_allclose(_array(tg.mm(rows, a)), a @ a)
    np.testing.assert_allclose(_array(tg.mv(a, rows[0])), a @ a[0])
    np.testing.assert_allclose(_array(tg.addmm(a, rows, rows, beta=2)), 2 * a + a @ a)
    assert tg.narrow(rows, 1, 0, 1).shape == tg.expand([[1.0], [2.0]], 2, -1).shape == (2, 1)
    assert (tg.unflatten(a, axis=1, sizes=(2, 1)).shape, tg.numel(rows)) == ((2, 2, 1), 4)


def test_take_along_dim_without_an_axis_takes_from_all_elements(x):
    index = tg.tensor([[11, 0], [5, 5]], device=x.device)
    np.testing.assert_array_equal(_array(tg.take_along_dim(x, index)), _array(x).ravel()[[11, 0, 5, 5]])
    index = tg.argsort(x, axis=0, descending=True)
    np.testing.assert_array_equal(_array(tg.take_along_dim(x, index, axis=0)), _array(x)[::-1])
    np.testing.assert_array_equal(_array(tg.take_along_dim(x, index, 0)), _array(x)[::-1])


def test_new_tensors_are_like_the_old_one(x):
    y = x.double()
    for new in (y.new_zeros(2, 3), y.new_ones((2, 3)), y.new_full((2, 3), 5), y.new_empty(2, 3)):
        assert (new.shape, new.dtype, new.device) == ((2, 3), tg.float64, x.device)
    assert y.new_zeros(2, dtype=tg.int32).dtype == tg.int32


def test_in_place_methods_write_into_the_memory_and_return_the_tensor(x):
    a = _array(x).copy()
    part = x[1]
    assert part.mul_(2).add_(1, alpha=3) is part
    a[1] = a[1] * 2 + 3
    np.testing.assert_allclose(_array(x), a, rtol=1e-6)
    assert _array(x.clamp_(-1, 1)).max() == 1
    assert x.copy_(tg.arange(4, device=x.device)).tolist()[2] == [0, 1, 2, 3]
    assert not x.zero_().any().item()
    assert x.fill_(3).sum().item() == 36
    with pytest.raises(TypeError, match="cannot be written"):
        tg.ones(2, dtype=tg.int64, device=x.device).div_(2)


def test_in_place_methods_are_on_the_tape(x):
    x = x.double()
    x.requires_grad = True
    y = x * 2
    y.mul_(3).add_(x, alpha=2)
    (y * y).sum().backward()
    np.testing.assert_allclose(_array(x.grad), 2 * 8 * 8 * _array(x), rtol=1e-12)
    with pytest.raises(RuntimeError, match="leaf"):
        x.zero_()


def test_random_numbers_in_place_are_those_of_the_generator(x):
    first = _array(x.normal_(1, 2, generator=tg.random.Generator().manual_seed(3))).copy()
    expected = tg.random.normal(1, 2, x.shape, device=x.device, generator=tg.random.Generator().manual_seed(3))
    np.testing.assert_array_equal(first, _array(expected))
    x.uniform_(5, 6)
    assert ((x >= 5) & (x < 6)).all().item()


def test_every_method_is_attached_and_declared_for_type_checkers():
    files = (tensorgrad.tensor_methods, tensorgrad.inplace_methods)
    source = "".join(Path(module.__file__).read_text() for module in files)
    declared = set(re.findall(r"def (\w+)", source))
    assert sorted({*PYTORCH_METHODS, *METHODS} - declared) == []
    assert [name for name in declared if not hasattr(tg.Tensor, name)] == []
