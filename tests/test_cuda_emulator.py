"""The CUDA emulator: planted faults are found, right programs are left alone, and CuPy's rules hold."""

from __future__ import annotations

import gc
import math
import pickle
from typing import Any

import numpy as np
import pytest

from tests import cuda_emulator as emulator
from tests.cuda_emulator.modules import build

MODULES = build()
cupy = MODULES["cupy"]
cupyx = MODULES["cupyx"]
Stream, Event = cupy.cuda.Stream, cupy.cuda.Event
SIGNATURE = "const float* x, float* y, int n"


def launch(body: str, *, threads: Any = 64, blocks: int = 1, shared: int = 0, preamble: str = "", n: int = 64) -> Any:
    """Run a kernel of ``x = 0 .. n - 1`` and return its ``y``, n zeros before."""
    kernel = cupy.RawKernel(f'{preamble}\nextern "C" __global__ void planted({SIGNATURE}) {{\n{body}\n}}\n', "planted")
    x, y = cupy.arange(n, dtype=np.float32), cupy.zeros(n, np.float32)
    kernel((blocks,), threads if isinstance(threads, tuple) else (threads,), (x, y, np.int32(n)), shared_mem=shared)
    return y.get()


# ------------------------------------------------------------------------------------------------- faults in kernels

REVERSE = "s[threadIdx.x] = x[threadIdx.x]; {barrier} y[threadIdx.x] = s[63 - threadIdx.x];"
TREE = """
    __shared__ float s[64];
    const int i = threadIdx.x;
    s[i] = x[i];
    __syncthreads();
    for (int width = 32; width > 0; width /= 2) {{
        if (i < width) s[i] += s[i + width];
        {barrier}
    }}
    if (i == 0) y[0] = s[0];
"""
LAST_BLOCK = """
    __shared__ bool last;
    if (threadIdx.x == 0) {{
        y[1 + blockIdx.x] = x[blockIdx.x];
        {fence}
        last = atomicInc(&arrived, gridDim.x - 1) == gridDim.x - 1;
    }}
    __syncthreads();
    if (last && threadIdx.x == 0) {{
        for (int i = 0; i < gridDim.x; ++i) y[0] += y[1 + i];
    }}
"""
WARP_TREE = """
    __shared__ float s[32];
    const int i = threadIdx.x;
    s[i] = x[i];
    {barrier}
    const float other = s[i ^ 1];
    {barrier}
    s[i] += other;
    y[i] = s[i];
"""

