// Tables of a module's kernels, and the unpacking of their arguments.
#pragma once

#include "emulator_abi.h"

namespace emulator {

// r pointer to const, p other pointer, i integer, f floating point, s struct.
template <class T>
constexpr char parameter_kind() {
    if (std::is_pointer_v<T>) return std::is_const_v<std::remove_pointer_t<T>> ? 'r' : 'p';
    if (std::is_integral_v<T> || std::is_enum_v<T>) return 'i';
    if (std::is_floating_point_v<T>) return 'f';
    return 's';
}

template <auto kernel, class Signature = decltype(kernel)>
struct Marshal;

template <auto kernel, class... P>
struct Marshal<kernel, void (*)(P...)> {
    static constexpr int kCount = sizeof...(P);
    static constexpr char kKinds[] = {parameter_kind<std::remove_cv_t<P>>()..., '\0'};
    static constexpr uint32_t kSizes[] = {uint32_t{sizeof(P)}..., 0};

    EMULATOR_UNCHECKED static void invoke(void** args) { unpack(args, std::index_sequence_for<P...>{}); }

    template <size_t... I>
    EMULATOR_UNCHECKED static void unpack(void** args, std::index_sequence<I...>) {
        kernel(*static_cast<std::remove_cv_t<P>*>(args[I])...);
    }
};

template <auto kernel>
constexpr KernelEntry entry(const char* name) {
    using M = Marshal<kernel>;
    return {name, M::invoke, M::kCount, M::kKinds, M::kSizes};
}

}    // namespace emulator

// The linker's marks of this shared object; hidden, or those of the main program would be taken.
extern "C" __attribute__((visibility("hidden"))) char __ehdr_start, __bss_start, _end;

#define EMULATOR_MODULE(...)                                                                      \
    extern "C" __attribute__((visibility("default"))) const emulator::KernelEntry                 \
        emulator_kernels[] = {__VA_ARGS__ {nullptr, nullptr, 0, nullptr, nullptr}};               \
    extern "C" __attribute__((visibility("default"))) void emulator_ranges(                       \
        emulator::ModuleRanges* out) {                                                            \
        *out = {reinterpret_cast<uintptr_t>(&__ehdr_start), reinterpret_cast<uintptr_t>(&_end),   \
                reinterpret_cast<uintptr_t>(&__bss_start), reinterpret_cast<uintptr_t>(&_end)};   \
    }
