// Gather and scatter. An array is seen as (pre, keys, post): the axes before the indexed ones, the indexed ones, and
// those after. A key is a position among the indexed axes, counted in C order; the strides of all three parts are
// arguments, so that views are read and written where they lie.
//
// Adding is deterministic: the keys are sorted, with their positions, and every run of equal keys is summed in order.
#include "numeric.cuh"

constexpr int DIMS = 4;

struct Layout {
    long long dims;  // used ones, the last of the arrays below
    long long size[DIMS];
    long long stride[DIMS];

    __device__ long long offset(long long i) const {
        if (dims <= 1) return i * stride[DIMS - 1];
        long long total = 0;
#pragma unroll
        for (int d = DIMS - 1; d > 0; --d) {
            if (d <= DIMS - dims) break;
            const long long next = quotient(i, size[d]);
            total += (i - next * size[d]) * stride[d];
            i = next;
        }
        return total + i * stride[DIMS - static_cast<int>(dims)];
    }
};

struct Plan {
    long long pre_count, rows, post_count, limit;
    Layout pre, key, post;
};

constexpr int INDEX_OUT_OF_RANGE = 2;  // as in errors.py

__device__ __forceinline__ long long thread_index() {
    return blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
}

// The index counted from 0, or -1 after reporting it; keys were checked when they were made and come without a flag.
__device__ __forceinline__ long long resolved(long long index, long long limit, long long position, ErrorFlag* flag) {
    const long long from_zero = index < 0 ? index + limit : index;
    if (from_zero >= 0 && from_zero < limit) return from_zero;
    if (flag) report(flag, INDEX_OUT_OF_RANGE, index, position, limit);
    return -1;
}

// W is a word of the element's size or a multiple of it: a row of aligned elements moves 16 bytes at a time.
template <typename W, typename Index, bool WRITE>
__global__ void move_rows(W* x, const Index* index, W* packed, Plan plan, ErrorFlag* flag) {
    const long long count = plan.pre_count * plan.rows * plan.post_count;
    for (long long i = thread_index(); i < count; i += static_cast<long long>(gridDim.x) * blockDim.x) {
        const long long above = quotient(i, plan.post_count), q = i - above * plan.post_count;
        const long long p = quotient(above, plan.rows), r = above - p * plan.rows;
        const long long key = resolved(index[r], plan.limit, r, flag);
        if (key < 0) {
            if (!WRITE) packed[i] = W{};
            continue;
        }
        W* const place = x + plan.pre.offset(p) + plan.key.offset(key) + plan.post.offset(q);
        if (WRITE) *place = packed[i]; else packed[i] = *place;
    }
}

// keys[i] = (outer * limit + index[i]) * inner + i % inner, where outer is the key so far or, without one, i / span:
// several index arrays one after another, or one array along an axis with all other axes in step. A bad index becomes
// `bad`, which is above all keys: it sorts last, and is skipped.
template <typename Index>
__global__ void make_keys(const Index* index, const long long* before, long long* keys, long long count,
                          long long limit, long long span, long long inner, long long bad, ErrorFlag* flag) {
    const long long i = thread_index();
    if (i >= count) return;
    const long long outer = before ? before[i] : i / span;
    const long long key = outer == bad ? -1 : resolved(index[i], limit, i, flag);
    keys[i] = key < 0 ? bad : (outer * limit + key) * inner + i % inner;
}

// --------------------------------------------------------------------------------------------------- stable radix sort
// One pass per 8 bits: count the digits of every tile, turn the counts into places, move keys and positions there.
constexpr int DIGITS = 256, TILE = 2048;  // a block of DIGITS threads sorts a tile

__device__ __forceinline__ int digit_of(long long key, int shift) {
    return static_cast<int>(key >> shift) & (DIGITS - 1);
}

extern "C" __global__ void count_digits(const long long* keys, long long count, int shift, int* counts) {
    __shared__ int tally[DIGITS];
    tally[threadIdx.x] = 0;
    __syncthreads();
    const long long begin = blockIdx.x * static_cast<long long>(TILE);
    for (int k = threadIdx.x; k < TILE && begin + k < count; k += DIGITS) {
        atomicAdd(&tally[digit_of(keys[begin + k], shift)], 1);
    }
    __syncthreads();
    counts[threadIdx.x * static_cast<long long>(gridDim.x) + blockIdx.x] = tally[threadIdx.x];
}

// Exclusive prefix sums, by one block.
extern "C" __global__ void scan_counts(int* counts, long long count) {
    __shared__ int sums[1024];
    int carry = 0;
    for (long long begin = 0; begin < count; begin += 1024) {
        const long long i = begin + threadIdx.x;
        const int own = i < count ? counts[i] : 0;
        sums[threadIdx.x] = own;
        __syncthreads();
        for (int step = 1; step < 1024; step *= 2) {
            const int below = threadIdx.x >= step ? sums[threadIdx.x - step] : 0;
            __syncthreads();
            sums[threadIdx.x] += below;
            __syncthreads();
        }
        if (i < count) counts[i] = carry + sums[threadIdx.x] - own;
        carry += sums[1023];
        __syncthreads();
    }
}

