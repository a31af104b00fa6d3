"""Short-time Fourier transforms: the spectrum of every window of a signal, and the signal from them."""

from __future__ import annotations

from typing import Any

from .. import capture, fft
from ..dtypes import is_differentiable
from ..tensor import Tensor
from .complex_forms import view_as_real
from .complex_parts import real_part
from .definition import lift
from .elementwise import multiply
from .memory import ones
from .padding import pad
from .shape import broadcast_to, matrix_transpose
from .windows import overlap_add, unfold

__all__ = ["istft", "stft"]

_COVERED = 1e-11  # a sample under less of the squared windows is lost
_PADDINGS = {"reflect": "reflect", "constant": "constant", "replicate": "edge", "circular": "wrap"}


def _arguments(
    name: str, x: Tensor, n_fft: int, hop_length: int | None, win_length: int | None, window: Any
) -> tuple[int, int, Tensor]:
    """The distance of the windows, their length, and the window amid ``n_fft`` points."""
    hop, length = n_fft // 4 if hop_length is None else hop_length, n_fft if win_length is None else win_length
    if n_fft < 1 or hop < 1 or not 0 < length <= n_fft:
        raise ValueError(
            f"{name}: expected n_fft and hop_length of at least 1 and win_length of at most n_fft, got {n_fft}, "
            f"{hop} and {length}"
        )
    if window is None:
        window = ones(length, dtype=real_part(x[:0]).dtype, device=x.device)
    if window.shape != (length,):
        raise ValueError(f"{name}: the window must have shape ({length},), which is win_length, got {window.shape}")
    left = (n_fft - length) // 2
    return hop, length, pad(window, (left, n_fft - length - left)) if length < n_fft else window


def stft(
    x: Any,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool = True,
    align_to_window: bool | None = None,
) -> Any:
    r"""Short-time Fourier transform, as PyTorch's.

    .. math:: X[\omega, m] = \sum_k w[k] \, x[m \, hop + k] \, e^{-2 \pi i \omega k / n_{fft}}

    Parameters
    ----------
    x : Tensor
        Real or complex signals, shape (L,) or (N, L).
    n_fft : int
        Points of each transform.
    hop_length : int, optional
        From one window to the next; ``n_fft // 4``.
    win_length : int, optional
        Length of the window, which is centred among the ``n_fft`` points; ``n_fft``.
    window : Tensor, optional
        Shape (win_length,); ones.
    center : bool
        Pad the signal by ``n_fft // 2`` at both ends, so that window ``m`` is centred at sample ``m * hop_length``.
    pad_mode : {"reflect", "constant", "replicate", "circular"}
        What it is padded with.
    normalized : bool
        Divide by the root of ``n_fft``.
    onesided : bool, optional
        Only the frequencies up to the half of the sampling rate: by default where signal and window are real.
    return_complex : bool
        Otherwise real and imaginary parts are the last axis, of two.
    align_to_window : bool, optional
        Without ``center``: pad with zeros so that the first window, not the first ``n_fft`` points, begins with the
        signal.

    Returns
    -------
    Tensor
        Shape ([N,] frequencies, windows).

    Raises
    ------
    ValueError, TypeError
        If sizes or dtypes do not fit each other.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.stft(tg.ones(8), 4, center=False).real[0]
    tensor([4., 4., 4., 4., 4.])
    """
    x = lift(x)
    if not is_differentiable(x.dtype) or x.ndim not in (1, 2):
        raise TypeError(f"stft: expected floating or complex signals (L,) or (N, L), got {x.dtype} of shape {x.shape}")
    hop, length, window = _arguments("stft", x, n_fft, hop_length, win_length, window)
    if center and align_to_window is not None:
        raise ValueError("stft: align_to_window is for center=False")
    if pad_mode not in _PADDINGS:
        raise ValueError(f"stft: pad_mode must be one of {', '.join(_PADDINGS)}, got {pad_mode!r}")
    is_real = x.dtype.kind == window.dtype.kind == "f"
    half = is_real if onesided is None else onesided
    if half and not is_real:
        raise ValueError(f"stft: one side is half of the spectrum of real ones, got {x.dtype}, window {window.dtype}")
    around = n_fft // 2 if center else (n_fft - length) // 2 if align_to_window else 0
    if center and pad_mode == "reflect" and around >= x.shape[-1]:
        raise ValueError(f"stft: reflecting {around} samples needs a longer signal, got shape {x.shape}")
    if around:
        x = pad(x, [(0, 0)] * (x.ndim - 1) + [(around, around)], _PADDINGS[pad_mode] if center else "constant")
    if x.shape[-1] < n_fft:
        raise ValueError(f"stft: n_fft={n_fft} is more than the {x.shape[-1]} samples that there are")
    frames = multiply(unfold(x, -1, n_fft, hop), window)
    norm = "ortho" if normalized else "backward"
    y = matrix_transpose(fft.rfft(frames, norm=norm) if half else fft.fft(frames, norm=norm))
    return y if return_complex else view_as_real(y)


