// What the kernels of every family share: the type to compute in, wide loads, and reductions over a group of threads.
#pragma once
#include <cuda_fp16.h>
#include <cuda_bf16.h>

// Arithmetic on the two 16-bit floating types is done in float; every other type computes as itself.
template <typename T, int BYTES = sizeof(T)>
struct Compute {
    using type = T;
};
template <typename T>
struct Compute<T, 2> {
    using type = float;
};
template <>
struct Compute<short, 2> {
    using type = short;
};
template <>
struct Compute<unsigned short, 2> {
    using type = unsigned short;
};
template <typename T>
using compute_t = typename Compute<T>::type;

// Conversions by name: the half types have many implicit ones, and the wrong choice would be silent.
template <typename T>
__device__ __forceinline__ compute_t<T> load(const T& x) {
    return static_cast<compute_t<T>>(x);
}
template <>
__device__ __forceinline__ float load<__half>(const __half& x) {
    return __half2float(x);
}
template <>
__device__ __forceinline__ float load<__nv_bfloat16>(const __nv_bfloat16& x) {
    return __bfloat162float(x);
}
template <typename T>
__device__ __forceinline__ T store(compute_t<T> x) {
    return static_cast<T>(x);
}
template <>
__device__ __forceinline__ __half store<__half>(float x) {
    return __float2half_rn(x);
}
template <>
__device__ __forceinline__ __nv_bfloat16 store<__nv_bfloat16>(float x) {
    return __float2bfloat16_rn(x);
}

// The float or double version by overload, never a double function for a float argument.
__device__ __forceinline__ float exp_of(float x) { return expf(x); }
__device__ __forceinline__ double exp_of(double x) { return exp(x); }
__device__ __forceinline__ float log_of(float x) { return logf(x); }
__device__ __forceinline__ double log_of(double x) { return log(x); }
__device__ __forceinline__ float sqrt_of(float x) { return sqrtf(x); }
__device__ __forceinline__ double sqrt_of(double x) { return sqrt(x); }

// Of numbers that are not negative. A 64-bit division takes many times longer than a 32-bit one.
__device__ __forceinline__ long long quotient(long long a, long long b) {
    return (a | b) >> 32 ? a / b : static_cast<long long>(static_cast<unsigned>(a) / static_cast<unsigned>(b));
}

template <typename C>
__device__ __forceinline__ C infinity() {
    return static_cast<C>(__int_as_float(0x7f800000));
}
template <typename C>
__device__ __forceinline__ C not_a_number() {
    return static_cast<C>(__int_as_float(0x7fc00000));
}

// 16 bytes moved by one instruction: memory-bound kernels on 16-bit types reach half the bandwidth without.
template <typename T>
struct alignas(16) Pack {
    static constexpr int SIZE = 16 / sizeof(T);
    T at[SIZE];
};

__device__ __forceinline__ int misalignment(const void* p) {
    return static_cast<int>(reinterpret_cast<unsigned long long>(p) & 15);
}

// ---------------------------------------------------------------------------------- groups of threads that share a row
// A block is blockDim.y groups of blockDim.x threads. A group is a power of two up to 32 threads, which stays inside
// one warp, or a whole block of full warps. Short rows take small groups so that no thread idles, long rows a block.

template <typename S>
__device__ __forceinline__ S shuffle_xor(const S& x, int lane_mask, int width) {
    constexpr int WORDS = (sizeof(S) + 3) / 4;
    unsigned words[WORDS] = {};
    memcpy(words, &x, sizeof(S));
#pragma unroll
    for (int i = 0; i < WORDS; ++i) words[i] = __shfl_xor_sync(0xffffffffu, words[i], lane_mask, width);
    S y;
    memcpy(&y, words, sizeof(S));
    return y;
}

