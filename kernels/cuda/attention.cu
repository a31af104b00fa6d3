// Scaled dot-product attention without the score matrix: forward, and the gradients by query, key and value.
//
// A warp owns one row, a query or a key, and goes through the other side in tiles of 32 rows, one per lane: each lane
// finds the score of its row, then the lanes share the columns of the weighted sum. Tiles are staged in shared memory,
// CHUNK columns at a time. Sums are taken in a fixed order, without atomics. For every dtype and every head size; the
// tensor cores are cuDNN's.
// Source: Milakov and Gimelshein, Online normalizer calculation for softmax, 2018; Dao et al., FlashAttention, 2022.
#include "numeric.cuh"
#include "philox.cuh"

constexpr int CHUNK = 64, PITCH = CHUNK + 1;  // one more, so that a column spreads over all banks
constexpr int TILE = 32;

struct Problem {
    long long batch_heads, heads, queries, keys, width, value_width, causal;
    long long mask_batch, mask_head, mask_query, mask_key;  // strides in elements, 0 where the mask broadcasts
};

struct Dropout {
    Position position;
    long long threshold;  // of 16 bits; 0 without dropout
    double factor;

    // The factor of the probability at `index` of the array of all: the bits are those of the dropout kernel.
    template <typename C>
    __device__ C of(long long index) const {
        if (!threshold) return C(1);
        Word words[WORDS];
        philox(stream_of(position), index / 16, words);
        const int part = static_cast<int>(index % 16);
        const Word word = part < 8 ? (part < 4 ? words[0] : words[1]) : (part < 12 ? words[2] : words[3]);
        return static_cast<long long>((word >> (16 * (part % 4))) & 0xFFFF) >= threshold ? static_cast<C>(factor) : C(0);
    }
};

template <typename C>
__device__ __forceinline__ C warp_max(C x) {
    return group_merge(x, [](C& a, const C& b) { a = b > a ? b : a; });
}

// Rows first .. first + 31 of a (count, width) matrix, columns from `column` on; 0 outside.
template <typename T, typename C>
__device__ __forceinline__ void load_tile(C* tile, const T* rows, long long first, long long count, long long width,
                                          long long column) {
    __syncthreads();
    const int threads = blockDim.x * blockDim.y;
    for (int t = threadIdx.y * blockDim.x + threadIdx.x; t < TILE * CHUNK; t += threads) {
        const int r = t / CHUNK, c = t % CHUNK;
        const bool inside = first + r < count && column + c < width;
        tile[r * PITCH + c] = inside ? load(rows[(first + r) * width + column + c]) : C(0);
    }
    __syncthreads();
}

__device__ __forceinline__ int columns_left(long long width, long long column) {
    return static_cast<int>(width - column < CHUNK ? width - column : CHUNK);
}

// The product of the warp's own row with the row of the lane.
template <typename T, typename C>
__device__ __forceinline__ C dot_tile(const C* own, C* tile, const T* rows, long long first, long long count,
                                      long long width) {
    C sum = C(0);
    for (long long column = 0; column < width; column += CHUNK) {
        load_tile(tile, rows, first, count, width, column);
        const int n = columns_left(width, column);
        for (int c = 0; c < n; ++c) sum += own[column + c] * tile[threadIdx.x * PITCH + c];
    }
    return sum;
}

// sum = sum * fade + weights @ rows; `weights` is in shared memory and may have been written just before.
template <typename T, typename C>
__device__ __forceinline__ void add_tile(C* sum, C fade, const C* weights, C* tile, const T* rows, long long first,
                                         long long count, long long width) {
    for (long long column = 0; column < width; column += CHUNK) {
        load_tile(tile, rows, first, count, width, column);
        const int n = columns_left(width, column);
        for (int c = threadIdx.x; c < n; c += TILE) {
            C total = sum[column + c] * fade;
            for (int r = 0; r < TILE; ++r) total += weights[r] * tile[r * PITCH + c];
            sum[column + c] = total;
        }
    }
}

// The warp's own row into shared memory, or zeros.
template <typename T, typename C>
__device__ __forceinline__ void load_row(C* own, const T* row, long long width, bool inside) {
    for (long long c = threadIdx.x; c < width; c += TILE) own[c] = inside ? load(row[c]) : C(0);
}

template <typename C>
__device__ __forceinline__ void clear_row(C* own, long long width) {
    for (long long c = threadIdx.x; c < width; c += TILE) own[c] = C(0);
}

