"""How fast the memory plane is: one decode-attention layer, 64 sequences x 8K tokens, 8 KV heads x 128 x
FP16 on h100_sxm.

2.147 GB in 16.8 million 128-byte lines: 65,536 fetches of 32 KiB, each two runs of 16 KiB (a head of a
64-token page, K and V), pages shuffled, four fetches at a time on each of 132 SMs. Run it as `python
benchmarks/bench_plane.py [SHARE]`; SHARE of the fetches (default 1). Prints one JSON object; times are of
this process's CPU, after compilation.
"""

import json
import resource
import sys
import time
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import simpy

from sim.config.hardware import Hardware
from sim.config.load import load_hardware
from sim.memory.fetches import FetchTable
from sim.memory.plane import MemoryPlane

HEADS, RUN, DEPTH, FETCHES = 8, 16384, 4, 65536


def decode_table(count: int) -> FetchTable:
    """Fetch i reads K and V of head i % 8 of its page; pages lie in shuffled frames."""
    index = np.arange(count)
    pages = -(-count // HEADS)
    frame = np.random.default_rng(0).permutation(2 * pages)
    part = np.stack([frame[index // HEADS], frame[pages + index // HEADS]], axis=1)
    address = part * (HEADS * RUN) + (index % HEADS * RUN)[:, None]
    return FetchTable(
        run_ptr=np.arange(0, 2 * count + 1, 2),
        run_addr=address.reshape(-1),
        run_bytes=np.full(2 * count, RUN, np.int32),
        kind=np.zeros(count, np.uint8),
        cls=np.zeros(count, np.uint8),
    )


def run(hw: Hardware, table: FetchTable) -> tuple[MemoryPlane, int]:
    """All fetches, handed to SMs as they get free; the plane and the simulated time in ps."""
    env = simpy.Environment(initial_time=0)
    plane = MemoryPlane(env, hw, table)
    order = iter(range(table.fetches))

    def work(sm: int, order: Iterator[int]) -> Generator[simpy.Event, Any, None]:
        for fetch in order:
            yield plane.submit(sm, fetch)

    for _ in range(DEPTH):
        for sm in range(hw.sm.count):
            env.process(work(sm, order))
    env.run()
    return plane, int(env.now)


def main(share: float) -> None:
    hw = load_hardware("h100_sxm").spec
    begin = time.perf_counter()
    run(hw, decode_table(64))
    compile_s = time.perf_counter() - begin
    table = decode_table(max(1, round(FETCHES * share)))
    cpu, wall = time.process_time(), time.perf_counter()
    plane, end = run(hw, table)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    lines = plane.counters["requested"] / 128
    print(
        json.dumps(
            {
                "first_run_s": round(compile_s, 2),
                "cpu_s": round(cpu, 3),
                "wall_s": round(wall, 3),
                "million_lines_per_s": round(lines / cpu / 1e6, 2),
                "simulated_us": end / 1e6,
                "gb_s": round(plane.counters["hbm_read"] / end * 1000, 1),
                "windows": plane.windows,
                "max_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
