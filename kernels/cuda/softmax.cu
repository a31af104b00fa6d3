// Softmax and log-softmax along one axis of a contiguous array seen as (outer, n, inner), forward and backward.
//
// A group of threads owns one row, which it reads twice: once for the running maximum and the running sum of
// exponentials together, once to write. The second read comes from cache. Rows with inner > 1 get one thread each;
// neighbouring threads then take neighbouring rows, which lie side by side in memory.
#include "numeric.cuh"

template <typename C>
struct Running {
    C top, sum;

    __device__ void merge(const Running& o) {
        if (o.top > top) {
            sum = o.sum + sum * exp_of(top - o.top);
            top = o.top;
        } else if (o.top == top) {  // two infinities: their difference would be NaN
            sum += o.sum;
        } else {
            sum += o.sum * exp_of(o.top - top);
        }
    }
};

__device__ __forceinline__ long long row_index() {
    return blockIdx.x * static_cast<long long>(blockDim.y) + threadIdx.y;
}

template <typename T, bool LOG>
__global__ void softmax_rows(const T* x, T* y, long long rows, long long n, long long inner) {
    using C = compute_t<T>;
    const long long row = row_index();
    const long long length = row < rows ? n : 0;  // threads past the end take part in the merging only
    const long long start = (row / inner) * n * inner + row % inner;
    Running<C> state{-infinity<C>(), C(0)};
    for_each(x + start, length, inner, [&](C v, long long) { state.merge(Running<C>{v, C(1)}); });
    state = group_merge(state, [](Running<C>& a, const Running<C>& b) { a.merge(b); });
    if (state.top == infinity<C>()) state.sum = not_a_number<C>();  // as exp(inf - inf) makes it elsewhere
    if (LOG) {
        const C shift = log_of(state.sum);
        map_row(x + start, y + start, length, inner, [&](C v, long long) { return v - state.top - shift; });
    } else {
        const C scale = C(1) / state.sum;
        map_row(x + start, y + start, length, inner, [&](C v, long long) { return exp_of(v - state.top) * scale; });
    }
}

template <typename T, bool LOG>
__global__ void softmax_rows_backward(const T* g, const T* y, T* dx, long long rows, long long n, long long inner) {
    using C = compute_t<T>;
    const long long row = row_index();
    const long long length = row < rows ? n : 0;
    const long long start = (row / inner) * n * inner + row % inner;
    const T* const other = y + start;
    C total = C(0);
    if (LOG) {
        for_each(g + start, length, inner, [&](C v, long long) { total += v; });
    } else {
        for_each(g + start, length, inner, [&](C v, long long i) { total += v * load(other[i * inner]); });
    }
    total = group_sum(total);
    map_row(g + start, dx + start, length, inner, [&](C v, long long i) {
        const C w = load(other[i * inner]);
        return LOG ? v - exp_of(w) * total : w * (v - total);
    });
}