FAULTS = {
    "no barrier before a shared read": (
        "__shared__ float s[64]; s[threadIdx.x] = 0; __syncthreads(); " + REVERSE.format(barrier=""), {},
        "race on shared"),
    "no barrier in a reduction tree": (TREE.format(barrier=""), {}, "race on shared"),
    "no __syncwarp": (WARP_TREE.format(barrier=""), {"threads": 32}, "race on shared|uninitialised"),
    "unordered update of global memory": ("y[0] += x[threadIdx.x];", {}, "race on global"),
    "unordered update by several blocks": ("y[0] += 1;", {"threads": 1, "blocks": 3}, "race on global"),
    "two values for one element": ("y[0] = threadIdx.x;", {}, "race on global.*another value"),
    "no fence before the last block reads": (
        LAST_BLOCK.format(fence=""), {"blocks": 4, "preamble": "__device__ unsigned arrived = 0;"}, "race on global"),
    "uninitialised shared memory": ("__shared__ float s[64]; y[threadIdx.x] = s[threadIdx.x];", {}, "uninitialised"),
    "uninitialised dynamic shared memory": (
        "extern __shared__ float s[]; y[threadIdx.x] = s[threadIdx.x];", {"shared": 256}, "uninitialised"),
    "too little dynamic shared memory": (
        "extern __shared__ float s[];" + REVERSE.format(barrier="__syncthreads();"), {"shared": 128},
        "out-of-bounds access of shared memory: 4 bytes at byte [0-9]+ of 128"),
    "index beyond a shared array": (
        "__shared__ float s[8]; s[threadIdx.x] = 1;", {}, "index [0-9]+ is out of the bounds"),
    "threads that skip a barrier": ("if (threadIdx.x < 40) __syncthreads();", {}, "40 of 64 threads wait.*has exited"),
    "threads at different barriers": (
        "if (threadIdx.x < 32)\n __syncthreads();\n else\n __syncthreads();", {}, "barrier divergence.*line"),
    "write past the end": (
        "y[threadIdx.x + 1] = 1;", {}, r"thread \(63, 0, 0\).*write of 4 bytes, 0 bytes past the end"),
    "write before the beginning": ("y[-1] = 1;", {"threads": 1}, "out-of-bounds global write"),
    "read past the end": ("y[0] = x[n];", {"threads": 1}, "read of 4 bytes, 0 bytes past the end"),
    "atomic past the end": ("atomicAdd(&y[n], 1.0f);", {"threads": 1}, "atomic operation of 4 bytes"),
    "wild pointer": ("*reinterpret_cast<float*>(64) = 1;", {"threads": 1}, "where no device memory is"),
    "null pointer": ("*static_cast<volatile float*>(nullptr) = 1;", {"threads": 1}, "null pointer|no device memory"),
    "misaligned vector": ("*reinterpret_cast<float4*>(y + 1) = {};", {"threads": 1}, "misaligned"),
    "lane in the mask that has exited": (
        "if (threadIdx.x % 32 < 16) y[0] = __shfl_xor_sync(~0u, 1.0f, 1);", {},
        "lane 16 of the mask never arrives.*exited"),
    "lane in the mask that is elsewhere": (
        "if (threadIdx.x < 16) y[0] = __shfl_xor_sync(~0u, 1.0f, 1);\n else __syncthreads();", {},
        "waits at __syncthreads"),
    "calling lane outside of its mask": (
        "y[threadIdx.x] = __shfl_xor_sync(0xffffu, 1.0f, 1);", {}, "lane [0-9]+ calls with mask 0x0000ffff"),
    "lanes at different shuffles": (
        "if (threadIdx.x < 16)\n y[0] = __shfl_sync(~0u, 1.0f, 0);\n else\n y[0] = __shfl_sync(~0u, 1.0f, 0);",
        {"threads": 32}, "warp divergence"),
    "division by zero": ("y[0] = 5 / (n - 64);", {"threads": 1}, "integer division by zero"),
    "assertion": ("assert(n < 3);", {}, "device assertion failed: n < 3"),
}  # fmt: skip


@pytest.mark.parametrize("order", ["ascending", "shuffled"])
@pytest.mark.parametrize("name", FAULTS)
def test_planted_fault_is_found(name: str, order: str) -> None:
    body, options, message = FAULTS[name]
    with emulator.override(order=order), pytest.raises(emulator.EmulatorError, match=message) as raised:
        launch(body, **options)
    assert "kernel planted, block (" in str(raised.value)
    assert launch("y[threadIdx.x] = 1;").sum() == 64, "a launch after a fault starts afresh"


