"""cuBLAS's batched matrix product on emulated device memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import EmulatorError
from .execution import execute
from .memory import Memory, block_at
from .ordering import Region
from .state import thread_state
from .streams import BaseStream

OP_N, OP_T, OP_C = range(3)
R_32F, R_64F, R_16F, C_32F, C_64F, R_16BF = 0, 1, 2, 4, 5, 14
_COMPUTE_32F = {68, 69, 74, 75, 77}
_COMPUTE_64F = {70, 71}


def _dtype(cuda_type: int) -> np.dtype[Any]:
    if cuda_type == R_16BF:
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    try:
        names = {R_32F: "f4", R_64F: "f8", R_16F: "f2", C_32F: "c8", C_64F: "c16"}
        return np.dtype(names[cuda_type])
    except KeyError:
        raise EmulatorError(f"cudaDataType {cuda_type} is not emulated") from None


def _matrices(
    pointer: int, dtype: np.dtype[Any], rows: int, columns: int, ld: int, stride: int, batch: int
) -> tuple[np.ndarray[Any, Any], Memory, int, int]:
    """Return column-major matrices at an address, their block, and the bytes that they span."""
    if ld < max(rows, 1):
        raise EmulatorError(f"cuBLAS: leading dimension {ld} is less than {rows} rows")
    block = block_at(pointer)
    if block.device_id != thread_state.device:
        raise EmulatorError(f"cuBLAS: memory of device {block.device_id} on device {thread_state.device}")
    begin = pointer - block.ptr
    elements = (batch - 1) * stride + (columns - 1) * ld + rows
    end = begin + elements * dtype.itemsize
    if end > block.requested:
        raise EmulatorError(
            f"cuBLAS: {rows}x{columns} matrices (leading dimension {ld}, stride {stride}, batch "
            f"{batch}) reach {end - block.requested} bytes past the end of their array"
        )
    strides = (stride * dtype.itemsize, dtype.itemsize, ld * dtype.itemsize)
    data = block.view()[begin:end].view(dtype)
    matrices = np.lib.stride_tricks.as_strided(data, (batch, rows, columns), strides)
    return matrices, block, begin, end


def gemm_strided_batched_ex(
    transa: int,
    transb: int,
    m: int,
    n: int,
    k: int,
    alpha: float,
    A_ptr: int,
    A_type: int,
    lda: int,
    strideA: int,
    B_ptr: int,
    B_type: int,
    ldb: int,
    strideB: int,
    beta: float,
    C_ptr: int,
    C_type: int,
    ldc: int,
    strideC: int,
    batch: int,
    compute_type: int,
    *,
    stream: BaseStream | None = None,
) -> None:
    """Compute ``C[b] = alpha * op(A[b]) @ op(B[b]) + beta * C[b]`` on column-major matrices.

    Half types are multiplied and added in float32, as with ``CUBLAS_COMPUTE_32F``. Unlike calls
    through CuPy, the call may be captured.

    Parameters
    ----------
    transa, transb : int
        ``cublasOperation_t``: 0 the matrix, 1 or 2 its transpose.
    m, n, k : int
        C is m by n, op(A) m by k, op(B) k by n.
    alpha, beta : float
        The factors. C is not read when beta is 0.
    A_ptr, B_ptr, C_ptr : int
        Device addresses.
    A_type, B_type, C_type : int
        ``cudaDataType``: 0 float32, 1 float64, 2 float16, 4 complex64, 5 complex128,
        14 bfloat16.
    lda, ldb, ldc : int
        Leading dimensions in elements.
    strideA, strideB, strideC : int
        The distances between the matrices of a batch in elements; 0 repeats one.
    batch : int
        The number of products.
    compute_type : int
        ``cublasComputeType_t``.
    stream : BaseStream, optional
        By default the current stream.

    Raises
    ------
    EmulatorError
        If a matrix reaches beyond its array or is on another device, or a type is not emulated.
    """
    if compute_type not in _COMPUTE_32F | _COMPUTE_64F:
        raise EmulatorError(f"cublasComputeType {compute_type} is not emulated")
    if m == 0 or n == 0 or batch == 0:
        return
    compute = np.dtype(np.float64 if compute_type in _COMPUTE_64F else np.float32)
    if C_type in {C_32F, C_64F}:
        compute = np.dtype(np.complex128 if compute_type in _COMPUTE_64F else np.complex64)
    shape_a, shape_b = ((m, k) if transa == OP_N else (k, m)), ((k, n) if transb == OP_N else (n, k))
    c, memory_c, begin_c, end_c = _matrices(C_ptr, _dtype(C_type), m, n, ldc, strideC, batch)
    regions = [Region(memory_c, begin_c, end_c, True)]
    operands = []
    if k:
        for pointer, kind, shape, ld, stride in (
            (A_ptr, A_type, shape_a, lda, strideA),
            (B_ptr, B_type, shape_b, ldb, strideB),
        ):
            x, memory, begin, end = _matrices(pointer, _dtype(kind), *shape, ld, stride, batch)
            operands.append(x)
            regions.append(Region(memory, begin, end, False))

    def multiply() -> None:
        if k:
            a, b = (x.astype(compute) for x in operands)
            a = a if transa == OP_N else a.swapaxes(1, 2)
            b = b if transb == OP_N else b.swapaxes(1, 2)
            result = compute.type(alpha) * np.matmul(a, b)
        else:
            result = np.zeros((batch, m, n), compute)
        if beta:
            result += compute.type(beta) * c.astype(compute)
        c[...] = result.astype(c.dtype)

    with np.errstate(all="ignore"):
        execute("cublasGemmStridedBatchedEx", multiply, regions, stream=stream)
