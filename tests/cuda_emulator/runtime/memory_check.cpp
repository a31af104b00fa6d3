// Checks every memory access of a kernel: that it is in bounds, aligned, of written shared memory,
// and ordered against the accesses of other threads.
//
// Kernels are compiled with -fsanitize=thread, which makes the compiler call a function before each
// load and store that another thread might see. Those functions are defined here; the sanitizer's
// own runtime is not used. Values that the compiler keeps in registers cost nothing.
//
// Two accesses to a word, at least one a write and not both atomic, are ordered when
//   * one thread made both, or
//   * a block-wide barrier lies between them, or
//   * the threads are in one warp and a __syncwarp lies between them, or
//   * the threads are in different blocks, the first block executed a __threadfence and then an
//     atomic operation after its access, and the second block executed an atomic operation before
//     its own (the "last block done" pattern).
// Anything else is a race, except two plain writes of the same value. The check does not depend on
// the order in which the emulator happens to run the threads.
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <map>

#include "state.h"

namespace emulator {
namespace {

struct Where {
    const char* space;
    size_t offset;
};

enum class Kind : uint8_t { kRead, kWrite, kAtomic };

struct Access {
    uint32_t generation = 0;    // the launch; 0 is none
    uint32_t block = 0;
    uint16_t thread = 0;
    uint16_t epoch = 0;
    uint16_t warp_sequence = 0;
    uint8_t fences = 0;
    uint8_t bytes : 4 = 0;    // which of the four bytes of the word
    uint8_t atomic : 1 = 0;
    uint8_t shared_by_many : 1 = 0;    // reads only: another thread read it unordered with this one
};

struct Cell {
    Access write, read;
};

struct Allocation {
    uintptr_t begin, end;
    int device;
    Cell* cells;
};

struct BlockOrder {
    uint8_t fences = 0;
    uint8_t released = 0;    // the fences that an atomic operation has published
    bool acquired = false;
};

// A plain write over another thread's plain write: a race only if it changes the value.
struct PendingWrite {
    Where where = {};
    const unsigned char* address = nullptr;
    size_t size = 0;
    unsigned char old_value[16];
    Access other;
    const void* code_address;
};

constexpr size_t kMaxStaticShared = 256 * 1024;
constexpr int kAnyDevice = -1;    // page-locked host memory

std::map<uintptr_t, Allocation> allocations;    // by end address
Allocation* last_allocation = nullptr;
uint32_t generation = 0;
std::vector<BlockOrder> block_orders;
PendingWrite pending;

Cell dynamic_cells[kMaxDynamicShared / 4];
bool dynamic_written[kMaxDynamicShared];
Cell static_cells[kMaxStaticShared / 4];
bool static_written[kMaxStaticShared];

bool ordered(const Access& before, const Thread& self) {
    if (before.generation != generation) return true;
    if (before.block != launch.block_linear) {
        const BlockOrder& here = block_orders[launch.block_linear];
        if (!here.acquired) return false;
        return before.atomic || before.fences < block_orders[before.block].released;
    }
    if (before.thread == self.linear) return true;
    if (before.epoch != static_cast<uint16_t>(launch.epoch)) return true;
    return before.thread / kWarpSize == self.warp &&
           before.warp_sequence < static_cast<uint16_t>(self.warp_sequence);
}

[[noreturn]] void fail_race(const char* what, const Access& other, Where where, const void* code) {
    const uint32_t* grid = launch.request->grid;
    const uint32_t* block = launch.request->block;
    const uint32_t t = other.thread, b = other.block;
    fail(code,
         "race on %s memory at byte %zu: %s thread (%u, %u, %u) of block (%u, %u, %u) with no "
         "barrier between",
         where.space, where.offset, what, t % block[0], t / block[0] % block[1],
         t / (block[0] * block[1]), b % grid[0], b / grid[0] % grid[1], b / (grid[0] * grid[1]));
}

void settle_pending_write() {
    if (pending.address == nullptr) return;
    const PendingWrite write = pending;
    pending.address = nullptr;
    if (memcmp(write.address, write.old_value, write.size) == 0) return;
    fail_race("it writes another value than", write.other, write.where, write.code_address);
}

Access describe(const Thread& self, unsigned bytes, Kind kind) {
    Access access;
    access.generation = generation;
    access.block = launch.block_linear;
    access.thread = self.linear;
    access.epoch = launch.epoch;
    access.warp_sequence = self.warp_sequence;
    access.fences = block_orders[launch.block_linear].fences;
    access.bytes = bytes;
    access.atomic = kind == Kind::kAtomic;
    return access;
}

void check_word(Cell& cell, unsigned bytes, Kind kind, Where where, const void* address, size_t size,
                const void* code) {
    const Thread& self = *launch.current;
    const bool writes = kind != Kind::kRead;
    const Access now = describe(self, bytes, kind);
    const bool write_unordered = (cell.write.bytes & bytes) && !ordered(cell.write, self);
    if (write_unordered && !(kind == Kind::kAtomic && cell.write.atomic)) {
        if (kind == Kind::kWrite && !cell.write.atomic) {
            pending = {where, static_cast<const unsigned char*>(address), std::min<size_t>(size, 16), {},
                       cell.write, code};
            memcpy(pending.old_value, address, pending.size);
        } else {
            fail_race(kind == Kind::kRead ? "it reads what was written by" : "it changes what was written by",
                      cell.write, where, code);
        }
    }
    if (writes && (cell.read.bytes & bytes)) {
        const bool other_reader = cell.read.shared_by_many && cell.read.generation == generation &&
                                  cell.read.block == launch.block_linear &&
                                  cell.read.thread == self.linear &&
                                  cell.read.epoch == static_cast<uint16_t>(launch.epoch) &&
                                  cell.read.warp_sequence == static_cast<uint16_t>(self.warp_sequence);
        if (other_reader || !ordered(cell.read, self)) {
            fail_race(other_reader ? "it writes what was read by others and by"
                                   : "it writes what was read by",
                      cell.read, where, code);
        }
    }
    if (writes) {
        cell.write = now;
    } else {
        const bool same_thread = cell.read.generation == generation &&
                                 cell.read.block == launch.block_linear &&
                                 cell.read.thread == self.linear;
        const bool many = same_thread
                              ? cell.read.shared_by_many && cell.read.epoch == now.epoch &&
                                    cell.read.warp_sequence == now.warp_sequence
                              : (cell.read.bytes & bytes) && !ordered(cell.read, self);
        cell.read = now;
        cell.read.shared_by_many = many;
    }
}

void check_words(Cell* cells, uintptr_t begin, uintptr_t address, size_t size, Kind kind,
                 const char* space, const void* code) {
    uintptr_t at = address;
    const uintptr_t end = address + size;
    bool first = true;
    while (at < end) {
        const size_t offset = at - begin;
        const size_t in_word = std::min<size_t>(4 - offset % 4, end - at);
        const unsigned bytes = ((1u << in_word) - 1u) << offset % 4;
        // A conflicting write is remembered once, for the whole access.
        check_word(cells[offset / 4], bytes, kind, {space, offset},
                   reinterpret_cast<const void*>(first ? address : at), first ? size : in_word, code);
        first = false;
        at += in_word;
    }
}

void check_shared(unsigned char* base, size_t limit, Cell* cells, bool* written, uintptr_t address,
                  size_t size, Kind kind, const void* code) {
    const size_t offset = address - reinterpret_cast<uintptr_t>(base);
    if (offset + size > limit) {
        fail(code, "out-of-bounds access of shared memory: %zu bytes at byte %zu of %zu", size, offset,
             limit);
    }
    if (kind == Kind::kWrite) {
        memset(written + offset, 1, size);
    } else if (memchr(written + offset, 0, size)) {
        fail(code, "uninitialised shared memory is read: %zu bytes at byte %zu", size, offset);
    }
    check_words(cells, reinterpret_cast<uintptr_t>(base), address, size, kind, "shared", code);
}

Allocation* find_allocation(uintptr_t address) {
    if (last_allocation && address >= last_allocation->begin && address < last_allocation->end) {
        return last_allocation;
    }
    auto found = allocations.upper_bound(address);
    if (found == allocations.end() || address < found->second.begin) return nullptr;
    return last_allocation = &found->second;
}

[[noreturn]] void fail_bounds(uintptr_t address, size_t size, Kind kind, const void* code) {
    const char* verb = kind == Kind::kRead ? "read" : kind == Kind::kWrite ? "write" : "atomic operation";
    auto after = allocations.upper_bound(address);
    if (after != allocations.begin()) {
        const Allocation& before = std::prev(after)->second;
        if (address - before.end < 65536) {
            fail(code, "out-of-bounds global %s of %zu bytes, %zu bytes past the end of an array of %zu bytes",
                 verb, size, size_t(address - before.end), size_t(before.end - before.begin));
        }
    }
    if (after != allocations.end() && after->second.begin - address < 65536 &&
        address < after->second.begin) {
        const Allocation& next = after->second;
        fail(code, "out-of-bounds global %s of %zu bytes, %zu bytes before an array of %zu bytes", verb, size,
             size_t(next.begin - address), size_t(next.end - next.begin));
    }
    fail(code, "global %s of %zu bytes at 0x%zx, where no device memory is", verb, size, size_t(address));
}

void check_global(uintptr_t address, size_t size, Kind kind, const void* code) {
    Allocation* allocation = find_allocation(address);
    if (allocation == nullptr || address + size > allocation->end) {
        const ModuleRanges& ranges = *launch.request->ranges;
        if (address >= ranges.image_begin && address < ranges.image_end) return;    // constants
        if (allocation) {
            fail(code, "out-of-bounds global access of %zu bytes, %zu bytes before the end of an array of %zu bytes",
                 size, size_t(allocation->end - address), size_t(allocation->end - allocation->begin));
        }
        fail_bounds(address, size, kind, code);
    }
    if (allocation->device != kAnyDevice && allocation->device != launch.request->device) {
        fail(code, "memory of device %d is accessed by a kernel on device %d", allocation->device,
             launch.request->device);
    }
    if (allocation->cells == nullptr) {
        const size_t words = (allocation->end - allocation->begin + 3) / 4;
        allocation->cells = static_cast<Cell*>(calloc(words, sizeof(Cell)));
    }
    check_words(allocation->cells, allocation->begin, address, size, kind, "global", code);
}

void check_access(const volatile void* pointer, size_t size, Kind kind, bool aligned, const void* code) {
    if (!launch.current || !launch.request->check_memory) return;
    settle_pending_write();
    const auto address = reinterpret_cast<uintptr_t>(pointer);
    const Fiber& fiber = *launch.current->fiber;
    if (address >= fiber.stack_begin() && address < fiber.stack_end()) return;
    if (aligned && address % size != 0) {
        fail(code, "misaligned access of %zu bytes at 0x%zx", size, size_t(address));
    }
    const auto dynamic_begin = reinterpret_cast<uintptr_t>(emulator_dynamic_shared);
    const ModuleRanges& ranges = *launch.request->ranges;
    if (address >= dynamic_begin && address < dynamic_begin + kMaxDynamicShared) {
        check_shared(emulator_dynamic_shared, launch.request->dynamic_shared_bytes, dynamic_cells, dynamic_written,
                     address, size, kind, code);
    } else if (address >= ranges.shared_begin && address < ranges.shared_end) {
        check_shared(reinterpret_cast<unsigned char*>(ranges.shared_begin),
                     ranges.shared_end - ranges.shared_begin, static_cells, static_written, address, size,
                     kind, code);
    } else {
        check_global(address, size, kind, code);
    }
}

}    // namespace

void memory_begin_launch() {
    ++generation;
    pending.address = nullptr;
    const uint32_t* grid = launch.request->grid;
    block_orders.assign(size_t{grid[0]} * grid[1] * grid[2], BlockOrder{});
}

void memory_begin_block() {
    const ModuleRanges& ranges = *launch.request->ranges;
    const size_t static_size = std::min<size_t>(ranges.shared_end - ranges.shared_begin, kMaxStaticShared);
    memset(dynamic_written, 0, launch.request->dynamic_shared_bytes);
    memset(static_written, 0, static_size);
    // Another block has other shared memory: forget who touched it.
    std::fill_n(dynamic_cells, (launch.request->dynamic_shared_bytes + 3) / 4, Cell{});
    std::fill_n(static_cells, (static_size + 3) / 4, Cell{});
}

void memory_end_thread_step() { settle_pending_write(); }

}    // namespace emulator

