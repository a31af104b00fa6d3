// Convolution along the last axis: a thread per point of the result.
#include "numeric.cuh"

// y[line][i] = sum of x[line][i + start - k] * w[line][k]; a step of 0 is an operand that all lines share.
template <typename T>
__global__ void convolve(const T* x, const T* w, T* y, long long lines, long long n, long long m, long long size,
                         long long start, long long x_step, long long w_step) {
    const long long total = lines * size, stride = static_cast<long long>(gridDim.x) * blockDim.x;
    for (long long place = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x; place < total; place += stride) {
        const long long line = place / size, i = place - line * size + start;
        const T *a = x + line * x_step, *b = w + line * w_step;
        const long long first = i >= n ? i - n + 1 : 0, last = i < m ? i : m - 1;
        compute_t<T> sum = compute_t<T>(0);
        for (long long k = first; k <= last; ++k) {
            sum += load(a[i - k]) * load(b[k]);
        }
        y[place] = store<T>(sum);
    }
}
