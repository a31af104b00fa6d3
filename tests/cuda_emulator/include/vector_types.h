// The built-in vector types (float2, int4, ...), their alignments and their make_ functions.
#pragma once

#include "emulator_abi.h"

#define __align__(n) __attribute__((aligned(n)))
#define __builtin_align__(n) __align__(n)

#define EMULATOR_VECTORS(T, name, align1, align2, align4)                                      \
    struct __align__(align1) name##1 { T x; };                                                 \
    struct __align__(align2) name##2 { T x, y; };                                              \
    struct __align__(align4) name##4 { T x, y, z, w; };                                        \
    inline name##1 make_##name##1(T x) { return {x}; }                                         \
    inline name##2 make_##name##2(T x, T y) { return {x, y}; }                                 \
    inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }

#define EMULATOR_VECTOR3(T, name)                                                              \
    struct name##3 { T x, y, z; };                                                             \
    inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }

EMULATOR_VECTORS(signed char, char, 1, 2, 4)
EMULATOR_VECTORS(unsigned char, uchar, 1, 2, 4)
EMULATOR_VECTORS(short, short, 2, 4, 8)
EMULATOR_VECTORS(unsigned short, ushort, 2, 4, 8)
EMULATOR_VECTORS(int, int, 4, 8, 16)
EMULATOR_VECTORS(unsigned int, uint, 4, 8, 16)
EMULATOR_VECTORS(long long, longlong, 8, 16, 16)
EMULATOR_VECTORS(unsigned long long, ulonglong, 8, 16, 16)
EMULATOR_VECTORS(float, float, 4, 8, 16)
EMULATOR_VECTORS(double, double, 8, 16, 16)
EMULATOR_VECTOR3(signed char, char)
EMULATOR_VECTOR3(unsigned char, uchar)
EMULATOR_VECTOR3(short, short)
EMULATOR_VECTOR3(unsigned short, ushort)
EMULATOR_VECTOR3(int, int)
EMULATOR_VECTOR3(long long, longlong)
EMULATOR_VECTOR3(unsigned long long, ulonglong)
EMULATOR_VECTOR3(float, float)
EMULATOR_VECTOR3(double, double)
inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }

#undef EMULATOR_VECTORS
#undef EMULATOR_VECTOR3

struct dim3 {
    unsigned int x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
    constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
    constexpr operator uint3() const { return {x, y, z}; }
};