SUM, LANES = 64 * 63 / 2, np.arange(32, dtype=np.float32)
RIGHT = {
    "barrier": ("__shared__ float s[64];" + REVERSE.format(barrier="__syncthreads();"), {}, np.arange(64)[::-1]),
    "dynamic shared memory": (
        "extern __shared__ float s[];" + REVERSE.format(barrier="__syncthreads();"), {"shared": 256},
        np.arange(64)[::-1]),
    "reduction tree": (TREE.format(barrier="__syncthreads();"), {}, [SUM]),
    "warp synchronisation": (
        WARP_TREE.format(barrier="__syncwarp();"), {"threads": 32},
        LANES + LANES.reshape(16, 2)[:, ::-1].ravel()),
    "atomics of several blocks": ("atomicAdd(&y[0], x[threadIdx.x]);", {"blocks": 3}, [3 * SUM]),
    "the same value by all": ("y[0] = 1;", {"blocks": 2}, [1, 0]),
    "last block": (
        LAST_BLOCK.format(fence="__threadfence();"),
        {"blocks": 4, "preamble": "__device__ unsigned arrived = 0;"}, [6, 0, 1, 2, 3]),
    "shuffle of some lanes": (
        "if (threadIdx.x < 16) y[threadIdx.x] = __shfl_xor_sync(0xffffu, x[threadIdx.x], 1);", {},
        LANES.reshape(16, 2)[:8, ::-1].ravel()),
    "full mask in a partial warp": (
        "float v = x[threadIdx.x]; for (int i = 8; i > 0; i /= 2) v += __shfl_down_sync(~0u, v, i);"
        " if (threadIdx.x == 0) y[0] = v;", {"threads": 16}, [120]),
    "halves of a word": (
        "__shared__ __half s[64];" + REVERSE.format(barrier="__syncthreads();"),
        {"preamble": "#include <cuda_fp16.h>"}, np.arange(64)[::-1]),
    "barrier reductions": (
        "y[0] = __syncthreads_count(threadIdx.x < 5); y[1] = __syncthreads_or(threadIdx.x == 9);"
        " y[2] = __syncthreads_and(threadIdx.x != 9);", {}, [5, 1, 0]),
    "votes": (
        "const unsigned even = __ballot_sync(~0u, threadIdx.x % 2 == 0);"
        "const int any = __any_sync(~0u, threadIdx.x == 3);"
        "const int all = __all_sync(~0u, n == 64); const unsigned sum = __reduce_add_sync(~0u, threadIdx.x);"
        "if (threadIdx.x == 0) { y[0] = even == 0x55555555u; y[1] = any; y[2] = all; y[3] = sum; }",
        {"threads": 32}, [1, 1, 1, 496]),
    "indices of a 3-d block": (
        "y[threadIdx.x + 4 * (threadIdx.y + 2 * threadIdx.z)] = 100 * threadIdx.z + 10 * threadIdx.y + threadIdx.x;",
        {"threads": (4, 2, 2)}, [0, 1, 2, 3, 10, 11, 12, 13, 100, 101, 102, 103, 110]),
    "cooperative groups": (
        "auto tile = cooperative_groups::tiled_partition<8>(cooperative_groups::this_thread_block());"
        "const float v = cooperative_groups::reduce(tile, x[threadIdx.x], cooperative_groups::plus<float>());"
        "if (tile.thread_rank() == 0) y[tile.meta_group_rank()] = v;",
        {"preamble": "#include <cooperative_groups.h>\n#include <cooperative_groups/reduce.h>"}, [28, 92, 156]),
    "integer intrinsics": (
        "y[0] = __umulhi(1u << 31, 6u); y[1] = __clz(1); y[2] = __popc(255u); y[3] = __ffs(8);"
        " y[4] = __float_as_int(1.0f) == 0x3f800000; y[5] = __brev(1u) == 1u << 31;"
        " y[6] = __byte_perm(0x03020100, 0, 0x3);",
        {"threads": 1}, [3, 31, 8, 4, 1, 1, 3]),
}  # fmt: skip


@pytest.mark.parametrize("order", ["ascending", "descending", "shuffled"])
@pytest.mark.parametrize("name", RIGHT)
def test_right_kernel_is_left_alone(name: str, order: str) -> None:
    body, options, expected = RIGHT[name]
    with emulator.override(order=order, seed=7):
        result = launch(body, **options)
    np.testing.assert_array_equal(result[: len(expected)], expected)


def test_kernels_run_without_checks() -> None:
    with emulator.override(check_memory=False):
        np.testing.assert_array_equal(launch(RIGHT["barrier"][0]), np.arange(64)[::-1])


def test_fault_names_its_line() -> None:
    with pytest.raises(emulator.EmulatorError, match=r"kernel\.cu:4"):
        launch("\ny[n] = 1;", threads=1)


# -------------------------------------------------------------------------------------------- modules and arguments

SCALE = """
#include <cuda_bf16.h>
#include <cuda_fp16.h>
__constant__ float offset[1] = {1.0f};
template <typename T, int UNROLL>
__global__ void __launch_bounds__(128) scale(const T* __restrict__ x, T* __restrict__ y, float factor, long long n) {
    for (long long i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        y[i] = T(static_cast<float>(x[i]) * factor + offset[0]);
    }
}
extern "C" __global__ void fill(double* y, int n) { if (threadIdx.x < n) y[threadIdx.x] = VALUE; }
"""


