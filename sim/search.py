"""`mapping: auto`: an analytic estimate prunes the candidates, runs of the whole grid at tile grain decide.

The number of such probes is fixed per SRAM class and the first of equals wins, whatever the fidelity of the run that
follows. The tile grain misses by up to a tenth where latency rules, so a mapping that needs a larger SRAM class is
taken only when the simulation is faster with it: more SRAM is never slower.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.config.hardware import Hardware
from sim.device.stage_times import PS_PER_NS, ps_per_clk, unpack_rate
from sim.formats import KV_STORAGE, token_bytes
from sim.launch_times import following_ps
from sim.lowering.attention import merge_clk, output_bytes, token_issue_clk
from sim.lowering.attention_tiles import QUERY_BYTES, score_ops, tile_counts
from sim.lowering.candidates import Candidate
from sim.lowering.cut import Cut, block_rows
from sim.lowering.operands import mma_format, operand_reads
from sim.lowering.units import Units, attention_units
from sim.memory.latency import l2_trip_ns
from sim.memory.peaks import data_peak_gb_s
from sim.work import step_work

PROBES_PER_CLASS = (6, 1, 1, 1, 1)
"""At most 10 probes: six among mappings for today's SRAM, one for each larger class."""
MARGIN = 0.02
"""A mapping that needs a larger SRAM must look better by this much to be worth a whole simulation."""
MOST_WHOLE_WAVES = 2
STREAMING_SHARE = 0.9
"""Share of peak bandwidth that the estimate expects; only ranks candidates."""

Probe = Callable[[Cut], float]
"""Time in ns of the whole kernel with this cut, at tile grain."""


@dataclass(frozen=True)
class Choice:
    """The mapping taken, and what was tried."""

    candidate: Candidate
    """The fastest by probe among those that need least SRAM."""
    contenders: tuple[Candidate, ...]
    """By growing SRAM: what a probe puts ahead of all before. Only a whole simulation can confirm it."""
    tried: tuple[tuple[Cut, float], ...]
    """Probed mappings with their estimated times in ns, best first."""
    considered: int


@dataclass(frozen=True)
class TileClocks:
    """Clocks of an SM that one tile takes: of the unit that most of it goes to, and from its arrival to its end."""

    busy: float
    chain: float


def tile_clocks(step: Step, cut: Cut, hw: Hardware) -> TileClocks:
    """Estimated clocks of a tile of the longest query block: products, softmax, expansion, issue, barrier.

    Where the warps load operands and issue every MMA themselves (mma.sync), products and softmax take turns.
    """
    g, sm, profile = step.geometry, hw.sm, cut.profile
    rows = block_rows(profile, step)
    values = cut.tile_tokens * cut.kv_heads_per_cta * (g.head_dim + g.value_dim)
    mma = mma_format(step, cut, hw)
    products = 2 * rows * values / sm.tensor_flop_per_clk[mma]  # type: ignore[index]
    reads = int(operand_reads(np.array([rows]), profile, hw)[0])
    loads = reads * values * (2 if mma in ("fp16", "bf16") else 1) / sm.sram_bytes_per_clk
    scores = rows * cut.tile_tokens * cut.kv_heads_per_cta
    softmax = scores * max(profile.exp_share / sm.exp_per_clk, score_ops(profile, hw) / sm.fp32_per_clk)
    softmax += _unpack_clocks(step, cut, hw, values)
    issue = cut.tile_tokens * token_issue_clk(profile, g.head_dim)
    barrier = profile.barrier_clk
    if profile.mma_operands == "register":
        products /= sm.mma_sync_fraction
        return TileClocks(max(products + softmax, loads, issue), products + loads + softmax + issue + barrier)
    chain = max(products, loads) + softmax + issue + barrier
    if profile.overlap == "pingpong":
        chain = max(products, loads, softmax) + issue + barrier
    return TileClocks(max(products, loads, softmax, issue), chain)


