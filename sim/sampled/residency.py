"""Which bytes of a sample start in L2, when the whole launch would find a share of them there."""

import numpy as np
from numpy.typing import NDArray

from sim.lowering.launch import Launch
from sim.lowering.runs import repeat_index
from sim.memory.fetches import TrafficClass

Int64 = NDArray[np.int64]
ONE = 1 << 16


def resident_ranges(launch: Launch, hit_q16: NDArray[np.int64], granule: int) -> Int64:
    """[N, 2] (address, bytes): of each tile's granules the share that it would hit, drawn at random
    (the same ones in every run); tables whole."""
    fetches = launch.fetches
    fetch, _ = repeat_index(np.diff(fetches.run_ptr))
    start, size = fetches.run_addr, fetches.run_bytes.astype(np.int64)
    first = start // granule
    run, rank = repeat_index((start + size - 1) // granule - first + 1)
    low = np.maximum(start[run], (first[run] + rank) * granule)
    high = np.minimum(start[run] + size[run], (first[run] + rank + 1) * granule)
    share = np.zeros(fetches.fetches)
    share[: launch.tiles] = hit_q16 / ONE
    share[fetches.cls == TrafficClass.METADATA] = 1.0
    drawn = np.random.default_rng(0).random(len(run)) < share[fetch[run]]
    return np.stack([low[drawn], (high - low)[drawn]], axis=1)
