// Scans along one axis of a contiguous array seen as (outer, n, inner): running sums, products, log-sum-exps, extrema.
//
// Where there are lines enough, a thread walks along each of them, neighbours on neighbouring lines. Otherwise lines are
// contiguous and cut into tiles, a block per tile; a second launch scans the totals of the tiles, a third adds to every
// element what came before its tile. The order of the operations depends on the shape alone.
#include "numeric.cuh"

template <typename T>
struct CumSum {
    using Element = T;
    using Result = T;
    using State = compute_t<T>;
    static __device__ State identity() { return State(0); }
    static __device__ State enter(State x, long long) { return x; }
    static __device__ State merge(const State& before, const State& s) { return before + s; }
    static __device__ T finish(const State& s) { return store<T>(s); }
};

template <typename T>
struct CumProd : CumSum<T> {
    using State = compute_t<T>;
    static __device__ State identity() { return State(1); }
    static __device__ State merge(const State& before, const State& s) { return before * s; }
};

template <typename T>
struct LogCumSumExp : CumSum<T> {
    using State = compute_t<T>;
    static __device__ State identity() { return -infinity<State>(); }
    static __device__ State merge(const State& before, const State& s) {
        const State low = before < s ? before : s, high = before < s ? s : before;
        if (low == high && low + low == low) return low;  // two infinities of one sign, whose difference would be NaN
        return low != low ? low : high + log1p_of(exp_of(low - high));
    }
    static __device__ float log1p_of(float x) { return log1pf(x); }
    static __device__ double log1p_of(double x) { return log1p(x); }
};

template <typename T, bool LARGEST>
struct Extreme {
    using Element = T;
    using Result = long long;
    using C = compute_t<T>;
    struct State {
        long long index;
        C value;
    };
    static __device__ State identity() { return State{-1, C(0)}; }
    static __device__ State enter(C x, long long i) { return State{i, x}; }
    static __device__ State merge(const State& before, const State& s) {
        if (before.index < 0) return s;
        const bool beats = LARGEST ? s.value >= before.value : s.value <= before.value;
        const bool nan = s.value != s.value, was_nan = before.value != before.value;
        return s.index >= 0 && (nan || (beats && !was_nan)) ? s : before;
    }
    static __device__ long long finish(const State& s) { return s.index; }
};
template <typename T>
struct CumMax : Extreme<T, true> {};
template <typename T>
struct CumMin : Extreme<T, false> {};

template <typename Op>
__global__ void scan_lines(const typename Op::Element* x, typename Op::Result* y, long long lines, long long n,
                           long long inner, bool reverse) {
    const long long line = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
    if (line >= lines) return;
    const long long outer = quotient(line, inner), start = outer * n * inner + (line - outer * inner);
    typename Op::State state = Op::identity();
    for (long long k = 0; k < n; ++k) {
        const long long i = reverse ? n - 1 - k : k;
        state = Op::merge(state, Op::enter(load(x[start + i * inner]), i));
        y[start + i * inner] = Op::finish(state);
    }
}

constexpr int THREADS = 256;
constexpr int TILE = 2048;  // elements

template <typename S>
__device__ __forceinline__ S shuffle_up(const S& x, int by) {
    constexpr int WORDS = (sizeof(S) + 3) / 4;
    unsigned words[WORDS] = {};
    memcpy(words, &x, sizeof(S));
#pragma unroll
    for (int i = 0; i < WORDS; ++i) words[i] = __shfl_up_sync(0xffffffffu, words[i], by);
    S y;
    memcpy(&y, words, sizeof(S));
    return y;
}

// What is before this thread's state and in it, over the whole block; `total` gets that of the last thread.
template <typename Op>
__device__ typename Op::State block_scan(typename Op::State state, typename Op::State& total) {
    using S = typename Op::State;
    constexpr int WARPS = THREADS / 32;
    alignas(16) __shared__ unsigned char storage[WARPS * sizeof(S)];
    S* const ends = reinterpret_cast<S*>(storage);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
    for (int by = 1; by < 32; by *= 2) {
        const S below = shuffle_up(state, by);
        if (lane >= by) state = Op::merge(below, state);
    }
    __syncthreads();  // the previous call may still be reading
    if (lane == 31) memcpy(&ends[warp], &state, sizeof(S));
    __syncthreads();
    S before = Op::identity(), all = Op::identity();
    for (int w = 0; w < WARPS; ++w) {
        S end;
        memcpy(&end, &ends[w], sizeof(S));
        if (w < warp) before = Op::merge(before, end);
        all = Op::merge(all, end);
    }
    total = all;
    return Op::merge(before, state);
}

// Block (tile, line). With `totals`, which are exclusive sums then, everything before the tile is taken in, too; without
// `y`, the tile's total alone is stored.
template <typename Op>
__global__ void scan_tiles(const typename Op::Element* x, typename Op::Result* y, typename Op::State* totals,
                           long long n, bool reverse) {
    using S = typename Op::State;
    const long long begin = blockIdx.x * static_cast<long long>(TILE), line = blockIdx.y + blockIdx.z * 32768ll;
    const long long slot = line * gridDim.x + blockIdx.x;
    S carry = y && totals ? totals[slot] : Op::identity();
    for (int at = 0; at < TILE && begin + at < n; at += THREADS) {
        const long long k = begin + at + threadIdx.x, i = reverse ? n - 1 - k : k;
        const S own = k < n ? Op::enter(load(x[line * n + i]), i) : Op::identity();
        S total;
        const S state = Op::merge(carry, block_scan<Op>(own, total));
        if (y && k < n) y[line * n + i] = Op::finish(state);
        carry = Op::merge(carry, total);
    }
    if (!y && threadIdx.x == 0) totals[slot] = carry;
}

// Totals of tiles as what comes before each tile, a block per line.
template <typename Op>
__global__ void scan_totals(typename Op::State* totals, long long tiles) {
    using S = typename Op::State;
    S* const row = totals + (blockIdx.x + blockIdx.y * 32768ll) * tiles;
    S carry = Op::identity();
    for (long long at = 0; at < tiles; at += THREADS) {
        const long long k = at + threadIdx.x;
        const S own = k < tiles ? row[k] : Op::identity();
        S total;
        const S upto = Op::merge(carry, block_scan<Op>(own, total));
        const S below = shuffle_up(upto, 1);
        alignas(16) __shared__ unsigned char storage[THREADS / 32 * sizeof(S)];
        S* const ends = reinterpret_cast<S*>(storage);
        if (threadIdx.x % 32 == 31) memcpy(&ends[threadIdx.x / 32], &upto, sizeof(S));
        __syncthreads();
        S before = carry;
        if (threadIdx.x % 32) before = below;
        else if (threadIdx.x) memcpy(&before, &ends[threadIdx.x / 32 - 1], sizeof(S));
        if (k < tiles) row[k] = before;
        carry = Op::merge(carry, total);
        __syncthreads();
    }
}
