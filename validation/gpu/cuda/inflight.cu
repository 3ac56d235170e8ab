// HBM read bandwidth against bytes in flight per SM: CTAs x bytes, by plain loads, cp.async and bulk copies.
//
// Sequential reads of 1 GiB after an L2 flush; the only thing that changes is how many bytes each SM may have requested
// and not received. Little's law turns the rising part into a loaded latency.
#include "gather_kernels.cuh"

constexpr uint64_t READ = GIB;

class Inflight {
  public:
    explicit Inflight(const Gpu& gpu)
        : gpu_(gpu), flush_(gpu), pool_(READ / 16), slots_(READ / (64 * KIB)), total_(1) {
        fill_pattern<<<gpu.sms * 2, 1024>>>(pool_.get(), pool_.size());
        constexpr uint32_t LOG_VEC = 12, BITS = 14;  // 64 KiB runs in order
        fill_slots<<<64, 256>>>(slots_.get(), slots_.size(), BITS, false);
        runs_ = {pool_.get(), slots_.get(), LOG_VEC, READ / 16};
        sum_ = gathered_sum(slots_.size(), LOG_VEC, BITS, false);
        clock_ = measure_sm_clock();
    }

    template <int UNROLL>
    void plain(int ctas, int threads) {
        uint32_t* const total = total_.get();
        emit("plain", ctas, threads, static_cast<uint64_t>(ctas) * threads * UNROLL * 16,
             [=, this] { gather_plain<UNROLL><<<gpu_.sms * ctas, threads>>>(runs_, total); });
    }

    template <int STAGES>
    void async(int ctas) {
        const size_t shared = STAGES * 256 * ASYNC_VECTORS * 16;
        allow_shared(gather_async<STAGES>, shared);
        uint32_t* const total = total_.get();
        emit("cp.async", ctas, 256, ctas * shared,
             [=, this] { gather_async<STAGES><<<gpu_.sms * ctas, 256, shared>>>(runs_, total); });
    }

    // `tile` divides 64 KiB (a tile holds whole runs or lies in one), stages is at most BULK_STAGES
    void bulk(int ctas, uint32_t tile, uint32_t stages) {
        const size_t shared = static_cast<size_t>(tile) * stages;
        allow_shared(gather_bulk, shared);
        uint32_t* const total = total_.get();
        emit("bulk", ctas, BULK_THREADS, ctas * shared,
             [=, this] { gather_bulk<<<gpu_.sms * ctas, BULK_THREADS, shared>>>(runs_, tile, stages, total); });
    }

  private:
    template <class Launch>
    void emit(const char* method, int ctas, int threads, uint64_t in_flight, Launch launch) {
        const bool ok = total_is(total_, sum_, launch);
        const std::vector<double> us = time_us(5, &flush_, launch);
        Row("inflight")
            .text("method", method)
            .count("ctas_per_sm", ctas)
            .count("threads", threads)
            .count("inflight_bytes_per_sm", in_flight)
            .count("footprint_bytes", READ)
            .text("l2_state", "cold")
            .emit(gb_per_s(us, static_cast<double>(READ)), "GB/s", ok, clock_);
    }

    Gpu gpu_;
    L2Flush flush_;
    DeviceArray<uint4> pool_;
    DeviceArray<uint32_t> slots_;
    DeviceArray<uint32_t> total_;
    Runs runs_{};
    uint32_t sum_ = 0;
    RowClock clock_;
};

int main() {
    const Gpu gpu = open_gpu();
    Inflight inflight(gpu);
    for (const int threads : {64, 128, 256, 512, 1024}) {
        inflight.plain<1>(1, threads);
        inflight.plain<2>(1, threads);
        inflight.plain<4>(1, threads);
        inflight.plain<8>(1, threads);
    }
    for (const int ctas : {2, 4, 8}) {
        inflight.plain<1>(ctas, 256);
        inflight.plain<4>(ctas, 256);
    }
    for (const int ctas : {1, 2, 3}) {
        inflight.async<1>(ctas);
        inflight.async<2>(ctas);
        inflight.async<4>(ctas);
    }
    if (gpu.capability < 90) {
        emit_skip("inflight", "bulk copies need compute capability 9.0");
        return 0;
    }
    for (const uint32_t kib : {2, 4, 8, 16})
        for (const uint32_t stages : {1, 2, 4, 8}) inflight.bulk(1, kib * KIB, stages);
    for (const uint32_t stages : {1, 2, 4}) inflight.bulk(1, 32 * KIB, stages);
    for (const int ctas : {2, 4}) {
        inflight.bulk(ctas, 8 * KIB, 2);
        inflight.bulk(ctas, 8 * KIB, 4);
        inflight.bulk(ctas, 16 * KIB, 2);
    }
    inflight.bulk(3, 16 * KIB, 4);
    return 0;
}
