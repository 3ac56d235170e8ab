"""The compiled event loop at tile grain.

An SM port sends segments of its tiles in order, under its cap on outstanding bytes. A segment passes the L2 server
of its SM's partition, the memory server for its missing share, and the port's ingress, each first come first served,
with fixed latencies between (`path`); what of a tile is missing is looked up as it is sent (`tags`). A tile that has
arrived goes through the units of its SM behind the tile before it. Events are processed in time order, equal times in
order of creation, so that equal inputs give equal bits.
"""

import numpy as np
from numpy.typing import NDArray

from sim.coarse import columns as c
from sim.coarse.heap import (
    DONE,
    FREE,
    HEAD,
    KINDS,
    KNOWN,
    LOOK,
    READY,
    SEND,
    START,
    STORE,
    schedule,
    take_event,
)
from sim.coarse.jit import compiled, entry, inlined
from sim.coarse.path import complete, store, transfer
from sim.coarse.port import join, pass_on, wrapped
from sim.coarse.shares import ONE
from sim.coarse.state import (
    FIRST_LINE,
    G_CONSUMED,
    G_END,
    G_NEXT,
    NEXT_LINE,
    NO_LINE,
    P_BEGAN,
    P_COUNT,
    P_EVENT,
    P_FOUND,
    P_GONE,
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
    S_DONE,
    S_END,
    S_ISSUED,
    S_KNOWN,
    S_LOOKS,
    S_OWED,
    S_QUEUE,
    S_TAKEN,
    S_WAITS,
    SLOT_COLS,
    Grid,
    State,
)
from sim.coarse.table import is_look_up, look_up, looked_up, slot_of
from sim.coarse.tags import Cache, find, find_rows, keep, pointers
from sim.coarse.units import SM_COLS, compute
from sim.memory.bits import quotient
from sim.memory.pointer import cells

Int64 = NDArray[np.int64]


@compiled
def take_next(d: Grid, s: State, slot: int) -> int:
    """The next CTA of a slot, -1 when there is none."""
    if d.p[c.STRIDE]:
        at = s.slots[slot * SLOT_COLS + S_QUEUE]
        s.slots[slot * SLOT_COLS + S_QUEUE] += d.p[c.SMS] * d.p[c.CTAS_PER_SM]
    else:
        at = s.g[G_NEXT]
        s.g[G_NEXT] += 1
    return int(d.order[at]) if at < d.p[c.CTAS] else -1


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
            found = find(cache, d.objects[tile], sm % d.p[c.GROUPS])
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
        there = find_rows(cache, d.query_ptr[query], d.query_ptr[query + 1], sm % d.p[c.GROUPS])
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


@inlined
def take(d: Grid, s: State, slot: int, now: int) -> None:
    """A tile is there and its turn has come: take it through the units."""
    sm = slot % d.p[c.SMS]
    depth = d.p[c.STAGES] + 1
    tile = s.slots[slot * SLOT_COLS + S_TAKEN]
    k = d.tile_class[tile] * c.CLASS_COLS
    s.slots[slot * SLOT_COLS + S_AT0] = compute(
        d.p, d.classes, k, s.sms, sm, max(now, s.slots[slot * SLOT_COLS + S_AT0])
    )
    if d.p[c.STREAMS] == 2:
        s.slots[slot * SLOT_COLS + S_AT1] = compute(
            d.p, d.classes, k, s.sms, sm, max(now, s.slots[slot * SLOT_COLS + S_AT1])
        )
    else:
        s.slots[slot * SLOT_COLS + S_AT1] = s.slots[slot * SLOT_COLS + S_AT0]
    done = max(s.slots[slot * SLOT_COLS + S_AT0], s.slots[slot * SLOT_COLS + S_AT1])
    following = tile + 1
    s.slots[slot * SLOT_COLS + S_TAKEN] = following
    schedule(s.heap, done, slot * KINDS + FREE)
    if following == s.slots[slot * SLOT_COLS + S_END]:
        schedule(s.heap, done, slot * KINDS + DONE)
    elif following < s.slots[slot * SLOT_COLS + S_ISSUED]:
        ready = min(s.slots[slot * SLOT_COLS + S_AT0], s.slots[slot * SLOT_COLS + S_AT1])
        arrival = s.arrived[slot * depth + following % depth]
        schedule(s.heap, max(ready, arrival), slot * KINDS + READY)
    else:
        s.slots[slot * SLOT_COLS + S_WAITS] = 1


@inlined
def free(d: Grid, s: State, slot: int, now: int) -> None:
    """A tile's buffer is free again."""
    s.consumed[s.g[G_CONSUMED]] = now
    s.g[G_CONSUMED] += 1
    ask(d, s, slot, 1, now)


