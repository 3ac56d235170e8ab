// Latency by pointer chase: L1, L2 (by SM and line, hence near and far), HBM, and the reach of the TLBs.
//
// One thread follows a random cycle, so every load waits for the one before. The last pointer is compared with the
// position that the host computed.
#include <random>

#include "device.cuh"

enum class Cached { L1, L2 };

template <Cached C>
__device__ inline uint64_t follow(uint64_t p) {
    uint64_t next;
    if (C == Cached::L1)
        asm volatile("ld.global.ca.u64 %0, [%1];" : "=l"(next) : "l"(p) : "memory");
    else
        asm volatile("ld.global.cg.u64 %0, [%1];" : "=l"(next) : "l"(p) : "memory");
    return next;
}

struct Walk {
    uint64_t last;
    uint64_t cycles;
    uint64_t ns;
};

template <Cached C>
__global__ void chase(uint64_t start, uint32_t warm_hops, uint32_t hops, Walk* walk) {
    uint64_t p = start;
    for (uint32_t h = 0; h < warm_hops; ++h) p = follow<C>(p);
    const uint64_t n0 = global_ns();
    const long long c0 = clock64();
#pragma unroll 8
    for (uint32_t h = 0; h < hops; ++h) p = follow<C>(p);
    const long long c1 = clock64();
    const uint64_t n1 = global_ns();
    *walk = {p, static_cast<uint64_t>(c1 - c0), n1 - n0};
}

// node i of the visit order points to node i + 1
__global__ void link(char* base, const uint64_t* visit, uint64_t n) {
    for (uint64_t i = blockIdx.x * static_cast<uint64_t>(blockDim.x) + threadIdx.x; i < n;
         i += static_cast<uint64_t>(gridDim.x) * blockDim.x)
        *reinterpret_cast<uint64_t*>(base + visit[i]) = reinterpret_cast<uint64_t>(base + visit[(i + 1) % n]);
}

__global__ void touch(const char* base, const uint64_t* visit, uint64_t n, uint64_t* sink) {
    uint64_t acc = 0;
    for (uint64_t i = blockIdx.x * static_cast<uint64_t>(blockDim.x) + threadIdx.x; i < n;
         i += static_cast<uint64_t>(gridDim.x) * blockDim.x)
        acc ^= follow<Cached::L2>(reinterpret_cast<uint64_t>(base + visit[i]));
    if (acc == 1) *sink = acc;
}

constexpr uint32_t EACH = 1024, READER = 0;

// The clock around every hop. A branch on the pointer keeps the second reading behind the load.
__global__ void chase_each(uint32_t target, uint64_t start, float* cycles, uint64_t* last, int* claimed) {
    if (threadIdx.x != 0 || sm_id() != target || atomicCAS(claimed, 0, 1) != 0) return;
    uint64_t p = start;
#pragma unroll 1
    for (uint32_t h = 0; h < EACH; ++h) {
        const long long c0 = clock64();
        p = follow<Cached::L2>(p);
        if (p == 0) return;
        cycles[h] = static_cast<float>(clock64() - c0);
    }
    *last = p;
}

__global__ void touch_from_sm(uint32_t target, const char* base, const uint64_t* visit, uint32_t n, int* claimed, uint64_t* sink) {
    if (sm_id() != target) return;
    __shared__ int mine;
    if (threadIdx.x == 0) mine = atomicCAS(claimed, 0, 1) == 0;
    __syncthreads();
    if (!mine) return;
    uint64_t acc = 0;
    for (uint32_t i = threadIdx.x; i < n; i += blockDim.x)
        acc ^= follow<Cached::L2>(reinterpret_cast<uint64_t>(base + visit[i]));
    if (acc == 1) *sink = acc;
}

// Each line points to itself: the SM `target` measures the round trip to every line's home slice.
__global__ void self_link(char* base, const uint64_t* offsets, uint32_t n) {
    for (uint32_t i = threadIdx.x; i < n; i += blockDim.x)
        *reinterpret_cast<uint64_t*>(base + offsets[i]) = reinterpret_cast<uint64_t>(base + offsets[i]);
}

__global__ void lines_from_sm(uint32_t target, char* base, const uint64_t* offsets, uint32_t lines, uint32_t hops,
                              float* cycles, int* claimed) {
    if (threadIdx.x != 0 || sm_id() != target || atomicCAS(claimed, 0, 1) != 0) return;
    for (uint32_t i = 0; i < lines; ++i) {
        const uint64_t home = reinterpret_cast<uint64_t>(base + offsets[i]);
        uint64_t p = home;
        for (int h = 0; h < 8; ++h) p = follow<Cached::L2>(p);
        const long long c0 = clock64();
#pragma unroll 8
        for (uint32_t h = 0; h < hops; ++h) p = follow<Cached::L2>(p);
        const long long c1 = clock64();
        cycles[i] = p == home ? static_cast<float>(c1 - c0) / hops : -1.0f;
    }
}

