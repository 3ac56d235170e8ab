"""The way of a segment at tile grain: L2 of its SM's partition, memory for what is missing there, the port's ingress.

All servers are booked as of the arrival at L2, and the last to be done counts: work piles up in front of the slowest
only, and a booking ahead of time would keep a server idle that others could use before. Memory is one server, whose
channels have queues of different lengths: a segment comes back later or sooner than the mean by a seeded draw. So
SMs do not march in step, what an SM with room for two tiles has under way shrinks while it waits for the last block of
one, and which slots come free first is left to chance, as on the line-grain machine.
"""

import math

import numpy as np
from numpy.typing import NDArray

from sim.coarse import columns as c
from sim.coarse.chance import random
from sim.coarse.channels import at_channels
from sim.coarse.jit import compiled, inlined
from sim.coarse.port import group_of
from sim.coarse.shares import ONE
from sim.coarse.slices import PLACES
from sim.coarse.state import (
    B_AT,
    B_LEFT,
    CHECKED_COLS,
    G_HBM,
    G_TAKEN,
    G_WRITTEN,
    P_BEGAN,
    P_EGRESS,
    P_FOUND,
    P_INFLIGHT,
    P_INGRESS,
    P_LATEST,
    P_LEFT,
    P_MISSED,
    P_QUERY,
    P_QUEUED,
    P_RCOUNT,
    P_RHEAD,
    SHARED,
    Grid,
    State,
)
from sim.coarse.units import SM_COLS
from sim.memory.mapping import GOLDEN

Int64 = NDArray[np.int64]

SPREAD = 2.5
"""Half width of the delays of segments around that of the mean channel, in standard deviations of one channel's queue
if blocks fell on channels at random: n blocks, give or take the root of n. Those of the last of a segment's blocks are
wider (grids of benchmarks/bench_sampled.py: from 2 to 3 alike, 1 and 5 worse)."""


@inlined
def serve(g: Int64, server: int, arrival: int, size: int, cost_q16: int) -> int:
    """Take `size` bytes through a server; when they are through."""
    g[server] = max(arrival, g[server]) + ((size * cost_q16) >> 16)
    return int(g[server])


