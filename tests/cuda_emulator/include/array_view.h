// Arrays as the generated elementwise and reduction kernels see them.
#pragma once

#include "cuda_bf16.h"
#include "cuda_fp16.h"

using float16 = __half;
using bfloat16 = __nv_bfloat16;
typedef signed char int8;
typedef unsigned char uint8;
typedef short int16;
typedef unsigned short uint16;
typedef int int32;
typedef unsigned int uint32;
typedef long long int64;
typedef unsigned long long uint64;
typedef float float32;
typedef double float64;

namespace emulator {

constexpr int kMaxDimensions = 12;

// The layout is written by elementwise.py; the kernel takes it by value.
template <class T>
struct Array {
    T* data;
    long long dimensions, count;
    long long extents[kMaxDimensions], steps[kMaxDimensions];

    EMULATOR_UNCHECKED long long size() const { return count; }
    EMULATOR_UNCHECKED const long long* shape() const { return extents; }
    EMULATOR_UNCHECKED const long long* strides() const { return steps; }

    // The element at a position in C order.
    T& operator[](long long i) const { return *at(i); }
    // The element at a tuple of indices.
    T& operator[](const long long* index) const { return *at(index); }

private:
    EMULATOR_UNCHECKED T* at(long long i) const {
        long long offset = 0;
        for (int d = int(dimensions) - 1; d > 0; --d) {
            offset += i % extents[d] * steps[d];
            i /= extents[d];
        }
        // What is left stays unreduced, so that an index beyond the end is out of bounds.
        if (dimensions > 0) offset += i * steps[0];
        return reinterpret_cast<T*>(uintptr_t(data) + offset);
    }
    EMULATOR_UNCHECKED T* at(const long long* index) const {
        long long offset = 0;
        for (int d = 0; d < dimensions; ++d) offset += index[d] * steps[d];
        return reinterpret_cast<T*>(uintptr_t(data) + offset);
    }
};

// Where a loop is, as a tuple of indices.
struct Indexer : Array<const signed char> {
    long long indices[kMaxDimensions];

    EMULATOR_UNCHECKED explicit Indexer(const Array<const signed char>& loop)
        : Array<const signed char>(loop) {}

    EMULATOR_UNCHECKED void set(long long i) {
        for (int d = int(dimensions) - 1; d >= 0; --d) {
            indices[d] = i % extents[d];
            i /= extents[d];
        }
    }
    EMULATOR_UNCHECKED const long long* get() const { return indices; }
};

}    // namespace emulator