template <typename T, typename C>
__device__ __forceinline__ void store_row(T* row, const C* own, C factor, long long width, bool inside) {
    if (!inside) return;
    for (long long c = threadIdx.x; c < width; c += TILE) row[c] = store<T>(own[c] * factor);
}

// The score with its mask, minus infinity where the key is hidden. MASK: 0 none, 1 boolean, 2 to be added.
template <typename T, int MASK>
__device__ __forceinline__ compute_t<T> masked(compute_t<T> score, const void* mask, const Problem& a,
                                               long long batch_head, long long query, long long key) {
    using C = compute_t<T>;
    if (query >= a.queries || key >= a.keys || (a.causal && key > query)) return -infinity<C>();
    if (MASK == 0) return score;
    const long long sample = batch_head / a.heads, head = batch_head - sample * a.heads;
    const long long at = sample * a.mask_batch + head * a.mask_head + query * a.mask_query + key * a.mask_key;
    if (MASK == 1) return reinterpret_cast<const bool*>(mask)[at] ? score : -infinity<C>();
    return score + load(reinterpret_cast<const T*>(mask)[at]);
}

template <typename T, int MASK>
__global__ void attention(const T* q, const T* k, const T* v, const void* mask, T* y, compute_t<T>* lse,
                          const __grid_constant__ Problem a, double scale, const __grid_constant__ Dropout dropout) {
    using C = compute_t<T>;
    extern __shared__ double dynamic[];
    const int warps = blockDim.y, warp = threadIdx.y;
    C* const tile = reinterpret_cast<C*>(dynamic);
    C* const weights = tile + TILE * PITCH + warp * TILE;
    C* const own = tile + TILE * PITCH + warps * TILE + warp * (a.width + a.value_width);
    C* const sum = own + a.width;

    const long long per_head = (a.queries + warps - 1) / warps, batch_head = blockIdx.x / per_head;
    const long long first_query = (blockIdx.x - batch_head * per_head) * warps, query = first_query + warp;
    const bool inside = query < a.queries;
    const long long row = batch_head * a.queries + query;
    k += batch_head * a.keys * a.width;
    v += batch_head * a.keys * a.value_width;
    load_row(own, q + row * a.width, a.width, inside);
    clear_row(sum, a.value_width);
    C top = -infinity<C>(), total = C(0);
    const long long last = first_query + warps < a.keys && a.causal ? first_query + warps : a.keys;
    for (long long first = 0; first < last; first += TILE) {
        const long long key = first + threadIdx.x;
        const C product = dot_tile(own, tile, k, first, a.keys, a.width) * static_cast<C>(scale);
        const C score = masked<T, MASK>(product, mask, a, batch_head, query, key);
        const C highest = warp_max(score > top ? score : top);
        const C shift = highest == -infinity<C>() ? C(0) : highest;  // a query that has seen no key yet
        const C p = exp_of(score - shift), fade = exp_of(top - shift);
        total = total * fade + group_sum(p);
        top = highest;
        weights[threadIdx.x] = p != C(0) ? p * dropout.of<C>(row * a.keys + key) : p;
        add_tile(sum, fade, weights, tile, v, first, a.keys, a.value_width);
    }
    store_row(y + row * a.value_width, sum, total == C(0) ? C(0) : C(1) / total, a.value_width, inside);
    if (inside && threadIdx.x == 0) lse[row] = total == C(0) ? infinity<C>() : log_of(total) + top;
}

