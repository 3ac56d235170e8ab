// Dequantisation rate per SM: values per clock out of registers, every code checked first.
//
// The loop makes a fresh word (one add), unpacks it and folds the results with XOR (half an instruction per result
// register). The method "fold only" is the loop without a converter: where both are bound by the same pipe, the bare
// converter costs 1 / rate - 1 / rate(fold only) clocks per value.
#include <cmath>

#include "unpack_codes.cuh"

constexpr int THREADS = 1024, ITERATIONS = 4096, CHAINS = 4;

// Two results at a time into the accumulator, one instruction that the compiler neither drops nor merges.
__device__ inline void fold(uint32_t& acc, uint32_t a, uint32_t b) {
    asm volatile("lop3.b32 %0, %0, %1, %2, 0x96;" : "+r"(acc) : "r"(a), "r"(b));
}

template <int N>
struct FoldOnly {
    static constexpr int VALUES = N;
    static constexpr const char *format = N == 8 ? "int4" : "8-bit", *method = "fold only";
    __device__ static void unpack(uint32_t w, uint32_t* out) {
        for (int k = 0; k < N / 2; ++k) out[k] = w;
    }
    static float expected(uint32_t, int) { return 0.0f; }
};

template <class Codec>
__global__ void unpack_words(const uint32_t* words, uint32_t n, uint32_t* halves) {
    const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    uint32_t out[Codec::VALUES / 2];
    Codec::unpack(words[i], out);
    for (int k = 0; k < Codec::VALUES / 2; ++k) halves[i * (Codec::VALUES / 2) + k] = out[k];
}

template <class Codec>
__global__ void __launch_bounds__(THREADS, 1) unpack_rate(uint32_t seed, uint32_t* sink, long long* cycles) {
    uint32_t word[CHAINS], acc[CHAINS];
#pragma unroll
    for (int c = 0; c < CHAINS; ++c) {
        word[c] = seed * (threadIdx.x + 1) + 0x1234567u * c;
        acc[c] = 0;
    }
    __syncthreads();
    const long long c0 = clock64();
    for (int i = 0; i < ITERATIONS; ++i) {
#pragma unroll
        for (int c = 0; c < CHAINS; ++c) {
            uint32_t out[Codec::VALUES / 2];
            Codec::unpack(word[c], out);
#pragma unroll
            for (int k = 0; k < Codec::VALUES / 2; k += 2) fold(acc[c], out[k], out[k + 1]);
            word[c] += seed;
        }
    }
    __syncthreads();
    const long long c1 = clock64();
    uint32_t all = 0;
    for (int c = 0; c < CHAINS; ++c) all ^= acc[c];
    sink[blockIdx.x * THREADS + threadIdx.x] = all;
    if (threadIdx.x == 0) cycles[blockIdx.x] = c1 - c0;
}

// Words that hold every byte value in every position.
std::vector<uint32_t> all_codes() {
    std::vector<uint32_t> words;
    for (uint32_t b = 0; b < 256; ++b) words.push_back(b | ((b + 64) & 255) << 8 | ((b + 128) & 255) << 16 | ((b + 192) & 255) << 24);
    return words;
}

template <class Codec>
bool values_are_right() {
    const std::vector<uint32_t> words = all_codes();
    const auto n = static_cast<uint32_t>(words.size());
    DeviceArray<uint32_t> in(n), out(n * (Codec::VALUES / 2));
    in.upload(words);
    unpack_words<Codec><<<(n + 127) / 128, 128>>>(in.get(), n, out.get());
    CUDA_OK(cudaDeviceSynchronize());
    const std::vector<uint32_t> halves = out.download();
    const bool e4m3 = std::string(Codec::format) == "fp8_e4m3", e5m2 = std::string(Codec::format) == "fp8_e5m2";
    for (uint32_t w = 0; w < n; ++w)
        for (int i = 0; i < Codec::VALUES; ++i) {
            const float expected = Codec::expected(words[w], i);
            if ((e4m3 && std::fabs(expected) > 448.0f) || (e5m2 && std::fabs(expected) > 57344.0f)) continue;
            __half_raw raw;
            raw.x = static_cast<unsigned short>(halves[(w * Codec::VALUES + i) / 2] >> (16 * (i % 2)));
            if (!(__half2float(__half(raw)) == expected)) return false;
        }
    return true;
}

template <class Codec>
void measure(const Gpu& gpu) {
    const bool ok = std::string(Codec::method) == "fold only" || values_are_right<Codec>();
    DeviceArray<uint32_t> sink(gpu.sms * THREADS);
    DeviceArray<long long> cycles(gpu.sms);
    const RowClock clock = measure_sm_clock();
    std::vector<double> rate;
    for (int r = 0; r < 8; ++r) {
        unpack_rate<Codec><<<gpu.sms, THREADS>>>(0x9e3779b1u + 2 * r, sink.get(), cycles.get());
        CUDA_OK(cudaGetLastError());
        CUDA_OK(cudaDeviceSynchronize());
        const double values = static_cast<double>(THREADS) * ITERATIONS * CHAINS * Codec::VALUES;
        if (r > 0) rate.push_back(values / median_cycles(cycles));
    }
    Row("unpack_rate")
        .text("kv_dtype", Codec::format)
        .text("method", Codec::method)
        .count("ctas_per_sm", 1)
        .count("threads", THREADS)
        .emit(rate, "values/clk/SM", ok, clock);
}

int main() {
    const Gpu gpu = open_gpu();
    measure<FoldOnly<8>>(gpu);
    measure<FoldOnly<4>>(gpu);
    measure<Int4BitTricks>(gpu);
    measure<Int4Convert>(gpu);
    measure<Int8BitTricks>(gpu);
    measure<Int8Convert>(gpu);
    measure<E4m3Convert>(gpu);
    measure<E4m3BitTricks>(gpu);
    measure<E5m2BitTricks>(gpu);
    return 0;
}
