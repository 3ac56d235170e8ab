"""Run launches at tile grain on a machine: its latencies and rates as the scalars of the loop."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.coarse import columns as c
from sim.coarse import loop, tags
from sim.coarse import state as layout
from sim.coarse.ecc import without_check_bits
from sim.coarse.grid import Grid, last_lines, line_cost
from sim.coarse.heap import new_heap
from sim.coarse.hits import Reuse, held, query_missing, taken_in
from sim.coarse.shares import ONE
from sim.coarse.streaming import streaming_gb_s
from sim.coarse.units import SM_COLS
from sim.config.hardware import Hardware
from sim.device.stage_times import ps_per_clk, stage_times
from sim.launch_times import following_ps
from sim.lowering import item_search
from sim.lowering.launch import Launch
from sim.memory import params
from sim.memory.latency import beyond_l2_ps
from sim.memory.params import PAGE_CODE, Param

PS_PER_NS = 1000
SEGMENT_BYTES = 8192
"""Bytes that a port sends as one event; larger launches take larger segments."""
MOST_SEGMENTS = 400_000
LEAST_IN_FLIGHT = 6
"""Segments that fit under a port's cap on bytes in flight: with few of them it would hold up what it does not."""
CHECKS_HELD = 6
"""Queues of a channel that pass while check bits of inline ECC are of use to another tile of the same blocks. One queue
is what the scheduler sees; banks keep them for longer, and by their random delays SMs drift apart faster here than on
the memory plane (kernels of L40S on pieces of 128 and 256 B: up to 6% too slow with 1, within 3.5% with 6 and 10)."""
SLICE_TURNS = 2
"""Times that a block passes its slice: as a request and as an answer (`sim.memory.l2`)."""
CHANNEL_TURNS = 2
"""Blocks that a channel serves from a block's arrival to its last byte: the block itself, and one before it. One server
for all of memory would take a block at the rate of all channels. At a load r a block meets r / (2 (1 - r)) others
(M/D/1): one at two thirds; above that, the work piled up in the one server soon counts for more."""


@dataclass(frozen=True)
class Memory:
    """What a run assumes of memory: whether the L2 starts warm (look-ups hit), which share of a kernel's code it has
    lost where not, whether only bursts take time, the seed of the channels' delays (from 1 on), and whether blocks wait
    each at its own channel where CTAs look up as they copy: slower, so not for a search."""

    warm: bool = False
    lost: float = 1.0
    zero_latency: bool = False
    seed: int = 1
    channels: bool = False


@dataclass(frozen=True)
class Timing:
    """Times in ps. consumed: [T] when each next tile, of whichever CTA, had been consumed; hits: [T] share of each tile
    found in L2, in 1/65536; query_hits: [Q] share that the first reader of query rows found; memory_ps: in which memory
    works; written: bytes of output that left L2 for memory; idle: SM-ps in which an SM has no CTA left."""

    start: int
    end: int
    consumed: NDArray[np.int64]
    hits: NDArray[np.int64]
    query_hits: NDArray[np.int64]
    memory_ps: int
    written: int
    idle: int

    @property
    def memory_share(self) -> float:
        """Of the time from start to end."""
        return min(1.0, self.memory_ps / max(1, self.end - self.start))


