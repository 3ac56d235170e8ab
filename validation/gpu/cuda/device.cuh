// The GPU as found: its limits, an L2 flush, event timing, the clock that it really runs at.
//
// Nothing here changes a setting of the card. Memory comes from cudaMalloc only.
#pragma once

#include <cuda_runtime.h>

#include <cstdlib>

#include "report.cuh"

#define CUDA_OK(call)                                                                                          \
    do {                                                                                                       \
        const cudaError_t status_ = (call);                                                                    \
        if (status_ != cudaSuccess) {                                                                          \
            std::fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorString(status_));   \
            std::exit(2);                                                                                      \
        }                                                                                                      \
    } while (0)

constexpr uint64_t KIB = 1024, MIB = 1024 * KIB, GIB = 1024 * MIB;

struct Gpu {
    int sms;
    int capability;  // 90 for compute capability 9.0
    size_t l2_bytes;
    size_t free_bytes;
    size_t shared_bytes_per_block;  // the opt-in limit
};

static __global__ void spin(long long cycles, double* mhz);

inline Gpu open_gpu() {
    cudaDeviceProp p;
    CUDA_OK(cudaSetDevice(0));
    spin<<<1, 1>>>(400000000, nullptr);  // an idle card runs at a few hundred MHz: let it come up first
    CUDA_OK(cudaDeviceSynchronize());
    CUDA_OK(cudaGetDeviceProperties(&p, 0));
    size_t free_bytes = 0, total = 0;
    CUDA_OK(cudaMemGetInfo(&free_bytes, &total));
    return {p.multiProcessorCount, p.major * 10 + p.minor, static_cast<size_t>(p.l2CacheSize), free_bytes,
            static_cast<size_t>(p.sharedMemPerBlockOptin)};
}

template <class T>
class DeviceArray {
  public:
    explicit DeviceArray(size_t count) : count_(count) { CUDA_OK(cudaMalloc(&data_, count * sizeof(T))); }
    ~DeviceArray() { cudaFree(data_); }
    DeviceArray(const DeviceArray&) = delete;
    DeviceArray& operator=(const DeviceArray&) = delete;

    T* get() const { return data_; }
    size_t size() const { return count_; }
    void upload(const std::vector<T>& host) {
        if (host.size() > count_) std::exit(3);
        CUDA_OK(cudaMemcpy(data_, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice));
    }
    std::vector<T> download() const {
        std::vector<T> host(count_);
        CUDA_OK(cudaMemcpy(host.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost));
        return host;
    }
    void zero() {
        CUDA_OK(cudaMemset(data_, 0, count_ * sizeof(T)));
        CUDA_OK(cudaDeviceSynchronize());  // a non-blocking stream would not wait for the memset
    }

  private:
    T* data_ = nullptr;
    size_t count_;
};

__device__ inline uint64_t global_ns() {
    uint64_t t;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t));
    return t;
}

__device__ inline uint32_t sm_id() {
    uint32_t id;
    asm volatile("mov.u32 %0, %%smid;" : "=r"(id));
    return id;
}

// Busy for `cycles`: before a timed launch it hides the host's launch latency, alone it measures the SM clock.
static __global__ void spin(long long cycles, double* mhz) {
    const long long c0 = clock64();
    const uint64_t n0 = global_ns();
    while (clock64() - c0 < cycles) {
    }
    const uint64_t n1 = global_ns();
    if (mhz != nullptr && n1 > n0) *mhz = 1e3 * static_cast<double>(clock64() - c0) / static_cast<double>(n1 - n0);
}

// Cycles of the median SM, of those that every block wrote.
inline double median_cycles(const DeviceArray<long long>& cycles) {
    std::vector<long long> per_sm = cycles.download();
    std::sort(per_sm.begin(), per_sm.end());
    return static_cast<double>(per_sm[per_sm.size() / 2]);
}

inline RowClock measure_sm_clock() {
    DeviceArray<double> mhz(1);
    mhz.zero();
    spin<<<1, 1>>>(4000000, mhz.get());
    CUDA_OK(cudaDeviceSynchronize());
    return {mhz.download()[0]};
}

static __global__ void read_through(const uint4* data, size_t vectors, uint32_t* sink) {
    uint32_t acc = 0;
    for (size_t i = blockIdx.x * static_cast<size_t>(blockDim.x) + threadIdx.x; i < vectors;
         i += static_cast<size_t>(gridDim.x) * blockDim.x) {
        const uint4 v = __ldcg(data + i);
        acc ^= v.x ^ v.y ^ v.z ^ v.w;
    }
    if (acc == 0x9e3779b9u) *sink = acc;  // keeps the loads alive
}

// Replaces the contents of the L2 by clean lines: a flush by writing would leave write-backs to the timed kernel.
class L2Flush {
  public:
    explicit L2Flush(const Gpu& gpu) : gpu_(gpu), data_(4 * gpu.l2_bytes / sizeof(uint4)), sink_(1) { data_.zero(); }
    void run() const { read_through<<<gpu_.sms * 2, 1024>>>(data_.get(), data_.size(), sink_.get()); }

  private:
    Gpu gpu_;
    DeviceArray<uint4> data_;
    DeviceArray<uint32_t> sink_;
};

// Microseconds of each launch, by events. With `flush` every launch starts from a cold L2, otherwise from the state
// that the launch before left (one untimed launch goes first).
template <class Launch>
std::vector<double> time_us(int repeats, const L2Flush* flush, Launch launch) {
    std::vector<cudaEvent_t> begin(repeats), end(repeats);
    for (int r = 0; r < repeats; ++r) {
        CUDA_OK(cudaEventCreate(&begin[r]));
        CUDA_OK(cudaEventCreate(&end[r]));
    }
    launch();
    CUDA_OK(cudaGetLastError());
    CUDA_OK(cudaDeviceSynchronize());
    for (int r = 0; r < repeats; ++r) {
        if (flush != nullptr) flush->run();
        spin<<<1, 1>>>(200000, nullptr);  // several launches may follow, 3 us of the host each
        CUDA_OK(cudaEventRecord(begin[r]));
        launch();
        CUDA_OK(cudaEventRecord(end[r]));
    }
    CUDA_OK(cudaGetLastError());
    CUDA_OK(cudaDeviceSynchronize());
    std::vector<double> us(repeats);
    for (int r = 0; r < repeats; ++r) {
        float ms = 0;
        CUDA_OK(cudaEventElapsedTime(&ms, begin[r], end[r]));
        us[r] = 1e3 * ms;
        CUDA_OK(cudaEventDestroy(begin[r]));
        CUDA_OK(cudaEventDestroy(end[r]));
    }
    return us;
}

// GB/s (1e9) of every repeat.
inline std::vector<double> gb_per_s(const std::vector<double>& us, double bytes) {
    std::vector<double> rate;
    for (const double t : us) rate.push_back(bytes / t * 1e-3);
    return rate;
}

template <class Kernel>
void allow_shared(Kernel kernel, size_t bytes) {
    CUDA_OK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)));
}