def module() -> Any:
    expressions = ["scale<float, 4>", "scale<__half, 1>", "scale<__nv_bfloat16, 1>"]
    return cupy.RawModule(code=SCALE, options=("-std=c++17", "-DVALUE=2.5"), name_expressions=expressions)


def test_templates_options_and_module_variables() -> None:
    scale = module()
    x, y = cupy.arange(300, dtype=np.float32), cupy.empty(300, np.float32)
    scale.get_function("scale<float, 4>")((2,), (128,), (x, y, np.float32(2), 300))
    np.testing.assert_array_equal(y.get(), 2 * np.arange(300) + 1)
    z = cupy.zeros(4)
    scale.get_function("fill")((1,), (32,), (z, 3))
    assert z.get().tolist() == [2.5, 2.5, 2.5, 0]
    with pytest.raises(RuntimeError, match="CUDA_ERROR_NOT_FOUND"):
        scale.get_function("missing")


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_half_types_round_to_nearest_even(name: str) -> None:
    dtype = np.dtype(pytest.importorskip("ml_dtypes").bfloat16 if name == "bfloat16" else np.float16)
    ctype = {"float16": "__half", "bfloat16": "__nv_bfloat16"}[name]
    code = f"""
        #include <cuda_fp16.h>
        #include <cuda_bf16.h>
        extern "C" __global__ void narrow(const float* x, {ctype}* y, float* z, int n) {{
            for (int i = threadIdx.x; i < n; i += blockDim.x) {{ y[i] = {ctype}(x[i]); z[i] = float(y[i]); }}
        }}"""
    bits = np.random.default_rng(0).integers(0, 2**32, 20000, dtype=np.uint32)
    ties = np.concatenate([np.arange(2000, dtype=np.uint32) * 0x1000 + start for start in (0x38000000, 0x3F800000)])
    x = np.concatenate([bits, ties, np.array([0, 1, 0x80000000, 0x7F800000, 0x477FEFFF, 0x477FF000], np.uint32)])
    x = x.view(np.float32)
    y, z = cupy.empty(x.shape, dtype), cupy.empty(x.shape, np.float32)
    cupy.RawKernel(code, "narrow")((1,), (64,), (cupy.asarray(x), y, z, np.int32(x.size)))
    with np.errstate(all="ignore"):
        expected = x.astype(dtype)
    np.testing.assert_array_equal(y.get().astype(np.float32), expected.astype(np.float32))
    np.testing.assert_array_equal(z.get(), expected.astype(np.float32))


def test_arguments_are_checked_against_the_kernel() -> None:
    scale = module().get_function("scale<float, 4>")
    x, y = cupy.zeros(4, np.float32), cupy.zeros(4, np.float32)
    for arguments, message in [
        ((x, y, np.float32(1)), "takes 4 arguments, 3 are given"),
        ((x, y, 1.0, 4), "argument 2 .* has 8 bytes"),
        ((x, y, 1, 4), "argument 2 .* Python int"),
        ((x, np.float32(1), np.float32(1), 4), "argument 1"),
        ((x, y, x, 4), "argument 2 .* takes no pointer"),
    ]:
        with pytest.raises(emulator.EmulatorError, match=message):
            scale((1,), (32,), arguments)
    with pytest.raises(TypeError, match=r"numpy\.ndarray of shape"):
        scale((1,), (32,), (np.zeros(4, np.float32), y, np.float32(1), 4))


def test_structs_and_pointers_by_value() -> None:
    code = """struct Two { long long a, b; };
        extern "C" __global__ void take(Two two, float* y) { y[0] = two.a + two.b; }"""
    y = cupy.zeros(1, np.float32)
    two = np.array([3, 4]).view(np.dtype((np.void, 16)))
    cupy.RawKernel(code, "take")((1,), (1,), (two, np.uint64(y.data.ptr)))
    assert y.item() == 7


