// Gather bandwidth by run length (64 B to 64 KiB), by method (plain loads, cp.async, bulk copies), from HBM and from L2.
//
// HBM: 256 MiB of runs, no run twice, out of a pool of 4 GiB, after an L2 flush. L2: a pool of 16 MiB replayed. The slot
// table (4 bytes a run) is read beside the data and not counted.
#include "gather_kernels.cuh"

constexpr uint64_t GATHERED = 256 * MIB;
constexpr uint32_t TILE = 16 * KIB, STAGES = 4;

class Gatherer {
  public:
    Gatherer(const Gpu& gpu, uint64_t pool_bytes)
        : gpu_(gpu), flush_(gpu), pool_(pool_bytes / 16), slots_(GATHERED / 64), total_(1) {
        fill_pattern<<<gpu.sms * 2, 1024>>>(pool_.get(), pool_.size());
        allow_shared(gather_async<STAGES>, STAGES * TILE);
        if (gpu.capability >= 90) allow_shared(gather_bulk, STAGES * TILE);
    }

    void measure(uint64_t pool_bytes, uint32_t run_bytes, bool cold) {
        uint32_t log_vec = 0, bits = 0;
        while ((16u << log_vec) < run_bytes) ++log_vec;
        while ((static_cast<uint64_t>(run_bytes) << bits) < pool_bytes) ++bits;
        const uint64_t n = GATHERED / run_bytes;
        fill_slots<<<gpu_.sms * 2, 1024>>>(slots_.get(), n, bits, true);
        const Runs runs{pool_.get(), slots_.get(), log_vec, GATHERED / 16};
        const uint32_t sum = gathered_sum(n, log_vec, bits, true);
        clock_ = measure_sm_clock();
        uint32_t* const total = total_.get();
        const auto emit = [&](const char* method, int ctas, uint64_t in_flight, auto launch) {
            const bool ok = total_is(total_, sum, launch);
            const std::vector<double> us = time_us(7, cold ? &flush_ : nullptr, launch);
            Row("gather")
                .text("method", method)
                .count("run_bytes", run_bytes)
                .count("footprint_bytes", pool_bytes)
                .text("l2_state", cold ? "cold" : "warm")
                .count("ctas_per_sm", ctas)
                .count("inflight_bytes_per_sm", in_flight)
                .emit(gb_per_s(us, static_cast<double>(GATHERED)), "GB/s", ok, clock_);
        };
        emit("plain", 2, 2 * 1024 * 4 * 16, [=, this] { gather_plain<4><<<gpu_.sms * 2, 1024>>>(runs, total); });
        const int staged_ctas = 3;
        emit("cp.async", staged_ctas, staged_ctas * STAGES * TILE,
             [=, this] { gather_async<STAGES><<<gpu_.sms * staged_ctas, 256, STAGES * TILE>>>(runs, total); });
        if (gpu_.capability < 90) return;
        emit("bulk", staged_ctas, staged_ctas * STAGES * TILE, [=, this] {
            gather_bulk<<<gpu_.sms * staged_ctas, BULK_THREADS, STAGES * TILE>>>(runs, TILE, STAGES, total);
        });
    }

  private:
    Gpu gpu_;
    L2Flush flush_;
    DeviceArray<uint4> pool_;
    DeviceArray<uint32_t> slots_;
    DeviceArray<uint32_t> total_;
    RowClock clock_;
};

int main() {
    const Gpu gpu = open_gpu();
    uint64_t pool = 4 * GIB;
    while (pool > gpu.free_bytes / 2) pool /= 2;
    if (gpu.capability < 90) emit_skip("gather", "bulk copies need compute capability 9.0");
    Gatherer gatherer(gpu, pool);
    for (uint32_t run = 64; run <= 64 * KIB; run *= 2) {
        gatherer.measure(pool, run, true);
        gatherer.measure(16 * MIB, run, false);
    }
    return 0;
}
