"""A CUDA device on the CPU, for tests.

`install` puts a stand-in for the part of CuPy that tensorgrad uses under ``import cupy``. Arrays
live in ordinary memory; functions are computed by NumPy; CUDA sources are compiled by the host's
C++ compiler and run with the threads of a block as fibers. What a device would leave undefined
(races, reads of unwritten memory, work without an order) raises `EmulatorError`.

How a launch travels: ``kernels.RawKernel.__call__`` marshals the arguments, ``execution.execute``
checks the order of the work on its stream or records it into a graph, ``native.Library.launch``
hands it to ``runtime/scheduler.cpp``, which runs the blocks, and ``runtime/memory_check.cpp`` sees
every access to memory on the way.
"""

from . import cublas
from .counters import Counters, count, total
from .errors import EmulatorError
from .modules import install
from .settings import Settings, override, settings

__all__ = [
    "Counters",
    "EmulatorError",
    "Settings",
    "count",
    "cublas",
    "install",
    "override",
    "settings",
    "total",
]
