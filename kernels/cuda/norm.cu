// Normalisation: over rows (layer norm, RMS norm) and per channel of (samples, channels, size) (batch norm).
//
// Sums are taken in an order that depends on the shapes alone, without atomics: results do not change from run to run.
#include "numeric.cuh"

// Number of values, their mean, and the sum of the squares of their distances from it (Welford; Chan et al., 1979).
template <typename C>
struct Moments {
    C count, mean, square;

    __device__ void add(C x) {
        count += C(1);
        const C distance = x - mean;
        mean += distance / count;
        square += distance * (x - mean);
    }
    __device__ void merge(const Moments& o) {
        const C total = count + o.count;
        if (total == C(0)) return;
        // written so that exchanging the two gives the same bits: threads of a group must agree
        const C distance = o.mean - mean;
        mean = (count * mean + o.count * o.mean) / total;
        square = (square + o.square) + distance * distance * (count * o.count / total);
        count = total;
    }
};

template <typename C>
struct Pair {
    C first, second;

    __device__ void merge(const Pair& o) {
        first += o.first;
        second += o.second;
    }
};

template <typename S>
__device__ __forceinline__ S merged(S state) {
    return group_merge(state, [](S& a, const S& b) { a.merge(b); });
}

// W neighbouring elements, moved in one access.
template <typename T, int W>
struct alignas(sizeof(T) * W) Few {
    T at[W];
};

template <int W, typename T>
__device__ __forceinline__ Few<T, W> few(const T* x, long long i) {
    return *reinterpret_cast<const Few<T, W>*>(x + i);
}

// ------------------------------------------------------------------------------------------------- layer norm, RMS norm
// W divides n and every pointer is aligned to W elements, or W is 1. Weight and bias may be null.
template <typename T, int W, bool CENTERED>
__global__ void layer_norm(const T* x, const T* weight, const T* bias, T* y, compute_t<T>* mean, compute_t<T>* rstd,
                           long long rows, long long n, double eps) {
    using C = compute_t<T>;
    const long long row = blockIdx.x * static_cast<long long>(blockDim.y) + threadIdx.y;
    const long long end = row < rows ? n : 0;  // threads past the last row take part in the merging only
    const T* const in = x + row * n;
    C center = C(0), square;
    if (CENTERED) {
        Moments<C> state{C(0), C(0), C(0)};
        for (long long i = threadIdx.x * W; i < end; i += blockDim.x * W) {
            const Few<T, W> v = few<W>(in, i);
#pragma unroll
            for (int k = 0; k < W; ++k) state.add(load(v.at[k]));
        }
        state = merged(state);
        center = state.mean;
        square = state.square;
    } else {
        C sum = C(0);
        for (long long i = threadIdx.x * W; i < end; i += blockDim.x * W) {
            const Few<T, W> v = few<W>(in, i);
#pragma unroll
            for (int k = 0; k < W; ++k) sum += load(v.at[k]) * load(v.at[k]);
        }
        square = group_sum(sum);
    }
    const C scale = C(1) / sqrt_of(square / static_cast<C>(n) + static_cast<C>(eps));
    if (end && threadIdx.x == 0) {
        mean[row] = center;
        rstd[row] = scale;
    }
    for (long long i = threadIdx.x * W; i < end; i += blockDim.x * W) {
        Few<T, W> v = few<W>(in, i), w, b;
        if (weight) w = few<W>(weight, i);
        if (bias) b = few<W>(bias, i);
#pragma unroll
        for (int k = 0; k < W; ++k) {
            C z = (load(v.at[k]) - center) * scale;
            if (weight) z *= load(w.at[k]);
            if (bias) z += load(b.at[k]);
            v.at[k] = store<T>(z);
        }
        *reinterpret_cast<Few<T, W>*>(y + row * n + i) = v;
    }
}

