// Runs the blocks of a launch one after another, and the threads of a block as fibers.
//
// A thread runs until it waits (barrier, warp operation) or ends. Threads that never wait all run
// on one stack, so a kernel without synchronisation costs two switches per thread.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <memory>
#include <numeric>

#include "state.h"

extern "C" {
alignas(1024) unsigned char emulator_dynamic_shared[emulator::kMaxDynamicShared];
}

namespace emulator {

Launch launch;

namespace {

Context scheduler_context;
std::vector<std::unique_ptr<Fiber>> all_fibers;
std::vector<Fiber*> free_fibers;

void leave_to_scheduler() {
    Thread& self = *launch.current;
    Context::swap(self.fiber->context, scheduler_context);
}

void fiber_main() {
    for (;;) {
        launch.request->invoke(launch.request->args);
        memory_end_thread_step();
        launch.current->state = ThreadState::kFinished;
        ++launch.finished;
        leave_to_scheduler();
    }
}

Fiber* take_fiber() {
    if (free_fibers.empty()) {
        all_fibers.push_back(std::make_unique<Fiber>(fiber_main));
        return all_fibers.back().get();
    }
    Fiber* fiber = free_fibers.back();
    free_fibers.pop_back();
    return fiber;
}

void resume(Thread& thread) {
    if (thread.fiber == nullptr) thread.fiber = take_fiber();
    launch.current = &thread;
    ++launch.report->fiber_switches;
    Context::swap(scheduler_context, thread.fiber->context);
    launch.current = nullptr;
    if (thread.state == ThreadState::kFinished) {
        free_fibers.push_back(thread.fiber);
        thread.fiber = nullptr;
    }
}

void vreport(const Thread& thread, const void* code_address, const char* format, va_list arguments) {
    LaunchReport& report = *launch.report;
    if (report.failed) return;
    report.failed = 1;
    const uint3 block = launch.block_index;
    const uint32_t where[6] = {block.x, block.y, block.z, thread.index.x, thread.index.y, thread.index.z};
    memcpy(report.block, where, sizeof report.block);
    memcpy(report.thread, where + 3, sizeof report.thread);
    report.code_address = reinterpret_cast<uint64_t>(code_address);
    vsnprintf(report.message, sizeof report.message, format, arguments);
    launch.aborted = true;
}

const char* op_name(int op) {
    return op == kWarpSync ? "__syncwarp" : op == kWarpShuffle ? "warp shuffle" : "warp vote";
}

// Nobody can run any more: says who waits for whom.
void report_deadlock() {
    for (const Thread& thread : launch.threads) {
        if (thread.state != ThreadState::kAtWarp) continue;
        const uint32_t wanted = thread.mask & launch.warps[thread.warp].existing;
        for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
            if (!(wanted >> lane & 1)) continue;
            const Thread& other = launch.threads[thread.warp * kWarpSize + lane];
            if (other.state == ThreadState::kAtWarp && other.mask == thread.mask) continue;
            const char* doing = other.state == ThreadState::kFinished    ? "has exited"
                                : other.state == ThreadState::kAtBarrier ? "waits at __syncthreads"
                                                                         : "waits with another mask";
            report_fault(thread, nullptr,
                         "%s (line %d) with mask 0x%08x: lane %u of the mask never arrives, it %s",
                         op_name(thread.warp_op), thread.line, thread.mask, lane, doing);
            return;
        }
    }
    const Thread* waiting = nullptr;
    const Thread* absent = nullptr;
    for (const Thread& thread : launch.threads) {
        if (thread.state == ThreadState::kAtBarrier && !waiting) waiting = &thread;
        if (thread.state == ThreadState::kFinished && !absent) absent = &thread;
    }
    report_fault(*waiting, nullptr,
                 "barrier divergence: %u of %u threads wait at __syncthreads (line %d), but thread "
                 "(%u, %u, %u) has exited without reaching it",
                 launch.at_barrier, launch.thread_count, waiting->line, absent->index.x,
                 absent->index.y, absent->index.z);
}

class Shuffler {
public:
    explicit Shuffler(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du) {}
    uint32_t operator()(uint32_t bound) {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return static_cast<uint32_t>((state_ >> 33) % bound);
    }

private:
    uint64_t state_;
};

std::vector<uint32_t> make_order(uint32_t count, uint32_t order, uint64_t seed) {
    std::vector<uint32_t> result(count);
    std::iota(result.begin(), result.end(), 0u);
    if (order == 1) std::reverse(result.begin(), result.end());
    if (order == 2) {
        Shuffler random(seed);
        for (uint32_t i = count; i > 1; --i) std::swap(result[i - 1], result[random(i)]);
    }
    return result;
}

void start_block(uint32_t linear) {
    const LaunchRequest& request = *launch.request;
    launch.block_linear = linear;
    launch.block_index = {linear % request.grid[0], linear / request.grid[0] % request.grid[1],
                          linear / (request.grid[0] * request.grid[1])};
    launch.finished = launch.at_barrier = launch.epoch = 0;
    for (uint32_t i = 0; i < launch.thread_count; ++i) {
        Thread& thread = launch.threads[i];
        thread = Thread{};
        thread.index = {i % request.block[0], i / request.block[0] % request.block[1],
                        i / (request.block[0] * request.block[1])};
        thread.linear = i;
        thread.warp = i / kWarpSize;
        thread.lane = i % kWarpSize;
        thread.state = ThreadState::kReady;
    }
    for (size_t w = 0; w < launch.warps.size(); ++w) {
        const uint32_t lanes = std::min<uint32_t>(kWarpSize, launch.thread_count - w * kWarpSize);
        launch.warps[w] = {lanes == kWarpSize ? ~0u : (1u << lanes) - 1u, 0};
    }
    const ModuleRanges& ranges = *request.ranges;
    memset(reinterpret_cast<void*>(ranges.shared_begin), kPoison, ranges.shared_end - ranges.shared_begin);
    memset(emulator_dynamic_shared, kPoison, request.dynamic_shared_bytes);
    memory_begin_block();
}

// Runs the ready lanes of one warp until none is left; true if any thread ran.
bool run_warp(uint32_t warp, const std::vector<uint32_t>& lane_order) {
    bool ran_any = false;
    for (bool ran = true; ran;) {
        ran = false;
        for (uint32_t lane : lane_order) {
            const uint32_t i = warp * kWarpSize + lane;
            if (i >= launch.thread_count) continue;
            Thread& thread = launch.threads[i];
            if (thread.state != ThreadState::kReady) continue;
            resume(thread);
            if (launch.aborted) return true;
            ran = ran_any = true;
        }
    }
    return ran_any;
}

void run_block(uint32_t linear) {
    const LaunchRequest& request = *launch.request;
    start_block(linear);
    const auto warp_order = make_order(launch.warps.size(), request.order, request.seed + 7 * linear + 1);
    const auto lane_order = make_order(kWarpSize, request.order, request.seed + 7 * linear + 2);
    while (launch.finished < launch.thread_count && !launch.aborted) {
        bool progress = false;
        for (uint32_t warp : warp_order) {
            progress |= run_warp(warp, lane_order);
            if (launch.aborted) break;
        }
        if (!progress) report_deadlock();
    }
    if (!launch.aborted) return;
    for (Thread& thread : launch.threads) {
        if (thread.fiber == nullptr) continue;
        thread.fiber->reset();
        free_fibers.push_back(thread.fiber);
        thread.fiber = nullptr;
    }
}

// Hands every lane of a complete group its result and lets it run again.
void complete_warp_operation(Thread& last, uint32_t group) {
    Warp& warp = launch.warps[last.warp];
    Thread* lanes = &launch.threads[last.warp * kWarpSize];
    WarpValues values;
    memset(values.value, kPoison, sizeof values.value);
    values.present = group;
    for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
        if (group >> lane & 1) values.value[lane] = lanes[lane].value;
    }
    // Only __syncwarp orders memory accesses; shuffles and votes exchange registers and no more.
    if (last.warp_op == kWarpSync) ++warp.sequence;
    for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
        if (!(group >> lane & 1)) continue;
        Thread& thread = lanes[lane];
        if (last.warp_op == kWarpSync) thread.warp_sequence = warp.sequence;
        if (last.warp_op == kWarpShuffle) thread.value = values.value[thread.source_lane];
        if (last.warp_op == kWarpGather) *thread.gathered = values;
        thread.state = ThreadState::kReady;
    }
}

