"""Short-time Fourier transforms against the sum that defines them, and back."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.testing import gradcheck, gradgradcheck

SETTINGS = [  # n_fft, hop, window's length
    (8, None, None),
    (8, 3, 5),
    (7, 2, 6),
    (5, 1, 5),
]


def signal(*shape: int, real: bool = True, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    x = random.standard_normal(shape)
    return x if real else x + 1j * random.standard_normal(shape)


def window(size: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(0.3, 1, size)


def defined(x: np.ndarray, n: int, hop: int, w: np.ndarray) -> np.ndarray:
    """The sum over the points of each window, (N, n, windows)."""
    left = (n - len(w)) // 2
    k = np.arange(len(w)) + left
    starts = range(0, x.shape[-1] - n + 1, hop)
    waves = np.exp(-2j * np.pi * np.outer(np.arange(n), k) / n)
    return np.stack([(x[:, s + k] * w) @ waves.T for s in starts], axis=-1)


@pytest.mark.parametrize(("mode", "numpy_mode"), [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")])
@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize(("n", "hop", "size"), SETTINGS)
def test_definition(n, hop, size, real, mode, numpy_mode, device):
    x, w = signal(2, 21, real=real), window(size or n)
    step = hop or n // 4
    whole = defined(np.pad(x, ((0, 0), (n // 2, n // 2)), numpy_mode), n, step, w)
    given, tapered = tg.tensor(x, device=device), tg.tensor(w, device=device)
    found = tg.stft(given, n, hop, size, tapered, pad_mode=mode, normalized=True)
    expected = (whole[:, : n // 2 + 1] if real else whole) / np.sqrt(n)
    np.testing.assert_allclose(found.cpu().numpy(), expected, atol=1e-12)
    both = tg.stft(given[0], n, hop, size, tapered, pad_mode=mode, onesided=False, return_complex=False)
    np.testing.assert_allclose(both.cpu().numpy(), np.stack([whole[0].real, whole[0].imag], -1), atol=1e-12)


@pytest.mark.parametrize("aligned", [None, False, True])
def test_without_center(aligned, device):
    x, w = signal(1, 21), window(4)
    found = tg.stft(tg.tensor(x, device=device), 8, 3, 4, tg.tensor(w, device=device), False, align_to_window=aligned)
    padded = np.pad(x, ((0, 0), (2, 2))) if aligned else x
    np.testing.assert_allclose(found.cpu().numpy(), defined(padded, 8, 3, w)[:, :5], atol=1e-12)


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize(("n", "hop", "size"), SETTINGS)
def test_there_and_back(n, hop, size, real, normalized, device):
    x, w = tg.tensor(signal(2, 24, real=real), device=device), tg.tensor(window(size or n), device=device)
    spectra = tg.stft(x, n, hop, size, w, normalized=normalized)
    back = tg.istft(spectra, n, hop, size, w, normalized=normalized, return_complex=not real)
    np.testing.assert_allclose(back.cpu().numpy(), x.cpu().numpy()[:, : back.shape[1]], atol=1e-12)
    assert back.shape[1] > 24 - (hop or n // 4) - n % 2
    short = tg.istft(spectra, n, hop, size, w, normalized=normalized, return_complex=not real, length=9)
    np.testing.assert_allclose(short.cpu().numpy(), x.cpu().numpy()[:, :9], atol=1e-12)


def test_nearest_signal():
    """Spectra that are none of a signal: least squares over all signals, weighted by the windows."""
    n, hop, w = 6, 2, window(6)
    spectra = signal(4, 5, real=False)
    spectra[[0, -1]] = spectra[[0, -1]].real  # as those of real windows are
    length = n + 4 * hop
    frames = np.fft.irfft(spectra.T, n)
    rows = np.zeros((5 * n, length))
    for m in range(5):
        rows[m * n + np.arange(n), m * hop + np.arange(n)] = w
    expected = np.linalg.lstsq(rows, frames.ravel(), rcond=None)[0]
    found = tg.istft(tg.tensor(spectra), n, hop, window=tg.tensor(w), center=False)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
    longer = tg.istft(tg.tensor(spectra), n, hop, window=tg.tensor(w), center=False, length=length + 3)
    np.testing.assert_allclose(longer.numpy(), [*expected, 0, 0, 0], atol=1e-12)


def test_gradients():
    x, w = tg.tensor(signal(9), requires_grad=True), tg.tensor(window(3), requires_grad=True)
    assert gradcheck(lambda x, w: tg.stft(x, 4, 2, 3, w), (x, w))
    assert gradgradcheck(lambda x, w: tg.stft(x, 4, 2, 3, w), (x, w))
    spectra = tg.tensor(signal(3, 4, real=False), requires_grad=True)
    assert gradcheck(lambda s, w: tg.istft(s, 4, 1, 3, w), (spectra, w))
    assert gradgradcheck(lambda s, w: tg.istft(s, 4, 1, 3, w), (spectra, w))


def test_under_jit(device):
    w = tg.tensor(window(6), device=device)

    @tg.jit
    def smoothed(x):
        y = tg.istft(0.5 * tg.stft(x, 6, 2, window=w), 6, 2, window=w)
        return y, tg.autograd.grad((y * y).sum(), x)[0]

    for seed in range(3):
        x = signal(12, seed=seed)
        y, g = smoothed(tg.tensor(x, device=device, requires_grad=True))
        np.testing.assert_allclose(y.detach().cpu().numpy(), x / 2, atol=1e-12)
        np.testing.assert_allclose(g.cpu().numpy(), x / 2, atol=1e-12)


def test_single_precision_stays(device):
    y = tg.stft(tg.ones(12, device=device), 4)
    assert y.dtype == tg.complex64
    assert tg.istft(y, 4).dtype == tg.float32


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda x: tg.stft(x.astype(tg.int64), 4), TypeError, "floating or complex signals"),
        (lambda x: tg.stft(x.reshape(1, 1, -1), 4), TypeError, r"got float64 of shape \(1, 1, 12\)"),
        (lambda x: tg.stft(x, 4, 0), ValueError, "hop_length of at least 1"),
        (lambda x: tg.stft(x, 4, win_length=5), ValueError, "win_length of at most n_fft, got 4, 1 and 5"),
        (lambda x: tg.stft(x, 4, window=x), ValueError, r"window must have shape \(4,\)"),
        (lambda x: tg.stft(x, 14, center=False), ValueError, "n_fft=14 is more than the 12 samples"),
        (lambda x: tg.stft(x, 24), ValueError, "reflecting 12 samples needs a longer signal"),
        (lambda x: tg.stft(x, 4, pad_mode="edge"), ValueError, "pad_mode must be one of reflect"),
        (lambda x: tg.stft(x + 0j, 4, onesided=True), ValueError, "one side is half"),
        (lambda x: tg.stft(x, 4, align_to_window=True), ValueError, "center=False"),
        (lambda x: tg.istft(x, 4), TypeError, "expected complex spectra"),
        (lambda x: tg.istft(tg.stft(x, 4), 8), ValueError, "3 frequencies"),
        (lambda x: tg.istft(tg.stft(x, 4), 4, return_complex=True), ValueError, "one-sided spectrum is real"),
        (lambda x: tg.istft(tg.stft(x, 4, 3), 4, 3, 2), ValueError, "windows of 2 that are 3 apart"),
        (
            lambda x: tg.istft(tg.stft(x, 4, 2, center=False), 4, 2, window=x[:4] * 0, center=False),
            ValueError,
            "under no window",
        ),
        (
            lambda x: tg.istft(tg.stft(x, 4, onesided=False), 4, onesided=False, window=x[:4] + 0j),
            ValueError,
            "complex window",
        ),
    ],
)
def test_errors(call, error, match):
    with pytest.raises(error, match=match):
        call(tg.tensor(signal(12)))
