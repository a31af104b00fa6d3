// Reductions over one or several axes, deterministic: the order of additions depends on the shape alone.
//
// The host collapses the axes to at most two kept and two reduced ones, with strides, so that permuted and broadcast
// views are read where they lie. Rows lie along the reduced axes (a group of threads per row), columns across them (a
// thread per column, neighbours on neighbouring columns). Where there are few results the reduced range is split over
// blocks; their states are merged by a second kernel.
#include "numeric.cuh"

struct Shape {
    long long kept, kept_inner, kept_stride0, kept_stride1;
    long long n, n_inner, stride0, stride1;
    long long splits, chunk;

    __device__ long long origin(long long k) const {
        const long long outer = quotient(k, kept_inner);
        return outer * kept_stride0 + (k - outer * kept_inner) * kept_stride1;
    }
    __device__ long long offset(long long i) const {
        if (n_inner == n) return i * stride1;
        const long long outer = quotient(i, n_inner);
        return outer * stride0 + (i - outer * n_inner) * stride1;
    }
};

// ---------------------------------------------------------------------------------------------------------- operations
template <typename T, typename R>
struct Typed {
    using Element = T;
    using Result = R;
    using C = compute_t<T>;
};

template <typename T>
struct Sum : Typed<T, T> {
    using C = compute_t<T>;
    using State = C;
    static __device__ State identity() { return C(0); }
    static __device__ void add(State& s, C x, long long) { s += x; }
    static __device__ void merge(State& s, const State& o) { s += o; }
    static __device__ T finish(const State& s, double, double) { return store<T>(s); }
};

template <typename T>
struct Mean : Sum<T> {
    using C = compute_t<T>;
    static __device__ T finish(const C& s, double n, double) { return store<T>(s / static_cast<C>(n)); }
};

template <typename T>
struct SumOfSizes : Sum<T> {
    using C = compute_t<T>;
    static __device__ void add(C& s, C x, long long) { s += x < C(0) ? -x : x; }
};

template <typename T>
struct Norm : Sum<T> {
    using C = compute_t<T>;
    static __device__ void add(C& s, C x, long long) { s += x * x; }
    static __device__ T finish(const C& s, double, double) { return store<T>(sqrt_of(s)); }
};

template <typename T>
struct Prod : Typed<T, T> {
    using C = compute_t<T>;
    using State = C;
    static __device__ State identity() { return C(1); }
    static __device__ void add(State& s, C x, long long) { s *= x; }
    static __device__ void merge(State& s, const State& o) { s *= o; }
    static __device__ T finish(const State& s, double, double) { return store<T>(s); }
};

// Welford's running mean and squared distance: one pass, and no cancellation where the mean is large.
template <typename T>
struct Var : Typed<T, T> {
    using C = compute_t<T>;
    struct State {
        C count, mean, distance;
    };
    static __device__ State identity() { return State{C(0), C(0), C(0)}; }
    static __device__ void add(State& s, C x, long long) {
        s.count += C(1);
        const C d = x - s.mean;
        s.mean += d / s.count;
        s.distance += d * (x - s.mean);
    }
    static __device__ void merge(State& s, const State& o) {
        const C count = s.count + o.count;
        if (count == C(0)) return;
        const C d = o.mean - s.mean;
        // Written symmetrically: both partners of a shuffle must get the same bits.
        s.distance = (s.distance + o.distance) + d * d * (s.count * o.count / count);
        s.mean = (s.mean * s.count + o.mean * o.count) / count;
        s.count = count;
    }
    static __device__ C variance(const State& s, double n, double correction) {
        const double left = n - correction;
        return s.distance / static_cast<C>(left > 0 ? left : 0);
    }
    static __device__ T finish(const State& s, double n, double correction) {
        return store<T>(variance(s, n, correction));
    }
};

template <typename T>
struct Std : Var<T> {
    static __device__ T finish(const typename Var<T>::State& s, double n, double correction) {
        return store<T>(sqrt_of(Var<T>::variance(s, n, correction)));
    }
};

// Extremes keep whether anything was seen, so that no type needs a smallest value; NaN wins, the first one.
template <typename T, bool LARGEST>
struct Extreme {
    using C = compute_t<T>;
    struct State {
        long long index;
        C value;
    };
    static __device__ bool beats(C x, C y) { return (LARGEST ? x > y : x < y) || (x != x && y == y); }
    static __device__ State identity() { return State{-1, C(0)}; }
    static __device__ void add(State& s, C x, long long i) {
        if (s.index < 0 || beats(x, s.value)) s = State{i, x};
    }
    static __device__ void merge(State& s, const State& o) {
        if (o.index < 0) return;
        const bool tie = !beats(s.value, o.value) && o.index < s.index;
        if (s.index < 0 || beats(o.value, s.value) || tie) s = o;
    }
};
template <typename T>
struct Max : Typed<T, T>, Extreme<T, true> {
    using C = compute_t<T>;
    static __device__ T finish(const typename Extreme<T, true>::State& s, double, double) { return store<T>(s.value); }
};
template <typename T>
struct Min : Typed<T, T>, Extreme<T, false> {
    using C = compute_t<T>;
    static __device__ T finish(const typename Extreme<T, false>::State& s, double, double) { return store<T>(s.value); }
};
template <typename T>
struct ArgMax : Typed<T, long long>, Extreme<T, true> {
    using C = compute_t<T>;
    static __device__ long long finish(const typename Extreme<T, true>::State& s, double, double) { return s.index; }
};
template <typename T>
struct ArgMin : Typed<T, long long>, Extreme<T, false> {
    using C = compute_t<T>;
    static __device__ long long finish(const typename Extreme<T, false>::State& s, double, double) { return s.index; }
};

