// Pooling over one to three spatial axes (missing ones have size 1), forward and backward.
//
// One thread makes one element of the result. Backward gathers: an element of the input goes through the windows that
// hold it and takes what they send, so nothing is added atomically.
#include "numeric.cuh"

struct Sizes {
    long long planes;
    long long size[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
    long long include_padding, divisor;  // of averages; a divisor of 0 counts the elements
};

__device__ __forceinline__ long long volume(const long long* n) { return n[0] * n[1] * n[2]; }

__device__ __forceinline__ void split(long long index, const long long* sizes, long long* at) {
    const long long rest = quotient(index, sizes[2]);
    at[2] = index - rest * sizes[2];
    at[0] = quotient(rest, sizes[1]);
    at[1] = rest - at[0] * sizes[1];
}

__device__ __forceinline__ long long at_least(long long a, long long b) { return a < b ? b : a; }
__device__ __forceinline__ long long at_most(long long a, long long b) { return a > b ? b : a; }

// The offsets [low, high) at which a window reads inside the input, along one axis.
__device__ __forceinline__ void reads_inside(const Sizes& s, int i, long long output, long long& low, long long& high) {
    const long long start = output * s.stride[i] - s.padding[i];
    low = start < 0 ? (-start + s.dilation[i] - 1) / s.dilation[i] : 0;
    high = start >= s.size[i] ? 0 : at_most((s.size[i] - 1 - start) / s.dilation[i] + 1, s.kernel[i]);
}

// Call `f(output, maximum, index)` for every window; the first of equal maxima counts, and the last NaN.
template <typename T, typename F>
__device__ __forceinline__ void for_each_maximum(const T* x, long long count, const Sizes& s, F f) {
    using C = compute_t<T>;
    for (long long i = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x; i < count;
         i += gridDim.x * static_cast<long long>(blockDim.x)) {
        const long long plane = quotient(i, volume(s.out));
        long long at[3], low[3], high[3];
        split(i - plane * volume(s.out), s.out, at);
        for (int a = 0; a < 3; ++a) reads_inside(s, a, at[a], low[a], high[a]);
        const T* const image = x + plane * volume(s.size);
        C best = -infinity<C>();
        long long chosen = -1;
        for (long long k0 = low[0]; k0 < high[0]; ++k0) {
            const long long z = at[0] * s.stride[0] - s.padding[0] + k0 * s.dilation[0];
            for (long long k1 = low[1]; k1 < high[1]; ++k1) {
                const long long row = z * s.size[1] + at[1] * s.stride[1] - s.padding[1] + k1 * s.dilation[1];
                for (long long k2 = low[2]; k2 < high[2]; ++k2) {
                    const long long index =
                        row * s.size[2] + at[2] * s.stride[2] - s.padding[2] + k2 * s.dilation[2];
                    const C v = load(image[index]);
                    if (chosen < 0 || v > best || v != v) {
                        best = v;
                        chosen = index;
                    }
                }
            }
        }
        f(i, store<T>(best), chosen);
    }
}

template <typename T>
__global__ void max_pool(const T* x, T* y, long long* indices, long long count, Sizes s) {
    for_each_maximum(x, count, s, [&](long long i, T maximum, long long index) {
        y[i] = maximum;
        indices[i] = index;
    });
}

template <typename T>
__global__ void max_pool_values(const T* x, T* y, long long count, Sizes s) {
    for_each_maximum(x, count, s, [&](long long i, T maximum, long long) { y[i] = maximum; });
}

// Call `f(window)` for the windows that read an element of the input, in order.
template <typename F>
__device__ __forceinline__ void for_each_window(const Sizes& s, const long long* at, F f) {
    long long low[3], high[3];
    for (int a = 0; a < 3; ++a) {
        const long long from = at[a] + s.padding[a], span = s.dilation[a] * (s.kernel[a] - 1);
        low[a] = from > span ? (from - span + s.stride[a] - 1) / s.stride[a] : 0;
        high[a] = at_most(from / s.stride[a] + 1, s.out[a]);
    }
    for (long long o0 = low[0]; o0 < high[0]; ++o0) {
        for (long long o1 = low[1]; o1 < high[1]; ++o1) {
            for (long long o2 = low[2]; o2 < high[2]; ++o2) f(o0, o1, o2);
        }
    }
}

template <typename T>
__global__ void max_pool_backward(const T* g, const long long* indices, T* dx, long long count, Sizes s) {
    using C = compute_t<T>;
    for (long long i = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x; i < count;
         i += gridDim.x * static_cast<long long>(blockDim.x)) {
        const long long plane = quotient(i, volume(s.size)), own = i - plane * volume(s.size);
        long long at[3];
        split(own, s.size, at);
        C sum = C(0);
        for_each_window(s, at, [&](long long o0, long long o1, long long o2) {
            const long long window = plane * volume(s.out) + (o0 * s.out[1] + o1) * s.out[2] + o2;
            if (indices[window] == own) sum += load(g[window]);
        });
        dx[i] = store<T>(sum);
    }
}

// What the sum of a window is divided by.
template <typename C>
__device__ __forceinline__ C divisor_of(const Sizes& s, long long o0, long long o1, long long o2) {
    if (s.divisor != 0) return static_cast<C>(s.divisor);
    const long long output[3] = {o0, o1, o2};
    long long count = 1;
    for (int a = 0; a < 3; ++a) {
        long long start = output[a] * s.stride[a] - s.padding[a];
        long long stop = at_most(start + s.kernel[a], s.size[a] + s.padding[a]);
        if (!s.include_padding) {
            start = at_least(start, 0);
            stop = at_most(stop, s.size[a]);
        }
        count *= stop - start;
    }
    return static_cast<C>(count);
}

template <typename T>
__global__ void avg_pool(const T* x, T* y, long long count, Sizes s) {
    using C = compute_t<T>;
    for (long long i = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x; i < count;
         i += gridDim.x * static_cast<long long>(blockDim.x)) {
        const long long plane = quotient(i, volume(s.out));
        long long at[3], low[3], high[3];
        split(i - plane * volume(s.out), s.out, at);
        for (int a = 0; a < 3; ++a) reads_inside(s, a, at[a], low[a], high[a]);
        const T* const image = x + plane * volume(s.size);
        C sum = C(0);
        for (long long k0 = low[0]; k0 < high[0]; ++k0) {
            const long long z = at[0] * s.stride[0] - s.padding[0] + k0;
            for (long long k1 = low[1]; k1 < high[1]; ++k1) {
                const long long row = z * s.size[1] + at[1] * s.stride[1] - s.padding[1] + k1;
                const long long start = row * s.size[2] + at[2] * s.stride[2] - s.padding[2];
                for (long long k2 = low[2]; k2 < high[2]; ++k2) sum += load(image[start + k2]);
            }
        }
        y[i] = store<T>(sum / divisor_of<C>(s, at[0], at[1], at[2]));
    }
}

template <typename T>
__global__ void avg_pool_backward(const T* g, T* dx, long long count, Sizes s) {
    using C = compute_t<T>;
    for (long long i = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x; i < count;
         i += gridDim.x * static_cast<long long>(blockDim.x)) {
        const long long plane = quotient(i, volume(s.size));
        long long at[3];
        split(i - plane * volume(s.size), s.size, at);
        C sum = C(0);
        for_each_window(s, at, [&](long long o0, long long o1, long long o2) {
            const long long window = plane * volume(s.out) + (o0 * s.out[1] + o1) * s.out[2] + o2;
            sum += load(g[window]) / divisor_of<C>(s, o0, o1, o2);
        });
        dx[i] = store<T>(sum);
    }
}
