"""Queues of the channels of memory at tile grain, each by itself.

One queue for all channels tells the mean wait. A read of few bytes, as a CTA's look-up in its block table, waits at one
channel, whose queue may be empty or twice the mean; with one queue all look-ups that come while a burst of blocks is
served end with it, at one instant, and their CTAs ask for the next burst in step: a convoy that random delays of blocks
do not break up. So where CTAs wait for look-ups as they copy, each block takes its turn at the channel that it lies on,
and so does each look-up, on its way to the partition that its line has its home in.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kernels_ref.trace import Step
from sim.coarse import columns as c
from sim.coarse.chance import random
from sim.coarse.grid import ENTRIES_PER_LINE, Grid, last_lines
from sim.coarse.jit import inlined
from sim.coarse.places import a_tile_of_each, places_of
from sim.coarse.shares import ONE
from sim.coarse.slices import blocks_of, slice_numbers, slices_near
from sim.coarse.state import P_LEFT, State
from sim.coarse.state import Grid as Cells
from sim.coarse.units import SM_COLS
from sim.config.hardware import Hardware
from sim.lowering.attention_tiles import TABLE_LINE_BYTES
from sim.lowering.cut import Cut
from sim.lowering.runs import pointer, repeat_index
from sim.lowering.units import Units
from sim.memory import params
from sim.memory.addresses import AddressMap
from sim.memory.params import Param

Int64 = NDArray[np.int64]

POOLS = 2
"""Of K and of V (with all scales), each contiguous."""
L_CHANNEL, L_HOME, L_SLICE, LINE_COLS = range(4)


def channel_of(block: Int64, hw: Hardware) -> Int64:
    """Channel of each block: they are dealt out as to slices."""
    v = params.build(hw)
    return slice_numbers(block, int(v[Param.CHANNELS]), hashed=bool(v[Param.HASH]))


def home_of(block: Int64, hw: Hardware) -> Int64:
    """Partition that is home to each block, where partitions keep copies."""
    v = params.build(hw)
    number = slice_numbers(block, int(v[Param.SLICES_SEEN]), hashed=bool(v[Param.HASH]))
    return number // int(v[Param.SLICES_NEAR])


def tile_channels(grid: Grid, addresses: AddressMap, hw: Hardware) -> tuple[Int64, Int64]:
    """([T + 1] pointer, [blocks] POOLS x channels beyond that of the tile's first block in the same pool + pool) of the
    lowered tiles, in order."""
    v = params.build(hw)
    shift = int(v[Param.BLOCK_SHIFT])
    start, size, tile = blocks_of(grid.sample)
    first = start >> shift
    run, rank = repeat_index(((start + size - 1) >> shift) - first + 1)
    parts = [part for of_format in addresses.parts for part in enumerate(of_format)]
    bases = sorted((part.base, min(i, POOLS - 1)) for i, part in parts)
    within = np.searchsorted([base for base, _ in bases], start, side="right") - 1
    pool = np.array([of for _, of in bases])[within][run]
    channel = channel_of(first[run] + rank, hw)
    _, begin, group = np.unique(tile[run] * POOLS + pool, return_index=True, return_inverse=True)
    beyond = (channel - channel[begin][group]) % int(v[Param.CHANNELS])
    return pointer(np.bincount(tile[run], minlength=grid.sample.tiles)), beyond * POOLS + pool


def with_channels(
    step: Step, units: Units, grid: Grid, cut: Cut, addresses: AddressMap, objects: Int64, hw: Hardware
) -> Grid:
    """The grid, whose blocks wait each at its own channel. objects: [T] number of the KV that each tile reads."""
    ptr, channels = tile_channels(grid, addresses, hw)
    classes = grid.classes.copy()
    classes[: grid.sample.tiles, c.FIRST_BLOCK], classes[: grid.sample.tiles, c.BLOCKS] = (
        ptr[:-1],
        np.diff(ptr),
    )
    tiles = a_tile_of_each(grid, objects)
    places = places_of(step, units, grid, cut, tiles, np.zeros((len(tiles), POOLS)))
    begins = channel_of(places.addresses(step, addresses) >> int(params.build(hw)[Param.BLOCK_SHIFT]), hw)
    begins = np.ascontiguousarray(np.broadcast_to(begins, (len(tiles), POOLS)))
    lines = line_blocks(step, units, grid, addresses, hw)
    return replace(
        grid,
        classes=classes,
        channels=channels,
        begins=begins.reshape(-1),
        lines=np.stack([channel_of(lines, hw), home_of(lines, hw), slices_near(lines, hw)], axis=1).reshape(
            -1
        ),
    )


def line_blocks(step: Step, units: Units, grid: Grid, addresses: AddressMap, hw: Hardware) -> Int64:
    """[L] block of memory of each line of the block table, numbered as in the grid's `tables`."""
    first = int((step.table_ptr[units.sequence] + units.lo // step.page_tokens).min()) // ENTRIES_PER_LINE
    line = first + np.arange(int(last_lines(grid).max()) + 1, dtype=np.int64)
    blocks: Int64 = addresses.table_base + line * TABLE_LINE_BYTES >> int(params.build(hw)[Param.BLOCK_SHIFT])
    return blocks


@inlined
def pass_channel(s: State, channel: int, at: int, cost: int) -> int:
    """Serve a block that comes at `at`; when it is through."""
    s.channels[channel] = max(at, s.channels[channel]) + cost
    return int(s.channels[channel])


@inlined
def at_channels(
    d: Cells, s: State, sm: int, part: int, tile: int, on_bus: int, arrival: int, sending: int
) -> tuple[int, int]:
    """(mean, latest) of when the blocks of a port's next segment have passed their channels: one after the other they
    come until `arrival`, and take the bus for `on_bus` bytes together."""
    p, k = d.p, d.tile_class[tile] * c.CLASS_COLS
    left, size, blocks = s.sms[sm * SM_COLS + P_LEFT], d.classes[k + c.BYTES], d.classes[k + c.BLOCKS]
    begin = blocks * max(0, size - left) // size
    end = blocks * max(0, size - left + part) // size
    if end <= begin:
        return arrival, arrival
    channels = p[c.CHANNELS]
    cost = (((on_bus // (end - begin)) * p[c.HBM_Q16]) >> 16) * channels
    gap = sending // (end - begin)
    latest, total, at = arrival, 0, arrival - sending
    first, begins = d.classes[k + c.FIRST_BLOCK], d.objects[tile] * POOLS
    for block in range(first + begin, first + end):
        at += gap
        channel = d.channels[block] // POOLS + d.begins[begins + d.channels[block] % POOLS]
        channel = channel if channel < channels else channel - channels
        through = pass_channel(s, channel, at, cost)
        total += through - arrival
        latest = max(latest, through)
    return int(arrival + max(0, total // (end - begin))), int(latest)


@inlined
def line_wait(d: Cells, s: State, line: int, at: int, found: int) -> int:
    """How long a look-up that comes at `at` takes at the channel of its line of the block table, which L2 has to a
    share of `found`. What waits there is served by its banks, not in order: anywhere among what the scheduler sees."""
    p, channel = d.p, d.lines[line * LINE_COLS + L_CHANNEL]
    missing = (p[c.LINE_BYTES] * (ONE - found)) >> 16
    queued = max(0, s.channels[channel] - at)
    through = pass_channel(s, channel, at, ((missing * p[c.HBM_Q16]) >> 16) * p[c.CHANNELS])
    return int(through - at + min(queued, p[c.WINDOW] // 2) * (2 * random(s.g) - 1))


@inlined
def at_slice(d: Cells, s: State, line: int, group: int, arrival: int) -> int:
    """How long a look-up that comes at `arrival` waits for blocks in line at the slice of its line, where blocks pass
    slices each by itself."""
    p = d.p
    if p[c.SLICES] == 0:
        return 0
    cell = group * p[c.SLICES] + d.lines[line * LINE_COLS + L_SLICE]
    begins = max(arrival, s.slices[cell])
    s.slices[cell] = begins + ((p[c.LINE_BYTES] * p[c.L2_Q16]) >> 16) * p[c.SLICES]
    return int(begins - arrival)


@inlined
def farther(d: Cells, line: int, group: int) -> int:
    """How much longer the way is, there and back, to the partition that is home to a line of the block table than on
    average over partitions."""
    groups = d.p[c.GROUPS]
    extra = d.p[c.FAR_EXTRA]
    return int(extra if d.lines[line * LINE_COLS + L_HOME] != group else -extra * (groups - 1))