def _unpack_clocks(step: Step, cut: Cut, hw: Hardware, values: int) -> float:
    """Clocks of the vector pipes for the expansion of `values` packed values; none where an engine does it."""
    rate, native = unpack_rate(step.formats, hw, cut.profile.unpack_values_per_clk)
    packed = any(
        KV_STORAGE[f].bits < 16 and KV_STORAGE[f].mma != mma_format(step, cut, hw) for f in step.formats
    )
    return values / rate if packed and not native else 0.0


def resident_ctas(cut: Cut, units: Units, hw: Hardware) -> tuple[int, int]:
    """CTAs that run at once, on the machine and on the fullest SM: a grid may have fewer than there are slots."""
    running = min(len(units.rows), hw.sm.count * cut.ctas_per_sm)
    return running, -(-running // hw.sm.count)


def fetch_time_ns(step: Step, cut: Cut, units: Units, hw: Hardware) -> float:
    """Estimated time in which memory, L2 and the ports give every running CTA a tile. What several CTAs read of the
    same KV comes from memory once."""
    g = step.geometry
    token = token_bytes(step.formats[0], cut.kv_heads_per_cta, g.head_dim, g.value_dim, latent=g.latent)
    size = cut.tile_tokens * token
    running, on_one_sm = resident_ctas(cut, units, hw)
    share = min(1.0, step_work(step).kv_bytes / max(1, int((units.hi - units.lo).sum()) * token))
    from_memory = share * size * running / (data_peak_gb_s(hw.hbm) * STREAMING_SHARE)
    from_l2 = size * running / hw.l2.bandwidth_gb_s
    return max(from_memory, from_l2, size * on_one_sm / hw.noc.port_bytes_per_clk / hw.sm.clock_ghz)


def tile_time_ns(step: Step, cut: Cut, units: Units, hw: Hardware) -> float:
    """Estimated time of a tile of each running CTA: memory share, compute share, latency."""
    clk = ps_per_clk(hw) / PS_PER_NS
    clocks = tile_clocks(step, cut, hw)
    latency = (l2_trip_ns(hw) + hw.hbm.controller_ns) / cut.stages
    return max(
        fetch_time_ns(step, cut, units, hw),
        clocks.busy * clk * resident_ctas(cut, units, hw)[1],
        latency + clocks.chain * clk,
    )


def cta_overhead_ns(cut: Cut, hw: Hardware) -> float:
    clocks = cut.profile.prologue_clk + cut.profile.epilogue_clk + merge_clk(cut)
    latency = 2 * l2_trip_ns(hw) + hw.hbm.controller_ns
    return clocks * ps_per_clk(hw) / PS_PER_NS + latency + hw.launch.cta_ns


def ends_ns(step: Step, cut: Cut, units: Units, hw: Hardware) -> float:
    """Estimated time of the largest CTA's query rows on their way in, and of its output on its way out: all CTAs of an
    SM share its port."""
    heads = cut.kv_heads_per_cta
    query = int(units.rows.max()) * heads * step.geometry.head_dim * QUERY_BYTES
    output = int(output_bytes(step, units, cut).max())
    clocks = query / hw.noc.port_bytes_per_clk + output / hw.noc.write_bytes_per_clk
    return resident_ctas(cut, units, hw)[1] * clocks / hw.sm.clock_ghz


def makespan(counts: NDArray[np.int64], slots: int, fixed: float, per_tile: float) -> float:
    """Time of CTAs with `counts` tiles on `slots` slots: the mean plus half the longest, or waves if all are equal.

    A first and a second wave are whole; after that the CTAs are out of step, and a short last wave has more of the
    memory to itself.
    """
    costs = fixed + per_tile * counts
    longest = float(costs.max())
    if counts.min() == counts.max():
        waves = len(counts) / slots
        return (waves if waves > MOST_WHOLE_WAVES else math.ceil(waves)) * longest
    return max(longest, float(costs.sum()) / slots + longest / 2)


def grid_time_ns(step: Step, cut: Cut, units: Units, hw: Hardware) -> float:
    slots, per_tile = hw.sm.count * cut.ctas_per_sm, tile_time_ns(step, cut, units, hw)
    fixed = cta_overhead_ns(cut, hw) + ends_ns(step, cut, units, hw)
    time = makespan(tile_counts(units, cut), slots, fixed, per_tile)
    return time + (combine_time_ns(step, cut, units, hw) if cut.splits > 1 and not cut.clustered else 0)


def combine_time_ns(step: Step, cut: Cut, units: Units, hw: Hardware) -> float:
    """Estimated time of the split reduction: entry of a second kernel, or the last CTA's own work, and the partial
    results out of L2."""
    partial = int(output_bytes(step, units, cut)[units.splits > 1].sum())
    rate = min(hw.l2.bandwidth_gb_s, hw.sm.count * hw.noc.port_bytes_per_clk * hw.sm.clock_ghz)
    merge = cut.splits * cut.profile.combine_split_clk * ps_per_clk(hw) / PS_PER_NS + partial / rate
    if not cut.profile.merges_in_a_kernel:
        return merge
    gap, _ = following_ps(hw, "graph", at_once=False, early=cut.profile.combine == "early_kernel")
    return gap / PS_PER_NS + cta_overhead_ns(cut, hw) + merge


def rated(step: Step, found: Sequence[Candidate], hw: Hardware) -> list[tuple[float, int]]:
    """(estimated time in ns, number) of the candidates that run in no way as one before: slots that no CTA fills change
    nothing."""
    seen: set[tuple[object, ...]] = set()
    out = []
    for i, candidate in enumerate(found):
        cut = candidate.cut
        units = attention_units(step, cut)
        shape = (cut.profile.name, cut.tile_tokens, cut.stages, cut.splits, cut.kv_heads_per_cta)
        runs = (candidate.sram_class, *shape, *resident_ctas(cut, units, hw))
        if runs not in seen:
            seen.add(runs)
            out.append((grid_time_ns(step, cut, units, hw), i))
    return out


def shortlist(step: Step, found: Sequence[Candidate], hw: Hardware) -> list[Candidate]:
    """The best few of each SRAM class by estimate: the best of each kernel before a second one of any.

    Ties go to the first, and a profile names its preferred tiles and stages first.
    """
    estimates = sorted(rated(step, found, hw))
    kept: list[int] = []
    for sram_class, quota in enumerate(PROBES_PER_CLASS):
        ranked = [i for _, i in estimates if found[i].sram_class == sram_class]
        seen: dict[str, int] = {}
        for i in ranked:
            seen.setdefault(found[i].cut.profile.name, i)
        first = set(seen.values())
        kept += [*(i for i in ranked if i in first), *(i for i in ranked if i not in first)][:quota]
    return [found[i] for i in kept]


def choose(step: Step, found: Sequence[Candidate], hw: Hardware, probe: Probe) -> Choice:
    """Probe the shortlist and take the fastest; a lone candidate is not probed."""
    if len(found) == 1:
        return Choice(found[0], (), (), 1)
    leaders: list[tuple[float, Candidate]] = []
    tried: list[tuple[Cut, float]] = []
    for candidate in shortlist(step, found, hw):
        time = probe(candidate.cut)
        tried.append((candidate.cut, time))
        _lead(leaders, time, candidate)
    ranked = tuple(sorted(tried, key=lambda pair: pair[1]))
    return Choice(leaders[0][1], tuple(leader for _, leader in leaders[1:]), ranked, len(found))


def _lead(leaders: list[tuple[float, Candidate]], time: float, candidate: Candidate) -> None:
    """Keep the best of each SRAM class that beats all smaller ones by the margin; candidates come by class."""
    same_class = bool(leaders) and leaders[-1][1].sram_class == candidate.sram_class
    if same_class and time >= leaders[-1][0]:
        return
    below = leaders[:-1] if same_class else leaders
    if not below or time < below[-1][0] * (1 - MARGIN):
        leaders[:] = [*below, (time, candidate)]