def test_launch_limits_of_a_device() -> None:
    with pytest.raises(RuntimeError, match="CUDA_ERROR_INVALID_VALUE"):
        launch("", threads=1025)
    body = "extern __shared__ float s[]; s[threadIdx.x] = 1;"
    with pytest.raises(RuntimeError, match="CUDA_ERROR_INVALID_VALUE"):
        launch(body, shared=50000)
    kernel = cupy.RawKernel('extern "C" __global__ void large() {' + body + "}", "large")
    kernel.max_dynamic_shared_size_bytes = 50000
    kernel((1,), (64,), (), shared_mem=50000)


def test_compile_error_has_the_compilers_message() -> None:
    with pytest.raises(cupy.cuda.compiler.CompileException, match=r"kernel\.cu:1.*'?undeclared"):
        cupy.RawKernel('extern "C" __global__ void broken() { undeclared = 1; }', "broken").compile()
    with pytest.raises(cupy.cuda.compiler.CompileException, match="atomicAdd does not exist"):
        cupy.RawKernel('extern "C" __global__ void f(long long* x) { atomicAdd(x, 1); }', "f").compile()


def test_headers_are_found_and_rewritten(tmp_path: Any) -> None:
    (tmp_path / "inner.cuh").write_text("#pragma once\nextern __shared__ float buffer[];\n")
    (tmp_path / "outer.cuh").write_text('#pragma once\n#include "inner.cuh"\n')
    code = """#include "outer.cuh"
        #include "inner.cuh"
        extern "C" __global__ void f(float* y) { buffer[0] = 3; y[0] = buffer[0]; }"""
    y = cupy.zeros(1, np.float32)
    cupy.RawKernel(code, "f", (f"-I{tmp_path}",))((1,), (1,), (y,), shared_mem=4)
    assert y.item() == 3


# -------------------------------------------------------------------------------------- generated kernels and arrays


def test_elementwise_kernel() -> None:
    kernel = cupy.ElementwiseKernel("T x, U y, float32 a", "T z", "z = x + a * y", "axpy")
    x, y = cupy.arange(12, dtype=np.float64).reshape(3, 4), cupy.arange(3, dtype=np.int32)
    np.testing.assert_array_equal(kernel(x.T, y, 2).get(), x.get().T + 2 * np.arange(3))
    out = cupy.empty((4, 6))[:, ::2]
    assert kernel(x.T, y, 2, out) is out
    np.testing.assert_array_equal(out.get(), x.get().T + 2 * np.arange(3))
    shift = cupy.ElementwiseKernel("raw T x, int64 m", "T y", "y = x[(i + m) % n]", "shift")
    assert shift(cupy.arange(5), 2, size=5).get().tolist() == [2, 3, 4, 0, 1]
    both = cupy.ElementwiseKernel("T x", "T s, T c", "s = sin(x); c = cos(x)", "sincos_both")
    s, c = both(cupy.arange(3.0))
    np.testing.assert_allclose(s.get() ** 2 + c.get() ** 2, 1)
    beyond = cupy.ElementwiseKernel("raw T x", "T y", "y = x[i + 1]", "beyond")
    with pytest.raises(emulator.EmulatorError, match=r"kernel beyond.*past the end"):
        beyond(cupy.arange(5), size=5)
    with pytest.raises(TypeError, match="Unsupported type"):
        kernel(np.zeros(3), y, 2)
    with pytest.raises(TypeError, match="mismatched"):
        cupy.ElementwiseKernel("T x, T y", "T z", "z = x + y", "same")(x, y)


def test_reduction_kernel() -> None:
    norm = cupy.ReductionKernel("T x", "T y", "x * x", "a + b", "y = sqrt(a)", "0", "norm")
    x = np.random.default_rng(0).normal(size=(3, 4, 5))
    for axis in (None, 0, (0, 2), -1):
        np.testing.assert_allclose(norm(cupy.asarray(x), axis=axis).get(), np.sqrt((x * x).sum(axis)))
    np.testing.assert_allclose(
        norm(cupy.asarray(x).T, axis=1, keepdims=True).get(), np.sqrt((x.T**2).sum(1, keepdims=True))
    )
    largest = cupy.ReductionKernel("T x, T y", "T z", "x * y", "a > b ? a : b", "z = a", None, "largest")
    assert largest(cupy.asarray(-x), cupy.asarray(np.abs(x[0]))).item() == (-x * np.abs(x[0])).max()
    with pytest.raises(ValueError, match="no identity"):
        largest(cupy.empty((0,)), cupy.empty((0,)))


