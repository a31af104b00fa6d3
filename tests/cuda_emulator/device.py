"""``cupy.cuda.Device``."""

from __future__ import annotations

from typing import Any

from . import counters, ordering
from .errors import CUDARuntimeError
from .memory import DEVICE_MEMORY, default_pool
from .state import DEVICE_COUNT, thread_state

_INVALID_DEVICE, _CAPTURE_UNSUPPORTED = 101, 900
ATTRIBUTES = {
    "MaxThreadsPerBlock": 1024,
    "MaxBlockDimX": 1024,
    "MaxBlockDimY": 1024,
    "MaxBlockDimZ": 64,
    "MaxGridDimX": 2147483647,
    "MaxGridDimY": 65535,
    "MaxGridDimZ": 65535,
    "MaxSharedMemoryPerBlock": 48 * 1024,
    "MaxSharedMemoryPerBlockOptin": 227 * 1024,
    "MaxSharedMemoryPerMultiprocessor": 228 * 1024,
    "MaxRegistersPerBlock": 65536,
    "MaxThreadsPerMultiProcessor": 2048,
    "MultiProcessorCount": 4,
    "WarpSize": 32,
    "ClockRate": 1000000,
    "MemoryClockRate": 1000000,
    "GlobalMemoryBusWidth": 256,
    "L2CacheSize": 4 << 20,
    "ComputeCapabilityMajor": 9,
    "ComputeCapabilityMinor": 0,
    "ConcurrentKernels": 1,
    "CooperativeLaunch": 1,
    "UnifiedAddressing": 1,
}


def check_device(device: int) -> int:
    """Return the number of a device, or raise if there is none."""
    if not 0 <= device < DEVICE_COUNT:
        raise CUDARuntimeError(_INVALID_DEVICE)
    return device


def synchronize_device(device: int) -> None:
    """Make the host wait for all work of a device."""
    if ordering.capturing_queues(device):
        raise CUDARuntimeError(_CAPTURE_UNSUPPORTED)
    counters.add("synchronizations")
    ordering.synchronize_device(device)


class Device:
    """One of the emulated devices, of compute capability 9.0."""

    def __init__(self, device: int | Device | None = None) -> None:
        self.id = thread_state.device if device is None else int(device)
        self._before: list[int] = []

    def __int__(self) -> int:
        return self.id

    __index__ = __int__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __lt__(self, other: Device) -> bool:
        return self.id < other.id

    def __hash__(self) -> int:
        return self.id

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"

    def __enter__(self) -> Device:
        self._before.append(thread_state.device)
        self.use()
        return self

    def __exit__(self, *args: object) -> None:
        thread_state.device = self._before.pop()

    def use(self) -> None:
        """Make the device the current one of this thread."""
        thread_state.device = check_device(self.id)

    def synchronize(self) -> None:
        """Make the host wait for all work of the device."""
        synchronize_device(check_device(self.id))

    @property
    def compute_capability(self) -> str:
        """The compute capability, without a point."""
        return "90"

    @property
    def attributes(self) -> dict[str, Any]:
        """The device attributes of the driver."""
        return dict(ATTRIBUTES)

    @property
    def mem_info(self) -> tuple[int, int]:
        """The free and the total memory in bytes."""
        with self:
            return DEVICE_MEMORY - default_pool.total_bytes(), DEVICE_MEMORY

    @property
    def pci_bus_id(self) -> str:
        """The address on the PCI bus."""
        return f"0000:{self.id + 1:02X}:00.0"
