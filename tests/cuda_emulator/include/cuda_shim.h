// CUDA C++ for the host compiler: what every kernel sees without including anything.
//
// Force-included before a kernel's source. The source itself is used as it is, but for `extern
// __shared__` arrays and `__device__` variables, which source.py rewrites.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <type_traits>
#include <utility>

#include "emulator_abi.h"
#include "vector_types.h"

#define __CUDACC__ 1
#define __CUDACC_RTC__ 1
#define __NVCC__ 1
#define __CUDA_ARCH__ 900

#define __host__
#define __device__
#define __global__
#define __managed__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __grid_constant__
#define __constant__ EMULATOR_DEVICE_VARIABLE

// One block runs at a time, so a static variable is one per block. "used" keeps the compiler from
// taking it for zero where it sees no write; "constinit" refuses constructors, as CUDA does.
#define __shared__ __attribute__((used)) static __constinit

// Variables of a module that kernels share for its lifetime; outside of .bss, which holds exactly
// the variables in shared memory.
#define EMULATOR_DEVICE_VARIABLE \
    __attribute__((section("emulator_device"), visibility("default"), used))

// `extern __shared__ T name[];` becomes a pointer to the block's dynamic shared memory.
#define EMULATOR_DYNAMIC_SHARED(name, ...) \
    __VA_ARGS__* const name = reinterpret_cast<__VA_ARGS__*>(emulator_dynamic_shared)

#define EMULATOR_UNCHECKED __attribute__((no_sanitize("thread", "undefined")))

#define threadIdx (emulator_thread_index())
#define blockIdx (emulator_block_index())
#define blockDim (emulator_block_shape())
#define gridDim (emulator_grid_shape())
static const int warpSize = 32;

#undef assert
#define assert(condition) \
    ((condition) ? (void)0 : emulator_assertion_failed(#condition, __FILE__, __LINE__))
[[noreturn]] inline void __trap() { emulator_fault("__trap() was executed"); }

inline long long clock64() { return static_cast<long long>(emulator_clock()); }
inline int clock() { return static_cast<int>(emulator_clock()); }
inline void __nanosleep(unsigned) {}
inline void __threadfence() { emulator_fence(); }
inline void __threadfence_system() { emulator_fence(); }
inline void __threadfence_block() {}

#include "device_math.h"
#include "synchronization.h"
#include "atomics.h"
