"""Which CUDA device is current, what it is called, and waiting for it."""

from __future__ import annotations

from typing import Any

from ..backend import require_cuda, resolve_device, synchronize_cuda

__all__ = [
    "current_device",
    "device",
    "get_device_capability",
    "get_device_name",
    "index_of",
    "set_device",
    "synchronize",
]


def index_of(device: Any = None) -> int:
    """The number of a CUDA device: of ``"cuda:1"``, of a `Device`, of a number, by default of the current one."""
    name = "cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device
    found = resolve_device(name)
    if not found.is_cuda:
        raise ValueError(f"expected a CUDA device, got {device!r}")
    return found.index


def current_device() -> int:
    """The number of the device that ``"cuda"`` names in this thread."""
    return int(require_cuda().cuda.runtime.getDevice())


def set_device(device: Any) -> None:
    """Let ``"cuda"`` name another device in this thread; a negative number changes nothing."""
    if not (isinstance(device, int) and device < 0):
        require_cuda().cuda.runtime.setDevice(index_of(device))


class device:  # noqa: N801 - PyTorch's name
    """Let ``"cuda"`` name another device inside a ``with`` block; ``None`` or a negative number changes nothing.

    Parameters
    ----------
    device : int, str, Device or None
    """

    def __init__(self, device: Any) -> None:
        self.idx = -1 if device is None or (isinstance(device, int) and device < 0) else index_of(device)
        self._before: list[int] = []

    def __enter__(self) -> None:
        self._before.append(current_device())
        set_device(self.idx)

    def __exit__(self, *_: object) -> None:
        set_device(self._before.pop())


def _properties(device: Any) -> Any:
    return require_cuda().cuda.runtime.getDeviceProperties(index_of(device))


def get_device_name(device: Any = None) -> str:
    """The product name of a device, by default the current one."""
    name = _properties(device)["name"]
    return name.decode() if isinstance(name, bytes) else str(name)


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """The compute capability, ``(major, minor)``."""
    properties = _properties(device)
    return int(properties["major"]), int(properties["minor"])


def synchronize(device: Any = None) -> None:
    """Wait until all work on a device is done, and report indices that its kernels found out of range."""
    synchronize_cuda(index_of(device))
