// Data whose sum over any run of words has a closed form, so that every bandwidth kernel is checked exactly:
// word i holds i * SCALE + OFFSET (mod 2^32), never all zeros, and a wrong, missing or doubled read changes the sum.
#pragma once

#include "device.cuh"

constexpr uint32_t PATTERN_SCALE = 2654435761u, PATTERN_OFFSET = 12345u;

__host__ __device__ inline uint32_t pattern_word(uint64_t i) {
    return static_cast<uint32_t>(i) * PATTERN_SCALE + PATTERN_OFFSET;
}

__device__ inline uint4 pattern_vector(uint64_t v) {
    return make_uint4(pattern_word(4 * v), pattern_word(4 * v + 1), pattern_word(4 * v + 2), pattern_word(4 * v + 3));
}

// Sum of words [first, first + n), modulo 2^32.
inline uint32_t pattern_sum(uint64_t first, uint64_t n) {
    const uint64_t indices = n * first + (n % 2 ? n * ((n - 1) / 2) : (n / 2) * (n - 1));
    return static_cast<uint32_t>(indices) * PATTERN_SCALE + static_cast<uint32_t>(n) * PATTERN_OFFSET;
}

static __global__ void fill_pattern(uint4* data, uint64_t vectors) {
    for (uint64_t i = blockIdx.x * static_cast<uint64_t>(blockDim.x) + threadIdx.x; i < vectors;
         i += static_cast<uint64_t>(gridDim.x) * blockDim.x)
        data[i] = pattern_vector(i);
}

__device__ inline uint32_t add_words(uint4 v) { return v.x + v.y + v.z + v.w; }

// One atomic per warp; exact modulo 2^32 whatever the order.
__device__ inline void add_to_total(uint32_t mine, uint32_t* total) {
    for (int step = 16; step > 0; step /= 2) mine += __shfl_xor_sync(0xffffffffu, mine, step);
    if (threadIdx.x % 32 == 0) atomicAdd(total, mine);
}

// A load through L2 that skips L1 and that the compiler neither drops nor moves across another.
__device__ inline uint4 load_l2(const uint4* p) {
    uint4 v;
    asm volatile("ld.global.cg.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(p));
    return v;
}

// Runs `launch` once on a zeroed total and compares with the closed form.
template <class Launch>
bool total_is(DeviceArray<uint32_t>& total, uint32_t expected, Launch launch) {
    total.zero();
    launch();
    CUDA_OK(cudaGetLastError());
    CUDA_OK(cudaDeviceSynchronize());
    return total.download()[0] == expected;
}
