// The state of the launch in progress, shared by the scheduler and the memory checker.
#pragma once

#include <stdint.h>

#include <vector>

#include "emulator_abi.h"
#include "fibers.h"

namespace emulator {

constexpr unsigned kWarpSize = 32;
constexpr size_t kMaxDynamicShared = 227 * 1024;    // the opt-in limit of current devices
constexpr unsigned char kPoison = 0xff;             // a NaN in every floating point format

enum class ThreadState : uint8_t { kReady, kAtBarrier, kAtWarp, kFinished };

struct Thread {
    uint3 index;
    uint32_t linear, warp, lane;
    ThreadState state;
    Fiber* fiber;
    // Where the thread waits, and with what.
    int line;
    int predicate;
    int warp_op;
    uint32_t mask;
    uint32_t source_lane;
    uint64_t value;
    WarpValues* gathered;
    // How many warp synchronisations of its warp the thread has seen (see memory_check.cpp).
    uint32_t warp_sequence;
};

struct Warp {
    uint32_t existing;    // the lanes that the block really has
    uint32_t sequence;
};

struct Launch {
    const LaunchRequest* request;
    LaunchReport* report;
    std::vector<Thread> threads;
    std::vector<Warp> warps;
    uint32_t thread_count;
    uint32_t finished;
    uint32_t at_barrier;
    const Thread* first_at_barrier;
    int barrier_result;
    uint3 block_index;
    uint32_t block_linear;
    uint32_t epoch;    // barriers that the block has passed
    Thread* current;
    bool aborted;
};

extern Launch launch;

// Records a fault of the running thread and leaves it for good.
[[noreturn]] void fail(const void* code_address, const char* format, ...)
    __attribute__((format(printf, 2, 3)));

// Records a fault found by the scheduler, which blames `thread` for it.
void report_fault(const Thread& thread, const void* code_address, const char* format, ...)
    __attribute__((format(printf, 3, 4)));

// Hooks of the memory checker.
void memory_begin_launch();
void memory_begin_block();
void memory_end_thread_step();

}    // namespace emulator
