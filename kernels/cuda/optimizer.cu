// Optimizer steps over many tensors in one launch.
//
// A table of pointers comes as a kernel argument, so nothing is uploaded and a captured graph keeps its own copy. A
// block finds the tensor that its number falls into and updates CHUNK elements of it, 16 bytes at a time where all
// arrays of the tensor are aligned. Half types are updated in float.
#include "numeric.cuh"

constexpr int CHUNK = 4096;
constexpr int TABLE_WORDS = 480;  // 3840 of the 4096 bytes of arguments that every driver accepts

template <int LISTS>
struct Table {
    static constexpr int CAPACITY = TABLE_WORDS / (LISTS + 2);
    long long pointer[LISTS][CAPACITY];
    long long size[CAPACITY];
    long long first_block[CAPACITY];
};

struct Share {
    int tensor;
    long long begin, end;
};

template <int LISTS>
__device__ __forceinline__ Share share_of_block(const Table<LISTS>& table, int count) {
    int low = 0, high = count;  // the last tensor whose first block is not beyond this one
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (table.first_block[middle] <= blockIdx.x) low = middle; else high = middle;
    }
    const long long begin = (blockIdx.x - table.first_block[low]) * CHUNK;
    const long long end = begin + CHUNK < table.size[low] ? begin + CHUNK : table.size[low];
    return Share{low, begin, end};
}

// Call f(values) for every element of the share: values[0] is the parameter, values[1] its gradient, the others its
// state. All but the gradient are written back; only the first `arrays` lists are there.
template <typename T, int LISTS, typename F>
__device__ __forceinline__ void update(const Table<LISTS>& table, const Share& share, int arrays, F f) {
    using C = compute_t<T>;
    T* data[LISTS];
    bool aligned = share.end - share.begin == CHUNK;
#pragma unroll
    for (int k = 0; k < LISTS; ++k) {
        data[k] = k < arrays ? reinterpret_cast<T*>(table.pointer[k][share.tensor]) + share.begin : nullptr;
        aligned = aligned && misalignment(data[k]) == 0;
    }
    const auto one = [&](T* const* at, long long i) {
        C values[LISTS];
#pragma unroll
        for (int k = 0; k < LISTS; ++k) values[k] = k < arrays ? load(at[k][i]) : C(0);
        f(values);
#pragma unroll
        for (int k = 0; k < LISTS; ++k) {
            if (k != 1 && k < arrays) at[k][i] = store<T>(values[k]);
        }
    };
    if (!aligned) {
        for (long long i = threadIdx.x; i < share.end - share.begin; i += blockDim.x) one(data, i);
        return;
    }
    for (int p = threadIdx.x; p < CHUNK / Pack<T>::SIZE; p += blockDim.x) {
        Pack<T> packs[LISTS];
#pragma unroll
        for (int k = 0; k < LISTS; ++k) {
            if (k < arrays) packs[k] = reinterpret_cast<const Pack<T>*>(data[k])[p];
        }
#pragma unroll
        for (int i = 0; i < Pack<T>::SIZE; ++i) {
            C values[LISTS];
#pragma unroll
            for (int k = 0; k < LISTS; ++k) values[k] = k < arrays ? load(packs[k].at[i]) : C(0);
            f(values);
#pragma unroll
            for (int k = 0; k < LISTS; ++k) {
                if (k != 1 && k < arrays) packs[k].at[i] = store<T>(values[k]);
            }
        }
#pragma unroll
        for (int k = 0; k < LISTS; ++k) {
            if (k != 1 && k < arrays) reinterpret_cast<Pack<T>*>(data[k])[p] = packs[k];
        }
    }
}

struct SgdOptions {
    double momentum, dampening, weight_decay, nesterov, maximize, first_step;
};

// Lists: parameter, gradient, momentum buffer (only where momentum is not 0).
template <typename T>
__global__ void sgd_step(const __grid_constant__ Table<3> table, int count, const float* lr_array, double lr_value,
                         const __grid_constant__ SgdOptions options) {
    using C = compute_t<T>;
    const Share share = share_of_block(table, count);
    const C lr = static_cast<C>(lr_array ? static_cast<double>(*lr_array) : lr_value);
    const C momentum = static_cast<C>(options.momentum), kept = static_cast<C>(1 - options.dampening);
    const C decay = static_cast<C>(options.weight_decay);
    const bool first = options.first_step != 0, nesterov = options.nesterov != 0, negate = options.maximize != 0;
    update<T>(table, share, momentum != C(0) ? 3 : 2, [&](C* v) {
        C g = negate ? -v[1] : v[1];
        if (decay != C(0)) g += decay * v[0];
        if (momentum != C(0)) {
            v[2] = first ? g : momentum * v[2] + kept * g;
            g = nesterov ? g + momentum * v[2] : v[2];
        }
        v[0] -= lr * g;
    });
}

