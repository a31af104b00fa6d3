"""The module tree that stands in for CuPy's."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np

from . import (
    device,
    dispatch,
    elementwise,
    errors,
    functions,
    graphs,
    kernels,
    linalg,
    memory,
    names,
    pinned,
    reduction,
    runtime_api,
    streams,
)
from .ndarray import ndarray

VERSION = "14.2.0"


def _as_strided(x: ndarray, shape: Any = None, strides: Any = None) -> ndarray:
    """CuPy's: the view has no ``base``."""
    return ndarray(x.shape if shape is None else shape, x.dtype, x.data, x.strides if strides is None else strides)


def _module(name: str, **contents: Any) -> ModuleType:
    module = ModuleType(name, "Part of the CUDA emulator's stand-in for CuPy.")
    module.__dict__.update(contents)
    module.__path__ = []
    # importlib.util.find_spec and reload ask for it.
    module.__spec__ = ModuleSpec(name, None, is_package=True)
    return module


@contextlib.contextmanager
def _no_range(*args: Any, **kwargs: Any) -> Iterator[None]:
    yield


def _nothing(*args: Any, **kwargs: Any) -> None:
    return None


def is_available() -> bool:
    """Whether there is a device."""
    return True


def get_default_memory_pool() -> memory.MemoryPool:
    """Return the pool that arrays come from by default."""
    return memory.default_pool


def get_default_pinned_memory_pool() -> pinned.PinnedMemoryPool:
    """Return the pool of page-locked memory."""
    return pinned.default_pinned_pool


def show_config(*args: Any, **kwargs: Any) -> None:
    """Print what this is."""
    print(f"CUDA emulator of tensorgrad's tests, standing in for CuPy {VERSION}")


class PerformanceWarning(RuntimeWarning):
    """CuPy's warning of slow paths; the emulator has none."""


def _cuda() -> dict[str, ModuleType]:
    runtime = _module("cupy.cuda.runtime", **runtime_api.contents())
    driver = _module("cupy.cuda.driver", CUDADriverError=errors.CUDADriverError)
    compiler = _module("cupy.cuda.compiler", CompileException=errors.CompileException)
    memory_names = ("Memory", "MemoryPointer", "MemoryPool", "UnownedMemory",
                    "alloc", "get_allocator", "set_allocator", "using_allocator")  # fmt: skip
    pool = {name: getattr(memory, name) for name in memory_names}
    memory_module = _module("cupy.cuda.memory", **pool, OutOfMemoryError=errors.OutOfMemoryError)
    stream_names = {name: getattr(streams, name) for name in
                    ("Stream", "ExternalStream", "Event", "get_current_stream",
                     "get_elapsed_time")}  # fmt: skip
    nvtx = _module("cupy.cuda.nvtx", RangePush=_nothing, RangePop=_nothing, Mark=_nothing)
    profiler = _module("cupy.cuda.profiler", start=_nothing, stop=_nothing, profile=_no_range)
    stream = _module("cupy.cuda.stream", **stream_names)
    graph = _module("cupy.cuda.graph", Graph=graphs.Graph)
    devices = _module("cupy.cuda.device", Device=device.Device)
    pinned_memory = _module("cupy.cuda.pinned_memory", PinnedMemoryPool=pinned.PinnedMemoryPool)
    cuda = _module(
        "cupy.cuda",
        **pool,
        **stream_names,
        Device=device.Device,
        Graph=graphs.Graph,
        runtime=runtime,
        driver=driver,
        compiler=compiler,
        memory=memory_module,
        stream=stream,
        graph=graph,
        device=devices,
        nvtx=nvtx,
        profiler=profiler,
        pinned_memory=pinned_memory,
        PinnedMemoryPool=pinned.PinnedMemoryPool,
        PinnedMemoryPointer=pinned.PinnedMemoryPointer,
        is_available=is_available,
        malloc=memory.alloc,
        alloc_pinned_memory=pinned.default_pinned_pool.malloc,
        get_cublas_path=_nothing,
    )
    parts = (cuda, runtime, driver, compiler, memory_module, stream, graph, devices, nvtx, profiler,
             pinned_memory)  # fmt: skip
    return {module.__name__: module for module in parts}


def _cupyx() -> dict[str, ModuleType]:
    special = _module("cupyx.scipy.special", **functions.special_functions())
    scipy_linalg = _module("cupyx.scipy.linalg", **linalg.scipy_contents())
    scipy = _module("cupyx.scipy", special=special, linalg=scipy_linalg)
    profiler = _module("cupyx.profiler", time_range=_no_range, profile=_no_range)
    cupyx = _module(
        "cupyx",
        scatter_add=functions.scatter_add,
        scatter_max=functions.scatter_max,
        scatter_min=functions.scatter_min,
        empty_pinned=pinned.empty_pinned,
        zeros_pinned=pinned.zeros_pinned,
        rsqrt=elementwise.rsqrt,
        errstate=linalg.errstate,
        scipy=scipy,
        profiler=profiler,
    )
    return {module.__name__: module for module in (cupyx, scipy, special, scipy_linalg, profiler)}


def build() -> dict[str, ModuleType]:
    """Return the stand-ins by the names under which they are imported."""
    wrapped = dispatch.wrap_module
    cuda = _cuda()
    matrices = _module("cupy.linalg", **linalg.contents())
    fft = _module("cupy.fft", **wrapped(np.fft, names.FFT))
    backend_runtime = _module("cupy_backends.cuda.api.runtime", **runtime_api.contents())
    api = _module("cupy_backends.cuda.api", runtime=backend_runtime)
    backend_cuda = _module("cupy_backends.cuda", api=api)
    backends = _module("cupy_backends", cuda=backend_cuda)
    exceptions = _module("cupy.exceptions", AxisError=np.exceptions.AxisError)
    tricks = _module("cupy.lib.stride_tricks", as_strided=_as_strided)
    lib = _module("cupy.lib", stride_tricks=tricks)
    util = _module("cupy._util", PerformanceWarning=PerformanceWarning)
    cupy = _module(
        "cupy",
        **functions.namespace,
        __version__=VERSION,
        cuda=cuda["cupy.cuda"],
        linalg=matrices,
        fft=fft,
        exceptions=exceptions,
        lib=lib,
        _util=util,
        ElementwiseKernel=elementwise.ElementwiseKernel,
        ReductionKernel=reduction.ReductionKernel,
        RawKernel=kernels.RawKernel,
        RawModule=kernels.RawModule,
        get_default_memory_pool=get_default_memory_pool,
        get_default_pinned_memory_pool=get_default_pinned_memory_pool,
        show_config=show_config,
        is_available=is_available,
    )
    cupy.__all__ = [name for name in vars(cupy) if not name.startswith("_")]  # type: ignore[attr-defined]
    parts = (cupy, matrices, fft, exceptions, lib, tricks, util, backends, backend_cuda, api, backend_runtime)
    return {module.__name__: module for module in parts} | cuda | _cupyx()


def install() -> ModuleType:
    """Put the stand-ins where ``import cupy`` finds them, and return ``cupy``.

    Raises
    ------
    RuntimeError
        If the real CuPy has been imported already.
    """
    present = sys.modules.get("cupy")
    if present is not None:
        if getattr(present, "__file__", None) is not None:
            raise RuntimeError("CuPy has been imported already; install the emulator before it")
        return present
    sys.modules.update(build())
    return sys.modules["cupy"]
