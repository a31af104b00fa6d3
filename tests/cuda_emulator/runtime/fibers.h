// Fibers: the threads of a block, each with a stack of its own, switched in user space.
//
// A switch saves only what the calling convention asks the callee to keep, about ten instructions;
// `swapcontext` is the fallback elsewhere and costs a system call per switch.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <new>

#if !defined(__x86_64__) && !defined(__aarch64__)
#include <ucontext.h>
#endif

namespace emulator {

#if defined(__x86_64__)

extern "C" void emulator_switch_stack(void** save, void* load) __attribute__((visibility("hidden")));

class Context {
public:
    static void swap(Context& from, Context& to) { emulator_switch_stack(&from.stack_, to.stack_); }

    void prepare(char* stack, size_t size, void (*entry)()) {
        auto top = reinterpret_cast<uintptr_t>(stack + size) & ~uintptr_t{15};
        auto* slot = reinterpret_cast<uintptr_t*>(top);
        *--slot = 0;    // keeps the stack aligned as after a call, and ends backtraces
        *--slot = reinterpret_cast<uintptr_t>(entry);
        slot -= 6;    // the callee-saved registers, whose first values do not matter
        for (int i = 0; i < 6; ++i) slot[i] = 0;
        stack_ = slot;
    }

private:
    void* stack_ = nullptr;
};

#elif defined(__aarch64__)

extern "C" void emulator_switch_stack(void** save, void* load) __attribute__((visibility("hidden")));

class Context {
public:
    static void swap(Context& from, Context& to) { emulator_switch_stack(&from.stack_, to.stack_); }

    void prepare(char* stack, size_t size, void (*entry)()) {
        auto top = reinterpret_cast<uintptr_t>(stack + size) & ~uintptr_t{15};
        auto* slot = reinterpret_cast<uintptr_t*>(top - 160);
        for (int i = 0; i < 20; ++i) slot[i] = 0;
        slot[11] = reinterpret_cast<uintptr_t>(entry);    // x30, the return address
        stack_ = slot;
    }

private:
    void* stack_ = nullptr;
};

#else

class Context {
public:
    static void swap(Context& from, Context& to) { swapcontext(&from.context_, &to.context_); }

    void prepare(char* stack, size_t size, void (*entry)()) {
        getcontext(&context_);
        context_.uc_stack.ss_sp = stack;
        context_.uc_stack.ss_size = size;
        context_.uc_link = nullptr;
        makecontext(&context_, entry, 0);
    }

private:
    ucontext_t context_{};
};

#endif

// A stack and a place in it. The entry function must never return.
class Fiber {
public:
    static constexpr size_t kStackSize = 256 * 1024;

    explicit Fiber(void (*entry)()) : entry_(entry) {
        constexpr size_t kGuard = 4096;    // a page that faults when a thread overflows its stack
        void* memory = mmap(nullptr, kStackSize + kGuard, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc();
        mprotect(memory, kGuard, PROT_NONE);
        stack_ = static_cast<char*>(memory) + kGuard;
        reset();
    }
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    // Forgets where the fiber was; the next switch starts at the entry function again.
    void reset() { context.prepare(stack_, kStackSize, entry_); }

    uintptr_t stack_begin() const { return reinterpret_cast<uintptr_t>(stack_); }
    uintptr_t stack_end() const { return stack_begin() + kStackSize; }

    Context context;

private:
    void (*entry_)();
    char* stack_ = nullptr;
};

}    // namespace emulator
