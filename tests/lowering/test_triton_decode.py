"""SGLang's Triton decode: what a tile costs, counted, and that memory rules where CTAs share an SM."""

import numpy as np

from kernels_ref.engine import Batch, make_step
from kernels_ref.trace import Geometry
from sim.config.load import load_hardware, load_profile
from sim.lowering.candidates import candidates
from sim.search import tile_clocks

H100 = load_hardware("h100_sxm").spec


def test_memory_and_not_instructions_limits_a_full_grid_of_triton_decode() -> None:
    # 64 sequences of 4,096 tokens, 32 heads over 8: 409 us are published on H100 for 1.07 GB, 2,625 GB/s, which are
    # 2,625 / 132 / 1.755 = 11.3 B/clk of an SM, 1,446 clk for a tile of 32 tokens and 16 KiB.
    lengths = np.full(64, 4096, np.int32)
    batch = Batch("decode", Geometry(32, 8, 128, 128), lengths, np.ones(64, np.int32), 1, formats=("fp16",))
    step = make_step(batch, 0)
    cut = candidates(step, [load_profile("triton_sglang")], None, H100, 4)[0].cut
    clocks = tile_clocks(step, cut, H100)
    memory = 16 * 1024 / (2625 / H100.sm.count / H100.sm.clock_ghz)
    # One CTA alone waits for longer than that a tile; the three that fit take turns, and issue for a third of it.
    assert cut.ctas_per_sm == 3
    assert clocks.chain > memory
    assert clocks.chain / cut.ctas_per_sm < memory
    assert clocks.busy < memory / 2
