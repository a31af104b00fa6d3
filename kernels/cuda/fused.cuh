// What generated kernels of fused elementwise chains share: wide accesses, and sums over a block.
#pragma once

// SIZE neighbouring elements, moved by one instruction; at most 16 bytes.
template <typename T, int SIZE>
struct alignas(sizeof(T) * SIZE) Pack {
    T at[SIZE];
};

template <int SIZE, typename T, typename I>
__device__ __forceinline__ Pack<T, SIZE> load_pack(const T* x, I start) {
    return *reinterpret_cast<const Pack<T, SIZE>*>(x + start);
}

template <int SIZE, typename T, typename I>
__device__ __forceinline__ void store_pack(T* x, I start, const Pack<T, SIZE>& pack) {
    *reinterpret_cast<Pack<T, SIZE>*>(x + start) = pack;
}

// Elements of a row that repeats: the pack may run over its end.
template <int SIZE, typename T, typename I>
__device__ __forceinline__ Pack<T, SIZE> repeated_pack(const T* x, I at, I length) {
    Pack<T, SIZE> pack;
#pragma unroll
    for (int k = 0; k < SIZE; ++k) {
        pack.at[k] = x[at];
        at = at + 1 == length ? 0 : at + 1;
    }
    return pack;
}

// The sum over a block of full warps, in an order that does not depend on timing; right in the first thread.
template <typename T>
__device__ __forceinline__ T block_sum(T x) {
    __shared__ T per_warp[32];
#pragma unroll
    for (int step = 16; step > 0; step /= 2) x += __shfl_down_sync(0xffffffffu, x, step);
    __syncthreads();  // a previous call may still be reading
    if (threadIdx.x % 32 == 0) per_warp[threadIdx.x / 32] = x;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int w = 1; w < blockDim.x / 32; ++w) x += per_warp[w];
    }
    return x;
}
