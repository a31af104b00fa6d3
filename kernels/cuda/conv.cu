// Convolution of one to three spatial axes (missing ones have size 1) and its two gradients, any stride, padding,
// dilation and groups.
//
// Each of the three is a product of matrices per group whose right factor is never written out: its elements are looked
// up in the image as the tiles of the product need them.
//
//   mode         rows             columns              sum over
//   FORWARD      output channels  images * outputs     input channels * taps
//   INPUT        input channels   images * inputs      output channels * taps
//   WEIGHT       output channels  input channels*taps  images * outputs, in parts that are added up afterwards
//
// Nothing is added atomically: the same launch gives the same bits. Half types accumulate in float.
#include "numeric.cuh"

struct Sizes {
    long long images, groups, inner, outer;  // channels per group
    long long size[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
};

enum { FORWARD = 0, INPUT = 1, WEIGHT = 2 };
constexpr int TILE = 64, DEPTH = 16, THREADS = 256, SHARE = 4;

struct Place {
    long long image;
    int at[3];
};

__device__ __forceinline__ long long volume(const long long* n) { return n[0] * n[1] * n[2]; }

__device__ __forceinline__ void split(long long index, const long long* sizes, int* at) {
    long long rest = quotient(index, sizes[2]);
    at[2] = static_cast<int>(index - rest * sizes[2]);
    at[0] = static_cast<int>(quotient(rest, sizes[1]));
    at[1] = static_cast<int>(rest - at[0] * sizes[1]);
}

__device__ __forceinline__ Place place_of(long long index, const long long* sizes) {
    Place place;
    const long long all = volume(sizes);
    place.image = quotient(index, all);
    split(index - place.image * all, sizes, place.at);
    return place;
}

// The element of the image that an output reads through a tap, as an index into the channel, or -1 in the padding.
__device__ __forceinline__ long long read_by(const Sizes& s, const int* output, const int* tap) {
    long long index = 0;
#pragma unroll
    for (int i = 0; i < 3; ++i) {
        const long long at = output[i] * s.stride[i] - s.padding[i] + tap[i] * s.dilation[i];
        if (at < 0 || at >= s.size[i]) return -1;
        index = index * s.size[i] + at;
    }
    return index;
}

// The output that reads an element of the image through a tap, or -1.
__device__ __forceinline__ long long reader_of(const Sizes& s, const int* input, const int* tap) {
    long long index = 0;
#pragma unroll
    for (int i = 0; i < 3; ++i) {
        const long long from = input[i] + s.padding[i] - tap[i] * s.dilation[i];
        if (from < 0) return -1;
        const long long at = quotient(from, s.stride[i]);
        if (at * s.stride[i] != from || at >= s.out[i]) return -1;
        index = index * s.out[i] + at;
    }
    return index;
}

// An element of the right factor of FORWARD (data is the image) or INPUT (data is the gradient).
template <int MODE, typename T>
__device__ __forceinline__ compute_t<T> looked_up(const T* data, const Sizes& s, long long group, const Place& column,
                                                  long long channel, const int* tap) {
    const long long channels = MODE == FORWARD ? s.inner : s.outer;
    const long long index = MODE == FORWARD ? read_by(s, column.at, tap) : reader_of(s, column.at, tap);
    if (index < 0) return compute_t<T>(0);
    const long long plane = (column.image * s.groups + group) * channels + channel;
    return load(data[plane * volume(MODE == FORWARD ? s.size : s.out) + index]);
}

// Which product this is, and how large.
template <int MODE>
struct Product {
    long long rows, columns, depth, taps;
    __device__ explicit Product(const Sizes& s) {
        taps = volume(s.kernel);
        rows = MODE == INPUT ? s.inner : s.outer;
        columns = MODE == FORWARD ? s.images * volume(s.out) : MODE == INPUT ? s.images * volume(s.size) : s.inner * taps;
        depth = MODE == FORWARD ? s.inner * taps : MODE == INPUT ? s.outer * taps : s.images * volume(s.out);
    }
};

// left: weight (FORWARD, INPUT) or gradient (WEIGHT); right: image (FORWARD, WEIGHT) or gradient (INPUT).
template <typename T, int MODE>
__device__ __forceinline__ compute_t<T> left_element(const T* left, const Sizes& s, const Product<MODE>& p,
                                                     long long group, long long row, long long k) {
    if (MODE == FORWARD) return load(left[(group * s.outer + row) * p.depth + k]);
    if (MODE == INPUT) {
        const long long channel = quotient(k, p.taps);
        return load(left[((group * s.outer + channel) * s.inner + row) * p.taps + k - channel * p.taps]);
    }
    const long long all = volume(s.out), image = quotient(k, all);
    return load(left[((image * s.groups + group) * s.outer + row) * all + k - image * all]);
}

template <typename T, int MODE>
__device__ __forceinline__ compute_t<T> right_element(const T* right, const Sizes& s, const Product<MODE>& p,
                                                      long long group, const Place& column, long long k) {
    if (MODE == WEIGHT) {  // the column is (channel, tap)
        const Place output = place_of(k, s.out);
        const long long index = read_by(s, output.at, column.at);
        if (index < 0) return compute_t<T>(0);
        return load(right[((output.image * s.groups + group) * s.inner + column.image) * volume(s.size) + index]);
    }
    int tap[3];
    const long long channel = quotient(k, p.taps);
    split(k - channel * p.taps, s.kernel, tap);
    return looked_up<MODE>(right, s, group, column, channel, tap);
}

// One block makes a tile of 64 x 64 of the result of one group and one part of the sum, 4 x 4 per thread.
template <typename T, int MODE>
__global__ void __launch_bounds__(THREADS, 1) conv_tile(const T* left, const T* right, const T* bias, T* y,
                                                     compute_t<T>* partial, long long parts, Sizes s) {
    using C = compute_t<T>;
    __shared__ C a[DEPTH][TILE + 1], b[DEPTH][TILE + 1];
    const Product<MODE> p(s);
    const long long across = (p.columns + TILE - 1) / TILE, down = (p.rows + TILE - 1) / TILE;
    long long block = blockIdx.x;
    const long long first_column = block % across * TILE;
    block /= across;
    const long long first_row = block % down * TILE;
    block /= down;
    const long long group = block % s.groups, part = block / s.groups;
    const long long share = (p.depth + parts - 1) / parts;
    const long long begin = part * share, end = begin + share < p.depth ? begin + share : p.depth;
    const int thread = threadIdx.x, tx = thread % 16, ty = thread / 16;

    // The columns that this thread looks up: side by side in memory for neighbouring threads.
    const long long own = first_column + thread % TILE;
    Place column;
    if (MODE == WEIGHT) column = place_of(own, s.kernel);
    else column = place_of(own, MODE == FORWARD ? s.out : s.size);

    C sum[SHARE][SHARE] = {};
    for (long long k0 = begin; k0 < end; k0 += DEPTH) {
#pragma unroll
        for (int i = 0; i < TILE * DEPTH / THREADS; ++i) {
            const long long k = k0 + tx, row = first_row + ty + 16 * i;
            a[tx][ty + 16 * i] = k < end && row < p.rows ? left_element<T, MODE>(left, s, p, group, row, k) : C(0);
            const int depth = thread / TILE + THREADS / TILE * i;
            const bool inside = k0 + depth < end && own < p.columns;
            b[depth][thread % TILE] =
                inside ? right_element<T, MODE>(right, s, p, group, column, k0 + depth) : C(0);
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < DEPTH; ++k) {
            C u[SHARE], v[SHARE];
#pragma unroll
            for (int i = 0; i < SHARE; ++i) {
                u[i] = a[k][ty + 16 * i];
                v[i] = b[k][tx + 16 * i];
            }
#pragma unroll
            for (int i = 0; i < SHARE; ++i) {
#pragma unroll
                for (int j = 0; j < SHARE; ++j) sum[i][j] += u[i] * v[j];
            }
        }
        __syncthreads();
    }
#pragma unroll
    for (int j = 0; j < SHARE; ++j) {
        const long long at = first_column + tx + 16 * j;
        if (at >= p.columns) continue;
        const long long all = volume(MODE == FORWARD ? s.out : s.size);
        const long long image = MODE == WEIGHT ? 0 : quotient(at, all);
#pragma unroll
        for (int i = 0; i < SHARE; ++i) {
            const long long row = first_row + ty + 16 * i;
            if (row >= p.rows) continue;
            if (MODE == WEIGHT) {
                partial[((part * s.groups + group) * p.rows + row) * p.columns + at] = sum[i][j];
                continue;
            }
            const long long channel = group * p.rows + row;
            const C shift = bias ? load(bias[channel]) : C(0);
            y[(image * s.groups * p.rows + channel) * all + at - image * all] = store<T>(sum[i][j] + shift);
        }
    }
}

// Groups of few channels: a tile would be mostly empty, so a thread makes one element of the result.
template <typename T, int MODE>
__global__ void __launch_bounds__(THREADS, 1) conv_direct(const T* left, const T* right, const T* bias, T* y,
                                                       long long count, Sizes s) {
    using C = compute_t<T>;
    const Product<MODE> p(s);
    const long long* const sizes = MODE == FORWARD ? s.out : s.size;
    const long long all = volume(sizes);
    for (long long i = blockIdx.x * static_cast<long long>(THREADS) + threadIdx.x; i < count;
         i += gridDim.x * static_cast<long long>(THREADS)) {
        const long long plane = quotient(i, all), image = quotient(plane, s.groups * p.rows);
        const long long channel = plane - image * s.groups * p.rows, group = quotient(channel, p.rows);
        Place column;
        column.image = image;
        split(i - plane * all, sizes, column.at);
        C sum = C(0);
        for (long long k = 0; k < p.depth; ++k) {
            sum += left_element<T, MODE>(left, s, p, group, channel - group * p.rows, k) *
                   right_element<T, MODE>(right, s, p, group, column, k);
        }
        y[i] = store<T>(sum + (bias ? load(bias[channel]) : C(0)));
    }
}

// One block per element of the weight: its threads share the images and outputs.
template <typename T>
__global__ void __launch_bounds__(THREADS, 1) conv_weight_direct(const T* g, const T* x, T* dw, Sizes s) {
    using C = compute_t<T>;
    const Product<WEIGHT> p(s);
    const long long element = blockIdx.x, channel = element / p.columns, group = channel / s.outer;
    const Place column = place_of(element - channel * p.columns, s.kernel);
    C sum = C(0);
    for (long long k = threadIdx.x; k < p.depth; k += THREADS) {
        sum += left_element<T, WEIGHT>(g, s, p, group, channel - group * s.outer, k) *
               right_element<T, WEIGHT>(x, s, p, group, column, k);
    }
    sum = group_sum(sum);
    if (threadIdx.x == 0) dw[element] = store<T>(sum);
}
