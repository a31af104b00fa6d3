"""What a program asks about CUDA devices; every question but `is_available` needs one."""

from __future__ import annotations

from typing import Any

from .backend import Device, cuda_is_available, require_cuda, resolve_device, synchronize_cuda

__all__ = [
    "device_count",
    "empty_cache",
    "get_device_name",
    "is_available",
    "memory_allocated",
    "synchronize",
]


def is_available() -> bool:
    """Whether CuPy is installed and sees a GPU."""
    return cuda_is_available()


def device_count() -> int:
    """Number of CUDA devices; 0 where there is none."""
    return int(require_cuda().cuda.runtime.getDeviceCount()) if cuda_is_available() else 0


def _device(device: Any) -> Device:
    return resolve_device("cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device)


def get_device_name(device: Any = None) -> str:
    """The product name of a device, by default the current one."""
    properties = require_cuda().cuda.runtime.getDeviceProperties(_device(device).index)
    name = properties["name"]
    return name.decode() if isinstance(name, bytes) else str(name)


def synchronize(device: Any = None) -> None:
    """Wait until all work on a device is done, and report indices that its kernels found out of range."""
    synchronize_cuda(_device(device))


def memory_allocated(device: Any = None) -> int:
    """Bytes that arrays take on a device."""
    cupy = require_cuda()
    with cupy.cuda.Device(_device(device).index):
        return int(cupy.get_default_memory_pool().used_bytes())


def empty_cache() -> None:
    """Give memory that no array uses back to the device."""
    require_cuda().get_default_memory_pool().free_all_blocks()