@inlined
def serve_at_homes(p: Int64, g: Int64, group: int, missing: int, arrival: int) -> int:
    """Take what `group` misses through the L2s and links of the partitions that are home to it."""
    groups = p[c.GROUPS]
    done = arrival
    for home in range(groups):
        if home != group:
            done = max(done, serve(g, SHARED + home, arrival, missing // groups, p[c.L2_Q16]))
            done = max(done, serve(g, SHARED + groups + home, arrival, missing // groups, p[c.LINK_Q16]))
    return int(done)


@inlined
def transfer(d: Grid, s: State, sm: int, part: int, tile: int, now: int, sending: int) -> None:
    """Take a segment of a tile on its way, the last byte of which leaves now, `sending` after the first. A CTA's query
    rows come before the KV of its first tile.

    What is found comes no sooner than whoever fetched it has it in L2. The first bytes pass the port of the SM while
    the last are still to come.
    """
    p = d.p
    row = sm * SM_COLS
    arrival = now + p[c.WAY_IN]
    group = group_of(d, sm)
    at = serve(s.g, SHARED + group, arrival, part, p[c.L2_Q16])
    rows = query_part(d, s, sm, part, tile)
    at = max(at, at_slices(d, s, sm, part, tile, arrival))
    found = at
    if d.hit[tile] > 0 and part > rows:
        found = max(found, s.fetched[d.objects[tile]])
    if rows > 0 and s.sms[row + P_FOUND] > 0:
        found = max(found, s.rows[s.sms[row + P_QUERY]])
    late = 0
    missing_kv = ((part - rows) * (ONE - d.hit[tile])) >> 16
    missing_rows = (rows * (ONE - s.sms[row + P_FOUND])) >> 16
    missing = missing_kv + missing_rows
    if missing > 0:
        checks = check_bits(d, s, sm, tile, now)
        on_bus = missing + ((missing * checks) >> 16)
        at = max(at, serve(s.g, G_HBM, arrival, on_bus, p[c.HBM_Q16]))
        if p[c.COPIES]:
            at = max(at, serve_at_homes(p, s.g, group, missing, arrival))
        if p[c.CHANNELS] == 0:
            late = channel_delay(p, s.g, at - arrival)
        elif missing_kv > 0:
            kv_on_bus = missing_kv + ((missing_kv * checks) >> 16)
            mean, latest = at_channels(d, s, sm, part, tile, kv_on_bus, arrival, sending)
            late = max(at, latest) - max(at, mean)
            at = max(at, mean)
        at += p[c.HBM_LATENCY]
        if missing_kv > 0:
            s.fetched[d.objects[tile]] = at + late
        if missing_rows > 0:
            s.rows[s.sms[row + P_QUERY]] = at + late
        s.g[G_TAKEN] += missing
        s.sms[row + P_MISSED] += missing
    at = max(at, found) + p[c.L2_LATENCY] + p[c.WAY_BACK]
    s.sms[row + P_QUEUED] = max(0, s.sms[row + P_INGRESS] - at)
    at = max(at, max(at - sending, s.sms[row + P_INGRESS]) + ((part * p[c.INGRESS_Q16]) >> 16))
    s.sms[row + P_INGRESS] = at
    s.sms[row + P_LATEST] = max(s.sms[row + P_LATEST], at + late)
    note_due(d, s, sm, part, at if p[c.CHANNELS] else at + late)


@inlined
def at_slices(d: Grid, s: State, sm: int, part: int, tile: int, arrival: int) -> int:
    """When the blocks of a port's next segment have passed their slices, each in line with all else there; what misses
    in copies passes the slices of its home too, ahead of what waits there."""
    p, k = d.p, d.tile_class[tile] * c.CLASS_COLS
    blocks, slices = d.classes[k + c.BLOCKS], p[c.SLICES]
    if blocks == 0 or slices == 0:
        return arrival
    left, size = s.sms[sm * SM_COLS + P_LEFT], d.classes[k + c.BYTES]
    begin = blocks * max(0, size - left) // size
    end = blocks * max(0, size - left + part) // size
    cost = (((size // blocks) * p[c.L2_Q16]) >> 16) * slices
    far = ((cost * (ONE - d.hit[tile])) >> 16) // p[c.GROUPS] if p[c.COPIES] else 0
    group = group_of(d, sm)
    first, turn = d.slices_of[d.objects[tile]], 0
    if first < 0:
        drawn = d.objects[tile] * GOLDEN & 0xFFFF
        first = drawn % PLACES * p[c.LISTED] + d.classes[k + c.FIRST_BLOCK]
        turn = drawn // PLACES % slices
    through = arrival
    for at in range(first + begin, first + end):
        number = d.slices[at] + turn
        number = number if number < slices else number - slices
        cell = group * slices + number
        s.slices[cell] = max(arrival, s.slices[cell]) + cost
        through = max(through, s.slices[cell])
        if far:
            for home in range(p[c.GROUPS]):
                if home != group:
                    cell = home * slices + number
                    s.slices[cell] = max(arrival, s.slices[cell]) + far
    return int(through)


@inlined
def query_part(d: Grid, s: State, sm: int, part: int, tile: int) -> int:
    """How many bytes of a port's next segment are query rows."""
    row = sm * SM_COLS
    if s.sms[row + P_QUERY] < 0:
        return 0
    kv = d.classes[d.tile_class[tile] * c.CLASS_COLS + c.BYTES]
    left = s.sms[row + P_LEFT]
    return int(max(0, left - max(kv, left - part)))


@inlined
def complete(d: Grid, s: State, sm: int, tile: int, now: int) -> int:
    """All of a tile is under way from `now` on; when it has arrived.

    The last of its blocks comes later than the mean of them: from the farther partition, and, of what is missing, from
    a bank that is being refreshed. At the port of the SM it waits as they did.
    """
    p = d.p
    row = sm * SM_COLS
    late = p[c.FAR_EXTRA]
    missing = s.sms[row + P_MISSED]
    if missing > 0 and p[c.REFRESH] > 0:
        met = missing / p[c.REFRESH_BYTES]
        wait = refresh_wait(met, p[c.REFRESH], now - s.sms[row + P_BEGAN], random(s.g))
        if d.hit[tile] < ONE:
            s.fetched[d.objects[tile]] += wait
        late += wait
    elif missing == 0 and p[c.COPIES]:
        late = 0
    return int(s.sms[row + P_LATEST] + late)


@compiled
def refresh_wait(met: float, refresh: int, sending: int, drawn: float) -> int:
    """How much later than the last block the latest one comes, when of blocks that are asked for over `sending` ps
    `met`, on average, find their bank in refresh, which has any part of its time still to go.

    Of Poisson-distributed many, the latest comes no more than y later with a chance of exp(-met P(y)), P(y) being that
    of each: linear in refresh - y where that exceeds `sending`, its square below. drawn: in (0, 1), that chance.
    """
    each = -math.log(drawn) / met
    square = 2 * refresh * each < sending
    left = math.sqrt(2.0 * refresh * sending * each) if square else sending / 2 + refresh * each
    return max(0, int(refresh - left))


@inlined
def check_bits(d: Grid, s: State, sm: int, tile: int, now: int) -> int:
    """What check bits of inline ECC add to a segment's time in memory, in 1/65536; less than nothing where the equal
    segment of a tile in the same blocks, of another head, was asked for shortly before and brings them all.
    """
    added = d.classes[d.tile_class[tile] * c.CLASS_COLS + c.CHECK_BITS]
    if added == 0 or d.blocks[tile] < 0:
        return int(added)
    left = s.sms[sm * SM_COLS + P_LEFT]
    at = d.blocks[tile] * CHECKED_COLS
    shared = s.checked[at + B_LEFT] == left and now - s.checked[at + B_AT] <= d.p[c.CHECKS_HELD]
    s.checked[at + B_AT] = now
    s.checked[at + B_LEFT] = left
    return int(d.p[c.NO_CHECK_BITS] if shared else added)


@inlined
def channel_delay(p: Int64, g: Int64, queued: int) -> int:
    """How much later (or sooner, if negative) than the mean over channels a segment's own ones serve it, after a wait
    of `queued` ps on average."""
    width = min(queued, SPREAD * math.sqrt(queued * p[c.CHANNEL]))
    return int(width * (2 * random(g) - 1))


@inlined
def note_due(d: Grid, s: State, sm: int, part: int, at: int) -> None:
    """Note when a segment's bytes come back, in order of time."""
    credits = d.p[c.CREDITS]
    first = sm * credits
    rank = s.sms[sm * SM_COLS + P_RCOUNT]
    place = s.sms[sm * SM_COLS + P_RHEAD] + rank
    cell = first + (place if place < credits else place - credits)
    while rank > 0:
        before = (cell if cell > first else first + credits) - 1
        if s.due[before] <= at:
            break
        s.due[cell] = s.due[before]
        s.sizes[cell] = s.sizes[before]
        cell = before
        rank -= 1
    s.due[cell] = at
    s.sizes[cell] = part
    s.sms[sm * SM_COLS + P_RCOUNT] += 1
    s.sms[sm * SM_COLS + P_INFLIGHT] += part


@compiled
def store(d: Grid, s: State, sm: int, cta: int, now: int) -> int:
    """Write a CTA's output through its SM's port into L2; when that is acknowledged.

    What L2 takes in until the end pushes it out to memory, if that is more than L2 holds.
    """
    p = d.p
    size = d.output_ptr[cta + 1] - d.output_ptr[cta]
    at = max(now, s.sms[sm * SM_COLS + P_EGRESS]) + ((size * p[c.STORE_Q16]) >> 16)
    s.sms[sm * SM_COLS + P_EGRESS] = at
    for home in range(p[c.GROUPS]):
        at = max(at, serve(s.g, SHARED + home, now, size // p[c.GROUPS], p[c.L2_Q16]))
    s.g[G_TAKEN] += size
    if p[c.TAKES_IN] - s.g[G_TAKEN] > p[c.HOLDS]:
        serve(s.g, G_HBM, now, size, p[c.HBM_Q16])
        s.g[G_WRITTEN] += size
    return int(at + p[c.STORE])
