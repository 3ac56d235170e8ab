// Do mma.sync and the vector units work at the same time? Matrix products, 2^x and multiply-adds alone and together.
//
// One block of 16 warps on each SM. A round of a warp is 8 products of 16 x 8 x 16 (bf16 into float) and as many 2^x or
// multiply-adds as take about as long. Together they take the longer of the two when they overlap, the sum when they do
// not: in the same warps, or with products in one half of the warps and the rest in the other half.
#include "device.cuh"

constexpr int WARPS = 16, ROUNDS = 2048, PRODUCTS = 8, EXPONENTS = 6, ADDS = 48;

enum Work : uint32_t { MMA = 1, EXP = 2, FMA = 4, OTHER_WARPS = 8 };

__device__ inline void product(float* c, uint32_t ones) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %4, %4, %4}, {%4, %4}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(ones));
}

// All warps do MMA, EXP and FMA where asked; with OTHER_WARPS the first half does twice the MMA, the second twice the rest.
template <uint32_t WORK>
__global__ void __launch_bounds__(WARPS * 32, 1) overlap(uint32_t ones, float zero, float* sums, long long* cycles) {
    constexpr bool split = WORK & OTHER_WARPS;
    const bool first = threadIdx.x / 32 < WARPS / 2;
    const int products = WORK & MMA ? (split ? (first ? 2 * ROUNDS : 0) : ROUNDS) : 0;
    const int rest = WORK & (EXP | FMA) ? (split ? (first ? 0 : 2 * ROUNDS) : ROUNDS) : 0;
    float c[PRODUCTS][4] = {}, x[EXPONENTS], y[8];
    for (int e = 0; e < EXPONENTS; ++e) x[e] = zero;
    for (int f = 0; f < 8; ++f) y[f] = zero;
    const auto multiply = [&] {
#pragma unroll
        for (int p = 0; p < PRODUCTS; ++p) product(c[p], ones);
    };
    const auto vector = [&] {
        if (WORK & EXP)
#pragma unroll
            for (int e = 0; e < EXPONENTS; ++e) asm volatile("ex2.approx.ftz.f32 %0, %0;" : "+f"(x[e]));
        if (WORK & FMA)
#pragma unroll
            for (int f = 0; f < ADDS; ++f) asm volatile("fma.rn.f32 %0, %0, %1, 0f3F800000;" : "+f"(y[f % 8]) : "f"(zero));
    };
    __syncthreads();
    const long long c0 = clock64();
    if (split) {
        for (int r = 0; r < products; ++r) multiply();
        for (int r = 0; r < rest; ++r) vector();
    } else {
        for (int r = 0; r < ROUNDS; ++r) {
            if (WORK & MMA) multiply();
            vector();
        }
    }
    __syncthreads();
    const long long c1 = clock64();
    float sum = 0;
    for (int p = 0; p < PRODUCTS; ++p) sum += c[p][0] + c[p][1] + c[p][2] + c[p][3];
    for (int e = 0; e < EXPONENTS; ++e) sum += x[e] == 3.0f ? 1.0f : 0.0f;  // never: keeps the values alive
    for (int f = 0; f < 8; ++f) sum += y[f] * zero;
    sums[blockIdx.x * WARPS * 32 + threadIdx.x] = sum;
    if (threadIdx.x == 0) cycles[blockIdx.x] = c1 - c0;
}

// Products of ones: each adds 16 to each of its four sums of a thread.
template <uint32_t WORK>
bool sums_are_right(const std::vector<float>& sums) {
    for (size_t t = 0; t < sums.size(); ++t) {
        const bool first = t % (WARPS * 32) / 32 < WARPS / 2;
        const int rounds = !(WORK & MMA) ? 0 : !(WORK & OTHER_WARPS) ? ROUNDS : first ? 2 * ROUNDS : 0;
        if (sums[t] != static_cast<float>(rounds) * 16 * 4 * PRODUCTS) return false;
    }
    return true;
}

template <uint32_t WORK>
void measure(const Gpu& gpu, const char* name) {
    DeviceArray<float> sums(gpu.sms * WARPS * 32);
    DeviceArray<long long> cycles(gpu.sms);
    const RowClock clock = measure_sm_clock();
    std::vector<double> per_round;
    bool ok = true;
    for (int r = 0; r < 8; ++r) {
        overlap<WORK><<<gpu.sms, WARPS * 32>>>(0x3f803f80u, 0.0f, sums.get(), cycles.get());
        CUDA_OK(cudaGetLastError());
        CUDA_OK(cudaDeviceSynchronize());
        ok = ok && sums_are_right<WORK>(sums.download());
        if (r > 0) per_round.push_back(median_cycles(cycles) / (ROUNDS * WARPS));
    }
    Row("overlap").text("variant", name).count("ctas_per_sm", 1).count("threads", WARPS * 32).emit(per_round, "cycles", ok, clock);
}

int main() {
    const Gpu gpu = open_gpu();
    measure<MMA>(gpu, "8 products of 16 x 8 x 16");
    measure<EXP>(gpu, "6 times 2^x");
    measure<FMA>(gpu, "48 multiply-adds");
    measure<MMA | EXP>(gpu, "products and 2^x, same warps");
    measure<MMA | FMA>(gpu, "products and multiply-adds, same warps");
    measure<MMA | EXP | OTHER_WARPS>(gpu, "products and 2^x, other warps");
    measure<MMA | FMA | OTHER_WARPS>(gpu, "products and multiply-adds, other warps");
    measure<MMA | EXP | FMA>(gpu, "products, 2^x and multiply-adds, same warps");
    return 0;
}
