// Random numbers: the same bits as kernels/cpu/random.py, which says what each element is made of.

#include "numeric.cuh"
#include "philox.cuh"

constexpr int THREADS = 256;
constexpr int TILE = THREADS * WORDS;  // words that a thread block makes at a time

// Calls use(i, words) for i = 0 .. count - 1, with words PER_USE * i and following of the stream. Each thread makes four
// neighbouring words; they change hands in shared memory, so that neighbouring threads use neighbouring words and their
// memory accesses coalesce.
template <int PER_USE, typename Use>
__device__ __forceinline__ void for_each_word(Stream stream, Word count, Use use) {
    __shared__ Word tile[TILE];
    for (Word base = (Word)blockIdx.x * TILE; base < count * PER_USE; base += (Word)gridDim.x * TILE) {
        philox(stream, base / WORDS + threadIdx.x, tile + threadIdx.x * WORDS);
        __syncthreads();
        for (int i = threadIdx.x; i < TILE / PER_USE; i += THREADS) {
            const Word at = base / PER_USE + i;
            if (at < count) use(at, tile + i * PER_USE);
        }
        __syncthreads();
    }
}

// N neighbouring elements, moved in one access where `aligned`: the array starts at a multiple of their size.
template <typename T, int N>
struct alignas(sizeof(T) * N) Group {
    T at[N];
};

template <typename T, int N>
__device__ __forceinline__ void put(T* out, Word start, Word size, bool aligned, const Group<T, N>& group) {
    if (aligned && start + N <= size) {
        *reinterpret_cast<Group<T, N>*>(out + start) = group;
    } else {
        for (int j = 0; j < N; ++j)
            if (start + j < size) out[start + j] = group.at[j];
    }
}

template <typename T, int N>
__device__ __forceinline__ Group<T, N> get(const T* x, Word start, Word size, bool aligned) {
    if (aligned && start + N <= size) return *reinterpret_cast<const Group<T, N>*>(x + start);
    Group<T, N> group;
    for (int j = 0; j < N; ++j) group.at[j] = x[start + j < size ? start + j : start];
    return group;
}

// Sums and products are rounded one by one, as NumPy does, never fused.
__device__ __forceinline__ float plus(float a, float b) { return __fadd_rn(a, b); }
__device__ __forceinline__ double plus(double a, double b) { return __dadd_rn(a, b); }
__device__ __forceinline__ float times(float a, float b) { return __fmul_rn(a, b); }
__device__ __forceinline__ double times(double a, double b) { return __dmul_rn(a, b); }

template <typename T>
__global__ void random_bits(T* out, Word size, bool aligned, const __grid_constant__ Position position) {
    constexpr int N = sizeof(Word) / sizeof(T);
    for_each_word<1>(stream_of(position), (size + N - 1) / N, [&](Word i, const Word* word) {
        Group<T, N> group;
        for (int j = 0; j < N; ++j) group.at[j] = (T)(*word >> (8 * sizeof(T) * j));
        put(out, i * N, size, aligned, group);
    });
}

template <typename T>
__global__ void uniform(T* out, Word size, bool aligned, compute_t<T> low, compute_t<T> scale, compute_t<T> top,
                        const __grid_constant__ Position position) {
    typedef compute_t<T> C;
    constexpr int N = sizeof(Word) / sizeof(C);
    for_each_word<1>(stream_of(position), (size + N - 1) / N, [&](Word i, const Word* word) {
        Group<T, N> group;
        for (int j = 0; j < N; ++j) {
            const C whole = N == 1 ? (C)(*word >> 11) : (C)((unsigned int)(*word >> (32 * j)) >> 8);
            const C value = plus(times(whole, scale), low);
            group.at[j] = store<T>(value < top ? value : top);
        }
        put(out, i * N, size, aligned, group);
    });
}

// Box and Muller: the radius sqrt(-2 log u) and the angle from two uniform numbers, u in (0, 1].
__device__ __forceinline__ float radius_and_angle(const Word* word, float* sine, float* cosine) {
    const float u = plus(times((float)(unsigned int)*word, 2.3283064365386963e-10f), 1.1641532182693481e-10f);
    sincosf(times((float)(int)(unsigned int)(*word >> 32), 1.462918119976564e-09f), sine, cosine);
    return sqrtf(times(logf(u), -2.0f));
}

__device__ __forceinline__ double radius_and_angle(const Word* words, double* sine, double* cosine) {
    const double u = times((double)((words[0] >> 11) + 1), 1.1102230246251565e-16);
    sincos(times((double)(words[1] >> 11), 6.975736996017264e-16), sine, cosine);
    return sqrt(times(log(u), -2.0));
}

template <typename T>
__global__ void normal(T* out, Word size, bool aligned, compute_t<T> mean, compute_t<T> std,
                       const __grid_constant__ Position position) {
    typedef compute_t<T> C;
    constexpr int PER_PAIR = 2 * sizeof(C) / sizeof(Word);
    for_each_word<PER_PAIR>(stream_of(position), (size + 1) / 2, [&](Word i, const Word* words) {
        C sine, cosine;
        const C radius = radius_and_angle(words, &sine, &cosine);
        Group<T, 2> group;
        group.at[0] = store<T>(plus(times(times(radius, cosine), std), mean));
        group.at[1] = store<T>(plus(times(times(radius, sine), std), mean));
        put(out, i * 2, size, aligned, group);
    });
}

// `one` holds the bits of the number 1, so that only the size of the dtype matters. `p` is null if `threshold` counts.
template <typename T>
__global__ void bernoulli(T* out, Word size, bool aligned, Word one, Word threshold, const double* p,
                          const __grid_constant__ Position position) {
    for_each_word<1>(stream_of(position), (size + 1) / 2, [&](Word i, const Word* word) {
        Group<T, 2> group;
        for (int j = 0; j < 2; ++j) {
            const unsigned int half = (unsigned int)(*word >> (32 * j));
            bool success = half < threshold;
            if (p) success = i * 2 + j < size && half < times(p[i * 2 + j], 4294967296.0);
            group.at[j] = success ? (T)one : (T)0;
        }
        put(out, i * 2, size, aligned, group);
    });
}

// The sum is taken modulo 2^64 and cut to the size of the dtype, signed or not; a span of 0 stands for 2^64.
template <typename T>
__global__ void integers(T* out, Word size, Word low, Word span, const __grid_constant__ Position position) {
    for_each_word<1>(stream_of(position), size, [&](Word i, const Word* word) {
        out[i] = (T)(low + (span ? __umul64hi(*word, span) : *word));
    });
}

template <typename T>
__global__ void dropout(const T* x, T* out, Word size, bool aligned, unsigned int threshold, compute_t<T> factor,
                        const __grid_constant__ Position position) {
    constexpr int N = 4, M = sizeof(T) == 8 ? 2 : 4;  // M elements make at most 16 bytes, the widest access
    for_each_word<1>(stream_of(position), (size + N - 1) / N, [&](Word i, const Word* word) {
        for (int k = 0; k < N && i * N + k < size; k += M) {
            Group<T, M> group = get<T, M>(x, i * N + k, size, aligned);
            for (int j = 0; j < M; ++j) {
                const bool keep = ((unsigned int)(*word >> (16 * (k + j))) & 0xFFFFu) >= threshold;
                group.at[j] = store<T>(keep ? times(load(group.at[j]), factor) : compute_t<T>(0));
            }
            put(out, i * N + k, size, aligned, group);
        }
    });
}