def test_an_array_is_no_numpy_array() -> None:
    x = cupy.arange(6.0)
    assert not isinstance(x, np.ndarray)
    mixtures = (
        lambda: x + np.ones(6),
        lambda: np.ones(6) + x,
        lambda: np.asarray(x),
        lambda: cupy.add(x, [1] * 6),
        lambda: np.add(x, np.ones(6)),
        lambda: cupy.concatenate([x, np.ones(6)]),
        lambda: x.__setitem__(0, np.ones(1)),
    )
    for mix in mixtures:
        with pytest.raises(TypeError):
            mix()
    assert isinstance(x.sum(), cupy.ndarray)
    assert isinstance(x[0] * np.float32(2), cupy.ndarray)
    assert isinstance(np.float32(2) * x, cupy.ndarray)
    assert (x.astype(np.float32) * 2.0).dtype == np.float32
    for name in ("fuse_everything", "bmat", "__wrapped__"):
        assert not hasattr(cupy, name)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(x)).get(), np.arange(6.0))


def test_views_share_memory_and_know_their_base() -> None:
    x = cupy.arange(12.0).reshape(3, 4)
    view = x[1:, ::2]
    assert view.base is x.base
    assert view.data.ptr == x.data.ptr + 32
    assert view.strides == (32, 16)
    assert view.data.mem is x.data.mem
    assert (view.flags.c_contiguous, view.flags.owndata, x.copy().flags.owndata) == (False, False, True)
    view[...] = -1
    assert x.get()[1:, ::2].tolist() == [[-1, -1], [-1, -1]]
    assert x.T.flags.f_contiguous
    assert cupy.shares_memory(x.T, view)
    assert not cupy.shares_memory(x, x.copy())
    x += 1
    assert view.get().tolist() == [[0, 0], [0, 0]]
    assert x.__cuda_array_interface__["data"] == (x.data.ptr, False)
    assert x[[2, 0]].base is None
    element = x[1, 2]
    element[...] = 7
    assert (element.shape, x.get()[1, 2]) == ((), 7)


def test_dlpack_round_trip_shares_memory() -> None:
    x = cupy.arange(6, dtype=np.float32).reshape(2, 3).T
    y = cupy.from_dlpack(x)
    assert (y.shape, y.strides, y.dtype, y.data.ptr) == (x.shape, x.strides, x.dtype, x.data.ptr)
    assert x.__dlpack_device__() == (2, 0)
    del x
    gc.collect()
    assert y.get().tolist() == [[0, 3], [1, 4], [2, 5]]


def test_fresh_memory_is_poisoned() -> None:
    x = cupy.full(1000, 3.0)
    address = x.data.ptr
    del x
    y = cupy.empty(1000)
    assert y.data.ptr == address, "the pool hands out the block again"
    assert np.isnan(y.get()).all()


def test_memory_pool_accounts_and_limits() -> None:
    pool = cupy.cuda.MemoryPool()
    with cupy.cuda.using_allocator(pool.malloc):
        x = cupy.empty(1000, np.uint8)
        assert (pool.used_bytes(), pool.total_bytes()) == (1024, 1024)
        del x
        assert (pool.used_bytes(), pool.free_bytes()) == (0, 1024)
        pool.free_all_blocks()
        assert pool.total_bytes() == 0
        pool.set_limit(2048)
        with pytest.raises(MemoryError, match="limit"):
            cupy.empty(4096, np.uint8)


def test_use_after_free_is_found() -> None:
    x = cupy.zeros(16, np.float32)
    address = np.uint64(x.data.ptr)
    del x
    kernel = cupy.RawKernel('extern "C" __global__ void late(float* x) { x[0] = 1; }', "late")
    with pytest.raises(emulator.EmulatorError, match="kernel late"):
        kernel((1,), (1,), (address,))


# ------------------------------------------------------------------------------------------ streams, graphs, devices


@pytest.fixture
def stream() -> Any:
    stream = Stream(non_blocking=True)
    yield stream
    capture = stream.queue.capture
    if capture is not None:
        capture.abandon()
    stream.synchronize()