void meet_warp(int op, uint32_t mask, int line, const void* code_address) {
    memory_end_thread_step();
    Thread& self = *launch.current;
    if (!(mask >> self.lane & 1)) {
        fail(code_address, "%s (line %d): lane %u calls with mask 0x%08x, which lacks its own bit",
             op_name(op), line, self.lane, mask);
    }
    self.warp_op = op;
    self.mask = mask;
    self.line = line;
    const uint32_t group = mask & launch.warps[self.warp].existing;
    const Thread* lanes = &launch.threads[self.warp * kWarpSize];
    bool complete = true;
    for (uint32_t lane = 0; lane < kWarpSize && complete; ++lane) {
        if (!(group >> lane & 1) || lane == self.lane) continue;
        const Thread& other = lanes[lane];
        complete = other.state == ThreadState::kAtWarp && other.mask == mask;
        if (complete && (other.warp_op != op || other.line != line)) {
            fail(code_address,
                 "warp divergence: lane %u is at %s (line %d), lane %u at %s (line %d), both with "
                 "mask 0x%08x",
                 self.lane, op_name(op), line, lane, op_name(other.warp_op), other.line, mask);
        }
    }
    self.state = ThreadState::kAtWarp;
    if (complete) {
        complete_warp_operation(self, group);
    } else {
        leave_to_scheduler();
    }
}

}    // namespace

