// Random counts: the same numbers as kernels/cpu/counts.py, which says how they are made and who found out.

#include "numeric.cuh"
#include "philox.cuh"

constexpr double SMALL = 10.0;
constexpr int STEPS = 1000;
constexpr double HALF_LOG_2PI = 0.91893853320467274178;

// Two uniform numbers of (0, 1) for an attempt of element i.
struct Uniform {
    Stream stream;
    Word element;
    Word words[WORDS];

    __device__ void of(int attempt, double* u, double* v) {
        if (attempt % 2 == 0) philox(stream, element, words, attempt / 2);
        const Word* word = words + 2 * (attempt % 2);
        *u = ((double)(word[0] >> 12) + 0.5) * 2.2204460492503131e-16;
        *v = ((double)(word[1] >> 12) + 0.5) * 2.2204460492503131e-16;
    }
};

__device__ double stirling(double k) {
    const double table[10] = {0.0, 0.081061466795327258, 0.041340695955409294, 0.027677925684998339,
                              0.020790672103765093, 0.016644691189821193, 0.013876128823070748,
                              0.011896709945891770, 0.010411265261972096, 0.0092554621827127329};
    if (k < 10) return table[(int)k];
    const double inverse = 1 / k, square = inverse * inverse;
    return inverse * (1.0 / 12 - square * (1.0 / 360 - square * (1.0 / 1260 - square * (1.0 / 1680))));
}

__device__ double deviance(double k, double mean) {
    const double d = (k - mean) / mean;
    return mean * ((1 + d) * log1p(d) - d);
}

__device__ double log_poisson(double k, double mean) {
    if (k == 0) return -mean;
    return -stirling(k) - deviance(k, mean) - 0.5 * log(k) - HALF_LOG_2PI;
}

__device__ double log_binomial(double k, double n, double p) {
    const double rest = n - k;
    if (rest == 0) return n * log(p);
    if (k == 0) return n * log1p(-p);
    return stirling(n) - stirling(k) - stirling(rest) - deviance(k, n * p) - deviance(rest, n * (1 - p)) +
           (0.5 * log(n / (k * rest)) - HALF_LOG_2PI);
}

__device__ double poisson_of(double mean, Uniform random) {
    if (!(mean >= 0)) return nan("");
    if (mean == 0 || isinf(mean)) return mean;
    double u, v;
    if (mean < SMALL) {
        random.of(0, &u, &v);
        double probability = exp(-mean), total = probability, count = 0;
        for (int k = 1; u > total && probability > 0 && k <= STEPS; ++k) {
            probability *= mean / k;
            total += probability;
            count = k;
        }
        return count;
    }
    const double b = 0.931 + 2.53 * sqrt(mean), a = -0.059 + 0.02483 * b;
    for (int attempt = 0;; ++attempt) {
        random.of(attempt, &u, &v);
        const double middle = u - 0.5, us = 0.5 - fabs(middle);
        const double k = floor((2 * a / us + b) * middle + (mean + 0.43));
        if (us >= 0.07 && v <= 0.9277 - 3.6224 / (b - 2)) return k;
        if (k < 0 || (us < 0.013 && v > us)) continue;
        if (log(v * (1.1239 + 1.1328 / (b - 3.4)) / (a / (us * us) + b)) <= log_poisson(k, mean)) return k;
    }
}

__device__ double binomial_of(double n, double p, Uniform random) {
    if (!(n >= 0) || !(p >= 0 && p <= 1)) return nan("");
    n = floor(n);
    if (isinf(n)) return p > 0 ? n : 0.0;
    const bool flipped = p > 0.5;
    const double q = flipped ? 1 - p : p, mean = n * q;
    double u, v, count = 0;
    if (mean > 0 && mean < SMALL) {
        random.of(0, &u, &v);
        const double odds = q / (1 - q);
        double probability = exp(n * log1p(-q)), total = probability;
        for (int k = 1; u > total && probability > 0 && k <= STEPS; ++k) {
            probability *= (n + 1 - k) / k * odds;
            total += probability;
            count = k;
        }
    } else if (mean > 0) {
        const double spread = sqrt(n * q * (1 - q));
        const double b = 1.15 + 2.53 * spread, a = -0.0873 + 0.0248 * b + 0.01 * q;
        const double most = log_binomial(floor((n + 1) * q), n, q);
        for (int attempt = 0;; ++attempt) {
            random.of(attempt, &u, &v);
            const double middle = u - 0.5, us = 0.5 - fabs(middle);
            const double k = floor((2 * a / us + b) * middle + (n * q + 0.5));
            count = k;
            if (us >= 0.07 && v <= 0.92 - 4.2 / b) break;
            if (k < 0 || k > n) continue;
            if (log(v * (2.83 + 5.1 / b) * spread / (a / (us * us) + b)) <= log_binomial(k, n, q) - most) break;
        }
    }
    return flipped ? n - count : count;
}

template <typename T>
__global__ void poisson(T* out, const double* rates, Word size, const __grid_constant__ Position position) {
    const Stream stream = stream_of(position);
    for (Word i = (Word)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += (Word)gridDim.x * blockDim.x)
        out[i] = store<T>((compute_t<T>)poisson_of(rates[i], Uniform{stream, i}));
}

template <typename T>
__global__ void binomial(T* out, const double* counts, const double* chances, Word size,
                         const __grid_constant__ Position position) {
    const Stream stream = stream_of(position);
    for (Word i = (Word)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += (Word)gridDim.x * blockDim.x)
        out[i] = store<T>((compute_t<T>)binomial_of(counts[i], chances[i], Uniform{stream, i}));
}
