// A block-table entry, then the page that it names: the dependent pair that paged attention adds to every page.
//
// Latency: one thread alternates entry and page loads along a random cycle. Throughput: every warp walks its own pages,
// with the entry loaded just before the page (exposed) or one page ahead (prefetched).
#include <numeric>
#include <random>

#include "gather_kernels.cuh"

struct Walk {
    uint32_t last;
    uint64_t cycles, ns;
};

// words of the pool: the first word of the page of logical block b holds the next logical block
__global__ void walk_table(const uint32_t* table, const uint32_t* pool, uint32_t page_words, uint32_t start, uint32_t hops,
                           Walk* walk) {
    uint32_t block = start;
    const uint64_t n0 = global_ns();
    const long long c0 = clock64();
#pragma unroll 4
    for (uint32_t h = 0; h < hops; ++h) {
        uint32_t page;
        asm volatile("ld.global.cg.u32 %0, [%1];" : "=r"(page) : "l"(table + block) : "memory");
        asm volatile("ld.global.cg.u32 %0, [%1];"
                     : "=r"(block)
                     : "l"(pool + static_cast<uint64_t>(page) * page_words)
                     : "memory");
    }
    const long long c1 = clock64();
    *walk = {block, static_cast<uint64_t>(c1 - c0), global_ns() - n0};
}

__global__ void link_blocks(const uint32_t* table, const uint32_t* next, uint32_t* pool, uint32_t page_words, uint32_t n) {
    for (uint32_t b = blockIdx.x * blockDim.x + threadIdx.x; b < n; b += gridDim.x * blockDim.x)
        pool[static_cast<uint64_t>(table[b]) * page_words] = next[b];
}

__global__ void touch_blocks(const uint32_t* table, const uint32_t* pool, uint32_t page_words, uint32_t n, uint32_t* sink) {
    uint32_t acc = 0;
    for (uint32_t b = blockIdx.x * blockDim.x + threadIdx.x; b < n; b += gridDim.x * blockDim.x)
        acc ^= __ldcg(pool + static_cast<uint64_t>(__ldcg(table + b)) * page_words);
    if (acc == 0xffffffffu) *sink = acc;
}

__device__ inline uint32_t load_slot(const uint32_t* slots, uint64_t run) {
    uint32_t slot;
    asm volatile("ld.global.cg.u32 %0, [%1];" : "=r"(slot) : "l"(slots + run));
    return slot;
}

// One warp a page at a time, 4 x 512 bytes in flight; the entry of the next page is loaded first when PREFETCH.
template <bool PREFETCH>
__global__ void __launch_bounds__(256) gather_pages(Runs runs, uint64_t pages, uint32_t* total) {
    const uint64_t warps = static_cast<uint64_t>(gridDim.x) * (blockDim.x / 32);
    const uint32_t lane = threadIdx.x % 32, page_vectors = 1u << runs.log_vec;
    uint64_t page = (blockIdx.x * static_cast<uint64_t>(blockDim.x) + threadIdx.x) / 32;
    uint32_t acc = 0, slot = PREFETCH && page < pages ? load_slot(runs.slots, page) : 0;
    for (; page < pages; page += warps) {
        uint32_t following = 0;
        if (PREFETCH) {
            if (page + warps < pages) following = load_slot(runs.slots, page + warps);
        } else {
            slot = load_slot(runs.slots, page);
        }
        const uint4* const data = runs.pool + (static_cast<uint64_t>(slot) << runs.log_vec);
        for (uint32_t v = lane; v < page_vectors; v += 128) {
            uint4 got[4];
#pragma unroll
            for (int u = 0; u < 4; ++u)
                got[u] = v + 32 * u < page_vectors ? load_l2(data + v + 32 * u) : make_uint4(0, 0, 0, 0);
#pragma unroll
            for (int u = 0; u < 4; ++u) acc += add_words(got[u]);
        }
        slot = following;
    }
    add_to_total(acc, total);
}

class BlockTable {
  public:
    BlockTable(const Gpu& gpu, uint64_t pool_bytes)
        : gpu_(gpu), flush_(gpu), pool_(pool_bytes / 16), table_(4 * MIB), next_(4 * MIB), walk_(1), total_(1),
          clock_(measure_sm_clock()) {}