// One node per stride, at a random 128-byte line of it, visited in random order.
std::vector<uint64_t> visit_order(uint64_t footprint, uint64_t stride, std::mt19937_64& random) {
    std::vector<uint64_t> visit(footprint / stride);
    for (uint64_t i = 0; i < visit.size(); ++i) visit[i] = i * stride + 128 * (random() % (stride / 128));
    std::shuffle(visit.begin(), visit.end(), random);
    return visit;
}

class Chaser {
  public:
    Chaser(const Gpu& gpu, uint64_t capacity)
        : sms_(gpu.sms), flush_(gpu), pool_(capacity), visit_(4 * MIB), walk_(1), sink_(1), random_(1), clock_(measure_sm_clock()) {
        CUDA_OK(cudaFuncSetAttribute(chase<Cached::L1>, cudaFuncAttributePreferredSharedMemoryCarveout, 0));
    }

    template <Cached C>
    void measure(const char* name, uint64_t footprint, uint64_t stride, bool cold, bool serial_warm) {
        const std::vector<uint64_t> visit = visit_order(footprint, stride, random_);
        const uint64_t n = visit.size();
        clock_ = measure_sm_clock();
        visit_.upload(visit);
        link<<<1024, 256>>>(pool_.get(), visit_.get(), n);
        const uint32_t hops = cold ? static_cast<uint32_t>(std::min<uint64_t>(n / 2, 16384)) : 16384;
        bool ok = true;
        std::vector<double> cycles, ns;
        for (int r = 0; r < 7; ++r) {
            const uint64_t first = cold ? (r * static_cast<uint64_t>(hops)) % n : 0;
            const uint32_t warm = serial_warm ? static_cast<uint32_t>(n) : 0;
            if (cold)
                flush_.run();
            else
                touch<<<1024, 256>>>(pool_.get(), visit_.get(), n, sink_.get());
            chase<C><<<1, 1>>>(reinterpret_cast<uint64_t>(pool_.get() + visit[first]), warm, hops, walk_.get());
            CUDA_OK(cudaDeviceSynchronize());
            const Walk walk = walk_.download()[0];
            const uint64_t expected = reinterpret_cast<uint64_t>(pool_.get() + visit[(first + warm + hops) % n]);
            ok = ok && walk.last == expected;
            cycles.push_back(static_cast<double>(walk.cycles) / hops);
            ns.push_back(static_cast<double>(walk.ns) / hops);
        }
        row<C>(name, footprint, stride, cold, hops).emit(cycles, "cycles", ok, clock_);
        row<C>(name, footprint, stride, cold, hops).emit(ns, "ns", ok, clock_);
    }

    void by_sm() {
        constexpr uint32_t LINES = 64, HOPS = 256;
        std::vector<uint64_t> offsets = visit_order(LINES * 512 * KIB, 512 * KIB, random_);
        visit_.upload(offsets);
        self_link<<<1, 64>>>(pool_.get(), visit_.get(), LINES);
        DeviceArray<float> cycles(LINES);
        for (int sm = 0; sm < sms_; ++sm) {
            const bool ran = on_sm([&](int blocks, int* claimed) {
                lines_from_sm<<<blocks, 32>>>(sm, pool_.get(), visit_.get(), LINES, HOPS, cycles.get(), claimed);
            });
            if (ran)
                emit_clusters(sm, cycles.download());
            else
                emit_skip("l2_hit_by_sm", "no block landed on this SM in 20 launches");
        }
    }

    // First loads of 1,024 lines by READER: from memory, after one other SM had read them, and the second time.
    void each_load() {
        const std::vector<uint64_t> visit = visit_order(EACH * 32 * KIB, 32 * KIB, random_);
        visit_.upload(visit);
        link<<<1024, 256>>>(pool_.get(), visit_.get(), EACH);
        flush_.run();
        each_row("from memory", READER, visit);
        each_row("second read", READER, visit);
        for (int toucher = 1; toucher < sms_; toucher = toucher < 16 ? toucher + 1 : toucher + 12) {
            flush_.run();
            if (on_sm([&](int blocks, int* claimed) {
                    touch_from_sm<<<blocks, 128>>>(toucher, pool_.get(), visit_.get(), EACH, claimed, sink_.get());
                }))
                each_row("after another SM", toucher, visit);
        }
    }

