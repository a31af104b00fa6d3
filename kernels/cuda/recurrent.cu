// Recurrent layers: what happens between two matrix products, for all elements of a state at once.
//
// A thread owns one feature of one sequence. Sums of gates lie side by side in rows, (batch, gates * size), as products
// leave them; what the gradient needs lies in blocks (batch, size), one per gate. Sequences may have the batch first, so
// each comes with the distance between its rows.
#include "numeric.cuh"

__device__ __forceinline__ float tanh_of(float x) { return tanhf(x); }
__device__ __forceinline__ double tanh_of(double x) { return tanh(x); }
template <typename C>
__device__ __forceinline__ C sigmoid_of(C x) {
    return C(1) / (C(1) + exp_of(-x));
}

struct State {
    long long batch, size;

    __device__ long long count() const { return batch * size; }
};

struct Element {
    long long index, row, column;

    __device__ explicit Element(const State& s)
        : index(blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x),
          row(quotient(index, s.size)),
          column(index - row * s.size) {}
};

// ---------------------------------------------------------------------------------------------------------------- LSTM
// `kept` may be null: it gets the gates i, f, o, g and the cell state before the step.
template <typename T>
__global__ void lstm(const T* sums, long long sums_stride, compute_t<T>* cells, compute_t<T>* kept, T* y,
                     long long stride, T* state, State s) {
    using C = compute_t<T>;
    const Element e(s);
    if (e.index >= s.count()) return;
    const T* const row = sums + e.row * sums_stride + e.column;
    const C i = sigmoid_of(load(row[0])), f = sigmoid_of(load(row[s.size]));
    const C g = tanh_of(load(row[2 * s.size])), o = sigmoid_of(load(row[3 * s.size]));
    const C c = cells[e.index], now = f * c + i * g;
    if (kept) {
        const long long n = s.count();
        kept[e.index] = i;
        kept[e.index + n] = f;
        kept[e.index + 2 * n] = o;
        kept[e.index + 3 * n] = g;
        kept[e.index + 4 * n] = c;
    }
    cells[e.index] = now;
    const T h = store<T>(o * tanh_of(now));
    y[e.row * stride + e.column] = h;
    state[e.index] = h;
}

// `dh` and `dc` come from the step after; `dc` leaves for the step before, as does `dh` by the product that follows.
template <typename T>
__global__ void lstm_backward(const T* g, long long stride, const T* dh, compute_t<T>* dc, const compute_t<T>* kept,
                              T* sums, long long sums_stride, State s) {
    using C = compute_t<T>;
    const Element e(s);
    if (e.index >= s.count()) return;
    const long long n = s.count();
    const C i = kept[e.index], f = kept[e.index + n], o = kept[e.index + 2 * n], u = kept[e.index + 3 * n];
    const C c = kept[e.index + 4 * n], t = tanh_of(f * c + i * u);
    const C slope = load(g[e.row * stride + e.column]) + load(dh[e.index]);
    const C by_c = dc[e.index] + slope * o * (C(1) - t * t);
    T* const row = sums + e.row * sums_stride + e.column;
    row[0] = store<T>(by_c * u * i * (C(1) - i));
    row[s.size] = store<T>(by_c * c * f * (C(1) - f));
    row[2 * s.size] = store<T>(by_c * i * (C(1) - u * u));
    row[3 * s.size] = store<T>(slope * t * o * (C(1) - o));
    dc[e.index] = by_c * f;
}

// ----------------------------------------------------------------------------------------------------------------- GRU
// `fed` are the products of the input with their bias, `own` those of the state, without `bias`, which may be null. `kept`
// may be null: it gets the gates r, z, n and what n takes of r.
template <typename T>
__global__ void gru(const T* fed, long long fed_stride, const T* own, const T* bias, compute_t<T>* kept, T* y,
                    long long stride, T* state, State s) {
    using C = compute_t<T>;
    const Element e(s);
    if (e.index >= s.count()) return;
    const T* const x = fed + e.row * fed_stride + e.column;
    C h[3];
#pragma unroll
    for (int k = 0; k < 3; ++k) {
        h[k] = load(own[e.row * 3 * s.size + k * s.size + e.column]);
        if (bias) h[k] += load(bias[k * s.size + e.column]);
    }
    const C r = sigmoid_of(load(x[0]) + h[0]), z = sigmoid_of(load(x[s.size]) + h[1]);
    const C reset = h[2], n = tanh_of(load(x[2 * s.size]) + r * reset);
    if (kept) {
        kept[e.index] = r;
        kept[e.index + s.count()] = z;
        kept[e.index + 2 * s.count()] = n;
        kept[e.index + 3 * s.count()] = reset;
    }
    const T now = store<T>(n + z * (load(state[e.index]) - n));
    y[e.row * stride + e.column] = now;
    state[e.index] = now;
}

// `dh` leaves with what goes around the gates; the product of `hidden` is added to it.
template <typename T>
__global__ void gru_backward(const T* g, long long stride, T* dh, const T* before, long long before_stride,
                             const compute_t<T>* kept, T* inputs, T* hidden, long long sums_stride, State s) {
    using C = compute_t<T>;
    const Element e(s);
    if (e.index >= s.count()) return;
    const C r = kept[e.index], z = kept[e.index + s.count()], n = kept[e.index + 2 * s.count()];
    const C reset = kept[e.index + 3 * s.count()];
    const C slope = load(g[e.row * stride + e.column]) + load(dh[e.index]);
    const C by_n = slope * (C(1) - z) * (C(1) - n * n);
    const T by_z = store<T>(slope * (load(before[e.row * before_stride + e.column]) - n) * z * (C(1) - z));
    const T by_r = store<T>(by_n * reset * r * (C(1) - r));
    T* const x = inputs + e.row * sums_stride + e.column;
    T* const h = hidden + e.row * sums_stride + e.column;
    x[0] = h[0] = by_r;
    x[s.size] = h[s.size] = by_z;
    x[2 * s.size] = store<T>(by_n);
    h[2 * s.size] = store<T>(by_n * r);
    dh[e.index] = store<T>(slope * z);
}

// ----------------------------------------------------------------------------------------------------------------- RNN
template <typename T, bool RELU>
__global__ void rnn(const T* sums, long long sums_stride, T* y, long long stride, T* state, State s) {
    using C = compute_t<T>;
    const Element e(s);
    if (e.index >= s.count()) return;
    const C x = load(sums[e.row * sums_stride + e.column]);
    const T h = store<T>(RELU ? (x > C(0) || x != x ? x : C(0)) : tanh_of(x));
    y[e.row * stride + e.column] = h;
    state[e.index] = h;
}

template <typename T, bool RELU>
__global__ void rnn_backward(const T* g, const T* y, long long stride, const T* dh, T* sums, long long sums_stride,
                             State s) {
    using C = compute_t<T>;
    const Element e(s);
    if (e.index >= s.count()) return;
    const C slope = load(g[e.row * stride + e.column]) + load(dh[e.index]);
    const C h = load(y[e.row * stride + e.column]);
    const C d = RELU ? (h > C(0) ? slope : C(0)) : slope * (C(1) - h * h);
    sums[e.row * sums_stride + e.column] = store<T>(d);
}
