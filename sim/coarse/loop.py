"""The compiled event loop at tile grain.

An SM port sends segments of its tiles in order, under its cap on outstanding bytes. A segment passes the L2 server
of its SM's partition, the memory server for its missing share, and the port's ingress, each first come first served,
with fixed latencies between (`path`); what of a tile is missing is looked up as it is sent (`tags`). A tile that has
arrived goes through the units of its SM behind the tile before it. Events are processed in time order, equal times in
order of creation, so that equal inputs give equal bits.
"""

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
from sim.coarse.path import store
from sim.coarse.port import group_of
from sim.coarse.producer import ask, known, line_up, send, start
from sim.coarse.state import (
    FIRST_LINE,
    G_CONSUMED,
    G_END,
    G_NEXT,
    P_GONE,
    S_AT0,
    S_AT1,
    S_CTA,
    S_DONE,
    S_END,
    S_ISSUED,
    S_QUEUE,
    S_TAKEN,
    S_WAITS,
    SLOT_COLS,
    Grid,
    State,
)
from sim.coarse.table import look_up
from sim.coarse.tags import Cache, keep, pointers
from sim.coarse.units import SM_COLS, compute
from sim.memory.pointer import cells


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
        keep(cache, d.output_ptr[cta], d.output_ptr[cta + 1], group_of(d, sm))
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
        cells(grid.channels),
        cells(grid.begins),
        cells(grid.lines),
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
        cells(state.channels),
    )
    found = pointers(cache)
    s.g[G_END] = d.p[c.START]
    fill_slots(d, s)
    while s.heap[0] > 0:
        now = s.heap[HEAD]
        code = take_event(s.heap)
        step(d, s, found, code % KINDS, code // KINDS, now)
