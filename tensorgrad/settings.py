"""What a program sets for all of its computations, and asks of them, under PyTorch's names."""

from __future__ import annotations

from . import tape
from .generator import default_generator
from .kernels import switches
from .kernels.cpu import blas_threads, blocked

__all__ = [
    "get_float32_matmul_precision", "get_num_threads", "initial_seed", "is_anomaly_check_nan_enabled",
    "is_anomaly_enabled", "is_inference_mode_enabled", "seed", "set_anomaly_enabled", "set_float32_matmul_precision",
    "set_num_threads",
]  # fmt: skip


def get_num_threads() -> int:
    """On how many threads the CPU computes what is worth it; at first one for each core that the process may use.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.get_num_threads() >= 1
    True
    """
    return blocked.get_num_threads()


def set_num_threads(n: int) -> None:
    """Compute on at most ``n`` threads from here on, with OpenBLAS in matrix products too.

    Sums may be added in another order, and come out different in the last digits.

    Raises
    ------
    ValueError
        If ``n`` is less than 1.
    """
    blocked.set_num_threads(n)
    blas_threads.set_threads(n)


def seed() -> int:
    """Go to the start of a random stream that the operating system gives, and return its seed.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.seed() == tg.initial_seed()
    True
    """
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the stream that random numbers come from."""
    return default_generator.initial_seed()


def is_inference_mode_enabled() -> bool:
    """Whether the innermost `inference_mode` around this line is on.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> with tg.inference_mode():
    ...     tg.is_inference_mode_enabled()
    True
    """
    return tape.inference.get()


def is_anomaly_enabled() -> bool:
    """Whether `autograd.detect_anomaly` is on."""
    return tape.trace_forward is not None


def is_anomaly_check_nan_enabled() -> bool:
    """Whether it looks for NaN, which ``check_nan=False`` keeps it from."""
    return tape.check_nan


def set_anomaly_enabled(mode: bool, check_nan: bool = True) -> None:
    """Turn `autograd.detect_anomaly` on or off from here on.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.set_anomaly_enabled(True)
    >>> tg.is_anomaly_enabled()
    True
    >>> tg.set_anomaly_enabled(False)
    """
    from .anomaly import set_detect_anomaly

    set_detect_anomaly(mode, check_nan)


def get_float32_matmul_precision() -> str:
    """``"highest"``, or ``"high"`` where `backends.cuda.matmul.allow_tf32` is on."""
    return "high" if switches.allow_tf32 else "highest"


def set_float32_matmul_precision(precision: str) -> None:
    """Set `backends.cuda.matmul.allow_tf32`: off for ``"highest"``, on for ``"high"`` and, as there is no faster way
    of float32 products here, for ``"medium"``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.set_float32_matmul_precision("high")
    >>> tg.get_float32_matmul_precision()
    'high'
    >>> tg.set_float32_matmul_precision("highest")
    """
    if precision not in ("highest", "high", "medium"):
        raise ValueError(f"set_float32_matmul_precision: expected 'highest', 'high' or 'medium', got {precision!r}")
    switches.allow_tf32 = precision != "highest"
