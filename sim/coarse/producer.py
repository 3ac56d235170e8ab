"""The producer's side at tile grain: CTAs put tiles in line at their SM's port, which sends them segment by segment.

A tile leaves when its buffer is free and its CTA knows where it lies; a segment leaves when the port's cap on bytes in
flight lets it. What of a tile is missing in L2 is looked up as it is sent.
"""

from sim.coarse import columns as c
from sim.coarse.heap import KINDS, READY, SEND, schedule
from sim.coarse.jit import compiled, inlined
from sim.coarse.path import complete, transfer
from sim.coarse.port import group_of, join, pass_on, wrapped
from sim.coarse.shares import ONE
from sim.coarse.state import (
    NEXT_LINE,
    NO_LINE,
    P_BEGAN,
    P_COUNT,
    P_EVENT,
    P_FOUND,
    P_HEAD,
    P_INFLIGHT,
    P_LATEST,
    P_LEFT,
    P_MISSED,
    P_QUERY,
    P_RCOUNT,
    P_RHEAD,
    P_SIZE,
    S_ASKED,
    S_AT0,
    S_AT1,
    S_CTA,
    S_END,
    S_ISSUED,
    S_KNOWN,
    S_LOOKS,
    S_OWED,
    S_TAKEN,
    S_WAITS,
    SLOT_COLS,
    Grid,
    State,
)
from sim.coarse.table import is_look_up, look_up, looked_up, slot_of
from sim.coarse.tags import Cache, find, find_rows
from sim.coarse.units import SM_COLS
from sim.memory.bits import quotient


@inlined
def credit(d: Grid, s: State, sm: int, part: int, at: int) -> int:
    """First instant from `at` on at which `part` bytes fit under the port's cap."""
    credits = d.p[c.CREDITS]
    while s.sms[sm * SM_COLS + P_RCOUNT] > 0:
        head = s.sms[sm * SM_COLS + P_RHEAD]
        fits = s.sms[sm * SM_COLS + P_INFLIGHT] + part <= d.p[c.CAP] or s.sms[sm * SM_COLS + P_INFLIGHT] == 0
        if s.due[sm * credits + head] > at:
            if fits:
                break
            at = s.due[sm * credits + head]
        s.sms[sm * SM_COLS + P_INFLIGHT] -= s.sizes[sm * credits + head]
        s.sms[sm * SM_COLS + P_RHEAD] = wrapped(head + 1, credits)
        s.sms[sm * SM_COLS + P_RCOUNT] -= 1
    return int(at)


@inlined
def line_up(d: Grid, s: State, cache: Cache, sm: int, now: int) -> None:
    """Find out when the next segment of the tile that is first in line at an idle port has left, if there is one."""
    row = sm * SM_COLS
    if s.sms[row + P_COUNT] == 0 or s.sms[row + P_EVENT]:
        return
    slot = s.waiting[sm * d.p[c.ROOM] + s.sms[row + P_HEAD]]
    if is_look_up(d, slot):
        s.sms[row + P_EVENT] = 1
        at = credit(d, s, sm, d.p[c.LINE_BYTES], now + d.p[c.LINE_PORT])
        schedule(s.heap, at, sm * KINDS + SEND)
        return
    tile = s.slots[slot * SLOT_COLS + S_ISSUED]
    if s.sms[row + P_LEFT] == 0:
        cta = s.slots[slot * SLOT_COLS + S_CTA]
        s.sms[row + P_SIZE] = d.classes[d.tile_class[tile] * c.CLASS_COLS + c.BYTES]
        s.sms[row + P_MISSED] = 0
        s.sms[row + P_QUERY] = -1
        if tile == d.tile_ptr[cta]:
            add_query(d, s, cache, sm, d.query[cta])
        s.sms[row + P_LEFT] = s.sms[row + P_SIZE]
        s.sms[row + P_BEGAN] = now
        s.sms[row + P_LATEST] = 0
        if d.p[c.LOOKS_UP]:
            found = find(cache, d.objects[tile], group_of(d, sm))
            foreign = d.classes[d.tile_class[tile] * c.CLASS_COLS + c.FOREIGN]
            d.hit[tile] = foreign + ((found * (ONE - foreign)) >> 16)
    part = min(d.p[c.SEGMENT], s.sms[row + P_LEFT])
    s.sms[row + P_EVENT] = 1
    schedule(s.heap, credit(d, s, sm, part, now + sending(d, s, sm, tile, part)), sm * KINDS + SEND)


@compiled
def add_query(d: Grid, s: State, cache: Cache, sm: int, query: int) -> None:
    """Query rows come before the tile that is first in line. L2 has them where somebody has asked for them before (the
    splits of one output read the same), or, warm, from the launch before."""
    size = d.query_ptr[query + 1] - d.query_ptr[query]
    if size == 0:
        return
    row = sm * SM_COLS
    first = s.rows[query] == 0
    found = d.query_hit[query] if first else ONE
    if d.p[c.LOOKS_UP]:
        there = find_rows(cache, d.query_ptr[query], d.query_ptr[query + 1], group_of(d, sm))
        found = there if d.p[c.WARM] or not first else 0
    if first:
        d.query_hit[query] = found
        s.rows[query] = 1
    s.sms[row + P_QUERY] = query
    s.sms[row + P_FOUND] = found
    s.sms[row + P_SIZE] += size


