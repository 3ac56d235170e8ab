// Shared-memory bandwidth per SM: 16-byte loads, ldmatrix, 16-byte stores, and 4-byte loads by stride (bank conflicts).
#include "pattern.cuh"

constexpr int THREADS = 1024, PASSES = 512, VECTORS = 8192;  // 128 KiB: eight vectors a thread and pass
constexpr size_t SHARED = VECTORS * 16;

__device__ inline uint32_t shared_address(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

struct VectorLoad {
    static constexpr const char* name = "load 16 B";
    static constexpr int BYTES = 16;
    __device__ static uint32_t touch(uint32_t base, int k, uint32_t) {
        uint4 v;
        asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                     : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                     : "r"(base + 16 * (k * THREADS + threadIdx.x)));
        return add_words(v);
    }
};

// Lane l gives the row l of four 8 x 8 matrices of halves that lie one after the other.
struct MatrixLoad {
    static constexpr const char* name = "ldmatrix x4";
    static constexpr int BYTES = 16;
    __device__ static uint32_t touch(uint32_t base, int k, uint32_t) {
        uint4 v;
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                     : "r"(base + 16 * (k * THREADS + threadIdx.x)));
        return add_words(v);
    }
};

// Writes back the pattern that is there, so that the final sum checks every store.
struct VectorStore {
    static constexpr const char* name = "store 16 B";
    static constexpr int BYTES = 16;
    __device__ static uint32_t touch(uint32_t base, int k, uint32_t) {
        const uint4 v = pattern_vector(k * THREADS + threadIdx.x);
        asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(base + 16 * (k * THREADS + threadIdx.x)), "r"(v.x),
                     "r"(v.y), "r"(v.z), "r"(v.w)
                     : "memory");
        return add_words(v);
    }
};

__host__ __device__ inline uint32_t strided_word(uint32_t thread, uint32_t k, uint32_t stride) {
    return (thread * stride + k) % (VECTORS * 4);
}

struct StridedLoad {
    static constexpr const char* name = "load 4 B";
    static constexpr int BYTES = 4;
    __device__ static uint32_t touch(uint32_t base, int k, uint32_t stride) {
        uint32_t v;
        asm volatile("ld.shared.u32 %0, [%1];" : "=r"(v) : "r"(base + 4 * strided_word(threadIdx.x, k, stride)));
        return v;
    }
};

// `shift` is 0, which only the host knows: the compiler would otherwise merge the equal loads of two passes.
template <class Access>
__global__ void __launch_bounds__(THREADS, 1)
    shared_rate(uint32_t stride, bool clear, uint32_t shift, uint32_t* total, long long* cycles) {
    extern __shared__ __align__(16) uint4 memory[];
    for (int v = threadIdx.x; v < VECTORS; v += THREADS) memory[v] = clear ? make_uint4(0, 0, 0, 0) : pattern_vector(v);
    __syncthreads();
    uint32_t base = shared_address(memory), acc = 0;
    const long long c0 = clock64();
    for (int p = 0; p < PASSES; ++p, base += shift) {
#pragma unroll
        for (int k = 0; k < 8; ++k) acc += Access::touch(base, k, stride);
    }
    __syncthreads();
    const long long c1 = clock64();
    if (clear) {  // a store is judged by what the memory holds now
        acc = 0;
        for (int v = threadIdx.x; v < VECTORS; v += THREADS) acc += add_words(memory[v]);
    }
    add_to_total(acc, total);
    if (threadIdx.x == 0) cycles[blockIdx.x] = c1 - c0;
}

template <class Access>
void measure(const Gpu& gpu, uint32_t stride, bool stores, uint32_t expected_per_sm) {
    allow_shared(shared_rate<Access>, SHARED);
    DeviceArray<uint32_t> total(1);
    DeviceArray<long long> cycles(gpu.sms);
    const auto launch = [&] { shared_rate<Access><<<gpu.sms, THREADS, SHARED>>>(stride, stores, 0, total.get(), cycles.get()); };
    const bool ok = total_is(total, expected_per_sm * static_cast<uint32_t>(gpu.sms), launch);
    const RowClock clock = measure_sm_clock();
    std::vector<double> rate;
    for (int r = 0; r < 7; ++r) {
        launch();
        CUDA_OK(cudaDeviceSynchronize());
        rate.push_back(static_cast<double>(THREADS) * PASSES * 8 * Access::BYTES / median_cycles(cycles));
    }
    Row("shared_memory").text("method", Access::name).count("stride_bytes", stride * (Access::BYTES == 4 ? 4 : 1)).count("threads", THREADS).emit(rate, "B/clk/SM", ok, clock);
}

int main() {
    const Gpu gpu = open_gpu();
    if (gpu.shared_bytes_per_block < SHARED) {
        emit_skip("shared_memory", "needs 128 KiB of shared memory per block");
        return 0;
    }
    const uint32_t once = pattern_sum(0, VECTORS * 4);
    measure<VectorLoad>(gpu, 16, false, PASSES * once);
    measure<MatrixLoad>(gpu, 16, false, PASSES * once);
    measure<VectorStore>(gpu, 16, true, once);
    for (const uint32_t words : {1, 2, 4, 8, 16, 32, 33}) {
        uint32_t sum = 0;
        for (uint32_t t = 0; t < THREADS; ++t)
            for (uint32_t k = 0; k < 8; ++k) sum += pattern_word(strided_word(t, k, words));
        measure<StridedLoad>(gpu, words, false, PASSES * sum);
    }
    return 0;
}
