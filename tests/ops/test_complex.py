"""Complex numbers from parts and as pairs, questions about them, random ones, and layers of them."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg

Z = np.array([[1 + 2j, -3 - 0.5j, 0], [2j, 4, -1 - 1j]])


def test_forms(device):
    z = tg.tensor(Z, device=device)
    pairs = tg.view_as_real(z)
    np.testing.assert_array_equal(pairs.cpu().numpy(), np.stack([Z.real, Z.imag], -1))
    np.testing.assert_array_equal(tg.view_as_complex(pairs).cpu().numpy(), Z)
    np.testing.assert_array_equal(tg.complex(z.real, z.imag[0]).cpu().numpy(), Z.real + 1j * Z.imag[0])
    np.testing.assert_allclose(tg.polar(z.abs(), z.angle()).cpu().numpy(), Z, atol=1e-15)
    np.testing.assert_array_equal(tg.isreal(z).cpu().numpy(), np.isreal(Z))
    np.testing.assert_array_equal(tg.iscomplex(z).cpu().numpy(), np.iscomplex(Z))
    assert tg.isreal(z.real).cpu().numpy().all()
    assert not tg.iscomplex(z.real).cpu().numpy().any()
    assert tg.is_complex(z)
    assert tg.iscomplexobj(z)
    assert tg.isrealobj(z.real)
    assert tg.conj(z.real) is not None
    assert tg.resolve_conj(z) is z
    assert tg.complex(tg.ones(2, device=device), 1.0).dtype == tg.complex64
    real = z.real
    assert real.conj() is real
    assert real.real is real
    assert tg.conj_physical(real) is not real


def test_forms_of_other_dtypes_are_refused(device):
    half = tg.ones(2, dtype=tg.float16, device=device)
    for call in (tg.complex, tg.polar):
        with pytest.raises(TypeError, match=f"{call.__name__}: expected real numbers.*float16"):
            call(half, half)
    with pytest.raises(TypeError, match="view_as_real: expected complex numbers, got float16"):
        tg.view_as_real(half)
    with pytest.raises(ValueError, match=r"view_as_complex: the last axis must have 2 elements, got shape \(3,\)"):
        tg.view_as_complex(tg.ones(3, device=device))


def test_gradients_of_forms(device):
    x = tg.tensor([[0.5, 1.0], [2.0, -1.0]], dtype=tg.float64, device=device, requires_grad=True)
    weight = tg.tensor([1 - 2j, 0.5j], device=device).astype(tg.complex128)
    tg.testing.gradcheck(lambda x: tg.view_as_complex(x) ** 2 * weight, [x])
    tg.testing.gradcheck(lambda x: tg.polar(x[0], x[1]), [x])
    tg.testing.gradgradcheck(lambda x: tg.view_as_real(tg.complex(x[0], x[1]) ** 3), [x])


def test_the_angle_of_zero_has_no_slope(device):
    z = tg.tensor(np.array([0, 2j, 1 + 1j]), device=device, requires_grad=True)
    z.angle().sum().backward()
    np.testing.assert_allclose(z.grad.cpu().numpy(), [0, -0.5, -0.5 + 0.5j])


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin", "relu"])
def test_complex_numbers_have_no_order(device, name):
    with pytest.raises(TypeError, match=rf"{name}: complex numbers have no order, got complex128 of shape \(2, 3\)"):
        getattr(tg, name)(tg.tensor(Z, device=device))


@pytest.mark.parametrize(
    "name", ["maximum", "minimum", "less", "less_equal", "greater", "greater_equal", "clip", "fmax", "fmin"]
)
def test_pairs_of_complex_numbers_have_no_order(device, name):
    z, function = tg.tensor(Z, device=device), getattr(tg, name)
    for x, y in ((z, z), (z, 1.0), (z, z.real), (z.real, z)):
        with pytest.raises(TypeError, match=f"{name}: complex numbers have no order, got complex128"):
            function(x, y) if name != "clip" else function(z, y)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_random_numbers(device, dtype):
    z = tg.randn(20000, dtype=dtype, device=device, generator=tg.random.Generator().manual_seed(3))
    assert z.dtype == dtype
    z = z.cpu().numpy()
    assert abs(z.mean()) < 0.02
    assert abs(z.real.var() - 0.5) < 0.02
    assert abs(z.imag.var() - 0.5) < 0.02
    assert abs((z.real * z.imag).mean()) < 0.02
    u = tg.rand(20000, dtype=dtype, device=device, generator=tg.random.Generator().manual_seed(3)).cpu().numpy()
    assert abs(u.mean() - (0.5 + 0.5j)) < 0.02
    assert u.real.min() >= 0
    assert u.imag.max() < 1
    assert abs(np.corrcoef(u.real, u.imag)[0, 1]) < 0.05


def test_a_linear_layer_of_complex_weights(device):
    layer = tg.nn.Linear(3, 2, dtype=tg.complex64, device=device)
    x = tg.randn(4, 3, dtype=tg.complex64, device=device)
    bound = 1 / np.sqrt(3)
    weight, data = layer.weight.detach().cpu().numpy(), x.cpu().numpy()
    assert weight.imag.any()
    assert np.abs(weight.real).max() <= bound
    assert np.abs(weight.imag).max() <= bound
    y = layer(x)
    np.testing.assert_allclose(
        y.detach().cpu().numpy(), data @ weight.T + layer.bias.detach().cpu().numpy(), rtol=1e-5, atol=1e-6
    )
    (y.abs() ** 2).sum().backward()  # d/dw of |w x + b|**2 is 2 y conj(x)
    want = 2 * y.detach().cpu().numpy().T @ data.conj()
    np.testing.assert_allclose(layer.weight.grad.cpu().numpy(), want, rtol=1e-4, atol=1e-5)


def test_parts_are_views(device):
    z = tg.tensor(Z, device=device)
    expected = Z.copy()
    for x in (z, expected):
        x.real[1] = 7
        x.imag += 1
        x.real *= 2
        x.T.imag[1:] = x.real.T[1:]
        x.real = x.imag + 1
    tg.view_as_real(z.T[::2])[..., 1] -= 3
    expected.imag[:, ::2] -= 3
    np.testing.assert_array_equal(z.cpu().numpy(), expected)
    pairs = tg.zeros(3, 2, device=device)
    tg.view_as_complex(pairs)[1] = 2 - 4j
    assert pairs.tolist() == [[0, 0], [2, -4], [0, 0]]
    scalar = tg.tensor(1 + 2j, device=device)
    scalar.imag[...] = 5
    assert scalar.item() == 1 + 5j
    assert tg.view_as_real(scalar).tolist() == [1, 5]
    assert tg.view_as_complex(tg.zeros(0, 2, device=device)).shape == (0,)
    with pytest.raises(TypeError, match="no imaginary part"):
        pairs.imag = 1


def test_writes_through_parts_are_differentiated(device):
    def changed(x):
        y = x * 1
        part = y.real
        part *= 2  # seen in y
        y.imag[0] = part[0].clone() ** 2  # and the reverse: of y, in the pairs
        pairs = tg.view_as_real(y)
        pairs[1, :, 0] += y.imag[1].clone()
        whole = tg.view_as_complex(pairs * 3)
        whole.imag *= part.clone()
        return whole * y, y.real * y.imag * pairs[..., 1]

    z = tg.tensor(Z, device=device, requires_grad=True)
    tg.testing.gradcheck(changed, [z])
    tg.testing.gradgradcheck(changed, [z])
    y = z * 2
    square = y.real**2
    y.imag[...] = 0  # the same memory
    with pytest.raises(RuntimeError, match="overwritten"):
        square.sum().backward()
    with pytest.raises(RuntimeError, match="a view of one"):
        z.real[0] = 1


def test_parts_in_captured_and_batched_functions(device):
    def changed(z, w):
        y = z * 2
        y.real[...] = w
        y.imag *= 3
        pairs = tg.view_as_real(y) * 1
        pairs[..., 0] += 1
        return tg.view_as_complex(pairs) * y.real + y.imag, y

    captured = tg.jit(changed)
    for k in range(3):
        z, w = tg.tensor(Z * (k + 1), device=device), tg.tensor(Z.real - k, device=device)
        for found, wanted in zip(captured(z, w), changed(z, w), strict=True):
            np.testing.assert_array_equal(found.cpu().numpy(), wanted.cpu().numpy())
    batch, numbers = tg.stack([z, z * 2j]), tg.stack([w, w + 1])
    for k, found in enumerate(tg.func.vmap(changed)(batch, numbers)):
        rows = [changed(*pair)[k] for pair in zip(batch, numbers, strict=True)]
        np.testing.assert_array_equal(found.cpu().numpy(), tg.stack(rows).cpu().numpy())


@pytest.mark.parametrize("cut", [lambda x: x[:, 1:3], lambda x: x[::-1, :2].T[:2].T[:, ::-1], lambda x: x[:, :2]])
def test_what_is_no_pair_in_memory(device, cut):
    x = tg.zeros(3, 5, device=device)
    with pytest.raises(ValueError, match="each pair at a multiple of 8 bytes"):
        tg.view_as_complex(cut(x))
    assert tg.view_as_complex(cut(x).clone()).shape == (3,)