void report_fault(const Thread& thread, const void* code_address, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vreport(thread, code_address, format, arguments);
    va_end(arguments);
}

void fail(const void* code_address, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vreport(*launch.current, code_address, format, arguments);
    va_end(arguments);
    Context::swap(launch.current->fiber->context, scheduler_context);
    __builtin_unreachable();    // the scheduler drops the fiber
}

}    // namespace emulator

using namespace emulator;

extern "C" {

uint3 emulator_thread_index() { return launch.current->index; }
uint3 emulator_block_index() { return launch.block_index; }
uint3 emulator_block_shape() {
    const uint32_t* block = launch.request->block;
    return {block[0], block[1], block[2]};
}
uint3 emulator_grid_shape() {
    const uint32_t* grid = launch.request->grid;
    return {grid[0], grid[1], grid[2]};
}
unsigned emulator_lane() { return launch.current->lane; }

uint64_t emulator_clock() {
    static uint64_t ticks = 0;    // a kernel may only rely on the clock not running backwards
    return ticks += 16;
}

int emulator_barrier(int op, int predicate, int line) {
    memory_end_thread_step();
    Thread& self = *launch.current;
    if (launch.at_barrier == 0) launch.first_at_barrier = &self;
    const Thread& first = *launch.first_at_barrier;
    if (&first != &self && first.line != line) {
        fail(__builtin_return_address(0),
             "barrier divergence: the thread is at the barrier of line %d while thread "
             "(%u, %u, %u) waits at the barrier of line %d",
             line, first.index.x, first.index.y, first.index.z, first.line);
    }
    self.line = line;
    self.predicate = predicate != 0;
    self.state = ThreadState::kAtBarrier;
    if (++launch.at_barrier < launch.thread_count) {
        leave_to_scheduler();
    } else {
        uint32_t count = 0;
        for (Thread& thread : launch.threads) {
            count += thread.predicate;
            thread.state = ThreadState::kReady;
        }
        launch.at_barrier = 0;
        ++launch.epoch;
        launch.barrier_result = static_cast<int>(count);
    }
    const int count = launch.barrier_result;
    if (op == kBarrierAnd) return count == static_cast<int>(launch.thread_count);
    if (op == kBarrierOr) return count != 0;
    return count;
}

uint64_t emulator_warp_shuffle(unsigned mask, uint64_t value, unsigned source_lane, int line) {
    launch.current->value = value;
    launch.current->source_lane = source_lane;
    meet_warp(kWarpShuffle, mask, line, __builtin_return_address(0));
    return launch.current->value;
}

void emulator_warp_gather(unsigned mask, uint64_t value, int line, WarpValues* out) {
    launch.current->value = value;
    launch.current->gathered = out;
    meet_warp(kWarpGather, mask, line, __builtin_return_address(0));
}

void emulator_warp_sync(unsigned mask, int line) {
    meet_warp(kWarpSync, mask, line, __builtin_return_address(0));
}

void emulator_fault(const char* message) { fail(__builtin_return_address(0), "%s", message); }

void emulator_assertion_failed(const char* expression, const char* file, int line) {
    fail(__builtin_return_address(0), "device assertion failed: %s (%s:%d)", expression, file, line);
}

int emulator_launch(const LaunchRequest* request, LaunchReport* report) {
    memset(report, 0, sizeof *report);
    launch.request = request;
    launch.report = report;
    launch.aborted = false;
    launch.thread_count = request->block[0] * request->block[1] * request->block[2];
    launch.threads.resize(launch.thread_count);
    launch.warps.resize((launch.thread_count + kWarpSize - 1) / kWarpSize);
    memory_begin_launch();
    const uint32_t blocks = request->grid[0] * request->grid[1] * request->grid[2];
    for (uint32_t block : make_order(blocks, request->order, request->seed)) {
        run_block(block);
        if (launch.aborted) break;
    }
    return report->failed;
}
}
