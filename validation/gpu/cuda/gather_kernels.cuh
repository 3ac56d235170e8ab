// Three ways to gather runs of bytes that a table of slots points to: plain loads into registers, cp.async and bulk
// copies (TMA) into shared memory. All sum the words they fetched, for the check against the closed form.
//
// A run is 2^log_vec vectors of 16 bytes; run r lies at slot slots[r] of the pool. `vectors` counts all runs together.
#pragma once

#include "pattern.cuh"

struct Runs {
    const uint4* pool;
    const uint32_t* slots;
    uint32_t log_vec;
    uint64_t vectors;
};

__device__ inline const uint4* vector_of(const Runs& runs, uint64_t i) {
    const uint64_t slot = __ldg(runs.slots + (i >> runs.log_vec));
    return runs.pool + (slot << runs.log_vec) + (i & ((1u << runs.log_vec) - 1));
}

// UNROLL vectors of 16 bytes in flight per thread; the next ones start when these have arrived.
template <int UNROLL>
__global__ void __launch_bounds__(1024) gather_plain(Runs runs, uint32_t* total) {
    const uint64_t threads = static_cast<uint64_t>(gridDim.x) * blockDim.x;
    uint32_t acc = 0;
    for (uint64_t i = blockIdx.x * static_cast<uint64_t>(blockDim.x) + threadIdx.x; i < runs.vectors;
         i += UNROLL * threads) {
        const uint4* from[UNROLL];
        uint4 v[UNROLL];
#pragma unroll
        for (int u = 0; u < UNROLL; ++u)
            from[u] = i + u * threads < runs.vectors ? vector_of(runs, i + u * threads) : nullptr;
#pragma unroll
        for (int u = 0; u < UNROLL; ++u) v[u] = from[u] != nullptr ? load_l2(from[u]) : make_uint4(0, 0, 0, 0);
#pragma unroll
        for (int u = 0; u < UNROLL; ++u) acc += add_words(v[u]);
    }
    add_to_total(acc, total);
}

constexpr int ASYNC_VECTORS = 4;  // vectors of 16 bytes that a thread copies per stage

__device__ inline void copy_async(uint4* shared, const uint4* global) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(
                     static_cast<uint32_t>(__cvta_generic_to_shared(shared))),
                 "l"(global)
                 : "memory");
}

// Each thread reads back only what it copied itself, so waiting for its own groups is enough.
template <int STAGES>
__global__ void __launch_bounds__(256) gather_async(Runs runs, uint32_t* total) {
    extern __shared__ uint4 staged[];
    const uint64_t tile_vectors = static_cast<uint64_t>(blockDim.x) * ASYNC_VECTORS;
    const uint64_t tiles = runs.vectors / tile_vectors;
    const auto place = [&](uint32_t stage, int v) { return (stage * ASYNC_VECTORS + v) * blockDim.x + threadIdx.x; };
    const auto fetch = [&](uint64_t tile, uint32_t stage) {
        if (tile < tiles)
            for (int v = 0; v < ASYNC_VECTORS; ++v)
                copy_async(staged + place(stage, v), vector_of(runs, tile * tile_vectors + v * blockDim.x + threadIdx.x));
        asm volatile("cp.async.commit_group;" ::: "memory");
    };
    uint32_t acc = 0;
    for (int s = 0; s < STAGES; ++s) fetch(blockIdx.x + static_cast<uint64_t>(s) * gridDim.x, s);
    uint32_t stage = 0;
    for (uint64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 1) : "memory");
        for (int v = 0; v < ASYNC_VECTORS; ++v) acc += add_words(staged[place(stage, v)]);
        fetch(tile + static_cast<uint64_t>(STAGES) * gridDim.x, stage);
        stage = stage + 1 == STAGES ? 0 : stage + 1;
    }
    asm volatile("cp.async.wait_all;" ::: "memory");
    add_to_total(acc, total);
}