// The gradient by the query, and for attention_keys each query's sum of g * y.
template <typename T, int MASK>
__global__ void attention_queries(const T* g, const T* q, const T* k, const T* v, const T* y, const compute_t<T>* lse,
                                  const void* mask, T* dq, compute_t<T>* delta, const __grid_constant__ Problem a,
                                  double scale, const __grid_constant__ Dropout dropout) {
    using C = compute_t<T>;
    extern __shared__ double dynamic[];
    const int warps = blockDim.y, warp = threadIdx.y;
    C* const tile = reinterpret_cast<C*>(dynamic);
    C* const weights = tile + TILE * PITCH + warp * TILE;
    C* const own = tile + TILE * PITCH + warps * TILE + warp * (2 * a.width + a.value_width);
    C* const sum = own + a.width;
    C* const upstream = sum + a.width;

    const long long per_head = (a.queries + warps - 1) / warps, batch_head = blockIdx.x / per_head;
    const long long first_query = (blockIdx.x - batch_head * per_head) * warps, query = first_query + warp;
    const bool inside = query < a.queries;
    const long long row = batch_head * a.queries + query;
    k += batch_head * a.keys * a.width;
    v += batch_head * a.keys * a.value_width;
    load_row(own, q + row * a.width, a.width, inside);
    load_row(upstream, g + row * a.value_width, a.value_width, inside);
    clear_row(sum, a.width);
    C share = C(0);
    if (inside) {
        for (long long c = threadIdx.x; c < a.value_width; c += TILE) share += upstream[c] * load(y[row * a.value_width + c]);
    }
    share = group_sum(share);
    if (inside && threadIdx.x == 0) delta[row] = share;
    const C level = inside ? lse[row] : infinity<C>();
    const long long last = first_query + warps < a.keys && a.causal ? first_query + warps : a.keys;
    for (long long first = 0; first < last; first += TILE) {
        const long long key = first + threadIdx.x;
        const C product = dot_tile(own, tile, k, first, a.keys, a.width) * static_cast<C>(scale);
        const C p = exp_of(masked<T, MASK>(product, mask, a, batch_head, query, key) - level);
        const C slope = dot_tile(upstream, tile, v, first, a.keys, a.value_width);
        const C kept = p != C(0) ? dropout.of<C>(row * a.keys + key) : C(0);
        weights[threadIdx.x] = p * (slope * kept - share) * static_cast<C>(scale);
        add_tile(sum, C(1), weights, tile, k, first, a.keys, a.width);
    }
    store_row(dq + row * a.width, sum, C(1), a.width, inside);
}

// The gradients by key and value: the same with the sides exchanged.
template <typename T, int MASK>
__global__ void attention_keys(const T* g, const T* q, const T* k, const T* v, const compute_t<T>* lse,
                               const compute_t<T>* delta, const void* mask, T* dk, T* dv,
                               const __grid_constant__ Problem a, double scale,
                               const __grid_constant__ Dropout dropout) {
    using C = compute_t<T>;
    extern __shared__ double dynamic[];
    const int warps = blockDim.y, warp = threadIdx.y;
    C* const tile = reinterpret_cast<C*>(dynamic);
    C* const weights = tile + TILE * PITCH + warp * 2 * TILE;
    C* const own_key = tile + TILE * PITCH + warps * 2 * TILE + warp * 2 * (a.width + a.value_width);
    C* const own_value = own_key + a.width;
    C* const sum_key = own_value + a.value_width;
    C* const sum_value = sum_key + a.width;

    const long long per_head = (a.keys + warps - 1) / warps, batch_head = blockIdx.x / per_head;
    const long long first_key = (blockIdx.x - batch_head * per_head) * warps, key = first_key + warp;
    const bool inside = key < a.keys;
    const long long row = batch_head * a.keys + key, queries = batch_head * a.queries;
    q += queries * a.width;
    g += queries * a.value_width;
    load_row(own_key, k + row * a.width, a.width, inside);
    load_row(own_value, v + row * a.value_width, a.value_width, inside);
    clear_row(sum_key, a.width);
    clear_row(sum_value, a.value_width);
    for (long long first = a.causal ? first_key / TILE * TILE : 0; first < a.queries; first += TILE) {
        const long long query = first + threadIdx.x;
        const bool exists = query < a.queries;
        const C product = dot_tile(own_key, tile, q, first, a.queries, a.width) * static_cast<C>(scale);
        const C level = exists ? lse[queries + query] : infinity<C>();
        const C p = exp_of(masked<T, MASK>(product, mask, a, batch_head, query, key) - level);
        const C slope = dot_tile(own_value, tile, g, first, a.queries, a.value_width);
        const C kept = p != C(0) ? dropout.of<C>((queries + query) * a.keys + key) : C(0);
        const C share = exists ? delta[queries + query] : C(0);
        weights[threadIdx.x] = p * kept;
        weights[TILE + threadIdx.x] = p * (slope * kept - share) * static_cast<C>(scale);
        add_tile(sum_value, C(1), weights, tile, g, first, a.queries, a.value_width);
        add_tile(sum_key, C(1), weights + TILE, tile, q, first, a.queries, a.width);
    }
    store_row(dk + row * a.width, sum_key, C(1), a.width, inside);
    store_row(dv + row * a.value_width, sum_value, C(1), a.value_width, inside);
}
