// The functions through which compiled kernels and the emulator's runtime talk to each other.
//
// Everything is extern "C" and takes plain types, so that a kernel's shared object can be kept in a
// cache and loaded next to a runtime that was built at another time from the same sources.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct uint3 {
    unsigned int x, y, z;
};

namespace emulator {

// How a thread of a block is counted by `barrier`.
enum BarrierOp : int { kBarrierPlain = 0, kBarrierCount = 1, kBarrierAnd = 2, kBarrierOr = 3 };

// What the lanes of a warp do together; lanes that meet must do the same thing.
enum WarpOp : int { kWarpSync = 0, kWarpShuffle = 1, kWarpGather = 2 };

// The 32 values that the lanes of a warp brought to a gather, and which of the lanes took part.
struct WarpValues {
    uint64_t value[32];
    uint32_t present;
};

// One kernel of a module: what Python needs to marshal its arguments and to start it.
struct KernelEntry {
    const char* name;
    void (*invoke)(void** args);
    int parameter_count;
    const char* parameter_kinds;    // see parameter_kind in launch.h
    const uint32_t* parameter_sizes;
};

// The address ranges of a module: the whole image, and its variables in shared memory.
struct ModuleRanges {
    uintptr_t image_begin, image_end;
    uintptr_t shared_begin, shared_end;
};

struct LaunchRequest {
    void (*invoke)(void** args);
    void** args;
    uint32_t grid[3];
    uint32_t block[3];
    uint64_t dynamic_shared_bytes;
    uint64_t seed;
    uint32_t order;    // 0 ascending, 1 descending, 2 shuffled with `seed`
    uint32_t check_memory;
    int32_t device;
    const ModuleRanges* ranges;
};

struct LaunchReport {
    int32_t failed;
    uint32_t block[3];
    uint32_t thread[3];
    uint64_t code_address;
    char message[512];
    uint64_t fiber_switches;
};

}    // namespace emulator

extern "C" {
// The coordinates never change within a fiber, so the compiler may keep them ("const").
uint3 emulator_thread_index() __attribute__((const));
uint3 emulator_block_index() __attribute__((const));
uint3 emulator_block_shape() __attribute__((const));
uint3 emulator_grid_shape() __attribute__((const));
unsigned emulator_lane() __attribute__((const));

extern unsigned char emulator_dynamic_shared[];

int emulator_barrier(int op, int predicate, int line);
uint64_t emulator_warp_shuffle(unsigned mask, uint64_t value, unsigned source_lane, int line);
void emulator_warp_gather(unsigned mask, uint64_t value, int line, emulator::WarpValues* out);
void emulator_warp_sync(unsigned mask, int line);
void emulator_fence();
void emulator_atomic_access(const volatile void* address, size_t size);
uint64_t emulator_clock();
[[noreturn]] void emulator_fault(const char* message);
[[noreturn]] void emulator_assertion_failed(const char* expression, const char* file, int line);

int emulator_launch(const emulator::LaunchRequest* request, emulator::LaunchReport* report);
void emulator_register_allocation(uint64_t address, uint64_t size, int device);
void emulator_unregister_allocation(uint64_t address);
}
