"""Devices, streams, events and memory of CUDA, under PyTorch's names; every question but the first two needs a GPU.

Work goes to CuPy's current stream of the calling thread and device, so that a program which mixes tensorgrad and CuPy
is ordered as it reads. Copies with ``non_blocking=True`` and the DataLoader's prefetch have a stream of their own.
"""

from ..backend import cuda_device_count as device_count
from ..backend import cuda_is_available as is_available
from .devices import current_device, device, get_device_capability, get_device_name, set_device, synchronize
from .memory import (
    OutOfMemoryError,
    empty_cache,
    max_memory_allocated,
    mem_get_info,
    memory_allocated,
    memory_reserved,
    reset_peak_memory_stats,
)
from .streams import Event, Stream, current_stream, default_stream, stream

__all__ = [
    "Event",
    "OutOfMemoryError",
    "Stream",
    "current_device",
    "current_stream",
    "default_stream",
    "device",
    "device_count",
    "empty_cache",
    "get_device_capability",
    "get_device_name",
    "is_available",
    "max_memory_allocated",
    "mem_get_info",
    "memory_allocated",
    "memory_reserved",
    "reset_peak_memory_stats",
    "set_device",
    "stream",
    "synchronize",
]
