// Launch overheads: kernels back to back in a stream, as graph nodes, between two events; the gap between kernels that
// depend on each other, launched early or not; block scheduling by wave.
#include <chrono>

#include "graph.cuh"

__global__ void nothing() {}

__global__ void hold_shared(int* never) {
    extern __shared__ int memory[];
    if (never != nullptr && memory[0] == 1) *never = 1;
}

__global__ void count_up(uint32_t* counter) { *counter += 1; }

constexpr int LAUNCHES = 1000, LINKS = 200;
constexpr long long LINK_CYCLES = 20000;

// Link `index` of a chain of kernels: every block finds what all blocks of the link before left, then keeps its SM busy.
// EARLY lets the next link start at once (programmatic dependent launch); it waits for this one's end itself.
template <bool EARLY>
__global__ void chain_link(uint32_t index, uint32_t* arrived, uint32_t* wrong) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
    if (EARLY) asm volatile("griddepcontrol.launch_dependents; griddepcontrol.wait;" ::: "memory");
#endif
    const long long c0 = clock64();
    if (threadIdx.x == 0) {
        if (index > 0 && __ldcg(arrived + index - 1) != gridDim.x) atomicAdd(wrong, 1);
        while (clock64() - c0 < LINK_CYCLES) {
        }
        atomicAdd(arrived + index, 1);
    }
}

class Launches {
  public:
    explicit Launches(const Gpu& gpu) : gpu_(gpu), counter_(1), arrived_(LINKS), wrong_(1) {
        CUDA_OK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
        CUDA_OK(cudaEventCreate(&begin_));
        CUDA_OK(cudaEventCreate(&end_));
        clock_ = measure_sm_clock();
    }
    ~Launches() {
        cudaEventDestroy(begin_);
        cudaEventDestroy(end_);
        cudaStreamDestroy(stream_);
    }
    Launches(const Launches&) = delete;
    Launches& operator=(const Launches&) = delete;

    // Between events on one stream; the spin lets the host run ahead, `spin_cycles` is about what it needs for that.
    template <class Work>
    double between_events_us(long long spin_cycles, Work work) {
        spin<<<1, 1, 0, stream_>>>(spin_cycles, nullptr);
        CUDA_OK(cudaEventRecord(begin_, stream_));
        work();
        CUDA_OK(cudaEventRecord(end_, stream_));
        CUDA_OK(cudaStreamSynchronize(stream_));
        CUDA_OK(cudaGetLastError());
        float ms = 0;
        CUDA_OK(cudaEventElapsedTime(&ms, begin_, end_));
        return 1e3 * ms;
    }

    template <class Work>
    std::vector<double> repeats_us(long long spin_cycles, int kernels, Work work) {
        std::vector<double> us;
        for (int r = 0; r < 15; ++r) us.push_back(between_events_us(spin_cycles, work) / kernels);
        return us;
    }

    template <class Work>
    void row(const char* variant, const char* launch, int kernels, long long spin_cycles, bool ok, Work work) {
        between_events_us(spin_cycles, work);
        const std::vector<double> us = repeats_us(spin_cycles, kernels, work);
        Row("launch").text("variant", variant).text("launch", launch).emit(us, "us", ok, clock_);
    }

    void back_to_back() {
        const auto many = [&](int n) { for (int i = 0; i < n; ++i) nothing<<<1, 32, 0, stream_>>>(); };
        const auto counting = [&] { count_up<<<1, 1, 0, stream_>>>(counter_.get()); };
        counter_.zero();
        for (int i = 0; i < LAUNCHES; ++i) counting();
        CUDA_OK(cudaStreamSynchronize(stream_));
        const bool stream_ok = counter_.download()[0] == LAUNCHES;
        const Graph counted(stream_, LAUNCHES, counting), graph(stream_, LAUNCHES, [&] { many(1); }),
            single(stream_, 1, [&] { many(1); });
        counter_.zero();
        counted.run();
        CUDA_OK(cudaStreamSynchronize(stream_));
        const bool graph_ok = counter_.download()[0] == LAUNCHES;
        row("two events, nothing between", "stream", 1, 100000, true, [] {});
        row("empty kernel between events", "stream", 1, 100000, stream_ok, [&] { many(1); });
        row("empty kernel between events", "graph", 1, 200000, graph_ok, [&] { single.run(); });
        row("back to back, per kernel, host not ahead", "stream", LAUNCHES, 1, stream_ok, [&] { many(LAUNCHES); });
        // The launch queue holds about a thousand kernels: 256 fit while the spin runs, so the device sets the pace.
        row("back to back, per kernel, host ahead", "stream", 256, 4000000, stream_ok, [&] { many(256); });
        row("back to back, per kernel", "graph", LAUNCHES, 200000, graph_ok, [&] { graph.run(); });
        host_time(stream_ok, [&] { many(256); });
    }

