"""Fourier transforms against NumPy's, over sizes, axes and norms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad import fft

ONE_AXIS = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
SEVERAL = ("fftn", "ifftn", "rfftn", "irfftn", "fft2", "ifft2", "rfft2", "irfft2")
REAL = ("rfft", "ihfft", "rfftn", "rfft2")


def points(shape: tuple[int, ...], real: bool, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    x = random.standard_normal(shape)
    return x if real else x + 1j * random.standard_normal(shape)


def compare(name: str, x: np.ndarray, device: str, **options: object) -> None:
    found = getattr(fft, name)(tg.tensor(x, device=device), **options)
    expected = getattr(np.fft, name)(x, **options)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found.cpu().numpy(), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward", None])
@pytest.mark.parametrize("name", ONE_AXIS)
def test_one_axis(name, norm, device):
    for shape, axis in (((6,), -1), ((3, 5), 0), ((2, 3, 4), 1)):
        for n in (None, 1, 3, 7, 8):
            compare(name, points(shape, name in REAL), device, n=n, axis=axis, norm=norm)


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize("name", SEVERAL)
def test_several_axes(name, norm, device):
    for s, axes in ((None, (-2, -1)), ((4, 3), (0, 2)), ((2, 7), (-1, 0))):
        compare(name, points((3, 4, 5), name in REAL), device, s=s, axes=axes, norm=norm)


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
def test_hermitian_over_several_axes(norm, device):
    z = tg.tensor(points((3, 4, 5), False), device=device)
    found = fft.hfftn(z, axes=(0, 2), norm=norm)
    expected = np.fft.hfft(np.fft.fft(z.cpu().numpy(), axis=0, norm=norm), axis=2, norm=norm)
    np.testing.assert_allclose(found.cpu().numpy(), expected, atol=1e-11)
    back = fft.ihfftn(found, axes=(0, 2), norm=norm)
    np.testing.assert_allclose(fft.hfftn(back, axes=(0, 2), norm=norm).cpu().numpy(), expected, atol=1e-11)
    plane = fft.hfft2(z, norm=norm)
    np.testing.assert_allclose(plane.cpu().numpy(), fft.hfftn(z, axes=(1, 2), norm=norm).cpu().numpy(), atol=1e-12)
    np.testing.assert_allclose(fft.hfft2(fft.ihfft2(plane)).cpu().numpy(), plane.cpu().numpy(), atol=1e-11)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_sizes_and_axes(data):
    name = data.draw(st.sampled_from(("fftn", "ifftn", "rfftn", "irfftn")))
    shape = tuple(data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    axes = tuple(data.draw(st.permutations(range(len(shape))))[: data.draw(st.integers(1, len(shape)))])
    s = tuple(data.draw(st.integers(1, 8)) for _ in axes)
    x = points(shape, name in REAL)
    compare(
        name, x[..., ::-1], "cpu", s=s, axes=axes, norm=data.draw(st.sampled_from(("backward", "ortho", "forward")))
    )


@pytest.mark.parametrize(
    ("given_dtype", "dtype"),
    [("float32", "complex64"), ("complex64", "complex64"), ("int32", "complex64"), ("float64", "complex128")],
)
def test_precision_stays(given_dtype, dtype, device):
    x = tg.ones(4, dtype=given_dtype, device=device)
    assert fft.fft(x).dtype == dtype
    assert fft.irfft(x).dtype == tg.empty(0, dtype=dtype).real.dtype


@pytest.mark.parametrize("n", [1, 4, 5])
def test_frequencies(n, device):
    np.testing.assert_allclose(
        fft.fftfreq(n, d=0.3, dtype=tg.float64, device=device).cpu().numpy(), np.fft.fftfreq(n, 0.3)
    )
    np.testing.assert_allclose(
        fft.rfftfreq(n, d=0.3, dtype=tg.float64, device=device).cpu().numpy(), np.fft.rfftfreq(n, 0.3)
    )
    assert fft.fftfreq(n).dtype == tg.float32


@pytest.mark.parametrize("axes", [None, 0, (1,), (0, 1)])
def test_shifts(axes, device):
    x = np.arange(15.0).reshape(3, 5)
    y = tg.tensor(x, device=device)
    np.testing.assert_array_equal(fft.fftshift(y, axes=axes).cpu().numpy(), np.fft.fftshift(x, axes))
    np.testing.assert_array_equal(fft.ifftshift(fft.fftshift(y, axes=axes), axes=axes).cpu().numpy(), x)


def test_under_jit(device):
    x = tg.tensor(points((4, 6), True), device=device)

    @tg.jit
    def filtered(x):
        return fft.irfft(fft.rfft(x) * 0.5)

    for scale in (1.0, 2.0, 3.0):
        np.testing.assert_allclose(filtered(x * scale).cpu().numpy(), (x * (scale / 2)).cpu().numpy(), atol=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda x: fft.fft(x, n=0), ValueError, "fft: a transform needs at least 1 point, got n=0"),
        (lambda x: fft.fft(x, axis=2), IndexError, "fft: axis 2 is out of range for 2 axes"),
        (lambda x: fft.fft(x, norm="other"), ValueError, "fft: norm must be"),
        (lambda x: fft.fftn(x, s=(2,), axes=(0, 1)), ValueError, "fftn: .* differ in length"),
        (lambda x: fft.fftn(x, axes=(0, -2)), ValueError, "fftn: .* names one axis twice"),
        (lambda x: fft.rfft(x + 1j), TypeError, "rfft: expected a real tensor, got complex64"),
        (lambda x: fft.irfft(x[:, :1]), ValueError, "irfft: a transform needs at least 1 point, got 0"),
        (lambda x: fft.fft(x.half()), TypeError, "fft: no transforms of float16"),
        (lambda x: fft.fft(x[:, :0]), ValueError, "fft: a transform needs at least 1 point"),
    ],
)
def test_errors(call, error, match):
    with pytest.raises(error, match=match):
        call(tg.ones(2, 3))
