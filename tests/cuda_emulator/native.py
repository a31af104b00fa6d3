"""The C++ runtime as Python calls it: launches of compiled kernels and their faults."""

from __future__ import annotations

import ctypes
import functools
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import compiler
from .errors import EmulatorError
from .registry import registry
from .settings import ORDERS, settings

_INVOKE = ctypes.CFUNCTYPE(None, ctypes.POINTER(ctypes.c_void_p))


class KernelEntry(ctypes.Structure):
    """See ``KernelEntry`` in include/emulator_abi.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("invoke", ctypes.c_void_p),
        ("parameter_count", ctypes.c_int),
        ("parameter_kinds", ctypes.c_char_p),
        ("parameter_sizes", ctypes.POINTER(ctypes.c_uint32)),
    )


class ModuleRanges(ctypes.Structure):
    """See ``ModuleRanges`` in include/emulator_abi.h."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in ("image_begin", "image_end", "shared_begin", "shared_end"))


class LaunchRequest(ctypes.Structure):
    """See ``LaunchRequest`` in include/emulator_abi.h."""

    _fields_ = (
        ("invoke", ctypes.c_void_p),
        ("args", ctypes.POINTER(ctypes.c_void_p)),
        ("grid", ctypes.c_uint32 * 3),
        ("block", ctypes.c_uint32 * 3),
        ("dynamic_shared_bytes", ctypes.c_uint64),
        ("seed", ctypes.c_uint64),
        ("order", ctypes.c_uint32),
        ("check_memory", ctypes.c_uint32),
        ("device", ctypes.c_int32),
        ("ranges", ctypes.POINTER(ModuleRanges)),
    )


class LaunchReport(ctypes.Structure):
    """See ``LaunchReport`` in include/emulator_abi.h."""

    _fields_ = (
        ("failed", ctypes.c_int32),
        ("block", ctypes.c_uint32 * 3),
        ("thread", ctypes.c_uint32 * 3),
        ("code_address", ctypes.c_uint64),
        ("message", ctypes.c_char * 512),
        ("fiber_switches", ctypes.c_uint64),
    )


@functools.cache
def runtime() -> ctypes.PyDLL:
    """Load the runtime and let it follow the allocations.

    Calls keep the interpreter's lock: the runtime's state belongs to one launch at a time.
    """
    library = ctypes.PyDLL(str(compiler.runtime_library()))
    library.emulator_launch.argtypes = [ctypes.POINTER(LaunchRequest), ctypes.POINTER(LaunchReport)]
    register = library.emulator_register_allocation
    register.argtypes = [ctypes.c_uint64, ctypes.c_uint64, ctypes.c_int]
    unregister = library.emulator_unregister_allocation
    unregister.argtypes = [ctypes.c_uint64]
    registry.follow(register, unregister)
    return library


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel: its kind (see include/launch.h) and its size in bytes."""

    kind: str
    size: int


class Library:
    """A compiled module, loaded."""

    def __init__(self, path: Path) -> None:
        runtime()
        self._path = path
        self._library = ctypes.PyDLL(str(path))
        self.ranges = ModuleRanges()
        self._library.emulator_ranges(ctypes.byref(self.ranges))
        self.entries: dict[str, KernelEntry] = {}
        table = (KernelEntry * 0x10000).in_dll(self._library, "emulator_kernels")
        for entry in table:
            if not entry.name:
                break
            self.entries[entry.name.decode()] = entry

    def parameters(self, name: str) -> tuple[Parameter, ...]:
        """Return the parameters of a kernel."""
        entry = self.entries[name]
        kinds = entry.parameter_kinds.decode()
        return tuple(Parameter(kind, entry.parameter_sizes[i]) for i, kind in enumerate(kinds))

    def variable_address(self, name: str) -> int:
        """Return the address of a ``__device__`` or ``__constant__`` variable."""
        return ctypes.addressof(ctypes.c_char.in_dll(self._library, name))

    def launch(
        self,
        name: str,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: list[bytes],
        dynamic_shared_bytes: int,
        device: int,
    ) -> int:
        """Run a kernel to its end and return the number of switches between fibers."""
        buffers = [ctypes.create_string_buffer(data, len(data)) for data in arguments]
        pointers = (ctypes.c_void_p * max(len(buffers), 1))(*map(ctypes.addressof, buffers))
        request = LaunchRequest(
            invoke=self.entries[name].invoke,
            args=pointers,
            grid=(ctypes.c_uint32 * 3)(*grid),
            block=(ctypes.c_uint32 * 3)(*block),
            dynamic_shared_bytes=dynamic_shared_bytes,
            seed=settings.seed,
            order=ORDERS.index(settings.order),
            check_memory=settings.check_memory,
            device=device,
            ranges=ctypes.pointer(self.ranges),
        )
        report = LaunchReport()
        if runtime().emulator_launch(ctypes.byref(request), ctypes.byref(report)):
            line = self._line(report.code_address)
            raise EmulatorError(
                f"kernel {name}, block {tuple(report.block)}, thread {tuple(report.thread)}"
                f"{line}: {report.message.decode(errors='replace')}"
            )
        return int(report.fiber_switches)

    def _line(self, address: int) -> str:
        """Return where in the source an address of code is, if that can be found out."""
        tool = shutil.which("addr2line")
        if tool is None or not self.ranges.image_begin <= address < self.ranges.image_end:
            return ""
        # The address is that of the return, one past the call.
        offset = hex(address - 1 - self.ranges.image_begin)
        found = subprocess.run(
            [tool, "-i", "-e", str(self._path), offset], capture_output=True, text=True, check=False
        ).stdout.split("\n")
        # Innermost first: the functions of the shim are inlined into the kernel that calls them.
        places = [Path(line.split(" ")[0]).name for line in found]
        headers = {path.name for path in compiler.INCLUDE.iterdir()}
        own = [place for place in places if place.split(":")[0] not in headers and place[:1] != "?"]
        return f" ({own[0]})" if own and own[0] else ""