// Every thread of the group gets the merged state of all. `merge(S&, const S&)` must be commutative; then the result
// does not depend on timing. All threads of the block call it.
template <typename S, typename Merge>
__device__ __forceinline__ S group_merge(S state, Merge merge) {
    const int lanes = blockDim.x;
    for (int step = (lanes < 32 ? lanes : 32) / 2; step > 0; step /= 2) {
        merge(state, shuffle_xor(state, step, lanes < 32 ? lanes : 32));
    }
    if (lanes > 32) {
        alignas(16) __shared__ unsigned char storage[32 * sizeof(S)];
        S* const per_warp = reinterpret_cast<S*>(storage);
        const int warps = lanes / 32;
        __syncthreads();  // a previous call may still be reading
        if (threadIdx.x % 32 == 0) memcpy(&per_warp[threadIdx.x / 32], &state, sizeof(S));
        __syncthreads();
        memcpy(&state, &per_warp[0], sizeof(S));
        for (int w = 1; w < warps; ++w) {
            S other;
            memcpy(&other, &per_warp[w], sizeof(S));
            merge(state, other);
        }
    }
    return state;
}

template <typename C>
__device__ __forceinline__ C group_sum(C x) {
    return group_merge(x, [](C& a, const C& b) { a += b; });
}

// Call `f(value, index)` for the elements of a row that are this thread's share. Neighbouring threads read neighbouring
// elements; a contiguous row is read 16 bytes at a time, after the elements before the first aligned address.
template <typename T, typename F>
__device__ __forceinline__ void for_each(const T* row, long long n, long long stride, F f) {
    const int lane = threadIdx.x, lanes = blockDim.x;
    if (stride != 1 || n < Pack<T>::SIZE * lanes) {
        for (long long i = lane; i < n; i += lanes) f(load(row[i * stride]), i);
        return;
    }
    const int skew = misalignment(row);
    const long long head = skew ? (16 - skew) / static_cast<int>(sizeof(T)) : 0;
    const long long packs = (n - head) / Pack<T>::SIZE;
    for (long long i = lane; i < head; i += lanes) f(load(row[i]), i);
    const Pack<T>* const body = reinterpret_cast<const Pack<T>*>(row + head);
    for (long long p = lane; p < packs; p += lanes) {
        const Pack<T> pack = body[p];
#pragma unroll
        for (int k = 0; k < Pack<T>::SIZE; ++k) f(load(pack.at[k]), head + p * Pack<T>::SIZE + k);
    }
    for (long long i = head + packs * Pack<T>::SIZE + lane; i < n; i += lanes) f(load(row[i]), i);
}

// out[i] = f(row[i], i), read and written as in `for_each`.
template <typename T, typename F>
__device__ __forceinline__ void map_row(const T* row, T* out, long long n, long long stride, F f) {
    const int lane = threadIdx.x, lanes = blockDim.x;
    const int skew = misalignment(row);
    if (stride != 1 || n < Pack<T>::SIZE * lanes || skew != misalignment(out)) {
        for (long long i = lane; i < n; i += lanes) out[i * stride] = store<T>(f(load(row[i * stride]), i));
        return;
    }
    const long long head = skew ? (16 - skew) / static_cast<int>(sizeof(T)) : 0;
    const long long packs = (n - head) / Pack<T>::SIZE;
    for (long long i = lane; i < head; i += lanes) out[i] = store<T>(f(load(row[i]), i));
    const Pack<T>* const body = reinterpret_cast<const Pack<T>*>(row + head);
    Pack<T>* const target = reinterpret_cast<Pack<T>*>(out + head);
    for (long long p = lane; p < packs; p += lanes) {
        const Pack<T> pack = body[p];
        Pack<T> result;
#pragma unroll
        for (int k = 0; k < Pack<T>::SIZE; ++k) {
            result.at[k] = store<T>(f(load(pack.at[k]), head + p * Pack<T>::SIZE + k));
        }
        target[p] = result;
    }
    for (long long i = head + packs * Pack<T>::SIZE + lane; i < n; i += lanes) out[i] = store<T>(f(load(row[i]), i));
}

// --------------------------------------------------------------------------------------------- errors found on the way
// A kernel cannot raise. It leaves what it saw in pinned host memory, and the host looks there when it next waits.
struct ErrorFlag {
    int code;  // 0: nothing wrong; else which kernel, see errors.py
    int unused;
    long long value;
    long long position;
    long long limit;
};

__device__ __forceinline__ void report(ErrorFlag* flag, int code, long long value, long long position,
                                       long long limit) {
    if (atomicCAS(&flag->code, 0, code) == 0) {
        flag->value = value;
        flag->position = position;
        flag->limit = limit;
        __threadfence_system();
    }
}