def test_unordered_work_on_two_streams_is_found(stream: Any) -> None:
    x = cupy.zeros(8)
    with stream, pytest.raises(emulator.EmulatorError, match="no event or synchronisation"):
        x += 1
    cupy.cuda.Device().synchronize()
    with stream:
        x += 1
        written = stream.record()
    with pytest.raises(emulator.EmulatorError, match="reads memory on the null stream"):
        x.get()
    Stream.null.wait_event(written)
    assert x.get().sum() == 8


def test_null_stream_orders_blocking_streams() -> None:
    x, blocking = cupy.zeros(8), Stream()
    with blocking:
        x += 1
    assert (x + 1).get().sum() == 16


def test_memory_freed_while_another_stream_uses_it_is_found(stream: Any) -> None:
    x = cupy.zeros(777)
    stream.wait_event(Stream.null.record())
    with stream:
        y = x + 1
    del x
    with pytest.raises(emulator.EmulatorError, match="no event or synchronisation"):
        cupy.zeros(777)
    del y


def test_reads_on_two_streams_need_no_order(stream: Any) -> None:
    x = cupy.ones(8)
    stream.wait_event(Stream.null.record())
    with stream:
        y = x + 1
    z = x + 2
    stream.synchronize()
    assert (y.get().sum(), z.get().sum()) == (16, 24)


def test_copies_with_pinned_memory_run_beside_the_host(stream: Any) -> None:
    source = cupyx.zeros_pinned(4)
    target = cupyx.zeros_pinned(4)
    with stream:
        x = cupy.empty(4)
        x.set(source)
        x += 1
        x.get(out=target, blocking=False)
        assert np.isnan(target).all(), "the copy has not been waited for"
        stream.synchronize()
        assert target.tolist() == [1, 1, 1, 1]
        x.set(source)
        source[:] = 5
        with pytest.raises(emulator.EmulatorError, match="changed while it was being copied"):
            stream.synchronize()


def test_graph_replays_on_the_same_memory(stream: Any) -> None:
    double = cupy.RawKernel('extern "C" __global__ void twice(float* x) { x[threadIdx.x] *= 2; }', "twice")
    add = cupy.ElementwiseKernel("T x, T y", "T z", "z = x + y", "add_two")
    total = cupy.ReductionKernel("T x", "T y", "x", "a + b", "y = a", "0", "total")
    x = cupy.ones(4, np.float32)
    result = cupy.empty((), np.float32)
    pool = cupy.cuda.MemoryPool()
    stream.wait_event(Stream.null.record())
    with stream, cupy.cuda.using_allocator(pool.malloc):
        stream.begin_capture()
        double((1,), (4,), (x,))
        total(add(x, x * 10), out=result)
        graph = stream.end_capture()
        assert x.get().tolist() == [1, 1, 1, 1], "nothing runs while it is recorded"
        for expected in (88, 176, 352):
            graph.launch()
            assert result.item() == expected
        pool.free_all_blocks()
        with pytest.raises(emulator.EmulatorError, match="given back to the device"):
            graph.launch()


def test_capture_refuses_what_a_device_refuses(stream: Any) -> None:
    x, y = cupy.ones((4, 4)), cupy.ones(4)
    event = Event()
    pool = cupy.cuda.MemoryPool()
    cupy.cuda.Device().synchronize()
    with stream, cupy.cuda.using_allocator(pool.malloc):
        stream.begin_capture()
        event.record()
        for refused in (
            stream.synchronize,
            cupy.cuda.Device().synchronize,
            event.synchronize,
            y.get,
            y[0].item,
            lambda: bool(y[0]),
            lambda: event.done,
            lambda: stream.done,
            lambda: x @ x,
            lambda: y.set(np.ones(4)),
            lambda: cupy.nonzero(y),
            lambda: y[y > 0],
            lambda: cupy.asarray(np.ones(3)),
        ):
            with pytest.raises((RuntimeError, NotImplementedError)):
                refused()
        with Stream.null, pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="capturing"):
            y += 1
        graph = stream.end_capture()
    assert y.get().sum() == 4
    assert isinstance(graph, cupy.cuda.Graph)


