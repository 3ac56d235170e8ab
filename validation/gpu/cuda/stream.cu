// Streaming read, write and copy bandwidth over the footprint, with a cold L2 and replayed (warm).
//
// A warm launch passes over its footprint until it has moved at least 2 GiB, so that launch overhead vanishes; in each
// pass the vectors fall to other SMs, which averages near and far L2 partitions. Nothing holds the SMs together there:
// one may be passes ahead of another, and then finds what that one has just read. A replay has one pass a launch, as
// kernels of an engine do, in a graph whose gaps it includes. Loads skip L1.
#include "graph.cuh"
#include "pattern.cuh"

struct Span {
    uint64_t vectors;  // 16 bytes each
    uint64_t total;    // vectors x passes
};

// Calls body(position) for the vectors of this thread, four in flight at a time.
template <class Body>
__device__ inline void for_each_four(Span span, Body body) {
    const uint64_t threads = static_cast<uint64_t>(gridDim.x) * blockDim.x;
    const uint64_t step = threads % span.vectors;
    uint64_t i = blockIdx.x * static_cast<uint64_t>(blockDim.x) + threadIdx.x;
    uint64_t at = i % span.vectors;
    while (i < span.total) {
        uint64_t position[4];
        int n = 0;
#pragma unroll
        for (int u = 0; u < 4; ++u) {
            position[u] = at;
            n += i < span.total;
            i += threads;
            at += step;
            if (at >= span.vectors) at -= span.vectors;
        }
        body(position, n);
    }
}

__global__ void __launch_bounds__(1024) stream_read(const uint4* data, Span span, uint32_t* total) {
    uint32_t acc = 0;
    for_each_four(span, [&](const uint64_t* at, int n) {
        uint4 v[4];
        if (n == 4) {
#pragma unroll
            for (int u = 0; u < 4; ++u) v[u] = load_l2(data + at[u]);
        } else {
#pragma unroll
            for (int u = 0; u < 4; ++u) v[u] = u < n ? load_l2(data + at[u]) : make_uint4(0, 0, 0, 0);
        }
#pragma unroll
        for (int u = 0; u < 4; ++u) acc += add_words(v[u]);
    });
    add_to_total(acc, total);
}

// One pass; a sum for each thread, since atomics to one total would outlast a pass over the L2.
__global__ void __launch_bounds__(1024) replay_read(const uint4* data, Span span, uint32_t* sums) {
    uint32_t acc = 0;
    for_each_four(span, [&](const uint64_t* at, int n) {
#pragma unroll
        for (int u = 0; u < 4; ++u)
            if (u < n) acc += add_words(load_l2(data + at[u]));
    });
    sums[blockIdx.x * blockDim.x + threadIdx.x] = acc;
}

__global__ void __launch_bounds__(1024) stream_write(uint4* data, Span span) {
    for_each_four(span, [&](const uint64_t* at, int n) {
#pragma unroll
        for (int u = 0; u < 4; ++u)
            if (u < n) __stcg(data + at[u], pattern_vector(at[u]));
    });
}

__global__ void __launch_bounds__(1024) stream_copy(const uint4* from, uint4* to, Span span) {
    for_each_four(span, [&](const uint64_t* at, int n) {
        uint4 v[4];
#pragma unroll
        for (int u = 0; u < 4; ++u)
            if (u < n) v[u] = load_l2(from + at[u]);
#pragma unroll
        for (int u = 0; u < 4; ++u)
            if (u < n) __stcg(to + at[u], v[u]);
    });
}

constexpr int REPLAYS = 20;

class Streamer {
  public:
    Streamer(const Gpu& gpu, uint64_t bytes)
        : grid_(gpu.sms * 2), flush_(gpu), a_(bytes / 16), b_(bytes / 16), total_(1), sums_(gpu.sms * 2 * 1024) {
        CUDA_OK(cudaStreamCreate(&stream_));  // a blocking one: its graphs stay in turn with the default stream's launches
        fill_pattern<<<grid_, 1024>>>(a_.get(), a_.size());
    }

    void measure(uint64_t bytes, bool cold) {
        const uint64_t passes = cold ? 1 : std::max<uint64_t>(1, 2 * GIB / bytes);
        const Span once{bytes / 16, bytes / 16}, span{bytes / 16, bytes / 16 * passes};
        const uint32_t sum = pattern_sum(0, bytes / 4);
        const auto read = [&] { stream_read<<<grid_, 1024>>>(a_.get(), span, total_.get()); };
        const auto write = [&] { stream_write<<<grid_, 1024>>>(b_.get(), span); };
        const auto copy = [&] { stream_copy<<<grid_, 1024>>>(a_.get(), b_.get(), span); };
        const auto b_holds_pattern = [&](auto launch) {
            CUDA_OK(cudaMemset(b_.get(), 0xff, bytes));
            launch();
            return total_is(total_, sum, [&] { stream_read<<<grid_, 1024>>>(b_.get(), once, total_.get()); });
        };
        clock_ = measure_sm_clock();
        const double moved = static_cast<double>(bytes) * passes;
        const bool reads = total_is(total_, sum * static_cast<uint32_t>(passes), read);
        emit("read", bytes, passes, cold, moved, reads, read);
        emit("write", bytes, passes, cold, moved, b_holds_pattern(write), write);
        emit("copy", bytes, passes, cold, 2 * moved, b_holds_pattern(copy), copy);
        if (cold) return;
        const auto pass = [&] { replay_read<<<grid_, 1024, 0, stream_>>>(a_.get(), once, sums_.get()); };
        sums_.zero();
        pass();
        CUDA_OK(cudaStreamSynchronize(stream_));
        uint32_t seen = 0;
        for (const uint32_t part : sums_.download()) seen += part;
        const Graph passes_in_turn(stream_, REPLAYS, pass);
        emit("replay", bytes, 1, cold, static_cast<double>(bytes) * REPLAYS, seen == sum, [&] { passes_in_turn.run(); });
    }

  private:
    template <class Launch>
    void emit(const char* what, uint64_t bytes, uint64_t passes, bool cold, double moved, bool ok, Launch launch) {
        const std::vector<double> us = time_us(7, cold ? &flush_ : nullptr, launch);
        Row("stream")
            .text("variant", what)
            .count("footprint_bytes", bytes)
            .count("passes", passes)
            .text("l2_state", cold ? "cold" : "warm")
            .emit(gb_per_s(us, moved), "GB/s", ok, clock_);
    }

    int grid_;
    L2Flush flush_;
    DeviceArray<uint4> a_, b_;
    DeviceArray<uint32_t> total_, sums_;
    cudaStream_t stream_ = nullptr;
    RowClock clock_;
};

int main() {
    const Gpu gpu = open_gpu();
    const uint64_t capacity = std::min<uint64_t>(4 * GIB, gpu.free_bytes / 4);
    Streamer streamer(gpu, capacity);
    for (const uint64_t mib : {1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 72, 80, 96, 128, 256,
                               1024, 4096}) {
        if (mib * MIB > capacity) {
            emit_skip("stream", "the footprint does not fit into a quarter of the free memory");
            continue;
        }
        streamer.measure(mib * MIB, true);
        streamer.measure(mib * MIB, false);
    }
    return 0;
}
