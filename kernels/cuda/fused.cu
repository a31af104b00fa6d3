// The second stage of the sums in fused chains: every block of the first has left its share.
#include "fused.cuh"

template <typename T>
__global__ void finish_sum(const T* partial, int count, T* out, T divisor) {
    T total = 0;
    for (int i = threadIdx.x; i < count; i += blockDim.x) total += partial[i];
    total = block_sum(total);
    if (threadIdx.x == 0) *out = total / divisor;
}
