// Cross-entropy of logits (outer, classes, inner), contiguous, against class indices or class probabilities.
//
// Forward reads the logits once: running maximum, running sum of exponentials and, for smoothed or soft targets, the
// weighted sum of logits together. It leaves the log-sum-exp for backward, which reads the logits once and writes the
// gradient. With inner == 1 a group of threads owns a row, else a thread; see softmax.cu. Label smoothing s comes as
// the factor `keep` = 1 - s of the target and the mass `spread` = s / classes of every class.
#include "numeric.cuh"

template <typename C>
struct Entropy {
    C top, sum;     // sum of exp(x - top)
    C mass, dot;    // sums of q and of q * x, q being the weight of a class in this row's target

    __device__ void see(C x) { merge(Entropy{x, C(1), C(0), C(0)}); }
    __device__ void weigh(C q, C x) {
        if (q != C(0)) {  // a logit of minus infinity under no mass costs nothing
            mass += q;
            dot += q * x;
        }
    }
    __device__ void merge(const Entropy& o) {
        if (o.top > top) {
            sum = o.sum + sum * exp_of(top - o.top);
            top = o.top;
        } else if (o.top == top) {
            sum += o.sum;
        } else {
            sum += o.sum * exp_of(o.top - top);
        }
        mass += o.mass;
        dot += o.dot;
    }
};

struct Sizes {
    long long rows, classes, inner, ignore_index;
};

struct Row {
    long long index, start, length;
    bool inside;

    __device__ explicit Row(const Sizes& s)
        : index(blockIdx.x * static_cast<long long>(blockDim.y) + threadIdx.y),
          start((index / s.inner) * s.classes * s.inner + index % s.inner),
          length(index < s.rows ? s.classes : 0),
          inside(index < s.rows) {}
};

template <typename T>
__device__ __forceinline__ compute_t<T> class_weight(const T* weight, long long c) {
    return weight ? load(weight[c]) : compute_t<T>(1);
}

constexpr int TARGET_OUT_OF_RANGE = 1;  // as in errors.py

// What forward stored; from two bytes, which do not hold it well enough, it is found again. All threads call it.
template <typename T, typename L>
__device__ __forceinline__ compute_t<T> log_sum_exp(const T* x, const Row& row, long long inner, const L* lse) {
    using C = compute_t<T>;
    if (sizeof(L) > 2) return row.inside ? static_cast<C>(lse[row.index]) : C(0);
    Entropy<C> state{-infinity<C>(), C(0), C(0), C(0)};
    for_each(x, row.length, inner, [&](C v, long long) { state.see(v); });
    state = group_merge(state, [](Entropy<C>& a, const Entropy<C>& b) { a.merge(b); });
    return state.top + log_of(state.sum);
}

// L is the type of the log-sum-exp.
template <typename T, typename L>
__global__ void cross_entropy(
    const T* logits, const long long* target, const T* weight, T* loss, L* lse, Sizes sizes, double keep_all,
    double spread_all, ErrorFlag* flag) {
    using C = compute_t<T>;
    const Row row(sizes);
    const T* const x = logits + row.start;
    const C keep = static_cast<C>(keep_all), spread = static_cast<C>(spread_all);
    Entropy<C> state{-infinity<C>(), C(0), C(0), C(0)};
    if (spread == C(0)) {
        for_each(x, row.length, sizes.inner, [&](C v, long long) { state.see(v); });
    } else {
        for_each(x, row.length, sizes.inner, [&](C v, long long c) {
            state.see(v);
            state.weigh(spread * class_weight(weight, c), v);
        });
    }
    state = group_merge(state, [](Entropy<C>& a, const Entropy<C>& b) { a.merge(b); });
    if (!row.inside || threadIdx.x != 0) return;
    const C total = state.top + log_of(state.sum);
    lse[row.index] = static_cast<L>(total);
    const long long t = target[row.index];
    C result = C(0);
    if (t != sizes.ignore_index) {
        if (t < 0 || t >= sizes.classes) {
            report(flag, TARGET_OUT_OF_RANGE, t, row.index, sizes.classes);
            result = not_a_number<C>();
        } else {
            const C q = keep * class_weight(weight, t);
            if (q != C(0)) result = q * (total - load(x[t * sizes.inner]));
            if (spread != C(0)) result += total * state.mass - state.dot;
        }
    }
    loss[row.index] = store<T>(result);
}