@inlined
def finish(d: Grid, s: State, slot: int, now: int) -> None:
    """A CTA has computed its tiles: its result follows, and one that runs ahead asks for its next item meanwhile."""
    result = now + d.p[c.EPILOGUE]
    s.slots[slot * SLOT_COLS + S_DONE] = s.slots[slot * SLOT_COLS + S_CTA]
    schedule(s.heap, result, slot * KINDS + STORE)
    if not d.p[c.AHEAD]:
        return
    cta = take_next(d, s, slot)
    if cta >= 0:
        s.slots[slot * SLOT_COLS + S_CTA] = cta
        s.slots[slot * SLOT_COLS + S_AT0] = result + d.p[c.NEXT_ENTRY]
        s.slots[slot * SLOT_COLS + S_AT1] = result + d.p[c.NEXT_ENTRY]
        begin(d, s, slot, now)


@inlined
def leave(d: Grid, s: State, cache: Cache, slot: int, now: int) -> None:
    """A CTA writes its result; the slot goes on to the next one, if it has not yet."""
    sm, cta = slot % d.p[c.SMS], s.slots[slot * SLOT_COLS + S_DONE]
    if d.p[c.LOOKS_UP]:
        keep(cache, d.output_ptr[cta], d.output_ptr[cta + 1], sm % d.p[c.GROUPS])
    at = store(d, s, sm, cta, now)
    s.g[G_END] = max(s.g[G_END], at)
    s.sms[sm * SM_COLS + P_GONE] = max(s.sms[sm * SM_COLS + P_GONE], at)
    if d.p[c.AHEAD]:
        return
    last = d.sequence[cta]
    cta = take_next(d, s, slot)
    if cta >= 0:
        s.slots[slot * SLOT_COLS + S_CTA] = cta
        begin(d, s, slot, at + d.p[c.NEXT_ENTRY] + searching(d, last, cta))


@inlined
def begin(d: Grid, s: State, slot: int, at: int) -> None:
    """A slot's CTA asks for its first blocks at `at`: through the block table, where it has one."""
    kind = LOOK if d.tables[s.slots[slot * SLOT_COLS + S_CTA]] >= 0 else START
    schedule(s.heap, at + d.p[c.ROOT], slot * KINDS + kind)


@inlined
def searching(d: Grid, last: int, cta: int) -> int:
    """Time that the search for a CTA's sequence takes, from sequence `last` on (`sim.lowering.item_search`)."""
    passed = max(0, d.sequence[cta] - last) // d.p[c.SEARCH_GROUP]
    return int(d.p[c.SEARCH] * passed)


@compiled
def fill_slots(d: Grid, s: State) -> None:
    """Give the first CTAs to the slots, breadth first."""
    at = d.p[c.START] + d.p[c.FIRST_ENTRY]
    for slot in range(min(d.p[c.CTAS], d.p[c.SMS] * d.p[c.CTAS_PER_SM])):
        s.slots[slot * SLOT_COLS + S_QUEUE] = slot
        cta = take_next(d, s, slot)
        s.slots[slot * SLOT_COLS + S_CTA] = cta
        begin(d, s, slot, at + searching(d, 0, cta))


@inlined
def step(d: Grid, s: State, cache: Cache, kind: int, index: int, now: int) -> None:
    """Process one event, after which a port that has nothing on its way may have something to send."""
    sm = index % d.p[c.SMS]
    if kind == SEND:
        send(d, s, cache, sm, now)
    elif kind == READY:
        take(d, s, index, now)
    elif kind == FREE:
        free(d, s, index, now)
    elif kind == DONE:
        finish(d, s, index, now)
    elif kind == STORE:
        leave(d, s, cache, index, now)
    elif kind == KNOWN:
        known(d, s, index, now)
    elif kind == LOOK:
        look_up(d, s, index, FIRST_LINE)
    else:
        start(d, s, index, now)
    line_up(d, s, cache, sm, now)


@entry
def run(grid: Grid, state: State, cache: Cache) -> None:
    """Run a grid on a fresh state.

    The result is in `state.g`: G_END, when the last CTA is done; in `state.consumed`; in `grid.hit` and
    `grid.query_hit`.
    """
    d = Grid(
        cells(grid.p),
        cells(grid.classes),
        cells(grid.tile_ptr),
        cells(grid.tile_class),
        cells(grid.objects),
        cells(grid.hit),
        cells(grid.query),
        cells(grid.query_ptr),
        cells(grid.query_hit),
        cells(grid.output_ptr),
        cells(grid.order),
        cells(grid.blocks),
        cells(grid.tables),
        cells(grid.sequence),
        cells(grid.slices),
        cells(grid.slices_of),
    )
    s = State(
        cells(state.slots),
        cells(state.sms),
        cells(state.waiting),
        cells(state.due),
        cells(state.sizes),
        cells(state.arrived),
        cells(state.fetched),
        cells(state.slices),
        cells(state.heap),
        cells(state.g),
        cells(state.consumed),
        cells(state.checked),
        cells(state.tables),
        cells(state.rows),
    )
    found = pointers(cache)
    s.g[G_END] = d.p[c.START]
    fill_slots(d, s)
    while s.heap[0] > 0:
        now = s.heap[HEAD]
        code = take_event(s.heap)
        step(d, s, found, code % KINDS, code // KINDS, now)
