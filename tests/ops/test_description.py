"""What tensors say of themselves, views by strides, and PyTorch's forms of factorizations."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg

_RNG = np.random.default_rng(3)


def _array(x: tg.Tensor) -> np.ndarray:
    return x.detach().cpu().numpy()


@pytest.fixture
def x(device: str) -> tg.Tensor:
    return tg.tensor(np.arange(12.0).reshape(3, 4), device=device)


# ------------------------------------------------------------------------------------------------------------ questions
def test_kinds(x):
    assert tg.is_tensor(x)
    assert not tg.is_tensor(_array(x))
    whole, unsigned, imaginary = x.long(), x.byte(), x.cdouble()
    assert [y.is_floating_point() for y in (x, whole, imaginary)] == [True, False, False]
    assert [y.is_signed() for y in (x, whole, unsigned, x.bool(), imaginary)] == [True, True, False, False, True]
    assert [y.is_complex() for y in (x, imaginary)] == [False, True]
    assert not any((x.is_conj(), x.is_neg(), x.is_inference()))
    assert x.resolve_neg() is x
    assert x.isreal().all().item()
    assert (x.is_cpu, x.is_cuda) == ((True, False) if x.device.type == "cpu" else (False, True))
    assert x.get_device() == (-1 if x.is_cpu else 0)
    assert x[0, 1:2].is_nonzero()
    with pytest.raises(ValueError, match="ambiguous"):
        x.is_nonzero()


def test_equal_is_one_bool(x):
    assert x.equal(x.clone()) is True
    assert x.equal(x.long()) is True
    assert x.equal(x[:1]) is False
    assert x.equal(x + 1) is False
    assert x[:0].equal(x[:0])
    assert not (x * np.nan).equal(x * np.nan)
    assert tg.equal(x, x).shape == x.shape
    with pytest.raises(TypeError, match="equal: expected a tensor"):
        x.equal(3)
    assert x.is_same_size(x + 1)


def test_broadcast_shapes():
    assert tg.broadcast_shapes((2, 1), 3, (1, 1)) == (2, 3)
    assert tg.broadcast_shapes() == ()
    with pytest.raises(ValueError, match=r"broadcast_shapes: shapes \(2,\), \(3,\)"):
        tg.broadcast_shapes((2,), (3,))


def test_memory(x):
    part = x[1:, 2:]
    assert (x.stride(), part.stride(), x.t().stride(-1), part.stride(0)) == ((4, 1), (4, 1), 4, 4)
    assert (x.storage_offset(), part.storage_offset(), part.t()[1:].storage_offset()) == (0, 6, 7)
    assert x[::-1].storage_offset() == 8
    assert x[::-1].stride() == (-4, 1)
    assert part.data_ptr() == x.data_ptr() + 6 * x.element_size()
    assert x.t().dim_order() == (1, 0)
    assert x.is_set_to(x[:])
    assert not x.is_set_to(x.t())
    assert not x.is_set_to(x.clone())
    with pytest.raises(IndexError, match=r"stride: axis 2 .*\(3, 4\)"):
        x.stride(2)


def test_retains_grad_and_keeps_it_once(x):
    x.requires_grad = True
    y = x * 2
    assert not x.retains_grad
    assert not y.retains_grad
    y.retain_grad()
    y.retain_grad()
    assert y.retains_grad
    y.sum().backward()
    assert (y.grad == 1).all().item()


def test_output_nr(x):
    assert x.output_nr == 0
    assert [part.output_nr for part in tg.linalg.eigh((x @ x.t()).requires_grad_())] == [0, 1]


def test_types(x):
    assert x.type("torch.IntTensor").dtype == x.type(tg.int32).dtype == tg.int32
    assert x.type().endswith(".DoubleTensor")
    assert x.type(x.type()) is x
    new = x.int().new_tensor([1.5, 2])
    assert (new.tolist(), new.dtype, new.device) == ([1, 2], tg.int32, x.device)
    assert x.new_tensor(1, requires_grad=True).requires_grad


# ---------------------------------------------------------------------------------------------------- PyTorch's methods
def test_split_by_sizes(x):
    assert [part.shape for part in x.split(3, 1)] == [(3, 3), (3, 1)]
    assert [part.shape for part in x.split([1, 0, 3], -1)] == [(3, 1), (3, 0), (3, 3)]
    assert [part.shape for part in x[:0].split(2)] == [(0, 4)]
    x.split(2)[1].zero_()
    assert _array(x)[2].tolist() == [0] * 4
    for wrong in (0, -1, [1, 1]):
        with pytest.raises(ValueError, match=r"split.*\(3, 4\)"):
            x.split(wrong)
    assert len(tg.split(x, 2, axis=1)) == 2  # NumPy's counts parts


def test_where_and_sums(x):
    np.testing.assert_array_equal(_array(x.where(x > 3, -1)), np.where(_array(x) > 3, _array(x), -1))
    assert x.sum_to_size(1, 4).tolist() == [[12, 15, 18, 21]]
    assert x.sum_to_size((4,)).shape == (4,)
    assert x.sum_to_size(()).item() == 66
    assert x.sum_to_size(3, 4) is x
    for wrong in ((2, 4), (1, 3, 4)):
        with pytest.raises(ValueError, match="sum_to_size: shape"):
            x.sum_to_size(wrong)
    assert x.count_nonzero(0).tolist() == [2, 3, 3, 3]


def test_adjoints(x):
    z = x.cdouble() * (1 + 2j)
    for y in (z.H, z.adjoint(), tg.adjoint(z)):
        np.testing.assert_array_equal(_array(y), _array(z).conj().T)
    assert tg.t(x).shape == (4, 3)
    with pytest.raises(ValueError, match="H: needs a matrix"):
        _ = x[0].H
    np.testing.assert_array_equal(_array(tg.rsub(x, 1, alpha=2)), 1 - 2 * _array(x))


# ---------------------------------------------------------------------------------------------------------------- views
def test_as_strided_is_a_view_within_bounds(x):
    y = x.as_strided((2, 2), (5, 1), 1)
    assert y.tolist() == [[1, 2], [6, 7]]
    y.mul_(10)
    assert x[1, 2].item() == 60
    assert x[1:].as_strided((2,), (1,)).tolist() == [4, 5]
    assert x[1:].as_strided((2,), (1,), 0).tolist() == [0, 10]
    assert x[::-1].as_strided((3, 4), (4, 1), 0).equal(x)
    assert x.t().as_strided((3, 4), (4, 1)).equal(x)
    assert x.as_strided((0, 3), (1, 1), 100).shape == (0, 3)
    for size, stride, offset in (((13,), (1,), 0), ((2,), (1,), 11), ((2,), (-1,), 0), ((1,), (1,), -1)):
        with pytest.raises(ValueError, match=r"as_strided: shape .* a memory of 12"):
            x.as_strided(size, stride, offset)
        with pytest.raises(ValueError, match=r"as_strided: shape .* a memory of 12"):
            x.as_strided_scatter(tg.zeros(size, dtype=x.dtype, device=x.device), size, stride, offset)
    with pytest.raises(ValueError, match="do not make a shape"):
        x.as_strided((2, 2), (1,))


def test_strided_views_are_written_on_the_tape(device):
    a = tg.tensor(_RNG.normal(size=6), device=device, requires_grad=True)
    x = a * 1
    y = x.as_strided((2, 2), (3, 1), 1)
    y.mul_(3)
    (x * x).sum().backward()
    wanted = 2 * _array(a) * np.array([1, 9, 9, 1, 9, 9])
    np.testing.assert_allclose(_array(a.grad), wanted, rtol=1e-12)
    with pytest.raises(RuntimeError, match="not an element of the tensor"):
        (a * 1)[2:].as_strided((2,), (1,), 0).mul_(2)
    with pytest.raises((RuntimeError, ValueError), match=r"overlaps itself|read-only"):
        (a * 1).as_strided((3, 2), (1, 1)).mul_(2)
    with pytest.raises(RuntimeError, match="overlaps itself"):
        tg.as_strided_scatter(a, tg.ones(3, 2, dtype=a.dtype, device=device), (3, 2), (1, 1))


def test_as_strided_of_parts_of_memory(device):
    x = tg.tensor(_RNG.normal(size=(3, 4)), device=device, requires_grad=True)
    column = (x * 1)[:, 1]
    y = column.as_strided((2, 3), (4, 1))  # elements of the column and their neighbours, which get nothing
    (y * y).sum().backward()
    wanted = np.zeros((3, 4))
    wanted[:2, 1] = 2 * _array(x)[:2, 1]
    np.testing.assert_allclose(_array(x.grad), wanted, rtol=1e-12)


def test_as_strided_under_vmap(device):
    x = tg.tensor(_RNG.normal(size=(5, 6)), device=device)
    found = tg.func.vmap(lambda row: row.as_strided((3, 2), (2, 1), 0) * 2)(x)
    np.testing.assert_array_equal(_array(found), 2 * _array(x).reshape(5, 3, 2))
    grads = tg.func.vmap(tg.func.grad(lambda row: (row.as_strided((5, 2), (1, 1)) ** 2).sum()))(x)
    np.testing.assert_allclose(_array(grads), 2 * _array(x) * [1, 2, 2, 2, 2, 1], rtol=1e-12)
    with pytest.raises(ValueError, match="beyond a sample"):
        tg.func.vmap(lambda row: row.as_strided((7,), (1,)))(x)


def test_strides_of_new_tensors(device):
    x = tg.empty_strided((2, 3), (1, 2), dtype=tg.float64, device=device, requires_grad=True)
    assert (x.stride(), x.shape, x.dtype, x.requires_grad) == ((1, 2), (2, 3), tg.float64, True)
    assert x.new_empty_strided((3,), (2,)).stride() == (2,)
    assert tg.empty_permuted((2, 3, 4), (2, 0, 1), device=device).stride() == (3, 1, 6)
    with pytest.raises(ValueError, match="empty_permuted"):
        tg.empty_permuted((2, 3), (0, 0))


# ------------------------------------------------------------------------------------------------------------- in place
def test_resize(x):
    part = x[1:]
    assert x.resize_(2, 3) is x
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]
    x.resize_(3, 4)
    assert part[1, 3].item() == x[2, 3].item() == 11
    with pytest.raises(RuntimeError, match="resize_: the memory"):
        x.resize_(20)
    y = tg.tensor([1.0, 2.0], device=x.device)
    assert y.resize_as_(tg.zeros(2, 2))[0].tolist() == [1, 2]
    assert x[:, 1:3].resize_(2, 2).tolist() == [[1, 2], [3, 4]]
    with pytest.raises(RuntimeError, match="resize_: the tensor requires"):
        (y.clone().requires_grad_() * 2).resize_(1)


def test_as_strided_in_place(x):
    part = x[0]
    x.as_strided_((4, 3), (1, 4))
    assert x.shape == (4, 3)
    x.zero_()
    assert part.tolist() == [0] * 4


def test_detach_in_place(x):
    x.requires_grad = True
    y = x * 2
    assert y.detach_() is y
    assert not y.requires_grad
    with pytest.raises(RuntimeError, match="detach_: this tensor is a view"):
        (x * 2)[0].detach_()
    assert not x.detach_().requires_grad


def test_set_to_other_memory(x):
    y = tg.zeros(2, dtype=x.dtype, device=x.device)
    y.set_(x)
    y[0, 0] = 5
    assert x[0, 0].item() == 5
    assert y.is_set_to(x)
    with pytest.raises(TypeError, match="set_"):
        y.set_(x.float())
    with pytest.raises(RuntimeError, match="set_"):
        y.set_(x.clone().requires_grad_())


def test_python_functions_of_elements(x):
    if x.is_cuda:
        with pytest.raises(TypeError, match="apply_: Python computes on the CPU"):
            x.apply_(abs)
        return
    a = _array(x).copy()
    assert x.apply_(lambda v: v * v) is x
    np.testing.assert_array_equal(_array(x), a * a)
    x.map_(tg.tensor([1.0, 2, 3, 4], dtype=x.dtype), lambda p, q: p + q)
    np.testing.assert_array_equal(_array(x), a * a + [1, 2, 3, 4])
    x.map2_(x, x, lambda p, q, r: p - q + r - 1)
    np.testing.assert_array_equal(_array(x), a * a + [0, 1, 2, 3])
    with pytest.raises(ValueError, match="broadcast"):
        x.map_(tg.ones(3), max)
    with pytest.raises(RuntimeError, match="apply_: Python's numbers"):
        x.requires_grad_().apply_(abs)


# ------------------------------------------------------------------------------------------------------- factorizations
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (2, 4, 3)])
@pytest.mark.parametrize("kind", ["float64", "complex128"])
def test_svd_qr_lu_in_their_older_forms(device, shape, kind):
    a = _RNG.normal(size=shape) + (1j * _RNG.normal(size=shape) if kind[0] == "c" else 0)
    x = tg.tensor(a, device=device)
    for some in (True, False):
        u, s, v = x.svd(some)
        k, (m, n) = min(shape[-2:]), shape[-2:]
        assert (u.shape[-1], v.shape[-1]) == ((k, k) if some else (m, n))
        back = _array(u)[..., :k] * _array(s)[..., None, :] @ _array(v)[..., :k].conj().swapaxes(-1, -2)
        np.testing.assert_allclose(back, a, atol=1e-12)
        q, r = x.qr(some)
        np.testing.assert_allclose(_array(q) @ _array(r), a, atol=1e-12)
        assert q.shape[-1] == (k if some else m)
    u, s, v = tg.svd(x, compute_uv=False)
    np.testing.assert_allclose(_array(s), np.linalg.svd(a, compute_uv=False), rtol=1e-12)
    assert not u.any().item()
    assert (u.shape[-1], v.shape[-1]) == (m, n)
    factors, pivots, infos = x.lu(get_infos=True)
    p, lower, upper = tg.lu_unpack(factors, pivots)
    np.testing.assert_allclose(_array(p) @ _array(lower) @ _array(upper), a, atol=1e-12)
    assert not infos.any().item()
    assert tg.lu_unpack(factors, pivots, unpack_data=False).L.shape == (0,)
    assert tg.lu_unpack(factors, pivots, unpack_pivots=False).P.shape == (0,)
    with pytest.raises(ValueError, match="lu_unpack: factors"):
        tg.lu_unpack(factors, pivots[..., :1])


@pytest.mark.parametrize("kind", ["float64", "complex128"])
def test_products_with_the_square_factor(device, kind):
    a = _RNG.normal(size=(5, 3)) + (1j * _RNG.normal(size=(5, 3)) if kind[0] == "c" else 0)
    reflectors, tau = tg.geqrf(tg.tensor(a, device=device))
    square = _array(tg.ormqr(reflectors, tau, tg.eye(5, dtype=a.dtype, device=device)))
    np.testing.assert_allclose(square[:, :3], _array(tg.orgqr(reflectors, tau)), atol=1e-12)
    np.testing.assert_allclose(square.conj().T @ square, np.eye(5), atol=1e-12)
    other = tg.tensor(_RNG.normal(size=(2, 5)) + 0 * a[0, 0], device=device)
    c = _array(other)
    np.testing.assert_allclose(_array(tg.ormqr(reflectors, tau, other, left=False)), c @ square, atol=1e-12)
    found = tg.ormqr(reflectors, tau, other.mT, transpose=True)
    np.testing.assert_allclose(_array(found), square.conj().T @ c.T, atol=1e-12)
    with pytest.raises(ValueError, match="ormqr: reflectors"):
        tg.ormqr(reflectors, tau, other)
    factors, tau_of_wide = tg.geqrf(tg.tensor(a.T.copy(), device=device))  # more columns than reflectors
    found = tg.ormqr(factors, tau_of_wide, tg.triu(factors))
    np.testing.assert_allclose(_array(found), a.T, atol=1e-12)
    if kind == "float64":
        call = lambda r, t, o: tg.ormqr(r, t, o, False, True)  # noqa: E731
        inputs = [v.detach().requires_grad_() for v in (reflectors, tau, other)]
        tg.testing.gradcheck(call, inputs)
        tg.testing.gradgradcheck(call, inputs)


def test_triangular_solve(device):
    a = np.triu(_RNG.normal(size=(3, 3))) + 3 * np.eye(3)
    b = _RNG.normal(size=(3, 2))
    x, y = tg.tensor(a, device=device), tg.tensor(b, device=device)
    solution, copy = tg.triangular_solve(y, x)
    np.testing.assert_allclose(_array(solution), np.linalg.solve(a, b), rtol=1e-12)
    assert copy is not x
    np.testing.assert_allclose(_array(y.triangular_solve(x, transpose=True)[0]), np.linalg.solve(a.T, b), rtol=1e-12)


def test_low_rank(device):
    a = _RNG.normal(size=(2, 9, 3)) @ _RNG.normal(size=(3, 7))
    x = tg.tensor(a, device=device)
    for y, reference in ((x, a), (x.mT, a.swapaxes(-1, -2))):
        u, s, v = tg.svd_lowrank(y, q=4)
        np.testing.assert_allclose(_array(u * s[..., None, :] @ v.mT), reference, atol=1e-12)
        np.testing.assert_allclose(_array(s), np.linalg.svd(reference, compute_uv=False)[..., :4], atol=1e-12)
    shifted = tg.svd_lowrank(x + 2, q=4, M=tg.tensor(2.0, dtype=x.dtype, device=device)).S
    np.testing.assert_allclose(_array(shifted), np.linalg.svd(a, compute_uv=False)[..., :4], atol=1e-12)
    v = _array(tg.pca_lowrank(x, q=3).V)
    centred = a - a.mean(-2, keepdims=True)
    wanted = np.linalg.svd(centred)[2].swapaxes(-1, -2)[..., :3]
    np.testing.assert_allclose(abs(np.einsum("nij,nij->nj", v, wanted)), 1, rtol=1e-10)
    assert tg.pca_lowrank(x).S.shape == (2, 6)
    for call in (lambda: tg.svd_lowrank(x, q=8), lambda: tg.pca_lowrank(x, q=8), lambda: tg.svd_lowrank(x, niter=-1)):
        with pytest.raises(ValueError, match="do not fit"):
            call()
    z = x[0].clone().requires_grad_()
    (tg.svd_lowrank(z, q=3).S ** 2).sum().backward()  # the sum of squares of all elements
    np.testing.assert_allclose(_array(z.grad), 2 * a[0], atol=1e-10)


def test_norms(x):
    a = _array(x)
    np.testing.assert_allclose(tg.frobenius_norm(x).item(), np.linalg.norm(a), rtol=1e-12)
    np.testing.assert_allclose(_array(tg.frobenius_norm(x, [1], True)), np.linalg.norm(a, axis=1, keepdims=True))
    np.testing.assert_allclose(tg.nuclear_norm(x).item(), np.linalg.norm(a, "nuc"), rtol=1e-12)
    np.testing.assert_allclose(_array(tg.norm_except_dim(x, 2, 1)), np.linalg.norm(a, axis=0, keepdims=True))
    np.testing.assert_allclose(_array(tg.norm_except_dim(x[0], 1)), a[0])
    assert tg.norm_except_dim(x, 2, -1).shape == ()