using emulator::check_access;
using emulator::Kind;

extern "C" {

void emulator_register_allocation(uint64_t address, uint64_t size, int device) {
    emulator::last_allocation = nullptr;
    emulator::allocations[address + size] = {address, address + size, device, nullptr};
}

void emulator_unregister_allocation(uint64_t address) {
    emulator::last_allocation = nullptr;
    auto found = emulator::allocations.upper_bound(address);
    if (found == emulator::allocations.end() || found->second.begin != address) return;
    free(found->second.cells);
    emulator::allocations.erase(found);
}

void emulator_fence() {
    auto& order = emulator::block_orders[emulator::launch.block_linear];
    if (order.fences < 255) ++order.fences;
}

void emulator_atomic_access(const volatile void* address, size_t size) {
    check_access(address, size, Kind::kAtomic, true, __builtin_return_address(0));
    auto& order = emulator::block_orders[emulator::launch.block_linear];
    order.released = order.fences;
    order.acquired = true;
}

#define EMULATOR_ACCESS(size)                                                          \
    void __tsan_read##size(void* p) {                                                  \
        check_access(p, size, Kind::kRead, true, __builtin_return_address(0));         \
    }                                                                                  \
    void __tsan_write##size(void* p) {                                                 \
        check_access(p, size, Kind::kWrite, true, __builtin_return_address(0));        \
    }                                                                                  \
    void __tsan_unaligned_read##size(void* p) {                                        \
        check_access(p, size, Kind::kRead, false, __builtin_return_address(0));        \
    }                                                                                  \
    void __tsan_unaligned_write##size(void* p) {                                       \
        check_access(p, size, Kind::kWrite, false, __builtin_return_address(0));       \
    }
