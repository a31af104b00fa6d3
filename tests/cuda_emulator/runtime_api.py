"""``cupy.cuda.runtime``: the CUDA runtime's functions by their own names."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import device
from .errors import CUDARuntimeError
from .execution import copy_to_device, copy_to_host, execute
from .memory import MemoryPointer, PooledMemory, block_at, default_pool, host_bytes
from .state import DEVICE_COUNT, thread_state
from .streams import BaseStream, Stream, queue_of_pointer

CONSTANTS = {
    "memcpyHostToHost": 0,
    "memcpyHostToDevice": 1,
    "memcpyDeviceToHost": 2,
    "memcpyDeviceToDevice": 3,
    "memcpyDefault": 4,
    "streamDefault": 0,
    "streamNonBlocking": 1,
    "streamLegacy": 1,
    "streamPerThread": 2,
    "streamCaptureModeGlobal": 0,
    "streamCaptureModeThreadLocal": 1,
    "streamCaptureModeRelaxed": 2,
    "eventDefault": 0,
    "eventBlockingSync": 1,
    "eventDisableTiming": 2,
    "eventInterprocess": 4,
    "is_hip": False,
}
_HOST_TO_HOST, _HOST_TO_DEVICE, _DEVICE_TO_HOST, _, _DEFAULT = range(5)
_unpooled: dict[int, MemoryPointer] = {}


def getDeviceCount() -> int:
    """Return the number of emulated devices."""
    return DEVICE_COUNT


def getDevice() -> int:
    """Return the current device of this thread."""
    return thread_state.device


def setDevice(device_id: int) -> None:
    """Set the current device of this thread."""
    thread_state.device = device.check_device(device_id)


def getDeviceProperties(device_id: int) -> dict[str, Any]:
    """Return properties of a device."""
    device.check_device(device_id)
    attributes = device.ATTRIBUTES
    return {
        "name": b"tensorgrad CUDA emulator",
        "major": 9,
        "minor": 0,
        "multiProcessorCount": attributes["MultiProcessorCount"],
        "warpSize": attributes["WarpSize"],
        "totalGlobalMem": device.DEVICE_MEMORY,
        "sharedMemPerBlock": attributes["MaxSharedMemoryPerBlock"],
        "sharedMemPerBlockOptin": attributes["MaxSharedMemoryPerBlockOptin"],
        "sharedMemPerMultiprocessor": attributes["MaxSharedMemoryPerMultiprocessor"],
        "regsPerBlock": attributes["MaxRegistersPerBlock"],
        "maxThreadsPerBlock": attributes["MaxThreadsPerBlock"],
        "maxThreadsPerMultiProcessor": attributes["MaxThreadsPerMultiProcessor"],
        "maxThreadsDim": (1024, 1024, 64),
        "maxGridSize": (2147483647, 65535, 65535),
        "clockRate": attributes["ClockRate"],
        "memoryClockRate": attributes["MemoryClockRate"],
        "memoryBusWidth": attributes["GlobalMemoryBusWidth"],
        "l2CacheSize": attributes["L2CacheSize"],
        "pciBusID": device_id + 1,
        "pciDeviceID": 0,
        "pciDomainID": 0,
        "uuid": bytes([device_id]) * 16,
    }


def deviceSynchronize() -> None:
    """Make the host wait for the current device."""
    device.synchronize_device(thread_state.device)


def deviceCanAccessPeer(device_id: int, peer: int) -> int:
    """Return whether a device reads another's memory; these do not."""
    return 0


def deviceGetAttribute(attribute: int, device_id: int) -> int:
    """Return a device attribute by its number; the common ones are known."""
    names = {1: "MaxThreadsPerBlock", 8: "MaxSharedMemoryPerBlock", 10: "WarpSize",
             16: "MultiProcessorCount", 39: "MaxThreadsPerMultiProcessor",
             75: "ComputeCapabilityMajor", 76: "ComputeCapabilityMinor",
             97: "MaxSharedMemoryPerBlockOptin"}  # fmt: skip
    if attribute not in names:
        raise CUDARuntimeError(1)
    return device.ATTRIBUTES[names[attribute]]


