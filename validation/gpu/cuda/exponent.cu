// Rate of 2^x per SM (the softmax's unit), as single and as packed half, results compared with the host's first.
#include <cmath>

#include <cuda_fp16.h>

#include "device.cuh"

constexpr int THREADS = 1024, ITERATIONS = 2048, CHAINS = 4;

struct Single {
    static constexpr int VALUES = 1;
    static constexpr const char* name = "ex2.approx.ftz.f32";
    __device__ static uint32_t next(uint32_t x) {
        uint32_t y;
        asm volatile("ex2.approx.ftz.f32 %0, %1;" : "=r"(y) : "r"(x));
        return y;
    }
};

struct PackedHalf {
    static constexpr int VALUES = 2;
    static constexpr const char* name = "ex2.approx.f16x2";
    __device__ static uint32_t next(uint32_t x) {
        uint32_t y;
        asm volatile("ex2.approx.f16x2 %0, %1;" : "=r"(y) : "r"(x));
        return y;
    }
};

template <class Exp>
__global__ void apply(const uint32_t* in, uint32_t* out, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = Exp::next(in[i]);
}

template <class Exp>
__global__ void __launch_bounds__(THREADS, 1) exp_rate(uint32_t seed, uint32_t* sink, long long* cycles) {
    uint32_t x[CHAINS];
    for (int c = 0; c < CHAINS; ++c) x[c] = seed + threadIdx.x + c;
    __syncthreads();
    const long long c0 = clock64();
    for (int i = 0; i < ITERATIONS; ++i)
#pragma unroll
        for (int c = 0; c < CHAINS; ++c) x[c] = Exp::next(x[c]);
    __syncthreads();
    const long long c1 = clock64();
    sink[blockIdx.x * THREADS + threadIdx.x] = x[0] ^ x[1] ^ x[2] ^ x[3];
    if (threadIdx.x == 0) cycles[blockIdx.x] = c1 - c0;
}

uint32_t bits_of_float(float f) { return *reinterpret_cast<uint32_t*>(&f); }

float value(uint32_t bits, int part, bool packed) {
    if (!packed) return *reinterpret_cast<float*>(&bits);
    __half_raw raw;
    raw.x = static_cast<unsigned short>(bits >> (16 * part));
    return __half2float(__half(raw));
}

uint32_t encode(float x, bool packed) {
    if (!packed) return bits_of_float(x);
    const __half_raw low = __float2half(x), high = __float2half(-x);
    return low.x | static_cast<uint32_t>(high.x) << 16;
}

template <class Exp>
bool values_are_right() {
    constexpr bool packed = Exp::VALUES == 2;
    std::vector<uint32_t> in;
    for (int i = -640; i <= 640; ++i) in.push_back(encode(static_cast<float>(i) / 64.0f, packed));
    DeviceArray<uint32_t> from(in.size()), to(in.size());
    from.upload(in);
    to.zero();
    apply<Exp><<<8, 256>>>(from.get(), to.get(), static_cast<int>(in.size()));
    CUDA_OK(cudaDeviceSynchronize());
    const std::vector<uint32_t> out = to.download();
    const float tolerance = packed ? 2e-3f : 1e-6f;
    for (size_t i = 0; i < in.size(); ++i)
        for (int part = 0; part < Exp::VALUES; ++part) {
            const float expected = std::exp2(value(in[i], part, packed));
            if (!(std::fabs(value(out[i], part, packed) - expected) <= tolerance * expected)) return false;
        }
    return true;
}

template <class Exp>
void measure(const Gpu& gpu) {
    const bool ok = values_are_right<Exp>();
    DeviceArray<uint32_t> sink(gpu.sms * THREADS);
    DeviceArray<long long> cycles(gpu.sms);
    const RowClock clock = measure_sm_clock();
    std::vector<double> rate;
    for (int r = 0; r < 8; ++r) {
        exp_rate<Exp><<<gpu.sms, THREADS>>>(0xbc003c00u, sink.get(), cycles.get());
        CUDA_OK(cudaGetLastError());
        CUDA_OK(cudaDeviceSynchronize());
        const double values = static_cast<double>(THREADS) * ITERATIONS * CHAINS * Exp::VALUES;
        if (r > 0) rate.push_back(values / median_cycles(cycles));
    }
    Row("exp_rate").text("method", Exp::name).count("ctas_per_sm", 1).count("threads", THREADS).emit(rate, "values/clk/SM", ok, clock);
}

int main() {
    const Gpu gpu = open_gpu();
    measure<Single>(gpu);
    measure<PackedHalf>(gpu);
    return 0;
}