EMULATOR_ACCESS(1)
EMULATOR_ACCESS(2)
EMULATOR_ACCESS(4)
EMULATOR_ACCESS(8)
EMULATOR_ACCESS(16)
#undef EMULATOR_ACCESS

void __tsan_read_range(void* p, size_t size) {
    check_access(p, size, Kind::kRead, false, __builtin_return_address(0));
}
void __tsan_write_range(void* p, size_t size) {
    check_access(p, size, Kind::kWrite, false, __builtin_return_address(0));
}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_init() {}

// -fsanitize=alignment,bounds,integer-divide-by-zero call these; what they say goes by the line.
struct SanitizerLocation {
    const char* file;
    uint32_t line, column;
};

void __ubsan_handle_type_mismatch_v1(SanitizerLocation* at, uintptr_t address) {
    emulator::fail(__builtin_return_address(0), "misaligned or null pointer 0x%zx is used (line %u)",
                   size_t(address), at->line);
}
void __ubsan_handle_out_of_bounds(SanitizerLocation* at, uintptr_t index) {
    emulator::fail(__builtin_return_address(0), "index %zd is out of the bounds of its array (line %u)",
                   ptrdiff_t(index), at->line);
}
void __ubsan_handle_divrem_overflow(SanitizerLocation* at, uintptr_t, uintptr_t) {
    emulator::fail(__builtin_return_address(0), "integer division by zero (line %u)", at->line);
}
}
