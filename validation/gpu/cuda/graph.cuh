// A CUDA graph of launches in a row, captured from a stream.
#pragma once

#include "device.cuh"

class Graph {
  public:
    template <class Launch>
    Graph(cudaStream_t stream, int launches, Launch launch) : stream_(stream) {
        cudaGraph_t graph;
        CUDA_OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
        for (int i = 0; i < launches; ++i) launch();
        CUDA_OK(cudaStreamEndCapture(stream, &graph));
        CUDA_OK(cudaGraphInstantiate(&exec_, graph, 0));
        CUDA_OK(cudaGraphDestroy(graph));
    }
    ~Graph() { cudaGraphExecDestroy(exec_); }
    Graph(const Graph&) = delete;
    Graph& operator=(const Graph&) = delete;
    void run() const { CUDA_OK(cudaGraphLaunch(exec_, stream_)); }

  private:
    cudaStream_t stream_;
    cudaGraphExec_t exec_ = nullptr;
};
