// Barriers, warp shuffles, votes and reductions.
//
// Every function notes the line of its call: lanes and threads that meet must be at the same one.
#pragma once

inline void __syncthreads(int line = __builtin_LINE()) {
    emulator_barrier(emulator::kBarrierPlain, 0, line);
}
inline int __syncthreads_count(int predicate, int line = __builtin_LINE()) {
    return emulator_barrier(emulator::kBarrierCount, predicate, line);
}
inline int __syncthreads_and(int predicate, int line = __builtin_LINE()) {
    return emulator_barrier(emulator::kBarrierAnd, predicate, line);
}
inline int __syncthreads_or(int predicate, int line = __builtin_LINE()) {
    return emulator_barrier(emulator::kBarrierOr, predicate, line);
}
inline void __syncwarp(unsigned mask = 0xffffffffu, int line = __builtin_LINE()) {
    emulator_warp_sync(mask, line);
}
// A set of converged lanes is whatever the hardware makes it; the calling lane alone is always one.
inline unsigned __activemask() { return 1u << emulator_lane(); }

namespace emulator {

template <class T>
EMULATOR_UNCHECKED inline T shuffle(unsigned mask, T value, unsigned source, int line) {
    static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
    uint64_t bits = 0;
    __builtin_memcpy(&bits, &value, sizeof(T));
    bits = emulator_warp_shuffle(mask, bits, source, line);
    __builtin_memcpy(&value, &bits, sizeof(T));
    return value;
}

template <class T, class Combine>
EMULATOR_UNCHECKED inline T reduce(unsigned mask, T value, int line, Combine combine) {
    WarpValues values;
    emulator_warp_gather(mask, static_cast<uint64_t>(value), line, &values);
    bool first = true;
    T result{};
    for (int lane = 0; lane < 32; ++lane) {
        if (!(values.present >> lane & 1)) continue;
        const T other = static_cast<T>(values.value[lane]);
        result = first ? other : combine(result, other);
        first = false;
    }
    return result;
}

}    // namespace emulator

template <class T>
inline T __shfl_sync(unsigned mask, T value, int source, int width = 32, int line = __builtin_LINE()) {
    const unsigned lane = emulator_lane();
    return emulator::shuffle(mask, value, (lane & ~(width - 1u)) | (unsigned(source) & (width - 1u)), line);
}
template <class T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                        int line = __builtin_LINE()) {
    const unsigned lane = emulator_lane();
    const bool inside = (lane & (width - 1u)) >= delta;
    return emulator::shuffle(mask, value, inside ? lane - delta : lane, line);
}
template <class T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                          int line = __builtin_LINE()) {
    const unsigned lane = emulator_lane();
    const bool inside = (lane & (width - 1u)) + delta < unsigned(width);
    return emulator::shuffle(mask, value, inside ? lane + delta : lane, line);
}
// A lane may read an earlier segment of the warp, but not a later one.
template <class T>
inline T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32,
                         int line = __builtin_LINE()) {
    const unsigned lane = emulator_lane();
    const unsigned source = lane ^ unsigned(lane_mask);
    const bool inside = source <= (lane | (width - 1u));
    return emulator::shuffle(mask, value, inside ? source : lane, line);
}

EMULATOR_UNCHECKED inline unsigned __ballot_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
    emulator::WarpValues values;
    emulator_warp_gather(mask, predicate != 0, line, &values);
    unsigned result = 0;
    for (int lane = 0; lane < 32; ++lane) {
        if (values.present >> lane & 1) result |= unsigned(values.value[lane]) << lane;
    }
    return result;
}
inline int __any_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
    return __ballot_sync(mask, predicate, line) != 0;
}
inline int __all_sync(unsigned mask, int predicate, int line = __builtin_LINE()) {
    return __ballot_sync(mask, !predicate, line) == 0;
}
template <class T>
EMULATOR_UNCHECKED inline unsigned __match_any_sync(unsigned mask, T value, int line = __builtin_LINE()) {
    uint64_t bits = 0;
    __builtin_memcpy(&bits, &value, sizeof(T));
    emulator::WarpValues values;
    emulator_warp_gather(mask, bits, line, &values);
    unsigned result = 0;
    for (int lane = 0; lane < 32; ++lane) {
        if (values.present >> lane & 1) result |= unsigned(values.value[lane] == bits) << lane;
    }
    return result;
}
template <class T>
inline unsigned __match_all_sync(unsigned mask, T value, int* all, int line = __builtin_LINE()) {
    const unsigned equal = __match_any_sync(mask, value, line);
    *all = __all_sync(mask, (equal & (1u << emulator_lane())) && equal == __ballot_sync(mask, 1, line), line);
    return *all ? equal : 0;
}

#define EMULATOR_REDUCE(name, T, expression)                                                     \
    inline T name(unsigned mask, T value, int line = __builtin_LINE()) {                         \
        return emulator::reduce(mask, value, line, [](T a, T b) -> T { return expression; });    \
    }
EMULATOR_REDUCE(__reduce_add_sync, unsigned, a + b)
EMULATOR_REDUCE(__reduce_add_sync, int, a + b)
EMULATOR_REDUCE(__reduce_min_sync, unsigned, a < b ? a : b)
EMULATOR_REDUCE(__reduce_min_sync, int, a < b ? a : b)
EMULATOR_REDUCE(__reduce_max_sync, unsigned, a > b ? a : b)
EMULATOR_REDUCE(__reduce_max_sync, int, a > b ? a : b)
EMULATOR_REDUCE(__reduce_and_sync, unsigned, a & b)
EMULATOR_REDUCE(__reduce_or_sync, unsigned, a | b)
EMULATOR_REDUCE(__reduce_xor_sync, unsigned, a ^ b)
#undef EMULATOR_REDUCE