def scalars(
    grid: Grid, formats: tuple[str, ...], hw: Hardware, memory: Memory, start: int
) -> NDArray[np.int64]:
    """The scalars of one launch that starts at `start` ps."""
    v = params.build(hw, zero_latency=memory.zero_latency)
    launch = grid.sample
    times = stage_times(launch, formats, hw)
    p = np.zeros(c.SCALARS, np.int64)
    p[c.SMS], p[c.CTAS_PER_SM], p[c.STREAMS] = hw.sm.count, launch.ctas_per_sm, launch.streams
    p[c.STAGES] = max(1, launch.buffer_bytes // max(1, int(grid.classes[:, c.BYTES].max())))
    p[c.UNPACK_NATIVE], p[c.MMA_SYNC] = int(times.unpack_native), int(times.mma_sync)
    p[c.START] = start
    _, cta = following_ps(hw, "none", at_once=launch.follows_at_once, early=launch.launched_early)
    p[c.FIRST_ENTRY] = p[c.NEXT_ENTRY] = cta + times.prologue
    if launch.scheduling != "grid":
        p[c.NEXT_ENTRY] = round(launch.item_clk * ps_per_clk(hw))
    p[c.SEARCH], p[c.SEARCH_GROUP] = round(launch.search_clk * ps_per_clk(hw)), item_search.GROUP
    p[c.STRIDE] = int(launch.scheduling == "stride")
    p[c.AHEAD] = int(launch.runs_ahead)
    p[c.EPILOGUE], p[c.BARRIER] = times.epilogue, times.barrier
    p[c.CAP] = v[Param.CAP]
    total = int(grid.tile_bytes.sum())
    most = max(SEGMENT_BYTES, int(p[c.CAP]) // LEAST_IN_FLIGHT)
    p[c.SEGMENT] = min(max(SEGMENT_BYTES, -(-total // MOST_SEGMENTS)), most)
    p[c.CTAS], p[c.LISTED] = grid.ctas, grid.listed
    p[c.ROOM] = launch.ctas_per_sm * (int(p[c.STAGES]) + 1) + 1
    p[c.CREDITS] = 66 + 2 * int(p[c.CAP]) // min(int(p[c.SEGMENT]), int(p[c.CAP]))
    _set_memory(p, v, hw)
    _set_dependent_reads(p, v, launch)
    p[c.LINE_BYTES], p[c.LINE_PORT] = line_cost(launch, hw)
    if len(grid.slices) == 0:
        p[c.SLICES] = 0
    if len(grid.channels) > 0:
        _set_channels(p, v)
    return p


def _mean_way_ps(v: NDArray[np.int64]) -> int:
    """From an SM to L2, over homes in all partitions."""
    near, far, partitions = int(v[Param.NEAR]), int(v[Param.FAR]), int(v[Param.PARTITIONS])
    return near + (far - near) * (partitions - 1) // partitions


def _set_memory(p: NDArray[np.int64], v: NDArray[np.int64], hw: Hardware) -> None:
    """Latencies and rates of L2, network and memory. v: of `params.build`."""
    mean_way = _mean_way_ps(v)
    # copies are near: only what misses has a way to the partition that is home to it
    to_l2 = int(v[Param.NEAR]) if v[Param.COPIES] else mean_way
    block = 1 << int(v[Param.BLOCK_SHIFT])
    p[c.WAY_IN] = p[c.WAY_BACK] = to_l2
    p[c.FAR_EXTRA] = 2 * (int(v[Param.FAR]) - mean_way)
    p[c.L2_LATENCY] = v[Param.L2_LATENCY] + SLICE_TURNS * ((block * int(v[Param.SLICE_Q16])) >> 16)
    p[c.CHANNEL] = block * int(v[Param.CHANNELS]) * PS_PER_NS / streaming_gb_s(hw)
    p[c.HBM_LATENCY] = beyond_l2_ps(v) + CHANNEL_TURNS * int(p[c.CHANNEL]) + 2 * (mean_way - to_l2)
    p[c.COPIES] = v[Param.COPIES]
    p[c.GROUPS] = hw.l2.partitions if hw.l2.private or v[Param.COPIES] else 1
    p[c.SLICES] = v[Param.SLICES_NEAR] if v[Param.COPIES] else v[Param.SLICES_SEEN]
    p[c.LINK_Q16] = v[Param.LINK_Q16]
    p[c.L2_Q16] = params.q16(1000 * int(p[c.GROUPS]) / hw.l2.bandwidth_gb_s)
    p[c.HBM_Q16] = params.q16(1000 / streaming_gb_s(hw))
    p[c.INGRESS_Q16] = v[Param.INGRESS_Q16]
    p[c.CHECKS_HELD] = CHECKS_HELD * v[Param.DEPTH] * v[Param.BURST]
    p[c.NO_CHECK_BITS] = without_check_bits(hw)
    if v[Param.REFRESH]:
        p[c.REFRESH] = v[Param.RFC]
        p[c.REFRESH_BYTES] = max(1, block * int(v[Param.REFI]) // max(1, int(v[Param.RFC])))


def _set_channels(p: NDArray[np.int64], v: NDArray[np.int64]) -> None:
    """Blocks wait each at its own channel: for what is there, for its bank to close the row of another one, and for
    accesses of others between its own, which are tCCD_L apart."""
    accesses = 1 << int(v[Param.BLOCK_SHIFT] - v[Param.ACCESS_SHIFT])
    alone = accesses * int(v[Param.PITCH] - v[Param.BURST])
    alone += int(v[Param.RP]) if v[Param.PAGE] == PAGE_CODE["open"] else 0
    p[c.CHANNELS] = v[Param.CHANNELS]
    p[c.WINDOW] = v[Param.DEPTH] * v[Param.BURST]
    p[c.HBM_LATENCY] += alone - CHANNEL_TURNS * int(p[c.CHANNEL])
    p[c.TABLE_MISS] += alone


def _set_dependent_reads(p: NDArray[np.int64], v: NDArray[np.int64], launch: Launch) -> None:
    """What CTAs wait for at their start (block tables) and at their end (stores). v: of `params.build`."""
    hit = 2 * _mean_way_ps(v) + int(v[Param.L2_LATENCY])
    p[c.ROOT] = hit if (launch.ctas.root >= 0).any() else 0
    p[c.TABLE_HIT] = hit
    p[c.TABLE_MISS] = hit + beyond_l2_ps(v)
    p[c.LOOK_UP], p[c.LOOK_LINES] = launch.tiles_per_look_up, launch.lines_per_look_up
    p[c.STORE] = hit if (launch.ctas.output >= 0).any() else 0
    # Bytes under way are limited for stores as for loads.
    p[c.STORE_Q16] = max(v[Param.EGRESS_Q16], v[Param.GEN_Q16], params.q16(hit / v[Param.CAP]))


def _rows(count: int, width: int) -> NDArray[np.int64]:
    return np.zeros(count * width, np.int64)


def _shared(groups: int, seed: int) -> NDArray[np.int64]:
    g = np.zeros(layout.SHARED + 2 * groups, np.int64)
    g[layout.G_RANDOM] = seed
    return g


def new_state(
    p: NDArray[np.int64],
    tiles: int,
    objects: int,
    seed: int = 1,
    blocks: int = 1,
    lines: int = 1,
    queries: int = 1,
) -> layout.State:
    """State of an idle machine. seed: of the channels' delays; blocks, lines (of block tables), queries:
    as many as there are different ones."""
    sms, per_sm, stages = int(p[c.SMS]), int(p[c.CTAS_PER_SM]), int(p[c.STAGES])
    return layout.State(
        slots=_rows(sms * per_sm, layout.SLOT_COLS),
        sms=_rows(sms, SM_COLS),
        waiting=_rows(sms, int(p[c.ROOM])),
        due=_rows(sms, int(p[c.CREDITS])),
        sizes=_rows(sms, int(p[c.CREDITS])),
        arrived=_rows(sms * per_sm, stages + 1),
        fetched=np.zeros(objects, np.int64),
        slices=np.zeros(int(p[c.GROUPS] * p[c.SLICES]), np.int64),
        heap=new_heap(sms * (per_sm * (stages + 4) + 2) + 64),
        g=_shared(int(p[c.GROUPS]), seed),
        consumed=np.zeros(tiles, np.int64),
        checked=np.full(layout.CHECKED_COLS * blocks, layout.NEVER, np.int64),
        tables=np.zeros(lines, np.int64),
        rows=np.zeros(queries, np.int64),
        channels=np.zeros(int(p[c.CHANNELS]), np.int64),
    )


def run_grid(
    grid: Grid,
    reuse: Reuse,
    formats: tuple[str, ...],
    hw: Hardware,
    memory: Memory,
    start: int = 0,
    takes_in: int | None = None,
) -> Timing:
    """Run one launch from `start` ps on. takes_in: bytes that L2 takes in over it; none: those of the grid (a part of
    a launch ends before the whole has pushed its outputs out)."""
    p = scalars(grid, formats, hw, memory, start)
    queries = len(grid.query_ptr) - 1
    arrays = layout.Grid(
        p=p,
        classes=grid.classes.reshape(-1),
        tile_ptr=grid.tile_ptr,
        tile_class=grid.tile_class.astype(np.int64),
        objects=reuse.objects,
        hit=reuse.hits.copy(),
        query=grid.query,
        query_ptr=grid.query_ptr,
        query_hit=np.zeros(queries, np.int64) if reuse.query_hits is None else reuse.query_hits.copy(),
        output_ptr=grid.output_ptr,
        order=np.ascontiguousarray(grid.order, np.int64),
        blocks=grid.blocks,
        tables=grid.tables,
        sequence=np.ascontiguousarray(grid.sequence, np.int64),
        slices=grid.slices,
        slices_of=grid.slices_of,
        channels=grid.channels,
        begins=grid.begins,
        lines=grid.lines,
    )
    objects, blocks, lines = (
        int(numbers.max(initial=0)) + 1 for numbers in (reuse.objects, grid.blocks, last_lines(grid))
    )
    state = new_state(p, grid.tiles, objects, memory.seed, blocks, lines, queries)
    p[c.LOOKS_UP], p[c.WARM] = int(reuse.cache is not None), int(memory.warm)
    p[c.TAKES_IN] = taken_in(grid, reuse) if takes_in is None else takes_in
    p[c.HOLDS] = held(hw)
    found = reuse.cache or tags.new_cache(np.zeros(tags.SCALARS, np.int64))
    loop.run(arrays, state, tags.Cache(*(part.copy() for part in found)))
    end = int(state.g[layout.G_END])
    written = int(state.g[layout.G_WRITTEN])
    missing = float((grid.memory_bytes * (1 - arrays.hit / ONE)).sum()) + written
    missing += query_missing(grid, arrays.query_hit)
    memory_ps = round(missing * int(p[c.HBM_Q16]) / ONE)
    gone = state.sms.reshape(-1, SM_COLS)[:, layout.P_GONE]
    idle = int((end - np.maximum(start, gone)).sum())
    return Timing(start, end, state.consumed, arrays.hit, arrays.query_hit, memory_ps, written, idle)
