"""cuBLAS through ctypes: the one entry point that matrix products need, callable while a stream is being captured.

CuPy refuses its own cuBLAS calls during capture, copies transposed operands of stacked products, and knows neither half
types nor TF32 there. A handle of our own, given its workspace in advance, has none of these limits.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import cupy
import numpy as np

from .module import bfloat16

__all__ = ["COMPUTE_32F", "COMPUTE_32F_FAST_TF32", "COMPUTE_64F", "DATA_TYPES", "Cublas", "cublas", "substitute"]

# cudaDataType_t
DATA_TYPES: dict[Any, int] = {
    np.dtype(name): number
    for name, number in {"float32": 0, "float64": 1, "float16": 2, "complex64": 4, "complex128": 5}.items()
}
if bfloat16 is not None:
    DATA_TYPES[bfloat16] = 14
_REAL_32, _REAL_64, _COMPLEX_64, _COMPLEX_128 = 0, 1, 4, 5
# cublasComputeType_t
COMPUTE_32F, COMPUTE_64F, COMPUTE_32F_FAST_TF32 = 68, 70, 77

_WORKSPACE_BYTES = 32 << 20  # what NVIDIA recommends for Hopper; smaller devices need less
_STATUS = {
    1: "NOT_INITIALIZED",
    3: "ALLOC_FAILED",
    7: "INVALID_VALUE",
    8: "ARCH_MISMATCH",
    11: "MAPPING_ERROR",
    13: "EXECUTION_FAILED",
    14: "INTERNAL_ERROR",
    15: "NOT_SUPPORTED",
}

_int, _long, _pointer = ctypes.c_int, ctypes.c_longlong, ctypes.c_void_p


class Cublas:
    """libcublas with one handle per thread and device, and one workspace per handle and stream."""

    def __init__(self) -> None:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        library = ctypes.CDLL(load_nvidia_dynamic_lib("cublas").abs_path)
        self._create = library.cublasCreate_v2
        self._create.argtypes = [ctypes.POINTER(_pointer)]
        self._set_stream = library.cublasSetStream_v2
        self._set_stream.argtypes = [_pointer, _pointer]
        self._set_workspace = library.cublasSetWorkspace_v2
        self._set_workspace.argtypes = [_pointer, _pointer, ctypes.c_size_t]
        self._gemm = library.cublasGemmStridedBatchedEx
        operand: list[Any] = [_pointer, _int, _int, _long]
        sizes: list[Any] = [_int] * 5
        self._gemm.argtypes = [_pointer, *sizes, _pointer, *operand, *operand, _pointer, *operand, _int, _int, _int]
        self._local = threading.local()
        # Process-wide, because a captured graph may outlive the thread that captured it.
        self._workspaces: dict[tuple[int, int], Any] = {}

    def _handle(self) -> int:
        """This thread's handle for the current device, set to the current stream."""
        handles: dict[int, list[int]] = self._local.__dict__.setdefault("handles", {})
        device = cupy.cuda.runtime.getDevice()
        state = handles.get(device)
        if state is None:
            created = _pointer()
            _check(self._create(ctypes.byref(created)), "cublasCreate")
            state = handles[device] = [created.value or 0, -1]
        stream = cupy.cuda.get_current_stream().ptr
        if state[1] != stream:
            _check(self._set_stream(state[0], stream), "cublasSetStream")  # this forgets the workspace
            key = (state[0], stream)
            if key not in self._workspaces:
                self._workspaces[key] = cupy.empty(_WORKSPACE_BYTES, "u1")
            workspace = self._workspaces[key]
            _check(self._set_workspace(state[0], workspace.data.ptr, _WORKSPACE_BYTES), "cublasSetWorkspace")
            state[1] = stream
        return state[0]

    def gemm_strided_batched_ex(
        self,
        transa: int, transb: int, m: int, n: int, k: int,
        alpha: float, A_ptr: int, A_type: int, lda: int, strideA: int,
        B_ptr: int, B_type: int, ldb: int, strideB: int,
        beta: float, C_ptr: int, C_type: int, ldc: int, strideC: int,
        batch: int, compute_type: int,
    ) -> None:  # fmt: skip
        """``C = alpha * op(A) @ op(B) + beta * C`` for column-major matrices, as ``cublasGemmStridedBatchedEx``.

        ``transa`` and ``transb`` are 0 (as stored) or 1 (transposed), types are `DATA_TYPES`.
        """
        scale = _scalars(C_type if C_type in (_COMPLEX_64, _COMPLEX_128, _REAL_64) else _REAL_32, alpha)
        shift = _scalars(C_type if C_type in (_COMPLEX_64, _COMPLEX_128, _REAL_64) else _REAL_32, beta)
        status = self._gemm(
            self._handle(), transa, transb, m, n, k, scale, A_ptr, A_type, lda, strideA, B_ptr, B_type, ldb, strideB,
            shift, C_ptr, C_type, ldc, strideC, batch, compute_type, -1,
        )  # fmt: skip
        _check(status, "cublasGemmStridedBatchedEx")


def _scalars(kind: int, value: float) -> Any:
    """A host scalar of the type that the product is scaled in."""
    if kind == _REAL_32:
        return ctypes.byref(ctypes.c_float(value))
    if kind == _REAL_64:
        return ctypes.byref(ctypes.c_double(value))
    element = ctypes.c_float if kind == _COMPLEX_64 else ctypes.c_double
    return ctypes.byref((element * 2)(value, 0.0))


def _check(status: int, call: str) -> None:
    if status:
        raise RuntimeError(f"{call}: CUBLAS_STATUS_{_STATUS.get(status, status)}")


_instance: Any = None


def cublas() -> Any:
    """The library; loaded at the first product."""
    global _instance
    if _instance is None:
        _instance = Cublas()
    return _instance


def substitute(library: Any) -> Any:
    """Use another object with `Cublas.gemm_strided_batched_ex` from now on; returns the one in use before."""
    global _instance
    before, _instance = _instance, library
    return before