    template <class Work>
    void host_time(bool ok, Work launch_256) {
        std::vector<double> us;
        for (int r = 0; r < 15; ++r) {
            CUDA_OK(cudaStreamSynchronize(stream_));
            const auto t0 = std::chrono::steady_clock::now();
            launch_256();
            const auto t1 = std::chrono::steady_clock::now();
            us.push_back(std::chrono::duration<double, std::micro>(t1 - t0).count() / 256);
        }
        CUDA_OK(cudaStreamSynchronize(stream_));
        Row("launch").text("variant", "host time per launch").text("launch", "stream").emit(us, "us", ok, clock_);
    }

    template <bool EARLY>
    void launch_link(uint32_t index) {
        cudaLaunchAttribute early{};
        early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
        early.val.programmaticStreamSerializationAllowed = 1;
        cudaLaunchConfig_t config{};
        config.gridDim = gpu_.sms;
        config.blockDim = 128;
        config.stream = stream_;
        config.attrs = &early;
        config.numAttrs = EARLY ? 1 : 0;
        CUDA_OK(cudaLaunchKernelEx(&config, chain_link<EARLY>, index, arrived_.get(), wrong_.get()));
    }

    // What a link adds to its busy cycles: the end of one kernel, the start of the next, and the loads between them.
    template <bool EARLY>
    void gap(const char* variant) {
        const auto links = [&] { for (int i = 0; i < LINKS; ++i) launch_link<EARLY>(i); };
        const Graph graph(stream_, LINKS, [&, i = 0]() mutable { launch_link<EARLY>(i++); });
        const auto measure = [&](const char* launch, long long spin_cycles, auto work) {
            std::vector<double> us;
            wrong_.zero();
            for (int r = 0; r < 15; ++r) {
                arrived_.zero();
                us.push_back(between_events_us(spin_cycles, work) / LINKS - LINK_CYCLES / clock_.mhz);
            }
            const bool ok = wrong_.download()[0] == 0 && arrived_.download()[LINKS - 1] == static_cast<uint32_t>(gpu_.sms);
            Row("launch").text("variant", variant).text("launch", launch).emit(us, "us", ok, clock_);
        };
        measure("stream", 4000000, links);
        measure("graph", 200000, [&] { graph.run(); });
    }

    // Empty blocks without shared memory: the slope is what the chip's scheduler needs for a block of each SM.
    void block_rate() {
        for (const int threads : {32, 128, 256, 1024})
            for (const int blocks : {16, 64, 256}) {
                const std::vector<double> us =
                    repeats_us(100000, 1, [&] { nothing<<<gpu_.sms * blocks, threads, 0, stream_>>>(); });
                Row("block_rate").count("ctas_per_sm", blocks).count("threads", threads).text("launch", "stream").emit(us, "us", true, clock_);
            }
    }

    // `waves` blocks per SM that fill the shared memory, hence run one after the other: the slope is the cost of a block.
    void block_waves() {
        const size_t shared = gpu_.shared_bytes_per_block - 2048;
        allow_shared(hold_shared, shared);
        for (const int waves : {1, 2, 4, 8, 16, 32}) {
            const std::vector<double> us = repeats_us(
                100000, 1, [&] { hold_shared<<<gpu_.sms * waves, 256, shared, stream_>>>(nullptr); });
            Row("block_waves").count("ctas_per_sm", waves).count("threads", 256).text("launch", "stream").emit(us, "us", true, clock_);
        }
    }

  private:
    Gpu gpu_;
    DeviceArray<uint32_t> counter_, arrived_, wrong_;
    cudaStream_t stream_ = nullptr;
    cudaEvent_t begin_ = nullptr, end_ = nullptr;
    RowClock clock_;
};

int main() {
    const Gpu gpu = open_gpu();
    Launches launches(gpu);
    launches.back_to_back();
    launches.gap<false>("gap between dependent kernels");
    if (gpu.capability >= 90)
        launches.gap<true>("gap between dependent kernels, launched early");
    else
        emit_skip("launch", "early launch needs compute capability 9.0");
    launches.block_waves();
    launches.block_rate();
    return 0;
}