@inlined
def sending(d: Grid, s: State, sm: int, tile: int, part: int) -> int:
    """Time that the port takes over a segment of the tile under way."""
    cost = d.classes[d.tile_class[tile] * c.CLASS_COLS + c.PORT]
    return quotient(cost * part, max(1, s.sms[sm * SM_COLS + P_SIZE]))


@inlined
def ask(d: Grid, s: State, slot: int, tiles: int, now: int) -> None:
    """Put up to `tiles` further tiles of a slot's CTA in line at its port, as far as it knows where they lie."""
    sm = slot % d.p[c.SMS]
    tiles += s.slots[slot * SLOT_COLS + S_OWED]
    s.slots[slot * SLOT_COLS + S_OWED] = 0
    while tiles > 0 and s.slots[slot * SLOT_COLS + S_ASKED] < s.slots[slot * SLOT_COLS + S_END]:
        if s.slots[slot * SLOT_COLS + S_ASKED] == s.slots[slot * SLOT_COLS + S_KNOWN]:
            s.slots[slot * SLOT_COLS + S_OWED] = tiles
            if s.slots[slot * SLOT_COLS + S_LOOKS] == NO_LINE:
                look_up(d, s, slot, NEXT_LINE)
            break
        tiles -= 1
        s.slots[slot * SLOT_COLS + S_ASKED] += 1
        join(d, s, sm, slot)


@inlined
def known(d: Grid, s: State, slot: int, now: int) -> None:
    """A line of the block table is there."""
    s.slots[slot * SLOT_COLS + S_LOOKS] = NO_LINE
    s.slots[slot * SLOT_COLS + S_KNOWN] += d.p[c.LOOK_UP]
    ask(d, s, slot, 0, now)


@inlined
def start(d: Grid, s: State, slot: int, now: int) -> None:
    """A CTA's first instruction is behind it: fill its buffers."""
    cta = s.slots[slot * SLOT_COLS + S_CTA]
    first = d.tile_ptr[cta]
    s.slots[slot * SLOT_COLS + S_LOOKS] = NO_LINE
    s.slots[slot * SLOT_COLS + S_ASKED] = first
    s.slots[slot * SLOT_COLS + S_ISSUED] = first
    s.slots[slot * SLOT_COLS + S_TAKEN] = first
    s.slots[slot * SLOT_COLS + S_END] = d.tile_ptr[cta + 1]
    s.slots[slot * SLOT_COLS + S_KNOWN] = first + d.p[c.LOOK_UP] if d.p[c.LOOK_UP] else d.tile_ptr[cta + 1]
    # One that runs ahead has the units when it is done with the item before.
    s.slots[slot * SLOT_COLS + S_AT0] = max(now, s.slots[slot * SLOT_COLS + S_AT0])
    s.slots[slot * SLOT_COLS + S_AT1] = max(now, s.slots[slot * SLOT_COLS + S_AT1])
    s.slots[slot * SLOT_COLS + S_WAITS] = 1
    ask(d, s, slot, d.p[c.STAGES], now)


@inlined
def sent(d: Grid, s: State, slot: int, tile: int, at: int) -> None:
    """The last segment of a tile is on its way and arrives at `at`."""
    depth = d.p[c.STAGES] + 1
    sm = slot % d.p[c.SMS]
    pass_on(d, s, sm)
    s.arrived[slot * depth + tile % depth] = at
    s.slots[slot * SLOT_COLS + S_ISSUED] += 1
    if s.slots[slot * SLOT_COLS + S_WAITS] and s.slots[slot * SLOT_COLS + S_TAKEN] == tile:
        s.slots[slot * SLOT_COLS + S_WAITS] = 0
        ready = min(s.slots[slot * SLOT_COLS + S_AT0], s.slots[slot * SLOT_COLS + S_AT1])
        schedule(s.heap, max(at, ready), slot * KINDS + READY)


@inlined
def send(d: Grid, s: State, cache: Cache, sm: int, now: int) -> None:
    """A segment of the tile that is first in line at a port has left."""
    row = sm * SM_COLS
    s.sms[row + P_EVENT] = 0
    slot = s.waiting[sm * d.p[c.ROOM] + s.sms[row + P_HEAD]]
    if is_look_up(d, slot):
        looked_up(d, s, cache, slot_of(d, slot), now)
        return
    tile = s.slots[slot * SLOT_COLS + S_ISSUED]
    part = min(d.p[c.SEGMENT], s.sms[row + P_LEFT])
    transfer(d, s, sm, part, tile, now, sending(d, s, sm, tile, part))
    s.sms[row + P_LEFT] -= part
    if s.sms[row + P_LEFT] == 0:
        sent(d, s, slot, tile, complete(d, s, sm, tile, now))