struct AdamOptions {
    double log_beta1, log_beta2, beta1, beta2, eps, weight_decay, decoupled, maximize, amsgrad;
};

// Lists: parameter, gradient, first moment, second moment, largest second moment (only for AMSGrad), step count.
template <typename T>
__global__ void adam_step(const __grid_constant__ Table<6> table, int count, const float* lr_array, double lr_value,
                          const __grid_constant__ AdamOptions options) {
    using C = compute_t<T>;
    const Share share = share_of_block(table, count);
    __shared__ C scalars[3];
    if (threadIdx.x == 0) {
        // 1 - beta**step loses its digits in float for beta near 1; in double it is for one thread only.
        const double step = *reinterpret_cast<const float*>(table.pointer[5][share.tensor]);
        const double lr = lr_array ? static_cast<double>(*lr_array) : lr_value;
        scalars[0] = static_cast<C>(lr);
        scalars[1] = static_cast<C>(lr / -expm1(step * options.log_beta1));
        scalars[2] = static_cast<C>(1 / sqrt(-expm1(step * options.log_beta2)));
    }
    __syncthreads();
    const C lr = scalars[0], step_size = scalars[1], root_correction = scalars[2];
    const C rate1 = static_cast<C>(1 - options.beta1), rate2 = static_cast<C>(1 - options.beta2);
    const C beta2 = static_cast<C>(options.beta2), eps = static_cast<C>(options.eps);
    const C decay = static_cast<C>(options.weight_decay);
    const bool decoupled = options.decoupled != 0, negate = options.maximize != 0, amsgrad = options.amsgrad != 0;
    update<T>(table, share, amsgrad ? 5 : 4, [&](C* v) {
        C g = negate ? -v[1] : v[1];
        if (decay != C(0)) {
            if (decoupled) v[0] *= C(1) - lr * decay; else g += decay * v[0];
        }
        v[2] += (g - v[2]) * rate1;
        v[3] = beta2 * v[3] + rate2 * g * g;
        C second = v[3];
        if (amsgrad) {
            second = v[4] > second || v[4] != v[4] ? v[4] : second;
            v[4] = second;
        }
        v[0] -= step_size * (v[2] / (sqrt_of(second) * root_correction + eps));
    });
}

// Before adam_step, in its own launch: blocks of one tensor must all see the same count.
extern "C" __global__ void advance_steps(const __grid_constant__ Table<1> table, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) *reinterpret_cast<float*>(table.pointer[0][i]) += 1.0f;
}

// ----------------------------------------------------------------------------------------------------------- gradients
// What a p-norm adds up: |x|**p, or for p infinite the largest |x|, where NaN counts as the largest.
template <typename C>
struct Power {
    C p;
    bool largest;

    __device__ explicit Power(double power)
        : p(static_cast<C>(power)), largest(power > 1.7976931348623157e308) {}
    __device__ C of(C x) const {
        const C size = x < C(0) ? -x : x;
        if (largest || p == C(1)) return size;
        return p == C(2) ? x * x : exp_of(p * log_of(size));
    }
    __device__ void merge(C& sum, C other) const {
        if (!largest) sum += other;
        else if (other > sum || other != other) sum = other;
    }
};

template <typename T, typename R>
__global__ void add_powers(const __grid_constant__ Table<1> table, int count, double p, R* partial) {
    using C = compute_t<T>;
    const Share share = share_of_block(table, count);
    const Power<C> power(p);
    C sum = C(0);
    for_each(reinterpret_cast<const T*>(table.pointer[0][share.tensor]) + share.begin, share.end - share.begin, 1,
             [&](C x, long long) { power.merge(sum, power.of(x)); });
    sum = group_merge(sum, [&](C& a, const C& b) { power.merge(a, b); });
    if (threadIdx.x == 0) partial[blockIdx.x] = static_cast<R>(sum);
}

template <typename R>
__global__ void finish_norm(const R* partial, long long count, double p, R* out) {
    const Power<R> power(p);
    R sum = R(0);
    for (long long i = threadIdx.x; i < count; i += blockDim.x) power.merge(sum, partial[i]);
    sum = group_merge(sum, [&](R& a, const R& b) { power.merge(a, b); });
    if (threadIdx.x) return;
    if (!power.largest && power.p != R(1)) sum = power.p == R(2) ? sqrt_of(sum) : exp_of(log_of(sum) / power.p);
    *out = sum;
}

template <typename T>
__global__ void scale(const __grid_constant__ Table<1> table, int count, const float* single, const double* twice,
                      double value) {
    using C = compute_t<T>;
    const Share share = share_of_block(table, count);
    const C factor = static_cast<C>(single ? static_cast<double>(*single) : twice ? *twice : value);
    update<T>(table, share, 1, [&](C* v) { v[0] *= factor; });
}