def runtimeGetVersion() -> int:
    """Return the version of the runtime."""
    return 12080


def driverGetVersion() -> int:
    """Return the version of the driver."""
    return 12080


def memGetInfo() -> tuple[int, int]:
    """Return the free and the total memory of the current device."""
    return device.Device().mem_info


def malloc(size: int) -> int:
    """Allocate outside of the pools; see `free`."""
    pointer = type(default_pool)().malloc(size)
    _unpooled[pointer.ptr] = pointer
    return pointer.ptr


def free(ptr: int) -> None:
    """Free what `malloc` returned."""
    pointer = _unpooled.pop(ptr, None)
    if pointer is None:
        raise CUDARuntimeError(1)
    memory: PooledMemory = pointer.mem
    memory.free()


def _stream(ptr: int) -> BaseStream:
    return Stream.null if queue_of_pointer(ptr) is None else BaseStream(queue_of_pointer(ptr), -1)


def _device_pointer(address: int) -> MemoryPointer:
    block = block_at(address)
    return MemoryPointer(block, address - block.ptr)


def memcpyAsync(dst: int, src: int, size: int, kind: int, stream: int = 0) -> None:
    """Copy bytes in the order of a stream."""
    if kind == _DEFAULT:
        kind = 2 * _is_device(src) + _is_device(dst)
    order = _stream(stream)
    if kind == _HOST_TO_HOST:
        np.copyto(host_bytes(dst, size), host_bytes(src, size))
    elif kind == _HOST_TO_DEVICE:
        target = _device_pointer(dst)
        copy_to_device(target.bytes(size), host_bytes(src, size), target.region(size, True), order)
    elif kind == _DEVICE_TO_HOST:
        source = _device_pointer(src)
        copy_to_host(host_bytes(dst, size), source.bytes(size), source.region(size, False), order, False)
    else:
        _device_pointer(dst).copy_from_device_async(_device_pointer(src), size, order)


def _is_device(address: int) -> bool:
    try:
        block_at(address)
    except RuntimeError:
        return False
    return True


def memcpy(dst: int, src: int, size: int, kind: int) -> None:
    """Copy bytes and wait."""
    memcpyAsync(dst, src, size, kind)
    streamSynchronize(0)


def memsetAsync(ptr: int, value: int, size: int, stream: int = 0) -> None:
    """Set bytes in the order of a stream."""
    target = _device_pointer(ptr)
    values = target.bytes(size)
    execute("memset", lambda: values.fill(value), (target.region(size, True),), stream=_stream(stream))


def memset(ptr: int, value: int, size: int) -> None:
    """Set bytes."""
    memsetAsync(ptr, value, size)


def streamSynchronize(stream: int) -> None:
    """Make the host wait for a stream."""
    _stream(stream).synchronize()


def streamIsCapturing(stream: int) -> bool:
    """Whether a stream is being captured."""
    return _stream(stream).is_capturing()


def profilerStart() -> None:
    """Do nothing: there is no profiler."""


def profilerStop() -> None:
    """Do nothing: there is no profiler."""


def contents() -> dict[str, Any]:
    """Return what the module holds, by name."""
    functions = (
        getDeviceCount,
        getDevice,
        setDevice,
        getDeviceProperties,
        deviceSynchronize,
        deviceCanAccessPeer,
        deviceGetAttribute,
        runtimeGetVersion,
        driverGetVersion,
        memGetInfo,
        malloc,
        free,
        memcpyAsync,
        memcpy,
        memsetAsync,
        memset,
        streamSynchronize,
        streamIsCapturing,
        profilerStart,
        profilerStop,
    )
    return {"CUDARuntimeError": CUDARuntimeError, **CONSTANTS, **{f.__name__: f for f in functions}}