// The gradient by x and, with AFFINE, each block's share of those by weight and bias: `partial` is (blocks, 2, n). A
// thread owns its columns, which it adds up in shared memory if that is given (groups * 2 * n numbers), else in place.
template <typename T, int W, bool CENTERED, bool AFFINE>
__global__ void layer_norm_backward(const T* g, const T* x, const compute_t<T>* mean, const compute_t<T>* rstd,
                                    const T* weight, T* dx, compute_t<T>* partial, long long rows, long long n,
                                    int in_shared) {
    using C = compute_t<T>;
    extern __shared__ double dynamic[];
    C* const own = reinterpret_cast<C*>(dynamic);
    C* sums = nullptr;
    if (AFFINE) {
        sums = in_shared ? own + threadIdx.y * 2 * n : partial + blockIdx.x * 2 * n;
        for (long long i = threadIdx.x * W; i < n; i += blockDim.x * W) {
#pragma unroll
            for (int k = 0; k < W; ++k) sums[i + k] = sums[n + i + k] = C(0);
        }
    }
    const long long step = gridDim.x * static_cast<long long>(blockDim.y);
    for (long long base = blockIdx.x * static_cast<long long>(blockDim.y); base < rows; base += step) {
        const long long row = base + threadIdx.y;
        const long long end = row < rows ? n : 0;
        const C center = CENTERED && end ? mean[row] : C(0), scale = end ? rstd[row] : C(0);
        Pair<C> total{C(0), C(0)};
        for (long long i = threadIdx.x * W; i < end; i += blockDim.x * W) {
            const Few<T, W> up = few<W>(g, row * n + i), in = few<W>(x, row * n + i);
            Few<T, W> w;
            if (weight) w = few<W>(weight, i);
#pragma unroll
            for (int k = 0; k < W; ++k) {
                const C z = (load(in.at[k]) - center) * scale;
                C h = load(up.at[k]);
                if (AFFINE) {
                    sums[i + k] += h * z;
                    sums[n + i + k] += h;
                }
                if (weight) h *= load(w.at[k]);
                total.first += h;
                total.second += h * z;
            }
        }
        total = merged(total);
        const C shift = CENTERED ? total.first / static_cast<C>(n) : C(0), slope = total.second / static_cast<C>(n);
        for (long long i = threadIdx.x * W; i < end; i += blockDim.x * W) {
            const Few<T, W> up = few<W>(g, row * n + i), in = few<W>(x, row * n + i);
            Few<T, W> w, result;
            if (weight) w = few<W>(weight, i);
#pragma unroll
            for (int k = 0; k < W; ++k) {
                const C z = (load(in.at[k]) - center) * scale;
                C h = load(up.at[k]);
                if (weight) h *= load(w.at[k]);
                result.at[k] = store<T>((h - shift - z * slope) * scale);
            }
            *reinterpret_cast<Few<T, W>*>(dx + row * n + i) = result;
        }
    }
    if (AFFINE && in_shared) {
        __syncthreads();
        const int threads = blockDim.x * blockDim.y;
        for (long long i = threadIdx.y * blockDim.x + threadIdx.x; i < 2 * n; i += threads) {
            C sum = C(0);
            for (unsigned group = 0; group < blockDim.y; ++group) sum += own[group * 2 * n + i];
            partial[blockIdx.x * 2 * n + i] = sum;
        }
    }
}

[[maybe_unused]] constexpr int COLUMNS = 32, DEPTH = 8;  // a block: 32 columns by 8 threads along each

// The sums over the blocks of layer_norm_backward.
template <typename T>
__global__ void sum_partials(const compute_t<T>* partial, T* dweight, T* dbias, long long count, long long n) {
    using C = compute_t<T>;
    __shared__ C shares[DEPTH][COLUMNS];
    const long long column = blockIdx.x * static_cast<long long>(COLUMNS) + threadIdx.x;
    C sum = C(0);
    if (column < 2 * n) {
        for (long long i = threadIdx.y; i < count; i += DEPTH) sum += partial[i * 2 * n + column];
    }
    shares[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y || column >= 2 * n) return;
    for (int k = 1; k < DEPTH; ++k) sum += shares[k][threadIdx.x];
    (column < n ? dweight : dbias - n)[column] = store<T>(sum);
}

// ----------------------------------------------------------------------------------------------------------- batch norm
struct Layout {
    long long samples, channels, size, splits;  // splits: parts that the elements of a channel are dealt to
};

template <typename T>
struct Forward {
    using C = compute_t<T>;
    using State = Moments<C>;
    static __device__ void add(State& s, const T* x, const T*, C, long long i) { s.add(load(x[i])); }
};

template <typename T>
struct Backward {
    using C = compute_t<T>;
    using State = Pair<C>;  // sums of g (x - mean) and of g
    static __device__ void add(State& s, const T* x, const T* g, C center, long long i) {
        const C h = load(g[i]);
        s.first += h * (load(x[i]) - center);
        s.second += h;
    }
};

// One block for one split of one channel, where the elements of a channel lie in long runs.
template <typename T, template <typename> class Pass>
__global__ void channel_rows(const T* x, const T* g, const compute_t<T>* mean,
                             typename Pass<T>::State* partial, const __grid_constant__ Layout a) {
    const long long channel = blockIdx.x, total = a.samples * a.size;
    const long long share = (total + a.splits - 1) / a.splits, begin = blockIdx.y * share;
    const long long end = begin + share < total ? begin + share : total;
    const compute_t<T> center = mean ? mean[channel] : compute_t<T>(0);
    typename Pass<T>::State state{};
    for (long long i = begin + threadIdx.x; i < end; i += blockDim.x) {
        const long long sample = quotient(i, a.size);
        Pass<T>::add(state, x, g, center, (sample * a.channels + channel) * a.size + (i - sample * a.size));
    }
    state = merged(state);
    if (threadIdx.x == 0) partial[channel * a.splits + blockIdx.y] = state;
}