def istft(
    x: Any,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Any:
    """The signal of which `stft` gives these spectra.

    The windows are added where they overlap, and divided by the sum of the squares of ``window`` there (Griffin and
    Lim, 1984).

    Parameters
    ----------
    x : Tensor
        Complex, shape (frequencies, windows) or (N, frequencies, windows).
    n_fft, hop_length, win_length, window, center, normalized
        As they were for `stft`.
    onesided : bool, optional
        Whether the frequencies are those up to half the sampling rate: by default if there are fewer than ``n_fft``.
    length : int, optional
        Samples of the signal, which is cut or filled up with zeros to it.
    return_complex : bool
        The signal is complex; only with all frequencies.

    Returns
    -------
    Tensor
        Shape (L,) or (N, L).

    Raises
    ------
    ValueError
        If no window covers some sample. Under `tg.jit`, which sees no values, that sample is NaN instead.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor([1.0, 4.0, 2.0, 8.0, 5.0, 7.0])
    >>> tg.istft(tg.stft(x, 4), 4)
    tensor([1., 4., 2., 8., 5., 7.])
    """
    x = lift(x)
    if x.dtype.kind != "c" or x.ndim not in (2, 3) or not x.size:
        raise TypeError(
            f"istft: expected complex spectra (frequencies, windows) or (N, frequencies, windows), got {x.dtype} "
            f"of shape {x.shape}"
        )
    hop, size, window = _arguments("istft", x, n_fft, hop_length, win_length, window)
    half = x.shape[-2] != n_fft if onesided is None else onesided
    if x.shape[-2] != (n_fft // 2 + 1 if half else n_fft):
        raise ValueError(f"istft: {x.shape[-2]} frequencies of shape {x.shape} are not those of n_fft={n_fft}")
    if return_complex and half:
        raise ValueError("istft: the signal of a one-sided spectrum is real; return_complex needs onesided=False")
    if hop > size:
        raise ValueError(f"istft: windows of {size} that are {hop} apart leave samples out")
    if not return_complex and window.dtype.kind == "c":
        raise ValueError("istft: with a complex window the signal is complex; give return_complex=True")
    norm = "ortho" if normalized else "backward"
    spectra = matrix_transpose(x)
    if return_complex:
        frames = fft.ifft(spectra, norm=norm)
    else:  # of a real signal: half of the spectrum says all
        frames = fft.irfft(spectra[..., : n_fft // 2 + 1], n_fft, norm=norm)
    whole, start = n_fft + hop * (frames.shape[-2] - 1), n_fft // 2 if center else 0
    end = whole - start if length is None else min(whole, start + length)
    signal = overlap_add(multiply(frames, window), hop)[..., start:end]
    squares = broadcast_to(multiply(window, window), (frames.shape[-2], n_fft))
    weights = overlap_add(squares, hop)[start:end]
    if capture.recording() is None and weights.size and float(abs(weights.detach()).min()) < _COVERED:
        raise ValueError(
            f"istft: a sample of shape {signal.shape} is under no window of {size}, {hop} apart; another window, "
            "or a smaller length"
        )
    signal = signal / weights
    missing = 0 if length is None else length - signal.shape[-1]
    return pad(signal, [(0, 0)] * (signal.ndim - 1) + [(0, missing)]) if missing > 0 else signal