// d loss / d x_c = (sum of q) * softmax(x)_c - q_c. `weight_sum` is the sum of the class weights.
template <typename T, typename L>
__global__ void cross_entropy_backward(
    const T* g, const T* logits, const long long* target, const L* lse, const T* weight, const compute_t<T>* weight_sum,
    T* dx, Sizes sizes, double keep_all, double spread_all) {
    using C = compute_t<T>;
    const Row row(sizes);
    const C total = log_sum_exp(logits + row.start, row, sizes.inner, lse);
    if (!row.inside) return;
    const long long t = target[row.index];
    const bool counted = t != sizes.ignore_index && t >= 0 && t < sizes.classes;
    const C keep = static_cast<C>(keep_all), spread = static_cast<C>(spread_all);
    const C scale = counted ? load(g[row.index]) : C(0);
    const C hit = counted ? keep * class_weight(weight, t) : C(0);
    const C mass = hit + spread * (weight ? *weight_sum : static_cast<C>(sizes.classes));
    map_row(logits + row.start, dx + row.start, row.length, sizes.inner, [&](C v, long long c) {
        if (!counted) return C(0);
        C d = mass * exp_of(v - total);
        if (spread != C(0)) d -= spread * class_weight(weight, c);
        if (c == t) d -= hit;
        return scale * d;
    });
}

template <typename T, typename L>
__global__ void soft_cross_entropy(
    const T* logits, const T* target, const T* weight, T* loss, L* lse, Sizes sizes, double keep_all,
    double spread_all) {
    using C = compute_t<T>;
    const Row row(sizes);
    const T* const p = target + row.start;
    const C keep = static_cast<C>(keep_all), spread = static_cast<C>(spread_all);
    Entropy<C> state{-infinity<C>(), C(0), C(0), C(0)};
    for_each(logits + row.start, row.length, sizes.inner, [&](C v, long long c) {
        state.see(v);
        state.weigh((keep * load(p[c * sizes.inner]) + spread) * class_weight(weight, c), v);
    });
    state = group_merge(state, [](Entropy<C>& a, const Entropy<C>& b) { a.merge(b); });
    if (!row.inside || threadIdx.x != 0) return;
    const C total = state.top + log_of(state.sum);
    lse[row.index] = static_cast<L>(total);
    loss[row.index] = store<T>(total * state.mass - state.dot);
}

template <typename T, typename L>
__global__ void soft_cross_entropy_backward(
    const T* g, const T* logits, const T* target, const L* lse, const T* weight, T* dx, Sizes sizes, double keep_all,
    double spread_all) {
    using C = compute_t<T>;
    const Row row(sizes);
    const T* const p = target + row.start;
    const C keep = static_cast<C>(keep_all), spread = static_cast<C>(spread_all);
    C mass = C(0);
    for_each(p, row.length, sizes.inner,
             [&](C v, long long c) { mass += (keep * v + spread) * class_weight(weight, c); });
    mass = group_sum(mass);
    const C total = log_sum_exp(logits + row.start, row, sizes.inner, lse);
    if (!row.inside) return;
    const C scale = load(g[row.index]);
    map_row(logits + row.start, dx + row.start, row.length, sizes.inner, [&](C v, long long c) {
        const C q = (keep * load(p[c * sizes.inner]) + spread) * class_weight(weight, c);
        return scale * (mass * exp_of(v - total) - q);
    });
}
