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
// `kept` may be null: it gets the slopes of the cell state by the sums of i and f, of the hidden state by that of o, of the
// cell state by that of g, the gate f, and the slope of the hidden state by the cell state.
template <typename T>
__global__ void lstm(const T* sums, long long sums_stride, compute_t<T>* cells, compute_t<T>* kept, T* y,
                     long long stride, T* state, State s) {
    using C = compute_t<T>;
    const Element e(s);
    if (e.index >= s.count()) return;
    const T* const row = sums + e.row * sums_stride + e.column;
    const C i = sigmoid_of(load(row[0])), f = sigmoid_of(load(row[s.size]));
    const C g = tanh_of(load(row[2 * s.size])), o = sigmoid_of(load(row[3 * s.size]));
    const C by_i = i * g, by_f = f * cells[e.index], now = by_f + by_i, t = tanh_of(now);
    if (kept) {
        const long long n = s.count();
        kept[e.index] = by_i * (C(1) - i);
        kept[e.index + n] = by_f * (C(1) - f);
        kept[e.index + 2 * n] = o * t * (C(1) - o);
        kept[e.index + 3 * n] = i * (C(1) - g * g);
        kept[e.index + 4 * n] = f;
        kept[e.index + 5 * n] = o * (C(1) - t * t);
    }
    cells[e.index] = now;
    const T h = store<T>(o * t);
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
    const C slope = load(g[e.row * stride + e.column]) + load(dh[e.index]);
    const C by_c = dc[e.index] + slope * kept[e.index + 5 * n];
    T* const row = sums + e.row * sums_stride + e.column;
    row[0] = store<T>(by_c * kept[e.index]);
    row[s.size] = store<T>(by_c * kept[e.index + n]);
    row[2 * s.size] = store<T>(by_c * kept[e.index + 3 * n]);
    row[3 * s.size] = store<T>(slope * kept[e.index + 2 * n]);
    dc[e.index] = by_c * kept[e.index + 4 * n];
}

// ----------------------------------------------------------------------------------------------------------------- GRU
// `fed` are the products of the input with their bias, `own` those of the state, without `bias`, which may be null. `kept`
// may be null: it gets the gates r and z and the slopes of n's sum by that of r, and of the state by the sums of z and n.
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
    const C reset = r * h[2], n = tanh_of(load(x[2 * s.size]) + reset), faded = z * (load(state[e.index]) - n);
    if (kept) {
        kept[e.index] = r;
        kept[e.index + s.count()] = z;
        kept[e.index + 2 * s.count()] = reset * (C(1) - r);
        kept[e.index + 3 * s.count()] = faded * (C(1) - z);
        kept[e.index + 4 * s.count()] = (C(1) - z) * (C(1) - n * n);
    }
    const T now = store<T>(n + faded);
    y[e.row * stride + e.column] = now;
    state[e.index] = now;
}

// `dh` leaves with what goes around the gates; the product of `hidden` is added to it.
template <typename T>
__global__ void gru_backward(const T* g, long long stride, T* dh, const compute_t<T>* kept, T* inputs, T* hidden,
                             long long sums_stride, State s) {
    using C = compute_t<T>;
    const Element e(s);
    if (e.index >= s.count()) return;
    const long long n = s.count();
    const C slope = load(g[e.row * stride + e.column]) + load(dh[e.index]);
    const C by_n = slope * kept[e.index + 4 * n];
    const T by_z = store<T>(slope * kept[e.index + 3 * n]);
    const T by_r = store<T>(by_n * kept[e.index + 2 * n]);
    T* const x = inputs + e.row * sums_stride + e.column;
    T* const h = hidden + e.row * sums_stride + e.column;
    x[0] = h[0] = by_r;
    x[s.size] = h[s.size] = by_z;
    x[2 * s.size] = store<T>(by_n);
    h[2 * s.size] = store<T>(by_n * kept[e.index]);
    dh[e.index] = store<T>(slope * kept[e.index + n]);
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
