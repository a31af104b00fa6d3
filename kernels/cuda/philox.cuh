// Philox4x64-10, the stream that kernels/cpu/random.py describes.
// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once

typedef unsigned long long Word;

constexpr int WORDS = 4;  // in one Philox block, the result of one counter

struct Stream {
    Word key, offset;
};

// A stream and where it starts. While a CUDA graph replays, both are read from device memory, where that is given: they
// change between replays.
struct Position {
    Word seed, offset;
    const Word* seed_in_memory;
    const Word* offset_in_memory;
};

__device__ __forceinline__ Stream stream_of(const Position& p) {
    return {p.seed_in_memory ? *p.seed_in_memory : p.seed, p.offset_in_memory ? *p.offset_in_memory : p.offset};
}

// The four words of block `index`: Philox of the 256-bit counter offset + index + 1, its second word raised by `row`,
// under the key (seed, 0).
__device__ __forceinline__ void philox(Stream stream, Word index, Word* words, Word row = 0) {
    const Word step = index + 1;
    Word c0 = stream.offset + step, c1 = (c0 < step ? 1 : 0) + row, c2 = 0, c3 = 0;
    Word k0 = stream.key, k1 = 0;
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        const Word high0 = __umul64hi(0xD2E7470EE14C6C93ULL, c0), low0 = 0xD2E7470EE14C6C93ULL * c0;
        const Word high1 = __umul64hi(0xCA5A826395121157ULL, c2), low1 = 0xCA5A826395121157ULL * c2;
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += 0x9E3779B97F4A7C15ULL;
        k1 += 0xBB67AE8584CAA73BULL;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
}