    // `flushed`: entry and page both come from HBM; otherwise from where the touch before left them.
    void latency(uint32_t blocks, uint32_t page_bytes, bool flushed) {
        std::mt19937_64 random(blocks);
        std::vector<uint32_t> table(blocks), order(blocks), next(blocks);
        std::iota(table.begin(), table.end(), 0u);
        std::iota(order.begin(), order.end(), 0u);
        std::shuffle(table.begin(), table.end(), random);
        std::shuffle(order.begin(), order.end(), random);
        for (uint32_t i = 0; i < blocks; ++i) next[order[i]] = order[(i + 1) % blocks];
        table_.upload(table);
        next_.upload(next);
        uint32_t* const pool = reinterpret_cast<uint32_t*>(pool_.get());
        const uint32_t words = page_bytes / 4, hops = std::min<uint32_t>(8192, blocks / 4);
        link_blocks<<<256, 256>>>(table_.get(), next_.get(), pool, words, blocks);
        std::vector<double> cycles, ns;
        bool ok = true;
        for (uint32_t r = 0; r < 7; ++r) {
            const uint32_t first = static_cast<uint32_t>((static_cast<uint64_t>(r) * hops) % blocks);
            if (flushed)
                flush_.run();
            else
                touch_blocks<<<256, 256>>>(table_.get(), pool, words, blocks, total_.get());
            walk_table<<<1, 1>>>(table_.get(), pool, words, order[first], hops, walk_.get());
            CUDA_OK(cudaDeviceSynchronize());
            const Walk walk = walk_.download()[0];
            ok = ok && walk.last == order[(first + hops) % blocks];
            cycles.push_back(static_cast<double>(walk.cycles) / hops);
            ns.push_back(static_cast<double>(walk.ns) / hops);
        }
        for (const auto& [unit, samples] : {std::pair{"cycles", cycles}, std::pair{"ns", ns}})
            Row("block_table_pair")
                .count("footprint_bytes", static_cast<uint64_t>(blocks) * page_bytes)
                .count("run_bytes", page_bytes)
                .text("l2_state", flushed ? "cold" : "warm")
                .count("hops", hops)
                .emit(samples, unit, ok, clock_);
    }

    void throughput(uint32_t page_bytes, int ctas) {
        constexpr uint64_t GATHERED = 256 * MIB;
        uint32_t log_vec = 0, bits = 0;
        while ((16u << log_vec) < page_bytes) ++log_vec;
        while ((static_cast<uint64_t>(page_bytes) << bits) < pool_.size() * 16) ++bits;
        const uint64_t pages = GATHERED / page_bytes;
        fill_pattern<<<gpu_.sms * 2, 1024>>>(pool_.get(), pool_.size());
        fill_slots<<<gpu_.sms * 2, 1024>>>(table_.get(), pages, bits, true);
        const Runs runs{pool_.get(), table_.get(), log_vec, GATHERED / 16};
        const uint32_t sum = gathered_sum(pages, log_vec, bits, true);
        uint32_t* const total = total_.get();
        const auto emit = [&](const char* variant, auto launch) {
            const bool ok = total_is(total_, sum, launch);
            Row("block_table_gather")
                .text("variant", variant)
                .count("run_bytes", page_bytes)
                .count("footprint_bytes", pool_.size() * 16)
                .count("ctas_per_sm", ctas)
                .count("threads", 256)
                .text("l2_state", "cold")
                .emit(gb_per_s(time_us(7, &flush_, launch), static_cast<double>(GATHERED)), "GB/s", ok, clock_);
        };
        emit("exposed", [=, this] { gather_pages<false><<<gpu_.sms * ctas, 256>>>(runs, pages, total); });
        emit("prefetched", [=, this] { gather_pages<true><<<gpu_.sms * ctas, 256>>>(runs, pages, total); });
    }

  private:
    Gpu gpu_;
    L2Flush flush_;
    DeviceArray<uint4> pool_;
    DeviceArray<uint32_t> table_, next_;
    DeviceArray<Walk> walk_;
    DeviceArray<uint32_t> total_;
    RowClock clock_;
};

int main() {
    const Gpu gpu = open_gpu();
    uint64_t pool = 4 * GIB;
    while (pool > gpu.free_bytes / 2) pool /= 2;
    BlockTable block_table(gpu, pool);
    for (const uint32_t page : {2048u, 16384u, 65536u}) {
        block_table.latency(4096, page, false);  // 4096 lines and 16 KiB of entries: both in L2
        const auto blocks = static_cast<uint32_t>(std::min<uint64_t>(pool / page, 1 * MIB));
        block_table.latency(blocks, page, true);
    }
    block_table.latency(static_cast<uint32_t>(std::min<uint64_t>(pool / 1024, 4 * MIB)), 1024, false);
    for (const uint32_t page : {1024u, 2048u, 4096u, 8192u, 16384u, 65536u})
        for (const int ctas : {1, 2, 4, 8}) block_table.throughput(page, ctas);
    return 0;
}