// A thread per column of (samples, channels * size) and split of the samples, where runs are short.
template <typename T, template <typename> class Pass>
__global__ void channel_columns(const T* x, const T* g, const compute_t<T>* mean,
                                typename Pass<T>::State* partial, const __grid_constant__ Layout a) {
    using State = typename Pass<T>::State;
    const long long width = a.channels * a.size;
    const long long column = blockIdx.x * static_cast<long long>(COLUMNS) + threadIdx.x;
    const long long share = (a.samples + a.splits - 1) / a.splits, begin = blockIdx.y * share;
    const long long end = begin + share < a.samples ? begin + share : a.samples;
    State state{};
    if (column < width) {
        const compute_t<T> center = mean ? mean[quotient(column, a.size)] : compute_t<T>(0);
        for (long long i = begin + threadIdx.y; i < end; i += DEPTH) Pass<T>::add(state, x, g, center, i * width + column);
    }
    alignas(16) __shared__ unsigned char storage[COLUMNS * DEPTH * sizeof(State)];
    State* const states = reinterpret_cast<State*>(storage);
    states[threadIdx.y * COLUMNS + threadIdx.x] = state;
    __syncthreads();
    if (threadIdx.y || column >= width) return;
    for (int k = 1; k < DEPTH; ++k) state.merge(states[k * COLUMNS + threadIdx.x]);
    partial[column * a.splits + blockIdx.y] = state;
}

// From the parts of each channel its mean and variance, and `scale`, `middle`, `shift` of y = (x - middle) scale + shift.
template <typename T>
__global__ void finish_forward(const Moments<compute_t<T>>* partial, const T* weight, const T* bias,
                               compute_t<T>* mean, compute_t<T>* var, compute_t<T>* factors, long long channels,
                               long long parts, double eps) {
    using C = compute_t<T>;
    const long long channel = blockIdx.x * static_cast<long long>(blockDim.y) + threadIdx.y;
    Moments<C> state{C(0), C(0), C(0)};
    if (channel < channels) {
        for (long long i = threadIdx.x; i < parts; i += blockDim.x) state.merge(partial[channel * parts + i]);
    }
    state = merged(state);
    if (channel >= channels || threadIdx.x) return;
    const C variance = state.square / state.count;
    mean[channel] = state.mean;
    var[channel] = variance;
    const C rstd = C(1) / sqrt_of(variance + static_cast<C>(eps));
    factors[channel] = weight ? rstd * load(weight[channel]) : rstd;
    factors[channels + channel] = bias ? load(bias[channel]) : C(0);
}

// The same factors from a variance that is given.
template <typename T>
__global__ void given(const compute_t<T>* var, const T* weight, const T* bias, compute_t<T>* factors,
                      long long channels, double eps) {
    using C = compute_t<T>;
    const long long channel = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
    if (channel >= channels) return;
    const C rstd = C(1) / sqrt_of(var[channel] + static_cast<C>(eps));
    factors[channel] = weight ? rstd * load(weight[channel]) : rstd;
    factors[channels + channel] = bias ? load(bias[channel]) : C(0);
}

// The gradients by weight and bias, and `scale`, `shift`, `slope` of dx = g scale + shift + (x - mean) slope.
template <typename T>
__global__ void finish_backward(const Pair<compute_t<T>>* partial, const compute_t<T>* var, const T* weight,
                                T* dweight, T* dbias, compute_t<T>* factors, long long channels, long long parts,
                                double count, double eps) {
    using C = compute_t<T>;
    const long long channel = blockIdx.x * static_cast<long long>(blockDim.y) + threadIdx.y;
    Pair<C> state{C(0), C(0)};
    if (channel < channels) {
        for (long long i = threadIdx.x; i < parts; i += blockDim.x) state.merge(partial[channel * parts + i]);
    }
    state = merged(state);
    if (channel >= channels || threadIdx.x) return;
    const C rstd = C(1) / sqrt_of(var[channel] + static_cast<C>(eps)), n = static_cast<C>(count);
    const C scale = weight ? rstd * load(weight[channel]) : rstd;
    dweight[channel] = store<T>(state.first * rstd);
    dbias[channel] = store<T>(state.second);
    factors[channel] = scale;
    factors[channels + channel] = -scale * state.second / n;
    factors[2 * channels + channel] = -scale * rstd * rstd * state.first / n;
}

// y = (x - mean) scale + shift, or with g: y = g scale + shift + (x - mean) slope. W divides the size of a channel, or,
// if that is 1, W is 1.
template <typename T, int W, bool BACKWARD>
__global__ void apply_channels(const T* x, const T* g, T* y, const compute_t<T>* mean, const compute_t<T>* factors,
                               long long count, long long channels, long long size) {
    using C = compute_t<T>;
    const long long step = gridDim.x * static_cast<long long>(blockDim.x) * W;
    for (long long i = (blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x) * W; i < count; i += step) {
        const long long line = quotient(i, size), channel = line - quotient(line, channels) * channels;
        const C center = mean[channel], scale = factors[channel], shift = factors[channels + channel];
        const C slope = BACKWARD ? factors[2 * channels + channel] : C(0);
        Few<T, W> v = few<W>(x, i), up;
        if (BACKWARD) up = few<W>(g, i);
#pragma unroll
        for (int k = 0; k < W; ++k) {
            const C z = load(v.at[k]) - center;
            v.at[k] = store<T>(BACKWARD ? load(up.at[k]) * scale + (z * slope + shift) : z * scale + shift);
        }
        *reinterpret_cast<Few<T, W>*>(y + i) = v;
    }
}
