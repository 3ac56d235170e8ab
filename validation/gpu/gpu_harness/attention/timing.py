"""Time a PyTorch callable: CUDA graph replays between events, with or without an L2 flush before each."""

import importlib
from collections.abc import Callable
from typing import Any

Launch = Callable[[], Any]


class Timer:
    """Owns the flush buffer (four times the L2) and the side stream on which graphs are captured."""

    def __init__(self) -> None:
        self._torch = importlib.import_module("torch")
        l2_bytes = self._torch.cuda.get_device_properties(0).L2_cache_size
        self._flush = self._torch.ones(l2_bytes, dtype=self._torch.int32, device="cuda")

    def capture(self, launch: Launch, calls: int) -> Any:
        """A graph of `calls` consecutive calls, after three that compile and warm up."""
        torch = self._torch
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                launch()
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(calls):
                launch()
        return graph

    def _replays_us(self, graph: Any, repeats: int, flush: bool) -> list[float]:
        torch = self._torch
        events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(repeats)]
        graph.replay()
        for begin, end in events:
            if flush:
                self._flush.sum()
            begin.record()
            graph.replay()
            end.record()
        torch.cuda.synchronize()
        return [1e3 * begin.elapsed_time(end) for begin, end in events]

    def cold_us(self, launch: Launch, repeats: int = 11) -> list[float]:
        """Each sample: one call, after reading four times the L2 (clean lines, no write-backs)."""
        return self._replays_us(self.capture(launch, 1), repeats, flush=True)

    def warm_us(self, launch: Launch, repeats: int = 7) -> list[float]:
        """Each sample: the mean of ten consecutive calls on the same buffers in one graph."""
        calls = 10
        return [us / calls for us in self._replays_us(self.capture(launch, calls), repeats, flush=False)]
