// Atomic operations. Fibers are never switched inside one, so a plain update is atomic.
#pragma once

namespace emulator {

template <class T, class Update>
EMULATOR_UNCHECKED __attribute__((noipa)) T atomic_update(T* address, Update update) {
    emulator_atomic_access(address, sizeof(T));
    const T old = *address;
    *address = update(old);
    return old;
}

// The value's type is never deduced: atomicAdd(float*, int) converts, as CUDA's overloads do.
template <class T>
using Value = std::type_identity_t<T>;

template <class T, class... Allowed>
inline constexpr bool is_one_of = (std::is_same_v<T, Allowed> || ...);

// The types that CUDA has each operation for; anything else must not compile here either.
using ull = unsigned long long;
template <class T>
inline constexpr bool is_word = is_one_of<T, int, unsigned, ull>;
template <class T>
inline constexpr bool is_comparable = is_word<T> || is_one_of<T, long long>;
template <class T>
inline constexpr bool is_addable = is_word<T> || !std::is_integral_v<T>;

}    // namespace emulator

#define EMULATOR_ATOMIC(name, condition, expression)                                               \
    template <class T>                                                                             \
    inline T name(T* address, emulator::Value<T> value) {                                          \
        static_assert(condition, #name " does not exist for this type");                           \
        return emulator::atomic_update(address, [=](T old) -> T { return T(expression); });        \
    }                                                                                              \
    template <class T>                                                                             \
    inline T name##_block(T* address, emulator::Value<T> value) { return name(address, value); }   \
    template <class T>                                                                             \
    inline T name##_system(T* address, emulator::Value<T> value) { return name(address, value); }

EMULATOR_ATOMIC(atomicAdd, emulator::is_addable<T>, old + value)
EMULATOR_ATOMIC(atomicSub, (emulator::is_one_of<T, int, unsigned>), old - value)
EMULATOR_ATOMIC(atomicExch, emulator::is_word<T> || (emulator::is_one_of<T, float>), value)
EMULATOR_ATOMIC(atomicMin, emulator::is_comparable<T>, old < value ? old : value)
EMULATOR_ATOMIC(atomicMax, emulator::is_comparable<T>, old > value ? old : value)
EMULATOR_ATOMIC(atomicAnd, emulator::is_word<T>, old & value)
EMULATOR_ATOMIC(atomicOr, emulator::is_word<T>, old | value)
EMULATOR_ATOMIC(atomicXor, emulator::is_word<T>, old ^ value)
EMULATOR_ATOMIC(atomicInc, (emulator::is_one_of<T, unsigned>), old >= value ? 0 : old + 1)
EMULATOR_ATOMIC(atomicDec, (emulator::is_one_of<T, unsigned>), old == 0 || old > value ? value : old - 1)
#undef EMULATOR_ATOMIC

template <class T>
inline T atomicCAS(T* address, emulator::Value<T> compare, emulator::Value<T> value) {
    static_assert(emulator::is_word<T> || emulator::is_one_of<T, unsigned short>,
                  "atomicCAS does not exist for this type");
    return emulator::atomic_update(address, [=](T old) -> T { return old == compare ? value : old; });
}
