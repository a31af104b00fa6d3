"""``cupy.RawModule`` and ``cupy.RawKernel``: CUDA sources, compiled for the host and run."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import compiler, source
from .errors import CompileException, CUDADriverError, EmulatorError
from .execution import execute
from .memory import MemoryPointer
from .native import Library, Parameter
from .ndarray import ndarray
from .settings import settings
from .state import thread_state

_MAX_THREADS, _MAX_GRID = 1024, (2**31 - 1, 65535, 65535)
_DEFAULT_SHARED, _MAX_SHARED = 48 * 1024, 227 * 1024


@functools.cache
def _load(code: str, expressions: tuple[str, ...], options: tuple[str, ...], check_memory: bool) -> Library:
    kept = compiler.check_options(options)
    return Library(compiler.compile_module(prepare(code, expressions, kept), kept, check_memory))


def prepare(code: str, expressions: tuple[str, ...], options: tuple[str, ...]) -> str:
    """Return the source to compile: rewritten, with a table of its kernels at the end."""
    directories = [Path(option[2:]) for option in options if option.startswith("-I")]
    code = source.rewrite(source.expand_includes(code, directories))
    kernels = list(dict.fromkeys([*source.find_kernels(code), *expressions]))
    table = "".join(f'emulator::entry<&{name}>("{name}"), ' for name in kernels)
    return f'#line 1 "kernel.cu"\n{code}\n#include "launch.h"\nEMULATOR_MODULE({table})\n'


class RawModule:
    """A module of kernels from one source; see ``cupy.RawModule``."""

    def __init__(
        self,
        *,
        code: str | None = None,
        path: str | None = None,
        options: tuple[str, ...] = (),
        backend: str = "nvrtc",
        translate_cucomplex: bool = False,
        enable_cooperative_groups: bool = False,
        name_expressions: Any = None,
        jitify: Any = None,
    ) -> None:
        if (code is None) == (path is None):
            raise TypeError("Exactly one of `code` and `path` keyword arguments must be given.")
        if path is not None:
            raise EmulatorError("the emulator compiles sources; it cannot load a binary module")
        self.code = code or ""
        self.options = options
        self.name_expressions = tuple(name_expressions or ())
        self._kernels: dict[str, RawKernel] = {}

    @property
    def module(self) -> Library:
        """The compiled module."""
        return self.library(())

    def library(self, extra: tuple[str, ...]) -> Library:
        """Return the module, compiled with kernels that only its preprocessed source names."""
        expressions = (*self.name_expressions, *extra)
        return _load(self.code, expressions, tuple(self.options), settings.check_memory)

    def compile(self, log_stream: Any = None) -> None:
        """Compile the source."""
        self.library(())

    def get_function(self, name: str) -> RawKernel:
        """Return a kernel by its name, or by one of the name expressions."""
        if name not in self._kernels:
            kernel = RawKernel(self.code, name, self.options)
            kernel.module = self
            kernel.kernel  # noqa: B018 - compiles, so that a wrong name is reported here
            self._kernels[name] = kernel
        return self._kernels[name]

    def get_global(self, name: str) -> MemoryPointer:
        """Return a pointer to a ``__device__`` or ``__constant__`` variable."""
        try:
            address = self.module.variable_address(name)
        except ValueError:
            raise CUDADriverError("CUDA_ERROR_NOT_FOUND", "named symbol not found") from None
        return MemoryPointer(_ModuleVariable(address), 0)


class _ModuleVariable:
    """A variable of a module as memory: outside of all pools, and of unknown size."""

    def __init__(self, address: int) -> None:
        self.ptr = address
        self.device_id = thread_state.device


class RawKernel:
    """A kernel; see ``cupy.RawKernel``."""

    def __init__(
        self,
        code: str,
        name: str,
        options: tuple[str, ...] = (),
        backend: str = "nvrtc",
        *,
        translate_cucomplex: bool = False,
        enable_cooperative_groups: bool = False,
        jitify: Any = None,
    ) -> None:
        self.code, self.name, self.options = code, name, options
        self.backend = backend
        self.__name__ = name
        self.module: RawModule | None = None
        self.max_dynamic_shared_size_bytes = _DEFAULT_SHARED
        self.preferred_shared_memory_carveout = -1

    def bind(
        self, grid: tuple[int, int, int], block: tuple[int, int, int], args: Any, device: int
    ) -> Callable[[], int]:
        """Return a launch that takes its arguments, arrays among them, by value."""
        library = self.kernel
        arguments = marshal(self.name, library.parameters(self.name), tuple(args))
        return lambda: library.launch(self.name, grid, block, arguments, 0, device)

    @property
    def kernel(self) -> Library:
        """The compiled module, which has this kernel in its table."""
        module = self.module or RawModule(code=self.code, options=self.options)
        self.module = module
        library = module.module
        if self.name in library.entries:
            return library
        if self.name.isidentifier() and self.name in self.code:
            try:
                return module.library((self.name,))
            except CompileException:
                pass
        raise CUDADriverError("CUDA_ERROR_NOT_FOUND", f"named symbol not found: {self.name}")

    def compile(self, log_stream: Any = None) -> None:
        """Compile the source."""
        self.kernel  # noqa: B018

    @property
    def attributes(self) -> dict[str, int]:
        """What the driver says of the kernel."""
        return {
            "max_threads_per_block": _MAX_THREADS,
            "shared_size_bytes": self.shared_size_bytes,
            "max_dynamic_shared_size_bytes": self.max_dynamic_shared_size_bytes,
            "num_regs": 32,
            "local_size_bytes": 0,
            "const_size_bytes": 0,
        }

    @property
    def shared_size_bytes(self) -> int:
        """The static shared memory of all kernels of the module."""
        ranges = self.kernel.ranges
        return int(ranges.shared_end - ranges.shared_begin)

    max_threads_per_block = _MAX_THREADS
    num_regs = 32
    local_size_bytes = 0
    const_size_bytes = 0

    def __call__(
        self,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        args: Any,
        *,
        shared_mem: int = 0,
        stream: Any = None,
    ) -> None:
        """Launch the kernel."""
        library = self.kernel
        full_grid, full_block = _dimensions(grid), _dimensions(block)
        _check_shape(full_grid, full_block)
        if shared_mem > min(max(self.max_dynamic_shared_size_bytes, _DEFAULT_SHARED), _MAX_SHARED):
            raise CUDADriverError("CUDA_ERROR_INVALID_VALUE", "invalid argument")
        for i, arg in enumerate(args):
            if isinstance(arg, ndarray) and arg.data.device_id != thread_state.device:
                raise EmulatorError(
                    f"argument {i} of kernel {self.name} is memory of device {arg.data.device_id}, "
                    f"the kernel runs on device {thread_state.device}"
                )
        parameters = library.parameters(self.name)
        arguments = marshal(self.name, parameters, tuple(args))
        regions = [
            arg.region(writes=parameter.kind != "r")
            for arg, parameter in zip(args, parameters, strict=True)
            if isinstance(arg, ndarray)
        ]
        device = thread_state.device
        execute(
            f"kernel {self.name}",
            lambda: library.launch(self.name, full_grid, full_block, arguments, shared_mem, device),
            regions,
            stream=stream,
        )


def _dimensions(shape: tuple[int, ...]) -> tuple[int, int, int]:
    x, y, z = (*shape, 1, 1)[:3]
    return max(1, int(x)), max(1, int(y)), max(1, int(z))


def _check_shape(grid: tuple[int, int, int], block: tuple[int, int, int]) -> None:
    threads = block[0] * block[1] * block[2]
    if threads > _MAX_THREADS or block[2] > 64:
        raise CUDADriverError("CUDA_ERROR_INVALID_VALUE", "invalid argument")
    if any(size > limit for size, limit in zip(grid, _MAX_GRID, strict=True)):
        raise CUDADriverError("CUDA_ERROR_INVALID_VALUE", "invalid argument")


def marshal(name: str, parameters: tuple[Parameter, ...], args: tuple[Any, ...]) -> list[bytes]:
    """Return the bytes of each argument as a launch on a device would pass them.

    A device takes the bytes as they are; what a kernel would then misread is an error here.
    """
    if len(args) != len(parameters):
        raise EmulatorError(f"kernel {name} takes {len(parameters)} arguments, {len(args)} are given")
    return [
        _argument(f"argument {i} of kernel {name}", parameter, arg)
        for i, (parameter, arg) in enumerate(zip(parameters, args, strict=True))
    ]


def _argument(label: str, parameter: Parameter, arg: Any) -> bytes:
    if isinstance(arg, (ndarray, MemoryPointer)) or arg is None:
        pointer = arg.data.ptr if isinstance(arg, ndarray) else arg.ptr if arg is not None else 0
        if parameter.kind not in "pr":
            raise EmulatorError(f"{label} is an array, but the kernel takes no pointer there")
        return struct.pack("@P", pointer)
    if isinstance(arg, np.ndarray):
        if arg.size != 1:
            raise TypeError(
                f"You are trying to pass a numpy.ndarray of shape {arg.shape} as a kernel "
                "parameter. Only numpy.ndarrays of size one can be passed by value. If you meant "
                "to pass a pointer to __global__ memory, you need to pass a cupy.ndarray instead."
            )
        return _check_size(label, parameter, arg.dtype.kind, arg.tobytes())
    if type(arg) is int:
        return _integer(label, parameter, arg)
    if isinstance(arg, (bool, float, complex, np.generic)):
        value = np.asarray(arg)
        return _check_size(label, parameter, value.dtype.kind, value.tobytes())
    raise TypeError(f"Unsupported type {type(arg)}")


def _integer(label: str, parameter: Parameter, arg: int) -> bytes:
    """Pass a Python integer: 8 bytes, of which a smaller parameter reads the first."""
    if parameter.kind == "f" or (parameter.kind == "s" and parameter.size != 8):
        raise EmulatorError(f"{label} is a Python int (int64), but the kernel takes another type")
    bits = 8 * parameter.size
    if parameter.kind == "i" and not -(1 << (bits - 1)) <= arg < 1 << bits:
        raise EmulatorError(f"{label} is {arg}, which does not fit into {parameter.size} bytes")
    return (arg & (1 << 64) - 1).to_bytes(8, "little")


def _check_size(label: str, parameter: Parameter, kind: str, data: bytes) -> bytes:
    expected = {"f": "f", "i": "biu", "p": "u", "r": "u", "s": "fVcbiu"}[parameter.kind]
    if kind not in expected or len(data) != parameter.size:
        wanted = {"f": "floating point", "i": "integer", "p": "pointer", "r": "pointer", "s": "struct"}
        raise EmulatorError(
            f"{label} has {len(data)} bytes of kind {kind!r}, but the kernel takes a "
            f"{wanted[parameter.kind]} of {parameter.size} bytes"
        )
    return data