def test_capture_needs_a_private_pool(stream: Any) -> None:
    x = cupy.ones(4)
    stream.wait_event(Stream.null.record())
    with stream:
        stream.begin_capture()
        with pytest.raises(emulator.EmulatorError, match="default pool"):
            x + 1
        stream.end_capture()


def test_capture_forks_and_joins_through_events(stream: Any) -> None:
    x, y = cupy.ones(4), cupy.ones(4)
    side = Stream(non_blocking=True)
    cupy.cuda.Device().synchronize()
    with stream:
        stream.begin_capture()
        x += 1
        side.wait_event(stream.record())
        with side:
            y += x
        stream.wait_event(side.record())
        x += y
        graph = stream.end_capture()
        graph.launch()
        assert (x.get().sum(), y.get().sum()) == (20, 12)
        stream.begin_capture()
        side.wait_event(stream.record())
        with side:
            y += 1
        with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="Unjoined"):
            stream.end_capture()


def test_two_devices() -> None:
    x = cupy.ones(4, np.float32)
    with cupy.cuda.Device(1):
        y = cupy.asarray(x)
        assert (y.device.id, x.device.id, cupy.cuda.runtime.getDevice()) == (1, 0, 1)
        with pytest.raises(ValueError, match="different from the current device"):
            x + y
        kernel = cupy.RawKernel('extern "C" __global__ void f(float* x, float* y) { x[0] = y[0]; }', "f")
        with pytest.raises(emulator.EmulatorError, match="memory of device 0"):
            kernel((1,), (1,), (y, x))
    assert cupy.cuda.runtime.getDevice() == 0
    assert cupy.cuda.runtime.getDeviceCount() == 2
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="cudaErrorInvalidDevice"):
        cupy.cuda.Device(2).use()


def test_counters_see_hidden_copies() -> None:
    x = cupy.ones(4)
    with emulator.count() as counts:
        y = x * 2 + 1
    assert (counts.launches, counts.allocations, counts.device_to_host, counts.synchronizations) == (2, 2, 0, 0)
    for hidden in (lambda: float(y[0]), lambda: y.tolist(), lambda: repr(y), lambda: bool((y > 0).all())):
        with emulator.count() as counts:
            hidden()
        assert (counts.device_to_host, counts.synchronizations) == (1, 1)
    with emulator.count() as counts:
        cupy.asarray(np.ones(3))
    assert counts.host_to_device == 1


@pytest.mark.parametrize("transposed", [False, True])
def test_gemm_is_column_major_and_stays_in_its_arrays(transposed: bool) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 5)).astype(np.float32), rng.normal(size=(2, 5, 4)).astype(np.float16)
    x = cupy.asarray(np.ascontiguousarray(a.swapaxes(1, 2) if transposed else a).astype(np.float16))
    y, z = cupy.asarray(b), cupy.ones((2, 3, 4), np.float32)

    def product(m: int, batch: int) -> None:
        # Row-major z = x @ y is column-major z.T = y.T @ x.T.
        emulator.cublas.gemm_strided_batched_ex(
            0, int(transposed), m, 3, 5, 2.0, y.data.ptr, 2, 4, 20, x.data.ptr, 2, 3 if transposed else 5, 15,
            0.5, z.data.ptr, 0, 4, 12, batch, 68,
        )  # fmt: skip

    product(4, 2)
    expected = 2 * a.astype(np.float16).astype(np.float64) @ b.astype(np.float64) + 0.5
    np.testing.assert_allclose(z.get(), expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(emulator.EmulatorError, match="leading dimension"):
        product(5, 2)
    with pytest.raises(emulator.EmulatorError, match="48 bytes past the end"):
        product(4, 3)


def test_special_functions_and_scatter() -> None:
    erf = MODULES["cupyx.scipy.special"].erf
    np.testing.assert_allclose(erf(cupy.arange(3.0)).get(), [math.erf(v) for v in range(3)])
    y = cupy.zeros(3)
    cupyx.scatter_add(y, cupy.array([0, 2, 2]), cupy.array([1.0, 2.0, 3.0]))
    assert y.get().tolist() == [1, 0, 5]