constexpr int BULK_STAGES = 8, BULK_CONSUMER_WARPS = 8, BULK_THREADS = 32 * (BULK_CONSUMER_WARPS + 1);

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
__device__ inline uint32_t shared_address(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

__device__ inline void barrier_init(uint64_t* barrier, uint32_t arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}

__device__ inline void barrier_arrive(uint64_t* barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

__device__ inline void barrier_expect(uint64_t* barrier, uint32_t bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
                 : "memory");
}

// Gives up (and fails the launch) after some seconds, so that a mistake here cannot hang the card.
__device__ inline void barrier_wait(uint64_t* barrier, uint32_t parity) {
    for (uint32_t tries = 0; tries < (1u << 22); ++tries) {
        uint32_t done;
        asm volatile(
            "{\n .reg .pred p;\n mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n selp.u32 %0, 1, 0, p;\n}"
            : "=r"(done)
            : "r"(shared_address(barrier)), "r"(parity)
            : "memory");
        if (done) return;
    }
    __trap();
}

__device__ inline void copy_bulk(void* shared, const void* global, uint32_t bytes, uint64_t* barrier) {
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
            shared_address(shared)),
        "l"(global), "r"(bytes), "r"(shared_address(barrier))
        : "memory");
}
#endif

// Warp 0 issues the copies of a tile, its lanes one run (or one tile of a longer run) each; eight warps consume.
__global__ void __launch_bounds__(BULK_THREADS) gather_bulk(Runs runs, uint32_t tile_bytes, uint32_t stages, uint32_t* total) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
    extern __shared__ __align__(128) unsigned char stage_memory[];
    __shared__ __align__(8) uint64_t full[BULK_STAGES], empty[BULK_STAGES];
    if (threadIdx.x == 0) {
        for (uint32_t s = 0; s < stages; ++s) {
            barrier_init(full + s, 1);
            barrier_init(empty + s, BULK_CONSUMER_WARPS);
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
        asm volatile("fence.proxy.async;" ::: "memory");
    }
    __syncthreads();
    const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, tile_vectors = tile_bytes / 16;
    const uint64_t tiles = runs.vectors / tile_vectors;
    uint32_t acc = 0, stage = 0, round = 0;
    for (uint64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        unsigned char* const buffer = stage_memory + static_cast<size_t>(stage) * tile_bytes;
        if (warp == 0) {
            const uint32_t copy_vectors = min(1u << runs.log_vec, tile_vectors);
            if (round > 0) barrier_wait(empty + stage, (round - 1) & 1);
            if (lane == 0) barrier_expect(full + stage, tile_bytes);
            __syncwarp();
            for (uint32_t v = lane * copy_vectors; v < tile_vectors; v += 32 * copy_vectors)
                copy_bulk(buffer + 16 * v, vector_of(runs, tile * tile_vectors + v), 16 * copy_vectors, full + stage);
        } else {
            barrier_wait(full + stage, round & 1);
            const uint4* const data = reinterpret_cast<const uint4*>(buffer);
            for (uint32_t v = threadIdx.x - 32; v < tile_vectors; v += 32 * BULK_CONSUMER_WARPS) acc += add_words(data[v]);
            __syncwarp();
            if (lane == 0) barrier_arrive(empty + stage);
        }
        if (++stage == stages) {
            stage = 0;
            ++round;
        }
    }
    add_to_total(acc, total);
#endif
}

// Slots in an order without visible stride: a bijection on `bits` bits (multiply by odd numbers, fold the high half).
__host__ __device__ inline uint32_t shuffled_slot(uint32_t i, uint32_t bits) {
    const uint32_t mask = bits == 32 ? 0xffffffffu : (1u << bits) - 1, fold = (bits + 1) / 2;
    uint32_t x = i & mask;
    for (int k = 0; k < 3; ++k) {
        x = (x * 0x9e3779b1u + 0x7f4a7c15u) & mask;
        x ^= x >> fold;
    }
    return x;
}

static __global__ void fill_slots(uint32_t* slots, uint64_t runs, uint32_t bits, bool shuffled) {
    for (uint64_t r = blockIdx.x * static_cast<uint64_t>(blockDim.x) + threadIdx.x; r < runs;
         r += static_cast<uint64_t>(gridDim.x) * blockDim.x)
        slots[r] = shuffled ? shuffled_slot(static_cast<uint32_t>(r), bits) : static_cast<uint32_t>(r & ((1ull << bits) - 1));
}

// Sum of the words of `runs` runs: whole rounds of the bijection touch every slot once; the rest is added up.
inline uint32_t gathered_sum(uint64_t runs, uint32_t log_vec, uint32_t bits, bool shuffled) {
    const uint64_t words = 4ull << log_vec, slots = 1ull << bits;
    uint32_t sum = static_cast<uint32_t>(runs / slots) * pattern_sum(0, words * slots);
    for (uint64_t r = 0; r < runs % slots; ++r)
        sum += pattern_sum(words * (shuffled ? shuffled_slot(static_cast<uint32_t>(r), bits) : r), words);
    return sum;
}