extern "C" __global__ void place_digits(const long long* keys, const int* positions, long long* sorted_keys,
                                        int* sorted_positions, long long count, int shift, const int* places) {
    __shared__ int next[DIGITS], digits[DIGITS];
    next[threadIdx.x] = places[threadIdx.x * static_cast<long long>(gridDim.x) + blockIdx.x];
    const long long begin = blockIdx.x * static_cast<long long>(TILE);
    for (int k = 0; k < TILE && begin + k < count; k += DIGITS) {
        const long long i = begin + k + threadIdx.x;
        const bool inside = i < count;
        const long long key = inside ? keys[i] : 0;
        const int digit = inside ? digit_of(key, shift) : -1;
        digits[threadIdx.x] = digit;
        __syncthreads();
        int rank = 0;  // equal digits before this one: what makes the sort stable
        for (int t = 0; t < DIGITS; ++t) rank += t < threadIdx.x && digits[t] == digit;
        if (inside) {
            const int place = next[digit] + rank;
            sorted_keys[place] = key;
            sorted_positions[place] = positions ? positions[i] : static_cast<int>(i);
        }
        __syncthreads();
        if (inside) atomicAdd(&next[digit], 1);
        __syncthreads();
    }
}

// -------------------------------------------------------------------------------------------------- sums of equal keys
// A thread sums one column over RUN sorted positions, a tile. A run of equal keys inside it belongs to it alone. A run
// that goes on into the next tile is added up by add_carried from the parts in `tail` (of the tile it starts in) and
// `head` (of the tiles that it reaches), tile by tile.
constexpr int RUN = 32;

template <typename T>
__device__ __forceinline__ void accumulate(T* place, compute_t<T> x) {
    *place = store<T>(load(*place) + x);
}

struct Column {
    long long index, tile, tiles, columns, begin, end;
    bool inside;

    __device__ explicit Column(const Plan& plan)
        : index(blockIdx.y * static_cast<long long>(blockDim.x) + threadIdx.x),
          tile(blockIdx.x * static_cast<long long>(blockDim.y) + threadIdx.y),  // x: the axis with room for many blocks
          tiles((plan.rows + RUN - 1) / RUN),
          columns(plan.pre_count * plan.post_count),
          begin(tile * RUN),
          end(begin + RUN < plan.rows ? begin + RUN : plan.rows),
          inside(index < columns && tile < tiles) {}
};

template <typename T>
__global__ void add_runs(T* out, const T* packed, const long long* keys, const int* positions, compute_t<T>* head,
                         compute_t<T>* tail, Plan plan) {
    using C = compute_t<T>;
    const Column column(plan);
    if (!column.inside) return;
    const long long p = column.index / plan.post_count, q = column.index % plan.post_count;
    T* const place = out + plan.pre.offset(p) + plan.post.offset(q);
    const T* const source = packed + p * plan.rows * plan.post_count + q;
    const long long slot = column.tile * column.columns + column.index;
    bool continued = column.begin > 0 && keys[column.begin - 1] == keys[column.begin];
    long long current = keys[column.begin];
    C total = C(0);
    for (long long j = column.begin; j < column.end; ++j) {
        const long long key = keys[j];
        if (key != current) {
            if (continued) head[slot] = total; else accumulate(place + plan.key.offset(current), total);
            continued = false;
            current = key;
            total = C(0);
        }
        if (key >= plan.limit) return;  // of bad indices; these come last
        total += load(source[positions[j] * plan.post_count]);
    }
    if (continued) {
        head[slot] = total;
    } else if (column.end < plan.rows && keys[column.end] == current) {
        tail[slot] = total;
    } else {
        accumulate(place + plan.key.offset(current), total);
    }
}

template <typename T>
__global__ void add_carried(T* out, const long long* keys, const compute_t<T>* head, const compute_t<T>* tail,
                            Plan plan) {
    const Column column(plan);
    if (!column.inside || column.end == plan.rows) return;
    const long long key = keys[column.end - 1];
    const bool from_before = column.begin > 0 && keys[column.begin - 1] == key;  // the run starts in an earlier tile
    if (key >= plan.limit || keys[column.end] != key || from_before) return;
    compute_t<T> total = tail[column.tile * column.columns + column.index];
    for (long long tile = column.tile + 1; tile < column.tiles && keys[tile * RUN] == key; ++tile) {
        total += head[tile * column.columns + column.index];
    }
    const long long p = column.index / plan.post_count, q = column.index % plan.post_count;
    accumulate(out + plan.pre.offset(p) + plan.key.offset(key) + plan.post.offset(q), total);
}
