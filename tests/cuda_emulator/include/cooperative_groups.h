// The part of cooperative groups that works inside one block: blocks, tiles and their reductions.
#pragma once

namespace cooperative_groups {

class thread_block {
public:
    void sync(int line = __builtin_LINE()) const { __syncthreads(line); }
    unsigned thread_rank() const {
        return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    }
    unsigned size() const { return blockDim.x * blockDim.y * blockDim.z; }
    unsigned num_threads() const { return size(); }
    dim3 group_index() const { return blockIdx; }
    dim3 thread_index() const { return threadIdx; }
    dim3 dim_threads() const { return blockDim; }
};

inline thread_block this_thread_block() { return {}; }

template <unsigned Size, class Parent = thread_block>
class thread_block_tile {
    static_assert(Size >= 1 && Size <= 32 && (Size & (Size - 1)) == 0, "a tile is a part of a warp");

public:
    unsigned thread_rank() const { return emulator_lane() % Size; }
    static constexpr unsigned size() { return Size; }
    static constexpr unsigned num_threads() { return Size; }
    unsigned meta_group_rank() const { return this_thread_block().thread_rank() / Size; }
    unsigned meta_group_size() const { return (this_thread_block().size() + Size - 1) / Size; }
    void sync(int line = __builtin_LINE()) const { __syncwarp(mask(), line); }

    template <class T>
    T shfl(T value, int source, int line = __builtin_LINE()) const {
        return __shfl_sync(mask(), value, source, Size, line);
    }
    template <class T>
    T shfl_down(T value, unsigned delta, int line = __builtin_LINE()) const {
        return __shfl_down_sync(mask(), value, delta, Size, line);
    }
    template <class T>
    T shfl_up(T value, unsigned delta, int line = __builtin_LINE()) const {
        return __shfl_up_sync(mask(), value, delta, Size, line);
    }
    template <class T>
    T shfl_xor(T value, int lane_mask, int line = __builtin_LINE()) const {
        return __shfl_xor_sync(mask(), value, lane_mask, Size, line);
    }
    int any(int predicate, int line = __builtin_LINE()) const {
        return __any_sync(mask(), predicate, line);
    }
    int all(int predicate, int line = __builtin_LINE()) const {
        return __all_sync(mask(), predicate, line);
    }
    unsigned ballot(int predicate, int line = __builtin_LINE()) const {
        return __ballot_sync(mask(), predicate, line) >> first_lane();
    }

private:
    static unsigned first_lane() { return emulator_lane() / Size * Size; }
    static unsigned mask() { return (Size == 32 ? ~0u : (1u << Size % 32) - 1u) << first_lane(); }
};

template <unsigned Size, class Parent>
thread_block_tile<Size, Parent> tiled_partition(const Parent&) { return {}; }

template <class T>
struct plus {
    T operator()(T a, T b) const { return a + b; }
};
template <class T>
struct greater {
    T operator()(T a, T b) const { return a > b ? a : b; }
};
template <class T>
struct less {
    T operator()(T a, T b) const { return a < b ? a : b; }
};

template <unsigned Size, class Parent, class T, class Operation>
T reduce(const thread_block_tile<Size, Parent>& tile, T value, Operation operation) {
    for (unsigned step = Size / 2; step > 0; step /= 2) {
        value = operation(value, tile.shfl_xor(value, static_cast<int>(step)));
    }
    return value;
}

template <class Group>
void sync(const Group& group, int line = __builtin_LINE()) { group.sync(line); }

}    // namespace cooperative_groups