  private:
    // Launches until a block of the kernel landed on the SM that it wants.
    template <class Launch>
    bool on_sm(Launch launch) {
        DeviceArray<int> claimed(1);
        for (int attempt = 0; attempt < 20; ++attempt) {
            claimed.zero();
            launch(sms_ * 8, claimed.get());
            CUDA_OK(cudaDeviceSynchronize());
            if (claimed.download()[0]) return true;
        }
        return false;
    }

    void each_row(const char* variant, int toucher, const std::vector<uint64_t>& visit) {
        DeviceArray<float> cycles(EACH);
        DeviceArray<uint64_t> last(1);
        last.zero();
        const uint64_t start = reinterpret_cast<uint64_t>(pool_.get() + visit[0]);
        const bool ran = on_sm([&](int blocks, int* claimed) {
            chase_each<<<blocks, 32>>>(READER, start, cycles.get(), last.get(), claimed);
        });
        const bool ok = ran && last.download()[0] == start;
        std::vector<float> sorted = cycles.download();
        std::sort(sorted.begin(), sorted.end());
        for (const int percent : {5, 25, 50, 75, 95}) {
            const std::string name = std::string(variant) + ", percentile " + std::to_string(percent);
            Row("single_load").text("variant", name.c_str()).count("sm", toucher).emit({sorted[EACH * percent / 100]}, "cycles", ok, clock_);
        }
    }

    template <Cached C>
    Row row(const char* name, uint64_t footprint, uint64_t stride, bool cold, uint32_t hops) const {
        return Row(name)
            .text("method", C == Cached::L1 ? "ld.ca" : "ld.cg")
            .count("footprint_bytes", footprint)
            .count("stride_bytes", stride)
            .text("l2_state", cold ? "cold" : "warm")
            .count("hops", hops);
    }

    // Lines split at the largest gap between sorted latencies: below it near, above it far.
    void emit_clusters(int sm, std::vector<float> cycles) const {
        std::sort(cycles.begin(), cycles.end());
        const bool ok = cycles.front() > 0;
        size_t cut = 1;
        for (size_t i = 1; i < cycles.size(); ++i)
            if (cycles[i] - cycles[i - 1] > cycles[cut] - cycles[cut - 1]) cut = i;
        const std::vector<double> all(cycles.begin(), cycles.end());
        const std::vector<double> near(cycles.begin(), cycles.begin() + cut), far(cycles.begin() + cut, cycles.end());
        Row("l2_hit_by_sm").count("sm", sm).text("variant", "all lines").emit(all, "cycles", ok, clock_);
        Row("l2_hit_by_sm").count("sm", sm).text("variant", "below largest gap").emit(near, "cycles", ok, clock_);
        Row("l2_hit_by_sm").count("sm", sm).text("variant", "above largest gap").emit(far, "cycles", ok, clock_);
    }

    int sms_;
    L2Flush flush_;
    DeviceArray<char> pool_;
    DeviceArray<uint64_t> visit_;
    DeviceArray<Walk> walk_;
    DeviceArray<uint64_t> sink_;
    std::mt19937_64 random_;
    RowClock clock_;
};

int main() {
    const Gpu gpu = open_gpu();
    uint64_t capacity = 64 * GIB;
    while (capacity > gpu.free_bytes / 2) capacity /= 2;
    Chaser chaser(gpu, capacity);
    for (const uint64_t kib : {4, 16, 32, 64, 96, 128, 160, 192, 208, 224, 240, 256, 320, 512})
        chaser.measure<Cached::L1>("pointer_chase", kib * KIB, 128, false, true);
    chaser.by_sm();
    chaser.each_load();
    for (const uint64_t mib : {1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 72, 80, 96, 128, 256})
        chaser.measure<Cached::L2>("pointer_chase", mib * MIB, 128, false, false);
    for (const uint64_t mib : {4, 64, 256, 512})
        chaser.measure<Cached::L2>("pointer_chase", mib * MIB, 128, true, false);
    for (const uint64_t gib : {1, 4, 16})
        if (gib * GIB <= capacity) chaser.measure<Cached::L2>("pointer_chase", gib * GIB, gib * 256, true, false);
    for (uint64_t size = 16 * MIB; size <= capacity; size *= 2) {
        chaser.measure<Cached::L2>("tlb_reach", size, 2 * MIB, false, true);
        if (size >= 64 * MIB) chaser.measure<Cached::L2>("tlb_reach", size, 32 * MIB, false, true);
    }
    return 0;
}