template <typename T>
struct Any : Typed<T, bool> {
    using C = compute_t<T>;
    using State = int;
    static __device__ State identity() { return 0; }
    static __device__ void add(State& s, C x, long long) { s |= x != C(0); }
    static __device__ void merge(State& s, const State& o) { s |= o; }
    static __device__ bool finish(const State& s, double, double) { return s != 0; }
};
template <typename T>
struct All : Typed<T, bool> {
    using C = compute_t<T>;
    using State = int;
    static __device__ State identity() { return 1; }
    static __device__ void add(State& s, C x, long long) { s &= x != C(0); }
    static __device__ void merge(State& s, const State& o) { s &= o; }
    static __device__ bool finish(const State& s, double, double) { return s != 0; }
};

// Running maximum and sum of exp(x - maximum): one pass and nothing overflows.
template <typename T>
struct LogSumExp : Typed<T, T> {
    using C = compute_t<T>;
    struct State {
        C top, sum;
    };
    static __device__ State identity() { return State{-infinity<C>(), C(0)}; }
    static __device__ void add(State& s, C x, long long) { merge(s, State{x, C(1)}); }
    static __device__ void merge(State& s, const State& o) {
        if (o.top > s.top) {
            s = State{o.top, o.sum + s.sum * exp_of(s.top - o.top)};
        } else if (o.top == s.top) {  // also two infinities, whose difference would be NaN
            s.sum += o.sum;
        } else {
            s.sum += o.sum * exp_of(o.top - s.top);
        }
    }
    static __device__ T finish(const State& s, double, double) {
        return store<T>(s.top + log_of(s.sum));
    }
};

// ------------------------------------------------------------------------------------------------------------- kernels
template <typename Op>
__global__ void reduce_rows(
    const typename Op::Element* x, typename Op::Result* out, typename Op::State* partial, Shape shape,
    double correction) {
    const long long row = blockIdx.x * static_cast<long long>(blockDim.y) + threadIdx.y;
    const bool inside = row < shape.kept;
    const long long begin = blockIdx.y * shape.chunk;
    const long long end = begin + shape.chunk < shape.n ? begin + shape.chunk : shape.n;
    typename Op::State state = Op::identity();
    if (inside) {
        const typename Op::Element* const first = x + shape.origin(row);
        if (shape.n_inner == shape.n) {
            for_each(first + begin * shape.stride1, end - begin, shape.stride1,
                     [&](typename Op::C value, long long i) { Op::add(state, value, begin + i); });
        } else {
            for (long long i = begin + threadIdx.x; i < end; i += blockDim.x) {
                Op::add(state, load(first[shape.offset(i)]), i);
            }
        }
    }
    state = group_merge(state, [](typename Op::State& a, const typename Op::State& b) { Op::merge(a, b); });
    if (inside && threadIdx.x == 0) {
        if (shape.splits == 1) {
            out[row] = Op::finish(state, static_cast<double>(shape.n), correction);
        } else {
            partial[row * shape.splits + blockIdx.y] = state;
        }
    }
}

constexpr int COLUMNS = 32, DEPTH = 8;  // a block: 32 columns by 8 threads along each

template <typename Op>
__global__ void reduce_columns(
    const typename Op::Element* x, typename Op::Result* out, typename Op::State* partial, Shape shape,
    double correction) {
    const long long column = blockIdx.x * static_cast<long long>(COLUMNS) + threadIdx.x;
    const bool inside = column < shape.kept;
    const long long begin = blockIdx.y * shape.chunk;
    const long long end = begin + shape.chunk < shape.n ? begin + shape.chunk : shape.n;
    typename Op::State state = Op::identity();
    if (inside) {
        const typename Op::Element* const first = x + shape.origin(column);
#pragma unroll 4
        for (long long i = begin + threadIdx.y; i < end; i += DEPTH) {
            Op::add(state, load(first[shape.offset(i)]), i);
        }
    }
    alignas(16) __shared__ unsigned char storage[COLUMNS * DEPTH * sizeof(typename Op::State)];
    typename Op::State* const states = reinterpret_cast<typename Op::State*>(storage);
    states[threadIdx.y * COLUMNS + threadIdx.x] = state;
    __syncthreads();
    if (inside && threadIdx.y == 0) {
        for (int y = 1; y < DEPTH; ++y) Op::merge(state, states[y * COLUMNS + threadIdx.x]);
        if (shape.splits == 1) {
            out[column] = Op::finish(state, static_cast<double>(shape.n), correction);
        } else {
            partial[column * shape.splits + blockIdx.y] = state;
        }
    }
}

template <typename Op>
__global__ void merge_partials(
    const typename Op::State* partial, typename Op::Result* out, long long kept, long long splits, double n,
    double correction) {
    const long long row = blockIdx.x * static_cast<long long>(blockDim.y) + threadIdx.y;
    typename Op::State state = Op::identity();
    if (row < kept) {
        for (long long i = threadIdx.x; i < splits; i += blockDim.x) Op::merge(state, partial[row * splits + i]);
    }
    state = group_merge(state, [](typename Op::State& a, const typename Op::State& b) { Op::merge(a, b); });
    if (row < kept && threadIdx.x == 0) out[row] = Op::finish(state, n, correction);
}
